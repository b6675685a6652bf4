/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_pool.c - an executor of threads in this process.
 * Threads     Any thread submits and shuts down; workers run the work.
 * Invariants  One word counts everything that decisions need (state):
 *             queued    work that is in the queue and not claimed
 *             idle      workers without work, those being started included
 *             sleeping  idle workers that announced their sleep
 *             entering  submitters between their check and their push
 *             A worker ends when closed, with nothing queued or entering. So
 *             accepted work always finds a worker.
 * Ordering    TP1: state; work is visible to who claims it. TP2: rouse, sleep
 *             and wake, below. CK1, WQ1: the queue.
 * Progress    submit: a push and two read-modify-writes unless it must wake or
 *             start a thread.
 * Rejected    A counter each for queued and sleeping: needs the store-load
 *             order between two words that one word gives for nothing. Ending
 *             idle threads after a while: they cost a stack, and starting one
 *             costs the submitter 30 us.
 *
 * Sleep and wake (TP2)
 *   worker     read `rouse` / announce in state and look at what it held:
 *              nothing queued / sleep while `rouse` is what was read
 *   submitter  push / count in state and look at what it held: a sleeper is
 *              needed / change `rouse`, wake
 * Both touch one word, so the later sees the earlier; a submitter that came
 * after the announcement changes `rouse` and the sleep does not begin.
 *
 * Who counts as idle. A worker is idle again before it completes a plain
 * future, so that who awaits that and submits anew finds it. A future with
 * callbacks in the completing thread may keep the worker busy, so there it is
 * idle afterwards only; `finishing` makes submitters wait a moment for that
 * before they start a thread.
 */
#include "thread_pool.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../clock.h"
#include "../future.h"
#include "../loop.h"
#include "../memory.h"
#include "../runner.h"

enum {
    RING_CAPACITY = 1023,
    MAX_WORKERS = 4095,
    MAX_DEFAULT_WORKERS = 32,
    EXTRA_DEFAULT_WORKERS = 4,
    SPIN_MIN_NS = 2000,
    SPIN_MAX_NS = 50000, /* about what waking a thread costs */
    SHORT_SLEEP_NS = 150000,
    FINISHING_SPINS = 256,
    FINISHING_YIELDS = 8,
};

static void pool_free(struct skui_thread_pool *pool)
{
    (void)pthread_cond_destroy(&pool->ended);
    (void)pthread_mutex_destroy(&pool->lock);
    skui_work_queue_fini(&pool->queue);
    skui_release(pool);
}

void skui_pool_disown(struct skui_thread_pool *pool)
{
    /* TP3 acq_rel: the last owner sees what the others did. */
    if (skui_fetch_sub_acq_rel(&pool->owners, 1u) == 1) {
        pool_free(pool);
    }
}

/* --- waking --- */

static void pool_wake(struct skui_thread_pool *pool, int count)
{
    /* TP2 release: who reads this sees the state that led to it. */
    (void)skui_fetch_add_acq_rel(&pool->rouse, 1u);
    (void)syscall(SYS_futex, &pool->rouse, FUTEX_WAKE_PRIVATE, count, NULL,
                  NULL, 0);
}

void skui_pool_wake_all(struct skui_thread_pool *pool)
{
    pool_wake(pool, MAX_WORKERS);
}

static bool state_has_ended(uint64_t state)
{
    return (state & SKUI_STATE_ENDING) != 0 && SKUI_QUEUED_OF(state) == 0 &&
           SKUI_ENTERING_OF(state) == 0;
}

/* Sleep until there may be something to do. */
static void pool_sleep(struct skui_thread_pool *pool)
{
    /* TP2 acquire: pairs with pool_wake(). */
    uint32_t rouse = skui_load_acquire(&pool->rouse);
    /* TP2 acq_rel: announces, and sees what was queued before. */
    uint64_t before = skui_fetch_add_acq_rel(&pool->state, SKUI_SLEEPING_ONE);

    if (SKUI_QUEUED_OF(before) == 0 && !state_has_ended(before)) {
        (void)syscall(SYS_futex, &pool->rouse, FUTEX_WAIT_PRIVATE, rouse, NULL,
                      NULL, 0);
    }
    /* TP2 acq_rel: as above. */
    (void)skui_fetch_sub_acq_rel(&pool->state, SKUI_SLEEPING_ONE);
}

