/* SPDX-License-Identifier: Apache-2.0 */
/*
 * branch_targets.c - the switch where branch targets are checked (BTI), built
 * and run by .ci/check-switch. No libc: its code would be in checked pages
 * too, and a cross compiler's often has no landing pads.
 */
#include "sched/arch/switch.h"

enum { SWITCHES = 1000, STACK_BYTES = 64 * 1024, EXIT_CALL = 93 };

static char stack[STACK_BYTES] __attribute__((aligned(16)));
static void *scheduler;
static void *context;
static int entered;

void _start(void);
void *memset(void *target, int value, size_t bytes);

/* skui_arch_prepare() calls it. */
void *memset(void *target, int value, size_t bytes)
{
    volatile char *byte = target;

    while (bytes-- > 0) {
        *byte++ = (char)value;
    }
    return target;
}

static void enter(void *arg)
{
    (void)arg;
    for (;;) {
        entered++;
        skui_arch_switch(&context, scheduler);
    }
}

static void end(long status)
{
    register long number __asm__("x8") = EXIT_CALL;
    register long result __asm__("x0") = status;

    __asm__ __volatile__("svc 0" : : "r"(number), "r"(result));
}

void _start(void)
{
    context = skui_arch_prepare(stack, stack + sizeof(stack), enter, NULL);
    for (int i = 0; i < SWITCHES; i++) {
        skui_arch_switch(&scheduler, context);
    }
    end(entered == SWITCHES ? 0 : 1);
    for (;;) {
    }
}
