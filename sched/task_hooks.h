/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_hooks.h - who is told what tasks do. Off, each place where somebody
 * could be told costs one load and a branch.
 */
#ifndef SKUI_TASK_HOOKS_H
#define SKUI_TASK_HOOKS_H

#include "loop.h"
#include "task.h"

SKUI_BEGIN_DECLS

static inline const skua_task_hooks *skui_loop_hooks(const skua_loop *loop)
{
    /* TH1 acquire: pairs with skua_loop_set_task_hooks(). */
    return skui_load_acquire(&((skua_loop *)loop)->hooks);
}

static inline bool skui_loop_is_eager(const skua_loop *loop)
{
    /* relaxed: a setting */
    return skui_load_relaxed(&((skua_loop *)loop)->eager);
}

/* A new task that nobody else knows yet. */
void skui_hooks_spawn(const skua_task_hooks *hooks, struct skui_task *task);
/* A task that was announced has ended; it can still be referred to. */
void skui_hooks_done(struct skui_task *task);

/* Run a step of `task`, which `loop` is about to resume, and tell of it. */
void skui_hooks_step(const skua_task_hooks *hooks, skua_loop *loop,
                     struct skui_task *task);

SKUI_END_DECLS

#endif
