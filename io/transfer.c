/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer.c - receiving and sending.
 *
 * Every call is a loop of two steps: try the system call unless the record
 * says that it would block; wait for an event. A short transfer on TCP means
 * that the kernel's buffer is empty (or full), so the flag is cleared at once
 * and the next call waits without asking the kernel: a message costs an echo
 * server one recv and one send. At the end of a stream the hang-up flag stays
 * set, so nothing waits for data that will not come.
 *
 * Threads     A task, one at a time in each direction.
 * Invariants  A call that reports cancellation or a timeout did so while it
 *             waited: what the kernel gave or took is always reported.
 */
#include "socket.h"

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>

#include "../sched/memory.h"
#include "../sched/wait.h"

enum {
    RECV_ALLOCATE_MAX = 256 * 1024,
    SEND_BUFFERS_MAX = 1024, /* the kernel's own limit */
    SEND_BATCH = 16,         /* of skua_sock_sendmsg_all() */
};

/* Note what a system call on a socket showed of its readiness. */
static void transfer_note(skua_socket *socket, enum skui_direction direction,
                          ssize_t moved, size_t wanted, uint64_t seen)
{
    if (moved == -EAGAIN) {
        skui_socket_drained(socket, direction, seen);
    } else if (moved > 0 && (size_t)moved < wanted &&
               socket->short_means_drained) {
        skui_descriptor_clear(
            socket->descriptor,
            direction == SKUI_READ ? SKUI_READABLE : SKUI_WRITABLE, seen);
    }
}

/* One attempt to receive. -EAGAIN: wait. */
static ssize_t recv_try(skua_socket *socket, void *buffer, size_t bytes)
{
    uint64_t seen;
    ssize_t moved = skui_socket_look(socket, SKUI_READ, &seen);

    if (moved == 0) {
        moved = skui_socket_begin(socket);
    }
    if (moved < 0) {
        return moved;
    }
    do {
        moved = recv(socket->fd, buffer, bytes, 0);
        moved = moved < 0 ? -errno : moved;
    } while (moved == -EINTR);
    transfer_note(socket, SKUI_READ, moved, bytes, seen);
    skui_socket_end(socket);
    return moved;
}

ssize_t skua_sock_recv_into_until(skua_socket *socket, void *buffer,
                                  size_t bytes, int64_t deadline_ns)
{
    int status;

    if (buffer == NULL || bytes == 0 || bytes > SSIZE_MAX) {
        return -EINVAL;
    }
    status = skui_socket_enter_transfer(socket, deadline_ns);
    while (status == 0) {
        ssize_t moved = recv_try(socket, buffer, bytes);

        if (moved != -EAGAIN) {
            return moved;
        }
        status = skui_socket_wait(socket, SKUI_READ, deadline_ns);
    }
    return status;
}

ssize_t skua_sock_recv_into(skua_socket *socket, void *buffer, size_t bytes)
{
    return skua_sock_recv_into_until(socket, buffer, bytes, SKUA_FOREVER);
}

/* One attempt to receive into memory that is made for it. */
static ssize_t recv_allocated(skua_socket *socket, size_t bytes,
                              void **out_data)
{
    uint64_t seen;
    ssize_t moved = skui_socket_look(socket, SKUI_READ, &seen);
    void *buffer;
    void *smaller;

    if (moved < 0) {
        return moved;
    }
    buffer = skui_allocate(bytes);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    moved = recv_try(socket, buffer, bytes);
    if (moved <= 0) {
        skui_release(buffer);
        buffer = NULL;
    } else if ((size_t)moved < bytes / 2) {
        smaller = skui_resize(buffer, (size_t)moved);
        buffer = smaller != NULL ? smaller : buffer;
    }
    if (moved >= 0) {
        *out_data = buffer;
    }
    return moved;
}

