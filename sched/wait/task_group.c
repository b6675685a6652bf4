/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_group.c - children that end before their scope does.
 * Threads     The parent and its children, on any loops.
 * Invariants  A child is in the list from its start to its end, when the
 *             runtime still holds a reference or nobody can take one. The
 *             group is freed by the parent after the last child's observer has
 *             let go of the lock.
 * Ordering    SL1 for all fields and for the children's links; RF1.
 *
 * The group observes its children: each tells its end in the thread that
 * completes it. The last one wakes the parent, if that waits in join.
 */
#include "skua/task_group.h"

#include <errno.h>

#include "../future.h"
#include "../loop.h"
#include "../spinlock.h"
#include "../task.h"

enum group_phase {
    GROUP_OPEN,
    GROUP_ABORTING, /* children are being cancelled */
    GROUP_JOINED,
};

/* All guarded by the lock, but for the parent's own. */
struct group {
    struct skui_observer observer; /* of the children; set by the first */
    struct skui_spinlock lock;
    uint32_t phase;
    skua_task *parent;          /* set by the first child */
    struct skui_task *children; /* those that live; marked: cancelled */
    size_t live;
    skui_claim waiter;       /* woken when live falls to 0; or 0 */
    skua_exception **errors; /* in order of completion */
    uint32_t error_count;
    uint32_t error_capacity;
    bool joining;          /* the parent waits in join */
    bool parent_cancelled; /* by the group: join takes that back */
    int lost_status;       /* an error that found no memory */
};

_Static_assert(sizeof(struct group) <= sizeof(skua_task_group),
               "the public storage fits");

static struct group *group_of(skua_task_group *group)
{
    return (struct group *)(void *)group->opaque;
}

static void group_note_error(struct group *group, int status,
                             skua_exception *exception)
{
    if (exception == NULL) {
        exception = skui_exception_bare(status);
    }
    if (exception != NULL && group->error_count == group->error_capacity) {
        uint32_t capacity =
            group->error_capacity == 0 ? 4 : group->error_capacity * 2;
        skua_exception **grown =
            skui_resize(group->errors, capacity * sizeof(*grown));

        if (grown != NULL) {
            group->errors = grown;
            group->error_capacity = capacity;
        }
    }
    if (exception == NULL || group->error_count == group->error_capacity) {
        group->lost_status = status;
        skua_exception_unref(exception);
        return;
    }
    group->errors[group->error_count++] = exception;
}

/* References to children that were not cancelled yet. */
static size_t group_next_to_cancel(struct group *group, skua_task **batch,
                                   size_t capacity)
{
    struct skui_task *child;
    size_t count = 0;

    skui_spinlock_lock(&group->lock);
    for (child = group->children; child != NULL && count < capacity;
         child = child->sibling_next) {
        /* One that has no reference any more is ending. */
        if (!child->mark && skui_future_try_ref(&child->future)) {
            batch[count++] = &child->future;
        }
        child->mark = true;
    }
    skui_spinlock_unlock(&group->lock);
    return count;
}

/* Cancel every child once, each outside the lock since that may run callbacks.
 */
static void group_cancel_children(struct group *group)
{
    skua_task *batch[32];
    size_t count;

    do {
        count = group_next_to_cancel(group, batch, 32);
        for (size_t i = 0; i < count; i++) {
            (void)skua_task_cancel(batch[i]);
            skua_future_unref(batch[i]);
        }
    } while (count > 0);
}

static void group_link(struct group *group, struct skui_task *child)
{
    child->mark = false;
    child->sibling_prev = NULL;
    child->sibling_next = group->children;
    if (child->sibling_next != NULL) {
        child->sibling_next->sibling_prev = child;
    }
    group->children = child;
    group->live++;
}

static void group_unlink(struct group *group, struct skui_task *child)
{
    if (child->sibling_prev != NULL) {
        child->sibling_prev->sibling_next = child->sibling_next;
    } else {
        group->children = child->sibling_next;
    }
    if (child->sibling_next != NULL) {
        child->sibling_next->sibling_prev = child->sibling_prev;
    }
    group->live--;
}

/* The first failure aborts: siblings, and the parent's body if it is inside. */
static void child_failed(struct group *group,
                         const struct skui_outcome *outcome)
{
    skua_task *parent = NULL;
    bool first;

    skui_spinlock_lock(&group->lock);
    group_note_error(group, outcome->status,
                     skua_exception_ref(outcome->exception));
    first = group->phase == GROUP_OPEN;
    if (first) {
        group->phase = GROUP_ABORTING;
        if (!group->joining) {
            group->parent_cancelled = true;
            parent = skua_future_ref(group->parent);
        }
    }
    skui_spinlock_unlock(&group->lock);
    if (first) {
        group_cancel_children(group);
    }
    if (parent != NULL) {
        (void)skua_task_cancel(parent);
        skua_future_unref(parent);
    }
}

