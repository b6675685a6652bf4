/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interrupted.c - where a signal came in, on aarch64.
 */
#include "../switch.h"

#if defined(__aarch64__)

#include <ucontext.h>

bool skui_arch_read_interrupted(const void *ucontext,
                                struct skui_arch_interrupted *out)
{
    const mcontext_t *machine = &((const ucontext_t *)ucontext)->uc_mcontext;

    out->address = (uintptr_t)machine->pc;
    out->frame = (uintptr_t)machine->regs[29];
    out->stack = (uintptr_t)machine->sp;
    return true;
}

#else
typedef int skui_arch_interrupted_unused;
#endif
