/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo_server.c - sends back what it receives: echo_server --port P --loops N
 *
 * Each loop has a listener of its own on the same port, so the kernel spreads
 * the connections; a task per connection does the rest.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sigset_t, signalfd */
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <skua.h>

enum { BUFFER_BYTES = 16 * 1024, BACKLOG = 4096, LOOPS_MAX = 256 };

struct acceptor {
    skua_future *bound; /* done when it listens */
    skua_task *task;
};

struct server {
    skua_runner *runner;
    int port;             /* 0 until the first listener has one */
    int signal_fd;        /* readable when the program is to end */
    skua_loop *loop;      /* where that is watched */
    skua_future *stopped; /* done when it was */
    unsigned acceptors;
    struct acceptor of[LOOPS_MAX];
};

static int echo(void *arg)
{
    skua_socket *connection = arg;
    char buffer[BUFFER_BYTES];
    ssize_t bytes = skua_sock_recv_into(connection, buffer, sizeof(buffer));

    while (bytes > 0 &&
           skua_sock_sendall(connection, buffer, (size_t)bytes) == 0) {
        bytes = skua_sock_recv_into(connection, buffer, sizeof(buffer));
    }
    skua_socket_unref(connection);
    return bytes == SKUA_ECANCELED ? SKUA_ECANCELED : 0;
}

static int listen_on_port(struct server *server, skua_socket **out_listener)
{
    const skua_listen_options options = {
        .host = "127.0.0.1",
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
    struct server *server = arg;
    struct acceptor *self = &server->of[server->acceptors - 1];
    skua_socket *listener;
    int status = listen_on_port(server, &listener);

    if (status < 0) {
        (void)skua_future_set_error(self->bound, status);
        return status;
    }
    (void)skua_future_set_result(self->bound, NULL);
    while (status == 0) {
        skua_socket *connection;

        status = skua_sock_accept(listener, &connection);
        if (status == 0 && skua_create_task(echo, connection, NULL) < 0) {
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
    server->acceptors = index + 1;
    status = skua_create_task_with(&options, accept_connections, server,
                                   &self->task);
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

static void on_signal(void *arg)
{
    struct server *server = arg;

    (void)skua_loop_remove_reader(server->loop, server->signal_fd);
    (void)skua_future_set_result(server->stopped, NULL);
}

static int serve(void *arg)
{
    struct server *server = arg;
    unsigned loops = skua_runner_loops(server->runner);
    int status = skua_future_new(NULL, &server->stopped);

    if (status < 0) {
        return status;
    }
    server->loop = skua_get_running_loop();
    status = skua_loop_add_reader(server->loop, server->signal_fd, on_signal,
                                  server);
    for (unsigned i = 0; status == 0 && i < loops && i < LOOPS_MAX; i++) {
        status = acceptor_start(server, i);
    }
    if (status == 0) {
        printf("listening on 127.0.0.1 %d\n", server->port);
        (void)fflush(stdout);
        status = skua_await(server->stopped, NULL);
    }
    acceptors_stop(server);
    skua_future_unref(server->stopped);
    return status;
}

/* SIGINT and SIGTERM as a descriptor, in every thread to come. */
static int signals_open(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int parse_number(const char *text, long max, long *out_number)
{
    char *end;

    *out_number = strtol(text, &end, 10);
    return *text != '\0' && *end == '\0' && *out_number >= 0 &&
                   *out_number <= max
               ? 0
               : -1;
}

int main(int argc, char **argv)
{
    static struct server server;
    skua_runner_options options = {.no_sigint = true};
    long number = 0;
    int status;

    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--port") == 0 &&
            parse_number(argv[i + 1], 65535, &number) == 0) {
            server.port = (int)number;
        } else if (i + 1 < argc && strcmp(argv[i], "--loops") == 0 &&
                   parse_number(argv[i + 1], LOOPS_MAX, &number) == 0) {
            options.loops = (unsigned)number;
        } else {
            fprintf(stderr, "usage: echo_server [--port P] [--loops N]\n");
            return 2;
        }
    }
    server.signal_fd = signals_open();
    status = skua_runner_new(&options, &server.runner);
    if (status == 0) {
        status = skua_runner_run(server.runner, serve, &server, NULL);
        (void)skua_runner_close(server.runner);
    }
    (void)close(server.signal_fd);
    if (status < 0) {
        fprintf(stderr, "echo_server: %s\n", skua_strerror(status));
    }
    return status < 0;
}
