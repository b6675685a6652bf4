/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness_echo.c - Skua's echo server for the programs that measure it.
 * Threads     The loops'. A listener and an acceptor pinned to each; a task a
 *             connection, and one a slice of a hog, which any loop may run
 *             unless the hog is to be pinned.
 */
#include "harness_echo.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

enum { BUFFER_BYTES = 4096, BACKLOG = 16384 };

/* A hog: tasks one after the other. */
struct chain {
    struct server *server;
    unsigned loop; /* pinned: where */
};

struct server {
    int loops;
    struct hog_plan hogs;
    hog_counter *counter;
    struct chain chains[HOGS_MAX];
    int port;
    skua_future *ended;
    atomic_bool stopping;
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
    return 0;
}

static int accept_all(void *arg)
{
    skua_socket *listener = arg;
    skua_socket *connection;
    int status = skua_sock_accept(listener, &connection);

    while (status == 0) {
        if (skua_create_task(echo, connection, NULL) < 0) {
            skua_socket_unref(connection);
        }
        status = skua_sock_accept(listener, &connection);
    }
    skua_socket_unref(listener);
    return status;
}

/* Runs pinned to its loop, which is where the listener is registered. */
static int start_listener(void *arg)
{
    struct server *server = arg;
    const skua_listen_options options = {
        .host = "127.0.0.1",
        .port = server->port,
        .backlog = BACKLOG,
        .reuse_port = true,
    };
    const skua_task_options pinned = {.pinned = true};
    skua_socket *listener;
    int status = skua_sock_listen(&options, &listener);

    if (status < 0) {
        return status;
    }
    status = skua_sock_getsockname(listener, NULL, 0, &server->port);
    if (status == 0) {
        status = skua_create_task_with(&pinned, accept_all, listener, NULL);
    }
    return status;
}

static int hog_next(struct chain *chain);

static int hog(void *arg)
{
    struct chain *chain = arg;
    struct server *server = chain->server;

    hog_slice(&server->hogs, server->counter);
    return atomic_load(&server->stopping) ? 0 : hog_next(chain);
}

static int hog_next(struct chain *chain)
{
    skua_task_options options = {0};

    if (chain->server->hogs.kind == HOG_PINNED) {
        options.pinned = true;
        options.loop =
            skua_runner_get_loop(skua_get_running_runner(), chain->loop);
    }
    return skua_create_task_with(&options, hog, chain, NULL);
}

static int start_hogs(struct server *server)
{
    int status = 0;

    for (int i = 0; i < server->hogs.count && status == 0; i++) {
        struct chain *chain = &server->chains[i];

        chain->server = server;
        chain->loop = (unsigned)(i % server->loops);
        status = hog_next(chain);
    }
    return status;
}

static void note_end(void *arg)
{
    struct server *server = arg;

    (void)skua_loop_remove_reader(skua_get_running_loop(), STDIN_FILENO);
    (void)skua_future_set_result(server->ended, NULL);
}

static int start_listeners(struct server *server)
{
    skua_task_options options = {.pinned = true};
    int status = 0;

    for (int i = 0; i < server->loops && status == 0; i++) {
        skua_task *task;

        options.loop =
            skua_runner_get_loop(skua_get_running_runner(), (unsigned)i);
        status = skua_create_task_with(&options, start_listener, server, &task);
        if (status == 0) {
            status = skua_await(task, NULL);
            skua_future_unref(task);
        }
    }
    return status;
}

static int serve(void *arg)
{
    struct server *server = arg;
    int status = skua_future_new(NULL, &server->ended);

    if (status == 0) {
        status = skua_loop_add_reader(skua_get_running_loop(), STDIN_FILENO,
                                      note_end, server);
    }
    if (status == 0) {
        status = start_listeners(server);
    }
    if (status == 0) {
        status = start_hogs(server);
    }
    if (status == 0) {
        printf("port %d\n", server->port);
        (void)fflush(stdout);
        status = skua_await(server->ended, NULL);
    }
    atomic_store(&server->stopping, true);
    skua_future_unref(server->ended);
    return status;
}

void echo_serve_if_asked(int argc, char **argv)
{
    static struct server server;
    skua_runner_options options = {0};

    if (argc != 4 || strcmp(argv[1], "--serve") != 0) {
        return;
    }
    server.loops = (int)strtol(argv[2], NULL, 10);
    harness_check(hog_plan_read(argv[3], &server.hogs, &server.counter),
                  "hogs");
    options.loops = (unsigned)server.loops;
    (void)harness_raise_files();
    harness_check(skua_run_with(&options, serve, &server, NULL), "server");
    exit(0);
}

int echo_start(struct child *child, int loops, const struct hog_plan *hogs,
               int core, const char *trace)
{
    char path[4096];
    char loops_text[16];
    char hogs_text[HOG_WORD_BYTES];
    const char *argv[] = {"strace", "-f",      "-c",       "-o",      trace,
                          path,     "--serve", loops_text, hogs_text, NULL};
    const struct hog_plan none = {0};
    const int traced = 5; /* words that only tracing needs */
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (length < 0) {
        return -errno;
    }
    path[length] = '\0';
    (void)snprintf(loops_text, sizeof(loops_text), "%d", loops);
    hog_plan_write(hogs == NULL ? &none : hogs, hogs_text, sizeof(hogs_text));
    return child_start(child, trace == NULL ? argv + traced : argv, core);
}
