/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_order.c - calls that a worker has taken: run, answered, kept.
 * Threads     The loop's, but for order_done(), which the pool calls.
 * Invariants  An order is in the table from when it is taken until its answer
 *             is forgotten, so a call that comes twice is run once. `held`
 *             counts those not answered.
 * Ordering    The pool's future hands the outcome over (FU1); the list of those
 *             done is under the worker's lock.
 * Progress    A call is taken, or sent away at once.
 * Rejected    Keeping answers until their callers confirm them: one message
 *             more for each call.
 */
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "skua/cancel_token.h"
#include "skua/exception.h"
#include "skua/time.h"

#include "../../future.h"
#include "../../memory.h"
#include "../function.h"

/* --- the table --- */

static struct skui_order **worker_bucket(skua_nats_worker *worker,
                                         uint64_t caller, uint64_t id)
{
    uint64_t hash = (caller + id * 0x9e3779b97f4a7c15U) ^ caller >> 32;

    return &worker->buckets[(hash ^ hash >> 29) % SKUI_ORDER_BUCKETS];
}

struct skui_order *skui_worker_find(const skua_nats_worker *worker,
                                    uint64_t caller, uint64_t id)
{
    struct skui_order *order =
        *worker_bucket((skua_nats_worker *)worker, caller, id);

    while (order != NULL && (order->caller != caller || order->id != id)) {
        order = order->chain;
    }
    return order;
}

static void worker_remove(skua_nats_worker *worker, struct skui_order *order)
{
    struct skui_order **link = worker_bucket(worker, order->caller, order->id);

    while (*link != order) {
        link = &(*link)->chain;
    }
    *link = order->chain;
}

/* --- callers --- */

static struct skui_worker_peer *worker_peer(skua_nats_worker *worker,
                                            const struct skui_wire_call *call)
{
    struct skui_worker_peer *peer = worker->peers;

    while (peer != NULL && peer->caller != call->head.caller) {
        peer = peer->next;
    }
    if (peer != NULL) {
        return peer;
    }
    peer = skui_allocate_zeroed(sizeof(*peer));
    if (peer == NULL) {
        return NULL;
    }
    peer->caller = call->head.caller;
    peer->beat_ns = (int64_t)call->head.number * SKUA_MS;
    if (peer->beat_ns < SKUA_MS) {
        peer->beat_ns = SKUA_MS;
    }
    peer->due_ns = skua_monotonic() + peer->beat_ns / 2;
    peer->inbox_bytes = call->inbox_bytes;
    memcpy(peer->inbox, call->inbox, call->inbox_bytes);
    peer->next = worker->peers;
    worker->peers = peer;
    return peer;
}

static void peer_leave(struct skui_order *order)
{
    struct skui_worker_peer *peer = order->peer;
    struct skui_worker_peer **link = &order->worker->peers;

    *order->link = order->next;
    if (order->next != NULL) {
        order->next->link = order->link;
    }
    order->link = NULL;
    if (peer->orders != NULL) {
        return;
    }
    while (*link != peer) {
        link = &(*link)->next;
    }
    *link = peer->next;
    skui_release(peer);
}

/* --- orders --- */

struct skui_order *skui_order_new(skua_nats_worker *worker,
                                  const struct skui_wire_call *call,
                                  const char *function)
{
    struct skui_order *order = skui_allocate_zeroed(sizeof(*order));
    struct skui_worker_peer *peer =
        order == NULL ? NULL : worker_peer(worker, call);
    struct skui_order **bucket;

    if (peer == NULL) {
        skui_release(order);
        return NULL;
    }
    order->worker = worker;
    order->caller = call->head.caller;
    order->id = call->head.id;
    order->function = function;
    order->peer = peer;
    order->next = peer->orders;
    order->link = &peer->orders;
    if (order->next != NULL) {
        order->next->link = &order->next;
    }
    peer->orders = order;
    bucket = worker_bucket(worker, order->caller, order->id);
    order->chain = *bucket;
    *bucket = order;
    worker->held++;
    return order;
}

