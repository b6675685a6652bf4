/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Queues of pointers between tasks of any loop and plain threads: first in
 * first out, last in first out, or by priority.
 *
 * A queue lies in its user's memory, which stays where it is and lives until
 * every call on it has returned; all-zero is an unbounded FIFO queue. Waiters
 * are served in the order of their calls. An item is promised to the getter
 * that is woken for it, and leaves the queue when that one goes on; if it was
 * cancelled meanwhile the promise passes to the next, so no item is lost or
 * doubled. The same holds for a place and a putter.
 *
 * A task suspends where a plain thread blocks; where a callback of a running
 * loop would have to wait it gets -EDEADLK. A cancel request that is pending
 * is delivered where the task would suspend. Every call gives -EINVAL for NULL
 * and, where it takes a deadline, for SKUA_NOT_A_TIME, beside what is listed.
 * Deadlines are times of skua_monotonic(); at one that is past, what needs no
 * wait is still done.
 */
#ifndef SKUA_QUEUE_H
#define SKUA_QUEUE_H

#include <stdbool.h>

#include <skua/types.h>

SKUA_BEGIN_DECLS

/** All-zero: an unbounded FIFO queue. */
typedef struct skua_queue {
    SKUA_ALIGNED(8) unsigned char opaque[160];
} skua_queue;

/**
 * Which item comes first: negative when `a` does, positive when `b` does, 0:
 * the one put earlier. Called under the queue's lock: it must neither wait nor
 * use the queue.
 */
typedef int skua_compare_fn(const void *a, const void *b);

/** What becomes of an item that nobody will get. */
typedef void skua_drop_fn(void *item);

/**
 * A FIFO queue.
 * @param maxsize  how many items it holds; 0 or less: no limit
 * @return 0
 * Thread: any, before any other call.  Suspends: never.
 * asyncio: Queue(maxsize).
 */
SKUA_API int skua_queue_init(skua_queue *queue, int64_t maxsize);

/**
 * A queue that gives what was put last.
 * @param maxsize  as skua_queue_init()
 * @return 0
 * Thread: any, before any other call.  Suspends: never.
 * asyncio: LifoQueue(maxsize).
 */
SKUA_API int skua_lifo_queue_init(skua_queue *queue, int64_t maxsize);

/**
 * A queue that gives what `compare` puts first; equal items in the order of
 * their puts (asyncio leaves that open).
 * @param maxsize  as skua_queue_init()
 * @return 0
 * Thread: any, before any other call.  Suspends: never.
 * asyncio: PriorityQueue(maxsize).
 */
SKUA_API int skua_priority_queue_init(skua_queue *queue, int64_t maxsize,
                                      skua_compare_fn *compare);

/**
 * Call `drop` for items that are left at skua_queue_fini() or dropped by
 * skua_queue_shutdown(), outside the queue's lock. NULL: nothing.
 * @return 0
 * Thread: any, before the queue is shared.  Suspends: never.
 */
SKUA_API int skua_queue_set_drop(skua_queue *queue, skua_drop_fn *drop);

/**
 * Free what the queue holds; it is all-zero afterwards. NULL is allowed.
 * @return 0; -EBUSY when somebody waits in it (nothing happens)
 * Thread: any, when nobody else uses it.  Suspends: never.
 */
SKUA_API int skua_queue_fini(skua_queue *queue);

/**
 * Put `item`, when the queue is full after waiting for a place.
 * @return 0; SKUA_ECANCELED; SKUA_ESHUTDOWN; -ENOMEM; -EDEADLK in a callback;
 *         the item was put on 0 only
 * Thread: any.  Suspends: may.  asyncio: Queue.put().
 */
SKUA_API int skua_queue_put(skua_queue *queue, void *item);

/**
 * skua_queue_put() with a limit.
 * @return as skua_queue_put(); -ETIMEDOUT (not put)
 * Thread: any.  Suspends: may.
 */
SKUA_API int skua_queue_put_until(skua_queue *queue, void *item,
                                  int64_t deadline_ns);

/**
 * Put `item` unless the queue is full.
 * @return 0; -EAGAIN when it is full; SKUA_ESHUTDOWN; -ENOMEM
 * Thread: any.  Suspends: never.  asyncio: Queue.put_nowait().
 */
SKUA_API int skua_queue_put_nowait(skua_queue *queue, void *item);

/**
 * Get an item, when there is none after waiting for one.
 * @param out_item  written on success
 * @return 0; SKUA_ECANCELED (nothing was taken); SKUA_ESHUTDOWN once it is shut
 *         down and drained; -EDEADLK in a callback
 * Thread: any.  Suspends: may.  asyncio: Queue.get().
 */
SKUA_API int skua_queue_get(skua_queue *queue, void **out_item);

/**
 * skua_queue_get() with a limit.
 * @return as skua_queue_get(); -ETIMEDOUT (nothing was taken)
 * Thread: any.  Suspends: may.
 */
SKUA_API int skua_queue_get_until(skua_queue *queue, void **out_item,
                                  int64_t deadline_ns);

/**
 * Get an item that is there and not promised to a getter.
 * @param out_item  written on success
 * @return 0; -EAGAIN when there is none; SKUA_ESHUTDOWN once it is shut down
 *         and drained
 * Thread: any.  Suspends: never.  asyncio: Queue.get_nowait().
 */
SKUA_API int skua_queue_get_nowait(skua_queue *queue, void **out_item);

/**
 * How many items are in it, promised ones included. 0 for NULL.
 * Thread: any.  Suspends: never.  asyncio: Queue.qsize().
 */
SKUA_API size_t skua_queue_qsize(skua_queue *queue);

/**
 * Whether it holds no item. True for NULL.
 * Thread: any.  Suspends: never.  asyncio: Queue.empty().
 */
SKUA_API bool skua_queue_empty(skua_queue *queue);

/**
 * Whether it holds `maxsize` items. False without a limit and for NULL.
 * Thread: any.  Suspends: never.  asyncio: Queue.full().
 */
SKUA_API bool skua_queue_full(skua_queue *queue);

/**
 * How many items it may hold; 0: no limit, and for NULL.
 * Thread: any.  Suspends: never.  asyncio: Queue.maxsize.
 */
SKUA_API int64_t skua_queue_maxsize(skua_queue *queue);

/**
 * One item that was got is dealt with.
 * @return 0; -EINVAL when it is called more often than items were put
 * Thread: any.  Suspends: never.  asyncio: Queue.task_done().
 */
SKUA_API int skua_queue_task_done(skua_queue *queue);

/**
 * Wait until each item that was put has been dealt with.
 * @return 0; SKUA_ECANCELED; -EDEADLK in a callback
 * Thread: any.  Suspends: may.  asyncio: Queue.join().
 */
SKUA_API int skua_queue_join(skua_queue *queue);

/**
 * skua_queue_join() with a limit.
 * @return as skua_queue_join(); -ETIMEDOUT
 * Thread: any.  Suspends: may.
 */
SKUA_API int skua_queue_join_until(skua_queue *queue, int64_t deadline_ns);

/**
 * Take no more items: who puts fails, also who waits to; getters get what is
 * left, then fail. With `immediate` what is left is dropped, and counts as
 * dealt with.
 * @return 0
 * Thread: any.  Suspends: never.  asyncio: Queue.shutdown().
 */
SKUA_API int skua_queue_shutdown(skua_queue *queue, bool immediate);

SKUA_END_DECLS

#endif
