/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffer.c - buffers on the heap, large ones in anonymous shared memory.
 * Threads     Any; the contents are the callers' affair.
 * Invariants  Shared memory never becomes smaller: it is sealed, so a process
 *             that has it too cannot make ours fault.
 * Ordering    BU1: the last reference sees what the others did.
 * Rejected    Shared memory for all: a mapping costs two system calls and a
 *             page fault for each 4 KiB.
 */
#include "buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../memory.h"

struct skua_buffer {
    _Atomic(uint32_t) refs; /* BU1 */
    int fd;                 /* -1: on the heap; constant once shared */
    size_t bytes;           /* as all up to `data` */
    size_t mapped;          /* 0: on the heap */
    unsigned char *data;    /* behind this, or mapped */
};

static void buffer_init(skua_buffer *buffer, int fd, size_t bytes,
                        unsigned char *data)
{
    skui_store_relaxed(&buffer->refs, 1u); /* relaxed: not shared yet */
    buffer->fd = fd;
    buffer->bytes = bytes;
    buffer->mapped = fd < 0 ? 0 : bytes;
    buffer->data = data;
}

skua_buffer *skui_buffer_make(size_t bytes)
{
    skua_buffer *buffer =
        bytes > SIZE_MAX / 2 ? NULL : skui_allocate(sizeof(*buffer) + bytes);

    if (buffer != NULL) {
        buffer_init(buffer, -1, bytes, (unsigned char *)(buffer + 1));
    }
    return buffer;
}

/* Map `fd`, which is taken in every case. */
static int buffer_map(int fd, size_t bytes, skua_buffer **out_buffer)
{
    skua_buffer *buffer = skui_allocate(sizeof(*buffer));
    int status = -ENOMEM;
    void *data;

    if (buffer != NULL) {
        data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (data != MAP_FAILED) {
            buffer_init(buffer, fd, bytes, data);
            *out_buffer = buffer;
            return 0;
        }
        status = -errno;
    }
    skui_release(buffer);
    (void)close(fd);
    return status;
}

static int buffer_make_shared(size_t bytes, skua_buffer **out_buffer)
{
    int fd = memfd_create("skua-buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int status;

    if (fd < 0) {
        return -errno;
    }
    if (bytes > INT64_MAX || ftruncate(fd, (off_t)bytes) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        status = bytes > INT64_MAX ? -ENOMEM : -errno;
        (void)close(fd);
        return status;
    }
    return buffer_map(fd, bytes, out_buffer);
}

int skui_buffer_adopt(int fd, size_t bytes, skua_buffer **out_buffer)
{
    struct stat about;
    int seals = fcntl(fd, F_GET_SEALS);

    if (bytes == 0 || seals < 0 || (seals & F_SEAL_SHRINK) == 0 ||
        fstat(fd, &about) < 0 || about.st_size < 0 ||
        (uint64_t)about.st_size < bytes) {
        (void)close(fd);
        return -EINVAL;
    }
    return buffer_map(fd, bytes, out_buffer);
}

/* Not zeroed when it lies on the heap. */
static int buffer_make_either(size_t bytes, bool may_share,
                              skua_buffer **out_buffer)
{
    skua_buffer *made;

    if (may_share && bytes >= SKUI_BUFFER_SHARED_BYTES) {
        return buffer_make_shared(bytes, out_buffer);
    }
    made = skui_buffer_make(bytes);
    if (made == NULL) {
        return -ENOMEM;
    }
    *out_buffer = made;
    return 0;
}

int skui_buffer_copy(const void *data, size_t bytes, bool may_share,
                     skua_buffer **out_buffer)
{
    int status = buffer_make_either(bytes, may_share, out_buffer);

    if (status == 0 && bytes > 0) {
        memcpy((*out_buffer)->data, data, bytes);
    }
    return status;
}

int skui_buffer_grow(skua_buffer **buffer, size_t used, size_t capacity,
                     bool may_share)
{
    skua_buffer *larger = NULL;
    int status = buffer_make_either(capacity, may_share, &larger);

    if (larger == NULL) {
        return status;
    }
    if (used > 0) {
        memcpy(larger->data, (*buffer)->data, used);
    }
    skua_buffer_unref(*buffer);
    *buffer = larger;
    return 0;
}

void skui_buffer_trim(skua_buffer *buffer, size_t bytes)
{
    buffer->bytes = bytes;
}

int skui_buffer_fd(const skua_buffer *buffer)
{
    return buffer->fd;
}

int skua_buffer_new(size_t bytes, skua_buffer **out_buffer)
{
    int status = out_buffer == NULL
                     ? -EINVAL
                     : buffer_make_either(bytes, true, out_buffer);

    if (status == 0 && (*out_buffer)->fd < 0) {
        memset((*out_buffer)->data, 0, bytes);
    }
    return status;
}

skua_buffer *skua_buffer_ref(skua_buffer *buffer)
{
    if (buffer != NULL) {
        /* relaxed: the caller has a reference already */
        (void)skui_fetch_add_relaxed(&buffer->refs, 1u);
    }
    return buffer;
}

void skua_buffer_unref(skua_buffer *buffer)
{
    /* BU1 acq_rel: the last one sees what the others did. */
    if (buffer == NULL || skui_fetch_sub_acq_rel(&buffer->refs, 1u) != 1) {
        return;
    }
    if (buffer->fd >= 0) {
        (void)munmap(buffer->data, buffer->mapped);
        (void)close(buffer->fd);
    }
    skui_release(buffer);
}

void *skua_buffer_data(skua_buffer *buffer)
{
    return buffer == NULL ? NULL : buffer->data;
}

size_t skua_buffer_bytes(const skua_buffer *buffer)
{
    return buffer == NULL ? 0 : buffer->bytes;
}
