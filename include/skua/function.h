/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Functions by name: what executors can run whose workers share no memory with
 * the caller. Such a function takes bytes and gives bytes, so the same one runs
 * in a thread, in a worker process and on another machine.
 */
#ifndef SKUA_FUNCTION_H
#define SKUA_FUNCTION_H

#include <stdbool.h>

#include <skua/types.h>

SKUA_BEGIN_DECLS

/** The longest name of a function, in bytes. */
#define SKUA_FUNCTION_NAME_MAX 63

/** What a registered function answers. Valid while the function runs, and only
 * in its thread. */
typedef struct skua_reply skua_reply;

/**
 * A registered function.
 * @param data  borrowed until it returns; aligned to 8 bytes; never NULL
 * @param bytes  how many; 0 is allowed
 * @param reply  what it answers: nothing, until it writes there
 * @return 0 or positive: the result's status, which the caller's future gives
 *         with the reply; negative: it failed, see skua_raise(), and the reply
 *         is dropped
 */
typedef int skua_function_fn(const void *data, size_t bytes, skua_reply *reply);

/**
 * Give a function a name. Names are for good: they cannot be taken back. Worker
 * processes know those that were registered when skua_fork_server_start() was
 * called.
 * @param name  copied; 1 to SKUA_FUNCTION_NAME_MAX of a-z A-Z 0-9 _ - and, not
 *              first, last or doubled, a dot; not beginning with "skua."
 * @return 0, also when `fn` has that name already; -EINVAL; -EEXIST for
 *         another function of that name; -ENOMEM
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_function_register(const char *name, skua_function_fn *fn);

/**
 * Whether a function has that name here. False for NULL.
 * Thread: any.  Suspends: never.
 */
SKUA_API bool skua_function_is_registered(const char *name);

/**
 * Append to the reply.
 * @param data  borrowed during the call; NULL with 0 bytes
 * @return 0; -EINVAL; -ENOMEM; -EMSGSIZE: larger than the executor takes
 * Thread: that of the function.  Suspends: never.
 */
SKUA_API int skua_reply_write(skua_reply *reply, const void *data,
                              size_t bytes);

/**
 * Append `bytes` that the function fills in itself: what is large is not copied
 * on its way.
 * @param out_data  aligned to 8 bytes if the reply was empty; valid until the
 *                  next call for this reply
 * @return as skua_reply_write()
 * Thread: that of the function.  Suspends: never.
 */
SKUA_API int skua_reply_reserve(skua_reply *reply, size_t bytes,
                                void **out_data);

/**
 * How much the reply holds; 0 for NULL.
 * Thread: that of the function.  Suspends: never.
 */
SKUA_API size_t skua_reply_bytes(const skua_reply *reply);

/**
 * Whether the work that runs in this thread should stop, because its token was
 * cancelled or its deadline has passed. It is cheap: ask between two steps.
 * Then end with SKUA_ECANCELED or what else is right. False outside of work.
 * Thread: any.  Suspends: never.
 */
SKUA_API bool skua_work_should_stop(void);

SKUA_END_DECLS

#endif
