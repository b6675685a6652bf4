/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Event loops: callbacks, timers, descriptors, running and stopping.
 *
 * Every call that gives a status gives -EINVAL for a NULL loop or function, and
 * SKUA_EFORKED in a forked child for a loop of its parent, beside what is
 * listed.
 */
#ifndef SKUA_LOOP_H
#define SKUA_LOOP_H

#include <stdbool.h>

#include <skua/exception.h>
#include <skua/executor.h>
#include <skua/types.h>

SKUA_BEGIN_DECLS

/** How to make a loop. All-zero is the default. */
typedef struct skua_loop_options {
    size_t stack_bytes; /* of each task; 0: 64 KiB */
    bool debug; /* as skua_loop_set_debug(); false: as skua_get_debug() */
} skua_loop_options;

/** What a loop has done so far; monotonic counters, read at any time. */
typedef struct skua_loop_stats {
    uint64_t iterations; /* of the loop */
    uint64_t tasks_run;  /* steps of tasks */
    uint64_t callbacks_run;
    uint64_t stolen;        /* tasks taken from other loops */
    uint64_t spilled;       /* tasks moved to the inject queue: ring full */
    uint64_t polls;         /* of the reactor */
    uint64_t parks;         /* sleeps in the reactor */
    uint64_t wakes_sent;    /* writes that woke a sleeping loop */
    uint64_t spins;         /* idle searches before a park */
    uint64_t spins_paid;    /* of which some found work */
    uint64_t wakes_saved;   /* work that was not worth waking a loop for */
    uint64_t stuck;         /* looks at others that found one stuck ... */
    uint64_t revoked;       /* ... tasks that one was about to run ... */
    uint64_t timers_for;    /* ... its timers that were fired ... */
    uint64_t delivered_for; /* ... and tasks woken by what came for it then */
} skua_loop_stats;

/**
 * A loop of its own: no stealing, asyncio's exact order.
 * @param options  borrowed; NULL: default   @param out_loop  a new reference
 * @return 0; -ENOMEM; -EINVAL; epoll's and eventfd's errno
 * Thread: any.  Suspends: never.  asyncio: new_event_loop().
 */
SKUA_API int skua_loop_new(const skua_loop_options *options,
                           skua_loop **out_loop);

/**
 * Another reference; NULL is passed through.
 * Thread: any.  Suspends: never.
 */
SKUA_API skua_loop *skua_loop_ref(skua_loop *loop);

/**
 * Drop a reference; NULL is allowed. The last one closes the loop, which in
 * debug mode is logged as a warning; while it runs that reference stays. Loops
 * of a runner are the runner's: nothing is dropped.
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_loop_unref(skua_loop *loop);

/**
 * Close: queued callbacks and timers are dropped, tasks that are not done are
 * reported and dropped without running, the default executor is shut down
 * without waiting. Closing again does nothing. Sockets that were made on it in
 * debug mode, and descriptors that it watches since then, are logged as
 * warnings when nobody has closed them.
 * @return 0; SKUA_ERUNNING while it runs; -EPERM for a runner's loop
 * Thread: any.  Suspends: never.  asyncio: loop.close().
 */
SKUA_API int skua_loop_close(skua_loop *loop);

/**
 * Run until skua_loop_stop(). Can be called again.
 * @return 0; SKUA_ERUNNING when it, or another loop of this thread, runs;
 *         SKUA_ECLOSED; -EPERM for a runner's loop; what skua_loop_abort() says
 * Thread: any plain one.  Suspends: no, it blocks.  asyncio: run_forever().
 */
SKUA_API int skua_loop_run_forever(skua_loop *loop);

/**
 * Run until the awaitable is done; a coroutine function becomes a task.
 * @param out_result  may be NULL; written on success
 * @return its outcome as skua_future_result(); SKUA_ESTOPPED when the loop was
 *         stopped first (a task stays pending); as skua_loop_run_forever()
 * Thread: any plain one.  Suspends: no, it blocks.
 * asyncio: run_until_complete().
 */
SKUA_API int skua_loop_run_until_complete(skua_loop *loop,
                                          skua_awaitable awaitable,
                                          void **out_result);

/**
 * Run one iteration, for a foreign loop that watches skua_loop_get_fd().
 * @param timeout_ns  how long to wait for something to do; 0: not at all
 * @return 0; as skua_loop_run_forever(); -EINVAL for SKUA_NOT_A_TIME
 * Thread: any plain one.  Suspends: no, it blocks.
 */
SKUA_API int skua_loop_run_once(skua_loop *loop, int64_t timeout_ns);

