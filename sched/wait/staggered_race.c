/* SPDX-License-Identifier: Apache-2.0 */
/*
 * staggered_race.c - start one after the other until one succeeds.
 * Threads     The calling task, and its children on any loops.
 * Invariants  All children have ended before the call returns, so the race may
 *             lie on its stack: who ends a child lets go of the race with the
 *             lock, and wakes by a copy of the claim.
 * Ordering    SL1 for all fields and the children's links.
 */
#include <errno.h>

#include "../clock.h"
#include "../loop.h"
#include "../spinlock.h"
#include "../task.h"
#include "errors.h"
#include "skua/gather.h"

enum { CANCEL_BATCH = 32 };

/* Guarded by the lock, but for what is said. */
struct race {
    struct skui_observer observer; /* constant; of the children */
    struct skui_spinlock lock;
    bool changed;       /* a child ended since the task looked */
    bool newest_failed; /* the one started last */
    bool cancelled;     /* the task's own: it was cancelled */
    bool settled;       /* the task's own: the losers were cancelled */
    int *statuses;      /* or NULL */
    size_t count;       /* constant */
    size_t started;
    size_t winner;               /* `count`: none */
    struct skui_outcome outcome; /* the winner's; no exception */
    struct skui_task *children;  /* those that live */
    struct skui_errors errors;
    skui_claim waiter; /* the task, while it waits */
    int64_t next_ns;   /* the task's own: when to start the next one */
    int start_status;  /* the task's own: why it starts no more */
};

static void race_unlink(struct race *race, struct skui_task *child)
{
    if (child->sibling_prev != NULL) {
        child->sibling_prev->sibling_next = child->sibling_next;
    } else {
        race->children = child->sibling_next;
    }
    if (child->sibling_next != NULL) {
        child->sibling_next->sibling_prev = child->sibling_prev;
    }
}

static struct skui_error *race_error(const struct skui_outcome *outcome)
{
    skua_exception *bare = NULL;
    struct skui_error *error;

    if (outcome->status >= 0) {
        return NULL;
    }
    if (outcome->exception == NULL) {
        bare = skui_exception_bare(outcome->status);
    }
    error = skui_error_make(bare == NULL ? outcome->exception : bare);
    skua_exception_unref(bare);
    return error;
}

static void race_child_ended(struct skui_observer *observer,
                             struct skui_task *child,
                             const struct skui_outcome *outcome)
{
    struct race *race = SKUI_CONTAINER_OF(observer, struct race, observer);
    struct skui_error *error = race_error(outcome);
    skui_claim waiter;

    skui_spinlock_lock(&race->lock);
    race_unlink(race, child);
    if (race->statuses != NULL) {
        race->statuses[child->index] = outcome->status;
    }
    if (outcome->status < 0) {
        skui_errors_add(&race->errors, error);
        race->newest_failed =
            race->newest_failed || child->index + 1 == race->started;
    } else if (race->winner == race->count) {
        race->winner = child->index;
        race->outcome.status = outcome->status;
        race->outcome.value = outcome->value;
    }
    race->changed = true;
    waiter = race->waiter;
    race->waiter = 0;
    skui_spinlock_unlock(&race->lock);
    /* From here on the race may be gone. */
    if (waiter != 0) {
        (void)skui_wake(waiter, 0);
    }
}

static void race_start_next(struct race *race, const skua_awaitable *functions,
                            int64_t delay_ns)
{
    const skua_awaitable *function = &functions[race->started];
    struct skui_task *child;

    race->start_status =
        skui_task_create_observed(NULL, function->fn, function->arg, 1, &child);
    if (race->start_status < 0) {
        return;
    }
    child->observer = &race->observer;
    race->next_ns = skui_clock_after(delay_ns);
    skui_spinlock_lock(&race->lock);
    child->index = race->started++;
    child->mark = false;
    child->sibling_prev = NULL;
    child->sibling_next = race->children;
    if (child->sibling_next != NULL) {
        child->sibling_next->sibling_prev = child;
    }
    race->children = child;
    race->newest_failed = false;
    skui_spinlock_unlock(&race->lock);
    skui_task_start(child);
}

