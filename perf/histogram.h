/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram.h - counts of times in fixed memory, to three significant digits.
 * One writer at a time; merge to read what several wrote.
 */
#ifndef PERF_HISTOGRAM_H
#define PERF_HISTOGRAM_H

#include <stdint.h>

/*
 * Log-linear: values below 2048 have a bucket each, every further power of two
 * has 1024, so that no value is off by more than 0.1 %. Values of 2^42 and
 * more (73 minutes in nanoseconds) count as that.
 */
enum {
    HISTOGRAM_SUB_BITS = 10,
    HISTOGRAM_MAX_BITS = 42,
    HISTOGRAM_BUCKETS = (HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1)
                        << HISTOGRAM_SUB_BITS,
};

struct histogram {
    uint64_t total;
    int64_t sum;
    int64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/** All zero, in new memory to be freed with free(); NULL when short. */
struct histogram *histogram_new(void);

void histogram_clear(struct histogram *histogram);

/** Count `value`; below zero counts as zero. */
void histogram_add(struct histogram *histogram, int64_t value);

/** Add all counts of `from`. */
void histogram_merge(struct histogram *histogram, const struct histogram *from);

/** The value that `percent` of all do not exceed; 0 when empty. */
int64_t histogram_percentile(const struct histogram *histogram, double percent);

double histogram_mean(const struct histogram *histogram);

#endif