ssize_t skua_sock_recv_until(skua_socket *socket, size_t max_bytes,
                             int64_t deadline_ns, void **out_data)
{
    size_t bytes =
        max_bytes > RECV_ALLOCATE_MAX ? RECV_ALLOCATE_MAX : max_bytes;
    int status;

    if (out_data == NULL || bytes == 0) {
        return -EINVAL;
    }
    status = skui_socket_enter_transfer(socket, deadline_ns);
    while (status == 0) {
        ssize_t moved = recv_allocated(socket, bytes, out_data);

        if (moved != -EAGAIN) {
            return moved;
        }
        status = skui_socket_wait(socket, SKUI_READ, deadline_ns);
    }
    return status;
}

ssize_t skua_sock_recv(skua_socket *socket, size_t max_bytes, void **out_data)
{
    return skua_sock_recv_until(socket, max_bytes, SKUA_FOREVER, out_data);
}

/* One attempt to send `wanted` bytes in all. -EAGAIN: wait. */
static ssize_t send_try(skua_socket *socket, const struct iovec *buffers,
                        size_t count, size_t wanted)
{
    struct msghdr message = {0};
    uint64_t seen;
    ssize_t moved = skui_socket_look(socket, SKUI_WRITE, &seen);

    if (moved == 0) {
        moved = skui_socket_begin(socket);
    }
    if (moved < 0) {
        return moved;
    }
    message.msg_iov = (struct iovec *)(uintptr_t)buffers; /* not written */
    message.msg_iovlen = count;
    do {
        moved = count == 1 ? send(socket->fd, buffers->iov_base,
                                  buffers->iov_len, MSG_NOSIGNAL)
                           : sendmsg(socket->fd, &message, MSG_NOSIGNAL);
        moved = moved < 0 ? -errno : moved;
    } while (moved == -EINTR);
    transfer_note(socket, SKUI_WRITE, moved, wanted, seen);
    skui_socket_end(socket);
    return moved;
}

/* Send what fits, at least something, of `wanted` bytes. */
static ssize_t send_some(skua_socket *socket, const struct iovec *buffers,
                         size_t count, size_t wanted, int64_t deadline_ns)
{
    int status;

    do {
        ssize_t moved = send_try(socket, buffers, count, wanted);

        if (moved != -EAGAIN) {
            return moved;
        }
        status = skui_socket_wait(socket, SKUI_WRITE, deadline_ns);
    } while (status == 0);
    return status;
}

ssize_t skua_sock_send_until(skua_socket *socket, const void *data,
                             size_t bytes, int64_t deadline_ns)
{
    struct iovec buffer = {(void *)(uintptr_t)data, bytes};
    int status;

    if ((data == NULL && bytes > 0) || bytes > SSIZE_MAX) {
        return -EINVAL;
    }
    status = skui_socket_enter_transfer(socket, deadline_ns);
    if (status < 0 || bytes == 0) {
        return status;
    }
    return send_some(socket, &buffer, 1, bytes, deadline_ns);
}

ssize_t skua_sock_send(skua_socket *socket, const void *data, size_t bytes)
{
    return skua_sock_send_until(socket, data, bytes, SKUA_FOREVER);
}

/* The sizes' sum; false when there is no such array or no such sum. */
static bool buffers_total(const struct iovec *buffers, size_t count,
                          size_t *out_bytes)
{
    size_t bytes = 0;

    if (buffers == NULL && count > 0) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (buffers[i].iov_len > SSIZE_MAX - bytes ||
            (buffers[i].iov_base == NULL && buffers[i].iov_len > 0)) {
            return false;
        }
        bytes += buffers[i].iov_len;
    }
    *out_bytes = bytes;
    return true;
}

ssize_t skua_sock_sendmsg_until(skua_socket *socket,
                                const struct iovec *buffers, size_t count,
                                int64_t deadline_ns)
{
    size_t used = count > SEND_BUFFERS_MAX ? SEND_BUFFERS_MAX : count;
    size_t bytes = 0;
    int status;

    if (!buffers_total(buffers, used, &bytes)) {
        return -EINVAL;
    }
    status = skui_socket_enter_transfer(socket, deadline_ns);
    if (status < 0 || bytes == 0) {
        return status;
    }
    return send_some(socket, buffers, used, bytes, deadline_ns);
}

