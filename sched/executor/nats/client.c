/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - an executor on NATS: submitting, limits, and the end.
 * Threads     Any submits and shuts down. All else is the loop's, but for the
 *             end, which comes in the thread that closes the connection.
 * Invariants  A job is in one place: inbound, ready, delayed or the table; and
 *             leaves it once, so it is completed once, whatever answers come.
 *             Nothing is taken in once `broken` or `shut` is set.
 * Ordering    All that threads share is under `lock`, a leaf lock.
 * Progress    Submitting wakes the loop at most once until that has looked.
 * Rejected    Publishing in the submitter's thread: the client library's lock
 *             is held while it connects anew, and each message would be a write
 *             of its own.
 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "skua/exception.h"
#include "skua/time.h"

#include "../../future.h"
#include "../../memory.h"
#include "jetstream.h"

enum {
    DEFAULT_IN_FLIGHT = 1024,
    MOST_IN_FLIGHT = 1 << 20,
    DEFAULT_MISSED = 3,
    KEY_MAX = 100,
    /* Calls have heads, and headers in the durable flavour. */
    OVERHEAD = SKUI_WIRE_CALL_HEAD + 2 * SKUI_WIRE_NAMES_MAX,
};
#define DEFAULT_BEAT SKUA_S
#define SMALLEST_BEAT (10 * SKUA_MS)

/* --- submitting --- */

/* Locked: wake the first who waits for room, or all of them. */
static struct skui_submitter *client_pop_submitters(struct skui_client *client,
                                                    bool all)
{
    struct skui_submitter *first = client->submitters;
    struct skui_submitter *rest = first == NULL || all ? NULL : first->next;

    client->submitters = rest;
    if (rest == NULL) {
        client->last_submitter = &client->submitters;
    }
    if (first != NULL && !all) {
        first->next = NULL;
    }
    return first;
}

static void submitters_wake(struct skui_submitter *first)
{
    while (first != NULL) {
        struct skui_submitter *next = first->next;

        (void)skua_future_set_result(first->future, NULL);
        skua_future_unref(first->future);
        skui_release(first);
        first = next;
    }
}

/* Locked: what submitting gives; 1: it must wait. */
static int client_admits(struct skui_client *client)
{
    if (client->broken < 0) {
        return client->broken;
    }
    if (client->shut) {
        return SKUA_ECLOSED;
    }
    if (client->policy == SKUA_QUEUE_GROW ||
        client->queued < client->max_queued) {
        return 0;
    }
    if (client->policy == SKUA_QUEUE_REJECT) {
        client->rejected++;
        return -EAGAIN;
    }
    return 1;
}

/* Wait for room; the lock is given up for that, and held again. */
static int client_wait_room(struct skui_client *client)
{
    struct skui_submitter *submitter = skui_allocate(sizeof(*submitter));
    skua_future *future = NULL;
    int status = -ENOMEM;

    if (submitter != NULL) {
        status = skua_future_new(NULL, &future);
    }
    if (status < 0) {
        skui_release(submitter);
        return status;
    }
    submitter->next = NULL;
    submitter->future = skua_future_ref(future);
    *client->last_submitter = submitter;
    client->last_submitter = &submitter->next;
    (void)pthread_mutex_unlock(&client->lock);
    status = skua_await(future, NULL);
    if (status < 0) {
        (void)skua_future_cancel(future);
    }
    skua_future_unref(future);
    (void)pthread_mutex_lock(&client->lock);
    if (status < 0) {
        /* Whoever is woken in vain here wakes the next one. */
        struct skui_submitter *woken = client_pop_submitters(client, true);

        (void)pthread_mutex_unlock(&client->lock);
        submitters_wake(woken);
        (void)pthread_mutex_lock(&client->lock);
    }
    return status;
}

static int client_take_in(struct skui_client *client,
                          struct skui_remote *remote)
{
    int status;

    (void)pthread_mutex_lock(&client->lock);
    do {
        status = client_admits(client);
        if (status > 0) {
            status = client_wait_room(client);
            status = status == 0 ? 1 : status;
        }
    } while (status > 0);
    if (status == 0) {
        skui_remotes_append(&client->inbound, remote);
        client->submitted++;
        client->live++;
        client->queued++;
        if (client->queued > client->queued_most) {
            client->queued_most = client->queued;
        }
    }
    (void)pthread_mutex_unlock(&client->lock);
    return status;
}

