/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_stack.c - debug mode: threads that sleep in the kernel.
 * Threads     Any; of a thread of the process that does not end meanwhile.
 * Invariants  Memory is read through the kernel: it may be unmapped meanwhile.
 *             What was found counts only if the thread is still in the same
 *             call, at the same place, afterwards.
 *
 * The kernel says in which call a thread sleeps, and where its stack and its
 * instruction pointers are ("/proc/self/task/ID/syscall"), but not the frame
 * pointer. The chain of frames is looked for: the longest one that begins near
 * the stack pointer. Calls that have returned leave such pairs behind, in what
 * the frames of later ones do not use; but their chains join the one that is
 * alive somewhere, mostly above its begin, and so are shorter. Functions of the
 * C library, which keep no frame pointers, are left out, as may be who called
 * them.
 *
 * Rejected    A signal for calls that are restarted after one: a socket with a
 *             time limit ends them with EINTR all the same, and the kernel does
 *             not say which one has.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "frames.h"
#include "running_stack.h"

enum {
    LINE_BYTES = 256,
    PATH_BYTES = 64,
    SEARCH_WORDS = 512,       /* where the innermost record may be */
    FRAME_BYTES = 256 * 1024, /* a larger step from frame to frame is none */
    CHAIN_LINKS = 3,          /* make a chain, if it does not end before */
};

/* Where a thread sleeps. */
struct place {
    long system_call;
    uintptr_t stack;
    uintptr_t address;
};

static bool file_read(const char *path, char *line)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    if (fd < 0) {
        return false;
    }
    got = read(fd, line, LINE_BYTES - 1);
    (void)close(fd);
    if (got <= 0) {
        return false;
    }
    line[got] = '\0';
    return true;
}

/* "running", "-1 STACK ADDRESS" or "NUMBER six arguments STACK ADDRESS". */
static enum skui_running_state place_parse(const char *line, struct place *out)
{
    char *end;

    if (strncmp(line, "running", strlen("running")) == 0) {
        return SKUI_RUNNING_RUNS;
    }
    out->system_call = strtol(line, &end, 10);
    if (end == line) {
        return SKUI_RUNNING_UNKNOWN;
    }
    out->stack = 0;
    out->address = 0;
    while (*end == ' ') { /* the last two stay */
        out->stack = out->address;
        out->address = (uintptr_t)strtoull(end + 1, &end, 16);
    }
    return SKUI_RUNNING_WAITS;
}

static enum skui_running_state place_get(pid_t thread_id, struct place *out)
{
    char path[PATH_BYTES];
    char line[LINE_BYTES];

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/syscall",
                   (int)thread_id);
    return file_read(path, line) ? place_parse(line, out)
                                 : SKUI_RUNNING_UNKNOWN;
}

/* --- its calls --- */

static bool record_read(int memory, uintptr_t frame,
                        struct skui_frame_record *out)
{
    return pread(memory, out, sizeof(*out), (off_t)frame) ==
           (ssize_t)sizeof(*out);
}

static bool record_is_likely(uintptr_t at,
                             const struct skui_frame_record *record)
{
    Dl_info info;

    return (record->frame == 0 ||
            (record->frame > at && record->frame - at < FRAME_BYTES &&
             record->frame % sizeof(uintptr_t) == 0)) &&
           dladdr((void *)record->address, &info) != 0;
}

/* Follow the chain that begins at `frame`; returns how many addresses, and
 * whether it has an end. */
static size_t chain_follow(int memory, uintptr_t frame, void **frames,
                           size_t capacity, bool *out_ends)
{
    struct skui_frame_record record;
    size_t count = 0;

    *out_ends = false;
    while (count < capacity && record_read(memory, frame, &record) &&
           record_is_likely(frame, &record)) {
        frames[count++] = (void *)record.address;
        frame = record.frame;
        if (frame == 0) {
            *out_ends = true;
            break;
        }
    }
    return count;
}

