/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Futures: any thread may complete one, any loop and any thread may await it.
 *
 * Every call that gives a status gives -EINVAL for NULL and SKUA_EFORKED in a
 * forked child for a future of its parent, beside what is listed.
 */
#ifndef SKUA_FUTURE_H
#define SKUA_FUTURE_H

#include <stdbool.h>

#include <skua/types.h>

SKUA_BEGIN_DECLS

/**
 * A pending future.
 * @param loop  borrowed; its home loop, where its callbacks run when no loop
 *              runs where they are added. NULL: the running loop, or none
 * @param out_future  a new reference
 * @return 0; -ENOMEM
 * Thread: any.  Suspends: never.  asyncio: Future(loop=loop).
 */
SKUA_API int skua_future_new(skua_loop *loop, skua_future **out_future);

/**
 * Another reference; NULL is passed through.
 * Thread: any.  Suspends: never.
 */
SKUA_API skua_future *skua_future_ref(skua_future *future);

/**
 * Drop a reference; NULL is allowed. The last one of a failed future that
 * nobody read reports "exception was never retrieved". A running task is owned
 * by the runtime as well, so dropping its handle never loses it.
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_future_unref(skua_future *future);

/**
 * Complete with a result; `value` stays with the caller and its readers.
 * @return 0; SKUA_EINVALSTATE when already done or being completed by
 *         another thread; -EPERM for a task, and for what skua_gather(),
 *         skua_shield() and skua_wrap_future() give
 * Thread: any.  Suspends: never.  Order: what precedes the call is visible to
 * every reader.  asyncio: Future.set_result().
 */
SKUA_API int skua_future_set_result(skua_future *future, void *value);

/**
 * Complete with an exception, of which the future takes its own reference; one
 * of status SKUA_ECANCELED cancels.
 * @return as skua_future_set_result()
 * Thread: any.  Suspends: never.  asyncio: Future.set_exception().
 */
SKUA_API int skua_future_set_exception(skua_future *future,
                                       skua_exception *exception);

/**
 * Complete with a bare negative status: an exception without a message that
 * costs no allocation. SKUA_ECANCELED cancels.
 * @return as skua_future_set_result(); -EINVAL when `status` is not negative
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_future_set_error(skua_future *future, int status);

/**
 * Cancel. A plain future is cancelled at once; a task is asked to end
 * (skua_task_cancel()); work of an executor only while it is queued. What
 * skua_gather() gives passes the request on to its children and ends with them;
 * a shield is cancelled at once and its awaitable goes on; what
 * skua_wrap_future() gives is cancelled at once, its work only while queued.
 * @return 1 when cancelled or asked; 0 when already done or not to be
 *         cancelled; -EDEADLK for a gather that waits for itself
 * Thread: any.  Suspends: never.  asyncio: Future.cancel().
 */
SKUA_API int skua_future_cancel(skua_future *future);

/**
 * skua_future_cancel() with a message, as skua_task_cancel_with().
 * @param message  copied; NULL: none. Without memory it is lost
 * @return as skua_future_cancel()
 * Thread: any.  Suspends: never.  asyncio: Future.cancel(msg).
 */
SKUA_API int skua_future_cancel_with(skua_future *future, const char *message);

/**
 * Whether it has an outcome. False for NULL.
 * Thread: any.  Suspends: never.  asyncio: Future.done().
 */
SKUA_API bool skua_future_done(const skua_future *future);

/**
 * Whether its outcome is "cancelled". False for NULL.
 * Thread: any.  Suspends: never.  asyncio: Future.cancelled().
 */
SKUA_API bool skua_future_cancelled(const skua_future *future);

/**
 * Whether an executor is running its work. False for NULL.
 * Thread: any.  Suspends: never.  concurrent.futures: Future.running().
 */
SKUA_API bool skua_future_running(const skua_future *future);

/**
 * Its outcome, without waiting; an exception counts as read.
 * @param out_value  may be NULL; written on success
 * @return the result's status (0 or positive); its negative status when it
 *         failed; SKUA_ECANCELED; SKUA_EINVALSTATE while pending
 * Thread: any.  Suspends: never.  asyncio: Future.result().
 */
SKUA_API int skua_future_result(skua_future *future, void **out_value);

/**
 * Its exception, which counts as read.
 * @param out_exception  a new reference, or NULL when it has a result; an
 *                       exception is made for a bare status
 * @return 0; SKUA_ECANCELED when cancelled; SKUA_EINVALSTATE while pending;
 *         -ENOMEM
 * Thread: any.  Suspends: never.  asyncio: Future.exception().
 */
SKUA_API int skua_future_exception(skua_future *future,
                                   skua_exception **out_exception);

/**
 * Call `fn(future, arg)` once the future is done: never inside this call, in
 * order of registration, on the running loop (without one, on the future's
 * home loop). Callbacks of an executor's own future (skua_executor_submit())
 * run in the completing thread instead, or at once when it is done.
 * @param arg  borrowed until `fn` returns
 * @return 0; -ENOMEM; SKUA_ENOLOOP without any loop
 * Thread: any.  Suspends: never.  asyncio: Future.add_done_callback().
 */
