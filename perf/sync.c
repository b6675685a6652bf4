/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.c - what do locks, semaphores, events, queues, groups and time limits
 * cost?
 *
 * Each line is --count operations (default 1,000,000), in ns for one: taking
 * and giving back, setting and clearing, putting and getting; for two tasks at
 * a queue one item from one to the other, for `bounce` one item one way, for
 * children the making, running and joining of one. Who does many operations
 * that need not wait yields now and then (its budget); that is included.
 */
#include <stdint.h>

#include "harness.h"

enum { CHILDREN = 1000, CAPACITY = 1024 };

/* The objects that the tasks share, and how often each uses them. */
struct bench {
    const struct harness *harness;
    int64_t times; /* --count for one task, half of it for each of two */
    skua_lock lock;
    skua_semaphore semaphore;
    skua_event event;
    skua_queue there;
    skua_queue back;
    skua_future *done[CHILDREN]; /* with a result */
    skua_awaitable awaitables[CHILDREN];
    skua_gather_result results[CHILDREN];
};

struct question {
    const char *parameters;
    skua_task_fn *first;  /* takes the bench */
    skua_task_fn *second; /* NULL: the first is called, else both are tasks */
    int64_t capacity;     /* of the queues; 0: unbounded */
    skua_lock_policy policy;
};

static int lock(void *arg)
{
    struct bench *bench = arg;
    int status = 0;

    for (int64_t i = 0; i < bench->times && status == 0; i++) {
        status = skua_lock_acquire(&bench->lock);
        if (status == 0) {
            status = skua_lock_release(&bench->lock);
        }
    }
    return status;
}

/* Let the others run while it has the lock, so that they must wait for it. */
static int lock_yielding(void *arg)
{
    struct bench *bench = arg;
    int status = 0;

    for (int64_t i = 0; i < bench->times && status == 0; i++) {
        status = skua_lock_acquire(&bench->lock);
        if (status == 0) {
            status = skua_yield();
        }
        if (status == 0) {
            status = skua_lock_release(&bench->lock);
        }
    }
    return status;
}

static int semaphore(void *arg)
{
    struct bench *bench = arg;
    int status = 0;

    for (int64_t i = 0; i < bench->times && status == 0; i++) {
        status = skua_semaphore_acquire(&bench->semaphore);
        if (status == 0) {
            status = skua_semaphore_release(&bench->semaphore);
        }
    }
    return status;
}

static int event(void *arg)
{
    struct bench *bench = arg;
    int status = 0;

    for (int64_t i = 0; i < bench->times && status == 0; i++) {
        (void)skua_event_set(&bench->event);
        status = skua_event_wait(&bench->event);
        (void)skua_event_clear(&bench->event);
    }
    return status;
}

static int put_and_get(void *arg)
{
    struct bench *bench = arg;
    void *item;
    int status = 0;

    for (int64_t i = 0; i < bench->times && status == 0; i++) {
        status = skua_queue_put(&bench->there, bench);
        if (status == 0) {
            status = skua_queue_get(&bench->there, &item);
        }
    }
    return status;
}

/* Both sides of a queue move --count items. */
static int produce(void *arg)
{
    struct bench *bench = arg;
    int status = 0;

    for (int64_t i = 0; i < 2 * bench->times && status == 0; i++) {
        status = skua_queue_put(&bench->there, bench);
    }
    return status;
}

static int consume(void *arg)
{
    struct bench *bench = arg;
    void *item;
    int status = 0;

    for (int64_t i = 0; i < 2 * bench->times && status == 0; i++) {
        status = skua_queue_get(&bench->there, &item);
    }
    return status;
}

static int serve(void *arg)
{
    struct bench *bench = arg;
    void *item;
    int status = 0;

    for (int64_t i = 0; i < bench->times && status == 0; i++) {
        status = skua_queue_put(&bench->there, bench);
        if (status == 0) {
            status = skua_queue_get(&bench->back, &item);
        }
    }
    return status;
}

static int answer(void *arg)
{
    struct bench *bench = arg;
    void *item;
    int status = 0;

    for (int64_t i = 0; i < bench->times && status == 0; i++) {
        status = skua_queue_get(&bench->there, &item);
        if (status == 0) {
            status = skua_queue_put(&bench->back, item);
        }
    }
    return status;
}

static int child(void *arg)
{
    (void)arg;
    return 0;
}

static int group(void *arg)
{
    struct bench *bench = arg;
    int status = 0;

    for (int64_t i = 0; i < bench->times && status == 0; i += CHILDREN) {
        skua_task_group children = {0};

        for (int j = 0; j < CHILDREN && status == 0; j++) {
            status = skua_task_group_create_task(&children, child, NULL);
        }
        harness_check(status, "skua_task_group_create_task");
        status = skua_task_group_join(&children);
    }
    return status;
}

static int gather_all(struct bench *bench)
{
    int status = 0;

    for (int64_t i = 0; i < bench->times && status >= 0; i += CHILDREN) {
        skua_future *all;

        status = skua_gather(bench->awaitables, CHILDREN, NULL, bench->results,
                             &all);
        if (status == 0) {
            status = skua_await(all, NULL);
            skua_future_unref(all);
        }
    }
    return status;
}

static int gather(void *arg)
{
    struct bench *bench = arg;

    for (int i = 0; i < CHILDREN; i++) {
        bench->awaitables[i] = skua_awaitable_call(child, NULL);
    }
    return gather_all(bench);
}

