/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_fill.c - getting and submitting the work of a map.
 * Threads     That which uses the map.
 * Invariants  A piece, or a chunk, that could not be submitted because the task
 *             was cancelled is kept, and submitted by the next call.
 * Rejected    Losing the results before a failed submission, as
 *             concurrent.futures does: what was run at a cost is given.
 */
#include "map.h"

#include <errno.h>
#include <stdio.h>

#include "../future.h"

static int map_call_source(void *arg)
{
    struct skua_map *map = arg;

    return map->next(map->arg, &map->staged);
}

/*
 * Have a piece of work in `staged`. 1; 0: the source has ended; SKUA_ECANCELED:
 * the task was cancelled in it, and it is called again.
 */
static int map_stage(struct skua_map *map)
{
    struct skui_outcome outcome;

    if (map->has_staged || map->source_ended) {
        return map->has_staged;
    }
    map->staged = (skua_work){0};
    map->in_source = true;
    skui_outcome_capture(skui_frame_current(), map_call_source, map, &outcome);
    map->in_source = false;
    if (outcome.status == SKUA_ECANCELED) {
        skua_exception_unref(outcome.exception);
        return SKUA_ECANCELED;
    }
    map->has_staged = outcome.status > 0;
    if (!map->has_staged) {
        skui_map_end_source(map);
        skui_map_set_failure(map, outcome.status, outcome.exception);
    }
    return map->has_staged;
}

/* What the next job is submitted with. */
static const skua_submit_options *map_submit_options(struct skua_map *map)
{
    if (map->key != NULL) {
        (void)snprintf(map->key_buffer + map->key_bytes, SKUI_MAP_KEY_BYTES,
                       ".%zu", map->submitted);
        map->submit.key = map->key_buffer;
    }
    return map->submits_plainly ? NULL : &map->submit;
}

/* Whether submitting failed because the task was cancelled, not the work. */
static bool map_was_interrupted(const struct skua_map *map, int status)
{
    return status == SKUA_ECANCELED &&
           !skua_cancel_token_is_cancelled(map->submit.token);
}

static int map_submit_piece(struct skua_map *map)
{
    skua_future *future;
    int status = skua_executor_submit_work(map->executor, &map->staged,
                                           map_submit_options(map), &future);

    if (status == 0) {
        map->has_staged = false;
        skui_map_push(map, future, NULL);
    }
    return status;
}

/*
 * Collect pieces until there are enough, or one of another kind comes. What
 * fails here comes after those that are collected. 0 or SKUA_ECANCELED.
 */
static int map_collect(struct skua_map *map)
{
    int status = 0;

    while (status == 0 && skui_chunk_count(map->building) < map->chunksize) {
        status = map_stage(map);
        if (status <= 0 || !skui_chunk_takes(map->building, &map->staged)) {
            return status < 0 ? status : 0;
        }
        status = skui_chunk_add(map->building, &map->staged);
        map->has_staged = false;
    }
    if (status < 0) {
        skui_map_end_source(map);
        skui_map_set_failure(map, status, NULL);
    }
    return 0;
}

static int map_submit_chunk(struct skua_map *map)
{
    skua_future *future;
    int status = 0;

    if (map->building == NULL) {
        status = skui_chunk_new(&map->staged, map->executor->shares_buffers,
                                &map->building);
    }
    if (status == 0) {
        status = map_collect(map);
    }
    if (status < 0) {
        return status;
    }
    if (skui_chunk_count(map->building) == 0) {
        skui_chunk_drop(map->building);
        map->building = NULL;
        return map->failure.status; /* there was no memory for the first */
    }
    status = skui_chunk_submit(map->building, map->executor,
                               map_submit_options(map), &future);
    if (status == 0) {
        skui_map_push(map, future, map->building);
        map->building = NULL;
    }
    return status;
}

/* Submit one more job. SKUA_ECANCELED: the task was cancelled meanwhile. */
static int map_submit(struct skua_map *map)
{
    int status = skui_map_reserve(map);

    if (status == 0) {
        status =
            map->chunksize > 1 ? map_submit_chunk(map) : map_submit_piece(map);
    }
    if (status == 0) {
        map->submitted++;
    } else if (!map_was_interrupted(map, status)) {
        skui_map_end_source(map);
        skui_map_set_failure(map, status, NULL);
        skui_chunk_drop(map->building);
        map->building = NULL;
        status = 0;
    }
    return status;
}

int skui_map_fill(struct skua_map *map, size_t limit)
{
    int status = 0;

    while (status == 0 && map->count < limit) {
        if (map->building == NULL) {
            status = map_stage(map);
            if (status <= 0) {
                break;
            }
        }
        status = map_submit(map);
    }
    if (map->source_ended && !map->has_staged && map->building == NULL) {
        skua_executor_unref(map->executor);
        map->executor = NULL;
    }
    return status;
}
