/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject.c - a first-in first-out list of blocks under a spinlock.
 * Threads     Any.
 * Invariants  Entries 0, 1, 2 ... of a block are linked as a tree: `next` of
 *             0 is 1; of i > 0, `next` is 2i and `ticket` is 2i + 1. `ticket`
 *             of 0 is entry 0 of the next block.
 * Ordering    SL1 for the list and the blocks; PK4 for the count that idle
 *             loops look at.
 * Rejected    A lock-free list: entries come in blocks from a full ring and
 *             leave in blocks, so the lock is taken rarely and briefly. A chain
 *             through `next`: who takes it misses the cache once for each
 *             entry, one after the other, since a task's line is still its
 *             creator's (80 of 230 ns to create and run one). Arrays of
 *             pointers: they need memory, which may be short.
 *
 * The tree costs no memory, and a walk by levels, which gives the entries in
 * their order, knows addresses far ahead of their use.
 */
#include "inject.h"

static struct skui_runnable *second_link(const struct skui_runnable *runnable)
{
    return (struct skui_runnable *)(uintptr_t)runnable->ticket;
}

static void set_links(struct skui_runnable *runnable,
                      struct skui_runnable *next, struct skui_runnable *second)
{
    /* relaxed: published by the lock */
    skui_store_relaxed(&runnable->next, next);
    runnable->ticket = (uintptr_t)second;
}

/* Make a block of entries whose first one's second link is set later. */
static void block_link(struct skui_runnable *const *entries, size_t count)
{
    set_links(entries[0], count > 1 ? entries[1] : NULL, NULL);
    for (size_t i = 1; i < count; i++) {
        set_links(entries[i], 2 * i < count ? entries[2 * i] : NULL,
                  2 * i + 1 < count ? entries[2 * i + 1] : NULL);
    }
}

/* Give the entries of a block, fetching those to come. */
static size_t block_unlink(struct skui_runnable *first,
                           struct skui_runnable **out)
{
    struct skui_runnable *links[2] = {NULL, NULL};
    size_t count = 1;

    out[0] = first;
    /* relaxed, all: the block is ours */
    links[0] = skui_load_relaxed(&first->next);
    for (size_t i = 1;; i++) {
        for (int k = 0; k < 2 && links[k] != NULL; k++) {
            __builtin_prefetch(links[k], 1);
            out[count++] = links[k];
        }
        if (i == count) {
            return count;
        }
        links[0] = skui_load_relaxed(&out[i]->next); /* relaxed: as above */
        links[1] = second_link(out[i]);
    }
}

/* Make `count` entries a list of blocks; returns the first of the last one. */
static struct skui_runnable *blocks_link(struct skui_runnable *const *entries,
                                         size_t count)
{
    struct skui_runnable *last = NULL;

    while (count > 0) {
        size_t part = count < SKUI_INJECT_BLOCK_CAPACITY
                          ? count
                          : SKUI_INJECT_BLOCK_CAPACITY;

        block_link(entries, part);
        if (last != NULL) {
            last->ticket = (uintptr_t)entries[0];
        }
        last = entries[0];
        entries += part;
        count -= part;
    }
    return last;
}

void skui_inject_push(struct skui_inject *queue,
                      struct skui_runnable *const *runnables, size_t count)
{
    struct skui_runnable *last = blocks_link(runnables, count);

    skui_spinlock_lock(&queue->lock);
    if (queue->last == NULL) {
        queue->first = runnables[0];
    } else {
        queue->last->ticket = (uintptr_t)runnables[0];
    }
    queue->last = last;
    /* PK4 (seq_cst): ordered before the pusher's look for idle loops. */
    (void)skui_fetch_add_seq_cst(&queue->count, count);
    skui_spinlock_unlock(&queue->lock);
}

/* Under the lock: unlink what one pop takes. A block is left as it is, its
 * first entry in out[0]; of those that came alone returns how many. */
static size_t inject_take(struct skui_inject *queue, struct skui_runnable **out)
{
    struct skui_runnable *first = queue->first;
    size_t count = 0;

    while (first != NULL && count < SKUI_INJECT_BLOCK_CAPACITY) {
        /* relaxed: under lock */
        bool alone = skui_load_relaxed(&first->next) == NULL;

        if (!alone && count > 0) {
            break;
        }
        out[count++] = first;
        first = second_link(first);
        if (!alone) {
            break;
        }
    }
    queue->first = first;
    if (first == NULL) {
        queue->last = NULL;
    }
    return count;
}

size_t skui_inject_pop(struct skui_inject *queue, struct skui_runnable **out)
{
    size_t count;

    if (skui_load_relaxed(&queue->count) == 0) { /* relaxed: a hint */
        return 0;
    }
    skui_spinlock_lock(&queue->lock);
    count = inject_take(queue, out);
    skui_spinlock_unlock(&queue->lock);
    if (count == 1) {
        count = block_unlink(out[0], out);
    }
    if (count > 0) {
        /* relaxed: only growth must be seen in order */
        (void)skui_fetch_sub_relaxed(&queue->count, count);
    }
    return count;
}

size_t skui_inject_count(struct skui_inject *queue)
{
    /* PK4 (seq_cst): a loop about to park sees what was pushed before the
     * pusher looked for idle loops. */
    return skui_load_seq_cst(&queue->count);
}
