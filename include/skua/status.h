/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Status codes, visibility and the time unit.
 *
 * Every call reports `int` or `ssize_t`: 0 or positive is success, negative is
 * the error: `-errno`, or one of the codes below, which lie outside the errno
 * range. `errno` itself never carries anything out of the library.
 */
#ifndef SKUA_STATUS_H
#define SKUA_STATUS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define SKUA_API __attribute__((visibility("default")))
#define SKUA_PRINTF(format_index, first_index)                                 \
    __attribute__((format(printf, format_index, first_index)))
#define SKUA_ALIGNED(n) __attribute__((aligned(n)))
#else
#define SKUA_API
#define SKUA_PRINTF(format_index, first_index)
#define SKUA_ALIGNED(n)
#endif

#ifdef __cplusplus
#define SKUA_BEGIN_DECLS extern "C" {
#define SKUA_END_DECLS }
#else
#define SKUA_BEGIN_DECLS
#define SKUA_END_DECLS
#endif

/** Multipliers for times, which are `int64_t` nanoseconds. */
#define SKUA_NS INT64_C(1)
#define SKUA_US INT64_C(1000)
#define SKUA_MS INT64_C(1000000)
#define SKUA_S INT64_C(1000000000)
/** As a deadline or a delay: no limit. */
#define SKUA_FOREVER INT64_MAX
/** The counterpart of NaN: what skua_seconds() gives for what is no time. */
#define SKUA_NOT_A_TIME INT64_MIN

/** The task was cancelled (asyncio.CancelledError). Nothing else uses it. */
#define SKUA_ECANCELED (-4097)
/** The object is in no state for this call: a future that is done or is not
 * (asyncio.InvalidStateError), a scope or group that was left, a used token. */
#define SKUA_EINVALSTATE (-4098)
/** The peer ended the stream (EOFError). */
#define SKUA_EOF (-4099)
/** No loop runs in this thread, or no task, and the call needs one. */
#define SKUA_ENOLOOP (-4100)
/** The loop, runner or executor was closed or is closing. */
#define SKUA_ECLOSED (-4101)
/** A loop already runs here, or this one runs already. */
#define SKUA_ERUNNING (-4102)
/** The loop was stopped before the awaited future was done. */
#define SKUA_ESTOPPED (-4103)
/** Several children failed; the exception's children tell which and how. */
#define SKUA_EGROUP (-4104)
/** An executor's workers died or failed to start (BrokenExecutor). */
#define SKUA_EBROKENPOOL (-4105)
/** The object belongs to a process that forked; only its parent may use it. */
#define SKUA_EFORKED (-4106)
/** Who was to deliver ended without it: a child that was never ready. */
#define SKUA_EBROKEN (-4107)
/** The barrier was reset or aborted (asyncio.BrokenBarrierError). */
#define SKUA_EBROKENBARRIER (-4108)
/** The queue was shut down (asyncio.QueueShutDown). */
#define SKUA_ESHUTDOWN (-4109)

SKUA_BEGIN_DECLS

/**
 * A static English text for a status, never NULL.
 * Thread: any.  Suspends: never.
 */
SKUA_API const char *skua_strerror(int status);

SKUA_END_DECLS

#endif
