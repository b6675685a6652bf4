/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prime_service.c - HTTP in, CPU work elsewhere, JSON out:
 *
 *   prime_service [--executor threads|processes|nats] [--nats URLS]
 *                 [--workers N] [--queue N] [--deadline-ms N]
 *                 [--host H] [--port P] [--loops N]
 *   prime_service --self-test [--executor threads|processes|nats] [--nats URLS]
 *   prime_service --worker [--workers N] [--nats URLS]
 *
 *   /primes?below=N   how many primes there are below N, up to 10,000,000
 *   /prime/N          whether N is one, up to 10^15
 *   /stats            the executor's gauges, and what was answered
 *
 * The loops read, answer and wait; what computes is a function that has a name,
 * with bytes in and out, so that it runs in whatever executor --executor says.
 * Both take "&within=MS" or "?within=MS", a shorter time than --deadline-ms.
 *
 * The queue is bounded: when it is full the answer is 503, at once, for who
 * waits longer only makes it worse. Each request has a deadline: then the
 * answer is 504, and a token tells its work to stop. At SIGTERM or SIGINT no
 * connections are taken, what is under way is answered, and the program ends.
 *
 * With nats the work goes to workers on any number of machines, which are the
 * third form; at a signal they finish what they have.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skua.h>

#include "http.h"
#include "prime_test.h"
#include "service.h"

#define BELOW_MAX UINT64_C(10000000)
#define NUMBER_MAX UINT64_C(1000000000000000)

enum {
    NUMBER_BYTES = 24,
    STEPS = 4096,        /* between two looks whether to stop */
    DRAIN_S = 10,        /* for work that is under way at the end */
    DRAIN_STOPPED_S = 5, /* and then for work that was told to stop */
    DEADLINE_MS = 10000,
    DEADLINE_MS_MAX = 3600 * 1000,
};

/* Constant while it serves, but for the counts. */
static struct {
    const char *kind; /* of executor */
    const char *nats; /* servers; NULL: one on this machine */
    long workers;     /* 0: as many as cores */
    long queue;       /* more that wait; 0: 64 */
    long deadline_ms;
    bool tests;     /* the program tests itself */
    bool is_worker; /* it computes for others */

    skua_executor *executor;
    skua_cancel_token *stop; /* of all work */
    atomic_bool draining;
    atomic_int busy; /* requests under way */
    skua_event idle; /* set when there are none, while draining */

    atomic_llong answered; /* with 200 */
    atomic_llong refused;  /* with 503 */
    atomic_llong late;     /* with 504 */
    atomic_llong failed;   /* with 500 */

    struct prime_test test;
    skua_nats_worker *worker; /* of the test */
    skua_task *test_task;
} self = {.kind = "threads", .queue = 64, .deadline_ms = DEADLINE_MS};

/* --- the work ----------------------------------------------------------- */

/* Digits, all of it. */
static bool parse_digits(const char *text, size_t bytes, uint64_t most,
                         uint64_t *out_number)
{
    uint64_t number = 0;

    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9' || number > most) {
            return false;
        }
        number = 10 * number + (uint64_t)(text[i] - '0');
    }
    *out_number = number;
    return bytes > 0 && number <= most;
}

/* 1, 0, or -EINTR when the work is to stop. `steps` is the caller's count. */
static int is_prime(uint64_t number, unsigned *steps)
{
    if (number < 4) {
        return number > 1;
    }
    if (number % 2 == 0) {
        return 0;
    }
    for (uint64_t divisor = 3; divisor * divisor <= number; divisor += 2) {
        if (number % divisor == 0) {
            return 0;
        }
        if (++*steps % STEPS == 0 && skua_work_should_stop()) {
            return -EINTR;
        }
    }
    return 1;
}

static int reply_number(skua_reply *reply, uint64_t number)
{
    char text[NUMBER_BYTES];
    int bytes = snprintf(text, sizeof(text), "%" PRIu64, number);

    return skua_reply_write(reply, text, (size_t)bytes);
}

/* "primes.count": a number in digits, and so is the answer. */
static int count_primes(const void *data, size_t bytes, skua_reply *reply)
{
    uint64_t count = 0;
    unsigned steps = 0;
    uint64_t below;

    if (!parse_digits(data, bytes, BELOW_MAX, &below)) {
        return -EINVAL;
    }
    for (uint64_t number = 2; number < below; number++) {
        int status = is_prime(number, &steps);

        if (status < 0) {
            return status;
        }
        count += (uint64_t)status;
    }
    return reply_number(reply, count);
}

