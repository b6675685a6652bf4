/* SPDX-License-Identifier: Apache-2.0 */
/* user.c - a complete program on public headers. */
#include <skua.h>

static int square(void *arg)
{
    int status = skua_yield();

    if (status < 0) {
        return status;
    }
    *(int *)arg *= *(int *)arg;
    return skua_return(arg);
}

static int main_task(void *arg)
{
    int number = 7;
    void *result = NULL;
    skua_task *task;
    int status = skua_create_task(square, &number, &task);

    (void)arg;
    if (status < 0) {
        return status;
    }
    status = skua_await(task, &result);
    skua_future_unref(task);
    return status < 0 || *(int *)result != 49 ? -1 : 0;
}

int main(void)
{
    return skua_run(main_task, NULL) < 0;
}
