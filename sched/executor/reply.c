/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.c - appending to a reply, wherever it lies.
 * Threads     That of the function which answers.
 * Invariants  bytes <= capacity; bytes <= limit.
 */
#include "reply.h"

#include <errno.h>
#include <string.h>

enum { FIRST_BYTES = 256 };

static int reply_make_room(struct skua_reply *reply, size_t bytes)
{
    size_t needed = reply->bytes + bytes;
    size_t capacity =
        reply->capacity < FIRST_BYTES / 2 ? FIRST_BYTES : reply->capacity * 2;

    if (bytes > reply->limit || reply->bytes > reply->limit - bytes) {
        return -EMSGSIZE;
    }
    if (needed <= reply->capacity && reply->data != NULL) {
        return 0;
    }
    if (capacity < needed || reply->bytes == 0) {
        capacity = needed; /* at once, when it is all that comes */
    }
    if (capacity > reply->limit) {
        capacity = reply->limit;
    }
    return reply->grow(reply, capacity);
}

int skua_reply_reserve(skua_reply *reply, size_t bytes, void **out_data)
{
    int status;

    if (reply == NULL || out_data == NULL) {
        return -EINVAL;
    }
    status = reply_make_room(reply, bytes);
    if (status == 0) {
        *out_data = reply->data + reply->bytes;
        reply->bytes += bytes;
    }
    return status;
}

int skua_reply_write(skua_reply *reply, const void *data, size_t bytes)
{
    void *room;
    int status = reply == NULL || (data == NULL && bytes > 0) ? -EINVAL : 0;

    if (status < 0 || bytes == 0) {
        return status;
    }
    status = skua_reply_reserve(reply, bytes, &room);
    if (status == 0) {
        memcpy(room, data, bytes);
    }
    return status;
}

size_t skua_reply_bytes(const skua_reply *reply)
{
    return reply == NULL ? 0 : reply->bytes;
}
