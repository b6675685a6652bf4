/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c - a connection to NATS that works on a loop, by the client library's
 * hooks for event loops.
 * Threads     The loop's reads, writes and tells the user. The hooks come from
 *             any thread, under a lock of the client library: they note what is
 *             wanted and have the loop do it. One thread connects, one closes.
 * Invariants  The loop watches a duplicate of the socket, which is the link's
 *             own: the client library closes a lost connection in whatever
 *             thread finds it so, and another file may get its number at once.
 *             While `polling` is false nothing of the client library is called
 *             that takes the connection's lock: whoever connects anew holds
 *             that for as long as it takes.
 * Ordering    Everything that threads share is under `lock`, which is taken
 *             inside the client library's and never around a call to it.
 * Progress    What is published in a turn is written at its end, at once. Only
 *             what the socket does not take waits for epoll. A turn that was
 *             queued holds the link; when the loop closes instead, who is told
 *             of that lets go for it.
 * Rejected    Subscriptions with callbacks: they bring a thread that delivers.
 *             Synchronous ones are emptied after each read, in the loop.
 *             The client library's requests, flushes and JetStream calls: they
 *             wait for an answer that only this loop can read.
 *
 * TLS. The client library waits, in poll(2), for the rest of a record of which
 * it has read a part. So a record is read once all of it has come: until then
 * epoll is told to wait for so many bytes (SO_RCVLOWAT). The kernel does not
 * always keep so many; then it is read in parts, and this loop waits for it.
 * Writing may wait for the server, too.
 */
#include "link_parts.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "skua/loop.h"

#include "../../memory.h"

enum {
    TLS_HEADER_BYTES = 5,
};

/* --- owners --- */

static void link_free(struct skui_link *link)
{
    if (link->fresh >= 0) {
        (void)close(link->fresh);
    }
    if (link->holds_loop) {
        skua_loop_unref(link->loop);
    }
    (void)pthread_mutex_destroy(&link->lock);
    skui_release(link->subscriptions);
    skui_release(link->nobody);
    skui_release(link);
}

void skui_link_disown(struct skui_link *link)
{
    bool last;

    (void)pthread_mutex_lock(&link->lock);
    last = --link->owners == 0;
    (void)pthread_mutex_unlock(&link->lock);
    if (last) {
        link_free(link);
    }
}

void skui_link_own(struct skui_link *link)
{
    (void)pthread_mutex_lock(&link->lock);
    link->owners++;
    (void)pthread_mutex_unlock(&link->lock);
}

static void link_turn(void *arg);

bool skui_link_poke(struct skui_link *link)
{
    bool post;

    (void)pthread_mutex_lock(&link->lock);
    post =
        link->started && !link->posted && !link->loop_closed && !link->stopped;
    if (post) {
        link->posted = true;
        link->owners++;
    }
    (void)pthread_mutex_unlock(&link->lock);
    if (post &&
        skua_loop_call_soon_threadsafe(link->loop, link_turn, link, NULL) < 0) {
        (void)pthread_mutex_lock(&link->lock);
        post = link->posted; /* else who closes the loop has let go of it */
        link->posted = false;
        (void)pthread_mutex_unlock(&link->lock);
        if (post) {
            skui_link_disown(link);
        }
        return false;
    }
    return true;
}

/* --- the loop's side --- */

bool skui_link_is_up(struct skui_link *link)
{
    bool up;

    (void)pthread_mutex_lock(&link->lock);
    up = link->polling && !link->stopped;
    (void)pthread_mutex_unlock(&link->lock);
    return up;
}

bool skui_link_wants_write(struct skui_link *link)
{
    bool wants;

    (void)pthread_mutex_lock(&link->lock);
    wants = link->wants_write && link->polling;
    (void)pthread_mutex_unlock(&link->lock);
    return wants;
}

void skui_link_unwatch(struct skui_link *link)
{
    if (link->watched < 0) {
        return;
    }
    (void)skua_loop_remove_reader(link->loop, link->watched);
    (void)skua_loop_remove_writer(link->loop, link->watched);
    (void)close(link->watched);
    link->watched = -1;
    link->writing = false;
}

static void link_writable(void *arg)
{
    struct skui_link *link = arg;

    /* Writing nothing would be taken for the connection's end. */
    if (skui_link_wants_write(link)) {
        natsConnection_ProcessWriteEvent(link->connection);
    }
    if (!skui_link_wants_write(link) && link->writing) {
        link->writing = false;
        (void)skua_loop_remove_writer(link->loop, link->watched);
    }
}

void skui_link_flush(struct skui_link *link)
{
    if (link->watched < 0 || link->writing || !skui_link_wants_write(link)) {
        return;
    }
    natsConnection_ProcessWriteEvent(link->connection);
    if (skui_link_wants_write(link) && link->watched >= 0) {
        link->writing = skua_loop_add_writer(link->loop, link->watched,
                                             link_writable, link) == 0;
    }
}

