/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram.c - log-linear counts, as HdrHistogram lays them out.
 * Threads     One writer at a time, no reader beside it.
 * Invariants  total is the sum of all buckets.
 */
#include "histogram.h"

#include <stdlib.h>
#include <string.h>

static unsigned bucket_of(int64_t value)
{
    const int64_t last = (INT64_C(1) << HISTOGRAM_MAX_BITS) - 1;
    unsigned shift;

    if (value < 0) {
        value = 0;
    } else if (value > last) {
        value = last;
    }
    if (value < (INT64_C(2) << HISTOGRAM_SUB_BITS)) {
        return (unsigned)value;
    }
    shift = 63U - (unsigned)__builtin_clzll((unsigned long long)value) -
            HISTOGRAM_SUB_BITS;
    return (shift << HISTOGRAM_SUB_BITS) + (unsigned)(value >> shift);
}

/* The largest value that falls into the bucket. */
static int64_t bucket_top(unsigned bucket)
{
    const unsigned direct = 2U << HISTOGRAM_SUB_BITS;
    unsigned shift;
    int64_t base;

    if (bucket < direct) {
        return bucket;
    }
    shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    base = (int64_t)bucket - ((int64_t)shift << HISTOGRAM_SUB_BITS);
    return ((base + 1) << shift) - 1;
}

struct histogram *histogram_new(void)
{
    return calloc(1, sizeof(struct histogram));
}

void histogram_clear(struct histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
}

void histogram_add(struct histogram *histogram, int64_t value)
{
    histogram->buckets[bucket_of(value)]++;
    histogram->total++;
    histogram->sum += value;
    if (value > histogram->max) {
        histogram->max = value;
    }
}

void histogram_merge(struct histogram *histogram, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        histogram->buckets[i] += from->buckets[i];
    }
    histogram->total += from->total;
    histogram->sum += from->sum;
    if (from->max > histogram->max) {
        histogram->max = from->max;
    }
}

int64_t histogram_percentile(const struct histogram *histogram, double percent)
{
    double wanted = percent / 100 * (double)histogram->total;
    uint64_t seen = 0;

    if (histogram->total == 0) {
        return 0;
    }
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > 0 && (double)seen >= wanted) {
            int64_t top = bucket_top(i);

            return top < histogram->max ? top : histogram->max;
        }
    }
    return histogram->max;
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->total == 0
               ? 0
               : (double)histogram->sum / (double)histogram->total;
}
