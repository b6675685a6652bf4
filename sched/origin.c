/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin.c - debug mode: where objects were made.
 * Threads     Any. Stacks are walked, and memory is taken and given back,
 *             outside of the table's locks.
 * Invariants  An address is in the table at most once: its object notes it when
 *             it is made and forgets it when it ends.
 * Rejected    A pointer in each object: futures and handles are full cache
 *             lines. A larger object in debug mode: the switch may be thrown
 *             while objects exist.
 */
#include "origin.h"

#include <execinfo.h>
#include <pthread.h>
#include <string.h>

#include "beside.h"
#include "memory.h"
#include "task.h"
#include "thread.h"

enum {
    SKIPPED = 2, /* this file's own frames */
};

struct entry {
    struct skui_beside_entry beside;
    const skua_loop *loop; /* compared only; constant, or NULL */
    bool settled;          /* see skui_origin_settle() */
    struct skui_origin origin;
};

static struct skui_beside table;
static _Atomic(size_t) noted; /* relaxed: 0 lets forget() pass by at once; who
                                 ends an object knows that it was noted */

static struct entry *entry_of(struct skui_beside_entry *entry)
{
    return SKUI_CONTAINER_OF(entry, struct entry, beside);
}

/* The first backtrace() loads the unwinder: it needs a large stack, takes the
 * dynamic linker's lock and allocates. */
static void *origin_load(void *arg)
{
    void *frame;

    (void)backtrace(&frame, 1);
    return arg;
}

static void origin_load_once(void)
{
    pthread_t thread;

    if (skui_task_self() == NULL) {
        (void)origin_load(NULL);
        return;
    }
    if (skui_thread_start(&thread, origin_load, NULL) == 0) {
        (void)pthread_join(thread, NULL);
    }
}

void skui_origin_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, origin_load_once);
}

static SKUI_NOINLINE void origin_capture(struct skui_origin *origin)
{
    void *frames[SKIPPED + SKUA_BACKTRACE_FRAMES];
    int count = backtrace(frames, SKIPPED + SKUA_BACKTRACE_FRAMES);

    origin->count = count > SKIPPED ? (size_t)count - SKIPPED : 0;
    memcpy(origin->frames, frames + SKIPPED, origin->count * sizeof(frames[0]));
}

SKUI_NOINLINE bool skui_origin_note(const void *object,
                                    enum skui_origin_kind kind,
                                    const skua_loop *loop, int fd)
{
    struct entry *entry = skui_allocate(sizeof(*entry));
    struct skui_beside_shard *shard;

    if (entry == NULL || !skui_beside_reserve(&table, object)) {
        skui_release(entry);
        return false;
    }
    entry->beside.object = object;
    entry->loop = loop;
    entry->settled = false;
    entry->origin.kind = kind;
    entry->origin.fd = fd;
    origin_capture(&entry->origin);
    shard = skui_beside_lock(&table, object);
    skui_beside_insert(shard, &entry->beside);
    skui_beside_unlock(shard);
    (void)skui_fetch_add_relaxed(&noted, 1u); /* relaxed: see there */
    return true;
}

void skui_origin_forget(const void *object)
{
    struct skui_beside_entry **link;
    struct skui_beside_shard *shard;
    struct entry *entry = NULL;

    if (skui_load_relaxed(&noted) == 0) { /* relaxed: see there */
        return;
    }
    shard = skui_beside_lock(&table, object);
    link = skui_beside_find(shard, object);
    if (link != NULL) {
        entry = entry_of(skui_beside_remove(shard, link));
    }
    skui_beside_unlock(shard);
    if (entry != NULL) {
        (void)skui_fetch_sub_relaxed(&noted, 1u); /* relaxed: see there */
        skui_release(entry);
    }
}

bool skui_origin_find(const void *object, struct skui_origin *out)
{
    struct skui_beside_shard *shard = skui_beside_lock(&table, object);
    struct skui_beside_entry **link = skui_beside_find(shard, object);

    if (link != NULL) {
        *out = entry_of(*link)->origin;
    }
    skui_beside_unlock(shard);
    return link != NULL;
}

/* Under lock. */
static void entry_settle(struct entry *entry, struct skui_origin *out)
{
    entry->settled = true;
    if (out != NULL) {
        *out = entry->origin;
    }
}

bool skui_origin_settle(const void *object, struct skui_origin *out)
{
    struct skui_beside_entry **link;
    struct skui_beside_shard *shard;
    bool settles;

    if (skui_load_relaxed(&noted) == 0) { /* relaxed: see there */
        return false;
    }
    shard = skui_beside_lock(&table, object);
    link = skui_beside_find(shard, object);
    settles = link != NULL && !entry_of(*link)->settled;
    if (settles) {
        entry_settle(entry_of(*link), out);
    }
    skui_beside_unlock(shard);
    return settles;
}

static bool shard_settle_one(struct skui_beside_shard *shard,
                             const skua_loop *loop, struct skui_origin *out)
{
    struct entry *found = NULL;

    skui_spinlock_lock(&shard->lock);
    for (size_t i = 0; shard->heads != NULL && i < shard->lists; i++) {
        struct skui_beside_entry *entry = shard->heads[i];

        while (entry != NULL &&
               (entry_of(entry)->loop != loop || entry_of(entry)->settled)) {
            entry = entry->next;
        }
        if (entry != NULL) {
            found = entry_of(entry);
            entry_settle(found, out);
            break;
        }
    }
    skui_spinlock_unlock(&shard->lock);
    return found != NULL;
}

bool skui_origin_settle_one(const skua_loop *loop, struct skui_origin *out)
{
    bool found = false;

    if (skui_load_relaxed(&noted) == 0) { /* relaxed: see there */
        return false;
    }
    for (int i = 0; i < SKUI_BESIDE_SHARDS && !found; i++) {
        found = shard_settle_one(&table.shards[i], loop, out);
    }
    return found;
}

/* Copies of up to `capacity` of a shard's origins; returns how many there are.
 */
static size_t shard_copy(struct skui_beside_shard *shard,
                         struct skui_origin *copies, size_t capacity)
{
    size_t copied = 0;
    size_t count;

    skui_spinlock_lock(&shard->lock);
    count = shard->count;
    for (size_t i = 0; shard->heads != NULL && i < shard->lists; i++) {
        for (struct skui_beside_entry *entry = shard->heads[i];
             entry != NULL && copied < capacity; entry = entry->next) {
            copies[copied++] = entry_of(entry)->origin;
        }
    }
    skui_spinlock_unlock(&shard->lock);
    return count;
}

size_t skui_origin_for_each(void (*fn)(const struct skui_origin *origin,
                                       void *arg),
                            void *arg)
{
    size_t found = 0;

    for (int i = 0; i < SKUI_BESIDE_SHARDS; i++) {
        struct skui_beside_shard *shard = &table.shards[i];
        size_t capacity = shard_copy(shard, NULL, 0);
        struct skui_origin *copies =
            skui_allocate(capacity * sizeof(*copies) + 1);
        size_t count = shard_copy(shard, copies, copies == NULL ? 0 : capacity);

        found += count;
        for (size_t k = 0; copies != NULL && k < count && k < capacity; k++) {
            fn(&copies[k], arg);
        }
        skui_release(copies);
    }
    return found;
}

void skui_origins_after_fork(void)
{
    skui_beside_after_fork(&table);
    skui_store_relaxed(&noted, (size_t)0); /* relaxed: one thread */
}
