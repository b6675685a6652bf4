/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Runners: a group of loops, one thread each, that steal from each other.
 */
#ifndef SKUA_RUNNER_H
#define SKUA_RUNNER_H

#include <stdbool.h>

#include <skua/loop.h>
#include <skua/types.h>

SKUA_BEGIN_DECLS

/** What an idle loop does before it sleeps. */
typedef enum skua_spin_policy {
    SKUA_SPIN_ADAPTIVE, /* spin while that has paid lately and nobody else
                           wants the core */
    SKUA_SPIN_OFF,      /* sleep at once */
    SKUA_SPIN_FIXED,    /* always spin for `spin_ns` */
} skua_spin_policy;

/** When stealable work wakes a sleeping loop. */
typedef enum skua_wake_policy {
    SKUA_WAKE_PRICED, /* when it lasts longer than a wake is worth, which is
                         measured: twice what a wake takes */
    SKUA_WAKE_ALWAYS, /* whenever a loop sleeps and none searches */
} skua_wake_policy;

/**
 * What a runner does so that nothing waits behind a step that keeps a loop's
 * thread for long. Each may be turned off, to see what it does; the runner is
 * correct with any of them. The environment's SKUA_WITHOUT, for instance
 * "relief,nesting", turns them off for all runners.
 */
typedef enum skua_mechanism {
    SKUA_SENTINEL = 1,   /* "sentinel": a sleeping loop looks after those that
                            run, each millisecond; all below need it */
    SKUA_REVOCATION = 2, /* "revocation": tasks are taken back that a stuck loop
                            was about to run */
    SKUA_NESTING = 4,    /* "nesting": an event of a stuck loop is delivered at
                            once, not at the next look */
    SKUA_RELIEF = 8,     /* "relief": spare loops, when all are stuck */
} skua_mechanism;

/** How to make a runner. All-zero is the default. */
typedef struct skua_runner_options {
    unsigned loops;        /* 0: one per usable core (affinity, cgroup quota) */
    bool no_stealing;      /* tasks stay where they were queued */
    skua_spin_policy spin; /* of an idle loop */
    int64_t spin_ns;       /* at most this long; 0: 50 us */
    skua_wake_policy wake; /* of sleeping loops */
    size_t stack_bytes;    /* of each task; 0: 64 KiB */
    bool debug;            /* as skua_loop_set_debug(); false: as
                              skua_get_debug() */
    bool no_sigint;        /* leave SIGINT alone */
    int64_t executor_timeout_ns; /* how long closing waits for the executors,
                                    all together; 0: 300 s */
    unsigned relief_loops; /* spare loops, whose threads start when no other
                              one sleeps; 0: 2; at most 64. They take the
                              settings of the runner's first loop */
    bool relief_at_start;  /* start one with the first run */
    unsigned without;      /* any of skua_mechanism, which are off then */
} skua_runner_options;

/**
 * Run `fn(arg)` as the main task on every core, then shut down: tasks that are
 * left are cancelled and waited for, the executor finishes, loops close.
 * SIGINT cancels the main task; a second one ends the process. That holds in
 * the main thread; a handler that the program set itself is never replaced.
 * @return the task's status; -EINTR when SIGINT cancelled it; what
 *         skua_loop_abort() says; -EINVAL; -ENOMEM; SKUA_ERUNNING inside a
 *         loop; a system call's errno
 * Thread: any plain one.  Suspends: no, it blocks.  asyncio: run().
 */
SKUA_API int skua_run(skua_task_fn *fn, void *arg);

/**
 * skua_run() with options and the main task's result.
 * @param options  borrowed; NULL: default
 * @param out_result  may be NULL; written on success
 * @return as skua_run()
 * Thread: any plain one.  Suspends: no, it blocks.
 */
SKUA_API int skua_run_with(const skua_runner_options *options, skua_task_fn *fn,
                           void *arg, void **out_result);

/**
 * A runner; its threads start with the first run.
 * @param options  borrowed; NULL: default
 * @param out_runner  owned by the caller until skua_runner_close()
 * @return 0; -EINVAL; -ENOMEM; epoll's, eventfd's and timerfd's errno
 * Thread: any.  Suspends: never.  asyncio: Runner().
 */
SKUA_API int skua_runner_new(const skua_runner_options *options,
                             skua_runner **out_runner);

/**
 * Run `fn(arg)` to its end. May be called several times; what earlier runs
 * left behind goes on. The main tasks of all runs share one context: a copy of
 * the one that is current at the first run.
 * @param arg  borrowed until the run ends
 * @param out_result  may be NULL; written on success
 * @return as skua_run(); SKUA_ERUNNING while another run is under way
 * Thread: any plain one, always the same.  Suspends: no, it blocks.
 * asyncio: Runner.run().
 */
SKUA_API int skua_runner_run(skua_runner *runner, skua_task_fn *fn, void *arg,
                             void **out_result);

/**
 * Its `index`-th loop, borrowed; from skua_runner_loops() on its spare ones,
 * where tasks may find themselves while all others are stuck; NULL beyond.
 * Thread: any.  Suspends: never.  asyncio: Runner.get_loop().
 */
SKUA_API skua_loop *skua_runner_get_loop(skua_runner *runner, unsigned index);

/**
 * How many loops it has; 0 for NULL.
 * Thread: any.  Suspends: never.
 */
SKUA_API unsigned skua_runner_loops(const skua_runner *runner);

/**
 * Cancel what is left and wait for it, shut the default executor while the
 * loops still run, for its work may wait for them, close the loops, report
 * survivors, free the runner. A task that fails meanwhile, and an executor that
 * takes longer than it may, are reported to the exception handler. NULL is
 * allowed; the runner is gone afterwards, so it is neither closed nor run
 * again.
 * @return 0; SKUA_ERUNNING while it runs (it stays as it is); SKUA_EFORKED
 * Thread: a plain one, the one that ran it.  Suspends: no, it blocks.
 * asyncio: Runner.close().
 */
SKUA_API int skua_runner_close(skua_runner *runner);

/**
 * The runner whose loop runs in this thread, borrowed, or NULL.
 * Thread: any.  Suspends: never.
 */
SKUA_API skua_runner *skua_get_running_runner(void);

/** What a runner has done so far, all its loops together; see skua_loop_stats.
 */
typedef struct skua_runner_stats {
    skua_loop_stats loops; /* sums, spare loops included */
    uint64_t relief_runs;  /* steps of tasks on spare loops */
    unsigned relief_loops; /* spare loops that have been started */
    int64_t wake_ns;       /* what a wake takes, lately */
} skua_runner_stats;

/**
 * Copy the runner's counters.
 * @return 0; -EINVAL
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_runner_get_stats(skua_runner *runner,
                                   skua_runner_stats *out_stats);

SKUA_END_DECLS

#endif
