/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness_hog.c - slices of work that hold a thread, and their count.
 * Threads     Any; the counter is one for all hogs.
 *
 * A slice ends by the thread's CPU time, not by the clock: on a core that it
 * shares it takes longer, and the count shows what the sharing costs.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create() */
#endif
#include "harness_hog.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

enum { STRIDE = 4000 }; /* some 10 us between looks at the clock */

static int map_counter(int fd, hog_counter **out_counter)
{
    void *memory = mmap(NULL, sizeof(hog_counter), PROT_READ | PROT_WRITE,
                        MAP_SHARED, fd, 0);

    if (memory == MAP_FAILED) {
        return -errno;
    }
    *out_counter = memory;
    return 0;
}

int hog_counter_open(struct hog_plan *plan, hog_counter **out_counter)
{
    int status;

    plan->fd = memfd_create("hogs", 0); /* inherited on purpose */
    if (plan->fd < 0) {
        return -errno;
    }
    status = ftruncate(plan->fd, sizeof(hog_counter)) == 0
                 ? map_counter(plan->fd, out_counter)
                 : -errno;
    if (status < 0) {
        (void)close(plan->fd);
    }
    return status;
}

void hog_counter_close(const struct hog_plan *plan, hog_counter *counter)
{
    (void)munmap(counter, sizeof(*counter));
    (void)close(plan->fd);
}

void hog_plan_write(const struct hog_plan *plan, char *word, size_t bytes)
{
    (void)snprintf(word, bytes, "%d,%d,%d,%d", plan->count, (int)plan->kind,
                   plan->slice_ms, plan->fd);
}

int hog_plan_read(const char *word, struct hog_plan *plan,
                  hog_counter **out_counter)
{
    int kind;

    if (sscanf(word, "%d,%d,%d,%d", &plan->count, &kind, &plan->slice_ms,
               &plan->fd) != 4 ||
        plan->count < 0 || plan->count > HOGS_MAX) {
        return -EINVAL;
    }
    plan->kind = (enum hog_kind)kind;
    *out_counter = NULL;
    return plan->count == 0 ? 0 : map_counter(plan->fd, out_counter);
}

static int64_t thread_cpu_ns(void)
{
    struct timespec used;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * SKUA_S + used.tv_nsec;
}

static void burn(int64_t slice_ns, hog_counter *counter)
{
    volatile uint64_t sink; /* else there would be nothing to compute */
    uint64_t state = 1;
    int64_t start_ns = thread_cpu_ns();
    int64_t counted_ns = start_ns;

    while (counted_ns - start_ns < slice_ns) {
        int64_t now_ns;

        for (int i = 0; i < STRIDE; i++) {
            (void)harness_random(&state);
        }
        sink = state;
        now_ns = thread_cpu_ns();
        atomic_fetch_add(counter, now_ns - counted_ns);
        counted_ns = now_ns;
    }
    (void)sink;
}

static void block(int64_t slice_ns)
{
    const struct timespec slice = {.tv_sec = (time_t)(slice_ns / SKUA_S),
                                   .tv_nsec = (long)(slice_ns % SKUA_S)};

    (void)nanosleep(&slice, NULL);
}

void hog_slice(const struct hog_plan *plan, hog_counter *counter)
{
    int64_t slice_ns = plan->slice_ms * SKUA_MS;

    if (plan->kind == HOG_BLOCKED) {
        block(slice_ns);
        atomic_fetch_add(counter, slice_ns);
    } else {
        burn(slice_ns, counter);
    }
}

double hog_rate(hog_counter *counter, int64_t ns)
{
    int64_t start_ns = harness_now_ns();
    long long before_ns = atomic_load(counter);

    block(ns);
    return (double)(atomic_load(counter) - before_ns) * 1e3 /
           (double)(harness_now_ns() - start_ns);
}
