/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ready.c - the ready queue of one loop.
 * Threads     The owner pushes and pops; any other thread steals and revokes.
 * Invariants  head <= tail <= head + CAPACITY (as wrapping counters); slots in
 *             [head, tail) hold runnables that nobody else holds. What lies in
 *             the batch is older than what lies in the ring.
 * Ordering    RQ1 publish (tail), RQ2 claim (head), RQ3 batch (span, revoked).
 * Progress    push: wait-free.  pop, steal: lock-free; a pop that meets a
 *             revocation waits until that is over.  revoke: waits for nobody.
 * Rejected    A growing ring: it would need reclamation; the inject queue takes
 *             the overflow. A claim for each pop: 10 ns against 2 with batches.
 *             Tickets read from unclaimed entries: a thief rewrites them. So a
 *             batch is claimed before its tickets are looked at. A barrier in
 *             each pop: push and pop take 4 ns without and 11 with it. A thief
 *             that takes as much of a batch as fits: the rest would have to
 *             stay the owner's, for a case that idle thieves do not meet.
 *
 * A thief copies the slots first and claims them after, with one CAS of head.
 * The slots may be overwritten in between only after head has moved past them,
 * and then the CAS fails: head is a 32-bit counter that would have to wrap
 * while a thief stands still to deceive it.
 *
 * A batch is the owner's until a thief revokes it, and then:
 *
 *   RQ3  owner: 1. span = past the entry    thief: 1. lock; revoked = 1
 *               2. look at `revoked`               2. barrier for both
 *               3. set: lock, see who has it       3. look at `span`; take what
 *                                                     it holds; unlock
 *
 * The barrier is between 1 and 2 of the owner as well, wherever that is just
 * then: what it stored before is seen by the thief, and what it loads after
 * sees `revoked`. So of an owner that takes an entry and a thief, one sees the
 * other, or both do; and an owner that sees the thief asks under the lock which
 * entries that has seen, and thus taken. Where skui_membarrier() is refused,
 * the owner pays for its own part: both sides use seq_cst operations.
 *
 * While a thief copies entries the owner does not write new ones: for that it
 * has to take the entries that the thief has seen, one by one, and the last of
 * these pops, which the thief did not see, waits for the lock.
 *
 * A taken batch keeps its span until the owner notices, which it does at its
 * next pop; till then it only believes that it has work.
 */
#include "ready.h"

#include <string.h>

#include "membarrier.h"

enum { SPAN_BITS = 16 };

_Static_assert(SKUI_READY_BATCH_CAPACITY < 1 << SPAN_BITS, "a span holds it");

static uint32_t ready_slot(uint32_t position)
{
    return position % SKUI_READY_RING_CAPACITY;
}

static uint32_t span_position(uint32_t span)
{
    return span & ((1u << SPAN_BITS) - 1);
}

static uint32_t span_end(uint32_t span)
{
    return span >> SPAN_BITS;
}

static uint32_t span_count(uint32_t span)
{
    return span_end(span) - span_position(span);
}

void skui_ready_init(struct skui_ready *queue, enum skui_ready_barrier barrier)
{
    memset(queue, 0, sizeof(*queue));
    queue->batch.barrier = (uint8_t)barrier;
}

bool skui_ready_push_stealable(struct skui_ready *queue,
                               struct skui_runnable *runnable)
{
    uint32_t tail = skui_load_relaxed(&queue->tail); /* relaxed: owner's */
    /* RQ2 acquire: the claimer has copied the slots it freed. */
    uint32_t head = skui_load_acquire(&queue->head);

    if (tail - head >= SKUI_READY_RING_CAPACITY) {
        return false;
    }
    runnable->ticket = queue->next_ticket++;
    /* relaxed: published by tail */
    skui_store_relaxed(&queue->ring[ready_slot(tail)], runnable);
    /* RQ1 release and PK3 (seq_cst): slot and runnable are visible to who
     * acquires this tail; ordered before the look for idle loops. */
    skui_store_seq_cst(&queue->tail, tail + 1);
    return true;
}

/* Copy and claim up to `most` of the oldest entries; returns how many. */
static uint32_t ready_claim(struct skui_ready *queue, uint32_t most, bool half,
                            struct skui_runnable **out)
{
    /* RQ2 acquire: pairs with the release of other claimers. */
    uint32_t head = skui_load_acquire(&queue->head);

