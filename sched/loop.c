/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.c - one event loop: open, iterate, run. loop_close.c closes it.
 * Threads     One at a time runs it; any posts to it.
 * Invariants  `id` is unique among loops and 0 once closed; memory of closed
 *             loops is reused for loops only. What lies in the inbox names the
 *             id that it was posted to, in its ticket: a post that was meant
 *             for the loop that was here before is dropped.
 * Ordering    PK1, PK6, PK7 (park.c), LP1 id, LP2 running.
 * Rejected    Counting references from futures and handles: two
 *             read-modify-writes on one line for each of them. They compare
 *             ids instead.
 */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "debug.h"
#include "membarrier.h"
#include "overflow.h"
#include "runner.h"
#include "source.h"
#include "task.h"
#include "task_hooks.h"

enum {
    RUNS_PER_POLL = 61,
    POLLS_PER_TURN = 8, /* each is 61 runs, a block of overflow is 64 */
    POLL_INTERVAL_NS = 50000,
    SPIN_NS = 50000,
    SLICE_NS = 50000, /* an estimate before the first slice */
};

static struct skui_spinlock free_lock;
static skua_loop *free_loops; /* guarded by free_lock */
static uint32_t last_id;      /* guarded by free_lock */

/* A loop of one: its executor slot lies behind it. */
struct own_loop {
    skua_loop loop;
    struct skui_executor_slot executor_slot;
};

/* --- opening --- */

static skua_loop *loop_allocate(uint32_t *out_id)
{
    skua_loop *loop;

    skui_spinlock_lock(&free_lock);
    *out_id = ++last_id;
    loop = free_loops;
    if (loop != NULL) {
        free_loops = loop->next_free;
    }
    skui_spinlock_unlock(&free_lock);
    if (loop == NULL) {
        struct own_loop *own = skui_allocate_aligned(sizeof(*own));

        if (own == NULL) {
            return NULL;
        }
        loop = &own->loop;
        skui_inbox_init(&loop->inbox);
        /* relaxed: not shared yet */
        skui_store_relaxed(&loop->park_state, (uint32_t)SKUI_PARK_CLOSED);
    }
    return loop;
}

void skui_loop_recycle(skua_loop *loop)
{
    skui_origin_forget(loop);
    skui_spinlock_lock(&free_lock);
    loop->next_free = free_loops;
    free_loops = loop;
    skui_spinlock_unlock(&free_lock);
}

void skui_loops_after_fork(void)
{
    skui_spinlock_unlock(&free_lock);
    free_loops = NULL; /* a loop may have been between list and use */
}

