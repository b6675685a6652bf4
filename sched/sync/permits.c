/* SPDX-License-Identifier: Apache-2.0 */
/*
 * permits.c - what locks and semaphores are: permits, and who waits for one.
 * Threads     Any.
 * Invariants  As permits.h says. QUEUED is set while the list is not empty, and
 *             may stay a moment longer. With nobody GIVEN and permits left,
 *             nobody is in the list.
 * Ordering    PM1 the word, SL1 the list.
 * Progress    Without waiters: lock-free. Else as the list's lock.
 * Rejected    Waking a waiter so that it tries anew: newcomers overtake, and
 *             who was overtaken must wait anew, in front or behind.
 */
#include "permits.h"

#include <errno.h>

/* Under the lock: take one, or announce a waiter and return false. */
static bool permits_take_or_announce(struct skui_permits *permits)
{
    uint64_t word = skui_permits_load(permits);
    bool free;
    uint64_t next;

    do {
        free = permits->waiters.last == NULL && skui_permits_given(word) == 0 &&
               skui_permits_left(permits, word) > 0;
        next = free ? skui_permits_add(word & ~SKUI_PERMITS_QUEUED, 1)
                    : word | SKUI_PERMITS_QUEUED;
        /* PM1 acquire: as skui_permits_try_take(). */
    } while (!skui_cas_acquire(&permits->word, &word, next));
    return free;
}

/*
 * Under the lock: give what is left to who waits, first come first; `*word` is
 * what they see then.
 */
static void permits_give_to_waiters(struct skui_permits *permits,
                                    uint64_t *word,
                                    struct skui_waitq_chain *chain)
{
    while (skui_permits_left(permits, *word) > 0 &&
           skui_waitq_take_first(&permits->waiters, chain) != NULL) {
        *word = skui_permits_add(*word, 1) + SKUI_PERMITS_GIVEN;
    }
    if (permits->waiters.last == NULL) {
        *word &= ~SKUI_PERMITS_QUEUED;
    }
}

/* Under the lock: keep all others from the word. */
static uint64_t permits_close(struct skui_permits *permits)
{
    uint64_t word = skui_permits_load(permits);

    /* PM1 acq_rel: what the others did is visible. */
    while (
        !skui_cas_acq_rel(&permits->word, &word, word | SKUI_PERMITS_QUEUED)) {
        skui_cpu_relax();
    }
    return word | SKUI_PERMITS_QUEUED;
}

static void permits_open(struct skui_permits *permits, uint64_t word)
{
    skui_store_release(&permits->word, word); /* PM1 release: as above */
}

/* A waiter keeps its permit and nobody waits behind it. */
static bool permits_try_resume(struct skui_permits *permits)
{
    uint64_t word = skui_permits_load(permits);

    while ((word & SKUI_PERMITS_QUEUED) == 0) {
        /* PM1 acquire: pairs with permits_open(). */
        if (skui_cas_acquire(&permits->word, &word,
                             word - SKUI_PERMITS_GIVEN)) {
            return true;
        }
    }
    return false;
}

/* A waiter is back: with a permit or without one, which it keeps or not. */
static void permits_resume(struct skui_permits *permits, bool given, bool kept)
{
    struct skui_waitq_chain chain = {NULL, NULL};
    uint64_t word;

    skui_spinlock_lock(&permits->lock);
    word = permits_close(permits);
    if (given) {
        word -= SKUI_PERMITS_GIVEN;
    }
    if (given && !kept) {
        word = skui_permits_add(word, -1);
    }
    permits_give_to_waiters(permits, &word, &chain);
    permits_open(permits, word);
    skui_spinlock_unlock(&permits->lock);
    skui_waitq_grant(&chain);
}

/* All are taken and nobody waits for one: who has it may be about to give it
 * back. */
static bool permits_seem_busy(const struct skui_permits *permits)
{
    uint64_t word = skui_permits_load(permits);

    return word <= SKUI_PERMITS_TAKEN && skui_permits_left(permits, word) <= 0;
}

static void permits_hand_on(struct skui_waitq_node *node, bool goes_on)
{
    (void)goes_on;
    permits_resume(SKUI_CONTAINER_OF(node->lock, struct skui_permits, lock),
                   true, false);
}

int skui_permits_wait(struct skui_permits *permits, int64_t deadline_ns)
{
    struct skui_waitq_spins spin = {0};
    struct skui_waitq_node node;
    int status;

    skui_spinlock_lock(&permits->lock);
    while (permits_seem_busy(permits) &&
           skui_waitq_spin(&spin, &permits->lock)) {
        /* until one is given back */
    }
    skui_waitq_begin(&node, &permits->lock, deadline_ns);
    if (permits_take_or_announce(permits)) {
        skui_waitq_leave(&node);
        return 0;
    }
    node.hand_on = permits_hand_on;
    status = skui_waitq_wait(&permits->waiters, &node);
    if (status < 0 || !permits_try_resume(permits)) {
        permits_resume(permits, status == SKUI_WAITQ_GRANTED, true);
    }
    return status;
}

static bool permits_may_release(uint64_t word, struct skui_permits_limit limit)
{
    int64_t given = limit.held ? (int64_t)skui_permits_given(word) : 0;

    return skui_permits_taken(word) - given > limit.lowest;
}

/* Give one back while QUEUED is set: to a waiter, if there is one. -EAGAIN when
 * there is none, and the flag is gone. */
static int permits_release_queued(struct skui_permits *permits,
                                  struct skui_permits_limit limit)
{
    struct skui_waitq_chain chain = {NULL, NULL};
    uint64_t word;
    int status = -EAGAIN;

    skui_spinlock_lock(&permits->lock);
    word = permits_close(permits);
    if (permits->waiters.last == NULL) {
        word &= ~SKUI_PERMITS_QUEUED;
    } else if (!permits_may_release(word, limit)) {
        status = -EPERM;
    } else {
        word = skui_permits_add(word, -1);
        permits_give_to_waiters(permits, &word, &chain);
        status = 0;
    }
    permits_open(permits, word);
    skui_spinlock_unlock(&permits->lock);
    skui_waitq_grant(&chain);
    return status;
}

int skui_permits_release(struct skui_permits *permits,
                         struct skui_permits_limit limit)
{
    uint64_t word;
    int status;

    do {
        word = skui_permits_load(permits);
        while ((word & SKUI_PERMITS_QUEUED) == 0) {
            if (!permits_may_release(word, limit)) {
                return -EPERM;
            }
            /* PM1 release: what came before is visible to who takes it. */
            if (skui_cas_release(&permits->word, &word,
                                 skui_permits_add(word, -1))) {
                return 0;
            }
        }
        status = permits_release_queued(permits, limit);
    } while (status == -EAGAIN);
    return status;
}
