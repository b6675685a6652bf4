/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_response.c - just enough of RFC 9112 to tell responses apart.
 * Threads     One at a time per response.
 * Invariants  Bytes are taken only when a head is complete, or of a body.
 * Rejected    Chunked bodies: a load generator is pointed at servers that know
 *             the length; it reports the others as errors.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem() */
#endif
#include "http_response.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_header(const char *line, size_t bytes, const char *name,
                      const char **out_value)
{
    size_t length = strlen(name);

    if (bytes <= length || strncasecmp(line, name, length) != 0 ||
        line[length] != ':') {
        return false;
    }
    *out_value = line + length + 1;
    while (**out_value == ' ' || **out_value == '\t') {
        (*out_value)++;
    }
    return true;
}

/* Whether a body follows that this status always lacks. */
static bool has_no_body(int status)
{
    return status / 100 == 1 || status == 204 || status == 304;
}

static int parse_length(const char *value, size_t *out_bytes)
{
    char *end;
    unsigned long long length;

    if (*value < '0' || *value > '9') {
        return -EPROTO;
    }
    errno = 0;
    length = strtoull(value, &end, 10);
    if (errno != 0 || (*end != '\r' && *end != ' ')) {
        return -EPROTO;
    }
    *out_bytes = (size_t)length;
    return 0;
}

static int parse_head(struct http_response *response, const char *head,
                      size_t bytes)
{
    const char *end = head + bytes;
    const char *line = head;
    bool has_length = false;

    if (bytes < 14 || strncmp(head, "HTTP/1.", 7) != 0) {
        return -EPROTO;
    }
    response->status = (int)strtol(head + 9, NULL, 10);
    response->closes = head[7] == '0';
    response->body_bytes = 0;
    while ((line = memchr(line, '\n', (size_t)(end - line))) != NULL &&
           ++line < end) {
        const char *value;
        size_t left = (size_t)(end - line);

        if (is_header(line, left, "content-length", &value)) {
            has_length = true;
            if (parse_length(value, &response->body_bytes) < 0) {
                return -EPROTO;
            }
        } else if (is_header(line, left, "connection", &value)) {
            response->closes = strncasecmp(value, "close", 5) == 0;
        }
    }
    if (has_no_body(response->status)) {
        response->body_bytes = 0;
        return 0;
    }
    return has_length ? 0 : -EPROTO;
}

static size_t take_body(struct http_response *response, size_t bytes)
{
    size_t used = bytes < response->body_bytes ? bytes : response->body_bytes;

    response->body_bytes -= used;
    response->in_body = response->body_bytes > 0;
    return used;
}

int http_response_take(struct http_response *response, const char *data,
                       size_t bytes, size_t *out_used)
{
    const char *end;
    int status;

    *out_used = 0;
    if (!response->in_body) {
        end = memmem(data, bytes, "\r\n\r\n", 4);
        if (end == NULL) {
            return bytes >= HTTP_HEAD_BYTES_MAX ? -EMSGSIZE : 0;
        }
        *out_used = (size_t)(end - data) + 4;
        status = parse_head(response, data, *out_used);
        if (status < 0) {
            return status;
        }
    }
    *out_used += take_body(response, bytes - *out_used);
    return response->in_body ? 0 : 1;
}
