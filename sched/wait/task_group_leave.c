/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_group_leave.c - a task group's scope: entering, leaving, what comes out.
 * Threads     The parent.
 * Invariants  Each request that the group made to its parent is taken back
 *             here, once: a group that aborts by itself leaves the parent's
 *             count as it was.
 * Ordering    SL1 (task_group.c).
 *
 * What comes out, as in asyncio: errors of children, in order of completion,
 * and the body's at the end, as one group; else a cancellation that was not
 * the group's own; else nothing. When errors come out while the parent is being
 * cancelled from outside as well, it is cancelled anew: its next wait ends.
 */
#include <errno.h>

#include "../exception.h"
#include "task_group.h"

int skua_task_group_enter(skua_task_group *task_group,
                          const skua_task_group_options *options)
{
    unsigned policy = options == NULL ? 0 : (unsigned)options->policy;
    struct skui_task *self = skui_task_self();
    struct skui_group *group;
    bool cancelled = false;
    int status = 0;

    if (task_group == NULL || policy > SKUA_TASK_GROUP_FIRST_SUCCESS) {
        return -EINVAL;
    }
    if (self == NULL) {
        return SKUA_ENOLOOP;
    }
    group = skui_group_of(task_group);
    skui_spinlock_lock(&group->lock);
    if (group->parent != NULL || group->joining) {
        status = SKUA_EINVALSTATE;
    } else {
        skui_group_set_parent(group, self);
        group->policy = (uint8_t)policy;
        cancelled = group->phase == SKUI_GROUP_ABORTING;
        group->parent_cancelled = cancelled;
    }
    skui_spinlock_unlock(&group->lock);
    if (cancelled) {
        (void)skua_task_cancel(&self->future);
    }
    return status;
}

/* --- waiting --- */

static void group_publish(skui_claim claim, void *arg)
{
    struct skui_group *group = arg;
    bool over;

    skui_spinlock_lock(&group->lock);
    over = skui_group_is_over(group);
    group->waiter = over ? 0 : claim;
    skui_spinlock_unlock(&group->lock);
    if (over) {
        (void)skui_wake(claim, 0);
    }
}

/* Whether no child lives: then the group is JOINED, and admits none. */
static bool group_is_joined(struct skui_group *group)
{
    bool over;

    skui_spinlock_lock(&group->lock);
    group->waiter = 0; /* of an interrupted wait */
    over = skui_group_is_over(group);
    if (over) {
        group->phase = SKUI_GROUP_JOINED;
    }
    skui_spinlock_unlock(&group->lock);
    return over;
}

/* Wait until no child lives. A cancelled wait cancels them and waits on; true
 * when there was one. */
static bool group_wait(struct skui_group *group)
{
    bool cancelled = false;

    while (!group_is_joined(group)) {
        skua_task *nobody = NULL; /* the parent waits */
        bool first;

        if (skui_task_wait(group_publish, group, SKUA_FOREVER) !=
            SKUA_ECANCELED) {
            continue;
        }
        cancelled = true;
        skui_spinlock_lock(&group->lock);
        first = skui_group_begin_abort(group, &nobody);
        skui_spinlock_unlock(&group->lock);
        if (first) {
            skui_group_abort(group, nobody);
        }
    }
    return cancelled;
}

/* --- what comes out --- */

static void group_note_body(struct skui_group *group, struct skui_task *self,
                            int status)
{
    skua_exception *exception = self->frame.exception;

    if (skua_exception_status(exception) != status) {
        exception = NULL; /* of something before */
    }
    skui_group_note_error(group, status, skua_exception_ref(exception));
}

static void group_forget_errors(struct skui_group *group)
{
    for (uint32_t i = 0; i < group->error_count; i++) {
        skua_exception_unref(group->errors[i]);
    }
    group->error_count = 0;
    group->lost_status = 0;
}

