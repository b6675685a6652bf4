/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Tasks: coroutines that run on their own. Every call of future.h takes them.
 */
#ifndef SKUA_TASK_H
#define SKUA_TASK_H

#include <stdbool.h>

#include <skua/types.h>

SKUA_BEGIN_DECLS

/** How to create a task. All-zero is the default. */
typedef struct skua_task_options {
    const char *name; /* copied, cut to 31 bytes; NULL: "Task-N" */
    skua_loop *loop;  /* its home; NULL: the running loop */
    bool pinned;      /* stays on its home loop, as in asyncio */
    int eager_start;  /* 1: its first step runs inside the creating call, if the
                         home loop runs in this thread; -1: never; 0: as
                         skua_loop_set_eager() says */
    skua_context *context; /* to run in, shared: it takes a reference; NULL: a
                              copy of the current one (context.h) */
} skua_task_options;

/**
 * Run `fn(arg)` as a task of the running loop. With several loops the task may
 * run on any loop of the runner, before this call returns.
 * @param arg  borrowed until the task is done
 * @param out_task  a new reference, written before the task can run; NULL: the
 *                  task is detached and a failure is reported when it ends
 * @return 0; -EINVAL; -ENOMEM; SKUA_ENOLOOP without a running loop;
 *         SKUA_ECLOSED
 * Thread: a loop's.  Suspends: never.  asyncio: create_task().
 */
SKUA_API int skua_create_task(skua_task_fn *fn, void *arg,
                              skua_task **out_task);

/**
 * skua_create_task() with options; from any thread when `options` name a loop.
 * @param options  borrowed; NULL: default
 * @return as skua_create_task()
 * Thread: any.  Suspends: never.
 * asyncio: create_task(name=, context=, eager_start=).
 */
SKUA_API int skua_create_task_with(const skua_task_options *options,
                                   skua_task_fn *fn, void *arg,
                                   skua_task **out_task);

/**
 * Whether tasks of `loop` that are created in its own thread while it runs
 * start eagerly, as with `eager_start` = 1: such a task runs at once, until it
 * waits for the first time. One that never waits is done when the creating call
 * returns, and was never queued. The creator does not go on meanwhile, and must
 * not hold a lock that the child takes. At a depth of 64 first steps within one
 * another the next task is queued instead.
 * @return 0; -EINVAL; SKUA_ECLOSED; SKUA_EFORKED
 * Thread: any.  Suspends: never.
 * asyncio: set_task_factory(eager_task_factory).
 */
SKUA_API int skua_loop_set_eager(skua_loop *loop, bool eager);

/**
 * As skua_loop_set_eager() left it. False for NULL.
 * Thread: any.  Suspends: never.  asyncio: get_task_factory().
 */
SKUA_API bool skua_loop_get_eager(const skua_loop *loop);

/** Told of a task; it must not wait. Errors it raises are dropped. */
typedef void skua_task_hook_fn(skua_task *task, void *arg);

/** Who is told what tasks do; any may be NULL. */
typedef struct skua_task_hooks {
    skua_task_hook_fn *on_spawn;      /* created; before it can run */
    skua_task_hook_fn *on_step_begin; /* about to run on this thread */
    skua_task_hook_fn *on_step_end;   /* it waits, yields or has ended */
    skua_task_hook_fn *on_done;       /* its outcome can be read */
    void *arg;                        /* borrowed */
} skua_task_hooks;

/**
 * Tell `hooks` of the tasks of a loop: of steps on this loop, and of tasks
 * created with it as home from now on, when they are created and when they end.
 * The task that is passed is borrowed; no task is current in a hook.
 * @param hooks  borrowed until the loop is closed, also when replaced before;
 *               NULL: none
 * @return 0; -EINVAL; SKUA_ECLOSED; SKUA_EFORKED
 * Thread: any.  Suspends: never.  asyncio: set_task_factory(), to observe.
 */
SKUA_API int skua_loop_set_task_hooks(skua_loop *loop,
                                      const skua_task_hooks *hooks);

/**
 * Submit a coroutine to `loop` from another thread; wait with skua_await().
 * When memory is too short for a task, the loop's exception handler hears of
 * it, and so does who awaits the future, if there is memory for that.
 * @param out_future  a new reference, or NULL
 * @return 0; as skua_create_task() when there is no future
 * Thread: any.  Suspends: never.  asyncio: run_coroutine_threadsafe().
 */
SKUA_API int skua_run_coroutine_threadsafe(skua_loop *loop, skua_task_fn *fn,
                                           void *arg, skua_future **out_future);

