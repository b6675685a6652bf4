/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interrupt.c - system calls of one thread end with EINTR, again and again.
 * Threads     The thread itself, its signal handler, and who wants it
 *             interrupted, who holds a lock of the caller's.
 * Invariants  The thread blocks the signal but for the work that may be
 *             interrupted; what is pending when that ends is taken away. So no
 *             other work ever sees one. `chosen` is guarded by its mutex.
 * Ordering    None: a handler runs in the thread that it looks at.
 * Progress    Nobody waits. The handler makes one system call.
 *
 * A signal that comes just before the work blocks in a system call is lost to
 * it, so one is not enough. The kernel's timers send signals to a thread; the
 * handler sets its own anew, each time for twice as long, up to a limit. That
 * needs no thread that sends them, which might not be had when it is needed.
 * The timer goes on without the handler as well, at the longest pause: the race
 * detector defers signals, and now and then beyond the next system call.
 *
 * The handler is installed without SA_RESTART when interruptible work is
 * submitted for the first time, for the last real-time signal that the program
 * has left alone: so it replaces no handler. If the program takes that signal
 * later another one is chosen for later work, and none is sent to it.
 *
 * Rejected    SIGURG and the like, which programs have handlers for. A signal
 *             sent by the canceller: see above. pthread_cancel(): the work's
 *             locks and memory would be left behind.
 */
#include "interrupt.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../free_signal.h"
#include "work_self.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { PAUSE_FIRST_NS = 50000, PAUSE_MAX_NS = 20000000, NS_PER_S = 1000000000 };

static pthread_mutex_t chosen_mutex = PTHREAD_MUTEX_INITIALIZER;
static int chosen; /* 0: none yet; guarded by chosen_mutex */

/* Have a signal sent after a while, and then now and then; 0: none. */
static void timer_arm(timer_t timer, int64_t pause_ns)
{
    struct itimerspec when;

    memset(&when, 0, sizeof(when));
    when.it_value.tv_sec = pause_ns / NS_PER_S;
    when.it_value.tv_nsec = pause_ns % NS_PER_S;
    when.it_interval.tv_nsec = pause_ns == 0 ? 0 : PAUSE_MAX_NS;
    (void)timer_settime(timer, 0, &when, NULL);
}

static void interrupt_handle(int number, siginfo_t *info, void *ucontext)
{
    const struct skui_work_self *self = skui_work_self();
    int saved_errno = errno;

    (void)number;
    (void)info;
    (void)ucontext;
    if (self != NULL && self->interrupt != NULL) {
        struct skui_interrupt *interrupt = self->interrupt;

        timer_arm(interrupt->timer, interrupt->pause_ns);
        if (interrupt->pause_ns < PAUSE_MAX_NS) {
            interrupt->pause_ns *= 2;
        }
    }
    errno = saved_errno;
}

/* --- choosing a signal --- */

static struct sigaction interrupt_action(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = interrupt_handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK; /* no SA_RESTART: calls end */
    (void)sigemptyset(&action.sa_mask);
    return action;
}

static int interrupt_choose(int *out_number)
{
    const struct sigaction action = interrupt_action();
    int number;

    (void)pthread_mutex_lock(&chosen_mutex);
    if (chosen == 0 || !skui_free_signal_is_taken(chosen, interrupt_handle)) {
        chosen = skui_free_signal_take(&action);
    }
    number = chosen;
    (void)pthread_mutex_unlock(&chosen_mutex);
    *out_number = number;
    return number == 0 ? -EBUSY : 0;
}

int skui_interrupt_prepare(void)
{
    int number;

    return interrupt_choose(&number);
}

/* --- one thread --- */

static sigset_t set_of(const struct skui_interrupt *interrupt)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, interrupt->signal_number);
    return set;
}

int skui_interrupt_open(struct skui_interrupt *interrupt)
{
    struct sigevent event;
    int status;

    memset(interrupt, 0, sizeof(*interrupt));
    status = interrupt_choose(&interrupt->signal_number);
    if (status < 0) {
        return status;
    }
    interrupt->pause_ns = PAUSE_FIRST_NS;
    memset(&event, 0, sizeof(event));
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = interrupt->signal_number;
    event.sigev_notify_thread_id = gettid();
    return timer_create(CLOCK_MONOTONIC, &event, &interrupt->timer) == 0
               ? 0
               : -errno;
}

void skui_interrupt_close(struct skui_interrupt *interrupt)
{
    (void)timer_delete(interrupt->timer);
    skui_interrupt_forbid(interrupt);
}

void skui_interrupt_allow(const struct skui_interrupt *interrupt)
{
    sigset_t set = set_of(interrupt);

    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void skui_interrupt_forbid(const struct skui_interrupt *interrupt)
{
    static const struct timespec at_once;
    sigset_t set = set_of(interrupt);

    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    while (sigtimedwait(&set, NULL, &at_once) > 0) {
        /* what was sent and not taken */
    }
}

void skui_interrupt_want(struct skui_interrupt *interrupt)
{
    interrupt->wanted = true;
    if (!interrupt->suspended &&
        skui_free_signal_is_taken(interrupt->signal_number, interrupt_handle)) {
        timer_arm(interrupt->timer, 1);
    }
}

void skui_interrupt_suspend(struct skui_interrupt *interrupt)
{
    interrupt->suspended = true;
    timer_arm(interrupt->timer, 0);
}

void skui_interrupt_resume(struct skui_interrupt *interrupt)
{
    interrupt->suspended = false;
    if (interrupt->wanted) {
        skui_interrupt_want(interrupt);
    }
}

void skui_interrupt_after_fork(void)
{
    (void)pthread_mutex_init(&chosen_mutex, NULL);
}
