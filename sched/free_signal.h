/* SPDX-License-Identifier: Apache-2.0 */
/*
 * free_signal.h - a real-time signal that the program has left alone.
 */
#ifndef SKUI_FREE_SIGNAL_H
#define SKUI_FREE_SIGNAL_H

#include <signal.h>

#include "atomic.h"

SKUI_BEGIN_DECLS

typedef void skui_signal_fn(int number, siginfo_t *info, void *ucontext);

/*
 * Install `action`, which has SA_SIGINFO, for a signal that nobody handles or
 * blocks here, or find where it is installed: its number, or 0 when none is
 * left. Any thread.
 */
int skui_free_signal_take(const struct sigaction *action);

/* Whether `handler` is installed there still. */
bool skui_free_signal_is_taken(int number, skui_signal_fn *handler);

SKUI_END_DECLS

#endif
