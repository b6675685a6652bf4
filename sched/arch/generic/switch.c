/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch.c - the context switch by ucontext, for CPUs without an own one.
 *
 * The ucontext of a suspended context lies on its own stack; the context is
 * its address. Rejected: setjmp, which glibc does not let start a stack.
 */
#include "../switch.h"

#if defined(SKUA_GENERIC_SWITCH) ||                                            \
    (!defined(__x86_64__) && !defined(__aarch64__))

#include <stdint.h>
#include <string.h>
#include <ucontext.h>

struct generic_start {
    ucontext_t context;
    skui_arch_entry_fn *entry;
    void *arg;
};

/* makecontext passes ints only: the pointer travels in two halves. */
static void generic_enter(unsigned high, unsigned low)
{
    uintptr_t address = ((uintptr_t)high << 16 << 16) | (uintptr_t)low;
    struct generic_start *start = (struct generic_start *)address;

    start->entry(start->arg);
}

void skui_arch_switch(void **out_from, void *to)
{
    ucontext_t self;

    *out_from = &self;
    (void)swapcontext(&self, to);
}

void *skui_arch_prepare(void *limit, void *top, skui_arch_entry_fn *entry,
                        void *arg)
{
    struct generic_start *start =
        (struct generic_start *)top - 1; /* ucontext_t keeps 16 aligned */
    uintptr_t address = (uintptr_t)start;

    memset(start, 0, sizeof(*start));
    (void)getcontext(&start->context);
    start->entry = entry;
    start->arg = arg;
    start->context.uc_stack.ss_sp = limit;
    start->context.uc_stack.ss_size = (size_t)((char *)start - (char *)limit);
    start->context.uc_link = NULL;
    makecontext(&start->context, (void (*)(void))generic_enter, 2,
                (unsigned)(address >> 16 >> 16), (unsigned)address);
    return &start->context;
}

bool skui_arch_saved_frame(const void *context, uintptr_t out[2])
{
    (void)context;
    (void)out;
    return false;
}

#else
typedef int skui_arch_generic_unused;
#endif
