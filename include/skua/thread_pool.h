/* SPDX-License-Identifier: Apache-2.0 */
/**
 * An executor of threads in this process.
 */
#ifndef SKUA_THREAD_POOL_H
#define SKUA_THREAD_POOL_H

#include <skua/executor.h>

SKUA_BEGIN_DECLS

/** A thread pool. All-zero is the default. */
typedef struct skua_thread_pool_options {
    int max_workers;           /* 0: min(32, usable cores + 4); 4095 at most */
    const char *name_prefix;   /* of the threads' names; copied, 10 bytes are
                                  kept; NULL: "skua-pool" */
    skua_task_fn *initializer; /* run by each thread first; NULL: none. A
                                  negative status breaks the pool */
    void *initializer_arg;     /* borrowed until the pool has ended */
    size_t max_queued;         /* work that waits at once, beside as much as
                                  max_workers threads run; 0: see the policy */
    skua_queue_policy policy;  /* when as much waits; GROW needs max_queued 0,
                                  the others need one */
    int64_t idle_ns;           /* a thread that had nothing to do for so long
                                  ends; 0: 30 s; SKUA_FOREVER: never */
} skua_thread_pool_options;

/**
 * A pool of threads, started one by one when there is work and none is idle.
 * They end when they have been idle for long, the last one as well.
 * @param options  borrowed; NULL: the default
 * @param out_executor  a new reference
 * @return 0; -EINVAL for max_workers outside 0 to 4095, for a negative idle_ns,
 *         and for a policy that does not go with max_queued; -ENOMEM
 * Thread: any.  Suspends: never.  concurrent.futures: ThreadPoolExecutor().
 */
SKUA_API int
skua_thread_pool_executor_new(const skua_thread_pool_options *options,
                              skua_executor **out_executor);

SKUA_END_DECLS

#endif
