/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_watch.c - heartbeats, what callers and operators ask, draining.
 * Threads     The loop's.
 * Invariants  The phases of draining go one way.
 * Ordering    None.
 * Progress    A tick while there is work, or anything is kept or pulled; twice
 *             in the shortest heartbeat.
 * Rejected    The client library's drain of a connection: it ends the
 *             connection when its queues are empty, with answers yet to come.
 *
 * Draining. Taking back a subscription does not take back what is under way, so
 * a message that the worker sends to itself afterwards tells that all has come
 * (LEAVING). When all that was taken is answered, another one tells that the
 * server has the answers (FLUSHING).
 */
#include "worker.h"

#include <stdio.h>
#include <string.h>

#include "skua/cancel_token.h"
#include "skua/loop.h"
#include "skua/time.h"

#define SMALLEST_TICK (5 * SKUA_MS)
#define LARGEST_TICK (500 * SKUA_MS)
#define RESEND_BEFORE (2 * SKUA_S)
#define FLUSH_OFFLINE_MOST (10 * SKUA_S)
#define FLUSH_AGAIN SKUA_S

/* --- heartbeats --- */

static void peer_beat(skua_nats_worker *worker, struct skui_worker_peer *peer)
{
    const struct skui_wire_head head = {SKUI_WIRE_BEAT, 0, peer->caller,
                                        worker->id, 0};
    char subject[SKUI_WIRE_NAMES_MAX + 3];
    const struct skui_order *order = peer->orders;

    memcpy(subject, peer->inbox, peer->inbox_bytes);
    memcpy(subject + peer->inbox_bytes, ".b", 3);
    while (order != NULL) {
        uint32_t count = 0;

        if (skui_wire_begin(&worker->out, &head,
                            SKUI_WIRE_IDS_MAX * sizeof(uint64_t)) < 0) {
            return;
        }
        for (; order != NULL && count < SKUI_WIRE_IDS_MAX;
             order = order->next) {
            skui_wire_put_id(&worker->out, order->id);
            count++;
        }
        skui_wire_set_number(&worker->out, count);
        (void)skui_link_publish(worker->link, subject, NULL, worker->out.data,
                                worker->out.bytes);
    }
}

static int64_t worker_tick_ns(const skua_nats_worker *worker)
{
    int64_t tick_ns = LARGEST_TICK;

    for (const struct skui_worker_peer *peer = worker->peers; peer != NULL;
         peer = peer->next) {
        tick_ns = peer->beat_ns / 2 < tick_ns ? peer->beat_ns / 2 : tick_ns;
    }
    if (worker->pull_count > 0 &&
        worker->settings.of.ack_wait_ns / 4 < tick_ns) {
        tick_ns = worker->settings.of.ack_wait_ns / 4;
    }
    return tick_ns < SMALLEST_TICK ? SMALLEST_TICK : tick_ns;
}

static void worker_look(skua_nats_worker *worker, int64_t now_ns)
{
    for (struct skui_worker_peer *peer = worker->peers; peer != NULL;
         peer = peer->next) {
        struct skui_order *next;

        for (struct skui_order *order = peer->orders;
             order != NULL && worker->pull_count > 0; order = next) {
            next = order->next;
            skui_order_continue(order, now_ns);
        }
        if (now_ns >= peer->due_ns) {
            peer->due_ns = now_ns + peer->beat_ns;
            peer_beat(worker, peer);
        }
    }
}

static void worker_tick(void *arg)
{
    skua_nats_worker *worker = arg;
    int64_t now_ns = skua_monotonic();

    skua_handle_unref(worker->tick);
    worker->tick = NULL;
    if (skui_link_is_up(worker->link)) {
        worker_look(worker, now_ns);
        skui_worker_pull(worker);
    }
    skui_worker_forget(worker, now_ns);
    skui_worker_advance(worker);
    if (worker->phase != SKUI_WORKER_CLOSED) {
        skui_link_flush(worker->link);
    }
    skui_worker_watch(worker);
}

void skui_worker_watch(skua_nats_worker *worker)
{
    if (worker->tick != NULL || worker->phase == SKUI_WORKER_CLOSED ||
        (worker->held == 0 && worker->kept == NULL && worker->pull_count == 0 &&
         worker->phase == SKUI_WORKER_SERVING)) {
        return;
    }
    if (skua_loop_call_later(skua_get_running_loop(), worker_tick_ns(worker),
                             worker_tick, worker, &worker->tick) < 0) {
        worker->tick = NULL; /* the next turn tries again */
    }
}

