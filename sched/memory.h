/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - the allocation adapter and the caches of hot objects.
 *
 * Objects of a class are type-stable: their memory comes from slabs that live
 * as long as the process, so a stale pointer still points to an object of the
 * class. A new slab is zeroed; reused objects are not.
 */
#ifndef SKUI_MEMORY_H
#define SKUI_MEMORY_H

#include "runnable.h"

SKUI_BEGIN_DECLS

void *skui_allocate(size_t bytes);
void *skui_allocate_zeroed(size_t bytes);
void *skui_resize(void *pointer, size_t bytes);
void skui_release(void *pointer);

/* Zeroed, at a cache line's start; given back by its own release only. */
void *skui_allocate_aligned(size_t bytes);
void skui_release_aligned(void *pointer);

enum skui_object_class {
    SKUI_OBJECT_TASK,
    SKUI_OBJECT_FUTURE,
    SKUI_OBJECT_COMPOSITE,
    SKUI_OBJECT_WAITER,
    SKUI_OBJECT_HANDLE,
    SKUI_OBJECT_TIMER_HANDLE,
    SKUI_OBJECT_WORK,
    SKUI_OBJECT_JOB,
    SKUI_OBJECT_DESCRIPTOR,
    SKUI_OBJECT_CLASSES,
};

enum {
    SKUI_MAGAZINE_CAPACITY = 64,
    SKUI_OBJECT_ALIGNMENT = 64,
    SKUI_FETCH_AHEAD = 4, /* tasks: what is got next is fetched this early */
};

/* A pack of free objects, exchanged as a whole with the depot. */
struct skui_magazine {
    struct skui_magazine *next; /* in the depot */
    unsigned count;
    void *objects[SKUI_MAGAZINE_CAPACITY];
};

/* One thread's caches: loaded and spare magazine of each class. */
struct skui_caches {
    struct {
        struct skui_magazine *loaded;
        struct skui_magazine *spare;
    } of[SKUI_OBJECT_CLASSES];
};

/* The size of a class's objects; once, before the first get. */
void skui_object_class_init(enum skui_object_class which, size_t bytes);

/* NULL when memory is short. `caches` belong to the calling thread. */
void *skui_object_refill(struct skui_caches *caches,
                         enum skui_object_class which);
void skui_object_flush(struct skui_caches *caches, enum skui_object_class which,
                       void *object);

static inline void *skui_object_get_from(struct skui_caches *caches,
                                         enum skui_object_class which)
{
    struct skui_magazine *magazine = caches->of[which].loaded;

    if (SKUI_LIKELY(magazine != NULL && magazine->count > 0)) {
        unsigned count = --magazine->count;

        if (which == SKUI_OBJECT_TASK && count >= SKUI_FETCH_AHEAD) {
            skui_prefetch_task(magazine->objects[count - SKUI_FETCH_AHEAD]);
        }
        return magazine->objects[count];
    }
    return skui_object_refill(caches, which);
}

static inline void skui_object_put_to(struct skui_caches *caches,
                                      enum skui_object_class which,
                                      void *object)
{
    struct skui_magazine *magazine = caches->of[which].loaded;

    if (SKUI_LIKELY(magazine != NULL &&
                    magazine->count < SKUI_MAGAZINE_CAPACITY)) {
        magazine->objects[magazine->count++] = object;
        return;
    }
    skui_object_flush(caches, which, object);
}

/* From and to the calling thread's caches (tls.c). */
void *skui_object_get(enum skui_object_class which);
void skui_object_put(enum skui_object_class which, void *object);

/* Give everything back to the depot. */
void skui_caches_drain(struct skui_caches *caches);

/* Call `fn` for every object of the class ever made, in use or not. */
void skui_object_for_each(enum skui_object_class which,
                          void (*fn)(void *object, void *arg), void *arg);

/* Objects made, less those that lie in the depot. */
size_t skui_object_outside_depot(enum skui_object_class which);

void skui_memory_after_fork(void);

SKUI_END_DECLS

#endif
