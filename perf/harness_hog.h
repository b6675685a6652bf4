/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness_hog.h - what keeps cores busy in a server that is measured, and the
 * count, in memory shared with it, of what that got done.
 */
#ifndef PERF_HARNESS_HOG_H
#define PERF_HARNESS_HOG_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum hog_kind {
    HOG_CPU,     /* uses the CPU */
    HOG_BLOCKED, /* sleeps in a system call: its thread is held, no core is */
    HOG_PINNED,  /* uses the CPU and stays on one loop */
};

enum { HOGS_MAX = 16, HOG_WORD_BYTES = 64 };

/** Endless chains of slices, side by side. All-zero: none. */
struct hog_plan {
    int count;
    enum hog_kind kind;
    int slice_ms; /* of the thread's CPU time, or of sleep */
    int fd;       /* of the counter */
};

/** What all hogs of a server got done, in ns of their slices. */
typedef atomic_llong hog_counter;

/**
 * A counter at 0 that the children of this process inherit; sets plan->fd.
 * @return 0; a negative errno
 */
int hog_counter_open(struct hog_plan *plan, hog_counter **out_counter);

void hog_counter_close(const struct hog_plan *plan, hog_counter *counter);

/** The plan as one word of a command line. */
void hog_plan_write(const struct hog_plan *plan, char *word, size_t bytes);

/**
 * Read it back, and share the counter when there are hogs, else give NULL.
 * @return 0; -EINVAL; a negative errno
 */
int hog_plan_read(const char *word, struct hog_plan *plan,
                  hog_counter **out_counter);

/** One slice, counted while it runs or, blocked, when it is over. */
void hog_slice(const struct hog_plan *plan, hog_counter *counter);

/** How many ms of slices pass in a second, observed for `ns`. */
double hog_rate(hog_counter *counter, int64_t ns);

#endif
