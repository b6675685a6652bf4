/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_load.h - the load generator's work: connections as Skua tasks.
 */
#ifndef PERF_HTTP_LOAD_H
#define PERF_HTTP_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <skua.h>

#include "histogram.h"

enum { LOAD_PIPELINE_MAX = 64, LOAD_LOOPS_MAX = 256, LOAD_PATH_BYTES = 1024 };

/** Filled by the loop that a session runs on, read for the progress line. */
struct load_shard {
    skua_loop *loop;
    struct histogram *latency; /* ns; read only when all sessions ended */
    atomic_llong responses;    /* relaxed: figures only */
    atomic_llong connect_errors;
    atomic_llong read_errors;
    atomic_llong status_errors;
};

struct load_totals {
    int64_t responses;
    int64_t connect_errors;
    int64_t read_errors;   /* reset, ended or nonsense */
    int64_t status_errors; /* not 2xx */
};

struct load {
    const char *host;
    int port;
    const char *path;
    int connections;
    int pipeline; /* requests in one send */
    int64_t rate; /* requests a second in all; 0: as fast as it goes */
    int64_t run_ns;
    char *requests;       /* `pipeline` of them */
    size_t request_bytes; /* of one */
    int64_t start_ns;
    int64_t end_ns;
    atomic_int sessions; /* numbers them */
    atomic_llong unsent; /* due in time, but the connection was too late */
    int shards;
    struct load_shard shard[LOAD_LOOPS_MAX];
};

/**
 * Exchange requests from `start_ns` to `end_ns`, which it sets, and collect
 * what is on the way then. Suspends; in a task.
 * @return 0; -ENOMEM; SKUA_ECANCELED
 */
int http_load_run(struct load *load);

/** What all shards have counted so far. */
void http_load_totals(struct load *load, struct load_totals *totals);

/** Release what a run left; the options stay with the caller. */
void http_load_clear(struct load *load);

#endif
