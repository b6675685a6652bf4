/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness.c - options, repetition and output of the programs in perf/.
 * Threads     The main thread; harness_now_ns(), the CPU clocks and
 *             harness_random() are for any.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_setaffinity() */
#endif
#include "harness.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { RUNS_DEFAULT = 5 };

#if defined(__clang__)
#define COMPILER "clang-" __clang_version__
#else
#define COMPILER "gcc-" __VERSION__
#endif

static bool is_variant(const struct harness *harness, int index)
{
    return harness->variants != NULL && harness->variants[index] != NULL;
}

static void usage_exit(const struct harness *harness)
{
    fprintf(stderr,
            "usage: %s [--runs N] [--loops N] [--count N] [--duration S]",
            harness->question);
    for (int i = 0; is_variant(harness, i); i++) {
        fprintf(stderr, "%s%s", i == 0 ? " [--only " : "|",
                harness->variants[i]);
    }
    fprintf(stderr, "%s\n", is_variant(harness, 0) ? "]" : "");
    exit(2);
}

static double number_of(const struct harness *harness, const char *text,
                        double max)
{
    char *end;
    double number = strtod(text, &end);

    if (*text == '\0' || *end != '\0' || !(number > 0 && number <= max)) {
        usage_exit(harness);
    }
    return number;
}

static const char *variant_of(const struct harness *harness, const char *text)
{
    for (int i = 0; is_variant(harness, i); i++) {
        if (strcmp(harness->variants[i], text) == 0) {
            return harness->variants[i];
        }
    }
    usage_exit(harness);
    return NULL;
}

/* The processor's name with blanks made dashes, for it is one word. */
static void read_processor(char *name, size_t bytes)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[256];
    const char *from = NULL;

    while (file != NULL && from == NULL &&
           fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "model name", 10) == 0) {
            from = strchr(line, ':');
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    (void)snprintf(name, bytes, "%s", from == NULL ? "unknown" : from + 2);
    name[strcspn(name, "\n")] = '\0';
    for (char *at = name; *at != '\0'; at++) {
        *at = *at == ' ' ? '-' : *at;
    }
}

static int cores_usable(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

static void print_machine(const struct harness *harness)
{
    char processor[128];
    char compiler[] = COMPILER;
    struct utsname system = {0};

    read_processor(processor, sizeof(processor));
    (void)uname(&system);
    for (char *at = compiler; *at != '\0'; at++) {
        *at = *at == ' ' ? '-' : *at;
    }
    printf("# machine %s linux %s compiler %s cores %d runs %d\n", processor,
           system.release, compiler, cores_usable(), harness->runs);
    (void)fflush(stdout);
}

void harness_start(struct harness *harness, int argc, char **argv)
{
    if (harness->runs == 0) {
        harness->runs = RUNS_DEFAULT;
    }
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--runs") == 0) {
            harness->runs = (int)number_of(harness, value, HARNESS_RUNS_MAX);
        } else if (strcmp(argv[i], "--loops") == 0) {
            harness->loops = (int)number_of(harness, value, 256);
        } else if (strcmp(argv[i], "--count") == 0) {
            harness->count = (int64_t)number_of(harness, value, 1e9);
        } else if (strcmp(argv[i], "--duration") == 0) {
            harness->duration_ms =
                (int)(1000 * number_of(harness, value, 3600));
        } else if (strcmp(argv[i], "--only") == 0) {
            harness->only = variant_of(harness, value);
        } else {
            usage_exit(harness);
        }
    }
    print_machine(harness);
}

bool harness_wants(const struct harness *harness, const char *variant)
{
    return harness->only == NULL || strcmp(harness->only, variant) == 0;
}

