/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_pool.c - an executor of worker processes.
 * Threads     Any thread submits; see process_pool.h.
 * Invariants  A job that was accepted is in the list, in a slot, or done. Pools
 *             are never given back to the system: who cancels a job may come
 *             when its pool is gone (skui_process_revoke()).
 * Ordering    The pool's lock; SL1: the list of pools. PC: the channels.
 * Progress    A job costs two locks and no system call while worker and loop
 *             are awake.
 */
#include "process_pool.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../../cores.h"
#include "../../loop.h"
#include "../../memory.h"
#include "../../spinlock.h"
#include "../../thread.h"

enum {
    MAX_WORKERS = 1024,
    PREFETCH = 64,
    RING_BYTES = 256 * 1024,
};

static struct skui_spinlock free_lock;
static struct skui_process_pool *free_pools; /* guarded by free_lock */

/* --- submitting --- */

static int pool_check(struct skui_process_pool *pool,
                      const struct skui_job *job)
{
    if (job->function == NULL ||
        job->function->index >= pool->options.functions) {
        return -ENOENT;
    }
    return job->work.bytes > pool->options.given.max_message_bytes ? -EMSGSIZE
                                                                   : 0;
}

/* Whether it takes work; locked. */
static int pool_takes(const struct skui_process_pool *pool)
{
    if (pool->broken) {
        return SKUA_EBROKENPOOL;
    }
    return pool->closed ? SKUA_ECLOSED : 0;
}

