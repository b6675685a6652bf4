/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.c - messages between callers and workers, written and read.
 * Threads     Each buffer is one thread's.
 * Invariants  What was read is never trusted: each length is checked against
 *             what is there before it is used.
 * Ordering    None.
 * Progress    No allocation for reading; writing reuses its buffer.
 * Rejected    Headers of NATS for the fields: they are text, and reading them
 *             costs more than the rest of a small call. JSON: as above.
 */
#include "wire.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "../../memory.h"

enum { VERSION = 1, NUMBER_AT = 4 };

void skui_wire_buffer_fini(struct skui_wire_buffer *buffer)
{
    skui_release(buffer->data);
    *buffer = (struct skui_wire_buffer){NULL, 0, 0};
}

static void put_16(unsigned char *to, size_t value)
{
    uint16_t little = htole16((uint16_t)value);

    memcpy(to, &little, sizeof(little));
}

static void put_32(unsigned char *to, uint32_t value)
{
    uint32_t little = htole32(value);

    memcpy(to, &little, sizeof(little));
}

static void put_64(unsigned char *to, uint64_t value)
{
    uint64_t little = htole64(value);

    memcpy(to, &little, sizeof(little));
}

static uint64_t get_64(const unsigned char *from)
{
    uint64_t little;

    memcpy(&little, from, sizeof(little));
    return le64toh(little);
}

static size_t get_16(const unsigned char *from)
{
    uint16_t little;

    memcpy(&little, from, sizeof(little));
    return le16toh(little);
}

