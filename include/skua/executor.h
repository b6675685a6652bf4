/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Executors: where blocking and CPU-bound work goes. From a loop, use
 * skua_loop_run_in_executor() or skua_to_thread().
 *
 * Every call gives -EINVAL for NULL and SKUA_EFORKED in a forked child for an
 * executor of its parent, beside what is listed.
 */
#ifndef SKUA_EXECUTOR_H
#define SKUA_EXECUTOR_H

#include <stdbool.h>

#include <skua/types.h>

SKUA_BEGIN_DECLS

/** A thread pool. All-zero is the default. */
typedef struct skua_thread_pool_options {
    int max_workers;           /* 0: min(32, usable cores + 4); 4095 at most */
    const char *name_prefix;   /* of the threads' names; copied, 10 bytes are
                                  kept; NULL: "skua-pool" */
    skua_task_fn *initializer; /* run by each thread first; NULL: none. A
                                  negative status breaks the pool */
    void *initializer_arg;     /* borrowed until the last thread has started */
} skua_thread_pool_options;

/** Figures of an executor, each right at some moment of the call. */
typedef struct skua_executor_stats {
    int64_t submitted; /* accepted so far */
    int64_t queued;    /* wait for a thread */
    int max_workers;
    int workers; /* threads that live */
    int idle;    /* of these, without work */
} skua_executor_stats;

/**
 * A pool of threads, started one by one when there is work and none is idle.
 * @param options  borrowed; NULL: the default
 * @param out_executor  a new reference
 * @return 0; -EINVAL for max_workers outside 0 to 4095; -ENOMEM
 * Thread: any.  Suspends: never.  concurrent.futures: ThreadPoolExecutor().
 */
SKUA_API int
skua_thread_pool_executor_new(const skua_thread_pool_options *options,
                              skua_executor **out_executor);

/**
 * Another reference; NULL is passed through.
 * Thread: any.  Suspends: never.
 */
SKUA_API skua_executor *skua_executor_ref(skua_executor *executor);

/**
 * Drop a reference; NULL is allowed. The last one shuts the executor down
 * without waiting: what is queued is still run. When it was made in debug mode
 * and never shut down, that is logged as a warning.
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_executor_unref(skua_executor *executor);

/**
 * Run `fn(arg)` in the executor; work starts in the order submitted. The
 * future can be cancelled until then, and its done callbacks run in the thread
 * that completes it.
 * @param arg  borrowed until the future is done, or, when that is cancelled,
 *             not used any more
 * @param out_future  a new reference; NULL: the outcome is dropped
 * @return 0; -ENOMEM; SKUA_ECLOSED after shutdown; SKUA_EBROKENPOOL; the errno
 *         of thread creation when there is no thread at all
 * Thread: any.  Suspends: never.  concurrent.futures: Executor.submit().
 */
SKUA_API int skua_executor_submit(skua_executor *executor, skua_task_fn *fn,
                                  void *arg, skua_future **out_future);

/**
 * Take no more work; what is queued is still run. May be repeated.
 * @param wait  until all work is done and the threads have ended
 * @param cancel_futures  cancel what is queued instead
 * @return 0; with `wait` also: -EDEADLK in one of its own threads and in a
 *         loop's callback, or SKUA_ECANCELED when the waiting task was
 *         cancelled; the executor is shut down then as well
 * Thread: any.  Suspends: may, with `wait` in a task; a plain thread blocks.
 * concurrent.futures: Executor.shutdown().
 */
SKUA_API int skua_executor_shutdown(skua_executor *executor, bool wait,
                                    bool cancel_futures);

/**
 * How much work was submitted and is queued, and how many threads there are,
 * live and idle: see skua_executor_stats.
 * @param out_stats  filled
 * @return 0
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_executor_get_stats(const skua_executor *executor,
                                     skua_executor_stats *out_stats);

/**
 * Run the blocking `fn(arg)` in the running loop's default executor and wait
 * for it: skua_loop_run_in_executor() and skua_await() in one.
 * @param arg  borrowed until `fn` returns. That may be after a cancelled call:
 *             then `fn` does not run if it has not started, and runs to its end
 *             otherwise, with nobody to take its outcome. So `arg` must not lie
 *             in the frame of a task that may be cancelled, and `fn` frees it
 *             only if it is not needed when `fn` never runs. To stay until it
 *             has ended, await skua_shield() of skua_loop_run_in_executor()
 * @param out_result  may be NULL; written on success
 * @return the outcome as skua_await(); SKUA_ECANCELED when the task was
 *         cancelled; SKUA_ENOLOOP outside a task; SKUA_ECLOSED; -ENOMEM; as
 *         skua_executor_submit()
 * Thread: a task.  Suspends: always.  asyncio: to_thread().
 */
SKUA_API int skua_to_thread(skua_task_fn *fn, void *arg, void **out_result);

SKUA_END_DECLS

#endif
