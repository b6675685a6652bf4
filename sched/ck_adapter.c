/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ck_adapter.c - Concurrency Kit's two-ended list as a bounded queue.
 * Threads     One at a time pushes and one at a time pops, so say their locks.
 * Invariants  All cells are made at the start. They are in the list, garbage,
 *             or the list's head, from which the latest item was popped.
 * Ordering    CK1: what precedes a push goes to who pops the item. CK2: a push
 *             and a look, each beside a read-modify-write: one sees the other.
 * Progress    Wait-free. Neither end touches the other's line, but for a push
 *             that has used up the cells it knows to be free.
 * Rejected    ck_ring: see docs/design.md. ck's own locks (ck_fifo_spsc has
 *             two): they do not yield, and the race detector knows ours.
 *             CK_USE_CC_BUILTINS: its loads and stores stay plain volatile
 *             accesses, so that the race detector reports more, not less.
 *
 * ck orders memory by inline assembly, which the race detector cannot see.
 * This file is therefore built without -fsanitize=thread, and with SKUI_TSAN
 * it tells the detector what ck_fifo promises, cell by cell.
 */
#include "ck_adapter.h"

#include <errno.h>

#include <ck_fifo.h>

#include "memory.h"

enum { CAPACITY_MAX = 1 << 20 };

#ifdef SKUI_TSAN
void __tsan_acquire(void *address); /* the detector's own names */
void __tsan_release(void *address);
#define CELL_ACQUIRE(cell) __tsan_acquire(cell)
#define CELL_RELEASE(cell) __tsan_release(cell)
#else
#define CELL_ACQUIRE(cell) ((void)(cell))
#define CELL_RELEASE(cell) ((void)(cell))
#endif

/* Two a cache line; `entry` holds the item's value. */
struct fifo_cell {
    struct ck_fifo_spsc_entry entry;
    skua_task_fn *fn;
    void *arg;
};

struct skui_fifo {
    struct ck_fifo_spsc ck;
    SKUI_CACHE_ALIGNED struct fifo_cell cells[];
};

_Static_assert(SKUI_CACHE_LINE % sizeof(struct fifo_cell) == 0,
               "no cell crosses a cache line");

static struct fifo_cell *cell_of(struct ck_fifo_spsc_entry *entry)
{
    return SKUI_CONTAINER_OF(entry, struct fifo_cell, entry);
}

int skui_bounded_queue_init(struct skui_bounded_queue *queue, size_t capacity)
{
    struct skui_fifo *fifo;
    void *value;

    if (capacity == 0 || capacity > CAPACITY_MAX) {
        return -EINVAL;
    }
    fifo = skui_allocate_aligned(sizeof(*fifo) +
                                 (capacity + 1) * sizeof(fifo->cells[0]));
    if (fifo == NULL) {
        return -ENOMEM;
    }
    /* A cell that was popped is free: make all of them so. */
    ck_fifo_spsc_init(&fifo->ck, &fifo->cells[0].entry);
    for (size_t i = 1; i <= capacity; i++) {
        ck_fifo_spsc_enqueue(&fifo->ck, &fifo->cells[i].entry, NULL);
    }
    while (ck_fifo_spsc_dequeue(&fifo->ck, &value)) {
    }
    queue->fifo = fifo;
    return 0;
}

void skui_bounded_queue_fini(struct skui_bounded_queue *queue)
{
    if (queue != NULL) {
        skui_release_aligned(queue->fifo);
        queue->fifo = NULL;
    }
}

bool skui_bounded_queue_push(struct skui_bounded_queue *queue,
                             const struct skui_queue_item *item)
{
    struct ck_fifo_spsc *ck = &queue->fifo->ck;
    struct ck_fifo_spsc_entry *entry = ck_fifo_spsc_recycle(ck);
    struct fifo_cell *cell;

    if (entry == NULL) {
        return false;
    }
    cell = cell_of(entry);
    cell->fn = item->fn;
    cell->arg = item->arg;
    /* CK1 release: what came before is visible to who pops the item. */
    CELL_RELEASE(cell);
    ck_fifo_spsc_enqueue(ck, entry, item->value);
    return true;
}

bool skui_bounded_queue_pop(struct skui_bounded_queue *queue,
                            struct skui_queue_item *out_item)
{
    struct ck_fifo_spsc *ck = &queue->fifo->ck;
    struct ck_fifo_spsc_entry *next;
    struct fifo_cell *cell;
    void *value;

    if (!ck_fifo_spsc_dequeue(ck, &value)) {
        return false;
    }
    /* It is the head now, and not reused before the next pop. */
    cell = cell_of(CK_FIFO_SPSC_SPARE(ck));
    /* CK1 acquire: pairs with skui_bounded_queue_push(). */
    CELL_ACQUIRE(cell);
    *out_item = (struct skui_queue_item){value, cell->fn, cell->arg};
    next = ck_pr_load_ptr(&cell->entry.next);
    if (next != NULL) {
        __builtin_prefetch(next->value, 1); /* on its way while this one runs */
    }
    return true;
}

void *skui_bounded_queue_peek(struct skui_bounded_queue *queue)
{
    struct ck_fifo_spsc *ck = &queue->fifo->ck;
    struct ck_fifo_spsc_entry *next = ck_pr_load_ptr(&ck->head->next);

    if (next == NULL) {
        return NULL;
    }
    ck_pr_fence_load();
    /* CK1 acquire: as skui_bounded_queue_pop(). */
    CELL_ACQUIRE(cell_of(next));
    return next->value;
}

bool skui_bounded_queue_find(struct skui_bounded_queue *queue,
                             const void *value,
                             struct skui_queue_item *out_item)
{
    struct ck_fifo_spsc_entry *entry = queue->fifo->ck.head;
    struct fifo_cell *cell;

    do {
        entry = ck_pr_load_ptr(&entry->next);
        if (entry == NULL) {
            return false;
        }
        ck_pr_fence_load();
    } while (entry->value != value);
    cell = cell_of(entry);
    /* CK1 acquire: as skui_bounded_queue_pop(). */
    CELL_ACQUIRE(cell);
    *out_item = (struct skui_queue_item){entry->value, cell->fn, cell->arg};
    return true;
}

bool skui_bounded_queue_is_empty(const struct skui_bounded_queue *queue)
{
    struct ck_fifo_spsc *ck = &queue->fifo->ck;
    struct ck_fifo_spsc_entry *head;

    /* CK2: after the caller's read-modify-write. */
    ck_pr_fence_atomic_load();
    do {
        head = ck_pr_load_ptr(&ck->head);
        if (ck_pr_load_ptr(&head->next) != NULL) {
            return false;
        }
        /* A cell that is used anew may have no next either. A head that has
         * come round since: all that was queued has been popped. */
        ck_pr_fence_load();
    } while (ck_pr_load_ptr(&ck->head) != head);
    return true;
}

bool skui_bounded_queue_seems_empty(const struct skui_bounded_queue *queue)
{
    return ck_fifo_spsc_isempty(&queue->fifo->ck);
}
