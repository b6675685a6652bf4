/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket.h - the socket object inside: its descriptor and who uses it.
 */
#ifndef SKUI_SOCKET_H
#define SKUI_SOCKET_H

#include "skua/socket.h"

#include "descriptor.h"

SKUI_BEGIN_DECLS

struct skua_socket {
    _Atomic(uint32_t) references; /* SK1 */
    _Atomic(uint32_t) users;      /* SK2; calls on fd, and SOCKET_CLOSED */
    struct skui_descriptor *descriptor; /* constant, as all below */
    uint32_t generation;                /* the descriptor's, while open */
    uint32_t fork_generation;           /* of the process it belongs to */
    int fd;
    bool short_means_drained; /* TCP: a short transfer found the end */
    bool listens;             /* set before it is attached */
};

/* A socket without a descriptor yet, so that nothing is accepted in vain. */
int skui_socket_prepare(skua_socket **out_socket);

/* Free a socket that was prepared and not attached. */
void skui_socket_discard(skua_socket *socket);

/*
 * Give a prepared socket its descriptor and register it with the running loop.
 * `flags` is what readiness to assume. On failure both stay as they were.
 */
int skui_socket_attach(skua_socket *socket, int fd, bool is_tcp,
                       unsigned flags);

/* What every call that may suspend checks first: 0 or a status. */
int skui_socket_enter_task(int64_t deadline_ns);
int skui_socket_enter(skua_socket *socket, int64_t deadline_ns);
/* And that of a transfer: -ENOTCONN for a listener, which would wait for what
 * never comes. */
int skui_socket_enter_transfer(skua_socket *socket, int64_t deadline_ns);
/* Accept: -EINVAL for what does not listen, as accept(2) says. */
int skui_socket_enter_accept(skua_socket *socket, int64_t deadline_ns);

/*
 * Use the descriptor for a system call: nobody closes it before the matching
 * end. 0, -EBADF, SKUA_EFORKED. Do not suspend in between.
 */
int skui_socket_begin(skua_socket *socket);
void skui_socket_end(skua_socket *socket);

/*
 * What is known to be ready in `direction` before a system call: 0 (try it;
 * the word is in `out_seen`), -EAGAIN, -EBADF when it was closed, SKUA_ECLOSED
 * without a reactor.
 */
int skui_socket_look(const skua_socket *socket, enum skui_direction direction,
                     uint64_t *out_seen);

/* A system call that got -EAGAIN: wait for an event. */
void skui_socket_drained(skua_socket *socket, enum skui_direction direction,
                         uint64_t seen);

/* Suspend until something may have changed. */
int skui_socket_wait(skua_socket *socket, enum skui_direction direction,
                     int64_t deadline_ns);

SKUI_END_DECLS

#endif
