/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pingpong.c - how long is a round trip between two tasks over futures?
 *
 * Both on one loop, or each pinned to a loop of its own. The futures are
 * either made beforehand (futures=ready: the signalling alone) or one by one
 * by the side that is going to wait (futures=fresh). The first rounds are not
 * counted, so that both loops are awake.
 */
#include <stdbool.h>

#include "harness.h"

enum { BATCH = 10000, WARM_ROUNDS = 1000 };

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

int main(int argc, char **argv)
{
    const skua_runner_options spinning = {.spin = SKUA_SPIN_FIXED};
    struct harness harness = {.question = "pingpong", .count = 100000};
    static struct pingpong game;

    harness_start(&harness, argc, argv);
    game.harness = &harness;
    game.spin = "adaptive";
    harness_run(&harness, NULL, measure_all, &game);
    game.spin = "fixed";
    harness_run(&harness, &spinning, measure_all, &game);
    return 0;
}
