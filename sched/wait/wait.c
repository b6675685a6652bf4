/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.c - wait for some of several futures.
 * Threads     Any waits; hooks run in the threads that complete.
 * Invariants  Whatever was registered is taken back before the call returns, so
 *             the set may lie on the waiter's stack.
 * Ordering    SL1 (bell): what is counted and whether to ring.
 *
 * All: one after the other, each wait apart from what it waits for, so that a
 * cancel request ends it. No memory for each, and those that are done by the
 * time the first one wakes the task cost a look. First of several: a hook on
 * each. They count in the set, so that the task is woken once, not each time a
 * future completes.
 */
#include "skua/wait.h"

#include <errno.h>
#include <limits.h>

#include "../clock.h"
#include "../executor/work_self.h"
#include "../future.h"
#include "../task.h"
#include "bell.h"
#include "distinct.h"
#include "skua/time.h"

/* One call. */
struct wait_set {
    skua_future *const *futures;
    size_t count;
    int64_t deadline_ns;
    skua_return_when when;
    struct skui_waiter *hooks; /* registered, newest first */
    _Atomic(size_t) left;      /* relaxed: a counter; not done as far as told */
    struct skui_bell bell;
};

/* Count one that is done; whether the wait is over by that. */
static bool wait_count(struct wait_set *set, const skua_future *future)
{
    /* relaxed: what is done is seen by its own state */
    bool last = skui_fetch_sub_relaxed(&set->left, (size_t)1) == 1;

    return last || set->when == SKUA_FIRST_COMPLETED ||
           skui_future_has_failed(future);
}

static bool wait_hook(struct skui_waiter *waiter, skua_future *future,
                      struct skui_completions *due)
{
    struct wait_set *set = waiter->arg;

    (void)due;
    if (wait_count(set, future)) {
        skui_bell_ring(&set->bell);
    }
    return true;
}

/* Put a hook on each; 1 when the wait is over already, 0, or -ENOMEM. */
static int wait_register(struct wait_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        skua_future *future = set->futures[i];
        struct skui_waiter *waiter;

        if (skui_future_is_done(future)) {
            if (wait_count(set, future)) {
                return 1;
            }
            continue;
        }
        waiter = skui_waiter_make_hook(wait_hook, set, future);
        if (waiter == NULL) {
            return -ENOMEM;
        }
        if (skui_future_register(future, waiter)) {
            waiter->link = set->hooks;
            set->hooks = waiter;
            continue;
        }
        skui_waiter_free(waiter);
        if (wait_count(set, future)) {
            return 1;
        }
    }
    return 0;
}

static void wait_unregister(struct wait_set *set)
{
    struct skui_waiter *waiter = set->hooks;

    while (waiter != NULL) {
        struct skui_waiter *next = waiter->link;

        (void)skui_future_revoke(waiter->future, waiter);
        waiter = next;
    }
}

/* Whether the wait is over as things are. */
static bool wait_is_over(const struct wait_set *set)
{
    size_t done = 0;

    for (size_t i = 0; i < set->count; i++) {
        if (!skui_future_is_done(set->futures[i])) {
            if (set->when == SKUA_ALL_COMPLETED) {
                return false;
            }
            continue;
        }
        if (set->when == SKUA_FIRST_COMPLETED ||
            (set->when == SKUA_FIRST_EXCEPTION &&
             skui_future_has_failed(set->futures[i]))) {
            return true;
        }
        done++;
    }
    return done == set->count;
}

/* In a worker of a pool which is to do some of it: do the first such. */
static bool wait_help(const struct wait_set *set)
{
    bool helped = false;

    for (size_t i = 0;
         i < set->count && !helped && set->deadline_ns == SKUA_FOREVER; i++) {
        helped = skui_work_help(set->futures[i]);
    }
    return helped;
}

static int wait_first(struct wait_set *set)
{
    int status = wait_register(set);

    while (status == 0 && wait_help(set)) {
        status = wait_is_over(set);
    }
    if (status == 0) {
        status = skui_bell_wait(&set->bell, set->deadline_ns);
    }
    wait_unregister(set);
    return status;
}

static int wait_all(const struct wait_set *set)
{
    int status = 0;

    for (size_t i = 0; i < set->count && status == 0; i++) {
        status = skui_future_wait_done(set->futures[i], set->deadline_ns);
    }
    return status;
}

/* A task that finds everything done goes on, within its budget. */
static int wait_run(struct wait_set *set)
{
    const skua_loop *loop = skui_loop_self();
    const struct skui_task *self = skui_task_self();

    if (wait_is_over(set)) {
        return skui_task_spend_budget();
    }
    if (loop != NULL && self == NULL) {
        return -EDEADLK;
    }
    if (set->deadline_ns <= skui_clock_now()) {
        return self == NULL ? 0 : skua_yield();
    }
    return set->when == SKUA_ALL_COMPLETED ? wait_all(set) : wait_first(set);
}

static int wait_check(skua_future *const *futures, size_t count)
{
    const struct skui_task *self = skui_task_self();

    if (futures == NULL || count == 0 || count > INT_MAX) {
        return -EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        int status = futures[i] == NULL ? -EINVAL
                     : self != NULL && futures[i] == &self->future
                         ? -EDEADLK
                         : skui_future_check(futures[i]);

        if (status < 0) {
            return status;
        }
    }
    return 0;
}

int skua_wait(skua_future *const *futures, size_t count, int64_t timeout_ns,
              skua_return_when when, bool *out_done)
{
    struct skui_distinct distinct;
    struct wait_set set = {.futures = futures, .count = count, .when = when};
    int status = wait_check(futures, count);
    int done = 0;

    if (timeout_ns == SKUA_NOT_A_TIME || (int)when < SKUA_ALL_COMPLETED ||
        when > SKUA_FIRST_EXCEPTION) {
        return -EINVAL;
    }
    if (status == 0) {
        status = skui_distinct_init(&distinct, count);
    }
    if (status < 0) {
        return status;
    }
    skui_store_relaxed(&set.left, count); /* relaxed: not shared yet */
    set.deadline_ns = skui_clock_after(timeout_ns);
    status = wait_run(&set);
    for (size_t i = 0; i < count && (status >= 0 || status == -ETIMEDOUT);
         i++) {
        bool is_done = skui_future_is_done(futures[i]);

        if (out_done != NULL) {
            out_done[i] = is_done;
        }
        done += is_done && skui_distinct_add(&distinct, futures[i]) ? 1 : 0;
    }
    skui_distinct_fini(&distinct);
    return status < 0 && status != -ETIMEDOUT ? status : done;
}
