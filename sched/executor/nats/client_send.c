/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_send.c - calls on their way out: the table, the window, the messages.
 * Threads     The loop's.
 * Invariants  in_flight counts the table. A job is started, so that nobody can
 *             cancel it, before it is sent for the first time.
 * Ordering    None.
 * Progress    At most `window` calls are out. "Busy" makes it smaller by a
 *             quarter, each answer larger by one in a round, as TCP does.
 * Rejected    Sending a job again that no worker has confirmed: another one may
 *             run it already. The durable flavour is for that.
 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "skua/cancel_token.h"
#include "skua/time.h"

#include "../../memory.h"

/* --- the table --- */

struct skui_remote *skui_client_find(const struct skui_client *client,
                                     uint64_t id)
{
    struct skui_remote *remote = client->buckets[id & client->mask];

    while (remote != NULL && remote->id != id) {
        remote = remote->next;
    }
    return remote;
}

static void client_put(struct skui_client *client, struct skui_remote *remote)
{
    struct skui_remote **bucket = &client->buckets[remote->id & client->mask];

    remote->next = *bucket;
    *bucket = remote;
    client->in_flight++;
}

void skui_client_take(struct skui_client *client, struct skui_remote *remote)
{
    struct skui_remote **link = &client->buckets[remote->id & client->mask];

    while (*link != remote) {
        link = &(*link)->next;
    }
    *link = remote->next;
    client->in_flight--;
}

/* --- names --- */

void skui_client_reply_subject(const struct skui_client *client,
                               const char *word, uint64_t id, char *subject)
{
    memcpy(subject, client->inbox, client->inbox_bytes);
    skui_wire_hex(id, stpcpy(subject + client->inbox_bytes, word));
}

static void hex_of_key(const char *key, char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (; *key != '\0'; key++) {
        *text++ = digits[(unsigned char)*key >> 4];
        *text++ = digits[(unsigned char)*key & 15];
    }
    *text = '\0';
}

size_t skui_client_result_name(const struct skui_client *client,
                               const struct skui_remote *remote, char *name)
{
    char hex[SKUI_WIRE_NAMES_MAX];
    char id[SKUI_WIRE_HEX];

    if (remote->keyed) {
        hex_of_key(skua_job_options(remote->job)->key, hex);
        return (size_t)snprintf(name, SKUI_WIRE_NAMES_MAX + 1, "key.%s.%s",
                                skua_job_work(remote->job)->name, hex);
    }
    skui_wire_hex(client->caller, hex);
    skui_wire_hex(remote->id, id);
    return (size_t)snprintf(name, SKUI_WIRE_NAMES_MAX + 1, "%s.%s", hex, id);
}

/* --- messages --- */

static int64_t job_left_ns(const skua_job *job)
{
    int64_t deadline_ns = skua_job_options(job)->deadline_ns;
    int64_t left_ns;

    if (deadline_ns == 0) {
        return SKUA_FOREVER;
    }
    left_ns = deadline_ns - skua_monotonic();
    return left_ns > 0 ? left_ns : 0;
}

/* The call's subject and message. */
static int client_encode(struct skui_client *client,
                         const struct skui_remote *remote, const char *result,
                         size_t result_bytes, char *subject)
{
    const skua_work *work = skua_job_work(remote->job);
    const struct skui_wire_call call = {
        .head = {SKUI_WIRE_CALL, (uint32_t)(client->beat_ns / SKUA_MS),
                 client->caller, remote->id, job_left_ns(remote->job)},
        .inbox = client->inbox,
        .inbox_bytes = client->inbox_bytes,
        .result = result,
        .result_bytes = result_bytes,
        .max_deliver = (unsigned)client->settings.of.max_deliver,
        .data = work->data,
        .bytes = work->bytes,
    };

    memcpy(subject, client->calls, client->calls_bytes);
    memcpy(subject + client->calls_bytes, work->name, strlen(work->name) + 1);
    return skui_wire_put_call(&client->out, &call);
}

int skui_client_publish(struct skui_client *client, struct skui_remote *remote)
{
    char result[SKUI_WIRE_NAMES_MAX + 1];
    char subject[SKUI_NATS_SUBJECT_MAX];
    char reply[SKUI_NATS_SUBJECT_MAX];
    size_t bytes = skui_client_result_name(client, remote, result);
    int status = client_encode(client, remote, result, bytes, subject);

    if (status == 0) {
        skui_client_reply_subject(client, ".", remote->id, reply);
        status =
            skui_link_publish_once(client->link, subject, reply,
                                   client->out.data, client->out.bytes, result);
    }
    if (status == 0) {
        remote->asked_ns = skua_monotonic();
    }
    return status;
}

static int client_send_call(struct skui_client *client,
                            struct skui_remote *remote)
{
    char subject[SKUI_NATS_SUBJECT_MAX];
    char reply[SKUI_NATS_SUBJECT_MAX];
    int status = client_encode(client, remote, NULL, 0, subject);

    if (status == 0) {
        skui_client_reply_subject(client, ".n.", remote->id, reply);
        status = skui_link_publish(client->link, subject, reply,
                                   client->out.data, client->out.bytes);
    }
    return status;
}