/* All that no other thread reads through a stale pointer. */
static void loop_reset(skua_loop *loop, skua_runner *runner, unsigned index)
{
    loop->handler = NULL;
    loop->handler_arg = NULL;
    skui_ready_init(&loop->ready, skui_membarrier_is_granted()
                                      ? SKUI_READY_EXPEDITED
                                      : SKUI_READY_FENCED);
    skui_timers_restart(&loop->timers, skui_clock_now());
    loop->current = NULL;
    loop->current_handle = NULL;
    loop->run_future = NULL;
    loop->callback_context = NULL;
    loop->entered = NULL;
    loop->eager_depth = 0;
    loop->in_batch = false;
    loop->timed = false;
    loop->turn = 0;
    loop->cancelling = NULL;
    loop->runs_since_poll = 0;
    loop->poll_due_ticks = 0;
    loop->poll_interval_ticks = skui_clock_ticks_of(POLL_INTERVAL_NS);
    loop->long_ticks = skui_clock_ticks_of(SKUI_SENTINEL_TICK_NS);
    loop->polled = false;
    loop->now_ticks = 0;
    memset(&loop->idle, 0, sizeof(loop->idle));
    memset(&loop->step, 0, sizeof(loop->step));
    memset(&loop->counters, 0, sizeof(loop->counters));
    memset(&loop->charge, 0, sizeof(loop->charge));
    loop->idle.spin_ns = SPIN_NS;
    loop->idle.gap_ns = 4L * SPIN_NS; /* no spinning before it has paid */
    loop->idle.slice_ticks = skui_clock_ticks_of(SLICE_NS);
    loop->runner = runner;
    loop->index = index;
    loop->spare = runner != NULL && index >= runner->count;
    /* relaxed: stale posters may look */
    skui_store_relaxed(&loop->inject_runner, runner);
    /* relaxed: as above */
    skui_store_relaxed(&loop->siblings, runner != NULL && runner->count > 1);
    /* relaxed: stale futures compare it */
    skui_store_relaxed(&loop->fork_generation, skui_fork_generation());
    if (runner != NULL) {
        loop->executor_slot = &runner->executor_slot;
    } else {
        struct own_loop *own = SKUI_CONTAINER_OF(loop, struct own_loop, loop);

        memset(&own->executor_slot, 0, sizeof(own->executor_slot));
        loop->executor_slot = &own->executor_slot;
    }
    /* relaxed, all: not shared yet */
    skui_store_relaxed(&loop->running, false);
    skui_store_relaxed(&loop->stop_requested, false);   /* relaxed: as above */
    skui_store_relaxed(&loop->debug, skua_get_debug()); /* relaxed: as above */
    skui_store_relaxed(&loop->slow_ns, SKUI_SLOW_NS);   /* relaxed: as above */
    skui_store_relaxed(&loop->abort_status, 0);         /* relaxed: as above */
    skui_store_relaxed(&loop->eager, false);            /* relaxed: as above */
    skui_store_relaxed(&loop->hooks, NULL);             /* relaxed: as above */
    skui_store_relaxed(&loop->blocked, false);          /* relaxed: as above */
    skui_store_relaxed(&loop->refs, 1u);                /* relaxed: as above */
}

int skui_loop_open(const struct skui_poller_ops *poller_ops, size_t stack_bytes,
                   skua_runner *runner, unsigned index, skua_loop **out_loop)
{
    skua_loop *loop;
    uint32_t id;
    int status;

    skui_runtime_init();
    loop = loop_allocate(&id);
    if (loop == NULL) {
        return -ENOMEM;
    }
    loop_reset(loop, runner, index);
    status = skui_stack_pool_init(&loop->stack_pool, stack_bytes);
    if (status < 0) {
        skui_loop_recycle(loop);
        return status;
    }
    loop->poller_ops = poller_ops != NULL ? poller_ops : &skui_epoll_poller;
    status = loop->poller_ops->open(loop, &loop->poller);
    if (status < 0) {
        skui_stack_pool_fini(&loop->stack_pool);
        skui_loop_recycle(loop);
        return status;
    }
    /* LP1 release: who sees the id sees the loop. */
    skui_store_release(&loop->id, id);
    /* Locked: who still drains the inbox of the loop that was here before
     * stops, and leaves it to the thread that runs this one. */
    skui_spinlock_lock(&loop->lock);
    /* PK1 (seq_cst): posts wake it from here on. */
    skui_store_seq_cst(&loop->park_state, (uint32_t)SKUI_PARK_OUTSIDE);
    skui_spinlock_unlock(&loop->lock);
    *out_loop = loop;
    return 0;
}

/* --- queueing --- */

bool skui_loop_queue(skua_loop *loop, uint32_t id,
                     struct skui_runnable *runnable)
{
    uint32_t state;

    if (!skui_loop_is_alive(loop, id)) {
        return false;
    }
    if (skui_loop_self() == loop) {
        skui_ready_push_pinned(&loop->ready, runnable);
        return true;
    }
    runnable->ticket = id; /* another loop may be here by now: it drops this */
    skui_inbox_push(&loop->inbox, runnable);
    /* PK1 (seq_cst): looked at after the push. */
    state = skui_load_seq_cst(&loop->park_state);
    if (state == SKUI_PARK_PARKED || state == SKUI_PARK_OUTSIDE) {
        skui_loop_wake(loop);
    } else if (state == SKUI_PARK_CLOSED) {
        skui_loop_drain_closed(loop);
    }
    return true;
}

