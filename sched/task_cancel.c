/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_cancel.c - the way of a cancel request.
 * Threads     Any thread requests; the task itself takes.
 * Invariants  A request is never lost: it ends a wait, waits in the word of a
 *             task that has not ended, or starts anew.
 * Ordering    WW1 (wait word), CM1 (message).
 * Progress    A canceller waits for another that HOLDs the word, a few
 *             instructions, and begins anew while its target moves on.
 *
 * A request goes along what tasks await to the last of the chain. If that has
 * ended already, the task that awaits it takes the request when it resumes.
 */
#include <errno.h>

#include "task.h"

bool skui_task_take_pending_cancel(struct skui_task *task)
{
    uint64_t word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */

    while ((word & SKUI_WAIT_CANCEL) != 0) {
        /* WW1 acq_rel: what the canceller did is visible here. */
        if (skui_cas_acq_rel(&task->wait_word, &word,
                             word & ~(uint64_t)SKUI_WAIT_CANCEL)) {
            return true;
        }
    }
    return false;
}

/*
 * Leave a request pending for the wait `sequence`, whose future cannot be
 * cancelled any more, or for a task that runs. False when the task is in
 * another wait by now, or has ended: the request must start anew.
 */
static bool task_set_cancel(struct skui_task *task, uint64_t sequence)
{
    uint64_t word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */

    do {
        if ((word & SKUI_WAIT_ENDED) != 0 ||
            ((word & SKUI_WAIT_PHASE) != SKUI_WAIT_RUNNING &&
             (word & SKUI_WAIT_SEQUENCE_MASK) != sequence)) {
            return false;
        }
        /* WW1 acq_rel: what the canceller did is visible to the task. */
    } while (
        !skui_cas_acq_rel(&task->wait_word, &word, word | SKUI_WAIT_CANCEL));
    return true;
}

void skui_task_unhold(struct skui_task *task, enum skui_unhold how)
{
    uint64_t word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */
    uint64_t next;
    bool queue;

    do {
        uint64_t phase = word & SKUI_WAIT_PHASE;

        next = word & ~(uint64_t)(SKUI_WAIT_HELD | SKUI_WAIT_DEFERRED);
        queue = (word & SKUI_WAIT_DEFERRED) != 0;
        if (how == SKUI_UNHOLD_CANCEL && phase != SKUI_WAIT_RUNNING) {
            next = skui_word_with_reason(next, SKUA_ECANCELED);
            queue = phase == SKUI_WAIT_PARKED;
        } else if (how != SKUI_UNHOLD_ONLY) {
            next |= SKUI_WAIT_CANCEL;
        }
        /* WW1 acq_rel: the task may go on, and drop what it awaited. */
    } while (!skui_cas_acq_rel(&task->wait_word, &word, next));
    if (queue) {
        skui_task_queue(task);
    }
}

enum cancel_step {
    CANCEL_TAKEN,    /* it has found its place */
    CANCEL_PASS_ON,  /* it goes to what the task awaits */
    CANCEL_TOO_LATE, /* what it came to has ended: who awaits that takes it */
    CANCEL_REFUSED,  /* what it came to goes on: who awaits that goes on now */
};

/* The way of a request along a chain of awaits, which may be a ring. */
struct cancel_walk {
    struct skui_spread *spread;
    skua_future *link;       /* a reference: where the request is */
    skua_future *next;       /* a reference, after PASS_ON: what that awaits */
    skua_future *last;       /* a reference: the task that awaits it, or NULL */
    uint64_t sequence;       /* of the wait of `last` */
    bool listed;             /* only who takes it from the list may wake it */
    const skua_future *mark; /* Brent: a link passed before; only compared */
    uint32_t steps;          /* since the mark */
    uint32_t limit;          /* of steps, until the mark moves */
};

/* Before the request is left with `task`: so is its message, if any. */
static void walk_blame(const struct cancel_walk *walk, struct skui_task *task)
{
    /* relaxed: once set it stays */
    if (walk->spread->message != NULL || skui_load_relaxed(&task->blamed)) {
        skui_task_set_blame(task, skua_exception_ref(walk->spread->message));
    }
}

/* It was not left there after all. */
static void walk_forgive(const struct cancel_walk *walk, struct skui_task *task)
{
    if (walk->spread->message != NULL) {
        skua_exception_unref(skui_task_take_blame(task));
    }
}

/*
 * One step of a request along the chain of awaits. PASS_ON: the wait of `task`
 * is described in *walk.
 */
