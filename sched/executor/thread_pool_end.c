/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_pool_end.c - how a thread pool ends.
 * Threads     Any thread; several may shut down and wait at once.
 * Invariants  No thread is started once the queue is closed, so the number
 *             alive only falls. The last thread to leave tells all who wait.
 * Ordering    WQ1: closing (work_queue.c). The pool's lock guards the rest.
 * Progress    A task waits without blocking its loop, a plain thread blocks;
 *             joining comes after the threads have left and is short.
 * Rejected    Joining at once: it would block the loop of a task, and a job
 *             that waits for that loop would never end.
 */
#include "thread_pool.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

#include "skua/task.h"

#include "../future.h"
#include "../memory.h"
#include "../tls.h"

static void pool_cancel_queued(struct skui_thread_pool *pool)
{
    struct skui_work work;

    while (!skui_work_queue_is_drained(&pool->queue)) {
        if (skui_work_queue_pop(&pool->queue, &work)) {
            (void)skui_future_cancel_plain(work.future, NULL);
            skua_future_unref(work.future);
        } else {
            (void)sched_yield(); /* another thread is about to push or pop */
        }
    }
}

static void pool_close(struct skui_thread_pool *pool, bool cancel_futures)
{
    skui_work_queue_close(&pool->queue);
    if (cancel_futures) {
        pool_cancel_queued(pool);
    }
    skui_pool_wake_all(pool);
}

static bool pool_is_own_thread(struct skui_thread_pool *pool)
{
    bool own = false;

    (void)pthread_mutex_lock(&pool->lock);
    for (struct skui_pool_worker *w = pool->workers; w != NULL && !own;
         w = w->next) {
        own = pthread_equal(w->thread, pthread_self()) != 0;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return own;
}

/* Join the threads, which have ended or are about to. */
static void pool_join(struct skui_thread_pool *pool)
{
    struct skui_pool_worker *worker;

    (void)pthread_mutex_lock(&pool->lock);
    worker = pool->workers;
    pool->workers = NULL;
    (void)pthread_mutex_unlock(&pool->lock);
    while (worker != NULL) {
        struct skui_pool_worker *next = worker->next;

        (void)pthread_join(worker->thread, NULL);
        skui_release(worker);
        worker = next;
    }
}

static int pool_wait_end_in_thread(struct skui_thread_pool *pool,
                                   int64_t deadline_ns)
{
    const struct timespec deadline = {deadline_ns / SKUA_S,
                                      deadline_ns % SKUA_S};
    int error = 0;

    (void)pthread_mutex_lock(&pool->lock);
    /* relaxed: under the lock */
    while (skui_load_relaxed(&pool->alive) > 0 && error == 0) {
        error = deadline_ns == SKUA_FOREVER
                    ? pthread_cond_wait(&pool->ended, &pool->lock)
                    : pthread_cond_clockwait(&pool->ended, &pool->lock,
                                             CLOCK_MONOTONIC, &deadline);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return -error;
}

/* Have `future` completed at the end: 1, or 0 when that has come already. */
static int pool_expect_end(struct skui_thread_pool *pool, skua_future *future)
{
    struct skui_pool_ending *ending = skui_allocate(sizeof(*ending));
    bool expects;

    if (ending == NULL) {
        return -ENOMEM;
    }
    (void)pthread_mutex_lock(&pool->lock);
    /* relaxed: under the lock */
    expects = skui_load_relaxed(&pool->alive) > 0;
    if (expects) {
        ending->future = skua_future_ref(future);
        ending->next = pool->endings;
        pool->endings = ending;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    if (!expects) {
        skui_release(ending);
    }
    return expects;
}

/* Take back what the last worker did not come to. */
static void pool_withdraw(struct skui_thread_pool *pool,
                          const skua_future *future)
{
    struct skui_pool_ending **link;

    (void)pthread_mutex_lock(&pool->lock);
    for (link = &pool->endings; *link != NULL; link = &(*link)->next) {
        struct skui_pool_ending *ending = *link;

        if (ending->future == future) {
            *link = ending->next;
            skua_future_unref(ending->future);
            skui_release(ending);
            break;
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

static int pool_wait_end_in_task(struct skui_thread_pool *pool,
                                 int64_t deadline_ns)
{
    skua_future *future;
    int status = skua_future_new(NULL, &future);

    if (status < 0) {
        return status;
    }
    status = pool_expect_end(pool, future);
    if (status == 1) {
        status = skua_await_until(future, deadline_ns, NULL);
        pool_withdraw(pool, future);
    }
    skua_future_unref(future);
    return status;
}

int skui_pool_shutdown(skua_executor *executor, bool wait, bool cancel_futures,
                       int64_t deadline_ns)
{
    struct skui_thread_pool *pool = skui_pool_of(executor);
    int status = 0;

    pool_close(pool, cancel_futures);
    if (!wait) {
        return 0;
    }
    if (pool_is_own_thread(pool)) {
        return -EDEADLK;
    }
    if (skua_current_task() != NULL) {
        status = pool_wait_end_in_task(pool, deadline_ns);
    } else if (skui_loop_self() != NULL) {
        return -EDEADLK;
    } else {
        status = pool_wait_end_in_thread(pool, deadline_ns);
    }
    if (status == 0) {
        pool_join(pool);
    }
    return status;
}

void skui_pool_abandon(skua_executor *executor)
{
    struct skui_thread_pool *pool = skui_pool_of(executor);
    struct skui_pool_worker *worker;

    pool_close(pool, false);
    (void)pthread_mutex_lock(&pool->lock);
    pool->released = true;
    while ((worker = pool->workers) != NULL) {
        pool->workers = worker->next;
        (void)pthread_detach(worker->thread);
        skui_release(worker);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    skui_pool_disown(pool);
}