void skui_loop_post_from_signal(skua_loop *loop, struct skui_runnable *runnable)
{
    /* Not the ready queue, even in the loop's own thread: the signal may have
     * interrupted it there. All steps are safe in a handler. */
    runnable->ticket = skui_loop_id(loop);
    skui_inbox_push(&loop->inbox, runnable);
    skui_loop_wake(loop);
}

static void loop_spill(skua_loop *loop, skua_runner *runner)
{
    struct skui_runnable *spilled[SKUI_READY_SPILL_CAPACITY];
    size_t count = skui_ready_spill(&loop->ready, spilled);

    if (count > 0) {
        skui_count(&loop->counters.spilled, count);
        skui_inject_push(&runner->inject, spilled, count);
        skui_runner_notify(runner, loop, skui_inject_count(&runner->inject));
    }
}

/* A spare loop keeps what is stealable only while others are stuck. */
static bool loop_relieves(const skua_loop *loop)
{
    /* relaxed: a hint */
    return skui_load_relaxed(&loop->runner->relief.is_relieving);
}

void skui_loop_queue_here(skua_loop *loop, struct skui_runnable *runnable,
                          bool pinned)
{
    if (pinned) {
        skui_ready_push_pinned(&loop->ready, runnable);
        return;
    }
    if (SKUI_UNLIKELY(loop->spare) && !loop_relieves(loop)) {
        skui_inject_push(&loop->runner->inject, &runnable, 1);
        skui_runner_notify(loop->runner, NULL, 1);
        return;
    }
    while (!skui_ready_push_stealable(&loop->ready, runnable)) {
        loop_spill(loop, loop->runner);
    }
    skui_runner_notify(loop->runner, loop,
                       skui_ready_stealable_count(&loop->ready));
}

/* From another loop or thread. */
static void loop_post_task(skua_loop *home, struct skui_runnable *runnable)
{
    const struct skui_task *task =
        SKUI_CONTAINER_OF(runnable, struct skui_task, runnable);

    if (skui_loop_queue(home, task->future.loop_id, runnable)) {
        return;
    }
    if (task->coroutine.context != NULL) {
        /* Who closes its loop waits for each task that has started, and looks
         * into the inbox for it. */
        skui_inbox_push(&home->inbox, runnable);
    } else {
        skui_runnable_discard(runnable);
    }
}

/* From outside the runner. */
static void loop_inject_task(skua_loop *home, struct skui_runnable *runnable)
{
    skua_runner *runner;

    /* PK6 (seq_cst): announced before the look at inject_runner, so the runner
     * stays until this is taken back. */
    (void)skui_fetch_add_seq_cst(&home->wakers, 1u);
    /* PK6 (seq_cst): NULL: nobody will look at its queue any more. */
    runner = skui_load_seq_cst(&home->inject_runner);
    if (runner != NULL) {
        skui_inject_push(&runner->inject, &runnable, 1);
        skui_runner_notify(runner, NULL, 1);
    }
    /* PK6 release: the runner may be freed. */
    (void)skui_fetch_sub_release(&home->wakers, 1u);
    if (runner == NULL) {
        skui_runnable_discard(runnable);
    }
}

void skui_loop_queue_task(skua_loop *home, struct skui_runnable *runnable,
                          bool pinned)
{
    skua_loop *self = skui_loop_self();
    skua_runner *runner;

    if (pinned && self == home) {
        skui_ready_push_pinned(&home->ready, runnable);
        return;
    }
    if (pinned) {
        loop_post_task(home, runnable);
        return;
    }
    /* relaxed: whose own runner it is knows that it is open */
    runner = skui_load_relaxed(&home->inject_runner);
    if (self == NULL || runner == NULL || self->runner != runner) {
        loop_inject_task(home, runnable);
    } else {
        skui_loop_queue_here(self, runnable, false);
    }
}

/* --- one iteration --- */

/* Queue what was posted; what was meant for the loop that was here before comes
 * into the list `stale`. */
