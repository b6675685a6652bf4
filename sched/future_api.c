/* SPDX-License-Identifier: Apache-2.0 */
/*
 * future_api.c - the public calls on futures: checks, then future.c.
 * Threads     Any.
 * Ordering    FU1 (future.c).
 */
#include <errno.h>

#include "composite.h"
#include "future.h"
#include "loop.h"
#include "task.h"

int skui_future_check_process(const skua_future *future)
{
    const skua_loop *loop = future->loop;

    return loop != NULL &&
                   skui_loop_fork_generation(loop) != skui_fork_generation()
               ? SKUA_EFORKED
               : 0;
}

static int future_check(const skua_future *future)
{
    return future == NULL ? -EINVAL : skui_future_check(future);
}

int skua_future_new(skua_loop *loop, skua_future **out_future)
{
    skua_future *future;

    if (out_future == NULL) {
        return -EINVAL;
    }
    skui_runtime_init();
    if (loop == NULL) {
        loop = skui_loop_self();
    } else if (skui_loop_fork_generation(loop) != skui_fork_generation()) {
        return SKUA_EFORKED;
    }
    future = skui_future_make(SKUI_FUTURE_PLAIN, loop);
    if (future == NULL) {
        return -ENOMEM;
    }
    *out_future = future;
    return 0;
}

static int future_set(skua_future *future, int status, void *value,
                      skua_exception *exception)
{
    struct skui_outcome outcome = {status, value, exception};
    int check = future_check(future);

    if (check == 0 && (skui_future_is_task(future) ||
                       future->kind == SKUI_FUTURE_COMPOSITE)) {
        check = -EPERM;
    }
    if (check < 0) {
        skua_exception_unref(exception);
        return check;
    }
    return skui_future_complete(future, &outcome) ? 0 : SKUA_EINVALSTATE;
}

int skua_future_set_result(skua_future *future, void *value)
{
    return future_set(future, 0, value, NULL);
}

int skua_future_set_exception(skua_future *future, skua_exception *exception)
{
    if (exception == NULL) {
        return -EINVAL;
    }
    return future_set(future, skua_exception_status(exception), NULL,
                      skua_exception_ref(exception));
}

int skua_future_set_error(skua_future *future, int status)
{
    if (status >= 0) {
        return -EINVAL;
    }
    return future_set(future, status, NULL, NULL);
}

int skua_future_cancel(skua_future *future)
{
    return skua_future_cancel_with(future, NULL);
}

int skua_future_cancel_with(skua_future *future, const char *message)
{
    struct skui_spread spread = {0};
    int result = future_check(future);

    if (result < 0) {
        return result;
    }
    if (message != NULL) { /* without memory for it, it is lost */
        (void)skua_exception_new(&spread.message, SKUA_ECANCELED, "%s",
                                 message);
    }
    result = skui_future_cancel_within(future, &spread);
    if (!skui_spread_run(&spread) && future->kind == SKUI_FUTURE_COMPOSITE) {
        result = 0; /* none of those it waits for */
    }
    skua_exception_unref(spread.message);
    return result;
}

static uintptr_t future_state(const skua_future *future)
{
    /* FU1 acquire: the outcome is visible. */
    return future == NULL ? 0
                          : skui_load_acquire(&((skua_future *)future)->state);
}

bool skua_future_done(const skua_future *future)
{
    return (future_state(future) & SKUI_FUTURE_PHASE) == SKUI_FUTURE_DONE;
}

bool skua_future_cancelled(const skua_future *future)
{
    return skua_future_done(future) &&
           (future_state(future) & SKUI_FUTURE_CANCELLED) != 0;
}

bool skua_future_running(const skua_future *future)
{
    uintptr_t state = future_state(future);

    return (state & SKUI_FUTURE_PHASE) != SKUI_FUTURE_DONE &&
           (state & SKUI_FUTURE_RUNNING) != 0;
}

static void future_mark_read(skua_future *future)
{
    if ((future_state(future) & SKUI_FUTURE_UNREAD) != 0) {
        /* FU1 acq_rel: DONE and the kind of outcome stay as they are. */
        (void)skui_fetch_and_acq_rel(&future->state,
                                     ~(uintptr_t)SKUI_FUTURE_UNREAD);
    }
}

void skui_future_read(skua_future *future, struct skui_outcome *out)
{
    future_mark_read(future);
    out->status = future->status;
    out->value = future->value;
    out->exception = skua_exception_ref(future->exception);
}

int skua_future_result(skua_future *future, void **out_value)
{
    struct skui_outcome outcome;
    int check = future_check(future);

    if (check < 0) {
        return check;
    }
    if (!skui_future_is_done(future)) {
        return SKUA_EINVALSTATE;
    }
    skui_future_read(future, &outcome);
    return skui_outcome_deliver(&outcome, out_value);
}

int skua_future_exception(skua_future *future, skua_exception **out_exception)
{
    skua_exception *exception = NULL;
    int check = future_check(future);

    if (check < 0 || out_exception == NULL) {
        return check < 0 ? check : -EINVAL;
    }
    if (!skui_future_is_done(future)) {
        return SKUA_EINVALSTATE;
    }
    if (skua_future_cancelled(future)) {
        return SKUA_ECANCELED;
    }
    future_mark_read(future);
    if (future->status < 0) {
        exception = future->exception != NULL
                        ? skua_exception_ref(future->exception)
                        : skui_exception_bare(future->status);
        if (exception == NULL) {
            return -ENOMEM;
        }
    }
    *out_exception = exception;
    return 0;
}

skua_loop *skua_future_get_loop(const skua_future *future)
{
    return future == NULL ? NULL : skui_future_home(future);
}

int skua_await_until(skua_future *future, int64_t deadline_ns,
                     void **out_result)
{
    struct skui_outcome outcome;
    int status = future_check(future);

    if (status == 0 && deadline_ns == SKUA_NOT_A_TIME) {
        status = -EINVAL;
    }
    if (status == 0) {
        status = skui_future_wait(future, deadline_ns, &outcome);
    }
    return status < 0 ? status : skui_outcome_deliver(&outcome, out_result);
}

int skua_await(skua_future *future, void **out_result)
{
    return skua_await_until(future, SKUA_FOREVER, out_result);
}

int skua_ensure_future(skua_loop *loop, skua_awaitable awaitable,
                       skua_future **out_future)
{
    skua_task_options options = {0};
    int status;

    if (out_future == NULL ||
        (awaitable.future == NULL) == (awaitable.fn == NULL)) {
        return -EINVAL;
    }
    if (awaitable.fn != NULL) {
        options.loop = loop;
        return skua_create_task_with(&options, awaitable.fn, awaitable.arg,
                                     out_future);
    }
    status = skui_future_check(awaitable.future);
    if (status < 0) {
        return status;
    }
    if (loop != NULL && awaitable.future->loop != NULL &&
        awaitable.future->loop != loop) {
        return -EINVAL;
    }
    *out_future = skua_future_ref(awaitable.future);
    return 0;
}