/* "primes.test": as above; the answer is 0 or 1. */
static int test_prime(const void *data, size_t bytes, skua_reply *reply)
{
    unsigned steps = 0;
    uint64_t number;
    int status;

    if (!parse_digits(data, bytes, NUMBER_MAX, &number)) {
        return -EINVAL;
    }
    status = is_prime(number, &steps);
    return status < 0 ? status : reply_number(reply, (uint64_t)status);
}

static int register_functions(void)
{
    int status = skua_function_register("primes.count", count_primes);

    if (status == 0) {
        status = skua_function_register("primes.test", test_prime);
    }
    if (status == 0 && self.tests) {
        status = skua_function_register(PRIME_TEST_WAIT, prime_test_wait);
    }
    return status;
}

/* --- executors ---------------------------------------------------------- */

static bool kind_is_known(const char *kind)
{
    return strcmp(kind, "threads") == 0 || strcmp(kind, "processes") == 0 ||
           strcmp(kind, "nats") == 0;
}

static int make_threads(void)
{
    const skua_thread_pool_options options = {
        .max_workers = (int)self.workers,
        .name_prefix = "primes",
        .max_queued = (size_t)self.queue,
        .policy = SKUA_QUEUE_REJECT,
    };

    return skua_thread_pool_executor_new(&options, &self.executor);
}

static int make_processes(void)
{
    const skua_process_pool_options options = {
        .max_workers = (int)self.workers,
        .max_queued = (size_t)self.queue,
        .policy = SKUA_QUEUE_REJECT,
        .restart = SKUA_RESTART_ALWAYS,
    };

    return skua_process_pool_executor_new(&options, &self.executor);
}

static skua_nats_worker_options worker_options(void)
{
    const skua_nats_worker_options options = {
        .nats = {.urls = self.nats, .name = "prime_service"},
        .workers = (int)self.workers,
    };

    return options;
}

/* On the loop of the main task; the test needs no other worker than its own. */
static int make_nats(void)
{
    const skua_nats_executor_options options = {
        .nats = {.urls = self.nats, .name = "prime_service"},
        .max_in_flight = (size_t)self.workers,
        .max_queued = (size_t)self.queue,
        .policy = SKUA_QUEUE_REJECT,
    };
    const skua_nats_worker_options worker = worker_options();
    skua_loop *loop = skua_get_running_loop();
    int status = skua_nats_executor_new(loop, &options, &self.executor);

    if (status == 0 && self.tests) {
        status = skua_nats_worker_new(loop, &worker, &self.worker);
    }
    return status;
}

/* In the main task. */
static int start(void)
{
    int status = skua_cancel_token_new(NULL, &self.stop);

    if (status < 0) {
        return status;
    }
    if (strcmp(self.kind, "nats") == 0) {
        return make_nats();
    }
    return strcmp(self.kind, "processes") == 0 ? make_processes()
                                               : make_threads();
}

/* --- requests ----------------------------------------------------------- */

/* A piece of work with its limits. */
struct call {
    const char *function;
    char input[NUMBER_BYTES]; /* digits */
    int64_t deadline_ns;
    char output[NUMBER_BYTES]; /* what it answered, digits */
};

/* Wait until it is done, or late: then it is told to stop. */
static int call_finish(struct call *call, skua_future *future,
                       skua_cancel_token *token)
{
    int status = skua_await_until(future, call->deadline_ns, NULL);
    const void *data;
    size_t bytes;

    if (status < 0) {
        (void)skua_cancel_token_cancel(token);
        return status;
    }
    (void)skua_future_bytes(future, &data, &bytes);
    if (bytes >= sizeof(call->output)) {
        return -EPROTO;
    }
    memcpy(call->output, data, bytes);
    call->output[bytes] = '\0';
    return 0;
}

static int call_run(struct call *call)
{
    const skua_work work = {.name = call->function,
                            .data = call->input,
                            .bytes = strlen(call->input)};
    skua_submit_options options = {.deadline_ns = call->deadline_ns};
    skua_future *future;
    int status = skua_cancel_token_new(self.stop, &options.token);

    if (status < 0) {
        return status;
    }
    status = skua_executor_submit_work(self.executor, &work, &options, &future);
    if (status == 0) {
        status = call_finish(call, future, options.token);
        skua_future_unref(future);
    }
    skua_cancel_token_unref(options.token);
    return status;
}

