/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack.h - stacks for coroutines: slabs, guards, per-loop hot caches.
 *
 *              get   put   trim   (of one pool: its owner thread only)
 *   depot      any thread, under its lock
 */
#ifndef SKUI_STACK_H
#define SKUI_STACK_H

#include "atomic.h"

SKUI_BEGIN_DECLS

enum {
    SKUI_STACK_DEFAULT_BYTES = 64 * 1024,
    SKUI_STACK_MINIMUM_BYTES = 16 * 1024,
    SKUI_STACK_GUARD_BYTES = 16 * 1024,
    SKUI_STACK_CACHE_CAPACITY = 128,
};

struct skui_stack {
    char *limit; /* lowest usable byte; the guard lies below it */
    char *top;   /* first byte above, coloured, 16-byte aligned */
};

struct skui_stack_depot;

struct skui_stack_pool {
    struct skui_stack_depot *depot; /* of this stack size */
    size_t count;
    struct skui_stack cache[SKUI_STACK_CACHE_CAPACITY]; /* last in, first out */
};

struct skui_stack_stats {
    size_t mapped;
    size_t in_use; /* in coroutines or in pools' caches */
};

/* 0; -EINVAL for an absurd size; -ENOMEM. 0 bytes: the default. */
int skui_stack_pool_init(struct skui_stack_pool *pool, size_t stack_bytes);
void skui_stack_pool_fini(struct skui_stack_pool *pool);

/* 0 or -ENOMEM. */
int skui_stack_pool_get(struct skui_stack_pool *pool, struct skui_stack *out);
/* `stack` may come from another pool of the same size. */
void skui_stack_pool_put(struct skui_stack_pool *pool,
                         const struct skui_stack *stack);

/* Give the memory of up to half a cache of stacks that lie idle in the depot
 * back to the kernel; returns by how many calls. */
size_t skui_stack_pool_trim(struct skui_stack_pool *pool);

/* For tests: how guards are made from now on. */
enum skui_stack_guard {
    SKUI_STACK_GUARD_BEST,     /* by advice, else by mprotect */
    SKUI_STACK_GUARD_ADVICE,   /* only so: fails where the kernel lacks it */
    SKUI_STACK_GUARD_MPROTECT, /* only so */
};
void skui_stack_set_guard(enum skui_stack_guard kind);

struct skui_stack_stats skui_stack_pool_stats(struct skui_stack_pool *pool);

/* In a forked child: the parent's threads may have held locks. */
void skui_stack_after_fork(void);

SKUI_END_DECLS

#endif
