/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eager.c - tasks that start inside the call that creates them.
 *
 * A cache answers most look-ups at once. Started eagerly, those are done when
 * skua_create_task_with() returns and were never queued; only the others wait.
 * A hook counts how many steps the tasks took.
 */
#include <stdio.h>

#include <skua.h>

enum { KEYS = 16, LOOKUPS = 64 };

static int cached[KEYS]; /* 0: not yet; one loop: nobody else writes */
static int steps;

static void count_step(skua_task *task, void *arg)
{
    (void)task;
    (void)arg;
    steps++;
}

static int look_up(void *arg)
{
    int key = (int)(intptr_t)arg;

    if (cached[key] == 0) {
        int status = skua_sleep(1 * SKUA_MS); /* ask somebody far away */

        if (status < 0) {
            return status;
        }
        cached[key] = key * key + 1;
    }
    return skua_return((void *)(intptr_t)cached[key]);
}

/* How many of the look-ups were done at once; or a negative status. */
static int look_up_all(void)
{
    skua_task_options eager = {.eager_start = 1};
    skua_task *tasks[LOOKUPS];
    int at_once = 0;

    for (int i = 0; i < LOOKUPS; i++) {
        int status = skua_create_task_with(
            &eager, look_up, (void *)(intptr_t)(i % KEYS), &tasks[i]);

        if (status < 0) {
            return status;
        }
        at_once += skua_future_done(tasks[i]);
    }
    for (int i = 0; i < LOOKUPS; i++) {
        void *value = NULL;
        int status = skua_await(tasks[i], &value);
        int key = i % KEYS;

        skua_future_unref(tasks[i]);
        if (status < 0 || (intptr_t)value != key * key + 1) {
            return status < 0 ? status : SKUA_EBROKEN;
        }
    }
    return at_once;
}

static int main_task(void *arg)
{
    static const skua_task_hooks hooks = {.on_step_begin = count_step};
    skua_loop *loop = skua_get_running_loop();
    int first;
    int second;

    (void)arg;
    first = look_up_all();
    steps = 0;
    (void)skua_loop_set_task_hooks(loop, &hooks);
    second = look_up_all();
    (void)skua_loop_set_task_hooks(loop, NULL);
    printf("at once: %d of %d, then %d in %d steps\n", first, LOOKUPS, second,
           steps);
    return first == 0 && second == LOOKUPS && steps == LOOKUPS ? 0
                                                               : SKUA_EBROKEN;
}

int main(void)
{
    skua_runner_options one = {.loops = 1};

    return skua_run_with(&one, main_task, NULL, NULL) < 0;
}