/* What a call that has failed is answered with. */
static int code_of(int status)
{
    switch (status) {
    case -ETIMEDOUT: /* it waited for too long */
    case -EINTR:     /* it was told to stop */
        self.late++;
        return 504;
    case -EAGAIN: /* the queue is full */
    case SKUA_ECLOSED:
    case SKUA_ECANCELED: /* the service ends */
    case SKUA_EBROKENPOOL:
    case -EHOSTUNREACH: /* no worker */
        self.refused++;
        return 503;
    default:
        self.failed++;
        return 500;
    }
}

/* Answer, and let the answer go out: the service may be about to end. */
static int respond_json(struct http_connection *connection,
                        const struct http_request *request, const char *body)
{
    int status;

    if (self.draining) {
        http_close_after(connection);
    }
    status = http_respond(connection, request, 200, "application/json", body,
                          strlen(body));
    return status < 0 ? status : http_flush(connection);
}

static int respond_failed(struct http_connection *connection,
                          const struct http_request *request, int code)
{
    int status;

    if (self.draining) {
        http_close_after(connection);
    }
    status = http_respond_code(connection, request, code);
    return status < 0 ? status : http_flush(connection);
}

/* The value of `name` in a query. @return its length; 0: there is none */
static size_t query_find(const char *query, const char *end, const char *name,
                         const char **out_value)
{
    size_t name_bytes = strlen(name);

    while (query < end) {
        const char *next = memchr(query, '&', (size_t)(end - query));

        next = next == NULL ? end : next;
        if ((size_t)(next - query) > name_bytes &&
            memcmp(query, name, name_bytes) == 0 && query[name_bytes] == '=') {
            *out_value = query + name_bytes + 1;
            return (size_t)(next - *out_value);
        }
        query = next + 1;
    }
    return 0;
}

/* When it is too late, by the query or the service. False: bad request. */
static bool call_set_deadline(struct call *call, const char *query,
                              const char *end)
{
    uint64_t within = (uint64_t)self.deadline_ms;
    const char *value;
    size_t bytes = query_find(query, end, "within", &value);

    if (bytes > 0 && (!parse_digits(value, bytes, DEADLINE_MS_MAX, &within) ||
                      within == 0)) {
        return false;
    }
    if (within > (uint64_t)self.deadline_ms) {
        within = (uint64_t)self.deadline_ms;
    }
    call->deadline_ns = skua_monotonic() + (int64_t)within * SKUA_MS;
    return true;
}

/* Its input, up to `most`. */
static bool call_set_input(struct call *call, const char *digits, size_t bytes,
                           uint64_t most)
{
    uint64_t number;

    if (!parse_digits(digits, bytes, most, &number)) {
        return false;
    }
    (void)snprintf(call->input, sizeof(call->input), "%" PRIu64, number);
    return true;
}

static int serve_primes(struct http_connection *connection,
                        const struct http_request *request, size_t query_at)
{
    struct call call = {.function = "primes.count"};
    const char *query = request->target + query_at;
    const char *end = request->target + request->target_bytes;
    const char *below = query;
    size_t bytes = query_find(query, end, "below", &below);
    char body[96];
    int status;

    if (!call_set_input(&call, below, bytes, BELOW_MAX) ||
        !call_set_deadline(&call, query, end)) {
        return respond_failed(connection, request, 400);
    }
    status = call_run(&call);
    if (status < 0) {
        return respond_failed(connection, request, code_of(status));
    }
    self.answered++;
    (void)snprintf(body, sizeof(body), "{\"below\":%s,\"primes\":%s}\n",
                   call.input, call.output);
    return respond_json(connection, request, body);
}