void harness_run(struct harness *harness, const skua_runner_options *options,
                 skua_task_fn *fn, void *arg)
{
    skua_runner_options with = {0};
    unsigned last = harness->loops == 0 ? 2 : (unsigned)harness->loops;

    if (options != NULL) {
        with = *options;
    }
    for (unsigned i = harness->loops == 0 ? 1 : last; i <= last; i++) {
        with.loops = i;
        harness->loops_now = i;
        harness_check(skua_run_with(&with, fn, arg, NULL), "skua_run_with");
    }
}

void harness_series_begin(struct harness_series *series,
                          const struct harness *harness, const char *unit,
                          const char *parameters, ...)
{
    va_list arguments;

    memset(series, 0, sizeof(*series));
    series->harness = harness;
    series->unit = unit;
    harness_series_system(series, "skua");
    va_start(arguments, parameters);
    (void)vsnprintf(series->parameters, sizeof(series->parameters), parameters,
                    arguments);
    va_end(arguments);
}

void harness_series_system(struct harness_series *series, const char *system)
{
    (void)snprintf(series->system, sizeof(series->system), "%s", system);
}

void harness_series_add(struct harness_series *series, double value)
{
    if (series->runs < HARNESS_RUNS_MAX) {
        series->values[series->runs++] = value;
    }
}

static int compare_values(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

double harness_series_median(struct harness_series *series)
{
    int middle = series->runs / 2;

    if (series->runs == 0) {
        return 0;
    }
    qsort(series->values, (size_t)series->runs, sizeof(double), compare_values);
    return series->runs % 2 == 1
               ? series->values[middle]
               : (series->values[middle - 1] + series->values[middle]) / 2;
}

static void print_result(const struct harness_series *series, double value)
{
    printf("%s %s %s %.*f %s\n", series->harness->question, series->system,
           series->parameters, value < 1000 ? 2 : 0, value, series->unit);
}

void harness_series_end(struct harness_series *series)
{
    double median = harness_series_median(series);

    if (series->runs == 0) {
        return;
    }
    print_result(series, median);
    if (series->runs > 1) {
        printf("# spread %s %s %s median %.2f min %.2f max %.2f runs %d\n",
               series->harness->question, series->system, series->parameters,
               median, series->values[0], series->values[series->runs - 1],
               series->runs);
    }
    (void)fflush(stdout);
}

void harness_report(const struct harness *harness, const char *parameters,
                    double value, const char *unit)
{
    struct harness_series series;

    harness_series_begin(&series, harness, unit, "%s", parameters);
    harness_series_add(&series, value);
    harness_series_end(&series);
}

void harness_check(int status, const char *what)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s (%d)\n", what, skua_strerror(status), status);
        exit(1);
    }
}

int64_t harness_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SKUA_S + now.tv_nsec;
}

static int64_t ns_of_timeval(const struct timeval *time)
{
    return (int64_t)time->tv_sec * SKUA_S + (int64_t)time->tv_usec * SKUA_US;
}

int64_t harness_cpu_ns(void)
{
    struct rusage usage = {0};

    (void)getrusage(RUSAGE_SELF, &usage);
    return ns_of_timeval(&usage.ru_utime) + ns_of_timeval(&usage.ru_stime);
}

int64_t harness_cpu_of_ns(pid_t pid)
{
    struct timespec used;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 ||
        clock_gettime(clock, &used) != 0) {
        return -1;
    }
    return (int64_t)used.tv_sec * SKUA_S + used.tv_nsec;
}

int64_t harness_rss_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long long all;
    long long resident = -1;

    if (file == NULL) {
        return -1;
    }
    if (fscanf(file, "%lld %lld", &all, &resident) != 2) {
        resident = -1;
    }
    (void)fclose(file);
    return resident < 0 ? -1 : (int64_t)resident * sysconf(_SC_PAGESIZE);
}

void harness_pin(int core)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(core, &set);
    (void)sched_setaffinity(0, sizeof(set), &set);
}

int64_t harness_raise_files(void)
{
    struct rlimit limit = {0};

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur > INT64_MAX ? INT64_MAX : (int64_t)limit.rlim_cur;
}

uint64_t harness_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
