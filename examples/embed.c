/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed.c - Skua inside a foreign loop, here one around poll(2) such as a
 * user interface has: it watches one descriptor and asks for the next deadline.
 */
#include <limits.h>
#include <poll.h>
#include <stdio.h>

#include <skua.h>

static int tick(void *arg)
{
    int *ticks = arg;
    int status = 0;

    while (*ticks < 3 && status == 0) {
        status = skua_sleep(10 * SKUA_MS);
        printf("tick %d\n", ++*ticks);
    }
    return status;
}

/* How long poll(2) may sleep, in ms, rounded up. */
static int poll_timeout_ms(skua_loop *loop)
{
    int64_t deadline_ns = skua_loop_next_deadline(loop);
    int64_t left_ms;

    if (deadline_ns == SKUA_FOREVER) {
        return -1;
    }
    left_ms = (deadline_ns - skua_loop_time(loop) + SKUA_MS - 1) / SKUA_MS;
    if (left_ms < 0) {
        return 0;
    }
    return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

static int run_foreign_loop(skua_loop *loop, skua_task *task)
{
    struct pollfd watched = {.fd = skua_loop_get_fd(loop), .events = POLLIN};
    int status = 0;

    while (status == 0 && !skua_future_done(task)) {
        (void)poll(&watched, 1, poll_timeout_ms(loop));
        status = skua_loop_run_once(loop, 0);
    }
    return status < 0 ? status : skua_future_result(task, NULL);
}

int main(void)
{
    skua_loop *loop;
    skua_task *task;
    int ticks = 0;
    int status = skua_loop_new(NULL, &loop);

    if (status < 0) {
        return 1;
    }
    status = skua_loop_create_task(loop, tick, &ticks, &task);
    if (status == 0) {
        status = run_foreign_loop(loop, task);
        skua_future_unref(task);
    }
    skua_loop_unref(loop);
    return status < 0 || ticks != 3;
}
