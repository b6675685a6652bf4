/* SPDX-License-Identifier: Apache-2.0 */
/**
 * TCP sockets for tasks: asyncio's loop.sock_*() with an object of its own.
 *
 * A socket belongs to no task and moves freely: any task on any loop may use
 * it, one at a time in each direction. It stays registered with the loop where
 * it was made; once that loop is closed its calls give SKUA_ECLOSED, and only
 * closing it is left to do.
 *
 * Every call tries the system call first and suspends only when the kernel has
 * nothing to give. A call that ends with SKUA_ECANCELED or -ETIMEDOUT has
 * consumed and sent nothing, except where it says how much it sent, and the
 * next call works. Deadlines are times of skua_monotonic(), SKUA_FOREVER for
 * none; at a time that is past only what is ready now succeeds.
 *
 * Beside what is listed every call gives -EINVAL for NULL, -EBADF for a socket
 * that is closed, and the system call's own errno (-ECONNRESET, -EPIPE, ...;
 * SIGPIPE is never raised); to receive from or send to a listener gives
 * -ENOTCONN at once. Every call that may suspend also gives
 * SKUA_ENOLOOP outside a task, SKUA_ECANCELED, SKUA_ECLOSED, -EBUSY when
 * another task waits in the same direction, SKUA_EFORKED in a forked child for
 * a socket of its parent, and -EINVAL for SKUA_NOT_A_TIME.
 */
#ifndef SKUA_SOCKET_H
#define SKUA_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <skua/types.h>

SKUA_BEGIN_DECLS

/** A TCP connection or listener, reference counted. */
typedef struct skua_socket skua_socket;

/** Room for any address as text, its end included. */
#define SKUA_HOST_BYTES 64

/** How to listen. All-zero: every address, any free port. */
typedef struct skua_listen_options {
    const char *host;      /* numeric IPv4 or IPv6; NULL or "": every address */
    int port;              /* 0: any free one, see skua_sock_getsockname() */
    int backlog;           /* connections not accepted yet; 0: 100 */
    bool reuse_port;       /* several listeners share it (SO_REUSEPORT) */
    bool no_reuse_address; /* do not set SO_REUSEADDR */
} skua_listen_options;

/**
 * Listen. Without a host on both IPv4 and IPv6 by one socket, on IPv4 alone
 * where there is no IPv6. To spread connections over the loops of a runner
 * let a task pinned to each loop listen with `reuse_port`.
 * @param options  borrowed; NULL: default
 * @param out_listener  a new reference
 * @return 0; -EINVAL for a host that is no number or a port out of range;
 *         -EADDRINUSE; -EACCES; -EMFILE; -ENOMEM; SKUA_ENOLOOP
 * Thread: a loop's.  Suspends: never.  asyncio: create_server().
 */
SKUA_API int skua_sock_listen(const skua_listen_options *options,
                              skua_socket **out_listener);

/**
 * Accept one connection, which gets TCP_NODELAY. Out of descriptors or memory
 * it tells the loop's exception handler, pauses a second and goes on.
 * @param out_socket  a new reference
 * @return 0; -EINVAL for a socket that does not listen; as every call
 * Thread: a task.  Suspends: may.  asyncio: sock_accept().
 */
SKUA_API int skua_sock_accept(skua_socket *listener, skua_socket **out_socket);

/**
 * skua_sock_accept() with a deadline.
 * @return as skua_sock_accept(); -ETIMEDOUT
 * Thread: a task.  Suspends: may.
 */
SKUA_API int skua_sock_accept_until(skua_socket *listener, int64_t deadline_ns,
                                    skua_socket **out_socket);

/**
 * Connect, with TCP_NODELAY.
 * @param host  numeric IPv4 or IPv6; NULL: 127.0.0.1   @param port  1 to 65535
 * @param out_socket  a new reference
 * @return 0; -EINVAL for a host that is no number or a port out of range;
 *         -ECONNREFUSED; -EHOSTUNREACH; -ETIMEDOUT; as every call
 * Thread: a task.  Suspends: may.  asyncio: sock_connect().
 */
