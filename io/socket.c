/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket.c - the socket object: references, users, closing, addresses.
 *
 * A descriptor number is reused at once, so it must not be closed while
 * another thread is inside a system call on it. Such a call counts itself in
 * `users` first; closing sets a bit there that keeps later calls out, and
 * whoever leaves last closes the descriptor. Waiting tasks are not counted:
 * they are woken by closing and look at the bit.
 *
 * Threads     close, shutdown, addresses: any.  The rest: a task.
 * Invariants  users & CLOSED: no call begins any more; users == CLOSED: the
 *             descriptor is closed. The record lives as long as the object.
 * Ordering    SK1 (references), SK2 (users).
 * Progress    begin, end: lock-free.
 */
#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "skua/task.h"

#include "../sched/debug.h"
#include "../sched/memory.h"
#include "../sched/tls.h"
#include "../sched/wait.h"

#include "address.h"
#include "epoll.h"

#define SOCKET_CLOSED (UINT32_C(1) << 31)

int skui_socket_prepare(skua_socket **out_socket)
{
    skua_socket *socket = skui_allocate_zeroed(sizeof(*socket));

    if (socket == NULL) {
        return -ENOMEM;
    }
    socket->descriptor = skui_descriptor_new();
    if (socket->descriptor == NULL) {
        skui_release(socket);
        return -ENOMEM;
    }
    skui_store_relaxed(&socket->references, 1u); /* relaxed: not shared yet */
    socket->fork_generation = skui_fork_generation();
    socket->fd = -1;
    *out_socket = socket;
    return 0;
}

void skui_socket_discard(skua_socket *socket)
{
    skui_origin_forget(socket);
    skui_descriptor_free(socket->descriptor);
    skui_release(socket);
}

int skui_socket_attach(skua_socket *socket, int fd, bool is_tcp, unsigned flags)
{
    struct skui_poller *poller = skui_running_poller();
    const int on = 1;
    int status;

    if (poller == NULL) {
        return SKUA_ENOLOOP;
    }
    if (is_tcp) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    skui_descriptor_prepare(socket->descriptor, fd, flags);
    status = skui_poller_register(poller, socket->descriptor);
    if (status < 0) {
        return status;
    }
    socket->generation = skui_descriptor_generation(socket->descriptor);
    socket->fd = fd;
    socket->short_means_drained = is_tcp;
    skui_debug_note_open(socket, skui_loop_self(), SKUI_ORIGIN_SOCKET, fd);
    return 0;
}

/* Whether a descriptor is a socket, and TCP, and listens. */
static int socket_examine(int fd, bool *out_tcp, bool *out_listens)
{
    int domain = 0;
    int type = 0;
    int listens = 0;
    socklen_t bytes = sizeof(int);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) < 0) {
        return -errno;
    }
    bytes = sizeof(int);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) < 0) {
        return -errno;
    }
    bytes = sizeof(int);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) < 0) {
        listens = 0; /* a kind that never listens */
    }
    *out_tcp = type == SOCK_STREAM && (domain == AF_INET || domain == AF_INET6);
    *out_listens = listens != 0;
    return 0;
}

static int socket_set_flags(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        return -errno;
    }
    return 0;
}

int skua_socket_new(int fd, skua_socket **out_socket)
{
    skua_socket *socket;
    bool is_tcp = false;
    bool listens = false;
    int status;

    if (out_socket == NULL) {
        return -EINVAL;
    }
    if (skui_running_poller() == NULL) {
        return SKUA_ENOLOOP;
    }
    status = socket_examine(fd, &is_tcp, &listens);
    if (status < 0) {
        return status;
    }
    status = skui_socket_prepare(&socket);
    if (status < 0) {
        return status;
    }
    socket->listens = listens;
    status = socket_set_flags(fd);
    if (status == 0) {
        status = skui_socket_attach(socket, fd, is_tcp,
                                    SKUI_READABLE | SKUI_WRITABLE);
    }
    if (status < 0) {
        skui_socket_discard(socket);
        return status;
    }
    *out_socket = socket;
    return 0;
}

