/* SPDX-License-Identifier: Apache-2.0 */
/*
 * free_signal.c - a real-time signal that the program has left alone.
 * Threads     Any; of two that install at once the kernel lets one be second,
 *             which gives way.
 * Invariants  A handler of the program is never replaced for good.
 */
#include "free_signal.h"

static bool action_is_default(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) == 0 &&
           action->sa_handler == SIG_DFL;
}

bool skui_free_signal_is_taken(int number, skui_signal_fn *handler)
{
    struct sigaction present;

    return sigaction(number, NULL, &present) == 0 &&
           (present.sa_flags & SA_SIGINFO) != 0 &&
           present.sa_sigaction == handler;
}

/* Unless somebody else handles it. */
static bool signal_install(int number, const struct sigaction *action)
{
    struct sigaction former;

    if (skui_free_signal_is_taken(number, action->sa_sigaction)) {
        return true;
    }
    if (sigaction(number, NULL, &former) < 0 || !action_is_default(&former) ||
        sigaction(number, action, &former) < 0) {
        return false;
    }
    if (!action_is_default(&former)) { /* another thread was faster */
        (void)sigaction(number, &former, NULL);
        return false;
    }
    return true;
}

/* From the end of the range: programs count from its start. What they block
 * they may take by signalfd(); but the library's own threads block all. */
int skui_free_signal_take(const struct sigaction *action)
{
    sigset_t blocked;
    bool all;

    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    all = sigismember(&blocked, SIGTERM) == 1;
    for (int number = SIGRTMAX; number >= SIGRTMIN; number--) {
        if ((all || sigismember(&blocked, number) == 0) &&
            signal_install(number, action)) {
            return number;
        }
    }
    return 0;
}
