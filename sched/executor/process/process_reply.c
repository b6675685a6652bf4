/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_reply.c - what comes back from workers.
 * Threads     Any: loops that are awake, or else the keeper (source.h). One at
 *             a time takes the replies of a worker: it has `receiving`.
 * Invariants  Nothing that a worker wrote is believed: an answer to no job of
 *             its, or a message that cannot be, ends it. Who is done with a
 *             worker leaves nothing in its ring that others passed over.
 * Progress    A job's answer costs a lock and, when it has bytes, a copy out of
 *             the ring. Who completes it calls the program's functions, with
 *             nothing held but that worker's replies.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process_pool.h"

#include "../buffer.h"

enum { TAKE_MOST = 256 }; /* of a worker, before others have their turn */

void skui_process_wake(struct skui_process_pool *pool)
{
    uint64_t one = 1;

    (void)write(pool->event, &one, sizeof(one));
}

/* --- one message --- */

static void reply_fail(struct skui_job *job, const struct skui_message *message)
{
    char text[SKUI_WORKER_TEXT + 1];
    size_t bytes =
        message->bytes < SKUI_WORKER_TEXT ? message->bytes : SKUI_WORKER_TEXT;

    if ((message->flags & SKUI_WORK_MESSAGE) == 0 || message->data == NULL) {
        skua_job_fail(&job->future, message->status, NULL);
        return;
    }
    memcpy(text, message->data, bytes);
    text[bytes] = '\0';
    skua_job_fail(&job->future, message->status, text);
}

static void reply_finish_large(struct skui_job *job,
                               const struct skui_message *message)
{
    const struct skui_process_pool *pool = job->place;
    skua_buffer *buffer = NULL;
    int status;

    if (message->bytes > pool->options.given.max_message_bytes) {
        (void)close(message->fd); /* a good worker does not send that */
        skua_job_fail(&job->future, -EMSGSIZE, NULL);
        return;
    }
    status = skui_buffer_adopt(message->fd, message->bytes, &buffer);
    if (status < 0) {
        skua_job_fail(&job->future, status, "the answer could not be mapped");
        return;
    }
    skua_job_finish_buffer(&job->future, message->status, buffer,
                           message->bytes);
    skua_buffer_unref(buffer);
}

/* Complete a job, whose reference is taken. */
static void reply_complete(struct skui_job *job,
                           const struct skui_message *message, int received)
{
    if (received < 0) {
        skua_job_fail(&job->future, received,
                      "the answer could not be received");
    } else if (message->status < 0) {
        reply_fail(job, message);
    } else if (message->fd >= 0) {
        reply_finish_large(job, message);
        return;
    } else {
        skua_job_finish(&job->future, message->status, message->data,
                        message->bytes);
    }
    if (message->fd >= 0) {
        (void)close(message->fd);
    }
}

