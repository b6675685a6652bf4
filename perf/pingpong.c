/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pingpong.c - how long is a round trip between two tasks over futures?
 *
 * Both on one loop, or each pinned to a loop of its own. The futures are
 * either made beforehand (futures=ready: the signalling alone) or one by one
 * by the side that is going to wait (futures=fresh). The first rounds are not
 * counted, so that both loops are awake. The floor are two words of memory that
 * two threads on cores 0 and 1 write in turn.
 *
 * After sleep: what it takes one way, when both loops have had nothing to do
 * for 5 ms. The floor are two threads that each sleep in epoll_wait() for an
 * eventfd of their own. Loops and threads are pinned to cores 0 and 1.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "harness.h"
#include "histogram.h"

enum { BATCH = 10000, WARM_ROUNDS = 1000 };
enum { GAP_MS = 5, SLEPT_WARM = 5, SLEPT_MIN = 20 };

struct pingpong {
    struct harness *harness;
    const char *spin;
    skua_future *there[BATCH];
    skua_future *back[BATCH];
    skua_future *first; /* fresh: what pong waits for at first */
    skua_future *next;  /* what pong waits for; a reference for ping */
    skua_future *reply; /* the reverse; both are guarded by the turns */
    int64_t spent_ns;
    int64_t rounds;
};

static int ping_ready(void *arg)
{
    struct pingpong *game = arg;
    int64_t start_ns = 0;
    int status = 0;

    for (int i = 0; i < BATCH && status == 0; i++) {
        if (i == WARM_ROUNDS) {
            start_ns = skua_monotonic();
        }
        (void)skua_future_set_result(game->there[i], NULL);
        status = skua_await(game->back[i], NULL);
    }
    game->spent_ns += skua_monotonic() - start_ns;
    game->rounds += BATCH - WARM_ROUNDS;
    return status;
}

static int pong_ready(void *arg)
{
    struct pingpong *game = arg;
    int status = 0;

    for (int i = 0; i < BATCH && status == 0; i++) {
        status = skua_await(game->there[i], NULL);
        (void)skua_future_set_result(game->back[i], NULL);
    }
    return status;
}

/* Complete what the other side waits for, by the reference it handed over. */
static void complete(skua_future *future)
{
    (void)skua_future_set_result(future, NULL);
    skua_future_unref(future);
}

static int ping_fresh(void *arg)
{
    struct pingpong *game = arg;
    int64_t start_ns = 0;
    int status = 0;

    for (int i = 0; i < BATCH && status == 0; i++) {
        skua_future *reply;
        skua_future *there = game->next;

        if (i == WARM_ROUNDS) {
            start_ns = skua_monotonic();
        }
        harness_check(skua_future_new(NULL, &reply), "skua_future_new");
        game->reply = skua_future_ref(reply);
        complete(there);
        status = skua_await(reply, NULL);
        skua_future_unref(reply);
    }
    game->spent_ns += skua_monotonic() - start_ns;
    game->rounds += BATCH - WARM_ROUNDS;
    return status;
}

static int pong_fresh(void *arg)
{
    struct pingpong *game = arg;
    skua_future *mine = game->first;
    int status = 0;

    for (int i = 0; i < BATCH && status == 0; i++) {
        skua_future *reply;

        status = skua_await(mine, NULL);
        skua_future_unref(mine);
        reply = game->reply;
        harness_check(skua_future_new(NULL, &mine), "skua_future_new");
        game->next = skua_future_ref(mine);
        complete(reply);
    }
    skua_future_unref(mine);
    return status;
}

