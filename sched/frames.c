/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames.c - calls, found by their frame pointers.
 * Threads     Any, for a stack that stays as it is meanwhile.
 * Invariants  Only addresses of the span are read. Callers' frames lie above
 *             those of what they call, so the walk ends.
 */
#include "frames.h"

/* Frames of other functions lie about: the sanitizers must not mind. */
__attribute__((no_sanitize_address, no_sanitize_thread)) size_t
skui_frames_walk(struct skui_frame_record innermost,
                 struct skui_frame_span span, void **frames, size_t capacity)
{
    uintptr_t frame = innermost.frame;
    uintptr_t address = innermost.address;
    uintptr_t low = span.low;
    size_t count = 0;

    while (count < capacity && address != 0) {
        frames[count++] = (void *)address;
        if (frame < low || frame >= span.high ||
            span.high - frame < sizeof(struct skui_frame_record) ||
            frame % sizeof(uintptr_t) != 0) {
            break;
        }
        low = frame + sizeof(struct skui_frame_record);
        address = ((const volatile uintptr_t *)frame)[1];
        frame = ((const volatile uintptr_t *)frame)[0];
    }
    return count;
}
