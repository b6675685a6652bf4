/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timers.c - what do timers cost with a million pending, and how late are they?
 *
 * cost: start and cancel one timer while --count others (default 1,000,000)
 * wait; and start --count timers in any order of time, then cancel them all,
 * per timer. lateness: 100,000 timers spread over one second at random; when
 * each ran, against when it was due, and the CPU that took.
 */
#include <errno.h>
#include <stdlib.h>

#include "harness.h"
#include "histogram.h"

enum { LATE_TIMERS = 100000, SECONDS_MAX = 1000 };

struct timers {
    struct harness *harness;
    skua_loop *loop;
    skua_handle **handles; /* count of them */
    skua_future *done;
    struct histogram *late;
    int64_t left;
    uint64_t random;
};

struct late_timer {
    struct timers *timers;
    int64_t due_ns;
};

static void do_nothing(void *arg)
{
    (void)arg;
}

static int64_t random_delay_ns(struct timers *timers)
{
    const uint64_t range = SECONDS_MAX * (uint64_t)SKUA_S;

    return SKUA_S + (int64_t)(harness_random(&timers->random) % range);
}

static void start_all(struct timers *timers)
{
    for (int64_t i = 0; i < timers->harness->count; i++) {
        harness_check(skua_loop_call_later(timers->loop,
                                           random_delay_ns(timers), do_nothing,
                                           NULL, &timers->handles[i]),
                      "skua_loop_call_later");
    }
}

static void cancel_all(struct timers *timers)
{
    for (int64_t i = 0; i < timers->harness->count; i++) {
        (void)skua_handle_cancel(timers->handles[i]);
        skua_handle_unref(timers->handles[i]);
    }
}

static void start_and_cancel(struct timers *timers)
{
    for (int64_t i = 0; i < timers->harness->count; i++) {
        skua_handle *handle;

        harness_check(skua_loop_call_later(timers->loop,
                                           random_delay_ns(timers), do_nothing,
                                           NULL, &handle),
                      "skua_loop_call_later");
        (void)skua_handle_cancel(handle);
        skua_handle_unref(handle);
    }
}

static void measure_cost(struct timers *timers)
{
    struct harness *harness = timers->harness;
    const double count = (double)harness->count;
    struct harness_series pair;
    struct harness_series bulk;

    harness_series_begin(&pair, harness, "ns", "start+cancel,pending=%lld",
                         (long long)harness->count);
    harness_series_begin(&bulk, harness, "ns",
                         "start-all+cancel-all,timers=%lld",
                         (long long)harness->count);
    for (int i = 0; i < harness->runs; i++) {
        int64_t from_ns = skua_monotonic();
        int64_t spent_ns;

        start_all(timers);
        spent_ns = skua_monotonic() - from_ns;
        from_ns = skua_monotonic();
        start_and_cancel(timers);
        harness_series_add(&pair, (double)(skua_monotonic() - from_ns) / count);
        from_ns = skua_monotonic();
        cancel_all(timers);
        spent_ns += skua_monotonic() - from_ns;
        harness_series_add(&bulk, (double)spent_ns / count);
        harness_check(skua_yield(), "skua_yield");
    }
    harness_series_end(&pair);
    harness_series_end(&bulk);
}

static void note_lateness(void *arg)
{
    struct late_timer *timer = arg;
    struct timers *timers = timer->timers;

    histogram_add(timers->late, skua_monotonic() - timer->due_ns);
    if (--timers->left == 0) {
        (void)skua_future_set_result(timers->done, NULL);
    }
}

/* The first one is due when all have been started. */
static void run_late_timers(struct timers *timers, struct late_timer *all)
{
    int64_t start_ns = skua_monotonic() + 200 * SKUA_MS;

    histogram_clear(timers->late);
    timers->left = LATE_TIMERS;
    harness_check(skua_future_new(NULL, &timers->done), "skua_future_new");
    for (int i = 0; i < LATE_TIMERS; i++) {
        all[i].timers = timers;
        all[i].due_ns = start_ns + (int64_t)(harness_random(&timers->random) %
                                             (uint64_t)SKUA_S);
        harness_check(skua_loop_call_at(timers->loop, all[i].due_ns,
                                        note_lateness, &all[i], NULL),
                      "skua_loop_call_at");
    }
    harness_check(skua_await(timers->done, NULL), "skua_await");
    skua_future_unref(timers->done);
}

static void measure_lateness(struct timers *timers)
{
    struct late_timer *all = calloc(LATE_TIMERS, sizeof(*all));
    const char *what[] = {"mean", "p50", "p99", "max", "cpu"};
    struct harness_series series[5];

    harness_check(all == NULL ? -ENOMEM : 0, "calloc");
    for (int i = 0; i < 5; i++) {
        harness_series_begin(&series[i], timers->harness, i == 4 ? "s" : "us",
                             "late,timers=100k,within=1s,%s", what[i]);
    }
    for (int i = 0; i < timers->harness->runs; i++) {
        int64_t cpu_ns = harness_cpu_ns();

        run_late_timers(timers, all);
        harness_series_add(&series[4],
                           (double)(harness_cpu_ns() - cpu_ns) / 1e9);
        harness_series_add(&series[0], histogram_mean(timers->late) / 1e3);
        harness_series_add(
            &series[1], (double)histogram_percentile(timers->late, 50) / 1e3);
        harness_series_add(
            &series[2], (double)histogram_percentile(timers->late, 99) / 1e3);
        harness_series_add(&series[3], (double)timers->late->max / 1e3);
    }
    for (int i = 0; i < 5; i++) {
        harness_series_end(&series[i]);
    }
    free(all);
}

static int measure(void *arg)
{
    struct timers *timers = arg;

    timers->loop = skua_get_running_loop();
    measure_cost(timers);
    measure_lateness(timers);
    return 0;
}

int main(int argc, char **argv)
{
    struct harness harness = {
        .question = "timers",
        .count = 1000000,
        .loops = 1,
    };
    struct timers timers = {.harness = &harness, .random = 88172645463325252U};

    harness_start(&harness, argc, argv);
    timers.handles = calloc((size_t)harness.count, sizeof(skua_handle *));
    timers.late = histogram_new();
    if (timers.handles == NULL || timers.late == NULL) {
        harness_check(-ENOMEM, "main");
    }
    harness_run(&harness, NULL, measure, &timers);
    free(timers.handles);
    free(timers.late);
    return 0;
}
