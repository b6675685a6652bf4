/* SPDX-License-Identifier: Apache-2.0 */
/*
 * post.c - what does skua_loop_call_soon_threadsafe() cost, and how long does
 * a post take to run?
 *
 * Throughput: 1 and 2 foreign threads post --count callbacks in all (default
 * 2,000,000) as fast as they can; until the last one ran. Latency: one thread
 * posts to a loop that has nothing else to do, each post a gap after the last
 * one ran. The loop is pinned to core 0, the thread to core 1.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "harness.h"
#include "histogram.h"

enum { THREADS_MAX = 2, LATENCY_POSTS = 2000, SPIN_GAP_US = 100 };

struct post {
    struct harness *harness;
    skua_loop *loop;
    skua_future *done;
    int threads;
    int64_t gap_ns;
    int64_t left;        /* throughput: callbacks to come; the loop's own */
    int64_t posted_ns;   /* latency: written before the post */
    atomic_llong ran_ns; /* latency: when it ran; 0 until then */
    atomic_int go;       /* throughput: all threads start at once */
    struct histogram *latency;
};

static void count_down(void *arg)
{
    struct post *post = arg;

    if (--post->left == 0) {
        (void)skua_future_set_result(post->done, NULL);
    }
}

static void *post_many(void *arg)
{
    struct post *post = arg;
    int64_t posts = post->harness->count / post->threads;

    while (atomic_load(&post->go) == 0) {
    }
    for (int64_t i = 0; i < posts; i++) {
        harness_check(
            skua_loop_call_soon_threadsafe(post->loop, count_down, post, NULL),
            "skua_loop_call_soon_threadsafe");
    }
    return NULL;
}

static double throughput_once(struct post *post)
{
    pthread_t threads[THREADS_MAX];
    int64_t total = post->harness->count / post->threads * post->threads;
    int64_t start_ns;
    double rate;

    post->left = total;
    atomic_store(&post->go, 0);
    harness_check(skua_future_new(NULL, &post->done), "skua_future_new");
    for (int i = 0; i < post->threads; i++) {
        harness_check(-pthread_create(&threads[i], NULL, post_many, post),
                      "pthread_create");
    }
    start_ns = skua_monotonic();
    atomic_store(&post->go, 1);
    harness_check(skua_await(post->done, NULL), "skua_await");
    rate = (double)total / ((double)(skua_monotonic() - start_ns) / 1e9);
    for (int i = 0; i < post->threads; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    skua_future_unref(post->done);
    return rate / 1e6;
}

static void measure_throughput(struct post *post)
{
    struct harness_series series;

    for (post->threads = 1; post->threads <= THREADS_MAX; post->threads++) {
        harness_series_begin(&series, post->harness, "Mops/s", "producers=%d",
                             post->threads);
        (void)throughput_once(post);
        for (int i = 0; i < post->harness->runs; i++) {
            harness_series_add(&series, throughput_once(post));
        }
        harness_series_end(&series);
    }
}

static void note_time(void *arg)
{
    struct post *post = arg;

    atomic_store(&post->ran_ns, skua_monotonic());
}

static void wait_gap(int64_t gap_ns)
{
    int64_t until_ns = skua_monotonic() + gap_ns;

    if (gap_ns > SPIN_GAP_US * SKUA_US) {
        struct timespec gap = {.tv_nsec = (long)gap_ns};

        (void)nanosleep(&gap, NULL);
    }
    while (skua_monotonic() < until_ns) {
    }
}

static void *post_singly(void *arg)
{
    struct post *post = arg;

    harness_pin(1);
    for (int i = 0; i < LATENCY_POSTS; i++) {
        long long ran_ns = 0;

        wait_gap(post->gap_ns);
        atomic_store(&post->ran_ns, 0);
        post->posted_ns = skua_monotonic();
        harness_check(
            skua_loop_call_soon_threadsafe(post->loop, note_time, post, NULL),
            "skua_loop_call_soon_threadsafe");
        while (ran_ns == 0) {
            ran_ns = atomic_load(&post->ran_ns);
        }
        histogram_add(post->latency, ran_ns - post->posted_ns);
    }
    (void)skua_future_set_result(post->done, NULL);
    return NULL;
}

static void latency_once(struct post *post)
{
    pthread_t thread;

    histogram_clear(post->latency);
    harness_check(skua_future_new(NULL, &post->done), "skua_future_new");
    harness_check(-pthread_create(&thread, NULL, post_singly, post),
                  "pthread_create");
    harness_check(skua_await(post->done, NULL), "skua_await");
    (void)pthread_join(thread, NULL);
    skua_future_unref(post->done);
}

static void measure_latency(struct post *post, int64_t gap_ns)
{
    struct harness_series p50;
    struct harness_series p99;
    int gap_us = (int)(gap_ns / SKUA_US);

    post->gap_ns = gap_ns;
    harness_series_begin(&p50, post->harness, "us", "gap_us=%d,p50", gap_us);
    harness_series_begin(&p99, post->harness, "us", "gap_us=%d,p99", gap_us);
    for (int i = 0; i < post->harness->runs; i++) {
        latency_once(post);
        harness_series_add(
            &p50, (double)histogram_percentile(post->latency, 50) / 1e3);
        harness_series_add(
            &p99, (double)histogram_percentile(post->latency, 99) / 1e3);
    }
    harness_series_end(&p50);
    harness_series_end(&p99);
}

static int measure(void *arg)
{
    struct post *post = arg;

    post->loop = skua_get_running_loop();
    measure_throughput(post);
    harness_pin(0);
    measure_latency(post, 20 * SKUA_US);
    measure_latency(post, 2 * SKUA_MS);
    return 0;
}

int main(int argc, char **argv)
{
    struct harness harness = {
        .question = "post",
        .count = 2000000,
        .loops = 1,
    };
    struct post post = {.harness = &harness, .latency = histogram_new()};

    harness_start(&harness, argc, argv);
    harness_check(post.latency == NULL ? -ENOMEM : 0, "histogram_new");
    harness_run(&harness, NULL, measure, &post);
    free(post.latency);
    return 0;
}
