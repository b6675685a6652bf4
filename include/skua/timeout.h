/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Time limits: a scope in the current task, and skua_wait_for() on top of it.
 */
#ifndef SKUA_TIMEOUT_H
#define SKUA_TIMEOUT_H

#include <stdbool.h>

#include <skua/types.h>

SKUA_BEGIN_DECLS

/** A scope with a deadline, in the caller's memory; all-zero: not entered. */
typedef struct skua_timeout {
    SKUA_ALIGNED(8) unsigned char opaque[64];
} skua_timeout;

/**
 * Enter a scope that cancels the current task after `delay_ns`. What is past
 * already expires at the first suspension, on any loop, and not without one;
 * until then the task's request counts. SKUA_FOREVER never expires.
 * @return 0; -EINVAL for NULL or SKUA_NOT_A_TIME; SKUA_EINVALSTATE when it was
 *         entered before; SKUA_ENOLOOP outside a task; -ENOMEM
 * Thread: a task.  Suspends: never.  asyncio: async with timeout(delay).
 */
SKUA_API int skua_timeout_enter(skua_timeout *timeout, int64_t delay_ns);

/**
 * skua_timeout_enter() with an absolute deadline.
 * @return as skua_timeout_enter()
 * Thread: a task.  Suspends: never.  asyncio: async with timeout_at(when).
 */
SKUA_API int skua_timeout_enter_at(skua_timeout *timeout, int64_t deadline_ns);

/**
 * Leave the scope with the body's status. The scope's own request is taken
 * back, also one that comes after the body's end. A failure of the body's own
 * in a scope that expired gets -ETIMEDOUT as its exception's cause.
 * @return -ETIMEDOUT when the scope expired and the body ended by that
 *         cancellation alone (of two scopes that expire together, out of the
 *         outer one); else `status`; -EINVAL for NULL, outside a task, and when
 *         this task is not in the scope
 * Thread: the task that entered.  Suspends: never.
 * asyncio: leaving `async with`.
 */
SKUA_API int skua_timeout_exit(skua_timeout *timeout, int status);

/**
 * Move the deadline of an active scope; SKUA_FOREVER removes it. One that is
 * past expires at the task's next suspension when that sets it, else in the
 * next iteration of the caller's loop. Of several calls at once the last one
 * holds.
 * @return 0; -EINVAL; SKUA_EINVALSTATE when not entered, expiring, expired or
 *         left; -ENOMEM and SKUA_ECLOSED (the deadline stays as it was)
 * Thread: any, while the scope's memory lives (until the call returns).
 * Suspends: never.  asyncio: Timeout.reschedule().
 */
SKUA_API int skua_timeout_reschedule(skua_timeout *timeout,
                                     int64_t deadline_ns);

/**
 * Whether the deadline has cancelled the body.
 * False for NULL.
 * Thread: any, while the scope lives.  Suspends: never.
 * asyncio: Timeout.expired().
 */
SKUA_API bool skua_timeout_expired(const skua_timeout *timeout);

/**
 * The deadline; SKUA_FOREVER when there is none, before the scope is entered,
 * and for NULL.
 * Thread: any, while the scope lives.  Suspends: never.
 * asyncio: Timeout.when().
 */
SKUA_API int64_t skua_timeout_when(const skua_timeout *timeout);

/**
 * Await with a limit. When the time is over the awaitable is cancelled and
 * waited for, however long that takes; a value it returns all the same, or a
 * failure, is the result. With a limit of 0 or less a coroutine that has not
 * started never starts.
 * @param timeout_ns  SKUA_FOREVER: no limit
 * @param out_result  may be NULL; written on success
 * @return the outcome as skua_await(); -ETIMEDOUT; SKUA_ECANCELED when the
 *         waiting task was cancelled (the awaitable then is, too); -EINVAL for
 *         a malformed awaitable or SKUA_NOT_A_TIME; SKUA_ENOLOOP outside a
 * task; -EDEADLK for the task itself Thread: a task.  Suspends: may.  asyncio:
 * wait_for().
 */
SKUA_API int skua_wait_for(skua_awaitable awaitable, int64_t timeout_ns,
                           void **out_result);

SKUA_END_DECLS

#endif
