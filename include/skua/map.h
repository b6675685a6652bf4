/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Many pieces of work for an executor, their results in order.
 *
 *     skua_map *map;
 *     int status = skua_executor_map(executor, fn, args, count, NULL, &map);
 *     if (status < 0)
 *         return status;
 *     while ((status = skua_map_next(map, &result)) > 0)
 *         use(result);
 *     skua_map_close(map);
 *
 * The results end with the first failure: of a piece of work, or to get or to
 * submit one. Those of the pieces before it are given first, then its status,
 * and the rest is cancelled.
 *
 * Every call that gives a status gives -EINVAL for NULL and SKUA_EFORKED in a
 * forked child for a map of its parent, beside what is listed.
 */
#ifndef SKUA_MAP_H
#define SKUA_MAP_H

#include <skua/executor.h>

SKUA_BEGIN_DECLS

/** The results to come of skua_executor_map(). */
typedef struct skua_map skua_map;

/** How. All-zero is the default. */
typedef struct skua_map_options {
    int64_t timeout_ns; /* for all results, from the call; 0, SKUA_FOREVER: no
                           limit; negative: only those that are there */
    size_t buffersize;  /* how many jobs are submitted of whose results none was
                           taken, that which skua_map_next() waits for not
                           included; 0: all of them, in the call */
    size_t chunksize;   /* how many pieces go to a worker as one job, if they
                           follow each other and are functions of this process,
                           or one registered function; 0: 1 */
    const skua_submit_options *submit; /* for each job; borrowed during the
                                          call; its key gets ".0", ".1" and so
                                          on added; NULL: the default */
} skua_map_options;

/** Some bytes. */
typedef struct skua_bytes {
    const void *data; /* NULL with 0 bytes */
    size_t bytes;
} skua_bytes;

/**
 * The next piece of work.
 * @param out_work  all-zero, to be filled; what it borrows stays until the next
 *                  call of the function or the end of the results, and `arg` of
 *                  a function until that has ended
 * @return 1; 0 when there are no more; SKUA_ECANCELED: the task was cancelled
 *         in here, skua_map_next() gives that at once, and the function is
 *         called again when that is; otherwise negative: the results end with
 *         this, and with what was raised
 */
typedef int skua_map_source_fn(void *arg, skua_work *out_work);

/**
 * Run all that `next(arg, ...)` gives. It is called in this call and, with a
 * buffersize, in those of skua_map_next(), so that it may go on without end.
 *
 * As one job, pieces run one after the other until one fails; what they get and
 * answer is then copied once more, and when the map ends early, the job is told
 * to stop as if by a token, and begins no more of them.
 * @param arg  borrowed until there are no more or the map has ended
 * @param options  borrowed during the call; NULL: the default
 * @param out_map  a new map, for one task or thread at a time
 * @return 0; -EINVAL also for SKUA_NOT_A_TIME; -ENOMEM; what the first piece
 *         fails with before it is submitted, as skua_executor_submit_work()
 * Thread: any.  Suspends: as skua_executor_submit(). Cancelled there with
 * pieces submitted, it gives 0, and skua_map_next() SKUA_ECANCELED at once.
 * concurrent.futures: Executor.map().
 */
SKUA_API int skua_executor_map_source(skua_executor *executor,
                                      skua_map_source_fn *next, void *arg,
                                      const skua_map_options *options,
                                      skua_map **out_map);

/**
 * Call `fn` with each argument; see skua_executor_map_source().
 * @param args  `count` of them, copied; what they point to is borrowed until
 *              its work has ended or cannot start any more; see skua_map_stop()
 * @return as skua_executor_map_source()
 * Thread: any.  Suspends: as skua_executor_submit().
 * concurrent.futures: Executor.map().
 */
SKUA_API int skua_executor_map(skua_executor *executor, skua_task_fn *fn,
                               void *const *args, size_t count,
                               const skua_map_options *options,
                               skua_map **out_map);

/**
 * Call the registered function `name` with each item; see
 * skua_executor_map_source().
 * @param items  `count` of them, copied; what they point to is borrowed during
 *               the call and, with a buffersize, until skua_map_next() gives no
 *               more or the map is closed
 * @return as skua_executor_map_source(); -ENOENT for a name that is not
 *         registered here
 * Thread: any.  Suspends: as skua_executor_submit().
 * concurrent.futures: Executor.map().
 */
SKUA_API int skua_executor_map_named(skua_executor *executor, const char *name,
                                     const skua_bytes *items, size_t count,
                                     const skua_map_options *options,
                                     skua_map **out_map);

/**
 * The next result, in the order of the work. A worker of the same executor that
 * waits here takes no work meanwhile: if all do, they wait for good.
 * @param out_result  may be NULL; as skua_future_result()
 * @return 1; 0 when there are no more; negative: how that piece failed, which
 *         skua_current_exception() tells more of, or -ETIMEDOUT: then the
 *         results have ended and the rest is cancelled. The map stays as it was
 *         after: SKUA_ECANCELED when the waiting task was cancelled; -EDEADLK
 *         in a callback of a loop; -ENOMEM to wait; SKUA_EINVALSTATE within
 *         its own source
 * Thread: any.  Suspends: may; a plain thread blocks.
 */
SKUA_API int skua_map_next(skua_map *map, void **out_result);

/**
 * The bytes of the result that skua_map_next() gave last: 0 of a function of
 * this process.
 * @param out_data  borrowed until the next call for this map but this; aligned
 *                  to 8 bytes; never NULL
 * @return the result's status; SKUA_EINVALSTATE when there is none
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_map_bytes(skua_map *map, const void **out_data,
                            size_t *out_bytes);

/**
 * End the results, cancel what is queued, and wait until nothing of the map
 * runs: then what its work has borrowed is free. May be repeated.
 * @param deadline_ns  of skua_monotonic(); SKUA_FOREVER: no limit
 * @return 0; -ETIMEDOUT; -EINVAL for SKUA_NOT_A_TIME; SKUA_ECANCELED when the
 *         waiting task was cancelled; -EDEADLK in a callback of a loop;
 *         SKUA_EINVALSTATE within its own source; -ENOMEM
 * Thread: any.  Suspends: may; a plain thread blocks.
 */
SKUA_API int skua_map_stop(skua_map *map, int64_t deadline_ns);

/**
 * Free it. What is queued is cancelled, what runs is left to end: call
 * skua_map_stop() before where that matters. NULL is allowed.
 * Thread: any; not within its own source.  Suspends: never.
 * concurrent.futures: close() of what Executor.map() gives.
 */
SKUA_API void skua_map_close(skua_map *map);

SKUA_END_DECLS

#endif
