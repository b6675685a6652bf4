/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness_client.c - the echo client of perf/.
 * Threads     One, the caller's.
 * Invariants  A connection's `due` ring holds one time per message in flight,
 *             oldest at `head`; the server answers in order.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* epoll_pwait2() */
#endif
#include "harness_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

enum { EVENTS = 256, RING = 1024, RECEIVE_BYTES = 16 * 1024 };

struct connection {
    int fd;
    unsigned head;
    unsigned in_flight;
    unsigned partial_bytes; /* of the answer that is not complete */
    int64_t due_ns[RING];
};

struct client {
    const struct client_plan *plan;
    struct client_result *result;
    struct histogram *latency;
    struct connection *connections;
    int epoll;
    int64_t start_ns;
    int64_t sent;
    int64_t count_from_ns; /* end of the warm-up */
    int64_t cpu_from_ns;   /* of the server, then; -1 before */
    int64_t progress_from; /* then */
    int64_t end_ns;
};

static int connect_one(struct client *client, int index)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)client->plan->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct epoll_event event = {.events = EPOLLIN};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    client->connections[index].fd = fd;
    event.data.u32 = (uint32_t)index;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        epoll_ctl(client->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        return -errno;
    }
    return 0;
}

static int send_one(struct client *client, struct connection *connection,
                    int64_t due_ns)
{
    static const char message[CLIENT_MESSAGE_BYTES] = "echo";
    unsigned tail = (connection->head + connection->in_flight) % RING;

    if (connection->in_flight == RING) {
        return -ENOBUFS;
    }
    connection->due_ns[tail] = due_ns;
    connection->in_flight++;
    client->sent++;
    if (send(connection->fd, message, sizeof(message),
             MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof(message)) {
        return -EIO;
    }
    return 0;
}

static void note_answer(struct client *client, struct connection *connection,
                        int64_t now_ns)
{
    int64_t due_ns = connection->due_ns[connection->head];

    connection->head = (connection->head + 1) % RING;
    connection->in_flight--;
    client->result->all++;
    if (now_ns >= client->count_from_ns) {
        client->result->messages++;
        histogram_add(client->latency, now_ns - due_ns);
    }
}

static int receive(struct client *client, struct connection *connection)
{
    char buffer[RECEIVE_BYTES];
    ssize_t bytes = recv(connection->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    int64_t now_ns = harness_now_ns();
    int status = 0;

    if (bytes <= 0) {
        return bytes < 0 && errno == EAGAIN ? 0 : -ECONNRESET;
    }
    connection->partial_bytes += (unsigned)bytes;
    while (connection->partial_bytes >= CLIENT_MESSAGE_BYTES) {
        connection->partial_bytes -= CLIENT_MESSAGE_BYTES;
        note_answer(client, connection, now_ns);
    }
    if (client->plan->rate == 0 && connection->in_flight == 0 &&
        (client->plan->messages == 0 ||
         client->sent < client->plan->messages)) {
        status = send_one(client, connection, harness_now_ns());
    }
    return status;
}

static int64_t next_due_ns(const struct client *client)
{
    return client->start_ns +
           (int64_t)((double)client->sent * 1e9 / (double)client->plan->rate);
}

static int send_due(struct client *client)
{
    int64_t now_ns = harness_now_ns();
    int64_t due_ns = next_due_ns(client);
    int status = 0;

    while (status == 0 && due_ns <= now_ns && due_ns < client->end_ns) {
        int index = (int)(client->sent % client->plan->connections);

        status = send_one(client, &client->connections[index], due_ns);
        due_ns = next_due_ns(client);
    }
    return status;
}

static int wait_and_receive(struct client *client)
{
    struct epoll_event events[EVENTS];
    int64_t wait_ns = client->end_ns - harness_now_ns();
    struct timespec limit = {0};
    int status = 0;
    int count;

    if (client->plan->rate != 0) {
        int64_t gap_ns = next_due_ns(client) - harness_now_ns();

        wait_ns = gap_ns < wait_ns ? gap_ns : wait_ns;
    }
    if (wait_ns > 0 && !client->plan->spin) {
        limit.tv_sec = (time_t)(wait_ns / 1000000000);
        limit.tv_nsec = (long)(wait_ns % 1000000000);
    }
    count = epoll_pwait2(client->epoll, events, EVENTS, &limit, NULL);
    if (count < 0) {
        return errno == EINTR ? 0 : -errno;
    }
    for (int i = 0; i < count && status == 0; i++) {
        status = receive(client, &client->connections[events[i].data.u32]);
    }
    return status;
}

static int64_t progress_of(const struct client_plan *plan)
{
    return plan->progress == NULL ? 0 : atomic_load(plan->progress);
}

static bool is_over(struct client *client)
{
    int64_t now_ns = harness_now_ns();

    if (client->cpu_from_ns < 0 && now_ns >= client->count_from_ns) {
        client->cpu_from_ns = harness_cpu_of_ns(client->plan->server);
        client->progress_from = progress_of(client->plan);
        client->count_from_ns = now_ns;
    }
    return now_ns >= client->end_ns ||
           (client->plan->messages > 0 &&
            client->result->all >= client->plan->messages);
}

static int exchange(struct client *client)
{
    int status = 0;

    client->start_ns = harness_now_ns();
    client->count_from_ns = client->start_ns + client->plan->warm_ns;
    client->end_ns = client->count_from_ns + client->plan->run_ns;
    client->cpu_from_ns = -1;
    for (int i = 0; client->plan->rate == 0 && status == 0 &&
                    i < client->plan->connections;
         i++) {
        status = send_one(client, &client->connections[i], harness_now_ns());
    }
    while (status == 0 && !is_over(client)) {
        status = client->plan->rate == 0 ? 0 : send_due(client);
        if (status == 0) {
            status = wait_and_receive(client);
        }
    }
    client->result->server_cpu_ns =
        harness_cpu_of_ns(client->plan->server) - client->cpu_from_ns;
    client->result->progress =
        progress_of(client->plan) - client->progress_from;
    client->result->seconds =
        (double)(harness_now_ns() - client->count_from_ns) / 1e9;
    client->result->unanswered = client->sent - client->result->all;
    return status;
}

int client_run(const struct client_plan *plan, struct client_result *result,
               struct histogram *latency)
{
    struct client client = {.plan = plan, .result = result, .latency = latency};
    int status = 0;
    int connected = 0;

    *result = (struct client_result){0};
    histogram_clear(latency);
    client.connections =
        calloc((size_t)plan->connections, sizeof(struct connection));
    client.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (client.connections == NULL || client.epoll < 0) {
        status = -ENOMEM;
    }
    while (status == 0 && connected < plan->connections) {
        status = connect_one(&client, connected++);
    }
    if (status == 0) {
        status = exchange(&client);
    }
    while (connected-- > 0) {
        if (client.connections[connected].fd > 0) {
            (void)close(client.connections[connected].fd);
        }
    }
    (void)close(client.epoll);
    free(client.connections);
    return status;
}
