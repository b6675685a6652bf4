/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepare.c - the first frame of a context on aarch64 (see switch.S).
 */
#include "../switch.h"

#if defined(__aarch64__) && !defined(SKUA_GENERIC_SWITCH)

#include <string.h>

enum { FRAME_WORDS = 22 };

void skui_arch_thunk(void);

void *skui_arch_prepare(void *limit, void *top, skui_arch_entry_fn *entry,
                        void *arg)
{
    uint64_t *frame = (uint64_t *)top - FRAME_WORDS;
    uint64_t fpcr;

    (void)limit;
    memset(frame, 0, FRAME_WORDS * sizeof(*frame));
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(fpcr));
    frame[1] = (uint64_t)(uintptr_t)skui_arch_thunk; /* x30 */
    frame[2] = (uint64_t)(uintptr_t)entry;           /* x19 */
    frame[3] = (uint64_t)(uintptr_t)arg;             /* x20 */
    frame[20] = fpcr;
    return frame;
}

bool skui_arch_saved_frame(const void *context, uintptr_t out[2])
{
    const uint64_t *frame = context;

    out[0] = frame[0]; /* x29 */
    out[1] = frame[1]; /* x30 */
    return true;
}

#else
typedef int skui_arch_prepare_unused;
#endif
