/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - a connection to NATS that works on a loop.
 *
 *               open  poke  the rest  close
 *   open         x     x       x        x     (once, first)
 *   poke         x     -       -        -     (any thread)
 *   the rest     x     -       x        x     (the loop's thread)
 *   close        x     -       x        x     (the loop's thread, or the
 *                                              closer's of the loop)
 */
#ifndef SKUI_NATS_LINK_H
#define SKUI_NATS_LINK_H

#include <nats/nats.h>
#include <pthread.h>

#include "../../loop.h"
#include "options.h"

SKUI_BEGIN_DECLS

struct skui_link;

/* What its user is told, in the loop's thread unless said. */
struct skui_link_user {
    /* `tag` is that of the subscription; `message` is borrowed. NULL: the
     * server has said that nobody listens to something, but not to what. */
    void (*message)(void *self, unsigned tag, natsMsg *message);
    /* Nobody listens to what was published with this id; see
     * skui_link_subscribe_nobody(). NULL: it subscribes to no such thing. */
    void (*nobody)(void *self, uint64_t id);
    /* Somebody poked it. */
    void (*turn)(void *self);
    /* It is connected, for the first time or again. */
    void (*up)(void *self);
    /* The server did not allow something; its words. */
    void (*refused)(void *self, const char *text);
    /* It is lost for good: SKUA_EBROKENPOOL, or SKUA_ECLOSED: with the loop, in
     * the closer's thread. Called at most once, and not once it is closed. */
    void (*gone)(void *self, int status, const char *why);
    /* skui_link_close() is through: any thread, nothing else comes. */
    void (*closed)(void *self);
};

/* What is done while a link is made, in a thread of its own. */
struct skui_link_setup {
    const struct skui_nats_settings *settings;
    /* With a connection that works without the loop: a status and, in `why`,
     * the reason. NULL: nothing. */
    int (*prepare)(void *prepare_arg, natsConnection *connection, char *why,
                   size_t why_bytes);
    void *prepare_arg;
    /* Subscribe: a status. The server has all of it before the link is given.
     */
    int (*listen)(void *listen_arg, struct skui_link *link);
    void *listen_arg;
};

/* Connect; in a task this suspends. 0, or a status, raised with the reason. */
int skui_link_open(skua_loop *loop, const struct skui_link_setup *setup,
                   struct skui_link **out_link);

/* From now on `user` is told; the first `up` comes soon. The loop's thread or
 * not. SKUA_ECLOSED: the loop is closed; then nobody is told. */
int skui_link_start(struct skui_link *link, const struct skui_link_user *user,
                    void *self);

/* Any thread: have `turn` called soon. False: the loop is closed. */
bool skui_link_poke(struct skui_link *link);

/* Whether what is published now reaches a server: a guess, but for false. */
bool skui_link_is_up(struct skui_link *link);

/* When the connection was lost last; 0: never. */
int64_t skui_link_lost_ns(struct skui_link *link);

/* The largest message. */
size_t skui_link_max_payload(const struct skui_link *link);

/* `queue`: of the group, or NULL. Of what has come together, the messages of
 * earlier subscriptions are told first. */
int skui_link_subscribe(struct skui_link *link, const char *subject,
                        const char *queue, unsigned tag);
/*
 * For `subject`, whose last word is an id: where the server says that nobody
 * listens. The client library keeps that to itself but where a thread of its
 * own delivers, so no other messages should come there.
 */
int skui_link_subscribe_nobody(struct skui_link *link, const char *subject);
/* The server sends no more for those of `tag`; what is under way still comes.
 */
void skui_link_drain(struct skui_link *link, unsigned tag);

/* `reply` may be NULL. -ENOTCONN: not now. */
int skui_link_publish(struct skui_link *link, const char *subject,
                      const char *reply, const void *data, size_t bytes);
/* The same with a header Nats-Msg-Id. */
int skui_link_publish_once(struct skui_link *link, const char *subject,
                           const char *reply, const void *data, size_t bytes,
                           const char *message_id);

/* Send what was published now rather than at the end of the turn. */
void skui_link_flush(struct skui_link *link);

/* Close it: not in `message`. It may be poked still. */
void skui_link_close(struct skui_link *link);
/* Give it up, once it is closed; NULL is allowed. */
void skui_link_release(struct skui_link *link);
/* Both, and its user is not told: it was not started, or could not be. */
void skui_link_abandon(struct skui_link *link);

SKUI_END_DECLS

#endif
