/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gathering.c - several things at once: gather, wait, as_completed, shield, a
 * staggered race, and a blocking call in a thread.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <skua.h>

enum { QUOTES = 3 };

struct quote {
    const char *source;
    int64_t delay_ns;
    int price; /* 0: the source is down */
};

static struct quote quotes[QUOTES] = {
    {"slow", 30 * SKUA_MS, 104},
    {"fast", 5 * SKUA_MS, 101},
    {"down", 10 * SKUA_MS, 0},
};

static int ask(void *arg)
{
    struct quote *quote = arg;
    int status = skua_sleep(quote->delay_ns);

    if (status < 0) {
        return status;
    }
    if (quote->price == 0) {
        return skua_raise(-EHOSTDOWN, "%s does not answer", quote->source);
    }
    return skua_return(&quote->price);
}

static void ask_all(skua_awaitable *awaitables)
{
    for (int i = 0; i < QUOTES; i++) {
        awaitables[i] = skua_awaitable_call(ask, &quotes[i]);
    }
}

/* All answers, errors among them, in the order of the questions. */
static int show_gather(void)
{
    const skua_gather_options options = {.return_exceptions = true};
    skua_gather_result results[QUOTES];
    skua_awaitable awaitables[QUOTES];
    skua_future *gather;
    int status;

    ask_all(awaitables);
    status = skua_gather(awaitables, QUOTES, &options, results, &gather);
    if (status < 0) {
        return status;
    }
    status = skua_await(gather, NULL);
    for (int i = 0; i < QUOTES && status == 0; i++) {
        if (results[i].status < 0) {
            printf("gather: %s\n",
                   skua_exception_message(results[i].exception));
        } else {
            printf("gather: %s says %d\n", quotes[i].source,
                   *(int *)results[i].value);
        }
    }
    skua_future_unref(gather);
    return status == 0 && results[2].status == -EHOSTDOWN ? 0 : -EPROTO;
}

/* The answers as they come. */
static int show_as_completed(void)
{
    skua_as_completed answers;
    skua_awaitable awaitables[QUOTES];
    void *price = NULL;
    int failed = 0;
    int first = 0;
    int count;

    ask_all(awaitables);
    count = skua_as_completed_init(&answers, awaitables, QUOTES, 10 * SKUA_S);
    for (int i = 0; i < count; i++) {
        int status = skua_as_completed_await(&answers, &price);

        if (status == SKUA_ECANCELED) {
            break;
        }
        failed += status < 0 ? 1 : 0;
        if (status == 0) {
            printf("as completed: %d\n", *(int *)price);
            first = first == 0 ? *(int *)price : first;
        }
    }
    skua_as_completed_fini(&answers);
    return count == QUOTES && failed == 1 && first == 101 ? 0 : -EPROTO;
}

/* Whoever comes first; the others are not needed any more. */
static int show_wait(void)
{
    skua_future *tasks[QUOTES];
    bool done[QUOTES];
    int count = 0;
    int status = 0;

    while (count < QUOTES && status == 0) {
        status = skua_create_task(ask, &quotes[count], &tasks[count]);
        count += status == 0 ? 1 : 0;
    }
    if (status == 0) {
        status = skua_wait(tasks, QUOTES, SKUA_S, SKUA_FIRST_COMPLETED, done);
        printf("wait: %d of %d are done\n", status, QUOTES);
    }
    for (int i = 0; i < count; i++) {
        (void)skua_task_cancel(tasks[i]);
    }
    if (count > 0) {
        (void)skua_wait(tasks, (size_t)count, SKUA_FOREVER, SKUA_ALL_COMPLETED,
                        NULL);
    }
    for (int i = 0; i < count; i++) {
        skua_future_unref(tasks[i]);
    }
    return status > 0 && done[1] ? 0 : -EPROTO;
}

/* Ask the next source when the one before fails or takes too long. */
static int show_race(void)
{
    skua_awaitable awaitables[QUOTES];
    void *price = NULL;
    size_t winner = QUOTES;
    int status;

    ask_all(awaitables);
    status = skua_staggered_race(awaitables, QUOTES, 8 * SKUA_MS, &winner,
                                 &price, NULL);
    if (status < 0) {
        return status;
    }
    printf("race: %s won with %d\n", quotes[winner].source, *(int *)price);
    return 0;
}

/* What must not be interrupted goes on when its waiter is cancelled. */
static int wait_shielded(void *task)
{
    skua_future *shield;
    int status = skua_shield(skua_awaitable_future(task), &shield);

    if (status == 0) {
        status = skua_await(shield, NULL);
        skua_future_unref(shield);
    }
    return status;
}

static int show_shield(void)
{
    skua_task *precious;
    skua_task *waiter;
    void *price = NULL;
    int status = skua_create_task(ask, &quotes[1], &precious);

    if (status < 0) {
        return status;
    }
    status = skua_create_task(wait_shielded, precious, &waiter);
    if (status == 0) {
        (void)skua_yield();
        (void)skua_task_cancel(waiter);
        (void)skua_await(waiter, NULL);
        skua_future_unref(waiter);
    }
    status = skua_await(precious, &price);
    if (status == 0) {
        printf("shield: %d all the same\n", *(int *)price);
    }
    skua_future_unref(precious);
    return status;
}

static int block(void *text)
{
    (void)usleep(1000);
    return skua_return(text);
}

static int show_thread(void)
{
    void *text = NULL;
    int status = skua_to_thread(block, "a blocking call is over", &text);

    if (status == 0) {
        printf("thread: %s\n", (const char *)text);
    }
    return status;
}

static int main_task(void *arg)
{
    int (*const shows[])(void) = {show_gather, show_as_completed, show_wait,
                                  show_race,   show_shield,       show_thread};
    int status = 0;

    (void)arg;
    for (size_t i = 0; i < sizeof(shows) / sizeof(shows[0]) && status == 0;
         i++) {
        status = shows[i]();
    }
    return status;
}

int main(void)
{
    return skua_run(main_task, NULL) < 0;
}
