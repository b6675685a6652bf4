/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prime_test.c - asks prime_service.c from within: a few hundred questions on
 * several connections, whose answers a sieve knows; then what it refuses; then
 * it ends the service while a question is open.
 */
#include "prime_test.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    CLIENTS = 8,
    QUESTIONS = 50, /* of each */
    LARGEST = 20000,
    ANSWER_BYTES = 2048,
    PATIENCE_S = 30,
    WAITS_MAX = 4096,
    TRIES_MAX = 1000,
};

/* What the answers are. */
static struct {
    bool is_prime[LARGEST + 1];
    unsigned below[LARGEST + 1];
} sieve;

static void sieve_fill(void)
{
    unsigned count = 0;

    for (unsigned n = 2; n <= LARGEST; n++) {
        sieve.is_prime[n] = true;
    }
    for (unsigned n = 2; n * n <= LARGEST; n++) {
        for (unsigned m = n * n; sieve.is_prime[n] && m <= LARGEST; m += n) {
            sieve.is_prime[m] = false;
        }
    }
    for (unsigned n = 0; n <= LARGEST; n++) {
        sieve.below[n] = count;
        count += sieve.is_prime[n];
    }
}

static bool check(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "self-test: not so: %s\n", what);
    }
    return condition;
}

int prime_test_wait(const void *data, size_t bytes, skua_reply *reply)
{
    (void)data;
    (void)bytes;
    (void)reply;
    while (!skua_work_should_stop()) {
        (void)usleep(1000);
    }
    return -EINTR;
}

/* --- a client ----------------------------------------------------------- */

struct client {
    const struct prime_test *test;
    skua_socket *socket;
    int code; /* of the last answer */
    const char *body;
    char text[ANSWER_BYTES]; /* the last answer */
};

static int client_open(struct client *client, const struct prime_test *test)
{
    client->test = test;
    return skua_sock_connect(test->host, test->port, &client->socket);
}

static void client_close(struct client *client)
{
    skua_socket_unref(client->socket);
    client->socket = NULL;
}

static int client_ask(struct client *client, const char *method,
                      const char *target)
{
    char text[256];
    int bytes = snprintf(text, sizeof(text),
                         "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", method, target);

    return skua_sock_sendall(client->socket, text, (size_t)bytes);
}

/* How long the answer is, once its head is there; else 0. */
static size_t answer_bytes(struct client *client)
{
    char *end = strstr(client->text, "\r\n\r\n");
    const char *length = strcasestr(client->text, "\r\ncontent-length:");

    if (end == NULL || length == NULL) {
        return 0;
    }
    client->body = end + 4;
    return (size_t)(end + 4 - client->text) +
           strtoul(length + strlen("\r\ncontent-length:"), NULL, 10);
}

/* The next answer, one at a time. */
static int client_read(struct client *client)
{
    int64_t limit_ns = skua_monotonic() + PATIENCE_S * SKUA_S;
    size_t filled = 0;
    size_t whole = 0;

    client->text[0] = '\0';
    while (whole == 0 || filled < whole) {
        ssize_t got = skua_sock_recv_into_until(
            client->socket, client->text + filled,
            sizeof(client->text) - 1 - filled, limit_ns);

        if (got <= 0) {
            return got < 0 ? (int)got : SKUA_EOF;
        }
        filled += (size_t)got;
        client->text[filled] = '\0';
        whole = answer_bytes(client);
    }
    if (strncmp(client->text, "HTTP/1.1 ", 9) != 0) {
        return -EPROTO;
    }
    client->code = (int)strtol(client->text + 9, NULL, 10);
    return 0;
}

/* Ask, and compare code and, if not NULL, body. */
static bool expect(struct client *client, const char *target, int code,
                   const char *body)
{
    int status = client_ask(client, "GET", target);

    if (status == 0) {
        status = client_read(client);
    }
    if (status < 0 || client->code != code ||
        (body != NULL && strcmp(client->body, body) != 0)) {
        (void)fprintf(stderr, "self-test: %s: %d %s, %s", target, client->code,
                      skua_strerror(status < 0 ? status : 0), client->text);
        return check(false, target);
    }
    return true;
}

/* --- questions ---------------------------------------------------------- */

static bool expect_below(struct client *client, unsigned below)
{
    char target[64];
    char body[96];

    (void)snprintf(target, sizeof(target), "/primes?below=%u", below);
    (void)snprintf(body, sizeof(body), "{\"below\":%u,\"primes\":%u}\n", below,
                   sieve.below[below]);
    return expect(client, target, 200, body);
}

static bool expect_prime(struct client *client, unsigned number)
{
    char target[64];
    char body[96];

    (void)snprintf(target, sizeof(target), "/prime/%u", number);
    (void)snprintf(body, sizeof(body), "{\"number\":%u,\"prime\":%s}\n", number,
                   sieve.is_prime[number] ? "true" : "false");
    return expect(client, target, 200, body);
}

static int ask_many(void *arg)
{
    struct client client = {.socket = NULL};
    bool good = client_open(&client, arg) == 0;
    unsigned number = 1;

    for (unsigned i = 0; good && i < QUESTIONS; i++) {
        number = (number * 7919 + i) % (LARGEST + 1);
        good = i % 2 == 0 ? expect_below(&client, number)
                          : expect_prime(&client, number);
    }
    client_close(&client);
    return good ? 0 : -EPROTO;
}

static bool test_answers(struct prime_test *test)
{
    skua_task_group group = {0};
    int status = 0;

    for (int i = 0; status == 0 && i < CLIENTS; i++) {
        status = skua_task_group_create_task(&group, ask_many, test);
    }
    return check(skua_task_group_join(&group) == 0 && status == 0,
                 "all answers are right");
}

