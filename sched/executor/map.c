/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.c - the results of a map, and its end.
 * Threads     One at a time uses a map; the work runs wherever it runs.
 * Invariants  `jobs` is a ring of what was submitted and not begun to be taken,
 *             oldest first; once the map has ended, of what may run still.
 *             `failure` comes after the results of all that.
 * Ordering    That of the futures (FU1).
 * Rejected    Waiting with skua_await(): a task that is cancelled there cancels
 *             what it waits for, and could not go on with the map.
 */
#include "map.h"

#include <errno.h>

#include "skua/buffer.h"

#include "../future.h"
#include "../memory.h"
#include "../wait.h"

enum { FIRST_JOBS = 16 };

/* --- jobs --- */

static void job_drop(struct skui_map_job *job)
{
    skua_future_unref(job->future);
    skui_chunk_drop(job->chunk);
    *job = (struct skui_map_job){NULL, NULL};
}

/* The `index`-th oldest; capacities are powers of two. */
static struct skui_map_job *map_job(struct skua_map *map, size_t index)
{
    return &map->jobs[(map->first + index) & (map->capacity - 1)];
}

static struct skui_map_job map_pop(struct skua_map *map)
{
    struct skui_map_job job = *map_job(map, 0);

    map->first++;
    map->count--;
    return job;
}

void skui_map_push(struct skua_map *map, skua_future *future,
                   struct skui_chunk *chunk)
{
    *map_job(map, map->count++) = (struct skui_map_job){future, chunk};
}

int skui_map_reserve(struct skua_map *map)
{
    size_t capacity = map->capacity == 0 ? FIRST_JOBS : map->capacity * 2;
    struct skui_map_job *jobs;

    if (map->count < map->capacity) {
        return 0;
    }
    jobs = capacity > SIZE_MAX / sizeof(*jobs)
               ? NULL
               : skui_allocate(capacity * sizeof(*jobs));
    if (jobs == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < map->count; i++) {
        jobs[i] = *map_job(map, i);
    }
    skui_release(map->jobs);
    map->jobs = jobs;
    map->capacity = capacity;
    map->first = 0;
    return 0;
}

/* --- the end --- */

void skui_map_end_source(struct skua_map *map)
{
    map->source_ended = true;
    map->has_staged = false;
}

void skui_map_set_failure(struct skua_map *map, int status,
                          skua_exception *exception)
{
    skua_exception_unref(map->failure.exception);
    map->failure = (struct skui_outcome){status, NULL, exception};
}

void skui_map_end(struct skua_map *map)
{
    size_t count = map->count;

    skui_map_set_failure(map, 0, NULL);
    if (map->ended) {
        return;
    }
    map->ended = true;
    skui_map_end_source(map);
    skui_chunk_drop(map->building);
    map->building = NULL;
    if (map->stop != NULL) {
        (void)skua_cancel_token_cancel(map->stop);
    }
    for (size_t i = 0; i < count; i++) {
        struct skui_map_job job = map_pop(map);

        (void)skua_future_cancel(job.future);
        if (skui_future_is_done(job.future)) {
            job_drop(&job);
        } else {
            skui_map_push(map, job.future, job.chunk);
        }
    }
    skua_executor_unref(map->executor);
    map->executor = NULL;
}

void skui_map_free(struct skua_map *map)
{
    while (map->count > 0) {
        struct skui_map_job job = map_pop(map);

        job_drop(&job);
    }
    job_drop(&map->current);
    skui_map_set_failure(map, 0, NULL);
    skui_chunk_drop(map->building);
    skua_executor_unref(map->executor);
    skua_cancel_token_unref(map->stop);
    skua_cancel_token_unref(map->submit.token);
    skui_release(map->key_buffer);
    skui_release(map->array.copy);
    skui_release(map->jobs);
    skui_release(map);
}

int skui_map_give_failure(struct skua_map *map)
{
    struct skui_outcome failure = map->failure;

    map->failure.exception = NULL;
    skui_map_end(map);
    return failure.status == 0 ? 0 : skui_outcome_deliver(&failure, NULL);
}

/* --- taking results --- */

