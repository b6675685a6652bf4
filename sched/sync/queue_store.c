/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_store.c - the items of a queue, in the order in which they come out.
 * Threads     One at a time: the queue's lock.
 * Invariants  FIFO: slots [head, head + count), modulo capacity. LIFO: slots
 *             [0, count). PRIORITY: no slot of [0, count) comes before its
 *             parent (i - 1) / 2.
 */
#include "queue_store.h"

enum { FIRST_CAPACITY = 8 };

size_t skui_queue_store_next_capacity(const struct skui_queue_store *store)
{
    return store->capacity == 0 ? FIRST_CAPACITY : 2 * store->capacity;
}

struct skui_queue_slot *skui_queue_store_move(struct skui_queue_store *store,
                                              struct skui_queue_slot *slots,
                                              size_t capacity)
{
    struct skui_queue_slot *former = store->slots;

    for (size_t i = 0; i < store->count; i++) {
        slots[i] = former[(store->head + i) & (store->capacity - 1)];
    }
    store->slots = slots;
    store->capacity = capacity;
    store->head = 0;
    return former;
}

static bool slot_precedes(const struct skui_queue_store *store,
                          const struct skui_queue_slot *a,
                          const struct skui_queue_slot *b)
{
    int order = store->compare(a->item, b->item);

    return order < 0 || (order == 0 && a->sequence < b->sequence);
}

static void heap_push(struct skui_queue_store *store, void *item)
{
    struct skui_queue_slot slot = {item, store->sequence++};
    size_t at = store->count;

    while (at > 0) {
        size_t parent = (at - 1) / 2;

        if (!slot_precedes(store, &slot, &store->slots[parent])) {
            break;
        }
        store->slots[at] = store->slots[parent];
        at = parent;
    }
    store->slots[at] = slot;
}

/* Called with `count` less already: fill the hole at the top by `last`. */
static void heap_fill_top(struct skui_queue_store *store,
                          struct skui_queue_slot last)
{
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < store->count &&
            slot_precedes(store, &store->slots[child + 1],
                          &store->slots[child])) {
            child++;
        }
        if (child >= store->count ||
            slot_precedes(store, &last, &store->slots[child])) {
            break;
        }
        store->slots[at] = store->slots[child];
        at = child;
    }
    store->slots[at] = last;
}

void skui_queue_store_push(struct skui_queue_store *store, void *item)
{
    if (store->order == SKUI_QUEUE_PRIORITY) {
        heap_push(store, item);
    } else {
        store->slots[(store->head + store->count) & (store->capacity - 1)]
            .item = item;
    }
    store->count++;
}

void *skui_queue_store_pop(struct skui_queue_store *store)
{
    void *item;

    store->count--;
    switch (store->order) {
    case SKUI_QUEUE_LIFO:
        item = store->slots[store->count].item;
        break;
    case SKUI_QUEUE_PRIORITY:
        item = store->slots[0].item;
        heap_fill_top(store, store->slots[store->count]);
        break;
    case SKUI_QUEUE_FIFO:
    default:
        item = store->slots[store->head & (store->capacity - 1)].item;
        /* Empty, it begins anew: its first slots are in the cache. */
        store->head = store->count == 0 ? 0 : store->head + 1;
        break;
    }
    return item;
}
