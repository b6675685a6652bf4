/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Task groups: children that end before their scope does.
 */
#ifndef SKUA_TASK_GROUP_H
#define SKUA_TASK_GROUP_H

#include <skua/types.h>

SKUA_BEGIN_DECLS

/** In the caller's memory; all-zero: empty. It must live until joined. */
typedef struct skua_task_group {
    SKUA_ALIGNED(8) unsigned char opaque[104];
} skua_task_group;

/**
 * Run `fn(arg)` as a child of the group. The first call makes the current task
 * the group's parent.
 * @param arg  borrowed until the group is joined
 * @return 0; -EINVAL; -ENOMEM; SKUA_ENOLOOP outside a task for the first
 *         child; SKUA_EINVALSTATE once the group is aborting or joined
 * Thread: the parent, and children while they run.  Suspends: never.
 * asyncio: TaskGroup.create_task().
 */
SKUA_API int skua_task_group_create_task(skua_task_group *group,
                                         skua_task_fn *fn, void *arg);

/**
 * Wait for all children, those included that children add. The first one that
 * fails cancels the others and the parent's body. A child that is cancelled on
 * its own is no error. A cancelled wait cancels the children and still waits
 * for them.
 * @return 0; SKUA_EGROUP with an exception that has one child for each that
 *         failed; SKUA_ECANCELED; SKUA_ENOLOOP outside a task; -EPERM when
 *         another task is the parent; SKUA_EINVALSTATE when already joined;
 *         -EINVAL
 * Thread: the parent.  Suspends: may.  asyncio: leaving `async with`.
 */
SKUA_API int skua_task_group_join(skua_task_group *group);

SKUA_END_DECLS

#endif
