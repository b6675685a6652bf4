/* SPDX-License-Identifier: Apache-2.0 */
/*
 * awaited_by.c - who awaits a future: registered, parked, composed of it.
 * Threads     Any.
 * Invariants  An edge holds no future: it goes when the awaited one ends, and
 *             counts no more once the waiter ends. A future that is to be
 *             looked up here when it ends says so in `linked`, set before its
 *             entry is inserted.
 * Ordering    SL1 for the tables; RF1 for the life of futures and records.
 * Progress    register, discard: O(waiters registered at that future). Reading
 *             looks at those, the future's list and all composites.
 * Rejected    Edges that hold the waiter: rings of futures would never be
 *             freed, and an error that nobody reads would be reported late.
 *             Walking all tasks and holding each that is parked: it touches
 *             all, the list only those that wait. One lock for both tables:
 *             awaitables of different loops would meet there.
 *
 * The waiter of an edge is a record, one for each future that was registered
 * as waiter, found under its address. When that future ends it marks the record
 * `gone`; the next to come by an edge to it takes that out.
 */
#include "awaited_by.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "beside.h"
#include "composite.h"
#include "future_list.h"
#include "memory.h"
#include "origin.h"
#include "task.h"

enum { ROLL_FIRST = 16 };

/* `gone`, relaxed: set before the memory of its future has another use, see
 * record_take(). */
struct record {
    struct skui_beside_entry beside; /* of the waiter */
    _Atomic(uint32_t) refs;          /* RF1: the table's and each edge's */
    _Atomic(bool) gone;
};

struct edge {
    struct skui_beside_entry beside; /* of the awaited future */
    struct record *record;           /* a reference */
};

static struct skui_beside edges;
static struct skui_beside records;

static struct edge *edge_of(struct skui_beside_entry *entry)
{
    return SKUI_CONTAINER_OF(entry, struct edge, beside);
}

static struct record *record_of(struct skui_beside_entry *entry)
{
    return SKUI_CONTAINER_OF(entry, struct record, beside);
}

static bool record_is_gone(struct record *record)
{
    return skui_load_relaxed(&record->gone); /* relaxed: see there */
}

static struct record *record_ref(struct record *record)
{
    /* relaxed: the caller's edge, or the table, has one already */
    (void)skui_fetch_add_relaxed(&record->refs, 1u);
    return record;
}

static void record_unref(struct record *record)
{
    /* RF1 acq_rel: the last one sees what the others did. */
    if (record != NULL && skui_fetch_sub_acq_rel(&record->refs, 1u) == 1) {
        skui_release(record);
    }
}

/* The future of a record, with a reference; NULL when it has ended. */
static skua_future *record_take(struct record *record)
{
    skua_future *future = (skua_future *)(uintptr_t)record->beside.object;

    if (!skui_future_try_ref(future)) {
        return NULL;
    }
    /* If the memory had another use already, try_ref() has seen (RF1) what came
     * before that. */
    if (record_is_gone(record)) {
        skua_future_unref(future);
        return NULL;
    }
    return future;
}

static void future_set_linked(skua_future *future, unsigned bit)
{
    /* relaxed: who ends it sees what came before the last unref (RF1) */
    if ((skui_load_relaxed(&future->linked) & bit) == 0) {
        (void)skui_fetch_or_relaxed(&future->linked, bit); /* relaxed: same */
    }
}

/* The record of `waiter`, with a reference; NULL when there is none. */
static struct record *record_find(const skua_future *waiter)
{
    struct skui_beside_shard *shard = skui_beside_lock(&records, waiter);
    struct skui_beside_entry **link = skui_beside_find(shard, waiter);
    struct record *record = link == NULL ? NULL : record_ref(record_of(*link));

    skui_beside_unlock(shard);
    return record;
}

/* The same, made if need be; NULL when memory is short. */
static struct record *record_get(skua_future *waiter)
{
    struct record *found = record_find(waiter);
    struct skui_beside_entry **link;
    struct skui_beside_shard *shard;
    struct record *fresh;

    if (found != NULL) {
        return found;
    }
    fresh = skui_allocate(sizeof(*fresh));
    if (fresh == NULL || !skui_beside_reserve(&records, waiter)) {
        skui_release(fresh);
        return NULL;
    }
    fresh->beside.object = waiter;
    skui_store_relaxed(&fresh->refs, 2u);    /* relaxed: not shared yet */
    skui_store_relaxed(&fresh->gone, false); /* relaxed: as above */
    future_set_linked(waiter, SKUI_LINKED_WAITER);
    shard = skui_beside_lock(&records, waiter);
    link = skui_beside_find(shard, waiter);
    if (link == NULL) {
        skui_beside_insert(shard, &fresh->beside);
        found = fresh;
        fresh = NULL;
    } else { /* another thread was first */
        found = record_ref(record_of(*link));
    }
    skui_beside_unlock(shard);
    skui_release(fresh);
    return found;
}

static void edges_free(struct skui_beside_entry *list)
{
    while (list != NULL) {
        struct edge *edge = edge_of(list);

        list = list->next;
        record_unref(edge->record);
        skui_release(edge);
    }
}

