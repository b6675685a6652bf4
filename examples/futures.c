/* SPDX-License-Identifier: Apache-2.0 */
/*
 * futures.c - results, exceptions, cancellation and done callbacks of futures
 * and tasks.
 */
#include <errno.h>
#include <stdio.h>

#include <skua.h>

struct division {
    int dividend;
    int divisor;
    int quotient;
};

static int divide(void *arg)
{
    struct division *division = arg;

    if (division->divisor == 0) {
        return skua_raise(-EDOM, "%d divided by nothing", division->dividend);
    }
    division->quotient = division->dividend / division->divisor;
    return skua_return(&division->quotient);
}

static void tell_done(skua_future *future, void *name)
{
    printf("%s is done%s\n", (const char *)name,
           skua_future_cancelled(future) ? ": cancelled" : "");
}

static int show_result(void)
{
    struct division division = {84, 2, 0};
    skua_task *task;
    void *result = NULL;
    int status = skua_create_task(divide, &division, &task);

    if (status < 0) {
        return status;
    }
    status = skua_await(task, &result);
    if (status == 0) {
        printf("84 / 2 = %d\n", *(int *)result);
    }
    skua_future_unref(task);
    return status;
}

static int show_exception(void)
{
    struct division division = {1, 0, 0};
    skua_task *task;
    int status = skua_create_task(divide, &division, &task);

    if (status < 0) {
        return status;
    }
    status = skua_await(task, NULL);
    printf("%s: %s\n", skua_strerror(status),
           skua_exception_message(skua_current_exception()));
    skua_future_unref(task);
    return status == -EDOM ? 0 : -EPROTO;
}

static int complete_soon(void *future)
{
    int status = skua_sleep(10 * SKUA_MS);

    return status < 0 ? status : skua_future_set_result(future, "a value");
}

/* A future of one's own: one task waits, another one completes it. */
static int show_future(void)
{
    skua_future *future;
    skua_task *producer;
    void *value = NULL;
    int status = skua_future_new(NULL, &future);

    if (status < 0) {
        return status;
    }
    status = skua_future_add_done_callback(future, tell_done, "the future");
    if (status == 0) {
        status = skua_create_task(complete_soon, future, &producer);
    }
    if (status == 0) {
        status = skua_await(future, &value);
        printf("the future has %s\n", (const char *)value);
        (void)skua_await(producer, NULL);
        skua_future_unref(producer);
    }
    skua_future_unref(future);
    return status;
}

static int sleep_long(void *arg)
{
    (void)arg;
    return skua_sleep(3600 * SKUA_S);
}

static int show_cancellation(void)
{
    skua_task *task;
    int status = skua_create_task(sleep_long, NULL, &task);

    if (status < 0) {
        return status;
    }
    (void)skua_future_add_done_callback(task, tell_done, "the long sleep");
    (void)skua_task_cancel(task);
    status = skua_await(task, NULL);
    skua_future_unref(task);
    return status == SKUA_ECANCELED ? skua_yield() : -EPROTO;
}

static int main_task(void *arg)
{
    int status = show_result();

    (void)arg;
    if (status == 0) {
        status = show_exception();
    }
    if (status == 0) {
        status = show_future();
    }
    if (status == 0) {
        status = show_cancellation();
    }
    return status;
}

int main(void)
{
    return skua_run(main_task, NULL) < 0;
}
