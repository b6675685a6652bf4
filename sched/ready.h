/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ready.h - the ready queue of one loop: two queues, one order.
 *
 * Pinned work lies in an unbounded list that only the owner touches; stealable
 * work in a ring that thieves take from the old end. Each entry has a ticket
 * and the owner runs the lower one. The owner claims stealable work in small
 * batches with one compare-and-swap, and runs them without another. A thief
 * takes back what is left of the batch of an owner that is stuck; see ready.c.
 *
 *                   push  pop  spill  steal(victim)  revoke(victim)  hints
 *   push/pop/spill   x     x    x      -              -               -
 *   steal(victim)    -     -    -      -              -               -
 *   revoke(victim)   -     -    -      -              x               -
 *
 * The first row is the owner's, the others any thread's.
 */
#ifndef SKUI_READY_H
#define SKUI_READY_H

#include "runnable.h"
#include "spinlock.h"

#ifndef SKUI_READY_RING_CAPACITY
#define SKUI_READY_RING_CAPACITY 256
#endif
/* What leaves a full ring at once, and what a thief takes at most. */
#define SKUI_READY_SPILL_CAPACITY (SKUI_READY_RING_CAPACITY / 2)
#ifndef SKUI_READY_BATCH_CAPACITY
#define SKUI_READY_BATCH_CAPACITY 8
#endif

SKUI_BEGIN_DECLS

/* What orders the owner's pop and a thief's revocation. */
enum skui_ready_barrier {
    SKUI_READY_EXPEDITED, /* the thief alone, by skui_membarrier() */
    SKUI_READY_FENCED,    /* both, each for itself: where that is refused */
};

/*
 * What the owner has claimed. Its states, each but the first with entries in
 * [position, end) of `span`:
 *
 *   empty    span is 0                   the owner may fill it
 *   claimed  not taken                   the entries are the owner's
 *   taken    taken, under the lock       those below `kept` are the owner's,
 *                                        the others the thief's
 *
 * The owner alone changes `span`, and makes a taken batch an empty one.
 */
struct skui_ready_batch {
    _Atomic(uint32_t) span;    /* RQ3; position | end << 16, or 0: empty */
    _Atomic(uint32_t) revoked; /* RQ3; written under the lock */
    struct skui_spinlock lock; /* of thieves and of an owner who lost one */
    uint16_t kept;             /* guarded by lock */
    bool taken;                /* guarded by lock */
    uint8_t barrier;           /* enum skui_ready_barrier; constant */
    /* The owner writes both while `span` is 0; RQ3. Tickets are copies: who
     * took an entry may have run and queued it again. */
    struct skui_runnable *entries[SKUI_READY_BATCH_CAPACITY];
    uint64_t tickets[SKUI_READY_BATCH_CAPACITY];
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

void skui_ready_init(struct skui_ready *queue, enum skui_ready_barrier barrier);

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

/* Owner: whether its batch is empty; one that was taken unnoticed is not. */
static inline bool skui_ready_has_no_batch(struct skui_ready *queue)
{
    return skui_load_relaxed(&queue->batch.span) == 0; /* relaxed: owner's */
}

/* Owner: whether all that lies here is pinned: with one loop it always is. */
static inline bool skui_ready_is_all_pinned(struct skui_ready *queue)
{
    /* relaxed: owner's tail; a stale head only sends to the long way */
    return skui_ready_has_no_batch(queue) &&
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
 * else NULL. That may be after skui_ready_is_empty() said false: if the batch
 * had been taken; now it says true.
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
    return queue->pinned_head == NULL && skui_ready_has_no_batch(queue) &&
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

/*
 * The owner of `thief`: move what is left of the batch of `victim`, which is
 * another queue, to the thief's ring; returns how many. 0 as well when another
 * thread looks at that batch, when it does not fit, and when the system has
 * come to refuse the barrier; it waits for nobody. Costs 15 us, and the victim
 * 8 us, so it is for owners that do not get on.
 */
size_t skui_ready_revoke(struct skui_ready *victim, struct skui_ready *thief);

/* The steps of pop and revocation, for tests that interleave them. */

/* Any thread, a hint: whether there is a batch to revoke. */
static inline bool skui_ready_has_batch(struct skui_ready *queue)
{
    /* relaxed, both: a hint; of a batch that is taken the owner knows nothing
     * yet */
    return skui_load_relaxed(&queue->batch.span) != 0 &&
           skui_load_relaxed(&queue->batch.revoked) == 0;
}

/* Owner, step 1: take the first entry of the batch; returns its position. */
uint32_t skui_ready_pop_announce(struct skui_ready *queue);
/* Owner, step 2: false if a thief has got that entry. */
bool skui_ready_pop_confirm(struct skui_ready *queue, uint32_t position);
/* Thief, step 1, before its barrier: false if that is all. */
bool skui_ready_revoke_begin(struct skui_ready *victim, size_t room);
/* Thief, step 3: take into `out`, which has room for SKUI_READY_BATCH_CAPACITY,
 * if `ordered`: the barrier was granted; returns how many. */
size_t skui_ready_revoke_end(struct skui_ready *victim, size_t room,
                             bool ordered, struct skui_runnable **out);

/* Any thread: how much a thief would see; exact only for the owner. */
size_t skui_ready_stealable_count(struct skui_ready *queue);

/* Owner; see skui_ready_pop(). */
static inline bool skui_ready_is_empty(struct skui_ready *queue)
{
    return queue->pinned_head == NULL && skui_ready_has_no_batch(queue) &&
           skui_ready_stealable_count(queue) == 0;
}

/* Any thread: changes whenever the oldest entry of the ring does. */
uint32_t skui_ready_head_position(struct skui_ready *queue);

SKUI_END_DECLS

#endif
