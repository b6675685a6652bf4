/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - HTTP/1.1 for the example servers: a task per connection, any number
 * of requests per connection, one send for all requests of one read. A server
 * adds what is answered.
 */
#ifndef EXAMPLES_HTTP_H
#define EXAMPLES_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include <skua.h>

struct http_connection;

struct http_request {
    const char *target; /* path and query, in the connection's buffer */
    size_t target_bytes;
    size_t body_bytes;
    bool is_head;
    bool is_known; /* its method */
    bool has_host;
    bool has_length;
    bool closes; /* it is the last one of its connection */
};

/**
 * Answers a request: by http_respond() or http_respond_code(), once.
 * @return what that gave; SKUA_ECANCELED when the task was cancelled
 */
typedef int http_route_fn(struct http_connection *connection,
                          const struct http_request *request);

/** Serve a connection, and drop it: what its task returns. */
int http_serve(skua_socket *socket, http_route_fn *route);

/**
 * Answer. With a request for the head alone the body is not sent.
 * @param type  of the body: "text/plain"
 */
int http_respond(struct http_connection *connection,
                 const struct http_request *request, int code, const char *type,
                 const char *body, size_t bytes);

/** Answer with a code and its name. */
int http_respond_code(struct http_connection *connection,
                      const struct http_request *request, int code);

/** Send what was answered so far: the next answer takes a while. */
int http_flush(struct http_connection *connection);

/** Let the answer to come be the connection's last one. */
void http_close_after(struct http_connection *connection);

/**
 * Whether the path is `path`.
 * @param out_query  where its query begins in the target: behind the "?", or
 *                   at the end
 */
bool http_is_path(const struct http_request *request, const char *path,
                  size_t *out_query);

#endif
