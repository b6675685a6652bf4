/* SPDX-License-Identifier: Apache-2.0 */
/*
 * to_thread.c - a blocking call in the default executor, as one await.
 * Threads     A task submits; a thread of the executor runs.
 * Invariants  A call with a context is freed by the thread that runs it, or by
 *             the task when it was cancelled before any did. So the future is
 *             of the executor's kind: that cannot be cancelled once it runs.
 */
#include <errno.h>

#include "../context.h"
#include "../executor/slot.h"
#include "../future.h"
#include "../loop.h"
#include "../memory.h"
#include "../task.h"

/* A function with the variables of the task that submitted it. */
struct thread_call {
    skua_task_fn *fn;
    void *arg;
    uintptr_t context; /* from skui_context_capture() */
};

static int thread_call_run(void *arg)
{
    struct thread_call call = *(struct thread_call *)arg;

    skui_release(arg);
    return skui_context_run_captured(call.context, call.fn, call.arg);
}

static int default_executor_submit(skua_loop *loop, skua_task_fn *fn, void *arg,
                                   skua_future **out_future)
{
    skua_executor *executor;
    int status = skui_executor_slot_get(loop->executor_slot,
                                        SKUA_EXECUTOR_BLOCKING, &executor);

    if (status == 0) {
        status = skua_executor_submit(executor, fn, arg, out_future);
        skua_executor_unref(executor);
    }
    return status;
}

static int to_thread_await(skua_future *future, void **out_result)
{
    int status = skua_await(future, out_result);

    skua_future_unref(future);
    return status;
}

/* With variables: they are seen where `fn` runs. */
static int to_thread_in(skua_loop *loop, const struct thread_call *call,
                        void **out_result)
{
    struct thread_call *copy = skui_allocate(sizeof(*copy));
    skua_future *future = NULL;
    int status = -ENOMEM;

    if (copy != NULL) {
        *copy = *call;
        status = default_executor_submit(loop, thread_call_run, copy, &future);
    }
    if (status == 0) {
        (void)skua_future_ref(future);
        status = to_thread_await(future, out_result);
        if (!skua_future_cancelled(future)) {
            copy = NULL; /* it runs, or ran */
        }
        skua_future_unref(future);
        if (copy == NULL) {
            return status;
        }
    }
    skui_context_release_word(call->context);
    skui_release(copy);
    return status;
}

int skua_to_thread(skua_task_fn *fn, void *arg, void **out_result)
{
    struct thread_call call = {fn, arg, 0};
    skua_loop *loop = skui_loop_self();
    skua_future *future = NULL;
    int status;

    if (fn == NULL) {
        return -EINVAL;
    }
    if (skui_task_self() == NULL) {
        return SKUA_ENOLOOP;
    }
    call.context = skui_context_capture();
    if (call.context != 0) {
        return to_thread_in(loop, &call, out_result);
    }
    status = default_executor_submit(loop, fn, arg, &future);
    return status < 0 ? status : to_thread_await(future, out_result);
}