static int group_raise(struct skui_group *group, struct skui_task *self)
{
    skua_exception *exception =
        skui_exception_group(SKUA_EGROUP, "unhandled errors in a task group",
                             group->errors, group->error_count);

    if (exception == NULL) {
        group_forget_errors(group);
    }
    skui_frame_set_exception(&self->frame, exception);
    if (skua_task_cancelling(&self->future) > 0) {
        /* A request from outside waits behind the errors (asyncio). */
        (void)skui_task_uncancel(self, 0);
        (void)skua_task_cancel(&self->future);
    }
    return SKUA_EGROUP;
}

/* All children have ended. `cancelled`: the body, or the wait for them. */
static int group_conclude(struct skui_group *group, struct skui_task *self,
                          int status, bool cancelled)
{
    if (group->parent_cancelled &&
        (uint32_t)skui_task_uncancel(self, group->met) <= group->met) {
        cancelled = false; /* there was only the group's own request */
    }
    if (group->won) {
        group_forget_errors(group);
    }
    if (status < 0 && status != SKUA_ECANCELED) {
        group_note_body(group, self, status);
    }
    if (group->error_count > 0 || group->lost_status != 0) {
        status = group_raise(group, self);
    } else if (cancelled) {
        status = SKUA_ECANCELED;
    } else if (status == SKUA_ECANCELED) {
        status = 0;
    }
    if (group->errors != NULL) {
        skui_release(group->errors);
        group->errors = NULL;
    }
    return status;
}

/* Begin to leave: 0, 1 when the children are to be cancelled, or a refusal. */
static int group_begin_leave(struct skui_group *group, struct skui_task *self,
                             int *status)
{
    skua_task *nobody = NULL;
    bool aborts;

    if (group->joining) {
        return SKUA_EINVALSTATE;
    }
    if (group->parent == NULL) {
        skui_group_set_parent(group, self);
    }
    if (group->parent != &self->future) {
        return -EPERM;
    }
    group->joining = true;
    if (*status == SKUA_EINVALSTATE && group->refused) {
        *status = 0; /* no error of the body: what aborts the group comes out */
    }
    aborts = *status == SKUA_ECANCELED ||
             (*status < 0 && group->policy != SKUA_TASK_GROUP_COLLECT);
    return aborts && skui_group_begin_abort(group, &nobody);
}

int skua_task_group_leave(skua_task_group *task_group, int status)
{
    struct skui_task *self = skui_task_self();
    struct skui_group *group;
    bool cancelled;
    int begun;

    if (task_group == NULL) {
        return -EINVAL;
    }
    if (self == NULL) {
        return SKUA_ENOLOOP;
    }
    group = skui_group_of(task_group);
    skui_spinlock_lock(&group->lock);
    begun = group_begin_leave(group, self, &status);
    skui_spinlock_unlock(&group->lock);
    if (begun < 0) {
        return begun;
    }
    if (begun > 0) {
        skui_group_cancel_children(group);
    } else {
        skui_group_seal(group);
    }
    cancelled = group_wait(group) || status == SKUA_ECANCELED;
    return group_conclude(group, self, status, cancelled);
}

int skua_task_group_join(skua_task_group *group)
{
    return skua_task_group_leave(group, 0);
}

int skua_task_group_winner(const skua_task_group *task_group, size_t *out_index,
                           void **out_value)
{
    struct skui_group *group;
    int status;

    if (task_group == NULL) {
        return -EINVAL;
    }
    group = skui_group_of(task_group);
    skui_spinlock_lock(&group->lock);
    status = group->winner_status;
    if (group->phase != SKUI_GROUP_JOINED ||
        group->policy != SKUA_TASK_GROUP_FIRST_SUCCESS) {
        status = SKUA_EINVALSTATE;
    } else if (!group->won) {
        status = -ENOENT;
    } else {
        if (out_index != NULL) {
            *out_index = group->winner_index;
        }
        if (out_value != NULL) {
            *out_value = group->winner_value;
        }
    }
    skui_spinlock_unlock(&group->lock);
    return status;
}
