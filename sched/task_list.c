/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_list.c - which tasks there are.
 * Threads     Any.
 * Ordering    RF1: a task that is listed is whole; PK6 the runner stays.
 */
#include "task.h"

#include <errno.h>

#include "loop.h"
#include "runner.h"

struct task_listing {
    skua_loop *loop;
    const skua_runner *runner; /* its own, or NULL */
    skua_task **tasks;
    size_t capacity;
    int64_t count;
};

/* Whether tasks of `home` are listed as those of `loop`: programs do not know
 * the spare loops of a runner, so theirs are its first loop's. */
static bool task_list_covers(const struct task_listing *listing,
                             const skua_loop *home)
{
    const skua_runner *runner = listing->runner;

    if (home == listing->loop || runner == NULL || listing->loop->index != 0) {
        return home == listing->loop;
    }
    for (unsigned i = runner->count; i < runner->total; i++) {
        if (runner->loops[i] == home) {
            return true;
        }
    }
    return false;
}

static void task_list_one(void *object, void *arg)
{
    struct skui_task *task = object;
    struct task_listing *listing = arg;

    if (!skui_future_try_ref(&task->future)) {
        return;
    }
    if (!task_list_covers(listing, task->future.loop) ||
        skui_future_is_done(&task->future)) {
        skua_future_unref(&task->future);
        return;
    }
    if ((size_t)listing->count < listing->capacity) {
        listing->tasks[listing->count] = &task->future;
    } else {
        skua_future_unref(&task->future);
    }
    listing->count++;
}

int64_t skui_task_list(skua_loop *loop, skua_task **tasks, size_t capacity)
{
    struct task_listing listing = {loop, NULL, tasks, capacity, 0};

    /* PK6 (seq_cst): the runner stays until this is taken back. */
    (void)skui_fetch_add_seq_cst(&loop->wakers, 1u);
    /* PK6 (seq_cst): NULL: a loop of its own, or a closed one. */
    listing.runner = skui_load_seq_cst(&loop->inject_runner);
    skui_object_for_each(SKUI_OBJECT_TASK, task_list_one, &listing);
    /* PK6 release: the runner may be freed. */
    (void)skui_fetch_sub_release(&loop->wakers, 1u);
    return listing.count;
}

int64_t skua_all_tasks(skua_loop *loop, skua_task **tasks, size_t capacity)
{
    if (tasks == NULL && capacity > 0) {
        return -EINVAL;
    }
    if (loop == NULL) {
        loop = skui_loop_self();
    }
    if (loop == NULL) {
        return SKUA_ENOLOOP;
    }
    return skui_loop_check_open(loop) == SKUA_EFORKED
               ? SKUA_EFORKED
               : skui_task_list(loop, tasks, capacity);
}
