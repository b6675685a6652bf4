/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness.h - what all programs of perf/ share: options, repetition, output.
 *
 * Each prints one line per result, `question system parameters value unit`:
 * five words, parameters joined by commas. Comment lines start with `#`.
 */
#ifndef PERF_HARNESS_H
#define PERF_HARNESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <skua.h>

enum { HARNESS_RUNS_MAX = 101, HARNESS_WORD_BYTES = 96 };

/** Preset by the program, then set from the command line. */
struct harness {
    const char *question;
    int runs;        /* --runs N; 0: 5 */
    int loops;       /* --loops N; 0: 1 and 2 */
    int64_t count;   /* --count N: how many operations; the program's default */
    int duration_ms; /* --duration S, of one run; the program's default */
    unsigned loops_now;          /* of the runner under way */
    const char *const *variants; /* what --only may name, NULL at the end; NULL:
                                    there is no such option */
    const char *only;            /* --only NAME; NULL: all */
};

/** One result over all runs. */
struct harness_series {
    const struct harness *harness;
    char system[HARNESS_WORD_BYTES];
    char parameters[HARNESS_WORD_BYTES];
    const char *unit;
    int runs;
    double values[HARNESS_RUNS_MAX];
};

/**
 * Read the options and print the machine. Ends the process when they are not
 * understood.
 */
void harness_start(struct harness *harness, int argc, char **argv);

/** Whether this variant is to be measured: all are, or --only names it. */
bool harness_wants(const struct harness *harness, const char *variant);

/**
 * Run `fn(arg)` as the main task of a runner with 1 and with 2 loops, or with
 * --loops. `options` (NULL: default) say the rest.
 */
void harness_run(struct harness *harness, const skua_runner_options *options,
                 skua_task_fn *fn, void *arg);

/** Begin a result; `unit` is borrowed, the parameters are a printf format. */
void harness_series_begin(struct harness_series *series,
                          const struct harness *harness, const char *unit,
                          const char *parameters, ...)
    __attribute__((format(printf, 4, 5)));

/** Name another system than skua. */
void harness_series_system(struct harness_series *series, const char *system);

/** The value of one run. */
void harness_series_add(struct harness_series *series, double value);

/** Print median, and median, minimum and maximum as a comment. */
void harness_series_end(struct harness_series *series);

/** The median of what was added; sorts. 0 when nothing was. */
double harness_series_median(struct harness_series *series);

/** Print a single value. */
void harness_report(const struct harness *harness, const char *parameters,
                    double value, const char *unit);

/** Say why and end the process, unless `status` is 0 or positive. */
void harness_check(int status, const char *what);

/** CLOCK_MONOTONIC in ns, without the library. */
int64_t harness_now_ns(void);

/** User and system time of this process in ns (getrusage()). */
int64_t harness_cpu_ns(void);

/** User and system time of another process in ns; -1 when it is gone. */
int64_t harness_cpu_of_ns(pid_t pid);

/** Resident memory of this process in bytes; -1 when unknown. */
int64_t harness_rss_bytes(void);

/** Let this thread, and what it starts, run on `core` only, if there is one. */
void harness_pin(int core);

/** Raise the limit of descriptors as far as allowed; returns it. */
int64_t harness_raise_files(void);

/** A reproducible random number; `state` is any number but 0. */
uint64_t harness_random(uint64_t *state);

#endif