static int gather_done(void *arg)
{
    struct bench *bench = arg;

    for (int i = 0; i < CHILDREN; i++) {
        bench->awaitables[i] = skua_awaitable_future(bench->done[i]);
    }
    return gather_all(bench);
}

static int timeout(void *arg)
{
    struct bench *bench = arg;
    int status = 0;

    for (int64_t i = 0; i < bench->times && status == 0; i++) {
        skua_timeout limit = {0};

        status = skua_timeout_enter(&limit, 3600 * SKUA_S);
        if (status == 0) {
            status = skua_await(bench->done[0], NULL);
            status = skua_timeout_exit(&limit, status);
        }
    }
    return status;
}

static int wait_for(void *arg)
{
    struct bench *bench = arg;
    int status = 0;

    for (int64_t i = 0; i < bench->times && status == 0; i++) {
        status = skua_wait_for(skua_awaitable_future(bench->done[0]),
                               3600 * SKUA_S, NULL);
    }
    return status;
}

static const struct question questions[] = {
    {.parameters = "op=lock,tasks=1", .first = lock},
    {.parameters = "op=semaphore,tasks=1", .first = semaphore},
    {.parameters = "op=event,tasks=1", .first = event},
    {.parameters = "op=queue,tasks=1,capacity=1024",
     .first = put_and_get,
     .capacity = CAPACITY},
    {.parameters = "op=queue,tasks=1,capacity=unbounded", .first = put_and_get},
    {.parameters = "op=lock,tasks=2", .first = lock, .second = lock},
    {.parameters = "op=lock+yield,tasks=2",
     .first = lock_yielding,
     .second = lock_yielding},
    {.parameters = "op=barging,tasks=2",
     .first = lock,
     .second = lock,
     .policy = SKUA_LOCK_BARGING},
    {.parameters = "op=barging+yield,tasks=2",
     .first = lock_yielding,
     .second = lock_yielding,
     .policy = SKUA_LOCK_BARGING},
    {.parameters = "op=semaphore,tasks=2",
     .first = semaphore,
     .second = semaphore},
    {.parameters = "op=queue,tasks=2,capacity=1",
     .first = produce,
     .second = consume,
     .capacity = 1},
    {.parameters = "op=bounce,tasks=2,capacity=1",
     .first = serve,
     .second = answer,
     .capacity = 1},
    {.parameters = "op=queue,tasks=2,capacity=1024",
     .first = produce,
     .second = consume,
     .capacity = CAPACITY},
    {.parameters = "op=gather,children=1000", .first = gather},
    {.parameters = "op=gather,children=1000,state=done", .first = gather_done},
    {.parameters = "op=group,children=1000", .first = group},
    {.parameters = "op=timeout,tasks=1", .first = timeout},
    {.parameters = "op=wait_for,tasks=1", .first = wait_for},
};

static int run_both(const struct question *question, struct bench *bench)
{
    skua_task_group both = {0};

    harness_check(skua_task_group_create_task(&both, question->first, bench),
                  question->parameters);
    harness_check(skua_task_group_create_task(&both, question->second, bench),
                  question->parameters);
    return skua_task_group_join(&both);
}

/* One run with fresh objects; returns its ns per operation. */
static double run_once(const struct question *question, struct bench *bench)
{
    const int64_t count = bench->harness->count;
    bool alone = question->second == NULL;
    int64_t start_ns;
    int64_t end_ns;

    bench->times = alone ? count : count / 2;
    harness_check(skua_lock_init(&bench->lock, question->policy), "lock");
    bench->event = (skua_event){0};
    harness_check(skua_semaphore_init(&bench->semaphore, 1), "semaphore");
    harness_check(skua_queue_init(&bench->there, question->capacity), "queue");
    harness_check(skua_queue_init(&bench->back, question->capacity), "queue");
    start_ns = skua_monotonic();
    harness_check(alone ? question->first(bench) : run_both(question, bench),
                  question->parameters);
    end_ns = skua_monotonic();
    harness_check(skua_queue_fini(&bench->there), "skua_queue_fini");
    harness_check(skua_queue_fini(&bench->back), "skua_queue_fini");
    return (double)(end_ns - start_ns) / (double)count;
}

static int measure(void *arg)
{
    static struct bench bench; /* too large for a task's stack */
    const struct harness *harness = arg;

    bench.harness = harness;
    for (int i = 0; i < CHILDREN; i++) {
        harness_check(skua_future_new(NULL, &bench.done[i]), "skua_future_new");
        harness_check(skua_future_set_result(bench.done[i], NULL), "result");
    }
    for (size_t i = 0; i < sizeof(questions) / sizeof(*questions); i++) {
        struct harness_series series;

        harness_series_begin(&series, harness, "ns", "%s,loops=%u",
                             questions[i].parameters, harness->loops_now);
        (void)run_once(&questions[i], &bench);
        for (int run = 0; run < harness->runs; run++) {
            harness_series_add(&series, run_once(&questions[i], &bench));
        }
        harness_series_end(&series);
    }
    for (int i = 0; i < CHILDREN; i++) {
        skua_future_unref(bench.done[i]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct harness harness = {.question = "sync", .count = 1000000};

    harness_start(&harness, argc, argv);
    /* Whole groups, and two even halves. */
    harness.count += (CHILDREN - harness.count % CHILDREN) % CHILDREN;
    harness_run(&harness, NULL, measure, &harness);
    return 0;
}
