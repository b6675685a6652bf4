/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack.c - stacks for coroutines.
 * Threads     A pool belongs to one loop; depots are shared under a spinlock.
 * Invariants  A slab is one mapping of SLAB_STACKS strides, each a guard and
 *             a stack above it. Slabs live as long as the process.
 * Ordering    SL1 (spinlock.h).
 * Progress    get and put: no lock while the cache holds.
 * Rejected    A mapping per stack: mprotect guards end at 32,753 stacks. Tops
 *             at equal offsets: they share cache sets (39 ns a switch against
 *             9 among 1,000 tasks), so tops are coloured.
 *
 * MADV_GUARD_INSTALL (Linux 6.13) puts guards into the page tables without
 * splitting the mapping; where the kernel lacks it, mprotect does.
 */
#include "stack.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define SKUI_VALGRIND 1
#endif
#endif

#include "memory.h"
#include "spinlock.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#define MADV_NO_SUCH_ADVICE 9999

enum {
    SLAB_STACKS = 64,
    COLOUR_STEPS = 16,
    COLOUR_BYTES = 128,
    BATCH = SKUI_STACK_CACHE_CAPACITY / 2,
    MAXIMUM_BYTES = 1 << 30,
};

/* The depot of one stack size; depots form a list that only grows. */
struct skui_stack_depot {
    struct skui_spinlock lock;
    struct skui_stack_depot *next;
    size_t stack_bytes;
    size_t mapped;   /* guarded by lock, as all below */
    size_t count;    /* free stacks */
    size_t dirty;    /* the last `dirty` of them may hold touched pages */
    size_t capacity; /* of `free`, at least `mapped` */
    struct skui_stack *free;
};

static struct skui_spinlock depots_lock;
static struct skui_stack_depot *depots; /* guarded by depots_lock */

static size_t stack_page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static struct skui_stack_depot *depot_find(size_t stack_bytes)
{
    struct skui_stack_depot *depot;

    skui_spinlock_lock(&depots_lock);
    for (depot = depots; depot != NULL; depot = depot->next) {
        if (depot->stack_bytes == stack_bytes) {
            break;
        }
    }
    if (depot == NULL) {
        depot = skui_allocate_zeroed(sizeof(*depot));
        if (depot != NULL) {
            depot->stack_bytes = stack_bytes;
            depot->next = depots;
            depots = depot;
        }
    }
    skui_spinlock_unlock(&depots_lock);
    return depot;
}

static int stack_guard(char *guard)
{
    /* An emulator that takes any advice takes this one, which does not
     * exist: then the answer means nothing. */
    bool believable =
        madvise(guard, SKUI_STACK_GUARD_BYTES, MADV_NO_SUCH_ADVICE) != 0;

    if (believable &&
        madvise(guard, SKUI_STACK_GUARD_BYTES, MADV_GUARD_INSTALL) == 0) {
        return 0;
    }
    if (mprotect(guard, SKUI_STACK_GUARD_BYTES, PROT_NONE) == 0) {
        return 0;
    }
    return -errno;
}

/* Tell valgrind, once: a mapped stack stays one. */
static void stack_announce(const struct skui_stack *stack)
{
#if defined(SKUI_VALGRIND)
    (void)VALGRIND_STACK_REGISTER(stack->limit, stack->top);
#else
    (void)stack;
#endif
}

