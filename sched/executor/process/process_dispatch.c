/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_dispatch.c - which worker gets what, and how work is taken back.
 * Threads     Any, under the pool's lock; jobs are completed without it, since
 *             that calls the program's functions.
 * Invariants  See process_pool.h. A slot's job is RUNNING for its future and
 *             was sent with the slot's id. Work is sent in the order of the
 *             list.
 * Progress    Sending: a lock and a message in shared memory. It makes a system
 *             call when the worker sleeps, or the bytes lie in a memfd.
 * Rejected    One ring for all workers: one that dies between claiming and
 *             saying so would take the others with it. Sending only what a
 *             worker can start at once: a round trip for each job; what lies
 *             with a worker that is stuck is taken back instead.
 */
#include "process_pool.h"

#include <errno.h>
#include <signal.h>

#include "skua/time.h"

#include "../../memory.h"
#include "../buffer.h"

enum { LOOK_AT = 8 };

_Static_assert(SKUI_PROCESS_SLOTS == 1 << SKUI_PROCESS_SLOT_BITS,
               "an id's low bits are its slot");

/* job->where: in no slot, or which one, and in whose hands. */
enum { WHERE_NOWHERE, WHERE_QUEUED, WHERE_REVOKED, WHERE_SLOT };

/* --- the list --- */

void skui_process_enqueue(struct skui_process_pool *pool, struct skui_job *job)
{
    job->where = WHERE_QUEUED;
    job->next = NULL;
    *pool->last = job;
    pool->last = &job->next;
    pool->queued++;
}

void skui_process_enqueue_front(struct skui_process_pool *pool,
                                struct skui_job *job)
{
    job->where = WHERE_QUEUED;
    job->next = pool->first;
    if (pool->first == NULL) {
        pool->last = &job->next;
    }
    pool->first = job;
    pool->queued++;
}

static struct skui_job *queue_pop(struct skui_process_pool *pool)
{
    struct skui_job *job = pool->first;

    pool->first = job->next;
    if (pool->first == NULL) {
        pool->last = &pool->first;
    }
    pool->queued--;
    return job;
}

/* --- slots --- */

static void idle_add(struct skui_process_worker *worker)
{
    struct skui_process_pool *pool = worker->pool;

    if (worker->idle_link != NULL || worker->leaving) {
        return;
    }
    worker->idle_next = pool->idle;
    worker->idle_link = &pool->idle;
    if (pool->idle != NULL) {
        pool->idle->idle_link = &worker->idle_next;
    }
    pool->idle = worker;
}

static void idle_remove(struct skui_process_worker *worker)
{
    if (worker->idle_link == NULL) {
        return;
    }
    *worker->idle_link = worker->idle_next;
    if (worker->idle_next != NULL) {
        worker->idle_next->idle_link = worker->idle_link;
    }
    worker->idle_link = NULL;
}

void skui_process_welcome(struct skui_process_worker *worker)
{
    idle_add(worker);
}

void skui_process_retire(struct skui_process_worker *worker)
{
    worker->leaving = true;
    idle_remove(worker);
}

static bool worker_has_room(const struct skui_process_worker *worker)
{
    const skua_process_pool_options *given = &worker->pool->options.given;

    return !worker->leaving && !worker->full && worker->free_count > 0 &&
           worker->load < (uint32_t)given->prefetch &&
           (given->max_tasks_per_child == 0 ||
            worker->assigned < given->max_tasks_per_child);
}

/* A job is out of a slot; true: the worker has none now. */
static bool slot_free(struct skui_process_worker *worker, unsigned slot)
{
    worker->slots[slot].job->where = WHERE_NOWHERE;
    worker->slots[slot].job = NULL;
    worker->free_slots[worker->free_count++] = (uint8_t)slot;
    worker->full = false;
    worker->load--;
    if (worker->load == 1) {
        worker->pool->crowded--;
    } else if (worker->load == 0) {
        idle_add(worker);
    }
    return worker->load == 0;
}

