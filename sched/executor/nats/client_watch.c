/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_watch.c - looking for what does not come: dead workers, lost answers,
 * calls that should stop.
 * Threads     The loop's.
 * Invariants  The clock of a worker's silence stands still while there is no
 *             connection, or while this loop was held up itself.
 * Ordering    None.
 * Progress    A look at all that is in flight, twice a heartbeat, while there
 *             is any; nothing when there is none.
 * Rejected    A timer for each call: a thousand of them for what one look does.
 *
 * A call that was sent, silence of more than one and a half heartbeats: all
 * workers are asked. Who runs it says so; who has run it sends the answer once
 * more. Silence of `missed_beats`: it is lost, since its worker is, or since it
 * never reached one. Work in the stream cannot be lost: its answer is looked
 * for, now and then, where workers leave it.
 *
 * What should stop is told to all workers, and once more in each heartbeat
 * until the answer comes: whoever is told may not have the call yet, or the
 * connection may be lost with the message. Workers do not mind.
 */
#include "client.h"

#include <errno.h>
#include <stdio.h>

#include "skua/cancel_token.h"
#include "skua/loop.h"
#include "skua/time.h"

#define SMALLEST_TICK (5 * SKUA_MS)
#define REPUBLISH_AFTER SKUA_S
#define POLL_MOST (30 * SKUA_S)
enum { POLL_SHIFT_MOST = 4, REPUBLISH_SHIFT_MOST = 3 };

struct looking {
    struct skui_client *client;
    int64_t now_ns;
    int64_t late_ns; /* this loop was held up for so long */
    bool up;
    struct skui_id_list ask;
};

/* --- what should stop --- */

static void client_delete(struct skui_client *client,
                          struct skui_remote *remote)
{
    char subject[SKUI_NATS_SUBJECT_MAX];
    char reply[SKUI_NATS_SUBJECT_MAX];
    char body[64];
    int bytes = snprintf(body, sizeof(body), "{\"seq\":%llu,\"no_erase\":true}",
                         (unsigned long long)remote->sequence);

    (void)snprintf(subject, sizeof(subject),
                   "$JS.API.STREAM.MSG.DELETE.%s_JOBS",
                   client->settings.stream);
    skui_client_reply_subject(client, ".", remote->id, reply);
    (void)skui_link_publish(client->link, subject, reply, body, (size_t)bytes);
}

/* Workers know deadlines themselves; but they do not have what lies in the
 * stream. */
static bool remote_should_stop(const struct skui_client *client,
                               const struct skui_remote *remote)
{
    return client->settings.of.durable
               ? skua_job_should_stop(remote->job)
               : skua_cancel_token_is_cancelled(
                     skua_job_options(remote->job)->token);
}

/* Whether workers are to be told, now or once more. */
static bool remote_is_to_be_told(const struct skui_client *client,
                                 const struct skui_remote *remote,
                                 int64_t now_ns)
{
    return remote->state != SKUI_REMOTE_PUBLISHING &&
           (remote->told_ns == 0 ||
            now_ns - remote->told_ns >= client->beat_ns) &&
           remote_should_stop(client, remote);
}

void skui_client_tell(struct skui_client *client)
{
    struct skui_id_list stop = {client, SKUI_WIRE_CANCEL, 0};
    int64_t now_ns = skua_monotonic();

    if (!skui_link_is_up(client->link)) {
        return; /* the tick comes back to it */
    }
    for (size_t i = 0; i <= client->mask; i++) {
        for (struct skui_remote *remote = client->buckets[i]; remote != NULL;
             remote = remote->next) {
            if (remote_is_to_be_told(client, remote, now_ns)) {
                remote->told_ns = now_ns;
                skui_id_list_add(&stop, remote->id);
            }
        }
    }
    skui_id_list_send(&stop);
    for (size_t i = 0; i <= client->mask && client->settings.of.durable; i++) {
        for (struct skui_remote *remote = client->buckets[i]; remote != NULL;
             remote = remote->next) {
            if (remote->told_ns != 0 && remote->state == SKUI_REMOTE_ACCEPTED) {
                client_delete(client, remote);
            }
        }
    }
}

