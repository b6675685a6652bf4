/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack.c - stacks for coroutines.
 * Threads     A pool belongs to one loop; depots are shared under a spinlock.
 * Invariants  A slab is one mapping of up to SLAB_STACKS strides, each a guard
 *             and a stack above it. Slabs live as long as the process.
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
#include <string.h>
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

/* Under depots_lock. */
static struct skui_stack_depot *depot_look(size_t stack_bytes)
{
    struct skui_stack_depot *depot = depots;

    while (depot != NULL && depot->stack_bytes != stack_bytes) {
        depot = depot->next;
    }
    return depot;
}

static struct skui_stack_depot *depot_find(size_t stack_bytes)
{
    struct skui_stack_depot *depot;
    struct skui_stack_depot *made;

    skui_spinlock_lock(&depots_lock);
    depot = depot_look(stack_bytes);
    skui_spinlock_unlock(&depots_lock);
    if (depot != NULL) {
        return depot;
    }
    made = skui_allocate_zeroed(sizeof(*made)); /* not under a spinlock */
    if (made == NULL) {
        return NULL;
    }
    made->stack_bytes = stack_bytes;
    skui_spinlock_lock(&depots_lock);
    depot = depot_look(stack_bytes); /* perhaps made meanwhile */
    if (depot == NULL) {
        made->next = depots;
        depots = made;
        depot = made;
        made = NULL;
    }
    skui_spinlock_unlock(&depots_lock);
    skui_release(made);
    return depot;
}

/* relaxed: a setting; tests change it before stacks are mapped */
static _Atomic(uint32_t) guard_kind = SKUI_STACK_GUARD_BEST;

void skui_stack_set_guard(enum skui_stack_guard kind)
{
    skui_store_relaxed(&guard_kind, (uint32_t)kind); /* relaxed: a setting */
}

