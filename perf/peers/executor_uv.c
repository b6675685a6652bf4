/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor_uv.c - the questions of perf/executor.c put to libuv's pool
 * (uv_queue_work, 4 threads unless UV_THREADPOOL_SIZE says otherwise), in the
 * same lines. A loop is the only one that may submit to it, so `burst` is done
 * by a loop that then waits for all.
 */
#include <errno.h>
#include <stdlib.h>

#include <uv.h>

#include "harness.h"

enum { WINDOW = 64 };

struct pool {
    uv_loop_t loop;
    int64_t left; /* to be submitted */
    int64_t done;
    uv_work_t *requests;
};

static void do_nothing(uv_work_t *request)
{
    (void)request;
}

static void check(int status, const char *what)
{
    harness_check(status < 0 ? -EIO : 0, what);
}

/* Its request is submitted again while there is something to do. */
static void on_done(uv_work_t *request, int status)
{
    struct pool *pool = request->data;

    check(status, "uv_queue_work");
    pool->done++;
    if (pool->left > 0) {
        pool->left--;
        check(uv_queue_work(&pool->loop, request, do_nothing, on_done),
              "uv_queue_work");
    }
}

/* `count` jobs, `window` of them in flight. */
static void ask(struct pool *pool, int64_t count, int64_t window)
{
    pool->left = count - window;
    pool->done = 0;
    for (int64_t i = 0; i < window; i++) {
        pool->requests[i].data = pool;
        check(
            uv_queue_work(&pool->loop, &pool->requests[i], do_nothing, on_done),
            "uv_queue_work");
    }
    check(uv_run(&pool->loop, UV_RUN_DEFAULT), "uv_run");
    harness_check(pool->done == count ? 0 : -ENODATA, "uv_run");
}

static void measure(struct harness *harness, const char *parameters,
                    int64_t window, bool as_rate)
{
    struct pool pool = {.requests = NULL};
    struct harness_series ns;
    struct harness_series rate;

    pool.requests = calloc((size_t)window, sizeof(*pool.requests));
    harness_check(pool.requests == NULL ? -ENOMEM : 0, "calloc");
    check(uv_loop_init(&pool.loop), "uv_loop_init");
    harness_series_begin(&ns, harness, "ns", "%s", parameters);
    harness_series_begin(&rate, harness, "Mops/s", "%s", parameters);
    harness_series_system(&ns, "libuv");
    harness_series_system(&rate, "libuv");
    ask(&pool, harness->count, window); /* starts the threads */
    for (int i = 0; i < harness->runs; i++) {
        int64_t start_ns = harness_now_ns();
        double each_ns;

        ask(&pool, harness->count, window);
        each_ns =
            (double)(harness_now_ns() - start_ns) / (double)harness->count;
        harness_series_add(&ns, each_ns);
        harness_series_add(&rate, 1e3 / each_ns);
    }
    harness_series_end(&ns);
    if (as_rate) {
        harness_series_end(&rate);
    }
    check(uv_loop_close(&pool.loop), "uv_loop_close");
    free(pool.requests);
}

int main(int argc, char **argv)
{
    struct harness harness = {.question = "executor", .count = 100000};

    harness_start(&harness, argc, argv);
    measure(&harness, "kind=threads,mode=one,loops=1", 1, false);
    measure(&harness, "kind=threads,mode=window,loops=1,jobs=64", WINDOW, true);
    measure(&harness, "kind=threads,mode=burst,loops=0", harness.count, false);
    return 0;
}
