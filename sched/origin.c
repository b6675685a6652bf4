/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin.c - debug mode: where objects were made.
 * Threads     Any; each shard has a lock. Stacks are walked, and memory is
 *             taken and given back, outside of it.
 * Invariants  An address is in the table at most once: its object notes it when
 *             it is made and forgets it when it ends.
 * Progress    O(1) about: a shard doubles its lists when they get long.
 * Rejected    A pointer in each object: futures and handles are full cache
 *             lines. A larger object in debug mode: the switch may be thrown
 *             while objects exist.
 */
#include "origin.h"

#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "memory.h"
#include "spinlock.h"
#include "task.h"

enum {
    SHARDS = 64,
    FIRST_LISTS = 64, /* of a shard; a power of two, as it stays */
    SKIPPED = 2,      /* this file's own frames */
};

struct entry {
    struct entry *next;
    const void *object;
    const skua_loop *loop; /* compared only; constant, or NULL */
    bool settled;          /* see skui_origin_settle() */
    struct skui_origin origin;
};

struct shard {
    struct skui_spinlock lock;
    size_t count;         /* guarded by lock, as all here */
    size_t lists;         /* how many `heads` there are */
    struct entry **heads; /* NULL: none yet */
};

static struct shard shards[SHARDS];
static _Atomic(size_t) noted; /* relaxed: 0 lets forget() pass by at once; who
                                 ends an object knows that it was noted */

/* Addresses differ in bits 6 and up. */
static uint64_t address_hash(const void *object)
{
    return (uint64_t)(uintptr_t)object / 16 * UINT64_C(0x9E3779B97F4A7C15);
}

static struct shard *shard_of(const void *object)
{
    return &shards[address_hash(object) >> 58];
}

static struct entry **shard_head(const struct shard *shard, const void *object)
{
    return &shard->heads[address_hash(object) >> 20 & (shard->lists - 1)];
}

/* The link that holds the entry of `object`, or NULL; under lock. */
static struct entry **shard_find(const struct shard *shard, const void *object)
{
    struct entry **link;

    if (shard->heads == NULL) {
        return NULL;
    }
    for (link = shard_head(shard, object); *link != NULL;
         link = &(*link)->next) {
        if ((*link)->object == object) {
            return link;
        }
    }
    return NULL;
}

static void shard_insert(struct shard *shard, struct entry *entry)
{
    struct entry **head = shard_head(shard, entry->object);

    entry->next = *head;
    *head = entry;
}

/* Take `heads` (zeroed, twice as many) into use; returns the former ones. */
static struct entry **shard_spread(struct shard *shard, struct entry **heads,
                                   size_t lists)
{
    struct entry **former = shard->heads;
    size_t former_lists = shard->lists;

    shard->heads = heads;
    shard->lists = lists;
    for (size_t i = 0; former != NULL && i < former_lists; i++) {
        while (former[i] != NULL) {
            struct entry *entry = former[i];

            former[i] = entry->next;
            shard_insert(shard, entry);
        }
    }
    return former;
}

/* Make room for one more. False when there is none at all. */
static bool shard_grow(struct shard *shard)
{
    struct entry **heads;
    size_t lists;
    bool is_enough;
    bool fits;

    skui_spinlock_lock(&shard->lock);
    lists = shard->lists;
    is_enough = shard->heads != NULL && shard->count < 2 * lists;
    skui_spinlock_unlock(&shard->lock);
    if (is_enough) {
        return true;
    }
    lists = lists == 0 ? FIRST_LISTS : 2 * lists;
    heads = skui_allocate_zeroed(lists * sizeof(*heads));
    fits = heads != NULL || lists > FIRST_LISTS; /* long lists will do */
    if (heads != NULL) {
        skui_spinlock_lock(&shard->lock);
        if (lists > shard->lists) { /* else another thread was first */
            heads = shard_spread(shard, heads, lists);
        }
        skui_spinlock_unlock(&shard->lock);
        skui_release(heads);
    }
    return fits;
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
    sigset_t all;
    sigset_t before;
    pthread_t thread;

    if (skui_task_self() == NULL) {
        (void)origin_load(NULL);
        return;
    }
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, origin_load, NULL) == 0) {
        (void)pthread_join(thread, NULL);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
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
    struct shard *shard = shard_of(object);
    struct entry *entry = skui_allocate(sizeof(*entry));
    bool fits = entry != NULL && shard_grow(shard);

    if (!fits) {
        skui_release(entry);
        return false;
    }
    entry->object = object;
    entry->loop = loop;
    entry->settled = false;
    entry->origin.kind = kind;
    entry->origin.fd = fd;
    origin_capture(&entry->origin);
    skui_spinlock_lock(&shard->lock);
    shard_insert(shard, entry);
    shard->count++;
    skui_spinlock_unlock(&shard->lock);
    (void)skui_fetch_add_relaxed(&noted, 1u); /* relaxed: see there */
    return true;
}