static void link_set_low_water(struct skui_link *link, int bytes)
{
    if (bytes != link->low_water) {
        link->low_water = bytes;
        (void)setsockopt(link->watched, SOL_SOCKET, SO_RCVLOWAT, &bytes,
                         sizeof(bytes));
    }
}

/*
 * Whether to read: a whole record has come, or the kernel says that it cannot
 * keep more of it: it has been waited for already. Else epoll waits for it.
 */
static bool link_may_read_record(struct skui_link *link)
{
    unsigned char header[TLS_HEADER_BYTES];
    int wanted = TLS_HEADER_BYTES;
    int there = 0;
    ssize_t got =
        recv(link->watched, header, sizeof(header), MSG_PEEK | MSG_DONTWAIT);

    if (got == TLS_HEADER_BYTES) {
        wanted += header[3] << 8 | header[4];
    }
    if (got <= 0 || ioctl(link->watched, FIONREAD, &there) < 0 ||
        there >= wanted || link->low_water == wanted) {
        link_set_low_water(link, 1); /* an end or error: who reads finds it */
        return true;
    }
    link_set_low_water(link, wanted);
    return false;
}

/* Tell the user what was read. */
static void link_deliver(struct skui_link *link)
{
    natsMsg *message = NULL;

    for (size_t i = 0; i < link->count; i++) {
        natsStatus status;

        do {
            struct skui_link_subscription *subscription =
                &link->subscriptions[i]; /* there may be more by now */

            status = natsSubscription_NextMsg(&message, subscription->of, 0);
            if (status == NATS_OK || status == NATS_NO_RESPONDERS) {
                link->user->message(link->self, subscription->tag,
                                    status == NATS_OK ? message : NULL);
            }
            if (status == NATS_OK) {
                natsMsg_Destroy(message);
            }
        } while (status == NATS_OK || status == NATS_NO_RESPONDERS);
    }
}

static void link_readable(void *arg)
{
    struct skui_link *link = arg;

    if (link->secure && !link_may_read_record(link)) {
        return;
    }
    if (natsConnection_Status(link->connection) != NATS_CONN_STATUS_CONNECTED &&
        !natsConnection_IsDraining(link->connection)) {
        skui_link_unwatch(
            link); /* it was lost while connecting: no hook told so */
        return;
    }
    natsConnection_ProcessReadEvent(link->connection);
    link_deliver(link);
    skui_link_flush(link);
}

/* Watch what the hooks say. */
static void link_rewatch(struct skui_link *link, int fresh, bool polling)
{
    if (fresh >= 0 || !polling) {
        skui_link_unwatch(link);
    }
    if (fresh < 0) {
        return;
    }
    link->watched = fresh;
    link->low_water = 1;
    if (skua_loop_add_reader(link->loop, fresh, link_readable, link) < 0) {
        link->watched = -1;
        (void)close(fresh);
    }
}

static void link_tell_nobody(struct skui_link *link)
{
    uint64_t *ids;
    size_t count;

    (void)pthread_mutex_lock(&link->lock);
    ids = link->nobody;
    count = link->nobody_count;
    link->nobody = NULL;
    link->nobody_count = 0;
    link->nobody_capacity = 0;
    (void)pthread_mutex_unlock(&link->lock);
    for (size_t i = 0; i < count; i++) {
        link->user->nobody(link->self, ids[i]);
    }
    skui_release(ids);
}

static void link_tell(struct skui_link *link, unsigned events, const char *why)
{
    if ((events & SKUI_LINK_REFUSED) != 0) {
        link->user->refused(link->self, why);
    }
    if ((events & SKUI_LINK_UP) != 0 && skui_link_is_up(link)) {
        link->user->up(link->self);
    }
    if ((events & SKUI_LINK_NOBODY) != 0) {
        link_tell_nobody(link);
    }
    if ((events & SKUI_LINK_GONE) != 0) {
        link->user->gone(link->self, SKUA_EBROKENPOOL, why);
    } else {
        link->user->turn(link->self);
    }
}

static void link_turn(void *arg)
{
    struct skui_link *link = arg;
    char why[SKUI_NATS_WHY_BYTES];
    unsigned events;
    int fresh;
    bool polling;
    bool stopped;

    (void)pthread_mutex_lock(&link->lock);
    link->posted = false;
    events = link->events;
    link->events = 0;
    fresh = link->fresh;
    link->fresh = -1;
    polling = link->polling;
    stopped = link->stopped;
    memcpy(why, link->why, sizeof(why));
    (void)pthread_mutex_unlock(&link->lock);
    if (stopped) { /* the last turn: skui_link_close() left that to it */
        if (fresh >= 0) {
            (void)close(fresh);
        }
        if (skui_loop_remove_closing(link->loop, &link->closing)) {
            skui_link_disown(link);
        }
    } else {
        link_rewatch(link, fresh, polling);
        link_tell(link, events, why);
        if (link->watched >= 0) {
            skui_link_flush(link);
        }
    }
    skui_link_disown(link);
}

