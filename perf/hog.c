/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hog.c - how long do messages wait while tasks use the CPU, and what does the
 * traffic cost those tasks?
 *
 * Skua's echo server on 2 loops with endless chains of tasks that hold a core
 * or a loop; 32 connections, 2,000 messages a second sent on time, latency from
 * then. `hogs` is how far all chains together get in a second of that, in ms of
 * slices; `alone` the same in the same server before and after, without any
 * connection; `kept` the one in per cent of the other. The floor is the kernel
 * alone: raw epoll in one thread, the hogs in threads of their own.
 *
 *   none     no hog
 *   two      2 chains of 20 ms of CPU time; `one`: 1 of them
 *   blocked  2 chains of 20 ms in a system call
 *   pinned   as two, but each on its loop for good
 *   long     2 chains of 50 ms
 *
 * The client has real-time priority where that is allowed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* SCHED_RESET_ON_FORK */
#endif
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"
#include "harness_child.h"
#include "harness_client.h"
#include "harness_echo.h"

enum { CONNECTIONS = 32, RATE = 2000, SYSTEMS = 2, HOG_VARIANTS = 6 };

enum { P50, P99, P999, UNANSWERED, HOGS, ALONE, KEPT, FIGURES };

struct variant {
    const char *name;
    const char *hogs; /* in the parameters */
    struct hog_plan plan;
    bool floor; /* more of them would show the same */
};

struct hog {
    struct harness *harness;
    struct histogram *latency;
    char floor[4096]; /* the path of the raw epoll server; empty: none */
    int loops;
};

static const struct variant variants[HOG_VARIANTS] = {
    {"none", "none", {0}, true},
    {"two", "2x20ms", {2, HOG_CPU, 20, -1}, true},
    {"one", "1x20ms", {1, HOG_CPU, 20, -1}, false},
    {"blocked", "2x20ms-blocked", {2, HOG_BLOCKED, 20, -1}, false},
    {"pinned", "2x20ms-pinned", {2, HOG_PINNED, 20, -1}, false},
    {"long", "2x50ms", {2, HOG_CPU, 50, -1}, false},
};

static const char *const variant_names[HOG_VARIANTS + 1] = {
    "none", "two", "one", "blocked", "pinned", "long", NULL,
};

static int start_server(const struct hog *hog, int which,
                        const struct hog_plan *plan, struct child *child)
{
    char hogs[HOG_WORD_BYTES];
    const char *argv[] = {hog->floor, "1", hogs, NULL};

    if (which == 0) {
        return echo_start(child, hog->loops, plan, -1, NULL);
    }
    hog_plan_write(plan, hogs, sizeof(hogs));
    return child_start(child, argv, -1);
}

static void add_hogs(struct harness_series *series, double loaded, double alone)
{
    harness_series_add(&series[HOGS], loaded);
    harness_series_add(&series[ALONE], alone);
    if (alone > 0) {
        harness_series_add(&series[KEPT], 100 * loaded / alone);
    }
}

static void add_latency(struct harness_series *series,
                        const struct histogram *latency)
{
    static const double percents[] = {50, 99, 99.9};

    for (int i = P50; i <= P999; i++) {
        harness_series_add(&series[i],
                           (double)histogram_percentile(latency, percents[i]) /
                               1e6);
    }
}

/* Half of the time alone before the traffic and half after it, so that a
 * machine that gets slower meanwhile does not look like a cost. */
static void run_once(const struct hog *hog, int which,
                     const struct variant *variant,
                     struct harness_series *series)
{
    struct hog_plan hogs = variant->plan;
    struct client_plan plan = {
        .connections = CONNECTIONS,
        .rate = RATE,
        .warm_ns = 300 * SKUA_MS,
        .run_ns = hog->harness->duration_ms * SKUA_MS,
    };
    struct client_result result;
    hog_counter *counter;
    struct child child;
    double alone = 0;

    harness_check(hog_counter_open(&hogs, &counter), "hog_counter_open");
    harness_check(start_server(hog, which, &hogs, &child), "server");
    plan.port = child.port;
    plan.progress = counter;
    if (hogs.count > 0) {
        (void)hog_rate(counter, 100 * SKUA_MS);
        alone = hog_rate(counter, plan.run_ns / 2);
    }
    harness_check(client_run(&plan, &result, hog->latency), "client");
    if (hogs.count > 0) {
        (void)hog_rate(counter, 20 * SKUA_MS);
        alone = (alone + hog_rate(counter, plan.run_ns / 2)) / 2;
        add_hogs(series, (double)result.progress / 1e6 / result.seconds, alone);
    }
    harness_check(child_stop(&child), "the server's end");
    hog_counter_close(&hogs, counter);
    if (result.messages > 0) {
        add_latency(series, hog->latency);
    }
    harness_series_add(&series[UNANSWERED], (double)result.unanswered);
}

static void measure(const struct hog *hog, const struct variant *variant)
{
    static const char *const systems[SYSTEMS] = {"skua", "epoll"};
    static const char *const names[FIGURES] = {
        "p50", "p99", "p99.9", "unanswered", "hogs", "alone", "kept"};
    static const char *const units[FIGURES] = {"ms",   "ms",   "ms", "messages",
                                               "ms/s", "ms/s", "%"};
    static struct harness_series series[SYSTEMS][FIGURES];
    int count = variant->floor && hog->floor[0] != '\0' ? SYSTEMS : 1;

    for (int which = 0; which < count; which++) {
        for (int i = 0; i < FIGURES; i++) {
            harness_series_begin(&series[which][i], hog->harness, units[i],
                                 "loops=%d,hogs=%s,connections=%d,rate=%d,%s",
                                 hog->loops, variant->hogs, CONNECTIONS, RATE,
                                 names[i]);
            harness_series_system(&series[which][i], systems[which]);
        }
    }
    for (int run = 0; run < hog->harness->runs; run++) {
        for (int which = 0; which < count; which++) {
            run_once(hog, which, variant, series[which]);
        }
    }
    for (int i = 0; i < FIGURES; i++) {
        for (int which = 0; which < count; which++) {
            harness_series_end(&series[which][i]);
        }
    }
}

int main(int argc, char **argv)
{
    const struct sched_param priority = {.sched_priority = 1};
    struct harness harness = {
        .question = "hog",
        .runs = 3,
        .duration_ms = 1000,
        .loops = 2,
        .variants = variant_names,
    };
    static struct hog hog = {.harness = NULL};

    echo_serve_if_asked(argc, argv);
    harness_start(&harness, argc, argv);
    hog.harness = &harness;
    hog.loops = harness.loops;
    hog.latency = histogram_new();
    harness_check(hog.latency == NULL ? -ENOMEM : 0, "histogram_new");
    if (child_find("echo_epoll", hog.floor, sizeof(hog.floor)) < 0) {
        hog.floor[0] = '\0';
        printf("# echo_epoll is not beside this program: no floor\n");
    }
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) !=
        0) {
        printf("# the client has no real-time priority\n");
    }
    for (int i = 0; i < HOG_VARIANTS; i++) {
        if (harness_wants(&harness, variants[i].name)) {
            measure(&hog, &variants[i]);
        }
    }
    free(hog.latency);
    return 0;
}
