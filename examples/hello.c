/* SPDX-License-Identifier: Apache-2.0 */
/* hello.c - two tasks in a group, on every core. */
#include <stdio.h>

#include <skua.h>

static int say(void *word)
{
    int status = skua_sleep(100 * SKUA_MS);

    if (status < 0) {
        return status; /* cancelled: pass it on */
    }
    puts(word);
    return 0;
}

static int main_task(void *arg)
{
    skua_task_group group = {0};

    (void)arg;
    skua_task_group_create_task(&group, say, "hello");
    skua_task_group_create_task(&group, say, "world");
    return skua_task_group_join(&group); /* the first error cancels the other */
}

int main(void)
{
    return skua_run(main_task, NULL) <
           0; /* every core, then a clean shutdown */
}
