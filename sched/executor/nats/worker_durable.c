/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_durable.c - calls out of a stream, answers into one.
 * Threads     The loop's.
 * Invariants  A call is acknowledged once the server has said that its answer
 *             is stored, so whatever dies before, it is delivered again.
 * Ordering    None.
 * Progress    What the server does not confirm is sent again by the tick, under
 *             the same message id. One request for calls is out for each
 *             function; what it asks for is what there is room for.
 * Rejected    Fetching by the client library: it waits. Consumers that push:
 *             the server would not know how much a worker can take.
 *
 * States of an order, each left when the server answers:
 *   LOOKING  delivered again: is the answer stored already?  yes: acknowledge;
 *            no: RUNNING
 *   RUNNING  the pool has it; the server is told that it goes on
 *   BURYING  delivered too often: into the stream of the dead; then it fails
 *   STORING  its answer goes into the stream; then to the caller, and the call
 *            is acknowledged: KEPT
 */
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "skua/time.h"

#include "../../memory.h"
#include "../function.h"
#include "jetstream.h"

#define PULL_EXPIRES (5 * SKUA_S)
#define ASK_AGAIN SKUA_S
enum { PULL_MOST = 256 };

/* --- asking for calls --- */

static void pull_ask(skua_nats_worker *worker, struct skui_pull *pull,
                     size_t batch)
{
    char subject[2 * SKUI_NATS_SUBJECT_MAX];
    char consumer[SKUI_NATS_SUBJECT_MAX];
    char reply[SKUI_NATS_SUBJECT_MAX];
    char body[96];
    int bytes = snprintf(body, sizeof(body), "{\"batch\":%zu,\"expires\":%lld}",
                         batch, (long long)PULL_EXPIRES);

    skui_jetstream_consumer(pull->function, consumer);
    (void)snprintf(subject, sizeof(subject),
                   "$JS.API.CONSUMER.MSG.NEXT.%s_JOBS.%s",
                   worker->settings.stream, consumer);
    (void)snprintf(reply, sizeof(reply), "%s.n.%zu", worker->inbox,
                   (size_t)(pull - worker->pulls));
    if (skui_link_publish(worker->link, subject, reply, body, (size_t)bytes) ==
        0) {
        pull->left = batch;
        pull->asked_ns = skua_monotonic();
    }
}

void skui_worker_pull(skua_nats_worker *worker)
{
    size_t room =
        worker->capacity > worker->held ? worker->capacity - worker->held : 0;
    int64_t now_ns = skua_monotonic();

    if (worker->phase != SKUI_WORKER_SERVING || room == 0) {
        return;
    }
    for (size_t i = 0; i < worker->pull_count; i++) {
        struct skui_pull *pull = &worker->pulls[i];
        size_t batch = room / worker->pull_count;

        if (pull->left > 0 &&
            now_ns - pull->asked_ns > PULL_EXPIRES + 2 * SKUA_S) {
            pull->left = 0; /* what the server said of it was lost */
        }
        batch = batch == 0 ? 1 : batch;
        if (pull->left == 0) {
            pull_ask(worker, pull, batch > PULL_MOST ? PULL_MOST : batch);
        }
    }
}

void skui_worker_pull_nobody(skua_nats_worker *worker)
{
    for (size_t i = 0; i < worker->pull_count; i++) {
        worker->pulls[i].left = 0;
    }
}

/* --- what is asked for each order --- */

static void order_reply_subject(const struct skui_order *order, char *subject)
{
    char caller[SKUI_WIRE_HEX];
    char id[SKUI_WIRE_HEX];

    skui_wire_hex(order->caller, caller);
    skui_wire_hex(order->id, id);
    (void)snprintf(subject, SKUI_NATS_SUBJECT_MAX, "%s.%s.%s",
                   order->worker->inbox, caller, id);
}

static void order_acknowledge(struct skui_order *order, const char *how)
{
    (void)skui_link_publish(order->worker->link, order->ack, NULL, how,
                            strlen(how));
}

/* Is its answer stored? */
static void order_look(struct skui_order *order)
{
    skua_nats_worker *worker = order->worker;
    char subject[2 * SKUI_NATS_SUBJECT_MAX];
    char reply[SKUI_NATS_SUBJECT_MAX];

    (void)snprintf(
        subject, sizeof(subject), "$JS.API.DIRECT.GET.%s_RESULTS.%s.result.%s",
        worker->settings.stream, worker->settings.of.prefix, order->result);
    order_reply_subject(order, reply);
    order->state = SKUI_ORDER_LOOKING;
    order->asked_ns = skua_monotonic();
    (void)skui_link_publish(worker->link, subject, reply, NULL, 0);
}

