/* SPDX-License-Identifier: Apache-2.0 */
/*
 * condition.c - wait for a notification, with a lock around what is waited for.
 * Threads     Any.
 * Invariants  A waiter is in the list before the lock is free, so a notifier
 *             that had to wait for the lock finds it there.
 * Ordering    SL1 the list.
 *
 * The lock is given back once the waiter is parked, by whoever parks it: a
 * waiter that goes on at once queues for the lock like any other.
 */
#include <errno.h>
#include <limits.h>

#include "../waitq.h"
#include "skua/sync.h"

enum { CONDITION_NOTIFIED = 1 }; /* in a node: by a grant that was revoked */

struct condition {
    struct skui_spinlock lock; /* of the list */
    struct skui_waitq waiters;
    skua_lock *outer; /* constant; NULL: `own` */
    skua_lock own;
};

_Static_assert(sizeof(struct condition) <= sizeof(skua_condition),
               "the public storage fits");

static struct condition *condition_of(const skua_condition *condition)
{
    return (struct condition *)(void *)((skua_condition *)condition)->opaque;
}

static skua_lock *condition_lock(struct condition *condition)
{
    return condition->outer != NULL ? condition->outer : &condition->own;
}

int skua_condition_init(skua_condition *condition, skua_lock *lock)
{
    if (condition == NULL) {
        return -EINVAL;
    }
    *condition_of(condition) = (struct condition){.outer = lock};
    return 0;
}

int skua_condition_acquire(skua_condition *condition)
{
    return condition == NULL
               ? -EINVAL
               : skua_lock_acquire(condition_lock(condition_of(condition)));
}

int skua_condition_release(skua_condition *condition)
{
    return condition == NULL
               ? -EINVAL
               : skua_lock_release(condition_lock(condition_of(condition)));
}

bool skua_condition_locked(const skua_condition *condition)
{
    return condition != NULL &&
           skua_lock_locked(condition_lock(condition_of(condition)));
}

static int condition_wake(struct condition *condition, size_t count)
{
    struct skui_waitq_chain chain = {NULL, NULL};
    int woken = 0;

    skui_spinlock_lock(&condition->lock);
    while (count-- > 0 &&
           skui_waitq_take_first(&condition->waiters, &chain) != NULL) {
        woken++;
    }
    skui_spinlock_unlock(&condition->lock);
    skui_waitq_grant(&chain);
    return woken;
}

int skua_condition_notify(skua_condition *condition, size_t count)
{
    if (condition == NULL) {
        return -EINVAL;
    }
    return skua_condition_locked(condition)
               ? condition_wake(condition_of(condition), count)
               : -EPERM;
}

int skua_condition_notify_all(skua_condition *condition)
{
    return skua_condition_notify(condition, SIZE_MAX);
}

static void condition_unlock(void *lock)
{
    (void)skua_lock_release(lock);
}

/* Wait until it is the caller's, however often that is cancelled meanwhile;
 * true if it was. */
static bool condition_relock(struct condition *condition)
{
    bool cancelled = false;

    while (skua_lock_acquire(condition_lock(condition)) < 0) {
        cancelled = true;
    }
    return cancelled;
}

/* A notification passes to the next waiter; from one that goes on when that has
 * the lock again. */
static void condition_hand_on(struct skui_waitq_node *node, bool goes_on)
{
    if (goes_on) {
        node->value = CONDITION_NOTIFIED;
    } else {
        (void)condition_wake(
            SKUI_CONTAINER_OF(node->lock, struct condition, lock), 1);
    }
}

static int condition_wait(struct condition *condition, int64_t deadline_ns)
{
    struct skui_waitq_node node;
    bool notified;
    int status;

    skui_spinlock_lock(&condition->lock);
    skui_waitq_begin(&node, &condition->lock, deadline_ns);
    node.parked = condition_unlock;
    node.parked_arg = condition_lock(condition);
    node.hand_on = condition_hand_on;
    status = skui_waitq_wait(&condition->waiters, &node);
    if (status == -EDEADLK) {
        return status; /* the lock was not released */
    }
    notified = status == SKUI_WAITQ_GRANTED || node.value == CONDITION_NOTIFIED;
    if (condition_relock(condition)) {
        status = SKUA_ECANCELED;
    }
    if (notified && status < 0) {
        (void)condition_wake(condition, 1);
    }
    return status;
}

int skua_condition_wait(skua_condition *condition)
{
    return skua_condition_wait_until(condition, SKUA_FOREVER);
}

int skua_condition_wait_until(skua_condition *condition, int64_t deadline_ns)
{
    if (condition == NULL || deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    return skua_condition_locked(condition)
               ? condition_wait(condition_of(condition), deadline_ns)
               : -EPERM;
}

int skua_condition_wait_for(skua_condition *condition,
                            skua_predicate_fn *predicate, void *arg)
{
    return skua_condition_wait_for_until(condition, SKUA_FOREVER, predicate,
                                         arg);
}

int skua_condition_wait_for_until(skua_condition *condition,
                                  int64_t deadline_ns,
                                  skua_predicate_fn *predicate, void *arg)
{
    int status = 0;

    if (condition == NULL || predicate == NULL ||
        deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    if (!skua_condition_locked(condition)) {
        return -EPERM;
    }
    while (!predicate(arg)) {
        if (status < 0) {
            return status;
        }
        status = skua_condition_wait_until(condition, deadline_ns);
        if (status < 0 && status != -ETIMEDOUT) {
            return status;
        }
    }
    return 0;
}
