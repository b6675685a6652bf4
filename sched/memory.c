/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - the allocation adapter and the depots of hot objects.
 * Threads     Caches belong to one thread; depots are shared under a spinlock.
 * Invariants  An object is in use, in one magazine, or not carved yet.
 * Ordering    MM1 publishes a slab to those who walk all objects.
 * Progress    get and put: no atomics while the magazines hold.
 * Rejected    Freeing slabs: a stale waker may still read an object's first
 *             words (wait.h), and that safety costs nothing on the way.
 */
#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "skua/memory.h"

#include "spinlock.h"

enum { SLAB_BYTES = 64 * 1024 };

struct slab {
    struct slab *next; /* constant once published, as all here */
    size_t count;
    char *objects;
    void *raw; /* what `objects` lie in */
};

struct depot {
    struct skui_spinlock lock;
    size_t object_bytes;        /* constant once set */
    struct skui_magazine *full; /* guarded by lock, as all below */
    struct skui_magazine *empty;
    size_t free_objects;
    size_t made;
    _Atomic(struct slab *) slabs; /* MM1; written under lock */
};

static struct depot depots[SKUI_OBJECT_CLASSES];

static void *default_allocate(void *context, size_t bytes)
{
    (void)context;
    return malloc(bytes);
}

static void *default_resize(void *context, void *pointer, size_t bytes)
{
    (void)context;
    return realloc(pointer, bytes);
}

static void default_release(void *context, void *pointer)
{
    (void)context;
    free(pointer);
}

static struct skua_allocator allocator = {
    default_allocate,
    default_resize,
    default_release,
    NULL,
};
static _Atomic(bool) allocator_used; /* relaxed: set once, a start-up check */

int skua_set_allocator(const skua_allocator *replacement)
{
    if (replacement == NULL || replacement->allocate == NULL ||
        replacement->resize == NULL || replacement->release == NULL) {
        return -EINVAL;
    }
    if (skui_load_relaxed(&allocator_used)) { /* relaxed: start-up only */
        return -EBUSY;
    }
    allocator = *replacement;
    return 0;
}

void *skui_allocate(size_t bytes)
{
    if (!skui_load_relaxed(&allocator_used)) {     /* relaxed: idempotent */
        skui_store_relaxed(&allocator_used, true); /* relaxed: idempotent */
    }
    return allocator.allocate(allocator.context, bytes);
}

void *skui_allocate_zeroed(size_t bytes)
{
    void *pointer = skui_allocate(bytes);

    if (pointer != NULL) {
        memset(pointer, 0, bytes);
    }
    return pointer;
}

void *skui_resize(void *pointer, size_t bytes)
{
    return allocator.resize(allocator.context, pointer, bytes);
}

void skui_release(void *pointer)
{
    if (pointer != NULL) {
        allocator.release(allocator.context, pointer);
    }
}

void *skui_allocate_aligned(size_t bytes)
{
    char *raw = skui_allocate_zeroed(bytes + SKUI_CACHE_LINE + sizeof(raw));
    uintptr_t start;

    if (raw == NULL) {
        return NULL;
    }
    start = ((uintptr_t)raw + sizeof(raw) + SKUI_CACHE_LINE - 1) &
            ~(uintptr_t)(SKUI_CACHE_LINE - 1);
    memcpy(raw + (start - (uintptr_t)raw) - sizeof(raw), &raw, sizeof(raw));
    return raw + (start - (uintptr_t)raw);
}

void skui_release_aligned(void *pointer)
{
    void *raw;

    if (pointer != NULL) {
        memcpy(&raw, (char *)pointer - sizeof(raw), sizeof(raw));
        skui_release(raw);
    }
}

void *skua_allocate(size_t bytes)
{
    return skui_allocate(bytes);
}

void skua_release(void *pointer)
{
    skui_release(pointer);
}

void skui_object_class_init(enum skui_object_class which, size_t bytes)
{
    depots[which].object_bytes = (bytes + SKUI_OBJECT_ALIGNMENT - 1) &
                                 ~(size_t)(SKUI_OBJECT_ALIGNMENT - 1);
}

/* A slab that nobody sees yet; NULL when memory is short. */
static struct slab *slab_make(void)
{
    struct slab *slab = skui_allocate(sizeof(*slab));
    char *raw = skui_allocate_zeroed(SLAB_BYTES + SKUI_OBJECT_ALIGNMENT);
    uintptr_t start;

    if (slab == NULL || raw == NULL) {
        skui_release(slab);
        skui_release(raw);
        return NULL;
    }
    start = ((uintptr_t)raw + SKUI_OBJECT_ALIGNMENT - 1) &
            ~(uintptr_t)(SKUI_OBJECT_ALIGNMENT - 1);
    slab->raw = raw;
    slab->objects = raw + (start - (uintptr_t)raw);
    slab->count = 0;
    return slab;
}

/* An empty magazine from the depot or the allocator. */
static struct skui_magazine *depot_take_empty(struct depot *depot)
{
    struct skui_magazine *empty;

    skui_spinlock_lock(&depot->lock);
    empty = depot->empty;
    if (empty != NULL) {
        depot->empty = empty->next;
    }
    skui_spinlock_unlock(&depot->lock);
    if (empty == NULL) {
        empty = skui_allocate(sizeof(*empty));
    }
    if (empty != NULL) {
        empty->count = 0;
    }
    return empty;
}

/* Carve a slab into a chain of magazines, as far as memory lasts: the rest is
 * never carved. */
static struct skui_magazine *slab_carve(struct slab *slab, struct depot *depot)
{
    size_t count = SLAB_BYTES / depot->object_bytes;
    struct skui_magazine *chain = NULL;