struct skui_job *skui_process_take(struct skui_process_worker *worker,
                                   uint64_t id,
                                   struct skui_process_after *after)
{
    unsigned slot = (unsigned)(id % SKUI_PROCESS_SLOTS);
    struct skui_job *job = worker->slots[slot].job;

    if (job == NULL || worker->slots[slot].id != id) {
        return NULL;
    }
    worker->pool->waiting -= slot_free(worker, slot) ? 0 : 1;
    after->ended++;
    return job;
}

/* --- taking back --- */

/* If it was not started; then it is in no slot any more. */
static bool worker_revoke(struct skui_process_worker *worker, unsigned slot,
                          bool *out_idle)
{
    if (!skui_channel_revoke(&worker->channel, worker->slots[slot].id)) {
        return false;
    }
    worker->assigned--;
    *out_idle = slot_free(worker, slot);
    return true;
}

int skui_process_youngest(const struct skui_process_worker *worker,
                          uint64_t limit)
{
    int found = -1;

    for (int i = 0; i < SKUI_PROCESS_SLOTS; i++) {
        if (worker->slots[i].job != NULL && worker->slots[i].id < limit &&
            (found < 0 || worker->slots[i].id > worker->slots[found].id)) {
            found = i;
        }
    }
    return found;
}

void skui_process_recall(struct skui_process_worker *worker)
{
    uint64_t limit = UINT64_MAX;
    int slot;

    /* Youngest first, so that the oldest comes to be in front. */
    while ((slot = skui_process_youngest(worker, limit)) >= 0) {
        struct skui_job *job = worker->slots[slot].job;
        bool idle;

        limit = worker->slots[slot].id;
        if (worker_revoke(worker, (unsigned)slot, &idle)) {
            skui_process_enqueue_front(worker->pool, job);
            worker->pool->waiting += idle ? 1 : 0;
        }
    }
}

/* Locked. */
static bool pool_revoke(struct skui_process_pool *pool, struct skui_job *job,
                        struct skui_process_after *after)
{
    struct skui_process_worker *worker = job->holder;
    bool idle;

    if (job->where == WHERE_QUEUED) {
        /* The list keeps a reference of its own. */
        job->where = WHERE_REVOKED;
        (void)skua_future_ref(&job->future);
        return true;
    }
    if (job->where < WHERE_SLOT ||
        !worker_revoke(worker, job->where - WHERE_SLOT, &idle)) {
        return false;
    }
    pool->waiting -= idle ? 0 : 1;
    after->ended++;
    skui_source_settle(&pool->source, 1);
    skui_process_pump(pool, after);
    return true;
}