/* The loop closes: nothing that was queued there comes any more. */
void skui_link_loop_closes(struct skui_loop_closing *closing)
{
    struct skui_link *link =
        SKUI_CONTAINER_OF(closing, struct skui_link, closing);
    bool stopped;
    bool posted;

    (void)pthread_mutex_lock(&link->lock);
    link->loop_closed = true;
    posted = link->posted;
    link->posted = false;
    stopped = link->stopped;
    (void)pthread_mutex_unlock(&link->lock);
    if (posted) {
        skui_link_disown(link);
    }
    if (!stopped) {
        link->user->gone(link->self, SKUA_ECLOSED, "the loop was closed");
    }
    skui_link_disown(link);
}

/* --- using it --- */

int64_t skui_link_lost_ns(struct skui_link *link)
{
    int64_t lost_ns;

    (void)pthread_mutex_lock(&link->lock);
    lost_ns = link->lost_ns;
    (void)pthread_mutex_unlock(&link->lock);
    return lost_ns;
}

size_t skui_link_max_payload(const struct skui_link *link)
{
    return link->max_payload;
}

static int link_reserve(struct skui_link *link)
{
    size_t capacity = link->capacity == 0 ? 16 : link->capacity * 2;
    struct skui_link_subscription *all;

    if (link->count < link->capacity) {
        return 0;
    }
    all = skui_resize(link->subscriptions, capacity * sizeof(*all));
    if (all == NULL) {
        return -ENOMEM;
    }
    link->subscriptions = all;
    link->capacity = capacity;
    return 0;
}

int skui_link_subscribe(struct skui_link *link, const char *subject,
                        const char *queue, unsigned tag)
{
    struct skui_link_subscription made = {NULL, tag};
    int status = link_reserve(link);
    natsStatus result;

    if (status < 0) {
        return status;
    }
    result =
        queue == NULL
            ? natsConnection_SubscribeSync(&made.of, link->connection, subject)
            : natsConnection_QueueSubscribeSync(&made.of, link->connection,
                                                subject, queue);
    if (result == NATS_OK) {
        /* Emptied after each read, of IO_BYTES at most. */
        result = natsSubscription_SetPendingLimits(made.of, -1, -1);
    }
    if (result != NATS_OK) {
        natsSubscription_Destroy(made.of);
        return skui_nats_status(result);
    }
    link->subscriptions[link->count++] = made;
    return 0;
}

int skui_link_subscribe_nobody(struct skui_link *link, const char *subject)
{
    natsStatus status = natsConnection_Subscribe(
        &link->apart, link->connection, subject, skui_link_heard_nobody, link);

    if (status == NATS_OK) {
        skui_link_own(link); /* the subscription's, until it has ended */
        status = natsSubscription_SetOnCompleteCB(link->apart,
                                                  skui_link_heard_all, link);
        if (status != NATS_OK) {
            natsSubscription_Destroy(link->apart); /* it keeps the link */
            link->apart = NULL;
        }
    }
    return skui_nats_status(status);
}

void skui_link_drain(struct skui_link *link, unsigned tag)
{
    for (size_t i = 0; i < link->count; i++) {
        if (link->subscriptions[i].tag == tag && skui_link_is_up(link)) {
            /* It ends a thread that waits for the server. */
            (void)natsSubscription_DrainTimeout(link->subscriptions[i].of, 0);
        }
    }
}

int skui_link_publish(struct skui_link *link, const char *subject,
                      const char *reply, const void *data, size_t bytes)
{
    natsStatus status;

    if (!skui_link_is_up(link)) {
        return -ENOTCONN;
    }
    status = reply == NULL
                 ? natsConnection_Publish(link->connection, subject, data,
                                          (int)bytes)
                 : natsConnection_PublishRequest(link->connection, subject,
                                                 reply, data, (int)bytes);
    return skui_nats_status(status);
}

int skui_link_publish_once(struct skui_link *link, const char *subject,
                           const char *reply, const void *data, size_t bytes,
                           const char *message_id)
{
    natsMsg *message = NULL;
    natsStatus status;

    if (!skui_link_is_up(link)) {
        return -ENOTCONN;
    }
    status = natsMsg_Create(&message, subject, reply, data, (int)bytes);
    if (status == NATS_OK) {
        status = natsMsgHeader_Set(message, "Nats-Msg-Id", message_id);
    }
    if (status == NATS_OK) {
        status = natsConnection_PublishMsg(link->connection, message);
    }
    natsMsg_Destroy(message);
    return skui_nats_status(status);
}
