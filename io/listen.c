/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.c - listeners and accepting.
 *
 * Short of descriptors or memory the kernel keeps the connection and refuses
 * accept(2), and with edge triggering the event does not come back. So accept
 * reports, waits a second with the readable flag cleared, sets the flag again
 * and tries. It waits on the listener itself, so that closing it ends the
 * pause.
 *
 * Threads     listen: a loop's.  accept: a task, one at a time per listener.
 * Rejected    A spare descriptor that is closed to drop connections: hides
 *             the shortage from clients that would rather wait.
 */
#include "listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "skua/loop.h"

#include "../sched/clock.h"

#include "address.h"
#include "socket.h"

enum { DEFAULT_BACKLOG = 100, PORT_MAX = 65535 };

/* relaxed: a setting; tests change it before they accept */
static _Atomic(int64_t) accept_pause_ns = 1 * SKUA_S;

void skui_accept_set_pause(int64_t pause_ns)
{
    skui_store_relaxed(&accept_pause_ns, pause_ns); /* relaxed: a setting */
}

static int listen_set_options(int fd, const skua_listen_options *options,
                              const struct skui_address *address,
                              bool both_families)
{
    const int on = 1;
    const int only_ipv6 = both_families ? 0 : 1;

    if (!options->no_reuse_address &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) {
        return -errno;
    }
    if (options->reuse_port &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) {
        return -errno;
    }
    if (address->storage.ss_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6,
                   sizeof(only_ipv6)) < 0) {
        return -errno;
    }
    return 0;
}

/* A descriptor that listens, or a negative errno. */
static int listen_open(const skua_listen_options *options,
                       const struct skui_address *address, bool both_families)
{
    int backlog = options->backlog == 0 ? DEFAULT_BACKLOG : options->backlog;
    const void *storage = &address->storage;
    int fd = socket(address->storage.ss_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int status;

    if (fd < 0) {
        return -errno;
    }
    status = listen_set_options(fd, options, address, both_families);
    if (status == 0 && bind(fd, storage, address->bytes) < 0) {
        status = -errno;
    }
    if (status == 0 && listen(fd, backlog) < 0) {
        status = -errno;
    }
    if (status < 0) {
        (void)close(fd);
        return status;
    }
    return fd;
}

static int listen_open_any(const skua_listen_options *options)
{
    struct skui_address address;
    int fd;

    skui_address_any(false, options->port, &address);
    fd = listen_open(options, &address, true);
    if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) {
        skui_address_any(true, options->port, &address);
        fd = listen_open(options, &address, false);
    }
    return fd;
}

static int listen_open_host(const skua_listen_options *options)
{
    struct skui_address address;
    int status;

    if (options->host == NULL || options->host[0] == '\0') {
        return listen_open_any(options);
    }
    status = skui_address_parse(options->host, options->port, &address);
    return status < 0 ? status : listen_open(options, &address, false);
}

int skua_sock_listen(const skua_listen_options *options,
                     skua_socket **out_listener)
{
    static const skua_listen_options defaults = {0};
    const skua_listen_options *use = options != NULL ? options : &defaults;
    skua_socket *listener;
    int status;
    int fd;

    if (out_listener == NULL || use->backlog < 0 || use->port < 0 ||
        use->port > PORT_MAX) {
        return -EINVAL;
    }
    if (skui_running_poller() == NULL) {
        return SKUA_ENOLOOP;
    }
    status = skui_socket_prepare(&listener);
    if (status < 0) {
        return status;
    }
    listener->listens = true;
    fd = listen_open_host(use);
    status =
        fd < 0 ? fd : skui_socket_attach(listener, fd, true, SKUI_READABLE);
    if (status < 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        skui_socket_discard(listener);
        return status;
    }
    *out_listener = listener;
    return 0;
}

