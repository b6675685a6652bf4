/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.c - a worker on NATS: its life.
 * Threads     The loop's talks to the servers, threads of a pool run the calls,
 *             any thread drains it and asks for its figures.
 * Invariants  Its memory stays until the public side, the link and all calls in
 *             the pool have let go.
 * Ordering    All that threads share is under `lock`, a leaf lock.
 * Progress    See the files beside it.
 * Rejected    Running calls in the loop: one that is slow would keep the
 *             heartbeats of all others.
 */
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "skua/cancel_token.h"
#include "skua/exception.h"
#include "skua/loop.h"
#include "skua/thread_pool.h"

#include "../../cores.h"
#include "../../future.h"
#include "../../memory.h"
#include "../../tls.h"
#include "../function.h"
#include "jetstream.h"

enum { DEFAULT_QUEUED = 256, MOST_QUEUED = 1 << 20, MOST_WORKERS = 4095 };
#define DEFAULT_KEEP_BYTES ((size_t)16 << 20)
#define DEFAULT_KEEP_NS (30 * SKUA_S)

/* --- owners --- */

static void worker_free(skua_nats_worker *worker)
{
    skui_link_release(worker->link);
    skui_worker_free_orders(worker);
    skua_executor_unref(worker->pool);
    skua_future_unref(worker->ended);
    skui_nats_settings_fini(&worker->settings);
    skui_wire_buffer_fini(&worker->out);
    (void)pthread_mutex_destroy(&worker->lock);
    skui_release(worker->pulls);
    skui_release(worker);
}

void skui_worker_disown(skua_nats_worker *worker)
{
    bool last;

    (void)pthread_mutex_lock(&worker->lock);
    last = --worker->owners == 0;
    (void)pthread_mutex_unlock(&worker->lock);
    if (last) {
        worker_free(worker);
    }
}

skua_nats_worker *skua_nats_worker_ref(skua_nats_worker *worker)
{
    if (worker != NULL) {
        (void)pthread_mutex_lock(&worker->lock);
        worker->refs++;
        (void)pthread_mutex_unlock(&worker->lock);
    }
    return worker;
}

void skua_nats_worker_unref(skua_nats_worker *worker)
{
    bool last;

    if (worker == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&worker->lock);
    last = --worker->refs == 0;
    (void)pthread_mutex_unlock(&worker->lock);
    if (last) {
        (void)skua_nats_worker_drain(worker);
        skui_worker_disown(worker);
    }
}

/* --- the public side --- */

int skua_nats_worker_drain(skua_nats_worker *worker)
{
    if (worker == NULL) {
        return -EINVAL;
    }
    (void)pthread_mutex_lock(&worker->lock);
    worker->drain = true;
    (void)pthread_mutex_unlock(&worker->lock);
    (void)skui_link_poke(worker->link);
    return 0;
}

int skua_nats_worker_wait(skua_nats_worker *worker)
{
    int status = worker == NULL
                     ? -EINVAL
                     : skui_future_wait_done(worker->ended, SKUA_FOREVER);

    if (status == 0) {
        (void)pthread_mutex_lock(&worker->lock);
        status = worker->end_status;
        (void)pthread_mutex_unlock(&worker->lock);
    }
    return status;
}

int skua_nats_worker_get_stats(skua_nats_worker *worker,
                               skua_nats_worker_stats *out_stats)
{
    skua_executor_stats pool;
    int64_t in_pool;

    if (worker == NULL || out_stats == NULL) {
        return -EINVAL;
    }
    (void)skua_executor_get_stats(worker->pool, &pool);
    (void)pthread_mutex_lock(&worker->lock);
    *out_stats = worker->stats;
    (void)pthread_mutex_unlock(&worker->lock);
    in_pool = out_stats->taken - out_stats->answered - out_stats->failed -
              out_stats->duplicates;
    out_stats->queued = pool.queued;
    out_stats->running = in_pool > pool.queued ? in_pool - pool.queued : 0;
    return 0;
}

/* --- turns --- */

static void worker_close(skua_nats_worker *worker, int status)
{
    worker->phase = SKUI_WORKER_CLOSED;
    if (worker->tick != NULL) {
        (void)skua_handle_cancel(worker->tick);
        skua_handle_unref(worker->tick);
        worker->tick = NULL;
    }
    (void)pthread_mutex_lock(&worker->lock);
    worker->end_status = status;
    (void)pthread_mutex_unlock(&worker->lock);
    skui_link_close(worker->link); /* then worker_closed() */
}

static void worker_message(void *self, unsigned tag, natsMsg *message)
{
    skua_nats_worker *worker = self;

    if (message == NULL) {
        skui_worker_pull_nobody(worker); /* the server has no leader, for now */
        return;
    }
    switch (tag) {
    case SKUI_TAG_CALL:
        skui_worker_take(worker, message);
        break;
    case SKUI_TAG_CTL:
        skui_worker_control(worker, message);
        break;
    case SKUI_TAG_STATS:
        skui_worker_report(worker, message);
        break;
    case SKUI_TAG_INBOX:
        skui_worker_inbox(worker, message);
        break;
    default:
        break;
    }
    (void)skui_link_poke(worker->link);
}

