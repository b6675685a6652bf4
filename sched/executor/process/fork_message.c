/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork_message.c - messages with descriptors, between parent and fork server.
 * Threads     Any; each message is sent and received as a whole.
 * Invariants  What was received is closed on exec, and closed here if it is not
 *             handed on.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fork_server.h"

enum { FIRST_OTHER = 3 };

union fork_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * SKUI_FORK_DESCRIPTORS)];
};

ssize_t skui_fork_send(int socket, const void *data, size_t bytes,
                       const int *descriptors, size_t count, int flags)
{
    union fork_control control;
    struct iovec vector = {(void *)data, bytes};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    ssize_t sent;

    if (count > SKUI_FORK_DESCRIPTORS) {
        return -EINVAL;
    }
    if (count > 0) {
        struct cmsghdr *header = &control.align;

        memset(&control, 0, sizeof(control));
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    }
    do {
        sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

/* Take the descriptors out of a message: `room` of them, the rest is closed. */
static size_t fork_take_descriptors(struct msghdr *message,
                                    int *out_descriptors, size_t room)
{
    size_t taken = 0;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
         header = CMSG_NXTHDR(message, header)) {
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (header->cmsg_level != SOL_SOCKET ||
            header->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            int descriptor;

            memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int),
                   sizeof(int));
            if (taken < room) {
                out_descriptors[taken++] = descriptor;
            } else {
                (void)close(descriptor);
            }
        }
    }
    return taken;
}

ssize_t skui_fork_receive(int socket, void *data, size_t bytes,
                          int *out_descriptors, size_t *inout_count, int flags)
{
    union fork_control control;
    struct iovec vector = {data, bytes};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t received;

    do {
        received = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    } while (received < 0 && errno == EINTR);
    if (received < 0) {
        *inout_count = 0;
        return -errno;
    }
    *inout_count =
        fork_take_descriptors(&message, out_descriptors, *inout_count);
    return received;
}

/* --- closing what was inherited --- */

static bool fork_keeps(const int *descriptors, size_t count, int descriptor)
{
    for (size_t i = 0; i < count; i++) {
        if (descriptors[i] == descriptor) {
            return true;
        }
    }
    return false;
}

/* Where the kernel has no close_range(2), or an emulator hides it. */
static void fork_close_listed(const int *descriptors, size_t count)
{
    DIR *listing = opendir("/proc/self/fd");
    struct dirent *entry;

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a listing of its own */
    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        int descriptor = (int)strtol(entry->d_name, NULL, 10);

        if (descriptor >= FIRST_OTHER && descriptor != dirfd(listing) &&
            !fork_keeps(descriptors, count, descriptor)) {
            (void)close(descriptor);
        }
    }
    if (listing != NULL) {
        (void)closedir(listing);
    }
}

static int compare_descriptors(const void *left, const void *right)
{
    int a = *(const int *)left;
    int b = *(const int *)right;

    return (a > b) - (a < b);
}

void skui_fork_close_others(const int *descriptors, size_t count)
{
    int sorted[SKUI_FORK_DESCRIPTORS];
    unsigned from = FIRST_OTHER;

    count = count < SKUI_FORK_DESCRIPTORS ? count : SKUI_FORK_DESCRIPTORS;
    memcpy(sorted, descriptors, count * sizeof(sorted[0]));
    qsort(sorted, count, sizeof(sorted[0]), compare_descriptors);
    for (size_t i = 0; i <= count; i++) {
        unsigned to = i < count ? (unsigned)sorted[i] - 1 : ~0U;

        if (i < count && sorted[i] < FIRST_OTHER) {
            continue;
        }
        if (from <= to && syscall(SYS_close_range, from, to, 0) < 0) {
            fork_close_listed(descriptors, count);
            return;
        }
        from = to + 2;
    }
}
