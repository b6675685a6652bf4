/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepare.c - the first frame of a context on x86-64 (see switch.S).
 */
#include "../switch.h"

#if defined(__x86_64__) && !defined(SKUA_GENERIC_SWITCH)

#include <string.h>

enum { FRAME_WORDS = 8, RBP_WORD = 6 }; /* then the return address */

void skui_arch_thunk(void);

void *skui_arch_prepare(void *limit, void *top, skui_arch_entry_fn *entry,
                        void *arg)
{
    uint64_t *frame = (uint64_t *)top - 2 - FRAME_WORDS;
    uint32_t mxcsr;
    uint16_t control_word;

    (void)limit;
    memset(frame, 0, (FRAME_WORDS + 2) * sizeof(*frame));
    __asm__ __volatile__("stmxcsr %0" : "=m"(mxcsr));
    __asm__ __volatile__("fnstcw %0" : "=m"(control_word));
    frame[0] = mxcsr | ((uint64_t)control_word << 32);
    frame[1] = (uint64_t)(uintptr_t)entry;           /* r12 */
    frame[2] = (uint64_t)(uintptr_t)arg;             /* r13 */
    frame[7] = (uint64_t)(uintptr_t)skui_arch_thunk; /* return address */
    return frame;
}

bool skui_arch_saved_frame(const void *context, uintptr_t out[2])
{
    const uint64_t *frame = context;

    out[0] = frame[RBP_WORD];
    out[1] = frame[RBP_WORD + 1];
    return true;
}

#else
typedef int skui_arch_prepare_unused;
#endif
