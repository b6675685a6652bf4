/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stuck.h - loops whose thread is held up in user code, and who does their work
 * meanwhile.
 *
 * Nothing waits behind a long step but what is pinned to its loop. A loop that
 * the tick has woken looks at all others: one that runs and has done nothing
 * since the last look is stuck. The looker becomes the *keeper* of the runner:
 * stuck loops are its charges. It takes their stealable tasks, ring and batch,
 * fires their timers, delivers what their reactors have, and sleeps on those
 * reactors too, so that an event of a charge wakes it at once. A charge is let
 * go when it has moved for a while, not at its first step: between two long
 * ones it would be unattended until the next look.
 *
 *   not a charge   its own thread serves it
 *   charge         its own thread and the keeper serve it, both at once; all
 *                  that they share may be shared: epoll instance, readiness
 *                  words (RD1), wheel (SL1), ring (RQ2), batch (RQ3)
 *
 * There is one keeper at a time, and it is nobody's charge, so no epoll
 * instance is in a ring of such. Charges change under `lock`; whoever does not
 * get it at once leaves the look to who has it.
 */
#ifndef SKUI_STUCK_H
#define SKUI_STUCK_H

#include "skua/runner.h"
#include "spinlock.h"

SKUI_BEGIN_DECLS

/* Of a runner. All-zero: no keeper. */
struct skui_keeping {
    struct skui_spinlock lock;
    skua_loop *keeper; /* guarded by lock; NULL: nobody has looked yet */
    /* ST1: a loop was given away and waits for a look, whatever the tick. */
    _Atomic(bool) is_due;
};

/* Of a loop; guarded by the lock of its runner's keeping. */
struct skui_charge {
    uint64_t progress; /* at the last look */
    unsigned calm;     /* looks that found it moving, in a row */
    bool is_kept;
    bool passes; /* to the next keeper */
};

/* The loop itself, woken by the tick or when a look is due: look at the others
 * and do what stuck ones left. Returns how many are stuck. */
unsigned skui_stuck_look(skua_loop *loop);

SKUI_END_DECLS

#endif
