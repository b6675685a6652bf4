/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.c - a listener per loop on one port, and a task per connection.
 *
 * Each loop has a listener of its own, so the kernel spreads the connections;
 * an acceptor pinned to the loop starts their tasks. The main task waits for
 * a signal, which arrives on a descriptor.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sigset_t, signalfd() */
#endif
#include "service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { BACKLOG = 4096, PORT_MAX = 65535 };

struct acceptor {
    struct server *server;
    skua_future *bound; /* done when it listens */
    skua_task *task;
};

struct server {
    const struct service *service;
    skua_runner *runner;
    const char *host;
    int port;             /* 0 until the first listener has one */
    unsigned loops;       /* 0: one a core */
    int signal_fd;        /* readable when the program is to end */
    skua_loop *loop;      /* where that is watched */
    skua_future *stopped; /* done when it was */
    unsigned acceptors;
    struct acceptor of[SERVICE_LOOPS_MAX];
};

/* --- listeners ---------------------------------------------------------- */

static int listen_on_port(struct server *server, skua_socket **out_listener)
{
    const skua_listen_options options = {
        .host = server->host,
        .port = server->port,
        .backlog = BACKLOG,
        .reuse_port = true,
    };
    int status = skua_sock_listen(&options, out_listener);

    if (status == 0 && server->port == 0) {
        status = skua_sock_getsockname(*out_listener, NULL, 0, &server->port);
    }
    return status;
}

/* Pinned to its loop. The main task waits for `bound` before it goes on. */
static int accept_connections(void *arg)
{
    struct acceptor *self = arg;
    skua_task_fn *serve = self->server->service->connection;
    skua_socket *listener;
    int status = listen_on_port(self->server, &listener);

    if (status < 0) {
        (void)skua_future_set_error(self->bound, status);
        return status;
    }
    (void)skua_future_set_result(self->bound, NULL);
    while (status == 0) {
        skua_socket *connection;

        status = skua_sock_accept(listener, &connection);
        if (status == 0 && skua_create_task(serve, connection, NULL) < 0) {
            skua_socket_unref(connection);
        }
    }
    skua_socket_unref(listener);
    return status;
}

static int acceptor_start(struct server *server, unsigned index)
{
    const skua_task_options options = {
        .name = "acceptor",
        .loop = skua_runner_get_loop(server->runner, index),
        .pinned = true,
    };
    struct acceptor *self = &server->of[index];
    int status = skua_future_new(NULL, &self->bound);

    if (status < 0) {
        return status;
    }
    self->server = server;
    server->acceptors = index + 1;
    status =
        skua_create_task_with(&options, accept_connections, self, &self->task);
    return status < 0 ? status : skua_await(self->bound, NULL);
}

static void acceptors_stop(struct server *server)
{
    for (unsigned i = 0; i < server->acceptors; i++) {
        if (server->of[i].task != NULL) {
            (void)skua_task_cancel(server->of[i].task);
            (void)skua_await(server->of[i].task, NULL);
            skua_future_unref(server->of[i].task);
        }
        skua_future_unref(server->of[i].bound);
    }
}

/* --- the main task ------------------------------------------------------ */

static void on_signal(void *arg)
{
    struct server *server = arg;

    (void)skua_loop_remove_reader(server->loop, server->signal_fd);
    (void)skua_future_set_result(server->stopped, NULL);
}

static int serve_until_signal(void *arg)
{
    struct server *server = arg;
    const struct service *service = server->service;
    unsigned loops = skua_runner_loops(server->runner);
    int status = service->starting == NULL ? 0 : service->starting();

    if (status == 0) {
        status = skua_future_new(NULL, &server->stopped);
    }
    if (status < 0) {
        return status;
    }
    server->loop = skua_get_running_loop();
    status = skua_loop_add_reader(server->loop, server->signal_fd, on_signal,
                                  server);
    for (unsigned i = 0; status == 0 && i < loops && i < SERVICE_LOOPS_MAX;
         i++) {
        status = acceptor_start(server, i);
    }
    if (status == 0) {
        service->listening(server->host, server->port);
        (void)fflush(stdout);
        status = skua_await(server->stopped, NULL);
        if (service->ending != NULL) {
            service->ending();
        }
    }
    acceptors_stop(server);
    if (service->drain != NULL) {
        service->drain();
    }
    skua_future_unref(server->stopped);
    return status;
}

/* --- the program -------------------------------------------------------- */

int service_open_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool parse_number(const char *text, long max, long *out_number)
{
    char *end;

    *out_number = strtol(text, &end, 10);
    return *text != '\0' && *end == '\0' && *out_number >= 0 &&
           *out_number <= max;
}

static bool parse_options(struct server *server, int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        long number;

        if (server->service->takes_host && strcmp(argv[i], "--host") == 0) {
            server->host = value;
        } else if (strcmp(argv[i], "--port") == 0 &&
                   parse_number(value, PORT_MAX, &number)) {
            server->port = (int)number;
        } else if (strcmp(argv[i], "--loops") == 0 &&
                   parse_number(value, SERVICE_LOOPS_MAX, &number)) {
            server->loops = (unsigned)number;
        } else {
            return false;
        }
    }
    return argc % 2 == 1;
}

int service_main(const struct service *service, int argc, char **argv)
{
    static struct server server;
    skua_runner_options options = {.no_sigint = true};
    int status;

    server.service = service;
    server.host = "127.0.0.1";
    if (!parse_options(&server, argc, argv)) {
        (void)fprintf(stderr, "usage: %s %s[--port P] [--loops N]\n",
                      service->name, service->takes_host ? "[--host H] " : "");
        return 2;
    }
    options.loops = server.loops;
    server.signal_fd = service_open_signals();
    status = skua_runner_new(&options, &server.runner);
    if (status == 0) {
        status =
            skua_runner_run(server.runner, serve_until_signal, &server, NULL);
        (void)skua_runner_close(server.runner);
    }
    (void)close(server.signal_fd);
    if (status < 0) {
        (void)fprintf(stderr, "%s: %s\n", service->name, skua_strerror(status));
    }
    return status < 0;
}
