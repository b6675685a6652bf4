/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stuck.c - nothing waits behind a long step: tasks hold up every loop with a
 * computation, or by blocking the thread, and a ticker goes on all the same.
 * Each of them holds its loop until the ticker has ticked.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include <skua.h>

enum { LOOPS = 2, TICKS = 5, TICK_NS = 1000000 };

struct shared {
    atomic_int held; /* loops */
    atomic_int ticks;
};

/* A long computation: nobody has told the library. */
static int compute(void *arg)
{
    struct shared *shared = arg;

    atomic_fetch_add(&shared->held, 1);
    while (atomic_load(&shared->ticks) < TICKS) {
    }
    return 0;
}

/* A call that blocks the thread: the loop is given away at once. */
static int block(void *arg)
{
    const struct timespec pause = {0, TICK_NS};
    struct shared *shared = arg;
    int status = skua_blocking_begin();

    atomic_fetch_add(&shared->held, 1);
    while (status == 0 && atomic_load(&shared->ticks) < TICKS) {
        (void)nanosleep(&pause, NULL);
    }
    return status < 0 ? status : skua_blocking_end();
}

/* Once all loops are held up. */
static int tick(void *arg)
{
    struct shared *shared = arg;
    int status = 0;

    while (status == 0 && atomic_load(&shared->ticks) < TICKS) {
        status = skua_sleep(TICK_NS);
        if (atomic_load(&shared->held) == LOOPS) {
            atomic_fetch_add(&shared->ticks, 1);
        }
    }
    return status;
}

static int main_task(void *arg)
{
    skua_task_group group = {0};
    int status = skua_task_group_create_task(&group, tick, arg);
    int joined;

    if (status == 0) {
        status = skua_task_group_create_task(&group, compute, arg);
    }
    if (status == 0) {
        status = skua_task_group_create_task(&group, block, arg);
    }
    joined = skua_task_group_join(&group);
    return status < 0 ? status : joined;
}

int main(void)
{
    const skua_runner_options options = {.loops = LOOPS};
    struct shared shared = {0};
    skua_runner_stats stats = {0};
    skua_runner *runner;
    int status = skua_runner_new(&options, &runner);

    if (status == 0) {
        status = skua_runner_run(runner, main_task, &shared, NULL);
        (void)skua_runner_get_stats(runner, &stats);
        (void)skua_runner_close(runner);
    }
    if (status < 0) {
        fprintf(stderr, "%s\n", skua_strerror(status));
        return 1;
    }
    printf("%d ticks while all loops were held up; %u spare loops helped\n",
           atomic_load(&shared.ticks), stats.relief_loops);
    return 0;
}