static bool stack_guard_by_advice(char *guard)
{
    /* An emulator that takes any advice takes this one, which does not
     * exist: then the answer means nothing. */
    bool believable =
        madvise(guard, SKUI_STACK_GUARD_BYTES, MADV_NO_SUCH_ADVICE) != 0;

    return believable &&
           madvise(guard, SKUI_STACK_GUARD_BYTES, MADV_GUARD_INSTALL) == 0;
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

static int stack_guard(char *guard)
{
    /* relaxed: a setting */
    uint32_t kind = skui_load_relaxed(&guard_kind);

    if (kind != SKUI_STACK_GUARD_MPROTECT && stack_guard_by_advice(guard)) {
        return 0;
    }
    if (kind != SKUI_STACK_GUARD_ADVICE &&
        mprotect(guard, SKUI_STACK_GUARD_BYTES, PROT_NONE) == 0) {
        return 0;
    }
    return -ENOMEM;
}

/* A mapping of `stacks` strides with a guard in each; NULL when memory, room
 * or mappings are short. */
static char *slab_map(size_t stride, size_t stacks)
{
    char *slab =
        mmap(NULL, stride * stacks, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (slab == MAP_FAILED) {
        return NULL;
    }
    for (size_t i = 0; i < stacks; i++) {
        if (stack_guard(slab + i * stride) < 0) {
            (void)munmap(slab, stride * stacks);
            return NULL;
        }
    }
    return slab;
}

/* Clean stacks lie below the dirty ones; locked. */
static void depot_add_clean(struct skui_stack_depot *depot,
                            struct skui_stack stack)
{
    size_t clean = depot->count - depot->dirty;

    depot->free[depot->count++] = depot->free[clean];
    depot->free[clean] = stack;
}

/* Room for `stacks` free ones in all; true when there is. Drops the lock while
 * it allocates. */
static bool depot_reserve(struct skui_stack_depot *depot, size_t stacks)
{
    size_t capacity =
        depot->capacity * 2 < stacks ? stacks : depot->capacity * 2;
    struct skui_stack *grown;
    struct skui_stack *old;

    if (stacks <= depot->capacity) {
        return true;
    }
    skui_spinlock_unlock(&depot->lock);
    grown = skui_allocate(capacity * sizeof(*grown));
    skui_spinlock_lock(&depot->lock);
    if (grown == NULL) {
        return false;
    }
    old = grown;
    if (capacity > depot->capacity) { /* else another thread was first */
        if (depot->count > 0) {
            memcpy(grown, depot->free, depot->count * sizeof(*grown));
        }
        old = depot->free;
        depot->free = grown;
        depot->capacity = capacity;
    }
    skui_spinlock_unlock(&depot->lock);
    skui_release(old);
    skui_spinlock_lock(&depot->lock);
    return true;
}

/* Take the stacks of a slab in; false when memory is short. */
static bool depot_take_slab(struct skui_stack_depot *depot, char *slab,
                            size_t stacks)
{
    size_t stride = depot->stack_bytes + SKUI_STACK_GUARD_BYTES;
    bool room;

    skui_spinlock_lock(&depot->lock);
    do { /* others grow it as well meanwhile */
        room = depot_reserve(depot, depot->mapped + stacks);
    } while (room && depot->capacity < depot->mapped + stacks);
    for (size_t i = stacks; room && i-- > 0;) {
        size_t colour = (depot->mapped + i) * 5 % COLOUR_STEPS * COLOUR_BYTES;
        struct skui_stack stack;

        stack.limit = slab + i * stride + SKUI_STACK_GUARD_BYTES;
        stack.top = stack.limit + depot->stack_bytes - colour;
        stack_announce(&stack);
        depot_add_clean(depot, stack);
    }
    depot->mapped += room ? stacks : 0;
    skui_spinlock_unlock(&depot->lock);
    return room;
}

/* Map one slab, a smaller one where a whole one does not go. */
static int depot_grow(struct skui_stack_depot *depot)
{
    size_t stride = depot->stack_bytes + SKUI_STACK_GUARD_BYTES;
    size_t stacks = SLAB_STACKS;
    char *slab;

    while ((slab = slab_map(stride, stacks)) == NULL) {
        stacks /= 2;
        if (stacks == 0) {
            return -ENOMEM;
        }
    }
    if (!depot_take_slab(depot, slab, stacks)) {
        (void)munmap(slab, stride * stacks);
        return -ENOMEM;
    }
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

static void pool_fill(struct skui_stack_pool *pool)
{
    struct skui_stack_depot *depot = pool->depot;

    skui_spinlock_lock(&depot->lock);
    while (depot->count > 0 && pool->count < BATCH) {
        pool->cache[pool->count++] = depot->free[--depot->count];
        if (depot->dirty > 0) {
            depot->dirty--;
        }
    }
    skui_spinlock_unlock(&depot->lock);
}

/* Neither allocator nor kernel is called under the depot's lock. */
static int pool_refill(struct skui_stack_pool *pool)
{
    int status = 0;

    pool_fill(pool);
    while (pool->count == 0 && status == 0) {
        status = depot_grow(pool->depot);
        pool_fill(pool); /* others may take a new slab whole, or give back */
    }
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

static int stack_compare(const void *a, const void *b)
{
    const struct skui_stack *first = a;
    const struct skui_stack *second = b;

    return (first->limit > second->limit) - (first->limit < second->limit);
}

/*
 * Give the pages of a batch back, neighbours by one call. That goes over the
 * guards between them: MADV_DONTNEED leaves both kinds as they are.
 */
static size_t batch_release(struct skui_stack *batch, size_t count,
                            size_t stack_bytes)
{
    size_t stride = stack_bytes + SKUI_STACK_GUARD_BYTES;
    size_t calls = 0;
    size_t first = 0;

    qsort(batch, count, sizeof(*batch), stack_compare);
    for (size_t i = 1; i <= count; i++) {
        if (i < count && batch[i].limit == batch[i - 1].limit + stride) {
            continue;
        }
        (void)madvise(batch[first].limit,
                      (i - 1 - first) * stride + stack_bytes, MADV_DONTNEED);
        calls++;
        first = i;
    }
    return calls;
}

size_t skui_stack_pool_trim(struct skui_stack_pool *pool)
{
    struct skui_stack_depot *depot = pool->depot;
    struct skui_stack batch[BATCH];
    size_t count = 0;
    size_t calls;

    skui_spinlock_lock(&depot->lock);
    while (count < BATCH && depot->dirty > 0) {
        batch[count++] = depot->free[--depot->count];
        depot->dirty--;
    }
    skui_spinlock_unlock(&depot->lock);
    calls = batch_release(batch, count, depot->stack_bytes);
    skui_spinlock_lock(&depot->lock);
    for (size_t i = 0; i < count; i++) {
        depot_add_clean(depot, batch[i]);
    }
    skui_spinlock_unlock(&depot->lock);
    return calls;
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
