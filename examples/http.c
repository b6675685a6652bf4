/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c - connections, requests and responses.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem() */
#endif
#include "http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    HEAD_BYTES_MAX = 8 * 1024, /* of a request; more is 431 */
    OUT_BYTES = 8 * 1024,      /* responses not sent yet */
    BODY_BYTES_MAX = 1 << 20,  /* of a request, ignored; more is 413 */
    REQUEST_TIME_S = 60,       /* from the end of one to that of the next */
    LINGER_MS = 500,           /* for a peer to read why it was refused */
};

struct http_connection {
    skua_socket *socket;
    http_route_fn *route;
    int64_t deadline_ns; /* of the request that is being read */
    size_t filled;       /* bytes of `in` */
    size_t skip_bytes;   /* of a body still to come */
    size_t out_filled;
    bool closes;
    char in[HEAD_BYTES_MAX];
    char out[OUT_BYTES];
};

/* --- responses ---------------------------------------------------------- */

static const char *reason_of(int code)
{
    switch (code) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 411:
        return "Length Required";
    case 413:
        return "Content Too Large";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    default:
        return "HTTP Version Not Supported";
    }
}

int http_flush(struct http_connection *connection)
{
    size_t bytes = connection->out_filled;

    connection->out_filled = 0;
    return bytes == 0 ? 0
                      : skua_sock_sendall_until(
                            connection->socket, connection->out, bytes,
                            skua_monotonic() + REQUEST_TIME_S * SKUA_S, NULL);
}

void http_close_after(struct http_connection *connection)
{
    connection->closes = true;
}

/* Queue bytes; what does not fit goes out first, in the same order. */
static int put(struct http_connection *connection, const char *data,
               size_t bytes)
{
    int status = 0;

    if (bytes > OUT_BYTES - connection->out_filled) {
        status = http_flush(connection);
    }
    while (status == 0 && bytes > 0) {
        size_t part = bytes < OUT_BYTES ? bytes : OUT_BYTES;

        memcpy(connection->out + connection->out_filled, data, part);
        connection->out_filled += part;
        data += part;
        bytes -= part;
        status = bytes > 0 ? http_flush(connection) : 0;
    }
    return status;
}

int http_respond(struct http_connection *connection,
                 const struct http_request *request, int code, const char *type,
                 const char *body, size_t bytes)
{
    char head[256];
    int head_bytes =
        snprintf(head, sizeof(head),
                 "HTTP/1.1 %d %s\r\nServer: skua\r\nContent-Type: %s\r\n"
                 "Content-Length: %zu\r\n%s%s%s\r\n",
                 code, reason_of(code), type, bytes,
                 code == 405 ? "Allow: GET, HEAD\r\n" : "",
                 code == 503 ? "Retry-After: 1\r\n" : "",
                 connection->closes ? "Connection: close\r\n" : "");
    int status = put(connection, head, (size_t)head_bytes);

    if (status == 0 && !(request != NULL && request->is_head)) {
        status = put(connection, body, bytes);
    }
    return status;
}

int http_respond_code(struct http_connection *connection,
                      const struct http_request *request, int code)
{
    char body[64];
    int bytes = snprintf(body, sizeof(body), "%s\n", reason_of(code));

    return http_respond(connection, request, code, "text/plain", body,
                        (size_t)bytes);
}

/* Beyond repair: answer, then close. */
static int refuse(struct http_connection *connection, int code)
{
    connection->closes = true;
    return http_respond_code(connection, NULL, code);
}

bool http_is_path(const struct http_request *request, const char *path,
                  size_t *out_query)
{
    size_t length = strlen(path);

    if (request->target_bytes < length ||
        memcmp(request->target, path, length) != 0) {
        return false;
    }
    *out_query =
        request->target_bytes > length ? length + 1 : request->target_bytes;
    return request->target_bytes == length || request->target[length] == '?';
}

/* --- requests ----------------------------------------------------------- */

static bool is_token(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] <= ' ' || text[i] >= 127 ||
            strchr("\"(),/:;<=>?@[\\]{}", text[i]) != NULL) {
            return false;
        }
    }
    return bytes > 0;
}

static bool is_text(const char *text, size_t bytes, const char *what)
{
    return bytes == strlen(what) && strncasecmp(text, what, bytes) == 0;
}

/* @return 0, or the code to refuse it with */
static int parse_request_line(struct http_request *request, const char *line,
                              size_t bytes)
{
    const char *end = line + bytes;
    const char *target = memchr(line, ' ', bytes);
    const char *version;
    size_t method_bytes;

    if (target == NULL) {
        return 400;
    }
    method_bytes = (size_t)(target++ - line);
    version = memchr(target, ' ', (size_t)(end - target));
    if (version == NULL || !is_token(line, method_bytes)) {
        return 400;
    }
    request->target = target;
    request->target_bytes = (size_t)(version++ - target);
    if (end - version != 8 || memcmp(version, "HTTP/", 5) != 0) {
        return 400;
    }
    if (memcmp(version, "HTTP/1.", 7) != 0 || version[7] < '0' ||
        version[7] > '9') {
        return 505;
    }
    request->is_head = method_bytes == 4 && memcmp(line, "HEAD", 4) == 0;
    request->is_known =
        request->is_head || (method_bytes == 3 && memcmp(line, "GET", 3) == 0);
    request->closes = version[7] == '0';
    request->has_host = version[7] == '0'; /* needs none */
    if (request->target_bytes == 0 ||
        (request->is_known && request->target[0] != '/')) {
        return 400;
    }
    return 0;
}