SKUA_API int skua_sock_connect(const char *host, int port,
                               skua_socket **out_socket);

/**
 * skua_sock_connect() with a deadline.
 * @return as skua_sock_connect()
 * Thread: a task.  Suspends: may.
 */
SKUA_API int skua_sock_connect_until(const char *host, int port,
                                     int64_t deadline_ns,
                                     skua_socket **out_socket);

/**
 * Make a socket of the caller's connected or listening descriptor, which
 * becomes non-blocking and close-on-exec and belongs to the socket on success.
 * @param out_socket  a new reference
 * @return 0; -EBADF; -ENOTSOCK; -EEXIST when this loop watches it already;
 *         -ENOMEM; SKUA_ENOLOOP
 * Thread: a loop's.  Suspends: never.  Python: socket.socket(fileno=fd).
 */
SKUA_API int skua_socket_new(int fd, skua_socket **out_socket);

/**
 * Another reference; NULL is passed through.
 * Thread: any.  Suspends: never.
 */
SKUA_API skua_socket *skua_socket_ref(skua_socket *socket);

/**
 * Drop a reference; NULL is allowed. The last one closes the socket, which is
 * logged as a warning when that was made in debug mode; no call on it may be
 * under way then.
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_socket_unref(skua_socket *socket);

/**
 * Close the descriptor; the object stays until its last reference goes. Tasks
 * that wait on it get -EBADF, as do later calls. Closing again does nothing.
 * @return 0
 * Thread: any.  Suspends: never.  Python: socket.close().
 */
SKUA_API int skua_sock_close(skua_socket *socket);

/**
 * End one direction or both.
 * @param how  SHUT_RD, SHUT_WR or SHUT_RDWR of <sys/socket.h>
 * @return 0; -EINVAL; -ENOTCONN
 * Thread: any.  Suspends: never.  Python: socket.shutdown().
 */
SKUA_API int skua_sock_shutdown(skua_socket *socket, int how);

/**
 * Receive into new memory, made only when there is something to receive, so
 * that a connection that waits holds no buffer.
 * @param max_bytes  at least 1; more than 256 KiB counts as that
 * @param out_data  what came, to be freed with skua_release(); NULL at the end
 * @return how many bytes; 0 at the end of the stream; -ENOMEM (nothing was
 *         received); as every call
 * Thread: a task.  Suspends: may.  asyncio: sock_recv().
 */
SKUA_API ssize_t skua_sock_recv(skua_socket *socket, size_t max_bytes,
                                void **out_data);

/**
 * skua_sock_recv() with a deadline.
 * @return as skua_sock_recv(); -ETIMEDOUT
 * Thread: a task.  Suspends: may.
 */
SKUA_API ssize_t skua_sock_recv_until(skua_socket *socket, size_t max_bytes,
                                      int64_t deadline_ns, void **out_data);

/**
 * Receive into the caller's memory.
 * @param buffer  borrowed   @param bytes  at least 1
 * @return how many bytes; 0 at the end of the stream; as every call
 * Thread: a task.  Suspends: may.  asyncio: sock_recv_into().
 */
SKUA_API ssize_t skua_sock_recv_into(skua_socket *socket, void *buffer,
                                     size_t bytes);

/**
 * skua_sock_recv_into() with a deadline.
 * @return as skua_sock_recv_into(); -ETIMEDOUT
 * Thread: a task.  Suspends: may.
 */
SKUA_API ssize_t skua_sock_recv_into_until(skua_socket *socket, void *buffer,
                                           size_t bytes, int64_t deadline_ns);

/**
 * Send what fits now, at least one byte unless `bytes` is 0.
 * @param data  borrowed
 * @return how many bytes; as every call
 * Thread: a task.  Suspends: may.  Python: socket.send().
 */
SKUA_API ssize_t skua_sock_send(skua_socket *socket, const void *data,
                                size_t bytes);

/**
 * skua_sock_send() with a deadline.
 * @return as skua_sock_send(); -ETIMEDOUT
 * Thread: a task.  Suspends: may.
 */