/**
 * Call `fn(arg)` here, as `await coroutine` does: no scheduling step. Gives
 * what the function passed to skua_return(), or its status.
 * @param out_result  may be NULL; written on success
 * @return the function's status; -EINVAL for NULL
 * Thread: any.  Suspends: as `fn` does.  asyncio: await coroutine.
 */
SKUA_API int skua_call(skua_task_fn *fn, void *arg, void **out_result);

/**
 * Give `value` to who awaits the current task, direct call or job:
 * `return skua_return(value);`.
 * @param value  stays with the caller and who reads it
 * @return 0
 * Thread: any.  Suspends: never.  Python: return value.
 */
SKUA_API int skua_return(void *value);

/**
 * Ask a task to stop: its innermost wait gives SKUA_ECANCELED, or its next one
 * when it does not wait. A task that awaits a future or a task passes the
 * request on to that. Counted; see skua_task_uncancel().
 * @return 1; 0 when it is done; -EINVAL when it is no task
 * Thread: any.  Suspends: never.  asyncio: Task.cancel().
 */
SKUA_API int skua_task_cancel(skua_task *task);

/**
 * skua_task_cancel() with a message: what finally is cancelled fails with it,
 * and so does who awaits that, as skua_current_exception() shows. A later
 * request that is delivered first replaces it, with or without a message.
 * @param message  copied; NULL: none. Without memory it is lost
 * @return as skua_task_cancel()
 * Thread: any.  Suspends: never.  asyncio: Task.cancel(msg).
 */
SKUA_API int skua_task_cancel_with(skua_task *task, const char *message);

/**
 * How many cancel requests are not taken back.
 * @return the count; -EINVAL when it is no task
 * Thread: any.  Suspends: never.  asyncio: Task.cancelling().
 */
SKUA_API int skua_task_cancelling(const skua_task *task);

/**
 * Take back one cancel request; at 0 a request not delivered yet is withdrawn.
 * @return what is left; -EINVAL when it is no task
 * Thread: any.  Suspends: never.  asyncio: Task.uncancel().
 */
SKUA_API int skua_task_uncancel(skua_task *task);

/**
 * The task that runs here, borrowed; NULL in callbacks and plain threads.
 * Thread: any.  Suspends: never.  asyncio: current_task().
 */
SKUA_API skua_task *skua_current_task(void);

/**
 * The tasks of `loop` (NULL: the running loop) that are not done; of the first
 * loop of a runner also those that were created on a spare one.
 * @param tasks  filled with up to `capacity` new references
 * @return how many there are, which may exceed `capacity`; -EINVAL;
 *         SKUA_ENOLOOP
 * Thread: any.  Suspends: never.  asyncio: all_tasks().
 */
SKUA_API int64_t skua_all_tasks(skua_loop *loop, skua_task **tasks,
                                size_t capacity);

/**
 * Copy the task's name, cut to `bytes` and terminated.
 * @param buffer  NULL with 0 bytes
 * @return the full name's length; -EINVAL when it is no task
 * Thread: any.  Suspends: never.  asyncio: Task.get_name().
 */
SKUA_API int skua_task_get_name(const skua_task *task, char *buffer,
                                size_t bytes);

/**
 * Rename a task; 31 bytes are kept.
 * @param name  copied
 * @return 0; -EINVAL
 * Thread: any.  Suspends: never.  asyncio: Task.set_name().
 */
SKUA_API int skua_task_set_name(skua_task *task, const char *name);

/**
 * What a task runs: its function and argument.
 * @param out_arg  what it was given; stays with who gave it
 * @return 0; -EINVAL when it is no task; SKUA_EINVALSTATE once it is done;
 *         -EPERM for another task that may end meanwhile: one that is neither
 *         pinned to the loop of this thread nor on the only loop
 * Thread: the task's.  Suspends: never.  asyncio: Task.get_coro().
 */
SKUA_API int skua_task_get_coro(const skua_task *task, skua_task_fn **out_fn,
                                void **out_arg);

/**
 * Drop the handle and let the task run on: skua_future_unref() under the name
 * that says so. A failure is reported when the task ends.
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_task_detach(skua_task *task);

/**
 * The calling step is about to block its thread, in a system call or in a long
 * computation: let other loops take over at once what this loop has, instead of
 * after a millisecond. What is pinned to this loop waits. To be ended before
 * the task suspends; otherwise that ends it.
 * @return 0, also where there is nobody to take over; SKUA_ENOLOOP outside a
 *         loop
 * Thread: a loop's.  Suspends: never.
 */
SKUA_API int skua_blocking_begin(void);

/**
 * The step goes on as any other.
 * @return 0; SKUA_ENOLOOP outside a loop
 * Thread: a loop's.  Suspends: never.
 */
SKUA_API int skua_blocking_end(void);

SKUA_END_DECLS

#endif
