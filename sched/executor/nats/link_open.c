/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_open.c - making a link, the hooks of the client library, and its end.
 * Threads     One connects, one closes; the hooks come from any.
 * Invariants  The client library owns the link from before it connects until it
 *             has said that the connection is closed for good.
 * Ordering    As link.c.
 * Progress    Who opens a link waits for the servers; who closes it does not.
 * Rejected    Connecting and closing in the loop: both wait.
 */
#include "link_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "skua/exception.h"
#include "skua/time.h"

#include "../../future.h"
#include "../../memory.h"
#include "../../thread.h"
#include "../../tls.h"
#include "wire.h"

enum { IO_BYTES = 65536, PUMP_MS = 20 };
#define SETTLE_DEFAULT (2 * SKUA_S)

/* --- hooks and callbacks of the client library --- */

static natsStatus hook_attach(void **user_data, void *loop,
                              natsConnection *connection, natsSock socket)
{
    struct skui_link *link = loop;
    int copy = fcntl(socket, F_DUPFD_CLOEXEC, 0);

    if (copy < 0) {
        return NATS_SYS_ERROR;
    }
    *user_data = link;
    (void)pthread_mutex_lock(&link->lock);
    if (link->fresh >= 0) {
        (void)close(link->fresh);
    }
    link->fresh = copy;
    link->connection = connection;
    link->polling = true;
    link->wants_write = false;
    link->events |= SKUI_LINK_UP;
    (void)pthread_mutex_unlock(&link->lock);
    (void)skui_link_poke(link);
    return NATS_OK;
}

static natsStatus hook_read(void *user_data, bool add)
{
    struct skui_link *link = user_data;

    (void)pthread_mutex_lock(&link->lock);
    link->polling = add;
    if (!add) {
        link->events &= ~(unsigned)SKUI_LINK_UP;
        link->lost_ns = skua_monotonic();
        if (link->fresh >= 0) {
            (void)close(link->fresh);
            link->fresh = -1;
        }
    }
    (void)pthread_mutex_unlock(&link->lock);
    (void)skui_link_poke(link);
    return NATS_OK;
}

/* Where the loop's thread publishes, it writes in the same turn. */
static natsStatus hook_write(void *user_data, bool add)
{
    struct skui_link *link = user_data;

    (void)pthread_mutex_lock(&link->lock);
    link->wants_write = add;
    (void)pthread_mutex_unlock(&link->lock);
    if (add && skui_loop_self() != link->loop) {
        (void)skui_link_poke(link);
    }
    return NATS_OK;
}

static natsStatus hook_detach(void *user_data)
{
    (void)user_data; /* reading and writing were stopped before */
    return NATS_OK;
}

static void callback_closed(natsConnection *connection, void *closure)
{
    struct skui_link *link = closure;
    const char *why = NULL;

    (void)natsConnection_GetLastError(connection, &why);
    (void)pthread_mutex_lock(&link->lock);
    link->events |= SKUI_LINK_GONE;
    (void)snprintf(link->why, sizeof(link->why), "the connection was lost: %s",
                   why == NULL || *why == '\0' ? "no server" : why);
    (void)pthread_mutex_unlock(&link->lock);
    (void)skui_link_poke(link);
    skui_link_disown(link);
}

static void callback_error(natsConnection *connection,
                           natsSubscription *subscription, natsStatus error,
                           void *closure)
{
    struct skui_link *link = closure;
    const char *text = nats_GetLastError(NULL);

    (void)connection;
    (void)subscription;
    if (error != NATS_NOT_PERMITTED || text == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&link->lock);
    link->events |= SKUI_LINK_REFUSED;
    (void)snprintf(link->why, sizeof(link->why), "%s", text);
    (void)pthread_mutex_unlock(&link->lock);
    (void)skui_link_poke(link);
}