static void play(struct pingpong *game, skua_task_fn *ping, skua_task_fn *pong)
{
    skua_runner *runner = skua_get_running_runner();
    skua_task_options options = {.pinned = true};
    skua_task *tasks[2];
    unsigned other = game->harness->loops_now > 1 ? 1 : 0;

    options.loop = skua_runner_get_loop(runner, other);
    harness_check(skua_create_task_with(&options, pong, game, &tasks[1]),
                  "skua_create_task_with");
    options.loop = skua_runner_get_loop(runner, 0);
    harness_check(skua_create_task_with(&options, ping, game, &tasks[0]),
                  "skua_create_task_with");
    for (int i = 0; i < 2; i++) {
        harness_check(skua_await(tasks[i], NULL), "skua_await");
        skua_future_unref(tasks[i]);
    }
}

static void play_ready(struct pingpong *game)
{
    for (int i = 0; i < BATCH; i++) {
        harness_check(skua_future_new(NULL, &game->there[i]), "new");
        harness_check(skua_future_new(NULL, &game->back[i]), "new");
    }
    play(game, ping_ready, pong_ready);
    for (int i = 0; i < BATCH; i++) {
        skua_future_unref(game->there[i]);
        skua_future_unref(game->back[i]);
    }
}

static void play_fresh(struct pingpong *game)
{
    harness_check(skua_future_new(NULL, &game->first), "skua_future_new");
    game->next = skua_future_ref(game->first);
    play(game, ping_fresh, pong_fresh);
    skua_future_unref(game->next);
}

static void measure(struct pingpong *game, const char *futures,
                    void (*round)(struct pingpong *))
{
    const struct harness *harness = game->harness;
    struct harness_series series;

    harness_series_begin(&series, harness, "ns",
                         "tasks=2,loops=%u,futures=%s,spin=%s",
                         harness->loops_now, futures, game->spin);
    for (int i = 0; i < harness->runs; i++) {
        game->spent_ns = 0;
        game->rounds = 0;
        while (game->rounds < harness->count) {
            round(game);
        }
        harness_series_add(&series,
                           (double)game->spent_ns / (double)game->rounds);
    }
    harness_series_end(&series);
}

static int measure_all(void *arg)
{
    struct pingpong *game = arg;

    measure(game, "ready", play_ready);
    measure(game, "fresh", play_fresh);
    return 0;
}

/* --- the floor, awake --- */

/* Two words, each in a line of its own, that two threads write in turn. */
struct words {
    _Alignas(128) _Atomic(int64_t) there;
    _Alignas(128) _Atomic(int64_t) back;
    int64_t rounds;
};

static void await_word(_Atomic(int64_t) *word, int64_t value)
{
    while (atomic_load_explicit(word, memory_order_acquire) != value) {
    }
}

static void *pong_words(void *arg)
{
    struct words *words = arg;

    harness_pin(1);
    for (int64_t i = 1; i <= words->rounds; i++) {
        await_word(&words->there, i);
        atomic_store_explicit(&words->back, i, memory_order_release);
    }
    return NULL;
}

static void *ping_words(void *arg)
{
    struct words *words = arg;
    pthread_t pong;

    harness_check(-pthread_create(&pong, NULL, pong_words, words),
                  "pthread_create");
    harness_pin(0);
    for (int64_t i = 1; i <= words->rounds; i++) {
        atomic_store_explicit(&words->there, i, memory_order_release);
        await_word(&words->back, i);
    }
    (void)pthread_join(pong, NULL);
    return NULL;
}

static void measure_words(const struct harness *harness)
{
    struct harness_series series;

    harness_series_begin(&series, harness, "ns", "tasks=2,loops=2");
    harness_series_system(&series, "words");
    for (int i = 0; i < harness->runs; i++) {
        struct words words = {.rounds = harness->count};
        int64_t start_ns = skua_monotonic();
        pthread_t thread; /* which may be pinned */

        harness_check(-pthread_create(&thread, NULL, ping_words, &words),
                      "pthread_create");
        (void)pthread_join(thread, NULL);
        harness_series_add(&series, (double)(skua_monotonic() - start_ns) /
                                        (double)harness->count);
    }
    harness_series_end(&series);
}

/* --- after sleep --- */

