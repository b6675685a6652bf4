/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_pool_wait.c - a pool's work waits for work of the same pool.
 * Threads     A worker, for itself. The pool's lock guards who awaits what.
 * Invariants  Work is claimed once (skui_future_set_running()), by the worker
 *             that takes it out of the queue or by the one that waits for it.
 *             The latter leaves it in the queue, where it is passed over.
 * Ordering    None of its own: FU2 the claim, CK1 and SL1 the copy of the work.
 * Progress    Finding work without a job takes as long as the queue, up to a
 *             limit.
 * Rejected    Running whatever is queued while waiting: what is begun in the
 *             middle of other work keeps that from going on, for as long as it
 *             likes, and may wait for it. More threads than max_workers: who
 *             sets a limit means it.
 *
 * Who waits for own work that nobody has begun runs it: he could not go on
 * before in any case. So a pool that waits for itself needs as many threads as
 * one, whatever its depth, as long as there is stack. What cannot be run so is
 * counted: when each worker waits without limit for own work that is not done,
 * and no further thread can be had for what is queued, the last one to come is
 * told -EDEADLK in place of waiting. Work that waits for itself, at any depth
 * of one stack, is told so at once. A wait with a time limit ends by itself: it
 * is neither counted nor shortened by other work.
 */
#include <errno.h>

#include "../future.h"
#include "job.h"
#include "thread_pool.h"

/* What is left to work that is run within other work, at least. */
enum { STACK_BYTES = 160 * 1024 };

static bool wait_is_own(const struct skui_thread_pool *pool,
                        const skua_future *future)
{
    return future->kind == SKUI_FUTURE_JOB
               ? skui_job_of(future)->executor == pool->executor
               : future->kind == SKUI_FUTURE_EXECUTOR &&
                     future->loop_id == pool->executor->number;
}

/* Whether it runs in this very thread. */
static bool wait_is_for_itself(const struct skui_pool_worker *worker,
                               const skua_future *future)
{
    const struct skui_pool_run *run = worker->run;

    while (run != NULL && run->work->future != future) {
        run = run->outer;
    }
    return run != NULL;
}

static uintptr_t stack_find_low(void)
{
    uintptr_t low = UINTPTR_MAX; /* not known: there is none left */
    pthread_attr_t attributes;
    void *address;
    size_t bytes;

    if (pthread_getattr_np(pthread_self(), &attributes) != 0) {
        return low;
    }
    if (pthread_attr_getstack(&attributes, &address, &bytes) == 0) {
        low = (uintptr_t)address;
    }
    (void)pthread_attr_destroy(&attributes);
    return low;
}

static bool worker_has_stack(struct skui_pool_worker *worker)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    if (worker->stack_low == 0) {
        worker->stack_low = stack_find_low();
    }
    return here > worker->stack_low && here - worker->stack_low > STACK_BYTES;
}

/* --- running what is awaited --- */

static bool wait_find(struct skui_thread_pool *pool, skua_future *future,
                      struct skui_work *out_work)
{
    if (future->kind == SKUI_FUTURE_JOB) {
        *out_work = (struct skui_work){NULL, NULL, future};
        return true;
    }
    return skui_work_queue_find(&pool->queue, future, out_work);
}

static bool work_is_over(const skua_future *future)
{
    return skui_future_is_of_executor(future) && !skui_future_is_queued(future);
}

/* What was claimed is passed over now if it is the oldest, lest who waits for
 * own work all the time fills the queue with it. */
static void queue_pass_over(struct skui_thread_pool *pool)
{
    struct skui_work work;

    while (skui_work_queue_pop_if(&pool->queue, work_is_over, &work)) {
        skui_pool_skip(pool, &work);
    }
}

static bool worker_help(struct skui_pool_worker *worker, skua_future *future)
{
    struct skui_thread_pool *pool = worker->pool;
    struct skui_work work;

    if (!wait_is_own(pool, future) || !skui_future_is_queued(future) ||
        !worker_has_stack(worker) || !wait_find(pool, future, &work) ||
        !skui_future_set_running(future)) {
        return false;
    }
    (void)skua_future_ref(future); /* the queue's goes */
    queue_pass_over(pool);
    skui_pool_run_within(worker, &work);
    skua_future_unref(future);
    return true;
}

bool skui_work_help(skua_future *future)
{
    const struct skui_work_self *self = skui_work_self();

    return self != NULL && self->worker != NULL &&
           worker_help(self->worker, future);
}

/* --- waiting for others --- */

/* Each worker waits for what is not done. Locked. */
static bool pool_all_wait(const struct skui_thread_pool *pool,
                          bool *out_some_queued)
{
    const struct skui_pool_worker *worker = pool->workers;

    *out_some_queued = false;
    while (worker != NULL && worker->awaits != NULL &&
           !skui_future_is_done(worker->awaits)) {
        *out_some_queued =
            *out_some_queued || skui_future_is_queued(worker->awaits);
        worker = worker->next;
    }
    return worker == NULL;
}

/* Whether nobody is left to go on, nor can come; locked. */
static bool pool_is_stuck(struct skui_thread_pool *pool)
{
    /* relaxed: the lock lets nobody else come or go */
    int alive = SKUI_ALIVE_OF(skui_load_relaxed(&pool->state));
    bool some_queued;

    return pool->waiting == alive && pool_all_wait(pool, &some_queued) &&
           !(some_queued && alive < pool->max_workers &&
             !skui_work_queue_is_closed(&pool->queue) &&
             skui_pool_start_worker(pool) == 0);
}

static int worker_count_in(struct skui_pool_worker *worker, skua_future *future)
{
    struct skui_thread_pool *pool = worker->pool;
    int status = 0;

    (void)pthread_mutex_lock(&pool->lock);
    worker->awaits = future;
    pool->waiting++;
    if (pool_is_stuck(pool)) {
        worker->awaits = NULL;
        pool->waiting--;
        status = -EDEADLK;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return status;
}

int skui_work_wait_begin(skua_future *future, int64_t deadline_ns)
{
    const struct skui_work_self *self = skui_work_self();
    struct skui_pool_worker *worker = self == NULL ? NULL : self->worker;

    if (worker == NULL || deadline_ns != SKUA_FOREVER ||
        !wait_is_own(worker->pool, future)) {
        return 0;
    }
    if (wait_is_for_itself(worker, future)) {
        return -EDEADLK;
    }
    return worker_help(worker, future) || skui_future_is_done(future)
               ? 0
               : worker_count_in(worker, future);
}

void skui_work_wait_end(void)
{
    const struct skui_work_self *self = skui_work_self();
    struct skui_pool_worker *worker = self == NULL ? NULL : self->worker;

    if (worker == NULL || worker->awaits == NULL) {
        return; /* written by this thread only */
    }
    (void)pthread_mutex_lock(&worker->pool->lock);
    worker->awaits = NULL;
    worker->pool->waiting--;
    (void)pthread_mutex_unlock(&worker->pool->lock);
}
