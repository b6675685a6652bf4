/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_pool_end.c - how a thread pool ends.
 * Threads     Any thread; several may shut down and wait at once.
 * Invariants  No thread is started once the queue is closed, so the number
 *             alive only falls. The last thread to leave says so, or who shuts
 *             down when none is left.
 * Ordering    WQ1: closing (work_queue.c). The pool's lock guards the rest.
 * Progress    Joining comes after the threads have left and is short.
 * Rejected    Joining at once: it would block the loop of a task, and a job
 *             that waits for that loop would never end.
 */
#include "thread_pool.h"

#include <sched.h>

#include "../future.h"
#include "../memory.h"

static void pool_cancel_queued(struct skui_thread_pool *pool)
{
    struct skui_work work;

    while (!skui_work_queue_is_drained(&pool->queue)) {
        if (!skui_work_queue_pop(&pool->queue, &work)) {
            (void)sched_yield(); /* another thread is about to push or pop */
            continue;
        }
        (void)skui_future_cancel_plain(work.future, NULL);
        skui_pool_skip(pool, &work);
    }
}

static void pool_close(struct skui_thread_pool *pool, bool cancel_futures)
{
    skui_work_queue_close(&pool->queue);
    skui_room_close(&pool->room, SKUA_ECLOSED);
    skui_pool_note_queued(pool);
    if (cancel_futures) {
        pool_cancel_queued(pool);
    }
    skui_pool_wake_all(pool);
}

bool skui_pool_ends(struct skui_thread_pool *pool)
{
    /* relaxed: the lock lets nobody come or go */
    bool ends = pool->shut && !pool->ended &&
                SKUI_ALIVE_OF(skui_load_relaxed(&pool->state)) == 0;

    pool->ended = pool->ended || ends;
    return ends;
}

void skui_pool_shutdown(void *self, bool cancel_futures)
{
    struct skui_thread_pool *pool = self;
    bool ends;

    pool_close(pool, cancel_futures);
    (void)pthread_mutex_lock(&pool->lock);
    pool->shut = true;
    ends = skui_pool_ends(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    if (ends) {
        (void)skua_executor_ended(pool->executor);
    }
}

void skui_pool_join(void *self)
{
    struct skui_thread_pool *pool = self;
    struct skui_pool_worker *left;

    (void)pthread_mutex_lock(&pool->lock);
    left = pool->left;
    pool->left = NULL;
    (void)pthread_mutex_unlock(&pool->lock);
    skui_pool_join_left(left); /* which has joined the others */
}

void skui_pool_abandon(void *self)
{
    struct skui_thread_pool *pool = self;
    struct skui_pool_worker *left;

    (void)pthread_mutex_lock(&pool->lock);
    left = pool->left;
    pool->left = NULL;
    (void)pthread_mutex_unlock(&pool->lock);
    if (left != NULL) { /* nobody waits for it; it may be the caller */
        (void)pthread_detach(left->thread);
        skui_release_aligned(left);
    }
    skui_pool_disown(pool);
}
