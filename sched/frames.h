/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames.h - calls, found by their frame pointers.
 *
 * Asks for nothing but memory: fit for signal handlers.
 */
#ifndef SKUI_FRAMES_H
#define SKUI_FRAMES_H

#include "atomic.h"

SKUI_BEGIN_DECLS

/* What lies at a frame pointer, on every CPU here. */
struct skui_frame_record {
    uintptr_t frame;   /* the caller's */
    uintptr_t address; /* where it goes on */
};

/* Where frames may lie: records begin at `low` and end at `high`, whatever
 * functions keep in the frame pointer. */
struct skui_frame_span {
    uintptr_t low;
    uintptr_t high;
};

/*
 * Begin with `innermost`: its address, then those of its callers, at most
 * `capacity`; returns how many.
 */
size_t skui_frames_walk(struct skui_frame_record innermost,
                        struct skui_frame_span span, void **frames,
                        size_t capacity);

SKUI_END_DECLS

#endif