/* Without memory silence tells, later. */
static void link_add_nobody(struct skui_link *link, uint64_t id)
{
    size_t capacity =
        link->nobody_capacity == 0 ? 64 : 2 * link->nobody_capacity;

    if (link->nobody_count == link->nobody_capacity) {
        uint64_t *ids = skui_resize(link->nobody, capacity * sizeof(*ids));

        if (ids == NULL) {
            return;
        }
        link->nobody = ids;
        link->nobody_capacity = capacity;
    }
    link->nobody[link->nobody_count++] = id;
    link->events |= SKUI_LINK_NOBODY;
}

void skui_link_heard_nobody(natsConnection *connection,
                            natsSubscription *subscription, natsMsg *message,
                            void *closure)
{
    struct skui_link *link = closure;
    const char *word = strrchr(natsMsg_GetSubject(message), '.');
    uint64_t id;

    (void)connection;
    (void)subscription;
    if (natsMsg_IsNoResponders(message) && word != NULL &&
        skui_wire_unhex(word + 1, &id)) {
        (void)pthread_mutex_lock(&link->lock);
        link_add_nobody(link, id);
        (void)pthread_mutex_unlock(&link->lock);
        (void)skui_link_poke(link);
    }
    natsMsg_Destroy(message);
}

void skui_link_heard_all(void *closure)
{
    skui_link_disown(closure);
}

/* --- connecting --- */

static void link_secure(struct skui_link *link,
                        const struct skui_nats_settings *settings)
{
    const skua_nats_options *of = &settings->of;
    char url[512] = "";

    (void)natsConnection_GetConnectedUrl(link->connection, url, sizeof(url));
    link->secure = of->tls || of->ca_file != NULL || of->cert_file != NULL ||
                   of->server_name != NULL || strncmp(url, "tls:", 4) == 0 ||
                   strstr(of->urls, "tls:") != NULL;
}

static natsStatus link_hook(struct skui_link *link, natsOptions *options)
{
    natsStatus status = natsOptions_SetEventLoop(
        options, link, hook_attach, hook_read, hook_write, hook_detach);

    if (status == NATS_OK) {
        status = natsOptions_SetClosedCB(options, callback_closed, link);
    }
    if (status == NATS_OK) {
        status = natsOptions_SetErrorHandler(options, callback_error, link);
    }
    if (status == NATS_OK) {
        status = natsOptions_UseGlobalMessageDelivery(options, true);
    }
    if (status == NATS_OK) {
        status = natsOptions_SetIOBufSize(options, IO_BYTES);
    }
    return status;
}

static struct skui_link *link_new(skua_loop *loop)
{
    struct skui_link *link = skui_allocate_zeroed(sizeof(*link));

    if (link != NULL && pthread_mutex_init(&link->lock, NULL) != 0) {
        skui_release(link);
        link = NULL;
    }
    if (link != NULL) {
        link->owners = 1;
        link->fresh = -1;
        link->watched = -1;
        link->loop = loop;
        link->holds_loop = loop->runner == NULL;
        if (link->holds_loop) {
            (void)skua_loop_ref(loop);
        }
    }
    return link;
}

/* What is to be set up before the link is there, over a connection of its own
 * that needs no loop. */
static int link_prepare(natsOptions *options,
                        const struct skui_link_setup *setup, char *why)
{
    natsConnection *connection = NULL;
    natsStatus status = natsConnection_Connect(&connection, options);
    int result;

    if (status != NATS_OK) {
        skui_nats_why(status, why, SKUI_NATS_WHY_BYTES);
        return skui_nats_status(status);
    }
    result = setup->prepare(setup->prepare_arg, connection, why,
                            SKUI_NATS_WHY_BYTES);
    natsConnection_Destroy(connection);
    return result;
}

/* Write and read in this thread, until what was published to `inbox` is back.
 */
static natsStatus link_pump(struct skui_link *link, natsSubscription *inbox,
                            int64_t deadline_ns)
{
    struct pollfd socket = {link->fresh, POLLIN, 0};
    natsMsg *message = NULL;
    natsStatus status;

    do {
        if (skui_link_wants_write(link)) {
            natsConnection_ProcessWriteEvent(link->connection);
        }
        if (poll(&socket, 1, PUMP_MS) > 0) {
            natsConnection_ProcessReadEvent(link->connection);
        }
        status = natsSubscription_NextMsg(&message, inbox, 0);
    } while (status == NATS_TIMEOUT && skua_monotonic() < deadline_ns);
    natsMsg_Destroy(message);
    return status;
}

