/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server.c - an HTTP/1.1 service: http_server [--port P] [--loops N]
 *
 *   /                 a line of text
 *   /primes?below=N   counts primes in the executor, N up to 1,000,000
 *   /stats            what each loop has done
 *
 * A listener per loop on one port, a task per connection, any number of
 * requests per connection, one send for all requests of one read. Port 0 is
 * any free port; the address is printed. SIGINT and SIGTERM end it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem() */
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <skua.h>

#include "service.h"

enum {
    HEAD_BYTES_MAX = 8 * 1024, /* of a request; more is 431 */
    OUT_BYTES = 8 * 1024,      /* responses not sent yet */
    BODY_BYTES_MAX = 1 << 20,  /* of a request, ignored; more is 413 */
    PRIMES_BELOW_MAX = 1000000,
    STATS_LINE_BYTES = 112,
    REQUEST_TIME_S = 60, /* from the end of one to that of the next */
    LINGER_MS = 500,     /* for a peer to read why it was refused */
};

struct request {
    const char *target; /* path and query, in the connection's buffer */
    size_t target_bytes;
    size_t body_bytes;
    bool is_head;
    bool is_known; /* its method */
    bool has_host;
    bool has_length;
    bool closes; /* it is the last one of its connection */
};

struct connection {
    skua_socket *socket;
    int64_t deadline_ns; /* of the request that is being read */
    size_t filled;       /* bytes of `in` */
    size_t skip_bytes;   /* of a body still to come */
    size_t out_filled;
    bool closes;
    char in[HEAD_BYTES_MAX];
    char out[OUT_BYTES];
};

/* --- counters ----------------------------------------------------------- */

static size_t print_stats(char *text, size_t bytes)
{
    skua_runner *runner = skua_get_running_runner();
    unsigned loops = skua_runner_loops(runner);
    int at = snprintf(text, bytes, "%4s %12s %10s %10s %10s %12s\n", "loop",
                      "tasks run", "stolen", "parks", "wakes", "polls");

    for (unsigned i = 0; i < loops && at > 0 && (size_t)at < bytes; i++) {
        skua_loop_stats stats = {0};

        (void)skua_loop_get_stats(skua_runner_get_loop(runner, i), &stats);
        at += snprintf(text + at, bytes - (size_t)at,
                       "%4u %12llu %10llu %10llu %10llu %12llu\n", i,
                       (unsigned long long)stats.tasks_run,
                       (unsigned long long)stats.stolen,
                       (unsigned long long)stats.parks,
                       (unsigned long long)stats.wakes_sent,
                       (unsigned long long)stats.polls);
    }
    return at < 0 ? 0 : (size_t)at;
}

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
    case 503:
        return "Service Unavailable";
    default:
        return "HTTP Version Not Supported";
    }
}

static int flush(struct connection *connection)
{
    size_t bytes = connection->out_filled;

    connection->out_filled = 0;
    return bytes == 0 ? 0
                      : skua_sock_sendall_until(
                            connection->socket, connection->out, bytes,
                            skua_monotonic() + REQUEST_TIME_S * SKUA_S, NULL);
}

/* Queue bytes; what does not fit goes out first, in the same order. */
static int put(struct connection *connection, const char *data, size_t bytes)
{
    int status = 0;

    if (bytes > OUT_BYTES - connection->out_filled) {
        status = flush(connection);
    }
    while (status == 0 && bytes > 0) {
        size_t part = bytes < OUT_BYTES ? bytes : OUT_BYTES;

        memcpy(connection->out + connection->out_filled, data, part);
        connection->out_filled += part;
        data += part;
        bytes -= part;
        status = bytes > 0 ? flush(connection) : 0;
    }
    return status;
}

static int respond(struct connection *connection, const struct request *request,
                   int code, const char *body, size_t bytes)
{
    char head[256];
    int head_bytes = snprintf(
        head, sizeof(head),
        "HTTP/1.1 %d %s\r\nServer: skua\r\nContent-Type: text/plain\r\n"
        "Content-Length: %zu\r\n%s%s\r\n",
        code, reason_of(code), bytes, code == 405 ? "Allow: GET, HEAD\r\n" : "",
        connection->closes ? "Connection: close\r\n" : "");
    int status = put(connection, head, (size_t)head_bytes);

    if (status == 0 && !(request != NULL && request->is_head)) {
        status = put(connection, body, bytes);
    }
    return status;
}

static int respond_code(struct connection *connection,
                        const struct request *request, int code)
{
    char body[64];
    int bytes = snprintf(body, sizeof(body), "%s\n", reason_of(code));

    return respond(connection, request, code, body, (size_t)bytes);
}

/* Beyond repair: answer, then close. */
static int refuse(struct connection *connection, int code)
{
    connection->closes = true;
    return respond_code(connection, NULL, code);
}

/* --- routes ------------------------------------------------------------- */

static bool is_prime(long number)
{
    if (number < 4) {
        return number > 1;
    }
    if (number % 2 == 0) {
        return false;
    }
    for (long divisor = 3; divisor * divisor <= number; divisor += 2) {
        if (number % divisor == 0) {
            return false;
        }
    }
    return true;
}

/* In the executor. Numbers travel as pointers, so nothing has to outlive a
 * connection that goes away meanwhile. */
static int count_primes(void *below)
{
    uintptr_t count = 0;

    for (long i = 2; i < (long)(uintptr_t)below; i++) {
        count += is_prime(i);
    }
    return skua_return((void *)count);
}

