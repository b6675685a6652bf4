/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.c - the main loop of a worker process.
 * Threads     One, unless a function starts others.
 * Invariants  Each call that this process claims is answered once, unless it
 *             dies; one that it cannot claim was taken back and is passed over.
 *             It trusts its parent, not its own functions: what they scribble
 *             on in the channel its parent will not believe.
 * Progress    It sleeps between calls, after a spin (channel.c).
 * Rejected    Exit handlers at its end: they are the program's and would run
 *             once more in each worker; what was written to streams is flushed.
 */
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "skua/time.h"

#include "../../exception.h"
#include "../buffer.h"
#include "../function.h"
#include "../reply.h"
#include "../work_self.h"
#include "channel.h"

struct worker_reply {
    struct skua_reply head;
    struct skui_worker_end *end;
};

/* One call under way. */
struct worker_call {
    struct worker_reply reply;
    const struct skui_function *function;
    const struct skui_message *message;
    struct skui_work_self self;
    const void *data;
    skua_buffer *buffer; /* holds `data`, or NULL: the ring does */
};

/* --- replies --- */

static int worker_reply_grow(struct skua_reply *reply, size_t capacity)
{
    struct worker_reply *self =
        SKUI_CONTAINER_OF(reply, struct worker_reply, head);
    void *data;
    int status =
        skui_worker_end_reserve(self->end, reply->bytes, capacity, &data);

    if (status == 0) {
        reply->data = data;
        reply->capacity = capacity;
    }
    return status;
}

/* Publish a failure with its text, in place of what was written. */
static int worker_commit_failure(struct skui_worker_end *end,
                                 struct skui_message *answer, const char *text)
{
    size_t most = end->inline_bytes < SKUI_WORKER_TEXT ? end->inline_bytes
                                                       : SKUI_WORKER_TEXT;
    size_t bytes = text == NULL ? 0 : strnlen(text, most);
    void *room;

    skui_worker_end_abandon(end);
    answer->bytes = 0;
    if (bytes > 0 && skui_worker_end_reserve(end, 0, bytes, &room) == 0) {
        memcpy(room, text, bytes);
        answer->bytes = bytes;
        answer->flags |= SKUI_WORK_MESSAGE;
    }
    return skui_worker_end_commit(end, answer);
}

/* Publish the outcome of a call; negative when the parent is gone. */
static int worker_answer(struct skui_worker_end *end,
                         struct skui_message *answer,
                         const struct skui_outcome *outcome, size_t bytes)
{
    int status;

    answer->status = outcome->status;
    if (outcome->status < 0) {
        return worker_commit_failure(
            end, answer,
            outcome->exception == NULL
                ? NULL
                : skua_exception_message(outcome->exception));
    }
    answer->bytes = bytes;
    status = skui_worker_end_commit(end, answer);
    if (status < 0 && status != -EPIPE) {
        answer->status = status;
        return worker_commit_failure(end, answer,
                                     "the answer could not be sent");
    }
    return status;
}

/* --- calls --- */

static bool worker_should_stop(const struct skui_work_self *self)
{
    const struct worker_call *call =
        SKUI_CONTAINER_OF(self, struct worker_call, self);
    int64_t deadline_ns = call->message->deadline_ns;

    return skui_worker_end_stops(call->reply.end, call->message->id) ||
           (deadline_ns != 0 && skua_monotonic() >= deadline_ns);
}

static int worker_call_function(void *arg)
{
    struct worker_call *call = arg;

    return call->function->fn(call->data, call->message->bytes,
                              &call->reply.head);
}

/* Where the call's bytes are: in the ring, or in a memfd, which is mapped. */
static int worker_open_data(struct worker_call *call)
{
    static const uint64_t nothing;

    call->data = call->message->data;
    if (call->message->fd >= 0) {
        int status = skui_buffer_adopt(call->message->fd, call->message->bytes,
                                       &call->buffer);

        call->data = skua_buffer_data(call->buffer);
        return status;
    }
    if (call->data == NULL) {
        call->data = &nothing;
    }
    return 0;
}

static int worker_perform(struct skui_worker_end *end,
                          const struct skui_worker_order *order,
                          const struct skui_message *message,
                          struct skui_message *answer)
{
    struct worker_call call = {
        .reply = {{NULL, 0, 0, order->reply_limit, worker_reply_grow}, end},
        .function = skui_function_at(message->function),
        .message = message,
        .self = {.should_stop = worker_should_stop},
    };
    struct skui_outcome outcome = {-ENOENT, NULL, NULL};
    int status;

    if (call.function != NULL) {
        outcome.status = worker_open_data(&call);
    }
    if (outcome.status == 0) {
        (void)skui_work_set_self(&call.self);
        skui_outcome_capture(skui_thread_frame(), worker_call_function, &call,
                             &outcome);
        (void)skui_work_set_self(NULL);
    }
    status = worker_answer(end, answer, &outcome, call.reply.head.bytes);
    skua_exception_unref(outcome.exception);
    skua_buffer_unref(call.buffer);
    return status;
}

