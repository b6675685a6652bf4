/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bell.h - one task or thread waits until others have rung.
 *
 *             ring  wait
 *   ring       -     -    (any thread)
 *   wait       -     x    (its owner)
 *
 * It lies in its owner's memory, who sees to it that nobody rings any more
 * before that goes: skui_future_revoke() does for hooks.
 */
#ifndef SKUI_WAIT_BELL_H
#define SKUI_WAIT_BELL_H

#include "../spinlock.h"
#include "../wait.h"

SKUI_BEGIN_DECLS

/* All-zero: silent. */
struct skui_bell {
    struct skui_spinlock lock;
    _Atomic(uint32_t) rung; /* BL1; a thread sleeps on it */
    skui_claim waiter;      /* guarded by lock; a task that waits, or 0 */
    bool thread;            /* guarded by lock; a thread waits */
};

/* Ring; once is enough. */
void skui_bell_ring(struct skui_bell *bell);

/* Be silent again. The owner, while it does not wait. */
void skui_bell_reset(struct skui_bell *bell);

/*
 * Wait until it has rung. 0; -ETIMEDOUT; SKUA_ECANCELED; -EDEADLK in a
 * callback. A deadline that is over suspends a task all the same, for about
 * one iteration.
 */
int skui_bell_wait(struct skui_bell *bell, int64_t deadline_ns);

SKUI_END_DECLS

#endif
