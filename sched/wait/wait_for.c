/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait_for.c - await with a limit: a timeout scope around one await.
 * Threads     The task that waits.
 *
 * What the awaitable has to say wins over the limit, and a request from
 * outside over both: a future that was completed in the iteration in which the
 * limit was reached gives its outcome, though the await was cancelled.
 */
#include <errno.h>
#include <string.h>

#include "../future.h"
#include "../task.h"
#include "skua/time.h"
#include "skua/timeout.h"

static int awaitable_run(skua_awaitable awaitable, void **out_result)
{
    return awaitable.future != NULL
               ? skua_await(awaitable.future, out_result)
               : skua_call(awaitable.fn, awaitable.arg, out_result);
}

/* A limit of 0 or less: the result if there is one, else nothing starts. */
static int wait_for_nothing(struct skui_task *self, skua_awaitable awaitable,
                            void **out_result)
{
    int met = (int)skui_task_cancels_met(self);
    int status;

    if (awaitable.future == NULL) {
        return -ETIMEDOUT;
    }
    if (skui_future_is_done(awaitable.future)) {
        return skua_future_result(awaitable.future, out_result);
    }
    (void)skua_future_cancel(awaitable.future);
    status = skua_await(awaitable.future, out_result);
    /* The future's own outcome, also where cancellation is an error. */
    return status == SKUA_ECANCELED && skui_future_is_done(awaitable.future) &&
                   awaitable.future->status == SKUA_ECANCELED &&
                   skua_task_cancelling(&self->future) <= met
               ? -ETIMEDOUT
               : status;
}

static int wait_for_limited(skua_awaitable awaitable, int64_t timeout_ns,
                            void **out_result)
{
    skua_timeout scope;
    int status;

    memset(&scope, 0, sizeof(scope));
    status = skua_timeout_enter(&scope, timeout_ns);
    if (status < 0) {
        return status;
    }
    status = skua_timeout_exit(&scope, awaitable_run(awaitable, out_result));
    if (status == -ETIMEDOUT && awaitable.future != NULL &&
        skui_future_is_done(awaitable.future) &&
        !skua_future_cancelled(awaitable.future)) {
        return skua_future_result(awaitable.future, out_result);
    }
    return status;
}

int skua_wait_for(skua_awaitable awaitable, int64_t timeout_ns,
                  void **out_result)
{
    struct skui_task *self = skui_task_self();

    if ((awaitable.future == NULL) == (awaitable.fn == NULL) ||
        timeout_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    if (self == NULL) {
        return SKUA_ENOLOOP;
    }
    if (awaitable.future == &self->future) {
        return -EDEADLK;
    }
    if (timeout_ns <= 0) {
        return wait_for_nothing(self, awaitable, out_result);
    }
    return timeout_ns == SKUA_FOREVER
               ? awaitable_run(awaitable, out_result)
               : wait_for_limited(awaitable, timeout_ns, out_result);
}
