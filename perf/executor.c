/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor.c - what does a job of the thread pool cost?
 *
 * --count empty jobs (default 100,000) go through a pool of default size:
 *
 *   one     a task of one loop awaits a job at a time (run_in_executor)
 *   window  the same with 64 jobs in flight; as a rate, too
 *   spin    a plain thread submits a job and spins until it is done
 *   burst   a plain thread submits all jobs, then waits for the last
 */
#include "harness.h"

enum { WINDOW = 64 };

struct executor {
    struct harness *harness;
    skua_executor *pool;
};

struct question {
    const char *parameters;
    void (*ask)(struct executor *executor);
    bool in_loop;
    bool as_rate;
};

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void ask_in_task(struct executor *executor, int window)
{
    skua_loop *loop = skua_get_running_loop();
    skua_future *futures[WINDOW] = {NULL};

    for (int64_t i = 0; i < executor->harness->count + window; i++) {
        skua_future **slot = &futures[i % window];

        if (*slot != NULL) {
            harness_check(skua_await(*slot, NULL), "skua_await");
            skua_future_unref(*slot);
            *slot = NULL;
        }
        if (i < executor->harness->count) {
            harness_check(skua_loop_run_in_executor(loop, executor->pool,
                                                    do_nothing, NULL, slot),
                          "skua_loop_run_in_executor");
        }
    }
}

static void ask_one(struct executor *executor)
{
    ask_in_task(executor, 1);
}

static void ask_window(struct executor *executor)
{
    ask_in_task(executor, WINDOW);
}

static void ask_spin(struct executor *executor)
{
    for (int64_t i = 0; i < executor->harness->count; i++) {
        skua_future *future;

        harness_check(
            skua_executor_submit(executor->pool, do_nothing, NULL, &future),
            "skua_executor_submit");
        while (!skua_future_done(future)) {
        }
        skua_future_unref(future);
    }
}

static void ask_burst(struct executor *executor)
{
    int64_t count = executor->harness->count;
    skua_future *last = NULL;

    for (int64_t i = 0; i < count; i++) {
        harness_check(skua_executor_submit(executor->pool, do_nothing, NULL,
                                           i == count - 1 ? &last : NULL),
                      "skua_executor_submit");
    }
    harness_check(skua_await(last, NULL), "skua_await");
    skua_future_unref(last);
}

static void measure(struct executor *executor, const struct question *question)
{
    struct harness_series ns;
    struct harness_series rate;

    harness_series_begin(&ns, executor->harness, "ns", "%s",
                         question->parameters);
    harness_series_begin(&rate, executor->harness, "Mops/s", "%s",
                         question->parameters);
    question->ask(executor); /* starts the threads */
    for (int i = 0; i < executor->harness->runs; i++) {
        int64_t start_ns = skua_monotonic();
        double each_ns;

        question->ask(executor);
        each_ns = (double)(skua_monotonic() - start_ns) /
                  (double)executor->harness->count;
        harness_series_add(&ns, each_ns);
        harness_series_add(&rate, 1e3 / each_ns);
    }
    harness_series_end(&ns);
    if (question->as_rate) {
        harness_series_end(&rate);
    }
}

struct asked {
    struct executor *executor;
    const struct question *question;
};

static int measure_in_task(void *arg)
{
    struct asked *asked = arg;

    measure(asked->executor, asked->question);
    return 0;
}

static void answer(struct harness *harness, const struct question *question)
{
    struct executor executor = {.harness = harness};
    struct asked asked = {&executor, question};

    harness_check(skua_thread_pool_executor_new(NULL, &executor.pool),
                  "skua_thread_pool_executor_new");
    if (question->in_loop) {
        harness_run(harness, NULL, measure_in_task, &asked);
    } else {
        measure(&executor, question);
    }
    harness_check(skua_executor_shutdown(executor.pool, true, false),
                  "skua_executor_shutdown");
    skua_executor_unref(executor.pool);
}

int main(int argc, char **argv)
{
    static const struct question questions[] = {
        {"mode=one,loops=1", ask_one, true, false},
        {"mode=window,loops=1,jobs=64", ask_window, true, true},
        {"mode=spin,loops=0", ask_spin, false, false},
        {"mode=burst,loops=0", ask_burst, false, false},
    };
    struct harness harness = {
        .question = "executor",
        .count = 100000,
        .loops = 1,
    };

    harness_start(&harness, argc, argv);
    harness.loops = 1; /* the questions say so */
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        answer(&harness, &questions[i]);
    }
    return 0;
}