ssize_t skua_sock_sendmsg(skua_socket *socket, const struct iovec *buffers,
                          size_t count)
{
    return skua_sock_sendmsg_until(socket, buffers, count, SKUA_FOREVER);
}

/* Where in an array of buffers sending has got to. */
struct send_cursor {
    const struct iovec *next; /* the first buffer that is not sent whole */
    size_t count;             /* from there on */
    size_t offset;            /* what of `next` is sent */
};

/* The next few buffers to send. Returns how many; their sum is `out_bytes`. */
static size_t cursor_fill(const struct send_cursor *cursor,
                          struct iovec batch[SEND_BATCH], size_t *out_bytes)
{
    size_t count = cursor->count < SEND_BATCH ? cursor->count : SEND_BATCH;
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        batch[i] = cursor->next[i];
        if (i == 0) {
            batch[i].iov_base = (char *)batch[i].iov_base + cursor->offset;
            batch[i].iov_len -= cursor->offset;
        }
        bytes += batch[i].iov_len;
    }
    *out_bytes = bytes;
    return count;
}

static void cursor_advance(struct send_cursor *cursor, size_t bytes)
{
    while (cursor->count > 0 &&
           bytes >= cursor->next->iov_len - cursor->offset) {
        bytes -= cursor->next->iov_len - cursor->offset;
        cursor->next++;
        cursor->count--;
        cursor->offset = 0;
    }
    cursor->offset += bytes;
}

static int send_all(skua_socket *socket, struct send_cursor *cursor,
                    int64_t deadline_ns, size_t *sent)
{
    struct iovec batch[SEND_BATCH];

    cursor_advance(cursor, 0); /* past buffers that are empty */
    while (cursor->count > 0) {
        size_t bytes;
        size_t count = cursor_fill(cursor, batch, &bytes);
        ssize_t moved = send_some(socket, batch, count, bytes, deadline_ns);

        if (moved < 0) {
            return (int)moved;
        }
        *sent += (size_t)moved;
        cursor_advance(cursor, (size_t)moved);
        if (cursor->count > 0) {
            int status = skui_task_spend_budget();

            if (status < 0) {
                return status;
            }
        }
    }
    return 0;
}

int skua_sock_sendmsg_all_until(skua_socket *socket,
                                const struct iovec *buffers, size_t count,
                                int64_t deadline_ns, size_t *out_sent)
{
    struct send_cursor cursor = {buffers, count, 0};
    size_t bytes = 0;
    size_t sent = 0;
    int status = -EINVAL;

    if (buffers_total(buffers, count, &bytes)) {
        status = skui_socket_enter_transfer(socket, deadline_ns);
    }
    if (status == 0) {
        status = send_all(socket, &cursor, deadline_ns, &sent);
    }
    if (out_sent != NULL) {
        *out_sent = sent;
    }
    return status;
}

int skua_sock_sendmsg_all(skua_socket *socket, const struct iovec *buffers,
                          size_t count)
{
    return skua_sock_sendmsg_all_until(socket, buffers, count, SKUA_FOREVER,
                                       NULL);
}

int skua_sock_sendall_until(skua_socket *socket, const void *data, size_t bytes,
                            int64_t deadline_ns, size_t *out_sent)
{
    struct iovec buffer = {(void *)(uintptr_t)data, bytes};

    return skua_sock_sendmsg_all_until(socket, &buffer, 1, deadline_ns,
                                       out_sent);
}

int skua_sock_sendall(skua_socket *socket, const void *data, size_t bytes)
{
    return skua_sock_sendall_until(socket, data, bytes, SKUA_FOREVER, NULL);
}