static enum cancel_step task_cancel_step(struct skui_task *task,
                                         struct cancel_walk *walk)
{
    uint64_t word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */

    for (;;) {
        if ((word & SKUI_WAIT_ENDED) != 0) {
            return CANCEL_TOO_LATE;
        }
        if ((word & SKUI_WAIT_PHASE) == SKUI_WAIT_RUNNING) {
            walk_blame(walk, task);
            /* WW1 acq_rel: the next suspension or resumption sees it. */
            if (skui_cas_acq_rel(&task->wait_word, &word,
                                 word | SKUI_WAIT_CANCEL)) {
                return CANCEL_TAKEN;
            }
            walk_forgive(walk, task);
            continue;
        }
        if ((word & SKUI_WAIT_HELD) != 0) {
            skui_cpu_relax();
            word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */
            continue;
        }
        /* WW1 acq_rel: `awaiting` and what it points to stay until unhold. */
        if (skui_cas_acq_rel(&task->wait_word, &word, word | SKUI_WAIT_HELD)) {
            break;
        }
    }
    if (task->request == SKUI_REQUEST_QUEUE) {
        walk_blame(walk, task);
        /* Who takes the node out wakes: a granter that was first will. */
        skui_task_unhold(task, skui_waitq_take(task->wait_node)
                                   ? SKUI_UNHOLD_CANCEL
                                   : SKUI_UNHOLD_PENDING);
        return CANCEL_TAKEN;
    }
    if (task->awaiting == NULL) {
        walk_blame(walk, task);
        skui_task_unhold(task, SKUI_UNHOLD_CANCEL);
        return CANCEL_TAKEN;
    }
    walk->next = skua_future_ref(task->awaiting);
    walk->sequence = word & SKUI_WAIT_SEQUENCE_MASK;
    walk->listed = task->request == SKUI_REQUEST_AWAIT;
    skui_task_unhold(task, SKUI_UNHOLD_ONLY);
    return CANCEL_PASS_ON;
}

/* The link is no task. */
static enum cancel_step walk_end(const struct cancel_walk *walk)
{
    skua_future *link = walk->link;
    int result;

    if (link->kind == SKUI_FUTURE_COMPOSITE) {
        result =
            skui_composite_cancel(skui_composite_of(link), walk->spread, true);
        if (result == -EDEADLK) {
            return CANCEL_REFUSED; /* a ring: nobody else would end it */
        }
        return result > 0 ? CANCEL_TAKEN : CANCEL_TOO_LATE;
    }
    if (skui_future_cancel_plain(link, walk->spread->message)) {
        return CANCEL_TAKEN;
    }
    return skui_future_is_of_executor(link) && !skui_future_is_done(link)
               ? CANCEL_REFUSED
               : CANCEL_TOO_LATE;
}

static enum cancel_step walk_step(struct cancel_walk *walk, bool counted)
{
    enum cancel_step step;

    if (!skui_future_is_task(walk->link)) {
        return walk_end(walk);
    }
    if (walk->link == walk->spread->origin) {
        walk->spread->came_back = true;
        return CANCEL_TOO_LATE;
    }
    if (counted) {
        /* relaxed: a counter */
        (void)skui_fetch_add_relaxed(&skui_task_of(walk->link)->runnable.word,
                                     1u);
    }
    step = task_cancel_step(skui_task_of(walk->link), walk);
    if (step != CANCEL_PASS_ON) {
        return step;
    }
    skua_future_unref(walk->last);
    walk->last = walk->link;
    walk->link = walk->next;
    if (walk->link == walk->mark) {
        return CANCEL_REFUSED; /* a ring: nobody else would end it */
    }
    if (++walk->steps == walk->limit) {
        walk->mark = walk->link;
        walk->steps = 0;
        walk->limit *= 2;
    }
    return CANCEL_PASS_ON;
}

/* Wake `walk.last` out of its wait for what refused. False: begin anew. */
static bool walk_refuse(const struct cancel_walk *walk)
{
    struct skui_task *task = skui_task_of(walk->last);

    if (!walk->listed) {
        return skui_wake(skui_claim_make(task, walk->sequence), SKUA_ECANCELED);
    }
    if (!skui_future_withdraw(walk->link, task)) {
        return false;
    }
    skui_task_wake_owned(task, SKUA_ECANCELED);
    return true;
}