static void worker_turn(void *self)
{
    skua_nats_worker *worker = self;
    bool closed = worker->phase == SKUI_WORKER_CLOSED;

    if (!closed) {
        skui_worker_answer_done(worker);
        skui_worker_pull(worker);
        skui_worker_advance(worker);
        skui_worker_watch(worker);
    }
    if (worker->phase == SKUI_WORKER_CLOSED && !worker->closing) {
        worker->closing = true;
        worker_close(worker, 0);
    }
}

static void worker_up(void *self)
{
    skui_worker_up(self);
}

static void worker_refused(void *self, const char *text)
{
    (void)self;
    (void)text; /* callers find out that nobody answers */
}

static void worker_gone(void *self, int status, const char *why)
{
    skua_nats_worker *worker = self;

    (void)why;
    if (worker->closing) {
        return;
    }
    worker->closing = true;
    for (size_t i = 0; i < SKUI_ORDER_BUCKETS; i++) {
        for (struct skui_order *order = worker->buckets[i]; order != NULL;
             order = order->chain) {
            if (order->token != NULL && order->state == SKUI_ORDER_RUNNING) {
                (void)skua_cancel_token_cancel(order->token);
            }
        }
    }
    worker_close(worker, status);
}

/* In a thread of its own. What runs goes on when it was not drained. */
static void worker_closed(void *self)
{
    skua_nats_worker *worker = self;
    struct skui_outcome outcome = {0, NULL, NULL};

    (void)skua_executor_shutdown(worker->pool, worker->end_status == 0, true);
    (void)skui_future_complete(worker->ended, &outcome);
    skui_worker_disown(worker);
}

static const struct skui_link_user worker_user = {
    worker_message, NULL,        worker_turn,   worker_up,
    worker_refused, worker_gone, worker_closed,
};

/* --- making one --- */

static const char *worker_fault(const skua_nats_worker_options *options)
{
    if (options->workers < 0 || options->workers > MOST_WORKERS) {
        return "workers is out of range";
    }
    if (options->max_queued > MOST_QUEUED || options->keep_ns < 0) {
        return "max_queued or keep_ns is out of range";
    }
    return NULL;
}

static int worker_name(skua_nats_worker *worker)
{
    if (getrandom(&worker->id, sizeof(worker->id), 0) !=
        (ssize_t)sizeof(worker->id)) {
        return -errno;
    }
    skui_wire_hex(worker->id, worker->name);
    worker->inbox_bytes =
        (size_t)snprintf(worker->inbox, sizeof(worker->inbox), "%s.%s",
                         worker->settings.of.inbox, worker->name);
    return 0;
}

static int worker_make_pulls(skua_nats_worker *worker)
{
    size_t count = skui_function_count();

    if (!worker->settings.of.durable) {
        return 0;
    }
    worker->pulls = skui_allocate_zeroed(count * sizeof(*worker->pulls));
    if (worker->pulls == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        worker->pulls[i].function = skui_function_at((uint32_t)i)->name;
    }
    worker->pull_count = count;
    return 0;
}

static int worker_make_pool(skua_nats_worker *worker)
{
    const skua_thread_pool_options options = {.max_workers = worker->workers,
                                              .name_prefix = "skua-work"};

    return skua_thread_pool_executor_new(&options, &worker->pool);
}

static void worker_configure(skua_nats_worker *worker,
                             const skua_nats_worker_options *options)
{
    worker->workers =
        options->workers == 0 ? (int)skui_known_cores() : options->workers;
    worker->capacity =
        (size_t)worker->workers +
        (options->max_queued == 0 ? DEFAULT_QUEUED : options->max_queued);
    worker->keep_bytes =
        options->keep_bytes == 0 ? DEFAULT_KEEP_BYTES : options->keep_bytes;
    worker->keep_ns =
        options->keep_ns == 0 ? DEFAULT_KEEP_NS : options->keep_ns;
    worker->last_kept = &worker->kept;
    worker->owners = 2;
    worker->refs = 1;
}

static int worker_make(const skua_nats_worker_options *options,
                       skua_nats_worker **out_worker)
{
    skua_nats_worker *worker = skui_allocate_zeroed(sizeof(*worker));
    int status = worker == NULL ? -ENOMEM : 0;

    if (status == 0) {
        worker_configure(worker, options);
        status = -pthread_mutex_init(&worker->lock, NULL);
    }
    if (status < 0) {
        skui_release(worker);
        return status;
    }
    worker->ended = skui_future_make(SKUI_FUTURE_EXECUTOR, NULL);
    status = worker->ended == NULL
                 ? -ENOMEM
                 : skui_nats_settings_init(&worker->settings, &options->nats);
    if (status == 0) {
        (void)skui_future_set_running(worker->ended); /* nobody cancels it */
        status = worker_name(worker);
    }
    if (status == 0) {
        status = worker_make_pulls(worker);
    }
    if (status == 0) {
        status = worker_make_pool(worker);
    }
    if (status < 0) {
        worker_free(worker);
        return status;
    }
    *out_worker = worker;
    return 0;
}