static int serve_prime(struct http_connection *connection,
                       const struct http_request *request)
{
    struct call call = {.function = "primes.test"};
    const char *digits = request->target + strlen("/prime/");
    const char *end = request->target + request->target_bytes;
    const char *query = memchr(digits, '?', (size_t)(end - digits));
    char body[96];
    int status;

    query = query == NULL ? end : query;
    if (!call_set_input(&call, digits, (size_t)(query - digits), NUMBER_MAX) ||
        !call_set_deadline(&call, query < end ? query + 1 : end, end)) {
        return respond_failed(connection, request, 400);
    }
    status = call_run(&call);
    if (status < 0) {
        return respond_failed(connection, request, code_of(status));
    }
    self.answered++;
    (void)snprintf(body, sizeof(body), "{\"number\":%s,\"prime\":%s}\n",
                   call.input, call.output[0] == '1' ? "true" : "false");
    return respond_json(connection, request, body);
}

static int serve_stats(struct http_connection *connection,
                       const struct http_request *request)
{
    skua_executor_stats stats = {0};
    char body[512];

    (void)skua_executor_get_stats(self.executor, &stats);
    (void)snprintf(
        body, sizeof(body),
        "{\"executor\":\"%s\",\"max_workers\":%d,\"workers\":%d,\"idle\":%d,"
        "\"submitted\":%" PRId64 ",\"queued\":%" PRId64
        ",\"queued_most\":%" PRId64 ",\"rejected\":%" PRId64
        ",\"restarted\":%" PRId64 ",\"requests\":{\"200\":%lld,\"500\":%lld,"
        "\"503\":%lld,\"504\":%lld}}\n",
        self.kind, stats.max_workers, stats.workers, stats.idle,
        stats.submitted, stats.queued, stats.queued_most, stats.rejected,
        stats.restarted, self.answered, self.failed, self.refused, self.late);
    return respond_json(connection, request, body);
}

static int route_path(struct http_connection *connection,
                      const struct http_request *request)
{
    static const char prime[] = "/prime/";
    size_t query;

    if (!request->is_known) {
        return respond_failed(connection, request, 405);
    }
    if (http_is_path(request, "/stats", &query)) {
        return serve_stats(connection, request);
    }
    if (http_is_path(request, "/primes", &query)) {
        return serve_primes(connection, request, query);
    }
    if (request->target_bytes >= sizeof(prime) - 1 &&
        memcmp(request->target, prime, sizeof(prime) - 1) == 0) {
        return serve_prime(connection, request);
    }
    return respond_failed(connection, request, 404);
}

static int route(struct http_connection *connection,
                 const struct http_request *request)
{
    int status = http_flush(connection); /* earlier answers do not wait */

    self.busy++;
    if (status == 0) {
        status = route_path(connection, request);
    }
    if (--self.busy == 0 && self.draining) {
        (void)skua_event_set(&self.idle);
    }
    return status;
}

/* --- the service -------------------------------------------------------- */

static int serve_connection(void *socket)
{
    return http_serve(socket, route);
}

static void print_address(const char *host, int port)
{
    printf("listening on http://%s:%d\n", host, port);
    if (self.tests) {
        self.test.host = host;
        self.test.port = port;
        self.test.executor = self.executor;
        if (skua_create_task(prime_test_run, &self.test, &self.test_task) < 0) {
            abort();
        }
    }
}

/* No more connections come. Work that is under way is answered; what takes too
 * long is told to stop, and answered with that. */
static void drain(void)
{
    int64_t limit_ns = skua_monotonic() + DRAIN_S * SKUA_S;

    self.draining = true;
    if (skua_executor_shutdown_until(self.executor, limit_ns, false) ==
        -ETIMEDOUT) {
        (void)skua_cancel_token_cancel(self.stop);
    }
    limit_ns = skua_monotonic() + DRAIN_STOPPED_S * SKUA_S;
    if (self.busy > 0) {
        (void)skua_event_wait_until(&self.idle, limit_ns);
    }
    if (self.test_task != NULL) {
        (void)skua_await(self.test_task, NULL);
        skua_future_unref(self.test_task);
    }
    (void)skua_executor_shutdown_until(self.executor, limit_ns, true);
    if (self.worker != NULL) {
        (void)skua_nats_worker_drain(self.worker);
        (void)skua_nats_worker_wait(self.worker);
        skua_nats_worker_unref(self.worker);
    }
}

static void finish(void)
{
    skua_executor_unref(self.executor);
    skua_cancel_token_unref(self.stop);
}

/* --- a worker for others ------------------------------------------------ */

struct watch {
    skua_nats_worker *worker;
    skua_loop *loop;
    int signal_fd;
};

