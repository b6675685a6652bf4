/* SPDX-License-Identifier: Apache-2.0 */
/*
 * to_thread.c - a blocking call in the default executor, as one await.
 * Threads     A task waits; a worker of the executor runs the call.
 *
 * What is awaited is a future of the loop, not the executor's own: so a
 * cancelled task goes on at once, and work that is still queued is skipped.
 */
#include <errno.h>

#include "../loop.h"
#include "../task.h"
#include "skua/executor.h"
#include "skua/loop.h"

int skua_to_thread(skua_task_fn *fn, void *arg, void **out_result)
{
    skua_future *future;
    int status;

    if (fn == NULL) {
        return -EINVAL;
    }
    if (skui_task_self() == NULL) {
        return SKUA_ENOLOOP;
    }
    status =
        skua_loop_run_in_executor(skui_loop_self(), NULL, fn, arg, &future);
    if (status < 0) {
        return status;
    }
    status = skua_await(future, out_result);
    skua_future_unref(future);
    return status;
}