/* --- one look --- */

static void client_lose(struct skui_client *client, struct skui_remote *remote,
                        int status, const char *message)
{
    skui_client_take(client, remote);
    skua_job_fail(remote->job, status, message);
    skui_client_release(client, remote);
}

static void look_at_sent(struct looking *looking, struct skui_remote *remote)
{
    struct skui_client *client = looking->client;
    int64_t silent_ns = looking->now_ns - remote->heard_ns;

    if (silent_ns > client->silence_ns) {
        char message[128];

        (void)snprintf(message, sizeof(message),
                       "nats: no sign of life from a worker for %lld ms",
                       (long long)(silent_ns / SKUA_MS));
        client_lose(client, remote, SKUA_EBROKENPOOL, message);
    } else if (silent_ns > client->beat_ns + client->beat_ns / 2 &&
               looking->now_ns - remote->asked_ns >= client->beat_ns) {
        remote->asked_ns = looking->now_ns;
        skui_id_list_add(&looking->ask, remote->id);
    }
}

static void look_at_publishing(struct looking *looking,
                               struct skui_remote *remote)
{
    unsigned shift = remote->tries < REPUBLISH_SHIFT_MOST
                         ? remote->tries
                         : (unsigned)REPUBLISH_SHIFT_MOST;

    if (looking->now_ns - remote->asked_ns >= REPUBLISH_AFTER << shift &&
        skui_client_publish(looking->client, remote) == 0) {
        remote->tries++;
    }
}

/* Ask the stream for its answer. */
static void look_for_answer(struct looking *looking, struct skui_remote *remote)
{
    struct skui_client *client = looking->client;
    char name[SKUI_WIRE_NAMES_MAX + 1];
    char subject[2 * SKUI_NATS_SUBJECT_MAX];
    char reply[SKUI_NATS_SUBJECT_MAX];
    unsigned shift = remote->tries < POLL_SHIFT_MOST
                         ? remote->tries
                         : (unsigned)POLL_SHIFT_MOST;

    if (looking->now_ns < remote->due_ns) {
        return;
    }
    (void)skui_client_result_name(client, remote, name);
    (void)snprintf(subject, sizeof(subject),
                   "$JS.API.DIRECT.GET.%s_RESULTS.%s.result.%s",
                   client->settings.stream, client->settings.of.prefix, name);
    skui_client_reply_subject(client, ".", remote->id, reply);
    if (skui_link_publish(client->link, subject, reply, NULL, 0) == 0) {
        remote->tries++;
    }
    remote->due_ns = looking->now_ns +
                     ((remote->keyed ? client->beat_ns : 2 * SKUA_S) << shift);
    if (remote->due_ns > looking->now_ns + POLL_MOST) {
        remote->due_ns = looking->now_ns + POLL_MOST;
    }
}

/* It is out of the stream, and no worker says it has it: it is over. */
static void look_at_deleted(struct looking *looking, struct skui_remote *remote)
{
    struct skui_client *client = looking->client;

    if (looking->now_ns - remote->heard_ns > client->silence_ns) {
        bool cancelled = skua_cancel_token_is_cancelled(
            skua_job_options(remote->job)->token);

        client_lose(client, remote, cancelled ? SKUA_ECANCELED : -ETIMEDOUT,
                    NULL);
    } else {
        look_for_answer(looking, remote);
    }
}

/* Without a connection nobody can be told that the time is over. */
static void look_offline(struct looking *looking, struct skui_remote *remote)
{
    int64_t deadline_ns = skua_job_options(remote->job)->deadline_ns;

    remote->heard_ns = looking->now_ns;
    if (deadline_ns != 0 && remote->state == SKUI_REMOTE_SENT &&
        looking->now_ns - looking->client->silence_ns > deadline_ns) {
        client_lose(looking->client, remote, -ETIMEDOUT,
                    "nats: there was no connection");
    }
}

