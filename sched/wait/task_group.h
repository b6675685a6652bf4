/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_group.h - what lies in a task group's storage.
 *
 *                  create  end of a child  cancel  leave
 *   create           -           -           -       -    (any thread)
 *   end of a child   -           -           -       -    (any thread)
 *   cancel           -           -           -       -    (any thread)
 *   leave            -           -           -       x    (the parent)
 *
 * A group is one thing after the other: OPEN, perhaps ABORTING, JOINED. It
 * admits children while it is OPEN, until it has none while its parent leaves.
 */
#ifndef SKUI_TASK_GROUP_H
#define SKUI_TASK_GROUP_H

#include "../spinlock.h"
#include "../task.h"
#include "skua/task_group.h"

SKUI_BEGIN_DECLS

enum skui_group_phase {
    SKUI_GROUP_OPEN,
    SKUI_GROUP_ABORTING, /* children are being cancelled */
    SKUI_GROUP_JOINED,
};

enum {
    SKUI_COHORT_CAPACITY = 64,
    SKUI_COHORT_CANCELLED, /* in place of how many it admitted: it is full */
};

struct skui_group;

/* Guarded by its lock, but for what is said. One cache line. */
struct skui_cohort {
    struct skui_observer observer; /* of its children; constant */
    struct skui_group *group;      /* constant */
    struct skui_cohort *next;      /* guarded by the group's lock */
    struct skui_cohort *prev;      /* guarded by the group's lock */
    struct skui_task *children;    /* those that live; marked: cancelled */
    struct skui_spinlock lock;
    uint16_t admitted; /* guarded by the group's lock; full: it admits none */
    uint16_t left;     /* that are to end, with those to be admitted */
    bool counts;       /* constant: `left` is only of those that were */
    bool races;        /* constant: the policy is FIRST_SUCCESS; here, so that
                          who ends a child need not look at the group */
};

/* All guarded by the lock, but for the parent's own. */
struct skui_group {
    struct skui_cohort first;
    struct skui_cohort *cohorts; /* newest first: that one may admit; as the
                                    group aborts, those not cancelled first */
    struct skui_cohort *last;    /* of them, if there are any */
    skua_task *parent;           /* set by entering, or the first child */
    skui_claim waiter;           /* woken when the group is over; or 0 */
    skua_exception **errors;     /* in order of completion */
    void *winner_value;          /* FIRST_SUCCESS: if there is a winner */
    struct skui_spinlock lock;
    int lost_status; /* an error that found no memory */
    uint32_t error_count;
    uint32_t created;  /* children, for their numbers */
    uint32_t met;      /* the parent's requests at entry */
    uint32_t visitors; /* cancellers; the group stays until they are gone */
    uint32_t winner_index;
    int winner_status;
    uint8_t phase;         /* enum skui_group_phase */
    uint8_t policy;        /* enum skua_task_group_policy */
    bool joining;          /* the parent waits in leave */
    bool parent_cancelled; /* by the group: leave takes that back */
    bool refused;          /* the parent a child, since the group aborts */
    bool won;              /* FIRST_SUCCESS: there is a winner */
};

static inline struct skui_group *skui_group_of(const skua_task_group *group)
{
    return (struct skui_group *)(void *)((skua_task_group *)group)->opaque;
}

/* Let `parent`, which runs here, be the group's. Under the lock. */
void skui_group_set_parent(struct skui_group *group, struct skui_task *parent);

/* Whether nobody but the parent knows the group any more. Under the lock. */
static inline bool skui_group_is_over(const struct skui_group *group)
{
    return group->cohorts == NULL && group->visitors == 0;
}

/* What makes a child different: see task_group_start.c. */
struct skui_group_start;

/* Create, admit and start a child; `out_task` may be NULL. */
int skui_group_spawn(struct skui_group *group, const skua_task_options *options,
                     skua_task_fn *fn, void *arg,
                     struct skui_group_start *start, skua_task **out_task);
/* Before it is admitted: the child reports to `start`; gives its observer. */
struct skui_observer *skui_group_start_bind(struct skui_group_start *start,
                                            struct skui_cohort *cohort);

/* A child of the cohort has ended, and been told of. */
void skui_cohort_child_ended(struct skui_cohort *cohort,
                             struct skui_task *child);

/* The newest cohort admits no more. */
void skui_group_seal(struct skui_group *group);
/* Cancel every child once; the group is ABORTING. */
void skui_group_cancel_children(struct skui_group *group);

/* Add an error (`exception` is taken, may be NULL). Under the lock. */
void skui_group_note_error(struct skui_group *group, int status,
                           skua_exception *exception);

/* Under the lock: OPEN -> ABORTING, else false. `*out_parent`: a reference, if
 * the parent's body is to be cancelled. */
bool skui_group_begin_abort(struct skui_group *group, skua_task **out_parent);
/* Then, without it: cancel the children, and `parent` (taken, may be NULL). */
void skui_group_abort(struct skui_group *group, skua_task *parent);

SKUI_END_DECLS

#endif
