/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_pool.c - an executor of threads in this process.
 * Threads     Any thread submits and shuts down; workers run the work.
 * Invariants  A worker ends when the queue is closed and drained, or when it
 * has been idle for long. Nothing is accepted while there is none: so accepted
 * work always finds a worker. Ordering    TP1, TP2 (thread_pool_idle.c), TP3
 * the last owner. CK1, CK2, WQ1, WQ2: the queue. Progress    submit: a push and
 * a look at one word, unless it must wake or start a thread. Rejected Workers
 * that take several jobs at once: what they hold no other thread reaches, and a
 * job may wait for one that came after it.
 *
 * Who counts as idle. A worker that finds the queue empty is idle before it
 * completes a plain future, so that who awaits that and submits anew finds it.
 * A future with callbacks in the completing thread may keep the worker busy, so
 * there it is idle afterwards only; `finishing` makes submitters wait a moment
 * for that before they start a thread. A worker that has more to do stays busy
 * and leaves the shared words alone.
 */
#include "thread_pool.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../clock.h"
#include "../context.h"
#include "../cores.h"
#include "../future.h"
#include "../loop.h"
#include "../memory.h"
#include "../thread.h"
#include "interrupt.h"
#include "job.h"
#include "skua/buffer.h"
#include "skua/thread_pool.h"
#include "work_self.h"

enum {
    RING_CAPACITY = 1024,
    MAX_WORKERS = 4095,
    MAX_DEFAULT_WORKERS = 32,
    EXTRA_DEFAULT_WORKERS = 4,
    SPIN_START_NS = 50000,
    PACE_START_NS = 100000, /* long: short jobs are found to be so */
    IDLE_DEFAULT_S = 30,
    IDLE_MAX_S = 24 * 3600,
};

static _Atomic(uint32_t) pools_so_far; /* relaxed: numbers */

static void pool_free(struct skui_thread_pool *pool)
{
    (void)pthread_mutex_destroy(&pool->lock);
    skui_work_queue_fini(&pool->queue);
    skui_release_aligned(pool);
}

void skui_pool_disown(struct skui_thread_pool *pool)
{
    /* TP3 acq_rel: the last owner sees what the others did. */
    if (skui_fetch_sub_acq_rel(&pool->owners, 1u) == 1) {
        pool_free(pool);
    }
}

/* --- working --- */

/* The worker leaves if it may. */
static bool pool_go(struct skui_pool_worker *worker)
{
    if (!skui_work_queue_is_drained(&worker->pool->queue)) {
        return skui_pool_is_idle_long(worker->pool, &worker->hand) &&
               skui_pool_retire(worker);
    }
    skui_pool_leave(worker);
    return true;
}

/* The next work, with which the worker is busy. False: it has left. */
static bool pool_next(struct skui_pool_worker *worker,
                      struct skui_work *out_work)
{
    struct skui_thread_pool *pool = worker->pool;
    bool goes_on = true;

    while (!skui_work_queue_pop(&pool->queue, out_work)) {
        skui_pool_become_idle(pool, &worker->hand);
        if (!goes_on && pool_go(worker)) {
            return false;
        }
        goes_on = skui_pool_wait(pool, &worker->hand);
    }
    skui_pool_become_busy(pool, &worker->hand);
    return true;
}

/* What came of a piece of work. */
struct pool_outcome {
    struct skui_outcome outcome;
    skua_buffer *answer; /* of a job */
};

static void pool_complete(skua_future *future, struct pool_outcome *what)
{
    if (future->kind == SKUI_FUTURE_JOB) {
        struct skui_job *job = skui_job_of(future);

        skui_job_detach(job);
        skui_job_complete(job, &what->outcome, what->answer,
                          skua_buffer_bytes(what->answer));
    } else {
        (void)skui_future_complete_work(future, &what->outcome);
    }
}

/* Complete the work's future and be idle, in the order said at the top. Who
 * awaits it may submit anew, so its place is free before. */
