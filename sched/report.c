/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.c - the exception handler's channel.
 * Threads     Any; a loop's handler is set and read under the loop's lock, and
 *             called outside it.
 * Invariants  A handler that raises makes the default one report both; what it
 *             reports itself goes to the default one, so nothing recurs. The
 *             default one only logs. Short memory costs detail, no report.
 */
#include "report.h"

#include <errno.h>

#include "handle.h"
#include "log.h"
#include "loop.h"
#include "origin.h"
#include "task.h"

enum {
    TEXT_BYTES = 16 * 1024,
    TEXT_BYTES_SHORT = 512, /* when memory is short; on the reporter's stack */
};

/* --- calling the program --- */

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

void skui_report_scope_enter(struct skui_report_scope *scope, unsigned depth)
{
    scope->loop = skui_loop_self();
    scope->task = NULL;
    if (scope->loop != NULL) {
        scope->task = scope->loop->current;
        scope->loop->current = NULL;
    }
    scope->depth = skui_report_depth();
    skui_report_set_depth(depth);
    scope->frame = skui_frame_enter();
}

skua_exception *skui_report_scope_leave(struct skui_report_scope *scope)
{
    skua_exception *raised = frame_leave(&scope->frame);

    skui_report_set_depth(scope->depth);
    if (scope->loop != NULL) {
        scope->loop->current = scope->task;
    }
    return raised;
}

/* --- handlers --- */

static void report_default(const skua_exception_context *context)
{
    skua_log_level level =
        context->status < 0 ? SKUA_LOG_ERROR : SKUA_LOG_WARNING;
    char *text = skui_allocate(TEXT_BYTES);

    if (text != NULL) {
        skui_report_format(context, text, TEXT_BYTES);
        skui_log(level, text);
        skui_release(text);
    } else {
        char brief[TEXT_BYTES_SHORT];

        skui_report_format(context, brief, sizeof(brief));
        skui_log(level, brief);
    }
}

struct handler_call {
    skua_exception_handler_fn *fn;
    void *arg;
    const skua_exception_context *context;
    bool made;
};

/* What the handler raises comes out as the call's outcome. */
static int handler_call(void *arg)
{
    struct handler_call *call = arg;
    const skua_exception *raised;

    call->made = true;
    call->fn(call->context->loop, call->context, call->arg);
    raised = skua_current_exception();
    return raised == NULL ? 0 : skua_exception_status(raised);
}

/* The variables of what the report is about; NULL: none, or no memory. */
static skua_context *report_variables(const skua_exception_context *context)
{
    skui_context_slot *slot = NULL;

    if (context->future != NULL && skui_future_is_task(context->future)) {
        slot = &skui_task_of(context->future)->context;
    } else if (context->handle != NULL) {
        slot = &context->handle->context;
    }
    /* relaxed: the object is held, and its first word stays */
    return slot == NULL || skui_load_relaxed(slot) == 0
               ? NULL
               : skui_context_of_slot(slot);
}

static void report_custom(skua_exception_handler_fn *fn, void *arg,
                          const skua_exception_context *context)
{
    struct handler_call call = {fn, arg, context, false};
    skua_context *variables = report_variables(context);
    struct skui_report_scope scope;
    skua_exception *raised;

    skui_report_scope_enter(&scope, SKUI_REPORT_IN_HANDLER);
    if (variables != NULL) {
        (void)skua_context_run(variables, handler_call, &call, NULL);
    }
    if (!call.made) { /* without them, or memory is short */
        fn(context->loop, context, arg);
    }
    skua_context_unref(variables);
    raised = skui_report_scope_leave(&scope);
    if (raised != NULL) {
        skua_exception_context second = {0};

        second.message = "exception in exception handler";
        second.status = skua_exception_status(raised);
        second.exception = raised;
        second.loop = context->loop;
        report_default(context);
        report_default(&second);
        skua_exception_unref(raised);
    }
}

/* --- reports --- */

/* The callback concerned: the one named, or the one that runs. */
static const skua_handle *report_handle(const skua_exception_context *context)
{
    return context->handle == NULL && context->loop != NULL &&
                   context->loop == skui_loop_self()
               ? context->loop->current_handle
               : context->handle;
}

static void report_find_origins(skua_exception_context *context,
                                struct skui_origin *source,
                                struct skui_origin *callback)
{
    const skua_handle *handle = report_handle(context);

    if (context->source_traceback == NULL && context->future != NULL &&
        context->future->traced && skui_origin_find(context->future, source)) {
        context->source_traceback = source->frames;
        context->source_frames = source->count;
    }
    if (context->handle_traceback == NULL && handle != NULL && handle->traced &&
        skui_origin_find(handle, callback)) {
        context->handle_traceback = callback->frames;
        context->handle_frames = callback->count;
    }
}

static void report_complete(skua_exception_context *context,
                            struct skui_origin *source,
                            struct skui_origin *callback)
{
    if (context->loop == NULL) {
        context->loop = skui_loop_self();
    }
    if (context->future == NULL) {
        context->future = context->task;
    }
    if (context->task == NULL && context->future != NULL &&
        skui_future_is_task(context->future)) {
        context->task = context->future;
    }
    report_find_origins(context, source, callback);
}

void skui_report(const skua_exception_context *context)
{
    skua_exception_context full = *context;
    struct skui_origin source;
    struct skui_origin callback;
    skua_exception_handler_fn *fn;
    void *arg;

    report_complete(&full, &source, &callback);
    if (full.loop == NULL || skui_report_depth() != 0 ||
        !skui_loop_handler(full.loop, &fn, &arg)) {
        report_default(&full);
    } else {
        report_custom(fn, arg, &full);
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

/* --- public --- */

static int report_check(skua_loop *loop, const skua_exception_context *context)
{
    if (loop == NULL || context == NULL) {
        return -EINVAL;
    }
    return skui_loop_check_open(loop) == SKUA_EFORKED ? SKUA_EFORKED : 0;
}

int skua_loop_call_exception_handler(skua_loop *loop,
                                     const skua_exception_context *context)
{
    skua_exception_context full;
    int status = report_check(loop, context);

    if (status == 0) {
        full = *context;
        full.loop = loop;
        skui_report(&full);
    }
    return status;
}

int skua_loop_default_exception_handler(skua_loop *loop,
                                        const skua_exception_context *context)
{
    skua_exception_context full;
    struct skui_origin source;
    struct skui_origin callback;
    int status = report_check(loop, context);

    if (status == 0) {
        full = *context;
        full.loop = loop;
        report_complete(&full, &source, &callback);
        report_default(&full);
    }
    return status;
}