/**
 * A descriptor that polls readable when skua_loop_run_once(loop, 0) has
 * something to do that came from outside or from another thread. Before
 * sleeping on it, ask skua_loop_next_deadline().
 * @return the descriptor, which stays with the loop; SKUA_ECLOSED
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_loop_get_fd(skua_loop *loop);

/**
 * When the loop wants to run next.
 * @return 0 for at once; a time of skua_monotonic(); SKUA_FOREVER; -EPERM from
 *         another thread while it runs; SKUA_ECLOSED
 * Thread: the loop's, or any while it does not run.  Suspends: never.
 */
SKUA_API int64_t skua_loop_next_deadline(skua_loop *loop);

/**
 * Stop after the current batch; before a run: after one iteration of it.
 * @return 0; SKUA_ECLOSED; -EPERM for a runner's loop
 * Thread: any.  Suspends: never.  asyncio: loop.stop().
 */
SKUA_API int skua_loop_stop(skua_loop *loop);

/**
 * A fatal error: the run of `loop` ends after the current batch and gives
 * `status`; for a loop of a runner the runner's run does. Tasks stay as they
 * are, the main task too: closing the runner cancels them. Between runs it is
 * the next run that ends so. Of several before that the first one counts.
 * @param status  negative
 * @return 0; -EINVAL; SKUA_ECLOSED
 * Thread: any.  Suspends: never.
 * asyncio: SystemExit or KeyboardInterrupt in a callback or task.
 */
SKUA_API int skua_loop_abort(skua_loop *loop, int status);

/**
 * Whether a thread runs it. False for NULL.
 * Thread: any.  Suspends: never.  asyncio: is_running().
 */
SKUA_API bool skua_loop_is_running(const skua_loop *loop);

/**
 * Whether it was closed. True for NULL.
 * Thread: any.  Suspends: never.  asyncio: is_closed().
 */
SKUA_API bool skua_loop_is_closed(const skua_loop *loop);

/**
 * The loop's clock, skua_monotonic(). -EINVAL for NULL.
 * Thread: any.  Suspends: never.  asyncio: loop.time().
 */
SKUA_API int64_t skua_loop_time(const skua_loop *loop);

/**
 * The loop that runs in this thread, borrowed, or NULL. A stealable task may
 * get another answer after each suspension.
 * Thread: any.  Suspends: never.  asyncio: get_running_loop().
 */
SKUA_API skua_loop *skua_get_running_loop(void);

/**
 * The running loop, else what skua_set_event_loop() has set in this thread,
 * borrowed, else NULL; also NULL when that one is closed.
 * Thread: any.  Suspends: never.  asyncio: get_event_loop().
 */
SKUA_API skua_loop *skua_get_event_loop(void);

/**
 * Have skua_get_event_loop() find `loop` in this thread while none runs.
 * @param loop  borrowed until it is closed; NULL: none
 * @return 0; SKUA_ECLOSED
 * Thread: any, for itself; in a task for the thread that runs it now.
 * Suspends: never.  asyncio: set_event_loop().
 */
SKUA_API int skua_set_event_loop(skua_loop *loop);

/**
 * Run `fn(arg)` in the next iteration, in the order of the calls.
 * @param arg  borrowed until `fn` returns or the handle is cancelled
 * @param out_handle  NULL, or a new reference
 * @return 0; -ENOMEM; SKUA_ECLOSED; -EPERM from another thread while it runs
 * Thread: the loop's, or any while it does not run.  Suspends: never.
 * asyncio: call_soon().
 */
SKUA_API int skua_loop_call_soon(skua_loop *loop, skua_callback_fn *fn,
                                 void *arg, skua_handle **out_handle);

/**
 * skua_loop_call_soon() from any thread; wakes the loop. From the loop's own
 * thread it keeps its place among skua_loop_call_soon().
 * @return 0; -ENOMEM; SKUA_ECLOSED once the loop is closed
 * Thread: any.  Suspends: never.  Order: what precedes the call is visible to
 * `fn`.  asyncio: call_soon_threadsafe().
 */
SKUA_API int skua_loop_call_soon_threadsafe(skua_loop *loop,
                                            skua_callback_fn *fn, void *arg,
                                            skua_handle **out_handle);

/**
 * Run `fn(arg)` after `delay_ns`; a negative delay is as soon as possible, in
 * order of due time. Never early.
 * @return as skua_loop_call_soon(); -EINVAL for SKUA_NOT_A_TIME
 * Thread: the loop's, or any while it does not run.  Suspends: never.
 * asyncio: call_later().
 */
SKUA_API int skua_loop_call_later(skua_loop *loop, int64_t delay_ns,
                                  skua_callback_fn *fn, void *arg,
                                  skua_handle **out_handle);

/**
 * Run `fn(arg)` at a time of skua_monotonic(). Equal times run in the order of
 * the calls. Never early.
 * @return as skua_loop_call_later()
 * Thread: the loop's, or any while it does not run.  Suspends: never.
 * asyncio: call_at().
 */
