/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.c - the life of a job.
 * Threads     See job.h.
 * Invariants  A job is in its token's list only while the executor has it, so
 *             the executor lives when it is told of a cancellation. A job that
 *             was started is completed by the executor alone, so `answer` needs
 *             no lock.
 * Ordering    FU1, FU2 (future.c): what is written before completing is seen by
 *             who reads the outcome. CT1, SL1: the token.
 */
#include "job.h"

#include <errno.h>
#include <string.h>

#include "skua/exception.h"
#include "skua/executor_type.h"
#include "skua/time.h"

#include "../memory.h"
#include "../tls.h"
#include "buffer.h"
#include "reply.h"
#include "work_self.h"

/* --- its token --- */

static bool job_take(struct skui_cancel_node *node)
{
    struct skui_job *job = SKUI_CONTAINER_OF(node, struct skui_job, node);

    /* The executor has a reference as long as the node is in the list. */
    (void)skua_future_ref(&job->future);
    skui_executor_hold(job->executor);
    return true;
}

static void job_fire(struct skui_cancel_node *node,
                     struct skui_cancel_list *tokens)
{
    struct skui_job *job = SKUI_CONTAINER_OF(node, struct skui_job, node);
    skua_executor *executor = job->executor;

    (void)tokens;
    if (!skui_future_cancel_plain(&job->future, NULL) &&
        executor->type->stop != NULL && !skui_future_is_done(&job->future)) {
        executor->type->stop(executor->self, &job->future);
    }
    skua_future_unref(&job->future);
    skui_executor_drop(executor);
}

static const struct skui_cancel_node_ops job_node_ops = {job_take, job_fire};

void skui_job_attach(struct skui_job *job)
{
    if (job->options.token != NULL &&
        !skui_cancel_token_add(job->options.token, &job->node)) {
        (void)skui_future_cancel_plain(&job->future, NULL);
    }
}

void skui_job_detach(struct skui_job *job)
{
    if (job->options.token != NULL) {
        skui_cancel_token_remove(job->options.token, &job->node);
    }
}

/* --- making and freeing one --- */

/* Copy what the caller has only lent. */
static int job_copy_work(struct skui_job *job, const skua_work *work)
{
    int status = 0;

    job->work = *work;
    job->work.buffer = NULL;
    if (work->name == NULL) {
        return 0;
    }
    job->work.name = job->function->name;
    if (work->buffer != NULL) {
        job->work.buffer = skua_buffer_ref(work->buffer);
    } else {
        status =
            skui_buffer_copy(work->data, work->bytes,
                             job->executor->shares_buffers, &job->work.buffer);
    }
    if (status == 0) {
        job->work.data = skua_buffer_data(job->work.buffer);
        job->work.bytes = skua_buffer_bytes(job->work.buffer);
    }
    return status;
}

static int job_copy_options(struct skui_job *job,
                            const skua_submit_options *options)
{
    size_t bytes;
    char *key;

    if (options == NULL) {
        return 0;
    }
    if (options->key != NULL) {
        bytes = strlen(options->key) + 1;
        key = skui_allocate(bytes);
        if (key == NULL) {
            return -ENOMEM;
        }
        memcpy(key, options->key, bytes);
        job->key = key;
        job->options.key = key;
    }
    job->options.token = skua_cancel_token_ref(options->token);
    job->options.deadline_ns = options->deadline_ns;
    job->options.interruptible = options->interruptible;
    return 0;
}

int skui_job_new(skua_executor *executor, const skua_work *work,
                 const skua_submit_options *options, struct skui_job **out_job)
{
    struct skui_job *job = skui_object_get(SKUI_OBJECT_JOB);
    int status;

    if (job == NULL) {
        return -ENOMEM;
    }
    /* Not the future: who lists all objects looks at it. */
    memset((char *)job + sizeof(job->future), 0,
           sizeof(*job) - sizeof(job->future));
    skui_future_init(&job->future, SKUI_FUTURE_JOB, NULL, 1);
    job->executor = executor;
    job->node.ops = &job_node_ops;
    job->function = work->name == NULL ? NULL : skui_function_find(work->name);
    status = work->name != NULL && job->function == NULL
                 ? -ENOENT
                 : job_copy_work(job, work);
    if (status == 0) {
        status = job_copy_options(job, options);
    }
    if (status < 0) {
        skua_future_unref(&job->future);
        return status;
    }
    *out_job = job;
    return 0;
}