static void loop_take_posts(skua_loop *loop, struct skui_runnable **stale)
{
    uint32_t id = skui_loop_id(loop);
    struct skui_runnable *runnable;

    while ((runnable = skui_inbox_pop(&loop->inbox)) != NULL) {
        if (SKUI_LIKELY(runnable->ticket == id)) {
            skui_ready_push_pinned(&loop->ready, runnable);
        } else {
            skui_store_relaxed(&runnable->next, *stale); /* relaxed: owned */
            *stale = runnable;
        }
    }
}

static void loop_drop_stale(struct skui_runnable *stale)
{
    while (stale != NULL) {
        struct skui_runnable *runnable = stale;

        stale = skui_load_relaxed(&runnable->next); /* relaxed: owned */
        skui_runnable_discard(runnable);
    }
}

static inline void loop_take_inbox(skua_loop *loop)
{
    struct skui_runnable *stale = NULL;

    if (!skui_inbox_is_empty(&loop->inbox)) {
        loop_take_posts(loop, &stale);
        loop_drop_stale(stale);
    }
}

static void loop_timer_due(struct skui_timer *timer, void *arg)
{
    (void)arg;
    if (timer->kind == SKUI_TIMER_OF_TASK) {
        skui_task_timer_due(timer);
    } else {
        skui_handle_timer_due(timer);
    }
}

struct due {
    skua_loop *loop;
    struct skui_runnable *stale;
};

/* Under the wheel's lock: what others have fired before lies in the inbox, and
 * has its place before this. */
static void loop_timer_due_here(struct skui_timer *timer, void *arg)
{
    struct due *due = arg;

    if (!skui_inbox_is_empty(&due->loop->inbox)) {
        loop_take_posts(due->loop, &due->stale);
    }
    loop_timer_due(timer, NULL);
}

static void loop_fire_timers(skua_loop *loop)
{
    struct due due = {loop, NULL};

    if (skui_timers_any(&loop->timers)) {
        (void)skui_timers_fire_due(&loop->timers, skui_clock_now(),
                                   loop_timer_due_here, &due);
        loop_drop_stale(due.stale);
    }
}

size_t skui_loop_fire_timers_for(skua_loop *loop)
{
    return skui_timers_try_fire_due(&loop->timers, skui_clock_now(),
                                    loop_timer_due, loop);
}

static bool loop_poll_is_due(skua_loop *loop)
{
    if (!skui_loop_has_siblings(loop)) {
        return true;
    }
    loop->now_ticks = skui_clock_ticks();
    return loop->runs_since_poll >= RUNS_PER_POLL ||
           (int64_t)(loop->now_ticks - loop->poll_due_ticks) >= 0;
}

_Static_assert(SKUI_INJECT_BLOCK_CAPACITY <= SKUI_READY_SPILL_CAPACITY,
               "a spill makes room for a block");

bool skui_loop_take_injected(skua_loop *loop)
{
    struct skui_runnable *taken[SKUI_INJECT_BLOCK_CAPACITY];
    skua_runner *runner = loop->runner;
    size_t count;

    if (skui_ready_room(&loop->ready) < SKUI_INJECT_BLOCK_CAPACITY) {
        if (skui_inject_count(&runner->inject) == 0) {
            return false;
        }
        loop_spill(loop, runner);
    }
    count = skui_inject_pop(&runner->inject, taken);
    if (count > 0) {
        skui_ready_push_all(&loop->ready, taken, count);
    }
    return count > 0;
}

/* Tasks that wait in the inject queue take their turn with those here: few at
 * each poll, of a backlog a block now and then. */
static void loop_take_injected_in_turn(skua_loop *loop)
{
    size_t count;

    if (!skui_loop_has_siblings(loop)) {
        return;
    }
    count = skui_inject_count(&loop->runner->inject);
    if (count > 0 && (++loop->turn >= POLLS_PER_TURN ||
                      count < SKUI_INJECT_BLOCK_CAPACITY)) {
        loop->turn = 0;
        (void)skui_loop_take_injected(loop);
    }
}

