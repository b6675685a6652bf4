/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ready.h - the ready queue of one loop: two queues, one order.
 *
 * Pinned work lies in an unbounded list that only the owner touches; stealable
 * work in a ring that thieves take from the old end. Each entry has a ticket
 * and the owner runs the lower one. The owner claims stealable work in small
 * batches with one compare-and-swap.
 *
 *                 push  pop  spill  steal(victim)  hints
 *   push/pop/spill x     x    x      -              -     (owner only)
 *   steal(victim)  -     -    -      -              -     (any thread)
 */
#ifndef SKUI_READY_H
#define SKUI_READY_H

#include "runnable.h"

#ifndef SKUI_READY_RING_CAPACITY
#define SKUI_READY_RING_CAPACITY 256
#endif
/* What leaves a full ring at once, and what a thief takes at most. */
#define SKUI_READY_SPILL_CAPACITY (SKUI_READY_RING_CAPACITY / 2)
#ifndef SKUI_READY_BATCH_CAPACITY
#define SKUI_READY_BATCH_CAPACITY 8
#endif

SKUI_BEGIN_DECLS

/* What the owner has claimed: plain memory, the owner's alone. */
struct skui_ready_batch {
    uint32_t position;
    uint32_t count;
    struct skui_runnable *entries[SKUI_READY_BATCH_CAPACITY];
};

struct skui_ready {
    /* The owner's. */
    struct skui_runnable *pinned_head;
    struct skui_runnable *pinned_tail;
    uint64_t next_ticket;
    struct skui_ready_batch batch;

    /* Shared, written by thieves. RQ2: the next to be claimed. */
    __attribute__((aligned(SKUI_CACHE_LINE))) _Atomic(uint32_t) head;
    /* Shared, written by the owner. RQ1: the next free slot. */
    __attribute__((aligned(SKUI_CACHE_LINE))) _Atomic(uint32_t) tail;
    _Atomic(struct skui_runnable *) ring[SKUI_READY_RING_CAPACITY];
};

void skui_ready_init(struct skui_ready *queue);

/* Owner: queue work that only this loop may run. */
static inline void skui_ready_push_pinned(struct skui_ready *queue,
                                          struct skui_runnable *runnable)
{
    runnable->ticket = queue->next_ticket++;
    skui_store_relaxed(&runnable->next, NULL); /* relaxed: owner only */
    if (queue->pinned_tail == NULL) {
        queue->pinned_head = runnable;
    } else {
        /* relaxed: owner only */
        skui_store_relaxed(&queue->pinned_tail->next, runnable);
    }
    queue->pinned_tail = runnable;
}

/* Owner: queue work that any loop may run; false when the ring is full. */
bool skui_ready_push_stealable(struct skui_ready *queue,
                               struct skui_runnable *runnable);

/* Owner: whether all that lies here is pinned: with one loop it always is. */
static inline bool skui_ready_is_all_pinned(struct skui_ready *queue)
{
    /* relaxed: owner's tail; a stale head only sends to the long way */
    return queue->batch.position == queue->batch.count &&
           skui_load_relaxed(&queue->tail) == skui_load_relaxed(&queue->head);
}

/* Owner: the oldest pinned entry, if its ticket is below `before_ticket`. */
static inline struct skui_runnable *
skui_ready_pop_pinned(struct skui_ready *queue, uint64_t before_ticket)
{
    struct skui_runnable *pinned = queue->pinned_head;

    if (pinned == NULL || pinned->ticket >= before_ticket) {
        return NULL;
    }
    queue->pinned_head = skui_load_relaxed(&pinned->next); /* relaxed: owner */
    if (queue->pinned_head == NULL) {
        queue->pinned_tail = NULL;
    } else {
        skui_prefetch_task(queue->pinned_head);
    }
    return pinned;
}

/* skui_ready_pop() when some of it may be stealable. */
struct skui_runnable *skui_ready_pop_either(struct skui_ready *queue,
                                            uint64_t before_ticket);

/*
 * Owner: the entry with the lowest ticket, if that is below `before_ticket`;
 * else NULL.
 */
static inline struct skui_runnable *skui_ready_pop(struct skui_ready *queue,
                                                   uint64_t before_ticket)
{
    return skui_ready_is_all_pinned(queue)
               ? skui_ready_pop_pinned(queue, before_ticket)
               : skui_ready_pop_either(queue, before_ticket);
}

/* Owner: the ticket that the next entry will get. */
static inline uint64_t skui_ready_next_ticket(const struct skui_ready *queue)
{
    return queue->next_ticket;
}

/* Owner: whether nothing stands before the only stealable entry. */
static inline bool skui_ready_has_one(struct skui_ready *queue)
{
    /* relaxed, both: a thief only makes it less */
    return queue->pinned_head == NULL &&
           queue->batch.position == queue->batch.count &&
           skui_load_relaxed(&queue->tail) - skui_load_relaxed(&queue->head) <=
               1;
}

/*
 * Owner: queue what any loop may run, oldest first, with one publication; there
 * is room for it.
 */
void skui_ready_push_all(struct skui_ready *queue,
                         struct skui_runnable *const *runnables, size_t count);

/* Owner: how much the ring takes. */
size_t skui_ready_room(struct skui_ready *queue);

/*
 * Owner: take half of the ring, the oldest, into `out`, which has room for
 * SKUI_READY_SPILL_CAPACITY; returns how many.
 */
size_t skui_ready_spill(struct skui_ready *queue, struct skui_runnable **out);

/*
 * The owner of `thief`: move half of the victim's ring (rounded up), or as much
 * as fits, to the thief's; returns how many.
 */
size_t skui_ready_steal(struct skui_ready *victim, struct skui_ready *thief);

/* Any thread: how much a thief would see; exact only for the owner. */
size_t skui_ready_stealable_count(struct skui_ready *queue);

/* Owner. */
static inline bool skui_ready_is_empty(struct skui_ready *queue)
{
    return queue->pinned_head == NULL &&
           queue->batch.position == queue->batch.count &&
           skui_ready_stealable_count(queue) == 0;
}

/* Any thread: changes whenever the oldest entry of the ring does. */
uint32_t skui_ready_head_position(struct skui_ready *queue);

SKUI_END_DECLS

#endif
