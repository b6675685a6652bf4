/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work_queue.c - the queue of a thread pool: a ring, and a list behind it.
 * Threads     Any thread pushes and pops.
 * Invariants  While the list holds work, nothing is pushed to the ring but
 *             from the list's head, so what is in the ring is older. Nothing
 *             is accepted after closing.
 * Ordering    WQ1 list, WQ2 cell, WQ3 closing. SL1 guards the list.
 * Progress    While the ring has room: a compare-and-swap and an exchange to
 *             push, a compare-and-swap to pop. Else a short lock.
 * Rejected    Concurrency Kit's ring: each side reads the other's position, so
 *             two more cache lines cross for each work, 28 % of a job's cost;
 *             and pointers in it cost one more for what they point to. An
 *             unbounded lock-free list (ck_fifo_mpmc): 37 to 273 ns an item.
 *
 * The ring (after Vyukov). Positions count up for ever; position p uses cell
 * p mod size, whose `turn` says whose it is:
 *
 *   p         free: who moves `tail` from p to p + 1 writes it
 *   p + 1     full: who moves `head` from p to p + 1 reads it
 *   p + size  free again, for position p + size
 *
 * Neither side touches the other's position: a busy worker and its submitter
 * share nothing but the cells, two works a cache line.
 */
#include "work_queue.h"

#include <errno.h>
#include <pthread.h>

#include "../memory.h"
#include "skua/status.h"

enum { CLOSED = 1, POSITION_ONE = 2, MOVE_MAX = 64, CAPACITY_MAX = 1 << 20 };

struct skui_work_cell {
    _Atomic(uint64_t) turn; /* WQ2 */
    struct skui_work work;  /* owned by who has the turn */
};

struct skui_work_listed {
    struct skui_work_listed *next; /* guarded by the queue's lock */
    struct skui_work work;
};

_Static_assert(SKUI_CACHE_LINE % sizeof(struct skui_work_cell) == 0,
               "no cell crosses a cache line");

static void queues_init(void)
{
    skui_object_class_init(SKUI_OBJECT_WORK, sizeof(struct skui_work_listed));
}

int skui_work_queue_init(struct skui_work_queue *queue, size_t ring_capacity)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t size = 2;

    if (ring_capacity == 0 || ring_capacity > CAPACITY_MAX) {
        return -EINVAL;
    }
    (void)pthread_once(&once, queues_init);
    while (size < ring_capacity) {
        size *= 2;
    }
    *queue = (struct skui_work_queue){0};
    queue->last = &queue->first;
    queue->mask = size - 1;
    queue->cells = skui_allocate_aligned(size * sizeof(queue->cells[0]));
    if (queue->cells == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < size; i++) {
        /* relaxed: not shared yet */
        skui_store_relaxed(&queue->cells[i].turn, (uint64_t)i);
    }
    return 0;
}

void skui_work_queue_fini(struct skui_work_queue *queue)
{
    struct skui_work_listed *listed = queue->first;

    while (listed != NULL) {
        struct skui_work_listed *next = listed->next;

        skui_object_put(SKUI_OBJECT_WORK, listed);
        listed = next;
    }
    skui_release_aligned(queue->cells);
}

static struct skui_work_cell *cell_at(const struct skui_work_queue *queue,
                                      uint64_t position)
{
    return &queue->cells[position & queue->mask];
}

/* --- the ring --- */

/* -EAGAIN when it is full; SKUA_ECLOSED when `refuse` is a bit of the tail. */
static int ring_push(struct skui_work_queue *queue,
                     const struct skui_work *work, uint64_t refuse)
{
    uint64_t tail = skui_load_relaxed(&queue->tail); /* relaxed: CAS */
    struct skui_work_cell *cell;
    int64_t ahead;

    for (;;) {
        if ((tail & refuse) != 0) {
            return SKUA_ECLOSED;
        }
        cell = cell_at(queue, tail / POSITION_ONE);
        /* WQ2 acquire: who had the cell before has read it. */
        ahead = (int64_t)(skui_load_acquire(&cell->turn) - tail / POSITION_ONE);
        if (ahead < 0) {
            return -EAGAIN;
        }
        if (ahead > 0) {
            tail = skui_load_relaxed(&queue->tail); /* relaxed: CAS */
            /* WQ3 acq_rel: before closing, or refused. */
        } else if (skui_cas_acq_rel(&queue->tail, &tail, tail + POSITION_ONE)) {
            break;
        }
    }
    cell->work = *work;
    /* WQ2, TP1 (seq_cst): the work is visible to who sees the turn; the pusher
     * looks at the state of the pool after this. */
    (void)skui_exchange_seq_cst(&cell->turn, tail / POSITION_ONE + 1);
    return 0;
}

static bool ring_pop(struct skui_work_queue *queue, struct skui_work *out_work)
{
    uint64_t head = skui_load_relaxed(&queue->head); /* relaxed: CAS */
    struct skui_work_cell *cell;
    int64_t ahead;

    for (;;) {
        cell = cell_at(queue, head);
        /* WQ2 acquire: the work is visible. */
        ahead = (int64_t)(skui_load_acquire(&cell->turn) - (head + 1));
        if (ahead < 0) {
            return false;
        }
        if (ahead > 0) {
            head = skui_load_relaxed(&queue->head); /* relaxed: CAS */
            /* relaxed: a claim, the turn orders */
        } else if (skui_cas_relaxed(&queue->head, &head, head + 1)) {
            break;
        }
    }
    *out_work = cell->work;
    /* WQ2 release: the cell may be written again. */
    skui_store_release(&cell->turn, head + queue->mask + 1);
    return true;
}

