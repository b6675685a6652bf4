/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jetstream.c - streams and consumers, and what JetStream answers.
 * Threads     Setting up: one thread of its own, which waits. Else any.
 * Invariants  Streams and consumers that are there are used as they are.
 * Ordering    None.
 * Progress    Setting up takes as long as the servers need to elect a leader.
 * Rejected    One consumer for all functions: a worker would be given calls of
 *             functions that it does not have. The server's limit of
 *             deliveries: what reaches it stays in the stream, and nobody is
 *             told but by an advisory that may be lost; workers count.
 */
#include "jetstream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../function.h"

enum { SETUP_WAIT_MS = 5000, SETUP_TRIES = 3 };

struct setup {
    const struct skui_nats_settings *settings;
    jsCtx *context;
};

static natsStatus setup_add(struct setup *setup, jsStreamConfig *config)
{
    natsStatus status = NATS_ERR;
    jsErrCode code = 0;

    config->Replicas = setup->settings->of.replicas;
    config->Storage =
        setup->settings->of.in_memory ? js_MemoryStorage : js_FileStorage;
    for (int i = 0; i < SETUP_TRIES && status != NATS_OK; i++) {
        jsStreamInfo *info = NULL;

        status =
            js_GetStreamInfo(&info, setup->context, config->Name, NULL, &code);
        jsStreamInfo_Destroy(info);
        if (status == NATS_NOT_FOUND) {
            status = js_AddStream(NULL, setup->context, config, NULL, &code);
        }
        if (code == JSStreamNameExistErr) {
            status = NATS_OK; /* somebody was faster */
        }
    }
    return status;
}

static natsStatus setup_stream(struct setup *setup, const char *kind,
                               const char *below, jsStreamConfig *config)
{
    char name[SKUI_NATS_SUBJECT_MAX];
    char subject[SKUI_NATS_SUBJECT_MAX];
    const char *subjects[] = {subject};
    natsStatus status;

    (void)snprintf(name, sizeof(name), "%s_%s", setup->settings->stream, kind);
    (void)snprintf(subject, sizeof(subject), "%s.%s.>",
                   setup->settings->of.prefix, below);
    config->Name = name;
    config->Subjects = subjects;
    config->SubjectsLen = 1;
    status = setup_add(setup, config);
    config->Name = NULL;
    config->Subjects = NULL;
    return status;
}

static natsStatus setup_streams(struct setup *setup)
{
    const skua_nats_options *of = &setup->settings->of;
    jsStreamConfig config;
    natsStatus status;

    (void)jsStreamConfig_Init(&config);
    config.Retention = js_WorkQueuePolicy;
    config.Duplicates = of->dedup_ns;
    status = setup_stream(setup, "JOBS", "job", &config);
    if (status == NATS_OK) {
        (void)jsStreamConfig_Init(&config);
        config.MaxAge = of->result_keep_ns;
        config.Duplicates = of->dedup_ns;
        config.AllowDirect = true;
        status = setup_stream(setup, "RESULTS", "result", &config);
    }
    if (status == NATS_OK) {
        (void)jsStreamConfig_Init(&config);
        config.Duplicates = of->dedup_ns;
        status = setup_stream(setup, "DEAD", "dead", &config);
    }
    return status;
}

static int setup_run(struct setup *setup, natsConnection *connection,
                     natsStatus (*fn)(struct setup *setup), char *why,
                     size_t why_bytes)
{
    jsOptions options;
    natsStatus status;

    (void)jsOptions_Init(&options);
    options.Wait = SETUP_WAIT_MS;
    status = natsConnection_JetStream(&setup->context, connection, &options);
    if (status == NATS_OK) {
        status = setup_streams(setup);
    }
    if (status == NATS_OK && fn != NULL) {
        status = fn(setup);
    }
    if (status != NATS_OK) {
        char reason[SKUI_NATS_WHY_BYTES];

        skui_nats_why(status, reason, sizeof(reason));
        (void)snprintf(why, why_bytes, "JetStream: %.200s", reason);
    }
    jsCtx_Destroy(setup->context);
    return status == NATS_NO_RESPONDERS ? -ENOTSUP : skui_nats_status(status);
}

int skui_jetstream_prepare(void *arg, natsConnection *connection, char *why,
                           size_t why_bytes)
{
    struct setup setup = {arg, NULL};

    return setup_run(&setup, connection, NULL, why, why_bytes);
}

