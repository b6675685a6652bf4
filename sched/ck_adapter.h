/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ck_adapter.h - what the library uses of Concurrency Kit.
 *
 *              push  pop  look  fini
 *   push         x    -    -     x    (any thread, one at a time)
 *   pop          -    x    -     x    (any thread, one at a time)
 *   look         -    -    -     x    (is_empty, seems_empty: any thread)
 */
#ifndef SKUI_CK_ADAPTER_H
#define SKUI_CK_ADAPTER_H

#include "atomic.h"
#include "skua/types.h"

SKUI_BEGIN_DECLS

/* What a queue carries, by value: a call and what goes with it. */
struct skui_queue_item {
    void *value; /* fetched ahead: whoever pops it writes there first */
    skua_task_fn *fn;
    void *arg;
};

/* A bounded FIFO whose two ends share no lock. */
struct skui_bounded_queue {
    struct skui_fifo *fifo; /* owned, constant once set up */
};

/* Room for `capacity` items (1 to 2^20). 0, -EINVAL or -ENOMEM. */
int skui_bounded_queue_init(struct skui_bounded_queue *queue, size_t capacity);
/* The queue's memory; NULL and a queue that was never set up are allowed. */
void skui_bounded_queue_fini(struct skui_bounded_queue *queue);

/*
 * Append `item`: what precedes the call is visible to who pops it (CK1). False
 * when the queue is full. Callers exclude each other.
 */
bool skui_bounded_queue_push(struct skui_bounded_queue *queue,
                             const struct skui_queue_item *item);
/*
 * The oldest item; false when the queue is empty. Callers exclude each other.
 */
bool skui_bounded_queue_pop(struct skui_bounded_queue *queue,
                            struct skui_queue_item *out_item);

/* The value of what skui_bounded_queue_pop() would give, or NULL. Excludes
 * that. */
void *skui_bounded_queue_peek(struct skui_bounded_queue *queue);

/* The oldest item of this value; false when there is none. Excludes pops. */
bool skui_bounded_queue_find(struct skui_bounded_queue *queue,
                             const void *value,
                             struct skui_queue_item *out_item);

/*
 * Called after a seq_cst read-modify-write. False if the seq_cst
 * read-modify-write that followed a push came before that, unless the item was
 * popped (CK2).
 */
bool skui_bounded_queue_is_empty(const struct skui_bounded_queue *queue);
/* A hint. */
bool skui_bounded_queue_seems_empty(const struct skui_bounded_queue *queue);

SKUI_END_DECLS

#endif