static int buffer_reserve(struct skui_wire_buffer *buffer, size_t bytes)
{
    size_t capacity = buffer->capacity < 512 ? 512 : buffer->capacity;
    unsigned char *data;

    if (bytes <= buffer->capacity) {
        return 0;
    }
    while (capacity < bytes) {
        capacity *= 2;
    }
    data = skui_resize(buffer->data, capacity);
    if (data == NULL) {
        return -ENOMEM;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int skui_wire_begin(struct skui_wire_buffer *buffer,
                    const struct skui_wire_head *head, size_t more)
{
    int status = buffer_reserve(buffer, SKUI_WIRE_HEAD + more);
    unsigned char *to = buffer->data;

    if (status < 0) {
        return status;
    }
    to[0] = 'S';
    to[1] = 'K';
    to[2] = VERSION;
    to[3] = (unsigned char)head->kind;
    put_32(to + NUMBER_AT, head->number);
    put_64(to + 8, head->caller);
    put_64(to + 16, head->id);
    put_64(to + 24, (uint64_t)head->value);
    buffer->bytes = SKUI_WIRE_HEAD;
    return 0;
}

void skui_wire_put(struct skui_wire_buffer *buffer, const void *data,
                   size_t bytes)
{
    if (bytes > 0) {
        memcpy(buffer->data + buffer->bytes, data, bytes);
        buffer->bytes += bytes;
    }
}

void skui_wire_put_id(struct skui_wire_buffer *buffer, uint64_t id)
{
    put_64(buffer->data + buffer->bytes, id);
    buffer->bytes += sizeof(id);
}

void skui_wire_set_number(struct skui_wire_buffer *buffer, uint32_t number)
{
    put_32(buffer->data + NUMBER_AT, number);
}

int skui_wire_put_call(struct skui_wire_buffer *buffer,
                       const struct skui_wire_call *call)
{
    size_t more = SKUI_WIRE_CALL_HEAD - SKUI_WIRE_HEAD + call->inbox_bytes +
                  call->result_bytes + call->bytes;
    int status = skui_wire_begin(buffer, &call->head, more);
    unsigned char sizes[SKUI_WIRE_CALL_HEAD - SKUI_WIRE_HEAD] = {0};

    if (status < 0) {
        return status;
    }
    put_16(sizes, call->inbox_bytes);
    put_16(sizes + 2, call->result_bytes);
    put_16(sizes + 4, call->max_deliver);
    skui_wire_put(buffer, sizes, sizeof(sizes));
    skui_wire_put(buffer, call->inbox, call->inbox_bytes);
    skui_wire_put(buffer, call->result, call->result_bytes);
    skui_wire_put(buffer, call->data, call->bytes);
    return 0;
}

bool skui_wire_get_head(const void *data, size_t bytes,
                        struct skui_wire_head *out_head)
{
    const unsigned char *from = data;
    uint32_t number;
    bool has_ids;

    if (data == NULL || bytes < SKUI_WIRE_HEAD || from[0] != 'S' ||
        from[1] != 'K' || from[2] != VERSION || from[3] < SKUI_WIRE_CALL ||
        from[3] >= SKUI_WIRE_KINDS) {
        return false;
    }
    memcpy(&number, from + NUMBER_AT, sizeof(number));
    out_head->kind = (enum skui_wire_kind)from[3];
    out_head->number = le32toh(number);
    out_head->caller = get_64(from + 8);
    out_head->id = get_64(from + 16);
    out_head->value = (int64_t)get_64(from + 24);
    has_ids = out_head->kind == SKUI_WIRE_BEAT ||
              out_head->kind == SKUI_WIRE_ASK ||
              out_head->kind == SKUI_WIRE_CANCEL;
    return !has_ids || (out_head->number <= SKUI_WIRE_IDS_MAX &&
                        bytes == SKUI_WIRE_HEAD + (size_t)out_head->number *
                                                      sizeof(uint64_t));
}

/* Parts of subjects: nothing that ends one, nor a wildcard. */
static bool names_are_good(const unsigned char *names, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (names[i] <= ' ' || names[i] > '~' || names[i] == '*' ||
            names[i] == '>') {
            return false;
        }
    }
    return true;
}

bool skui_wire_get_call(const void *data, size_t bytes,
                        struct skui_wire_call *out_call)
{
    const unsigned char *from = data;
    size_t names;

    if (!skui_wire_get_head(data, bytes, &out_call->head) ||
        out_call->head.kind != SKUI_WIRE_CALL || bytes < SKUI_WIRE_CALL_HEAD) {
        return false;
    }
    out_call->inbox_bytes = get_16(from + SKUI_WIRE_HEAD);
    out_call->result_bytes = get_16(from + SKUI_WIRE_HEAD + 2);
    out_call->max_deliver = (unsigned)get_16(from + SKUI_WIRE_HEAD + 4);
    names = out_call->inbox_bytes + out_call->result_bytes;
    if (out_call->inbox_bytes == 0 ||
        out_call->inbox_bytes > SKUI_WIRE_NAMES_MAX ||
        out_call->result_bytes > SKUI_WIRE_NAMES_MAX ||
        names > bytes - SKUI_WIRE_CALL_HEAD ||
        !names_are_good(from + SKUI_WIRE_CALL_HEAD, names)) {
        return false;
    }
    out_call->inbox = (const char *)from + SKUI_WIRE_CALL_HEAD;
    out_call->result = out_call->inbox + out_call->inbox_bytes;
    out_call->data = from + SKUI_WIRE_CALL_HEAD + names;
    out_call->bytes = bytes - SKUI_WIRE_CALL_HEAD - names;
    return true;
}

uint64_t skui_wire_get_id(const void *data, size_t index)
{
    return get_64((const unsigned char *)data + SKUI_WIRE_HEAD +
                  index * sizeof(uint64_t));
}

void skui_wire_hex(uint64_t value, char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 15; i >= 0; i--) {
        text[i] = digits[value & 15];
        value >>= 4;
    }
    text[16] = '\0';
}

bool skui_wire_unhex(const char *text, uint64_t *out_value)
{
    uint64_t value = 0;
    int i;

    for (i = 0; i < 16; i++) {
        char c = text[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 16;
        if (digit == 16) {
            return false;
        }
        value = value << 4 | digit;
    }
    *out_value = value;
    return text[16] == '\0';
}
