/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_pool.h - the inside of a thread pool: thread_pool.c runs it,
 * thread_pool_end.c ends it.
 *
 *              submit  work  shutdown
 *   submit       -      -       -      (any thread)
 *   work         -      -       -      (its own threads)
 *   shutdown     -      -       -      (any thread)
 */
#ifndef SKUI_EXECUTOR_THREAD_POOL_H
#define SKUI_EXECUTOR_THREAD_POOL_H

#include <pthread.h>

#include "executor.h"
#include "work_queue.h"

SKUI_BEGIN_DECLS

enum { SKUI_POOL_NAME_BYTES = 16 }; /* what the kernel keeps */

/* The fields of `state`. */
#define SKUI_QUEUED_ONE UINT64_C(1)
#define SKUI_QUEUED_MAX ((UINT64_C(1) << 29) - 1024)
#define SKUI_QUEUED_OF(state) ((state) & ((UINT64_C(1) << 29) - 1))
#define SKUI_IDLE_ONE (UINT64_C(1) << 29)
#define SKUI_IDLE_OF(state) ((state) >> 29 & 4095)
#define SKUI_SLEEPING_ONE (UINT64_C(1) << 41)
#define SKUI_SLEEPING_OF(state) ((state) >> 41 & 4095)
#define SKUI_ENTERING_ONE (UINT64_C(1) << 53)
#define SKUI_ENTERING_OF(state) ((state) >> 53 & 511)
#define SKUI_STATE_CLOSED (UINT64_C(1) << 62)
#define SKUI_STATE_BROKEN (UINT64_C(1) << 63)
#define SKUI_STATE_ENDING (SKUI_STATE_CLOSED | SKUI_STATE_BROKEN)

/* A thread that was started and not joined yet; the thread does not use it. */
struct skui_pool_worker {
    struct skui_pool_worker *next;
    pthread_t thread;
};

/* A task that waits for the end. On its stack; guarded by the pool's lock. */
struct skui_pool_ending {
    struct skui_pool_ending *next;
    skua_future *future; /* a reference while linked */
};

struct skui_thread_pool {
    skua_executor executor;
    _Atomic(uint32_t) owners; /* TP3: public side and each thread */
    int max_workers;          /* constant, as all up to the queue */
    char name_prefix[SKUI_POOL_NAME_BYTES];
    skua_task_fn *initializer;
    void *initializer_arg;

    struct skui_work_queue queue;
    char pad_before[SKUI_CACHE_LINE];
    _Atomic(uint64_t) state;     /* TP1, TP2 */
    _Atomic(uint32_t) rouse;     /* TP2 */
    _Atomic(uint32_t) finishing; /* relaxed: a hint, see above */
    _Atomic(int64_t) submitted;  /* relaxed: a figure */
    _Atomic(unsigned) named;     /* relaxed: threads so far */
    char pad_after[SKUI_CACHE_LINE];

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t ended; /* alive == 0 */
    _Atomic(int) alive;   /* threads; relaxed outside the lock: a hint */
    struct skui_pool_worker *workers; /* to be joined or detached */
    struct skui_pool_ending *endings; /* tasks that wait */
    bool released;                    /* no reference is left: nobody joins */
};

static inline struct skui_thread_pool *
skui_pool_of(const skua_executor *executor)
{
    return SKUI_CONTAINER_OF(executor, struct skui_thread_pool, executor);
}

/* Give up an ownership; the last one frees the pool. */
void skui_pool_disown(struct skui_thread_pool *pool);

/* Have every worker look at the state again. */
void skui_pool_wake_all(struct skui_thread_pool *pool);

/*
 * Claim what is queued and take it off the queue; `cost` is what the claim
 * subtracts from the state. NULL when nothing is queued.
 */
struct skui_work *skui_pool_claim(struct skui_thread_pool *pool, uint64_t cost);

/* thread_pool_end.c: as in struct skui_executor_ops. */
int skui_pool_shutdown(skua_executor *executor, bool wait, bool cancel_futures);
void skui_pool_abandon(skua_executor *executor);

SKUI_END_DECLS

#endif
