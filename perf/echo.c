/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo.c - what does an echoed message of 64 bytes cost the server?
 *
 * Skua's server and raw epoll (peers/echo_epoll) take turns in processes of
 * their own, driven by the same client. With one loop the server is pinned to
 * core 0 and the client to core 1; with more, nothing is. Message rate,
 * latency, the server's CPU per message, and, where strace is installed, its
 * system calls per message. Then Skua's CPU in the second after the load ended,
 * beginning when the connections are closed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "harness_child.h"
#include "harness_client.h"
#include "harness_echo.h"

enum { SYSTEMS = 2, FIGURES = 4, TRACED_MESSAGES = 20000, NAME_BYTES = 64 };

enum { RATE, P50, P99, CPU };

struct echo {
    struct harness *harness;
    struct histogram *latency;
    char floor[4096]; /* the path of the raw epoll server; empty: none */
};

static const char *const system_names[SYSTEMS] = {"skua", "epoll"};

static int start_server(struct echo *echo, int which, int loops,
                        struct child *child)
{
    int core = loops == 1 ? 0 : -1;
    char threads[16];
    const char *argv[] = {echo->floor, threads, NULL};

    if (which == 0) {
        return echo_start(child, loops, NULL, core, NULL);
    }
    (void)snprintf(threads, sizeof(threads), "%d", loops);
    return child_start(child, argv, core);
}

static void run_once(struct echo *echo, int which, int loops,
                     struct client_plan *plan, struct harness_series *series)
{
    struct client_result result;
    struct child child;

    harness_check(start_server(echo, which, loops, &child), "server");
    plan->port = child.port;
    plan->server = child.pid;
    harness_check(client_run(plan, &result, echo->latency), "client");
    harness_check(child_stop(&child), "the server's end");
    if (result.messages == 0) {
        harness_check(-ETIMEDOUT, "no message came back");
    }
    harness_series_add(&series[RATE], (double)result.messages / result.seconds);
    harness_series_add(&series[P50],
                       (double)histogram_percentile(echo->latency, 50) / 1e3);
    harness_series_add(&series[P99],
                       (double)histogram_percentile(echo->latency, 99) / 1e3);
    harness_series_add(&series[CPU],
                       (double)result.server_cpu_ns / (double)result.messages);
}

static void measure(struct echo *echo, int loops, int connections, bool spin)
{
    static const char *const names[FIGURES] = {"rate", "p50", "p99", "cpu"};
    static const char *const units[FIGURES] = {"msg/s", "us", "us", "ns/msg"};
    static struct harness_series series[SYSTEMS][FIGURES];
    struct client_plan plan = {
        .connections = connections,
        .warm_ns = 200 * SKUA_MS,
        .run_ns = echo->harness->duration_ms * SKUA_MS,
        .spin = spin,
    };
    int systems = echo->floor[0] == '\0' ? 1 : SYSTEMS;

    for (int which = 0; which < systems; which++) {
        for (int i = 0; i < FIGURES; i++) {
            harness_series_begin(&series[which][i], echo->harness, units[i],
                                 "loops=%d,connections=%d%s,%s", loops,
                                 connections, spin ? ",client=spins" : "",
                                 names[i]);
            harness_series_system(&series[which][i], system_names[which]);
        }
    }
    for (int run = 0; run < echo->harness->runs; run++) {
        for (int which = 0; which < systems; which++) {
            run_once(echo, which, loops, &plan, series[which]);
        }
    }
    for (int i = 0; i < FIGURES; i++) {
        for (int which = 0; which < systems; which++) {
            harness_series_end(&series[which][i]);
        }
    }
}

/* `strace -c` prints: % time, seconds, usecs/call, calls, [errors], name. What
 * occurs less than once in 200 messages belongs to start and end. */