int skui_loop_poll(skua_loop *loop, int64_t timeout_ns)
{
    int delivered;

    skui_count(&loop->counters.polls, 1);
    delivered = loop->poller_ops->poll(loop->poller, timeout_ns);
    loop->polled = true;
    if (skui_loop_has_siblings(loop)) {
        loop->runs_since_poll = 0;
        loop->now_ticks = skui_clock_ticks();
        loop->poll_due_ticks = loop->now_ticks + loop->poll_interval_ticks;
    }
    return delivered;
}

/* What is queued may be worth a wake by now: its slices are known better than
 * when it was pushed. */
static void loop_offer(skua_loop *loop)
{
    /* relaxed: a hint */
    if (skui_loop_has_siblings(loop) &&
        skui_load_relaxed(&loop->runner->idle) > 0) {
        skui_runner_notify(loop->runner, loop,
                           skui_ready_stealable_count(&loop->ready));
    }
}

/* Phases 1 to 3: wait if there is nothing to do, and poll if that is due. */
static void loop_wait_and_poll(skua_loop *loop, int64_t deadline_ns)
{
    /* relaxed: a flag */
    bool stopping = skui_load_relaxed(&loop->stop_requested);

    if (!stopping && skui_ready_is_empty(&loop->ready) &&
        skui_inbox_is_empty(&loop->inbox)) {
        int64_t timer_ns = skui_timers_next_deadline(&loop->timers);

        skui_loop_idle(loop, timer_ns < deadline_ns ? timer_ns : deadline_ns);
    }
    if (!loop->polled && loop_poll_is_due(loop)) {
        (void)skui_loop_poll(loop, 0);
        (void)skui_sources_look(loop);
        loop_take_injected_in_turn(loop);
        loop_offer(loop);
    }
    loop->polled = false;
    if (loop->idle.watched != 0) {
        (void)skui_loop_unwatch(loop);
    }
}

/* Inlined into the loop over what is ready: see skui_arch_resume(). */
static inline __attribute__((always_inline)) void
loop_run_task(skua_loop *loop, struct skui_task *task)
{
    skui_count(&loop->counters.tasks_run, 1);
    if (SKUI_UNLIKELY(!skui_task_prepare(loop, task))) {
        return;
    }
    if (task->budget != SKUI_TASK_BUDGET) { /* its line may be far away */
        task->budget = SKUI_TASK_BUDGET;
    }
    do {
        const skua_task_hooks *hooks = skui_loop_hooks(loop);

        if (SKUI_UNLIKELY(loop->timed)) {
            skui_slow_begin(loop, &(struct skui_step){.future = &task->future});
        }
        loop->current = task;
        if (SKUI_UNLIKELY(hooks != NULL)) {
            skui_hooks_step(hooks, loop, task);
        } else {
            skui_coroutine_resume(&loop->scheduler, &task->coroutine);
        }
        loop->current = NULL;
        if (SKUI_UNLIKELY(loop->timed)) {
            skui_slow_end(loop);
        }
    } while (skui_task_after_step(loop, task));
}

static inline __attribute__((always_inline)) void
loop_run_one(skua_loop *loop, struct skui_runnable *runnable)
{
    switch ((enum skui_runnable_kind)runnable->kind) {
    case SKUI_RUNNABLE_TASK:
        loop_run_task(loop,
                      SKUI_CONTAINER_OF(runnable, struct skui_task, runnable));
        break;
    case SKUI_RUNNABLE_HANDLE:
        skui_handle_run(loop, skui_handle_of_runnable(runnable));
        break;
    case SKUI_RUNNABLE_CALLBACK:
        skui_count(&loop->counters.callbacks_run, 1);
        skui_waiter_run(
            loop, SKUI_CONTAINER_OF(runnable, struct skui_waiter, runnable));
        break;
    case SKUI_RUNNABLE_STUB:
        break;
    }
}

/* Let the average follow; a slice that was preempted moves it little. */
static void loop_note_slices(skua_loop *loop, uint64_t ticks, uint64_t runs)
{
    uint64_t *average = &loop->idle.slice_ticks;
    uint64_t most = 4 * *average + 64;
    uint64_t slice = runs == 1 ? ticks : ticks / runs;

    if (slice > most) {
        slice = most;
    }
    *average = *average - *average / 4 + slice / 4;
}

