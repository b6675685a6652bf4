/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Memory: where the library gets it from.
 */
#ifndef SKUA_MEMORY_H
#define SKUA_MEMORY_H

#include <skua/types.h>

SKUA_BEGIN_DECLS

/**
 * An allocator. Each function gets `context`, and must be callable from any
 * thread; `allocate` and `resize` give NULL when memory is short.
 */
typedef struct skua_allocator {
    void *(*allocate)(void *context, size_t bytes);
    /** As realloc(3); `pointer` may be NULL. */
    void *(*resize)(void *context, void *pointer, size_t bytes);
    void (*release)(void *context, void *pointer);
    void *context; /* borrowed as long as the process lives */
} skua_allocator;

/**
 * Use `allocator` (copied) for everything from now on. The default is malloc,
 * which jemalloc serves where it is linked.
 * @return 0; -EINVAL for NULL or a missing function; -EBUSY once the library
 *         has allocated anything
 * Thread: any, before all else.  Suspends: never.
 */
SKUA_API int skua_set_allocator(const skua_allocator *allocator);

/**
 * Memory from the library's allocator, uninitialised; NULL when short.
 * Thread: any.  Suspends: never.
 */
SKUA_API void *skua_allocate(size_t bytes);

/**
 * Release what skua_allocate() or a call of the library returned; NULL is
 * allowed.
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_release(void *pointer);

SKUA_END_DECLS

#endif
