/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handle.h - a callback queued on a loop, now or at a time.
 */
#ifndef SKUI_HANDLE_H
#define SKUI_HANDLE_H

#include "context.h"
#include "runnable.h"
#include "skua/loop.h"

SKUI_BEGIN_DECLS

struct skua_handle {
    struct skui_runnable runnable; /* detail: whether it is a timer; word: its
                                      state, HN1, see handle.c */
    skua_callback_fn *fn;
    void *arg;
    skua_loop *loop;
    skui_context_slot context; /* CX1 */
    uint32_t loop_id;
    _Atomic(uint32_t) refs; /* RF1 */
    bool traced;            /* constant: see origin.h */
};

SKUI_END_DECLS

#endif
