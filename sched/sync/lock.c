/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.c - a lock is one permit.
 * Threads     Any.
 * Invariants  Nobody owns it, as in asyncio: what is taken and not given to a
 *             waiter that is yet to go on may be released by anyone.
 */
#include <errno.h>

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

int skua_lock_acquire_until(skua_lock *lock, int64_t deadline_ns)
{
    return lock == NULL ? -EINVAL
                        : skui_permits_acquire(lock_permits(lock), deadline_ns);
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

    return lock == NULL ? -EINVAL
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
