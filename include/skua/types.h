/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The types that several subjects share.
 */
#ifndef SKUA_TYPES_H
#define SKUA_TYPES_H

#include <skua/status.h>

/** One thread at a time, one ready queue, one timer set, one reactor. */
typedef struct skua_loop skua_loop;
/** A group of loops that steal from each other (asyncio.Runner). */
typedef struct skua_runner skua_runner;
/** A one-shot outcome: result, exception or cancelled. */
typedef struct skua_future skua_future;
/** A coroutine running on its own. Every task is a future. */
typedef struct skua_future skua_task;
/** A callback queued on a loop, or on its timers. */
typedef struct skua_handle skua_handle;
/** What went wrong, where, and because of what. */
typedef struct skua_exception skua_exception;
/** Which values context variables have for who runs in it. */
typedef struct skua_context skua_context;
/** Where blocking or CPU-bound work goes. */
typedef struct skua_executor skua_executor;
/** Says to work, wherever it is, that it should stop. */
typedef struct skua_cancel_token skua_cancel_token;
/** Bytes that many may hold. */
typedef struct skua_buffer skua_buffer;

/**
 * A coroutine function: the body of a task, a direct call, or work for an
 * executor. Returns a status; see skua_return() and skua_raise().
 */
typedef int skua_task_fn(void *arg);
/** A callback of a loop. It must not suspend. */
typedef void skua_callback_fn(void *arg);
/** A callback of a future that is done, borrowed. It must not suspend. */
typedef void skua_done_callback_fn(skua_future *future, void *arg);

/**
 * What can be awaited: a future (or task), or a coroutine function with its
 * argument that has not started. Exactly one of `future` and `fn` is set.
 */
typedef struct skua_awaitable {
    skua_future *future;
    skua_task_fn *fn;
    void *arg;
} skua_awaitable;

/**
 * Await `future`, which stays with the caller.
 * Thread: any.  Suspends: never.
 */
static inline skua_awaitable skua_awaitable_future(skua_future *future)
{
    skua_awaitable awaitable = {future, NULL, NULL};
    return awaitable;
}

/**
 * Call `fn(arg)`, which has not started yet.
 * Thread: any.  Suspends: never.
 */
static inline skua_awaitable skua_awaitable_call(skua_task_fn *fn, void *arg)
{
    skua_awaitable awaitable = {NULL, fn, arg};
    return awaitable;
}

#endif
