/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queues.c - a queue with a limit between producers and workers on all cores,
 * and a priority queue that puts their results in order.
 */
#include <stdio.h>

#include <skua.h>

enum { PRODUCERS = 3, WORKERS = 4, NUMBERS = 100, ROOM = 8 };

struct number {
    int value;
    int square; /* the worker's, until it puts the number on */
};

struct pipeline {
    skua_queue todo;
    skua_queue done;
    skua_task_group workers;
    skua_task_group producers;
    struct number numbers[PRODUCERS][NUMBERS];
};

struct share {
    struct pipeline *pipeline;
    int index;
};

static int by_value(const void *a, const void *b)
{
    const struct number *left = a;
    const struct number *right = b;

    return left->value < right->value ? -1 : left->value > right->value;
}

static int produce(void *arg)
{
    const struct share *share = arg;
    struct pipeline *pipeline = share->pipeline;
    int status = 0;

    for (int i = 0; i < NUMBERS && status == 0; i++) {
        struct number *number = &pipeline->numbers[share->index][i];

        number->value = i * PRODUCERS + share->index;
        status =
            skua_queue_put(&pipeline->todo, number); /* waits for a place */
    }
    return status;
}

static int square(void *arg)
{
    struct pipeline *pipeline = arg;
    int status;

    for (;;) {
        void *item;
        struct number *number;

        status = skua_queue_get(&pipeline->todo, &item);
        if (status < 0) {
            break;
        }
        number = item;
        number->square = number->value * number->value;
        status = skua_queue_put(&pipeline->done, number);
        (void)skua_queue_task_done(&pipeline->todo);
        if (status < 0) {
            break;
        }
    }
    return status == SKUA_ESHUTDOWN ? 0 : status;
}

/* What comes out of the second queue comes in order. */
static int check(struct pipeline *pipeline)
{
    int expected = 0;
    void *item;

    while (skua_queue_get_nowait(&pipeline->done, &item) == 0) {
        const struct number *number = item;

        if (number->value != expected ||
            number->square != expected * expected) {
            return -1;
        }
        expected++;
    }
    return expected;
}

static int start(struct pipeline *pipeline, struct share *shares)
{
    int status = 0;

    for (int i = 0; i < WORKERS && status == 0; i++) {
        status =
            skua_task_group_create_task(&pipeline->workers, square, pipeline);
    }
    for (int i = 0; i < PRODUCERS && status == 0; i++) {
        shares[i] = (struct share){pipeline, i};
        status = skua_task_group_create_task(&pipeline->producers, produce,
                                             &shares[i]);
    }
    return status;
}

static int main_task(void *arg)
{
    struct pipeline *pipeline = arg;
    struct share shares[PRODUCERS];
    int status = start(pipeline, shares);
    int joined;

    if (status < 0) {
        (void)skua_queue_shutdown(&pipeline->todo, true); /* all end now */
    }
    joined = skua_task_group_join(&pipeline->producers);
    status = status < 0 ? status : joined;
    if (status == 0) {
        status = skua_queue_join(&pipeline->todo); /* until all are done */
    }
    (void)skua_queue_shutdown(&pipeline->todo, false); /* workers end */
    joined = skua_task_group_join(&pipeline->workers);
    return status < 0 ? status : joined;
}

int main(void)
{
    static struct pipeline pipeline;
    int status;
    int count;

    (void)skua_queue_init(&pipeline.todo, ROOM);
    (void)skua_priority_queue_init(&pipeline.done, 0, by_value);
    status = skua_run(main_task, &pipeline);
    if (status < 0) {
        fprintf(stderr, "%s\n", skua_strerror(status));
        return 1;
    }
    count = check(&pipeline);
    printf("%d squares in order\n", count);
    (void)skua_queue_fini(&pipeline.todo);
    (void)skua_queue_fini(&pipeline.done);
    return count != PRODUCERS * NUMBERS;
}
