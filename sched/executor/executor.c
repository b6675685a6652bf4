/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor.c - what all executors share: references, checks, dispatch, the end.
 * Threads     Any.
 * Invariants  Each kind of executor is reached through its table only. Its
 *             `release` is called once, when all references are gone and it has
 *             ended.
 * Ordering    EX1: the last owner sees what the others did. EX2: the phases
 *             open, closed, ended.
 */
#include "executor.h"

#include <errno.h>
#include <stdio.h>

#include "skua/cancel_token.h"

#include "../cores.h"
#include "../debug.h"
#include "../future.h"
#include "../log.h"
#include "../loop.h"
#include "../memory.h"
#include "../tls.h"
#include "job.h"
#include "work_self.h"

enum { PHASE_OPEN, PHASE_CLOSED, PHASE_ENDED };
enum { MESSAGE_BYTES = 128 };

static _Atomic(int) executor_loops; /* relaxed: a hint for spinning */

void skui_executor_add_loops(int count)
{
    (void)skui_fetch_add_relaxed(&executor_loops, count); /* relaxed: hint */
}

int skui_executor_spare_cores(int busy)
{
    /* relaxed: a hint */
    int loops = skui_load_relaxed(&executor_loops);

    return (int)skui_known_cores() - busy - (loops < 1 ? 1 : loops);
}

static int executor_check(const skua_executor *executor)
{
    if (executor == NULL) {
        return -EINVAL;
    }
    return executor->fork_generation == skui_fork_generation() ? 0
                                                               : SKUA_EFORKED;
}

/* --- life --- */

int skui_executor_make(const skua_executor_type *type, void *self,
                       skua_executor **out_executor)
{
    skua_executor *executor;

    skui_runtime_init();
    executor = skui_allocate_zeroed(sizeof(*executor));
    if (executor == NULL) {
        return -ENOMEM;
    }
    executor->ended = skui_future_make(SKUI_FUTURE_EXECUTOR, NULL);
    if (executor->ended == NULL) {
        skui_release(executor);
        return -ENOMEM;
    }
    if (executor->ended->traced) { /* it is a part, not what somebody made */
        skui_origin_forget(executor->ended);
        executor->ended->traced = false;
    }
    (void)skui_future_set_running(executor->ended);
    executor->type = type;
    executor->self = self;
    executor->takes_functions = true;
    executor->fork_generation = skui_fork_generation();
    skui_store_relaxed(&executor->refs, 1u); /* relaxed: not shared yet */
    /* relaxed: not shared yet */
    skui_store_relaxed(&executor->owners, 2u);
    (void)skui_debug_note(executor, skui_loop_self(), SKUI_ORIGIN_EXECUTOR);
    *out_executor = executor;
    return 0;
}

int skua_executor_new(const skua_executor_type *type, void *self,
                      skua_executor **out_executor)
{
    if (type == NULL || out_executor == NULL || type->name == NULL ||
        type->submit == NULL || type->shutdown == NULL ||
        type->release == NULL) {
        return -EINVAL;
    }
    return skui_executor_make(type, self, out_executor);
}

void skui_executor_hold(skua_executor *executor)
{
    /* relaxed: it has an owner already */
    (void)skui_fetch_add_relaxed(&executor->owners, 1u);
}

void skui_executor_drop(skua_executor *executor)
{
    /* EX1 acq_rel: the last one sees what the others did. */
    if (skui_fetch_sub_acq_rel(&executor->owners, 1u) == 1) {
        skua_future_unref(executor->ended);
        executor->type->release(executor->self);
        skui_release(executor);
    }
}

skua_executor *skua_executor_ref(skua_executor *executor)
{
    if (executor != NULL) {
        /* relaxed: the caller has a reference already */
        (void)skui_fetch_add_relaxed(&executor->refs, 1u);
    }
    return executor;
}

/* --- the end --- */

static void executor_close(skua_executor *executor, bool cancel_futures)
{
    uint32_t phase = PHASE_OPEN;

    /* EX2 acq_rel: before the end, which it makes possible. */
    (void)skui_cas_acq_rel(&executor->phase, &phase, (uint32_t)PHASE_CLOSED);
    executor->type->shutdown(executor->self, cancel_futures);
}

void skua_executor_unref(skua_executor *executor)
{
    if (executor == NULL) {
        return;
    }
    /* EX1 acq_rel: the last one sees what the others did. */
    if (skui_fetch_sub_acq_rel(&executor->refs, 1u) == 1 &&
        executor_check(executor) == 0) {
        skui_debug_unclosed(executor);
        skui_origin_forget(executor);
        executor_close(executor, false);
        skui_executor_drop(executor);
    }
}

int skua_executor_ended(skua_executor *executor)
{
    uint32_t phase = PHASE_CLOSED;
    struct skui_outcome outcome = {0, NULL, NULL};

    if (executor == NULL) {
        return -EINVAL;
    }
    /* EX2 acq_rel: as executor_close(). */
    if (!skui_cas_acq_rel(&executor->phase, &phase, (uint32_t)PHASE_ENDED)) {
        return SKUA_EINVALSTATE;
    }
    (void)skui_future_complete(executor->ended, &outcome);
    skui_executor_drop(executor);
    return 0;
}

static void executor_report_late(skua_executor *executor)
{
    char message[MESSAGE_BYTES];

    if (executor->report != NULL) {
        executor->report(executor->self);
        return;
    }
    (void)snprintf(message, sizeof(message),
                   "executor \"%.64s\": shut down, but not at its end in time",
                   executor->type->name);
    skui_log(SKUA_LOG_WARNING, message);
}