static bool depot_reserve(struct skui_stack_depot *depot, size_t stacks)
{
    size_t capacity = depot->capacity * 2;
    struct skui_stack *grown;

    if (stacks <= depot->capacity) {
        return true;
    }
    if (capacity < stacks) {
        capacity = stacks;
    }
    grown = skui_resize(depot->free, capacity * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    depot->free = grown;
    depot->capacity = capacity;
    return true;
}

/* Map one slab; under the depot's lock. */
static int depot_grow(struct skui_stack_depot *depot)
{
    size_t stride = depot->stack_bytes + SKUI_STACK_GUARD_BYTES;
    size_t colour;
    char *slab;
    size_t i;

    if (!depot_reserve(depot, depot->mapped + SLAB_STACKS)) {
        return -ENOMEM;
    }
    slab = mmap(NULL, stride * SLAB_STACKS, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (slab == MAP_FAILED) {
        return -ENOMEM;
    }
    for (i = 0; i < SLAB_STACKS; i++) {
        if (stack_guard(slab + i * stride) < 0) {
            (void)munmap(slab, stride * SLAB_STACKS);
            return -ENOMEM;
        }
    }
    for (i = SLAB_STACKS; i-- > 0;) {
        struct skui_stack *stack = &depot->free[depot->count++];

        colour = (depot->mapped + i) * 5 % COLOUR_STEPS * COLOUR_BYTES;
        stack->limit = slab + i * stride + SKUI_STACK_GUARD_BYTES;
        stack->top = stack->limit + depot->stack_bytes - colour;
        stack_announce(stack);
    }
    depot->mapped += SLAB_STACKS;
    depot->dirty = 0;
    return 0;
}

int skui_stack_pool_init(struct skui_stack_pool *pool, size_t stack_bytes)
{
    size_t page = stack_page_bytes();

    if (stack_bytes == 0) {
        stack_bytes = SKUI_STACK_DEFAULT_BYTES;
    }
    if (stack_bytes > MAXIMUM_BYTES) {
        return -EINVAL;
    }
    if (stack_bytes < SKUI_STACK_MINIMUM_BYTES) {
        stack_bytes = SKUI_STACK_MINIMUM_BYTES;
    }
    stack_bytes = (stack_bytes + page - 1) & ~(page - 1);
    pool->count = 0;
    pool->depot = depot_find(stack_bytes);
    return pool->depot == NULL ? -ENOMEM : 0;
}

static void pool_return(struct skui_stack_pool *pool, size_t keep)
{
    struct skui_stack_depot *depot = pool->depot;
    size_t oldest = 0;

    /* The depot has room for every mapped stack: this cannot fail. */
    skui_spinlock_lock(&depot->lock);
    while (pool->count - oldest > keep) {
        depot->free[depot->count++] = pool->cache[oldest++];
        depot->dirty++;
    }
    skui_spinlock_unlock(&depot->lock);
    for (size_t i = oldest; i < pool->count; i++) {
        pool->cache[i - oldest] = pool->cache[i];
    }
    pool->count -= oldest;
}

void skui_stack_pool_fini(struct skui_stack_pool *pool)
{
    if (pool->depot != NULL) {
        pool_return(pool, 0);
    }
}

static int pool_refill(struct skui_stack_pool *pool)
{
    struct skui_stack_depot *depot = pool->depot;
    int status = 0;

    skui_spinlock_lock(&depot->lock);
    if (depot->count == 0) {
        status = depot_grow(depot);
    }
    while (depot->count > 0 && pool->count < BATCH) {
        pool->cache[pool->count++] = depot->free[--depot->count];
        if (depot->dirty > 0) {
            depot->dirty--;
        }
    }
    skui_spinlock_unlock(&depot->lock);
    return pool->count > 0 ? 0 : status;
}

int skui_stack_pool_get(struct skui_stack_pool *pool, struct skui_stack *out)
{
    if (SKUI_UNLIKELY(pool->count == 0)) {
        int status = pool_refill(pool);

        if (status < 0) {
            return status;
        }
    }
    *out = pool->cache[--pool->count];
    return 0;
}

void skui_stack_pool_put(struct skui_stack_pool *pool,
                         const struct skui_stack *stack)
{
    if (SKUI_UNLIKELY(pool->count == SKUI_STACK_CACHE_CAPACITY)) {
        pool_return(pool, BATCH);
    }
    pool->cache[pool->count++] = *stack;
}

void skui_stack_pool_trim(struct skui_stack_pool *pool)
{
    struct skui_stack_depot *depot = pool->depot;
    struct skui_stack batch[BATCH];
    size_t count = 0;

    skui_spinlock_lock(&depot->lock);
    while (count < BATCH && depot->dirty > 0) {
        batch[count++] = depot->free[--depot->count];
        depot->dirty--;
    }
    skui_spinlock_unlock(&depot->lock);
    for (size_t i = 0; i < count; i++) {
        (void)madvise(batch[i].limit, depot->stack_bytes, MADV_DONTNEED);
    }
    skui_spinlock_lock(&depot->lock);
    for (size_t i = 0; i < count; i++) {
        /* Clean stacks lie below the dirty ones. */
        size_t clean = depot->count - depot->dirty;

        depot->free[depot->count++] = depot->free[clean];
        depot->free[clean] = batch[i];
    }
    skui_spinlock_unlock(&depot->lock);
}

struct skui_stack_stats skui_stack_pool_stats(struct skui_stack_pool *pool)
{
    struct skui_stack_stats stats;

    skui_spinlock_lock(&pool->depot->lock);
    stats.mapped = pool->depot->mapped;
    stats.in_use = pool->depot->mapped - pool->depot->count;
    skui_spinlock_unlock(&pool->depot->lock);
    return stats;
}

void skui_stack_after_fork(void)
{
    /* Whatever a lock was guarding is abandoned: a new start from nothing. */
    skui_spinlock_unlock(&depots_lock);
    depots = NULL;
}