/* 1; -EPROTO when there is no such job, and was none. */
static int reply_take(struct skui_process_worker *worker,
                      const struct skui_message *message, int received)
{
    struct skui_process_pool *pool = worker->pool;
    struct skui_process_after after = {0};
    struct skui_job *job;
    bool is_late;

    (void)pthread_mutex_lock(&pool->lock);
    is_late = pool->broken; /* the job has failed before */
    job = skui_process_take(worker, message->id, &after);
    if (job != NULL) {
        worker->replies++;
        if ((message->flags & SKUI_WORK_NOT_STARTED) != 0) {
            worker->assigned--;
        }
        pool->delay_ns = pool->options.given.restart_delay_ns;
        skui_process_pump(pool, &after);
        skui_process_quit_idle(pool, &after);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    skui_process_do_after(pool, &after); /* a callback may take its time */
    if (job != NULL) {
        reply_complete(job, message, received);
        skui_source_settle(&pool->source, 1);
    } else if (message->fd >= 0) {
        (void)close(message->fd);
    }
    return job != NULL || is_late ? 1 : -EPROTO;
}

static void ready_fail(struct skui_process_pool *pool,
                       const struct skui_message *message,
                       struct skui_process_after *after)
{
    char why[SKUI_PROCESS_MESSAGE];
    int length = message->data != NULL && message->bytes < INT16_MAX
                     ? (int)message->bytes
                     : 0;

    (void)snprintf(why, sizeof(why), "a worker's initializer failed: %s%s%.*s",
                   skua_strerror(message->status), length > 0 ? ": " : "",
                   length, length > 0 ? (const char *)message->data : "");
    skui_process_break(pool, SIGKILL, after, why);
}

/* 1; -EPROTO when it was ready before. */
static int reply_ready(struct skui_process_worker *worker,
                       const struct skui_message *message)
{
    struct skui_process_pool *pool = worker->pool;
    struct skui_process_after after = {0};
    bool is_first;

    (void)pthread_mutex_lock(&pool->lock);
    is_first = !worker->ready;
    if (is_first) {
        worker->ready = true;
        pool->failures = 0;
        if (message->status < 0) {
            ready_fail(pool, message, &after);
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
    skui_process_do_after(pool, &after);
    return is_first ? 1 : -EPROTO;
}

/* 1; -EPROTO when it has said so before. */
static int reply_leaving(struct skui_process_worker *worker)
{
    struct skui_process_pool *pool = worker->pool;
    bool is_first;

    (void)pthread_mutex_lock(&pool->lock);
    is_first = !worker->said_leaving;
    skui_process_retire(worker);
    worker->said_leaving = true;
    (void)pthread_mutex_unlock(&pool->lock);
    return is_first ? 1 : -EPROTO;
}

static int reply_handle(struct skui_process_worker *worker,
                        const struct skui_message *message, int received)
{
    if (message->kind == SKUI_MESSAGE_REPLY) {
        return reply_take(worker, message, received);
    }
    if (message->fd >= 0) {
        (void)close(message->fd);
    }
    switch (message->kind) {
    case SKUI_MESSAGE_READY:
        return reply_ready(worker, message);
    case SKUI_MESSAGE_LEAVING:
        return reply_leaving(worker);
    default:
        return -EPROTO;
    }
}

/* --- one worker --- */

/* It broke the rules of the channel: that is its death. */
static void worker_convict(struct skui_process_worker *worker)
{
    struct skui_process_pool *pool = worker->pool;

    (void)pthread_mutex_lock(&pool->lock);
    skui_process_retire(worker);
    worker->convicted = true;
    worker->kill_signal = SIGKILL;
    (void)pthread_mutex_unlock(&pool->lock);
    skui_process_wake(pool);
}

size_t skui_process_receive(struct skui_process_worker *worker, size_t most)
{
    struct skui_message message;
    size_t count = 0;
    int status = 0;

    while (count < most && !worker->convicted &&
           (status = skui_channel_receive(&worker->channel, &message)) != 0) {
        if (status != 1 && status != -EMFILE) {
            break;
        }
        status = reply_handle(worker, &message, status);
        skui_channel_release(&worker->channel);
        if (status < 0) {
            break;
        }
        count++;
    }
    if (count > 0) {
        skui_channel_round_ends(&worker->channel);
    }
    if (status < 0) {
        worker_convict(worker);
    }
    return count;
}

bool skui_process_begin_receiving(struct skui_process_worker *worker)
{
    bool begins = !worker->receiving;

    worker->receiving = true;
    return begins;
}

/* --- the source --- */

static struct skui_process_pool *pool_of(struct skui_source *source)
{
    return SKUI_CONTAINER_OF(source, struct skui_process_pool, source);
}

static bool worker_has_replies(struct skui_process_worker *worker)
{
    return !worker->convicted && skui_channel_has_reply(&worker->channel);
}

/* One that has something, and is not being received from; locked. */
static struct skui_process_worker *
pool_find_replies(const struct skui_process_pool *pool, uint32_t *from)
{
    while (*from < pool->count) {
        struct skui_process_worker *worker = pool->workers[(*from)++];

        if (!worker->receiving && worker_has_replies(worker)) {
            return worker;
        }
    }
    return NULL;
}

static size_t source_poll(struct skui_source *source)
{
    struct skui_process_pool *pool = pool_of(source);
    uint32_t from = 0;
    bool found;

    (void)pthread_mutex_lock(&pool->lock);
    found = pool_find_replies(pool, &from) != NULL;
    (void)pthread_mutex_unlock(&pool->lock);
    return found ? 1 : 0;
}

/* Done with it for now; locked. Returns whether it must be gone on with: who
 * looked meanwhile has passed over what came. */
static bool worker_end_receiving(struct skui_process_worker *worker,
                                 bool goes_on)
{
    bool has_more = worker_has_replies(worker);

    if (has_more && goes_on) {
        return true;
    }
    worker->receiving = false;
    if (worker->dead || (has_more && worker->pool->armed)) {
        skui_process_wake(worker->pool); /* it was waited for, or is left */
    }
    return false;
}

/* Called and left locked. */
static size_t pool_take_from(struct skui_process_worker *worker)
{
    struct skui_process_pool *pool = worker->pool;
    size_t count = 0;

    worker->receiving = true;
    do {
        (void)pthread_mutex_unlock(&pool->lock);
        count += skui_process_receive(worker, TAKE_MOST - count);
        (void)pthread_mutex_lock(&pool->lock);
    } while (worker_end_receiving(worker, count < TAKE_MOST));
    return count;
}

/* Also when the pool has ended, or its memory is another one's by now. */
static size_t source_take(struct skui_source *source)
{
    struct skui_process_pool *pool = pool_of(source);
    struct skui_process_worker *worker;
    uint32_t from = 0;
    size_t count = 0;

    (void)pthread_mutex_lock(&pool->lock);
    while ((worker = pool_find_replies(pool, &from)) != NULL) {
        count += pool_take_from(worker);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return count;
}

static void source_arm(struct skui_source *source)
{
    struct skui_process_pool *pool = pool_of(source);

    (void)pthread_mutex_lock(&pool->lock);
    pool->armed = true;
    for (uint32_t i = 0; i < pool->count; i++) {
        skui_channel_arm(&pool->workers[i]->channel);
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

static void source_disarm(struct skui_source *source)
{
    struct skui_process_pool *pool = pool_of(source);

    (void)pthread_mutex_lock(&pool->lock);
    pool->armed = false;
    for (uint32_t i = 0; i < pool->count; i++) {
        skui_channel_disarm(&pool->workers[i]->channel);
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

static void source_wake_keeper(struct skui_source *source)
{
    skui_process_wake(pool_of(source));
}

const struct skui_source_ops skui_process_source_ops = {
    source_poll, source_arm, source_disarm, source_wake_keeper, source_take,
};
