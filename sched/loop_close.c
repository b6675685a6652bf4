/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_close.c - closing a loop of its own, or all loops of a runner at once.
 * Threads     The closer, while no thread runs the loops; any thread posts,
 *             wakes and cancels meanwhile.
 * Invariants  Each task, callback and handle has one owner, who alone ends it:
 *             the queue that holds it; the waker that won its wait, until it
 *             has queued it; or, while it is parked, whoever wins its wait.
 * Ordering    WW1 seizing a parked task, LP1 id, PK1 inbox against CLOSED, PK6
 *             and PK7 who is still inside (park.c).
 * Progress    The closer waits for wakers between winning a wait and queueing
 *             the task, and for posters between two instructions.
 * Rejected    Ending every task that a walk over all objects finds: a waker
 *             that won, or a queue, may hold it still, and ends it once more.
 *             Giving stacks back at once: groups in the frames of abandoned
 *             tasks are written to by their children, as those end.
 *
 * The closer
 *   1. reports failures that nobody has read, while handlers are reachable;
 *   2. makes the ids 0: newcomers are refused, so that there is an end;
 *      park_state = CLOSING: posters leave the inbox to the closer;
 *   3. takes everything out of all queues (pinned lists, rings, batches,
 *      inboxes, inject queue), drops it and ends the tasks among it; then walks
 *      all tasks and seizes those that are parked. A task that a canceller
 *      HOLDs, or that is RUNNING, has an owner who is about to queue it: so
 *      again, until a walk finds no task of these loops that has not ended.
 *      Ending one may wake others, which go the same way;
 *   4. drops timers;
 *   5. inject_runner = NULL and park_state = CLOSED: posters drain the inbox
 *      themselves. Waits until nobody is inside (wakers = 0), and takes out
 *      what came after step 3: no task that ever ran is among it, since those
 *      have all ended;
 *   6. tells who asked to be told (struct skui_loop_closing);
 *   7. gives stacks, pollers and pools back, and in debug mode tells what is
 *      open still.
 * A waker that wins a wait of step 3 reaches the inbox although the id is 0, or
 * the inject queue, since inject_runner stays until all tasks have ended.
 */
#include "debug.h"
#include "future.h"
#include "loop.h"
#include "runner.h"
#include "task.h"

struct closing {
    skua_loop **loops;
    unsigned count;
    struct skui_runnable *ended; /* tasks to bury, linked by `next` */
    size_t seen;                 /* tasks that the last walk saw */
};

/* --- dropping what is queued --- */

void skui_runnable_discard(struct skui_runnable *runnable)
{
    struct skui_task *task;

    switch ((enum skui_runnable_kind)runnable->kind) {
    case SKUI_RUNNABLE_TASK:
        task = SKUI_CONTAINER_OF(runnable, struct skui_task, runnable);
        skui_task_abandon(task, skui_future_home(&task->future));
        skui_task_bury(task);
        break;
    case SKUI_RUNNABLE_HANDLE:
        skui_handle_discard(skui_handle_of_runnable(runnable));
        break;
    case SKUI_RUNNABLE_CALLBACK:
        skui_waiter_discard(
            SKUI_CONTAINER_OF(runnable, struct skui_waiter, runnable));
        break;
    case SKUI_RUNNABLE_STUB:
        break;
    }
}

static struct skui_runnable *closed_pop(skua_loop *loop)
{
    struct skui_runnable *runnable = NULL;

    skui_spinlock_lock(&loop->lock);
    /* relaxed: a closed loop is opened under the lock */
    if (skui_load_relaxed(&loop->park_state) == SKUI_PARK_CLOSED) {
        runnable = skui_inbox_pop(&loop->inbox);
    }
    skui_spinlock_unlock(&loop->lock);
    return runnable;
}

void skui_loop_drain_closed(skua_loop *loop)
{
    struct skui_runnable *runnable;

    while ((runnable = closed_pop(loop)) != NULL) {
        skui_runnable_discard(runnable);
    }
}

static bool closed_is_empty(skua_loop *loop)
{
    bool empty;

    skui_spinlock_lock(&loop->lock);
    empty = skui_inbox_is_empty(&loop->inbox);
    skui_spinlock_unlock(&loop->lock);
    return empty;
}

/* --- ending tasks --- */

static void closing_end(struct closing *closing, struct skui_task *task)
{
    skui_task_abandon(task, task->future.loop);
    /* relaxed: the closer's own */
    skui_store_relaxed(&task->runnable.next, closing->ended);
    closing->ended = &task->runnable;
}

static void closing_drop(struct closing *closing,
                         struct skui_runnable *runnable)
{
    if (runnable->kind == SKUI_RUNNABLE_TASK) {
        closing_end(closing,
                    SKUI_CONTAINER_OF(runnable, struct skui_task, runnable));
    } else {
        skui_runnable_discard(runnable);
    }
}

static void closing_drain_injected(struct closing *closing)
{
    skua_runner *runner = closing->loops[0]->runner;
    struct skui_runnable *taken[SKUI_INJECT_BLOCK_CAPACITY];
    size_t count;

    while (runner != NULL &&
           (count = skui_inject_pop(&runner->inject, taken)) > 0) {
        for (size_t i = 0; i < count; i++) {
            closing_drop(closing, taken[i]);
        }
    }
}

static void closing_drain(struct closing *closing)
{
    struct skui_runnable *runnable;

    for (unsigned i = 0; i < closing->count; i++) {
        skua_loop *loop = closing->loops[i];

        while ((runnable = skui_ready_pop(&loop->ready, UINT64_MAX)) != NULL) {
            closing_drop(closing, runnable);
        }
        while ((runnable = skui_inbox_pop(&loop->inbox)) != NULL) {
            closing_drop(closing, runnable);
        }
    }
    closing_drain_injected(closing);
}

