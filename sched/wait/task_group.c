/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_group.c - children that end before their scope does: from their creation
 * to their end.
 * Threads     The parent, the children and whoever creates or cancels, on any
 *             loops.
 * Invariants  A child is in its cohort's list from its start to its end, when
 *             the runtime still holds a reference or nobody can take one. A
 *             cohort is in the group's list while it has children or admits
 *             some; the group is left by the parent after who took the last
 *             one out has let go of the lock. A group that has no cohort while
 *             its parent leaves gets none any more.
 * Ordering    SL1 for all fields and for the children's links; RF1. The
 *             group's lock is held while a cohort's is taken, never the other
 *             way round.
 * Rejected    One list for all children: creating on one core and ending on
 *             another moved its lock's line twice for each child (50 ns of
 *             170). One cohort for each loop: children end elsewhere.
 *
 * The group observes its children: each tells its end in the thread that
 * completes it, and its failure before anybody can read it: so a parent that
 * awaits that child finds itself cancelled. The last one wakes the parent, if
 * that waits in leave. Children that are created one after the other form a
 * cohort, with a lock of its own: so who ends them does not meet who creates
 * the next ones. The first cohort lies in the group.
 *
 * A cohort's `left` counts the places that are not taken as well, so that a
 * group whose children end at once does not come to its end again and again;
 * sealing gives those up. While the parent leaves, nobody would come to seal:
 * cohorts of that time count only children that were admitted.
 */
#include "task_group.h"

#include <errno.h>

#include "../loop.h"

_Static_assert(sizeof(struct skui_group) <= sizeof(skua_task_group),
               "the public storage fits");
_Static_assert(sizeof(struct skui_cohort) <= SKUI_CACHE_LINE,
               "a cohort is one cache line");

/* Room for one more error; there is room for 4, 8, 16 ... */
static bool group_has_room(struct skui_group *group)
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

