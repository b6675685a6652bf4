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
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <skua.h>

#include "http.h"
#include "service.h"

enum {
    PRIMES_BELOW_MAX = 1000000,
    STATS_LINE_BYTES = 112,
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

static int serve_primes(struct http_connection *connection,
                        const struct http_request *request, const char *query,
                        size_t query_bytes)
{
    long below = parse_below(query, query_bytes);
    skua_future *future;
    void *count = NULL;
    char body[64];
    int bytes;
    int status;

    if (below == 0) {
        return http_respond_code(connection, request, 400);
    }
    status =
        http_flush(connection); /* earlier answers do not wait for this one */
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
        return http_respond_code(connection, request, 503);
    }
    bytes = snprintf(body, sizeof(body), "%lu primes below %ld\n",
                     (unsigned long)(uintptr_t)count, below);
    return http_respond(connection, request, 200, "text/plain", body,
                        (size_t)bytes);
}

static int serve_stats(struct http_connection *connection,
                       const struct http_request *request)
{
    unsigned loops = skua_runner_loops(skua_get_running_runner());
    size_t bytes = (loops + 1) * (size_t)STATS_LINE_BYTES;
    char *text = skua_allocate(bytes);
    int status;

    if (text == NULL) {
        return http_respond_code(connection, request, 503);
    }
    status = http_respond(connection, request, 200, "text/plain", text,
                          print_stats(text, bytes));
    skua_release(text);
    return status;
}

static int route(struct http_connection *connection,
                 const struct http_request *request)
{
    static const char hello[] = "Hello from Skua\n";
    size_t query;

    if (!request->is_known) {
        return http_respond_code(connection, request, 405);
    }
    if (http_is_path(request, "/", &query)) {
        return http_respond(connection, request, 200, "text/plain", hello,
                            sizeof(hello) - 1);
    }
    if (http_is_path(request, "/stats", &query)) {
        return serve_stats(connection, request);
    }
    if (http_is_path(request, "/primes", &query)) {
        return serve_primes(connection, request, request->target + query,
                            request->target_bytes - query);
    }
    return http_respond_code(connection, request, 404);
}

/* --- the service -------------------------------------------------------- */

static int serve_connection(void *socket)
{
    return http_serve(socket, route);
}

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
