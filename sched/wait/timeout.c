/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timeout.c - a scope that cancels its task at a deadline.
 * Threads     The task that entered the scope leaves it; the timer's callback
 *             runs on the loop where the deadline was set; any thread moves
 *             the deadline.
 * Invariants  NEW -> ENTERED -> EXPIRING -> EXPIRED -> EXITED_EXPIRED, or
 *             ENTERED -> EXITED. ENTERED <-> SOON by the task itself.
 * Ordering    SL1 for all fields. The scope's lock is held while a timer is
 *             started, so the wheel's is taken under it, never the other way
 *             round.
 * Progress    exit waits for a callback that cancels the task just now.
 * Rejected    A callback for a deadline that is past: the task may suspend,
 *             move to another loop and go on before its former loop runs that.
 *             A timer in the scope's memory: its callback may be queued when
 *             the task leaves, and nothing is taken out of a loop's queue.
 *
 * The deadline is an ordinary timer of a loop whose callback cancels the task,
 * as in asyncio. Leaving the scope cancels the timer's handle, which waits for
 * a callback that runs right now on another loop; one that is of a former
 * deadline is cancelled by who moved that, before the call returns. So nobody
 * touches the scope's memory after exit and after all other calls on it.
 *
 * When the deadline is past already as the task sets it, the task requests its
 * own cancellation (SOON), and the next suspension takes that. Until then the
 * scope has not expired: leaving it or moving the deadline takes it back.
 */
#include "skua/timeout.h"

#include <errno.h>

#include "../clock.h"
#include "../future.h"
#include "../loop.h"
#include "../spinlock.h"
#include "../task.h"

enum timeout_state {
    TIMEOUT_NEW,
    TIMEOUT_ENTERED,
    TIMEOUT_SOON,     /* the task cancelled itself; the next suspension ends */
    TIMEOUT_EXPIRING, /* the task is being cancelled, by who made it so */
    TIMEOUT_EXPIRED,  /* the task was cancelled */
    TIMEOUT_EXITED,
    TIMEOUT_EXITED_EXPIRED,
};

/* Guarded by the lock. */
struct timeout_scope {
    struct skui_spinlock lock;
    uint32_t state;
    uint32_t quiet;      /* requests that the task had met at entry */
    skua_task *task;     /* that entered; it lives until it leaves */
    skua_handle *handle; /* of the timer; NULL: none */
    int64_t deadline_ns;
};

_Static_assert(sizeof(struct timeout_scope) <= sizeof(skua_timeout),
               "the public storage fits");

static struct timeout_scope *timeout_scope(const skua_timeout *timeout)
{
    return (struct timeout_scope *)(void *)((skua_timeout *)timeout)->opaque;
}

static void timeout_set_state(struct timeout_scope *scope,
                              enum timeout_state state)
{
    skui_spinlock_lock(&scope->lock);
    scope->state = state;
    skui_spinlock_unlock(&scope->lock);
}

static bool timeout_is_past(int64_t deadline_ns)
{
    return deadline_ns != SKUA_FOREVER && deadline_ns <= skui_clock_now();
}

static void timeout_due(void *arg)
{
    struct timeout_scope *scope = arg;
    skua_task *task = NULL;

    skui_spinlock_lock(&scope->lock);
    /* The deadline may have moved since this was queued. */
    if (scope->state == TIMEOUT_ENTERED &&
        timeout_is_past(scope->deadline_ns)) {
        scope->state = TIMEOUT_EXPIRING;
        task = scope->task;
    }
    skui_spinlock_unlock(&scope->lock);
    if (task != NULL) {
        (void)skua_task_cancel(task);
        timeout_set_state(scope, TIMEOUT_EXPIRED);
    }
}

/* Afterwards the timer's callback is not running; not under the lock. */
static void timeout_drop(skua_handle *handle)
{
    if (handle != NULL) {
        (void)skua_handle_cancel(handle);
        skua_handle_unref(handle);
    }
}

/* Where a timer for `task` lives as long as that: on the loop that runs here,
 * or on the task's home. */
static skua_loop *timeout_loop(const skua_task *task)
{
    skua_loop *here = skui_loop_self();
    skua_loop *home = task->loop;

    return here != NULL && here->runner != NULL && here->runner == home->runner
               ? here
               : home;
}