/* Spin while that may pay; true when there is something to do. */
static bool pool_spin(struct skui_thread_pool *pool, int64_t limit_ns)
{
    uint64_t limit = skui_clock_ticks_of(limit_ns);
    uint64_t start = skui_clock_ticks();
    /* relaxed: hints */
    uint64_t state = skui_load_relaxed(&pool->state);
    int busy = skui_load_relaxed(&pool->alive) - (int)SKUI_IDLE_OF(state);

    if (SKUI_IDLE_OF(state) - SKUI_SLEEPING_OF(state) != 1 ||
        skui_executor_spare_cores(busy) < 1) {
        return false; /* somebody else spins, or needs the core */
    }
    do {
        for (int i = 0; i < 16; i++) {
            state = skui_load_relaxed(&pool->state); /* relaxed: a hint */
            if (SKUI_QUEUED_OF(state) != 0 || state_has_ended(state)) {
                return true;
            }
            skui_cpu_relax();
        }
    } while (skui_clock_ticks() - start < limit);
    return false;
}

/* Wait as cheaply as lately paid; `spin_ns` is the worker's own guess. */
static void pool_wait(struct skui_thread_pool *pool, int64_t *spin_ns)
{
    uint64_t start;

    if (pool_spin(pool, *spin_ns)) {
        *spin_ns = SPIN_MAX_NS;
        return;
    }
    start = skui_clock_ticks();
    pool_sleep(pool);
    if (skui_clock_ticks() - start < skui_clock_ticks_of(SHORT_SLEEP_NS)) {
        *spin_ns = SPIN_MAX_NS;
    } else if (*spin_ns > SPIN_MIN_NS) {
        *spin_ns /= 2;
    }
}

/* --- working --- */

struct skui_work *skui_pool_claim(struct skui_thread_pool *pool, uint64_t cost)
{
    uint64_t state = skui_load_relaxed(&pool->state); /* relaxed: CAS */
    struct skui_work *work;

    do {
        if (SKUI_QUEUED_OF(state) == 0) {
            return NULL;
        }
        /* TP1 acquire: the work counted is in the queue. */
    } while (!skui_cas_acq_rel(&pool->state, &state, state - cost));
    while ((work = skui_work_queue_pop(&pool->queue)) == NULL) {
        (void)sched_yield(); /* another claimant moves the list */
    }
    return work;
}

/* The next work for an idle worker, which is busy then; NULL: it has ended. */
static struct skui_work *pool_next(struct skui_thread_pool *pool,
                                   int64_t *spin_ns)
{
    for (;;) {
        struct skui_work *work =
            skui_pool_claim(pool, SKUI_QUEUED_ONE + SKUI_IDLE_ONE);
        uint64_t state;

        if (work != NULL) {
            return work;
        }
        state = skui_load_relaxed(&pool->state); /* relaxed: CAS below */
        if (!state_has_ended(state)) {
            pool_wait(pool, spin_ns);
            /* TP1 acq_rel: nothing can be queued any more. */
        } else if (skui_cas_acq_rel(&pool->state, &state,
                                    state - SKUI_IDLE_ONE)) {
            return NULL;
        }
    }
}

static void pool_become_idle(struct skui_thread_pool *pool)
{
    /* TP1 acq_rel: an idle worker is seen by who submits next. */
    (void)skui_fetch_add_acq_rel(&pool->state, SKUI_IDLE_ONE);
}

/* Complete the work's future and be idle, in the order said at the top. */
static void pool_finish(struct skui_thread_pool *pool, skua_future *future,
                        struct skui_outcome *outcome)
{
    if (future->kind != SKUI_FUTURE_EXECUTOR) {
        pool_become_idle(pool);
        (void)skui_future_complete(future, outcome);
        return;
    }
    /* relaxed, both: a hint, which completing publishes */
    (void)skui_fetch_add_relaxed(&pool->finishing, 1u);
    (void)skui_future_complete(future, outcome);
    pool_become_idle(pool);
    (void)skui_fetch_sub_relaxed(&pool->finishing, 1u); /* relaxed: hint */
}

