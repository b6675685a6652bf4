/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runnable.h - what a ready queue holds: a task or a handle.
 *
 * Exactly one queue (ring, pinned list, inbox, inject) holds a runnable, or
 * none. Its holder owns `next` and `ticket`; pushing hands them over with the
 * release of the queue's own label.
 */
#ifndef SKUI_RUNNABLE_H
#define SKUI_RUNNABLE_H

#include "atomic.h"

enum skui_runnable_kind {
    SKUI_RUNNABLE_TASK,     /* struct skua_task: switch to its coroutine */
    SKUI_RUNNABLE_HANDLE,   /* struct skua_handle: call fn(arg) */
    SKUI_RUNNABLE_CALLBACK, /* a future's done callback */
    SKUI_RUNNABLE_STUB,     /* the inbox's own placeholder */
};

struct skui_runnable {
    _Atomic(struct skui_runnable *) next;
    uint64_t ticket; /* place in its loop's order; set when queued there */
    uint32_t kind;   /* enum skui_runnable_kind; constant while queued */
    uint32_t detail; /* its owner's; constant while queued */
};

#endif