static int parse_length(struct http_request *request, const char *value,
                        size_t bytes)
{
    size_t length = 0;

    if (bytes == 0) {
        return 400;
    }
    for (size_t i = 0; i < bytes; i++) {
        if (value[i] < '0' || value[i] > '9') {
            return 400;
        }
        length = 10 * length + (size_t)(value[i] - '0');
        if (length > BODY_BYTES_MAX) {
            return 413;
        }
    }
    if (request->has_length && request->body_bytes != length) {
        return 400;
    }
    request->has_length = true;
    request->body_bytes = length;
    return 0;
}

static int parse_header(struct http_request *request, const char *line,
                        size_t bytes)
{
    const char *colon = memchr(line, ':', bytes);
    const char *end = line + bytes;
    const char *value;
    size_t name_bytes;

    if (colon == NULL || !is_token(line, (size_t)(colon - line))) {
        return 400;
    }
    name_bytes = (size_t)(colon - line);
    value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    if (is_text(line, name_bytes, "content-length")) {
        return parse_length(request, value, (size_t)(end - value));
    }
    if (is_text(line, name_bytes, "transfer-encoding")) {
        return 411;
    }
    if (is_text(line, name_bytes, "connection") &&
        is_text(value, (size_t)(end - value), "close")) {
        request->closes = true;
    } else if (is_text(line, name_bytes, "host")) {
        request->has_host = true;
    }
    return 0;
}

/* `head` ends behind its empty line. @return 0, or the code to refuse it with
 */
static int parse_head(struct http_request *request, const char *head,
                      size_t bytes)
{
    const char *end = head + bytes - 2;
    const char *line = head;
    int code = 0;

    *request = (struct http_request){0};
    if (memchr(head, '\0', bytes) != NULL) {
        return 400;
    }
    while (line < end && code == 0) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        size_t line_bytes = (size_t)(next - line);

        if (next == line || next[-1] != '\r') {
            return 400;
        }
        line_bytes--;
        code = line == head ? parse_request_line(request, line, line_bytes)
                            : parse_header(request, line, line_bytes);
        line = next + 1;
    }
    return code == 0 && !request->has_host ? 400 : code;
}

/* Drop what has been used from the front of the input. */
static void consume(struct http_connection *connection, size_t bytes)
{
    connection->filled -= bytes;
    memmove(connection->in, connection->in + bytes, connection->filled);
}

static void skip_body(struct http_connection *connection)
{
    size_t bytes = connection->skip_bytes < connection->filled
                       ? connection->skip_bytes
                       : connection->filled;

    connection->skip_bytes -= bytes;
    consume(connection, bytes);
}

static int serve_request(struct http_connection *connection, size_t at,
                         size_t head_bytes)
{
    struct http_request request;
    int code = parse_head(&request, connection->in + at, head_bytes);

    connection->deadline_ns = skua_monotonic() + REQUEST_TIME_S * SKUA_S;
    if (code != 0) {
        return refuse(connection, code);
    }
    connection->closes = request.closes;
    connection->skip_bytes = request.body_bytes;
    return connection->route(connection, &request);
}

/* Answer every request that is complete. */
static int serve_requests(struct http_connection *connection)
{
    size_t at = 0;
    int status = 0;

    skip_body(connection);
    while (status == 0 && !connection->closes &&
           connection->skip_bytes <= connection->filled - at) {
        const char *head = connection->in + at + connection->skip_bytes;
        size_t left = connection->filled - at - connection->skip_bytes;
        const char *end;

        at += connection->skip_bytes;
        connection->skip_bytes = 0;
        if (left >= 2 && memcmp(head, "\r\n", 2) == 0) {
            at += 2; /* an empty line before a request is allowed */
            continue;
        }
        end = memmem(head, left, "\r\n\r\n", 4);
        if (end == NULL) {
            if (left == HEAD_BYTES_MAX) {
                status = refuse(connection, 431);
            }
            break;
        }
        status = serve_request(connection, at, (size_t)(end - head) + 4);
        at += (size_t)(end - head) + 4;
    }
    consume(connection, at);
    skip_body(connection);
    return status;
}

/* --- connections -------------------------------------------------------- */

/* Let the peer read the last answer: closing with input unread resets. */
static void linger(struct http_connection *connection)
{
    int64_t limit_ns = skua_monotonic() + LINGER_MS * SKUA_MS;
    size_t left = BODY_BYTES_MAX;
    ssize_t bytes = 1;

    (void)skua_sock_shutdown(connection->socket, SHUT_WR);
    while (bytes > 0 && (size_t)bytes <= left) {
        left -= (size_t)bytes;
        bytes = skua_sock_recv_into_until(connection->socket, connection->in,
                                          sizeof(connection->in), limit_ns);
    }
}

int http_serve(skua_socket *socket, http_route_fn *route)
{
    struct http_connection connection;
    ssize_t bytes;
    int status = 0;

    memset(&connection, 0, offsetof(struct http_connection, in));
    connection.socket = socket;
    connection.route = route;
    connection.deadline_ns = skua_monotonic() + REQUEST_TIME_S * SKUA_S;
    while (status == 0 && !connection.closes) {
        bytes = skua_sock_recv_into_until(
            connection.socket, connection.in + connection.filled,
            sizeof(connection.in) - connection.filled, connection.deadline_ns);
        if (bytes <= 0) {
            status = bytes == 0 ? SKUA_EOF : (int)bytes;
            break;
        }
        connection.filled += (size_t)bytes;
        status = serve_requests(&connection);
        if (status == 0) {
            status = http_flush(&connection);
        }
    }
    if (status == 0) {
        linger(&connection);
    }
    skua_socket_unref(connection.socket);
    return status == SKUA_ECANCELED ? status : 0; /* the peer's faults end it */
}
