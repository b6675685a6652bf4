/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.c - the exception handler's channel.
 * Threads     Any; a loop's handler is set while the loop does not run or by
 *             its own thread, and read under its lock.
 * Invariants  A handler that raises makes the default one report both; the
 *             default one only writes.
 */
#include "report.h"

#include <errno.h>
#include <stdio.h>

#include "loop.h"
#include "task.h"

static void report_default(const skua_exception_context *context)
{
    char name[SKUI_NAME_BYTES] = "";
    const char *detail = skua_exception_message(context->exception);

    if (context->future != NULL && skui_future_is_task(context->future)) {
        (void)skui_task_copy_name(skui_task_of(context->future), name,
                                  sizeof(name));
    }
    (void)fprintf(
        stderr, "skua: %s%s%s: %s (%d)%s%s\n",
        context->message != NULL ? context->message : "unhandled exception",
        name[0] != '\0' ? " in " : "", name, skua_strerror(context->status),
        context->status, detail[0] != '\0' ? ": " : "", detail);
}

struct skui_frame skui_frame_enter(void)
{
    struct skui_frame *frame = skui_frame_current();
    struct skui_frame saved = *frame;

    frame->value = NULL;
    frame->exception = NULL;
    return saved;
}

static skua_exception *frame_leave(const struct skui_frame *saved)
{
    struct skui_frame *frame = skui_frame_current();
    skua_exception *raised = frame->exception;

    *frame = *saved;
    return raised;
}

void skui_report(const skua_exception_context *context)
{
    skua_exception_context full = *context;
    skua_exception_handler_fn *fn;
    struct skui_frame saved;
    skua_exception *raised;
    void *arg;

    if (full.loop == NULL) {
        full.loop = skui_loop_self();
    }
    if (full.loop == NULL || !skui_loop_handler(full.loop, &fn, &arg)) {
        report_default(&full);
        return;
    }
    saved = skui_frame_enter();
    fn(full.loop, &full, arg);
    raised = frame_leave(&saved);
    if (raised != NULL) {
        skua_exception_context second = {0};

        second.message = "exception in exception handler";
        second.status = skua_exception_status(raised);
        second.exception = raised;
        report_default(&full);
        report_default(&second);
        skua_exception_unref(raised);
    }
}

void skui_report_raised(struct skui_frame *saved, const char *message,
                        skua_future *future, skua_handle *handle)
{
    skua_exception *raised = frame_leave(saved);
    skua_exception_context context = {0};

    if (raised == NULL) {
        return;
    }
    context.message = message;
    context.status = skua_exception_status(raised);
    context.exception = raised;
    context.loop = skui_loop_self();
    context.future = future;
    context.handle = handle;
    skui_report(&context);
    skua_exception_unref(raised);
}

int skua_loop_call_exception_handler(skua_loop *loop,
                                     const skua_exception_context *context)
{
    skua_exception_context full;

    if (loop == NULL || context == NULL) {
        return -EINVAL;
    }
    if (skui_loop_check_open(loop) == SKUA_EFORKED) {
        return SKUA_EFORKED;
    }
    full = *context;
    full.loop = loop;
    skui_report(&full);
    return 0;
}