SKUA_API ssize_t skua_sock_send_until(skua_socket *socket, const void *data,
                                      size_t bytes, int64_t deadline_ns);

/**
 * Send everything. When it fails or is cancelled an unknown part was sent;
 * skua_sock_sendall_until() tells how much.
 * @param data  borrowed
 * @return 0; as every call
 * Thread: a task.  Suspends: may.  asyncio: sock_sendall().
 */
SKUA_API int skua_sock_sendall(skua_socket *socket, const void *data,
                               size_t bytes);

/**
 * skua_sock_sendall() with a deadline.
 * @param out_sent  may be NULL; how many bytes were sent, also on failure
 * @return as skua_sock_sendall(); -ETIMEDOUT
 * Thread: a task.  Suspends: may.
 */
SKUA_API int skua_sock_sendall_until(skua_socket *socket, const void *data,
                                     size_t bytes, int64_t deadline_ns,
                                     size_t *out_sent);

/**
 * Send what fits now of several buffers, in their order.
 * @param buffers  borrowed   @param count  of them; more than 1024 count as so
 * @return how many bytes; as every call
 * Thread: a task.  Suspends: may.  Python: socket.sendmsg().
 */
SKUA_API ssize_t skua_sock_sendmsg(skua_socket *socket,
                                   const struct iovec *buffers, size_t count);

/**
 * skua_sock_sendmsg() with a deadline.
 * @return as skua_sock_sendmsg(); -ETIMEDOUT
 * Thread: a task.  Suspends: may.
 */
SKUA_API ssize_t skua_sock_sendmsg_until(skua_socket *socket,
                                         const struct iovec *buffers,
                                         size_t count, int64_t deadline_ns);

/**
 * Send all of several buffers, in their order, without joining them.
 * @param buffers  borrowed, not changed   @param count  any number
 * @return as skua_sock_sendall(); -EINVAL when the sizes overflow
 * Thread: a task.  Suspends: may.
 */
SKUA_API int skua_sock_sendmsg_all(skua_socket *socket,
                                   const struct iovec *buffers, size_t count);

/**
 * skua_sock_sendmsg_all() with a deadline.
 * @param out_sent  may be NULL; how many bytes were sent, also on failure
 * @return as skua_sock_sendmsg_all(); -ETIMEDOUT
 * Thread: a task.  Suspends: may.
 */
SKUA_API int skua_sock_sendmsg_all_until(skua_socket *socket,
                                         const struct iovec *buffers,
                                         size_t count, int64_t deadline_ns,
                                         size_t *out_sent);

/**
 * The socket's own address.
 * @param host  filled with text; NULL: not wanted
 * @param host_bytes  SKUA_HOST_BYTES always suffice
 * @param out_port  may be NULL
 * @return 0; -ENOSPC when `host` is too small; -EAFNOSUPPORT when it is
 *         neither IPv4 nor IPv6
 * Thread: any.  Suspends: never.  Python: socket.getsockname().
 */
SKUA_API int skua_sock_getsockname(skua_socket *socket, char *host,
                                   size_t host_bytes, int *out_port);

/**
 * The peer's address.
 * @return as skua_sock_getsockname(); -ENOTCONN
 * Thread: any.  Suspends: never.  Python: socket.getpeername().
 */
SKUA_API int skua_sock_getpeername(skua_socket *socket, char *host,
                                   size_t host_bytes, int *out_port);

/**
 * Its descriptor, which stays with the socket.
 * @return the descriptor; -EBADF
 * Thread: any.  Suspends: never.  Python: socket.fileno().
 */
SKUA_API int skua_sock_fileno(skua_socket *socket);

/**
 * Turn TCP_NODELAY on (as it is from the start) or off.
 * @return 0; -EOPNOTSUPP when it is not TCP
 * Thread: any.  Suspends: never.  Python: socket.setsockopt().
 */
SKUA_API int skua_sock_nodelay(skua_socket *socket, bool enabled);

SKUA_END_DECLS

#endif
