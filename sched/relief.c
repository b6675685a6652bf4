/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relief.c - spare loops, for when all others are held up in user code.
 * Threads     A spare loop has its own, from its first need on. Any loop asks
 *             for one; the thread that closes the runner ends them.
 * Invariants  `started` grows under `lock` and only while the runner is not
 *             stopping, so who stops it joins them all.
 * Ordering    SL1 for `lock`; ST1 that a look is due; PK1 waking one.
 * Rejected    A thread that only watches, and no loop of its own: what it ran
 *             would have no reactor, no timers and no inbox, and a task that is
 *             stuck there would hold up the watch. Threads that end when the
 *             pressure is gone: sockets that were opened meanwhile are theirs.
 */
#include "relief.h"

#include <stdio.h>

#include "runner.h"
#include "thread.h"
#include "tls.h"

/* Without a stuck loop, until the pressure counts as gone: between two long
 * steps a loop is not stuck. */
enum { CALM_LOOKS = 32 };

static void *relief_thread(void *arg)
{
    skua_loop *loop = arg;
    char name[16];

    (void)snprintf(name, sizeof(name), "skua-r%u",
                   loop->index - loop->runner->count);
    (void)pthread_setname_np(pthread_self(), name);
    if (skui_loop_enter(loop) == 0) {
        skui_loop_run(loop);
        skui_loop_leave(loop);
    }
    return NULL;
}

/* Under the lock. */
static bool relief_sleeps(const skua_runner *runner)
{
    for (unsigned i = 0; i < runner->relief.started; i++) {
        skua_loop *spare = runner->loops[runner->count + i];

        /* relaxed: a hint */
        if (skui_load_relaxed(&spare->park_state) == SKUI_PARK_PARKED) {
            return true;
        }
    }
    return false;
}

/* Under the lock. */
static void relief_start_next(skua_runner *runner)
{
    struct skui_relief *relief = &runner->relief;
    unsigned next = runner->count + relief->started;

    if (!relief->is_stopping && next < runner->total &&
        !relief_sleeps(runner) &&
        skui_thread_start(&runner->threads[next], relief_thread,
                          runner->loops[next]) == 0) {
        relief->started++;
    }
}

void skui_relief_start(skua_runner *runner)
{
    /* Who has the lock may be through with its look at who sleeps. */
    if (runner->total > runner->count) {
        skui_spinlock_lock(&runner->relief.lock);
        relief_start_next(runner);
        skui_spinlock_unlock(&runner->relief.lock);
    }
}

void skui_relief_prepare(skua_loop *loop)
{
    skua_runner *runner = loop->runner;

    /* relaxed, both: of loops that begin at once the last to say that it does
     * not sleep sees that no other does */
    if (!skui_load_relaxed(&runner->relief.is_prepared) &&
        skui_load_relaxed(&runner->idle) == 0) {
        /* relaxed: a hint; if it fails, a long step tries again */
        skui_store_relaxed(&runner->relief.is_prepared, true);
        skui_relief_start(runner);
    }
}

void skui_relief_note_long(skua_loop *loop)
{
    skua_runner *runner = loop->runner;

    /* relaxed: a hint; who sleeps looks after the others */
    if (skui_load_relaxed(&runner->idle) == 0) {
        skui_relief_start(runner);
        skui_sentinel_start(runner);
    }
}

void skui_relief_call(skua_runner *runner)
{
    for (unsigned i = runner->count; i < runner->total; i++) {
        if (skui_park_try_wake(runner->loops[i])) {
            return;
        }
    }
}

static void relief_set(skua_runner *runner, bool relieves)
{
    /* relaxed: a hint; what is left undone is done at the next tick */
    skui_store_relaxed(&runner->relief.is_relieving, relieves);
    skui_sentinel_pace(runner, relieves);
}

/* An ordinary loop sleeps, and the look is its own. */
static void relief_hand_on(skua_runner *runner)
{
    skui_store_release(&runner->keeping.is_due, true); /* ST1 release */
    for (unsigned i = 0; i < runner->count; i++) {
        if (skui_park_try_wake(runner->loops[i])) {
            return;
        }
    }
}

void skui_relief_look(skua_loop *loop)
{
    skua_runner *runner = loop->runner;

    /* relaxed: a hint. A tick ends the sleep of a keeper by way of its charges
     * as well, and after that the next one's; who is first reads it, and the
     * other sleeps on. */
    if (skui_load_relaxed(&runner->idle) > 0) {
        relief_hand_on(runner);
        return;
    }
    if (skui_stuck_look(loop) > 0) {
        loop->idle.calm_looks = 0;
        relief_set(runner, true);
        (void)skui_loop_take_injected(loop);
        skui_relief_start(runner); /* for when this one is held up itself */
    } else if (++loop->idle.calm_looks >= CALM_LOOKS) {
        loop->idle.calm_looks = 0;
        relief_set(runner, false);
    }
}

unsigned skui_relief_started(skua_runner *runner)
{
    unsigned started;

    skui_spinlock_lock(&runner->relief.lock);
    started = runner->relief.started;
    skui_spinlock_unlock(&runner->relief.lock);
    return started;
}

void skui_relief_stop(skua_runner *runner)
{
    struct skui_relief *relief = &runner->relief;

    skui_spinlock_lock(&relief->lock);
    relief->is_stopping = true;
    skui_spinlock_unlock(&relief->lock);
    for (unsigned i = 0; i < relief->started; i++) {
        skua_loop *loop = runner->loops[runner->count + i];

        skui_loop_request_stop(loop);
        (void)pthread_join(runner->threads[runner->count + i], NULL);
        /* relaxed: a loop that could not be entered has not seen it */
        skui_store_relaxed(&loop->stop_requested, false);
    }
    relief->started = 0;
    relief->is_stopping = false;
    skui_store_relaxed(&relief->is_prepared, false); /* relaxed: a hint */
}

/* --- settings --- */

void skui_loop_set(skua_loop *loop, skui_loop_setter_fn *set, const void *value)
{
    const skua_runner *runner = loop->runner;

    set(loop, value);
    if (runner != NULL && loop->index == 0) {
        for (unsigned i = runner->count; i < runner->total; i++) {
            set(runner->loops[i], value);
        }
    }
}

/* --- blocking --- */

int skua_blocking_begin(void)
{
    skua_loop *loop = skui_loop_self();
    skua_runner *runner;

    if (loop == NULL) {
        return SKUA_ENOLOOP;
    }
    runner = loop->runner;
    if (!skui_loop_has_siblings(loop) || runner->sentinel.timer_fd < 0) {
        return 0;
    }
    skui_store_relaxed(&loop->blocked, true); /* relaxed: ST1 publishes it */
    /* ST1 release: who looks sees which loop is blocked. */
    skui_store_release(&runner->keeping.is_due, true);
    for (unsigned i = 0; i < runner->count; i++) {
        if (skui_park_try_wake(runner->loops[i])) {
            return 0;
        }
    }
    skui_relief_start(runner);
    skui_relief_call(runner);
    return 0;
}

int skua_blocking_end(void)
{
    skua_loop *loop = skui_loop_self();

    if (loop == NULL) {
        return SKUA_ENOLOOP;
    }
    skui_store_relaxed(&loop->blocked, false); /* relaxed: a hint */
    return 0;
}