static int timeout_arm(struct timeout_scope *scope, skua_loop *loop,
                       int64_t deadline_ns, skua_handle **out_handle)
{
    if (deadline_ns == SKUA_FOREVER) {
        return 0;
    }
    if (timeout_is_past(deadline_ns)) {
        return skua_loop_call_soon_threadsafe(loop, timeout_due, scope,
                                              out_handle);
    }
    return skui_loop_call_at(loop, deadline_ns, timeout_due, scope, out_handle);
}

/* False when it was entered before. */
static bool timeout_begin(struct timeout_scope *scope, struct skui_task *task,
                          enum timeout_state state, int64_t deadline_ns,
                          skua_handle *handle)
{
    bool fresh;

    skui_spinlock_lock(&scope->lock);
    fresh = scope->state == TIMEOUT_NEW;
    if (fresh) {
        scope->state = state;
        scope->quiet = skui_task_cancels_met(task);
        scope->task = &task->future;
        scope->handle = handle;
        scope->deadline_ns = deadline_ns;
    }
    skui_spinlock_unlock(&scope->lock);
    return fresh;
}

static int timeout_enter(skua_timeout *timeout, int64_t deadline_ns, bool past)
{
    struct timeout_scope *scope = timeout_scope(timeout);
    skua_loop *loop = skui_loop_self();
    struct skui_task *task = loop == NULL ? NULL : loop->current;
    skua_handle *handle = NULL;
    int status;

    if (task == NULL) {
        return SKUA_ENOLOOP;
    }
    if (!past && deadline_ns != SKUA_FOREVER) {
        /* Its callback runs when this task has suspended, at the earliest. */
        status =
            skui_loop_call_at(loop, deadline_ns, timeout_due, scope, &handle);
        if (status < 0) {
            return status;
        }
    }
    if (!timeout_begin(scope, task, past ? TIMEOUT_SOON : TIMEOUT_ENTERED,
                       deadline_ns, handle)) {
        timeout_drop(handle);
        return SKUA_EINVALSTATE;
    }
    if (past) {
        (void)skua_task_cancel(&task->future);
    }
    return 0;
}