static void pool_finish(struct skui_thread_pool *pool,
                        struct skui_pool_hand *hand, skua_future *future,
                        struct pool_outcome *what)
{
    skui_pool_make_room(pool);
    if (skui_work_queue_seems_ready(&pool->queue)) {
        pool_complete(future, what);
    } else if (!skui_future_is_of_executor(future)) {
        skui_pool_become_idle(pool, hand);
        pool_complete(future, what);
    } else {
        /* relaxed, both: a hint, which completing publishes */
        (void)skui_fetch_add_relaxed(&pool->finishing, 1u);
        pool_complete(future, what);
        skui_pool_become_idle(pool, hand);
        (void)skui_fetch_sub_relaxed(&pool->finishing, 1u); /* relaxed: hint */
    }
}

static bool pool_is_broken(struct skui_thread_pool *pool)
{
    /* TP1 acquire: pairs with pool_break(). */
    return (skui_load_acquire(&pool->state) & SKUI_STATE_BROKEN) != 0;
}

/* For reports: what runs now. */
static void pool_note_run(struct skui_pool_worker *worker)
{
    const struct skui_pool_run *run = worker->run;
    const struct skui_job *job;

    if (run == NULL) {
        skui_store_relaxed(&worker->runs, (uintptr_t)0); /* relaxed: as there */
        return;
    }
    if (run->work->future->kind != SKUI_FUTURE_JOB) {
        skui_pool_note_run(worker, (uintptr_t)run->work->fn, NULL,
                           run->since_ticks);
        return;
    }
    job = skui_job_of(run->work->future);
    skui_pool_note_run(worker,
                       job->function != NULL ? (uintptr_t)job->function->fn
                                             : (uintptr_t)job->work.fn,
                       job->work.name, run->since_ticks);
}

static void pool_call_job(struct skui_pool_worker *worker, struct skui_job *job,
                          struct pool_outcome *what)
{
    struct skui_interrupt interrupt;

    if (!job->options.interruptible || job->options.token == NULL) {
        skui_job_call(job, &what->outcome, &what->answer);
        return;
    }
    what->outcome.status = skui_pool_interrupt_begin(worker, job, &interrupt);
    if (what->outcome.status == 0) {
        skui_job_call(job, &what->outcome, &what->answer);
        skui_pool_interrupt_end(worker, job, &interrupt);
    }
}

/* Run work that was claimed; false when it was too late, by which it is done.
 */
static bool pool_call(struct skui_pool_worker *worker,
                      const struct skui_work *work, struct pool_outcome *what)
{
    struct skui_pool_run run = {worker->run, work, worker->hand.at_ticks};
    bool is_job = work->future->kind == SKUI_FUTURE_JOB;

    if (is_job && !skui_job_begin(skui_job_of(work->future))) {
        return false;
    }
    what->answer = NULL;
    if (run.outer != NULL) {
        run.since_ticks = skui_clock_ticks();
    }
    worker->run = &run;
    pool_note_run(worker);
    if (is_job) {
        pool_call_job(worker, skui_job_of(work->future), what);
    } else {
        skui_outcome_capture(skui_thread_frame(), work->fn, work->arg,
                             &what->outcome);
    }
    worker->run = run.outer;
    pool_note_run(worker);
    return true;
}

void skui_pool_skip(struct skui_thread_pool *pool, const struct skui_work *work)
{
    skui_pool_make_room(pool);
    /* One that is not done runs in a thread that waited for it. */
    if (work->future->kind == SKUI_FUTURE_JOB &&
        skui_future_is_done(work->future)) {
        skui_job_detach(skui_job_of(work->future));
    }
    skua_future_unref(work->future);
}

static void pool_run(struct skui_pool_worker *worker,
                     const struct skui_work *work)
{
    struct pool_outcome what = {{SKUA_EBROKENPOOL, NULL, NULL}, NULL};
    struct skui_thread_pool *pool = worker->pool;

    if (pool_is_broken(pool)) {
        pool_finish(pool, &worker->hand, work->future, &what);
    } else if (skui_future_set_running(work->future) &&
               pool_call(worker, work, &what)) {
        skui_pool_note_pace(pool, &worker->hand);
        pool_finish(pool, &worker->hand, work->future, &what);
    } else {
        skui_pool_skip(pool, work);
        return;
    }
    skua_future_unref(work->future);
}

struct pool_within {
    struct skui_pool_worker *worker;
    const struct skui_work *work;
};

