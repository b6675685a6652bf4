/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor.c - what does a job of the thread pool cost?
 *
 *   one     a task of one loop awaits a job at a time (run_in_executor)
 *   window  the same with 64 jobs in flight
 *   spin    a plain thread submits a job and spins until it is done
 *   burst   a plain thread submits all jobs, then waits for the last
 */
#include <stdio.h>
#include <stdlib.h>

#include <skua.h>

enum { RUNS = 7, JOBS = 50000, WINDOW = 64 };

struct question {
    const char *parameters;
    int (*ask)(skua_executor *executor);
};

static int job(void *arg)
{
    (void)arg;
    return 0;
}

static int ask_window_in_task(skua_executor *executor, int window)
{
    skua_loop *loop = skua_get_running_loop();
    skua_future *futures[WINDOW] = {NULL};
    int status = 0;

    for (int i = 0; i < JOBS + window; i++) {
        skua_future **slot = &futures[i % window];

        if (*slot != NULL) {
            status = skua_await(*slot, NULL);
            skua_future_unref(*slot);
            *slot = NULL;
        }
        if (status == 0 && i < JOBS) {
            status = skua_loop_run_in_executor(loop, executor, job, NULL, slot);
        }
    }
    return status;
}

static int one_task(void *executor)
{
    return ask_window_in_task(executor, 1);
}

static int window_task(void *executor)
{
    return ask_window_in_task(executor, WINDOW);
}

static int ask_in_loop(skua_task_fn *task, skua_executor *executor)
{
    skua_runner_options options = {.loops = 1};

    return skua_run_with(&options, task, executor, NULL);
}

static int ask_one(skua_executor *executor)
{
    return ask_in_loop(one_task, executor);
}

static int ask_window(skua_executor *executor)
{
    return ask_in_loop(window_task, executor);
}

static int ask_spin(skua_executor *executor)
{
    for (int i = 0; i < JOBS; i++) {
        skua_future *future;
        int status = skua_executor_submit(executor, job, NULL, &future);

        if (status < 0) {
            return status;
        }
        while (!skua_future_done(future)) {
        }
        skua_future_unref(future);
    }
    return 0;
}

static int ask_burst(skua_executor *executor)
{
    skua_future *last = NULL;
    int status = 0;

    for (int i = 0; i < JOBS && status == 0; i++) {
        status = skua_executor_submit(executor, job, NULL,
                                      i == JOBS - 1 ? &last : NULL);
    }
    if (last != NULL) {
        status = skua_await(last, NULL);
        skua_future_unref(last);
    }
    return status;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return (left > right) - (left < right);
}

static int answer(const struct question *question)
{
    double ns[RUNS];
    skua_executor *executor;
    int status = skua_thread_pool_executor_new(NULL, &executor);

    for (int i = 0; i < RUNS && status == 0; i++) {
        int64_t start_ns = skua_monotonic();

        status = question->ask(executor);
        ns[i] = (double)(skua_monotonic() - start_ns) / JOBS;
    }
    if (status == 0) {
        status = skua_executor_shutdown(executor, true, false);
        qsort(ns, RUNS, sizeof(ns[0]), compare);
        printf("executor skua %s %.1f ns\n", question->parameters,
               ns[RUNS / 2]);
        printf("# spread %.1f %.1f ns, %d runs of %d jobs\n", ns[0],
               ns[RUNS - 1], RUNS, JOBS);
        skua_executor_unref(executor);
    } else {
        printf("# executor %s failed: %s\n", question->parameters,
               skua_strerror(status));
    }
    return status;
}

int main(void)
{
    static const struct question questions[] = {
        {"mode=one,loops=1", ask_one},
        {"mode=window,loops=1,jobs=64", ask_window},
        {"mode=spin,loops=0", ask_spin},
        {"mode=burst,loops=0", ask_burst},
    };
    int failed = 0;

    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        failed |= answer(&questions[i]) < 0;
        (void)fflush(stdout);
    }
    return failed;
}
