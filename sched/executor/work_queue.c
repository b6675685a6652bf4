/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work_queue.c - the queue of a thread pool: a ring, and a list behind it.
 * Threads     Any thread pushes and pops.
 * Invariants  While the list holds work, nothing is pushed to the ring but
 *             from the list's head, so what is in the ring is older. Nothing
 *             is accepted after closing, or while it is vacant. One lock for
 * those who push, one for those who pop; nobody holds both. Ordering    CK1,
 * CK2 (ck_adapter.c), WQ1 closing, WQ2 list and ring, TP1 (thread_pool_idle.c).
 * SL1: the locks. Progress    A lock and an exchange to push, a lock to pop,
 * for a few dozen instructions; pushers and poppers do not wait for each other.
 * Rejected    See docs/design.md.
 *
 * Work is counted under the push lock, after its way into the ring, so it may
 * be popped before it is counted. Closing takes the lock: from then on the
 * count is final, and when as much was popped, nothing is left.
 */
#include "work_queue.h"

#include <errno.h>
#include <pthread.h>

#include "../memory.h"
#include "skua/status.h"

enum {
    CLOSED = 1,
    VACANT = 2,
    REFUSES = CLOSED | VACANT,
    COUNT_ONE = 4,
    MOVE_MAX = 64,
    FIND_MAX = 4096
};

struct skui_work_listed {
    struct skui_work_listed *next; /* guarded by the push lock */
    struct skui_work work;
};

static void queues_init(void)
{
    skui_object_class_init(SKUI_OBJECT_WORK, sizeof(struct skui_work_listed));
}

int skui_work_queue_init(struct skui_work_queue *queue, size_t ring_capacity)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, queues_init);
    *queue = (struct skui_work_queue){0};
    queue->last = &queue->first;
    return skui_bounded_queue_init(&queue->ring, ring_capacity);
}

void skui_work_queue_fini(struct skui_work_queue *queue)
{
    struct skui_work_listed *listed = queue->first;

    while (listed != NULL) {
        struct skui_work_listed *next = listed->next;

        skui_object_put(SKUI_OBJECT_WORK, listed);
        listed = next;
    }
    skui_bounded_queue_fini(&queue->ring);
}

/* --- pushing --- */

static bool ring_push(struct skui_work_queue *queue,
                      const struct skui_work *work)
{
    const struct skui_queue_item item = {work->future, work->fn, work->arg};

    return skui_bounded_queue_push(&queue->ring, &item);
}

/* Work was accepted; locked. */
static void queue_count_push(struct skui_work_queue *queue, uint64_t pushed)
{
    /* TP1, CK2 (seq_cst): after the push; the pusher looks at the state of the
     * pool after this. */
    (void)skui_exchange_seq_cst(&queue->pushed, pushed + COUNT_ONE);
}

/* Why a push is refused. */
static int queue_refusal(uint64_t pushed)
{
    return (pushed & CLOSED) != 0 ? SKUA_ECLOSED : -ENXIO;
}

/* Append to the ring; -EAGAIN when that has no room or the list is older. */
static int queue_push_to_ring(struct skui_work_queue *queue,
                              const struct skui_work *work)
{
    int status = -EAGAIN;
    uint64_t pushed;

    skui_spinlock_lock(&queue->push_lock);
    pushed = skui_load_relaxed(&queue->pushed); /* relaxed: under the lock */
    if (SKUI_UNLIKELY((pushed & REFUSES) != 0)) {
        status = queue_refusal(pushed);
    } else if (queue->first == NULL && ring_push(queue, work)) {
        queue_count_push(queue, pushed);
        status = 0;
    }
    skui_spinlock_unlock(&queue->push_lock);
    return status;
}

static int queue_push_to_list(struct skui_work_queue *queue,
                              const struct skui_work *work)
{
    struct skui_work_listed *listed = skui_object_get(SKUI_OBJECT_WORK);
    uint64_t pushed;

    if (listed == NULL) {
        return -ENOMEM;
    }
    listed->next = NULL;
    listed->work = *work;
    skui_spinlock_lock(&queue->push_lock);
    pushed = skui_load_relaxed(&queue->pushed); /* relaxed: under the lock */
    if ((pushed & REFUSES) == 0) {
        *queue->last = listed;
        queue->last = &listed->next;
        /* TP1 (seq_cst): as queue_count_push(). */
        (void)skui_fetch_add_seq_cst(&queue->listed, (size_t)1);
        queue_count_push(queue, pushed);
    }
    skui_spinlock_unlock(&queue->push_lock);
    if ((pushed & REFUSES) != 0) {
        skui_object_put(SKUI_OBJECT_WORK, listed);
        return queue_refusal(pushed);
    }
    return 0;
}

