/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.c - a group of loops: start, run, shut down.
 * Threads     One thread runs and closes it and is the thread of loop 0; each
 *             other loop has a thread of its own from the first run on.
 * Invariants  Teardown in asyncio's order: cancel all tasks and wait for them,
 *             stop the loops, shut the executor, close the loops.
 */
#include "runner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cores.h"
#include "debug.h"
#include "future.h"
#include "report.h"
#include "task.h"
#include "thread.h"

enum {
    MAXIMUM_LOOPS = 1024,
    CANCEL_ROUNDS = 64, /* of tasks that create tasks while being cancelled */
    CANCEL_BATCH = 256,
    EXECUTOR_SECONDS = 300, /* as in asyncio */
    WAKE_NS = 30000,        /* an estimate before the first wake */
    MECHANISMS_END = 2 * SKUA_RELIEF,
};

/* --- making --- */

static void runner_free(skua_runner *runner)
{
    if (runner != NULL) {
        skua_context_unref(runner->context);
        skui_release(runner->threads);
        skui_release(runner->loops);
        skui_release_aligned(runner);
    }
}

static skua_runner *runner_allocate(unsigned count)
{
    skua_runner *runner = skui_allocate_aligned(sizeof(*runner));

    if (runner == NULL) {
        return NULL;
    }
    runner->loops = skui_allocate_zeroed(count * sizeof(skua_loop *));
    runner->threads = skui_allocate_zeroed(count * sizeof(pthread_t));
    if (runner->loops == NULL || runner->threads == NULL) {
        runner_free(runner);
        return NULL;
    }
    return runner;
}

static void runner_close_loops(skua_runner *runner)
{
    if (runner->total > 0) {
        skui_loops_shut(runner->loops, runner->total);
    }
    skui_sentinel_close(runner); /* nobody is inside any more */
    for (unsigned i = 0; i < runner->total; i++) {
        runner->loops[i]->runner = NULL;
        skui_loop_recycle(runner->loops[i]);
    }
}

static void runner_configure_loop(skua_loop *loop,
                                  const skua_runner_options *options,
                                  bool crowded)
{
    loop->idle.policy = loop->spare ? SKUA_SPIN_OFF : options->spin;
    if (crowded && options->spin == SKUA_SPIN_ADAPTIVE) {
        loop->idle.policy = SKUA_SPIN_OFF; /* a spinner would take the time of
                                              another loop */
    }
    if (options->spin_ns > 0) {
        loop->idle.spin_ns = options->spin_ns;
    }
    if (options->debug) {
        skui_debug_set(&loop->debug, true);
    }
    (void)skui_debug_note(loop, loop, SKUI_ORIGIN_LOOP);
}

static bool options_are_valid(const skua_runner_options *options)
{
    return options->loops <= MAXIMUM_LOOPS &&
           (unsigned)options->spin <= SKUA_SPIN_FIXED &&
           (unsigned)options->wake <= SKUA_WAKE_ALWAYS &&
           options->spin_ns >= 0 && options->executor_timeout_ns >= 0 &&
           options->relief_loops <= SKUI_RELIEF_MAXIMUM &&
           options->without < MECHANISMS_END;
}

/* What SKUA_WITHOUT names; words that it does not know are ignored. */
static unsigned environment_without(void)
{
    static const struct {
        const char *word;
        skua_mechanism mechanism;
    } known[] = {
        {"sentinel", SKUA_SENTINEL},
        {"revocation", SKUA_REVOCATION},
        {"nesting", SKUA_NESTING},
        {"relief", SKUA_RELIEF},
    };
    const char *text = secure_getenv("SKUA_WITHOUT");
    unsigned without = 0;

    for (size_t i = 0; text != NULL && i < sizeof(known) / sizeof(*known);
         i++) {
        if (strstr(text, known[i].word) != NULL) {
            without |= (unsigned)known[i].mechanism;
        }
    }
    return without;
}

/* Options with the defaults filled in. */
static void options_complete(skua_runner_options *options, unsigned cores)
{
    if (options->loops == 0) {
        options->loops = cores < MAXIMUM_LOOPS ? cores : MAXIMUM_LOOPS;
    }
    if (options->relief_loops == 0) {
        options->relief_loops = SKUI_RELIEF_DEFAULT;
    }
    if (options->executor_timeout_ns == 0) {
        options->executor_timeout_ns = EXECUTOR_SECONDS * SKUA_S;
    }
    options->without |= environment_without();
    if (options->loops < 2 || options->no_stealing ||
        (options->without & (SKUA_SENTINEL | SKUA_RELIEF)) != 0) {
        options->relief_loops = 0;
        options->relief_at_start = false;
    }
}

