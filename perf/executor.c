/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor.c - what does a job of an executor cost?
 *
 * --count empty jobs (default 100,000) go through an executor of default size,
 * of each kind, or of the one that --only names:
 *
 *   one     a task of one loop awaits a job at a time
 *   window  the same with 64 jobs in flight; as a rate, too
 *   spin    a plain thread submits a job and spins until it is done
 *   burst   a plain thread submits all jobs, then waits for the last
 *   map     a plain thread maps them, 1000 pieces a job, and takes all results
 */
#include <errno.h>

#include "harness.h"

enum { WINDOW = 64, CHUNK = 1000 };

/* How jobs are made for a kind of executor. */
struct kind {
    const char *name;
    int (*make)(skua_executor **out_executor);
    int (*submit)(skua_executor *executor, skua_future **out_future);
    /* As a task of a loop does it. */
    int (*submit_here)(skua_executor *executor, skua_future **out_future);
    int (*map)(skua_executor *executor, int64_t count,
               const skua_map_options *options, skua_map **out_map);
};

struct executor {
    struct harness *harness;
    const struct kind *kind;
    skua_executor *pool;
};

struct question {
    const char *parameters;
    void (*ask)(struct executor *executor);
    bool in_loop;
    bool as_rate;
};

/* --- threads --- */

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int threads_make(skua_executor **out_executor)
{
    return skua_thread_pool_executor_new(NULL, out_executor);
}

static int threads_submit(skua_executor *executor, skua_future **out_future)
{
    return skua_executor_submit(executor, do_nothing, NULL, out_future);
}

static int threads_submit_here(skua_executor *executor,
                               skua_future **out_future)
{
    return skua_loop_run_in_executor(skua_get_running_loop(), executor,
                                     do_nothing, NULL, out_future);
}

struct range {
    int64_t left;
};

static int next_function(void *arg, skua_work *out_work)
{
    struct range *range = arg;

    out_work->fn = do_nothing;
    return range->left-- > 0;
}

static int threads_map(skua_executor *executor, int64_t count,
                       const skua_map_options *options, skua_map **out_map)
{
    struct range range = {count};

    return skua_executor_map_source(executor, next_function, &range, options,
                                    out_map);
}

/* --- processes --- */

#define NOTHING "perf.nothing"

static int do_nothing_named(const void *data, size_t bytes, skua_reply *reply)
{
    (void)data;
    (void)bytes;
    (void)reply;
    return 0;
}

static int processes_make(skua_executor **out_executor)
{
    return skua_process_pool_executor_new(NULL, out_executor);
}

static int processes_submit(skua_executor *executor, skua_future **out_future)
{
    return skua_executor_submit_named(executor, NOTHING, NULL, 0, out_future);
}

static int next_named(void *arg, skua_work *out_work)
{
    struct range *range = arg;

    out_work->name = NOTHING;
    return range->left-- > 0;
}

static int processes_map(skua_executor *executor, int64_t count,
                         const skua_map_options *options, skua_map **out_map)
{
    struct range range = {count};

    return skua_executor_map_source(executor, next_named, &range, options,
                                    out_map);
}

/* --- the questions --- */

static void ask_in_task(struct executor *executor, int window)
{
    skua_future *futures[WINDOW] = {NULL};

    for (int64_t i = 0; i < executor->harness->count + window; i++) {
        skua_future **slot = &futures[i % window];

        if (*slot != NULL) {
            harness_check(skua_await(*slot, NULL), "skua_await");
            skua_future_unref(*slot);
            *slot = NULL;
        }
        if (i < executor->harness->count) {
            harness_check(executor->kind->submit_here(executor->pool, slot),
                          "submitting");
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

        harness_check(executor->kind->submit(executor->pool, &future),
                      "submitting");
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
        harness_check(executor->kind->submit(executor->pool,
                                             i == count - 1 ? &last : NULL),
                      "submitting");
    }
    harness_check(skua_await(last, NULL), "skua_await");
    skua_future_unref(last);
}

static void ask_map(struct executor *executor)
{
    const skua_map_options options = {.chunksize = CHUNK};
    int64_t count = executor->harness->count;
    int64_t taken = 0;
    skua_map *map;
    int status;

    harness_check(executor->kind->map(executor->pool, count, &options, &map),
                  "mapping");
    while ((status = skua_map_next(map, NULL)) > 0) {
        taken++;
    }
    harness_check(taken == count ? status : -ENODATA, "skua_map_next");
    skua_map_close(map);
}

static void measure(struct executor *executor, const struct question *question)
{
    struct harness_series ns;
    struct harness_series rate;

    harness_series_begin(&ns, executor->harness, "ns", "kind=%s,%s",
                         executor->kind->name, question->parameters);
    harness_series_begin(&rate, executor->harness, "Mops/s", "kind=%s,%s",
                         executor->kind->name, question->parameters);
    question->ask(executor); /* starts the workers */
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

static void answer(struct harness *harness, const struct kind *kind,
                   const struct question *question)
{
    struct executor executor = {.harness = harness, .kind = kind};
    struct asked asked = {&executor, question};

    harness_check(kind->make(&executor.pool), "making an executor");
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
        {"mode=map,loops=0,chunk=1000", ask_map, false, false},
    };
    static const struct kind kinds[] = {
        {"threads", threads_make, threads_submit, threads_submit_here,
         threads_map},
        {"processes", processes_make, processes_submit, processes_submit,
         processes_map},
    };
    static const char *const names[] = {"threads", "processes", NULL};
    struct harness harness = {
        .question = "executor",
        .count = 100000,
        .loops = 1,
        .variants = names,
    };

    harness_check(skua_function_register(NOTHING, do_nothing_named),
                  "skua_function_register");
    harness_check(skua_fork_server_start(), "skua_fork_server_start");
    harness_start(&harness, argc, argv);
    harness.loops = 1; /* the questions say so */
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
            if (harness_wants(&harness, kinds[k].name)) {
                answer(&harness, &kinds[k], &questions[i]);
            }
        }
    }
    return 0;
}
