/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffer.h - bytes that many hold, on the heap or in shared memory.
 */
#ifndef SKUI_EXECUTOR_BUFFER_H
#define SKUI_EXECUTOR_BUFFER_H

#include <stdbool.h>

#include "../atomic.h"
#include "skua/buffer.h"

SKUI_BEGIN_DECLS

/* As much and more is worth a memory mapping. */
enum { SKUI_BUFFER_SHARED_BYTES = 64 * 1024 };

/* On the heap, not zeroed; NULL when memory is short. */
skua_buffer *skui_buffer_make(size_t bytes);

/* With a copy of `data`; shared if it is large and `may_share`. */
int skui_buffer_copy(const void *data, size_t bytes, bool may_share,
                     skua_buffer **out_buffer);

/*
 * Room for `capacity` bytes in a buffer that nobody else holds, with the first
 * `used` of what it holds now; NULL: a new one.
 */
int skui_buffer_grow(skua_buffer **buffer, size_t used, size_t capacity,
                     bool may_share);

/* Let one that nobody else holds be smaller. */
void skui_buffer_trim(skua_buffer *buffer, size_t bytes);

/* Its descriptor, borrowed, or -1 when it lies on the heap. */
int skui_buffer_fd(const skua_buffer *buffer);

/*
 * Map shared memory that another process has filled, and take the descriptor.
 * -EINVAL when that process could still make it smaller than `bytes`: reading
 * it could end this one. It may write to it.
 */
int skui_buffer_adopt(int fd, size_t bytes, skua_buffer **out_buffer);

SKUI_END_DECLS

#endif
