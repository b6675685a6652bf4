/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relief.h - spare loops, for when all others are held up in user code.
 *
 * A runner has a few loops more than it has cores to use. Each is a whole loop
 * with a thread of its own. The first starts when for the first time no
 * ordinary loop sleeps, and sleeps, without a tick, while any of them does. Of
 * those that watch the tick the spare ones are the last, so one is woken only
 * if no other loop sleeps; it looks (stuck.h), and if it finds a stuck loop it
 * *relieves*: it runs what it took, and what comes from outside, beside the
 * stuck threads, until it finds none stuck any more, or another loop sleeping.
 * What is stealable and becomes ready on it when it does not relieve goes to
 * the others. Its settings are those of the first loop: programs do not know
 * it.
 *
 *   not started   -> ASLEEP     no ordinary loop sleeps; and, if it is not the
 *                               first, no spare one either after a long step
 *   ASLEEP        -> LOOKING    tick, or a look that is due; or work of its own
 *   LOOKING       -> RELIEVING  some loop is stuck and no ordinary one sleeps
 *   RELIEVING     -> ASLEEP     nothing is left to do; its charges can wake it
 */
#ifndef SKUI_RELIEF_H
#define SKUI_RELIEF_H

#include "skua/runner.h"
#include "spinlock.h"

SKUI_BEGIN_DECLS

enum { SKUI_RELIEF_DEFAULT = 2, SKUI_RELIEF_MAXIMUM = 64 };

/* Of a runner. All-zero: none has started. */
struct skui_relief {
    struct skui_spinlock lock;
    unsigned started; /* guarded by lock, as below */
    bool is_stopping;
    _Atomic(bool) is_relieving; /* relaxed: a hint */
    /* One has been started, or there are none to be: relaxed, a hint. */
    _Atomic(bool) is_prepared;
};

/*
 * A loop is about to run what is ready. The last one of all that does has a
 * spare loop started: if each of them is held up in its first step there is
 * nobody who could see that.
 */
void skui_relief_prepare(skua_loop *loop);

/* A loop has ended a step that kept it for longer than a tick: if no other one
 * sleeps, let a spare one sleep and look after it. */
void skui_relief_note_long(skua_loop *loop);

/* Start one, unless one sleeps. Any thread that keeps the runner. */
void skui_relief_start(skua_runner *runner);

/* Work waits, no ordinary loop sleeps, and some are stuck: wake a spare one. */
void skui_relief_call(skua_runner *runner);

/* The spare loop itself, woken: look, and decide whether to relieve. */
void skui_relief_look(skua_loop *loop);

/* How many have started. Any thread. */
unsigned skui_relief_started(skua_runner *runner);

/* The thread that closes the runner: end all of them. */
void skui_relief_stop(skua_runner *runner);

SKUI_END_DECLS

#endif
