/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_pool_interrupt.c - work of a pool that may be interrupted.
 * Threads     The worker that runs it; who cancels its token.
 * Invariants  While a job has a place (job->place, guarded by the pool's lock)
 *             its worker is in the middle of it, with an interrupt that is
 *             open; so nobody else is interrupted.
 * Ordering    CT1: who cancels sets the flag, then looks for the place; the
 *             worker takes its place, then looks at the flag. Both look under
 *             the lock, or after it.
 *
 * Other work that is run in the middle of it is not meant: meanwhile the
 * interrupt is suspended.
 */
#include "../future.h"
#include "interrupt.h"
#include "job.h"
#include "thread_pool.h"

static void pool_place(struct skui_pool_worker *worker, struct skui_job *job,
                       struct skui_interrupt *interrupt)
{
    (void)pthread_mutex_lock(&worker->pool->lock);
    job->place = interrupt;
    (void)pthread_mutex_unlock(&worker->pool->lock);
}

void skui_pool_stop(void *self, skua_job *job)
{
    struct skui_thread_pool *pool = self;
    struct skui_job *stopped = skui_job_of(job);

    if (!stopped->options.interruptible) {
        return;
    }
    (void)pthread_mutex_lock(&pool->lock);
    if (stopped->place != NULL) {
        skui_interrupt_want(stopped->place);
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

int skui_pool_interrupt_begin(struct skui_pool_worker *worker,
                              struct skui_job *job,
                              struct skui_interrupt *interrupt)
{
    int status = skui_interrupt_open(interrupt);

    if (status < 0) {
        return status;
    }
    worker->self.interrupt = interrupt;
    pool_place(worker, job, interrupt);
    if (skua_cancel_token_is_cancelled(job->options.token)) {
        skui_pool_stop(worker->pool, &job->future);
    }
    skui_interrupt_allow(interrupt);
    return 0;
}

void skui_pool_interrupt_end(struct skui_pool_worker *worker,
                             struct skui_job *job,
                             struct skui_interrupt *interrupt)
{
    skui_interrupt_forbid(interrupt);
    pool_place(worker, job, NULL);
    skui_interrupt_close(interrupt);
    worker->self.interrupt = NULL;
}

struct skui_interrupt *
skui_pool_interrupt_suspend(struct skui_pool_worker *worker)
{
    struct skui_interrupt *interrupt = worker->self.interrupt;

    if (interrupt != NULL) {
        (void)pthread_mutex_lock(&worker->pool->lock);
        skui_interrupt_suspend(interrupt);
        (void)pthread_mutex_unlock(&worker->pool->lock);
        skui_interrupt_forbid(interrupt);
        worker->self.interrupt = NULL;
    }
    return interrupt;
}

void skui_pool_interrupt_resume(struct skui_pool_worker *worker,
                                struct skui_interrupt *interrupt)
{
    if (interrupt != NULL) {
        worker->self.interrupt = interrupt;
        (void)pthread_mutex_lock(&worker->pool->lock);
        skui_interrupt_resume(interrupt);
        (void)pthread_mutex_unlock(&worker->pool->lock);
        skui_interrupt_allow(interrupt);
    }
}
