/* SPDX-License-Identifier: Apache-2.0 */
/*
 * groups.c - task groups: all results, the first failure, the first success,
 * all failures, a service that is ready, and an early end. Each part checks
 * what comes out.
 */
#include <errno.h>
#include <stdio.h>

#include <skua.h>

struct square {
    int number;
    int result;
};

static int compute_square(void *arg)
{
    struct square *square = arg;
    int status = skua_sleep(1 * SKUA_MS);

    if (status == 0) {
        square->result = square->number * square->number;
    }
    return status;
}

/* The children's memory is the parent's: leaving has waited for them all. */
static int show_results(void)
{
    skua_task_group group = {0};
    struct square squares[4] = {{1, 0}, {2, 0}, {3, 0}, {4, 0}};
    int status = 0;
    int sum = 0;

    for (int i = 0; i < 4 && status == 0; i++) {
        status =
            skua_task_group_create_task(&group, compute_square, &squares[i]);
    }
    status = skua_task_group_leave(&group, status);
    for (int i = 0; i < 4; i++) {
        sum += squares[i].result;
    }
    printf("1 + 4 + 9 + 16 = %d\n", sum);
    return status == 0 && sum != 30 ? -EPROTO : status;
}

static int sleep_long(void *arg)
{
    (void)arg;
    return skua_sleep(3600 * SKUA_S);
}

static int fail_with(void *status)
{
    return skua_raise(*(int *)status, "failed with %d", *(int *)status);
}

/* The sleeper and the body are cancelled; the failure comes out. */
static int show_failure(void)
{
    static int broken = -EPIPE;
    skua_task_group group = {0};
    skua_exception *found;
    int status = skua_task_group_create_task(&group, sleep_long, NULL);

    if (status == 0) {
        status = skua_task_group_create_task(&group, fail_with, &broken);
    }
    if (status == 0) {
        status = sleep_long(NULL);
    }
    status = skua_task_group_leave(&group, status);
    found = skua_exception_find(skua_current_exception(), -EPIPE);
    printf("one of them %s\n", skua_exception_message(found));
    return status == SKUA_EGROUP && found != NULL ? 0 : -EPROTO;
}

/* Every child ends; who wants to treat some failures takes them out. */
static int show_collection(void)
{
    static int codes[3] = {-EIO, -ENOENT, -EIO};
    skua_task_group_options options = {SKUA_TASK_GROUP_COLLECT};
    skua_task_group group = {0};
    skua_exception *missing = NULL;
    skua_exception *others = NULL;
    int status = skua_task_group_enter(&group, &options);

    for (int i = 0; i < 3 && status == 0; i++) {
        status = skua_task_group_create_task(&group, fail_with, &codes[i]);
    }
    if (skua_task_group_leave(&group, status) != SKUA_EGROUP) {
        return -EPROTO;
    }
    status = skua_exception_split(skua_current_exception(), -ENOENT, &missing,
                                  &others);
    if (status == 0) {
        printf("%zu missing, %zu others\n", skua_exception_count(missing),
               skua_exception_count(others));
        status = skua_exception_count(others) == 2 ? 0 : -EPROTO;
    }
    skua_exception_unref(missing);
    skua_exception_unref(others);
    return status;
}

static int answer(void *arg)
{
    return skua_return(arg);
}

/* The fastest answer counts. */
static int show_race(void)
{
    skua_task_group_options options = {SKUA_TASK_GROUP_FIRST_SUCCESS};
    skua_task_group group = {0};
    void *value = NULL;
    size_t index = 0;
    int status = skua_task_group_enter(&group, &options);

    if (status == 0) {
        status = skua_task_group_create_task(&group, sleep_long, NULL);
    }
    if (status == 0) {
        status = skua_task_group_create_task(&group, answer, "a mirror");
    }
    status = skua_task_group_leave(&group, status);
    if (status < 0) {
        return status;
    }
    status = skua_task_group_winner(&group, &index, &value);
    if (status == 0) {
        printf("%s, number %zu, was first\n", (const char *)value, index);
    }
    return status == 0 && index != 1 ? -EPROTO : status;
}

static int serve(void *port)
{
    int status = skua_sleep(1 * SKUA_MS); /* binding */

    if (status == 0) {
        status = skua_task_group_started(port);
    }
    return status < 0 ? status : sleep_long(NULL);
}

/* Clients come when the server is ready; then the group ends early. */
static int show_service(void)
{
    static int port = 8080;
    skua_task_group group = {0};
    void *bound = NULL;
    int status = skua_task_group_start(&group, serve, &port, &bound);

    if (status == 0) {
        printf("the server is ready on port %d\n", *(int *)bound);
        status = skua_task_group_cancel(&group);
    }
    status = skua_task_group_leave(&group, status);
    printf("and has ended: %s\n", skua_strerror(status));
    return status == 0 && bound != &port ? -EPROTO : status;
}

static int main_task(void *arg)
{
    int status = show_results();

    (void)arg;
    if (status == 0) {
        status = show_failure();
    }
    if (status == 0) {
        status = show_collection();
    }
    if (status == 0) {
        status = show_race();
    }
    return status == 0 ? show_service() : status;
}

int main(void)
{
    int status = skua_run(main_task, NULL);

    if (status < 0) {
        (void)fprintf(stderr, "groups: %s\n", skua_strerror(status));
    }
    return status < 0;
}