    for (;;) {
        /* RQ1 acquire: pairs with skui_ready_push_stealable(). */
        uint32_t tail = skui_load_acquire(&queue->tail);
        uint32_t count = tail - head;

        if (count == 0 || count > SKUI_READY_RING_CAPACITY) {
            return 0; /* empty, or head was stale */
        }
        if (half) {
            count -= count / 2;
        }
        if (count > most) {
            count = most;
        }
        for (uint32_t i = 0; i < count; i++) {
            /* relaxed: the CAS below tells whether it was still ours */
            out[i] = skui_load_relaxed(&queue->ring[ready_slot(head + i)]);
        }
        /* RQ2 acq_rel: exactly one claimer gets each slot, and has copied it
         * before the owner may reuse it. */
        if (skui_cas_acq_rel(&queue->head, &head, head + count)) {
            return count;
        }
    }
}

/* --- the batch, its owner --- */

/* Fill an empty batch from the ring; returns its span, 0 if there is nothing.
 * Not inlined: most pops find a batch. */
static SKUI_NOINLINE uint32_t batch_fill(struct skui_ready *queue)
{
    struct skui_ready_batch *batch = &queue->batch;
    uint32_t span;
    uint32_t count;

    /* relaxed: owner's tail; a stale head only delays */
    if (skui_load_relaxed(&queue->tail) == skui_load_relaxed(&queue->head)) {
        return 0;
    }
    count = ready_claim(queue, SKUI_READY_BATCH_CAPACITY, true, batch->entries);
    for (uint32_t i = 0; i < count; i++) {
        batch->tickets[i] = batch->entries[i]->ticket;
    }
    span = count << SPAN_BITS;
    /* RQ3 release: the entries, and what the owner did to them, are visible to
     * the thief that takes them. */
    skui_store_release(&batch->span, span);
    return span;
}

/* The owner has taken the entry at `position` and found `revoked`: whether that
 * is its own. What is left of a batch that was taken is not. */
static SKUI_NOINLINE bool batch_settle(struct skui_ready_batch *batch,
                                       uint32_t position)
{
    bool is_own;

    skui_spinlock_lock(&batch->lock);
    is_own = !batch->taken || position < batch->kept;
    if (batch->taken) {
        batch->taken = false;
        skui_store_relaxed(&batch->span, 0u); /* relaxed: holds no entries */
    }
    skui_store_relaxed(&batch->revoked, 0u); /* relaxed: under the lock */
    skui_spinlock_unlock(&batch->lock);
    return is_own;
}

/* Step 1 of RQ3: take the first entry. */
static inline void batch_announce(struct skui_ready_batch *batch, uint32_t span)
{
    uint32_t rest = span_count(span) == 1 ? 0 : span + 1;

    if (SKUI_LIKELY(batch->barrier == SKUI_READY_EXPEDITED)) {
        /* RQ3 release: as in batch_fill(), to who sees this span of it. The
         * thief has the barrier; the compiler may not move the look up. */
        skui_store_release(&batch->span, rest);
        skui_compiler_barrier();
    } else {
        /* RQ3 (seq_cst): before the look at `revoked`; and as above. */
        skui_store_seq_cst(&batch->span, rest);
    }
}

/* Steps 2 and 3: whether it is the owner's. */
static inline bool batch_confirm(struct skui_ready_batch *batch,
                                 uint32_t position)
{
    /* RQ3 (seq_cst, but relaxed where the thief has the barrier): after the
     * store to `span`. */
    uint32_t revoked = SKUI_LIKELY(batch->barrier == SKUI_READY_EXPEDITED)
                           ? skui_load_relaxed(&batch->revoked)
                           : skui_load_seq_cst(&batch->revoked);

    return SKUI_LIKELY(revoked == 0) || batch_settle(batch, position);
}

uint32_t skui_ready_pop_announce(struct skui_ready *queue)
{
    uint32_t span = skui_load_relaxed(&queue->batch.span); /* relaxed: own */

    batch_announce(&queue->batch, span);
    return span_position(span);
}

bool skui_ready_pop_confirm(struct skui_ready *queue, uint32_t position)
{
    return batch_confirm(&queue->batch, position);
}

struct skui_runnable *skui_ready_pop_either(struct skui_ready *queue,
                                            uint64_t before_ticket)
{
    struct skui_ready_batch *batch = &queue->batch;
    struct skui_runnable *pinned = queue->pinned_head;

    for (;;) { /* once more only after a batch that was taken */
        uint32_t span = skui_load_relaxed(&batch->span); /* relaxed: owner's */
        uint32_t position;

        if (span == 0 && (span = batch_fill(queue)) == 0) {
            return skui_ready_pop_pinned(queue, before_ticket);
        }
        position = span_position(span);
        if (pinned != NULL && pinned->ticket < batch->tickets[position]) {
            return skui_ready_pop_pinned(queue, before_ticket);
        }
        if (batch->tickets[position] >= before_ticket) {
            return NULL; /* and so is what lies behind it */
        }
        batch_announce(batch, span);
        if (batch_confirm(batch, position)) {
            if (position + 1 < span_end(span)) {
                skui_prefetch_task(batch->entries[position + 1]);
            }
            return batch->entries[position];
        }
    }
}