void skui_order_free(struct skui_order *order)
{
    skua_nats_worker *worker = order->worker;

    worker_remove(worker, order);
    if (order->link != NULL) {
        peer_leave(order);
        worker->held--;
    }
    skua_future_unref(order->future);
    skua_cancel_token_unref(order->token);
    skui_release(order->answer);
    skui_release(order->call);
    skui_release(order->ack);
    skui_release(order->result);
    skui_release(order);
}

void skui_worker_free_orders(skua_nats_worker *worker)
{
    for (size_t i = 0; i < SKUI_ORDER_BUCKETS; i++) {
        while (worker->buckets[i] != NULL) {
            skui_order_free(worker->buckets[i]);
        }
    }
}

/* --- what is kept --- */

static void worker_forget_oldest(skua_nats_worker *worker)
{
    struct skui_order *order = worker->kept;

    worker->kept = order->next;
    if (worker->kept == NULL) {
        worker->last_kept = &worker->kept;
    }
    worker->kept_bytes -= order->answer_bytes;
    worker->kept_count--;
    skui_order_free(order);
}

void skui_worker_forget(skua_nats_worker *worker, int64_t now_ns)
{
    while (worker->kept != NULL &&
           now_ns - worker->kept->done_ns > worker->keep_ns) {
        worker_forget_oldest(worker);
    }
}

void skui_order_keep(struct skui_order *order)
{
    skua_nats_worker *worker = order->worker;

    peer_leave(order);
    worker->held--;
    order->peer = NULL;
    order->state = SKUI_ORDER_KEPT;
    order->next = NULL;
    *worker->last_kept = order;
    worker->last_kept = &order->next;
    worker->kept_bytes += order->answer_bytes;
    worker->kept_count++;
    while (worker->kept_bytes > worker->keep_bytes ||
           worker->kept_count > SKUI_KEPT_MAX) {
        worker_forget_oldest(worker);
    }
}

/* --- answering --- */

/* The inbox is in the answer's memory, after the message: its peer may go. */
void skui_order_send(struct skui_order *order)
{
    const char *subject = (const char *)order->answer + order->answer_bytes;

    order->unsent = skui_link_publish(order->worker->link, subject, NULL,
                                      order->answer, order->answer_bytes) < 0;
}

/* Make the answer's message; without memory the caller finds out by asking. */
static void order_write(struct skui_order *order, enum skui_wire_kind kind,
                        int status, const void *data, size_t bytes)
{
    const struct skui_wire_head head = {kind, 0, order->caller, order->id,
                                        status};
    struct skui_wire_buffer answer = {NULL, 0, 0};
    const struct skui_worker_peer *peer = order->peer;
    char hex[SKUI_WIRE_HEX];

    if (skui_wire_begin(&answer, &head,
                        bytes + peer->inbox_bytes + 1 + sizeof(hex)) < 0) {
        return;
    }
    skui_wire_put(&answer, data, bytes);
    order->answer_bytes = answer.bytes;
    skui_wire_put(&answer, peer->inbox, peer->inbox_bytes);
    skui_wire_put(&answer, ".", 1);
    skui_wire_hex(order->id, hex);
    skui_wire_put(&answer, hex, sizeof(hex));
    order->answer = answer.data;
}

/* There is an answer: on its way with it. */
static void order_answer(struct skui_order *order)
{
    order->done_ns = skua_monotonic();
    if (order->answer == NULL) {
        skui_order_free(order); /* no memory: durable, it is delivered again */
    } else if (order->ack != NULL) {
        skui_order_store(order);
    } else {
        skui_order_send(order);
        skui_order_keep(order);
    }
}

