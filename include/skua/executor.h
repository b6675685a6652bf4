/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Executors: where blocking and CPU-bound work goes. One interface for threads
 * (thread_pool.h), processes (process_pool.h), other machines (nats.h) and
 * executors of one's own (executor_type.h). From a loop, use
 * skua_loop_run_in_executor() or skua_to_thread() as well.
 *
 * Work is a function of this process with an argument, or a registered function
 * (function.h) with bytes. Only executors whose workers are threads of this
 * process run the first.
 *
 * Work may submit to its own executor and wait for that. In a thread pool, work
 * that waits without a time limit (skua_await(), skua_wait(),
 * skua_as_completed_next()) for work of its own pool that nobody has begun runs
 * that itself, so a pool of one thread is enough for any depth that its stack
 * has room for. -EDEADLK in place of waiting: for work that is in the middle of
 * the caller, and when all threads of the pool wait so and none can be started
 * for what is queued. That is not seen when work waits in other ways, such as a
 * lock, or in a task of a loop that it runs.
 *
 * Every call that gives a status gives -EINVAL for NULL and SKUA_EFORKED in a
 * forked child for an executor of its parent, beside what is listed.
 */
#ifndef SKUA_EXECUTOR_H
#define SKUA_EXECUTOR_H

#include <stdbool.h>

#include <skua/types.h>

SKUA_BEGIN_DECLS

/** One piece of work. Exactly one of `fn` and `name` is set. */
typedef struct skua_work {
    skua_task_fn *fn;    /* a function of this process, called fn(arg) */
    void *arg;           /* borrowed until the work is done, or, when that is
                            cancelled, not used any more */
    const char *name;    /* a registered function */
    const void *data;    /* what it gets: copied; NULL with 0 bytes */
    size_t bytes;        /* of `data` */
    skua_buffer *buffer; /* in place of `data`, without a copy; a reference is
                            taken; NULL: `data` */
} skua_work;

/** How a piece of work is treated. All-zero is the default. */
typedef struct skua_submit_options {
    skua_cancel_token
        *token;          /* cancels it while it is queued and tells it while
                            it runs; a reference is taken; NULL: none */
    int64_t deadline_ns; /* of skua_monotonic(); 0: none. Work that has not
                            started by then fails with -ETIMEDOUT when its turn
                            comes; what runs is told to stop */
    bool interruptible;  /* threads: a token that is cancelled interrupts system
                            calls of the running work (EINTR), again and again
                            until it ends, by a real-time signal that the
                            program has left alone */
    const char *key;     /* durable executors: work of the same key is run once
                            in a while; copied; NULL: none */
} skua_submit_options;

/** What happens to work that comes when the queue is full. */
typedef enum skua_queue_policy {
    SKUA_QUEUE_GROW,    /* none is full: as concurrent.futures */
    SKUA_QUEUE_SUSPEND, /* the submitter waits for room: a task suspends, a
                           plain thread blocks; -EDEADLK in a callback and in a
                           worker of that executor */
    SKUA_QUEUE_REJECT,  /* -EAGAIN */
} skua_queue_policy;

/** What the executors of a loop and its runner are for: each has threads of its
 * own, so names are looked up while files block. Made on first use. */
typedef enum skua_executor_purpose {
    SKUA_EXECUTOR_BLOCKING, /* the default one: calls that block. As many
                               threads as skua_thread_pool_executor_new() gives
                               by default; unbounded */
    SKUA_EXECUTOR_CPU,   /* work that computes: a thread for each usable core;
                            unbounded */
    SKUA_EXECUTOR_NAMES, /* looking up names: 4 threads, 256 calls that wait;
                            who comes then waits, see skua_queue_policy */
} skua_executor_purpose;

