/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exception.h - exceptions and outcomes inside the library.
 */
#ifndef SKUI_EXCEPTION_H
#define SKUI_EXCEPTION_H

#include "skua/exception.h"
#include "tls.h"

SKUI_BEGIN_DECLS

enum { SKUI_NAME_BYTES = 32 };

/* How something ended. `exception` is owned by whoever holds the outcome. */
struct skui_outcome {
    int status;
    void *value;
    skua_exception *exception; /* may be NULL for a bare status */
};

/* The frame of the code that runs here: its task's or its thread's. */
struct skui_frame *skui_frame_current(void);

/* Call fn(arg) in the frame that runs here, and catch what it returns and
 * raises. */
void skui_outcome_capture(struct skui_frame *frame, skua_task_fn *fn, void *arg,
                          struct skui_outcome *out);

/* Hand an outcome to the code that runs here; takes its exception. */
int skui_outcome_deliver(struct skui_outcome *outcome, void **out_value);

/* Let `exception` (taken, may be NULL) be the one being handled here. */
void skui_frame_set_exception(struct skui_frame *frame,
                              skua_exception *exception);

/* A group of `count` children (taken); NULL when memory is short. */
skua_exception *skui_exception_group(int status, const char *message,
                                     skua_exception **children, size_t count);

/* A bare status as an exception; NULL when memory is short. */
skua_exception *skui_exception_bare(int status);

/* Let the exception that is handled here, made of `status` if there is none,
 * have a cause of `cause`, in front of its former one. Nothing changes when
 * memory is short. */
void skui_frame_add_cause(struct skui_frame *frame, int status, int cause);

SKUI_END_DECLS

#endif