static bool closing_holds(const struct closing *closing, skua_loop *loop)
{
    /* relaxed: only the closer makes its own loops CLOSING */
    if (skui_load_relaxed(&loop->park_state) != SKUI_PARK_CLOSING) {
        return false;
    }
    for (unsigned i = 0; i < closing->count; i++) {
        if (closing->loops[i] == loop) {
            return true;
        }
    }
    return false;
}

static void closing_visit(void *object, void *arg)
{
    struct skui_task *task = object;
    struct closing *closing = arg;

    if (!skui_future_try_ref(&task->future)) {
        return;
    }
    if (closing_holds(closing, task->future.loop) &&
        !skui_future_is_done(&task->future)) {
        closing->seen++;
        if (skui_task_seize(task)) {
            closing_end(closing, task);
        }
    }
    skua_future_unref(&task->future);
}

static void closing_end_tasks(struct closing *closing)
{
    do {
        closing_drain(closing);
        closing->seen = 0;
        skui_object_for_each(SKUI_OBJECT_TASK, closing_visit, closing);
        if (closing->seen > 0) {
            (void)sched_yield(); /* a waker may be between winning and queueing
                                  */
        }
    } while (closing->seen > 0);
}

static void closing_bury(struct closing *closing)
{
    while (closing->ended != NULL) {
        struct skui_task *task =
            SKUI_CONTAINER_OF(closing->ended, struct skui_task, runnable);

        /* relaxed: the closer's own */
        closing->ended = skui_load_relaxed(&task->runnable.next);
        skui_task_bury(task);
    }
}

/* --- who is told --- */

int skui_loop_add_closing(skua_loop *loop, struct skui_loop_closing *closing)
{
    int status = 0;

    skui_spinlock_lock(&loop->lock);
    /* Once it is 0, closing_tell() may have been here. */
    if (skui_loop_id(loop) == 0) {
        status = SKUA_ECLOSED;
    } else {
        closing->next = loop->closings;
        loop->closings = closing;
    }
    skui_spinlock_unlock(&loop->lock);
    return status;
}

bool skui_loop_remove_closing(skua_loop *loop,
                              struct skui_loop_closing *closing)
{
    struct skui_loop_closing **link;
    bool found;

    skui_spinlock_lock(&loop->lock);
    link = &loop->closings;
    while (*link != NULL && *link != closing) {
        link = &(*link)->next;
    }
    found = *link != NULL;
    if (found) {
        *link = closing->next;
    }
    skui_spinlock_unlock(&loop->lock);
    return found;
}

static void closing_tell(skua_loop *loop)
{
    struct skui_loop_closing *closing;

    do {
        skui_spinlock_lock(&loop->lock);
        closing = loop->closings;
        if (closing != NULL) {
            loop->closings = closing->next;
        }
        skui_spinlock_unlock(&loop->lock);
        if (closing != NULL) {
            closing->fn(closing);
        }
    } while (closing != NULL);
}

/* --- steps --- */

static void timer_discard(struct skui_timer *timer, void *arg)
{
    if (timer->kind == SKUI_TIMER_OF_HANDLE) {
        skui_handle_timer_discard(timer, arg);
    }
}

static void loop_refuse(skua_loop *loop)
{
    /* LP1 release: futures and handles that name it find it closed. */
    skui_store_release(&loop->id, 0u);
    /* PK1 (seq_cst): nobody takes a post for the loop's own thread's any more;
     * the closer looks. */
    skui_store_seq_cst(&loop->park_state, (uint32_t)SKUI_PARK_CLOSING);
}

static void loop_seal(skua_loop *loop)
{
    struct skui_runnable *gone = NULL;

    (void)skui_timers_fire_due(&loop->timers, INT64_MAX, timer_discard, &gone);
    skui_handles_free(gone);
    /* PK6 (seq_cst): who pushes from outside and did not see this is waited
     * for. */
    skui_store_seq_cst(&loop->inject_runner, NULL);
    /* PK1 (seq_cst): who posted before and did not see this is drained by the
     * closer; who posts after sees it and drains. */
    skui_store_seq_cst(&loop->park_state, (uint32_t)SKUI_PARK_CLOSED);
    /* PK6, PK7 (seq_cst): who did not see it is seen here. */
    while (skui_load_seq_cst(&loop->wakers) != 0) {
        (void)sched_yield();
    }
    skui_loop_drain_closed(loop);
    while (!closed_is_empty(loop)) {
        (void)sched_yield(); /* a poster owes its link */
        skui_loop_drain_closed(loop);
    }
}

void skui_loops_shut(skua_loop **loops, unsigned count)
{
    struct closing closing = {loops, count, NULL, 0};

    for (unsigned i = 0; i < count; i++) {
        skui_future_report_unread(loops[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        loop_refuse(loops[i]);
    }
    closing_end_tasks(&closing);
    for (unsigned i = 0; i < count; i++) {
        loop_seal(loops[i]);
    }
    closing_drain_injected(&closing);
    closing_bury(&closing);
    for (unsigned i = 0; i < count; i++) {
        closing_tell(loops[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        skui_debug_loop_closes(loops[i]); /* what tasks held is given back */
        loops[i]->poller_ops->close(loops[i]->poller);
        loops[i]->poller = NULL;
        skui_stack_pool_trim(&loops[i]->stack_pool);
        skui_stack_pool_fini(&loops[i]->stack_pool);
    }
}
