/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poller.h - the reactor as the scheduler sees it: a table of functions.
 *
 * The scheduler knows no descriptor. io/ supplies the epoll reactor; tests
 * supply one that only moves a virtual clock.
 */
#ifndef SKUI_POLLER_H
#define SKUI_POLLER_H

#include "atomic.h"
#include "skua/types.h"

SKUI_BEGIN_DECLS

struct skui_poller; /* defined by each implementation */

enum skui_direction { SKUI_READ = 0, SKUI_WRITE = 1 };

struct skui_poller_ops {
    /* A reactor for `loop` (borrowed). 0 or a negative errno. */
    int (*open)(skua_loop *loop, struct skui_poller **out_poller);
    /* Free it; NULL is allowed. No poll is under way. */
    void (*close)(struct skui_poller *poller);
    /*
     * Wait up to `timeout_ns` (0: look only; SKUA_FOREVER: no limit) and
     * deliver what happened: tasks by skui_wake(), callbacks by
     * skui_loop_queue_handle(). Returns the number of deliveries or a negative
     * errno (never -EINTR). The loop's thread.
     */
    int (*poll)(struct skui_poller *poller, int64_t timeout_ns);
    /* End a poll under way or the next one. Any thread; signal-safe. */
    void (*wake)(struct skui_poller *poller);
    /*
     * From now on `fd`, at each event, ends the sleep of one of the pollers
     * that watch it, if any sleeps; the first that sees the event reads `fd`
     * (which never blocks) and delivers nothing. 0 or a negative errno.
     */
    int (*watch_tick)(struct skui_poller *poller, int fd);
    /* Whether such an event came to this poller since the last call. */
    bool (*take_tick)(struct skui_poller *poller);
    /*
     * Deliver what happened to tasks, for a loop whose thread is held up: any
     * thread, beside that thread. Callbacks wait for it. Returns the number of
     * deliveries or a negative errno.
     */
    int (*poll_for)(struct skui_poller *poller);
    /*
     * The loop's thread: from now on what `poll_for(charge)` would deliver ends
     * the sleep of `poller`, whose polls deliver it. 0, -EBUSY when it has too
     * many charges, or a negative errno. A charge may have none itself. It ends
     * by itself when the charge was found asleep; till then nothing happens if
     * it is a charge already.
     */
    int (*adopt)(struct skui_poller *poller, struct skui_poller *charge);
    /* Stop that. Any thread; nothing happens if it is no charge. */
    void (*disown)(struct skui_poller *poller, struct skui_poller *charge);
    /* A descriptor that is readable when a poll would deliver, or -ENOTSUP. */
    int (*get_fd)(struct skui_poller *poller);
    /* asyncio's add_reader/add_writer: level-triggered callbacks. */
    int (*add_callback)(struct skui_poller *poller, int fd,
                        enum skui_direction direction, skua_callback_fn *fn,
                        void *arg);
    /* 1 when there was one, else 0. */
    int (*remove_callback)(struct skui_poller *poller, int fd,
                           enum skui_direction direction);
};

/* The epoll reactor (io/epoll.c). */
extern const struct skui_poller_ops skui_epoll_poller;

/* What a reactor may ask of its loop. */

/* The poller of the loop that runs in this thread, or NULL. */
struct skui_poller *skui_running_poller(void);
/* The poller of a loop, which must not be closed. */
struct skui_poller *skui_loop_poller(skua_loop *loop);

/*
 * Queue `handle` in its loop's order (the loop's thread only). The reactor
 * makes one handle per delivery with skui_handle_new() and gives it away.
 */
int skui_handle_new(skua_loop *loop, skua_callback_fn *fn, void *arg,
                    skua_handle **out_handle);
void skui_loop_queue_handle(skua_loop *loop, skua_handle *handle);

/* Let a new handle run in the context of `earlier`, or for NULL in what
 * `context` (of context.h) names. */
void skui_handle_join_context(skua_handle *handle, skua_handle *earlier,
                              uintptr_t context);

SKUI_END_DECLS

#endif
