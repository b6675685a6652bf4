/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work_queue.h - the queue of a thread pool: a ring, and a list behind it.
 *
 *             push  pop  look  close  fini
 *   push       -     -    -     -      x    (any thread)
 *   pop        -     -    -     -      x    (any thread)
 *   look       -     -    -     -      x    (has_work, is_drained, figures)
 *   close      -     -    -     -      x    (any thread)
 */
#ifndef SKUI_EXECUTOR_WORK_QUEUE_H
#define SKUI_EXECUTOR_WORK_QUEUE_H

#include "../atomic.h"
#include "../spinlock.h"
#include "skua/types.h"

SKUI_BEGIN_DECLS

/* One call to make; copied into the queue and out of it. */
struct skui_work {
    skua_task_fn *fn;
    void *arg;
    skua_future *future; /* a reference: the queue's from push to pop */
};

struct skui_work_cell;
struct skui_work_listed;

struct skui_work_queue {
    struct skui_work_cell *cells; /* constant, as the next */
    uint64_t mask;
    _Atomic(size_t) listed; /* WQ1; written under lock */
    char pad_tail[SKUI_CACHE_LINE];
    _Atomic(uint64_t) tail;    /* WQ3: twice the next position, plus closed */
    struct skui_spinlock lock; /* of the list */
    struct skui_work_listed *first; /* guarded by lock */
    struct skui_work_listed **last; /* guarded by lock */
    char pad_head[SKUI_CACHE_LINE];
    _Atomic(uint64_t) head; /* relaxed: a claim; the cells order */
    char pad_after[SKUI_CACHE_LINE];
};

/* 0, -EINVAL or -ENOMEM. The ring has at least `ring_capacity` cells. */
int skui_work_queue_init(struct skui_work_queue *queue, size_t ring_capacity);
/* Only an empty queue: work that is left is forgotten. */
void skui_work_queue_fini(struct skui_work_queue *queue);

/* Append. SKUA_ECLOSED; -ENOMEM when the ring is full and memory short. */
int skui_work_queue_push(struct skui_work_queue *queue,
                         const struct skui_work *work);
/*
 * The oldest work. False when there is none, and while another thread is about
 * to push or pop: who knows that there is some tries again.
 */
bool skui_work_queue_pop(struct skui_work_queue *queue,
                         struct skui_work *out_work);

/*
 * Whether a pop is worth a try, in the one order of all seq_cst operations
 * (TP1): true if the push of the oldest work came before.
 */
bool skui_work_queue_has_work(struct skui_work_queue *queue);
/* As has_work(), but a hint. */
bool skui_work_queue_seems_ready(struct skui_work_queue *queue);

/* Let every push fail from now on. */
void skui_work_queue_close(struct skui_work_queue *queue);
bool skui_work_queue_is_closed(struct skui_work_queue *queue);
/* Closed, and all work was popped. */
bool skui_work_queue_is_drained(struct skui_work_queue *queue);

/* How much is queued, about. */
size_t skui_work_queue_count(struct skui_work_queue *queue);
/* How much was pushed or popped by way of the ring so far: figures. */
uint64_t skui_work_queue_pushed(struct skui_work_queue *queue);
uint64_t skui_work_queue_popped(struct skui_work_queue *queue);

SKUI_END_DECLS

#endif
