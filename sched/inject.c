/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject.c - a first-in first-out list under a spinlock.
 * Threads     Any.
 * Ordering    SL1 for the list; PK4 for the count that idle loops look at.
 * Rejected    A lock-free list: entries come in chains of 128 from a full ring
 *             and leave in chains, so the lock is taken rarely and briefly.
 */
#include "inject.h"

void skui_inject_push(struct skui_inject *queue, struct skui_runnable *first,
                      struct skui_runnable *last, size_t count)
{
    size_t before;

    skui_store_relaxed(&last->next, NULL); /* relaxed: under lock */
    skui_spinlock_lock(&queue->lock);
    if (queue->last == NULL) {
        queue->first = first;
    } else {
        skui_store_relaxed(&queue->last->next, first); /* relaxed: locked */
    }
    queue->last = last;
    before = skui_load_relaxed(&queue->count); /* relaxed: under lock */
    /* PK4 (seq_cst): ordered before the pusher's look for idle loops. */
    skui_store_seq_cst(&queue->count, before + count);
    skui_spinlock_unlock(&queue->lock);
}

size_t skui_inject_pop(struct skui_inject *queue, size_t most,
                       struct skui_runnable **out_first)
{
    struct skui_runnable *last = NULL;
    struct skui_runnable *next;
    size_t taken = 0;

    if (skui_load_relaxed(&queue->count) == 0) { /* relaxed: a hint */
        return 0;
    }
    skui_spinlock_lock(&queue->lock);
    *out_first = queue->first;
    for (next = queue->first; next != NULL && taken < most; taken++) {
        last = next;
        next = skui_load_relaxed(&next->next); /* relaxed: under lock */
    }
    if (taken > 0) {
        queue->first = next;
        if (next == NULL) {
            queue->last = NULL;
        }
        skui_store_relaxed(&last->next, NULL); /* relaxed: under lock */
        /* relaxed: only growth must be seen in order */
        skui_store_relaxed(&queue->count,
                           skui_load_relaxed(&queue->count) - taken);
    }
    skui_spinlock_unlock(&queue->lock);
    return taken;
}

size_t skui_inject_count(struct skui_inject *queue)
{
    /* PK4 (seq_cst): a loop about to park sees what was pushed before the
     * pusher looked for idle loops. */
    return skui_load_seq_cst(&queue->count);
}
