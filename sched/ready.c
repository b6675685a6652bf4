/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ready.c - the ready queue of one loop.
 * Threads     The owner pushes and pops; any other thread steals.
 * Invariants  head <= tail <= head + CAPACITY (as wrapping counters); slots in
 *             [head, tail) hold runnables that nobody else holds.
 * Ordering    RQ1 publish (tail), RQ2 claim (head).
 * Progress    push: wait-free.  pop, steal: lock-free.
 * Rejected    A growing ring: it would need reclamation; the inject queue takes
 *             the overflow. A claim for each pop: 10 ns against 2 with batches.
 *             Tickets read from unclaimed entries: a thief rewrites them. So a
 *             batch is claimed before its tickets are looked at.
 *
 * A thief copies the slots first and claims them after, with one CAS of head.
 * The slots may be overwritten in between only after head has moved past them,
 * and then the CAS fails: head is a 32-bit counter that would have to wrap
 * while a thief stands still to deceive it.
 */
#include "ready.h"

#include <string.h>

static uint32_t ready_slot(uint32_t position)
{
    return position % SKUI_READY_RING_CAPACITY;
}

void skui_ready_init(struct skui_ready *queue)
{
    memset(queue, 0, sizeof(*queue));
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

/* Let the batch hold the oldest stealable entry, if there is any. */
static struct skui_runnable *ready_peek_stealable(struct skui_ready *queue)
{
    struct skui_ready_batch *batch = &queue->batch;

    if (batch->position == batch->count) {
        /* relaxed: owner's tail; a stale head only delays */
        if (skui_load_relaxed(&queue->tail) ==
            skui_load_relaxed(&queue->head)) {
            return NULL;
        }
        batch->position = 0;
        batch->count =
            ready_claim(queue, SKUI_READY_BATCH_CAPACITY, true, batch->entries);
        if (batch->count == 0) {
            return NULL;
        }
    }
    return batch->entries[batch->position];
}

struct skui_runnable *skui_ready_pop_either(struct skui_ready *queue,
                                            uint64_t before_ticket)
{
    struct skui_runnable *pinned = queue->pinned_head;
    struct skui_runnable *stealable = ready_peek_stealable(queue);

    if (stealable != NULL &&
        (pinned == NULL || stealable->ticket < pinned->ticket)) {
        if (stealable->ticket >= before_ticket) {
            return NULL;
        }
        queue->batch.position++;
        if (queue->batch.position < queue->batch.count) {
            skui_prefetch_task(queue->batch.entries[queue->batch.position]);
        }
        return stealable;
    }
    return skui_ready_pop_pinned(queue, before_ticket);
}

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
