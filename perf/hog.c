/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hog.c - how long do messages wait while tasks use the CPU?
 *
 * Skua's echo server on 2 loops with two endless chains of 20 ms CPU tasks;
 * 32 connections, 2,000 messages a second sent on time, latency from then. The
 * client has real-time priority where that is allowed. Beside it, the same
 * without the CPU tasks.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* SCHED_RESET_ON_FORK */
#endif
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"
#include "harness_client.h"
#include "harness_echo.h"

enum { CONNECTIONS = 32, RATE = 2000, FIGURES = 4 };

static const char *const names[FIGURES] = {"p50", "p99", "p99.9", "unanswered"};

static void run_once(const struct harness *harness, int loops, int hogs,
                     struct histogram *latency, struct harness_series *series)
{
    struct client_plan plan = {
        .connections = CONNECTIONS,
        .rate = RATE,
        .warm_ns = 300 * SKUA_MS,
        .run_ns = harness->duration_ms * SKUA_MS,
    };
    struct client_result result;
    struct child child;

    harness_check(echo_start(&child, loops, hogs, -1, NULL), "server");
    plan.port = child.port;
    plan.server = child.pid;
    harness_check(client_run(&plan, &result, latency), "client");
    harness_check(child_stop(&child), "the server's end");
    harness_series_add(&series[0],
                       (double)histogram_percentile(latency, 50) / 1e6);
    harness_series_add(&series[1],
                       (double)histogram_percentile(latency, 99) / 1e6);
    harness_series_add(&series[2],
                       (double)histogram_percentile(latency, 99.9) / 1e6);
    harness_series_add(&series[3], (double)result.unanswered);
}

static void measure(const struct harness *harness, int loops, int hogs,
                    struct histogram *latency)
{
    static struct harness_series series[FIGURES];

    for (int i = 0; i < FIGURES; i++) {
        harness_series_begin(&series[i], harness, i == 3 ? "messages" : "ms",
                             "loops=%d,hogs=%d,connections=%d,rate=%d,%s",
                             loops, hogs, CONNECTIONS, RATE, names[i]);
    }
    for (int i = 0; i < harness->runs; i++) {
        run_once(harness, loops, hogs, latency, series);
    }
    for (int i = 0; i < FIGURES; i++) {
        harness_series_end(&series[i]);
    }
}

int main(int argc, char **argv)
{
    const struct sched_param priority = {.sched_priority = 1};
    struct harness harness = {
        .question = "hog",
        .duration_ms = 2000,
        .loops = 2,
    };
    struct histogram *latency;

    echo_serve_if_asked(argc, argv);
    harness_start(&harness, argc, argv);
    latency = histogram_new();
    harness_check(latency == NULL ? -ENOMEM : 0, "histogram_new");
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) !=
        0) {
        printf("# the client has no real-time priority\n");
    }
    measure(&harness, harness.loops, 0, latency);
    measure(&harness, harness.loops, 2, latency);
    free(latency);
    return 0;
}
