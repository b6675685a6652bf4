/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_chunk.c - several pieces of work as one job, on the map's side.
 * Threads     See map_chunk.h.
 * Invariants  Functions of this process are kept as they are, and their
 *             outcomes beside them; of a registered function there is a message
 *             (map_pack.h), and the answer is one. The first kind is owned by
 *             the map and, from submitting until the job is done, by the job:
 *             the map may be closed while it runs.
 * Ordering    MP1: the last owner sees what the job wrote. FU1 (future.c): so
 *             does who finds the job done.
 * Rejected    Asking at the end whether the job runs still and leaving the
 *             memory to it then: a job that will never run looks the same.
 */
#include "map_chunk.h"

#include <errno.h>
#include <string.h>

#include "../future.h"
#include "../memory.h"
#include "function.h"
#include "job.h"
#include "map_pack.h"
#include "map_work.h"

enum { FIRST_PIECES = 16 };

struct chunk_piece {
    skua_task_fn *fn;
    void *arg;
    struct skui_outcome outcome; /* of those that were run */
};

struct skui_chunk {
    _Atomic(uint32_t) owners;             /* MP1: the map, and the job */
    const struct skui_function *function; /* NULL: of this process */
    size_t count;                         /* pieces */
    size_t taken;                         /* of which, by skui_chunk_take() */

    struct skui_pack pack;     /* the call, until it was submitted */
    struct skui_unpack unpack; /* what is left of the answer */

    struct chunk_piece *pieces;
    size_t capacity;            /* of `pieces` */
    size_t run;                 /* the job's: how many it has run */
    struct skui_waiter *waiter; /* drops the job's share; NULL: submitted */
};

/* --- life --- */

void skui_chunk_drop(struct skui_chunk *chunk)
{
    /* MP1 acq_rel: the last owner sees what the others did. */
    if (chunk == NULL || skui_fetch_sub_acq_rel(&chunk->owners, 1u) != 1) {
        return;
    }
    for (size_t i = chunk->taken; i < chunk->run; i++) {
        skua_exception_unref(chunk->pieces[i].outcome.exception);
    }
    if (chunk->waiter != NULL) {
        skui_waiter_free(chunk->waiter);
    }
    skui_pack_fini(&chunk->pack);
    skui_release(chunk->pieces);
    skui_release(chunk);
}

static void chunk_job_done(skua_future *future, void *arg)
{
    (void)future;
    skui_chunk_drop(arg);
}

/* As skua_executor_submit_work() finds it. */
static int work_check(const skua_work *work)
{
    if ((work->fn == NULL) == (work->name == NULL) ||
        (work->data == NULL && work->bytes > 0 && work->buffer == NULL)) {
        return -EINVAL;
    }
    return 0;
}

/* What its kind needs. */
static int chunk_init(struct skui_chunk *chunk, const skua_work *first,
                      bool may_share)
{
    if (first->name == NULL) {
        chunk->waiter =
            skui_waiter_make(SKUI_WAITER_INLINE, chunk_job_done, chunk);
        return chunk->waiter == NULL ? -ENOMEM : 0;
    }
    chunk->function = skui_function_find(first->name);
    if (chunk->function == NULL || skui_function_is_own(chunk->function)) {
        return -ENOENT;
    }
    chunk->pack.may_share = may_share;
    return skui_pack_begin(&chunk->pack, chunk->function->name);
}

int skui_chunk_new(const skua_work *first, bool may_share,
                   struct skui_chunk **out_chunk)
{
    int status = work_check(first);
    struct skui_chunk *chunk;

    if (status < 0) {
        return status;
    }
    chunk = skui_allocate_zeroed(sizeof(*chunk));
    if (chunk == NULL) {
        return -ENOMEM;
    }
    skui_store_relaxed(&chunk->owners, 1u); /* relaxed: not shared yet */
    status = chunk_init(chunk, first, may_share);
    if (status < 0) {
        skui_chunk_drop(chunk);
    } else {
        *out_chunk = chunk;
    }
    return status;
}

/* --- collecting pieces --- */

bool skui_chunk_takes(const struct skui_chunk *chunk, const skua_work *work)
{
    if (work_check(work) < 0) {
        return false;
    }
    return chunk->function == NULL
               ? work->name == NULL
               : work->name != NULL &&
                     strcmp(work->name, chunk->function->name) == 0;
}

size_t skui_chunk_count(const struct skui_chunk *chunk)
{
    return chunk->count;
}

static int chunk_add_named(struct skui_chunk *chunk, const skua_work *work)
{
    return work->buffer == NULL
               ? skui_pack_add(&chunk->pack, work->data, work->bytes)
               : skui_pack_add(&chunk->pack, skua_buffer_data(work->buffer),
                               skua_buffer_bytes(work->buffer));
}

static int chunk_add_function(struct skui_chunk *chunk, const skua_work *work)
{
    size_t capacity = chunk->capacity == 0 ? FIRST_PIECES : chunk->capacity * 2;
    struct chunk_piece *pieces = chunk->pieces;

    if (chunk->count == chunk->capacity) {
        pieces = capacity > SIZE_MAX / sizeof(*pieces)
                     ? NULL
                     : skui_resize(pieces, capacity * sizeof(*pieces));
        if (pieces == NULL) {
            return -ENOMEM;
        }
        chunk->pieces = pieces;
        chunk->capacity = capacity;
    }
    pieces[chunk->count].fn = work->fn;
    pieces[chunk->count].arg = work->arg;
    return 0;
}

