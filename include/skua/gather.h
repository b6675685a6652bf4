/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Several awaitables as one: gather, shield, staggered race.
 *
 * Every call gives -EINVAL for NULL where it is not allowed, for a malformed
 * awaitable and for a count over UINT32_MAX, and SKUA_EFORKED in a forked child
 * for a future of its parent, beside what is listed.
 */
#ifndef SKUA_GATHER_H
#define SKUA_GATHER_H

#include <stdbool.h>

#include <skua/types.h>

SKUA_BEGIN_DECLS

/** How one child of a gather ended. */
typedef struct skua_gather_result {
    int status;  /* its own: 0 or positive, or negative; SKUA_ECANCELED;
                    SKUA_EINVALSTATE when it has not ended */
    bool done;   /* whether it has ended; else the rest is zero */
    void *value; /* with a status of 0 or more */
    skua_exception *exception; /* what came with a negative status, or NULL;
                                  stays with the gather's future */
} skua_gather_result;

/** How to gather. All-zero is the default. */
typedef struct skua_gather_options {
    bool return_exceptions; /* wait for all; failed and cancelled children are
                               results like others */
    bool cancel_returns_early; /* asyncio's: a cancelled gather completes at the
                                  first child that ends without a result, while
                                  others still unwind */
} skua_gather_options;

/**
 * Run awaitables at once: coroutine functions are started as tasks of the
 * running loop, in order, all or none. The future that this gives completes
 * with `results` as its value when all children have ended; without
 * `return_exceptions` with the first error at once: the other children go on,
 * and what becomes of them is not reported. A child that is cancelled counts as
 * an error, SKUA_ECANCELED; skua_future_cancelled() of the gather stays false.
 *
 * Cancelling it, or a task that awaits it, cancels every child that has not
 * ended. It completes when all have ended, with the status of the first that
 * failed or was cancelled, or SKUA_ECANCELED. So what the children borrow from
 * the caller may be given up when the gather is done, unless a child failed
 * before, or `cancel_returns_early`.
 * @param awaitables  borrowed during the call; a future may stand there more
 *                    than once, and its outcome then does
 * @param options  borrowed; NULL: the default
 * @param results  `count` elements, borrowed until the future is done, and not
 *                 written after that; NULL only if `count` is 0
 * @param out_gather  a new reference; already done when all children are
 * @return 0; -ENOMEM; SKUA_ENOLOOP for a function without a running loop;
 *         SKUA_ECLOSED
 * Thread: any.  Suspends: never.  asyncio: gather().
 */
SKUA_API int skua_gather(const skua_awaitable *awaitables, size_t count,
                         const skua_gather_options *options,
                         skua_gather_result *results, skua_future **out_gather);

/**
 * A future that ends as `awaitable` does, but cancelling it, or a task that
 * awaits it, leaves that alone. What fails after its shield was cancelled is
 * reported at once, to the exception handler of its home loop.
 * @param awaitable  a function is started as a task; that is held until it ends
 * @param out_future  a new reference; of the awaitable itself when that is done
 * @return 0; -ENOMEM; as skua_create_task()
 * Thread: any.  Suspends: never.  asyncio: shield().
 */
SKUA_API int skua_shield(skua_awaitable awaitable, skua_future **out_future);

/**
 * Run `functions` one after the other until one succeeds: the next one starts
 * when the one started last has failed (or was cancelled), or after
 * `delay_ns`. The first that succeeds wins, and the others are cancelled. All
 * that were started have ended when this returns.
 * @param functions  awaitables made by skua_awaitable_call(); borrowed
 * @param count  1 or more
 * @param delay_ns  SKUA_FOREVER: only after a failure
 * @param out_winner  may be NULL; the winner's index
 * @param out_result  may be NULL; the winner's result
 * @param statuses  NULL, or `count` elements: how each ended, SKUA_EINVALSTATE
 *                  when it was not started
 * @return the winner's status; SKUA_EGROUP when all failed, with an exception
 *         that has one child for each; SKUA_ECANCELED when the calling task was
 *         cancelled, which cancels all; -ENOMEM or SKUA_ECLOSED when the next
 *         one could not be started and none won; SKUA_ENOLOOP outside a task
 * Thread: a task.  Suspends: always.  asyncio: staggered.staggered_race().
 */
SKUA_API int skua_staggered_race(const skua_awaitable *functions, size_t count,
                                 int64_t delay_ns, size_t *out_winner,
                                 void **out_result, int *statuses);

SKUA_END_DECLS

#endif
