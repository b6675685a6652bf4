/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.c - a lock is one permit, or lets newcomers barge in.
 * Threads     Any.
 * Invariants  Nobody owns it, as in asyncio: what is taken and not given to a
 *             waiter that is yet to go on may be released by anyone.
 *             Of both kinds the word is 0 when it is free and 1 when it is
 *             taken and nobody waits.
 */
#include <errno.h>

#include "../wait.h"
#include "barging.h"
#include "permits.h"
#include "skua/sync.h"

struct lock {
    union {
        struct skui_permits permits;
        struct skui_barging barging;
    };
    bool is_barging; /* constant */
};

_Static_assert(sizeof(struct lock) <= sizeof(skua_lock),
               "the public storage fits");

static struct lock *lock_of(const skua_lock *lock)
{
    return (struct lock *)(void *)((skua_lock *)lock)->opaque;
}

int skua_lock_init(skua_lock *lock, skua_lock_policy policy)
{
    if (lock == NULL ||
        (policy != SKUA_LOCK_FAIR && policy != SKUA_LOCK_BARGING)) {
        return -EINVAL;
    }
    *lock_of(lock) = (struct lock){.is_barging = policy == SKUA_LOCK_BARGING};
    return 0;
}

int skua_lock_acquire(skua_lock *lock)
{
    return skua_lock_acquire_until(lock, SKUA_FOREVER);
}

/* The two words of a lock that nobody waits for, without a look before: that
 * would cost 3 ns. */
static bool lock_try(struct lock *lock)
{
    uint64_t word = 0;

    /* PM1, LK1 acquire: as skui_permits_try_take(). */
    return skui_cas_acquire(&lock->permits.word, &word, (uint64_t)1);
}

static bool lock_try_release(struct lock *lock)
{
    uint64_t word = 1;

    /* PM1, LK1 release: as skui_permits_release(). */
    return skui_cas_release(&lock->permits.word, &word, (uint64_t)0);
}

int skua_lock_acquire_until(skua_lock *lock, int64_t deadline_ns)
{
    struct lock *self;
    int status;

    if (lock == NULL || deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    self = lock_of(lock);
    status = skui_task_spend_budget();
    if (status < 0 || SKUI_LIKELY(lock_try(self))) {
        return status;
    }
    return self->is_barging ? skui_barging_wait(&self->barging, deadline_ns)
                            : skui_permits_wait(&self->permits, deadline_ns);
}

int skua_lock_acquire_nowait(skua_lock *lock)
{
    struct lock *self;

    if (lock == NULL) {
        return -EINVAL;
    }
    self = lock_of(lock);
    return (self->is_barging ? skui_barging_try_take(&self->barging)
                             : skui_permits_try_take(&self->permits))
               ? 0
               : -EAGAIN;
}

int skua_lock_release(skua_lock *lock)
{
    static const struct skui_permits_limit limit = {.lowest = 0, .held = true};
    struct lock *self;

    if (lock == NULL) {
        return -EINVAL;
    }
    self = lock_of(lock);
    if (SKUI_LIKELY(lock_try_release(self))) {
        return 0;
    }
    return self->is_barging ? skui_barging_release(&self->barging)
                            : skui_permits_release(&self->permits, limit);
}

bool skua_lock_locked(const skua_lock *lock)
{
    const struct lock *self;
    uint64_t word;

    if (lock == NULL) {
        return false;
    }
    self = lock_of(lock);
    if (self->is_barging) {
        return skui_barging_is_held(&self->barging);
    }
    word = skui_permits_load(&self->permits);
    return skui_permits_taken(word) > (int64_t)skui_permits_given(word);
}
