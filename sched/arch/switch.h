/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch.h - the context switch, one implementation per CPU.
 *
 * A context is the stack pointer under which the callee-saved state lies. The
 * assembly switches save what the ABI asks for: callee-saved registers and
 * the floating-point control state (rounding, masks), not the sticky flags.
 */
#ifndef SKUI_ARCH_SWITCH_H
#define SKUI_ARCH_SWITCH_H

#include "../atomic.h"

SKUI_BEGIN_DECLS

typedef void skui_arch_entry_fn(void *arg);

/*
 * Save the current context in *out_from and continue `to`, which is used up.
 * Returns when somebody continues *out_from, maybe on another thread.
 */
void skui_arch_switch(void **out_from, void *to);

#if defined(__x86_64__) && !defined(SKUA_GENERIC_SWITCH)
#define SKUI_ARCH_RESUMES_INLINE 1

/*
 * As skui_arch_switch(), for a loop that resumes one context after another,
 * each of which comes back by skui_arch_switch(). Inlined and left by `ret`,
 * so that calls and returns stay paired for the return predictor: the context
 * that left pushed the return addresses of its way into the switch, and the one
 * that comes returns along its own, mostly the same. The caller must not return
 * between two resumes. The frame is that of switch.S, and the way back is to
 * label 1.
 */
static inline __attribute__((always_inline)) void
skui_arch_resume(void **out_from, void *to)
{
    __asm__ __volatile__(
        "leaq -128(%%rsp), %%rsp\n\t" /* the red zone */
        "leaq 1f(%%rip), %%rax\n\t"
        "pushq %%rax\n\t"
        "pushq %%rbp\n\t"
        "pushq %%rbx\n\t"
        "pushq %%r15\n\t"
        "pushq %%r14\n\t"
        "pushq %%r13\n\t"
        "pushq %%r12\n\t"
        "subq $8, %%rsp\n\t"
        "stmxcsr (%%rsp)\n\t"
        "fnstcw 4(%%rsp)\n\t"
        "movq %%rsp, (%%rdi)\n\t"
        "movl (%%rsp), %%eax\n\t"
        "movzwl 4(%%rsp), %%ecx\n\t"
        "movq %%rsi, %%rsp\n\t"
        "xorl (%%rsp), %%eax\n\t"
        "testl $0xffc0, %%eax\n\t"
        "jne 3f\n"
        "2:\tcmpw 4(%%rsp), %%cx\n\t"
        "jne 4f\n"
        "5:\taddq $8, %%rsp\n\t"
        "popq %%r12\n\t"
        "popq %%r13\n\t"
        "popq %%r14\n\t"
        "popq %%r15\n\t"
        "popq %%rbx\n\t"
        "popq %%rbp\n\t"
        "ret\n"
        "3:\tldmxcsr (%%rsp)\n\t"
        "jmp 2b\n"
        "4:\tfnclex\n\t" /* no stale flag meets a new mask */
        "fldcw 4(%%rsp)\n\t"
        "jmp 5b\n"
        "1:\tleaq 128(%%rsp), %%rsp"
        : "+D"(out_from), "+S"(to)
        :
        : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "cc", "memory", "st",
          "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "xmm0",
          "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
          "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#if defined(__AVX512F__)
          ,
          "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22",
          "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29",
          "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#endif
    );
}
#endif

/*
 * A context that calls entry(arg) on the stack [limit, top); entry must not
 * return. `top` is 16-byte aligned.
 */
void *skui_arch_prepare(void *limit, void *top, skui_arch_entry_fn *entry,
                        void *arg);

/*
 * Where a suspended context goes on: out[1] the address, out[0] the frame
 * pointer there, which points to a pair like this one. False, and so for all
 * contexts, when the switch does not say.
 */
bool skui_arch_saved_frame(const void *context, uintptr_t out[2]);

/* Where a signal came in, of its handler's third argument. */
struct skui_arch_interrupted {
    uintptr_t address;
    uintptr_t frame; /* pointer, to a pair like the one above, if kept */
    uintptr_t stack; /* pointer */
};

/* interrupted.c; false, and so always, on a CPU that it does not know. */
bool skui_arch_read_interrupted(const void *ucontext,
                                struct skui_arch_interrupted *out);

SKUI_END_DECLS

#endif
