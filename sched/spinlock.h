/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spinlock.h - a lock for critical sections of a few dozen instructions.
 *
 * All-zero is unlocked. A waiter spins a while, then yields its core, so that
 * a preempted holder is not waited for by burning its time slice. Leaf lock:
 * nothing is called that takes another lock or runs a user's code, but for what
 * is said where it is: a timer's wheel is locked before a queue of waiters, and
 * a priority queue compares under its lock.
 */
#ifndef SKUI_SPINLOCK_H
#define SKUI_SPINLOCK_H

#include <sched.h>

#include "atomic.h"

struct skui_spinlock {
    _Atomic(uint32_t) held;
};

static inline bool skui_spinlock_try_lock(struct skui_spinlock *lock)
{
    /* SL1 acquire: pairs with skui_spinlock_unlock(). A look before would cost
     * who finds it free 3 ns. */
    return skui_exchange_acquire(&lock->held, 1u) == 0;
}

/* Once more round a loop that waits for a few instructions of another thread,
 * which may have lost its core. */
static inline void skui_spin_pause(unsigned *spins)
{
    if (++*spins % 64 == 0) {
        (void)sched_yield();
    } else {
        skui_cpu_relax();
    }
}

static inline void skui_spinlock_lock(struct skui_spinlock *lock)
{
    unsigned spins = 0;

    while (SKUI_UNLIKELY(!skui_spinlock_try_lock(lock))) {
        do {
            skui_spin_pause(&spins);
            /* relaxed: a hint */
        } while (skui_load_relaxed(&lock->held) != 0);
    }
}

static inline void skui_spinlock_unlock(struct skui_spinlock *lock)
{
    /* SL1 release: what the section wrote is visible to the next holder. */
    skui_store_release(&lock->held, 0u);
}

#endif
