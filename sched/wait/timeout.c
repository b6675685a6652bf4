/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timeout.c - time limits: a scope that cancels its task, and wait_for.
 * Threads     The scope belongs to the task that entered it; its timer runs on
 *             the loop where the deadline was set.
 * Ordering    TO1 state: the timer's callback against exit and reschedule.
 *
 * The deadline is an ordinary timer of a loop whose callback cancels the task,
 * as in asyncio. Leaving the scope cancels the timer's handle, which waits for
 * a callback that runs right now on another loop: so the scope's memory is not
 * touched after exit.
 */
#include "skua/timeout.h"

#include <errno.h>
#include <string.h>

#include "../clock.h"
#include "../future.h"
#include "../loop.h"
#include "../task.h"
#include "skua/time.h"

enum timeout_state {
    TIMEOUT_NEW,
    TIMEOUT_ENTERED,
    TIMEOUT_EXPIRED, /* the task was cancelled */
    TIMEOUT_EXITED,
    TIMEOUT_EXITED_EXPIRED,
};

struct timeout_scope {
    _Atomic(uint32_t) state; /* TO1 */
    uint32_t cancelling;     /* the task's count at entry */
    skua_task *task;         /* the task that entered */
    skua_handle *handle;     /* of the timer; NULL: no deadline */
    int64_t deadline_ns;
};

_Static_assert(sizeof(struct timeout_scope) <= sizeof(skua_timeout),
               "the public storage fits");

static struct timeout_scope *timeout_scope(const skua_timeout *timeout)
{
    return (struct timeout_scope *)(void *)((skua_timeout *)timeout)->opaque;
}

static uint32_t timeout_state(const struct timeout_scope *scope)
{
    /* TO1 acquire: pairs with timeout_due(). */
    return skui_load_acquire(&((struct timeout_scope *)scope)->state);
}

static void timeout_due(void *arg)
{
    struct timeout_scope *scope = arg;
    uint32_t entered = TIMEOUT_ENTERED;

    /* TO1 acq_rel: the scope is entered; who sees EXPIRED knows that the
     * cancel request is its own. */
    if (skui_cas_acq_rel(&scope->state, &entered, (uint32_t)TIMEOUT_EXPIRED)) {
        (void)skua_task_cancel(scope->task);
    }
}

/* Cancel the timer; afterwards its callback is not running. */
static void timeout_disarm(struct timeout_scope *scope)
{
    if (scope->handle != NULL) {
        (void)skua_handle_cancel(scope->handle);
        skua_handle_unref(scope->handle);
        scope->handle = NULL;
    }
}

static int timeout_arm(struct timeout_scope *scope, int64_t deadline_ns)
{
    skua_loop *loop = skui_loop_self();

    scope->deadline_ns = deadline_ns;
    if (deadline_ns == SKUA_FOREVER) {
        return 0;
    }
    if (deadline_ns <= skui_clock_now()) {
        return skua_loop_call_soon(loop, timeout_due, scope, &scope->handle);
    }
    return skua_loop_call_at(loop, deadline_ns, timeout_due, scope,
                             &scope->handle);
}

