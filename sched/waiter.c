/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waiter.c - the nodes in a future's list: made, run, freed.
 * Threads     The owner of a node, as future.c says who that is.
 */
#include "debug.h"
#include "future.h"
#include "loop.h"
#include "report.h"

struct skui_waiter *skui_waiter_make(enum skui_waiter_kind kind,
                                     skua_done_callback_fn *fn, void *arg)
{
    struct skui_waiter *waiter = skui_object_get(SKUI_OBJECT_WAITER);

    if (waiter != NULL) {
        waiter->runnable.kind = SKUI_RUNNABLE_CALLBACK;
        waiter->runnable.detail = (uint16_t)kind;
        waiter->to.fn = fn;
        waiter->arg = arg;
        waiter->loop = NULL;
        waiter->loop_id = 0;
        /* relaxed: not shared yet */
        skui_store_relaxed(&waiter->context, (uintptr_t)0);
    }
    return waiter;
}

struct skui_waiter *skui_waiter_make_hook(skui_hook_fn *hook, void *arg,
                                          skua_future *future)
{
    struct skui_waiter *waiter = skui_waiter_make(SKUI_WAITER_HOOK, NULL, arg);

    if (waiter != NULL) {
        waiter->to.hook = hook;
        waiter->future = future;
    }
    return waiter;
}

void skui_waiter_free(struct skui_waiter *waiter)
{
    if (waiter->runnable.detail == SKUI_WAITER_CALLBACK) {
        skui_context_release(&waiter->context);
    }
    skui_object_put(SKUI_OBJECT_WAITER, waiter);
}

void skui_waiter_discard(struct skui_waiter *waiter)
{
    skua_future *future = waiter->future;

    skui_waiter_free(waiter);
    skua_future_unref(future);
}

void skui_waiter_call(struct skui_waiter *waiter, skua_future *future)
{
    struct skui_frame saved = skui_frame_enter();

    waiter->to.fn(future, waiter->arg);
    skui_report_raised(&saved, "exception in done callback", future, NULL);
}

void skui_waiter_run(skua_loop *loop, struct skui_waiter *waiter)
{
    skua_future *future = waiter->future;

    if (SKUI_UNLIKELY(loop->timed)) {
        skui_slow_begin(
            loop, &(struct skui_step){.future = future, .is_callback = true});
    }
    loop->callback_context = &waiter->context;
    skui_waiter_call(waiter, future);
    loop->callback_context = NULL;
    if (SKUI_UNLIKELY(loop->timed)) {
        skui_slow_end(loop);
    }
    skui_waiter_free(waiter);
    skua_future_unref(future);
}
