/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Bytes that many may hold: what goes to worker processes and comes back
 * without being copied. A large one lies in memory that processes can share.
 */
#ifndef SKUA_BUFFER_H
#define SKUA_BUFFER_H

#include <skua/types.h>

SKUA_BEGIN_DECLS

/**
 * A zeroed buffer, for the caller to fill before anybody else gets it.
 * @param bytes  0 is allowed
 * @param out_buffer  a new reference
 * @return 0; -EINVAL for NULL; -ENOMEM; -EMFILE and other errnos of shared
 *         memory
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_buffer_new(size_t bytes, skua_buffer **out_buffer);

/**
 * Another reference; NULL is passed through.
 * Thread: any.  Suspends: never.
 */
SKUA_API skua_buffer *skua_buffer_ref(skua_buffer *buffer);

/**
 * Drop a reference; NULL is allowed.
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_buffer_unref(skua_buffer *buffer);

/**
 * Where it lies, aligned to 8 bytes; never NULL but for NULL. Who has given it
 * to an executor changes it no more until that work is done.
 * Thread: any.  Suspends: never.
 */
SKUA_API void *skua_buffer_data(skua_buffer *buffer);

/**
 * How large it is; 0 for NULL.
 * Thread: any.  Suspends: never.
 */
SKUA_API size_t skua_buffer_bytes(const skua_buffer *buffer);

SKUA_END_DECLS

#endif