/* The server has all subscriptions: it has read what came after them. */
static natsStatus link_settle(struct skui_link *link, int64_t deadline_ns)
{
    natsInbox *subject = NULL;
    natsSubscription *inbox = NULL;
    natsStatus status = natsInbox_Create(&subject);

    if (status == NATS_OK) {
        status =
            natsConnection_SubscribeSync(&inbox, link->connection, subject);
    }
    if (status == NATS_OK) {
        status = natsConnection_Publish(link->connection, subject, NULL, 0);
    }
    if (status == NATS_OK) {
        status = link_pump(link, inbox, deadline_ns);
    }
    natsSubscription_Destroy(inbox);
    natsInbox_Destroy(subject);
    return status;
}

static int link_listen(struct skui_link *link,
                       const struct skui_link_setup *setup, char *why)
{
    int64_t wait_ns = setup->settings->of.connect_timeout_ns;
    int status = setup->listen(setup->listen_arg, link);
    natsStatus result;

    if (status < 0) {
        return status;
    }
    wait_ns = wait_ns == 0 ? SETTLE_DEFAULT : wait_ns;
    result = link_settle(link, skua_monotonic() + wait_ns);
    if (result != NATS_OK) {
        skui_nats_why(result, why, SKUI_NATS_WHY_BYTES);
    }
    return skui_nats_status(result);
}

static int link_connect(struct skui_link *link,
                        const struct skui_nats_settings *settings,
                        natsOptions *options, char *why)
{
    natsStatus status = link_hook(link, options);
    natsConnection *connection = NULL;

    skui_link_own(link); /* the client library's, until callback_closed() */
    if (status == NATS_OK) {
        status = natsConnection_Connect(&connection, options);
    }
    if (status != NATS_OK) {
        skui_nats_why(status, why, SKUI_NATS_WHY_BYTES);
        skui_link_disown(link);
        return skui_nats_status(status);
    }
    link->connection = connection;
    link->max_payload = (size_t)natsConnection_GetMaxPayload(connection);
    if (settings->of.max_message_bytes != 0 &&
        settings->of.max_message_bytes < link->max_payload) {
        link->max_payload = settings->of.max_message_bytes;
    }
    link_secure(link, settings);
    return 0;
}

/* A connection that is being made, by a thread of its own. */
struct opening {
    struct skui_link *link;
    const struct skui_link_setup *setup;
    skua_future *done;
    int status;
    bool connected;
    char why[SKUI_NATS_WHY_BYTES];
};

static void *opening_main(void *arg)
{
    struct opening *opening = arg;
    const struct skui_link_setup *setup = opening->setup;
    struct skui_outcome outcome = {0, NULL, NULL};
    skua_future *done = skua_future_ref(opening->done);
    natsOptions *options = NULL;

    opening->status = skui_nats_settings_apply(
        setup->settings, &options, opening->why, sizeof(opening->why));
    if (opening->status == 0 && setup->prepare != NULL) {
        opening->status = link_prepare(options, setup, opening->why);
    }
    if (opening->status == 0) {
        opening->status =
            link_connect(opening->link, setup->settings, options, opening->why);
        opening->connected = opening->status == 0;
    }
    if (opening->status == 0) {
        opening->status = link_listen(opening->link, setup, opening->why);
    }
    natsOptions_Destroy(options);
    nats_ReleaseThreadMemory();
    (void)skui_future_complete(done, &outcome); /* `opening` may go */
    skua_future_unref(done);
    return NULL;
}

/*
 * The thread uses what its caller has, so who is cancelled waits as well: for
 * as long as connecting takes at most.
 */