/* A place for a job. Who finds none learns whether that is for good. */
static int pool_enter(struct skui_process_pool *pool)
{
    int status = skui_room_enter(&pool->room, pool->executor);
    int ended;

    if (status == 0) {
        return 0;
    }
    (void)pthread_mutex_lock(&pool->lock);
    ended = pool_takes(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    return ended < 0 ? ended : status;
}

/* With a place: 0, or why it is not taken. */
static int pool_accept(struct skui_process_pool *pool, struct skui_job *job)
{
    struct skui_process_after after = {0};
    int status;

    job->place = pool;
    job->revoke = skui_process_revoke;
    (void)pthread_mutex_lock(&pool->lock);
    status = pool_takes(pool);
    if (status == 0) {
        skui_source_expect(&pool->source, 1);
        pool->submitted++;
        pool->waiting++;
        skui_process_enqueue(pool, job);
        skui_process_pump(pool, &after);
        if (pool->waiting > pool->waiting_most) {
            pool->waiting_most = pool->waiting;
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
    skui_process_do_after(pool, &after);
    return status;
}

static int pool_submit(void *self, skua_job *future)
{
    struct skui_process_pool *pool = self;
    struct skui_job *job = skui_job_of(future);
    int status = pool_check(pool, job);

    if (status == 0) {
        status = pool_enter(pool);
    }
    if (status < 0) {
        return status;
    }
    status = pool_accept(pool, job);
    if (status < 0) {
        skui_room_leave(&pool->room);
    }
    return status;
}

static void pool_get_stats(void *self, skua_executor_stats *out_stats)
{
    struct skui_process_pool *pool = self;

    (void)pthread_mutex_lock(&pool->lock);
    *out_stats = (skua_executor_stats){
        .submitted = pool->submitted,
        .queued = (int64_t)pool->waiting,
        .queued_most = (int64_t)pool->waiting_most,
        .rejected = skui_room_rejected(&pool->room),
        .restarted = pool->restarted,
        .max_workers = pool->options.given.max_workers,
        .workers = (int)pool->count,
    };
    for (uint32_t i = 0; i < pool->count; i++) {
        out_stats->idle += pool->workers[i]->load == 0 ? 1 : 0;
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

/* --- its end --- */

static void pool_close_descriptors(struct skui_process_pool *pool)
{
    const int descriptors[] = {pool->epoll, pool->event};

    if (pool->link >= 0) {
        skui_fork_server_unlink(pool->link);
    }
    for (unsigned i = 0; i < 2; i++) {
        if (descriptors[i] >= 0) {
            (void)close(descriptors[i]);
        }
    }
}

/* Keep it for the next one. */
static void pool_free(struct skui_process_pool *pool)
{
    pool_close_descriptors(pool);
    skui_release(pool->initializer_data);
    skui_release(pool->workers);
    skui_spinlock_lock(&free_lock);
    pool->next_free = free_pools;
    free_pools = pool;
    skui_spinlock_unlock(&free_lock);
}

static void pool_join(void *self)
{
    struct skui_process_pool *pool = self;
    bool joins;

    (void)pthread_mutex_lock(&pool->lock);
    joins = !pool->joined;
    pool->joined = true;
    (void)pthread_mutex_unlock(&pool->lock);
    if (joins) {
        (void)pthread_join(pool->keeper, NULL);
    }
}

static void pool_release(void *self)
{
    struct skui_process_pool *pool = self;

    if (pthread_equal(pool->keeper, pthread_self()) != 0) {
        if (!pool->joined) {
            (void)pthread_detach(pool->keeper);
        }
    } else {
        pool_join(pool);
    }
    pool_free(pool);
}

const skua_executor_type skui_process_pool_type = {
    .name = "process pool",
    .submit = pool_submit,
    .shutdown = skui_process_shutdown,
    .release = pool_release,
    .stop = skui_process_stop,
    .get_stats = pool_get_stats,
    .join = pool_join,
};

/* --- making one --- */

static bool options_are_good(const skua_process_pool_options *options)
{
    return options->max_workers >= 0 && options->max_workers <= MAX_WORKERS &&
           (options->initializer_data != NULL ||
            options->initializer_bytes == 0) &&
           options->restart <= SKUA_RESTART_ALWAYS &&
           options->max_attempts >= 0 && options->restart_delay_ns >= 0 &&
           options->restart_delay_max_ns >= 0 &&
           options->ring_bytes <= SKUI_CHANNEL_RING_MOST &&
           options->prefetch >= 0 && options->prefetch < SKUI_PROCESS_SLOTS;
}

static size_t round_up_ring(size_t bytes)
{
    size_t rounded = SKUI_CHANNEL_RING_LEAST;

    while (rounded < bytes) {
        rounded *= 2;
    }
    return rounded;
}

static int64_t or_else(int64_t given, int64_t otherwise)
{
    return given == 0 ? otherwise : given;
}

static void pool_set_options(struct skui_process_pool *pool,
                             const skua_process_pool_options *options)
{
    skua_process_pool_options *given = &pool->options.given;

    *given = *options;
    given->max_workers =
        (int)or_else(given->max_workers, (int64_t)skui_usable_cores());
    given->max_attempts = (int)or_else(given->max_attempts, 1);
    given->restart_delay_ns = or_else(given->restart_delay_ns, 10 * SKUA_MS);
    given->restart_delay_max_ns =
        or_else(given->restart_delay_max_ns, 5 * SKUA_S);
    given->ring_bytes =
        round_up_ring(given->ring_bytes == 0 ? RING_BYTES : given->ring_bytes);
    given->max_message_bytes =
        (size_t)or_else((int64_t)given->max_message_bytes, INT64_C(1) << 30);
    given->prefetch = (int)or_else(given->prefetch, PREFETCH);
    pool->delay_ns = given->restart_delay_ns;
}

static int pool_set_initializer(struct skui_process_pool *pool,
                                const skua_process_pool_options *options)
{
    const struct skui_function *initializer = NULL;

    if (options->initializer == NULL) {
        return 0;
    }
    initializer = skui_function_find(options->initializer);
    if (initializer == NULL || initializer->index >= pool->options.functions) {
        return -ENOENT;
    }
    pool->options.initializer = initializer->index;
    pool->initializer_data = skui_allocate(options->initializer_bytes + 1);
    if (pool->initializer_data == NULL) {
        return -ENOMEM;
    }
    if (options->initializer_bytes > 0) {
        memcpy(pool->initializer_data, options->initializer_data,
               options->initializer_bytes);
    }
    return 0;
}

static bool pool_watch(const struct skui_process_pool *pool, const int *what)
{
    struct epoll_event event = {.events = EPOLLIN,
                                .data = {.ptr = (void *)what}};

    return epoll_ctl(pool->epoll, EPOLL_CTL_ADD, *what, &event) == 0;
}

static int pool_open_descriptors(struct skui_process_pool *pool)
{
    int status = skui_fork_server_link(&pool->link);

    if (status < 0) {
        return status;
    }
    pool->epoll = epoll_create1(EPOLL_CLOEXEC);
    pool->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return pool->epoll < 0 || pool->event < 0 ||
                   !pool_watch(pool, &pool->link) ||
                   !pool_watch(pool, &pool->event)
               ? -errno
               : 0;
}

/* One that is all-zero but for its lock; NULL when memory is short. */
static struct skui_process_pool *pool_make(void)
{
    const size_t head = offsetof(struct skui_process_pool, next_free);
    struct skui_process_pool *pool;

    skui_spinlock_lock(&free_lock);
    pool = free_pools;
    if (pool != NULL) {
        free_pools = pool->next_free;
    }
    skui_spinlock_unlock(&free_lock);
    if (pool == NULL) {
        pool = skui_allocate_aligned(sizeof(*pool));
        if (pool == NULL) {
            return NULL;
        }
        (void)pthread_mutex_init(&pool->lock, NULL);
        pool->fork_generation = skui_fork_generation();
    } else {
        (void)pthread_mutex_lock(&pool->lock);
        memset((char *)pool + head, 0, sizeof(*pool) - head);
        (void)pthread_mutex_unlock(&pool->lock);
    }
    pool->link = -1;
    pool->epoll = -1;
    pool->event = -1;
    pool->last = &pool->first;
    return pool;
}

/* Its source and its thread. */
static int pool_start(struct skui_process_pool *pool)
{
    int status;

    skui_source_register(&pool->source, &skui_process_source_ops);
    status = skui_thread_start(&pool->keeper, skui_process_keep, pool);
    if (status < 0) {
        skui_source_unregister(&pool->source);
    }
    return status;
}

static int pool_init(struct skui_process_pool *pool,
                     const skua_process_pool_options *options)
{
    int status;

    pool_set_options(pool, options);
    status = skui_room_init(&pool->room, options->policy, options->max_queued,
                            (size_t)pool->options.given.max_workers);
    if (status == 0) {
        status = pool_open_descriptors(pool);
    }
    pool->options.functions = skui_fork_server_functions();
    if (status == 0) {
        status = pool_set_initializer(pool, options);
    }
    if (status < 0) {
        return status;
    }
    pool->workers = skui_allocate((size_t)pool->options.given.max_workers *
                                  sizeof(struct skui_process_worker *));
    return pool->workers == NULL ? -ENOMEM : 0;
}

/* The end of one that nobody has got yet. */
static void pool_give_up(struct skui_process_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    pool->closed = true;
    (void)pthread_mutex_unlock(&pool->lock);
    skui_process_wake(pool);
    pool_join(pool);
}

int skua_process_pool_executor_new(const skua_process_pool_options *options,
                                   skua_executor **out_executor)
{
    static const skua_process_pool_options defaults;
    struct skui_process_pool *pool;
    skua_executor *executor = NULL;
    int status;

    skui_runtime_init();
    options = options == NULL ? &defaults : options;
    if (out_executor == NULL || !options_are_good(options)) {
        return -EINVAL;
    }
    pool = pool_make();
    if (pool == NULL) {
        return -ENOMEM;
    }
    status = pool_init(pool, options);
    if (status == 0) {
        status = pool_start(pool);
    }
    if (status == 0) {
        status = skui_executor_make(&skui_process_pool_type, pool, &executor);
        if (status < 0) {
            pool_give_up(pool);
        }
    }
    if (status != 0) {
        pool_free(pool);
        return status;
    }
    executor->takes_functions = false;
    executor->shares_buffers = true;
    executor->report = skui_process_report;
    (void)pthread_mutex_lock(&pool->lock);
    pool->executor = executor;
    (void)pthread_mutex_unlock(&pool->lock);
    *out_executor = executor;
    return 0;
}

void skui_process_pools_after_fork(void)
{
    skui_spinlock_unlock(&free_lock);
    free_pools = NULL; /* the parent's threads may have held their locks */
}
