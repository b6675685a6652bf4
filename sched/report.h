/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - errors nobody handled: to the loop's exception handler.
 */
#ifndef SKUI_REPORT_H
#define SKUI_REPORT_H

#include "exception.h"

SKUI_BEGIN_DECLS

/* To the handler of context->loop (NULL: the running one), or the default. */
void skui_report(const skua_exception_context *context);

/* A new frame for a callback; returns the one to restore. */
struct skui_frame skui_frame_enter(void);

/* Restore `saved`; report what the callback raised, if anything. */
void skui_report_raised(struct skui_frame *saved, const char *message,
                        skua_future *future, skua_handle *handle);

SKUI_END_DECLS

#endif
