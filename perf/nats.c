/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nats.c - what does a call through NATS cost, beside a bare request?
 *
 * One nats-server on loopback, which this program starts, and a worker in a
 * process of its own. --count calls of 64 bytes (default 2,000):
 *
 *   raw      requests of the client library to an answer by it, one at a time
 *            or 256 in flight: what there is to be had
 *   call     the same by tasks of one loop that await calls
 *   durable  the same through streams in memory
 */
#include <errno.h>
#include <nats/nats.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

enum { BYTES = 64, WINDOW = 256 };

struct question {
    const char *parameters;
    bool raw;
    bool durable;
    int window;
};

struct asked {
    struct harness *harness;
    const struct question *question;
    skua_executor *executor;
    natsConnection *connection;
    double *us; /* of each call */
};

static char server_url[64];

static int echo(const void *data, size_t bytes, skua_reply *reply)
{
    return skua_reply_write(reply, data, bytes);
}

/* --- processes --- */

static pid_t start(void (*run)(void *arg), void *arg)
{
    pid_t pid = fork();

    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        run(arg);
        _exit(1);
    }
    return pid;
}

static void run_server(void *arg)
{
    const char *port = strrchr(server_url, ':') + 1;

    (void)freopen("/dev/null", "w", stderr);
    (void)execlp("nats-server", "nats-server", "-a", "127.0.0.1", "-p", port,
                 "-js", "-sd", (char *)arg, (char *)NULL);
    (void)execl("/usr/sbin/nats-server", "nats-server", "-a", "127.0.0.1", "-p",
                port, "-js", "-sd", (char *)arg, (char *)NULL);
}

static void set_options(skua_nats_options *options, bool durable)
{
    options->urls = server_url;
    options->durable = durable;
    options->in_memory = true;
}

static void run_worker(void *arg)
{
    skua_nats_worker_options options = {.workers = 1, .max_queued = 4096};

    (void)skua_function_register("perf.echo", echo);
    set_options(&options.nats, arg != NULL);
    (void)skua_nats_worker_run(&options);
}

static void answer_raw(natsConnection *connection,
                       natsSubscription *subscription, natsMsg *message,
                       void *arg)
{
    (void)subscription;
    (void)arg;
    (void)natsConnection_Publish(connection, natsMsg_GetReply(message),
                                 natsMsg_GetData(message),
                                 natsMsg_GetDataLength(message));
    natsMsg_Destroy(message);
}

static void run_raw(void *arg)
{
    natsConnection *connection = NULL;
    natsSubscription *subscription = NULL;
    natsOptions *options = NULL;

    (void)arg;
    (void)natsOptions_Create(&options);
    (void)natsOptions_SetURL(options, server_url);
    (void)natsOptions_SetSendAsap(options, true);
    if (natsConnection_Connect(&connection, options) == NATS_OK &&
        natsConnection_QueueSubscribe(&subscription, connection, "raw.echo",
                                      "workers", answer_raw, NULL) == NATS_OK) {
        for (;;) {
            (void)pause();
        }
    }
}

/* --- asking --- */

static const char payload[BYTES] = "0123456789";

static void ask_raw_one(struct asked *asked)
{
    for (int64_t i = 0; i < asked->harness->count; i++) {
        int64_t begin_ns = skua_monotonic();
        natsMsg *answer = NULL;
        natsStatus status = natsConnection_Request(
            &answer, asked->connection, "raw.echo", payload, BYTES, 5000);

        harness_check(status == NATS_OK ? 0 : -EIO, "natsConnection_Request");
        natsMsg_Destroy(answer);
        asked->us[i] = (double)(skua_monotonic() - begin_ns) / 1e3;
    }
}

static void ask_raw_window(struct asked *asked)
{
    natsSubscription *inbox = NULL;
    int64_t sent = 0;

    (void)natsConnection_SubscribeSync(&inbox, asked->connection, "raw.inbox");
    (void)natsSubscription_SetPendingLimits(inbox, -1, -1);
    for (int64_t i = 0; i < asked->harness->count; i++) {
        natsMsg *answer = NULL;

        while (sent < asked->harness->count && sent < i + WINDOW) {
            (void)natsConnection_PublishRequest(asked->connection, "raw.echo",
                                                "raw.inbox", payload, BYTES);
            sent++;
        }
        harness_check(natsSubscription_NextMsg(&answer, inbox, 5000) == NATS_OK
                          ? 0
                          : -EIO,
                      "natsSubscription_NextMsg");
        natsMsg_Destroy(answer);
    }
    natsSubscription_Destroy(inbox);
}

