/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Waiting for several futures: until some are done, or one after the other as
 * they end. Neither call cancels, reads or raises what it waits for. Futures
 * of executors and tasks of any loop may be mixed.
 *
 * Every call gives -EINVAL for NULL and SKUA_EFORKED in a forked child for a
 * future of its parent, beside what is listed.
 */
#ifndef SKUA_WAIT_H
#define SKUA_WAIT_H

#include <stdbool.h>

#include <skua/types.h>

SKUA_BEGIN_DECLS

/** When skua_wait() returns. */
typedef enum skua_return_when {
    SKUA_ALL_COMPLETED,   /* all are done */
    SKUA_FIRST_COMPLETED, /* one is done, however it ended */
    SKUA_FIRST_EXCEPTION, /* one has failed, or all are done; "cancelled" is no
                             failure */
} skua_return_when;

/**
 * Wait for futures until `when` holds or the time is over. In a task this
 * suspends the task; in a plain thread it blocks the thread. What is done
 * already costs no suspension.
 * @param futures  borrowed; the same one may stand there more than once
 * @param timeout_ns  SKUA_FOREVER: no limit; 0 or less: a task gives up one
 *                    iteration, then only a look
 * @param out_done  NULL, or `count` elements: whether each future is done when
 *                  the call returns, by whatever reason
 * @return how many different futures are done; -EINVAL also for no futures,
 *         more than INT_MAX or SKUA_NOT_A_TIME; SKUA_ECANCELED when the
 *         waiting task was cancelled, which leaves the futures alone and
 *         `out_done` unwritten; -EDEADLK in a callback, and for a task that
 *         waits for itself; -ENOMEM
 * Thread: any.  Suspends: may.
 * asyncio: wait().  concurrent.futures: wait().
 */
SKUA_API int skua_wait(skua_future *const *futures, size_t count,
                       int64_t timeout_ns, skua_return_when when,
                       bool *out_done);

/**
 * Futures in the order in which they complete. In the caller's memory; all-zero
 * is one without futures. It must not move between init and fini.
 */
typedef struct skua_as_completed {
    SKUA_ALIGNED(8) unsigned char opaque[104];
} skua_as_completed;

/**
 * Begin to follow futures. Coroutine functions are started as tasks of the
 * running loop, in order, all or none.
 * @param awaitables  borrowed during the call; a future that stands there more
 *                    than once counts once
 * @param timeout_ns  from now on for all of them; SKUA_FOREVER: no limit
 * @return how many different futures there are; -EINVAL also for a malformed
 *         awaitable, more than INT_MAX or SKUA_NOT_A_TIME; -ENOMEM;
 *         SKUA_ENOLOOP for a function without a running loop; SKUA_ECLOSED.
 *         After a failure there is nothing to fini
 * Thread: any.  Suspends: never.  asyncio: as_completed().
 */
SKUA_API int skua_as_completed_init(skua_as_completed *self,
                                    const skua_awaitable *awaitables,
                                    size_t count, int64_t timeout_ns);

/**
 * The next future that has completed: futures that were done at init in the
 * order given, then others in the order in which their outcomes were
 * published. Several tasks and threads may call this at once: the k-th call
 * gets the k-th completion.
 * @param out_future  borrowed: it is done, and stays until fini, also when it
 *                    is the task of a function
 * @return 1; 0 when there are no more; -ETIMEDOUT once for each that was not
 *         done in time, which goes on; SKUA_ECANCELED when the waiting task
 *         was cancelled: the completion goes to the next call; -EDEADLK in a
 *         callback when none is ready
 * Thread: any.  Suspends: may.  asyncio: as_completed().__anext__().
 */
SKUA_API int skua_as_completed_next(skua_as_completed *self,
                                    skua_future **out_future);

/**
 * The outcome of the next future that completes: skua_as_completed_next(),
 * then skua_future_result(). Call it as often as init has said.
 * @param out_result  may be NULL; written on success
 * @return the outcome as skua_await(); -ETIMEDOUT, SKUA_ECANCELED and -EDEADLK
 *         as skua_as_completed_next(); SKUA_EINVALSTATE when there are no more
 * Thread: any.  Suspends: may.  asyncio: await next(as_completed()).
 */
SKUA_API int skua_as_completed_await(skua_as_completed *self,
                                     void **out_result);

/**
 * Stop following: no future keeps anything of it, and the futures it gave out
 * may go. Tasks that it has started go on. Any number of times; NULL is
 * allowed.
 * Thread: any, when no other call on it is under way.  Suspends: never.
 */
SKUA_API void skua_as_completed_fini(skua_as_completed *self);

SKUA_END_DECLS

#endif
