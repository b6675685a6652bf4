/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.c - a lock is one permit.
 * Threads     Any.
 * Invariants  Nobody owns it, as in asyncio: what is taken and not given to a
 *             waiter that is yet to go on may be released by anyone.
 */
#include <errno.h>

#include "../wait.h"
#include "permits.h"
#include "skua/sync.h"

_Static_assert(sizeof(struct skui_permits) <= sizeof(skua_lock),
               "the public storage fits");

static struct skui_permits *lock_permits(const skua_lock *lock)
{
    return (struct skui_permits *)(void *)((skua_lock *)lock)->opaque;
}

int skua_lock_acquire(skua_lock *lock)
{
    return skua_lock_acquire_until(lock, SKUA_FOREVER);
}

/* The two words of a lock that nobody waits for, without a look before: that
 * would cost 3 ns. */
static bool lock_try(struct skui_permits *permits)
{
    uint64_t word = 0;

    /* PM1 acquire: as skui_permits_try_take(). */
    return skui_cas_acquire(&permits->word, &word, (uint64_t)1);
}

static bool lock_try_release(struct skui_permits *permits)
{
    uint64_t word = 1;

    /* PM1 release: as skui_permits_release(). */
    return skui_cas_release(&permits->word, &word, (uint64_t)0);
}

int skua_lock_acquire_until(skua_lock *lock, int64_t deadline_ns)
{
    int status;

    if (lock == NULL || deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    status = skui_task_spend_budget();
    if (status < 0 || SKUI_LIKELY(lock_try(lock_permits(lock)))) {
        return status;
    }
    return skui_permits_wait(lock_permits(lock), deadline_ns);
}

int skua_lock_acquire_nowait(skua_lock *lock)
{
    if (lock == NULL) {
        return -EINVAL;
    }
    return skui_permits_try_take(lock_permits(lock)) ? 0 : -EAGAIN;
}

int skua_lock_release(skua_lock *lock)
{
    static const struct skui_permits_limit limit = {.lowest = 0, .held = true};

    if (lock == NULL) {
        return -EINVAL;
    }
    return SKUI_LIKELY(lock_try_release(lock_permits(lock)))
               ? 0
               : skui_permits_release(lock_permits(lock), limit);
}

bool skua_lock_locked(const skua_lock *lock)
{
    uint64_t word;

    if (lock == NULL) {
        return false;
    }
    word = skui_permits_load(lock_permits(lock));
    return skui_permits_taken(word) > (int64_t)skui_permits_given(word);
}