/* @return N of "below=N"; 0 when it is none or too large */
static long parse_below(const char *query, size_t bytes)
{
    static const char name[] = "below=";
    long number = 0;

    if (bytes <= sizeof(name) - 1 ||
        memcmp(query, name, sizeof(name) - 1) != 0) {
        return 0;
    }
    for (size_t i = sizeof(name) - 1; i < bytes; i++) {
        if (query[i] < '0' || query[i] > '9') {
            return 0;
        }
        number = 10 * number + (query[i] - '0');
        if (number > PRIMES_BELOW_MAX) {
            return 0;
        }
    }
    return number;
}

static int serve_primes(struct connection *connection,
                        const struct request *request, const char *query,
                        size_t query_bytes)
{
    long below = parse_below(query, query_bytes);
    skua_future *future;
    void *count = NULL;
    char body[64];
    int bytes;
    int status;

    if (below == 0) {
        return respond_code(connection, request, 400);
    }
    status = flush(connection); /* earlier answers do not wait for this one */
    if (status < 0) {
        return status;
    }
    status =
        skua_loop_run_in_executor(skua_get_running_loop(), NULL, count_primes,
                                  (void *)(uintptr_t)below, &future);
    if (status == 0) {
        status = skua_await(future, &count);
        skua_future_unref(future);
    }
    if (status == SKUA_ECANCELED) {
        return status;
    }
    if (status < 0) {
        return respond_code(connection, request, 503);
    }
    bytes = snprintf(body, sizeof(body), "%lu primes below %ld\n",
                     (unsigned long)(uintptr_t)count, below);
    return respond(connection, request, 200, body, (size_t)bytes);
}

static int serve_stats(struct connection *connection,
                       const struct request *request)
{
    unsigned loops = skua_runner_loops(skua_get_running_runner());
    size_t bytes = (loops + 1) * (size_t)STATS_LINE_BYTES;
    char *text = skua_allocate(bytes);
    int status;

    if (text == NULL) {
        return respond_code(connection, request, 503);
    }
    status = respond(connection, request, 200, text, print_stats(text, bytes));
    skua_release(text);
    return status;
}

static bool is_path(const struct request *request, const char *path,
                    size_t *out_query)
{
    size_t length = strlen(path);

    if (request->target_bytes < length ||
        memcmp(request->target, path, length) != 0) {
        return false;
    }
    *out_query = length + 1;
    return request->target_bytes == length || request->target[length] == '?';
}

static int route(struct connection *connection, const struct request *request)
{
    static const char hello[] = "Hello from Skua\n";
    size_t query;

    if (!request->is_known) {
        return respond_code(connection, request, 405);
    }
    if (is_path(request, "/", &query)) {
        return respond(connection, request, 200, hello, sizeof(hello) - 1);
    }
    if (is_path(request, "/stats", &query)) {
        return serve_stats(connection, request);
    }
    if (is_path(request, "/primes", &query)) {
        size_t end = request->target_bytes;

        query = query < end ? query : end;
        return serve_primes(connection, request, request->target + query,
                            end - query);
    }
    return respond_code(connection, request, 404);
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
static int parse_request_line(struct request *request, const char *line,
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

static int parse_length(struct request *request, const char *value,
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

static int parse_header(struct request *request, const char *line, size_t bytes)
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
static int parse_head(struct request *request, const char *head, size_t bytes)
{
    const char *end = head + bytes - 2;
    const char *line = head;
    int code = 0;

    *request = (struct request){0};
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
static void consume(struct connection *connection, size_t bytes)
{
    connection->filled -= bytes;
    memmove(connection->in, connection->in + bytes, connection->filled);
}

static void skip_body(struct connection *connection)
{
    size_t bytes = connection->skip_bytes < connection->filled
                       ? connection->skip_bytes
                       : connection->filled;

    connection->skip_bytes -= bytes;
    consume(connection, bytes);
}

static int serve_request(struct connection *connection, size_t at,
                         size_t head_bytes)
{
    struct request request;
    int code = parse_head(&request, connection->in + at, head_bytes);

    connection->deadline_ns = skua_monotonic() + REQUEST_TIME_S * SKUA_S;
    if (code != 0) {
        return refuse(connection, code);
    }
    connection->closes = request.closes;
    connection->skip_bytes = request.body_bytes;
    return route(connection, &request);
}

/* Answer every request that is complete. */
static int serve_requests(struct connection *connection)
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
static void linger(struct connection *connection)
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

static int serve_connection(void *arg)
{
    struct connection connection;
    ssize_t bytes;
    int status = 0;

    memset(&connection, 0, offsetof(struct connection, in));
    connection.socket = arg;
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
            status = flush(&connection);
        }
    }
    if (status == 0) {
        linger(&connection);
    }
    skua_socket_unref(connection.socket);
    return status == SKUA_ECANCELED ? status : 0; /* the peer's faults end it */
}

/* --- the service -------------------------------------------------------- */

static void print_address(const char *host, int port)
{
    printf("listening on http://%s:%d\n", host, port);
}

static void print_last_stats(void)
{
    static char stats[(SERVICE_LOOPS_MAX + 1) * STATS_LINE_BYTES];

    (void)print_stats(stats, sizeof(stats));
    (void)fputs(stats, stdout);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    static const struct service service = {
        .name = "http_server",
        .takes_host = true,
        .connection = serve_connection,
        .listening = print_address,
        .ending = print_last_stats,
    };

    raise_descriptor_limit();
    return service_main(&service, argc, argv);
}
