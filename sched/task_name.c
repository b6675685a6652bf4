/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_name.c - what a task is called, and what it runs.
 * Threads     Any names a task and asks for its name.
 * Ordering    SL1: the bytes of a name.
 *
 * A task that nobody names is Task-N; its N is given when somebody asks, so
 * that creating a task does not touch a counter that all cores share.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loop.h"
#include "spinlock.h"
#include "task.h"

static _Atomic(uint32_t) task_numbers; /* relaxed: a counter */

static struct skui_spinlock name_lock; /* guards the names of all tasks */

void skui_task_name(struct skui_task *task, const char *name)
{
    char copy[SKUI_NAME_BYTES];

    (void)snprintf(copy, sizeof(copy), "%s", name); /* it may be `task`'s */
    skui_spinlock_lock(&name_lock);
    memcpy(task->name, copy, sizeof(copy));
    skui_store_relaxed(&task->named, true); /* relaxed: read under lock next */
    skui_spinlock_unlock(&name_lock);
}

static uint32_t task_number(struct skui_task *task)
{
    _Atomic(uint32_t) *place = &task->future.number;
    uint32_t number = skui_load_relaxed(place); /* relaxed: a name */
    uint32_t fresh;

    if (number != 0) {
        return number;
    }
    fresh = skui_fetch_add_relaxed(&task_numbers, 1u) + 1; /* relaxed: a name */
    /* relaxed: a name */
    return skui_cas_relaxed(place, &number, fresh) ? fresh : number;
}

int skui_task_copy_name(struct skui_task *task, char *buffer, size_t bytes)
{
    char copy[SKUI_NAME_BYTES];

    if (!skui_load_relaxed(&task->named)) { /* relaxed: once, to true */
        return snprintf(buffer, bytes, "Task-%u", task_number(task));
    }
    skui_spinlock_lock(&name_lock);
    memcpy(copy, task->name, sizeof(copy));
    skui_spinlock_unlock(&name_lock);
    return snprintf(buffer, bytes, "%s", copy);
}

int skua_task_get_name(const skua_task *task, char *buffer, size_t bytes)
{
    if (task == NULL || !skui_future_is_task(task) ||
        (buffer == NULL && bytes > 0)) {
        return -EINVAL;
    }
    return skui_task_copy_name(skui_task_of(task), buffer, bytes);
}

int skua_task_set_name(skua_task *task, const char *name)
{
    if (task == NULL || name == NULL || !skui_future_is_task(task)) {
        return -EINVAL;
    }
    skui_task_name(skui_task_of(task), name);
    return 0;
}

void skui_tasks_after_fork(void)
{
    skui_spinlock_unlock(&name_lock);
}

/* Whether nobody can end `task` while this thread looks at it. */
static bool task_is_mine(const struct skui_task *task)
{
    return task == skui_task_self() ||
           (task->pinned && task->future.loop == skui_loop_self());
}

int skua_task_get_coro(const skua_task *task, skua_task_fn **out_fn,
                       void **out_arg)
{
    const struct skui_task *self;

    if (task == NULL || !skui_future_is_task(task) || out_fn == NULL ||
        out_arg == NULL) {
        return -EINVAL;
    }
    self = skui_task_of(task);
    if (skui_future_is_done(task)) {
        return SKUA_EINVALSTATE;
    }
    if (!task_is_mine(self)) {
        return -EPERM;
    }
    *out_fn = task->start.fn;
    *out_arg = task->start.arg;
    return 0;
}