static void runner_configure(skua_runner *runner,
                             const skua_runner_options *options)
{
    runner->count = options->loops;
    runner->total = options->loops + options->relief_loops;
    runner->without = options->without;
    runner->stealing = !options->no_stealing;
    runner->always_wakes = options->wake == SKUA_WAKE_ALWAYS;
    /* relaxed: not shared yet */
    skui_store_relaxed(&runner->wake_ticks, skui_clock_ticks_of(WAKE_NS));
    runner->relief_at_start = options->relief_at_start;
    runner->sentinel.timer_fd = -1;
    runner->no_sigint = options->no_sigint;
    runner->executor_timeout_ns = options->executor_timeout_ns;
    runner->fork_generation = skui_fork_generation();
}

static int runner_open_loops(skua_runner *runner,
                             const skua_runner_options *options, bool crowded)
{
    int status = 0;

    for (unsigned i = 0; i < runner->total && status == 0; i++) {
        status = skui_loop_open(NULL, options->stack_bytes, runner, i,
                                &runner->loops[i]);
        if (status == 0) {
            runner_configure_loop(runner->loops[i], options, crowded);
        }
    }
    return status == 0 ? skui_sentinel_open(runner) : status;
}

int skua_runner_new(const skua_runner_options *options,
                    skua_runner **out_runner)
{
    skua_runner_options chosen = {0};
    unsigned cores = skui_usable_cores();
    skua_runner *runner;
    int status;

    skui_runtime_init(); /* the clock is measured by it */

    if (options != NULL) {
        chosen = *options;
    }
    if (out_runner == NULL || !options_are_valid(&chosen)) {
        return -EINVAL;
    }
    options_complete(&chosen, cores);
    runner = runner_allocate(chosen.loops + chosen.relief_loops);
    if (runner == NULL) {
        return -ENOMEM;
    }
    runner_configure(runner, &chosen);
    status = runner_open_loops(
        runner, &chosen, runner->count > cores || skui_cores_are_rationed());
    if (status < 0) {
        while (runner->total > 0 && runner->loops[runner->total - 1] == NULL) {
            runner->total--;
        }
        runner_close_loops(runner);
        runner_free(runner);
        return status;
    }
    *out_runner = runner;
    return 0;
}

skua_loop *skua_runner_get_loop(skua_runner *runner, unsigned index)
{
    return runner == NULL || index >= runner->total ? NULL
                                                    : runner->loops[index];
}

unsigned skua_runner_loops(const skua_runner *runner)
{
    return runner == NULL ? 0 : runner->count;
}

skua_runner *skua_get_running_runner(void)
{
    const skua_loop *loop = skui_loop_self();

    return loop == NULL ? NULL : loop->runner;
}

static void stats_add(skua_loop_stats *sum, const skua_loop_stats *more)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)more;

    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++) {
        to[i] += from[i];
    }
}

int skua_runner_get_stats(skua_runner *runner, skua_runner_stats *out_stats)
{
    uint64_t ticks_of_ms = skui_clock_ticks_of(SKUA_MS);

    if (runner == NULL || out_stats == NULL) {
        return -EINVAL;
    }
    *out_stats = (skua_runner_stats){0};
    for (unsigned i = 0; i < runner->total; i++) {
        skua_loop_stats stats;

        (void)skua_loop_get_stats(runner->loops[i], &stats);
        stats_add(&out_stats->loops, &stats);
        out_stats->relief_runs += i >= runner->count ? stats.tasks_run : 0;
    }
    out_stats->relief_loops = skui_relief_started(runner);
    /* relaxed: an estimate */
    out_stats->wake_ns = (int64_t)(skui_load_relaxed(&runner->wake_ticks) *
                                   (uint64_t)SKUA_MS / ticks_of_ms);
    return 0;
}

/* --- threads --- */

static void *runner_thread(void *arg)
{
    skua_loop *loop = arg;
    skua_runner *runner = loop->runner;
    char name[16];
    int status;

    (void)snprintf(name, sizeof(name), "skua-%u", loop->index);
    (void)pthread_setname_np(pthread_self(), name);
    status = skui_loop_enter(loop);
    if (status < 0) {
        /* relaxed: ordered by the semaphore */
        skui_store_relaxed(&runner->enter_status, status);
    }
    (void)sem_post(&runner->entered);
    if (status == 0) {
        skui_loop_run(loop);
        skui_loop_leave(loop);
    }
    return NULL;
}

