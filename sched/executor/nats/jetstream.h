/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jetstream.h - streams and consumers of the durable flavour, and what
 * JetStream answers. Setting up waits for answers, so it has a connection that
 * needs no loop; all else is written and read here, since the client library's
 * calls wait.
 */
#ifndef SKUI_NATS_JETSTREAM_H
#define SKUI_NATS_JETSTREAM_H

#include "options.h"
#include "wire.h"

SKUI_BEGIN_DECLS

/* A skui_link_prepare_fn: the streams, if they are not there. `arg`: struct
 * skui_nats_settings. */
int skui_jetstream_prepare(void *arg, natsConnection *connection, char *why,
                           size_t why_bytes);
/* The same, and the consumers of all registered functions. */
int skui_jetstream_prepare_worker(void *arg, natsConnection *connection,
                                  char *why, size_t why_bytes);

/* The name of the consumer of a function, in SKUI_NATS_SUBJECT_MAX bytes. */
void skui_jetstream_consumer(const char *function, char *name);

/* What was answered to a publish or a request to delete. */
struct skui_jetstream_answer {
    bool failed;
    bool duplicate;
    uint64_t sequence;
    int code;      /* as HTTP's */
    char why[120]; /* "" unless it failed */
};

/* False for what is no such answer. */
bool skui_jetstream_get_answer(const void *data, size_t bytes,
                               struct skui_jetstream_answer *out_answer);

/* How often a message was delivered, by the subject where it is acknowledged;
 * 0 for another subject. */
uint64_t skui_jetstream_deliveries(const char *ack_subject);

SKUI_END_DECLS

#endif
