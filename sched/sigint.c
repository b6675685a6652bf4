/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigint.c - SIGINT cancels a runner's main task; a second one ends the
 * process.
 * Threads     The handler runs in any thread that does not block the signal.
 *             Installed and restored by the thread that runs the runner.
 * Invariants  As in asyncio only the main thread's runner listens, and only
 *             where the program does not. Who takes the runner out of
 *             sigint_runner owns the posting: the handler posts once, or
 *             restore knows that nobody will.
 * Ordering    SI1: the runner is visible to the handler. SI2: what it posted
 *             is visible to restore, and it is through with the runner.
 * Progress    The handler: one exchange, one inbox push, one write.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "handle.h"
#include "runner.h"
#include "task.h"

static _Atomic(skua_runner *) sigint_runner; /* SI1 */

static void sigint_cancel_main(void *arg)
{
    skua_runner *runner = arg;

    if (runner->main_task != NULL) {
        (void)skua_task_cancel(runner->main_task);
    }
}

static void sigint_handle(int number)
{
    int saved_errno = errno;
    /* SI1 acquire: pairs with skui_sigint_install(). */
    skua_runner *runner = skui_exchange_acquire(&sigint_runner, NULL);

    if (runner != NULL) {
        skui_store_relaxed(&runner->interrupted, true); /* relaxed: SI2 */
        skui_loop_post_from_signal(runner->loops[0],
                                   &runner->sigint_handle->runnable);
        /* SI2 release: pairs with skui_sigint_restore(). */
        skui_store_release(&runner->sigint_posted, true);
    } else {
        (void)signal(number, SIG_DFL);
        (void)raise(number);
    }
    errno = saved_errno;
}

static bool sigint_goes_to(void (*handler)(int))
{
    struct sigaction action;

    return sigaction(SIGINT, NULL, &action) == 0 &&
           (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == handler;
}

static void sigint_send_to(void (*handler)(int))
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = handler;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
}

/* Drop a handle that was never posted. */
static void sigint_drop_handle(skua_runner *runner)
{
    skua_handle_unref(runner->sigint_handle); /* the queue's */
    skua_handle_unref(runner->sigint_handle);
    runner->sigint_handle = NULL;
}

void skui_sigint_install(skua_runner *runner)
{
    skua_runner *nobody = NULL;

    if (gettid() != getpid() || !sigint_goes_to(SIG_DFL) ||
        skui_handle_new(runner->loops[0], sigint_cancel_main, runner,
                        &runner->sigint_handle) < 0) {
        return;
    }
    (void)skua_handle_ref(runner->sigint_handle); /* the queue's, if posted */
    skui_store_relaxed(&runner->sigint_posted, false); /* relaxed: SI1 */
    /* SI1 release: the runner is whole. */
    if (!skui_cas_release(&sigint_runner, &nobody, runner)) {
        sigint_drop_handle(runner); /* another runner was first */
        return;
    }
    sigint_send_to(sigint_handle);
}

void skui_sigint_restore(skua_runner *runner)
{
    skua_runner *mine = runner;

    if (runner->sigint_handle == NULL) {
        return;
    }
    if (sigint_goes_to(sigint_handle)) {
        sigint_send_to(SIG_DFL);
    }
    /* SI1 release: no handler finds the runner from here on. */
    if (skui_cas_release(&sigint_runner, &mine, NULL)) {
        sigint_drop_handle(runner);
        return;
    }
    /* SI2 acquire: a handler took it, perhaps in another thread, and is through
     * with it. */
    while (!skui_load_acquire(&runner->sigint_posted)) {
        (void)sched_yield();
    }
    (void)skua_handle_cancel(runner->sigint_handle);
    skua_handle_unref(runner->sigint_handle);
    runner->sigint_handle = NULL;
}
