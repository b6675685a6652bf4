/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_pool_threads.c - a pool's threads come and go.
 * Threads     Submitters start them; each leaves by itself. The pool's lock
 *             guards the lists and lets one come or go at a time.
 * Invariants  A thread is in `workers` until it leaves. Then it is in `left`,
 *             until another one that leaves, or who ends the pool, joins it; so
 *             at most one thread that has gone is not joined.
 * Ordering    TP1: who leaves, and who pushes. WQ1: the queue is vacant while
 *             there is no thread.
 * Progress    Joining comes after that thread has left, and is short.
 * Rejected    Detached threads: the pool would end while they still run the
 *             destructors of thread-locals. Ending the one that was idle for
 *             longest: the kernel wakes sleepers in turn, so all of them are
 *             idle for about as long.
 *
 * No work is left when threads leave (TP1)
 *   submitter  push / look at `state`: are there idle threads, or fewer than
 *              the most?
 *   leaver     count itself out of `state` / look at the queue: if there is
 *              work, count itself in again and take it
 * All four steps are seq_cst, so one sees the other. A submitter that sees the
 * leaver gone starts a thread if nobody else is idle; the lock lets it do so
 * only when the leaver has gone, or come back.
 *
 * The last one. A thread might not be had any more, and then work that was
 * accepted would wait for ever. So the last thread has the queue refuse work
 * (vacant), under the lock of those who push and only while it is empty; a
 * submitter starts a thread first, and fails if it cannot.
 */
#include "thread_pool.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "../clock.h"
#include "../memory.h"
#include "../thread.h"

static void pool_name_thread(struct skui_pool_worker *worker)
{
    struct skui_thread_pool *pool = worker->pool;
    char name[SKUI_POOL_NAME_BYTES];
    /* relaxed: a number of one's own */
    unsigned number = skui_fetch_add_relaxed(&pool->named, 1u);

    skui_store_relaxed(&worker->number, number); /* relaxed: for reports */
    /* relaxed: as above */
    skui_store_relaxed(&worker->thread_id, gettid());
    (void)snprintf(name, sizeof(name), "%.10s-%u", pool->name_prefix,
                   number % 10000);
    (void)pthread_setname_np(pthread_self(), name);
}

/* --- lists, locked --- */

static void workers_add(struct skui_pool_worker *worker)
{
    struct skui_thread_pool *pool = worker->pool;

    worker->next = pool->workers;
    worker->link = &pool->workers;
    if (worker->next != NULL) {
        worker->next->link = &worker->next;
    }
    pool->workers = worker;
}

static void workers_remove(struct skui_pool_worker *worker)
{
    *worker->link = worker->next;
    if (worker->next != NULL) {
        worker->next->link = worker->link;
    }
}

/* It leaves for good: returns who has left before, to be joined. */
static struct skui_pool_worker *worker_depart(struct skui_pool_worker *worker)
{
    struct skui_thread_pool *pool = worker->pool;
    struct skui_pool_worker *former = pool->left;

    workers_remove(worker);
    worker->next = NULL;
    pool->left = worker;
    return former;
}

/* --- leaving --- */

void skui_pool_join_left(struct skui_pool_worker *worker)
{
    if (worker != NULL) {
        (void)pthread_join(worker->thread, NULL);
        skui_release_aligned(worker);
    }
}

/* Count an idle worker out unless there is work; locked. */
static bool pool_count_out(struct skui_thread_pool *pool)
{
    uint64_t one = SKUI_ALIVE_ONE + SKUI_IDLE_ONE;
    /* relaxed: the lock lets nobody else come or go */
    bool last = SKUI_ALIVE_OF(skui_load_relaxed(&pool->state)) == 1;

    if (last && !skui_work_queue_vacate(&pool->queue)) {
        return false;
    }
    /* TP1 (seq_cst): before the look at the queue. */
    (void)skui_fetch_sub_seq_cst(&pool->state, one);
    if (!last && skui_work_queue_has_work(&pool->queue)) {
        /* TP1 (seq_cst): it is idle, and looks once more. */
        (void)skui_fetch_add_seq_cst(&pool->state, one);
        return false;
    }
    return true;
}

bool skui_pool_retire(struct skui_pool_worker *worker)
{
    struct skui_thread_pool *pool = worker->pool;
    struct skui_pool_worker *former = NULL;
    bool goes;

    (void)pthread_mutex_lock(&pool->lock);
    goes = !skui_work_queue_is_closed(&pool->queue) && pool_count_out(pool);
    if (goes) {
        former = worker_depart(worker);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    skui_pool_join_left(former);
    return goes;
}

void skui_pool_leave(struct skui_pool_worker *worker)
{
    struct skui_thread_pool *pool = worker->pool;
    struct skui_pool_worker *former;
    bool ends;

    skui_pool_wake_all(pool); /* they have come to their end as well */
    (void)pthread_mutex_lock(&pool->lock);
    /* TP1 (seq_cst): as the others; nothing more comes. */
    (void)skui_fetch_sub_seq_cst(&pool->state, SKUI_ALIVE_ONE + SKUI_IDLE_ONE);
    former = worker_depart(worker);
    ends = skui_pool_ends(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    skui_pool_join_left(former);
    if (ends) {
        (void)skua_executor_ended(pool->executor);
    }
}

static void *pool_thread(void *arg)
{
    struct skui_pool_worker *worker = arg;
    struct skui_thread_pool *pool = worker->pool;

    pool_name_thread(worker);
    skui_pool_work(worker);
    skui_pool_disown(pool);
    return NULL;
}

/* --- coming --- */

int skui_pool_start_worker(struct skui_thread_pool *pool)
{
    struct skui_pool_worker *worker = skui_allocate_aligned(sizeof(*worker));
    int status;

    if (worker == NULL) {
        return -ENOMEM;
    }
    worker->pool = pool;
    worker->hand.idle = true;
    worker->hand.at_ticks = skui_clock_ticks();
    /* TP1 (seq_cst): work may be left to it. */
    (void)skui_fetch_add_seq_cst(&pool->state, SKUI_ALIVE_ONE + SKUI_IDLE_ONE);
    /* relaxed: the caller is an owner */
    (void)skui_fetch_add_relaxed(&pool->owners, 1u);
    status = skui_thread_start(&worker->thread, pool_thread, worker);
    if (status < 0) {
        /* relaxed: as above */
        (void)skui_fetch_sub_relaxed(&pool->owners, 1u);
        /* TP1 (seq_cst): what was left to it is for others. */
        (void)skui_fetch_sub_seq_cst(&pool->state,
                                     SKUI_ALIVE_ONE + SKUI_IDLE_ONE);
        skui_pool_wake_all(pool);
        skui_release_aligned(worker);
        return status;
    }
    workers_add(worker);
    skui_work_queue_occupy(&pool->queue);
    return 0;
}

int skui_pool_grow(struct skui_thread_pool *pool)
{
    int status = 0;
    int alive;

    (void)pthread_mutex_lock(&pool->lock);
    /* relaxed: the lock lets nobody else come or go */
    alive = SKUI_ALIVE_OF(skui_load_relaxed(&pool->state));
    if (skui_work_queue_is_closed(&pool->queue)) {
        status = SKUA_ECLOSED;
    } else if (alive < pool->max_workers) {
        status = skui_pool_start_worker(pool);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return alive > 0 ? 0 : status;
}