/* What runs next: the task that was woken while the loop watched it, when
 * nothing was ready; or the oldest entry below `end`. */
static struct skui_runnable *loop_next(skua_loop *loop, uint64_t end)
{
    struct skui_task *woken = loop->idle.woken;

    if (woken != NULL) {
        loop->idle.woken = NULL;
        return &woken->runnable;
    }
    return skui_ready_pop(&loop->ready, end);
}

/* Run what is ready now; with siblings, until a poll is due. */
static inline __attribute__((always_inline)) void
loop_run_batch(skua_loop *loop)
{
    uint64_t end = skui_ready_next_ticket(&loop->ready);
    uint64_t start_ticks = loop->now_ticks;
    uint32_t runs = 0;
    struct skui_runnable *runnable;

    loop->in_batch = true;
    if (skui_loop_has_siblings(loop)) {
        skui_relief_prepare(loop);
    }
    if (SKUI_UNLIKELY(loop->timed != skui_debug_is_on(loop))) {
        skui_slow_switch(loop, !loop->timed);
    }
    while ((runnable = loop_next(loop, end)) != NULL) {
        if (loop->idle.searching) {
            skui_idle_found(loop);
        }
        loop_run_one(loop, runnable);
        loop->runs_since_poll++;
        runs++;
        if (skui_loop_has_siblings(loop) && loop_poll_is_due(loop)) {
            break;
        }
    }
    loop->in_batch = false;
    if (skui_loop_has_siblings(loop) && runs > 0) {
        loop_note_slices(loop, loop->now_ticks - start_ticks, runs);
        if (loop->now_ticks - start_ticks > loop->long_ticks) {
            skui_relief_note_long(loop);
        }
    }
}

/* Inlined into the driver, which must not return between two tasks either. */
static inline __attribute__((always_inline)) void
loop_iterate(skua_loop *loop, int64_t deadline_ns)
{
    skui_count(&loop->counters.iterations, 1);
    if (SKUI_UNLIKELY(skui_load_relaxed(&loop->blocked))) { /* relaxed: own */
        skui_store_relaxed(&loop->blocked, false); /* it did not end it */
    }
    loop_take_inbox(loop); /* queued before the poll: first in order */
    loop_wait_and_poll(loop, deadline_ns);
    loop_fire_timers(loop);
    loop_take_inbox(loop);
    loop_run_batch(loop);
}

void skui_loop_iterate(skua_loop *loop, int64_t deadline_ns)
{
    loop_iterate(loop, deadline_ns);
}

/* --- running --- */

int skui_loop_check_open(const skua_loop *loop)
{
    if (skui_loop_fork_generation(loop) != skui_fork_generation()) {
        return SKUA_EFORKED;
    }
    return skui_loop_id(loop) == 0 ? SKUA_ECLOSED : 0;
}

int skui_loop_check_own(const skua_loop *loop)
{
    int status = skui_loop_check_open(loop);

    if (status == 0 && skua_loop_is_running(loop) && skui_loop_self() != loop) {
        return -EPERM;
    }
    return status;
}

int skui_loop_enter(skua_loop *loop)
{
    bool idle = false;
    int status = skui_loop_check_open(loop);

    if (status < 0) {
        return status;
    }
    /* LP2 acq_rel: what the last thread that ran it did is visible. */
    if (skui_loop_self() != NULL ||
        !skui_cas_acq_rel(&loop->running, &idle, true)) {
        return SKUA_ERUNNING;
    }
    status = skui_overflow_thread_init();
    if (status < 0) {
        skui_store_release(&loop->running, false); /* LP2 release */
        return status;
    }
    skui_coroutine_init_thread(&loop->scheduler);
    loop->thread = pthread_self();
    loop->thread_id = gettid();
    skui_park_open_cores(loop);
    skui_loop_set_self(loop);
    skui_executor_add_loops(loop->spare ? 0 : 1);
    /* PK1 (seq_cst): awake; the first iteration looks at the inbox. */
    skui_store_seq_cst(&loop->park_state, (uint32_t)SKUI_PARK_AWAKE);
    loop_take_inbox(loop); /* queued before what is queued from here on */
    return 0;
}

