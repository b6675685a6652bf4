/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Executors of one's own: a table of functions. The library keeps the futures,
 * tokens, deadlines, references and the waiting for the end; the executor takes
 * jobs, and has each of them run, finished or cancelled, once.
 *
 * Every call that gives a status gives -EINVAL for NULL, beside what is listed.
 */
#ifndef SKUA_EXECUTOR_TYPE_H
#define SKUA_EXECUTOR_TYPE_H

#include <stdbool.h>

#include <skua/executor.h>

SKUA_BEGIN_DECLS

/** A piece of work in the hands of an executor. Every job is a future. */
typedef struct skua_future skua_job;

/** What an executor does; see skua_executor_new(). Called from any thread. */
typedef struct skua_executor_type {
    const char *name; /* of the kind, for messages */
    /* Take a job, with one reference to it, which goes with skua_job_run(),
     * skua_job_finish(), _fail() or _discard(). It may be cancelled meanwhile.
     * 0, or a negative status: then it was not taken; SKUA_ECLOSED after
     * `shutdown`. It may suspend. */
    int (*submit)(void *self, skua_job *job);
    /* Begin the end; called once or more. With `cancel_futures` cancel what is
     * queued (skua_future_cancel(), then skua_job_discard()). When all jobs are
     * done and the workers go, call skua_executor_ended(), once, maybe in
     * here. */
    void (*shutdown)(void *self, bool cancel_futures);
    /* Nobody uses it any more: free it. After skua_executor_ended(), maybe in
     * the thread that called that. */
    void (*release)(void *self);
    /* The token of a job that runs was cancelled: tell it. Must not wait, nor
     * call into the library but for skua_job_*. NULL: jobs ask themselves. */
    void (*stop)(void *self, skua_job *job);
    /* Fill in what it knows. NULL: nothing. */
    void (*get_stats)(void *self, skua_executor_stats *out_stats);
    /* It ended: wait for what is left of its workers; short. NULL: nothing. */
    void (*join)(void *self);
} skua_executor_type;

/**
 * An executor.
 * @param type  borrowed for as long as any executor of it lives; name, submit,
 *              shutdown and release are set
 * @param self  handed to the functions of the table; it stays with the caller
 *              when this fails
 * @param out_executor  a new reference
 * @return 0; -EINVAL; -ENOMEM
 * Thread: any.  Suspends: never.  concurrent.futures: class Executor.
 */
SKUA_API int skua_executor_new(const skua_executor_type *type, void *self,
                               skua_executor **out_executor);

/**
 * All its work is done: who waits in skua_executor_shutdown() goes on.
 * @param executor  that of skua_executor_new(), borrowed
 * @return 0; SKUA_EINVALSTATE when it was not shut down, or said before
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_executor_ended(skua_executor *executor);

/**
 * What is to be done. Its bytes are in `data` or, also for those who gave
 * `data`, in `buffer`: `data` is set in every case.
 * @return borrowed for as long as the job is; NULL for what is no job
 * Thread: any.  Suspends: never.
 */
SKUA_API const skua_work *skua_job_work(const skua_job *job);

/**
 * The options it was submitted with.
 * @return borrowed for as long as the job is; NULL for what is no job
 * Thread: any.  Suspends: never.
 */
SKUA_API const skua_submit_options *skua_job_options(const skua_job *job);

/**
 * Its work is about to start somewhere: from now on it cannot be cancelled.
 * @return true; false when it was cancelled or its deadline has passed: skip
 *         it, and discard it
 * Thread: any.  Suspends: never.
 * concurrent.futures: Future.set_running_or_notify_cancel().
 */
SKUA_API bool skua_job_start(skua_job *job);

/**
 * Whether its token was cancelled or its deadline has passed.
 * Thread: any.  Suspends: never.
 */
SKUA_API bool skua_job_should_stop(const skua_job *job);

/**
 * Do all of it in this thread: start it, call the function, complete the
 * future, drop the reference. What was cancelled is skipped.
 * Thread: one of the executor's.  Suspends: no; it runs the user's function.
 */
SKUA_API void skua_job_run(skua_job *job);

/**
 * Complete it, and drop the reference.
 * @param status  0 or positive: with the bytes as its answer; negative: it
 *                failed so
 * @param data  copied; NULL with 0 bytes
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_job_finish(skua_job *job, int status, const void *data,
                              size_t bytes);

/**
 * The same without a copy: the job takes a reference to the buffer.
 * @param bytes  how many at its begin are the answer
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_job_finish_buffer(skua_job *job, int status,
                                     skua_buffer *buffer, size_t bytes);

/**
 * Let it fail with a message, and drop the reference.
 * @param status  negative
 * @param message  copied; NULL: none
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_job_fail(skua_job *job, int status, const char *message);

/**
 * Drop the reference to a job that is done: cancelled, or not to be started.
 * One that is not done fails with SKUA_EBROKENPOOL.
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_job_discard(skua_job *job);

SKUA_END_DECLS

#endif
