/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_hooks.c - who is told what tasks do.
 * Threads     A loop's hooks are set and read by any thread.
 * Invariants  While a hook runs no task is current, so that nothing in it can
 *             suspend, and no task starts eagerly.
 * Ordering    TH1: the table behind the pointer.
 */
#include "task_hooks.h"

#include <errno.h>

static void set_hooks(skua_loop *loop, const void *value)
{
    /* TH1 release: who finds the table sees what is in it. */
    skui_store_release(&loop->hooks, (const skua_task_hooks *)value);
}

int skua_loop_set_task_hooks(skua_loop *loop, const skua_task_hooks *hooks)
{
    int status = loop == NULL ? -EINVAL : skui_loop_check_open(loop);

    if (status == 0) {
        skui_loop_set(loop, set_hooks, hooks);
    }
    return status;
}

static void set_eager(skua_loop *loop, const void *value)
{
    /* relaxed: a setting */
    skui_store_relaxed(&loop->eager, *(const bool *)value);
}

int skua_loop_set_eager(skua_loop *loop, bool eager)
{
    int status = loop == NULL ? -EINVAL : skui_loop_check_open(loop);

    if (status == 0) {
        skui_loop_set(loop, set_eager, &eager);
    }
    return status;
}

bool skua_loop_get_eager(const skua_loop *loop)
{
    return loop != NULL && skui_loop_is_eager(loop);
}

/* Nobody hears what it raises: it only watches. */
static void hook_run(skua_task_hook_fn *hook, struct skui_task *task, void *arg)
{
    struct skui_frame *frame = skui_thread_frame(); /* no task is current */
    struct skui_frame saved = *frame;

    frame->value = NULL;
    frame->exception = NULL;
    hook(&task->future, arg);
    skua_exception_unref(frame->exception);
    *frame = saved;
}

static void hook_call(skua_task_hook_fn *hook, struct skui_task *task,
                      void *arg)
{
    skua_loop *loop = skui_loop_self();
    struct skui_task *current;
    unsigned depth;

    if (hook == NULL) {
        return;
    }
    if (loop == NULL) {
        hook_run(hook, task, arg);
        return;
    }
    current = loop->current;
    depth = loop->eager_depth;
    loop->current = NULL;
    loop->eager_depth = SKUI_EAGER_DEPTH;
    hook_run(hook, task, arg);
    loop->eager_depth = depth;
    loop->current = current;
}

void skui_hooks_spawn(const skua_task_hooks *hooks, struct skui_task *task)
{
    task->announced = true;
    hook_call(hooks->on_spawn, task, hooks->arg);
}

void skui_hooks_done(struct skui_task *task)
{
    const skua_task_hooks *hooks = skui_loop_hooks(task->future.loop);

    if (hooks != NULL) {
        hook_call(hooks->on_done, task, hooks->arg);
    }
}

void skui_hooks_step(const skua_task_hooks *hooks, skua_loop *loop,
                     struct skui_task *task)
{
    hook_call(hooks->on_step_begin, task, hooks->arg);
    skui_coroutine_switch(&loop->scheduler, &task->coroutine);
    hook_call(hooks->on_step_end, task, hooks->arg);
}