static void on_signal(void *arg)
{
    struct watch *watch = arg;

    (void)skua_loop_remove_reader(watch->loop, watch->signal_fd);
    (void)skua_nats_worker_drain(watch->worker);
}

/* In the main task: compute until a signal comes, and finish what it has. */
static int work_for_others(void *arg)
{
    const skua_nats_worker_options options = worker_options();
    struct watch *watch = arg;
    int status;

    watch->loop = skua_get_running_loop();
    status = skua_nats_worker_new(watch->loop, &options, &watch->worker);
    if (status < 0) {
        return status;
    }
    status =
        skua_loop_add_reader(watch->loop, watch->signal_fd, on_signal, watch);
    if (status == 0) {
        status = skua_nats_worker_wait(watch->worker);
        (void)skua_loop_remove_reader(watch->loop, watch->signal_fd);
    }
    skua_nats_worker_unref(watch->worker);
    return status;
}

static int work_until_signal(void)
{
    const skua_runner_options options = {.loops = 1, .no_sigint = true};
    struct watch watch = {.signal_fd = service_open_signals()};
    int status = skua_run_with(&options, work_for_others, &watch, NULL);

    (void)close(watch.signal_fd);
    return status;
}

/* --- the program -------------------------------------------------------- */

static bool parse_count(const char *text, long most, long *out_number)
{
    char *end;

    *out_number = strtol(text, &end, 10);
    return *text != '\0' && *end == '\0' && *out_number > 0 &&
           *out_number <= most;
}

/* An option of this program. 1; 0: it is for service_main(); -1: wrong. */
static int parse_option(const char *name, const char *value)
{
    bool good;

    if (strcmp(name, "--executor") == 0) {
        self.kind = value;
        good = kind_is_known(value);
    } else if (strcmp(name, "--nats") == 0) {
        self.nats = value;
        good = true;
    } else if (strcmp(name, "--workers") == 0) {
        good = parse_count(value, 1024, &self.workers);
    } else if (strcmp(name, "--queue") == 0) {
        good = parse_count(value, 1000000, &self.queue);
    } else if (strcmp(name, "--deadline-ms") == 0) {
        good = parse_count(value, DEADLINE_MS_MAX, &self.deadline_ms);
    } else {
        return 0;
    }
    return good ? 1 : -1;
}

/* Take out what is not for service_main(). @return what is left; -1: wrong */
static int parse_options(int argc, char **argv)
{
    int left = 1;

    for (int i = 1; i < argc; i++) {
        int taken = 0;

        if (strcmp(argv[i], "--self-test") == 0) {
            self.tests = true;
            continue;
        }
        if (strcmp(argv[i], "--worker") == 0) {
            self.is_worker = true;
            continue;
        }
        if (i + 1 < argc) {
            taken = parse_option(argv[i], argv[i + 1]);
        }
        if (taken < 0) {
            return -1;
        }
        if (taken == 0) {
            argv[left++] = argv[i];
            if (i + 1 < argc) {
                argv[left++] = argv[i + 1];
            }
        }
        i++;
    }
    return left;
}

static void print_usage(void)
{
    (void)fprintf(
        stderr,
        "usage: prime_service [--executor threads|processes|nats]"
        " [--nats URLS]\n"
        "       [--workers N] [--queue N] [--deadline-ms N]\n"
        "       [--host H] [--port P] [--loops N] [--self-test | --worker]\n");
}

int main(int argc, char **argv)
{
    static const struct service service = {
        .name = "prime_service",
        .takes_host = true,
        .connection = serve_connection,
        .listening = print_address,
        .starting = start,
        .drain = drain,
    };
    int left;
    int status;

    self.workers = sysconf(_SC_NPROCESSORS_ONLN);
    left = parse_options(argc, argv);
    if (left < 0) {
        print_usage();
        return 2;
    }
    status = register_functions();
    if (status == 0 && strcmp(self.kind, "processes") == 0) {
        status = skua_fork_server_start(); /* before there are threads */
    }
    if (status == 0 && self.is_worker) {
        status = work_until_signal();
    }
    if (status < 0) {
        (void)fprintf(stderr, "prime_service: %s\n", skua_strerror(status));
        return 1;
    }
    if (self.is_worker) {
        return 0;
    }
    status = service_main(&service, left, argv);
    finish();
    return status == 0 && self.tests ? !self.test.passed : status;
}
