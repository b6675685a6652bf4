/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_load.c - sessions that send requests and time the responses.
 * Threads     The loops'. A session moves between them; it counts into the
 *             shard of the loop it runs on, without suspending meanwhile.
 * Invariants  A session has sent a batch of requests and received the answers
 *             to all but `in_flight` of them.
 *
 * With a rate, request k of session i is due at start + (k * sessions + i) /
 * rate, whatever the server does, and its latency counts from then: a server
 * that stalls is charged for all requests that would have come (no coordinated
 * omission).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "http_load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_response.h"

enum { RETRY_MS = 10, GRACE_MS = 1000 };

struct session {
    struct load *load;
    skua_socket *socket;
    int index;
    int in_flight;
    int answered;  /* of the batch */
    int64_t sent;  /* requests so far; with a rate, the number of the next */
    size_t filled; /* bytes of the buffer */
    struct http_response response;
    int64_t due_ns[LOAD_PIPELINE_MAX];
    char buffer[HTTP_HEAD_BYTES_MAX];
};

static struct load_shard *shard_here(struct load *load)
{
    skua_loop *loop = skua_get_running_loop();
    int at = load->shards - 1;

    while (at > 0 && load->shard[at].loop != loop) {
        at--;
    }
    return &load->shard[at];
}

static void count(atomic_llong *counter, int64_t by)
{
    /* relaxed: figures only */
    (void)atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

static int64_t due_ns_of(const struct session *session, int64_t number)
{
    const struct load *load = session->load;
    double place = (double)number * load->connections + session->index;

    return load->start_ns + (int64_t)(place * 1e9 / (double)load->rate);
}

/* How many requests are due now; sleeps until one is. What was due in time is
 * sent late rather than forgotten. */
static int wait_until_due(struct session *session)
{
    const struct load *load = session->load;
    int64_t due_ns = due_ns_of(session, session->sent);
    int64_t now_ns;
    int batch = 0;

    if (due_ns >= load->end_ns) {
        return 0;
    }
    if (due_ns > skua_monotonic()) {
        int status = skua_sleep_until(due_ns);

        if (status < 0) {
            return status;
        }
    }
    now_ns = skua_monotonic();
    while (batch < load->pipeline && due_ns <= now_ns &&
           due_ns < load->end_ns &&
           now_ns < load->end_ns + GRACE_MS * SKUA_MS) {
        session->due_ns[batch++] = due_ns;
        due_ns = due_ns_of(session, session->sent + batch);
    }
    return batch;
}

/* @return how many requests to send now; 0 when the time is over */
static int next_batch(struct session *session)
{
    const struct load *load = session->load;
    int64_t now_ns = skua_monotonic();

    if (load->rate > 0) {
        return wait_until_due(session);
    }
    for (int i = 0; i < load->pipeline; i++) {
        session->due_ns[i] = now_ns;
    }
    return now_ns < load->end_ns ? load->pipeline : 0;
}

static void note_response(struct session *session)
{
    struct load_shard *shard = shard_here(session->load);
    int64_t due_ns = session->due_ns[session->answered];

    session->answered++;
    session->in_flight--;
    count(&shard->responses, 1);
    if (session->response.status / 100 != 2) {
        count(&shard->status_errors, 1);
    }
    histogram_add(shard->latency, skua_monotonic() - due_ns);
}

/* Count what the buffer holds, keep the rest. */
static int take_responses(struct session *session)
{
    size_t at = 0;
    int status = 1;

    while (status == 1 && session->in_flight > 0) {
        size_t used;

        status = http_response_take(&session->response, session->buffer + at,
                                    session->filled - at, &used);
        at += used;
        if (status == 1) {
            note_response(session);
            status = session->response.closes ? -ECONNRESET : 1;
        }
    }
    memmove(session->buffer, session->buffer + at, session->filled - at);
    session->filled -= at;
    return status < 0 ? status : 0;
}

static int receive_all(struct session *session)
{
    int64_t limit_ns = session->load->end_ns + GRACE_MS * SKUA_MS;

    while (session->in_flight > 0) {
        ssize_t bytes = skua_sock_recv_into_until(
            session->socket, session->buffer + session->filled,
            sizeof(session->buffer) - session->filled, limit_ns);
        int status;

        if (bytes <= 0) {
            return bytes == 0 ? -ECONNRESET : (int)bytes;
        }
        session->filled += (size_t)bytes;
        status = take_responses(session);
        if (status < 0) {
            return status;
        }
    }
    return 0;
}

/* @return 0 when the time is over; else why the connection is of no more use */
static int exchange(struct session *session)
{
    const struct load *load = session->load;
    int batch = next_batch(session);

    while (batch > 0) {
        int status;

        session->in_flight = batch;
        session->answered = 0;
        session->sent += batch;
        status = skua_sock_sendall(session->socket, load->requests,
                                   load->request_bytes * (size_t)batch);
        if (status == 0) {
            status = receive_all(session);
        }
        if (status < 0) {
            return status;
        }
        batch = next_batch(session);
    }
    return batch;
}

static int connect_and_exchange(struct session *session)
{
    struct load *load = session->load;
    int status = skua_sock_connect_until(load->host, load->port, load->end_ns,
                                         &session->socket);

    if (status < 0) {
        if (status == SKUA_ECANCELED || skua_monotonic() >= load->end_ns) {
            return status == SKUA_ECANCELED ? status : 0;
        }
        count(&shard_here(load)->connect_errors, 1);
        return skua_sleep(RETRY_MS * SKUA_MS);
    }
    session->filled = 0;
    session->in_flight = 0;
    session->response = (struct http_response){0};
    status = exchange(session);
    skua_socket_unref(session->socket);
    if (status == SKUA_ECANCELED) {
        return status;
    }
    if (session->in_flight > 0) {
        count(&shard_here(load)->read_errors, session->in_flight);
    }
    return 0;
}

static int run_session(void *arg)
{
    struct load *load = arg;
    struct session session;
    int status = 0;

    session.load = load;
    session.sent = 0;
    session.index = atomic_fetch_add(&load->sessions, 1);
    while (status == 0 && skua_monotonic() < load->end_ns) {
        status = connect_and_exchange(&session);
    }
    while (load->rate > 0 && due_ns_of(&session, session.sent) < load->end_ns) {
        session.sent++;
        count(&load->unsent, 1);
    }
    return status;
}

static int build_requests(struct load *load)
{
    char one[LOAD_PATH_BYTES + 128];
    int bytes =
        snprintf(one, sizeof(one), "GET %s HTTP/1.1\r\nHost: %s:%d\r\n\r\n",
                 load->path, load->host, load->port);

    if (bytes < 0 || (size_t)bytes >= sizeof(one)) {
        return -EINVAL;
    }
    load->request_bytes = (size_t)bytes;
    load->requests = malloc((size_t)bytes * (size_t)load->pipeline);
    if (load->requests == NULL) {
        return -ENOMEM;
    }
    for (int i = 0; i < load->pipeline; i++) {
        memcpy(load->requests + (size_t)i * (size_t)bytes, one, (size_t)bytes);
    }
    return 0;
}

static int build_shards(struct load *load)
{
    skua_runner *runner = skua_get_running_runner();
    unsigned loops = skua_runner_loops(runner);

    for (unsigned i = 0; i < loops && i < LOAD_LOOPS_MAX; i++) {
        load->shard[i].loop = skua_runner_get_loop(runner, i);
        load->shard[i].latency = histogram_new();
        if (load->shard[i].latency == NULL) {
            return -ENOMEM;
        }
        load->shards = (int)i + 1;
    }
    return 0;
}

int http_load_run(struct load *load)
{
    skua_task_group group = {0};
    int status = build_shards(load);
    int joined;

    if (status == 0) {
        status = build_requests(load);
    }
    if (status < 0) {
        return status;
    }
    load->start_ns = skua_monotonic();
    load->end_ns = load->start_ns + load->run_ns;
    for (int i = 0; i < load->connections && status == 0; i++) {
        status = skua_task_group_create_task(&group, run_session, load);
    }
    joined = skua_task_group_join(&group);
    return status < 0 ? status : joined;
}

void http_load_totals(struct load *load, struct load_totals *totals)
{
    *totals = (struct load_totals){0};
    for (int i = 0; i < load->shards; i++) {
        struct load_shard *shard = &load->shard[i];

        totals->responses += atomic_load(&shard->responses);
        totals->connect_errors += atomic_load(&shard->connect_errors);
        totals->read_errors += atomic_load(&shard->read_errors);
        totals->status_errors += atomic_load(&shard->status_errors);
    }
}

void http_load_clear(struct load *load)
{
    for (int i = 0; i < load->shards; i++) {
        free(load->shard[i].latency);
        load->shard[i].latency = NULL;
    }
    load->shards = 0;
    free(load->requests);
    load->requests = NULL;
}
