/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch.S - the context switch of AAPCS64.
 *
 * Saved frame of 176 bytes: x29, x30, x19..x28, d8..d15, fpcr. x30 is saved
 * as it is: the frame is never returned through, so pointer authentication
 * has nothing to sign here, and the note below does not claim it.
 *
 * The switch ends in an indirect jump: a `ret` would miss the return
 * predictor, whose top belongs to the context that left. What it jumps to, the
 * instruction after a call, is no landing pad; so code that is compiled for
 * branch target identification (BTI), in pages that check it, takes the `ret`,
 * which needs none.
 */
#if defined(__aarch64__) && !defined(SKUA_GENERIC_SWITCH)

        .text
        .globl  skui_arch_switch
        .hidden skui_arch_switch
        .type   skui_arch_switch, %function
        .p2align 4
skui_arch_switch:
        .cfi_startproc
        hint    #34                     /* bti c */
        sub     sp, sp, #176
        .cfi_adjust_cfa_offset 176
        stp     x29, x30, [sp, #0]
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        stp     x19, x20, [sp, #16]
        stp     x21, x22, [sp, #32]
        stp     x23, x24, [sp, #48]
        stp     x25, x26, [sp, #64]
        stp     x27, x28, [sp, #80]
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        mrs     x9, fpcr
        str     x9, [sp, #160]
        mov     x10, sp
        str     x10, [x0]

        mov     sp, x1
        ldr     x11, [sp, #160]
        cmp     x9, x11
        b.eq    1f
        msr     fpcr, x11
1:      ldp     d14, d15, [sp, #144]
        ldp     d12, d13, [sp, #128]
        ldp     d10, d11, [sp, #112]
        ldp     d8, d9, [sp, #96]
        ldp     x27, x28, [sp, #80]
        ldp     x25, x26, [sp, #64]
        ldp     x23, x24, [sp, #48]
        ldp     x21, x22, [sp, #32]
        ldp     x19, x20, [sp, #16]
        ldp     x29, x30, [sp, #0]
        add     sp, sp, #176
        .cfi_adjust_cfa_offset -176
#if defined(__ARM_FEATURE_BTI_DEFAULT)
        ret
#else
        mov     x16, x30
        br      x16
#endif
        .cfi_endproc
        .size   skui_arch_switch, .-skui_arch_switch

        .globl  skui_arch_thunk
        .hidden skui_arch_thunk
        .type   skui_arch_thunk, %function
        .p2align 4
skui_arch_thunk:
        .cfi_startproc
        .cfi_undefined x30
        hint    #36                     /* bti j */
        mov     x0, x20
        blr     x19
        brk     #1
        .cfi_endproc
        .size   skui_arch_thunk, .-skui_arch_thunk

#if defined(__ARM_FEATURE_BTI_DEFAULT)
/* GNU_PROPERTY_AARCH64_FEATURE_1_AND: BTI. Without it the linker turns the
 * check off for all that it links with this. */
        .section .note.gnu.property, "a"
        .p2align 3
        .word   4, 16, 5
        .asciz  "GNU"
        .word   0xc0000000, 4, 1, 0
#endif
#endif
        .section .note.GNU-stack, "", %progbits