static void report_calls(const struct echo *echo, const char *path,
                         int connections, double messages)
{
    FILE *file = fopen(path, "re");
    char line[256];
    double total = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        char parameters[128];
        char name[NAME_BYTES];
        char *last = strrchr(line, ' ');
        long calls;

        if (last == NULL || sscanf(line, "%*f %*f %*f %ld", &calls) != 1 ||
            sscanf(last, "%63s", name) != 1 || strcmp(name, "total") == 0 ||
            (double)calls < messages / 200) {
            continue;
        }
        total += (double)calls / messages;
        (void)snprintf(parameters, sizeof(parameters),
                       "loops=1,connections=%d,calls=%s", connections, name);
        harness_report(echo->harness, parameters, (double)calls / messages,
                       "calls/msg");
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    (void)snprintf(line, sizeof(line), "loops=1,connections=%d,calls=all",
                   connections);
    harness_report(echo->harness, line, total, "calls/msg");
}

static void count_calls(struct echo *echo, int connections)
{
    char path[] = "/tmp/skua-echo-XXXXXX";
    struct client_plan plan = {
        .connections = connections,
        .run_ns = 60 * SKUA_S,
        .messages = TRACED_MESSAGES,
    };
    struct client_result result;
    struct child child;
    int fd = mkstemp(path);

    harness_check(fd < 0 ? -errno : 0, "mkstemp");
    (void)close(fd);
    if (echo_start(&child, 1, NULL, -1, path) < 0) {
        printf("# strace is missing or not allowed: no calls/msg\n");
    } else {
        plan.port = child.port;
        harness_check(client_run(&plan, &result, echo->latency), "client");
        (void)child_stop(&child);
        report_calls(echo, path, connections, (double)result.all);
    }
    (void)unlink(path);
}

static double idle_once(struct echo *echo, int loops, int connections)
{
    const struct timespec second = {.tv_sec = 1};
    struct client_plan plan = {
        .connections = connections,
        .run_ns = 200 * SKUA_MS,
    };
    struct client_result result;
    struct child child;
    int64_t passed_ns;
    int64_t used_ns;

    harness_check(start_server(echo, 0, loops, &child), "server");
    plan.port = child.port;
    harness_check(client_run(&plan, &result, echo->latency), "client");
    passed_ns = harness_now_ns();
    used_ns = harness_cpu_of_ns(child.pid);
    (void)nanosleep(&second, NULL);
    used_ns = harness_cpu_of_ns(child.pid) - used_ns;
    passed_ns = harness_now_ns() - passed_ns;
    harness_check(child_stop(&child), "the server's end");
    return (double)used_ns / 1e6 / ((double)passed_ns / 1e9);
}

static void measure_idle(struct echo *echo, int loops, int connections)
{
    struct harness_series series;

    harness_series_begin(&series, echo->harness, "ms/s",
                         "loops=%d,connections=%d,idle_after", loops,
                         connections);
    for (int run = 0; run < echo->harness->runs; run++) {
        harness_series_add(&series, idle_once(echo, loops, connections));
    }
    harness_series_end(&series);
}

int main(int argc, char **argv)
{
    static struct echo echo;
    struct harness harness = {.question = "echo", .duration_ms = 600};

    echo_serve_if_asked(argc, argv);
    harness_start(&harness, argc, argv);
    echo.harness = &harness;
    echo.latency = histogram_new();
    harness_check(echo.latency == NULL ? -ENOMEM : 0, "histogram_new");
    if (child_find("echo_epoll", echo.floor, sizeof(echo.floor)) < 0) {
        echo.floor[0] = '\0';
        printf("# echo_epoll is not beside this program: no floor\n");
    }
    count_calls(&echo, 64);
    count_calls(&echo, 1);
    if (harness.loops != 1) {
        int loops = harness.loops == 0 ? 2 : harness.loops;

        measure(&echo, loops, 64, false);
        measure_idle(&echo, loops, 64);
    }
    if (harness.loops <= 1) {
        harness_pin(1);
        measure(&echo, 1, 64, false);
        measure(&echo, 1, 1, false);
        measure(&echo, 1, 1, true);
        measure_idle(&echo, 1, 1);
    }
    free(echo.latency);
    return 0;
}
