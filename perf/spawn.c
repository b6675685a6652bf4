/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn.c - what does it cost to create a task, run it and gather it?
 *
 * One task creates --count empty tasks (default 1,000,000) and waits for all:
 * by a task group, or by detached tasks that count down to a future. The time
 * from the first creation to the last end, per task.
 */
#include <stdatomic.h>

#include "harness.h"

struct spawn {
    struct harness *harness;
    atomic_llong left; /* tasks of the current run; the last one completes */
    skua_future *done;
};

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int count_down(void *arg)
{
    struct spawn *spawn = arg;

    if (atomic_fetch_sub(&spawn->left, 1) == 1) {
        (void)skua_future_set_result(spawn->done, NULL);
    }
    return 0;
}

static int spawn_group(struct spawn *spawn)
{
    skua_task_group group = {0};
    int64_t count = spawn->harness->count;
    int status = 0;

    for (int64_t i = 0; i < count && status == 0; i++) {
        status = skua_task_group_create_task(&group, do_nothing, NULL);
    }
    harness_check(status, "skua_task_group_create_task");
    return skua_task_group_join(&group);
}

static int spawn_detached(struct spawn *spawn)
{
    int64_t count = spawn->harness->count; /* read beside `left` but once */
    int status = skua_future_new(NULL, &spawn->done);

    atomic_store(&spawn->left, count);
    for (int64_t i = 0; i < count && status == 0; i++) {
        status = skua_create_task(count_down, spawn, NULL);
    }
    harness_check(status, "skua_create_task");
    status = skua_await(spawn->done, NULL);
    skua_future_unref(spawn->done);
    return status;
}

static void measure(struct spawn *spawn, const char *how,
                    int (*run)(struct spawn *))
{
    struct harness_series series;

    harness_series_begin(
        &series, spawn->harness, "ns", "tasks=%lld,loops=%u,gather=%s",
        (long long)spawn->harness->count, spawn->harness->loops_now, how);
    harness_check(run(spawn), "warm-up");
    for (int i = 0; i < spawn->harness->runs; i++) {
        int64_t start_ns = skua_monotonic();

        harness_check(run(spawn), "run");
        harness_series_add(&series, (double)(skua_monotonic() - start_ns) /
                                        (double)spawn->harness->count);
    }
    harness_series_end(&series);
}

static int measure_all(void *arg)
{
    struct spawn *spawn = arg;

    measure(spawn, "group", spawn_group);
    measure(spawn, "counter", spawn_detached);
    return 0;
}

int main(int argc, char **argv)
{
    struct harness harness = {.question = "spawn", .count = 1000000};
    struct spawn spawn = {.harness = &harness};

    harness_start(&harness, argc, argv);
    harness_run(&harness, NULL, measure_all, &spawn);
    return 0;
}