void skui_group_note_error(struct skui_group *group, int status,
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
static size_t cohort_next_to_cancel(struct skui_cohort *cohort,
                                    skua_task **batch, size_t capacity)
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

static void cohort_link(struct skui_cohort *cohort, struct skui_task *child)
{
    child->mark = false;
    child->sibling_prev = NULL;
    child->sibling_next = cohort->children;
    if (child->sibling_next != NULL) {
        child->sibling_next->sibling_prev = child;
    }
    cohort->children = child;
}

static void cohort_unlink(struct skui_cohort *cohort, struct skui_task *child)
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
static bool cohort_leave(struct skui_cohort *cohort, struct skui_task *child,
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
static void group_unlink(struct skui_group *group, struct skui_cohort *cohort)
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
static void group_take_out(struct skui_group *group, struct skui_cohort *cohort)
{
    group_unlink(group, cohort);
    cohort->group = NULL; /* the first one may be used again */
}

static void cohort_free(struct skui_group *group, struct skui_cohort *cohort)
{
    if (cohort != &group->first) {
        skui_release_aligned(cohort);
    }
}

void skui_group_seal(struct skui_group *group)
{
    struct skui_cohort *over = NULL;
    struct skui_cohort *cohort;

    skui_spinlock_lock(&group->lock);
    cohort = group->cohorts;
    if (cohort != NULL && cohort->admitted < SKUI_COHORT_CAPACITY) {
        unsigned unused = SKUI_COHORT_CAPACITY - cohort->admitted;

        cohort->admitted = SKUI_COHORT_CAPACITY;
        if (!cohort->counts && cohort_leave(cohort, NULL, unused)) {
            group_take_out(group, cohort);
            over = cohort;
        }
    }
    skui_spinlock_unlock(&group->lock);
    if (over != NULL) {
        cohort_free(group, over);
    }
}

/* Under the group's lock. */
static void group_append(struct skui_group *group, struct skui_cohort *cohort)
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
static size_t group_next_to_cancel(struct skui_group *group, skua_task **batch,
                                   size_t capacity)
{
    struct skui_cohort *cohort;
    size_t count = 0;

    skui_spinlock_lock(&group->lock);
    while ((cohort = group->cohorts) != NULL && count < capacity &&
           cohort->admitted != SKUI_COHORT_CANCELLED) {
        count += cohort_next_to_cancel(cohort, batch + count, capacity - count);
        if (count < capacity) {
            cohort->admitted = SKUI_COHORT_CANCELLED;
            group_unlink(group, cohort);
            group_append(group, cohort);
        }
    }
    skui_spinlock_unlock(&group->lock);
    return count;
}

/* Each outside the lock since that may run callbacks. */
void skui_group_cancel_children(struct skui_group *group)
{
    skua_task *batch[32];
    size_t count;

    skui_group_seal(group); /* the phase has changed: it admits no more */
    do {
        count = group_next_to_cancel(group, batch, 32);
        for (size_t i = 0; i < count; i++) {
            (void)skua_task_cancel(batch[i]);
            skua_future_unref(batch[i]);
        }
    } while (count > 0);
}

bool skui_group_begin_abort(struct skui_group *group, skua_task **out_parent)
{
    if (group->phase != SKUI_GROUP_OPEN) {
        return false;
    }
    group->phase = SKUI_GROUP_ABORTING;
    if (group->parent != NULL && !group->joining) {
        group->parent_cancelled = true;
        *out_parent = skua_future_ref(group->parent);
    }
    return true;
}

void skui_group_abort(struct skui_group *group, skua_task *parent)
{
    skui_group_cancel_children(group);
    if (parent != NULL) {
        (void)skua_task_cancel(parent);
        skua_future_unref(parent);
    }
}

/* --- children that end --- */

/* The first failure aborts: siblings, and the parent's body if it is inside. */
static void child_failing(struct skui_observer *observer,
                          struct skui_task *child,
                          const struct skui_outcome *outcome)
{
    struct skui_cohort *cohort =
        SKUI_CONTAINER_OF(observer, struct skui_cohort, observer);
    struct skui_group *group = cohort->group;
    skua_task *parent = NULL;
    bool aborts;

    skui_spinlock_lock(&cohort->lock);
    child->mark = true; /* it is through: nobody cancels it */
    skui_spinlock_unlock(&cohort->lock);
    skui_spinlock_lock(&group->lock);
    skui_group_note_error(group, outcome->status,
                          skua_exception_ref(outcome->exception));
    aborts = group->policy == SKUA_TASK_GROUP_FAIL_FAST &&
             skui_group_begin_abort(group, &parent);
    skui_spinlock_unlock(&group->lock);
    if (aborts) {
        skui_group_abort(group, parent);
    }
}

/* The first success ends a race. */
static void child_succeeded(struct skui_group *group,
                            const struct skui_task *child,
                            const struct skui_outcome *outcome)
{
    skua_task *parent = NULL;
    bool won;

    skui_spinlock_lock(&group->lock);
    won = skui_group_begin_abort(group, &parent);
    if (won) {
        group->won = true;
        group->winner_status = outcome->status;
        group->winner_value = outcome->value;
        group->winner_index = child->index;
    }
    skui_spinlock_unlock(&group->lock);
    if (won) {
        skui_group_abort(group, parent);
    }
}

void skui_cohort_child_ended(struct skui_cohort *cohort,
                             struct skui_task *child)
{
    struct skui_group *group = cohort->group;
    skui_claim waiter = 0;

    if (!cohort_leave(cohort, child, 1)) {
        return;
    }
    skui_spinlock_lock(&group->lock);
    group_take_out(group, cohort);
    if (skui_group_is_over(group)) {
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

static void child_ended(struct skui_observer *observer, struct skui_task *child,
                        const struct skui_outcome *outcome)
{
    struct skui_cohort *cohort =
        SKUI_CONTAINER_OF(observer, struct skui_cohort, observer);

    if (cohort->races && outcome->status >= 0) {
        child_succeeded(cohort->group, child, outcome);
    }
    skui_cohort_child_ended(cohort, child);
}

/* --- children that are created --- */

void skui_group_set_parent(struct skui_group *group, struct skui_task *parent)
{
    group->parent = &parent->future;
    group->met = skui_task_cancels_met(parent);
}

/* Under the group's lock: let `cohort` admit children. */
static void group_open(struct skui_group *group, struct skui_cohort *cohort)
{
    cohort->observer.failing = child_failing;
    cohort->observer.ended = child_ended;
    cohort->group = group;
    cohort->counts = group->joining;
    cohort->races = group->policy == SKUA_TASK_GROUP_FIRST_SUCCESS;
    cohort->admitted = 0;
    cohort->left = cohort->counts ? 0 : SKUI_COHORT_CAPACITY;
    cohort->prev = NULL;
    cohort->next = group->cohorts;
    if (cohort->next != NULL) {
        cohort->next->prev = cohort;
    } else {
        group->last = cohort;
    }
    group->cohorts = cohort;
}

/* Under the group's lock: the cohort that may admit the next child, if need be
 * `*spare`, which it takes then. NULL when there is none. */
static struct skui_cohort *group_admitting(struct skui_group *group,
                                           struct skui_cohort **spare)
{
    struct skui_cohort *cohort = group->cohorts;

    if (cohort != NULL && cohort->admitted < SKUI_COHORT_CAPACITY) {
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

/* Under the group's lock. False when the cohort's last child is about to take
 * it out. */
static bool cohort_admit(struct skui_cohort *cohort, struct skui_task *child)
{
    bool open;

    skui_spinlock_lock(&cohort->lock);
    open = !cohort->counts || cohort->left > 0 || cohort->admitted == 0;
    if (open) {
        cohort->left = (uint16_t)(cohort->left + cohort->counts);
        cohort_link(cohort, child);
    }
    skui_spinlock_unlock(&cohort->lock);
    cohort->admitted = open ? (uint16_t)(cohort->admitted + 1)
                            : (uint16_t)SKUI_COHORT_CAPACITY;
    return open;
}

/* Under the group's lock: 0, or why it takes no child. */
static int group_check_open(struct skui_group *group, struct skui_task *self)
{
    if (group->phase != SKUI_GROUP_OPEN ||
        (group->joining && group->cohorts == NULL)) {
        group->refused |=
            self != NULL && group->parent == &self->future && !group->joining;
        return SKUA_EINVALSTATE;
    }
    if (group->parent == NULL) {
        if (self == NULL) {
            return SKUA_ENOLOOP;
        }
        skui_group_set_parent(group, self);
    }
    return 0;
}

/* 0, a refusal, or -EAGAIN when it needs a spare cohort. */
static int group_try_admit(struct skui_group *group, struct skui_task *child,
                           struct skui_group_start *start,
                           struct skui_cohort **spare)
{
    struct skui_cohort *cohort;
    int status = group_check_open(group, skui_task_self());

    if (status < 0) {
        return status;
    }
    do {
        cohort = group_admitting(group, spare);
        if (cohort == NULL) {
            return -EAGAIN;
        }
        child->observer = start == NULL ? &cohort->observer
                                        : skui_group_start_bind(start, cohort);
        if (cohort->races) { /* in a line that nothing else touches */
            child->index = group->created;
        }
    } while (!cohort_admit(cohort, child));
    group->created++;
    return 0;
}

static int group_admit(struct skui_group *group, struct skui_task *child,
                       struct skui_group_start *start)
{
    struct skui_cohort *spare = NULL;
    int status;

    for (;;) {
        skui_spinlock_lock(&group->lock);
        status = group_try_admit(group, child, start, &spare);
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

int skui_group_spawn(struct skui_group *group, const skua_task_options *options,
                     skua_task_fn *fn, void *arg,
                     struct skui_group_start *start, skua_task **out_task)
{
    struct skui_task *child;
    int status = skui_task_create_observed(options, fn, arg,
                                           out_task != NULL ? 2 : 1, &child);

    if (status < 0) {
        return status;
    }
    status = group_admit(group, child, start);
    if (status < 0) {
        skui_task_drop_unstarted(child);
        if (out_task != NULL) {
            skua_future_unref(&child->future);
        }
        return status;
    }
    if (out_task != NULL) {
        *out_task = &child->future;
    }
    skui_task_start(child);
    return 0;
}

int skua_task_group_create_task_with(skua_task_group *group,
                                     const skua_task_options *options,
                                     skua_task_fn *fn, void *arg,
                                     skua_task **out_task)
{
    return group == NULL || fn == NULL
               ? -EINVAL
               : skui_group_spawn(skui_group_of(group), options, fn, arg, NULL,
                                  out_task);
}

int skua_task_group_create_task(skua_task_group *group, skua_task_fn *fn,
                                void *arg)
{
    return skua_task_group_create_task_with(group, NULL, fn, arg, NULL);
}

/* --- cancelling from anywhere --- */

int skua_task_group_cancel(skua_task_group *task_group)
{
    struct skui_group *group;
    skua_task *parent = NULL;
    skui_claim waiter = 0;

    if (task_group == NULL) {
        return -EINVAL;
    }
    group = skui_group_of(task_group);
    skui_spinlock_lock(&group->lock);
    if (!skui_group_begin_abort(group, &parent)) {
        skui_spinlock_unlock(&group->lock);
        return 0;
    }
    group->visitors++; /* the parent's own request comes before its end */
    skui_spinlock_unlock(&group->lock);
    skui_group_abort(group, parent);
    skui_spinlock_lock(&group->lock);
    group->visitors--;
    if (skui_group_is_over(group)) {
        waiter = group->waiter;
        group->waiter = 0;
    }
    skui_spinlock_unlock(&group->lock);
    if (waiter != 0) {
        (void)skui_wake(waiter, 0);
    }
    return 0;
}
