/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.c - items from those who put to those who get.
 * Threads     Any; all of it under the queue's lock.
 * Invariants  `promised` getters were woken for an item, `reserved` putters for
 *             a place, and have not gone on. Items stay in the store until a
 *             getter takes them, so one that was cancelled has nothing to give
 *             back but the promise. Whenever the lock is free: nobody waits
 *             for an item while one is not promised, nor for a place while one
 *             is not reserved; and a queue that is shut down has no waiting
 *             putters, nor, once empty, getters (queue_settle()).
 * Ordering    SL1 for all of it.
 * Progress    A few dozen instructions under the lock; a priority queue
 *             compares O(log n) times there.
 * Rejected    Handing the item itself to the getter that is woken: if that is
 *             cancelled the item comes back behind a later one that another
 *             getter has been handed. Letting woken getters look again, as
 *             asyncio does: who comes later takes the item, and who waited
 *             longest begins anew. Lock-free rings: the order of waiters, the
 *             exact size, shutdown and join need the parts to change together,
 *             and a ring's two compare-and-swaps cost what the lock does.
 *
 * What grows is allocated outside the lock.
 */
#include <errno.h>
#include <string.h>

#include "../memory.h"
#include "../wait.h"
#include "../waitq.h"
#include "queue_store.h"

enum { CROWDED = 4, CROWDING_MAXIMUM = 32 };

/* Guarded by the lock, but for what is constant. */
struct queue {
    struct skui_spinlock lock;
    bool shut;
    uint8_t crowding; /* how often its lock was held, lately */
    uint32_t promised;
    uint32_t reserved;
    struct skui_queue_store store;
    size_t maxsize;    /* constant; 0: no limit */
    size_t unfinished; /* puts less task_done */
    struct skui_waitq getters;
    struct skui_waitq putters;
    struct skui_waitq joiners;
    skua_drop_fn *drop; /* constant */
};

_Static_assert(sizeof(struct queue) <= sizeof(skua_queue),
               "the public storage fits");

static struct queue *queue_of(skua_queue *queue)
{
    return (struct queue *)(void *)queue->opaque;
}

static inline void queue_lock(struct queue *queue)
{
    if (SKUI_LIKELY(skui_spinlock_try_lock(&queue->lock))) {
        return;
    }
    skui_spinlock_lock(&queue->lock);
    if (queue->crowding < CROWDING_MAXIMUM) {
        queue->crowding++;
    }
}

/* Whether to spin for an item or place, or else to wait and so move to the
 * core of who brings it. */
static bool queue_may_spin(struct queue *queue)
{
    bool crowded = queue->crowding >= CROWDED;

    queue->crowding -= (queue->crowding + 3u) / 4;
    return !crowded;
}

static int queue_init(skua_queue *queue, int64_t maxsize,
                      enum skui_queue_order order, skua_compare_fn *compare)
{
    if (queue == NULL) {
        return -EINVAL;
    }
    *queue_of(queue) = (struct queue){
        .store = {.order = order, .compare = compare},
        .maxsize = maxsize < 0 ? 0 : (size_t)maxsize,
    };
    return 0;
}

int skua_queue_init(skua_queue *queue, int64_t maxsize)
{
    return queue_init(queue, maxsize, SKUI_QUEUE_FIFO, NULL);
}

int skua_lifo_queue_init(skua_queue *queue, int64_t maxsize)
{
    return queue_init(queue, maxsize, SKUI_QUEUE_LIFO, NULL);
}

int skua_priority_queue_init(skua_queue *queue, int64_t maxsize,
                             skua_compare_fn *compare)
{
    return compare == NULL
               ? -EINVAL
               : queue_init(queue, maxsize, SKUI_QUEUE_PRIORITY, compare);
}

int skua_queue_set_drop(skua_queue *queue, skua_drop_fn *drop)
{
    if (queue == NULL) {
        return -EINVAL;
    }
    queue_of(queue)->drop = drop;
    return 0;
}

/* --- under the lock --- */

static bool queue_has_item(const struct queue *queue)
{
    return queue->store.count > queue->promised;
}

static bool queue_has_place(const struct queue *queue)
{
    return queue->maxsize == 0 ||
           queue->store.count + queue->reserved < queue->maxsize;
}

/* Serve those who wait, as far as there is something for them. Out of line, as
 * all that waits or serves: what need not wait saves few registers then. */