int skui_work_queue_push(struct skui_work_queue *queue,
                         const struct skui_work *work)
{
    int status = queue_push_to_ring(queue, work);

    return status == -EAGAIN ? queue_push_to_list(queue, work) : status;
}

/* --- popping --- */

/* Under the lock. */
static bool ring_may_pop(struct skui_work_queue *queue,
                         bool (*test)(const skua_future *future))
{
    const skua_future *oldest;

    if (test == NULL) {
        return true;
    }
    oldest = skui_bounded_queue_peek(&queue->ring);
    return oldest != NULL && test(oldest);
}

/* `test`: unless NULL, only what it is true for. */
static inline bool ring_pop(struct skui_work_queue *queue,
                            bool (*test)(const skua_future *future),
                            struct skui_work *out_work)
{
    struct skui_queue_item item;
    bool got;

    skui_spinlock_lock(&queue->pop_lock);
    got = ring_may_pop(queue, test) &&
          skui_bounded_queue_pop(&queue->ring, &item);
    if (got) {
        /* relaxed, both: under the lock */
        skui_store_relaxed(&queue->popped,
                           skui_load_relaxed(&queue->popped) + 1);
    }
    skui_spinlock_unlock(&queue->pop_lock);
    if (got) {
        *out_work = (struct skui_work){item.fn, item.arg, item.value};
    }
    return got;
}

/* Move work from the list's head to the ring; what it lay in, for release. */
static struct skui_work_listed *list_move(struct skui_work_queue *queue)
{
    struct skui_work_listed *moved = queue->first;
    struct skui_work_listed **link = &moved;
    size_t count = 0;

    while (count < MOVE_MAX && *link != NULL &&
           ring_push(queue, &(*link)->work)) {
        link = &(*link)->next;
        count++;
    }
    queue->first = *link;
    *link = NULL;
    if (queue->first == NULL) {
        queue->last = &queue->first;
    }
    /* WQ2 release: what was moved is in the ring before the list is seen to
     * be empty. */
    (void)skui_fetch_sub_release(&queue->listed, count);
    return moved;
}

static void queue_move(struct skui_work_queue *queue)
{
    struct skui_work_listed *moved;

    skui_spinlock_lock(&queue->push_lock);
    moved = list_move(queue);
    skui_spinlock_unlock(&queue->push_lock);
    while (moved != NULL) {
        struct skui_work_listed *next = moved->next;

        skui_object_put(SKUI_OBJECT_WORK, moved);
        moved = next;
    }
}

bool skui_work_queue_pop(struct skui_work_queue *queue,
                         struct skui_work *out_work)
{
    if (ring_pop(queue, NULL, out_work)) {
        return true;
    }
    /* relaxed: a hint; the list is read under the lock */
    if (skui_load_relaxed(&queue->listed) == 0) {
        return false;
    }
    queue_move(queue);
    return ring_pop(queue, NULL, out_work);
}

bool skui_work_queue_pop_if(struct skui_work_queue *queue,
                            bool (*test)(const skua_future *future),
                            struct skui_work *out_work)
{
    if (ring_pop(queue, test, out_work)) {
        return true;
    }
    /* relaxed: a hint; the list is read under the lock */
    if (skui_load_relaxed(&queue->listed) == 0) {
        return false;
    }
    queue_move(queue);
    return ring_pop(queue, test, out_work);
}

/* --- finding --- */

static bool ring_find(struct skui_work_queue *queue, const skua_future *future,
                      struct skui_work *out_work)
{
    struct skui_queue_item item;
    bool found;

    skui_spinlock_lock(&queue->pop_lock);
    found = skui_bounded_queue_find(&queue->ring, future, &item);
    skui_spinlock_unlock(&queue->pop_lock);
    if (found) {
        *out_work = (struct skui_work){item.fn, item.arg, item.value};
    }
    return found;
}