static void runner_stop_threads(skua_runner *runner)
{
    for (unsigned i = 1; i <= runner->started; i++) {
        skui_loop_request_stop(runner->loops[i]);
    }
    for (unsigned i = 1; i <= runner->started; i++) {
        (void)pthread_join(runner->threads[i], NULL);
        /* relaxed: a loop that could not be entered has not seen it */
        skui_store_relaxed(&runner->loops[i]->stop_requested, false);
    }
    runner->started = 0;
    skui_relief_stop(runner); /* none of those starts a spare one any more */
}

/* Create the threads of loops 1..; 0 or a negative errno. */
static int runner_create_threads(skua_runner *runner)
{
    int status = 0;

    while (runner->started + 1 < runner->count && status == 0) {
        unsigned next = runner->started + 1;

        status = skui_thread_start(&runner->threads[next], runner_thread,
                                   runner->loops[next]);
        if (status == 0) {
            runner->started = next;
        }
    }
    return status;
}

/* Start loops 1.. and wait until each of them runs. */
static int runner_start_threads(skua_runner *runner)
{
    int status;

    if (runner->started + 1 >= runner->count) {
        return 0;
    }
    (void)sem_init(&runner->entered, 0, 0);
    skui_store_relaxed(&runner->enter_status, 0); /* relaxed: no thread yet */
    status = runner_create_threads(runner);
    for (unsigned i = 0; i < runner->started; i++) {
        while (sem_wait(&runner->entered) != 0) {
            /* a signal: wait again */
        }
    }
    if (status == 0) {
        /* relaxed: ordered by the semaphore */
        status = skui_load_relaxed(&runner->enter_status);
    }
    if (status < 0) {
        runner_stop_threads(runner);
        return status;
    }
    if (runner->relief_at_start) {
        skui_relief_start(runner);
    }
    skui_park_calibrate(runner);
    return status;
}

/* --- running --- */

/* Until the main task is done or the run is aborted; closing goes on then. */
static int runner_run_until_done(skua_runner *runner)
{
    skua_loop *loop = runner->loops[0];
    int status;
    int aborted;

    do {
        status = skui_loop_run_until(loop, runner->main_task);
        aborted = skui_loop_take_abort(loop, 0);
    } while (runner->closing && status == SKUA_ESTOPPED);
    return runner->closing || aborted == 0 ? status : aborted;
}

/* On loop 0, which runs: the main task's outcome, or why there is none. */
static int runner_run_main(skua_runner *runner, skua_task_fn *fn, void *arg)
{
    skua_task_options options = {0};
    int status = 0;

    if (runner->context == NULL) { /* every run goes on in it (asyncio) */
        status = skua_copy_context(&runner->context);
    }
    if (status < 0) {
        return status;
    }
    options.name = "main";
    options.loop = runner->loops[0];
    options.context = runner->context;
    if (!runner->no_sigint) {
        skui_sigint_install(runner); /* before the task can run elsewhere */
    }
    status = skua_create_task_with(&options, fn, arg, &runner->main_task);
    if (status == 0) {
        status = runner_run_until_done(runner);
    }
    skui_sigint_restore(runner);
    return status;
}

/* What the run gives that ended with `status`, 0 when the main task did. */
static int runner_main_outcome(skua_runner *runner, int status,
                               void **out_result)
{
    skua_task *task = runner->main_task;

    runner->main_task = NULL;
    if (task == NULL) {
        return status;
    }
    if (status < 0) {
        skui_future_forgive(task); /* an abort is what is told of it */
    } else {
        status = skua_future_result(task, out_result);
    }
    /* relaxed: its writer ran on this thread or woke it */
    if (status == SKUA_ECANCELED && skui_load_relaxed(&runner->interrupted) &&
        skua_task_uncancel(task) == 0) {
        status = -EINTR;
    }
    skua_future_unref(task);
    return status;
}

int skua_runner_run(skua_runner *runner, skua_task_fn *fn, void *arg,
                    void **out_result)
{
    bool idle = false;
    int status;

    if (runner == NULL || fn == NULL) {
        return -EINVAL;
    }
    if (runner->fork_generation != skui_fork_generation()) {
        return SKUA_EFORKED;
    }
    /* relaxed: refuses a second run, publishes nothing */
    if (skui_loop_self() != NULL ||
        !skui_cas_relaxed(&runner->running, &idle, true)) {
        return SKUA_ERUNNING;
    }
    skui_store_relaxed(&runner->interrupted, false); /* relaxed: own thread */
    status = runner_start_threads(runner);
    if (status == 0) {
        status = skui_loop_enter(runner->loops[0]);
    }
    if (status == 0) {
        status = runner_run_main(runner, fn, arg);
        skui_loop_leave(runner->loops[0]);
        status = runner_main_outcome(runner, status, out_result);
    }
    skui_store_relaxed(&runner->running, false); /* relaxed: own thread */
    return status;
}

