/* SPDX-License-Identifier: Apache-2.0 */
/* timeouts.c - a limit on one await, and a scope with a deadline. */
#include <errno.h>
#include <stdio.h>

#include <skua.h>

static int work_for(void *delay_ms)
{
    int status = skua_sleep(*(int *)delay_ms * SKUA_MS);

    if (status < 0) {
        printf("work of %d ms: stopped early\n", *(int *)delay_ms);
        return status;
    }
    return skua_return(delay_ms);
}

static int show_wait_for(void)
{
    int quick_ms = 5;
    int slow_ms = 60000;
    void *result = NULL;
    int status = skua_wait_for(skua_awaitable_call(work_for, &quick_ms),
                               10 * SKUA_S, &result);

    if (status < 0) {
        return status;
    }
    printf("work of %d ms: done in time\n", *(int *)result);
    status = skua_wait_for(skua_awaitable_call(work_for, &slow_ms),
                           20 * SKUA_MS, NULL);
    return status == -ETIMEDOUT ? 0 : -EPROTO;
}

/* Everything between enter and exit has 30 ms in all. */
static int show_scope(void)
{
    skua_timeout timeout = {0};
    int steps = 0;
    int status = skua_timeout_enter(&timeout, 30 * SKUA_MS);

    while (status == 0) {
        status = skua_sleep(10 * SKUA_MS);
        steps += status == 0;
    }
    status = skua_timeout_exit(&timeout, status);
    printf("the scope ended after %s: %s\n",
           steps < 3 ? "at most two steps" : "more than that",
           skua_strerror(status));
    return status == -ETIMEDOUT ? 0 : -EPROTO;
}

static int main_task(void *arg)
{
    int status = show_wait_for();

    (void)arg;
    return status < 0 ? status : show_scope();
}

int main(void)
{
    return skua_run(main_task, NULL) < 0;
}
