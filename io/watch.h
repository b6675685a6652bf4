/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - callbacks on descriptors: asyncio's add_reader and add_writer.
 * All of it belongs to the loop's thread.
 */
#ifndef SKUI_WATCH_H
#define SKUI_WATCH_H

#include "../sched/atomic.h"
#include "../sched/poller.h"

SKUI_BEGIN_DECLS

struct skui_watch;

/* Both directions of each watched descriptor, by its number. */
struct skui_watches {
    skua_loop *loop; /* borrowed */
    int epoll_fd;    /* borrowed */
    uint32_t generation;
    size_t capacity;
    struct skui_watch **by_fd;
};

void skui_watches_init(struct skui_watches *watches, skua_loop *loop,
                       int epoll_fd);

/* Drop all of them; callbacks already queued do not run. */
void skui_watches_fini(struct skui_watches *watches);

/* As skua_loop_add_reader(). */
int skui_watches_add(struct skui_watches *watches, int fd,
                     enum skui_direction direction, skua_callback_fn *fn,
                     void *arg);

/* As skua_loop_remove_reader(). */
int skui_watches_remove(struct skui_watches *watches, int fd,
                        enum skui_direction direction);

/* Whether an event's key is a watch's. */
bool skui_watch_is_key(uint64_t key);

/* Queue the callbacks of an event. Returns how many. */
int skui_watches_deliver(struct skui_watches *watches, uint64_t key,
                         uint32_t events);

SKUI_END_DECLS

#endif
