/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barging.c - a lock that newcomers may take before those that wait for it.
 * Threads     Any.
 * Invariants  As barging.h says.
 * Ordering    LK1 the word, SL1 the list.
 * Progress    Without waiters: lock-free. A waiter is overtaken by all who come
 *             while it is woken, OWED_AFTER times.
 * Rejected    A limit in time, as Go's of 1 ms: it needs a clock, and a task
 *             that waits behind long steps would always be beyond it.
 */
#include "barging.h"

#include <errno.h>

enum {
    OWED_AFTER = 8,
    BARGING_GIVEN = 1, /* in a node: it has the lock; else it may try again */
};

bool skui_barging_try_take(struct skui_barging *lock)
{
    /* relaxed: a look that promises nothing */
    uint64_t word = skui_load_relaxed(&lock->word);

    while ((word & SKUI_BARGING_HELD) == 0) {
        /* LK1 acquire: pairs with skui_barging_release(). */
        if (skui_cas_acquire(&lock->word, &word, word | SKUI_BARGING_HELD)) {
            return true;
        }
    }
    return false;
}

bool skui_barging_is_held(const struct skui_barging *lock)
{
    /* relaxed: a look that promises nothing */
    return (skui_load_relaxed(&((struct skui_barging *)lock)->word) &
            SKUI_BARGING_HELD) != 0;
}

/* Under the list's lock: take it, or announce a waiter and return false. It was
 * woken `wakes` times; if at all, WOKEN is for it. */
static bool barging_take_or_announce(struct skui_barging *lock, unsigned wakes)
{
    uint64_t mine = wakes > 0 ? SKUI_BARGING_WOKEN : 0;
    uint64_t waits = wakes < OWED_AFTER
                         ? SKUI_BARGING_QUEUED
                         : SKUI_BARGING_QUEUED | SKUI_BARGING_OWED;
    /* relaxed: the exchange decides */
    uint64_t word = skui_load_relaxed(&lock->word);
    uint64_t next;

    do {
        next = (word & ~mine) |
               ((word & SKUI_BARGING_HELD) == 0 ? SKUI_BARGING_HELD : waits);
        /* LK1 acquire: as skui_barging_try_take(). */
    } while (!skui_cas_acquire(&lock->word, &word, next));
    return (word & SKUI_BARGING_HELD) == 0;
}

/* Under the list's lock: change flags of the word, and clear QUEUED and OWED if
 * nobody waits. */
static void barging_flag(struct skui_barging *lock, uint64_t clear,
                         uint64_t set)
{
    /* relaxed: the exchange decides; such flags are looked at under the list's
     * lock, and what a release has published stays published */
    uint64_t word = skui_load_relaxed(&lock->word);

    if (lock->waiters.last == NULL) {
        clear |= SKUI_BARGING_QUEUED | SKUI_BARGING_OWED;
    }
    /* relaxed: see above */
    while (!skui_cas_relaxed(&lock->word, &word, (word & ~clear) | set)) {
        skui_cpu_relax();
    }
}

/* Who has it will wake the next waiter: WOKEN is cleared. False when nobody has
 * it. */
static bool barging_leave_to_holder(struct skui_barging *lock)
{
    uint64_t word = skui_load_relaxed(&lock->word); /* relaxed: as above */

    while ((word & SKUI_BARGING_HELD) != 0) {
        if (skui_cas_relaxed(&lock->word, &word, word & ~SKUI_BARGING_WOKEN)) {
            return true;
        }
    }
    return false;
}

/* A waiter that was woken to try does not: the next one may. */
static void barging_pass_on(struct skui_barging *lock)
{
    struct skui_waitq_chain chain = {NULL, NULL};

    skui_spinlock_lock(&lock->lock);
    if (!barging_leave_to_holder(lock)) {
        bool none = skui_waitq_take_first(&lock->waiters, &chain) == NULL;

        barging_flag(lock, none ? SKUI_BARGING_WOKEN : 0, 0);
    }
    skui_spinlock_unlock(&lock->lock);
    skui_waitq_grant(&chain);
}

static void barging_hand_on(struct skui_waitq_node *node, bool goes_on)
{
    struct skui_barging *lock =
        SKUI_CONTAINER_OF(node->lock, struct skui_barging, lock);

    (void)goes_on;
    if (node->value == BARGING_GIVEN) {
        (void)skui_barging_release(lock);
    } else {
        barging_pass_on(lock);
    }
}

/* Wait until woken, in front if woken before; lets go of the list's lock. */
static int barging_wait(struct skui_barging *lock, struct skui_waitq_node *node,
                        unsigned wakes)
{
    int status;

    node->hand_on = barging_hand_on;
    node->in_front = wakes > 0;
    status = skui_waitq_wait(&lock->waiters, node);
    if (status < 0 && wakes >= OWED_AFTER) {
        skui_spinlock_lock(&lock->lock);
        barging_flag(lock, SKUI_BARGING_OWED, 0);
        skui_spinlock_unlock(&lock->lock);
    }
    return status;
}

int skui_barging_wait(struct skui_barging *lock, int64_t deadline_ns)
{
    struct skui_waitq_spins spin = {0};
    struct skui_waitq_node node;
    unsigned wakes = 0;
    int status;

    do {
        skui_spinlock_lock(&lock->lock);
        while (skui_barging_is_held(lock) &&
               skui_waitq_spin(&spin, &lock->lock)) {
            /* until it is released */
        }
        skui_waitq_begin(&node, &lock->lock, deadline_ns);
        if (barging_take_or_announce(lock, wakes)) {
            skui_waitq_leave(&node);
            return 0;
        }
        status = barging_wait(lock, &node, wakes++);
    } while (status == SKUI_WAITQ_GRANTED && node.value != BARGING_GIVEN);
    return status;
}

/*
 * Under the list's lock, of a lock that is held: choose who is woken next. True
 * when the lock is that one's now.
 */
static bool barging_choose(struct skui_barging *lock,
                           struct skui_waitq_chain *chain)
{
    /* relaxed: OWED changes under the list's lock only */
    bool owed = (skui_load_relaxed(&lock->word) & SKUI_BARGING_OWED) != 0;
    struct skui_waitq_node *node = skui_waitq_take_first(&lock->waiters, chain);

    if (node != NULL && owed) {
        node->value = BARGING_GIVEN;
    }
    barging_flag(lock, SKUI_BARGING_OWED,
                 node != NULL && !owed ? SKUI_BARGING_WOKEN : 0);
    return node != NULL && owed;
}

/* There are waiters to be woken. */
static bool barging_wants_choice(uint64_t word)
{
    return (word & SKUI_BARGING_QUEUED) != 0 &&
           (word & SKUI_BARGING_WOKEN) == 0;
}

int skui_barging_release(struct skui_barging *lock)
{
    struct skui_waitq_chain chain = {NULL, NULL};
    /* relaxed: the exchange decides */
    uint64_t word = skui_load_relaxed(&lock->word);
    int status = 0;

    do {
        if ((word & SKUI_BARGING_HELD) == 0) {
            status = -EPERM;
            break;
        }
        if (barging_wants_choice(word) && chain.first == NULL) {
            bool given;

            skui_spinlock_lock(&lock->lock);
            given = barging_choose(lock, &chain);
            skui_spinlock_unlock(&lock->lock);
            if (given) {
                break;
            }
            word = skui_load_relaxed(&lock->word); /* relaxed: as above */
        }
        /* LK1 release: what came before is visible to who takes it. */
    } while (!skui_cas_release(&lock->word, &word, word & ~SKUI_BARGING_HELD));
    skui_waitq_grant(&chain);
    return status;
}
