/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_store.h - the items of a queue, in the order in which they are to come
 * out. No locks; the queue has one.
 */
#ifndef SKUI_SYNC_QUEUE_STORE_H
#define SKUI_SYNC_QUEUE_STORE_H

#include <stddef.h>

#include "../atomic.h"
#include "skua/queue.h"

SKUI_BEGIN_DECLS

enum skui_queue_order {
    SKUI_QUEUE_FIFO,     /* a ring */
    SKUI_QUEUE_LIFO,     /* a stack */
    SKUI_QUEUE_PRIORITY, /* a binary heap; equal items by `sequence` */
};

struct skui_queue_slot {
    void *item;
    uint64_t sequence; /* of the put; PRIORITY only */
};

/* All-zero: an empty FIFO. */
struct skui_queue_store {
    struct skui_queue_slot *slots;
    size_t capacity; /* 0, or a power of two */
    size_t head;     /* FIFO: counts gets; its slot is head % capacity */
    size_t count;
    uint64_t sequence;
    skua_compare_fn *compare; /* PRIORITY */
    enum skui_queue_order order;
};

/* The capacity that a full store should grow to. */
size_t skui_queue_store_next_capacity(const struct skui_queue_store *store);

/* Move to `slots`, which has `capacity`; the former ones are the caller's. */
struct skui_queue_slot *skui_queue_store_move(struct skui_queue_store *store,
                                              struct skui_queue_slot *slots,
                                              size_t capacity);

/* There is room: count < capacity. */
void skui_queue_store_push(struct skui_queue_store *store, void *item);
/* There is an item: count > 0. */
void *skui_queue_store_pop(struct skui_queue_store *store);

SKUI_END_DECLS

#endif
