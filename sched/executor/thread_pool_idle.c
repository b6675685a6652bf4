/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_pool_idle.c - how a pool's threads wait, and who wakes them.
 * Threads     Submitters and workers.
 * Invariants  One word counts idle workers (those being started included) and
 *             those of them that sleep, and says whether one of these watches.
 *             Whoever waits for nothing looks at the queue once more after it
 *             has said so.
 * Ordering    TP1 queue and state, TP2 rouse.
 * Progress    rouse: a look at one word that rarely changes while workers are
 *             busy; a futex call when somebody must be woken.
 * Rejected    Queued work counted in the same word: four read-modify-writes a
 *             job, by both sides, on one line (a third of a job's cost). A wake
 *             for each job while a worker sleeps: two to three times the cost
 *             of short jobs, since on few cores the woken thread takes the core
 *             of the one that was about to run the job.
 *
 * No work is left while workers wait (TP1)
 *   submitter  push / look at `state`: is an idle worker awake? If not, wake
 *              or start one
 *   worker     change `state` (it sleeps; it is busy; it watches no more) /
 *              look at the queue: if there is work, take it, or, being busy,
 *              rouse another
 * All four steps are seq_cst (CK2 for the ring), so one sees the other. So who
 * finds an idle worker awake may leave the work to it: before that one stops
 * looking it looks again.
 *
 * Sleep and wake (TP2)
 *   worker     read `rouse` / announce sleep, look at the queue / sleep while
 *              `rouse` is what was read
 *   waker      see a sleeper / change `rouse` / wake
 *
 * The watcher. While jobs are short, one worker that keeps on is the best that
 * can happen to a few of them: waking another costs more than they do. Of jobs
 * below a microsecond that holds for any number. What makes it safe is one
 * sleeper that looks up every half millisecond (WATCHED). If by then nothing
 * was taken and something is queued, a worker is stuck in a job: the watcher
 * gets up, takes work, and sees to the rest as every worker that becomes busy.
 * If nothing was taken and nothing is queued, it sleeps without limit: an idle
 * pool, or one with a long job, costs nothing. So work waits at most a
 * millisecond behind a job of unexpected length, and only when those before
 * were short.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../clock.h"
#include "thread_pool.h"

enum {
    SPIN_MIN_NS = 2000,
    SPIN_MAX_NS = 50000, /* about what waking a thread costs */
    SHORT_SLEEP_NS = 150000,
    WATCH_NS = 500000,
    SHORT_JOB_NS = 20000,
    TINY_JOB_NS = 1000, /* sharing the queue costs as much */
    WORTH_NS = 200000,  /* of queued work: a few wakes */
    OUTLIER_TICKS = 64,
    LOOK_EVERY = 16,    /* pushes, at the length of the queue */
    SAMPLE_EVERY = 256, /* jobs of a worker, as above */
    SAMPLE_NS = 5000,
    FINISHING_SPINS = 256,
    FINISHING_YIELDS = 8,
};

/* --- waking --- */

static void pool_wake(struct skui_thread_pool *pool, int count)
{
    /* TP2 release: who reads this sees what led to it. */
    (void)skui_fetch_add_acq_rel(&pool->rouse, 1u);
    (void)syscall(SYS_futex, &pool->rouse, FUTEX_WAKE_PRIVATE, count, NULL,
                  NULL, 0);
}

void skui_pool_wake_all(struct skui_thread_pool *pool)
{
    pool_wake(pool, INT32_MAX);
}

/* Whether queued work is best left to the workers that are awake. */
static bool pool_may_leave(struct skui_thread_pool *pool, uint64_t state)
{
    uint64_t pace = skui_load_relaxed(&pool->pace_ticks); /* relaxed: hint */
    int awake = SKUI_ALIVE_OF(state) - (int)SKUI_SLEEPING_OF(state);

    if ((state & SKUI_STATE_WATCHED) == 0 || awake < 1 ||
        pace > skui_clock_ticks_of(SHORT_JOB_NS)) {
        return false;
    }
    return pace < skui_clock_ticks_of(TINY_JOB_NS) ||
           skui_work_queue_pushed(&pool->queue) % LOOK_EVERY != 0 ||
           skui_work_queue_count(&pool->queue) * pace <
               skui_clock_ticks_of(WORTH_NS);
}

/* True when a worker that was about to be idle has become so. */
static bool pool_await_finishing(struct skui_thread_pool *pool)
{
    for (int i = 0; i < FINISHING_SPINS + FINISHING_YIELDS; i++) {
        /* relaxed, both: hints */
        uint64_t state = skui_load_relaxed(&pool->state);

        if (SKUI_IDLE_OF(state) >= skui_work_queue_count(&pool->queue)) {
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

void skui_pool_rouse(struct skui_thread_pool *pool)
{
    /* TP1 (seq_cst): looked at after the push, or after becoming busy. */
    uint64_t state = skui_load_seq_cst(&pool->state);
    bool growable = SKUI_ALIVE_OF(state) < pool->max_workers;
    size_t queued;

    if ((SKUI_IDLE_OF(state) == 0 && !growable) ||
        pool_may_leave(pool, state)) {
        return;
    }
    queued = skui_work_queue_count(&pool->queue);
    if (SKUI_AWAKE_OF(state) >= queued) {
        return;
    }
    if (SKUI_SLEEPING_OF(state) > 0) {
        pool_wake(pool, 1);
    }
    if (SKUI_IDLE_OF(state) < queued && growable &&
        !pool_await_finishing(pool)) {
        (void)skui_pool_grow(pool);
    }
}

/* --- idle and busy --- */

void skui_pool_become_idle(struct skui_thread_pool *pool,
                           struct skui_pool_hand *hand)
{
    if (!hand->idle) {
        hand->idle = true;
        /* TP1 (seq_cst): an idle worker is seen by who submits next. */
        (void)skui_fetch_add_seq_cst(&pool->state, SKUI_IDLE_ONE);
    }
}

void skui_pool_become_busy(struct skui_thread_pool *pool,
                           struct skui_pool_hand *hand)
{
    if (!hand->idle) {
        return;
    }
    hand->idle = false;
    hand->at_ticks = skui_clock_ticks();
    /* TP1 (seq_cst): before the look at the queue. */
    (void)skui_fetch_sub_seq_cst(&pool->state, SKUI_IDLE_ONE);
    if (skui_work_queue_has_work(&pool->queue)) {
        skui_pool_rouse(pool); /* it may have been left to this worker */
    }
}

void skui_pool_note_queued(struct skui_thread_pool *pool)
{
    uint64_t queued = skui_work_queue_count(&pool->queue);
    uint64_t most = skui_load_relaxed(&pool->queued_most); /* relaxed: CAS */

    while (queued > most &&
           /* relaxed: a figure */
           !skui_cas_relaxed(&pool->queued_most, &most, queued)) {
    }
}

/* The queue is longest before somebody takes work, and after somebody who was
 * long away: looked at then, or now and then. */
static void pool_sample_queued(struct skui_thread_pool *pool,
                               struct skui_pool_hand *hand, uint64_t took)
{
    if (++hand->run % SAMPLE_EVERY == 0 ||
        took > skui_clock_ticks_of(SAMPLE_NS)) {
        skui_pool_note_queued(pool);
    }
}

void skui_pool_note_pace(struct skui_thread_pool *pool,
                         struct skui_pool_hand *hand)
{
    uint64_t now = skui_clock_ticks();
    uint64_t took = now - hand->at_ticks;
    uint64_t most = 8 * hand->mean_ticks + OUTLIER_TICKS;
    uint64_t known = skui_load_relaxed(&pool->pace_ticks); /* relaxed: hint */

    hand->mean_ticks -= hand->mean_ticks / 8;
    /* A worker that lost its core took long; one such job says little. */
    hand->mean_ticks += (took < most ? took : most) / 8;
    hand->at_ticks = now;
    pool_sample_queued(pool, hand, took);
    if (hand->mean_ticks < known / 2 || hand->mean_ticks > known * 2) {
        /* relaxed: a hint */
        skui_store_relaxed(&pool->pace_ticks, hand->mean_ticks);
    }
}

/* --- sleeping --- */

/* Announce sleep, as the watcher if that is wanted and nobody is. */
static bool pool_lie_down(struct skui_thread_pool *pool, bool watch)
{
    uint64_t state = skui_load_relaxed(&pool->state); /* relaxed: CAS */
    uint64_t change;

    do {
        change = SKUI_SLEEPING_ONE;
        if (watch && (state & SKUI_STATE_WATCHED) == 0) {
            change += SKUI_STATE_WATCHED;
        }
        /* TP1, TP2 (seq_cst): before the look at the queue. */
    } while (!skui_cas_seq_cst(&pool->state, &state, state + change));
    return change != SKUI_SLEEPING_ONE;
}

/* False when `limit` passed. */
static bool pool_doze(struct skui_thread_pool *pool, uint32_t rouse,
                      const struct timespec *limit)
{
    return syscall(SYS_futex, &pool->rouse, FUTEX_WAIT_PRIVATE, rouse, limit,
                   NULL, 0) == 0 ||
           errno != ETIMEDOUT;
}

static uint64_t pool_idle_since(const struct skui_pool_hand *hand)
{
    return skui_clock_ticks() - hand->at_ticks;
}

bool skui_pool_is_idle_long(const struct skui_thread_pool *pool,
                            const struct skui_pool_hand *hand)
{
    return pool->idle_ticks != 0 && pool_idle_since(hand) >= pool->idle_ticks;
}

/* Sleep until called, or until it has been idle for long. */
static void pool_doze_long(struct skui_thread_pool *pool,
                           const struct skui_pool_hand *hand, uint32_t rouse)
{
    uint64_t since = pool_idle_since(hand);
    uint64_t ticks_per_s = skui_clock_ticks_of(SKUA_S);
    struct timespec limit;
    uint64_t left;

    if (pool->idle_ticks == 0) {
        (void)pool_doze(pool, rouse, NULL);
    } else if (since < pool->idle_ticks) {
        left = pool->idle_ticks - since;
        limit.tv_sec = (time_t)(left / ticks_per_s);
        limit.tv_nsec = (long)(left % ticks_per_s * SKUA_S / ticks_per_s);
        (void)pool_doze(pool, rouse, &limit);
    }
}

/* Sleep until called, or until nothing was taken for a while. */
static void pool_watch(struct skui_thread_pool *pool,
                       struct skui_pool_hand *hand, uint32_t rouse)
{
    static const struct timespec period = {0, WATCH_NS};
    uint64_t popped = skui_work_queue_popped(&pool->queue);

    do {
        hand->seen = popped;
        if (pool_doze(pool, rouse, &period)) {
            return;
        }
        popped = skui_work_queue_popped(&pool->queue);
    } while (popped != hand->seen);
}

/* Sleep until there may be something to do. */
static void pool_sleep(struct skui_thread_pool *pool,
                       struct skui_pool_hand *hand)
{
    /* TP2 acquire: pairs with pool_wake(). */
    uint32_t rouse = skui_load_acquire(&pool->rouse);
    bool moves = skui_work_queue_popped(&pool->queue) != hand->seen;
    bool watches = pool_lie_down(pool, moves);

    if (!skui_work_queue_has_work(&pool->queue) &&
        !skui_work_queue_is_drained(&pool->queue)) {
        if (watches) {
            pool_watch(pool, hand, rouse);
        } else {
            pool_doze_long(pool, hand, rouse);
        }
    }
    /* TP1 (seq_cst): the queue is looked at after this. */
    (void)skui_fetch_sub_seq_cst(
        &pool->state, SKUI_SLEEPING_ONE + (watches ? SKUI_STATE_WATCHED : 0));
}

/* Spin while that may pay; true when there is something to do. */
static bool pool_spin(struct skui_thread_pool *pool, int64_t limit_ns)
{
    uint64_t limit = skui_clock_ticks_of(limit_ns);
    uint64_t start = skui_clock_ticks();
    /* relaxed, all: hints */
    uint64_t state = skui_load_relaxed(&pool->state);
    uint32_t rouse = skui_load_relaxed(&pool->rouse); /* relaxed: as above */
    int busy = SKUI_ALIVE_OF(state) - (int)SKUI_IDLE_OF(state);

    if (SKUI_AWAKE_OF(state) != 1 || skui_executor_spare_cores(busy) < 1) {
        return false; /* somebody else spins, or needs the core */
    }
    do {
        for (int i = 0; i < 16; i++) {
            if (skui_work_queue_seems_ready(&pool->queue)) {
                return true;
            }
            skui_cpu_relax();
        }
        /* relaxed: a hint */
    } while (skui_load_relaxed(&pool->rouse) == rouse &&
             skui_clock_ticks() - start < limit);
    return false;
}

bool skui_pool_wait(struct skui_thread_pool *pool, struct skui_pool_hand *hand)
{
    uint64_t start;

    if (pool_spin(pool, hand->spin_ns)) {
        hand->spin_ns = SPIN_MAX_NS;
        return true;
    }
    start = skui_clock_ticks();
    pool_sleep(pool, hand);
    if (skui_clock_ticks() - start < skui_clock_ticks_of(SHORT_SLEEP_NS)) {
        hand->spin_ns = SPIN_MAX_NS;
    } else if (hand->spin_ns > SPIN_MIN_NS) {
        hand->spin_ns /= 2;
    }
    return !skui_work_queue_is_drained(&pool->queue) &&
           !skui_pool_is_idle_long(pool, hand);
}