static int map_check(const struct skua_map *map)
{
    if (map == NULL) {
        return -EINVAL;
    }
    if (map->fork_generation != skui_fork_generation()) {
        return SKUA_EFORKED;
    }
    return map->in_source ? SKUA_EINVALSTATE : 0;
}

/* What pieces have failed with that their job has not begun. */
static int map_stopped(const struct skua_map *map)
{
    return skua_cancel_token_is_cancelled(map->submit.token) ? SKUA_ECANCELED
                                                             : -ETIMEDOUT;
}

static void map_take(struct skua_map *map, struct skui_piece_outcome *out)
{
    skua_future *future = map->current.future;

    if (map->current.chunk != NULL) {
        skui_chunk_take(map->current.chunk, future, map_stopped(map), out);
        return;
    }
    *out = (struct skui_piece_outcome){{0, NULL, NULL}, NULL, 0};
    skui_future_read(future, &out->outcome);
    if (out->outcome.status >= 0) {
        /* -EINVAL for a function of this process: it has no bytes. */
        (void)skua_future_bytes(future, &out->data, &out->bytes);
    }
}

/* The next result of the current job. */
static int map_give(struct skua_map *map, void **out_result)
{
    static const uint64_t nothing;
    struct skui_piece_outcome piece;

    map_take(map, &piece);
    map->left--;
    if (piece.outcome.status < 0) {
        skui_map_end(map);
        return skui_outcome_deliver(&piece.outcome, NULL);
    }
    map->has_last = true;
    map->last_status = piece.outcome.status;
    map->last_data = piece.data == NULL ? &nothing : piece.data;
    map->last_bytes = piece.bytes;
    (void)skui_outcome_deliver(&piece.outcome, out_result);
    return 1;
}

/* 0 once the job is done. It is left alone in every case. */
static int job_wait(const struct skui_map_job *job, int64_t deadline_ns)
{
    return skui_future_is_done(job->future)
               ? skui_task_spend_budget()
               : skui_future_wait_done(job->future, deadline_ns);
}

/* Have a current job with pieces left. 1; 0 or negative: there is none. */
static int map_advance(struct skua_map *map)
{
    size_t limit = map->buffersize == SIZE_MAX ? SIZE_MAX : map->buffersize + 1;
    int status = map->executor == NULL ? 0 : skui_map_fill(map, limit);

    if (status < 0) {
        return status;
    }
    if (map->ended || map->count == 0) {
        return skui_map_give_failure(map);
    }
    status = job_wait(map_job(map, 0), map->deadline_ns);
    if (status == -ETIMEDOUT) {
        skui_map_end(map);
    }
    if (status < 0) {
        return status;
    }
    map->current = map_pop(map);
    map->left =
        map->current.chunk == NULL ? 1 : skui_chunk_count(map->current.chunk);
    return 1;
}

int skua_map_next(skua_map *map, void **out_result)
{
    int status = map_check(map);

    if (status < 0) {
        return status;
    }
    map->has_last = false;
    if (map->ended || map->left == 0) {
        job_drop(&map->current);
        status = map_advance(map);
        if (status <= 0) {
            return status;
        }
    }
    return map_give(map, out_result);
}

int skua_map_bytes(skua_map *map, const void **out_data, size_t *out_bytes)
{
    int status =
        out_data == NULL || out_bytes == NULL ? -EINVAL : map_check(map);

    if (status < 0) {
        return status;
    }
    if (!map->has_last) {
        return SKUA_EINVALSTATE;
    }
    *out_data = map->last_data;
    *out_bytes = map->last_bytes;
    return map->last_status;
}

int skua_map_stop(skua_map *map, int64_t deadline_ns)
{
    int status = deadline_ns == SKUA_NOT_A_TIME ? -EINVAL : map_check(map);

    if (status < 0) {
        return status;
    }
    skui_map_end(map);
    while (status == 0 && map->count > 0) {
        status = job_wait(map_job(map, 0), deadline_ns);
        if (status == 0) {
            struct skui_map_job job = map_pop(map);

            job_drop(&job);
        }
    }
    return status;
}

void skua_map_close(skua_map *map)
{
    if (map == NULL) {
        return;
    }
    if (map->fork_generation == skui_fork_generation()) {
        skui_map_end(map);
    }
    skui_map_free(map);
}
