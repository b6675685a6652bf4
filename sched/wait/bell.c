/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bell.c - one task or thread waits until others have rung.
 * Threads     Any ring; the owner waits.
 * Ordering    SL1 for all fields; BL1: a thread looks at `rung` without it.
 * Progress    ring: a few instructions under the lock, and one wake a wait.
 */
#include "bell.h"

#include <errno.h>

#include "../futex.h"
#include "../task.h"

void skui_bell_ring(struct skui_bell *bell)
{
    skui_claim waiter;
    bool thread;

    skui_spinlock_lock(&bell->lock);
    waiter = bell->waiter;
    thread = bell->thread;
    bell->waiter = 0;
    bell->thread = false;
    /* BL1 release: what the ringer did is visible to a thread that looks. */
    skui_store_release(&bell->rung, 1u);
    skui_spinlock_unlock(&bell->lock);
    if (waiter != 0) {
        (void)skui_wake(waiter, 0);
    } else if (thread) {
        skui_futex_wake(&bell->rung, 1);
    }
}

void skui_bell_reset(struct skui_bell *bell)
{
    skui_spinlock_lock(&bell->lock);
    skui_store_relaxed(&bell->rung, 0u); /* relaxed: under the lock */
    skui_spinlock_unlock(&bell->lock);
}

/* Note who waits; false when it has rung. */
static bool bell_attend(struct skui_bell *bell, skui_claim claim, bool thread)
{
    bool silent;

    skui_spinlock_lock(&bell->lock);
    silent = skui_load_relaxed(&bell->rung) == 0; /* relaxed: under the lock */
    bell->waiter = silent ? claim : 0;
    bell->thread = silent && thread;
    skui_spinlock_unlock(&bell->lock);
    return silent;
}

static void bell_publish(skui_claim claim, void *arg)
{
    if (!bell_attend(arg, claim, false)) {
        (void)skui_wake(claim, 0);
    }
}

static int bell_wait_thread(struct skui_bell *bell, int64_t deadline_ns)
{
    if (!bell_attend(bell, 0, true)) {
        return 0;
    }
    /* BL1 acquire: pairs with skui_bell_ring(). */
    while (skui_load_acquire(&bell->rung) == 0) {
        if (!skui_futex_wait(&bell->rung, 0, deadline_ns)) {
            return bell_attend(bell, 0, false) ? -ETIMEDOUT : 0;
        }
    }
    return 0;
}

int skui_bell_wait(struct skui_bell *bell, int64_t deadline_ns)
{
    const skua_loop *loop = skui_loop_self();
    int status;

    if (loop == NULL) {
        return bell_wait_thread(bell, deadline_ns);
    }
    if (skui_task_self() == NULL) {
        return -EDEADLK; /* a callback: it would block its own loop */
    }
    status = skui_task_wait(bell_publish, bell, deadline_ns);
    if (status < 0) {
        (void)bell_attend(bell, 0, false);
    }
    return status;
}
