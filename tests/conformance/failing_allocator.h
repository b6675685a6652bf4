/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failing_allocator.h - the library's allocator, of which a test says which
 * calls fail.
 */
#ifndef TESTS_CONFORMANCE_FAILING_ALLOCATOR_H
#define TESTS_CONFORMANCE_FAILING_ALLOCATOR_H

#include <cstdlib>

#include <skua.h>

namespace conformance
{

/** Whether an allocation of so many bytes fails. */
using AllocationFails = bool (*)(size_t bytes);

inline AllocationFails allocation_fails = nullptr;

/** Once in a program, before the library allocates: by a constant that this
 * initialises. */
inline int install_allocator(AllocationFails fails)
{
    static const skua_allocator allocator = {
        [](void *, size_t bytes) -> void * {
            return allocation_fails(bytes) ? nullptr : malloc(bytes);
        },
        [](void *, void *pointer, size_t bytes) -> void * {
            return allocation_fails(bytes) ? nullptr : realloc(pointer, bytes);
        },
        [](void *, void *pointer) { free(pointer); },
        nullptr,
    };

    allocation_fails = fails;
    return skua_set_allocator(&allocator);
}

} // namespace conformance

#endif