static bool test_bad_requests(struct client *client)
{
    return expect(client, "/prime/999999999999989", 200,
                  "{\"number\":999999999999989,\"prime\":true}\n") &&
           expect(client, "/", 404, NULL) &&
           expect(client, "/prime/", 400, NULL) &&
           expect(client, "/prime/-1", 400, NULL) &&
           expect(client, "/prime/1000000000000001", 400, NULL) &&
           expect(client, "/prime/99999999999999999999999", 400, NULL) &&
           expect(client, "/primes", 400, NULL) &&
           expect(client, "/primes?below=", 400, NULL) &&
           expect(client, "/primes?below=10000001", 400, NULL) &&
           expect(client, "/primes?below=10&within=0", 400, NULL) &&
           check(client_ask(client, "DELETE", "/prime/7") == 0 &&
                     client_read(client) == 0 && client->code == 405,
                 "only GET");
}

/* Too late: that much cannot be counted in a millisecond. */
static bool test_late(struct client *client)
{
    return expect(client, "/primes?below=10000000&within=1", 504, NULL) &&
           expect(client, "/prime/7?within=5000", 200, NULL);
}

/* Work that waits to be told to stop. */
struct waits {
    skua_cancel_token *token;
    size_t count;
    skua_future *futures[WAITS_MAX];
};

/* Submit as many as the executor takes. */
static void waits_fill(struct waits *waits, skua_executor *executor)
{
    const skua_work work = {.name = PRIME_TEST_WAIT};
    const skua_submit_options options = {.token = waits->token};

    while (waits->count < WAITS_MAX &&
           skua_executor_submit_work(executor, &work, &options,
                                     &waits->futures[waits->count]) == 0) {
        waits->count++;
    }
}

static bool waits_end(struct waits *waits)
{
    bool good = true;

    (void)skua_cancel_token_cancel(waits->token);
    for (size_t i = 0; i < waits->count; i++) {
        int status = skua_await(waits->futures[i], NULL);

        good = check(status == -EINTR || status == SKUA_ECANCELED,
                     "work is told to stop, wherever it is") &&
               good;
        skua_future_unref(waits->futures[i]);
    }
    return good;
}

/* Ask until the answer has that code: a place in the queue may become free, or
 * is free, a moment later than what it was taken for. */
static bool expect_soon(struct client *client, int code, struct waits *waits)
{
    client->code = 0;
    for (int i = 0; client->code != code && i < TRIES_MAX; i++) {
        if (waits != NULL) {
            waits_fill(waits, client->test->executor);
        } else {
            (void)skua_sleep(1 * SKUA_MS);
        }
        if (client_ask(client, "GET", "/prime/7?within=500") < 0 ||
            client_read(client) < 0) {
            return false;
        }
    }
    return client->code == code;
}

static bool test_full_with(struct client *client, struct waits *waits)
{
    bool good = check(expect_soon(client, 503, waits), "503 when it is full") &&
                check(waits->count < WAITS_MAX, "the queue is bounded") &&
                check(strcasestr(client->text, "\r\nretry-after:") != NULL,
                      "503 says when to try again") &&
                expect(client, "/stats", 200, NULL);

    return waits_end(waits) && good &&
           check(expect_soon(client, 200, NULL), "200 when it is not");
}

static bool test_full(struct client *client)
{
    struct waits *waits = skua_allocate(sizeof(*waits));
    bool good = check(waits != NULL, "memory");

    if (good) {
        waits->count = 0;
        waits->token = NULL;
        good =
            check(skua_cancel_token_new(NULL, &waits->token) == 0, "a token") &&
            test_full_with(client, waits);
        skua_cancel_token_unref(waits->token);
    }
    skua_release(waits);
    return good;
}

static bool test_stats(struct client *client)
{
    return expect(client, "/stats", 200, NULL) &&
           check(strstr(client->body, "\"200\":0") == NULL &&
                     strstr(client->body, "\"500\":0,") != NULL &&
                     strstr(client->body, "\"503\":0") == NULL &&
                     strstr(client->body, "\"504\":0") == NULL,
                 "it counts what it answers");
}

static int64_t submitted(const struct client *client)
{
    skua_executor_stats stats = {0};

    (void)skua_executor_get_stats(client->test->executor, &stats);
    return stats.submitted;
}

/* What is under way at the signal is answered. */
static bool test_drain(struct client *client)
{
    int64_t before = submitted(client);

    if (!check(client_ask(client, "GET", "/primes?below=1000000") == 0,
               "asking once more")) {
        return false;
    }
    while (submitted(client) == before) {
        (void)skua_sleep(1 * SKUA_MS);
    }
    (void)kill(getpid(), SIGTERM);
    return check(client_read(client) == 0 && client->code == 200 &&
                     strstr(client->body, "\"primes\":78498}") != NULL,
                 "what is under way is answered");
}

int prime_test_run(void *arg)
{
    struct prime_test *test = arg;
    struct client client = {.socket = NULL};
    bool good;

    sieve_fill();
    good = check(client_open(&client, test) == 0, "connecting") &&
           test_answers(test) && test_bad_requests(&client) &&
           test_late(&client) && test_full(&client) && test_stats(&client);
    if (good) {
        good = test_drain(&client);
    } else {
        (void)kill(getpid(), SIGTERM);
    }
    client_close(&client);
    test->passed = good;
    printf("self-test: %s\n", good ? "good" : "bad");
    return 0;
}
