/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_group.c - children that end before their scope does.
 * Threads     The parent and its children, on any loops.
 * Invariants  A child is in its cohort's list from its start to its end, when
 *             the runtime still holds a reference or nobody can take one. A
 *             cohort is in the group's list while it has children or admits
 *             some; the group is freed by the parent after who took the last
 *             one out has let go of the lock.
 * Ordering    SL1 for all fields and for the children's links; RF1. The
 *             group's lock is held while a cohort's is taken, never the other
 *             way round.
 * Rejected    One list for all children: creating on one core and ending on
 *             another moved its lock's line twice for each child (50 ns of
 *             170). One cohort for each loop: children end elsewhere.
 *
 * The group observes its children: each tells its end in the thread that
 * completes it. The last one wakes the parent, if that waits in join. Children
 * that are created one after the other form a cohort, with a lock of its own:
 * so who ends them does not meet who creates the next ones. The first cohort
 * lies in the group.
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

enum {
    COHORT_CAPACITY = 64,
    COHORT_CANCELLED, /* in place of how many it admitted: it is full */
};

struct group;

/* Guarded by its lock, but for what is said. One cache line. */
struct cohort {
    struct skui_observer observer; /* of its children; constant */
    struct group *group;           /* constant */
    struct cohort *next;           /* guarded by the group's lock */
    struct cohort *prev;           /* guarded by the group's lock */
    struct skui_task *children;    /* those that live; marked: cancelled */
    struct skui_spinlock lock;
    uint16_t admitted; /* guarded by the group's lock; full: it admits none */
    uint16_t left;     /* that are to end, with those to be admitted */
};

/* All guarded by the lock, but for the parent's own. */
struct group {
    struct cohort first;
    struct cohort *cohorts;  /* newest first: that one may admit; as the group
                                aborts, those not cancelled first */
    struct cohort *last;     /* of them, if there are any */
    skua_task *parent;       /* set by the first child */
    skui_claim waiter;       /* woken when no cohort is left; or 0 */
    skua_exception **errors; /* in order of completion; see group_has_room() */
    struct skui_spinlock lock;
    int lost_status; /* an error that found no memory */
    uint32_t error_count;
    uint8_t phase;
    bool joining;          /* the parent waits in join */
    bool parent_cancelled; /* by the group: join takes that back */
};

_Static_assert(sizeof(struct group) <= sizeof(skua_task_group),
               "the public storage fits");

static struct group *group_of(skua_task_group *group)
{
    return (struct group *)(void *)group->opaque;
}

/* Room for one more error; there is room for 4, 8, 16 ... */
static bool group_has_room(struct group *group)
{
    uint32_t count = group->error_count;
    skua_exception **grown;

    if (count != 0 && (count < 4 || (count & (count - 1)) != 0)) {
        return true;
    }
    grown = skui_resize(group->errors,
                        (count == 0 ? 4 : 2 * (size_t)count) * sizeof(*grown));
    if (grown != NULL) {
        group->errors = grown;
    }
    return grown != NULL;
}

static void group_note_error(struct group *group, int status,
                             skua_exception *exception)
{
    if (exception == NULL) {
        exception = skui_exception_bare(status);
    }
    if (exception == NULL || !group_has_room(group)) {
        group->lost_status = status;
        skua_exception_unref(exception);
        return;
    }
    group->errors[group->error_count++] = exception;
}

/* References to children of a cohort that were not cancelled yet. */
static size_t cohort_next_to_cancel(struct cohort *cohort, skua_task **batch,
                                    size_t capacity)
{
    struct skui_task *child;
    size_t count = 0;

    skui_spinlock_lock(&cohort->lock);
    for (child = cohort->children; child != NULL && count < capacity;
         child = child->sibling_next) {
        /* One that has no reference any more is ending. */
        if (!child->mark && skui_future_try_ref(&child->future)) {
            batch[count++] = &child->future;
        }
        child->mark = true;
    }
    skui_spinlock_unlock(&cohort->lock);
    return count;
}