static int pool_run_within(void *arg)
{
    const struct pool_within *within = arg;
    struct pool_outcome what = {{SKUA_EBROKENPOOL, NULL, NULL}, NULL};

    if (pool_is_broken(within->worker->pool) ||
        pool_call(within->worker, within->work, &what)) {
        pool_complete(within->work->future, &what);
    }
    return 0;
}

void skui_pool_run_within(struct skui_pool_worker *worker,
                          const struct skui_work *work)
{
    struct pool_within within = {worker, work};
    struct skui_interrupt *suspended = skui_pool_interrupt_suspend(worker);
    const struct skui_work_self *before = skui_work_self();
    const struct skui_work_self *outer = worker->self.outer;

    if (before != &worker->self) {
        worker->self.outer = before;
    }
    (void)skui_work_set_self(&worker->self);
    /* It sees no variables of what it runs in the middle of. */
    (void)skui_context_run_captured(0, pool_run_within, &within);
    (void)skui_work_set_self(before);
    worker->self.outer = outer;
    skui_pool_interrupt_resume(worker, suspended);
}

/* Let current, pending and later work fail. */
static void pool_break(struct skui_thread_pool *pool)
{
    /* TP1 acq_rel: whoever takes work after this sees it, and, by WQ1, whoever
     * is refused. */
    (void)skui_fetch_or_acq_rel(&pool->state, SKUI_STATE_BROKEN);
    skui_work_queue_close(&pool->queue);
    skui_room_close(&pool->room, SKUA_ECLOSED);
    skui_pool_wake_all(pool);
}

static void pool_initialize(struct skui_thread_pool *pool)
{
    struct skui_outcome outcome;

    if (pool->initializer == NULL) {
        return;
    }
    skui_outcome_capture(skui_thread_frame(), pool->initializer,
                         pool->initializer_arg, &outcome);
    skua_exception_unref(outcome.exception);
    if (outcome.status < 0) {
        pool_break(pool);
    }
}

void skui_pool_work(struct skui_pool_worker *worker)
{
    struct skui_thread_pool *pool = worker->pool;
    struct skui_work work;

    worker->hand.mean_ticks = skui_clock_ticks_of(PACE_START_NS);
    worker->hand.spin_ns = SPIN_START_NS;
    worker->self =
        (struct skui_work_self){.executor = pool->executor, .worker = worker};
    (void)skui_work_set_self(&worker->self);
    pool_initialize(pool);
    while (pool_next(worker, &work)) {
        pool_run(worker, &work);
    }
    (void)skui_work_set_self(NULL);
}

/* --- submitting --- */

/* With a place: queue it. */
static int pool_push(struct skui_thread_pool *pool,
                     const struct skui_work *work)
{
    int status = skui_work_queue_push(&pool->queue, work);

    while (SKUI_UNLIKELY(status == -ENXIO)) { /* there are no threads */
        status = skui_pool_grow(pool);
        if (status == 0) {
            status = skui_work_queue_push(&pool->queue, work);
        }
    }
    if (status == 0) {
        skui_pool_rouse(pool);
    } else {
        skui_pool_make_room(pool);
    }
    return status;
}

static int pool_accept(struct skui_thread_pool *pool,
                       const struct skui_work *work)
{
    int status = skui_room_enter(&pool->room, pool->executor);

    if (status == 0) {
        status = pool_push(pool, work);
    }
    return status == SKUA_ECLOSED && pool_is_broken(pool) ? SKUA_EBROKENPOOL
                                                          : status;
}

static int pool_submit_bare(void *self, skua_task_fn *fn, void *arg,
                            skua_future *future)
{
    const struct skui_work work = {fn, arg, skua_future_ref(future)};
    int status = pool_accept(self, &work);

    if (status < 0) {
        skua_future_unref(future);
    }
    return status;
}

static int pool_submit(void *self, skua_job *job)
{
    const struct skui_work work = {NULL, NULL, job};
    int status =
        skua_job_options(job)->interruptible ? skui_interrupt_prepare() : 0;

    return status < 0 ? status : pool_accept(self, &work);
}

