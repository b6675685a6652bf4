/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_response.h - reads the responses of an HTTP/1.1 server, of which it
 * keeps nothing but what the load generator counts.
 */
#ifndef PERF_HTTP_RESPONSE_H
#define PERF_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

enum { HTTP_HEAD_BYTES_MAX = 16 * 1024 };

/** All-zero: before the first response. */
struct http_response {
    int status;   /* of the last complete head */
    bool closes;  /* the server said `Connection: close` */
    bool in_body; /* the head was read, body_bytes are to come */
    size_t body_bytes;
};

/**
 * Take one response, or a part of it, from `data`.
 * @param out_used  how many bytes were taken
 * @return 1: a response is complete; 0: more is needed; -EPROTO: no HTTP/1
 *         response, or one without a length; -EMSGSIZE: its head is too long
 */
int http_response_take(struct http_response *response, const char *data,
                       size_t bytes, size_t *out_used);

#endif
