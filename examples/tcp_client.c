/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_client.c - a client that sends lines with deadlines, and the server it
 * talks to: one that answers in capitals, on a free port.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <skua.h>

static int serve_capitals(void *arg)
{
    skua_socket *connection = arg;
    char text[256];
    ssize_t bytes = skua_sock_recv_into(connection, text, sizeof(text));

    while (bytes > 0) {
        for (ssize_t i = 0; i < bytes; i++) {
            text[i] = (char)toupper((unsigned char)text[i]);
        }
        if (skua_sock_sendall(connection, text, (size_t)bytes) < 0) {
            break;
        }
        bytes = skua_sock_recv_into(connection, text, sizeof(text));
    }
    skua_socket_unref(connection);
    return 0;
}

static int serve(void *listener)
{
    skua_socket *connection;
    int status = skua_sock_accept(listener, &connection);

    while (status == 0) {
        if (skua_create_task(serve_capitals, connection, NULL) < 0) {
            skua_socket_unref(connection);
        }
        status = skua_sock_accept(listener, &connection);
    }
    return status;
}

static int ask(skua_socket *socket, const char *line)
{
    int64_t deadline_ns = skua_monotonic() + 5 * SKUA_S;
    char answer[256];
    size_t filled = 0;
    int status =
        skua_sock_sendall_until(socket, line, strlen(line), deadline_ns, NULL);

    while (status == 0 && memchr(answer, '\n', filled) == NULL) {
        ssize_t bytes = skua_sock_recv_into_until(
            socket, answer + filled, sizeof(answer) - filled, deadline_ns);

        if (bytes <= 0) {
            return bytes == 0 ? SKUA_EOF : (int)bytes;
        }
        filled += (size_t)bytes;
    }
    if (status == 0) {
        printf("%.*s", (int)filled, answer);
    }
    return status;
}

static int talk(int port)
{
    skua_socket *socket;
    int status = skua_sock_connect_until(
        "127.0.0.1", port, skua_monotonic() + 5 * SKUA_S, &socket);

    if (status < 0) {
        return status;
    }
    status = ask(socket, "hello\n");
    if (status == 0) {
        status = ask(socket, "goodbye\n");
    }
    (void)skua_sock_shutdown(socket, SHUT_WR);
    skua_socket_unref(socket);
    return status;
}

static int main_task(void *arg)
{
    const skua_listen_options options = {.host = "127.0.0.1"};
    skua_socket *listener;
    skua_task *server;
    int port = 0;
    int status = skua_sock_listen(&options, &listener);

    (void)arg;
    if (status < 0) {
        return status;
    }
    status = skua_sock_getsockname(listener, NULL, 0, &port);
    if (status == 0) {
        status = skua_create_task(serve, listener, &server);
    }
    if (status == 0) {
        status = talk(port);
        (void)skua_task_cancel(server);
        (void)skua_await(server, NULL);
        skua_future_unref(server);
    }
    skua_socket_unref(listener);
    return status;
}

int main(void)
{
    return skua_run(main_task, NULL) < 0;
}
