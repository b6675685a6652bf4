/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - the inside of an executor on NATS: client.c is what the library
 * calls, client_send.c sends, client_answer.c takes what comes,
 * client_watch.c looks for what does not come.
 *
 *              submit  shutdown  the rest
 *   submit       -        -         -      (any thread)
 *   shutdown     -        -         -      (any thread)
 *   the rest     -        -         x      (the loop's thread, or who closes
 *                                           the loop)
 */
#ifndef SKUI_NATS_CLIENT_H
#define SKUI_NATS_CLIENT_H

#include "../executor.h"
#include "link.h"
#include "wire.h"

SKUI_BEGIN_DECLS

enum skui_remote_state {
    SKUI_REMOTE_READY,      /* in `ready`: to be sent, when there is room */
    SKUI_REMOTE_DELAYED,    /* in `delayed`: to be sent again at `due_ns` */
    SKUI_REMOTE_SENT,       /* in the table, as all that follow: answer to come
                               from a worker */
    SKUI_REMOTE_PUBLISHING, /* durable: the stream has not said it has it */
    SKUI_REMOTE_ACCEPTED,   /* durable: it has */
    SKUI_REMOTE_DELETED,    /* durable: taken out again, to be cancelled; a
                               worker may have it nevertheless */
};

/* A job that is or goes elsewhere; the loop's, once it took it in. */
struct skui_remote {
    struct skui_remote *next; /* of the list or bucket that holds it */
    skua_job *job;            /* the reference that goes with it */
    uint64_t id;
    uint64_t sequence; /* durable: in the stream */
    enum skui_remote_state state;
    int64_t heard_ns; /* last sign of life of its worker, or when sent */
    int64_t asked_ns; /* when last asked for, or published */
    int64_t due_ns;   /* when to send it again, or to look for its answer */
    int64_t first_ns; /* when first sent; 0: not yet */
    unsigned tries;
    int64_t told_ns; /* when workers were last told to stop it; 0: not yet */
    bool keyed;      /* durable */
};

struct skui_remotes {
    struct skui_remote *first;
    struct skui_remote **last;
};

/* Who waits for room; on the heap, since a task's stack may go before. */
struct skui_submitter {
    struct skui_submitter *next;
    skua_future *future; /* a reference */
};

struct skui_client {
    struct skui_nats_settings settings; /* constant, as all up to the lock */
    skua_executor *executor;
    struct skui_link *link;
    size_t max_in_flight;
    size_t max_queued;
    skua_queue_policy policy;
    int64_t beat_ns;
    int64_t silence_ns; /* after which a worker is dead */
    int64_t patience_ns;
    size_t max_bytes;   /* of one message */
    size_t max_payload; /* of one call's data */
    uint64_t caller;
    char inbox[SKUI_NATS_PREFIX_MAX + 1 + SKUI_WIRE_HEX];
    size_t inbox_bytes;
    char calls[SKUI_NATS_PREFIX_MAX + 8]; /* "prefix.call." or ".job." */
    size_t calls_bytes;

    pthread_mutex_t lock; /* guards what follows */
    struct skui_remotes inbound;
    struct skui_submitter *submitters;
    struct skui_submitter **last_submitter;
    size_t queued; /* not sent */
    size_t queued_most;
    size_t live; /* not done */
    int64_t submitted;
    int64_t rejected;
    int broken; /* what submitting gives; 0: nothing is broken */
    bool shut;
    bool cancel; /* what is queued */
    bool stops;  /* a token was cancelled */
    bool link_closed;
    bool ended;

    struct skui_remote **buckets; /* the loop's, as what follows */
    size_t mask;
    size_t in_flight; /* in the table */
    double window;    /* how many may be */
    struct skui_remotes ready;
    struct skui_remotes delayed;
    uint64_t next_id;
    skua_handle *tick; /* NULL: none is due */
    int64_t tick_due_ns;
    skua_handle *retry;
    bool ending; /* it was shut down: seen by the loop */
    bool closing;
    struct skui_wire_buffer out; /* the message that is being written */
};

static inline void skui_remotes_init(struct skui_remotes *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static inline void skui_remotes_append(struct skui_remotes *list,
                                       struct skui_remote *remote)
{
    remote->next = NULL;
    *list->last = remote;
    list->last = &remote->next;
}

static inline void skui_remotes_push(struct skui_remotes *list,
                                     struct skui_remote *remote)
{
    remote->next = list->first;
    if (list->first == NULL) {
        list->last = &remote->next;
    }
    list->first = remote;
}

static inline struct skui_remote *skui_remotes_pop(struct skui_remotes *list)
{
    struct skui_remote *remote = list->first;

    if (remote != NULL) {
        list->first = remote->next;
        if (list->first == NULL) {
            list->last = &list->first;
        }
    }
    return remote;
}

/* --- client.c --- */

/* `remote`, in no list, is over: its job was completed. It is freed. */
void skui_client_release(struct skui_client *client,
                         struct skui_remote *remote);
/* One less waits to be sent. */
void skui_client_unqueue(struct skui_client *client);
/* Close the link if all is over. */
void skui_client_settle(struct skui_client *client);

/* --- client_send.c --- */

/* In the table, or NULL. */
struct skui_remote *skui_client_find(const struct skui_client *client,
                                     uint64_t id);
/* Out of it. */
void skui_client_take(struct skui_client *client, struct skui_remote *remote);
/* It should stop, and no worker has it: it is over. */
void skui_client_drop(struct skui_client *client, struct skui_remote *remote);
/* Send what may be sent. */
void skui_client_send(struct skui_client *client);
/* Durable: publish it once more. */
int skui_client_publish(struct skui_client *client, struct skui_remote *remote);
/* Send it again after a while. */
void skui_client_delay(struct skui_client *client, struct skui_remote *remote,
                       int64_t delay_ns);
/* `kind` (ASK, CANCEL) with the ids to all workers, in pieces. */
struct skui_id_list {
    struct skui_client *client;
    enum skui_wire_kind kind;
    uint32_t count;
};
void skui_id_list_add(struct skui_id_list *list, uint64_t id);
void skui_id_list_send(struct skui_id_list *list);
/* Durable: where its answer is kept: "CALLER.ID" or "key.NAME.KEY". */
size_t skui_client_result_name(const struct skui_client *client,
                               const struct skui_remote *remote, char *name);
/* The inbox for what is said of it, below `word` ("." or ".n."). */
void skui_client_reply_subject(const struct skui_client *client,
                               const char *word, uint64_t id, char *subject);

/* --- client_answer.c --- */

void skui_client_message(void *self, unsigned tag, natsMsg *message);
void skui_client_nobody(void *self, uint64_t id);
void skui_client_refused(void *self, const char *text);

/* --- client_watch.c --- */

/* Connected anew: ask for what was sent before. */
void skui_client_up(void *self);
/* Have the tick come while there is something to look after. */
void skui_client_watch(struct skui_client *client);
/* Tell workers of what should stop. */
void skui_client_tell(struct skui_client *client);

SKUI_END_DECLS

#endif