SKUA_API int skua_future_add_done_callback(skua_future *future,
                                           skua_done_callback_fn *fn,
                                           void *arg);

/**
 * Remove every registration of `fn` with `arg` that was not queued yet.
 * @return how many
 * Thread: any.  Suspends: never.  asyncio: Future.remove_done_callback().
 */
SKUA_API int skua_future_remove_done_callback(skua_future *future,
                                              skua_done_callback_fn *fn,
                                              void *arg);

/**
 * Note that `waiter` awaits `future`, for an awaitable of one's own: what the
 * library waits in, skua_future_awaited_by() knows by itself. Noting it twice
 * is noting it once. It stays until it is discarded or one of the two is freed:
 * neither keeps the other alive, so a ring of them keeps nothing.
 * @param waiter  borrowed; a task or another future, also of another loop
 * @return 0; -ENOMEM
 * Thread: any.  Suspends: never.  asyncio: future_add_to_awaited_by().
 */
SKUA_API int skua_future_add_to_awaited_by(skua_future *future,
                                           skua_future *waiter);

/**
 * Take that back; 0 as well when it was not noted.
 * @return 0
 * Thread: any.  Suspends: never.  asyncio: future_discard_from_awaited_by().
 */
SKUA_API int skua_future_discard_from_awaited_by(skua_future *future,
                                                 skua_future *waiter);

/**
 * Who awaits `future` at some moment during the call, each once, in no order:
 * tasks that are suspended in skua_await(), skua_await_until() or
 * skua_wait_for() of it, or in a skua_wait() for all that has come to it; what
 * skua_gather(), skua_shield() and skua_wrap_future() gave that is not done and
 * waits for it; and what skua_future_add_to_awaited_by() noted. Not plain
 * threads, done callbacks, other waits for several, nor who waits for a task
 * by its group. While the call looks at those in the future's list, nobody else
 * can leave that.
 * @param waiters  gets new references to up to `capacity` of them; NULL with 0
 * @return how many there are, perhaps more than `capacity`; -ENOMEM
 * Thread: any.  Suspends: never.
 * asyncio: FutureCallGraph.awaited_by of capture_call_graph().
 */
SKUA_API int skua_future_awaited_by(skua_future *future, skua_future **waiters,
                                    size_t capacity);

/**
 * Its home loop, borrowed; NULL when it has none or that one is closed.
 * Thread: any.  Suspends: never.  asyncio: Future.get_loop().
 */
SKUA_API skua_loop *skua_future_get_loop(const skua_future *future);

/**
 * Wait for the outcome. In a task this suspends the task; in a plain thread
 * it blocks the thread; inside a callback of a running loop it is refused. A
 * future that is done costs no suspension, but for every 128th ready operation
 * in a row, which lets others run. Cancelling the waiting task
 * cancels the future, as skua_future_cancel() (shield it to prevent that).
 * @param out_result  may be NULL; written on success
 * @return the outcome as skua_future_result(); SKUA_ECANCELED also when the
 *         waiting task was cancelled; -EDEADLK for a task that awaits itself
 *         or in a callback; -ENOMEM
 * Thread: any.  Suspends: may.  asyncio: await future.
 */
SKUA_API int skua_await(skua_future *future, void **out_result);

/**
 * Wait as skua_await(), at most until `deadline_ns` of skua_monotonic(). The
 * future is left alone when the time is over (skua_wait_for() cancels it).
 * @return as skua_await(); -ETIMEDOUT; -EINVAL for SKUA_NOT_A_TIME
 * Thread: any.  Suspends: may.  concurrent.futures: Future.result(timeout).
 */
SKUA_API int skua_await_until(skua_future *future, int64_t deadline_ns,
                              void **out_result);

/**
 * The awaitable as a future: a future as it is, with a new reference; a
 * coroutine function as a new task.
 * @param loop  borrowed; NULL: the running loop
 * @return 0; -EINVAL for a malformed awaitable or a future whose home is
 *         another loop than the one given; as skua_create_task()
 * Thread: any.  Suspends: never.  asyncio: ensure_future().
 */
SKUA_API int skua_ensure_future(skua_loop *loop, skua_awaitable awaitable,
                                skua_future **out_future);

/**
 * A future of an executor as one of a loop: its done callbacks run on the loop,
 * never in the completing thread, and a task that is cancelled while it awaits
 * it goes on at once. It ends as `future` does; cancelling it cancels `future`
 * too, unless the work runs already: then the outcome is dropped. Any other
 * future is returned as it is.
 * @param loop  borrowed; its home, which may be closed before it is done; NULL:
 *              the running loop
 * @param out_future  a new reference
 * @return 0; -ENOMEM; SKUA_ENOLOOP without a loop
 * Thread: any.  Suspends: never.  asyncio: wrap_future().
 */
SKUA_API int skua_wrap_future(skua_loop *loop, skua_future *future,
                              skua_future **out_future);

SKUA_END_DECLS

#endif