bool skui_process_revoke(struct skui_job *job)
{
    /* Its memory is never given back, and `where` is 0 when the job is not the
     * pool's any more. */
    struct skui_process_pool *pool = job->place;
    struct skui_process_after after = {0};
    bool revoked;

    /* A forked child shares the channels: it would take the work away from its
     * parent. */
    if (pool->fork_generation != skui_fork_generation()) {
        return false;
    }
    (void)pthread_mutex_lock(&pool->lock);
    revoked = pool_revoke(pool, job, &after);
    if (revoked) {
        skui_executor_hold(pool->executor);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    if (revoked) {
        skua_executor *executor = pool->executor;

        skui_process_do_after(pool, &after);
        skui_executor_drop(executor);
    }
    return revoked;
}

void skui_process_stop(void *self, skua_job *future)
{
    struct skui_process_pool *pool = self;
    struct skui_job *job = skui_job_of(future);

    (void)pthread_mutex_lock(&pool->lock);
    if (job->where >= WHERE_SLOT) {
        struct skui_process_worker *worker = job->holder;

        skui_channel_stop(&worker->channel,
                          worker->slots[job->where - WHERE_SLOT].id);
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

/* --- sending --- */

static int worker_send(struct skui_process_worker *worker, struct skui_job *job)
{
    unsigned slot = worker->free_slots[worker->free_count - 1];
    struct skui_message message = {
        .id = (worker->sent + 1) << SKUI_PROCESS_SLOT_BITS | slot,
        .bytes = job->work.bytes,
        .function = job->function->index,
        .kind = SKUI_MESSAGE_CALL,
        .deadline_ns = job->options.deadline_ns,
        .data = job->work.data,
        .fd = job->work.buffer == NULL ? -1 : skui_buffer_fd(job->work.buffer),
    };
    int status = skui_channel_request(&worker->channel, &message);

    if (status < 0) {
        return status;
    }
    worker->sent++;
    worker->assigned++;
    worker->free_count--;
    worker->slots[slot].id = message.id;
    worker->slots[slot].job = job;
    job->where = WHERE_SLOT + slot;
    job->holder = worker;
    worker->load++;
    if (worker->load == 1) {
        idle_remove(worker);
        worker->pool->waiting--;
    } else if (worker->load == 2) {
        worker->pool->crowded++;
    }
    return 0;
}

/* Make it RUNNING for its future; false: it was cancelled. */
static bool job_begin(struct skui_job *job)
{
    if (!job->started) {
        job->started = skui_future_set_running(&job->future);
    }
    return job->started;
}

/* What was taken from the list is not sent: it goes to one of `after`. */
static void queue_drop(struct skui_process_pool *pool, struct skui_job *job,
                       struct skui_job **list, struct skui_process_after *after)
{
    job->where = WHERE_NOWHERE;
    job->next = *list;
    *list = job;
    pool->waiting--;
    after->ended++;
    skui_source_settle(&pool->source, 1);
}

/* The first of the list, for `worker`. */
static void pool_send_first(struct skui_process_pool *pool,
                            struct skui_process_worker *worker,
                            struct skui_process_after *after)
{
    struct skui_job *job = queue_pop(pool);
    int status;

    if (job->where == WHERE_REVOKED || !job_begin(job)) {
        queue_drop(pool, job,
                   job->where == WHERE_REVOKED ? &after->revoked
                                               : &after->dropped,
                   after);
        return;
    }
    status = worker_send(worker, job);
    if (status == 0) {
        return;
    }
    if (status == -EPIPE || status == -EPROTO) {
        /* It is dead, or will be: it has written over the channel. */
        skui_process_retire(worker);
        worker->kill_signal = SIGKILL;
        after->wake = true;
    } else if (status == -EAGAIN || worker->load > 0) {
        /* The ring is full, maybe of calls that were taken back, or memory or
         * descriptors are short: later. */
        worker->full = true;
        pool->stalled = true;
        after->wake = true;
    } else {
        after->unsent_status = status;
        queue_drop(pool, job, &after->unsent, after);
        return;
    }
    skui_process_enqueue_front(pool, job);
}

void skui_process_try_again(struct skui_process_pool *pool,
                            struct skui_process_after *after)
{
    pool->stalled = false;
    for (uint32_t i = 0; i < pool->count; i++) {
        struct skui_process_worker *worker = pool->workers[i];

        worker->full = false;
        if (worker->load == 0) {
            idle_add(worker);
        }
    }
    skui_process_pump(pool, after);
}

/* --- whom --- */

static bool pool_may_start(const struct skui_process_pool *pool)
{
    return pool->count + pool->ordering <
               (uint32_t)pool->options.given.max_workers &&
           !pool->broken && pool->start_at_ns == 0;
}

bool skui_process_is_uneven(const struct skui_process_pool *pool)
{
    return pool->crowded > 0 && (pool->idle != NULL || pool_may_start(pool));
}

/* The one with least work, of a few. */
static struct skui_process_worker *pool_least(struct skui_process_pool *pool)
{
    struct skui_process_worker *least = NULL;

    for (uint32_t i = 0; i < pool->count && i < LOOK_AT; i++) {
        struct skui_process_worker *worker =
            pool->workers[(pool->cursor + i) % pool->count];

        if (worker_has_room(worker) &&
            (least == NULL || worker->load < least->load)) {
            least = worker;
        }
    }
    pool->cursor += LOOK_AT;
    return least;
}

/* Have workers started for what waits. */
static void pool_grow(struct skui_process_pool *pool,
                      struct skui_process_after *after)
{
    while (pool->ordering < pool->queued && pool_may_start(pool)) {
        pool->ordering++;
        after->wake = true;
    }
}

/* Who gets the first of the list; NULL: it waits. */
static struct skui_process_worker *pool_choose(struct skui_process_pool *pool,
                                               struct skui_process_after *after)
{
    while (pool->idle != NULL) {
        if (worker_has_room(pool->idle)) {
            return pool->idle;
        }
        idle_remove(pool->idle); /* it is about to leave */
    }
    pool_grow(pool, after);
    /* What is left is for those that are being started. */
    return pool->queued <= pool->ordering ? NULL : pool_least(pool);
}

void skui_process_pump(struct skui_process_pool *pool,
                       struct skui_process_after *after)
{
    while (pool->first != NULL && !pool->broken) {
        struct skui_process_worker *worker = pool_choose(pool, after);

        if (worker == NULL) {
            break;
        }
        pool_send_first(pool, worker, after);
    }
    if (!pool->uneven && skui_process_is_uneven(pool)) {
        pool->uneven = true;
        after->wake = true;
    }
}

void skui_process_drop_queue(struct skui_process_pool *pool,
                             struct skui_process_after *after)
{
    while (pool->first != NULL) {
        struct skui_job *job = queue_pop(pool);

        queue_drop(pool, job,
                   job->where == WHERE_REVOKED ? &after->revoked
                                               : &after->failed,
                   after);
    }
}

/* False: its ring is full, of calls that were taken back. */
static bool worker_tell_to_quit(struct skui_process_worker *worker)
{
    const struct skui_message quit = {.kind = SKUI_MESSAGE_QUIT, .fd = -1};

    if (!worker->told_to_quit) {
        worker->told_to_quit =
            skui_channel_request(&worker->channel, &quit) != -EAGAIN;
    }
    return worker->told_to_quit;
}

/* A signal may not have ended them. */
static bool pool_quit_all(struct skui_process_pool *pool)
{
    bool told = true;

    for (uint32_t i = 0; i < pool->count; i++) {
        told = worker_tell_to_quit(pool->workers[i]) && told;
    }
    return told;
}

static bool pool_quit_idle(struct skui_process_pool *pool)
{
    while (pool->idle != NULL) {
        struct skui_process_worker *worker = pool->idle;

        if (!worker_tell_to_quit(worker)) {
            return false;
        }
        skui_process_retire(worker);
    }
    return true;
}

void skui_process_quit_idle(struct skui_process_pool *pool,
                            struct skui_process_after *after)
{
    bool told = true;

    if (pool->broken) {
        told = pool_quit_all(pool);
    } else if (pool->closed && pool->queued == 0 && pool->ordering == 0 &&
               pool->crowded == 0) {
        told = pool_quit_idle(pool);
    }
    if (!told) {
        pool->stalled = true;
        after->wake = true;
    }
}

/* --- without the lock --- */

static void after_fail_list(struct skui_job *first, int status,
                            const char *message)
{
    struct skui_job *next;

    for (struct skui_job *job = first; job != NULL; job = next) {
        next = job->next;
        if (status == SKUA_ECANCELED) {
            skui_job_cancel_taken(job, NULL);
        } else {
            skua_job_fail(&job->future, status, message);
        }
    }
}

void skui_process_do_after(struct skui_process_pool *pool,
                           struct skui_process_after *after)
{
    struct skui_job *next;

    if (after->closes != 0) {
        skui_room_close(&pool->room, after->closes);
    }
    for (; after->ended > 0; after->ended--) {
        skui_room_leave(&pool->room);
    }
    if (after->wake) {
        skui_process_wake(pool);
    }
    for (struct skui_job *job = after->dropped; job != NULL; job = next) {
        next = job->next;
        skua_job_discard(&job->future);
    }
    for (struct skui_job *job = after->revoked; job != NULL; job = next) {
        next = job->next;
        skua_future_unref(&job->future);
    }
    after_fail_list(after->failed, after->status,
                    after->message[0] == '\0' ? NULL : after->message);
    after_fail_list(after->unsent, after->unsent_status,
                    "it could not be sent to a worker");
}
