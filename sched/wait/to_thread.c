/* SPDX-License-Identifier: Apache-2.0 */
/*
 * to_thread.c - a blocking call in the default executor, as one await.
 * Threads     A task submits; a thread of the executor runs.
 * Invariants  A call with a context is freed when its future is done, however
 *             that came: it ran, was cancelled, or its executor broke. So the
 *             future is of the executor's kind: that is not done while it runs.
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
    struct thread_call *call = arg;
    uintptr_t context = call->context;

    call->context = 0; /* taken */
    return skui_context_run_captured(context, call->fn, call->arg);
}

/* It has run, or will not any more. */
static void thread_call_end(skua_future *future, void *arg)
{
    struct thread_call *call = arg;

    (void)future;
    if (call->context != 0) {
        skui_context_release_word(call->context);
    }
    skui_release(call);
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

/* The call ends with its future. */
static int thread_call_submit(skua_loop *loop, struct thread_call *call,
                              skua_future **out_future)
{
    struct skui_waiter *waiter =
        skui_waiter_make(SKUI_WAITER_INLINE, thread_call_end, call);
    int status;

    if (waiter == NULL) {
        return -ENOMEM;
    }
    status = default_executor_submit(loop, thread_call_run, call, out_future);
    if (status < 0) {
        skui_waiter_free(waiter);
    } else if (!skui_future_register(*out_future, waiter)) {
        skui_waiter_call(waiter, *out_future);
        skui_waiter_free(waiter);
    }
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
        status = thread_call_submit(loop, copy, &future);
    }
    if (status < 0) {
        skui_context_release_word(call->context);
        skui_release(copy);
        return status;
    }
    return to_thread_await(future, out_result);
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
