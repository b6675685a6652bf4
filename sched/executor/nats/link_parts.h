/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_parts.h - the inside of a link: link.c works on the loop, link_open.c
 * makes and closes it and has the hooks.
 */
#ifndef SKUI_NATS_LINK_PARTS_H
#define SKUI_NATS_LINK_PARTS_H

#include "link.h"

SKUI_BEGIN_DECLS

/* What is to be told. */
enum {
    SKUI_LINK_UP = 1,
    SKUI_LINK_GONE = 2,
    SKUI_LINK_REFUSED = 4,
    SKUI_LINK_NOBODY = 8,
};

struct skui_link_subscription {
    natsSubscription *of;
    unsigned tag;
};

struct skui_link {
    pthread_mutex_t lock; /* guards what follows */
    unsigned owners;      /* user, queued turn, loop, client library, opener */
    bool posted;          /* a turn is queued, and an owner */
    bool loop_closed;
    bool started;     /* there is a user: turns may be queued */
    bool polling;     /* there is a connection */
    bool wants_write; /* there is something to be written */
    bool stopped;     /* the user closed it */
    int fresh;        /* the newest socket, not watched yet; -1: none */
    unsigned events;  /* to be told */
    uint64_t *nobody; /* of these ids */
    size_t nobody_count;
    size_t nobody_capacity;
    int64_t lost_ns; /* when polling ended last */
    char why[SKUI_NATS_WHY_BYTES];

    skua_loop *loop; /* constant, as all up to `watched`; not touched once it
                        has closed */
    bool holds_loop; /* by a reference; a runner's loop is the runner's */
    natsConnection *connection;
    const struct skui_link_user *user;
    void *self;
    bool secure;
    size_t max_payload;

    int watched;  /* the loop's thread only, as what follows; -1: none */
    bool writing; /* waits for room in the socket */
    int low_water;
    struct skui_link_subscription *subscriptions;
    size_t count;
    size_t capacity;
    natsSubscription *apart;          /* for `nobody`; NULL: none */
    struct skui_loop_closing closing; /* in the loop, as an owner */
};

/* An owner more, or less: the last one frees it. */
void skui_link_own(struct skui_link *link);
void skui_link_disown(struct skui_link *link);

/* Whether the client library has something to be written. */
bool skui_link_wants_write(struct skui_link *link);
/* The loop's thread: leave the socket alone. */
void skui_link_unwatch(struct skui_link *link);

/* Callbacks of the subscription apart. */
void skui_link_heard_nobody(natsConnection *connection,
                            natsSubscription *subscription, natsMsg *message,
                            void *closure);
void skui_link_heard_all(void *closure);

/* The loop closes. */
void skui_link_loop_closes(struct skui_loop_closing *closing);

SKUI_END_DECLS

#endif
