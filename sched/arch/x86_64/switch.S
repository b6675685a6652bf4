/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch.S - the context switch of x86-64 System V.
 *
 * Saved frame, from the stack pointer up: x87 control word and mxcsr (8 bytes),
 * r12, r13, r14, r15, rbx, rbp, return address. The switch ends in an indirect
 * jump: a `ret` would miss the return predictor, whose top belongs to the
 * context that left. It is a `notrack` one: what it jumps to, the instruction
 * after a call, is no landing pad (IBT). Control words are reloaded only when
 * they differ, since ldmxcsr costs tens of cycles.
 */
#if defined(__x86_64__) && !defined(SKUA_GENERIC_SWITCH)

        .text
        .globl  skui_arch_switch
        .hidden skui_arch_switch
        .type   skui_arch_switch, @function
        .p2align 4
skui_arch_switch:
        .cfi_startproc
        endbr64
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r14, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movq    %rsp, (%rdi)

        /* Compare the control bits with those of the context to come. */
        movl    (%rsp), %eax
        movzwl  4(%rsp), %ecx
        movq    %rsi, %rsp
        xorl    (%rsp), %eax
        testl   $0xffc0, %eax
        jne     2f
1:      cmpw    4(%rsp), %cx
        jne     3f
4:      .cfi_remember_state
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore r14
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore r15
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register rip, rcx
        notrack jmp *%rcx
        .cfi_restore_state
2:      ldmxcsr (%rsp)
        jmp     1b
3:      fnclex                          /* no stale flag meets a new mask */
        fldcw   4(%rsp)
        jmp     4b
        .cfi_endproc
        .size   skui_arch_switch, .-skui_arch_switch

/*
 * The first frame of a new context: r12 = entry, r13 = arg. It is the end of
 * every backtrace: rip is undefined and rbp is 0.
 */
        .globl  skui_arch_thunk
        .hidden skui_arch_thunk
        .type   skui_arch_thunk, @function
        .p2align 4
skui_arch_thunk:
        .cfi_startproc
        .cfi_undefined rip
        endbr64
        movq    %r13, %rdi
        callq   *%r12
        ud2
        .cfi_endproc
        .size   skui_arch_thunk, .-skui_arch_thunk

        .section .note.gnu.property, "a"
        .p2align 3
        .long   4, 16, 5
        .asciz  "GNU"
        .long   0xc0000002, 4, 1, 0
#endif
        .section .note.GNU-stack, "", %progbits
