/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Task groups: children that end before their scope does.
 *
 *     skua_task_group group = {0};
 *     int status = skua_task_group_create_task(&group, fn, arg);
 *     ...
 *     return skua_task_group_leave(&group, status);
 *
 * A group is entered once, by skua_task_group_enter() or by whoever creates its
 * first child: that task is its parent, and leaves it. When a child fails the
 * others are cancelled, and the parent's body as well. Other calls of the group
 * may come from any task, loop or thread as long as its memory lives, which is
 * at least until the parent has left and those calls have returned.
 */
#ifndef SKUA_TASK_GROUP_H
#define SKUA_TASK_GROUP_H

#include <skua/task.h>
#include <skua/types.h>

SKUA_BEGIN_DECLS

/** In the caller's memory; all-zero: not entered. It is used once. */
typedef struct skua_task_group {
    SKUA_ALIGNED(8) unsigned char opaque[160];
} skua_task_group;

/** What ends a group before all children have. */
typedef enum skua_task_group_policy {
    SKUA_TASK_GROUP_FAIL_FAST,     /* a child or body that fails (asyncio) */
    SKUA_TASK_GROUP_COLLECT,       /* nothing: all errors come out together */
    SKUA_TASK_GROUP_FIRST_SUCCESS, /* a child that returns 0 or more, or a body
                                      that fails; children may fail */
} skua_task_group_policy;

/** How to enter a group. All-zero is the default. */
typedef struct skua_task_group_options {
    skua_task_group_policy policy;
} skua_task_group_options;

/**
 * Enter the group: the current task is its parent. Needed for options only,
 * or when another task may create the first child.
 * @param options  borrowed; NULL: the default
 * @return 0; -EINVAL for NULL or an unknown policy; SKUA_ENOLOOP outside a
 *         task; SKUA_EINVALSTATE when it was entered before
 * Thread: a task.  Suspends: never.  asyncio: async with TaskGroup().
 */
SKUA_API int skua_task_group_enter(skua_task_group *group,
                                   const skua_task_group_options *options);

/**
 * Run `fn(arg)` as a child of the group. If nobody has entered that, the
 * current task is its parent.
 * @param arg  borrowed until the parent has left
 * @return 0; -EINVAL; -ENOMEM; SKUA_ENOLOOP without a running loop, or outside
 *         a task for the first child; SKUA_ECLOSED; SKUA_EINVALSTATE, and `fn`
 *         never runs, once the group is ending early or has no child left
 *         while the parent leaves
 * Thread: a loop's.  Suspends: never.  asyncio: TaskGroup.create_task().
 */
SKUA_API int skua_task_group_create_task(skua_task_group *group,
                                         skua_task_fn *fn, void *arg);

/**
 * skua_task_group_create_task() with a handle and options; from any thread
 * when `options` name a loop. A child's failure is the group's: it is never
 * reported as unread.
 * @param options   borrowed; NULL: the default
 * @param out_task  a new reference, written before the child can run, or NULL
 * @return as skua_task_group_create_task()
 * Thread: any.  Suspends: never.  asyncio: TaskGroup.create_task().
 */
SKUA_API int skua_task_group_create_task_with(skua_task_group *group,
                                              const skua_task_options *options,
                                              skua_task_fn *fn, void *arg,
                                              skua_task **out_task);

/**
 * Run `fn(arg)` as a child and wait until it calls skua_task_group_started().
 * Until then its end is the caller's: its failure comes out here and not of
 * the group. A cancelled call cancels the child and waits for its end; a child
 * that was ready already stays in the group.
 * @param arg        borrowed until the parent has left
 * @param out_value  what the child gave; may be NULL; written on success
 * @return 0; the child's failure, with its exception; SKUA_ECANCELED when child
 *         or caller was cancelled; SKUA_EBROKEN when the child returned without
 *         having been ready; SKUA_ENOLOOP outside a task; as
 *         skua_task_group_create_task()
 * Thread: a task.  Suspends: may.  Trio: nursery.start().
 */
SKUA_API int skua_task_group_start(skua_task_group *group, skua_task_fn *fn,
                                   void *arg, void **out_value);

/**
 * The current task, made by skua_task_group_start(), is ready: the call there
 * returns, with `value`.
 * @return 0; SKUA_EINVALSTATE for any other task, or the second time;
 *         SKUA_ECANCELED when that call was cancelled; SKUA_ENOLOOP outside a
 *         task
 * Thread: the child.  Suspends: never.  Trio: task_status.started().
 */
SKUA_API int skua_task_group_started(void *value);

/**
 * End the group early, without an error: the children are cancelled, and the
 * parent's body; what that cancelled does not come out of the group. Errors
 * still do. Nothing happens when the group is ending already. Before anybody
 * has entered it: entering cancels the body.
 * @return 0; -EINVAL
 * Thread: any.  Suspends: never.  asyncio: TaskGroup.cancel() (3.15).
 */
SKUA_API int skua_task_group_cancel(skua_task_group *group);

/**
 * Leave the group: wait for all children, those included that children add. A
 * child that is cancelled on its own is no error. A cancelled call cancels the
 * children and still waits for them.
 * @param status  how the body ended. SKUA_ECANCELED cancels the children; a
 *                failure does, too (COLLECT: it does not), and it is among what
 *                comes out, with the current exception. SKUA_EINVALSTATE after
 *                a child was refused to the body is no failure: what ended the
 *                group comes out instead
 * @return `status` when all went well, 0 for a group that ended early without
 *         an error; SKUA_EGROUP with an exception that has one child for each
 *         failure, in order of completion, the body's at the end (as far as
 *         memory lasts; maybe with no exception): then a request to cancel the
 *         parent from outside waits for its next wait;
 *         SKUA_ECANCELED; SKUA_ENOLOOP outside a task; -EPERM when another
 *         task is the parent; SKUA_EINVALSTATE when it was left before;
 *         -EINVAL
 * Thread: the parent.  Suspends: may.  asyncio: leaving `async with`.
 */
SKUA_API int skua_task_group_leave(skua_task_group *group, int status);

/**
 * skua_task_group_leave() with a body that went well.
 * @return as skua_task_group_leave()
 * Thread: the parent.  Suspends: may.
 */
SKUA_API int skua_task_group_join(skua_task_group *group);

/**
 * Which child ended a group of the policy FIRST_SUCCESS, once that was left.
 * @param out_index  its number in order of creation, from 0; may be NULL
 * @param out_value  what it passed to skua_return(); may be NULL
 * @return its status, 0 or more; -ENOENT when none succeeded; SKUA_EINVALSTATE
 *         before the group was left, or with another policy; -EINVAL
 * Thread: the parent.  Suspends: never.
 */
SKUA_API int skua_task_group_winner(const skua_task_group *group,
                                    size_t *out_index, void **out_value);

SKUA_END_DECLS

#endif