skua_socket *skua_socket_ref(skua_socket *socket)
{
    if (socket != NULL) {
        /* relaxed: the caller holds a reference already */
        (void)skui_fetch_add_relaxed(&socket->references, 1u);
    }
    return socket;
}

static bool socket_is_foreign(const skua_socket *socket)
{
    return SKUI_UNLIKELY(socket->fork_generation != skui_fork_generation());
}

void skua_socket_unref(skua_socket *socket)
{
    if (socket == NULL) {
        return;
    }
    /* SK1 acq_rel: all uses happen before the last reference frees it. */
    if (skui_fetch_sub_acq_rel(&socket->references, 1u) == 1) {
        skui_debug_unclosed(socket);
        (void)skua_sock_close(socket);
        skui_origin_forget(socket);
        if (!socket_is_foreign(socket)) {
            skui_descriptor_free(socket->descriptor);
        }
        skui_release(socket);
    }
}

int skui_socket_begin(skua_socket *socket)
{
    uint32_t users = skui_load_relaxed(&socket->users); /* CAS checks */

    if (socket_is_foreign(socket)) {
        return SKUA_EFORKED;
    }
    do {
        if ((users & SOCKET_CLOSED) != 0) {
            return -EBADF;
        }
        /* SK2 acquire: after who used it before; pairs with the end. */
    } while (!skui_cas_acquire(&socket->users, &users, users + 1));
    return 0;
}

void skui_socket_end(skua_socket *socket)
{
    /* SK2 acq_rel: every call is over before the last one closes. */
    if (skui_fetch_sub_acq_rel(&socket->users, 1u) == (SOCKET_CLOSED | 1)) {
        (void)close(socket->fd);
    }
}

int skua_sock_close(skua_socket *socket)
{
    uint32_t users;

    if (socket == NULL) {
        return -EINVAL;
    }
    skui_debug_closed(socket);
    users = skui_load_relaxed(&socket->users); /* relaxed: CAS checks */
    do {
        if ((users & SOCKET_CLOSED) != 0) {
            return 0;
        }
        /* SK2 acquire: one more call, and the last one to begin. */
    } while (
        !skui_cas_acquire(&socket->users, &users, (users + 1) | SOCKET_CLOSED));
    if (socket_is_foreign(socket)) {
        /* A child shares its parent's epoll instance: leave that alone. Calls
         * under way at the fork have no thread here to end them. */
        (void)close(socket->fd);
        return 0;
    }
    skui_poller_unregister(socket->descriptor);
    skui_socket_end(socket);
    return 0;
}