static void cohort_link(struct cohort *cohort, struct skui_task *child)
{
    child->mark = false;
    child->sibling_prev = NULL;
    child->sibling_next = cohort->children;
    if (child->sibling_next != NULL) {
        child->sibling_next->sibling_prev = child;
    }
    cohort->children = child;
}

static void cohort_unlink(struct cohort *cohort, struct skui_task *child)
{
    if (child->sibling_prev != NULL) {
        child->sibling_prev->sibling_next = child->sibling_next;
    } else {
        cohort->children = child->sibling_next;
    }
    if (child->sibling_next != NULL) {
        child->sibling_next->sibling_prev = child->sibling_prev;
    }
}

/* `count` of its places are done with; true when that was all: then the cohort
 * is the caller's to take out. */
static bool cohort_leave(struct cohort *cohort, struct skui_task *child,
                         unsigned count)
{
    bool over;

    skui_spinlock_lock(&cohort->lock);
    if (child != NULL) {
        cohort_unlink(cohort, child);
    }
    cohort->left = (uint16_t)(cohort->left - count);
    over = cohort->left == 0;
    skui_spinlock_unlock(&cohort->lock);
    return over;
}

/* Under the group's lock. */
static void group_unlink(struct group *group, struct cohort *cohort)
{
    if (cohort->prev != NULL) {
        cohort->prev->next = cohort->next;
    } else {
        group->cohorts = cohort->next;
    }
    if (cohort->next != NULL) {
        cohort->next->prev = cohort->prev;
    } else {
        group->last = cohort->prev;
    }
}

/* Under the group's lock. */
static void group_take_out(struct group *group, struct cohort *cohort)
{
    group_unlink(group, cohort);
    cohort->group = NULL; /* the first one may be used again */
}

static void cohort_free(struct group *group, struct cohort *cohort)
{
    if (cohort != &group->first) {
        skui_release_aligned(cohort);
    }
}

/* The newest cohort admits no more. */
static void group_seal(struct group *group)
{
    struct cohort *cohort;

    skui_spinlock_lock(&group->lock);
    cohort = group->cohorts;
    if (cohort != NULL && cohort->admitted < COHORT_CAPACITY) {
        unsigned unused = COHORT_CAPACITY - cohort->admitted;

        cohort->admitted = COHORT_CAPACITY;
        if (cohort_leave(cohort, NULL, unused)) {
            group_take_out(group, cohort);
        } else {
            cohort = NULL;
        }
    } else {
        cohort = NULL;
    }
    skui_spinlock_unlock(&group->lock);
    if (cohort != NULL) {
        cohort_free(group, cohort);
    }
}

/* Under the group's lock. */
static void group_append(struct group *group, struct cohort *cohort)
{
    cohort->next = NULL;
    cohort->prev = group->cohorts == NULL ? NULL : group->last;
    if (cohort->prev != NULL) {
        cohort->prev->next = cohort;
    } else {
        group->cohorts = cohort;
    }
    group->last = cohort;
}