void skui_origin_forget(const void *object)
{
    struct shard *shard = shard_of(object);
    struct entry *entry = NULL;
    struct entry **link;

    if (skui_load_relaxed(&noted) == 0) { /* relaxed: see there */
        return;
    }
    skui_spinlock_lock(&shard->lock);
    link = shard_find(shard, object);
    if (link != NULL) {
        entry = *link;
        *link = entry->next;
        shard->count--;
    }
    skui_spinlock_unlock(&shard->lock);
    if (entry != NULL) {
        (void)skui_fetch_sub_relaxed(&noted, 1u); /* relaxed: see there */
        skui_release(entry);
    }
}

bool skui_origin_find(const void *object, struct skui_origin *out)
{
    struct shard *shard = shard_of(object);
    struct entry **link;

    skui_spinlock_lock(&shard->lock);
    link = shard_find(shard, object);
    if (link != NULL) {
        *out = (*link)->origin;
    }
    skui_spinlock_unlock(&shard->lock);
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
    struct shard *shard = shard_of(object);
    struct entry **link;
    bool settles;

    if (skui_load_relaxed(&noted) == 0) { /* relaxed: see there */
        return false;
    }
    skui_spinlock_lock(&shard->lock);
    link = shard_find(shard, object);
    settles = link != NULL && !(*link)->settled;
    if (settles) {
        entry_settle(*link, out);
    }
    skui_spinlock_unlock(&shard->lock);
    return settles;
}

static bool shard_settle_one(struct shard *shard, const skua_loop *loop,
                             struct skui_origin *out)
{
    struct entry *found = NULL;

    skui_spinlock_lock(&shard->lock);
    for (size_t i = 0; shard->heads != NULL && i < shard->lists; i++) {
        struct entry *entry = shard->heads[i];

        while (entry != NULL && (entry->loop != loop || entry->settled)) {
            entry = entry->next;
        }
        if (entry != NULL) {
            found = entry;
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
    for (int i = 0; i < SHARDS && !found; i++) {
        found = shard_settle_one(&shards[i], loop, out);
    }
    return found;
}

/* Copies of up to `capacity` of a shard's origins; returns how many there are.
 */
static size_t shard_copy(struct shard *shard, struct skui_origin *copies,
                         size_t capacity)
{
    size_t copied = 0;
    size_t count;

    skui_spinlock_lock(&shard->lock);
    count = shard->count;
    for (size_t i = 0; shard->heads != NULL && i < shard->lists; i++) {
        for (const struct entry *entry = shard->heads[i];
             entry != NULL && copied < capacity; entry = entry->next) {
            copies[copied++] = entry->origin;
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

    for (int i = 0; i < SHARDS; i++) {
        size_t capacity = shard_copy(&shards[i], NULL, 0);
        struct skui_origin *copies =
            skui_allocate(capacity * sizeof(*copies) + 1);
        size_t count =
            shard_copy(&shards[i], copies, copies == NULL ? 0 : capacity);

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
    memset(shards, 0, sizeof(shards));
    skui_store_relaxed(&noted, (size_t)0); /* relaxed: one thread */
}
