/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_submit.c - a coroutine for a loop, from any thread.
 * Threads     Any.
 */
#include <errno.h>

#include "loop.h"
#include "report.h"
#include "task.h"

/* Tell the loop, and who awaits the future if that finds memory. */
static int submit_failed(skua_loop *loop, int status, skua_future **out_future)
{
    struct skui_outcome outcome = {status, NULL, NULL};
    skua_exception_context context = {0};
    skua_future *future = NULL;

    context.message = "a task could not be created";
    context.status = status;
    context.loop = loop;
    if (out_future != NULL) {
        future = skui_future_make(SKUI_FUTURE_PLAIN, loop);
    }
    context.future = future;
    skui_report(&context);
    if (future == NULL) {
        return status;
    }
    future->reports_unread = false; /* it was reported */
    (void)skui_future_complete(future, &outcome);
    *out_future = future;
    return 0;
}

int skua_run_coroutine_threadsafe(skua_loop *loop, skua_task_fn *fn, void *arg,
                                  skua_future **out_future)
{
    skua_task_options options = {0};
    int status;

    if (loop == NULL) {
        return -EINVAL;
    }
    options.loop = loop;
    options.eager_start = -1; /* it is posted, also from the loop's thread */
    status = skua_create_task_with(&options, fn, arg, out_future);
    return status == -ENOMEM ? submit_failed(loop, status, out_future) : status;
}