static bool list_find(struct skui_work_queue *queue, const skua_future *future,
                      struct skui_work *out_work)
{
    const struct skui_work_listed *listed;
    size_t looks = 0;

    skui_spinlock_lock(&queue->push_lock);
    for (listed = queue->first;
         listed != NULL && listed->work.future != future && looks < FIND_MAX;
         listed = listed->next) {
        looks++;
    }
    if (listed != NULL) {
        *out_work = listed->work;
    }
    skui_spinlock_unlock(&queue->push_lock);
    return listed != NULL && out_work->future == future;
}

bool skui_work_queue_find(struct skui_work_queue *queue,
                          const skua_future *future, struct skui_work *out_work)
{
    /* Twice the ring: it may be moved there meanwhile. */
    return ring_find(queue, future, out_work) ||
           list_find(queue, future, out_work) ||
           ring_find(queue, future, out_work);
}

/* --- looking, closing --- */

bool skui_work_queue_has_work(struct skui_work_queue *queue)
{
    /* TP1 (seq_cst), CK2: sees each push whose pusher did not see what the
     * caller has changed. WQ2 acquire: the list first, work moves from there
     * to the ring. */
    return skui_load_seq_cst(&queue->listed) != 0 ||
           !skui_bounded_queue_is_empty(&queue->ring);
}

bool skui_work_queue_seems_ready(struct skui_work_queue *queue)
{
    return !skui_bounded_queue_seems_empty(&queue->ring) ||
           skui_load_relaxed(&queue->listed) != 0; /* relaxed: a hint */
}

bool skui_work_queue_vacate(struct skui_work_queue *queue)
{
    uint64_t pushed;
    bool empty;

    skui_spinlock_lock(&queue->push_lock);
    pushed = skui_load_relaxed(&queue->pushed); /* relaxed: under the lock */
    /* relaxed: it only grows; when it equals the count nothing is left */
    empty = (pushed & CLOSED) == 0 &&
            pushed / COUNT_ONE == skui_load_relaxed(&queue->popped);
    if (empty) {
        /* WQ1 release: as skui_work_queue_close(). */
        skui_store_release(&queue->pushed, pushed | VACANT);
    }
    skui_spinlock_unlock(&queue->push_lock);
    return empty;
}

void skui_work_queue_occupy(struct skui_work_queue *queue)
{
    skui_spinlock_lock(&queue->push_lock);
    /* WQ1 acq_rel: as skui_work_queue_close(). */
    (void)skui_fetch_and_acq_rel(&queue->pushed, ~(uint64_t)VACANT);
    skui_spinlock_unlock(&queue->push_lock);
}

void skui_work_queue_close(struct skui_work_queue *queue)
{
    skui_spinlock_lock(&queue->push_lock);
    /* WQ1 acq_rel: who sees it sees the count of all that was accepted. */
    (void)skui_fetch_or_acq_rel(&queue->pushed, (uint64_t)CLOSED);
    skui_spinlock_unlock(&queue->push_lock);
}

bool skui_work_queue_is_closed(struct skui_work_queue *queue)
{
    /* WQ1 acquire: pairs with skui_work_queue_close(). */
    return (skui_load_acquire(&queue->pushed) & CLOSED) != 0;
}

bool skui_work_queue_is_drained(struct skui_work_queue *queue)
{
    /* WQ1 acquire: pairs with skui_work_queue_close(). */
    uint64_t pushed = skui_load_acquire(&queue->pushed);

    /* relaxed: final when it equals the final count; else looked at again */
    return (pushed & CLOSED) != 0 &&
           pushed / COUNT_ONE == skui_load_relaxed(&queue->popped);
}

uint64_t skui_work_queue_pushed(struct skui_work_queue *queue)
{
    return skui_load_relaxed(&queue->pushed) / COUNT_ONE; /* relaxed: figure */
}

uint64_t skui_work_queue_popped(struct skui_work_queue *queue)
{
    return skui_load_relaxed(&queue->popped); /* relaxed: a figure */
}

size_t skui_work_queue_count(struct skui_work_queue *queue)
{
    uint64_t popped = skui_work_queue_popped(queue);
    uint64_t pushed = skui_work_queue_pushed(queue);

    return pushed > popped ? (size_t)(pushed - popped) : 0;
}
