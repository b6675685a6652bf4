/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_chunk.h - pieces of work that go to a worker as one job, and what comes
 * back of them.
 *
 *              run  rest
 *   run         x    x    (the worker of the job, once)
 *   rest        x    x    (the map's owner; before the job is submitted, or
 *                          after it is done)
 *   drop        -    -    (the owner; who completes the job)
 */
#ifndef SKUI_EXECUTOR_MAP_CHUNK_H
#define SKUI_EXECUTOR_MAP_CHUNK_H

#include <stdbool.h>

#include "../atomic.h"
#include "../exception.h"
#include "skua/executor.h"

SKUI_BEGIN_DECLS

struct skui_chunk;

/* What one piece gave. */
struct skui_piece_outcome {
    struct skui_outcome outcome;
    const void *data; /* of a named piece that has not failed; NULL: none */
    size_t bytes;
};

/* 0; -EINVAL, -ENOENT for work that is none; -ENOMEM. It is empty; `first` says
 * of what kind its pieces are. */
int skui_chunk_new(const skua_work *first, bool may_share,
                   struct skui_chunk **out_chunk);
void skui_chunk_drop(struct skui_chunk *chunk);

/* Whether it is of this one's kind. */
bool skui_chunk_takes(const struct skui_chunk *chunk, const skua_work *work);
size_t skui_chunk_count(const struct skui_chunk *chunk);

/* 0; -EINVAL; -ENOMEM, or another errno of memory. Nothing that `work` borrows
 * is used afterwards but `arg`. */
int skui_chunk_add(struct skui_chunk *chunk, const skua_work *work);

/* As skua_executor_submit_work(). After a failure it may be tried again. */
int skui_chunk_submit(struct skui_chunk *chunk, skua_executor *executor,
                      const skua_submit_options *options,
                      skua_future **out_future);

/*
 * What the next piece gave, of a job that is done, in their order: never more
 * than there are pieces, none after a failure. A piece that was not begun has
 * `stopped` as its status.
 */
void skui_chunk_take(struct skui_chunk *chunk, skua_future *future, int stopped,
                     struct skui_piece_outcome *out);

SKUI_END_DECLS

#endif