/* Once along the chain: 1, 0 when `task` has ended, -EAGAIN: begin anew. */
static int task_request_once(struct skui_task *task, bool counted,
                             struct skui_spread *spread)
{
    struct cancel_walk walk = {.spread = spread,
                               .link = skua_future_ref(&task->future),
                               .mark = &task->future,
                               .limit = 1};
    enum cancel_step step;
    int result = 1;

    do {
        step = walk_step(&walk, counted);
        counted = true;
    } while (step == CANCEL_PASS_ON);
    if (step == CANCEL_TOO_LATE && walk.last == NULL) {
        result = 0;
    } else if (step == CANCEL_TOO_LATE) {
        walk_blame(&walk, skui_task_of(walk.last));
        result = task_set_cancel(skui_task_of(walk.last), walk.sequence)
                     ? 1
                     : -EAGAIN;
    } else if (step == CANCEL_REFUSED) {
        walk_blame(&walk, skui_task_of(walk.last));
        result = walk_refuse(&walk) ? 1 : -EAGAIN;
    }
    if (result == -EAGAIN) {
        walk_forgive(&walk, skui_task_of(walk.last));
    }
    skua_future_unref(walk.last);
    skua_future_unref(walk.link);
    return result;
}

static int task_request(struct skui_task *task, bool counted,
                        struct skui_spread *spread)
{
    int result = task_request_once(task, counted, spread);

    while (result == -EAGAIN) {
        skui_cpu_relax(); /* it awaits something else now, or is about to */
        result = task_request_once(task, false, spread);
    }
    return result;
}

int skui_task_cancel(struct skui_task *task, struct skui_spread *spread)
{
    if (skui_future_is_done(&task->future)) {
        skui_future_forgive(&task->future);
        return 0;
    }
    return task_request(task, true, spread);
}

int skua_task_cancel(skua_task *task)
{
    return skua_task_cancel_with(task, NULL);
}

int skua_task_cancel_with(skua_task *task, const char *message)
{
    if (task == NULL || !skui_future_is_task(task)) {
        return -EINVAL;
    }
    return skua_future_cancel_with(task, message);
}

void skui_task_set_blame(struct skui_task *task, skua_exception *message)
{
    skui_store_relaxed(&task->blamed, true); /* relaxed: with `blame` */
    /* CM1 acq_rel: who takes it sees it whole. */
    skua_exception_unref(skui_exchange_acq_rel(&task->blame, message));
}

skua_exception *skui_task_take_blame(struct skui_task *task)
{
    /* relaxed: seen with the request (WW1), or nobody refers to the task */
    if (SKUI_LIKELY(!skui_load_relaxed(&task->blamed))) {
        return NULL;
    }
    /* CM1 acq_rel: as set_blame(). */
    return skui_exchange_acq_rel(&task->blame, NULL);
}

int skui_task_deliver_cancel(struct skui_task *task)
{
    skui_frame_set_exception(&task->frame, skui_task_take_blame(task));
    return SKUA_ECANCELED;
}

int skua_task_cancelling(const skua_task *task)
{
    if (task == NULL || !skui_future_is_task(task)) {
        return -EINVAL;
    }
    /* relaxed: a counter */
    return (int)skui_load_relaxed(&skui_task_of(task)->runnable.word);
}

uint32_t skui_task_cancels_met(const struct skui_task *task)
{
    /* relaxed: a counter */
    uint32_t count =
        skui_load_relaxed(&((struct skui_task *)task)->runnable.word);

    return count > 0 && skui_task_cancel_waits(task) ? count - 1 : count;
}

int skui_task_uncancel(struct skui_task *task, uint32_t quiet)
{
    struct skui_spread spread = {0};
    uint32_t count = skui_load_relaxed(&task->runnable.word); /* relaxed: CAS */

    do {
        if (count == 0) {
            return 0;
        }
    } while (!skui_cas_relaxed(&task->runnable.word, &count, count - 1));
    if (count - 1 <= quiet && skui_task_take_cancel(task) &&
        /* relaxed: a counter */
        skui_load_relaxed(&task->runnable.word) > quiet) {
        /* A request came in between and was taken with it: give it back. */
        (void)task_request(task, false, &spread);
        (void)skui_spread_run(&spread);
    }
    return (int)(count - 1);
}

int skua_task_uncancel(skua_task *task)
{
    if (task == NULL || !skui_future_is_task(task)) {
        return -EINVAL;
    }
    return skui_task_uncancel(skui_task_of(task), 0);
}