/* --- the batch, its thieves --- */

bool skui_ready_revoke_begin(struct skui_ready *victim, size_t room)
{
    struct skui_ready_batch *batch = &victim->batch;
    /* relaxed: a hint */
    uint32_t count = span_count(skui_load_relaxed(&batch->span));

    if (count == 0 || count > room || !skui_spinlock_try_lock(&batch->lock)) {
        return false;
    }
    if (batch->taken) {
        skui_spinlock_unlock(&batch->lock);
        return false;
    }
    /* RQ3 (seq_cst): before the look at `span`. */
    skui_store_seq_cst(&batch->revoked, 1u);
    return true;
}

size_t skui_ready_revoke_end(struct skui_ready *victim, size_t room,
                             bool ordered, struct skui_runnable **out)
{
    struct skui_ready_batch *batch = &victim->batch;
    /* RQ3 (seq_cst, acquire): after `revoked` was stored; the entries are what
     * the owner wrote for this span. */
    uint32_t span = skui_load_seq_cst(&batch->span);
    size_t count = span_count(span);

    if (!ordered || count > room) {
        count = 0;
    }
    if (count > 0) {
        memcpy(out, &batch->entries[span_position(span)], count * sizeof(*out));
        batch->kept = (uint16_t)span_position(span);
        batch->taken = true;
    } else {
        /* relaxed: who still sees it set asks under the lock */
        skui_store_relaxed(&batch->revoked, 0u);
    }
    skui_spinlock_unlock(&batch->lock);
    return count;
}

size_t skui_ready_revoke(struct skui_ready *victim, struct skui_ready *thief)
{
    struct skui_runnable *taken[SKUI_READY_BATCH_CAPACITY];
    size_t room = skui_ready_room(thief);
    bool ordered;
    size_t count;

    if (!skui_ready_revoke_begin(victim, room)) {
        return 0;
    }
    ordered = victim->batch.barrier == SKUI_READY_FENCED || skui_membarrier();
    count = skui_ready_revoke_end(victim, room, ordered, taken);
    if (count > 0) {
        skui_ready_push_all(thief, taken, count);
    }
    return count;
}

/* --- more of the ring --- */

size_t skui_ready_spill(struct skui_ready *queue, struct skui_runnable **out)
{
    return ready_claim(queue, SKUI_READY_SPILL_CAPACITY, true, out);
}

size_t skui_ready_room(struct skui_ready *queue)
{
    uint32_t tail = skui_load_relaxed(&queue->tail); /* relaxed: owner's */
    /* RQ2 acquire: the claimer has copied the slots it freed. */
    uint32_t head = skui_load_acquire(&queue->head);

    return SKUI_READY_RING_CAPACITY - (tail - head);
}

void skui_ready_push_all(struct skui_ready *queue,
                         struct skui_runnable *const *runnables, size_t count)
{
    uint32_t tail = skui_load_relaxed(&queue->tail); /* relaxed: owner's */

    for (size_t i = 0; i < count; i++) {
        runnables[i]->ticket = queue->next_ticket++;
        /* relaxed: published by tail */
        skui_store_relaxed(&queue->ring[ready_slot(tail++)], runnables[i]);
    }
    /* RQ1 release and PK3 (seq_cst): as in push, once for all. */
    skui_store_seq_cst(&queue->tail, tail);
}

size_t skui_ready_steal(struct skui_ready *victim, struct skui_ready *thief)
{
    struct skui_runnable *taken[SKUI_READY_SPILL_CAPACITY];
    size_t room = skui_ready_room(thief);
    uint32_t most = room < SKUI_READY_SPILL_CAPACITY
                        ? (uint32_t)room
                        : SKUI_READY_SPILL_CAPACITY;
    uint32_t count = ready_claim(victim, most, true, taken);

    if (count > 0) {
        skui_ready_push_all(thief, taken, count);
    }
    return count;
}

size_t skui_ready_stealable_count(struct skui_ready *queue)
{
    /* PK3 (seq_cst): a loop about to park sees what was pushed before the
     * pusher looked for idle loops. */
    uint32_t tail = skui_load_seq_cst(&queue->tail);
    uint32_t head = skui_load_relaxed(&queue->head); /* relaxed: a hint */
    uint32_t count = tail - head;

    return count > SKUI_READY_RING_CAPACITY ? 0 : count;
}

uint32_t skui_ready_head_position(struct skui_ready *queue)
{
    return skui_load_relaxed(&queue->head); /* relaxed: a hint */
}
