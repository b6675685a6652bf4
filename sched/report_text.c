/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_text.c - what the default exception handler says.
 * Threads     Any; the text is built in the caller's buffer.
 * Invariants  What does not fit is cut off; nothing is allocated.
 *
 *   MESSAGE in TASK: STATUS TEXT (STATUS): EXCEPTION'S MESSAGE
 *     raised in TASK
 *     caused by: STATUS TEXT (STATUS): MESSAGE
 *     child 0: STATUS TEXT (STATUS): MESSAGE
 *     made at
 *       #0 ...
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "report.h"
#include "skua/debug.h"
#include "task.h"

enum { NESTING_MAXIMUM = 6, CHILDREN_MAXIMUM = 16 };

struct text {
    char *buffer;
    size_t bytes;
    size_t used; /* without the terminator */
};

static SKUA_PRINTF(2, 3) void text_add(struct text *text, const char *format,
                                       ...)
{
    size_t room = text->bytes - text->used;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(text->buffer + text->used, room, format, arguments);
    va_end(arguments);
    if (length > 0) {
        text->used += (size_t)length < room ? (size_t)length : room - 1;
    }
}

static void text_add_status(struct text *text, int status,
                            const skua_exception *exception)
{
    const char *detail = skua_exception_message(exception);

    text_add(text, ": %s (%d)", skua_strerror(status), status);
    if (detail[0] != '\0') {
        text_add(text, ": %s", detail);
    }
}

static void text_add_label(struct text *text, int depth, const char *label)
{
    text_add(text, "\n%*s%s", 2 * depth, "", label);
}

/* What lies behind an exception: causes, and the children of groups. */
static void text_add_chain(struct text *text, skua_exception *exception,
                           int depth)
{
    size_t count = skua_exception_count(exception);
    skua_exception *cause = skua_exception_cause(exception);

    if (depth > NESTING_MAXIMUM) {
        return;
    }
    for (size_t i = 0; i < count && i < CHILDREN_MAXIMUM; i++) {
        skua_exception *child = skua_exception_child(exception, i);

        text_add_label(text, depth, "child");
        text_add(text, " %zu", i);
        text_add_status(text, skua_exception_status(child), child);
        text_add_chain(text, child, depth + 1);
    }
    if (count > CHILDREN_MAXIMUM) {
        text_add_label(text, depth, "and");
        text_add(text, " %zu more", count - CHILDREN_MAXIMUM);
    }
    if (cause != NULL) {
        text_add_label(text, depth, "caused by");
        text_add_status(text, skua_exception_status(cause), cause);
        text_add_chain(text, cause, depth + 1);
    }
}

static void text_add_frames(struct text *text, const char *title,
                            void *const *frames, size_t count)
{
    size_t room;

    if (frames == NULL || count == 0) {
        return;
    }
    text_add(text, "\n  %s\n", title);
    room = text->bytes - text->used;
    (void)skua_backtrace_format(frames, count, text->buffer + text->used, room);
    text->used += strlen(text->buffer + text->used);
}

static void text_add_head(struct text *text,
                          const skua_exception_context *context)
{
    char name[SKUI_NAME_BYTES] = "";

    text_add(text, "%s",
             context->message != NULL ? context->message
                                      : "unhandled exception");
    if (context->task != NULL) {
        (void)skui_task_copy_name(skui_task_of(context->task), name,
                                  sizeof(name));
        text_add(text, " in %s", name);
    }
    if (context->status != 0 || context->exception != NULL) {
        text_add_status(text, context->status, context->exception);
    }
}

void skui_report_format(const skua_exception_context *context, char *buffer,
                        size_t bytes)
{
    struct text text = {buffer, bytes, 0};
    const char *raiser = skua_exception_task_name(context->exception);

    text_add_head(&text, context);
    if (raiser[0] != '\0') {
        text_add(&text, "\n  raised in %s", raiser);
    }
    text_add_chain(&text, context->exception, 1);
    text_add_frames(&text, "goes on at", context->frames, context->frame_count);
    text_add_frames(&text,
                    context->task != NULL ? "task made at" : "future made at",
                    context->source_traceback, context->source_frames);
    text_add_frames(&text, "callback queued at", context->handle_traceback,
                    context->handle_frames);
}
