/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - level-triggered callbacks on descriptors.
 * Threads     The loop's only.
 * Invariants  by_fd[fd] is NULL or has at least one direction set; the epoll
 *             instance then watches `fd` for exactly those directions.
 *             `queued` is the newest handle of a direction, kept so that
 *             removing the callback also keeps it from running.
 * Rejected    Edge-triggered records as sockets have: asyncio's callbacks may
 *             leave data unread and are called again.
 */
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "skua/loop.h"

#include "../sched/context.h"
#include "../sched/debug.h"
#include "../sched/memory.h"

/* A watch's key: 1 on top, 32 bits of generation, 31 bits of descriptor. */
#define KEY_WATCH (UINT64_C(1) << 63)
enum { KEY_FD_BITS = 31, SMALLEST_CAPACITY = 64 };

struct watch_callback {
    skua_callback_fn *fn; /* NULL: not watched in this direction */
    void *arg;
    skua_handle *queued; /* owned; the latest; NULL: none */
    uintptr_t context;   /* owned: what the first one runs in */
};

struct skui_watch {
    uint32_t generation; /* events of a former watch are stale */
    struct watch_callback of[2];
};

void skui_watches_init(struct skui_watches *watches, skua_loop *loop,
                       int epoll_fd)
{
    memset(watches, 0, sizeof(*watches));
    watches->loop = loop;
    watches->epoll_fd = epoll_fd;
}

static void callback_clear(struct watch_callback *callback)
{
    struct watch_callback old = *callback;

    memset(callback, 0, sizeof(*callback));
    if (old.queued != NULL) {
        (void)skua_handle_cancel(old.queued);
        skua_handle_unref(old.queued);
    }
    skui_context_release_word(old.context); /* may call users' code: last */
}

static void watch_free(struct skui_watch *watch)
{
    if (watch != NULL) {
        callback_clear(&watch->of[SKUI_READ]);
        callback_clear(&watch->of[SKUI_WRITE]);
        skui_origin_forget(watch);
        skui_release(watch);
    }
}

void skui_watches_fini(struct skui_watches *watches)
{
    for (size_t fd = 0; fd < watches->capacity; fd++) {
        watch_free(watches->by_fd[fd]);
    }
    skui_release(watches->by_fd);
    watches->by_fd = NULL;
    watches->capacity = 0;
}

static struct skui_watch *watches_find(const struct skui_watches *watches,
                                       int fd)
{
    return fd >= 0 && (size_t)fd < watches->capacity ? watches->by_fd[fd]
                                                     : NULL;
}

static int watches_reserve(struct skui_watches *watches, int fd)
{
    size_t capacity =
        watches->capacity == 0 ? SMALLEST_CAPACITY : watches->capacity;
    struct skui_watch **by_fd;

    while (capacity <= (size_t)fd) {
        capacity *= 2;
    }
    if (capacity == watches->capacity) {
        return 0;
    }
    by_fd = skui_resize(watches->by_fd, capacity * sizeof(struct skui_watch *));
    if (by_fd == NULL) {
        return -ENOMEM;
    }
    for (size_t i = watches->capacity; i < capacity; i++) {
        by_fd[i] = NULL;
    }
    watches->by_fd = by_fd;
    watches->capacity = capacity;
    return 0;
}

static uint64_t watch_key(const struct skui_watch *watch, int fd)
{
    return KEY_WATCH | (uint64_t)watch->generation << KEY_FD_BITS |
           (uint64_t)(unsigned)fd;
}

