/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_eager.c - the first step of a task inside the call that creates it.
 * Threads     The loop's thread, on whatever stack creates a task there: the
 *             loop's own in a callback, the creator's in a task.
 * Invariants  While the child runs, loop->scheduler describes its creator, so
 *             the child comes back here when it suspends or ends; what it
 *             described before is kept here meanwhile. A child has not run on
 *             another loop before its first suspension.
 *
 * Only then does the loop do what the child asked for, on the creator's stack,
 * as it does on its own after any other step: the child may be woken, run
 * elsewhere and end from there on. Meanwhile no task is current, as in the
 * loop, so nothing that is called there can suspend the creator.
 *
 * Each child has a stack of its own, so depth costs stacks, not stack; beyond a
 * limit children are queued.
 */
#include "task_hooks.h"

bool skui_task_may_start_eagerly(const skua_loop *loop)
{
    return loop->in_batch && loop->eager_depth < SKUI_EAGER_DEPTH;
}

/* Switch to the child; it comes back to `below`'s place. */
static void eager_step(skua_loop *loop, struct skui_task *creator,
                       struct skui_task *task)
{
    struct skui_coroutine below = loop->scheduler;
    const skua_task_hooks *hooks = skui_loop_hooks(loop);

    if (creator != NULL) {
        skui_coroutine_stand_in(&loop->scheduler, &creator->coroutine);
    }
    loop->current = task;
    if (SKUI_UNLIKELY(hooks != NULL)) {
        skui_hooks_step(hooks, loop, task);
    } else {
        skui_coroutine_switch(&loop->scheduler, &task->coroutine);
    }
    loop->current = NULL;
    loop->scheduler = below;
}

void skui_task_start_eagerly(skua_loop *loop, struct skui_task *task)
{
    struct skui_task *creator = loop->current;
    unsigned depth = loop->eager_depth;

    skui_count(&loop->counters.tasks_run, 1);
    loop->current = NULL;
    loop->eager_depth = SKUI_EAGER_DEPTH; /* of what is called from here */
    if (skui_task_prepare(loop, task)) {
        task->budget = SKUI_TASK_BUDGET;
        do {
            loop->eager_depth = depth + 1;
            eager_step(loop, creator, task);
            loop->eager_depth = SKUI_EAGER_DEPTH;
        } while (skui_task_after_step(loop, task));
    }
    loop->eager_depth = depth;
    loop->current = creator;
}