/* Two sides, 0 and 1; whose turn it is owns what they share. */
struct slept {
    const struct harness *harness;
    struct histogram *latency;
    skua_future *turns[2]; /* tasks: what each side waits for */
    int events[2];         /* threads: the same as eventfds ... */
    int epolls[2];         /* ... and where each side waits */
    int64_t end_ns;
    int64_t rounds;
    int64_t sent_ns;
    bool over;
};

/* Before side 0 begins a round: whether it is the last one. */
static void begin_round(struct slept *slept)
{
    slept->over = slept->rounds >= SLEPT_WARM + SLEPT_MIN &&
                  harness_now_ns() >= slept->end_ns;
    slept->sent_ns = skua_monotonic();
}

static void note_arrival(struct slept *slept)
{
    int64_t now_ns = skua_monotonic();

    if (++slept->rounds > SLEPT_WARM) {
        histogram_add(slept->latency, now_ns - slept->sent_ns);
    }
}

static skua_future *new_turn(void)
{
    skua_future *turn;

    harness_check(skua_future_new(NULL, &turn), "skua_future_new");
    return turn;
}

static void await_turn(struct slept *slept, int side)
{
    harness_check(skua_await(slept->turns[side], NULL), "skua_await");
}

/* By `side`, between its turn and giving the other one its turn. */
static void renew_turn(struct slept *slept, int side)
{
    skua_future_unref(slept->turns[side]);
    slept->turns[side] = new_turn();
}

static void give_turn(struct slept *slept, int side)
{
    complete(skua_future_ref(slept->turns[side]));
}

static int ping_slept(void *arg)
{
    struct slept *slept = arg;

    harness_pin(0);
    while (!slept->over) {
        harness_check(skua_sleep(GAP_MS * SKUA_MS), "skua_sleep");
        begin_round(slept);
        give_turn(slept, 1);
        await_turn(slept, 0);
        renew_turn(slept, 0);
    }
    return 0;
}

static int pong_slept(void *arg)
{
    struct slept *slept = arg;
    bool over = false;

    harness_pin(1);
    while (!over) {
        await_turn(slept, 1);
        note_arrival(slept);
        renew_turn(slept, 1);
        over = slept->over; /* the other side owns it from now on */
        give_turn(slept, 0);
    }
    return 0;
}

static int play_tasks(void *arg)
{
    struct slept *slept = arg;
    skua_task_options options = {.pinned = true};
    skua_task *tasks[2];

    slept->turns[0] = new_turn();
    slept->turns[1] = new_turn();
    for (int i = 1; i >= 0; i--) {
        options.loop =
            skua_runner_get_loop(skua_get_running_runner(), (unsigned)i);
        harness_check(skua_create_task_with(&options,
                                            i == 0 ? ping_slept : pong_slept,
                                            slept, &tasks[i]),
                      "skua_create_task_with");
    }
    for (int i = 0; i < 2; i++) {
        harness_check(skua_await(tasks[i], NULL), "skua_await");
        skua_future_unref(tasks[i]);
        skua_future_unref(slept->turns[i]);
    }
    return 0;
}

/* Loop 0 is in this thread. */
static void *run_tasks(void *arg)
{
    const skua_runner_options options = {.loops = 2};

    harness_check(skua_run_with(&options, play_tasks, arg, NULL),
                  "skua_run_with");
    return NULL;
}

/* Sleep until the turn of `side`, or until `timeout_ms` is over. */
static void wait_event(const struct slept *slept, int side, int timeout_ms)
{
    struct epoll_event event;
    int count;

    do {
        count = epoll_wait(slept->epolls[side], &event, 1, timeout_ms);
    } while (count < 0 && errno == EINTR);
    if (count > 0) {
        eventfd_t value;

        (void)eventfd_read(slept->events[side], &value);
    }
}

static void *pong_thread(void *arg)
{
    struct slept *slept = arg;
    bool over = false;

    harness_pin(1);
    while (!over) {
        wait_event(slept, 1, -1);
        note_arrival(slept);
        over = slept->over;
        (void)eventfd_write(slept->events[0], 1);
    }
    return NULL;
}

