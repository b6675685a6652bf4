/* SPDX-License-Identifier: Apache-2.0 */
/**
 * An `errno` that no compiler caches across a suspension. Include it instead
 * of <errno.h> in code that reads errno after its task may have moved.
 */
#ifndef SKUA_ERRNO_H
#define SKUA_ERRNO_H

#include <errno.h>

#include <skua/status.h>

SKUA_BEGIN_DECLS

/**
 * Where the current thread's errno is; looked up anew at each use.
 * Thread: any.  Suspends: never.
 */
SKUA_API int *skua_errno_location(void);

SKUA_END_DECLS

#undef errno
#define errno (*skua_errno_location())

#endif
