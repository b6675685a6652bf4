/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug.h - debug mode: whether it is on, and what took too long.
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
           skui_origin_note(object, kind);
}

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