/** Figures of an executor, each right at some moment of the call. */
typedef struct skua_executor_stats {
    int64_t submitted;   /* accepted so far */
    int64_t queued;      /* wait for a worker */
    int64_t queued_most; /* as many as ever waited at once, about */
    int64_t rejected;    /* refused because the queue was full */
    int64_t restarted;   /* workers that were started in place of dead ones */
    int max_workers;
    int workers; /* that live */
    int idle;    /* of these, without work */
} skua_executor_stats;

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
 * @return 0; -ENOMEM; SKUA_ECLOSED after shutdown; SKUA_EBROKENPOOL; -ENOTSUP
 *         when its workers are no threads of this process; the errno of thread
 *         creation when there is no thread at all; when the queue is full, what
 *         skua_queue_policy says
 * Thread: any.  Suspends: may, with SKUA_QUEUE_SUSPEND: cancelled there, the
 * work was not submitted (SKUA_ECANCELED).
 * concurrent.futures: Executor.submit().
 */
SKUA_API int skua_executor_submit(skua_executor *executor, skua_task_fn *fn,
                                  void *arg, skua_future **out_future);

/**
 * Run a registered function in the executor, as skua_executor_submit(). See
 * skua_future_bytes() for what it answers.
 * @param data  copied; NULL with 0 bytes
 * @return as skua_executor_submit(), never -ENOTSUP; -ENOENT for a name that is
 *         not registered here; -EMSGSIZE for more than the executor takes
 * Thread: any.  Suspends: as skua_executor_submit().
 */
SKUA_API int skua_executor_submit_named(skua_executor *executor,
                                        const char *name, const void *data,
                                        size_t bytes, skua_future **out_future);

/**
 * Submit with everything that can be said about work. A token that is cancelled
 * while the submitter waits for room cancels the work, but not the wait.
 * @param work  borrowed during the call
 * @param options  borrowed during the call; NULL: the default
 * @return as skua_executor_submit() and _named(); -EINVAL also when both or
 *         none of fn and name are set; SKUA_ECANCELED when the token was
 *         cancelled before; -EBUSY for interruptible work when the program has
 *         handlers for all real-time signals. The work fails with an errno of
 *         timer_create() if it cannot be made interruptible in its turn
 * Thread: any.  Suspends: as skua_executor_submit().
 */
SKUA_API int skua_executor_submit_work(skua_executor *executor,
                                       const skua_work *work,
                                       const skua_submit_options *options,
                                       skua_future **out_future);

/**
 * What a registered function has answered. The future's result is where that
 * lies, too.
 * @param out_data  borrowed until the future's last reference goes; aligned to
 *                  8 bytes; not NULL when there are 0 bytes
 * @return as skua_future_result(); -EINVAL for a future of something else
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_future_bytes(skua_future *future, const void **out_data,
                               size_t *out_bytes);

/**
 * The same as a buffer, to be kept or given to an executor without a copy.
 * @param out_buffer  a new reference
 * @return as skua_future_bytes(); -ENOMEM
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_future_buffer(skua_future *future, skua_buffer **out_buffer);

/**
 * Take no more work; what is queued is still run. May be repeated.
 * @param wait  until all work is done and the workers have ended
 * @param cancel_futures  cancel what is queued instead
 * @return 0; with `wait` also: -EDEADLK in one of its own workers and in a
 *         loop's callback, or SKUA_ECANCELED when the waiting task was
 *         cancelled; the executor is shut down then as well
 * Thread: any.  Suspends: may, with `wait` in a task; a plain thread blocks.
 * concurrent.futures: Executor.shutdown().
 */
SKUA_API int skua_executor_shutdown(skua_executor *executor, bool wait,
                                    bool cancel_futures);

/**
 * skua_executor_shutdown() that waits until a time at most. What still runs
 * then is named in the log, keeps the memory that it uses, and its future is
 * completed when it ends.
 * @param deadline_ns  of skua_monotonic(); SKUA_FOREVER: no limit
 * @return as skua_executor_shutdown(); -ETIMEDOUT; -EINVAL for SKUA_NOT_A_TIME
 * Thread: any.  Suspends: may, in a task; a plain thread blocks.
 */
SKUA_API int skua_executor_shutdown_until(skua_executor *executor,
                                          int64_t deadline_ns,
                                          bool cancel_futures);

/**
 * How much work was submitted and is queued, and how many workers there are,
 * live and idle: see skua_executor_stats. What an executor does not know is 0.
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