static int opening_run(struct opening *opening)
{
    /* In a callback it is refused before anything was begun. */
    int status = skui_future_wait_done(opening->done, 0);
    pthread_t thread;
    int waited;

    if (status != -ETIMEDOUT) {
        return status;
    }
    status = skui_thread_start(&thread, opening_main, opening);
    if (status < 0) {
        return status;
    }
    (void)pthread_detach(thread);
    do {
        waited = skui_future_wait_done(opening->done, SKUA_FOREVER);
        status = waited < 0 ? waited : status;
    } while (waited < 0);
    return opening->status < 0 ? opening->status : status;
}

int skui_link_open(skua_loop *loop, const struct skui_link_setup *setup,
                   struct skui_link **out_link)
{
    struct opening opening = {.link = link_new(loop), .setup = setup};
    int status = -ENOMEM;

    opening.done = skui_future_make(SKUI_FUTURE_EXECUTOR, NULL);
    if (opening.link != NULL && opening.done != NULL) {
        (void)skui_future_set_running(opening.done); /* nobody cancels it */
        status = opening_run(&opening);
    }
    skua_future_unref(opening.done);
    if (status == 0) {
        *out_link = opening.link;
        return 0;
    }
    if (opening.connected) {
        skui_link_abandon(opening.link); /* or its caller was cancelled */
    } else {
        skui_link_release(opening.link);
    }
    return opening.why[0] == '\0' ? status
                                  : skua_raise(status, "nats: %s", opening.why);
}

static void user_nothing(void *self)
{
    (void)self;
}

int skui_link_start(struct skui_link *link, const struct skui_link_user *user,
                    void *self)
{
    int status;

    link->user = user;
    link->self = self;
    link->closing.fn = skui_link_loop_closes;
    (void)pthread_mutex_lock(&link->lock);
    link->owners++;
    link->started = true;
    (void)pthread_mutex_unlock(&link->lock);
    status = skui_loop_add_closing(link->loop, &link->closing);
    if (status < 0) {
        (void)pthread_mutex_lock(&link->lock);
        link->loop_closed = true;
        (void)pthread_mutex_unlock(&link->lock);
        skui_link_disown(link);
    } else {
        (void)skui_link_poke(link);
    }
    return status;
}

/* --- the end --- */

static const struct skui_link_user closed_user = {
    NULL, NULL, user_nothing, user_nothing, NULL, NULL, user_nothing};

/* Closing may wait for the server and for the thread that connects anew. */
static void *closing_main(void *arg)
{
    struct skui_link *link = arg;
    const struct skui_link_user *user = link->user;
    void *self = link->self;

    natsConnection_Close(link->connection);
    for (size_t i = 0; i < link->count; i++) {
        natsSubscription_Destroy(link->subscriptions[i].of);
    }
    natsSubscription_Destroy(link->apart);
    natsConnection_Destroy(link->connection);
    nats_ReleaseThreadMemory();
    skui_link_disown(link);
    user->closed(self);
    return NULL;
}

void skui_link_close(struct skui_link *link)
{
    pthread_t thread;
    bool queued;

    if (link->user == NULL) {
        link->user = &closed_user;
    }
    skui_link_flush(link);
    (void)pthread_mutex_lock(&link->lock);
    link->owners++; /* the thread that closes it */
    link->stopped = true;
    queued = link->posted; /* that turn is the last; or the loop closes */
    (void)pthread_mutex_unlock(&link->lock);
    if (!queued && link->closing.fn != NULL &&
        skui_loop_remove_closing(link->loop, &link->closing)) {
        skui_link_disown(link);
    }
    skui_link_unwatch(link);
    if (skui_thread_start(&thread, closing_main, link) == 0) {
        (void)pthread_detach(thread);
    } else {
        (void)closing_main(link);
    }
}

void skui_link_release(struct skui_link *link)
{
    if (link != NULL) {
        skui_link_disown(link);
    }
}

void skui_link_abandon(struct skui_link *link)
{
    link->user = NULL;
    skui_link_close(link);
    skui_link_disown(link);
}