    while (slab->count < count) {
        struct skui_magazine *magazine = depot_take_empty(depot);

        if (magazine == NULL) {
            break;
        }
        while (magazine->count < SKUI_MAGAZINE_CAPACITY &&
               slab->count < count) {
            magazine->objects[magazine->count++] =
                slab->objects + slab->count++ * depot->object_bytes;
        }
        magazine->next = chain;
        chain = magazine;
    }
    return chain;
}

/* A full magazine of a new slab, whose others go to the depot; NULL when
 * memory is short. The allocator, which may be the user's, is called without
 * the lock: of two threads that grow at once each brings a slab. */
static struct skui_magazine *depot_grow(struct depot *depot)
{
    struct slab *slab = slab_make();
    struct skui_magazine *full = slab == NULL ? NULL : slab_carve(slab, depot);
    struct skui_magazine *next;

    if (full == NULL) {
        if (slab != NULL) {
            skui_release(slab->raw);
            skui_release(slab);
        }
        return NULL;
    }
    skui_spinlock_lock(&depot->lock);
    depot->made += slab->count;
    depot->free_objects += slab->count - full->count;
    for (struct skui_magazine *rest = full->next; rest != NULL; rest = next) {
        next = rest->next;
        rest->next = depot->full;
        depot->full = rest;
    }
    slab->next = skui_load_relaxed(&depot->slabs); /* relaxed: under lock */
    /* MM1 release: the slab's fields are visible to who walks the list. */
    skui_store_release(&depot->slabs, slab);
    skui_spinlock_unlock(&depot->lock);
    return full;
}

/* A full magazine for an empty one (or NULL). NULL when memory is short: then
 * the empty one is still the caller's. */
static struct skui_magazine *depot_take_full(struct depot *depot,
                                             struct skui_magazine *empty)
{
    struct skui_magazine *full;

    skui_spinlock_lock(&depot->lock);
    full = depot->full;
    if (full != NULL) {
        depot->full = full->next;
        depot->free_objects -= full->count;
    }
    skui_spinlock_unlock(&depot->lock);
    if (full == NULL) {
        full = depot_grow(depot);
    }
    if (full != NULL && empty != NULL) {
        skui_spinlock_lock(&depot->lock);
        empty->next = depot->empty;
        depot->empty = empty;
        skui_spinlock_unlock(&depot->lock);
    }
    return full;
}

static void depot_give_full(struct depot *depot, struct skui_magazine *full)
{
    skui_spinlock_lock(&depot->lock);
    full->next = depot->full;
    depot->full = full;
    depot->free_objects += full->count;
    skui_spinlock_unlock(&depot->lock);
}

void *skui_object_refill(struct skui_caches *caches,
                         enum skui_object_class which)
{
    struct skui_magazine *spare = caches->of[which].spare;
    struct skui_magazine *full;

    if (spare != NULL && spare->count > 0) {
        caches->of[which].spare = caches->of[which].loaded;
        caches->of[which].loaded = spare;
        return spare->objects[--spare->count];
    }
    full = depot_take_full(&depots[which], spare);
    if (full == NULL) {
        return NULL;
    }
    caches->of[which].spare = caches->of[which].loaded;
    caches->of[which].loaded = full;
    return full->objects[--full->count];
}

void skui_object_flush(struct skui_caches *caches, enum skui_object_class which,
                       void *object)
{
    struct skui_magazine *loaded = caches->of[which].loaded;
    struct skui_magazine *spare = caches->of[which].spare;

    if (spare == NULL || spare->count == SKUI_MAGAZINE_CAPACITY) {
        struct skui_magazine *empty = depot_take_empty(&depots[which]);

        if (empty == NULL) {
            return; /* memory is short: the object rests uncarved */
        }
        if (spare != NULL) {
            depot_give_full(&depots[which], spare);
        }
        spare = empty;
    }
    caches->of[which].spare = loaded;
    caches->of[which].loaded = spare;
    spare->objects[spare->count++] = object;
}

void skui_caches_drain(struct skui_caches *caches)
{
    for (int i = 0; i < SKUI_OBJECT_CLASSES; i++) {
        struct skui_magazine *both[2] = {caches->of[i].loaded,
                                         caches->of[i].spare};

        for (int k = 0; k < 2; k++) {
            if (both[k] != NULL && both[k]->count > 0) {
                depot_give_full(&depots[i], both[k]);
            } else {
                skui_release(both[k]);
            }
        }
        caches->of[i].loaded = NULL;
        caches->of[i].spare = NULL;
    }
}

void skui_object_for_each(enum skui_object_class which,
                          void (*fn)(void *object, void *arg), void *arg)
{
    /* MM1 acquire: pairs with depot_grow(). */
    struct slab *slab = skui_load_acquire(&depots[which].slabs);

    for (; slab != NULL; slab = slab->next) {
        for (size_t i = 0; i < slab->count; i++) {
            fn(slab->objects + i * depots[which].object_bytes, arg);
        }
    }
}

size_t skui_object_outside_depot(enum skui_object_class which)
{
    size_t outside;

    skui_spinlock_lock(&depots[which].lock);
    outside = depots[which].made - depots[which].free_objects;
    skui_spinlock_unlock(&depots[which].lock);
    return outside;
}

void skui_memory_after_fork(void)
{
    /* A lock may be held by a thread that the child does not have. What the
     * lock was guarding is abandoned. */
    for (int i = 0; i < SKUI_OBJECT_CLASSES; i++) {
        depots[i].full = NULL;
        depots[i].empty = NULL;
        depots[i].free_objects = 0;
        skui_spinlock_unlock(&depots[i].lock);
    }
}