/* Dots are not allowed there: '.' becomes "=", which names do not have. */
void skui_jetstream_consumer(const char *function, char *name)
{
    (void)snprintf(name, SKUI_NATS_SUBJECT_MAX, "%s", function);
    for (; *name != '\0'; name++) {
        if (*name == '.') {
            *name = '=';
        }
    }
}

static natsStatus setup_consumer(struct setup *setup, const char *function)
{
    const skua_nats_options *of = &setup->settings->of;
    char stream[SKUI_NATS_SUBJECT_MAX];
    char name[SKUI_NATS_SUBJECT_MAX];
    char filter[SKUI_NATS_SUBJECT_MAX];
    jsConsumerConfig config;
    jsConsumerInfo *info = NULL;
    natsStatus status;
    jsErrCode code = 0;

    (void)snprintf(stream, sizeof(stream), "%s_JOBS", setup->settings->stream);
    (void)snprintf(filter, sizeof(filter), "%s.job.%s", of->prefix, function);
    skui_jetstream_consumer(function, name);
    (void)jsConsumerConfig_Init(&config);
    config.Durable = name;
    config.FilterSubject = filter;
    config.AckPolicy = js_AckExplicit;
    config.AckWait = of->ack_wait_ns;
    config.MaxDeliver = -1;
    config.MaxAckPending = 65536;
    status =
        js_GetConsumerInfo(&info, setup->context, stream, name, NULL, &code);
    jsConsumerInfo_Destroy(info);
    if (status == NATS_NOT_FOUND) {
        status =
            js_AddConsumer(NULL, setup->context, stream, &config, NULL, &code);
    }
    return code == JSConsumerNameExistErr ? NATS_OK : status;
}

static natsStatus setup_consumers(struct setup *setup)
{
    natsStatus status = NATS_OK;

    for (uint32_t i = 0; i < skui_function_count() && status == NATS_OK; i++) {
        status = setup_consumer(setup, skui_function_at(i)->name);
    }
    return status;
}

int skui_jetstream_prepare_worker(void *arg, natsConnection *connection,
                                  char *why, size_t why_bytes)
{
    struct setup setup = {arg, NULL};

    return setup_run(&setup, connection, setup_consumers, why, why_bytes);
}

/* --- answers --- */

/* What follows `"key":` in flat JSON as JetStream writes it, or NULL. */
static const char *json_find(const char *text, const char *key)
{
    const char *at = strstr(text, key);

    if (at == NULL) {
        return NULL;
    }
    at += strlen(key);
    return at + strspn(at, " ");
}

bool skui_jetstream_get_answer(const void *data, size_t bytes,
                               struct skui_jetstream_answer *out_answer)
{
    char text[1024];
    const char *at;

    if (bytes == 0 || ((const char *)data)[0] != '{') {
        return false;
    }
    bytes = bytes < sizeof(text) ? bytes : sizeof(text) - 1;
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    *out_answer = (struct skui_jetstream_answer){0};
    at = json_find(text, "\"error\":");
    out_answer->failed = at != NULL;
    if (at != NULL) {
        const char *code = json_find(at, "\"code\":");
        const char *why = json_find(at, "\"description\":");

        out_answer->code = code == NULL ? 0 : (int)strtol(code, NULL, 10);
        if (why != NULL && *why == '"') {
            (void)snprintf(out_answer->why, sizeof(out_answer->why), "%.*s",
                           (int)strcspn(why + 1, "\""), why + 1);
        }
        return true;
    }
    at = json_find(text, "\"seq\":");
    out_answer->sequence = at == NULL ? 0 : strtoull(at, NULL, 10);
    at = json_find(text, "\"duplicate\":");
    out_answer->duplicate = at != NULL && strncmp(at, "true", 4) == 0;
    return true;
}

/* $JS.ACK.stream.consumer.N... or, with domains, $JS.ACK.d.hash.s.c.N... */
uint64_t skui_jetstream_deliveries(const char *ack_subject)
{
    enum { SHORT_TOKENS = 9, SHORT_AT = 4, LONG_AT = 6 };
    size_t tokens = 1;
    size_t at;

    if (ack_subject == NULL || strncmp(ack_subject, "$JS.ACK.", 8) != 0) {
        return 0;
    }
    for (const char *c = ack_subject; *c != '\0'; c++) {
        tokens += *c == '.' ? 1 : 0;
    }
    at = tokens == SHORT_TOKENS ? SHORT_AT : LONG_AT;
    if (tokens < SHORT_TOKENS) {
        return 0;
    }
    while (at-- > 0) {
        ack_subject = strchr(ack_subject, '.') + 1;
    }
    return strtoull(ack_subject, NULL, 10);
}