static int ask_in_task(void *arg)
{
    struct asked *asked = arg;
    int window = asked->question->window;
    skua_future *futures[WINDOW] = {NULL};
    int64_t begin_ns = 0;

    for (int64_t i = 0; i < asked->harness->count + window; i++) {
        skua_future **slot = &futures[i % window];

        if (*slot != NULL) {
            harness_check(skua_await(*slot, NULL), "skua_await");
            skua_future_unref(*slot);
            *slot = NULL;
            asked->us[i - window] = (double)(skua_monotonic() - begin_ns) / 1e3;
        }
        begin_ns = skua_monotonic();
        if (i < asked->harness->count) {
            harness_check(skua_executor_submit_named(asked->executor,
                                                     "perf.echo", payload,
                                                     BYTES, slot),
                          "skua_executor_submit_named");
        }
    }
    return 0;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

static void ask(struct asked *asked)
{
    if (!asked->question->raw) {
        (void)ask_in_task(asked);
    } else if (asked->question->window == 1) {
        ask_raw_one(asked);
    } else {
        ask_raw_window(asked);
    }
}

static void measure(struct asked *asked)
{
    const struct question *question = asked->question;
    int64_t count = asked->harness->count;
    struct harness_series p50;
    struct harness_series p99;
    struct harness_series rate;

    harness_series_begin(&p50, asked->harness, "us", "%s,p=50",
                         question->parameters);
    harness_series_begin(&p99, asked->harness, "us", "%s,p=99",
                         question->parameters);
    harness_series_begin(&rate, asked->harness, "kops/s", "%s",
                         question->parameters);
    if (question->raw) {
        harness_series_system(&p50, "nats.c");
        harness_series_system(&p99, "nats.c");
        harness_series_system(&rate, "nats.c");
    }
    ask(asked); /* warm */
    for (int i = 0; i < asked->harness->runs; i++) {
        int64_t begin_ns = skua_monotonic();

        ask(asked);
        harness_series_add(&rate, 1e6 * (double)count /
                                      (double)(skua_monotonic() - begin_ns));
        qsort(asked->us, (size_t)count, sizeof(*asked->us), compare);
        harness_series_add(&p50, asked->us[count / 2]);
        harness_series_add(&p99, asked->us[count * 99 / 100]);
    }
    if (question->window == 1) {
        harness_series_end(&p50);
        harness_series_end(&p99);
    } else {
        harness_series_end(&rate);
    }
}

static int measure_in_task(void *arg)
{
    struct asked *asked = arg;
    skua_nats_executor_options options = {.patience_ns = 10 * SKUA_S};

    set_options(&options.nats, asked->question->durable);
    harness_check(skua_nats_executor_new(skua_get_running_loop(), &options,
                                         &asked->executor),
                  "skua_nats_executor_new");
    measure(asked);
    harness_check(skua_executor_shutdown(asked->executor, true, false),
                  "skua_executor_shutdown");
    skua_executor_unref(asked->executor);
    return 0;
}

static void answer(struct harness *harness, const struct question *question)
{
    struct asked asked = {.harness = harness, .question = question};

    asked.us = calloc((size_t)harness->count, sizeof(*asked.us));
    harness_check(asked.us == NULL ? -ENOMEM : 0, "calloc");
    if (question->raw) {
        natsOptions *options = NULL;

        (void)natsOptions_Create(&options);
        (void)natsOptions_SetURL(options, server_url);
        (void)natsOptions_SetSendAsap(options, question->window == 1);
        harness_check(natsConnection_Connect(&asked.connection, options) ==
                              NATS_OK
                          ? 0
                          : -EIO,
                      "natsConnection_Connect");
        measure(&asked);
        natsConnection_Destroy(asked.connection);
        natsOptions_Destroy(options);
    } else {
        harness_run(harness, NULL, measure_in_task, &asked);
    }
    free(asked.us);
}

int main(int argc, char **argv)
{
    static const struct question questions[] = {
        {"mode=raw,jobs=1", true, false, 1},
        {"mode=call,jobs=1", false, false, 1},
        {"mode=raw,jobs=256", true, false, WINDOW},
        {"mode=call,jobs=256", false, false, WINDOW},
        {"mode=durable,jobs=1", false, true, 1},
        {"mode=durable,jobs=256", false, true, WINDOW},
    };
    struct harness harness = {
        .question = "nats",
        .count = 2000,
        .loops = 1,
    };
    char store[] = "/tmp/skua-perf-nats-XXXXXX";
    pid_t children[4];
    int durable = 1;

    harness_start(&harness, argc, argv);
    harness.loops = 1;
    harness_check(mkdtemp(store) == NULL ? -errno : 0, "mkdtemp");
    (void)snprintf(server_url, sizeof(server_url), "nats://127.0.0.1:%d",
                   20000 + (int)(getpid() % 20000));
    children[0] = start(run_server, store);
    (void)sleep(1); /* it has no other way to say that it listens */
    children[1] = start(run_raw, NULL);
    children[2] = start(run_worker, NULL);
    children[3] = start(run_worker, &durable);
    (void)sleep(1);
    (void)skua_function_register("perf.echo", echo);
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        answer(&harness, &questions[i]);
    }
    for (int i = 3; i >= 0; i--) {
        (void)kill(children[i], SIGKILL);
        (void)waitpid(children[i], NULL, 0);
    }
    (void)execlp("rm", "rm", "-r", "--", store, (char *)NULL);
    return 1;
}
