/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stuck.c - loops whose thread is held up in user code, and who does their work
 * meanwhile.
 * Threads     The looker, in its own thread; the loops that it looks at run.
 * Invariants  As stuck.h says. A loop is a charge of the keeper or of nobody.
 * Ordering    ST1 that a look is due; else as each part says: RQ2, RQ3, RD1,
 *             SL1. What a looker reads of a loop's progress is a hint.
 * Progress    A look: O(loops), a few system calls for each stuck one.
 * Rejected    Nesting all epoll instances all the time: an event of any loop
 *             would wake another one as well, and two that nest each other are
 *             refused (ELOOP). One epoll instance for all: each event is a
 *             race of all loops (state-of-the-art, A5: p99 1.9 ms against 0.1
 *             of the loops that are not stuck).
 */
#include "stuck.h"

#include "runner.h"

enum { CALM_LOOKS = 16 }; /* of a loop that moves, before it is let go */

static uint64_t loop_progress(skua_loop *loop)
{
    /* relaxed, all: counters, compared only */
    return skui_load_relaxed(&loop->counters.iterations) +
           skui_load_relaxed(&loop->counters.tasks_run) +
           skui_load_relaxed(&loop->counters.callbacks_run);
}

/* Under the lock. */
static bool stuck_is(skua_loop *loop)
{
    /* relaxed, both: hints */
    uint32_t state = skui_load_relaxed(&loop->park_state);
    uint64_t progress = loop_progress(loop);
    bool is_stuck;

    if (state != SKUI_PARK_AWAKE && state != SKUI_PARK_SEARCHING) {
        return false;
    }
    /* relaxed: as above */
    is_stuck =
        skui_load_relaxed(&loop->blocked) || progress == loop->charge.progress;
    loop->charge.progress = progress;
    return is_stuck;
}

static void charge_let_go(skua_runner *runner, skua_loop *loop)
{
    skua_loop *keeper = runner->keeping.keeper;

    if (loop->charge.is_kept) {
        keeper->poller_ops->disown(keeper->poller, loop->poller);
        loop->charge.is_kept = false;
    }
}

/* Where this fails a loop is served at each look, and not between. Again for
 * one that is kept: the keeper may have found it asleep and let it go. */
static void charge_keep(skua_runner *runner, skua_loop *loop)
{
    skua_loop *keeper = runner->keeping.keeper;

    loop->charge.calm = 0;
    if (skui_runner_has(runner, SKUA_NESTING)) {
        loop->charge.is_kept =
            keeper->poller_ops->adopt(keeper->poller, loop->poller) == 0;
    }
}

/* `loop` keeps all charges but itself from now on. */
static void keeping_pass_to(skua_runner *runner, skua_loop *loop)
{
    if (runner->keeping.keeper == loop) {
        return;
    }
    for (unsigned i = 0; i < runner->total; i++) {
        struct skui_charge *charge = &runner->loops[i]->charge;

        charge->passes = charge->is_kept && runner->loops[i] != loop;
        charge_let_go(runner, runner->loops[i]);
    }
    runner->keeping.keeper = loop;
    for (unsigned i = 0; i < runner->total; i++) {
        if (runner->loops[i]->charge.passes) {
            charge_keep(runner, runner->loops[i]);
        }
    }
}

/* Take what a stuck loop has for others, and deliver what came for it. */
static void stuck_serve(skua_loop *self, skua_loop *stuck)
{
    skua_runner *runner = self->runner;
    size_t revoked = 0;
    size_t fired = 0;
    size_t taken;
    int delivered;

    if (skui_runner_has(runner, SKUA_REVOCATION)) {
        revoked = skui_ready_revoke(&stuck->ready, &self->ready);
    }
    do {
        taken = skui_ready_steal(&stuck->ready, &self->ready);
        skui_count(&self->counters.stolen, taken);
    } while (taken > 0);
    delivered = stuck->poller_ops->poll_for(stuck->poller);
    if (skui_timers_any(&stuck->timers)) {
        fired = skui_loop_fire_timers_for(stuck);
    }
    skui_count(&self->counters.stuck, 1);
    skui_count(&self->counters.revoked, revoked);
    skui_count(&self->counters.timers_for, fired);
    skui_count(&self->counters.delivered_for,
               delivered > 0 ? (uint64_t)delivered : 0);
}

unsigned skui_stuck_look(skua_loop *self)
{
    skua_runner *runner = self->runner;
    struct skui_keeping *keeping = &runner->keeping;
    unsigned found = 0;

    if (!skui_spinlock_try_lock(&keeping->lock)) {
        return 0;
    }
    /* ST1 acquire: who made it due has said which loop is blocked. */
    (void)skui_exchange_acquire(&keeping->is_due, false);
    keeping_pass_to(runner, self);
    for (unsigned i = 0; i < runner->total; i++) {
        skua_loop *loop = runner->loops[i];

        if (loop == self) {
            continue;
        }
        if (stuck_is(loop)) {
            found++;
            charge_keep(runner, loop);
            stuck_serve(self, loop);
        } else if (loop->charge.is_kept && ++loop->charge.calm >= CALM_LOOKS) {
            charge_let_go(runner, loop);
        }
    }
    skui_spinlock_unlock(&keeping->lock);
    return found;
}