static void look_at(struct looking *looking, struct skui_remote *remote)
{
    remote->heard_ns += looking->late_ns;
    if (!looking->up) {
        look_offline(looking, remote);
        return;
    }
    switch (remote->state) {
    case SKUI_REMOTE_SENT:
        look_at_sent(looking, remote);
        break;
    case SKUI_REMOTE_PUBLISHING:
        look_at_publishing(looking, remote);
        break;
    case SKUI_REMOTE_ACCEPTED:
        look_for_answer(looking, remote);
        break;
    case SKUI_REMOTE_DELETED:
        look_at_deleted(looking, remote);
        break;
    case SKUI_REMOTE_READY:
    case SKUI_REMOTE_DELAYED:
        break; /* not in the table */
    }
}

/* What waits here may have been cancelled, or be too late. */
static void look_at_ready(struct skui_client *client)
{
    struct skui_remotes kept;
    struct skui_remote *remote;

    skui_remotes_init(&kept);
    while ((remote = skui_remotes_pop(&client->ready)) != NULL) {
        if (skua_future_done(remote->job) ||
            skua_job_should_stop(remote->job)) {
            skui_client_drop(client, remote);
        } else {
            skui_remotes_append(&kept, remote);
        }
    }
    client->ready = kept;
    if (kept.first == NULL) {
        skui_remotes_init(&client->ready);
    }
}

static int64_t client_tick_ns(const struct skui_client *client)
{
    int64_t tick_ns = client->beat_ns / 2;

    return tick_ns < SMALLEST_TICK ? SMALLEST_TICK : tick_ns;
}

static void client_tick(void *arg)
{
    struct skui_client *client = arg;
    int64_t now_ns = skua_monotonic();
    int64_t late_ns = now_ns - client->tick_due_ns;
    struct looking looking = {client,
                              now_ns,
                              late_ns > client_tick_ns(client) ? late_ns : 0,
                              skui_link_is_up(client->link),
                              {client, SKUI_WIRE_ASK, 0}};

    skua_handle_unref(client->tick);
    client->tick = NULL;
    for (size_t i = 0; i <= client->mask; i++) {
        struct skui_remote *next;

        for (struct skui_remote *remote = client->buckets[i]; remote != NULL;
             remote = next) {
            next = remote->next;
            look_at(&looking, remote);
        }
    }
    skui_id_list_send(&looking.ask);
    look_at_ready(client);
    skui_client_tell(client);
    skui_client_send(client);
    skui_client_watch(client);
    skui_link_flush(client->link);
    skui_client_settle(client);
}

void skui_client_watch(struct skui_client *client)
{
    if (client->tick != NULL || client->closing ||
        (client->in_flight == 0 && client->ready.first == NULL &&
         client->delayed.first == NULL)) {
        return;
    }
    client->tick_due_ns = skua_monotonic() + client_tick_ns(client);
    if (skua_loop_call_at(skua_get_running_loop(), client->tick_due_ns,
                          client_tick, client, &client->tick) < 0) {
        client->tick = NULL; /* the next turn tries again */
    }
}

/* --- connected anew --- */

static void up_at(struct looking *looking, struct skui_remote *remote)
{
    remote->heard_ns = looking->now_ns;
    remote->due_ns = looking->now_ns;
    if (remote->state == SKUI_REMOTE_SENT) {
        remote->asked_ns = looking->now_ns;
        skui_id_list_add(&looking->ask, remote->id);
    } else if (remote->state == SKUI_REMOTE_PUBLISHING) {
        (void)skui_client_publish(looking->client, remote);
    } else {
        remote->tries = 0;
        look_for_answer(looking, remote);
    }
}

void skui_client_up(void *self)
{
    struct skui_client *client = self;
    struct looking looking = {
        client, skua_monotonic(), 0, true, {client, SKUI_WIRE_ASK, 0}};

    for (size_t i = 0; i <= client->mask && !client->closing; i++) {
        for (struct skui_remote *remote = client->buckets[i]; remote != NULL;
             remote = remote->next) {
            up_at(&looking, remote);
        }
    }
    skui_id_list_send(&looking.ask);
}
