/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor.h - the interface of all executors, as the library sees it.
 */
#ifndef SKUI_EXECUTOR_EXECUTOR_H
#define SKUI_EXECUTOR_EXECUTOR_H

#include "../atomic.h"
#include "skua/executor.h"
#include "skua/future.h"

SKUI_BEGIN_DECLS

struct skui_executor_ops {
    /* As skui_executor_submit(). */
    int (*submit)(skua_executor *executor, skua_task_fn *fn, void *arg,
                  skua_future *future);
    /* As skua_executor_shutdown(); with `wait` at most until `deadline_ns`,
     * then -ETIMEDOUT. */
    int (*shutdown)(skua_executor *executor, bool wait, bool cancel_futures,
                    int64_t deadline_ns);
    /* As skua_executor_get_stats(). */
    void (*get_stats)(const skua_executor *executor,
                      skua_executor_stats *out_stats);
    /* The last reference is gone: finish what is queued, then free it. */
    void (*release)(skua_executor *executor);
};

/* The head of each kind of executor. */
struct skua_executor {
    const struct skui_executor_ops *ops; /* constant */
    _Atomic(uint32_t) refs;              /* EX1 */
    uint32_t fork_generation;            /* constant */
};

void skui_executor_init(skua_executor *executor,
                        const struct skui_executor_ops *ops);

/*
 * Run fn(arg) in `executor` and complete `future`, of which the executor
 * takes its own reference. Cancelling a plain future drops queued work.
 * 0, or a status; then `future` is untouched.
 */
int skui_executor_submit(skua_executor *executor, skua_task_fn *fn, void *arg,
                         skua_future *future);

/* Shut down and wait until `deadline_ns`: as skua_executor_shutdown(), or
 * -ETIMEDOUT. */
int skui_executor_end(skua_executor *executor, int64_t deadline_ns);

/*
 * `count` more loops (negative: fewer) run in this process. Threads of a pool
 * only spin for work while loops and busy threads leave them a core.
 */
void skui_executor_add_loops(int count);
/*
 * Cores that neither the loops (or the one submitter, without loops) nor
 * `busy` threads need; may be negative.
 */
int skui_executor_spare_cores(int busy);

SKUI_END_DECLS

#endif
