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

/*
 * A context that calls entry(arg) on the stack [limit, top); entry must not
 * return. `top` is 16-byte aligned.
 */
void *skui_arch_prepare(void *limit, void *top, skui_arch_entry_fn *entry,
                        void *arg);

SKUI_END_DECLS

#endif
