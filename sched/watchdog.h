/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchdog.h - debug mode: a thread that sees which steps do not end.
 */
#ifndef SKUI_WATCHDOG_H
#define SKUI_WATCHDOG_H

#include "loop.h"

SKUI_BEGIN_DECLS

/* The loop's thread: its steps are timed from now on, and not any more. After
 * the latter nobody reports for the loop. */
void skui_watchdog_add(skua_loop *loop);
void skui_watchdog_remove(skua_loop *loop);

/* debug.c: report a step that goes on and has taken too long, with the stack of
 * the loop's thread; once. */
void skui_slow_look(skua_loop *loop);

/* In a forked child, which does not have the thread. */
void skui_watchdog_after_fork(void);

SKUI_END_DECLS

#endif
