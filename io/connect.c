/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect.c - opening connections.
 *
 * The descriptor is registered after connect(2): before, epoll would report
 * an unconnected socket as hung up. It starts as not writable, so the first
 * event of its generation says that the attempt is over, well or not.
 *
 * Threads     A task.
 */
#include "socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"

/* Start to connect. A descriptor or a negative errno. */
static int connect_start(const struct skui_address *address, bool *out_done)
{
    const void *storage = &address->storage;
    int fd = socket(address->storage.ss_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int status = 0;

    if (fd < 0) {
        return -errno;
    }
    *out_done = connect(fd, storage, address->bytes) == 0;
    if (!*out_done) {
        status = -errno;
    }
    if (status == 0 || status == -EINPROGRESS || status == -EINTR) {
        return fd;
    }
    (void)close(fd);
    return status;
}

/* How the attempt of a registered socket ended. */
static int connect_result(skua_socket *socket)
{
    int error = 0;
    socklen_t bytes = sizeof(error);
    int status = skui_socket_begin(socket);

    if (status < 0) {
        return status;
    }
    if (getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) < 0) {
        error = errno;
    }
    skui_socket_end(socket);
    return -error;
}

static int connect_finish(skua_socket *socket, int64_t deadline_ns)
{
    uint64_t seen;
    int status = skui_socket_look(socket, SKUI_WRITE, &seen);

    while (status == -EAGAIN) {
        status = skui_socket_wait(socket, SKUI_WRITE, deadline_ns);
        if (status == 0) {
            status = skui_socket_look(socket, SKUI_WRITE, &seen);
        }
    }
    return status < 0 ? status : connect_result(socket);
}

static int connect_address(const struct skui_address *address,
                           int64_t deadline_ns, skua_socket **out_socket)
{
    skua_socket *socket;
    bool is_done = false;
    int status = skui_socket_prepare(&socket);
    int fd;

    if (status < 0) {
        return status;
    }
    fd = connect_start(address, &is_done);
    status = fd < 0 ? fd
                    : skui_socket_attach(socket, fd, true,
                                         is_done ? SKUI_WRITABLE : 0);
    if (status < 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        skui_socket_discard(socket);
        return status;
    }
    status = connect_finish(socket, deadline_ns);
    if (status < 0) {
        (void)skua_sock_close(socket);
        skua_socket_unref(socket);
        return status;
    }
    *out_socket = socket;
    return 0;
}

int skua_sock_connect_until(const char *host, int port, int64_t deadline_ns,
                            skua_socket **out_socket)
{
    struct skui_address address;
    int status;

    if (out_socket == NULL || port == 0) {
        return -EINVAL;
    }
    status =
        skui_address_parse(host != NULL ? host : "127.0.0.1", port, &address);
    if (status == 0) {
        status = skui_socket_enter_task(deadline_ns);
    }
    return status < 0 ? status
                      : connect_address(&address, deadline_ns, out_socket);
}

int skua_sock_connect(const char *host, int port, skua_socket **out_socket)
{
    return skua_sock_connect_until(host, port, SKUA_FOREVER, out_socket);
}
