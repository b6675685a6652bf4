/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_abandon.c - the end of tasks that will not run again.
 * Threads     The thread that closes the task's loop. A task that never
 *             started also in any thread that fails to queue it.
 * Invariants  Who abandons a task owns it: took it out of a queue, or won its
 *             wait as a waker would. So it ends once.
 * Ordering    WW1 (wait word).
 *
 * Abandoned stacks are not unwound, and others may still write to them: a
 * group in a frame there counts its children down. So a task is abandoned
 * first, and buried when all tasks of the runner have ended.
 */
#include "loop.h"
#include "report.h"
#include "task.h"
#include "task_hooks.h"

bool skui_task_seize(struct skui_task *task)
{
    /* WW1 acquire: what a parked task awaits is visible. */
    uint64_t word = skui_load_acquire(&task->wait_word);
    uint64_t next;

    if ((word & SKUI_WAIT_PHASE) != SKUI_WAIT_PARKED) {
        return false;
    }
    if (task->request == SKUI_REQUEST_AWAIT &&
        !skui_future_withdraw(task->awaiting, task)) {
        return false; /* whoever completes the future queues it */
    }
    if (task->request == SKUI_REQUEST_QUEUE &&
        !skui_waitq_take(task->wait_node)) {
        return false; /* whoever took it out queues it */
    }
    do {
        while ((word & SKUI_WAIT_HELD) != 0) {
            skui_cpu_relax(); /* a canceller is about to let go */
            word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */
        }
        if ((word & SKUI_WAIT_PHASE) != SKUI_WAIT_PARKED) {
            return false;
        }
        next = skui_word_with_reason(word, SKUA_ECLOSED);
        /* WW1 acq_rel: no other claim of this wait wins any more. */
    } while (!skui_cas_acq_rel(&task->wait_word, &word, next));
    return true;
}

/* No request or claim reaches it from here on. How its last wait ended. */
static int task_settle(struct skui_task *task)
{
    uint64_t word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */
    uint64_t next;

    do {
        while ((word & SKUI_WAIT_HELD) != 0) {
            skui_cpu_relax(); /* a canceller is about to let go */
            word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */
        }
        next = ((word + ((uint64_t)1 << SKUI_WAIT_SEQUENCE_SHIFT)) &
                SKUI_WAIT_SEQUENCE_MASK) |
               SKUI_WAIT_ENDED;
        /* WW1 acq_rel: what a canceller did is visible here. */
    } while (!skui_cas_acq_rel(&task->wait_word, &word, next));
    return skui_word_reason(word);
}

static void task_report_destroyed(struct skui_task *task, skua_loop *loop)
{
    skua_exception_context context = {0};

    context.message = "Task was destroyed but it is pending!";
    context.status = SKUA_ECLOSED;
    context.loop = loop;
    context.future = &task->future;
    skui_report(&context);
}

void skui_task_abandon(struct skui_task *task, skua_loop *loop)
{
    struct skui_outcome outcome = {SKUA_ECLOSED, NULL, NULL};
    skua_exception *handled = task->frame.exception;
    int reason;

    task_report_destroyed(task, loop);
    reason = task_settle(task);
    if (task->timer.pending) {
        (void)skui_timers_cancel(&task->timer_loop->timers, &task->timer);
    }
    if (task->wait_node != NULL) {
        skui_waitq_abandon(task->wait_node, reason == SKUI_WAITQ_GRANTED);
        task->wait_node = NULL;
    }
    task->frame.exception = NULL;
    task->future.reports_unread = false;
    skui_task_announce(task, &outcome);
    skui_future_complete_sole(&task->future, &outcome);
    if (task->announced) {
        skui_hooks_done(task); /* in the order of task_finish() */
    }
    if (task->observed) {
        task->observer->ended(task->observer, task, &outcome);
    }
    skua_exception_unref(handled);
}

void skui_task_bury(struct skui_task *task)
{
    if (task->coroutine.context != NULL) {
        skui_coroutine_fini(&task->coroutine);
        skui_stack_pool_put(&task->future.loop->stack_pool, &task->stack);
    }
    skua_future_unref(&task->future);
}