/* The system is short of something; it may come back. */
static bool accept_is_shortage(int status)
{
    return status == -EMFILE || status == -ENFILE || status == -ENOBUFS ||
           status == -ENOMEM;
}

/* The connection failed before it was accepted: take the next one. */
static bool accept_is_transient(int status)
{
    switch (-status) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ENOPROTOOPT:
        return true;
    default:
        return false;
    }
}

/* accept(2) into a prepared socket. 0 or a negative status. */
static int accept_into(skua_socket *listener, skua_socket *prepared)
{
    uint64_t seen;
    int status = skui_socket_begin(listener);
    int fd = -1;

    if (status < 0) {
        return status;
    }
    status = skui_socket_look(listener, SKUI_READ, &seen);
    if (status == 0) {
        fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        status = fd < 0 ? -errno : 0;
        if (status == -EAGAIN) {
            skui_socket_drained(listener, SKUI_READ, seen);
        }
    }
    skui_socket_end(listener);
    if (status < 0) {
        return status;
    }
    status = skui_socket_attach(prepared, fd, listener->short_means_drained,
                                SKUI_READABLE | SKUI_WRITABLE);
    if (status < 0) {
        (void)close(fd);
    }
    return status;
}

/* One attempt. 0 or a negative status. */
static int accept_try(skua_socket *listener, skua_socket **out_socket)
{
    skua_socket *prepared;
    uint64_t seen;
    int status = skui_socket_look(listener, SKUI_READ, &seen);

    if (status < 0) {
        return status;
    }
    status = skui_socket_prepare(&prepared);
    if (status < 0) {
        return status;
    }
    status = accept_into(listener, prepared);
    if (status < 0) {
        skui_socket_discard(prepared);
        return status;
    }
    *out_socket = prepared;
    return 0;
}

static void accept_report(int status)
{
    skua_exception_context context = {0};

    context.message = "socket.accept() out of system resource";
    context.status = status;
    context.loop = skua_get_running_loop();
    (void)skua_loop_call_exception_handler(context.loop, &context);
}

/* Tell that the system is short of something, wait, have accept try again. */
static int accept_pause(skua_socket *listener, int shortage,
                        int64_t deadline_ns)
{
    /* relaxed: a setting */
    int64_t end_ns = skui_clock_after(skui_load_relaxed(&accept_pause_ns));
    bool is_last = deadline_ns < end_ns;
    uint64_t seen;
    int status;

    accept_report(shortage);
    do {
        /* Events that come meanwhile do not shorten the pause. */
        skui_socket_drained(listener, SKUI_READ,
                            skui_descriptor_readiness(listener->descriptor));
        status = skui_socket_wait(listener, SKUI_READ,
                                  is_last ? deadline_ns : end_ns);
        if (status == 0) {
            status = skui_socket_look(listener, SKUI_READ, &seen);
            status = status == -EAGAIN ? 0 : status;
        }
    } while (status == 0);
    (void)skui_descriptor_deliver(listener->descriptor, listener->generation,
                                  SKUI_READABLE);
    return status == -ETIMEDOUT && !is_last ? 0 : status;
}

int skua_sock_accept_until(skua_socket *listener, int64_t deadline_ns,
                           skua_socket **out_socket)
{
    int status = out_socket == NULL
                     ? -EINVAL
                     : skui_socket_enter_accept(listener, deadline_ns);

    while (status == 0) {
        status = accept_try(listener, out_socket);
        if (status == 0) {
            return 0;
        }
        if (status == -EAGAIN) {
            status = skui_socket_wait(listener, SKUI_READ, deadline_ns);
        } else if (accept_is_shortage(status)) {
            status = accept_pause(listener, status, deadline_ns);
        } else if (accept_is_transient(status)) {
            status = 0;
        }
    }
    return status;
}

int skua_sock_accept(skua_socket *listener, skua_socket **out_socket)
{
    return skua_sock_accept_until(listener, SKUA_FOREVER, out_socket);
}
