/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - how much memory does a task or a connection hold that waits?
 *
 * The growth of resident memory over --count tasks (default 100,000) that
 * sleep, or await a future, or over 10,000 connections that wait for data,
 * each in a fresh process. What the kernel holds for a socket is not in it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

enum { CONNECTIONS = 10000, SPARE_FILES = 200, RECEIVE_BYTES = 4096 };

struct memory {
    struct harness *harness;
    const char *kind;
    int64_t count;
    atomic_llong waiting;
    skua_future *never;
    int output; /* of the measured process: port, then bytes */
};

static void send_number(const struct memory *memory, double number)
{
    if (write(memory->output, &number, sizeof(number)) !=
        (ssize_t)sizeof(number)) {
        harness_check(-EPIPE, "write");
    }
}

static int sleep_long(void *arg)
{
    struct memory *memory = arg;

    atomic_fetch_add(&memory->waiting, 1);
    return skua_sleep(3600 * SKUA_S);
}

static int await_never(void *arg)
{
    struct memory *memory = arg;

    atomic_fetch_add(&memory->waiting, 1);
    return skua_await_until(memory->never, SKUA_FOREVER, NULL);
}

static int receive_never(void *arg)
{
    skua_socket *connection = arg;
    void *data = NULL;

    (void)skua_sock_recv(connection, RECEIVE_BYTES, &data);
    skua_release(data);
    skua_socket_unref(connection);
    return 0;
}

static void wait_until_waiting(struct memory *memory)
{
    while (atomic_load(&memory->waiting) < memory->count) {
        harness_check(skua_sleep(10 * SKUA_MS), "skua_sleep");
    }
    harness_check(skua_sleep(50 * SKUA_MS), "skua_sleep");
}

/* The runner cancels what is left when this returns. */
static int measure_tasks(void *arg)
{
    struct memory *memory = arg;
    int sleeps = strcmp(memory->kind, "sleeping-task") == 0;
    int64_t before_bytes;

    harness_check(skua_future_new(NULL, &memory->never), "skua_future_new");
    before_bytes = harness_rss_bytes();
    for (int64_t i = 0; i < memory->count; i++) {
        harness_check(
            skua_create_task(sleeps ? sleep_long : await_never, memory, NULL),
            "skua_create_task");
    }
    wait_until_waiting(memory);
    send_number(memory, (double)(harness_rss_bytes() - before_bytes) /
                            (double)memory->count);
    return 0;
}

static int measure_connections(void *arg)
{
    struct memory *memory = arg;
    const skua_listen_options options = {.host = "127.0.0.1", .backlog = 4096};
    skua_socket *listener;
    skua_socket *connection;
    int64_t before_bytes;
    int port = 0;

    harness_check(skua_sock_listen(&options, &listener), "skua_sock_listen");
    (void)skua_sock_getsockname(listener, NULL, 0, &port);
    before_bytes = harness_rss_bytes();
    send_number(memory, port);
    for (int64_t i = 0; i < memory->count; i++) {
        harness_check(skua_sock_accept(listener, &connection), "accept");
        harness_check(skua_create_task(receive_never, connection, NULL),
                      "skua_create_task");
    }
    harness_check(skua_sleep(50 * SKUA_MS), "skua_sleep");
    send_number(memory, (double)(harness_rss_bytes() - before_bytes) /
                            (double)memory->count);
    skua_socket_unref(listener);
    return 0;
}

/* Open the connections that the measured process accepts. */
static void connect_all(const struct memory *memory, int port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };

    for (int64_t i = 0; i < memory->count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || connect(fd, (const struct sockaddr *)&address,
                              sizeof(address)) != 0) {
            harness_check(-errno, "connect");
        }
    }
}

static double read_number(int input)
{
    double number = 0;

    if (read(input, &number, sizeof(number)) != (ssize_t)sizeof(number)) {
        harness_check(-EPIPE, "the measured process");
    }
    return number;
}

static void run_measured(struct memory *memory, skua_task_fn *fn)
{
    const skua_runner_options options = {
        .loops = memory->harness->loops_now,
    };

    harness_check(skua_run_with(&options, fn, memory, NULL), "skua_run_with");
    exit(0);
}

/* In a process of its own, which ends before the next one starts. */
static double measure_once(struct memory *memory, skua_task_fn *fn)
{
    int pipes[2];
    double bytes;
    pid_t pid;

    harness_check(pipe(pipes) == 0 ? 0 : -errno, "pipe");
    (void)fflush(stdout);
    pid = fork();
    harness_check(pid < 0 ? -errno : 0, "fork");
    memory->output = pipes[1];
    if (pid == 0) {
        run_measured(memory, fn);
    }
    (void)close(pipes[1]);
    if (fn == measure_connections) {
        connect_all(memory, (int)read_number(pipes[0]));
    }
    bytes = read_number(pipes[0]);
    (void)close(pipes[0]);
    if (fn == measure_connections) {
        for (int64_t fd = 3; fd < memory->count + SPARE_FILES; fd++) {
            (void)close((int)fd);
        }
    }
    (void)waitpid(pid, NULL, 0);
    return bytes;
}

static void measure(struct harness *harness, const char *kind, int64_t count,
                    skua_task_fn *fn)
{
    struct memory memory = {.harness = harness, .kind = kind, .count = count};
    struct harness_series series;

    harness_series_begin(&series, harness, "bytes", "%s,count=%lld,loops=%u",
                         kind, (long long)count, harness->loops_now);
    for (int i = 0; i < harness->runs; i++) {
        harness_series_add(&series, measure_once(&memory, fn));
    }
    harness_series_end(&series);
}

int main(int argc, char **argv)
{
    struct harness harness = {
        .question = "memory",
        .count = 100000,
        .loops = 1,
    };
    int64_t connections = CONNECTIONS;
    int64_t files = harness_raise_files();

    harness_start(&harness, argc, argv);
    harness.loops_now = (unsigned)harness.loops;
    if (files - SPARE_FILES < connections) {
        connections = files - SPARE_FILES;
    }
    measure(&harness, "sleeping-task", harness.count, measure_tasks);
    measure(&harness, "awaiting-task", harness.count, measure_tasks);
    measure(&harness, "idle-connection", connections, measure_connections);
    return 0;
}
