/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contexts.c - values that follow a task: whose request is being served?
 *
 * Each request is a task that notes its number in a context variable. What it
 * calls, starts and registers finds that number, on whatever core it runs, and
 * no other request sees it.
 */
#include <errno.h>
#include <stdio.h>

#include <skua.h>

static skua_context_var request_number = {"request", NULL, NULL};

static long current_request(void)
{
    void *value = NULL;

    (void)skua_context_var_get(&request_number, &value);
    return (long)(intptr_t)value;
}

/* Deep inside: nobody handed the number down. */
static int query(void *arg)
{
    long *found = arg;
    int status = skua_sleep(1 * SKUA_MS);

    *found = current_request();
    return status;
}

static int serve(void *arg)
{
    long number = (long)(intptr_t)arg;
    skua_task_group group = {0};
    long found[2] = {0, 0};
    int status = skua_context_var_set(&request_number, arg, NULL);

    for (int i = 0; i < 2 && status == 0; i++) {
        status = skua_task_group_create_task(&group, query, &found[i]);
    }
    if (status == 0) {
        status = skua_task_group_join(&group);
    }
    if (status < 0) {
        return status;
    }
    return found[0] == number && found[1] == number
               ? 0
               : skua_raise(-EPROTO, "request %ld found %ld and %ld", number,
                            found[0], found[1]);
}

/* For a part of a task: set, then taken back. */
static int borrow(void *arg)
{
    skua_context_token token = {0};
    long inside;
    int status;

    (void)arg;
    status =
        skua_context_var_set(&request_number, (void *)(intptr_t)99, &token);
    if (status < 0) {
        return status;
    }
    inside = current_request();
    status = skua_context_var_reset(&request_number, &token);
    return status < 0 || (inside == 99 && current_request() == 0) ? status
                                                                  : -EPROTO;
}

static int main_task(void *arg)
{
    skua_task_group group = {0};
    int status = 0;

    (void)arg;
    for (intptr_t i = 1; i <= 100 && status == 0; i++) {
        status = skua_task_group_create_task(&group, serve, (void *)i);
    }
    if (status == 0) {
        status = skua_task_group_join(&group);
    }
    if (status == 0) {
        status = skua_call(borrow, NULL, NULL);
    }
    return status < 0 || current_request() == 0 ? status : -EPROTO;
}

int main(void)
{
    int status = skua_run(main_task, NULL);

    printf("100 requests: %s\n",
           status < 0 ? skua_strerror(status) : "each found its own number");
    return status < 0;
}
