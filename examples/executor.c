/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor.c - CPU-bound work in threads, while the loop goes on: by the
 * default executor, and by a pool of one's own.
 */
#include <stdint.h>
#include <stdio.h>

#include <skua.h>

enum { JOBS = 8 };

/* The number of steps of the Collatz sequence with the longest one. */
static int longest_collatz(void *below)
{
    uintptr_t longest = 0;

    for (uint64_t start = 1; start < (uint64_t)(uintptr_t)below; start++) {
        uintptr_t steps = 0;

        for (uint64_t n = start; n != 1; steps++) {
            n = n % 2 == 0 ? n / 2 : 3 * n + 1;
        }
        longest = steps > longest ? steps : longest;
    }
    return skua_return((void *)longest);
}

static int run_jobs(skua_executor *executor)
{
    skua_loop *loop = skua_get_running_loop();
    skua_future *futures[JOBS] = {NULL};
    int status = 0;

    for (uintptr_t i = 0; i < JOBS && status == 0; i++) {
        status =
            skua_loop_run_in_executor(loop, executor, longest_collatz,
                                      (void *)((i + 1) * 1000), &futures[i]);
    }
    for (int i = 0; i < JOBS; i++) {
        void *steps = NULL;

        if (status == 0) {
            status = skua_await(futures[i], &steps);
            printf("below %d: %lu steps\n", (i + 1) * 1000,
                   (unsigned long)(uintptr_t)steps);
        }
        skua_future_unref(futures[i]);
    }
    return status;
}

static int main_task(void *arg)
{
    const skua_thread_pool_options options = {
        .max_workers = 2,
        .name_prefix = "collatz",
    };
    skua_executor *executor;
    int status = run_jobs(NULL); /* the default one, made on first use */

    (void)arg;
    if (status == 0) {
        status = skua_thread_pool_executor_new(&options, &executor);
    }
    if (status == 0) {
        status = run_jobs(executor);
        (void)skua_executor_shutdown(executor, true, false);
        skua_executor_unref(executor);
    }
    return status;
}

int main(void)
{
    return skua_run(main_task, NULL) < 0;
}
