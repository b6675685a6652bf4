/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barrier.c - all parties wait for the last of them.
 * Threads     Any.
 * Invariants  Fewer than `parties` wait. The last one takes all of them out at
 *             once, so the next round begins before they have gone on, and who
 *             comes then belongs to it.
 * Ordering    SL1 for all of it.
 * Rejected    asyncio's states of draining and resetting: they keep newcomers
 *             out until the slowest has gone on.
 */
#include <errno.h>

#include "../wait.h"
#include "../waitq.h"
#include "skua/sync.h"

/* Guarded by the lock. */
struct barrier {
    struct skui_spinlock lock;
    int parties; /* constant; 0: not set up */
    struct skui_waitq waiters;
    bool broken;
};

_Static_assert(sizeof(struct barrier) <= sizeof(skua_barrier),
               "the public storage fits");

static struct barrier *barrier_of(const skua_barrier *barrier)
{
    return (struct barrier *)(void *)((skua_barrier *)barrier)->opaque;
}

int skua_barrier_init(skua_barrier *barrier, int parties)
{
    if (barrier == NULL || parties < 1) {
        return -EINVAL;
    }
    *barrier_of(barrier) = (struct barrier){.parties = parties};
    return 0;
}

int skua_barrier_wait(skua_barrier *barrier)
{
    return skua_barrier_wait_until(barrier, SKUA_FOREVER);
}

/* Under the lock: free those who wait; the caller is the last party. */
static void barrier_trip(struct barrier *barrier,
                         struct skui_waitq_chain *chain)
{
    struct skui_waitq_node *node;
    int index = 0;

    while ((node = skui_waitq_take_first(&barrier->waiters, chain)) != NULL) {
        node->value = index++;
    }
}

static int barrier_wait(struct barrier *barrier, int64_t deadline_ns)
{
    struct skui_waitq_chain chain = {NULL, NULL};
    struct skui_waitq_node node;
    int status;

    skui_spinlock_lock(&barrier->lock);
    skui_waitq_begin(&node, &barrier->lock, deadline_ns);
    if (barrier->broken) {
        skui_waitq_leave(&node);
        return SKUA_EBROKENBARRIER;
    }
    if (barrier->waiters.count + 1 == (uint32_t)barrier->parties) {
        status = barrier->parties - 1;
        barrier_trip(barrier, &chain);
        skui_waitq_leave(&node);
        skui_waitq_grant(&chain);
        return status;
    }
    status = skui_waitq_wait(&barrier->waiters, &node);
    return status == SKUI_WAITQ_GRANTED ? node.value : status;
}

int skua_barrier_wait_until(skua_barrier *barrier, int64_t deadline_ns)
{
    int status;

    if (barrier == NULL || barrier_of(barrier)->parties == 0 ||
        deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    status = skui_task_spend_budget();
    return status < 0 ? status : barrier_wait(barrier_of(barrier), deadline_ns);
}

static int barrier_fail_all(skua_barrier *barrier, bool broken)
{
    struct skui_waitq_chain chain = {NULL, NULL};
    struct barrier *self;

    if (barrier == NULL || barrier_of(barrier)->parties == 0) {
        return -EINVAL;
    }
    self = barrier_of(barrier);
    skui_spinlock_lock(&self->lock);
    self->broken = broken;
    skui_waitq_take_all(&self->waiters, &chain, SKUA_EBROKENBARRIER);
    skui_spinlock_unlock(&self->lock);
    skui_waitq_grant(&chain);
    return 0;
}

int skua_barrier_reset(skua_barrier *barrier)
{
    return barrier_fail_all(barrier, false);
}

int skua_barrier_abort(skua_barrier *barrier)
{
    return barrier_fail_all(barrier, true);
}

int skua_barrier_parties(const skua_barrier *barrier)
{
    return barrier == NULL ? 0 : barrier_of(barrier)->parties;
}

int skua_barrier_n_waiting(const skua_barrier *barrier)
{
    struct barrier *self;
    int waiting;

    if (barrier == NULL) {
        return 0;
    }
    self = barrier_of(barrier);
    skui_spinlock_lock(&self->lock);
    waiting = (int)self->waiters.count;
    skui_spinlock_unlock(&self->lock);
    return waiting;
}

bool skua_barrier_broken(const skua_barrier *barrier)
{
    struct barrier *self;
    bool broken;

    if (barrier == NULL) {
        return false;
    }
    self = barrier_of(barrier);
    skui_spinlock_lock(&self->lock);
    broken = self->broken;
    skui_spinlock_unlock(&self->lock);
    return broken;
}