void skui_order_refuse(struct skui_order *order, int status,
                       const char *message)
{
    skui_worker_count(order->worker, failed, 1);
    order_write(order, SKUI_WIRE_FAILED, status, message,
                message == NULL ? 0 : strlen(message));
    order_answer(order);
}

/* The pool is through with it. The outcome is read past the current callback,
 * whose failure it would count as. */
static void order_finish(struct skui_order *order)
{
    skua_nats_worker *worker = order->worker;
    struct skui_outcome outcome;
    const void *data = NULL;
    size_t bytes = 0;

    skui_future_read(order->future, &outcome);
    if (outcome.status < 0) {
        skui_order_refuse(order, outcome.status,
                          outcome.exception == NULL ||
                                  outcome.status == SKUA_ECANCELED
                              ? NULL
                              : skua_exception_message(outcome.exception));
        skua_exception_unref(outcome.exception);
        return;
    }
    (void)skua_future_bytes(order->future, &data, &bytes);
    if (bytes > worker->max_bytes - SKUI_WIRE_HEAD) {
        skui_order_refuse(order, -EMSGSIZE, "nats: the answer is too large");
        return;
    }
    skui_worker_count(worker, answered, 1);
    order_write(order, SKUI_WIRE_RESULT, outcome.status, data, bytes);
    order_answer(order);
}

void skui_worker_answer_done(skua_nats_worker *worker)
{
    struct skui_order *done;
    struct skui_order *in_order = NULL;

    (void)pthread_mutex_lock(&worker->lock);
    done = worker->done;
    worker->done = NULL;
    (void)pthread_mutex_unlock(&worker->lock);
    while (done != NULL) {
        struct skui_order *next = done->next_done;

        done->next_done = in_order;
        in_order = done;
        done = next;
    }
    while (in_order != NULL) {
        struct skui_order *next = in_order->next_done;

        order_finish(in_order);
        in_order = next;
    }
}

/* --- running --- */

/* In whatever thread completes it. */
static void order_done(skua_future *future, void *arg)
{
    struct skui_order *order = arg;
    skua_nats_worker *worker = order->worker;

    (void)future;
    (void)pthread_mutex_lock(&worker->lock);
    order->next_done = worker->done;
    worker->done = order;
    (void)pthread_mutex_unlock(&worker->lock);
    (void)skui_link_poke(worker->link);
    skui_worker_disown(worker);
}

static int order_submit(struct skui_order *order,
                        const struct skui_wire_call *call)
{
    const skua_work work = {
        .name = order->function, .data = call->data, .bytes = call->bytes};
    skua_submit_options options = {0};
    int64_t now_ns = skua_monotonic();
    int status = skua_cancel_token_new(NULL, &order->token);

    options.token = order->token;
    if (call->head.value < SKUA_FOREVER - now_ns) {
        options.deadline_ns =
            now_ns + (call->head.value < 0 ? 0 : call->head.value);
    }
    if (status == 0) {
        status = skua_executor_submit_work(order->worker->pool, &work, &options,
                                           &order->future);
    }
    return status;
}

void skui_order_run(struct skui_order *order, const struct skui_wire_call *call)
{
    skua_nats_worker *worker = order->worker;
    int status = order_submit(order, call);

    order->state = SKUI_ORDER_RUNNING;
    if (status < 0) {
        skui_order_refuse(order, status, "nats: the worker could not run it");
        return;
    }
    (void)pthread_mutex_lock(&worker->lock);
    worker->owners++;
    (void)pthread_mutex_unlock(&worker->lock);
    if (skua_future_add_done_callback(order->future, order_done, order) < 0) {
        /* No memory: it runs, and nobody learns of it. */
        skui_worker_disown(worker);
        (void)skua_cancel_token_cancel(order->token);
        skui_order_refuse(order, -ENOMEM, NULL);
    }
}

/* --- taking --- */

