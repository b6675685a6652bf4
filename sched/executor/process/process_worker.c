/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_worker.c - making a worker, as its pool has it.
 * Threads     The keeper.
 * Invariants  A worker takes work from the moment that its channel is there,
 *             before its process is: what lies in the ring when that is forked
 *             is found there.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "process_pool.h"

#include "../../memory.h"

enum { SPIN_NS = 50000 };

/* Workers spin for calls on cores that nobody else wants. */
static int64_t worker_spin(const struct skui_process_pool *pool)
{
    return skui_executor_spare_cores((int)pool->count) > 0 ? SPIN_NS : 0;
}

static struct skui_process_worker *worker_make(struct skui_process_pool *pool)
{
    const struct skui_channel_options options = {
        .request_bytes = pool->options.given.ring_bytes,
        .reply_bytes = pool->options.given.ring_bytes,
        .spin_ns = worker_spin(pool),
        .reply_event = pool->event,
    };
    struct skui_process_worker *worker = skui_allocate_aligned(sizeof(*worker));
    int status;

    if (worker == NULL) {
        return NULL;
    }
    status = skui_channel_open(&worker->channel, &options);
    if (status < 0) {
        skui_release_aligned(worker);
        errno = -status;
        return NULL;
    }
    worker->pool = pool;
    worker->number = ++pool->numbers;
    worker->pidfd = -1;
    for (unsigned i = 0; i < SKUI_PROCESS_SLOTS - 1; i++) {
        worker->free_slots[i] = (uint8_t)(SKUI_PROCESS_SLOTS - 2 - i);
    }
    worker->free_count = SKUI_PROCESS_SLOTS - 1;
    return worker;
}

void skui_process_free_worker(struct skui_process_worker *worker)
{
    skui_channel_close(&worker->channel);
    if (worker->pidfd >= 0) {
        (void)close(worker->pidfd);
    }
    skui_release_aligned(worker);
}

/* Its first call, in the slot that no job has. */
static int worker_send_initializer(struct skui_process_worker *worker)
{
    const struct skui_process_pool *pool = worker->pool;
    const struct skui_message message = {
        .id = (uint64_t)1 << SKUI_PROCESS_SLOT_BITS | (SKUI_PROCESS_SLOTS - 1),
        .bytes = pool->options.given.initializer_bytes,
        .function = pool->options.initializer,
        .kind = SKUI_MESSAGE_CALL,
        .flags = SKUI_WORK_INITIALIZER,
        .data = pool->initializer_data,
        .fd = -1,
    };

    return pool->options.given.initializer == NULL
               ? 0
               : skui_channel_request(&worker->channel, &message);
}

/* To its pool, unless that does not want it any more; locked. */
static bool worker_join(struct skui_process_worker *worker,
                        struct skui_process_after *after)
{
    struct skui_process_pool *pool = worker->pool;

    if (pool->ordering == 0) {
        return false; /* it was broken, or backs off */
    }
    pool->ordering--;
    worker->index = pool->count;
    pool->workers[pool->count++] = worker;
    if (pool->unreplaced > 0) {
        pool->unreplaced--;
        pool->restarted++;
    }
    if (pool->armed) {
        skui_channel_arm(&worker->channel);
    }
    skui_process_welcome(worker);
    skui_process_pump(pool, after);
    return true;
}

int skui_process_add_worker(struct skui_process_pool *pool)
{
    struct skui_process_worker *worker;
    struct skui_process_after after = {0};
    bool joined;
    int status;

    errno = ENOMEM;
    worker = worker_make(pool);
    if (worker == NULL) {
        return -errno;
    }
    status = worker_send_initializer(worker);
    if (status < 0) {
        skui_process_free_worker(worker);
        return status;
    }
    (void)pthread_mutex_lock(&pool->lock);
    joined = worker_join(worker, &after);
    (void)pthread_mutex_unlock(&pool->lock);
    skui_process_do_after(pool, &after);
    if (!joined) {
        skui_process_free_worker(worker);
    }
    return 0;
}

int skui_process_order(struct skui_process_worker *worker)
{
    const struct skui_process_pool *pool = worker->pool;
    const skua_process_pool_options *given = &pool->options.given;
    const struct skui_fork_order order = {
        .id = worker->number,
        .worker = {.max_tasks = given->max_tasks_per_child,
                   .address_space_bytes = given->address_space_bytes,
                   .cpu_seconds = given->cpu_seconds,
                   .reply_limit = given->max_message_bytes,
                   .nice = given->nice,
                   .has_initializer = given->initializer != NULL},
    };
    struct skui_channel_fds fds;
    int status;

    skui_channel_worker_fds(&worker->channel, &fds);
    status = skui_fork_server_order(pool->link, &order,
                                    (const int[]){fds.memory, fds.request_event,
                                                  fds.reply_event, fds.socket},
                                    4);
    worker->ordered = status == 0;
    return status;
}