SKUA_API int skua_loop_call_at(skua_loop *loop, int64_t when_ns,
                               skua_callback_fn *fn, void *arg,
                               skua_handle **out_handle);

/**
 * Another reference; NULL is passed through.
 * Thread: any.  Suspends: never.
 */
SKUA_API skua_handle *skua_handle_ref(skua_handle *handle);

/**
 * Drop a reference; NULL is allowed. The callback stays queued.
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_handle_unref(skua_handle *handle);

/**
 * Keep the callback from running. When another thread runs it right now, wait
 * for its end; inside the callback itself this does nothing. Of callbacks that
 * run at the same time and cancel one another in a ring, one does not wait.
 * @return 1 when it will never run; 0 when it ran, runs or was cancelled
 * before; -EINVAL for NULL
 * Thread: any.  Suspends: never (it may spin).  asyncio: Handle.cancel().
 */
SKUA_API int skua_handle_cancel(skua_handle *handle);

/**
 * Whether it was cancelled. False for NULL.
 * Thread: any.  Suspends: never.  asyncio: Handle.cancelled().
 */
SKUA_API bool skua_handle_cancelled(const skua_handle *handle);

/**
 * When a timer is due; SKUA_NOT_A_TIME for a handle that is no timer.
 * Thread: any.  Suspends: never.  asyncio: TimerHandle.when().
 */
SKUA_API int64_t skua_handle_when(const skua_handle *handle);

/**
 * A pending future whose home is `loop`; works on a closed loop too.
 * @param out_future  a new reference
 * @return 0; -ENOMEM
 * Thread: any.  Suspends: never.  asyncio: create_future().
 */
SKUA_API int skua_loop_create_future(skua_loop *loop, skua_future **out_future);

/**
 * skua_create_task() on `loop`, its home.
 * @param arg  borrowed until the task is done
 * @param out_task  a new reference, or NULL
 * @return as skua_create_task()
 * Thread: any.  Suspends: never.  asyncio: loop.create_task().
 */
SKUA_API int skua_loop_create_task(skua_loop *loop, skua_task_fn *fn, void *arg,
                                   skua_task **out_task);

/**
 * Run `fn(arg)` in an executor. Cancelling the future drops queued work; work
 * that runs finishes and its result is dropped, so `arg` must outlive it.
 * @param executor  borrowed; NULL: the default one, made on first use
 * @param out_future  a new reference
 * @return 0; as skua_executor_submit()
 * Thread: any.  Suspends: as skua_executor_submit(): not with the default one.
 * asyncio: run_in_executor().
 */
SKUA_API int skua_loop_run_in_executor(skua_loop *loop, skua_executor *executor,
                                       skua_task_fn *fn, void *arg,
                                       skua_future **out_future);

/**
 * The executor of the loop, or of its runner, for a purpose; made on first use.
 * @param out_executor  a new reference
 * @return 0; -EINVAL; -ENOMEM; SKUA_ECLOSED
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_loop_get_executor(skua_loop *loop,
                                    skua_executor_purpose purpose,
                                    skua_executor **out_executor);

/**
 * Make `executor` the one of the loop and its runner for a purpose; they take a
 * reference. The former one is dropped, not shut down.
 * @return 0; -EINVAL; SKUA_ECLOSED
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_loop_set_executor(skua_loop *loop,
                                    skua_executor_purpose purpose,
                                    skua_executor *executor);

/**
 * skua_loop_set_executor() for SKUA_EXECUTOR_BLOCKING.
 * @return 0; -EINVAL; SKUA_ECLOSED
 * Thread: any.  Suspends: never.  asyncio: set_default_executor().
 */
SKUA_API int skua_loop_set_default_executor(skua_loop *loop,
                                            skua_executor *executor);

/**
 * Let the executors of the loop, or of its runner, for all purposes take no
 * more work and wait until they have finished: none is made after that. A task
 * that is cancelled may call again; what was queued is run in any case.
 * @param timeout_ns  how long to wait for all of them at most; SKUA_FOREVER: no
 *                    limit
 * @return 0, also when there was none; -ETIMEDOUT: it is left to finish by
 *         itself; SKUA_ECANCELED; -EDEADLK in a callback or its own thread;
 *         -EINVAL; SKUA_ECLOSED
 * Thread: any.  Suspends: may, in a task; a plain thread blocks.
 * asyncio: shutdown_default_executor().
 */
SKUA_API int skua_loop_shutdown_default_executor(skua_loop *loop,
                                                 int64_t timeout_ns);

/**
 * Call `fn(arg)` in each iteration in which `fd` is readable, in place of what
 * was there for it.
 * @return 0; -EBADF; -EPERM for a regular file or from another thread;
 *         -ENOMEM; SKUA_ECLOSED; epoll's errno
 * Thread: the loop's, or any while it does not run.  Suspends: never.
 * asyncio: add_reader().
 */
