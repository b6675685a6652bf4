/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ck_adapter.h - what the library uses of Concurrency Kit.
 *
 *              push  pop  fini
 *   try_push    -     -     x    (any thread)
 *   try_pop     -     -     x    (any thread)
 */
#ifndef SKUI_CK_ADAPTER_H
#define SKUI_CK_ADAPTER_H

#include "atomic.h"

SKUI_BEGIN_DECLS

/* A bounded FIFO of pointers for many producers and many consumers. */
struct skui_bounded_queue { /* all constant once set up */
    void *memory;           /* owned: ring and slots, unaligned */
    void *ring;
    void *slots;
};

/*
 * Room for at least `capacity` pointers (1 to 2^20). 0, -EINVAL or -ENOMEM.
 */
int skui_bounded_queue_init(struct skui_bounded_queue *queue, size_t capacity);
/* The queue's memory; NULL and a queue that was never set up are allowed. */
void skui_bounded_queue_fini(struct skui_bounded_queue *queue);

/*
 * Append `item`, the address of an object: what precedes the call is visible
 * to whoever pops it (CK1). False when the queue is full.
 */
bool skui_bounded_queue_try_push(struct skui_bounded_queue *queue, void *item);
/* The oldest item; NULL when the queue is empty. */
void *skui_bounded_queue_try_pop(struct skui_bounded_queue *queue);

SKUI_END_DECLS

#endif