static void child_ended(struct skui_observer *observer, struct skui_task *child,
                        const struct skui_outcome *outcome)
{
    struct group *group = SKUI_CONTAINER_OF(observer, struct group, observer);
    skui_claim waiter = 0;

    if (outcome->status < 0 && outcome->status != SKUA_ECANCELED) {
        child_failed(group, outcome);
    }
    skui_spinlock_lock(&group->lock);
    group_unlink(group, child);
    if (group->live == 0) {
        waiter = group->waiter;
        group->waiter = 0;
    }
    skui_spinlock_unlock(&group->lock);
    /* From here on the parent may free the group. */
    if (waiter != 0) {
        (void)skui_wake(waiter, 0);
    }
}

static int group_admit(struct group *group, struct skui_task *child)
{
    const struct skui_task *self = skui_task_self();
    int status = 0;

    skui_spinlock_lock(&group->lock);
    if (group->phase != GROUP_OPEN) {
        status = SKUA_EINVALSTATE;
    } else if (group->parent == NULL && self == NULL) {
        status = SKUA_ENOLOOP;
    } else {
        if (group->parent == NULL) {
            group->parent = (skua_task *)&self->future;
            group->observer.ended = child_ended;
        }
        group_link(group, child);
    }
    skui_spinlock_unlock(&group->lock);
    return status;
}

int skua_task_group_create_task(skua_task_group *task_group, skua_task_fn *fn,
                                void *arg)
{
    struct group *group;
    struct skui_task *child;
    int status;

    if (task_group == NULL || fn == NULL) {
        return -EINVAL;
    }
    if (skui_loop_self() == NULL) {
        return SKUA_ENOLOOP;
    }
    group = group_of(task_group);
    status = skui_task_create_observed(fn, arg, &group->observer, &child);
    if (status < 0) {
        return status;
    }
    status = group_admit(group, child);
    if (status < 0) {
        skui_task_drop_unstarted(child);
        return status;
    }
    skui_task_start(child);
    return 0;
}

/* --- joining --- */

static void group_publish(skui_claim claim, void *arg)
{
    struct group *group = arg;
    bool wait;

    skui_spinlock_lock(&group->lock);
    wait = group->live > 0;
    group->waiter = wait ? claim : 0;
    skui_spinlock_unlock(&group->lock);
    if (!wait) {
        (void)skui_wake(claim, 0);
    }
}

/* Wait until no child lives; a cancelled wait cancels them and waits on. */
static int group_wait(struct group *group)
{
    int result = 0;

    for (;;) {
        bool first;
        size_t live;

        skui_spinlock_lock(&group->lock);
        group->waiter = 0; /* of an interrupted wait */
        live = group->live;
        skui_spinlock_unlock(&group->lock);
        if (live == 0) {
            return result;
        }
        if (skui_task_wait(group_publish, group, SKUA_FOREVER) !=
            SKUA_ECANCELED) {
            continue;
        }
        result = SKUA_ECANCELED;
        skui_spinlock_lock(&group->lock);
        first = group->phase == GROUP_OPEN;
        group->phase = GROUP_ABORTING;
        skui_spinlock_unlock(&group->lock);
        if (first) {
            group_cancel_children(group);
        }
    }
}

static int group_outcome(struct group *group, int status)
{
    skua_exception *exception;

    if (group->error_count == 0 && group->lost_status == 0) {
        return status;
    }
    exception =
        skui_exception_group(SKUA_EGROUP, "unhandled errors in a task group",
                             group->errors, group->error_count);
    if (exception == NULL) {
        for (uint32_t i = 0; i < group->error_count; i++) {
            skua_exception_unref(group->errors[i]);
        }
    }
    skui_release(group->errors);
    group->errors = NULL;
    skui_frame_set_exception(skui_frame_current(), exception);
    return SKUA_EGROUP;
}

int skua_task_group_join(skua_task_group *task_group)
{
    struct skui_task *self = skui_task_self();
    struct group *group;
    int status = 0;

    if (task_group == NULL) {
        return -EINVAL;
    }
    if (self == NULL) {
        return SKUA_ENOLOOP;
    }
    group = group_of(task_group);
    skui_spinlock_lock(&group->lock);
    if (group->phase == GROUP_JOINED || group->joining) {
        status = SKUA_EINVALSTATE;
    } else if (group->parent != NULL && group->parent != &self->future) {
        status = -EPERM;
    } else {
        group->joining = true;
    }
    skui_spinlock_unlock(&group->lock);
    if (status < 0) {
        return status;
    }
    status = group_wait(group);
    if (group->parent_cancelled) {
        /* The group's own request is no cancellation of the parent. */
        if (skua_task_uncancel(&self->future) == 0 &&
            status == SKUA_ECANCELED) {
            status = 0;
        }
    }
    group->phase = GROUP_JOINED;
    status = group_outcome(group, status);
    if (status == SKUA_EGROUP && skua_task_cancelling(&self->future) > 0) {
        /* A request from outside waits behind the errors (asyncio). */
        (void)skua_task_uncancel(&self->future);
        (void)skua_task_cancel(&self->future);
    }
    return status;
}