int skui_chunk_add(struct skui_chunk *chunk, const skua_work *work)
{
    int status = chunk->function == NULL ? chunk_add_function(chunk, work)
                                         : chunk_add_named(chunk, work);

    chunk->count += status == 0 ? 1 : 0;
    return status;
}

/* --- the job --- */

/* In a worker: run the pieces until one fails or the job is to stop. */
static int chunk_run(void *arg)
{
    struct skui_chunk *chunk = arg;

    for (size_t i = 0; i < chunk->count; i++) {
        struct chunk_piece *piece = &chunk->pieces[i];

        if (i > 0 && skua_work_should_stop()) {
            break;
        }
        skui_outcome_capture(skui_frame_current(), piece->fn, piece->arg,
                             &piece->outcome);
        chunk->run = i + 1;
        if (piece->outcome.status < 0) {
            break;
        }
    }
    return 0;
}

static int chunk_submit_functions(struct skui_chunk *chunk,
                                  skua_executor *executor,
                                  const skua_submit_options *options,
                                  skua_future **out_future)
{
    const skua_work work = {.fn = chunk_run, .arg = chunk};
    struct skui_waiter *waiter = chunk->waiter;
    int status =
        skua_executor_submit_work(executor, &work, options, out_future);

    if (status < 0) {
        return status;
    }
    chunk->waiter = NULL;
    /* relaxed: the map has its share */
    (void)skui_fetch_add_relaxed(&chunk->owners, 1u);
    if (!skui_future_register(*out_future, waiter)) {
        skui_waiter_free(waiter); /* it is done already */
        skui_chunk_drop(chunk);
    }
    return status;
}

int skui_chunk_submit(struct skui_chunk *chunk, skua_executor *executor,
                      const skua_submit_options *options,
                      skua_future **out_future)
{
    skua_work work = {.name = SKUI_MAP_FUNCTION};
    int status;

    if (chunk->function == NULL) {
        return chunk_submit_functions(chunk, executor, options, out_future);
    }
    skui_pack_end(&chunk->pack);
    work.buffer = chunk->pack.buffer;
    status = skua_executor_submit_work(executor, &work, options, out_future);
    if (status >= 0) {
        skui_pack_fini(&chunk->pack);
    }
    return status;
}

/* --- what it gave --- */

static void chunk_take_function(struct skui_chunk *chunk, int stopped,
                                struct skui_piece_outcome *out)
{
    if (chunk->taken < chunk->run) {
        out->outcome = chunk->pieces[chunk->taken].outcome;
    } else {
        out->outcome.status = stopped;
    }
}

/* A failed piece, with the message that has come. */
static void outcome_set_failed(struct skui_outcome *outcome, int status,
                               const char *message, size_t bytes)
{
    int length = bytes < INT16_MAX ? (int)bytes : INT16_MAX;

    outcome->status = status;
    if (length > 0) { /* without memory the status goes alone */
        (void)skua_exception_new(&outcome->exception, status, "%.*s", length,
                                 message);
    }
}

/* The outcome that comes next in the answer. False: it makes no sense. */
static bool chunk_unpack(struct skui_chunk *chunk, int *out_status,
                         struct skui_piece_outcome *out)
{
    struct skui_unpack *unpack = &chunk->unpack;

    if (skui_unpack_outcome(unpack, out_status, &out->data, &out->bytes) < 0) {
        return false;
    }
    /* Nothing comes behind the last one. */
    return unpack->left == 0 ||
           (*out_status >= 0 && chunk->taken + 1 < chunk->count);
}

static void chunk_take_named(struct skui_chunk *chunk, skua_future *future,
                             int stopped, struct skui_piece_outcome *out)
{
    const void *data = NULL;
    size_t bytes = 0;
    int status = 0;

    if (chunk->taken == 0) {
        (void)skua_future_bytes(future, &data, &bytes);
        chunk->unpack = (struct skui_unpack){data, bytes};
    } else if (chunk->unpack.left == 0) {
        out->outcome.status = stopped;
        return;
    }
    if (!chunk_unpack(chunk, &status, out)) {
        out->outcome.status = -EBADMSG;
    } else if (status < 0) {
        outcome_set_failed(&out->outcome, status, out->data, out->bytes);
    } else {
        out->outcome.status = status;
        out->outcome.value = (void *)out->data;
    }
}

void skui_chunk_take(struct skui_chunk *chunk, skua_future *future, int stopped,
                     struct skui_piece_outcome *out)
{
    *out = (struct skui_piece_outcome){{0, NULL, NULL}, NULL, 0};
    skui_future_read(future, &out->outcome);
    if (out->outcome.status < 0) {
        return;
    }
    out->outcome.value = NULL;
    if (chunk->function == NULL) {
        chunk_take_function(chunk, stopped, out);
    } else {
        chunk_take_named(chunk, future, stopped, out);
    }
    chunk->taken++;
}