/* Answer a call; 1 when it was run, 0 when not, negative at the end. */
static int worker_take_call(struct skui_worker_end *end,
                            const struct skui_worker_order *order,
                            const struct skui_message *message)
{
    struct skui_message answer = {
        .id = message->id, .kind = SKUI_MESSAGE_REPLY, .fd = -1};
    int status = skui_worker_end_claim(end, message->id);

    if (status != 1) {
        if (message->fd >= 0) {
            (void)close(message->fd);
        }
        return status;
    }
    if (message->deadline_ns != 0 && skua_monotonic() >= message->deadline_ns) {
        answer.flags = SKUI_WORK_NOT_STARTED;
        answer.status = -ETIMEDOUT;
        if (message->fd >= 0) {
            (void)close(message->fd);
        }
        return worker_commit_failure(end, &answer, NULL);
    }
    status = worker_perform(end, order, message, &answer);
    return status < 0 ? status : 1;
}

/* Its descriptor could not be received. */
static int worker_refuse_call(struct skui_worker_end *end,
                              const struct skui_message *message, int error)
{
    struct skui_message answer = {.id = message->id,
                                  .kind = SKUI_MESSAGE_REPLY,
                                  .status = error,
                                  .fd = -1};
    int status;

    answer.flags = SKUI_WORK_NOT_STARTED;
    status = skui_worker_end_claim(end, message->id);
    return status != 1 ? status
                       : worker_commit_failure(
                             end, &answer, "the call could not be received");
}

/* --- beginning and end --- */

static int worker_limit(int which, uint64_t limit, uint64_t beyond)
{
    const struct rlimit limits = {(rlim_t)limit, (rlim_t)(limit + beyond)};

    if (limit == 0) {
        return 0;
    }
    return setrlimit(which, &limits) < 0 ? -errno : 0;
}

static int worker_apply_limits(const struct skui_worker_order *order)
{
    int status = worker_limit(RLIMIT_AS, order->address_space_bytes, 0);

    if (status == 0) {
        status = worker_limit(RLIMIT_CPU, order->cpu_seconds, 1);
    }
    if (status == 0 && order->nice != 0) {
        int now;

        errno = 0;
        now = getpriority(PRIO_PROCESS, 0);
        if (errno != 0 || setpriority(PRIO_PROCESS, 0, now + order->nice) < 0) {
            status = -errno;
        }
    }
    return status;
}

/* Tell that it is ready, or why not. */
static int worker_begin(struct skui_worker_end *end,
                        const struct skui_worker_order *order)
{
    struct skui_message answer = {.kind = SKUI_MESSAGE_READY, .fd = -1};
    struct skui_message message;
    int status;

    answer.status = worker_apply_limits(order);
    if (answer.status < 0) {
        (void)worker_commit_failure(end, &answer,
                                    "a worker's limits were refused");
        return answer.status;
    }
    if (!order->has_initializer) {
        return skui_worker_end_commit(end, &answer);
    }
    status = skui_worker_end_wait(end, SKUA_FOREVER, &message);
    if (status != 1 || (message.flags & SKUI_WORK_INITIALIZER) == 0 ||
        skui_worker_end_claim(end, message.id) != 1) {
        return status < 0 ? status : -EPROTO;
    }
    status = worker_perform(end, order, &message, &answer);
    skui_worker_end_release(end);
    return status < 0 ? status : answer.status;
}

__attribute__((noreturn)) static void worker_leave(struct skui_worker_end *end)
{
    struct skui_message answer = {.kind = SKUI_MESSAGE_LEAVING, .fd = -1};

    (void)fflush(NULL);
    (void)skui_worker_end_commit(end, &answer);
    _exit(0);
}

/* Until told to quit, or enough was done. False: something is wrong. */
static bool worker_serve(struct skui_worker_end *end,
                         const struct skui_worker_order *order)
{
    uint64_t tasks = 0;

    while (order->max_tasks == 0 || tasks < order->max_tasks) {
        struct skui_message message;
        int status = skui_worker_end_wait(end, SKUA_FOREVER, &message);
        bool refused = status == -EMFILE;

        if ((status != 1 && !refused) || message.kind == SKUI_MESSAGE_QUIT) {
            return status == 1;
        }
        status = refused ? worker_refuse_call(end, &message, status)
                         : worker_take_call(end, order, &message);
        skui_worker_end_release(end);
        if (status < 0) {
            return false;
        }
        tasks += status == 1 ? 1 : 0;
    }
    return true;
}

void skui_worker_run(const struct skui_worker_order *order,
                     const int *descriptors, size_t count)
{
    struct skui_channel_fds fds;
    struct skui_worker_end end;

    if (count != sizeof(fds) / sizeof(int)) {
        _exit(SKUI_WORKER_CANNOT);
    }
    fds = (struct skui_channel_fds){descriptors[0], descriptors[1],
                                    descriptors[2], descriptors[3]};
    if (skui_worker_end_open(&end, &fds) < 0) {
        _exit(SKUI_WORKER_CANNOT);
    }
    if (worker_begin(&end, order) == 0 && !worker_serve(&end, order)) {
        _exit(SKUI_WORKER_CANNOT);
    }
    worker_leave(&end);
}