/* False: it cannot be sent now, and stays with the caller. */
static bool client_send_one(struct skui_client *client,
                            struct skui_remote *remote, int64_t now_ns)
{
    bool durable = client->settings.of.durable;
    int status;

    if (remote->id == 0) {
        remote->id = ++client->next_id;
    }
    status = durable ? skui_client_publish(client, remote)
                     : client_send_call(client, remote);
    if (status == -ENOTCONN) {
        return false;
    }
    if (remote->first_ns == 0) {
        remote->first_ns = now_ns;
        skui_client_unqueue(client);
    }
    if (status < 0) {
        skua_job_fail(remote->job, status, "nats: it could not be sent");
        skui_client_release(client, remote);
        return true;
    }
    remote->state = durable ? SKUI_REMOTE_PUBLISHING : SKUI_REMOTE_SENT;
    remote->heard_ns = now_ns;
    remote->asked_ns = now_ns;
    remote->told_ns = 0;
    client_put(client, remote);
    return true;
}

void skui_client_drop(struct skui_client *client, struct skui_remote *remote)
{
    if (remote->id != 0 || skua_job_start(remote->job)) {
        bool cancelled = skua_cancel_token_is_cancelled(
            skua_job_options(remote->job)->token);

        skua_job_fail(remote->job, cancelled ? SKUA_ECANCELED : -ETIMEDOUT,
                      NULL);
    } else {
        skua_job_discard(remote->job);
    }
    skui_client_release(client, remote);
}

/* Whether it is to be sent; else it is gone. A worker that sent it away may
 * have been told to stop it: in vain. */
static bool client_start(struct skui_client *client, struct skui_remote *remote)
{
    bool starts = remote->id == 0 ? skua_job_start(remote->job)
                                  : !skua_job_should_stop(remote->job);

    if (!starts) {
        skui_client_drop(client, remote);
    }
    return starts;
}

void skui_client_send(struct skui_client *client)
{
    int64_t now_ns = skua_monotonic();

    while (client->ready.first != NULL &&
           (double)client->in_flight < client->window &&
           skui_link_is_up(client->link)) {
        struct skui_remote *remote = skui_remotes_pop(&client->ready);

        if (client_start(client, remote) &&
            !client_send_one(client, remote, now_ns)) {
            skui_remotes_push(&client->ready, remote);
            return;
        }
    }
}

/* --- again --- */

static void client_retry(void *arg);

static void client_arm_retry(struct skui_client *client, int64_t due_ns)
{
    if (client->retry == NULL) {
        /* Without memory the tick does it. */
        (void)skui_loop_call_at(skua_get_running_loop(), due_ns, client_retry,
                                client, &client->retry);
    }
}

static void client_retry(void *arg)
{
    struct skui_client *client = arg;
    struct skui_remotes delayed = client->delayed;
    struct skui_remote *remote;
    int64_t now_ns = skua_monotonic();
    int64_t next_ns = SKUA_FOREVER;

    skua_handle_unref(client->retry);
    client->retry = NULL;
    if (delayed.first == NULL) {
        return;
    }
    skui_remotes_init(&client->delayed);
    while ((remote = skui_remotes_pop(&delayed)) != NULL) {
        if (remote->due_ns <= now_ns) {
            remote->state = SKUI_REMOTE_READY;
            skui_remotes_push(&client->ready, remote);
        } else {
            skui_remotes_append(&client->delayed, remote);
            next_ns = remote->due_ns < next_ns ? remote->due_ns : next_ns;
        }
    }
    if (next_ns != SKUA_FOREVER) {
        client_arm_retry(client, next_ns);
    }
    skui_client_send(client);
    skui_link_flush(client->link);
}

void skui_client_delay(struct skui_client *client, struct skui_remote *remote,
                       int64_t delay_ns)
{
    remote->state = SKUI_REMOTE_DELAYED;
    remote->due_ns = skua_monotonic() + delay_ns;
    skui_remotes_append(&client->delayed, remote);
    client_arm_retry(client, remote->due_ns);
}

/* --- lists of ids --- */

void skui_id_list_send(struct skui_id_list *list)
{
    struct skui_client *client = list->client;
    char subject[SKUI_NATS_SUBJECT_MAX];

    if (list->count > 0) {
        skui_wire_set_number(&client->out, list->count);
        (void)snprintf(subject, sizeof(subject), "%s.ctl",
                       client->settings.of.prefix);
        (void)skui_link_publish(client->link, subject, NULL, client->out.data,
                                client->out.bytes);
    }
    list->count = 0;
}

void skui_id_list_add(struct skui_id_list *list, uint64_t id)
{
    struct skui_client *client = list->client;
    const struct skui_wire_head head = {list->kind, 0, client->caller, 0, 0};

    if (list->count == 0 &&
        skui_wire_begin(&client->out, &head,
                        SKUI_WIRE_IDS_MAX * sizeof(uint64_t)) < 0) {
        return; /* the next tick tries again */
    }
    skui_wire_put_id(&client->out, id);
    if (++list->count == SKUI_WIRE_IDS_MAX ||
        client->out.bytes + sizeof(uint64_t) > client->max_bytes) {
        skui_id_list_send(list);
    }
}
