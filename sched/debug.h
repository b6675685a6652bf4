/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug.h - debug mode: whether it is on, what took too long, what was not
 * closed.
 *
 * Off, it costs one relaxed load for each object made and one branch for each
 * step; see origin.h for where things were made.
 */
#ifndef SKUI_DEBUG_H
#define SKUI_DEBUG_H

#include "handle.h"
#include "loop.h"
#include "origin.h"

SKUI_BEGIN_DECLS

#define SKUI_SLOW_NS (100 * SKUA_MS) /* as in asyncio */

extern _Atomic(bool) skui_debug_default; /* relaxed: a setting */

/* Switch one of the settings. */
void skui_debug_set(_Atomic(bool) *setting, bool enabled);

/* Of a loop, or of what has none. */
static inline bool skui_debug_is_on(const skua_loop *loop)
{
    /* relaxed, both: a setting */
    return loop == NULL ? skui_load_relaxed(&skui_debug_default)
                        : skui_load_relaxed(&((skua_loop *)loop)->debug);
}

/* Whether `object`, just made for `loop`, has a place in the table. */
static inline bool skui_debug_note(const void *object, const skua_loop *loop,
                                   enum skui_origin_kind kind)
{
    return SKUI_UNLIKELY(skui_debug_is_on(loop)) &&
           skui_origin_note(object, kind, NULL, -1);
}

/* The same for what is to be closed before `loop`: a descriptor, or a watch. */
static inline void skui_debug_note_open(const void *object,
                                        const skua_loop *loop,
                                        enum skui_origin_kind kind, int fd)
{
    if (SKUI_UNLIKELY(skui_debug_is_on(loop))) {
        (void)skui_origin_note(object, kind, loop, fd);
    }
}

/* `object`, which has a place in the table or none, was closed as it should. */
static inline void skui_debug_closed(const void *object)
{
    (void)skui_origin_settle(object, NULL);
}

/* Its last reference goes: log that, if it has a place and was not closed. */
void skui_debug_unclosed(const void *object);
/* The same for all that should have been closed before `loop`, which closes. */
void skui_debug_loop_closes(const skua_loop *loop);

/* The loop, between two batches or when it stops to run: time its steps. */
void skui_slow_switch(skua_loop *loop, bool timed);
/* Around each step while it is `timed`: of a task, a done callback of a future,
 * or a handle. */
void skui_slow_begin(skua_loop *loop, const struct skui_step *step);
void skui_slow_end(skua_loop *loop);

/* Once per process: what the environment says. */
void skui_debug_init(void);

SKUI_END_DECLS

#endif
