/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_functions.c - a shared object for skua-worker, as a stranger writes
 * one.
 */
#include <time.h>

#include <skua.h>

static int give_back(const void *data, size_t bytes, skua_reply *reply)
{
    return skua_reply_write(reply, data, bytes);
}

/* Long enough to be met by a signal. */
static int take_time(const void *data, size_t bytes, skua_reply *reply)
{
    const struct timespec pause = {0, 300000000};

    (void)nanosleep(&pause, NULL);
    return skua_reply_write(reply, data, bytes);
}

skua_worker_register_fn skua_worker_register;

int skua_worker_register(void)
{
    int status = skua_function_register("object.give_back", give_back);

    return status < 0 ? status
                      : skua_function_register("object.take_time", take_time);
}