static void pool_run(struct skui_thread_pool *pool, struct skui_work *work)
{
    struct skui_outcome outcome = {SKUA_EBROKENPOOL, NULL, NULL};
    skua_future *future = work->future;
    skua_task_fn *fn = work->fn;
    void *arg = work->arg;

    skui_object_put(SKUI_OBJECT_WORK, work);
    /* TP1 acquire: pairs with pool_break(). */
    if ((skui_load_acquire(&pool->state) & SKUI_STATE_BROKEN) != 0) {
        pool_finish(pool, future, &outcome);
    } else if (skui_future_set_running(future)) {
        skui_outcome_capture(skui_thread_frame(), fn, arg, &outcome);
        pool_finish(pool, future, &outcome);
    } else {
        pool_become_idle(pool); /* it was cancelled */
    }
    skua_future_unref(future);
}

/* Let current, pending and later work fail. */
static void pool_break(struct skui_thread_pool *pool)
{
    /* TP1 acq_rel: whoever claims work after this sees it. */
    (void)skui_fetch_or_acq_rel(&pool->state, SKUI_STATE_BROKEN);
    skui_pool_wake_all(pool);
}

static struct skui_pool_ending *pool_pop_ending(struct skui_thread_pool *pool)
{
    struct skui_pool_ending *ending = pool->endings;

    if (ending != NULL) {
        pool->endings = ending->next;
    }
    return ending;
}