/*
 * Under lock: take out the edges of `future` whose waiter has ended or is
 * `record`, onto *out_list.
 */
static void edges_take(struct skui_beside_shard *shard,
                       const skua_future *future, const struct record *record,
                       struct skui_beside_entry **out_list)
{
    struct skui_beside_entry **link = skui_beside_find(shard, future);

    while (link != NULL) {
        struct edge *edge = edge_of(*link);

        if (edge->record == record || record_is_gone(edge->record)) {
            (void)skui_beside_remove(shard, link);
            edge->beside.next = *out_list;
            *out_list = &edge->beside;
        } else {
            link = &edge->beside.next;
        }
        link = skui_beside_seek(link, future);
    }
}

/* An edge to `waiter` that is not inserted; NULL when memory is short. */
static struct edge *edge_make(skua_future *future, skua_future *waiter)
{
    struct edge *edge = skui_allocate(sizeof(*edge));

    if (edge == NULL) {
        return NULL;
    }
    edge->beside.object = future;
    edge->beside.next = NULL;
    edge->record = record_get(waiter);
    if (edge->record == NULL || !skui_beside_reserve(&edges, future)) {
        edges_free(&edge->beside);
        return NULL;
    }
    return edge;
}

static int pair_check(const skua_future *future, const skua_future *waiter)
{
    int status =
        future == NULL || waiter == NULL ? -EINVAL : skui_future_check(future);

    return status < 0 ? status : skui_future_check(waiter);
}

int skua_future_add_to_awaited_by(skua_future *future, skua_future *waiter)
{
    int status = pair_check(future, waiter);
    struct skui_beside_entry *taken = NULL;
    struct skui_beside_shard *shard;
    struct edge *edge;

    if (status < 0) {
        return status;
    }
    edge = edge_make(future, waiter);
    if (edge == NULL) {
        return -ENOMEM;
    }
    future_set_linked(future, SKUI_LINKED_AWAITED);
    shard = skui_beside_lock(&edges, future);
    /* One that is there already is replaced. */
    edges_take(shard, future, edge->record, &taken);
    skui_beside_insert(shard, &edge->beside);
    skui_beside_unlock(shard);
    edges_free(taken);
    return 0;
}

int skua_future_discard_from_awaited_by(skua_future *future,
                                        skua_future *waiter)
{
    int status = pair_check(future, waiter);
    struct skui_beside_entry *taken = NULL;
    struct skui_beside_shard *shard;
    struct record *record;

    if (status < 0) {
        return status;
    }
    record = record_find(waiter);
    if (record != NULL) {
        shard = skui_beside_lock(&edges, future);
        edges_take(shard, future, record, &taken);
        skui_beside_unlock(shard);
        edges_free(taken);
        record_unref(record);
    }
    return 0;
}

/* --- futures that end --- */

static void future_forget_edges(const skua_future *future)
{
    struct skui_beside_shard *shard = skui_beside_lock(&edges, future);
    struct skui_beside_entry **link = skui_beside_find(shard, future);
    struct skui_beside_entry *taken = NULL;

    while (link != NULL) {
        struct skui_beside_entry *entry = skui_beside_remove(shard, link);

        entry->next = taken;
        taken = entry;
        link = skui_beside_seek(link, future);
    }
    skui_beside_unlock(shard);
    edges_free(taken);
}

static void future_forget_record(const skua_future *future)
{
    struct skui_beside_shard *shard = skui_beside_lock(&records, future);
    struct skui_beside_entry **link = skui_beside_find(shard, future);
    struct record *record = NULL;

    if (link != NULL) {
        record = record_of(skui_beside_remove(shard, link));
        skui_store_relaxed(&record->gone, true); /* relaxed: see there */
    }
    skui_beside_unlock(shard);
    record_unref(record);
}

void skui_future_forget_beside(const skua_future *future)
{
    /* relaxed: nobody refers to it (RF1) */
    unsigned linked = skui_load_relaxed(&((skua_future *)future)->linked);

    if (future->traced) {
        skui_origin_forget(future);
    }
    if ((linked & SKUI_LINKED_AWAITED) != 0) {
        future_forget_edges(future);
    }
    if ((linked & SKUI_LINKED_WAITER) != 0) {
        future_forget_record(future);
    }
}

void skui_awaited_by_after_fork(void)
{
    skui_beside_after_fork(&edges);
    skui_beside_after_fork(&records);
}

/* --- reading --- */

/* Those that await a future: references, as far as there is room. */
struct roll {
    const skua_future *future;
    void **items;
    size_t capacity;
    size_t stored;
    size_t wanted; /* how many there are */
};

/* Room for one more; NULL: it only counts. */
static void **roll_place(struct roll *roll)
{
    return roll->wanted++ < roll->capacity ? &roll->items[roll->stored++]
                                           : NULL;
}

/* The caller knows that `waiter` has not ended. */
static void roll_add(struct roll *roll, skua_future *waiter)
{
    void **place = roll_place(roll);

    if (place != NULL) {
        *place = skua_future_ref(waiter);
    }
}