static int client_submit(void *self, skua_job *job)
{
    struct skui_client *client = self;
    const char *key = skua_job_options(job)->key;
    struct skui_remote *remote;
    int status;

    if (skua_job_work(job)->bytes > client->max_payload) {
        return -EMSGSIZE;
    }
    if (key != NULL && (key[0] == '\0' || strlen(key) > KEY_MAX)) {
        return -EINVAL;
    }
    remote = skui_allocate_zeroed(sizeof(*remote));
    if (remote == NULL) {
        return -ENOMEM;
    }
    remote->job = job;
    remote->keyed = key != NULL && client->settings.of.durable;
    status = client_take_in(client, remote);
    if (status < 0) {
        skui_release(remote);
        return status;
    }
    (void)skui_link_poke(client->link); /* false: client_gone() has it */
    return 0;
}

void skui_client_unqueue(struct skui_client *client)
{
    struct skui_submitter *woken;

    (void)pthread_mutex_lock(&client->lock);
    client->queued--;
    woken = client_pop_submitters(client, false);
    (void)pthread_mutex_unlock(&client->lock);
    submitters_wake(woken);
}

void skui_client_release(struct skui_client *client, struct skui_remote *remote)
{
    if (remote->first_ns == 0) {
        skui_client_unqueue(client);
    }
    (void)pthread_mutex_lock(&client->lock);
    client->live--;
    (void)pthread_mutex_unlock(&client->lock);
    skui_release(remote);
}

/* --- what the base asks --- */

static void client_stop(void *self, skua_job *job)
{
    struct skui_client *client = self;

    (void)job; /* whoever should stop is found by asking all */
    (void)pthread_mutex_lock(&client->lock);
    client->stops = true;
    (void)pthread_mutex_unlock(&client->lock);
    (void)skui_link_poke(client->link);
}

static void client_get_stats(void *self, skua_executor_stats *out_stats)
{
    struct skui_client *client = self;

    (void)pthread_mutex_lock(&client->lock);
    out_stats->submitted = client->submitted;
    out_stats->queued = (int64_t)client->queued;
    out_stats->queued_most = (int64_t)client->queued_most;
    out_stats->rejected = client->rejected;
    (void)pthread_mutex_unlock(&client->lock);
}

/* --- the end --- */

/* Whoever comes second of who shuts it down and who has closed the link. */
static void client_end(struct skui_client *client)
{
    bool end;

    (void)pthread_mutex_lock(&client->lock);
    end = client->link_closed && client->shut && !client->ended;
    client->ended = client->ended || end;
    (void)pthread_mutex_unlock(&client->lock);
    if (end) {
        (void)skua_executor_ended(client->executor);
    }
}

static void client_shutdown(void *self, bool cancel_futures)
{
    struct skui_client *client = self;
    struct skui_submitter *woken;

    (void)pthread_mutex_lock(&client->lock);
    client->shut = true;
    client->cancel = client->cancel || cancel_futures;
    woken = client_pop_submitters(client, true);
    (void)pthread_mutex_unlock(&client->lock);
    submitters_wake(woken);
    (void)skui_link_poke(client->link);
    client_end(client);
}

static void client_closed(void *self)
{
    struct skui_client *client = self;

    (void)pthread_mutex_lock(&client->lock);
    client->link_closed = true;
    (void)pthread_mutex_unlock(&client->lock);
    client_end(client);
}

static void client_close(struct skui_client *client)
{
    client->closing = true;
    if (client->tick != NULL) {
        (void)skua_handle_cancel(client->tick);
        skua_handle_unref(client->tick);
        client->tick = NULL;
    }
    if (client->retry != NULL) {
        (void)skua_handle_cancel(client->retry);
        skua_handle_unref(client->retry);
        client->retry = NULL;
    }
    skui_link_close(client->link); /* then client_closed() */
}

void skui_client_settle(struct skui_client *client)
{
    bool over;

    (void)pthread_mutex_lock(&client->lock);
    over = client->shut && client->live == 0;
    (void)pthread_mutex_unlock(&client->lock);
    if (over && !client->closing) {
        client_close(client);
    }
}

static void client_free(void *self)
{
    struct skui_client *client = self;

    skui_link_release(client->link);
    skui_nats_settings_fini(&client->settings);
    skui_wire_buffer_fini(&client->out);
    (void)pthread_mutex_destroy(&client->lock);
    skui_release(client->buckets);
    skui_release(client);
}

/* --- turns --- */

static void client_fail_list(struct skui_client *client,
                             struct skui_remotes *list, int status,
                             const char *why)
{
    struct skui_remote *remote;

    while ((remote = skui_remotes_pop(list)) != NULL) {
        skua_job_fail(remote->job, status, why);
        skui_client_release(client, remote);
    }
}

