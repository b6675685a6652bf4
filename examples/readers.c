/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readers.c - watch any descriptor: a pipe with a callback for each end.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pipe2() */
#endif
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <skua.h>

enum { MESSAGES = 3 };

struct channel {
    skua_loop *loop;
    int ends[2]; /* read, write */
    int written;
};

static void write_message(void *arg)
{
    struct channel *channel = arg;
    char text[32];
    int bytes =
        snprintf(text, sizeof(text), "message %d\n", ++channel->written);

    if (write(channel->ends[1], text, (size_t)bytes) < 0 ||
        channel->written == MESSAGES) {
        (void)skua_loop_remove_writer(channel->loop, channel->ends[1]);
        (void)close(channel->ends[1]);
    }
}

static void read_message(void *arg)
{
    struct channel *channel = arg;
    char text[64];
    ssize_t bytes = read(channel->ends[0], text, sizeof(text) - 1);

    if (bytes > 0) {
        text[bytes] = '\0';
        (void)fputs(text, stdout);
    } else if (bytes == 0) {
        puts("the end");
        (void)skua_loop_remove_reader(channel->loop, channel->ends[0]);
        (void)skua_loop_stop(channel->loop);
    }
}

int main(void)
{
    struct channel channel = {0};
    int status = skua_loop_new(NULL, &channel.loop);

    if (status < 0) {
        return 1;
    }
    if (pipe2(channel.ends, O_NONBLOCK | O_CLOEXEC) != 0) {
        skua_loop_unref(channel.loop);
        return 1;
    }
    status = skua_loop_add_reader(channel.loop, channel.ends[0], read_message,
                                  &channel);
    if (status == 0) {
        status = skua_loop_add_writer(channel.loop, channel.ends[1],
                                      write_message, &channel);
    }
    if (status == 0) {
        status = skua_loop_run_forever(channel.loop);
    }
    (void)close(channel.ends[0]);
    skua_loop_unref(channel.loop);
    return status < 0;
}
