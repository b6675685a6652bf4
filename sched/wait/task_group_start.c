/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_group_start.c - start a child and wait until it is ready.
 * Threads     The starter, a task; the child; whoever ends that.
 * Invariants  WAITING -> READY by the child, or WAITING -> ENDED by who ends
 * it. The starter leaves its record after one of them, so that who made it
 * touches it last by letting go of the lock. Ordering    SL1 for all fields but
 * `cohort`.
 *
 * Until it is ready the child's end goes to the starter (Trio's nursery.start),
 * and the group waits for it but has nothing of its failure. So the record on
 * the starter's stack is its observer; being ready it puts the cohort there.
 */
#include <errno.h>

#include "../exception.h"
#include "task_group.h"

enum start_state {
    START_WAITING,
    START_READY,
    START_ENDED,
};

struct skui_group_start {
    struct skui_observer observer; /* of the child until READY; constant */
    struct skui_cohort *cohort;    /* constant once the child runs */
    struct skui_spinlock lock;     /* guards all below */
    uint8_t state;                 /* enum start_state */
    bool given_up;                 /* the starter was cancelled */
    skui_claim waiter;             /* the starter's; or 0 */
    void *value;                   /* READY */
    struct skui_outcome outcome;   /* ENDED */
};

static void start_ended(struct skui_observer *observer, struct skui_task *child,
                        const struct skui_outcome *outcome)
{
    struct skui_group_start *start =
        SKUI_CONTAINER_OF(observer, struct skui_group_start, observer);
    struct skui_cohort *cohort = start->cohort;
    skui_claim waiter;

    skui_spinlock_lock(&start->lock);
    start->state = START_ENDED;
    start->outcome = *outcome;
    start->outcome.exception = skua_exception_ref(outcome->exception);
    waiter = start->waiter;
    start->waiter = 0;
    skui_spinlock_unlock(&start->lock);
    if (waiter != 0) {
        (void)skui_wake(waiter, 0);
    }
    skui_cohort_child_ended(cohort, child);
}

struct skui_observer *skui_group_start_bind(struct skui_group_start *start,
                                            struct skui_cohort *cohort)
{
    start->cohort = cohort;
    return &start->observer;
}

int skua_task_group_started(void *value)
{
    struct skui_task *self = skui_task_self();
    struct skui_group_start *start;
    skui_claim waiter = 0;
    bool given_up;

    if (self == NULL) {
        return SKUA_ENOLOOP;
    }
    if (!self->observed || self->observer->ended != start_ended) {
        return SKUA_EINVALSTATE;
    }
    start =
        SKUI_CONTAINER_OF(self->observer, struct skui_group_start, observer);
    skui_spinlock_lock(&start->lock);
    given_up = start->given_up;
    if (!given_up) {
        self->observer = &start->cohort->observer;
        start->state = START_READY;
        start->value = value;
        waiter = start->waiter;
        start->waiter = 0;
    }
    skui_spinlock_unlock(&start->lock);
    if (waiter != 0) {
        (void)skui_wake(waiter, 0);
    }
    return given_up ? SKUA_ECANCELED : 0;
}

/* --- the starter --- */

static void start_publish(skui_claim claim, void *arg)
{
    struct skui_group_start *start = arg;
    bool wait;

    skui_spinlock_lock(&start->lock);
    wait = start->state == START_WAITING;
    start->waiter = wait ? claim : 0;
    skui_spinlock_unlock(&start->lock);
    if (!wait) {
        (void)skui_wake(claim, 0);
    }
}

/* Whether it still waits; if so, and `give_up`, the child is not to be ready
 * any more. */
static bool start_waits(struct skui_group_start *start, bool give_up)
{
    bool waits;

    skui_spinlock_lock(&start->lock);
    start->waiter = 0; /* of an interrupted wait */
    waits = start->state == START_WAITING;
    start->given_up |= waits && give_up;
    skui_spinlock_unlock(&start->lock);
    return waits;
}

/* Wait for the child to be ready or to end; a cancelled wait cancels it and
 * waits for its end. True when there was one. */
static bool start_wait(struct skui_group_start *start, skua_task *child)
{
    bool cancelled = false;

    while (start_waits(start, false)) {
        if (skui_task_wait(start_publish, start, SKUA_FOREVER) ==
            SKUA_ECANCELED) {
            cancelled = true;
            if (start_waits(start, true)) {
                (void)skua_task_cancel(child);
            }
        }
    }
    return cancelled;
}

int skua_task_group_start(skua_task_group *group, skua_task_fn *fn, void *arg,
                          void **out_value)
{
    struct skui_group_start start = {.observer.ended = start_ended};
    skua_task *child;
    bool cancelled;
    int status;

    if (group == NULL || fn == NULL) {
        return -EINVAL;
    }
    if (skui_task_self() == NULL) {
        return SKUA_ENOLOOP;
    }
    status =
        skui_group_spawn(skui_group_of(group), NULL, fn, arg, &start, &child);
    if (status < 0) {
        return status;
    }
    cancelled = start_wait(&start, child);
    skua_future_unref(child);
    if (start.state == START_ENDED && start.outcome.status < 0) {
        return skui_outcome_deliver(&start.outcome, NULL);
    }
    skua_exception_unref(start.outcome.exception);
    if (cancelled) {
        return SKUA_ECANCELED;
    }
    if (start.state == START_ENDED) {
        return SKUA_EBROKEN;
    }
    if (out_value != NULL) {
        *out_value = start.value;
    }
    return 0;
}
