/* SPDX-License-Identifier: Apache-2.0 */
/*
 * burst.c - how long does a handful of work take that meets sleeping loops?
 *
 * The runner has nothing to do for 3 ms, so that all its loops sleep. Then a
 * timer wakes one task, which creates some tasks that any loop may run; from
 * before the first is created until the last is done. A task uses its time by
 * the clock. The runner prices its wake-ups, or wakes another loop at each
 * occasion (wake=always); the two take turns. The floor is the same work as
 * calls of a function, one after the other, in a plain thread.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "harness.h"
#include "histogram.h"

enum { GAP_MS = 3, WARM_BURSTS = 5, BURSTS_MIN = 10, SIZES = 3 };

enum { PRICED, ALWAYS, CALLS, SYSTEMS };

struct size {
    const char *name;
    int tasks;
    int64_t task_ns;
};

struct burst {
    struct harness *harness;
    struct histogram *latency;
    const struct size *size;
    skua_future *done; /* the last task has a reference */
    int64_t end_ns;
    atomic_int left;
};

static const struct size sizes[SIZES] = {
    {"4x0.5us", 4, SKUA_US / 2},
    {"16x0.5us", 16, SKUA_US / 2},
    {"256x10us", 256, 10 * SKUA_US},
};

static const char *const size_names[SIZES + 1] = {
    "4x0.5us",
    "16x0.5us",
    "256x10us",
    NULL,
};

/* Whether the runner can be told to do that. */
static bool set_wake(skua_runner_options *options, int which)
{
    options->wake = which == ALWAYS ? SKUA_WAKE_ALWAYS : SKUA_WAKE_PRICED;
    return true;
}

static void use_time(int64_t ns)
{
    int64_t until_ns = skua_monotonic() + ns;

    while (skua_monotonic() < until_ns) {
    }
}

static int work(void *arg)
{
    struct burst *burst = arg;

    use_time(burst->size->task_ns);
    if (atomic_fetch_sub(&burst->left, 1) == 1) {
        skua_future *done = burst->done;

        burst->end_ns = skua_monotonic();
        (void)skua_future_set_result(done, NULL);
        skua_future_unref(done);
    }
    return 0;
}

static int64_t burst_of_tasks(struct burst *burst)
{
    skua_future *done;
    int64_t start_ns;
    int64_t end_ns;

    harness_check(skua_future_new(NULL, &done), "skua_future_new");
    burst->done = skua_future_ref(done);
    atomic_store(&burst->left, burst->size->tasks);
    harness_check(skua_sleep(GAP_MS * SKUA_MS), "skua_sleep");
    start_ns = skua_monotonic();
    for (int i = 0; i < burst->size->tasks; i++) {
        harness_check(skua_create_task(work, burst, NULL), "skua_create_task");
    }
    harness_check(skua_await(done, NULL), "skua_await");
    end_ns = burst->end_ns;
    skua_future_unref(done);
    return end_ns - start_ns;
}

static int64_t burst_of_calls(struct burst *burst)
{
    const struct timespec gap = {.tv_nsec = GAP_MS * SKUA_MS};
    int64_t start_ns;

    (void)nanosleep(&gap, NULL);
    start_ns = skua_monotonic();
    for (int i = 0; i < burst->size->tasks; i++) {
        use_time(burst->size->task_ns);
    }
    return skua_monotonic() - start_ns;
}

static void repeat(struct burst *burst, int64_t (*once)(struct burst *))
{
    int64_t until_ns = harness_now_ns() + burst->harness->duration_ms * SKUA_MS;

    histogram_clear(burst->latency);
    for (int i = 0; i < WARM_BURSTS; i++) {
        (void)once(burst);
    }
    for (int i = 0; i < BURSTS_MIN || harness_now_ns() < until_ns; i++) {
        histogram_add(burst->latency, once(burst));
    }
}

static int run_tasks(void *arg)
{
    repeat(arg, burst_of_tasks);
    return 0;
}

/* False when the runner has no such choice. */
static bool run_once(struct burst *burst, int which)
{
    skua_runner_options options = {0};

    options.loops = (unsigned)burst->harness->loops;
    if (which == CALLS) {
        repeat(burst, burst_of_calls);
    } else if (set_wake(&options, which)) {
        harness_check(skua_run_with(&options, run_tasks, burst, NULL),
                      "skua_run_with");
    } else {
        return false;
    }
    return true;
}

static void begin_series(const struct burst *burst, int which,
                         struct harness_series series[2])
{
    static const char *const wakes[SYSTEMS] = {",wake=priced", ",wake=always",
                                               ""};
    static const char *const names[2] = {"p50", "p99"};

    for (int i = 0; i < 2; i++) {
        harness_series_begin(&series[i], burst->harness, "us",
                             "loops=%d,tasks=%s%s,%s", burst->harness->loops,
                             burst->size->name, wakes[which], names[i]);
        if (which == CALLS) {
            harness_series_system(&series[i], "calls");
        }
    }
}

/* How much longer the one takes, run by run. */
static void report_ratio(const struct burst *burst,
                         const struct harness_series *priced,
                         const struct harness_series *always)
{
    struct harness_series ratio;

    harness_series_begin(&ratio, burst->harness, "%",
                         "loops=%d,tasks=%s,priced/always",
                         burst->harness->loops, burst->size->name);
    for (int i = 0; i < always->runs; i++) {
        harness_series_add(&ratio, 100 * priced->values[i] / always->values[i]);
    }
    harness_series_end(&ratio);
}

static void measure(struct burst *burst)
{
    static struct harness_series series[SYSTEMS][2];

    for (int which = 0; which < SYSTEMS; which++) {
        begin_series(burst, which, series[which]);
    }
    for (int run = 0; run < burst->harness->runs; run++) {
        for (int which = 0; which < SYSTEMS; which++) {
            if (run_once(burst, which)) {
                const struct histogram *latency = burst->latency;

                harness_series_add(&series[which][0],
                                   (double)histogram_percentile(latency, 50) /
                                       1e3);
                harness_series_add(&series[which][1],
                                   (double)histogram_percentile(latency, 99) /
                                       1e3);
            }
        }
    }
    report_ratio(burst, &series[PRICED][0], &series[ALWAYS][0]);
    for (int i = 0; i < 2; i++) {
        for (int which = 0; which < SYSTEMS; which++) {
            harness_series_end(&series[which][i]);
        }
    }
}

int main(int argc, char **argv)
{
    struct harness harness = {
        .question = "burst",
        .duration_ms = 800,
        .loops = 2,
        .variants = size_names,
    };
    struct burst burst = {.harness = &harness, .latency = histogram_new()};

    harness_start(&harness, argc, argv);
    harness_check(burst.latency == NULL ? -ENOMEM : 0, "histogram_new");
    for (int i = 0; i < SIZES; i++) {
        if (harness_wants(&harness, sizes[i].name)) {
            burst.size = &sizes[i];
            measure(&burst);
        }
    }
    free(burst.latency);
    return 0;
}
