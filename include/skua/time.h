/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Time: `int64_t` nanoseconds on one monotonic clock shared by all loops.
 */
#ifndef SKUA_TIME_H
#define SKUA_TIME_H

#include <skua/types.h>

SKUA_BEGIN_DECLS

/**
 * Now, in nanoseconds of CLOCK_MONOTONIC.
 * Thread: any.  Suspends: never.  Python: time.monotonic().
 */
SKUA_API int64_t skua_monotonic(void);

/**
 * `seconds` as nanoseconds, clamped to what an int64_t holds; infinity gives
 * SKUA_FOREVER and NaN gives SKUA_NOT_A_TIME, which every call that takes a
 * time refuses with -EINVAL.
 * Thread: any.  Suspends: never.
 */
SKUA_API int64_t skua_seconds(double seconds);

/**
 * Suspend the current task for `delay_ns`; 0 or less gives up exactly one
 * iteration. Never early. With SKUA_FOREVER it ends by a cancel request only.
 * @return 0; SKUA_ECANCELED (the timer is gone); -EINVAL for
 *         SKUA_NOT_A_TIME; SKUA_ENOLOOP outside a task
 * Thread: a task.  Suspends: always.  asyncio: sleep(delay).
 */
SKUA_API int skua_sleep(int64_t delay_ns);

/**
 * skua_sleep() to an absolute time of skua_monotonic().
 * @return as skua_sleep()
 * Thread: a task.  Suspends: always.
 */
SKUA_API int skua_sleep_until(int64_t deadline_ns);

/**
 * skua_sleep(), then give `result` to who awaits the current task, direct call
 * or job: `return skua_sleep_result(delay_ns, result);`.
 * @return as skua_sleep()
 * Thread: a task.  Suspends: always.  asyncio: sleep(delay, result).
 */
SKUA_API int skua_sleep_result(int64_t delay_ns, void *result);

/**
 * Take a cancel request that waits for the current task, without giving up the
 * iteration: for long computations.
 * @return 0; SKUA_ECANCELED; SKUA_ENOLOOP outside a task
 * Thread: a task.  Suspends: never.
 */
SKUA_API int skua_checkpoint(void);

/**
 * Let everything else that is ready run first: skua_sleep(0).
 * @return 0; SKUA_ECANCELED; SKUA_ENOLOOP outside a task
 * Thread: a task.  Suspends: always.  asyncio: sleep(0).
 */
SKUA_API int skua_yield(void);

SKUA_END_DECLS

#endif