int skua_timeout_enter_at(skua_timeout *timeout, int64_t deadline_ns)
{
    if (timeout == NULL || deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    return timeout_enter(timeout, deadline_ns, timeout_is_past(deadline_ns));
}

int skua_timeout_enter(skua_timeout *timeout, int64_t delay_ns)
{
    if (timeout == NULL || delay_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    return timeout_enter(timeout, skui_clock_after(delay_ns), delay_ns <= 0);
}

/* --- leaving --- */

/*
 * The state that the task leaves: ENTERED, EXPIRED, or SOON when it has not
 * suspended since; NEW when it is not inside. The timer's handle becomes the
 * caller's.
 */
static enum timeout_state timeout_leave(struct timeout_scope *scope,
                                        const struct skui_task *task,
                                        skua_handle **out_handle)
{
    enum timeout_state state = TIMEOUT_NEW;

    skui_spinlock_lock(&scope->lock);
    while (scope->state == TIMEOUT_EXPIRING && scope->task == &task->future) {
        skui_spinlock_unlock(&scope->lock);
        (void)sched_yield(); /* until the request is counted */
        skui_spinlock_lock(&scope->lock);
    }
    if (scope->task == &task->future && scope->state <= TIMEOUT_EXPIRED) {
        state = (enum timeout_state)scope->state;
        if (state == TIMEOUT_SOON && !skui_task_cancel_waits(task)) {
            state = TIMEOUT_EXPIRED;
        }
        *out_handle = scope->handle;
        scope->handle = NULL;
        scope->state =
            state == TIMEOUT_EXPIRED ? TIMEOUT_EXITED_EXPIRED : TIMEOUT_EXITED;
    }
    skui_spinlock_unlock(&scope->lock);
    return state;
}

int skua_timeout_exit(skua_timeout *timeout, int status)
{
    struct skui_task *task = skui_task_self();
    struct timeout_scope *scope;
    skua_handle *handle = NULL;
    enum timeout_state state;
    uint32_t left;

    if (timeout == NULL || task == NULL) {
        return -EINVAL;
    }
    scope = timeout_scope(timeout);
    state = timeout_leave(scope, task, &handle);
    timeout_drop(handle);
    if (state == TIMEOUT_NEW || state == TIMEOUT_ENTERED) {
        return state == TIMEOUT_NEW ? -EINVAL : status;
    }
    left = (uint32_t)skui_task_uncancel(task, scope->quiet);
    if (state == TIMEOUT_SOON || left > scope->quiet || status >= 0) {
        return status;
    }
    if (status == SKUA_ECANCELED) {
        skui_frame_set_exception(&task->frame, NULL);
        return -ETIMEDOUT;
    }
    skui_frame_add_cause(&task->frame, status, -ETIMEDOUT);
    return status;
}

/* --- moving the deadline --- */

enum timeout_move {
    MOVE_DONE = 0,
    MOVE_REVOKED, /* the task's own request is to be taken back */
    MOVE_SOON,    /* the task is to request its cancellation */
};

/* Under the lock. Where a deadline that the task itself sets leads to. */
static enum timeout_move timeout_move_own(struct timeout_scope *scope,
                                          bool past)
{
    bool soon = scope->state == TIMEOUT_SOON;

    scope->state = past ? TIMEOUT_SOON : TIMEOUT_ENTERED;
    if (soon == past) {
        return MOVE_DONE;
    }
    return past ? MOVE_SOON : MOVE_REVOKED;
}

/* Under the lock: an enum timeout_move, or a failure that changed nothing. */
static int timeout_move(struct timeout_scope *scope,
                        const struct skui_task *self, int64_t deadline_ns,
                        skua_handle **out_former)
{
    bool inside = self != NULL && scope->task == &self->future;
    bool past = inside && timeout_is_past(deadline_ns);
    skua_handle *handle = NULL;
    int status = 0;

    if (scope->state != TIMEOUT_ENTERED &&
        !(scope->state == TIMEOUT_SOON && inside &&
          skui_task_cancel_waits(self))) {
        return SKUA_EINVALSTATE;
    }
    if (!past) {
        status =
            timeout_arm(scope, timeout_loop(scope->task), deadline_ns, &handle);
    }
    if (status < 0) {
        return status;
    }
    *out_former = scope->handle;
    scope->handle = handle;
    scope->deadline_ns = deadline_ns;
    return inside ? (int)timeout_move_own(scope, past) : MOVE_DONE;
}

int skua_timeout_reschedule(skua_timeout *timeout, int64_t deadline_ns)
{
    struct skui_task *self = skui_task_self();
    struct timeout_scope *scope;
    skua_handle *former = NULL;
    int status;

    if (timeout == NULL || deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    scope = timeout_scope(timeout);
    skui_spinlock_lock(&scope->lock);
    status = timeout_move(scope, self, deadline_ns, &former);
    skui_spinlock_unlock(&scope->lock);
    timeout_drop(former);
    if (status == MOVE_SOON) {
        (void)skua_task_cancel(&self->future);
    } else if (status == MOVE_REVOKED) {
        (void)skui_task_uncancel(self, scope->quiet);
    }
    return status < 0 ? status : 0;
}

/* --- looking --- */

bool skua_timeout_expired(const skua_timeout *timeout)
{
    struct timeout_scope *scope;
    bool expired;

    if (timeout == NULL) {
        return false;
    }
    scope = timeout_scope(timeout);
    skui_spinlock_lock(&scope->lock);
    expired = scope->state == TIMEOUT_EXPIRING ||
              scope->state == TIMEOUT_EXPIRED ||
              scope->state == TIMEOUT_EXITED_EXPIRED ||
              (scope->state == TIMEOUT_SOON &&
               !skui_task_cancel_waits(skui_task_of(scope->task)));
    skui_spinlock_unlock(&scope->lock);
    return expired;
}

int64_t skua_timeout_when(const skua_timeout *timeout)
{
    struct timeout_scope *scope;
    int64_t deadline_ns;

    if (timeout == NULL) {
        return SKUA_FOREVER;
    }
    scope = timeout_scope(timeout);
    skui_spinlock_lock(&scope->lock);
    deadline_ns =
        scope->state == TIMEOUT_NEW ? SKUA_FOREVER : scope->deadline_ns;
    skui_spinlock_unlock(&scope->lock);
    return deadline_ns;
}