/* References to children that were not cancelled in this round. */
static size_t race_next_to_cancel(struct race *race, skua_future **batch)
{
    struct skui_task *child;
    size_t count = 0;

    skui_spinlock_lock(&race->lock);
    for (child = race->children; child != NULL && count < CANCEL_BATCH;
         child = child->sibling_next) {
        if (!child->mark && skui_future_try_ref(&child->future)) {
            batch[count++] = &child->future;
        }
        child->mark = true;
    }
    skui_spinlock_unlock(&race->lock);
    return count;
}

static void race_cancel_children(struct race *race)
{
    skua_future *batch[CANCEL_BATCH];
    struct skui_task *child;
    size_t count;

    skui_spinlock_lock(&race->lock);
    for (child = race->children; child != NULL; child = child->sibling_next) {
        child->mark = false;
    }
    skui_spinlock_unlock(&race->lock);
    do {
        count = race_next_to_cancel(race, batch);
        for (size_t i = 0; i < count; i++) {
            (void)skua_future_cancel(batch[i]);
            skua_future_unref(batch[i]);
        }
    } while (count > 0);
}

static void race_publish(skui_claim claim, void *arg)
{
    struct race *race = arg;
    bool wait;

    skui_spinlock_lock(&race->lock);
    wait = !race->changed;
    race->waiter = wait ? claim : 0;
    skui_spinlock_unlock(&race->lock);
    if (!wait) {
        (void)skui_wake(claim, 0);
    }
}

/* Wait for a child's end or until `deadline_ns`. */
static void race_wait(struct race *race, int64_t deadline_ns)
{
    int status = skui_task_wait(race_publish, race, deadline_ns);

    skui_spinlock_lock(&race->lock);
    race->waiter = 0;
    skui_spinlock_unlock(&race->lock);
    if (status == SKUA_ECANCELED) {
        race->cancelled = true;
        race_cancel_children(race);
    }
}

static void race_run(struct race *race, const skua_awaitable *functions,
                     int64_t delay_ns)
{
    for (;;) {
        bool is_won;
        bool is_idle;
        bool may_start;
        bool starts;

        skui_spinlock_lock(&race->lock);
        race->changed = false;
        is_won = race->winner < race->count;
        is_idle = race->children == NULL;
        may_start = !is_won && !race->cancelled && race->start_status == 0 &&
                    race->started < race->count;
        starts = may_start && (is_idle || race->newest_failed);
        skui_spinlock_unlock(&race->lock);
        if (starts || (may_start && race->next_ns <= skui_clock_now())) {
            race_start_next(race, functions, delay_ns);
            continue;
        }
        if (is_idle) {
            return;
        }
        if (is_won && !race->settled) {
            race->settled = true;
            race_cancel_children(race);
        }
        race_wait(race, may_start ? race->next_ns : SKUA_FOREVER);
    }
}

/* What the call gives; no child lives. */
static int race_outcome(struct race *race, size_t *out_winner,
                        void **out_result)
{
    skua_exception *group;
    int status = race->cancelled ? SKUA_ECANCELED : race->start_status;

    if (!race->cancelled && race->winner < race->count) {
        if (out_winner != NULL) {
            *out_winner = race->winner;
        }
        if (out_result != NULL) {
            *out_result = race->outcome.value;
        }
        status = race->outcome.status;
    } else if (status == 0) {
        status = SKUA_EGROUP;
        group = skui_errors_group(&race->errors, "all of a race failed");
        skui_frame_set_exception(skui_frame_current(), group);
    }
    skui_errors_clear(&race->errors);
    return status;
}

int skua_staggered_race(const skua_awaitable *functions, size_t count,
                        int64_t delay_ns, size_t *out_winner, void **out_result,
                        int *statuses)
{
    struct race race = {.observer = {.ended = race_child_ended},
                        .statuses = statuses,
                        .count = count,
                        .winner = count};
    int status = count == 0 ? -EINVAL : skui_awaitables_check(functions, count);

    for (size_t i = 0; i < count && status == 0; i++) {
        status = functions[i].fn == NULL ? -EINVAL : 0;
    }
    if (status == 0 && delay_ns == SKUA_NOT_A_TIME) {
        status = -EINVAL;
    }
    if (status == 0 && skui_task_self() == NULL) {
        status = SKUA_ENOLOOP;
    }
    if (status < 0) {
        return status;
    }
    for (size_t i = 0; i < count && statuses != NULL; i++) {
        statuses[i] = SKUA_EINVALSTATE;
    }
    race_run(&race, functions, delay_ns);
    return race_outcome(&race, out_winner, out_result);
}