static int worker_listen_to(const skua_nats_worker *worker,
                            struct skui_link *link, unsigned tag,
                            const char *format, const char *last)
{
    char subject[SKUI_NATS_SUBJECT_MAX];

    (void)snprintf(subject, sizeof(subject), "%s.%s%s",
                   worker->settings.of.prefix, format, last);
    return skui_link_subscribe(link, subject,
                               tag == SKUI_TAG_CALL ? "workers" : NULL, tag);
}

/* What comes at once is delivered in the order of subscribing: calls first, so
 * that what is said of a call does not overtake it. */
static int worker_listen(void *arg, struct skui_link *link)
{
    const skua_nats_worker *worker = arg;
    char subject[SKUI_NATS_SUBJECT_MAX];
    int status = 0;

    for (uint32_t i = 0; i < skui_function_count() && status == 0 &&
                         !worker->settings.of.durable;
         i++) {
        status = worker_listen_to(worker, link, SKUI_TAG_CALL, "call.",
                                  skui_function_at(i)->name);
    }
    if (status == 0) {
        (void)snprintf(subject, sizeof(subject), "%s.>", worker->inbox);
        status = skui_link_subscribe(link, subject, NULL, SKUI_TAG_INBOX);
    }
    if (status == 0) {
        status = worker_listen_to(worker, link, SKUI_TAG_CTL, "ctl", "");
    }
    if (status == 0) {
        status =
            worker_listen_to(worker, link, SKUI_TAG_CTL, "ctl.", worker->name);
    }
    if (status == 0) {
        status = worker_listen_to(worker, link, SKUI_TAG_STATS, "stats", "");
    }
    return status;
}

static int worker_open(skua_loop *loop, skua_nats_worker *worker)
{
    const struct skui_link_setup setup = {
        &worker->settings,
        worker->settings.of.durable ? skui_jetstream_prepare_worker : NULL,
        &worker->settings, worker_listen, worker};
    int status = skui_link_open(loop, &setup, &worker->link);

    if (status < 0) {
        return status;
    }
    worker->max_bytes = skui_link_max_payload(worker->link);
    status = worker->max_bytes <= SKUI_WIRE_CALL_HEAD
                 ? skua_raise(-EINVAL, "nats: max_message_bytes is too small")
                 : skui_link_start(worker->link, &worker_user, worker);
    if (status < 0) {
        skui_link_abandon(worker->link);
        worker->link = NULL;
    }
    return status;
}

int skua_nats_worker_new(skua_loop *loop,
                         const skua_nats_worker_options *options,
                         skua_nats_worker **out_worker)
{
    static const skua_nats_worker_options defaults;
    skua_nats_worker *worker = NULL;
    const char *fault;
    int status;

    if (loop == NULL || out_worker == NULL) {
        return -EINVAL;
    }
    options = options == NULL ? &defaults : options;
    fault = worker_fault(options);
    if (fault != NULL) {
        return skua_raise(-EINVAL, "nats: %s", fault);
    }
    if (!skui_function_is_any()) {
        return skua_raise(-ENOENT, "nats: no function is registered");
    }
    status = skui_loop_check_open(loop);
    if (status == 0) {
        status = worker_make(options, &worker);
    }
    if (status != 0) {
        return status;
    }
    status = worker_open(loop, worker);
    if (status < 0) {
        (void)skua_executor_shutdown(worker->pool, false, true);
        worker_free(worker);
        return status;
    }
    *out_worker = worker;
    return 0;
}

/* --- the call that does it all --- */

static int worker_run_here(const skua_nats_worker_options *options)
{
    skua_nats_worker *worker = NULL;
    int status =
        skua_nats_worker_new(skua_get_running_loop(), options, &worker);
    int waited;

    if (status < 0) {
        return status;
    }
    do {
        waited = skua_nats_worker_wait(worker);
        if (waited == SKUA_ECANCELED) {
            status = waited;
            (void)skua_nats_worker_drain(worker);
        }
    } while (waited == SKUA_ECANCELED);
    skua_nats_worker_unref(worker);
    return waited < 0 ? waited : status;
}

static int worker_main(void *arg)
{
    return worker_run_here(arg);
}

int skua_nats_worker_run(const skua_nats_worker_options *options)
{
    skua_loop *loop = skui_loop_self();
    int status;

    if (loop != NULL) {
        return loop->current == NULL ? -EDEADLK : worker_run_here(options);
    }
    status = skua_loop_new(NULL, &loop);
    if (status < 0) {
        return status;
    }
    status = skua_loop_run_until_complete(
        loop,
        skua_awaitable_call(worker_main,
                            (void *)(uintptr_t)(const void *)options),
        NULL);
    (void)skua_loop_close(loop);
    skua_loop_unref(loop);
    return status;
}