/* The longest chain that begins near `stack`. */
static size_t chain_find(int memory, uintptr_t stack, void **frames,
                         size_t capacity)
{
    uintptr_t words[SEARCH_WORDS];
    void *chain[SKUI_RUNNING_FRAMES];
    ssize_t got = pread(memory, words, sizeof(words), (off_t)stack);
    size_t found = got < 0 ? 0 : (size_t)got / sizeof(words[0]);
    size_t longest = 0;

    for (size_t i = 0; i + 1 < found; i++) {
        uintptr_t at = stack + i * sizeof(words[0]);
        struct skui_frame_record record = {words[i], words[i + 1]};
        size_t count;
        bool ends;

        if (record.frame == 0 || !record_is_likely(at, &record)) {
            continue;
        }
        count = chain_follow(memory, at, chain, capacity, &ends);
        if (count > longest && (ends || count >= CHAIN_LINKS)) {
            longest = count;
            memcpy(frames, chain, count * sizeof(chain[0]));
        }
    }
    return longest;
}

static size_t place_walk(const struct place *place, void **frames,
                         size_t capacity)
{
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    size_t count = 1;

    frames[0] = (void *)place->address;
    if (memory >= 0) {
        count += chain_find(memory, place->stack, frames + 1, capacity - 1);
        (void)close(memory);
    }
    return count;
}

void skui_running_look(pid_t thread_id, struct skui_running_answer *out)
{
    struct place place = {0};
    struct place after = {0};

    out->state = place_get(thread_id, &place);
    if (out->state == SKUI_RUNNING_WAITS) {
        out->system_call = place.system_call;
        out->count = place_walk(&place, out->frames, SKUI_RUNNING_FRAMES);
        if (place_get(thread_id, &after) != SKUI_RUNNING_WAITS ||
            after.system_call != place.system_call ||
            after.stack != place.stack || after.address != place.address) {
            out->count = 0; /* the stack was changing */
        }
    }
}

/* --- names --- */

static const struct {
    long number;
    const char *name;
} calls[] = {
    {SYS_read, "read"},
    {SYS_write, "write"},
    {SYS_pread64, "pread64"},
    {SYS_pwrite64, "pwrite64"},
    {SYS_readv, "readv"},
    {SYS_writev, "writev"},
    {SYS_openat, "openat"},
    {SYS_close, "close"},
    {SYS_ioctl, "ioctl"},
    {SYS_fcntl, "fcntl"},
    {SYS_flock, "flock"},
    {SYS_fsync, "fsync"},
    {SYS_fdatasync, "fdatasync"},
    {SYS_getdents64, "getdents64"},
    {SYS_sendfile, "sendfile"},
    {SYS_splice, "splice"},
    {SYS_accept, "accept"},
    {SYS_accept4, "accept4"},
    {SYS_connect, "connect"},
    {SYS_sendto, "sendto"},
    {SYS_sendmsg, "sendmsg"},
    {SYS_recvfrom, "recvfrom"},
    {SYS_recvmsg, "recvmsg"},
    {SYS_ppoll, "ppoll"},
    {SYS_pselect6, "pselect6"},
    {SYS_epoll_pwait, "epoll_pwait"},
    {SYS_futex, "futex"},
    {SYS_nanosleep, "nanosleep"},
    {SYS_clock_nanosleep, "clock_nanosleep"},
    {SYS_rt_sigsuspend, "rt_sigsuspend"},
    {SYS_rt_sigtimedwait, "rt_sigtimedwait"},
    {SYS_wait4, "wait4"},
    {SYS_waitid, "waitid"},
    {SYS_semop, "semop"},
    {SYS_msgrcv, "msgrcv"},
    {SYS_msgsnd, "msgsnd"},
    {SYS_mq_timedreceive, "mq_timedreceive"},
    {SYS_mq_timedsend, "mq_timedsend"},
    {SYS_io_uring_enter, "io_uring_enter"},
#if defined(SYS_poll) /* younger CPUs have the calls above only */
    {SYS_open, "open"},
    {SYS_poll, "poll"},
    {SYS_select, "select"},
    {SYS_epoll_wait, "epoll_wait"},
    {SYS_pause, "pause"},
#endif
};

const char *skui_system_call_name(long number)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].number == number) {
            return calls[i].name;
        }
    }
    return NULL;
}
