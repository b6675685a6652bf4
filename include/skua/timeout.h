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
 * already expires at the first suspension; SKUA_FOREVER never does.
 * @return 0; -EINVAL for NULL or SKUA_NOT_A_TIME; -EALREADY when it was
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
 * Leave the scope with the body's status.
 * @return -ETIMEDOUT when the scope expired and the body ended by that
 *         cancellation alone; else `status`; -EINVAL when not entered here
 * Thread: the task that entered.  Suspends: never.
 */
SKUA_API int skua_timeout_exit(skua_timeout *timeout, int status);

/**
 * Move the deadline of an active scope; SKUA_FOREVER removes it.
 * @return 0; -EINVAL; SKUA_EINVALSTATE when not entered, expired or left;
 *         -ENOMEM (the former deadline is gone then)
 * Thread: a loop's, while the scope is entered.  Suspends: never.
 * asyncio: Timeout.reschedule().
 */
SKUA_API int skua_timeout_reschedule(skua_timeout *timeout,
                                     int64_t deadline_ns);

/**
 * Whether the deadline has cancelled the body.
 * Thread: any, while the scope lives.  Suspends: never.
 * asyncio: Timeout.expired().
 */
SKUA_API bool skua_timeout_expired(const skua_timeout *timeout);

/**
 * The deadline, SKUA_FOREVER when there is none.
 * Thread: any, while the scope lives.  Suspends: never.
 * asyncio: Timeout.when().
 */
SKUA_API int64_t skua_timeout_when(const skua_timeout *timeout);

/**
 * Await with a limit. When the time is over the awaitable is cancelled and
 * waited for; a value it returns all the same is the result. With a limit of
 * 0 or less a coroutine that has not started never starts.
 * @param timeout_ns  SKUA_FOREVER: no limit
 * @param out_result  may be NULL; written on success
 * @return the outcome as skua_await(); -ETIMEDOUT; SKUA_ECANCELED when the
 *         waiting task was cancelled (the awaitable then is, too); -EINVAL
 * Thread: a task.  Suspends: may.  asyncio: wait_for().
 */
SKUA_API int skua_wait_for(skua_awaitable awaitable, int64_t timeout_ns,
                           void **out_result);

SKUA_END_DECLS

#endif
