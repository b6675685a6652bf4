/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle.c - how much CPU does a runner use that has nothing to do?
 *
 * The main task sleeps for --duration (default 5 s) after all loops have run
 * something; getrusage() before and after.
 */
#include "harness.h"

static int run_and_end(void *arg)
{
    (void)arg;
    return skua_sleep(10 * SKUA_MS);
}

/* Every loop has worked before, so that none is asleep from the start. */
static int sleep_idle(void *arg)
{
    const struct harness *harness = arg;
    skua_task_group group = {0};
    int64_t start_ns;

    for (unsigned i = 0; i < 8 * harness->loops_now; i++) {
        harness_check(skua_task_group_create_task(&group, run_and_end, NULL),
                      "skua_task_group_create_task");
    }
    harness_check(skua_task_group_join(&group), "skua_task_group_join");
    start_ns = harness_cpu_ns();
    harness_check(skua_sleep(harness->duration_ms * SKUA_MS), "skua_sleep");
    {
        struct harness_series series;

        harness_series_begin(&series, harness, "ms", "seconds=%g,loops=%u",
                             harness->duration_ms / 1000.0, harness->loops_now);
        harness_series_add(&series, (double)(harness_cpu_ns() - start_ns) /
                                        (double)SKUA_MS);
        harness_series_end(&series);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct harness harness = {
        .question = "idle",
        .runs = 1,
        .duration_ms = 5000,
    };

    harness_start(&harness, argc, argv);
    harness_run(&harness, NULL, sleep_idle, &harness);
    return 0;
}
