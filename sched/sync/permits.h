/* SPDX-License-Identifier: Apache-2.0 */
/*
 * permits.h - what locks and semaphores are: a number of permits, and who waits
 * for one.
 *
 * The word counts, so that all-zero is a free lock:
 *
 *   TAKEN   bits 0 to 31, signed: permits that are taken, those included that
 *           were given to a waiter. 1 + `extra` less that many are left.
 *   QUEUED  there may be waiters in the list
 *   GIVEN   bits 33 on: waiters that were given a permit and have not gone on
 *
 * While QUEUED is not set the list is empty, and each change is one
 * compare-and-swap; while it is set only who holds the list's lock changes the
 * word. Who is newly come takes one only if nobody is QUEUED or GIVEN, and else
 * goes to the end of the list: so a newcomer never overtakes.
 *
 *   give, with waiters   TAKEN stays, GIVEN + 1; the first one is woken
 *   it goes on           GIVEN - 1
 *   it was cancelled     GIVEN - 1, TAKEN - 1, then as give
 *
 * Giving back is the last touch of who does it: what it lets go on may free the
 * permits at once. So it never does so under the lock while others could go on
 * without that.
 */
#ifndef SKUI_SYNC_PERMITS_H
#define SKUI_SYNC_PERMITS_H

#include "../waitq.h"

SKUI_BEGIN_DECLS

/* All-zero: one permit, nothing taken. */
struct skui_permits {
    _Atomic(uint64_t) word;    /* PM1 */
    struct skui_spinlock lock; /* of the list */
    int32_t extra;             /* constant: permits at the start, less 1 */
    struct skui_waitq waiters;
};

#define SKUI_PERMITS_TAKEN UINT64_C(0xffffffff)
#define SKUI_PERMITS_QUEUED (UINT64_C(1) << 32)
#define SKUI_PERMITS_GIVEN (UINT64_C(1) << 33)

static inline int32_t skui_permits_taken(uint64_t word)
{
    return (int32_t)(uint32_t)word;
}

static inline uint64_t skui_permits_given(uint64_t word)
{
    return word / SKUI_PERMITS_GIVEN;
}

static inline uint64_t skui_permits_load(const struct skui_permits *permits)
{
    /* relaxed: a look that promises nothing */
    return skui_load_relaxed(&((struct skui_permits *)permits)->word);
}

/* `word` with TAKEN changed by `change`. */
static inline uint64_t skui_permits_add(uint64_t word, int change)
{
    return (word & ~SKUI_PERMITS_TAKEN) |
           (uint32_t)((uint32_t)word + (uint32_t)change);
}

/* How many are left of a word. */
static inline int64_t skui_permits_left(const struct skui_permits *permits,
                                        uint64_t word)
{
    return (int64_t)1 + permits->extra - skui_permits_taken(word);
}

/* Take one if nobody waits. */
static inline bool skui_permits_try_take(struct skui_permits *permits)
{
    uint64_t word = skui_permits_load(permits);

    while (word <= SKUI_PERMITS_TAKEN && skui_permits_left(permits, word) > 0) {
        /* PM1 acquire: pairs with skui_permits_release(). */
        if (skui_cas_acquire(&permits->word, &word,
                             skui_permits_add(word, 1))) {
            return true;
        }
    }
    return false;
}

/* Take one, if need be after waiting for it: 0, SKUA_ECANCELED, -ETIMEDOUT,
 * -EDEADLK. */
int skui_permits_wait(struct skui_permits *permits, int64_t deadline_ns);

/* What may be given back. */
struct skui_permits_limit {
    int32_t lowest; /* TAKEN must be above that ... */
    bool held;      /* ... not counting what was GIVEN */
};

/* Give one back: 0, or -EPERM beyond the limit. */
int skui_permits_release(struct skui_permits *permits,
                         struct skui_permits_limit limit);

SKUI_END_DECLS

#endif
