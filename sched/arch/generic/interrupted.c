/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interrupted.c - where a signal came in, on other CPUs.
 */
#include "../switch.h"

#if !defined(__x86_64__) && !defined(__aarch64__)

bool skui_arch_read_interrupted(const void *ucontext,
                                struct skui_arch_interrupted *out)
{
    (void)ucontext;
    (void)out;
    return false;
}

#else
typedef int skui_arch_interrupted_unused;
#endif