/* Answers do not go where the server says that nobody listens: without "n". */
static bool worker_answer_subject(natsMsg *message, char *subject)
{
    const char *reply = natsMsg_GetReply(message);
    const char *last = reply == NULL ? NULL : strrchr(reply, '.');
    size_t bytes;

    if (last == NULL || strlen(reply) >= SKUI_NATS_SUBJECT_MAX) {
        return false;
    }
    bytes = (size_t)(last - reply);
    bytes -= bytes > 2 && memcmp(last - 2, ".n", 2) == 0 ? 2 : 0;
    memcpy(subject, reply, bytes);
    memcpy(subject + bytes, last, strlen(last) + 1);
    return true;
}

static void worker_send_away(skua_nats_worker *worker, natsMsg *message,
                             enum skui_wire_kind kind, int status,
                             const char *why)
{
    const struct skui_wire_head head = {kind, 0, 0, 0, status};
    size_t bytes = why == NULL ? 0 : strlen(why);
    char subject[SKUI_NATS_SUBJECT_MAX];

    if (worker_answer_subject(message, subject) &&
        skui_wire_begin(&worker->out, &head, bytes) == 0) {
        skui_wire_put(&worker->out, why, bytes);
        (void)skui_link_publish(worker->link, subject, NULL, worker->out.data,
                                worker->out.bytes);
    }
}

/* A message may name any subject as its inbox; one of those that are for that
 * is as much as it gets. */
static bool worker_allows_inbox(const skua_nats_worker *worker,
                                const struct skui_wire_call *call)
{
    size_t bytes = strlen(worker->settings.of.inbox);

    return call->inbox_bytes > bytes + 1 &&
           memcmp(call->inbox, worker->settings.of.inbox, bytes) == 0 &&
           call->inbox[bytes] == '.';
}

/* It came twice, after somebody connected anew. */
static void worker_take_again(skua_nats_worker *worker,
                              struct skui_order *order)
{
    skui_worker_count(worker, duplicates, 1);
    if (order->state == SKUI_ORDER_KEPT) {
        skui_worker_count(worker, resent, 1);
        skui_order_send(order);
    }
}

static void worker_take_new(skua_nats_worker *worker, natsMsg *message,
                            const struct skui_wire_call *call)
{
    const struct skui_function *function = skui_function_find(
        natsMsg_GetSubject(message) + strlen(worker->settings.of.prefix) +
        strlen(".call."));
    struct skui_order *order = NULL;

    if (function == NULL) {
        skui_worker_count(worker, refused, 1);
        worker_send_away(worker, message, SKUI_WIRE_FAILED, -ENOENT,
                         "nats: not registered with the worker");
        return;
    }
    if (worker->held < worker->capacity) {
        order = skui_order_new(worker, call, function->name);
    }
    if (order == NULL) {
        skui_worker_count(worker, busy, 1);
        worker_send_away(worker, message, SKUI_WIRE_BUSY, 0, NULL);
        return;
    }
    skui_worker_count(worker, taken, 1);
    skui_order_run(order, call);
}

void skui_worker_take(skua_nats_worker *worker, natsMsg *message)
{
    size_t bytes = (size_t)natsMsg_GetDataLength(message);
    struct skui_wire_call call;
    struct skui_order *order;

    if (!skui_wire_get_call(natsMsg_GetData(message), bytes, &call) ||
        !worker_allows_inbox(worker, &call)) {
        skui_worker_count(worker, malformed, 1);
        worker_send_away(worker, message, SKUI_WIRE_FAILED, -EPROTO,
                         "nats: the worker does not understand the call");
        return;
    }
    if (bytes > worker->max_bytes) {
        skui_worker_count(worker, refused, 1);
        worker_send_away(worker, message, SKUI_WIRE_FAILED, -EMSGSIZE,
                         "nats: the call is too large for the worker");
        return;
    }
    order = skui_worker_find(worker, call.head.caller, call.head.id);
    if (order != NULL) {
        worker_take_again(worker, order);
    } else {
        worker_take_new(worker, message, &call);
    }
}
