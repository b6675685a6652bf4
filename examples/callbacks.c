/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callbacks.c - plain callbacks on a loop of one's own, without any task: soon,
 * later, at a time, and cancelled.
 */
#include <stdio.h>

#include <skua.h>

static void say(void *word)
{
    puts(word);
}

static void stop(void *loop)
{
    puts("stop");
    (void)skua_loop_stop(loop);
}

static int schedule(skua_loop *loop)
{
    int64_t now_ns = skua_loop_time(loop);
    skua_handle *unwanted;
    int status = skua_loop_call_soon(loop, say, "soon, first", NULL);

    if (status == 0) {
        status = skua_loop_call_soon(loop, say, "soon, second", NULL);
    }
    if (status == 0) {
        status =
            skua_loop_call_later(loop, 20 * SKUA_MS, say, "in 20 ms", NULL);
    }
    if (status == 0) {
        status = skua_loop_call_at(loop, now_ns + 10 * SKUA_MS, say,
                                   "at now + 10 ms", NULL);
    }
    if (status == 0) {
        status =
            skua_loop_call_later(loop, 15 * SKUA_MS, say, "never", &unwanted);
    }
    if (status == 0) {
        (void)skua_handle_cancel(unwanted);
        printf("cancelled: %s\n",
               skua_handle_cancelled(unwanted) ? "yes" : "no");
        skua_handle_unref(unwanted);
        status = skua_loop_call_later(loop, 30 * SKUA_MS, stop, loop, NULL);
    }
    return status;
}

int main(void)
{
    skua_loop *loop;
    int status = skua_loop_new(NULL, &loop);

    if (status < 0) {
        fprintf(stderr, "%s\n", skua_strerror(status));
        return 1;
    }
    status = schedule(loop);
    if (status == 0) {
        status = skua_loop_run_forever(loop);
    }
    (void)skua_loop_close(loop);
    skua_loop_unref(loop);
    return status < 0;
}
