/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.h - the inside of a map: map.c gives its results and ends it, map_fill.c
 * submits its work, map_new.c makes it. One thread or task at a time uses it.
 */
#ifndef SKUI_EXECUTOR_MAP_H
#define SKUI_EXECUTOR_MAP_H

#include "../exception.h"
#include "executor.h"
#include "map_chunk.h"
#include "skua/cancel_token.h"
#include "skua/map.h"

SKUI_BEGIN_DECLS

/* Room for the number that a job's key ends with. */
enum { SKUI_MAP_KEY_BYTES = 24 };

struct skui_map_job {
    skua_future *future;      /* a reference */
    struct skui_chunk *chunk; /* owned; NULL: a single piece */
};

/* The source of skua_executor_map() and _named(). */
struct skui_map_array {
    skua_task_fn *fn; /* or: */
    const char *name;
    const void *elements; /* pointers, or skua_bytes */
    void *copy;           /* of these; NULL: they are the caller's */
    size_t count;
    size_t at;
};

struct skua_map {
    uint32_t fork_generation; /* constant, as all up to `executor` */
    skua_map_source_fn *next;
    void *arg;
    int64_t deadline_ns;
    size_t buffersize;
    size_t chunksize;
    struct skui_map_array array;
    skua_submit_options submit;
    bool submits_plainly;    /* without options */
    const char *key;         /* of `submit`, before a number is added */
    char *key_buffer;        /* both; owned */
    size_t key_bytes;        /* of the first, without its end */
    skua_cancel_token *stop; /* of chunks: stops them; NULL: none */

    skua_executor *executor;     /* a reference; NULL: all is submitted */
    size_t submitted;            /* jobs so far */
    bool source_ended;           /* it is not called any more */
    bool in_source;              /* a call of it is under way */
    bool has_staged;             /* `staged` was not submitted yet */
    skua_work staged;            /* what the source gave last */
    struct skui_chunk *building; /* owned; pieces that wait for more */

    struct skui_map_job *jobs;
    size_t capacity; /* of `jobs` */
    size_t first;    /* the oldest: modulo `capacity` */
    size_t count;
    bool ended;                  /* no more results */
    struct skui_outcome failure; /* what comes last; 0: nothing */

    struct skui_map_job current; /* whose results are being taken */
    size_t left;                 /* pieces of its chunk */
    bool has_last;               /* there is a result: */
    int last_status;
    const void *last_data;
    size_t last_bytes;
};

/* Have room for one more job. 0 or -ENOMEM. */
int skui_map_reserve(struct skua_map *map);
/* One more job, of which both are taken; there is room. */
void skui_map_push(struct skua_map *map, skua_future *future,
                   struct skui_chunk *chunk);

/* Nothing more comes from the source. */
void skui_map_end_source(struct skua_map *map);
/* What comes last; takes the exception. */
void skui_map_set_failure(struct skua_map *map, int status,
                          skua_exception *exception);
/* Deliver it, and end the results. */
int skui_map_give_failure(struct skua_map *map);

/* End the results: cancel all that has not started, keep what may run. */
void skui_map_end(struct skua_map *map);
void skui_map_free(struct skua_map *map);

/*
 * map_fill.c. Submit until `limit` jobs are there or the source has ended. 0,
 * or SKUA_ECANCELED: the task was cancelled, and this may be called again.
 */
int skui_map_fill(struct skua_map *map, size_t limit);

SKUI_END_DECLS

#endif