/* The thread ends: tell who waits, if it is the last. */
static void pool_leave(struct skui_thread_pool *pool)
{
    struct skui_pool_ending *ending;

    (void)pthread_mutex_lock(&pool->lock);
    /* relaxed: under the lock */
    if (skui_fetch_sub_relaxed(&pool->alive, 1) == 1) {
        (void)pthread_cond_broadcast(&pool->ended);
        while ((ending = pool_pop_ending(pool)) != NULL) {
            skua_future *future = ending->future;
            struct skui_outcome outcome = {0, NULL, NULL};

            ending->future = NULL; /* the task's stack: not used after this */
            (void)pthread_mutex_unlock(&pool->lock);
            (void)skui_future_complete(future, &outcome);
            skua_future_unref(future);
            (void)pthread_mutex_lock(&pool->lock);
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
    skui_pool_disown(pool);
}

static void pool_name_thread(struct skui_thread_pool *pool)
{
    char name[SKUI_POOL_NAME_BYTES];
    /* relaxed: a number of one's own */
    unsigned number = skui_fetch_add_relaxed(&pool->named, 1u);

    (void)snprintf(name, sizeof(name), "%.10s-%u", pool->name_prefix,
                   number % 10000);
    (void)pthread_setname_np(pthread_self(), name);
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

static void *pool_thread(void *arg)
{
    struct skui_thread_pool *pool = arg;
    struct skui_work *work;
    int64_t spin_ns = SPIN_MAX_NS;

    pool_name_thread(pool);
    pool_initialize(pool);
    while ((work = pool_next(pool, &spin_ns)) != NULL) {
        pool_run(pool, work);
    }
    pool_leave(pool);
    return NULL;
}

/* --- starting threads --- */

static int thread_start(struct skui_thread_pool *pool, pthread_t *out_thread)
{
    sigset_t all;
    sigset_t former;
    int error;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &former);
    error = pthread_create(out_thread, NULL, pool_thread, pool);
    (void)pthread_sigmask(SIG_SETMASK, &former, NULL);
    return -error;
}

/* Start a worker, which counts as idle; locked. */
static int pool_start_worker(struct skui_thread_pool *pool)
{
    struct skui_pool_worker *worker = skui_allocate(sizeof(*worker));
    int status;

    if (worker == NULL) {
        return -ENOMEM;
    }
    pool_become_idle(pool);
    /* relaxed, both: under the lock; the caller is an owner */
    (void)skui_fetch_add_relaxed(&pool->owners, 1u);
    (void)skui_fetch_add_relaxed(&pool->alive, 1); /* relaxed: under lock */
    status = thread_start(pool, &worker->thread);
    if (status < 0) {
        /* relaxed, both: as above */
        (void)skui_fetch_sub_relaxed(&pool->alive, 1);
        (void)skui_fetch_sub_relaxed(&pool->owners, 1u); /* relaxed: above */
        /* TP1 acq_rel: work may have been left to this worker: */
        (void)skui_fetch_sub_acq_rel(&pool->state, SKUI_IDLE_ONE);
        skui_pool_wake_all(pool);
        skui_release(worker);
        return status;
    }
    if (pool->released) {
        (void)pthread_detach(worker->thread);
        skui_release(worker);
        return 0;
    }
    worker->next = pool->workers;
    pool->workers = worker;
    return 0;
}

/* One more worker unless there are enough. An error when there is none. */
static int pool_grow(struct skui_thread_pool *pool)
{
    int status = 0;
    int alive;

    (void)pthread_mutex_lock(&pool->lock);
    alive = skui_load_relaxed(&pool->alive); /* relaxed: under the lock */
    if (alive < pool->max_workers) {
        status = pool_start_worker(pool);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return alive > 0 ? 0 : status;
}

/* --- submitting --- */

static int pool_enter(struct skui_thread_pool *pool)
{
    uint64_t state = skui_load_relaxed(&pool->state); /* relaxed: CAS */

    for (;;) {
        if ((state & SKUI_STATE_ENDING) != 0) {
            return (state & SKUI_STATE_BROKEN) != 0 ? SKUA_EBROKENPOOL
                                                    : SKUA_ECLOSED;
        }
        if (SKUI_QUEUED_OF(state) >= SKUI_QUEUED_MAX) {
            return -ENOMEM;
        }
        if (SKUI_ENTERING_OF(state) == 511) {
            (void)sched_yield();
            state = skui_load_relaxed(&pool->state); /* relaxed: CAS */
            /* TP1 acq_rel: from here on no worker ends. */
        } else if (skui_cas_acq_rel(&pool->state, &state,
                                    state + SKUI_ENTERING_ONE)) {
            return 0;
        }
    }
}

static void pool_leave_entry(struct skui_thread_pool *pool)
{
    /* TP1 acq_rel: workers may end now. */
    uint64_t before = skui_fetch_sub_acq_rel(&pool->state, SKUI_ENTERING_ONE);

    if ((before & SKUI_STATE_ENDING) != 0) {
        skui_pool_wake_all(pool);
    }
}

/* True when a worker that was about to be idle has become so. */
static bool pool_await_finishing(struct skui_thread_pool *pool)
{
    for (int i = 0; i < FINISHING_SPINS + FINISHING_YIELDS; i++) {
        /* relaxed, both: hints */
        uint64_t state = skui_load_relaxed(&pool->state);

        if (SKUI_IDLE_OF(state) >= SKUI_QUEUED_OF(state)) {
            return true;
        }
        if (skui_load_relaxed(&pool->finishing) == 0) { /* relaxed: hint */
            return false;
        }
        if (i < FINISHING_SPINS) {
            skui_cpu_relax();
        } else {
            (void)sched_yield();
        }
    }
    return false;
}

/* Work was queued when state was `before`: see that somebody takes it. */
static void pool_rouse(struct skui_thread_pool *pool, uint64_t before)
{
    uint64_t queued = SKUI_QUEUED_OF(before);
    uint64_t awake = SKUI_IDLE_OF(before) - SKUI_SLEEPING_OF(before);

    if ((before & SKUI_STATE_ENDING) != 0) {
        skui_pool_wake_all(pool);
    } else if (SKUI_IDLE_OF(before) > queued) {
        if (awake <= queued) {
            pool_wake(pool, 1);
        }
        /* relaxed: a hint; pool_grow() looks again */
    } else if (skui_load_relaxed(&pool->alive) < pool->max_workers &&
               !pool_await_finishing(pool)) {
        (void)pool_grow(pool);
    }
}

static int pool_submit(skua_executor *executor, skua_task_fn *fn, void *arg,
                       skua_future *future)
{
    struct skui_thread_pool *pool = skui_pool_of(executor);
    struct skui_work *work = skui_object_get(SKUI_OBJECT_WORK);
    uint64_t before;
    int status;

    if (work == NULL) {
        return -ENOMEM;
    }
    status = pool_enter(pool);
    if (status < 0) {
        skui_object_put(SKUI_OBJECT_WORK, work);
        return status;
    }
    if (skui_load_relaxed(&pool->alive) == 0) { /* relaxed: a hint */
        status = pool_grow(pool);
    }
    if (status < 0) {
        pool_leave_entry(pool);
        skui_object_put(SKUI_OBJECT_WORK, work);
        return status;
    }
    work->fn = fn;
    work->arg = arg;
    work->future = skua_future_ref(future);
    /* relaxed: a figure */
    (void)skui_fetch_add_relaxed(&pool->submitted, (int64_t)1);
    skui_work_queue_push(&pool->queue, work);
    /* TP1 release: the work is in the queue. TP2 acquire: sees sleepers. */
    before = skui_fetch_add_acq_rel(&pool->state,
                                    SKUI_QUEUED_ONE - SKUI_ENTERING_ONE);
    pool_rouse(pool, before);
    return 0;
}

static void pool_get_stats(const skua_executor *executor,
                           skua_executor_stats *out_stats)
{
    struct skui_thread_pool *pool = skui_pool_of(executor);
    /* relaxed, all: figures */
    uint64_t state = skui_load_relaxed(&pool->state);

    *out_stats = (skua_executor_stats){
        .submitted = skui_load_relaxed(&pool->submitted), /* relaxed */
        .queued = (int64_t)SKUI_QUEUED_OF(state),
        .max_workers = pool->max_workers,
        .workers = skui_load_relaxed(&pool->alive), /* relaxed: a figure */
        .idle = (int)SKUI_IDLE_OF(state),
    };
}

static const struct skui_executor_ops pool_ops = {
    pool_submit,
    skui_pool_shutdown,
    pool_get_stats,
    skui_pool_abandon,
};

/* --- making one --- */

static void pools_init(void)
{
    skui_object_class_init(SKUI_OBJECT_WORK, sizeof(struct skui_work));
    skui_runtime_init();
}

static int default_workers(void)
{
    int workers = (int)skui_usable_cores() + EXTRA_DEFAULT_WORKERS;

    return workers < MAX_DEFAULT_WORKERS ? workers : MAX_DEFAULT_WORKERS;
}

static int pool_init(struct skui_thread_pool *pool,
                     const skua_thread_pool_options *options)
{
    const char *prefix =
        options->name_prefix == NULL ? "skua-pool" : options->name_prefix;
    int status;

    memset(pool, 0, sizeof(*pool));
    status = skui_work_queue_init(&pool->queue, RING_CAPACITY);
    if (status < 0) {
        return status;
    }
    skui_executor_init(&pool->executor, &pool_ops);
    skui_store_relaxed(&pool->owners, 1u); /* relaxed: not shared yet */
    pool->max_workers =
        options->max_workers == 0 ? default_workers() : options->max_workers;
    (void)snprintf(pool->name_prefix, sizeof(pool->name_prefix), "%s", prefix);
    pool->initializer = options->initializer;
    pool->initializer_arg = options->initializer_arg;
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->ended, NULL);
    return 0;
}

int skua_thread_pool_executor_new(const skua_thread_pool_options *options,
                                  skua_executor **out_executor)
{
    static const skua_thread_pool_options defaults;
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct skui_thread_pool *pool;
    int status;

    if (options == NULL) {
        options = &defaults;
    }
    if (out_executor == NULL || options->max_workers < 0 ||
        options->max_workers > MAX_WORKERS) {
        return -EINVAL;
    }
    (void)pthread_once(&once, pools_init);
    pool = skui_allocate(sizeof(*pool));
    if (pool == NULL) {
        return -ENOMEM;
    }
    status = pool_init(pool, options);
    if (status < 0) {
        skui_release(pool);
        return status;
    }
    *out_executor = &pool->executor;
    return 0;
}