static SKUI_NOINLINE void queue_settle(struct queue *queue,
                                       struct skui_waitq_chain *chain)
{
    while (queue_has_item(queue) &&
           skui_waitq_take_first(&queue->getters, chain) != NULL) {
        queue->promised++;
    }
    while (!queue->shut && queue_has_place(queue) &&
           skui_waitq_take_first(&queue->putters, chain) != NULL) {
        queue->reserved++;
    }
    if (SKUI_UNLIKELY(queue->shut)) {
        skui_waitq_take_all(&queue->putters, chain, SKUA_ESHUTDOWN);
        if (queue->store.count == 0) {
            skui_waitq_take_all(&queue->getters, chain, SKUA_ESHUTDOWN);
        }
    }
    if (queue->unfinished == 0) {
        skui_waitq_take_all(&queue->joiners, chain, 0);
    }
}

/* Let go of the lock, with those served who wait. */
static void queue_unlock(struct queue *queue)
{
    struct skui_waitq_chain chain = {NULL, NULL};

    if (SKUI_LIKELY(queue->getters.count + queue->putters.count +
                        queue->joiners.count ==
                    0)) {
        skui_spinlock_unlock(&queue->lock);
        return;
    }
    queue_settle(queue, &chain);
    skui_spinlock_unlock(&queue->lock);
    skui_waitq_grant(&chain);
}

/*
 * Make room for more items; the lock is let go of meanwhile, so others may have
 * filled it: look again. False when memory is short.
 */
static bool queue_grow(struct queue *queue)
{
    size_t capacity = skui_queue_store_next_capacity(&queue->store);
    struct skui_queue_slot *slots;
    bool grown;

    skui_spinlock_unlock(&queue->lock);
    slots = capacity > SIZE_MAX / sizeof(*slots)
                ? NULL
                : skui_allocate(capacity * sizeof(*slots));
    grown = slots != NULL;
    skui_spinlock_lock(&queue->lock);
    if (grown && queue->store.capacity < capacity) {
        slots = skui_queue_store_move(&queue->store, slots, capacity);
    }
    if (slots != NULL) {
        /* Seldom enough to do it here: else it would be for the caller. */
        skui_spinlock_unlock(&queue->lock);
        skui_release(slots);
        skui_spinlock_lock(&queue->lock);
    }
    return grown || queue->store.count < queue->store.capacity;
}

static bool queue_has_room(const struct queue *queue)
{
    return queue->store.count < queue->store.capacity;
}

static void queue_push(struct queue *queue, void *item)
{
    skui_queue_store_push(&queue->store, item);
    queue->unfinished++;
}

/* --- putting --- */

/* With the lock: 0 when `item` was put, -EAGAIN when there is no place. */
static int queue_try_put(struct queue *queue, void *item)
{
    for (;;) {
        if (queue->shut) {
            return SKUA_ESHUTDOWN;
        }
        if (!queue_has_place(queue)) {
            return -EAGAIN;
        }
        if (SKUI_LIKELY(queue_has_room(queue))) {
            queue_push(queue, item);
            return 0;
        }
        if (!queue_grow(queue)) {
            return -ENOMEM;
        }
    }
}

/* Wait in `list`: 0 when something was granted; else why not, as who ended the
 * wait said. */
static int queue_wait(struct skui_waitq *list, struct skui_waitq_node *node)
{
    int status = skui_waitq_wait(list, node);

    return status == SKUI_WAITQ_GRANTED ? node->value : status;
}

static struct queue *queue_of_node(const struct skui_waitq_node *node)
{
    return SKUI_CONTAINER_OF(node->lock, struct queue, lock);
}

/* As skui_waitq_leave(), with those served who wait. */
static void queue_leave(struct queue *queue, struct skui_waitq_node *node)
{
    struct skui_waitq_chain chain = {NULL, NULL};

    queue_settle(queue, &chain);
    skui_waitq_leave(node);
    skui_waitq_grant(&chain);
}

/* A putter is back, with a place reserved for it. */
static int queue_use_place(struct queue *queue, void *item)
{
    int status = 0;

    skui_spinlock_lock(&queue->lock);
    while (status == 0 && !queue->shut && !queue_has_room(queue)) {
        status = queue_grow(queue) ? 0 : -ENOMEM;
    }
    queue->reserved--;
    if (queue->shut) {
        status = SKUA_ESHUTDOWN;
    }
    if (status == 0) {
        queue_push(queue, item);
    }
    queue_unlock(queue);
    return status;
}