static void order_bury(struct skui_order *order)
{
    skua_nats_worker *worker = order->worker;
    char subject[SKUI_NATS_SUBJECT_MAX];
    char reply[SKUI_NATS_SUBJECT_MAX];

    (void)snprintf(subject, sizeof(subject), "%s.dead.%s",
                   worker->settings.of.prefix, order->function);
    order_reply_subject(order, reply);
    order->state = SKUI_ORDER_BURYING;
    order->asked_ns = skua_monotonic();
    (void)skui_link_publish_once(worker->link, subject, reply, order->call,
                                 order->call_bytes, order->result);
}

static void order_publish_answer(struct skui_order *order)
{
    skua_nats_worker *worker = order->worker;
    char subject[SKUI_NATS_SUBJECT_MAX];
    char reply[SKUI_NATS_SUBJECT_MAX];

    (void)snprintf(subject, sizeof(subject), "%s.result.%s",
                   worker->settings.of.prefix, order->result);
    order_reply_subject(order, reply);
    order->asked_ns = skua_monotonic();
    (void)skui_link_publish_once(worker->link, subject, reply, order->answer,
                                 order->answer_bytes, order->result);
}

void skui_order_store(struct skui_order *order)
{
    order->state = SKUI_ORDER_STORING;
    order_publish_answer(order);
}

/* The call, as it came. */
static bool order_call(const struct skui_order *order,
                       struct skui_wire_call *out_call)
{
    return order->call != NULL &&
           skui_wire_get_call(order->call, order->call_bytes, out_call);
}

static void order_run_now(struct skui_order *order)
{
    struct skui_wire_call call;
    unsigned char *data = order->call;

    if (order_call(order, &call)) {
        order->call = NULL;
        skui_order_run(order, &call); /* copies; it may be freed */
        skui_release(data);
    }
}

/* --- what comes for each order --- */

static void order_stored(struct skui_order *order)
{
    skui_order_send(order);
    order_acknowledge(order, "+ACK");
    skui_order_keep(order);
}

static void order_buried(struct skui_order *order)
{
    struct skui_wire_call call;
    char message[128];

    (void)snprintf(message, sizeof(message),
                   "nats: given up after %u deliveries: its workers died",
                   order_call(order, &call) ? call.max_deliver : 0);
    skui_worker_count(order->worker, dead, 1);
    skui_order_refuse(order, SKUA_EBROKENPOOL, message);
}

static void order_hear(struct skui_order *order, natsMsg *message)
{
    const char *data = natsMsg_GetData(message);
    size_t bytes = (size_t)natsMsg_GetDataLength(message);
    struct skui_jetstream_answer answer;
    struct skui_wire_head head;
    const char *status = NULL;

    if (order->state == SKUI_ORDER_LOOKING) {
        if (skui_wire_get_head(data, bytes, &head)) {
            skui_worker_count(order->worker, duplicates, 1);
            order_acknowledge(order, "+ACK"); /* the caller finds the answer */
            skui_order_free(order);
        } else if (natsMsgHeader_Get(message, "Status", &status) == NATS_OK &&
                   strcmp(status, "404") == 0) {
            order_run_now(order);
        }
        return;
    }
    if (!skui_jetstream_get_answer(data, bytes, &answer) || answer.failed) {
        return; /* the tick tries again */
    }
    if (order->state == SKUI_ORDER_STORING) {
        order_stored(order);
    } else if (order->state == SKUI_ORDER_BURYING) {
        order_buried(order);
    }
}

void skui_order_continue(struct skui_order *order, int64_t now_ns)
{
    const skua_nats_worker *worker = order->worker;

    if (order->ack == NULL || order->state == SKUI_ORDER_KEPT) {
        return;
    }
    if (now_ns - order->touched_ns >= worker->settings.of.ack_wait_ns / 3) {
        order->touched_ns = now_ns;
        order_acknowledge(order, "+WPI");
    }
    if (now_ns - order->asked_ns < ASK_AGAIN) {
        return;
    }
    if (order->state == SKUI_ORDER_LOOKING) {
        order_look(order);
    } else if (order->state == SKUI_ORDER_BURYING) {
        order_bury(order);
    } else if (order->state == SKUI_ORDER_STORING) {
        order_publish_answer(order);
    }
}

/* --- what comes out of the stream --- */

static void *copy_bytes(const void *data, size_t bytes, size_t more)
{
    char *copy = skui_allocate(bytes + more);

    if (copy != NULL) {
        memcpy(copy, data, bytes);
        memset(copy + bytes, 0, more);
    }
    return copy;
}

/* Delivered again to this worker itself: where to acknowledge has changed. */
static void worker_take_redelivered(struct skui_order *order, const char *ack)
{
    skua_nats_worker *worker = order->worker;
    char *copy = copy_bytes(ack, strlen(ack) + 1, 0);

    skui_worker_count(worker, duplicates, 1);
    if (copy != NULL && order->ack != NULL) {
        skui_release(order->ack);
        order->ack = copy;
    } else {
        skui_release(copy);
    }
    if (order->state == SKUI_ORDER_KEPT) {
        order_acknowledge(order, "+ACK");
    }
}