void skui_job_free(struct skui_job *job)
{
    skua_buffer_unref(job->work.buffer);
    skua_buffer_unref(job->answer);
    skua_cancel_token_unref(job->options.token);
    skui_release(job->key);
    skui_object_put(SKUI_OBJECT_JOB, job);
}

/* --- for executors --- */

static struct skui_job *job_check(const skua_job *future)
{
    return future == NULL || future->kind != SKUI_FUTURE_JOB
               ? NULL
               : skui_job_of(future);
}

const skua_work *skua_job_work(const skua_job *job)
{
    struct skui_job *self = job_check(job);

    return self == NULL ? NULL : &self->work;
}

const skua_submit_options *skua_job_options(const skua_job *job)
{
    struct skui_job *self = job_check(job);

    return self == NULL ? NULL : &self->options;
}

static bool job_is_late(const struct skui_job *job)
{
    return job->options.deadline_ns != 0 &&
           skua_monotonic() >= job->options.deadline_ns;
}

bool skua_job_should_stop(const skua_job *job)
{
    struct skui_job *self = job_check(job);

    return self != NULL &&
           (skua_cancel_token_is_cancelled(self->options.token) ||
            job_is_late(self));
}

bool skui_job_begin(struct skui_job *job)
{
    struct skui_outcome late = {-ETIMEDOUT, NULL, NULL};

    job->started = true;
    if (!job_is_late(job)) {
        return true;
    }
    skui_job_detach(job);
    (void)skui_future_complete_work(&job->future, &late);
    return false;
}

bool skua_job_start(skua_job *job)
{
    struct skui_job *self = job_check(job);

    return self != NULL && skui_future_set_running(&self->future) &&
           skui_job_begin(self);
}

void skui_job_complete(struct skui_job *job, struct skui_outcome *outcome,
                       skua_buffer *answer, size_t bytes)
{
    if (!job->started && !skui_future_set_running(&job->future)) {
        skua_exception_unref(outcome->exception); /* it was cancelled */
        skua_buffer_unref(answer);
        return;
    }
    job->started = true;
    if (outcome->status >= 0) {
        job->answer = answer;
        job->answer_bytes = bytes;
        if (answer != NULL) {
            outcome->value = skua_buffer_data(answer);
        }
    } else {
        skua_buffer_unref(answer);
    }
    (void)skui_future_complete_work(&job->future, outcome);
}

void skui_job_cancel_taken(struct skui_job *job, skua_exception *message)
{
    struct skui_outcome outcome = {SKUA_ECANCELED, NULL,
                                   skua_exception_ref(message)};

    skui_job_detach(job);
    (void)skui_future_complete_started(&job->future, &outcome);
    skua_future_unref(&job->future);
}

bool skui_job_cancel_started(struct skui_job *job, skua_exception *message)
{
    if (!skui_future_is_running(&job->future) || job->revoke == NULL ||
        !job->revoke(job)) {
        return false;
    }
    skui_job_cancel_taken(job, message);
    return true;
}

void skua_job_discard(skua_job *job)
{
    struct skui_job *self = job_check(job);
    struct skui_outcome outcome = {SKUA_EBROKENPOOL, NULL, NULL};

    if (self != NULL) {
        skui_job_detach(self);
        skui_job_complete(self, &outcome, NULL, 0);
        skua_future_unref(job);
    }
}

void skua_job_finish_buffer(skua_job *job, int status, skua_buffer *buffer,
                            size_t bytes)
{
    struct skui_job *self = job_check(job);
    struct skui_outcome outcome = {status, NULL, NULL};

    if (self != NULL) {
        skui_job_detach(self);
        skui_job_complete(self, &outcome, skua_buffer_ref(buffer), bytes);
        skua_future_unref(job);
    }
}

void skua_job_finish(skua_job *job, int status, const void *data, size_t bytes)
{
    skua_buffer *copy = NULL;
    int copied = 0;

    if (status >= 0) {
        copied = data == NULL && bytes > 0
                     ? -EINVAL
                     : skui_buffer_copy(data, bytes, false, &copy);
    }
    skua_job_finish_buffer(job, copied < 0 ? copied : status, copy, bytes);
    skua_buffer_unref(copy);
}

void skua_job_fail(skua_job *job, int status, const char *message)
{
    struct skui_job *self = job_check(job);
    struct skui_outcome outcome = {status < 0 ? status : SKUA_EBROKENPOOL, NULL,
                                   NULL};

    if (self == NULL) {
        return;
    }
    if (message != NULL) {
        /* Without memory the status goes alone. */
        (void)skua_exception_new(&outcome.exception, outcome.status, "%s",
                                 message);
    }
    skui_job_detach(self);
    skui_job_complete(self, &outcome, NULL, 0);
    skua_future_unref(job);
}