static int executor_wait_end(skua_executor *executor, int64_t deadline_ns)
{
    int status;

    if (skui_work_is_of(executor)) {
        return -EDEADLK;
    }
    status = skui_future_wait_done(executor->ended, deadline_ns);
    if (status == 0 && executor->type->join != NULL) {
        executor->type->join(executor->self);
    } else if (status == -ETIMEDOUT) {
        executor_report_late(executor);
    }
    return status;
}

static int executor_end(skua_executor *executor, bool cancel_futures, bool wait,
                        int64_t deadline_ns)
{
    int status = executor_check(executor);

    if (status < 0) {
        return status;
    }
    skui_debug_closed(executor);
    executor_close(executor, cancel_futures);
    return wait ? executor_wait_end(executor, deadline_ns) : 0;
}

int skua_executor_shutdown(skua_executor *executor, bool wait,
                           bool cancel_futures)
{
    return executor_end(executor, cancel_futures, wait, SKUA_FOREVER);
}

int skua_executor_shutdown_until(skua_executor *executor, int64_t deadline_ns,
                                 bool cancel_futures)
{
    if (deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    return executor_end(executor, cancel_futures, true, deadline_ns);
}

/* --- submitting --- */

/* Make a job and hand it over. */
static int executor_submit_job(skua_executor *executor, const skua_work *work,
                               const skua_submit_options *options,
                               skua_future **out_future)
{
    struct skui_job *job;
    int status = skui_job_new(executor, work, options, &job);

    if (status < 0) {
        return status;
    }
    (void)skua_future_ref(&job->future);
    skui_job_attach(job);
    status = executor->type->submit(executor->self, &job->future);
    if (status < 0) {
        skui_job_detach(job);
        skua_future_unref(&job->future);
    } else if (out_future != NULL) {
        *out_future = skua_future_ref(&job->future);
    }
    skua_future_unref(&job->future);
    return status;
}

/* Without a job. */
static int executor_submit_bare(skua_executor *executor, skua_task_fn *fn,
                                void *arg, skua_future **out_future)
{
    skua_future *future = skui_future_make(SKUI_FUTURE_EXECUTOR, NULL);
    int status;

    if (future == NULL) {
        return -ENOMEM;
    }
    future->loop_id = executor->number;
    status = executor->submit_bare(executor->self, fn, arg, future);
    if (status == 0 && out_future != NULL) {
        *out_future = future;
    } else {
        skua_future_unref(future);
    }
    return status;
}

static int work_check(const skua_executor *executor, const skua_work *work,
                      const skua_submit_options *options)
{
    if ((work->fn == NULL) == (work->name == NULL) ||
        (work->data == NULL && work->bytes > 0 && work->buffer == NULL)) {
        return -EINVAL;
    }
    if (work->fn != NULL && !executor->takes_functions) {
        return -ENOTSUP;
    }
    if (options != NULL && (options->deadline_ns < 0 ||
                            skua_cancel_token_is_cancelled(options->token))) {
        return options->deadline_ns < 0 ? -EINVAL : SKUA_ECANCELED;
    }
    return 0;
}

static bool options_are_default(const skua_submit_options *options)
{
    return options == NULL ||
           (options->token == NULL && options->deadline_ns == 0 &&
            !options->interruptible && options->key == NULL);
}

int skua_executor_submit_work(skua_executor *executor, const skua_work *work,
                              const skua_submit_options *options,
                              skua_future **out_future)
{
    int status = work == NULL ? -EINVAL : executor_check(executor);

    if (status == 0) {
        status = work_check(executor, work, options);
    }
    if (status < 0) {
        return status;
    }
    if (work->fn != NULL && executor->submit_bare != NULL &&
        options_are_default(options)) {
        return executor_submit_bare(executor, work->fn, work->arg, out_future);
    }
    return executor_submit_job(executor, work, options, out_future);
}

int skua_executor_submit(skua_executor *executor, skua_task_fn *fn, void *arg,
                         skua_future **out_future)
{
    const skua_work work = {.fn = fn, .arg = arg};
    int status;

    if (executor == NULL || fn == NULL || executor->submit_bare == NULL) {
        return skua_executor_submit_work(executor, &work, NULL, out_future);
    }
    status = executor_check(executor);
    return status < 0 ? status
                      : executor_submit_bare(executor, fn, arg, out_future);
}

int skua_executor_submit_named(skua_executor *executor, const char *name,
                               const void *data, size_t bytes,
                               skua_future **out_future)
{
    const skua_work work = {.name = name, .data = data, .bytes = bytes};

    return skua_executor_submit_work(executor, &work, NULL, out_future);
}

int skui_executor_run_for(skua_executor *executor, skua_loop *loop,
                          skua_task_fn *fn, void *arg, skua_future **out_future)
{
    int status = executor_check(executor);
    skua_future *future;

    if (status < 0) {
        return status;
    }
    if (executor->submit_bare == NULL) {
        status = skua_executor_submit(executor, fn, arg, &future);
        if (status == 0) {
            status = skua_wrap_future(loop, future, out_future);
            if (status < 0) {
                (void)skua_future_cancel(future);
            }
            skua_future_unref(future);
        }
        return status;
    }
    status = skua_future_new(loop, &future);
    if (status < 0) {
        return status;
    }
    status = executor->submit_bare(executor->self, fn, arg, future);
    if (status < 0) {
        skua_future_unref(future);
    } else {
        *out_future = future;
    }
    return status;
}

int skua_executor_get_stats(const skua_executor *executor,
                            skua_executor_stats *out_stats)
{
    int status = out_stats == NULL ? -EINVAL : executor_check(executor);

    if (status == 0) {
        *out_stats = (skua_executor_stats){0};
        if (executor->type->get_stats != NULL) {
            executor->type->get_stats(executor->self, out_stats);
        }
    }
    return status;
}
