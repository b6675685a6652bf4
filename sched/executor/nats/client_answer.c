/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_answer.c - what comes: answers, heartbeats, what servers say.
 * Threads     The loop's.
 * Invariants  The subject tells the call, whatever the message says; what is
 *             not in the table has its answer already, and is dropped.
 * Ordering    None.
 * Progress    One look into the table for each message.
 * Rejected    Trusting ids in answers of the durable flavour: work of one key
 *             has the id of who came first.
 */
#include "client.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "skua/function.h"
#include "skua/time.h"

#include "jetstream.h"

#define RETRY_FIRST (SKUA_MS)
#define RETRY_MOST (200 * SKUA_MS)
#define SEARCH_AGAIN (50 * SKUA_MS)
#define POLL_FIRST (2 * SKUA_S)

static void client_grow_window(struct skui_client *client)
{
    client->window += 1.0 / client->window;
    if (client->window > (double)client->max_in_flight) {
        client->window = (double)client->max_in_flight;
    }
}

static int status_of(int64_t value)
{
    return value < INT_MIN || value > INT_MAX ? -EPROTO : (int)value;
}

/* Complete it with what came. */
static void client_complete(struct skui_client *client,
                            struct skui_remote *remote,
                            const struct skui_wire_head *head, const char *data,
                            size_t bytes)
{
    char message[512];
    int status = status_of(head->value);

    skui_client_take(client, remote);
    client_grow_window(client);
    if (head->kind == SKUI_WIRE_RESULT && status >= 0) {
        skua_job_finish(remote->job, status, data, bytes);
    } else {
        bytes = bytes < sizeof(message) ? bytes : sizeof(message) - 1;
        memcpy(message, data, bytes);
        message[bytes] = '\0';
        skua_job_fail(remote->job, status < 0 ? status : -EPROTO,
                      bytes == 0 ? NULL : message);
    }
    skui_client_release(client, remote);
}

static void client_fail(struct skui_client *client, struct skui_remote *remote,
                        int status, const char *message)
{
    skui_client_take(client, remote);
    skua_job_fail(remote->job, status, message);
    skui_client_release(client, remote);
}

static void client_busy(struct skui_client *client, struct skui_remote *remote)
{
    unsigned shift = remote->tries < 8 ? remote->tries : 8;
    int64_t delay_ns = RETRY_FIRST << shift;

    if (remote->state != SKUI_REMOTE_SENT) {
        return;
    }
    if (client->window > (double)client->in_flight) {
        client->window = (double)client->in_flight;
    }
    client->window *= 0.75;
    if (client->window < 1) {
        client->window = 1;
    }
    skui_client_take(client, remote);
    remote->tries++;
    delay_ns = delay_ns > RETRY_MOST ? RETRY_MOST : delay_ns;
    /* Not all at once. */
    delay_ns += (int64_t)(remote->id * 0x9e3779b97f4a7c15U >> 44);
    skui_client_delay(client, remote, delay_ns);
}

/* Nobody serves the function. */
void skui_client_nobody(void *self, uint64_t id)
{
    struct skui_client *client = self;
    struct skui_remote *remote = skui_client_find(client, id);
    char message[128 + SKUA_FUNCTION_NAME_MAX];

    if (client->closing || remote == NULL ||
        remote->state != SKUI_REMOTE_SENT) {
        return;
    }
    if (skua_monotonic() - remote->first_ns < client->patience_ns) {
        skui_client_take(client, remote);
        skui_client_delay(client, remote, SEARCH_AGAIN);
        return;
    }
    (void)snprintf(message, sizeof(message), "nats: no worker serves '%s'",
                   skua_job_work(remote->job)->name);
    client_fail(client, remote, -EHOSTUNREACH, message);
}

/* What JetStream answers to a publish: it has it, or why not. */
static void client_published(struct skui_client *client,
                             struct skui_remote *remote,
                             const struct skui_jetstream_answer *answer)
{
    char message[192];
    int64_t now_ns = skua_monotonic();

    if (!answer->failed) {
        remote->state = SKUI_REMOTE_ACCEPTED;
        remote->sequence = answer->sequence;
        remote->tries = 0;
        remote->heard_ns = now_ns;
        /* Of an earlier one of its key the answer may be there. */
        remote->due_ns = answer->duplicate ? now_ns : now_ns + POLL_FIRST;
        if (skua_job_should_stop(remote->job)) {
            skui_client_tell(client);
        }
        return;
    }
    if (answer->code == 503) {
        return; /* no leader, for now: the tick publishes it again */
    }
    (void)snprintf(message, sizeof(message), "nats: the stream refused it: %s",
                   answer->why);
    client_fail(client, remote, answer->code == 400 ? -EMSGSIZE : -ENOSPC,
                message);
}