/* --- running one in this thread --- */

struct job_reply {
    struct skua_reply head;
    skua_buffer *buffer;
    bool may_share;
};

static int job_reply_grow(struct skua_reply *reply, size_t capacity)
{
    struct job_reply *self = SKUI_CONTAINER_OF(reply, struct job_reply, head);
    int status = skui_buffer_grow(&self->buffer, reply->bytes, capacity,
                                  self->may_share);

    if (status == 0) {
        reply->data = skua_buffer_data(self->buffer);
        reply->capacity = capacity;
    }
    return status;
}

struct job_named_call {
    struct skui_job *job;
    struct job_reply reply;
};

static int job_call_named(void *arg)
{
    struct job_named_call *named = arg;
    const struct skui_job *job = named->job;

    return job->function->fn(job->work.data, job->work.bytes,
                             &named->reply.head);
}

static bool job_self_should_stop(const struct skui_work_self *self)
{
    return skua_job_should_stop(self->arg);
}

/* The answer's buffer is as large as the answer, also without any bytes. */
static int job_reply_end(struct job_reply *reply)
{
    if (reply->buffer == NULL) {
        return job_reply_grow(&reply->head, 0);
    }
    skui_buffer_trim(reply->buffer, reply->head.bytes);
    return 0;
}

void skui_job_call(struct skui_job *job, struct skui_outcome *outcome,
                   skua_buffer **out_answer)
{
    const struct skui_work_self *before = skui_work_self();
    struct skui_work_self work = {.executor = job->executor,
                                  .should_stop = job_self_should_stop,
                                  .arg = &job->future};
    struct job_named_call named = {
        job, {{NULL, 0, 0, SIZE_MAX, job_reply_grow}, NULL, false}};

    if (before != NULL) {
        work.worker = before->worker;
        work.interrupt = before->interrupt;
        work.outer = before;
    }
    (void)skui_work_set_self(&work);
    if (job->function == NULL) {
        skui_outcome_capture(skui_frame_current(), job->work.fn, job->work.arg,
                             outcome);
    } else {
        skui_outcome_capture(skui_frame_current(), job_call_named, &named,
                             outcome);
        if (outcome->status >= 0) {
            int status = job_reply_end(&named.reply);

            outcome->status = status < 0 ? status : outcome->status;
        }
    }
    (void)skui_work_set_self(before);
    *out_answer = named.reply.buffer;
}

void skua_job_run(skua_job *job)
{
    struct skui_job *self = job_check(job);
    struct skui_outcome outcome;
    skua_buffer *answer;

    if (self == NULL) {
        return;
    }
    if (!skua_job_start(job)) {
        skua_job_discard(job);
        return;
    }
    skui_job_call(self, &outcome, &answer);
    skui_job_detach(self);
    skui_job_complete(self, &outcome, answer, skua_buffer_bytes(answer));
    skua_future_unref(job);
}

bool skua_work_should_stop(void)
{
    const struct skui_work_self *self = skui_work_self();

    return self != NULL && self->should_stop != NULL && self->should_stop(self);
}

/* --- for who waits --- */

static int job_answer(skua_future *future, struct skui_job **out_job)
{
    int status =
        job_check(future) == NULL || skui_job_of(future)->function == NULL
            ? -EINVAL
            : skua_future_result(future, NULL);

    if (status >= 0) {
        *out_job = skui_job_of(future);
    }
    return status;
}

int skua_future_bytes(skua_future *future, const void **out_data,
                      size_t *out_bytes)
{
    struct skui_job *job;
    int status = out_data == NULL || out_bytes == NULL
                     ? -EINVAL
                     : job_answer(future, &job);

    if (status >= 0) {
        *out_data = skua_buffer_data(job->answer);
        *out_bytes = job->answer_bytes;
    }
    return status;
}

int skua_future_buffer(skua_future *future, skua_buffer **out_buffer)
{
    struct skui_job *job;
    int status = out_buffer == NULL ? -EINVAL : job_answer(future, &job);
    int copied;

    if (status < 0) {
        return status;
    }
    if (skua_buffer_bytes(job->answer) == job->answer_bytes) {
        *out_buffer = skua_buffer_ref(job->answer);
        return status;
    }
    copied = skui_buffer_copy(skua_buffer_data(job->answer), job->answer_bytes,
                              true, out_buffer);
    return copied < 0 ? copied : status;
}