SKUA_API int skua_loop_add_reader(skua_loop *loop, int fd, skua_callback_fn *fn,
                                  void *arg);

/**
 * As skua_loop_add_reader(), for writing.
 * @return as skua_loop_add_reader()
 * Thread: the loop's, or any while it does not run.  Suspends: never.
 * asyncio: add_writer().
 */
SKUA_API int skua_loop_add_writer(skua_loop *loop, int fd, skua_callback_fn *fn,
                                  void *arg);

/**
 * Stop watching `fd` for reading; a callback already queued does not run.
 * @return 1; 0 when there was none, also on a closed loop; -EPERM from another
 *         thread while it runs
 * Thread: the loop's, or any while it does not run.  Suspends: never.
 * asyncio: remove_reader().
 */
SKUA_API int skua_loop_remove_reader(skua_loop *loop, int fd);

/**
 * As skua_loop_remove_reader(), for writing.
 * @return as skua_loop_remove_reader()
 * Thread: the loop's, or any while it does not run.  Suspends: never.
 * asyncio: remove_writer().
 */
SKUA_API int skua_loop_remove_writer(skua_loop *loop, int fd);

/**
 * Who hears of errors nobody handled; NULL: the default, which logs them. The
 * former handler may still run in other threads for a moment.
 * @return 0
 * Thread: any.  Suspends: never.  asyncio: set_exception_handler().
 */
SKUA_API int skua_loop_set_exception_handler(skua_loop *loop,
                                             skua_exception_handler_fn *fn,
                                             void *arg);

/**
 * The handler that was set; NULL when there is none and for a NULL loop.
 * @param out_arg  may be NULL; the handler's argument, or NULL
 * Thread: any.  Suspends: never.  asyncio: get_exception_handler().
 */
SKUA_API skua_exception_handler_fn *
skua_loop_get_exception_handler(skua_loop *loop, void **out_arg);

/**
 * Report an error to the handler, or without one to the default one.
 * @param context  borrowed during the call; its `loop` is replaced by `loop`
 * @return 0; -EINVAL
 * Thread: any.  Suspends: never.  asyncio: call_exception_handler().
 */
SKUA_API int
skua_loop_call_exception_handler(skua_loop *loop,
                                 const skua_exception_context *context);

/**
 * What happens without a handler, for handlers that leave some errors to it:
 * log the error with its causes, its task and, in debug mode, where that was
 * made (skua_set_logger()).
 * @param context  as skua_loop_call_exception_handler()
 * @return 0; -EINVAL
 * Thread: any.  Suspends: never.  asyncio: default_exception_handler().
 */
SKUA_API int
skua_loop_default_exception_handler(skua_loop *loop,
                                    const skua_exception_context *context);

/**
 * Debug mode: tasks, futures and handles made on `loop` from now on remember
 * where they were made, which reports then tell; and slow callbacks and steps
 * are reported. Switching it on for the first time loads the unwinder, in a
 * thread of its own when a task does so; that takes a moment.
 * @return 0
 * Thread: any.  Suspends: never.  asyncio: set_debug().
 */
SKUA_API int skua_loop_set_debug(skua_loop *loop, bool enabled);

/**
 * Whether debug mode is on. False for NULL.
 * Thread: any.  Suspends: never.  asyncio: get_debug().
 */
SKUA_API bool skua_loop_get_debug(const skua_loop *loop);

/**
 * In debug mode, report callbacks and steps of tasks that keep the loop for
 * `duration_ns` or longer, to its exception handler, with name and duration:
 * once while they go on, with the stack of the loop's thread, and when they
 * end. Initially 100 ms. For the stack, a thread that runs code gets one
 * real-time signal that the program does not handle (the first such one, from
 * SIGRTMAX down, when debug mode is first turned on); one that waits in a
 * system call gets none, unless it begins to wait just then.
 * @param duration_ns  0: each of them; SKUA_FOREVER: none
 * @return 0; -EINVAL when negative
 * Thread: any.  Suspends: never.  asyncio: loop.slow_callback_duration.
 */
SKUA_API int skua_loop_set_slow_callback_duration(skua_loop *loop,
                                                  int64_t duration_ns);

/**
 * The duration that was set; -EINVAL for NULL.
 * Thread: any.  Suspends: never.  asyncio: loop.slow_callback_duration.
 */
SKUA_API int64_t skua_loop_get_slow_callback_duration(const skua_loop *loop);

/**
 * Copy the loop's counters, also of a closed loop.
 * @return 0; -EINVAL
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_loop_get_stats(const skua_loop *loop,
                                 skua_loop_stats *out_stats);

SKUA_END_DECLS

#endif
