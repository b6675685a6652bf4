/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.c - payloads too large for a ring: memfds, through a socket.
 * Threads     Any; one sender and one receiver for each direction of a socket.
 * Invariants  A memfd that was received can be mapped to its size: it is sealed
 *             against resizing, so a peer that truncates it cannot make the
 *             receiver die of SIGBUS.
 * Rejected    Sealing it against writing: who gets a buffer may write to it.
 *             Names in /dev/shm: they outlive who dies.
 */
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW };

/* What goes with a descriptor. */
struct note {
    uint64_t id;
    uint64_t bytes;
};

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int skui_payload_new(size_t bytes, int *out_fd)
{
    int fd =
        memfd_create("skua", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL) { /* an older system */
        fd = memfd_create("skua", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    if (fd < 0) {
        return -errno;
    }
    if (bytes > INT64_MAX || ftruncate(fd, (off_t)bytes) < 0) {
        int status = bytes > INT64_MAX ? -ENOMEM : -errno;

        (void)close(fd);
        return status;
    }
    *out_fd = fd;
    return 0;
}

/* By system calls: short memory is a status, not SIGBUS. */
static int payload_write(int fd, const char *data, size_t bytes)
{
    size_t done = 0;

    while (done < bytes) {
        ssize_t written = pwrite(fd, data + done, bytes - done, (off_t)done);

        if (written < 0 && errno != EINTR) {
            return errno == ENOSPC ? -ENOMEM : -errno;
        }
        done += written < 0 ? 0 : (size_t)written;
    }
    return 0;
}

int skui_payload_copy(const void *data, size_t bytes, int *out_fd)
{
    int fd = -1;
    int status = skui_payload_new(bytes, &fd);

    if (status < 0) {
        return status;
    }
    status = payload_write(fd, data, bytes);
    if (status == 0) {
        status = skui_payload_seal(fd);
    }
    if (status < 0) {
        (void)close(fd);
        return status;
    }
    *out_fd = fd;
    return 0;
}

static bool payload_is_sealed(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);

    return seals >= 0 && (seals & SEALS) == SEALS;
}

int skui_payload_seal(int fd)
{
    if (payload_is_sealed(fd) || fcntl(fd, F_ADD_SEALS, SEALS) == 0) {
        return 0;
    }
    return -errno;
}

int skui_payload_send(int socket, uint64_t id, uint64_t bytes, int fd,
                      bool waits)
{
    struct note note = {id, bytes};
    struct iovec part = {&note, sizeof(note)};
    union control control = {0};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    ssize_t sent;

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    do {
        sent = sendmsg(socket, &message,
                       MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT));
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return errno == ECONNRESET ? -EPIPE : -errno;
    }
    return 0;
}

/* The descriptor in a message, or -1. */
static int message_fd(struct msghdr *message)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    int fd = -1;

    if (header != NULL && header->cmsg_level == SOL_SOCKET &&
        header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(int))) {
        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    }
    return fd;
}

static bool payload_is_good(int fd, uint64_t bytes)
{
    struct stat info;

    return payload_is_sealed(fd) && fstat(fd, &info) == 0 &&
           info.st_size >= 0 && (uint64_t)info.st_size >= bytes;
}

int skui_payload_receive(int socket, uint64_t id, uint64_t bytes, int *out_fd)
{
    struct note note = {0};
    struct iovec part = {&note, sizeof(note)};
    union control control = {0};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = CMSG_LEN(sizeof(int)), /* no room for a second one */
    };
    ssize_t received;
    int fd;

    do {
        received = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (received < 0 && errno == EINTR);
    if (received < 0) {
        return -EPROTO;
    }
    fd = message_fd(&message);
    if (received == (ssize_t)sizeof(note) && note.id == id &&
        note.bytes == bytes) {
        if (fd < 0) {
            return (message.msg_flags & MSG_CTRUNC) != 0 ? -EMFILE : -EPROTO;
        }
        if (payload_is_good(fd, bytes)) {
            *out_fd = fd;
            return 0;
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return -EPROTO;
}