static void client_json(struct skui_client *client, struct skui_remote *remote,
                        const struct skui_jetstream_answer *answer)
{
    if (remote->state == SKUI_REMOTE_PUBLISHING) {
        client_published(client, remote, answer);
    } else if (remote->state == SKUI_REMOTE_ACCEPTED && remote->told_ns != 0) {
        /* Deleted: unless a worker has it, it is over. Not there: a worker has
         * finished it. */
        remote->state =
            answer->failed ? SKUI_REMOTE_ACCEPTED : SKUI_REMOTE_DELETED;
        remote->heard_ns = skua_monotonic();
        remote->due_ns = remote->heard_ns;
    }
}

static void client_beat(struct skui_client *client, const char *data,
                        size_t bytes)
{
    struct skui_wire_head head;
    int64_t now_ns = skua_monotonic();

    if (!skui_wire_get_head(data, bytes, &head) ||
        head.kind != SKUI_WIRE_BEAT || head.caller != client->caller) {
        return;
    }
    for (size_t i = 0; i < head.number; i++) {
        struct skui_remote *remote =
            skui_client_find(client, skui_wire_get_id(data, i));

        if (remote != NULL) {
            remote->heard_ns = now_ns;
        }
    }
}

static void client_answer(struct skui_client *client,
                          struct skui_remote *remote, natsMsg *message)
{
    const char *data = natsMsg_GetData(message);
    size_t bytes = (size_t)natsMsg_GetDataLength(message);
    struct skui_jetstream_answer answer;
    struct skui_wire_head head;

    if (skui_wire_get_head(data, bytes, &head)) {
        if (head.kind == SKUI_WIRE_RESULT || head.kind == SKUI_WIRE_FAILED) {
            client_complete(client, remote, &head, data + SKUI_WIRE_HEAD,
                            bytes - SKUI_WIRE_HEAD);
        } else if (head.kind == SKUI_WIRE_BUSY) {
            client_busy(client, remote);
        }
    } else if (skui_jetstream_get_answer(data, bytes, &answer)) {
        client_json(client, remote, &answer);
    }
}

void skui_client_message(void *self, unsigned tag, natsMsg *message)
{
    struct skui_client *client = self;
    const char *subject = message == NULL ? "" : natsMsg_GetSubject(message);
    struct skui_remote *remote;
    uint64_t id;

    (void)tag;
    if (client->closing || strlen(subject) <= client->inbox_bytes + 1) {
        return;
    }
    subject += client->inbox_bytes + 1;
    if (strcmp(subject, "b") == 0) {
        client_beat(client, natsMsg_GetData(message),
                    (size_t)natsMsg_GetDataLength(message));
    } else if (skui_wire_unhex(subject, &id)) {
        remote = skui_client_find(client, id);
        if (remote != NULL) {
            client_answer(client, remote, message);
            skui_client_send(client);
        }
        if (client->ending && client->in_flight == 0) {
            (void)skui_link_poke(client->link); /* its turn may close it */
        }
    }
}

/* Its words have the subject in quotes: all calls of that function fail. */
void skui_client_refused(void *self, const char *text)
{
    struct skui_client *client = self;
    const char *subject = strstr(text, client->calls);
    char message[SKUI_NATS_WHY_BYTES + 8];

    if (subject == NULL || client->closing) {
        return;
    }
    subject += client->calls_bytes;
    (void)snprintf(message, sizeof(message), "nats: %s", text);
    for (size_t i = 0; i <= client->mask; i++) {
        struct skui_remote *next;

        for (struct skui_remote *remote = client->buckets[i]; remote != NULL;
             remote = next) {
            const char *name = skua_job_work(remote->job)->name;
            size_t length = strlen(name);

            next = remote->next;
            /* The server writes subjects in lower case. */
            if (strncasecmp(subject, name, length) == 0 &&
                subject[length] == '"') {
                client_fail(client, remote, -EACCES, message);
            }
        }
    }
}
