/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - errors nobody handled: to the loop's exception handler.
 */
#ifndef SKUI_REPORT_H
#define SKUI_REPORT_H

#include "exception.h"

SKUI_BEGIN_DECLS

struct skui_task;

/* To the handler of context->loop (NULL: the running one), or the default. */
void skui_report(const skua_exception_context *context);

/* A new frame for a callback; returns the one to restore. */
struct skui_frame skui_frame_enter(void);

/* Restore `saved`; report what the callback raised, if anything. */
void skui_report_raised(struct skui_frame *saved, const char *message,
                        skua_future *future, skua_handle *handle);

/* How deep a thread is in a report: a report made in a handler goes to the
 * default one, what a logger has to say to standard error. */
enum {
    SKUI_REPORT_IN_HANDLER = 1,
    SKUI_REPORT_IN_LOGGER,
};

/* What is put aside while code of the program hears of an error: it runs as a
 * callback does, so that it cannot suspend the task that reports. */
struct skui_report_scope {
    skua_loop *loop;
    struct skui_task *task;
    struct skui_frame frame;
    unsigned depth;
};

void skui_report_scope_enter(struct skui_report_scope *scope, unsigned depth);
/* Returns what was raised meanwhile, with its reference, or NULL. */
skua_exception *skui_report_scope_leave(struct skui_report_scope *scope);

/* report_text.c: the default handler's text, cut to `bytes`, terminated. */
void skui_report_format(const skua_exception_context *context, char *buffer,
                        size_t bytes);

SKUI_END_DECLS

#endif