/* --- draining --- */

void skui_worker_mark(skua_nats_worker *worker)
{
    const struct skui_wire_head head = {SKUI_WIRE_MARK, (uint32_t)worker->phase,
                                        worker->id, 0, 0};
    char subject[SKUI_NATS_SUBJECT_MAX];

    (void)snprintf(subject, sizeof(subject), "%s.ctl.%s",
                   worker->settings.of.prefix, worker->name);
    if (skui_wire_begin(&worker->out, &head, 0) == 0) {
        (void)skui_link_publish(worker->link, subject, NULL, worker->out.data,
                                worker->out.bytes);
    }
}

static void worker_enter(skua_nats_worker *worker, enum skui_worker_phase phase)
{
    worker->phase = phase;
    worker->phase_ns = skua_monotonic();
}

static bool order_may_be_lost(const struct skui_order *order, int64_t lost_ns)
{
    return order->unsent || order->done_ns > lost_ns - RESEND_BEFORE;
}

/* Without a connection: whether to wait for one, for the answers' sake. */
static bool worker_owes_answers(const skua_nats_worker *worker, int64_t now_ns)
{
    int64_t lost_ns = skui_link_lost_ns(worker->link);
    const struct skui_order *order = worker->kept;

    while (order != NULL && !order_may_be_lost(order, lost_ns)) {
        order = order->next;
    }
    return order != NULL && now_ns - worker->phase_ns <= FLUSH_OFFLINE_MOST;
}

/* In LEAVING or FLUSHING, whose message to itself cannot come. */
static void worker_advance_offline(skua_nats_worker *worker, int64_t now_ns)
{
    if (worker->phase == SKUI_WORKER_LEAVING) {
        worker_enter(worker, SKUI_WORKER_FINISHING);
        (void)skui_link_poke(worker->link); /* its turn goes on */
    } else if (!worker_owes_answers(worker, now_ns)) {
        worker_enter(worker, SKUI_WORKER_CLOSED);
        (void)skui_link_poke(worker->link);
    }
}

void skui_worker_advance(skua_nats_worker *worker)
{
    int64_t now_ns = skua_monotonic();
    bool waits = worker->phase == SKUI_WORKER_LEAVING ||
                 worker->phase == SKUI_WORKER_FLUSHING;
    bool drain;

    (void)pthread_mutex_lock(&worker->lock);
    drain = worker->drain;
    (void)pthread_mutex_unlock(&worker->lock);
    if (drain && worker->phase == SKUI_WORKER_SERVING) {
        worker_enter(worker, SKUI_WORKER_LEAVING);
        skui_link_drain(worker->link, SKUI_TAG_CALL);
        skui_worker_mark(worker);
    } else if (worker->phase == SKUI_WORKER_FINISHING && worker->held == 0) {
        worker_enter(worker, SKUI_WORKER_FLUSHING);
        skui_worker_mark(worker);
    } else if (waits && !skui_link_is_up(worker->link)) {
        worker_advance_offline(worker, now_ns);
    } else if (waits && now_ns - worker->phase_ns > FLUSH_AGAIN) {
        worker->phase_ns = now_ns;
        skui_worker_mark(worker);
    }
}

static void worker_marked(skua_nats_worker *worker,
                          const struct skui_wire_head *head)
{
    if (head->caller != worker->id || head->number != (uint32_t)worker->phase) {
        return;
    }
    if (worker->phase == SKUI_WORKER_LEAVING) {
        worker_enter(worker, SKUI_WORKER_FINISHING);
    } else if (worker->phase == SKUI_WORKER_FLUSHING) {
        worker_enter(worker, SKUI_WORKER_CLOSED);
    }
    (void)skui_link_poke(worker->link); /* its turn goes on */
}

/* --- what is asked --- */

static void worker_asked(skua_nats_worker *worker, struct skui_order *order)
{
    if (order->state == SKUI_ORDER_KEPT) {
        skui_worker_count(worker, resent, 1);
        skui_order_send(order);
    } else {
        order->peer->due_ns = 0; /* with all others, at the end */
    }
}