/* Take in what was submitted. Returns the flags of the moment. */
static void client_collect(struct skui_client *client, bool *out_cancel,
                           bool *out_stops)
{
    struct skui_remote *remote;
    struct skui_remotes inbound;

    (void)pthread_mutex_lock(&client->lock);
    inbound = client->inbound;
    if (inbound.first == NULL) {
        inbound.last = &inbound.first;
    }
    skui_remotes_init(&client->inbound);
    client->ending = client->shut;
    *out_cancel = client->cancel;
    *out_stops = client->stops;
    client->stops = false;
    (void)pthread_mutex_unlock(&client->lock);
    while ((remote = skui_remotes_pop(&inbound)) != NULL) {
        skui_remotes_append(&client->ready, remote);
    }
}

/* What was never sent is cancelled; what waits to be sent again is not. */
static void client_cancel_queued(struct skui_client *client)
{
    struct skui_remotes kept;
    struct skui_remote *remote;

    skui_remotes_init(&kept);
    while ((remote = skui_remotes_pop(&client->ready)) != NULL) {
        if (remote->first_ns != 0) {
            skui_remotes_append(&kept, remote);
            continue;
        }
        (void)skua_future_cancel(remote->job);
        skua_job_discard(remote->job);
        skui_client_release(client, remote);
    }
    while ((remote = skui_remotes_pop(&kept)) != NULL) {
        skui_remotes_append(&client->ready, remote);
    }
}

static void client_turn(void *self)
{
    struct skui_client *client = self;
    bool cancel;
    bool stops;

    client_collect(client, &cancel, &stops);
    if (client->closing) {
        return;
    }
    if (cancel) {
        client_cancel_queued(client);
    }
    if (stops) {
        skui_client_tell(client);
    }
    skui_client_send(client);
    skui_client_watch(client);
    skui_client_settle(client);
}

static void client_gone(void *self, int status, const char *why)
{
    struct skui_client *client = self;
    char message[SKUI_NATS_WHY_BYTES + 16];
    struct skui_submitter *woken;
    bool cancel;
    bool stops;

    if (client->closing) {
        return;
    }
    (void)snprintf(message, sizeof(message), "nats: %s", why);
    (void)pthread_mutex_lock(&client->lock);
    client->broken = status;
    woken = client_pop_submitters(client, true);
    (void)pthread_mutex_unlock(&client->lock);
    submitters_wake(woken);
    client_collect(client, &cancel, &stops);
    client_fail_list(client, &client->ready, status, message);
    client_fail_list(client, &client->delayed, status, message);
    for (size_t i = 0; i <= client->mask; i++) {
        while (client->buckets[i] != NULL) {
            struct skui_remote *remote = client->buckets[i];

            skui_client_take(client, remote);
            skua_job_fail(remote->job, status, message);
            skui_client_release(client, remote);
        }
    }
    client_close(client);
}

static const struct skui_link_user client_user = {
    skui_client_message, skui_client_nobody, client_turn,   skui_client_up,
    skui_client_refused, client_gone,        client_closed,
};

/* --- making one --- */

static const skua_executor_type client_type = {
    .name = "nats",
    .submit = client_submit,
    .shutdown = client_shutdown,
    .release = client_free,
    .stop = client_stop,
    .get_stats = client_get_stats,
};

static const char *client_fault(const skua_nats_executor_options *options)
{
    if (options->policy < SKUA_QUEUE_GROW ||
        options->policy > SKUA_QUEUE_REJECT ||
        (options->policy == SKUA_QUEUE_GROW) != (options->max_queued == 0)) {
        return "policy and max_queued do not go together";
    }
    if (options->max_in_flight > MOST_IN_FLIGHT) {
        return "max_in_flight is too large";
    }
    if (options->heartbeat_ns < 0 || options->missed_beats < 0 ||
        options->patience_ns < 0 ||
        (options->heartbeat_ns != 0 && options->heartbeat_ns < SMALLEST_BEAT) ||
        options->heartbeat_ns / SKUA_MS > INT32_MAX ||
        options->missed_beats > 1000) {
        return "heartbeat_ns, missed_beats or patience_ns is out of range";
    }
    return NULL;
}