/* A place that was reserved goes to the next putter. */
static void putter_hand_on(struct skui_waitq_node *node, bool goes_on)
{
    struct queue *queue = queue_of_node(node);

    (void)goes_on;
    if (node->value == 0) {
        skui_spinlock_lock(&queue->lock);
        queue->reserved--;
        queue_unlock(queue);
    }
}

/* With the lock, which it lets go of. */
static SKUI_NOINLINE int queue_put_waiting(struct queue *queue, void *item,
                                           int64_t deadline_ns)
{
    struct skui_waitq_spins spin = {0};
    struct skui_waitq_node node;
    int status;

    bool spins = queue_may_spin(queue);

    while (spins && !queue->shut && !queue_has_place(queue) &&
           queue->putters.last == NULL &&
           skui_waitq_spin(&spin, &queue->lock)) {
        /* until there is a place */
    }
    skui_waitq_begin(&node, &queue->lock, deadline_ns);
    status = queue_try_put(queue, item);
    if (status != -EAGAIN) {
        queue_leave(queue, &node);
        return status;
    }
    node.hand_on = putter_hand_on;
    node.roams = !spins;
    status = queue_wait(&queue->putters, &node);
    return status < 0 ? status : queue_use_place(queue, item);
}

int skua_queue_put_nowait(skua_queue *queue, void *item)
{
    struct queue *self;
    int status;

    if (queue == NULL) {
        return -EINVAL;
    }
    self = queue_of(queue);
    queue_lock(self);
    status = queue_try_put(self, item);
    queue_unlock(self);
    return status;
}