/* Each cohort that is through moves to the end, so none is looked at again. */
static size_t group_next_to_cancel(struct group *group, skua_task **batch,
                                   size_t capacity)
{
    struct cohort *cohort;
    size_t count = 0;

    skui_spinlock_lock(&group->lock);
    while ((cohort = group->cohorts) != NULL && count < capacity &&
           cohort->admitted != COHORT_CANCELLED) {
        count += cohort_next_to_cancel(cohort, batch + count, capacity - count);
        if (count < capacity) {
            cohort->admitted = COHORT_CANCELLED;
            group_unlink(group, cohort);
            group_append(group, cohort);
        }
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

    group_seal(group); /* the phase has changed: it admits no more */
    do {
        count = group_next_to_cancel(group, batch, 32);
        for (size_t i = 0; i < count; i++) {
            (void)skua_task_cancel(batch[i]);
            skua_future_unref(batch[i]);
        }
    } while (count > 0);
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
    struct cohort *cohort =
        SKUI_CONTAINER_OF(observer, struct cohort, observer);
    struct group *group = cohort->group;
    skui_claim waiter = 0;

    if (outcome->status < 0 && outcome->status != SKUA_ECANCELED) {
        child_failed(group, outcome);
    }
    if (!cohort_leave(cohort, child, 1)) {
        return;
    }
    skui_spinlock_lock(&group->lock);
    group_take_out(group, cohort);
    if (group->cohorts == NULL) {
        waiter = group->waiter;
        group->waiter = 0;
    }
    skui_spinlock_unlock(&group->lock);
    /* From here on the parent may free the group. */
    cohort_free(group, cohort);
    if (waiter != 0) {
        (void)skui_wake(waiter, 0);
    }
}

/* Under the group's lock: let `cohort` admit children. When the parent waits
 * for the end already, only one. */
static void group_open(struct group *group, struct cohort *cohort)
{
    cohort->observer.ended = child_ended;
    cohort->group = group;
    cohort->admitted = group->joining ? COHORT_CAPACITY - 1 : 0;
    cohort->left = group->joining ? 1 : COHORT_CAPACITY;
    cohort->prev = NULL;
    cohort->next = group->cohorts;
    if (cohort->next != NULL) {
        cohort->next->prev = cohort;
    } else {
        group->last = cohort;
    }
    group->cohorts = cohort;
}

/* Under the group's lock: the cohort that admits the next child, if need be
 * `*spare`, which it takes then. NULL when there is none. */
static struct cohort *group_admitting(struct group *group,
                                      struct cohort **spare)
{
    struct cohort *cohort = group->cohorts;

    if (cohort != NULL && cohort->admitted < COHORT_CAPACITY) {
        return cohort;
    }
    cohort = &group->first;
    if (cohort->group != NULL) {
        cohort = *spare;
        *spare = NULL;
    }
    if (cohort != NULL) {
        group_open(group, cohort);
    }
    return cohort;
}

/* 0, a refusal, or -EAGAIN when it needs a spare cohort. */
static int group_try_admit(struct group *group, struct skui_task *child,
                           struct cohort **spare)
{
    const struct skui_task *self = skui_task_self();
    struct cohort *cohort;

    if (group->phase != GROUP_OPEN) {
        return SKUA_EINVALSTATE;
    }
    if (group->parent == NULL && self == NULL) {
        return SKUA_ENOLOOP;
    }
    cohort = group_admitting(group, spare);
    if (cohort == NULL) {
        return -EAGAIN;
    }
    if (group->parent == NULL) {
        group->parent = (skua_task *)&self->future;
    }
    cohort->admitted++;
    child->observer = &cohort->observer;
    skui_spinlock_lock(&cohort->lock);
    cohort_link(cohort, child);
    skui_spinlock_unlock(&cohort->lock);
    return 0;
}

static int group_admit(struct group *group, struct skui_task *child)
{
    struct cohort *spare = NULL;
    int status;

    for (;;) {
        skui_spinlock_lock(&group->lock);
        status = group_try_admit(group, child, &spare);
        skui_spinlock_unlock(&group->lock);
        if (status != -EAGAIN) {
            break;
        }
        spare = skui_allocate_aligned(sizeof(*spare));
        if (spare == NULL) {
            return -ENOMEM;
        }
    }
    skui_release_aligned(spare); /* if another one came first */
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
    status = skui_task_create_observed(fn, arg, NULL, &child);
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
    wait = group->cohorts != NULL;
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
        bool live;

        skui_spinlock_lock(&group->lock);
        group->waiter = 0; /* of an interrupted wait */
        live = group->cohorts != NULL;
        skui_spinlock_unlock(&group->lock);
        if (!live) {
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
    group_seal(group);
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
