/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_pack.c - writing and reading the messages of map_pack.h.
 * Threads     The owner of a message.
 * Invariants  What is read came from elsewhere: each length is compared with
 *             what is left before it is used. `bytes` and what is left are
 *             multiples of 8, but for what is left of a message from elsewhere.
 * Rejected    A name for each piece: all of a job have the same, and a job is
 *             begun anew when that changes.
 */
#include "map_pack.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "buffer.h"

enum { WORD = 8, FIRST_BYTES = 512 };

static void word_put(unsigned char *place, uint64_t value)
{
    value = htole64(value);
    memcpy(place, &value, WORD);
}

static uint64_t word_get(const unsigned char *place)
{
    uint64_t value;

    memcpy(&value, place, WORD);
    return le64toh(value);
}

/* --- writing --- */

/* Have room for `bytes` more. */
static int pack_reserve(struct skui_pack *pack, size_t bytes)
{
    size_t capacity = skua_buffer_bytes(pack->buffer);
    size_t wanted = capacity == 0 ? FIRST_BYTES : capacity;

    if (bytes > SIZE_MAX / 4 - pack->bytes) {
        return -ENOMEM;
    }
    if (pack->buffer != NULL && bytes <= capacity - pack->bytes) {
        return 0;
    }
    while (wanted < pack->bytes + bytes) {
        wanted *= 2;
    }
    return skui_buffer_grow(&pack->buffer, pack->bytes, wanted,
                            pack->may_share);
}

/* A length and as many bytes; there is room. */
static void pack_append(struct skui_pack *pack, const void *data, size_t bytes)
{
    unsigned char *place =
        (unsigned char *)skua_buffer_data(pack->buffer) + pack->bytes;
    size_t padding = skui_pack_padding(bytes);

    word_put(place, bytes);
    if (bytes > 0) {
        memcpy(place + WORD, data, bytes);
    }
    memset(place + WORD + bytes, 0, padding);
    pack->bytes += WORD + bytes + padding;
}

int skui_pack_begin(struct skui_pack *pack, const char *name)
{
    size_t bytes = strlen(name);
    int status = pack_reserve(pack, WORD + WORD + bytes + WORD);

    if (status == 0) {
        pack->bytes = WORD; /* the count comes last */
        pack_append(pack, name, bytes);
    }
    return status;
}

int skui_pack_add(struct skui_pack *pack, const void *data, size_t bytes)
{
    int status = bytes > SIZE_MAX / 4 ? -ENOMEM
                                      : pack_reserve(pack, WORD + bytes + WORD);

    if (status == 0) {
        pack_append(pack, data, bytes);
        pack->count++;
    }
    return status;
}

void skui_pack_end(struct skui_pack *pack)
{
    word_put(skua_buffer_data(pack->buffer), pack->count);
    skui_buffer_trim(pack->buffer, pack->bytes);
}

void skui_pack_fini(struct skui_pack *pack)
{
    skua_buffer_unref(pack->buffer);
    pack->buffer = NULL;
}

void skui_pack_outcome(unsigned char *place, int status, size_t bytes)
{
    word_put(place, (uint64_t)(int64_t)status);
    word_put(place + WORD, bytes);
}

/* --- reading --- */

static int unpack_word(struct skui_unpack *unpack, uint64_t *out_value)
{
    if (unpack->left < WORD) {
        return -EBADMSG;
    }
    *out_value = word_get(unpack->data);
    unpack->data += WORD;
    unpack->left -= WORD;
    return 0;
}

int skui_unpack_piece(struct skui_unpack *unpack, const void **out_data,
                      size_t *out_bytes)
{
    uint64_t bytes;
    size_t padded;

    if (unpack_word(unpack, &bytes) < 0 || bytes > unpack->left) {
        return -EBADMSG;
    }
    padded = (size_t)bytes + skui_pack_padding((size_t)bytes);
    if (padded > unpack->left) {
        return -EBADMSG;
    }
    *out_data = unpack->data;
    *out_bytes = (size_t)bytes;
    unpack->data += padded;
    unpack->left -= padded;
    return 0;
}

int skui_unpack_head(struct skui_unpack *unpack, size_t *out_count,
                     char out_name[SKUA_FUNCTION_NAME_MAX + 1])
{
    const void *name;
    uint64_t count;
    size_t bytes;

    if (unpack_word(unpack, &count) < 0 ||
        skui_unpack_piece(unpack, &name, &bytes) < 0 ||
        bytes > SKUA_FUNCTION_NAME_MAX || memchr(name, '\0', bytes) != NULL ||
        count == 0 || count > unpack->left / WORD) {
        return -EBADMSG;
    }
    memcpy(out_name, name, bytes);
    out_name[bytes] = '\0';
    *out_count = (size_t)count;
    return 0;
}

int skui_unpack_outcome(struct skui_unpack *unpack, int *out_status,
                        const void **out_data, size_t *out_bytes)
{
    uint64_t word;
    int64_t status;

    if (unpack_word(unpack, &word) < 0) {
        return -EBADMSG;
    }
    status = (int64_t)word;
    if (status < INT_MIN || status > INT_MAX ||
        skui_unpack_piece(unpack, out_data, out_bytes) < 0) {
        return -EBADMSG;
    }
    *out_status = (int)status;
    return 0;
}
