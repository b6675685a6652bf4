/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work_queue.c - the queue of a thread pool: a ring, and a list behind it.
 * Threads     Any thread pushes and pops.
 * Invariants  While the list holds work, nothing is pushed to the ring but
 *             from the list's head, so what is in the ring is older.
 * Ordering    CK1 (ck_adapter.c), WQ1: who finds the list empty pushes behind
 *             what was moved out of it. SL1 guards the list.
 * Progress    As the ring's while that has room, else a short lock.
 * Rejected    An unbounded lock-free list (ck_fifo_mpmc): 37 to 273 ns an
 *             item, against a ring that a pool in good health never fills.
 */
#include "work_queue.h"

enum { MOVE_MAX = 64 };

int skui_work_queue_init(struct skui_work_queue *queue, size_t ring_capacity)
{
    *queue = (struct skui_work_queue){0};
    queue->last = &queue->first;
    return skui_bounded_queue_init(&queue->ring, ring_capacity);
}

void skui_work_queue_fini(struct skui_work_queue *queue)
{
    skui_bounded_queue_fini(&queue->ring);
}

void skui_work_queue_push(struct skui_work_queue *queue, struct skui_work *work)
{
    /* WQ1 acquire: pairs with queue_move(). */
    if (skui_load_acquire(&queue->listed) == 0 &&
        skui_bounded_queue_try_push(&queue->ring, work)) {
        return;
    }
    skui_spinlock_lock(&queue->lock);
    work->next = NULL;
    *queue->last = work;
    queue->last = &work->next;
    /* relaxed: under the lock; the caller's later pushes see their own */
    (void)skui_fetch_add_relaxed(&queue->listed, (size_t)1);
    skui_spinlock_unlock(&queue->lock);
}

/* Move work from the list's head to the ring; locked. */
static void queue_move(struct skui_work_queue *queue)
{
    size_t moved = 0;

    while (moved < MOVE_MAX && queue->first != NULL) {
        struct skui_work *work = queue->first;
        struct skui_work *next = work->next; /* not ours once in the ring */

        if (!skui_bounded_queue_try_push(&queue->ring, work)) {
            break;
        }
        queue->first = next;
        moved++;
    }
    if (queue->first == NULL) {
        queue->last = &queue->first;
    }
    /* WQ1 release: what was moved is in the ring before the list is seen to
     * be empty. */
    (void)skui_fetch_sub_release(&queue->listed, moved);
}

struct skui_work *skui_work_queue_pop(struct skui_work_queue *queue)
{
    struct skui_work *work = skui_bounded_queue_try_pop(&queue->ring);

    /* relaxed: a hint; the list is read under the lock */
    if (work != NULL || skui_load_relaxed(&queue->listed) == 0) {
        return work;
    }
    skui_spinlock_lock(&queue->lock);
    queue_move(queue);
    skui_spinlock_unlock(&queue->lock);
    return skui_bounded_queue_try_pop(&queue->ring);
}
