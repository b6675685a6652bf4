/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_pack.h - several pieces of work in one message, and their outcomes in
 * one.
 *
 * All numbers have 8 bytes, little end first; what follows its length is padded
 * to 8, so that it is aligned as the message is.
 *
 *   call    count, then the function's name and `count` pieces, each a length
 *           and as many bytes
 *   answer  for each piece that was run: status, length, and as many bytes,
 *           which are a message if the status is negative; nothing after that
 */
#ifndef SKUI_EXECUTOR_MAP_PACK_H
#define SKUI_EXECUTOR_MAP_PACK_H

#include <stdbool.h>

#include "../atomic.h"
#include "skua/buffer.h"
#include "skua/function.h"

SKUI_BEGIN_DECLS

/* A message that grows. All-zero, but for `may_share`: an empty one. */
struct skui_pack {
    skua_buffer *buffer; /* NULL: none yet */
    size_t bytes;        /* used of it */
    size_t count;        /* pieces */
    bool may_share;
};

/* Each 0, -ENOMEM or another errno of memory; then it is as it was. */
int skui_pack_begin(struct skui_pack *pack, const char *name);
int skui_pack_add(struct skui_pack *pack, const void *data, size_t bytes);
/* The call is whole: its buffer is as large as it. */
void skui_pack_end(struct skui_pack *pack);
void skui_pack_fini(struct skui_pack *pack);

/* What is left to be read of a message. */
struct skui_unpack {
    const unsigned char *data;
    size_t left;
};

/* Each -EBADMSG when it makes no sense. */
int skui_unpack_head(struct skui_unpack *unpack, size_t *out_count,
                     char out_name[SKUA_FUNCTION_NAME_MAX + 1]);
int skui_unpack_piece(struct skui_unpack *unpack, const void **out_data,
                      size_t *out_bytes);
int skui_unpack_outcome(struct skui_unpack *unpack, int *out_status,
                        const void **out_data, size_t *out_bytes);

enum { SKUI_PACK_OUTCOME_BYTES = 16 };

/* Write what stands before the bytes of an outcome. */
void skui_pack_outcome(unsigned char *place, int status, size_t bytes);

/* How much follows to fill up to a multiple of 8. */
static inline size_t skui_pack_padding(size_t bytes)
{
    return (8 - bytes % 8) % 8;
}

SKUI_END_DECLS

#endif
