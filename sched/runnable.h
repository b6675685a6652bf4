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
    uint16_t kind;   /* enum skui_runnable_kind; constant while queued */
    uint16_t detail; /* its owner's; constant while queued */
    _Atomic(uint32_t) word; /* its owner's; no queue looks at it */
};

/*
 * Fetch the lines of a task that creating, running and ending it write, before
 * they are needed: they are often another core's. A smaller object's neighbours
 * may come with it, which does no harm.
 */
static inline void skui_prefetch_task(const void *task)
{
    const char *lines = (const char *)task;

    __builtin_prefetch(lines, 1);
    __builtin_prefetch(lines + SKUI_CACHE_LINE, 1);
    __builtin_prefetch(lines + (size_t)2 * SKUI_CACHE_LINE, 1);
}

#endif