static void *run_threads(void *arg)
{
    struct slept *slept = arg;
    pthread_t pong;

    for (int i = 0; i < 2; i++) {
        struct epoll_event event = {.events = EPOLLIN};

        slept->events[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        slept->epolls[i] = epoll_create1(EPOLL_CLOEXEC);
        if (epoll_ctl(slept->epolls[i], EPOLL_CTL_ADD, slept->events[i],
                      &event) != 0) {
            harness_check(-errno, "epoll_ctl");
        }
    }
    harness_check(-pthread_create(&pong, NULL, pong_thread, slept),
                  "pthread_create");
    harness_pin(0);
    while (!slept->over) {
        wait_event(slept, 0, GAP_MS);
        begin_round(slept);
        (void)eventfd_write(slept->events[1], 1);
        wait_event(slept, 0, -1);
    }
    (void)pthread_join(pong, NULL);
    for (int i = 0; i < 2; i++) {
        (void)close(slept->events[i]);
        (void)close(slept->epolls[i]);
    }
    return NULL;
}

/* In a thread of its own, which may be pinned. */
static void run_slept(struct slept *slept, void *(*run)(void *),
                      struct harness_series series[2])
{
    pthread_t thread;

    histogram_clear(slept->latency);
    slept->rounds = 0;
    slept->over = false;
    slept->end_ns = harness_now_ns() + slept->harness->duration_ms * SKUA_MS;
    harness_check(-pthread_create(&thread, NULL, run, slept), "pthread_create");
    (void)pthread_join(thread, NULL);
    harness_series_add(&series[0],
                       (double)histogram_percentile(slept->latency, 50) / 1e3);
    harness_series_add(&series[1],
                       (double)histogram_percentile(slept->latency, 99) / 1e3);
}

static void begin_slept(const struct harness *harness, const char *system,
                        struct harness_series series[2])
{
    static const char *const names[2] = {"p50", "p99"};

    for (int i = 0; i < 2; i++) {
        harness_series_begin(&series[i], harness, "us",
                             "tasks=2,loops=2,after_sleep_ms=%d,one-way,%s",
                             GAP_MS, names[i]);
        harness_series_system(&series[i], system);
    }
}

static void measure_slept(const struct harness *harness)
{
    struct slept slept = {.harness = harness, .latency = histogram_new()};
    struct harness_series tasks[2];
    struct harness_series threads[2];

    harness_check(slept.latency == NULL ? -ENOMEM : 0, "histogram_new");
    begin_slept(harness, "skua", tasks);
    begin_slept(harness, "eventfd", threads);
    for (int i = 0; i < harness->runs; i++) {
        run_slept(&slept, run_tasks, tasks);
        run_slept(&slept, run_threads, threads);
    }
    for (int i = 0; i < 2; i++) {
        harness_series_end(&tasks[i]);
        harness_series_end(&threads[i]);
    }
    free(slept.latency);
}

static void measure_awake(struct pingpong *game)
{
    const skua_runner_options spinning = {.spin = SKUA_SPIN_FIXED};

    game->spin = "adaptive";
    harness_run(game->harness, NULL, measure_all, game);
    game->spin = "fixed";
    harness_run(game->harness, &spinning, measure_all, game);
    if (game->harness->loops != 1) {
        measure_words(game->harness);
    }
}

int main(int argc, char **argv)
{
    static const char *const variants[] = {"awake", "slept", NULL};
    struct harness harness = {
        .question = "pingpong",
        .count = 100000,
        .duration_ms = 1000,
        .variants = variants,
    };
    static struct pingpong game;

    harness_start(&harness, argc, argv);
    game.harness = &harness;
    if (harness_wants(&harness, "awake")) {
        measure_awake(&game);
    }
    if (harness_wants(&harness, "slept") && harness.loops != 1) {
        measure_slept(&harness);
    }
    return 0;
}
