/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threads.c - foreign threads and a loop: a thread posts callbacks, submits a
 * coroutine and blocks until it is done.
 */
#include <pthread.h>
#include <stdio.h>

#include <skua.h>

enum { POSTS = 1000 };

struct shared {
    skua_loop *loop;
    skua_future *finished; /* by the thread; the main task waits for it */
    int posted;            /* the loop's own: only its callbacks touch it */
    int sum;               /* written before `finished` is done */
};

static void count(void *arg)
{
    struct shared *shared = arg;

    shared->posted++;
}

static int add_later(void *arg)
{
    int *numbers = arg; /* two, and room for their sum */
    int status = skua_sleep(5 * SKUA_MS);

    if (status < 0) {
        return status;
    }
    numbers[2] = numbers[0] + numbers[1];
    return skua_return(&numbers[2]);
}

static void *work_outside(void *arg)
{
    struct shared *shared = arg;
    int numbers[3] = {20, 22};
    skua_future *future;
    int status = 0;

    for (int i = 0; i < POSTS && status == 0; i++) {
        status =
            skua_loop_call_soon_threadsafe(shared->loop, count, shared, NULL);
    }
    if (status == 0) {
        status = skua_run_coroutine_threadsafe(shared->loop, add_later, numbers,
                                               &future);
    }
    if (status == 0) {
        status = skua_await(future, NULL); /* a plain thread blocks */
        skua_future_unref(future);
        shared->sum = numbers[2];
    }
    (void)(status == 0 ? skua_future_set_result(shared->finished, NULL)
                       : skua_future_set_error(shared->finished, status));
    return NULL;
}

static int main_task(void *arg)
{
    struct shared shared = {.loop = skua_get_running_loop()};
    pthread_t thread;
    int status = skua_future_new(NULL, &shared.finished);

    (void)arg;
    if (status < 0) {
        return status;
    }
    status = -pthread_create(&thread, NULL, work_outside, &shared);
    if (status == 0) {
        status = skua_await(shared.finished, NULL);
        (void)pthread_join(thread, NULL);
    }
    skua_future_unref(shared.finished);
    if (status == 0) {
        printf("the loop ran %d posts; the sum is %d\n", shared.posted,
               shared.sum);
    }
    return status;
}

int main(void)
{
    const skua_runner_options options = {.loops = 1};

    return skua_run_with(&options, main_task, NULL, NULL) < 0;
}
