/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unread.c - failures that nobody has read.
 * Threads     Any thread drops the last reference; the closer of a loop walks
 *             all futures and tasks.
 * Invariants  A failure is reported once: by whoever takes its UNREAD flag.
 *             Handlers may take references to what they are told of.
 * Ordering    FU1 the flag, RF1 the last reference.
 */
#include "future.h"
#include "loop.h"
#include "report.h"
#include "task.h"

static void unread_report(skua_future *future)
{
    skua_exception_context context = {0};

    context.message = skui_future_is_task(future)
                          ? "Task exception was never retrieved"
                          : "Future exception was never retrieved";
    context.status = future->status;
    context.exception = future->exception;
    context.loop = skui_future_home(future);
    context.future = future;
    skui_report(&context);
}

bool skui_future_report_last(skua_future *future)
{
    /* relaxed, both: nobody else has the future */
    uintptr_t state = skui_load_relaxed(&future->state);

    skui_store_relaxed(&future->state, state & ~(uintptr_t)SKUI_FUTURE_UNREAD);
    /* RF1 release: who walks all objects sees a whole one. */
    skui_store_release(&future->refs, 1u);
    unread_report(future);
    /* RF1 acq_rel: the last one sees what the others did. */
    return skui_fetch_sub_acq_rel(&future->refs, 1u) != 1;
}

static void unread_report_if_home(skua_future *future, skua_loop *loop)
{
    if (!skui_future_try_ref(future)) {
        return;
    }
    if (future->loop == loop && future->reports_unread &&
        skui_future_is_done(future)) {
        /* FU1 acq_rel: one reader of the flag reports. */
        uintptr_t state = skui_fetch_and_acq_rel(
            &future->state, ~(uintptr_t)SKUI_FUTURE_UNREAD);

        if ((state & SKUI_FUTURE_UNREAD) != 0) {
            unread_report(future);
        }
    }
    skua_future_unref(future);
}

static void unread_visit_plain(void *object, void *loop)
{
    unread_report_if_home(object, loop);
}

static void unread_visit_task(void *object, void *loop)
{
    struct skui_task *task = object;

    unread_report_if_home(&task->future, loop);
}

void skui_future_report_unread(skua_loop *loop)
{
    skui_object_for_each(SKUI_OBJECT_COMPOSITE, unread_visit_plain, loop);
    skui_object_for_each(SKUI_OBJECT_FUTURE, unread_visit_plain, loop);
    skui_object_for_each(SKUI_OBJECT_TASK, unread_visit_task, loop);
}