/* Nobody watches any more, and nobody runs what is left here: others may. */
static void loop_hand_over(skua_loop *loop)
{
    size_t queued;

    if (skui_loop_unwatch(loop)) {
        struct skui_task *task = loop->idle.woken;

        loop->idle.woken = NULL;
        skui_loop_queue_here(loop, &task->runnable, task->pinned);
    }
    queued = skui_ready_stealable_count(&loop->ready);
    if (queued > 0) {
        skui_runner_notify(loop->runner, NULL, queued);
    }
}

void skui_loop_leave(skua_loop *loop)
{
    if (SKUI_UNLIKELY(loop->timed)) {
        skui_slow_switch(loop, false);
    }
    if (loop->idle.looks != 0) {
        (void)skui_sources_give_up(loop);
    }
    loop_hand_over(loop);
    skui_executor_add_loops(loop->spare ? 0 : -1);
    skui_loop_set_self(NULL);
    skui_overflow_thread_fini();
    if (loop->idle.searching) {
        skui_idle_found(loop);
    }
    skui_park_close_cores(loop);
    /* PK1 (seq_cst): who embeds the loop is woken through its descriptor. */
    skui_store_seq_cst(&loop->park_state, (uint32_t)SKUI_PARK_OUTSIDE);
    /* LP2 release: the next thread to run it sees what was done here. */
    skui_store_release(&loop->running, false);
}

void skui_loop_run(skua_loop *loop)
{
    do {
        loop_iterate(loop, SKUA_FOREVER);
        /* relaxed: a flag; its setter wakes the loop */
    } while (!skui_load_relaxed(&loop->stop_requested));
    /* AB1 acquire: who stopped it by an abort has said why. */
    (void)skui_exchange_acquire(&loop->stop_requested, false);
}

void skui_loop_request_stop(skua_loop *loop)
{
    /* PK1 (seq_cst): set before the look at the park state, and looked at
     * after sleep was announced. AB1: after what an abort says. */
    skui_store_seq_cst(&loop->stop_requested, true);
    skui_loop_wake(loop);
}

void skui_loop_request_abort(skua_loop *loop, int status)
{
    skua_loop *target = loop;
    skua_runner *runner;
    int none = 0;

    /* PK6 (seq_cst): as loop_inject_task(). */
    (void)skui_fetch_add_seq_cst(&loop->wakers, 1u);
    /* PK6 (seq_cst): NULL: a loop of its own, or a closed one. */
    runner = skui_load_seq_cst(&loop->inject_runner);
    if (runner != NULL) {
        target = runner->loops[0]; /* its run is the runner's */
    }
    /* relaxed: AB1; the first one counts */
    (void)skui_cas_relaxed(&target->abort_status, &none, status);
    skui_loop_request_stop(target);
    /* PK6 release: the runner may be freed. */
    (void)skui_fetch_sub_release(&loop->wakers, 1u);
}

int skui_loop_take_abort(skua_loop *loop, int status)
{
    int aborted = skui_load_relaxed(&loop->abort_status); /* relaxed: AB1 */

    if (aborted == 0) {
        return status;
    }
    skui_store_relaxed(&loop->abort_status, 0); /* relaxed: AB1 */
    return aborted;
}

static void loop_stop_when_done(skua_future *future, void *arg)
{
    skua_loop *loop = arg;

    /* Else it was queued when its run had ended otherwise: not to end this. */
    if (loop->run_future == future) {
        /* relaxed: own thread */
        skui_store_relaxed(&loop->stop_requested, true);
    }
}

int skui_loop_run_until(skua_loop *loop, skua_future *future)
{
    int status =
        skua_future_add_done_callback(future, loop_stop_when_done, loop);

    if (status < 0) {
        return status;
    }
    loop->run_future = future;
    skui_loop_run(loop);
    loop->run_future = NULL;
    (void)skua_future_remove_done_callback(future, loop_stop_when_done, loop);
    return skui_future_is_done(future) ? 0 : SKUA_ESTOPPED;
}
