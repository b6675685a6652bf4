/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errors.c - who hears of errors: the caller, with a message and its causes;
 * a group, for all its children; and for what nobody waits for, the exception
 * handler.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <skua.h>

enum { CHILDREN = 3 };

struct heard {
    int errors;
    int unread;
};

/* --- messages and causes --- */

static int open_settings(void *path)
{
    return skua_raise(-ENOENT, "no file %s", (const char *)path);
}

static int start_service(void *path)
{
    int status = skua_call(open_settings, path, NULL);

    /* What is being handled becomes the cause of what is raised now. */
    return status < 0 ? skua_raise(-EPROTO, "no settings") : 0;
}

static int show_causes(void)
{
    static char path[] = "service.conf";
    int status = skua_call(start_service, path, NULL);
    skua_exception *exception = skua_current_exception();
    const char *separator = "";

    if (status != -EPROTO || skua_exception_cause(exception) == NULL) {
        return -EINVAL;
    }
    for (; exception != NULL; exception = skua_exception_cause(exception)) {
        printf("%s%s", separator, skua_exception_message(exception));
        separator = ", because: ";
    }
    printf("\n");
    return 0;
}

/* --- groups --- */

static int fail_as(void *number)
{
    return skua_raise(-EIO, "child %d failed", *(int *)number);
}

static int show_group(void)
{
    skua_task_group group = {0};
    int numbers[CHILDREN];
    const skua_exception *exception;
    int status = 0;

    for (int i = 0; i < CHILDREN && status == 0; i++) {
        numbers[i] = i;
        status = skua_task_group_create_task(&group, fail_as, &numbers[i]);
    }
    if (skua_task_group_join(&group) != SKUA_EGROUP) {
        return -EINVAL;
    }
    exception = skua_current_exception();
    printf("%s:", skua_strerror(skua_exception_status(exception)));
    for (size_t i = 0; i < skua_exception_count(exception); i++) {
        const skua_exception *child = skua_exception_child(exception, i);

        printf(" [%s]", skua_exception_message(child));
    }
    printf("\n");
    return skua_exception_count(exception) > 0 ? 0 : -EINVAL;
}

/* --- what nobody waits for --- */

/* In any thread, for any object of the loop; it must not suspend. */
static void hear(skua_loop *loop, const skua_exception_context *context,
                 void *arg)
{
    struct heard *heard = arg;
    char name[32] = "a callback";

    (void)loop;
    if (context->task != NULL) {
        (void)skua_task_get_name(context->task, name, sizeof(name));
    }
    printf("heard of %s: %s: %s\n", name, context->message,
           skua_exception_message(context->exception));
    heard->errors++;
    heard->unread += strstr(context->message, "never retrieved") != NULL;
}

static void complain(void *arg)
{
    (void)skua_raise(-EIO, "%s", (const char *)arg); /* it returns nothing */
}

static int show_handler(void)
{
    static char words[] = "a callback's error";
    skua_loop *loop = skua_get_running_loop();
    const skua_task_options options = {.name = "orphan"};
    struct heard heard = {0, 0};
    static int number = 7;
    skua_task *task;
    int status = skua_loop_set_exception_handler(loop, hear, &heard);

    if (status == 0) {
        status = skua_loop_call_soon(loop, complain, words, NULL);
    }
    if (status == 0) {
        status = skua_create_task_with(&options, fail_as, &number, &task);
    }
    if (status == 0) {
        skua_task_detach(task); /* nobody will look at its outcome */
    }
    while (status == 0 && heard.errors < 2) {
        status = skua_yield();
    }
    (void)skua_loop_set_exception_handler(loop, NULL, NULL);
    return status == 0 && heard.unread != 1 ? -EINVAL : status;
}

static int main_task(void *arg)
{
    int status = show_causes();

    (void)arg;
    if (status == 0) {
        status = show_group();
    }
    return status == 0 ? show_handler() : status;
}

int main(void)
{
    /* One loop: it has the one handler that hears of everything. */
    const skua_runner_options options = {.loops = 1};

    return skua_run_with(&options, main_task, NULL, NULL) < 0;
}
