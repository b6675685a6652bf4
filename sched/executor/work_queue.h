/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work_queue.h - the queue of a thread pool: a ring, and a list behind it.
 *
 *          push  pop  fini
 *   push    -     -    x
 *   pop     -     -    x
 */
#ifndef SKUI_EXECUTOR_WORK_QUEUE_H
#define SKUI_EXECUTOR_WORK_QUEUE_H

#include "../ck_adapter.h"
#include "../spinlock.h"
#include "skua/types.h"

SKUI_BEGIN_DECLS

/* One call to make. Owned by the queue from push to pop. */
struct skui_work {
    struct skui_work *next; /* in the list: guarded by the queue's lock */
    skua_task_fn *fn;
    void *arg;
    skua_future *future; /* a reference */
};

struct skui_work_queue {
    struct skui_bounded_queue ring;
    struct skui_spinlock lock;
    _Atomic(size_t) listed;  /* WQ1; written under lock */
    struct skui_work *first; /* guarded by lock */
    struct skui_work **last; /* guarded by lock */
};

/* All later pushes need no memory. 0, -EINVAL or -ENOMEM. */
int skui_work_queue_init(struct skui_work_queue *queue, size_t ring_capacity);
void skui_work_queue_fini(struct skui_work_queue *queue);

void skui_work_queue_push(struct skui_work_queue *queue,
                          struct skui_work *work);
/*
 * The oldest work. NULL when there is none, and now and then while another
 * thread pops or pushes: who knows that there is some tries again.
 */
struct skui_work *skui_work_queue_pop(struct skui_work_queue *queue);

SKUI_END_DECLS

#endif
