/* SPDX-License-Identifier: Apache-2.0 */
/* user.cc - the same in C++: a complete program on public headers. */
#include <skua.h>

static int square(void *arg)
{
    int status = skua_yield();

    if (status < 0) {
        return status;
    }
    *static_cast<int *>(arg) *= *static_cast<int *>(arg);
    return skua_return(arg);
}

static int main_task(void *arg)
{
    int number = 7;
    void *result = nullptr;
    skua_task *task;
    int status = skua_create_task(square, &number, &task);

    (void)arg;
    if (status < 0) {
        return status;
    }
    status = skua_await(task, &result);
    skua_future_unref(task);
    return status < 0 || *static_cast<int *>(result) != 49 ? -1 : 0;
}

int main(void)
{
    return skua_run(main_task, nullptr) < 0;
}