static struct skui_order *worker_order_of(skua_nats_worker *worker,
                                          natsMsg *message,
                                          const struct skui_wire_call *call,
                                          const char *function)
{
    const char *ack = natsMsg_GetReply(message);
    struct skui_order *order = skui_order_new(worker, call, function);

    if (order == NULL) {
        return NULL;
    }
    order->call_bytes = (size_t)natsMsg_GetDataLength(message);
    order->call = copy_bytes(natsMsg_GetData(message), order->call_bytes, 0);
    order->ack = copy_bytes(ack, strlen(ack) + 1, 0);
    order->result = copy_bytes(call->result, call->result_bytes, 1);
    order->touched_ns = skua_monotonic();
    if (order->call == NULL || order->ack == NULL || order->result == NULL) {
        skui_order_free(order); /* delivered again, after a while */
        return NULL;
    }
    return order;
}

static void worker_take_durable(skua_nats_worker *worker, natsMsg *message,
                                const char *name)
{
    const char *ack = natsMsg_GetReply(message);
    const struct skui_function *function = skui_function_find(name);
    uint64_t deliveries = skui_jetstream_deliveries(ack);
    struct skui_wire_call call;
    struct skui_order *order;

    if (function == NULL ||
        !skui_wire_get_call(natsMsg_GetData(message),
                            (size_t)natsMsg_GetDataLength(message), &call) ||
        call.result_bytes == 0) {
        skui_worker_count(worker, malformed, 1);
        (void)skui_link_publish(worker->link, ack, NULL, "+TERM", 5);
        return;
    }
    order = skui_worker_find(worker, call.head.caller, call.head.id);
    if (order != NULL) {
        worker_take_redelivered(order, ack);
        return;
    }
    order = worker_order_of(worker, message, &call, function->name);
    if (order == NULL) {
        return;
    }
    skui_worker_count(worker, taken, 1);
    skui_worker_count(worker, redelivered, deliveries > 1 ? 1 : 0);
    if (deliveries > call.max_deliver) {
        order_bury(order);
    } else if (deliveries > 1) {
        order_look(order);
    } else {
        order_run_now(order);
    }
}

static struct skui_pull *worker_pull_of(skua_nats_worker *worker,
                                        const char *function)
{
    for (size_t i = 0; i < worker->pull_count; i++) {
        if (strcmp(worker->pulls[i].function, function) == 0) {
            return &worker->pulls[i];
        }
    }
    return NULL;
}

/* A call, by the subject that it was published under. */
static void worker_delivered(skua_nats_worker *worker, natsMsg *message)
{
    const char *subject = natsMsg_GetSubject(message);
    size_t prefix = strlen(worker->settings.of.prefix);
    struct skui_pull *pull;

    if (strncmp(subject, worker->settings.of.prefix, prefix) != 0 ||
        strncmp(subject + prefix, ".job.", 5) != 0) {
        return;
    }
    subject += prefix + 5;
    pull = worker_pull_of(worker, subject);
    if (pull != NULL && pull->left > 0) {
        pull->left--;
    }
    if (worker->phase == SKUI_WORKER_SERVING) {
        worker_take_durable(worker, message, subject);
    } else {
        (void)skui_link_publish(worker->link, natsMsg_GetReply(message), NULL,
                                "-NAK", 4); /* for another one, at once */
    }
}

void skui_worker_inbox(skua_nats_worker *worker, natsMsg *message)
{
    const char *subject = natsMsg_GetSubject(message);
    struct skui_order *order;
    uint64_t caller;
    uint64_t id;
    char text[SKUI_WIRE_HEX] = {0};

    if (strncmp(subject, worker->inbox, worker->inbox_bytes) != 0) {
        worker_delivered(worker, message);
        return;
    }
    subject += worker->inbox_bytes + 1;
    if (strncmp(subject, "n.", 2) == 0) {
        size_t index = strtoul(subject + 2, NULL, 10);

        if (index < worker->pull_count) {
            worker->pulls[index].left = 0; /* over, and why does not matter */
        }
        return;
    }
    if (strlen(subject) != 2 * SKUI_WIRE_HEX - 1) {
        return;
    }
    memcpy(text, subject, SKUI_WIRE_HEX - 1);
    if (skui_wire_unhex(text, &caller) &&
        skui_wire_unhex(subject + SKUI_WIRE_HEX, &id)) {
        order = skui_worker_find(worker, caller, id);
        if (order != NULL) {
            order_hear(order, message);
        }
    }
}
