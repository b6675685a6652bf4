/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interrupted.c - where a signal came in, on x86-64.
 */
#include "../switch.h"

#if defined(__x86_64__)

#include <ucontext.h>

bool skui_arch_read_interrupted(const void *ucontext,
                                struct skui_arch_interrupted *out)
{
    const mcontext_t *machine = &((const ucontext_t *)ucontext)->uc_mcontext;

    out->address = (uintptr_t)machine->gregs[REG_RIP];
    out->frame = (uintptr_t)machine->gregs[REG_RBP];
    out->stack = (uintptr_t)machine->gregs[REG_RSP];
    return true;
}

#else
typedef int skui_arch_interrupted_unused;
#endif