int skui_socket_enter_task(int64_t deadline_ns)
{
    if (deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    if (skua_current_task() == NULL) {
        return SKUA_ENOLOOP;
    }
    return skui_task_spend_budget();
}

int skui_socket_enter(skua_socket *socket, int64_t deadline_ns)
{
    if (socket == NULL) {
        return -EINVAL;
    }
    if (socket_is_foreign(socket)) {
        return SKUA_EFORKED;
    }
    return skui_socket_enter_task(deadline_ns);
}

static bool socket_is_closed(skua_socket *socket)
{
    /* relaxed: a snapshot; the caller races with who closes it anyway */
    return (skui_load_relaxed(&socket->users) & SOCKET_CLOSED) != 0;
}

/* `status`, or what to say of a socket of the wrong kind. */
static int socket_refuse(skua_socket *socket, int status, int refusal)
{
    if (status < 0) {
        return status;
    }
    return socket_is_closed(socket) ? -EBADF : refusal;
}

int skui_socket_enter_transfer(skua_socket *socket, int64_t deadline_ns)
{
    int status = skui_socket_enter(socket, deadline_ns);

    return socket == NULL || SKUI_LIKELY(!socket->listens)
               ? status
               : socket_refuse(socket, status, -ENOTCONN);
}

int skui_socket_enter_accept(skua_socket *socket, int64_t deadline_ns)
{
    int status = skui_socket_enter(socket, deadline_ns);

    return socket == NULL || SKUI_LIKELY(socket->listens)
               ? status
               : socket_refuse(socket, status, -EINVAL);
}

int skui_socket_look(const skua_socket *socket, enum skui_direction direction,
                     uint64_t *out_seen)
{
    uint64_t seen = skui_descriptor_readiness(socket->descriptor);

    *out_seen = seen;
    if (skui_readiness_generation(seen) != socket->generation) {
        return -EBADF;
    }
    if ((seen & SKUI_DETACHED) != 0) {
        return SKUA_ECLOSED;
    }
    return (seen &
            (direction == SKUI_READ ? SKUI_READ_MASK : SKUI_WRITE_MASK)) != 0
               ? 0
               : -EAGAIN;
}

void skui_socket_drained(skua_socket *socket, enum skui_direction direction,
                         uint64_t seen)
{
    /* The kernel knows better than any flag that was to stay. */
    unsigned flags = direction == SKUI_READ ? SKUI_READ_MASK : SKUI_WRITE_MASK;

    skui_descriptor_clear(socket->descriptor, flags & ~(unsigned)SKUI_DETACHED,
                          seen);
}

int skui_socket_wait(skua_socket *socket, enum skui_direction direction,
                     int64_t deadline_ns)
{
    return skui_descriptor_wait(socket->descriptor, socket->generation,
                                direction, deadline_ns);
}

int skua_sock_shutdown(skua_socket *socket, int how)
{
    int status;

    if (socket == NULL ||
        (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)) {
        return -EINVAL;
    }
    status = skui_socket_begin(socket);
    if (status < 0) {
        return status;
    }
    status = shutdown(socket->fd, how) < 0 ? -errno : 0;
    skui_socket_end(socket);
    return status;
}

typedef int socket_name_fn(int fd, struct sockaddr *address, socklen_t *bytes);

static int socket_name(skua_socket *socket, socket_name_fn *fn, char *host,
                       size_t host_bytes, int *out_port)
{
    struct skui_address address = {.bytes = sizeof(address.storage)};
    void *storage = &address.storage;
    int status;

    if (socket == NULL) {
        return -EINVAL;
    }
    status = skui_socket_begin(socket);
    if (status < 0) {
        return status;
    }
    status = fn(socket->fd, storage, &address.bytes) < 0 ? -errno : 0;
    skui_socket_end(socket);
    return status < 0
               ? status
               : skui_address_format(&address, host, host_bytes, out_port);
}

static int socket_own_name(int fd, struct sockaddr *address, socklen_t *bytes)
{
    return getsockname(fd, address, bytes);
}

static int socket_peer_name(int fd, struct sockaddr *address, socklen_t *bytes)
{
    return getpeername(fd, address, bytes);
}

int skua_sock_getsockname(skua_socket *socket, char *host, size_t host_bytes,
                          int *out_port)
{
    return socket_name(socket, socket_own_name, host, host_bytes, out_port);
}

int skua_sock_getpeername(skua_socket *socket, char *host, size_t host_bytes,
                          int *out_port)
{
    return socket_name(socket, socket_peer_name, host, host_bytes, out_port);
}

int skua_sock_fileno(skua_socket *socket)
{
    if (socket == NULL) {
        return -EINVAL;
    }
    return socket_is_closed(socket) ? -EBADF : socket->fd;
}

int skua_sock_nodelay(skua_socket *socket, bool enabled)
{
    const int value = enabled ? 1 : 0;
    int status;

    if (socket == NULL) {
        return -EINVAL;
    }
    status = skui_socket_begin(socket);
    if (status < 0) {
        return status;
    }
    status = setsockopt(socket->fd, IPPROTO_TCP, TCP_NODELAY, &value,
                        sizeof(value)) < 0
                 ? -errno
                 : 0;
    skui_socket_end(socket);
    return status;
}