void skui_worker_control(skua_nats_worker *worker, natsMsg *message)
{
    const char *data = natsMsg_GetData(message);
    struct skui_wire_head head;

    if (!skui_wire_get_head(data, (size_t)natsMsg_GetDataLength(message),
                            &head)) {
        skui_worker_count(worker, malformed, 1);
        return;
    }
    if (head.kind == SKUI_WIRE_MARK) {
        worker_marked(worker, &head);
        return;
    }
    if (head.kind != SKUI_WIRE_ASK && head.kind != SKUI_WIRE_CANCEL) {
        skui_worker_count(worker, malformed, 1);
        return;
    }
    for (size_t i = 0; i < head.number; i++) {
        struct skui_order *order =
            skui_worker_find(worker, head.caller, skui_wire_get_id(data, i));

        if (order != NULL && head.kind == SKUI_WIRE_ASK) {
            worker_asked(worker, order);
        } else if (order != NULL && order->token != NULL) {
            (void)skua_cancel_token_cancel(order->token);
        }
    }
    for (struct skui_worker_peer *peer = worker->peers; peer != NULL;
         peer = peer->next) {
        if (peer->due_ns == 0) {
            peer->due_ns = skua_monotonic() + peer->beat_ns;
            peer_beat(worker, peer);
        }
    }
}

size_t skui_worker_stats_line(skua_nats_worker *worker, char *text,
                              size_t bytes)
{
    skua_nats_worker_stats stats;
    int length;

    (void)skua_nats_worker_get_stats(worker, &stats);
    length = snprintf(
        text, bytes,
        "{\"worker\":\"%s\",\"name\":\"%.40s\",\"workers\":%d,"
        "\"capacity\":%zu,\"draining\":%s,\"taken\":%lld,\"answered\":%lld,"
        "\"failed\":%lld,\"busy\":%lld,\"refused\":%lld,\"malformed\":%lld,"
        "\"duplicates\":%lld,\"redelivered\":%lld,\"dead\":%lld,"
        "\"resent\":%lld,\"reconnects\":%lld,\"running\":%lld,"
        "\"queued\":%lld}",
        worker->name, worker->settings.of.name, worker->workers,
        worker->capacity,
        worker->phase == SKUI_WORKER_SERVING ? "false" : "true",
        (long long)stats.taken, (long long)stats.answered,
        (long long)stats.failed, (long long)stats.busy,
        (long long)stats.refused, (long long)stats.malformed,
        (long long)stats.duplicates, (long long)stats.redelivered,
        (long long)stats.dead, (long long)stats.resent,
        (long long)stats.reconnects, (long long)stats.running,
        (long long)stats.queued);
    return length < 0 ? 0 : (size_t)length < bytes ? (size_t)length : bytes - 1;
}

void skui_worker_report(skua_nats_worker *worker, natsMsg *message)
{
    char text[1024];

    if (natsMsg_GetReply(message) != NULL) {
        (void)skui_link_publish(
            worker->link, natsMsg_GetReply(message), NULL, text,
            skui_worker_stats_line(worker, text, sizeof(text)));
    }
}

/* --- connected anew --- */

/* Answers that were on their way when the connection was lost, or later. */
static void worker_resend(skua_nats_worker *worker)
{
    int64_t lost_ns = skui_link_lost_ns(worker->link);

    for (struct skui_order *order = worker->kept; order != NULL;
         order = order->next) {
        if (order_may_be_lost(order, lost_ns)) {
            skui_worker_count(worker, resent, 1);
            skui_order_send(order);
        }
    }
}

void skui_worker_up(skua_nats_worker *worker)
{
    if (worker->connected_before) {
        skui_worker_count(worker, reconnects, 1);
        worker_resend(worker);
    }
    worker->connected_before = true;
    for (size_t i = 0; i < worker->pull_count; i++) {
        worker->pulls[i].left = 0;
    }
    for (struct skui_worker_peer *peer = worker->peers; peer != NULL;
         peer = peer->next) {
        for (struct skui_order *order = peer->orders; order != NULL;
             order = order->next) {
            order->asked_ns = 0; /* the tick sends it again */
            order->touched_ns = 0;
        }
        peer_beat(worker, peer);
    }
    if (worker->phase == SKUI_WORKER_LEAVING ||
        worker->phase == SKUI_WORKER_FLUSHING) {
        skui_worker_mark(worker);
    }
}
