/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo_server.c - sends back what it receives: echo_server --port P --loops N
 *
 * This is what a connection does, in a task of its own; service.c listens on
 * every loop and ends the program.
 */
#include <stdio.h>

#include <skua.h>

#include "service.h"

enum { BUFFER_BYTES = 16 * 1024 };

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

static void print_address(const char *host, int port)
{
    printf("listening on %s %d\n", host, port);
}

int main(int argc, char **argv)
{
    static const struct service service = {
        .name = "echo_server",
        .connection = echo,
        .listening = print_address,
    };

    return service_main(&service, argc, argv);
}