static void client_configure(struct skui_client *client,
                             const skua_nats_executor_options *options)
{
    int missed =
        options->missed_beats == 0 ? DEFAULT_MISSED : options->missed_beats;

    client->max_in_flight = options->max_in_flight == 0
                                ? DEFAULT_IN_FLIGHT
                                : options->max_in_flight;
    client->window = (double)client->max_in_flight;
    client->max_queued = options->max_queued;
    client->policy = options->policy;
    client->beat_ns =
        options->heartbeat_ns == 0 ? DEFAULT_BEAT : options->heartbeat_ns;
    client->silence_ns = client->beat_ns > SKUA_FOREVER / missed
                             ? SKUA_FOREVER
                             : client->beat_ns * missed;
    client->patience_ns = options->patience_ns;
    client->last_submitter = &client->submitters;
    skui_remotes_init(&client->inbound);
    skui_remotes_init(&client->ready);
    skui_remotes_init(&client->delayed);
}

/* Names of its own. */
static int client_name(struct skui_client *client)
{
    char id[SKUI_WIRE_HEX];

    if (getrandom(&client->caller, sizeof(client->caller), 0) !=
        (ssize_t)sizeof(client->caller)) {
        return -errno;
    }
    skui_wire_hex(client->caller, id);
    client->inbox_bytes =
        (size_t)snprintf(client->inbox, sizeof(client->inbox), "%s.%s",
                         client->settings.of.inbox, id);
    client->calls_bytes =
        (size_t)snprintf(client->calls, sizeof(client->calls), "%s.%s.",
                         client->settings.of.prefix,
                         client->settings.of.durable ? "job" : "call");
    return 0;
}

static int client_make(const skua_nats_executor_options *options,
                       struct skui_client **out_client)
{
    struct skui_client *client = skui_allocate_zeroed(sizeof(*client));
    size_t buckets = 64;
    int status = client == NULL ? -ENOMEM : 0;

    if (status == 0) {
        client_configure(client, options);
        status = -pthread_mutex_init(&client->lock, NULL);
    }
    if (status < 0) {
        skui_release(client);
        return status;
    }
    while (buckets < client->max_in_flight) {
        buckets *= 2;
    }
    client->mask = buckets - 1;
    client->buckets =
        skui_allocate_zeroed(buckets * sizeof(struct skui_remote *));
    status = client->buckets == NULL
                 ? -ENOMEM
                 : skui_nats_settings_init(&client->settings, &options->nats);
    if (status == 0) {
        status = client_name(client);
    }
    if (status < 0) {
        client_free(client);
        return status;
    }
    *out_client = client;
    return 0;
}

static int client_listen(void *arg, struct skui_link *link)
{
    const struct skui_client *client = arg;
    char subject[SKUI_NATS_SUBJECT_MAX];
    int status;

    (void)snprintf(subject, sizeof(subject), "%s.*", client->inbox);
    status = skui_link_subscribe(link, subject, NULL, 0);
    if (status == 0 && !client->settings.of.durable) {
        (void)snprintf(subject, sizeof(subject), "%s.n.*", client->inbox);
        status = skui_link_subscribe_nobody(link, subject);
    }
    return status;
}

static int client_open(skua_loop *loop, struct skui_client *client)
{
    const struct skui_link_setup setup = {
        &client->settings,
        client->settings.of.durable ? skui_jetstream_prepare : NULL,
        &client->settings, client_listen, client};
    int status = skui_link_open(loop, &setup, &client->link);

    if (status < 0) {
        return status;
    }
    client->max_bytes = skui_link_max_payload(client->link);
    client->max_payload =
        client->max_bytes < OVERHEAD ? 0 : client->max_bytes - OVERHEAD;
    status = client->max_payload == 0
                 ? skua_raise(-EINVAL, "nats: max_message_bytes is too small")
                 : skui_executor_make(&client_type, client, &client->executor);
    if (status < 0) {
        skui_link_abandon(client->link);
        client->link = NULL;
        return status;
    }
    client->executor->takes_functions = false;
    status = skui_link_start(client->link, &client_user, client);
    if (status < 0) {
        client->broken = status; /* it ends as others whose loop is closed */
        client->closing = true;
        skui_link_close(client->link);
    }
    return 0;
}

int skua_nats_executor_new(skua_loop *loop,
                           const skua_nats_executor_options *options,
                           skua_executor **out_executor)
{
    static const skua_nats_executor_options defaults;
    struct skui_client *client = NULL;
    const char *fault;
    int status;

    if (loop == NULL || out_executor == NULL) {
        return -EINVAL;
    }
    options = options == NULL ? &defaults : options;
    fault = client_fault(options);
    if (fault != NULL) {
        return skua_raise(-EINVAL, "nats: %s", fault);
    }
    status = skui_loop_check_open(loop);
    if (status == 0) {
        status = client_make(options, &client);
    }
    if (status != 0) {
        return status;
    }
    status = client_open(loop, client);
    if (status < 0) {
        client_free(client);
        return status;
    }
    *out_executor = client->executor;
    return 0;
}