/* --- closing --- */

static void cancel_and_wait(skua_task *task)
{
    struct skui_outcome outcome;

    if (skui_future_wait(task, SKUA_FOREVER, &outcome) < 0) {
        return;
    }
    if (outcome.status < 0 && outcome.status != SKUA_ECANCELED) {
        skua_exception_context context = {0};

        context.message = "unhandled exception during shutdown";
        context.status = outcome.status;
        context.exception = outcome.exception;
        context.loop = skui_future_home(task);
        context.future = task;
        skui_report(&context);
    }
    skua_exception_unref(outcome.exception);
}

/* References to all tasks of all loops; NULL when memory is short. */
static skua_task **runner_list_tasks(skua_runner *runner, size_t *out_count)
{
    size_t capacity = CANCEL_BATCH;

    for (;;) {
        skua_task **tasks = skui_allocate(capacity * sizeof(skua_task *));
        size_t found = 0;
        size_t held = 0;

        for (unsigned i = 0; i < runner->count && tasks != NULL; i++) {
            size_t room = capacity - held;
            size_t count =
                (size_t)skui_task_list(runner->loops[i], tasks + held, room);

            found += count;
            held += count < room ? count : room;
        }
        if (tasks == NULL || found <= capacity) {
            *out_count = held;
            return tasks;
        }
        while (held > 0) {
            skua_future_unref(tasks[--held]);
        }
        skui_release(tasks);
        capacity = found * 2;
    }
}

/* One round: cancel every task, then wait for each; whether there were any. */
static bool cancel_round(skua_runner *runner)
{
    const skua_task *self = skua_current_task();
    size_t count = 0;
    skua_task **tasks = runner_list_tasks(runner, &count);
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        if (tasks[i] != self) {
            any = true;
            (void)skua_future_cancel(tasks[i]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (tasks[i] != self) {
            cancel_and_wait(tasks[i]);
        }
        skua_future_unref(tasks[i]);
    }
    skui_release(tasks);
    return any;
}

static void runner_end_executor(skua_runner *runner)
{
    int status = skui_executor_slot_shutdown(
        &runner->executor_slot, skui_clock_after(runner->executor_timeout_ns));

    if (status == -ETIMEDOUT) {
        skua_exception_context context = {0};

        context.message = "The executor did not finish its work in time";
        context.status = status;
        context.loop = runner->loops[0];
        context.duration_ns = runner->executor_timeout_ns;
        skui_report(&context);
    }
}

/*
 * A task of loop 0: cancel all others, and those that come meanwhile, then shut
 * the executor while the loops run: its work may wait for them.
 */
static int runner_wind_up(void *arg)
{
    skua_runner *runner = arg;
    int rounds = 0;

    while (cancel_round(runner) && rounds < CANCEL_ROUNDS) {
        rounds++; /* survivors are reported when their loop is closed */
    }
    runner_end_executor(runner);
    return 0;
}

static bool runner_has_tasks(skua_runner *runner)
{
    for (unsigned i = 0; i < runner->count; i++) {
        if (skui_task_list(runner->loops[i], NULL, 0) > 0) {
            return true;
        }
    }
    return false;
}

int skua_runner_close(skua_runner *runner)
{
    if (runner == NULL) {
        return 0;
    }
    if (runner->fork_generation != skui_fork_generation()) {
        return SKUA_EFORKED;
    }
    if (skui_load_relaxed(&runner->running)) { /* relaxed: own thread */
        return SKUA_ERUNNING;
    }
    runner->closing = true;
    if (runner_has_tasks(runner) ||
        skui_executor_slot_is_used(&runner->executor_slot)) {
        (void)skua_runner_run(runner, runner_wind_up, runner, NULL);
    }
    runner_stop_threads(runner);
    runner_end_executor(runner); /* if that could not run */
    skui_executor_slot_close(&runner->executor_slot, false);
    runner_close_loops(runner);
    runner_free(runner);
    return 0;
}

int skua_run_with(const skua_runner_options *options, skua_task_fn *fn,
                  void *arg, void **out_result)
{
    skua_runner *runner;
    int status;

    if (fn == NULL) {
        return -EINVAL;
    }
    if (skui_loop_self() != NULL) {
        return SKUA_ERUNNING;
    }
    status = skua_runner_new(options, &runner);
    if (status < 0) {
        return status;
    }
    status = skua_runner_run(runner, fn, arg, out_result);
    (void)skua_runner_close(runner);
    return status;
}

int skua_run(skua_task_fn *fn, void *arg)
{
    return skua_run_with(NULL, fn, arg, NULL);
}
