/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ck_adapter.c - Concurrency Kit's bounded ring behind two calls.
 * Threads     Any thread pushes and pops.
 * Invariants  The ring holds at most its size less one.
 * Ordering    CK1: an item's fields go from who pushed it to who pops it.
 * Progress    push waits for pushes that started earlier; pop is lock-free.
 * Rejected    CK_USE_CC_BUILTINS: its loads and stores stay plain volatile
 *             accesses, so that the race detector reports more, not less.
 *
 * ck orders memory by inline assembly, which the race detector cannot see.
 * This file is therefore built without -fsanitize=thread, and with SKUI_TSAN
 * it tells the detector what ck_ring promises, item by item.
 */
#include "ck_adapter.h"

#include <errno.h>

#include <ck_ring.h>

#include "memory.h"

enum { CAPACITY_MAX = 1 << 20 };

#ifdef SKUI_TSAN
void __tsan_acquire(void *address); /* the detector's own names */
void __tsan_release(void *address);
#define ITEM_ACQUIRE(item) __tsan_acquire(item)
#define ITEM_RELEASE(item) __tsan_release(item)
#else
#define ITEM_ACQUIRE(item) ((void)(item))
#define ITEM_RELEASE(item) ((void)(item))
#endif

int skui_bounded_queue_init(struct skui_bounded_queue *queue, size_t capacity)
{
    size_t ring_bytes = (sizeof(struct ck_ring) + SKUI_CACHE_LINE - 1) /
                        SKUI_CACHE_LINE * SKUI_CACHE_LINE;
    unsigned size = 2;
    uintptr_t start;

    if (capacity == 0 || capacity > CAPACITY_MAX) {
        return -EINVAL;
    }
    while (size < capacity + 1) {
        size *= 2;
    }
    queue->memory = skui_allocate(SKUI_CACHE_LINE + ring_bytes +
                                  size * sizeof(struct ck_ring_buffer));
    if (queue->memory == NULL) {
        return -ENOMEM;
    }
    start = (uintptr_t)queue->memory % SKUI_CACHE_LINE;
    queue->ring = (char *)queue->memory + (SKUI_CACHE_LINE - start);
    queue->slots = (char *)queue->ring + ring_bytes;
    ck_ring_init(queue->ring, size);
    return 0;
}

void skui_bounded_queue_fini(struct skui_bounded_queue *queue)
{
    if (queue != NULL) {
        skui_release(queue->memory);
        queue->memory = NULL;
    }
}

bool skui_bounded_queue_try_push(struct skui_bounded_queue *queue, void *item)
{
    /* CK1 release: the item's fields are visible to who pops it. */
    ITEM_RELEASE(item);
    return ck_ring_enqueue_mpmc(queue->ring, queue->slots, item);
}

void *skui_bounded_queue_try_pop(struct skui_bounded_queue *queue)
{
    void *item = NULL;

    if (!ck_ring_dequeue_mpmc(queue->ring, queue->slots, &item)) {
        return NULL;
    }
    /* CK1 acquire: pairs with skui_bounded_queue_try_push(). */
    ITEM_ACQUIRE(item);
    return item;
}
