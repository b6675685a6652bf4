/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor.c - what all executors share: references, checks, dispatch.
 * Threads     Any.
 * Invariants  Each kind of executor is reached through its table only.
 * Ordering    EX1: the last reference sees what the others did.
 */
#include "executor.h"

#include <errno.h>

#include "../cores.h"
#include "../debug.h"
#include "../future.h"
#include "../tls.h"

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

void skui_executor_init(skua_executor *executor,
                        const struct skui_executor_ops *ops)
{
    executor->ops = ops;
    executor->fork_generation = skui_fork_generation();
    skui_store_relaxed(&executor->refs, 1u); /* relaxed: not shared yet */
    (void)skui_debug_note(executor, skui_loop_self(), SKUI_ORIGIN_EXECUTOR);
}

static int executor_check(const skua_executor *executor)
{
    if (executor == NULL) {
        return -EINVAL;
    }
    return executor->fork_generation == skui_fork_generation() ? 0
                                                               : SKUA_EFORKED;
}

skua_executor *skua_executor_ref(skua_executor *executor)
{
    if (executor != NULL) {
        /* relaxed: the caller has a reference already */
        (void)skui_fetch_add_relaxed(&executor->refs, 1u);
    }
    return executor;
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
        executor->ops->release(executor);
    }
}

int skui_executor_submit(skua_executor *executor, skua_task_fn *fn, void *arg,
                         skua_future *future)
{
    int status = executor_check(executor);

    return status < 0 ? status
                      : executor->ops->submit(executor, fn, arg, future);
}

int skua_executor_submit(skua_executor *executor, skua_task_fn *fn, void *arg,
                         skua_future **out_future)
{
    int status = fn == NULL ? -EINVAL : executor_check(executor);
    skua_future *future;

    if (status < 0) {
        return status;
    }
    future = skui_future_make(SKUI_FUTURE_EXECUTOR, NULL);
    if (future == NULL) {
        return -ENOMEM;
    }
    status = executor->ops->submit(executor, fn, arg, future);
    if (status == 0 && out_future != NULL) {
        *out_future = future;
    } else {
        skua_future_unref(future);
    }
    return status;
}

int skua_executor_shutdown(skua_executor *executor, bool wait,
                           bool cancel_futures)
{
    int status = executor_check(executor);

    if (status < 0) {
        return status;
    }
    skui_debug_closed(executor);
    return executor->ops->shutdown(executor, wait, cancel_futures,
                                   SKUA_FOREVER);
}

int skui_executor_end(skua_executor *executor, int64_t deadline_ns)
{
    int status = executor_check(executor);

    if (status < 0) {
        return status;
    }
    skui_debug_closed(executor);
    return executor->ops->shutdown(executor, true, false, deadline_ns);
}

int skua_executor_get_stats(const skua_executor *executor,
                            skua_executor_stats *out_stats)
{
    int status = out_stats == NULL ? -EINVAL : executor_check(executor);

    if (status == 0) {
        executor->ops->get_stats(executor, out_stats);
    }
    return status;
}
