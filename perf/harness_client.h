/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness_client.h - a client of echo servers on raw epoll, in one thread, so
 * that every server is measured by the same one.
 */
#ifndef PERF_HARNESS_CLIENT_H
#define PERF_HARNESS_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "histogram.h"

enum { CLIENT_MESSAGE_BYTES = 64 };

struct client_plan {
    int port;
    int connections;
    int64_t rate;     /* messages a second over all connections, sent on time
                         whatever comes back; 0: one per connection in flight */
    int64_t warm_ns;  /* not counted */
    int64_t run_ns;   /* at most this long */
    int64_t messages; /* 0: until the time is over; else so many, warm-up
                         included */
    bool spin;        /* poll without sleeping */
    pid_t server;     /* whose CPU is wanted; 0: nobody's */
    const atomic_llong *progress; /* what else the server counts, or NULL */
};

struct client_result {
    int64_t messages; /* counted */
    int64_t all;      /* those of the warm-up included */
    int64_t unanswered;
    double seconds;
    int64_t server_cpu_ns;
    int64_t progress; /* by how much it grew */
};

/**
 * Connect, exchange, disconnect. Latency is counted from the time a message
 * was due to be sent.
 * @return 0; a negative errno
 */
int client_run(const struct client_plan *plan, struct client_result *result,
               struct histogram *latency);

#endif