static void roll_add_registered(struct roll *roll)
{
    struct skui_beside_shard *shard = skui_beside_lock(&edges, roll->future);
    struct skui_beside_entry **link = skui_beside_find(shard, roll->future);
    size_t count;

    while (link != NULL) {
        struct record *record = edge_of(*link)->record;
        void **place = record_is_gone(record) ? NULL : roll_place(roll);

        if (place != NULL) {
            *place = record_ref(record);
        }
        link = skui_beside_seek(&(*link)->next, roll->future);
    }
    skui_beside_unlock(shard);
    count = roll->stored;
    roll->stored = 0;
    for (size_t i = 0; i < count; i++) { /* none may be ended under the lock */
        struct record *record = roll->items[i];
        skua_future *waiter = record_take(record);

        record_unref(record);
        if (waiter != NULL) {
            roll->items[roll->stored++] = waiter;
        } else {
            roll->wanted--;
        }
    }
}

/* Have the task stay in the wait that `claim` names, as a canceller does; false
 * when that is over. */
static bool claim_hold(skui_claim claim)
{
    struct skui_task *task = skui_claim_task(claim);
    uint64_t word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */
    unsigned spins = 0;

    while ((word & SKUI_WAIT_PHASE) != SKUI_WAIT_RUNNING &&
           (word & SKUI_WAIT_SEQUENCE_MASK) == skui_claim_sequence(claim)) {
        if ((word & SKUI_WAIT_HELD) != 0) {
            skui_spin_pause(&spins); /* who holds it is about to let go */
            word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */
            /* WW1 acq_rel: it has not ended, nor does it until unhold. */
        } else if (skui_cas_acq_rel(&task->wait_word, &word,
                                    word | SKUI_WAIT_HELD)) {
            return true;
        }
    }
    return false;
}

/* Called for each node of the list while nobody can take it out. */
static void roll_add_node(struct skui_runnable *node, void *arg)
{
    struct roll *roll = arg;
    const struct skui_waiter *waiter = skui_node_waiter(node);
    struct skui_task *task;

    if (waiter == NULL) { /* parked until who takes it out wakes it */
        task = SKUI_CONTAINER_OF(node, struct skui_task, runnable);
        roll_add(roll, &task->future);
    } else if (node->detail == SKUI_WAITER_CLAIM &&
               claim_hold(waiter->to.claim)) {
        task = skui_claim_task(waiter->to.claim);
        roll_add(roll, &task->future);
        skui_task_unhold(task, SKUI_UNHOLD_ONLY);
    }
}

static void roll_add_composite(void *object, void *arg)
{
    struct skui_composite *composite = object;
    struct roll *roll = arg;

    if (!skui_future_try_ref(&composite->future)) {
        return;
    }
    /* CO1 acquire: what it is made of is visible. */
    if (skui_load_acquire(&composite->whole) &&
        !skui_future_is_done(&composite->future) &&
        composite->ops->awaits(composite, roll->future)) {
        roll_add(roll, &composite->future);
    }
    skua_future_unref(&composite->future);
}

static void roll_release(struct roll *roll)
{
    for (size_t i = 0; i < roll->stored; i++) {
        skua_future_unref(roll->items[i]);
    }
    skui_release(roll->items);
}

/* Fill it; 0 or -ENOMEM. */
static int roll_call(struct roll *roll, skua_future *future)
{
    size_t capacity = ROLL_FIRST;

    for (;;) {
        *roll = (struct roll){
            .future = future,
            .items = skui_allocate(capacity * sizeof(*roll->items)),
            .capacity = capacity,
        };
        if (roll->items == NULL) {
            return -ENOMEM;
        }
        roll_add_registered(roll);
        skui_future_visit(future, roll_add_node, roll);
        skui_object_for_each(SKUI_OBJECT_COMPOSITE, roll_add_composite, roll);
        if (roll->wanted <= capacity) {
            return 0;
        }
        capacity = 2 * roll->wanted; /* it may grow meanwhile */
        roll_release(roll);
    }
}

static int compare_addresses(const void *left, const void *right)
{
    uintptr_t a = (uintptr_t) * (void *const *)left;
    uintptr_t b = (uintptr_t) * (void *const *)right;

    return (a > b) - (a < b);
}

int skua_future_awaited_by(skua_future *future, skua_future **waiters,
                           size_t capacity)
{
    int status = future == NULL || (waiters == NULL && capacity > 0)
                     ? -EINVAL
                     : skui_future_check(future);
    struct roll roll = {0};
    size_t count = 0;

    if (status == 0) {
        status = roll_call(&roll, future);
    }
    if (status != 0) {
        return status;
    }
    qsort(roll.items, roll.stored, sizeof(*roll.items), compare_addresses);
    for (size_t i = 0; i < roll.stored; i++) {
        if (i > 0 && roll.items[i] == roll.items[i - 1]) {
            continue; /* registered, and parked */
        }
        if (count < capacity) {
            waiters[count] = skua_future_ref(roll.items[i]);
        }
        count++;
    }
    roll_release(&roll);
    return count > INT_MAX ? INT_MAX : (int)count;
}