int skua_queue_put_until(skua_queue *queue, void *item, int64_t deadline_ns)
{
    struct queue *self;
    int status;

    if (queue == NULL || deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    status = skui_task_spend_budget();
    if (status < 0) {
        return status;
    }
    self = queue_of(queue);
    queue_lock(self);
    status = queue_try_put(self, item);
    if (status == -EAGAIN) {
        return queue_put_waiting(self, item, deadline_ns);
    }
    queue_unlock(self);
    return status;
}

int skua_queue_put(skua_queue *queue, void *item)
{
    return skua_queue_put_until(queue, item, SKUA_FOREVER);
}

/* --- getting --- */

/* With the lock: 0, SKUA_ESHUTDOWN, or -EAGAIN when nothing is there. */
static int queue_try_get(struct queue *queue, void **out_item)
{
    if (queue_has_item(queue)) {
        *out_item = skui_queue_store_pop(&queue->store);
        return 0;
    }
    return queue->shut && queue->store.count == 0 ? SKUA_ESHUTDOWN : -EAGAIN;
}

/* A getter is back, with an item promised to it. */
static int queue_take_promised(struct queue *queue, void **out_item)
{
    int status = 0;

    skui_spinlock_lock(&queue->lock);
    queue->promised--;
    if (queue->store.count == 0) {
        status = SKUA_ESHUTDOWN; /* dropped meanwhile */
    } else {
        *out_item = skui_queue_store_pop(&queue->store);
    }
    queue_unlock(queue);
    return status;
}

/* A promise passes to the next getter. */
static void getter_hand_on(struct skui_waitq_node *node, bool goes_on)
{
    struct queue *queue = queue_of_node(node);

    (void)goes_on;
    if (node->value == 0) {
        skui_spinlock_lock(&queue->lock);
        queue->promised--;
        queue_unlock(queue);
    }
}

/* With the lock, which it lets go of. */
static SKUI_NOINLINE int queue_get_waiting(struct queue *queue, void **out_item,
                                           int64_t deadline_ns)
{
    struct skui_waitq_spins spin = {0};
    struct skui_waitq_node node;
    int status;

    bool spins = queue_may_spin(queue);

    while (spins && !queue->shut && queue->store.count == 0 &&
           queue->getters.last == NULL &&
           skui_waitq_spin(&spin, &queue->lock)) {
        /* until there is an item */
    }
    skui_waitq_begin(&node, &queue->lock, deadline_ns);
    status = queue_try_get(queue, out_item);
    if (status != -EAGAIN) {
        queue_leave(queue, &node);
        return status;
    }
    node.hand_on = getter_hand_on;
    node.roams = !spins;
    status = queue_wait(&queue->getters, &node);
    return status < 0 ? status : queue_take_promised(queue, out_item);
}

int skua_queue_get_nowait(skua_queue *queue, void **out_item)
{
    struct queue *self;
    int status;

    if (queue == NULL || out_item == NULL) {
        return -EINVAL;
    }
    self = queue_of(queue);
    queue_lock(self);
    status = queue_try_get(self, out_item);
    queue_unlock(self);
    return status;
}

int skua_queue_get_until(skua_queue *queue, void **out_item,
                         int64_t deadline_ns)
{
    struct queue *self;
    int status;

    if (queue == NULL || out_item == NULL || deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    status = skui_task_spend_budget();
    if (status < 0) {
        return status;
    }
    self = queue_of(queue);
    queue_lock(self);
    status = queue_try_get(self, out_item);
    if (status == -EAGAIN) {
        return queue_get_waiting(self, out_item, deadline_ns);
    }
    queue_unlock(self);
    return status;
}

int skua_queue_get(skua_queue *queue, void **out_item)
{
    return skua_queue_get_until(queue, out_item, SKUA_FOREVER);
}

/* --- looking --- */

size_t skua_queue_qsize(skua_queue *queue)
{
    struct queue *self;
    size_t count;

    if (queue == NULL) {
        return 0;
    }
    self = queue_of(queue);
    queue_lock(self);
    count = self->store.count;
    skui_spinlock_unlock(&self->lock);
    return count;
}

bool skua_queue_empty(skua_queue *queue)
{
    return skua_queue_qsize(queue) == 0;
}

bool skua_queue_full(skua_queue *queue)
{
    return queue != NULL && queue_of(queue)->maxsize > 0 &&
           skua_queue_qsize(queue) >= queue_of(queue)->maxsize;
}

int64_t skua_queue_maxsize(skua_queue *queue)
{
    return queue == NULL ? 0 : (int64_t)queue_of(queue)->maxsize;
}

/* --- joining and ending --- */

int skua_queue_task_done(skua_queue *queue)
{
    struct queue *self;
    int status = 0;

    if (queue == NULL) {
        return -EINVAL;
    }
    self = queue_of(queue);
    queue_lock(self);
    if (self->unfinished == 0) {
        status = -EINVAL;
    } else {
        self->unfinished--;
    }
    queue_unlock(self);
    return status;
}

int skua_queue_join(skua_queue *queue)
{
    return skua_queue_join_until(queue, SKUA_FOREVER);
}

int skua_queue_join_until(skua_queue *queue, int64_t deadline_ns)
{
    struct skui_waitq_node node;
    struct queue *self;
    int status;

    if (queue == NULL || deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    status = skui_task_spend_budget();
    if (status < 0) {
        return status;
    }
    self = queue_of(queue);
    queue_lock(self);
    skui_waitq_begin(&node, &self->lock, deadline_ns);
    if (self->unfinished == 0) {
        skui_waitq_leave(&node);
        return 0;
    }
    return skui_waitq_wait(&self->joiners, &node);
}

/* Under the lock: take all items out. */
static struct skui_queue_store queue_take_store(struct queue *queue)
{
    struct skui_queue_store taken = queue->store;

    queue->store = (struct skui_queue_store){.order = taken.order,
                                             .compare = taken.compare};
    return taken;
}

/* Not under the lock, and without the queue, which may be gone by now. */
static void store_drop(struct skui_queue_store *store, skua_drop_fn *drop)
{
    while (drop != NULL && store->count > 0) {
        drop(skui_queue_store_pop(store));
    }
    skui_release(store->slots);
}

int skua_queue_shutdown(skua_queue *queue, bool immediate)
{
    struct skui_queue_store dropped = {0};
    skua_drop_fn *drop;
    struct queue *self;

    if (queue == NULL) {
        return -EINVAL;
    }
    self = queue_of(queue);
    drop = self->drop;
    queue_lock(self);
    self->shut = true;
    if (immediate) {
        dropped = queue_take_store(self);
        self->unfinished -=
            dropped.count < self->unfinished ? dropped.count : self->unfinished;
    }
    queue_unlock(self);
    store_drop(&dropped, drop);
    return 0;
}

int skua_queue_fini(skua_queue *queue)
{
    struct skui_queue_store dropped;
    struct queue *self;
    bool busy;

    if (queue == NULL) {
        return 0;
    }
    self = queue_of(queue);
    queue_lock(self);
    busy = self->getters.count + self->putters.count + self->joiners.count +
               self->promised + self->reserved >
           0;
    if (!busy) {
        dropped = queue_take_store(self);
    }
    skui_spinlock_unlock(&self->lock);
    if (busy) {
        return -EBUSY;
    }
    store_drop(&dropped, self->drop);
    memset(queue, 0, sizeof(*queue));
    return 0;
}