/* Have epoll watch the directions that `readers` and `writers` say. */
static int watch_control(const struct skui_watches *watches,
                         const struct skui_watch *watch, int fd, bool reads,
                         bool writes)
{
    struct epoll_event event = {
        (reads ? (uint32_t)EPOLLIN : 0) | (writes ? (uint32_t)EPOLLOUT : 0),
        {.u64 = watch_key(watch, fd)},
    };
    bool known =
        watch->of[SKUI_READ].fn != NULL || watch->of[SKUI_WRITE].fn != NULL;

    if (known && epoll_ctl(watches->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0) {
        return 0;
    }
    if (known && errno != ENOENT) {
        return -errno;
    }
    /* New, or the user closed it and opened another one of that number. */
    if (epoll_ctl(watches->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        return -errno;
    }
    return 0;
}

/* The watch of `fd`, made if there is none. */
static int watches_obtain(struct skui_watches *watches, int fd,
                          struct skui_watch **out_watch)
{
    struct skui_watch *watch;
    int status;

    if (fcntl(fd, F_GETFD) < 0) { /* first, or the table might be huge */
        return -errno;
    }
    status = watches_reserve(watches, fd);
    if (status < 0) {
        return status;
    }
    watch = watches->by_fd[fd];
    if (watch == NULL) {
        watch = skui_allocate_zeroed(sizeof(*watch));
        if (watch == NULL) {
            return -ENOMEM;
        }
        watch->generation = ++watches->generation;
    }
    *out_watch = watch;
    return 0;
}

int skui_watches_add(struct skui_watches *watches, int fd,
                     enum skui_direction direction, skua_callback_fn *fn,
                     void *arg)
{
    struct skui_watch *watch = NULL;
    int status = watches_obtain(watches, fd, &watch);

    if (watch == NULL) {
        return status;
    }
    status = watch_control(
        watches, watch, fd,
        direction == SKUI_READ || watch->of[SKUI_READ].fn != NULL,
        direction == SKUI_WRITE || watch->of[SKUI_WRITE].fn != NULL);
    if (status < 0) {
        if (watches->by_fd[fd] == NULL) {
            skui_release(watch);
        }
        return status;
    }
    if (watches->by_fd[fd] == NULL) {
        watches->by_fd[fd] = watch;
        skui_debug_note_open(watch, watches->loop, SKUI_ORIGIN_WATCH, fd);
    }
    callback_clear(&watch->of[direction]);
    watch->of[direction].fn = fn;
    watch->of[direction].arg = arg;
    watch->of[direction].context = skui_context_capture();
    return 0;
}

int skui_watches_remove(struct skui_watches *watches, int fd,
                        enum skui_direction direction)
{
    struct skui_watch *watch = watches_find(watches, fd);
    enum skui_direction other = direction == SKUI_READ ? SKUI_WRITE : SKUI_READ;

    if (watch == NULL || watch->of[direction].fn == NULL) {
        return 0;
    }
    if (watch->of[other].fn != NULL) {
        /* Fails only for a descriptor that was closed: nothing to do. */
        (void)watch_control(watches, watch, fd, other == SKUI_READ,
                            other == SKUI_WRITE);
        callback_clear(&watch->of[direction]);
        return 1;
    }
    (void)epoll_ctl(watches->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    watches->by_fd[fd] = NULL;
    watch_free(watch);
    return 1;
}

bool skui_watch_is_key(uint64_t key)
{
    return (key & KEY_WATCH) != 0;
}

/* Queue one callback; it goes on in the context of the one before. When memory
 * is short the event simply comes again. */
static int callback_queue(struct skui_watches *watches,
                          struct watch_callback *callback)
{
    skua_handle *handle;

    if (skui_handle_new(watches->loop, callback->fn, callback->arg, &handle) <
        0) {
        return 0;
    }
    skui_handle_join_context(handle, callback->queued, callback->context);
    skua_handle_unref(callback->queued);
    callback->queued = skua_handle_ref(handle);
    skui_loop_queue_handle(watches->loop, handle);
    return 1;
}

int skui_watches_deliver(struct skui_watches *watches, uint64_t key,
                         uint32_t events)
{
    int fd = (int)(key & ((UINT64_C(1) << KEY_FD_BITS) - 1));
    struct skui_watch *watch = watches_find(watches, fd);
    int queued = 0;

    if (watch == NULL || watch_key(watch, fd) != key) {
        return 0;
    }
    if ((events & ~(uint32_t)EPOLLOUT) != 0 &&
        watch->of[SKUI_READ].fn != NULL) {
        queued += callback_queue(watches, &watch->of[SKUI_READ]);
    }
    if ((events & ~(uint32_t)EPOLLIN) != 0 &&
        watch->of[SKUI_WRITE].fn != NULL) {
        queued += callback_queue(watches, &watch->of[SKUI_WRITE]);
    }
    return queued;
}