int skua_timeout_enter_at(skua_timeout *timeout, int64_t deadline_ns)
{
    struct skui_task *task = skui_task_self();
    struct timeout_scope *scope;
    int status;

    if (timeout == NULL || deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    if (task == NULL) {
        return SKUA_ENOLOOP;
    }
    scope = timeout_scope(timeout);
    if (timeout_state(scope) != TIMEOUT_NEW) {
        return -EALREADY;
    }
    scope->task = &task->future;
    scope->cancelling = (uint32_t)skua_task_cancelling(scope->task);
    /* TO1 release: the timer's callback sees the scope. */
    skui_store_release(&scope->state, (uint32_t)TIMEOUT_ENTERED);
    status = timeout_arm(scope, deadline_ns);
    if (status < 0) {
        skui_store_release(&scope->state, (uint32_t)TIMEOUT_NEW); /* TO1 */
    }
    return status;
}

int skua_timeout_enter(skua_timeout *timeout, int64_t delay_ns)
{
    if (delay_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    return skua_timeout_enter_at(timeout, skui_clock_after(delay_ns));
}

int skua_timeout_exit(skua_timeout *timeout, int status)
{
    const struct skui_task *task = skui_task_self();
    struct timeout_scope *scope;
    uint32_t state;
    int left;

    if (timeout == NULL) {
        return -EINVAL;
    }
    scope = timeout_scope(timeout);
    state = timeout_state(scope);
    if (task == NULL || scope->task != &task->future ||
        (state != TIMEOUT_ENTERED && state != TIMEOUT_EXPIRED)) {
        return -EINVAL;
    }
    timeout_disarm(scope);
    state = timeout_state(scope);
    if (state == TIMEOUT_ENTERED) {
        skui_store_release(&scope->state, (uint32_t)TIMEOUT_EXITED); /* TO1 */
        return status;
    }
    skui_store_release(&scope->state,
                       (uint32_t)TIMEOUT_EXITED_EXPIRED); /* TO1 */
    left = skua_task_uncancel(scope->task);
    if (status == SKUA_ECANCELED && left >= 0 &&
        (uint32_t)left <= scope->cancelling) {
        return -ETIMEDOUT;
    }
    return status;
}

int skua_timeout_reschedule(skua_timeout *timeout, int64_t deadline_ns)
{
    struct timeout_scope *scope;

    if (timeout == NULL || deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    scope = timeout_scope(timeout);
    if (timeout_state(scope) != TIMEOUT_ENTERED) {
        return SKUA_EINVALSTATE;
    }
    if (skui_loop_self() == NULL) {
        return SKUA_ENOLOOP;
    }
    timeout_disarm(scope);
    if (timeout_state(scope) != TIMEOUT_ENTERED) {
        return SKUA_EINVALSTATE;
    }
    return timeout_arm(scope, deadline_ns);
}

bool skua_timeout_expired(const skua_timeout *timeout)
{
    uint32_t state =
        timeout == NULL ? 0 : timeout_state(timeout_scope(timeout));

    return state == TIMEOUT_EXPIRED || state == TIMEOUT_EXITED_EXPIRED;
}

int64_t skua_timeout_when(const skua_timeout *timeout)
{
    if (timeout == NULL ||
        timeout_state(timeout_scope(timeout)) == TIMEOUT_NEW) {
        return SKUA_FOREVER;
    }
    return timeout_scope(timeout)->deadline_ns;
}

/* --- wait_for --- */

static int awaitable_run(skua_awaitable awaitable, void **out_result)
{
    return awaitable.future != NULL
               ? skua_await(awaitable.future, out_result)
               : skua_call(awaitable.fn, awaitable.arg, out_result);
}

/* A limit of 0 or less: the result if there is one, else nothing starts. */
static int wait_for_nothing(skua_awaitable awaitable, void **out_result)
{
    int status;

    if (awaitable.future == NULL) {
        return -ETIMEDOUT;
    }
    if (!skui_future_is_done(awaitable.future)) {
        (void)skua_future_cancel(awaitable.future);
    } else {
        return skua_future_result(awaitable.future, out_result);
    }
    status = skua_await(awaitable.future, out_result);
    return status == SKUA_ECANCELED && skua_future_cancelled(awaitable.future)
               ? -ETIMEDOUT
               : status;
}

int skua_wait_for(skua_awaitable awaitable, int64_t timeout_ns,
                  void **out_result)
{
    skua_timeout scope;
    int status;

    if ((awaitable.future == NULL) == (awaitable.fn == NULL) ||
        timeout_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    if (skui_task_self() == NULL) {
        return SKUA_ENOLOOP;
    }
    if (timeout_ns <= 0) {
        return wait_for_nothing(awaitable, out_result);
    }
    if (timeout_ns == SKUA_FOREVER) {
        return awaitable_run(awaitable, out_result);
    }
    memset(&scope, 0, sizeof(scope));
    status = skua_timeout_enter(&scope, timeout_ns);
    if (status < 0) {
        return status;
    }
    status = awaitable_run(awaitable, out_result);
    return skua_timeout_exit(&scope, status);
}
