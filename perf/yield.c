/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yield.c - what does skua_yield() cost among --count tasks (default 1,000)?
 *
 * Each task yields 1,000 times. The time of all, creation included, per yield.
 */
#include "harness.h"

enum { YIELDS = 1000 };

static int yield_often(void *arg)
{
    int status = 0;

    (void)arg;
    for (int i = 0; i < YIELDS && status == 0; i++) {
        status = skua_yield();
    }
    return status;
}

static int yield_all(const struct harness *harness)
{
    skua_task_group group = {0};
    int status = 0;

    for (int64_t i = 0; i < harness->count && status == 0; i++) {
        status = skua_task_group_create_task(&group, yield_often, NULL);
    }
    harness_check(status, "skua_task_group_create_task");
    return skua_task_group_join(&group);
}

static int measure(void *arg)
{
    const struct harness *harness = arg;
    const double yields = (double)harness->count * YIELDS;
    struct harness_series series;

    harness_series_begin(&series, harness, "ns", "tasks=%lld,loops=%u",
                         (long long)harness->count, harness->loops_now);
    harness_check(yield_all(harness), "warm-up");
    for (int i = 0; i < harness->runs; i++) {
        int64_t start_ns = skua_monotonic();

        harness_check(yield_all(harness), "run");
        harness_series_add(&series,
                           (double)(skua_monotonic() - start_ns) / yields);
    }
    harness_series_end(&series);
    return 0;
}

int main(int argc, char **argv)
{
    struct harness harness = {.question = "yield", .count = 1000};

    harness_start(&harness, argc, argv);
    harness_run(&harness, NULL, measure, &harness);
    return 0;
}
