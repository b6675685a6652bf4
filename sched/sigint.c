/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigint.c - SIGINT cancels a runner's main task; a second one ends the
 * process.
 * Threads     The handler runs in any thread that does not block the signal.
 *             Installed and restored by the thread that runs the runner.
 * Ordering    SI1: the runner is visible to the handler.
 * Progress    The handler: one inbox push, one write.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "handle.h"
#include "runner.h"
#include "task.h"

static _Atomic(skua_runner *) sigint_runner; /* SI1 */
static struct sigaction sigint_before; /* written while sigint_runner is NULL */

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
    skua_runner *runner = skui_load_acquire(&sigint_runner);
    bool first = false;

    /* relaxed: a flag */
    if (runner != NULL &&
        skui_cas_relaxed(&runner->interrupted, &first, true)) {
        skui_loop_post_from_signal(runner->loops[0],
                                   &runner->sigint_handle->runnable);
    } else {
        (void)signal(number, SIG_DFL);
        (void)raise(number);
    }
    errno = saved_errno;
}

void skui_sigint_install(skua_runner *runner)
{
    struct sigaction action;

    if (sigaction(SIGINT, NULL, &sigint_before) != 0 ||
        sigint_before.sa_handler != SIG_DFL ||
        (sigint_before.sa_flags & SA_SIGINFO) != 0 ||
        skui_load_relaxed(&sigint_runner) != NULL || /* relaxed: a hint */
        skui_handle_new(runner->loops[0], sigint_cancel_main, runner,
                        &runner->sigint_handle) < 0) {
        return;
    }
    (void)skua_handle_ref(runner->sigint_handle); /* the queue's, if posted */
    /* SI1 release: the runner is whole. */
    skui_store_release(&sigint_runner, runner);
    memset(&action, 0, sizeof(action));
    action.sa_handler = sigint_handle;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
}

void skui_sigint_restore(skua_runner *runner)
{
    skua_handle *handle = runner->sigint_handle;

    if (handle == NULL) {
        return;
    }
    (void)sigaction(SIGINT, &sigint_before, NULL);
    skui_store_release(&sigint_runner, NULL); /* SI1 release */
    runner->sigint_handle = NULL;
    (void)skua_handle_cancel(handle);
    /* relaxed: the handler is gone */
    if (!skui_load_relaxed(&runner->interrupted)) {
        skua_handle_unref(handle); /* it was never posted */
    }
    skua_handle_unref(handle);
}