static void pool_get_stats(void *self, skua_executor_stats *out_stats)
{
    struct skui_thread_pool *pool = self;
    size_t queued = skui_work_queue_count(&pool->queue);
    /* relaxed, all: figures */
    uint64_t state = skui_load_relaxed(&pool->state);

    skui_pool_note_queued(pool);
    *out_stats = (skua_executor_stats){
        .submitted = (int64_t)(skui_work_queue_popped(&pool->queue) + queued),
        .queued = (int64_t)queued,
        /* relaxed: a figure */
        .queued_most = (int64_t)skui_load_relaxed(&pool->queued_most),
        .rejected = skui_room_rejected(&pool->room),
        .max_workers = pool->max_workers,
        .workers = SKUI_ALIVE_OF(state),
        .idle = (int)SKUI_IDLE_OF(state),
    };
}

static const skua_executor_type pool_type = {
    .name = "thread pool",
    .submit = pool_submit,
    .shutdown = skui_pool_shutdown,
    .release = skui_pool_abandon,
    .stop = skui_pool_stop,
    .get_stats = pool_get_stats,
    .join = skui_pool_join,
};

/* --- making one --- */

static int default_workers(void)
{
    int workers = (int)skui_usable_cores() + EXTRA_DEFAULT_WORKERS;

    return workers < MAX_DEFAULT_WORKERS ? workers : MAX_DEFAULT_WORKERS;
}

/* What ticks can count; 0: for ever, also for what is longer than a day. */
static uint64_t pool_idle_ticks(int64_t idle_ns)
{
    if (idle_ns > IDLE_MAX_S * SKUA_S) {
        return 0;
    }
    if (idle_ns == 0) {
        idle_ns = IDLE_DEFAULT_S * SKUA_S;
    }
    return 1 + skui_clock_ticks_of(idle_ns);
}

static int pool_init(struct skui_thread_pool *pool,
                     const skua_thread_pool_options *options)
{
    const char *prefix =
        options->name_prefix == NULL ? "skua-pool" : options->name_prefix;
    int status;

    pool->max_workers =
        options->max_workers == 0 ? default_workers() : options->max_workers;
    status = skui_room_init(&pool->room, options->policy, options->max_queued,
                            (size_t)pool->max_workers);
    if (status == 0) {
        status = skui_work_queue_init(&pool->queue, RING_CAPACITY);
    }
    if (status < 0) {
        return status;
    }
    skui_store_relaxed(&pool->owners, 1u); /* relaxed: not shared yet */
    /* relaxed: as above */
    skui_store_relaxed(&pool->pace_ticks, skui_clock_ticks_of(PACE_START_NS));
    (void)snprintf(pool->name_prefix, sizeof(pool->name_prefix), "%s", prefix);
    pool->initializer = options->initializer;
    pool->initializer_arg = options->initializer_arg;
    pool->idle_ticks = pool_idle_ticks(options->idle_ns);
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)skui_work_queue_vacate(&pool->queue);
    status = skui_executor_make(&pool_type, pool, &pool->executor);
    if (status < 0) {
        (void)pthread_mutex_destroy(&pool->lock);
        skui_work_queue_fini(&pool->queue);
        return status;
    }
    pool->executor->submit_bare = pool_submit_bare;
    pool->executor->report = skui_pool_report;
    /* relaxed: a number of one's own */
    pool->executor->number = 1 + skui_fetch_add_relaxed(&pools_so_far, 1u);
    return 0;
}

int skua_thread_pool_executor_new(const skua_thread_pool_options *options,
                                  skua_executor **out_executor)
{
    static const skua_thread_pool_options defaults;
    struct skui_thread_pool *pool;
    int status;

    if (options == NULL) {
        options = &defaults;
    }
    if (out_executor == NULL || options->max_workers < 0 ||
        options->max_workers > MAX_WORKERS || options->idle_ns < 0) {
        return -EINVAL;
    }
    skui_runtime_init();
    pool = skui_allocate_aligned(sizeof(*pool));
    if (pool == NULL) {
        return -ENOMEM;
    }
    status = pool_init(pool, options);
    if (status < 0) {
        skui_release_aligned(pool);
        return status;
    }
    *out_executor = pool->executor;
    return 0;
}