/* --- the list --- */

static int list_push(struct skui_work_queue *queue,
                     const struct skui_work *work)
{
    struct skui_work_listed *listed = skui_object_get(SKUI_OBJECT_WORK);
    bool closed;

    if (listed == NULL) {
        return -ENOMEM;
    }
    listed->next = NULL;
    listed->work = *work;
    skui_spinlock_lock(&queue->lock);
    /* relaxed: closed under the lock */
    closed = (skui_load_relaxed(&queue->tail) & CLOSED) != 0;
    if (!closed) {
        *queue->last = listed;
        queue->last = &listed->next;
        /* TP1 (seq_cst): as ring_push(). */
        (void)skui_fetch_add_seq_cst(&queue->listed, (size_t)1);
    }
    skui_spinlock_unlock(&queue->lock);
    if (closed) {
        skui_object_put(SKUI_OBJECT_WORK, listed);
        return SKUA_ECLOSED;
    }
    return 0;
}

/* Move work from the list's head to the ring; what it lay in, for release. */
static struct skui_work_listed *list_move(struct skui_work_queue *queue)
{
    struct skui_work_listed *moved = queue->first;
    struct skui_work_listed **link = &moved;
    size_t count = 0;

    /* The ring takes it although it may be closed. */
    while (count < MOVE_MAX && *link != NULL &&
           ring_push(queue, &(*link)->work, 0) == 0) {
        link = &(*link)->next;
        count++;
    }
    queue->first = *link;
    *link = NULL;
    if (queue->first == NULL) {
        queue->last = &queue->first;
    }
    /* WQ1 release: what was moved is in the ring before the list is seen to
     * be empty. */
    (void)skui_fetch_sub_release(&queue->listed, count);
    return moved;
}

static void queue_move(struct skui_work_queue *queue)
{
    struct skui_work_listed *moved;

    skui_spinlock_lock(&queue->lock);
    moved = list_move(queue);
    skui_spinlock_unlock(&queue->lock);
    while (moved != NULL) {
        struct skui_work_listed *next = moved->next;

        skui_object_put(SKUI_OBJECT_WORK, moved);
        moved = next;
    }
}

/* --- both --- */

int skui_work_queue_push(struct skui_work_queue *queue,
                         const struct skui_work *work)
{
    int status = -EAGAIN;

    /* WQ1 acquire: pairs with list_move(). */
    if (skui_load_acquire(&queue->listed) == 0) {
        status = ring_push(queue, work, CLOSED);
    }
    return status == -EAGAIN ? list_push(queue, work) : status;
}

bool skui_work_queue_pop(struct skui_work_queue *queue,
                         struct skui_work *out_work)
{
    if (ring_pop(queue, out_work)) {
        return true;
    }
    /* relaxed: a hint; the list is read under the lock */
    if (skui_load_relaxed(&queue->listed) == 0) {
        return false;
    }
    queue_move(queue);
    return ring_pop(queue, out_work);
}

bool skui_work_queue_has_work(struct skui_work_queue *queue)
{
    /* relaxed: an old one reads a turn that is ahead */
    uint64_t head = skui_load_relaxed(&queue->head);

    /* TP1 (seq_cst), both: sees each push whose pusher did not see what the
     * caller has changed. */
    return (int64_t)(skui_load_seq_cst(&cell_at(queue, head)->turn) -
                     (head + 1)) >= 0 ||
           skui_load_seq_cst(&queue->listed) != 0;
}

bool skui_work_queue_seems_ready(struct skui_work_queue *queue)
{
    uint64_t head = skui_load_relaxed(&queue->head); /* relaxed, all: hints */

    return skui_load_relaxed(&cell_at(queue, head)->turn) == head + 1 ||
           skui_load_relaxed(&queue->listed) != 0;
}

void skui_work_queue_close(struct skui_work_queue *queue)
{
    skui_spinlock_lock(&queue->lock);
    /* WQ3 acq_rel: who sees it sees all that was accepted. */
    (void)skui_fetch_or_acq_rel(&queue->tail, (uint64_t)CLOSED);
    skui_spinlock_unlock(&queue->lock);
}

bool skui_work_queue_is_closed(struct skui_work_queue *queue)
{
    /* WQ3 acquire: pairs with skui_work_queue_close(). */
    return (skui_load_acquire(&queue->tail) & CLOSED) != 0;
}

bool skui_work_queue_is_drained(struct skui_work_queue *queue)
{
    /* WQ1 acquire: what was moved counts in the tail. */
    if (!skui_work_queue_is_closed(queue) ||
        skui_load_acquire(&queue->listed) != 0) {
        return false;
    }
    /* relaxed, both: final for closed and empty; else looked at again */
    return skui_load_relaxed(&queue->tail) / POSITION_ONE ==
           skui_load_relaxed(&queue->head);
}

uint64_t skui_work_queue_pushed(struct skui_work_queue *queue)
{
    return skui_load_relaxed(&queue->tail) / POSITION_ONE; /* relaxed: figure */
}

uint64_t skui_work_queue_popped(struct skui_work_queue *queue)
{
    return skui_load_relaxed(&queue->head); /* relaxed: a figure */
}

size_t skui_work_queue_count(struct skui_work_queue *queue)
{
    uint64_t popped = skui_work_queue_popped(queue);
    uint64_t pushed = skui_work_queue_pushed(queue);
    /* relaxed: a figure */
    size_t listed = skui_load_relaxed(&queue->listed);

    return pushed > popped ? listed + (size_t)(pushed - popped) : listed;
}
