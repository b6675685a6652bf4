/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work_queue.h - the queue of a thread pool: a ring, and a list behind it.
 *
 *             push  pop  look  close  fini
 *   push       -     -    -     -      x    (any thread)
 *   pop        -     -    -     -      x    (any thread)
 *   look       -     -    -     -      x    (has_work, is_drained, figures)
 *   close      -     -    -     -      x    (any thread; vacate, occupy, too)
 */
#ifndef SKUI_EXECUTOR_WORK_QUEUE_H
#define SKUI_EXECUTOR_WORK_QUEUE_H

#include "../atomic.h"
#include "../ck_adapter.h"
#include "../spinlock.h"
#include "skua/types.h"

SKUI_BEGIN_DECLS

/* One call to make; copied into the queue and out of it. */
struct skui_work {
    skua_task_fn *fn;
    void *arg;
    skua_future *future; /* a reference: the queue's from push to pop */
};

struct skui_work_listed;

/* Lines: what all read and few write; what pushers, what poppers write. */
struct skui_work_queue {
    struct skui_bounded_queue ring; /* pushed and popped under the two locks */
    _Atomic(size_t) listed;         /* WQ2; written under push_lock */
    char pad_push[SKUI_CACHE_LINE];
    struct skui_spinlock push_lock;
    _Atomic(uint64_t) pushed;       /* WQ1: four times the count, plus
                                       closed and vacant */
    struct skui_work_listed *first; /* guarded by push_lock, as the next */
    struct skui_work_listed **last;
    char pad_pop[SKUI_CACHE_LINE];
    struct skui_spinlock pop_lock;
    _Atomic(uint64_t) popped; /* relaxed: a count; written under pop_lock */
    char pad_after[SKUI_CACHE_LINE];
};

/* 0, -EINVAL or -ENOMEM. The ring has `ring_capacity` cells. */
int skui_work_queue_init(struct skui_work_queue *queue, size_t ring_capacity);
/* Only an empty queue: work that is left is forgotten. */
void skui_work_queue_fini(struct skui_work_queue *queue);

/* Append. SKUA_ECLOSED; -ENXIO while it is vacant; -ENOMEM when the ring is
 * full and memory short. */
int skui_work_queue_push(struct skui_work_queue *queue,
                         const struct skui_work *work);
/*
 * The oldest work. False when there is none, and while another thread moves it
 * from the list to the ring: who knows that there is some tries again.
 */
bool skui_work_queue_pop(struct skui_work_queue *queue,
                         struct skui_work *out_work);
/* The same, only if the oldest work is one of which `test` says so; under the
 * lock of those who pop. */
bool skui_work_queue_pop_if(struct skui_work_queue *queue,
                            bool (*test)(const skua_future *future),
                            struct skui_work *out_work);

/* A copy of the work of a future, which stays where it is; false when it is not
 * found. Looks at all that is queued, up to a limit. */
bool skui_work_queue_find(struct skui_work_queue *queue,
                          const skua_future *future,
                          struct skui_work *out_work);

/*
 * Whether a pop is worth a try. Called after a seq_cst read-modify-write, and
 * in the one order of these (TP1): true if a push came before, unless its work
 * was popped.
 */
bool skui_work_queue_has_work(struct skui_work_queue *queue);
/* As has_work(), but a hint. */
bool skui_work_queue_seems_ready(struct skui_work_queue *queue);

/*
 * Nobody pops any more: refuse each push with -ENXIO, until somebody does.
 * False when there is work left, or it is closed: it was not done.
 */
bool skui_work_queue_vacate(struct skui_work_queue *queue);
void skui_work_queue_occupy(struct skui_work_queue *queue);

/* Let every push fail from now on. */
void skui_work_queue_close(struct skui_work_queue *queue);
bool skui_work_queue_is_closed(struct skui_work_queue *queue);
/* Closed, and all work was popped. */
bool skui_work_queue_is_drained(struct skui_work_queue *queue);

/* How much is queued, about. */
size_t skui_work_queue_count(struct skui_work_queue *queue);
/* How much was pushed or popped so far: figures. */
uint64_t skui_work_queue_pushed(struct skui_work_queue *queue);
uint64_t skui_work_queue_popped(struct skui_work_queue *queue);

SKUI_END_DECLS

#endif
