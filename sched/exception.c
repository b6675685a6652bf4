/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exception.c - exceptions: a status with a message, a cause and children.
 * Threads     Immutable once made; references are counted atomically.
 * Ordering    RF1 reference counts.
 */
#include "exception.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "task.h"

struct skua_exception {
    _Atomic(uint32_t) refs;
    int status;
    skua_exception *cause;
    skua_exception **children;
    size_t count;
    char task_name[SKUI_NAME_BYTES];
    char message[];
};

/* Outside tasks nobody gets the status of a raise for which memory was too
 * short: this is reported instead. The reference here is never dropped. */
static skua_exception memory_short = {
    .refs = 1,
    .status = -ENOMEM,
    .message = "what was raised is lost",
};

const char *skua_strerror(int status)
{
    switch (status) {
    case SKUA_ECANCELED:
        return "cancelled";
    case SKUA_EINVALSTATE:
        return "invalid state of the future";
    case SKUA_EOF:
        return "end of stream";
    case SKUA_ENOLOOP:
        return "no running loop or task";
    case SKUA_ECLOSED:
        return "closed";
    case SKUA_ERUNNING:
        return "already running";
    case SKUA_ESTOPPED:
        return "the loop was stopped before the future was done";
    case SKUA_EGROUP:
        return "several children failed";
    case SKUA_EBROKENPOOL:
        return "the executor is broken";
    case SKUA_EFORKED:
        return "the object belongs to the parent process";
    case SKUA_EBROKEN:
        return "the producer went away";
    case SKUA_EBROKENBARRIER:
        return "the barrier is broken";
    case SKUA_ESHUTDOWN:
        return "the queue is shut down";
    default:
        break;
    }
    if (status >= 0) {
        return "success";
    }
    if (status > -4096) {
        const char *text = strerrordesc_np(-status);

        if (text != NULL) {
            return text;
        }
    }
    return "unknown status";
}

static skua_exception *exception_allocate(int status, size_t message_bytes)
{
    skua_exception *exception =
        skui_allocate_zeroed(sizeof(*exception) + message_bytes + 1);
    struct skui_task *task = skui_task_self();

    if (exception == NULL) {
        return NULL;
    }
    skui_store_relaxed(&exception->refs, 1u); /* relaxed: not shared yet */
    exception->status = status;
    if (task != NULL) {
        skui_task_copy_name(task, exception->task_name,
                            sizeof(exception->task_name));
    }
    return exception;
}

static SKUA_PRINTF(2, 0) skua_exception *exception_format(int status,
                                                          const char *format,
                                                          va_list arguments)
{
    skua_exception *exception;
    va_list again;
    int length;

    if (format == NULL) {
        return NULL;
    }
    va_copy(again, arguments);
    length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) {
        length = 0;
    }
    exception = exception_allocate(status, (size_t)length);
    if (exception != NULL) {
        (void)vsnprintf(exception->message, (size_t)length + 1, format,
                        arguments);
    }
    return exception;
}

int skua_exception_new(skua_exception **out_exception, int status,
                       const char *format, ...)
{
    skua_exception *exception;
    va_list arguments;

    if (out_exception == NULL || format == NULL || status >= 0) {
        return -EINVAL;
    }
    va_start(arguments, format);
    exception = exception_format(status, format, arguments);
    va_end(arguments);
    if (exception == NULL) {
        return -ENOMEM;
    }
    *out_exception = exception;
    return 0;
}

skua_exception *skui_exception_bare(int status)
{
    const char *text = skua_strerror(status);
    skua_exception *exception = exception_allocate(status, strlen(text));

    if (exception != NULL) {
        memcpy(exception->message, text, strlen(text) + 1);
    }
    return exception;
}

skua_exception *skui_exception_group(int status, const char *message,
                                     skua_exception **children, size_t count)
{
    skua_exception *group = exception_allocate(status, strlen(message));
    skua_exception **copy = skui_allocate(count * sizeof(*copy) + 1);

    if (group == NULL || copy == NULL) {
        skui_release(group);
        skui_release(copy);
        return NULL;
    }
    memcpy(group->message, message, strlen(message) + 1);
    memcpy(copy, children, count * sizeof(*copy));
    group->children = copy;
    group->count = count;
    return group;
}

skua_exception *skua_exception_ref(skua_exception *exception)
{
    if (exception != NULL) {
        /* relaxed: the caller has a reference already */
        (void)skui_fetch_add_relaxed(&exception->refs, 1u);
    }
    return exception;
}

void skua_exception_unref(skua_exception *exception)
{
    while (exception != NULL) {
        skua_exception *cause = exception->cause;

        /* RF1 acq_rel: the last one sees what the others did. */
        if (skui_fetch_sub_acq_rel(&exception->refs, 1u) != 1) {
            return;
        }
        for (size_t i = 0; i < exception->count; i++) {
            skua_exception_unref(exception->children[i]);
        }
        skui_release(exception->children);
        skui_release(exception);
        exception = cause;
    }
}

int skua_exception_status(const skua_exception *exception)
{
    return exception == NULL ? -EINVAL : exception->status;
}

const char *skua_exception_message(const skua_exception *exception)
{
    return exception == NULL ? "" : exception->message;
}

const char *skua_exception_task_name(const skua_exception *exception)
{
    return exception == NULL ? "" : exception->task_name;
}

skua_exception *skua_exception_cause(const skua_exception *exception)
{
    return exception == NULL ? NULL : exception->cause;
}

size_t skua_exception_count(const skua_exception *exception)
{
    return exception == NULL ? 0 : exception->count;
}

skua_exception *skua_exception_child(const skua_exception *exception,
                                     size_t index)
{
    if (exception == NULL || index >= exception->count) {
        return NULL;
    }
    return exception->children[index];
}

struct skui_frame *skui_frame_current(void)
{
    struct skui_task *task = skui_task_self();

    return task != NULL ? &task->frame : skui_thread_frame();
}

void skui_frame_set_exception(struct skui_frame *frame,
                              skua_exception *exception)
{
    skua_exception_unref(frame->exception);
    frame->exception = exception;
}

int skua_raise(int status, const char *format, ...)
{
    struct skui_frame *frame = skui_frame_current();
    skua_exception *exception;
    va_list arguments;

    if (status >= 0) {
        status = -EINVAL;
    }
    va_start(arguments, format);
    exception = exception_format(status, format, arguments);
    va_end(arguments);
    if (exception != NULL) {
        exception->cause = frame->exception; /* the frame's reference moves */
        frame->exception = exception;
    } else {
        /* What was handled before is not what fails now. */
        skui_frame_set_exception(frame,
                                 skui_task_self() != NULL
                                     ? NULL
                                     : skua_exception_ref(&memory_short));
    }
    return status;
}

int skua_return(void *value)
{
    skui_frame_current()->value = value;
    return 0;
}

skua_exception *skua_current_exception(void)
{
    return skui_frame_current()->exception;
}

void skui_outcome_capture(struct skui_frame *frame, skua_task_fn *fn, void *arg,
                          struct skui_outcome *out)
{
    struct skui_frame saved = *frame;

    frame->value = NULL;
    frame->exception = NULL;
    out->status = fn(arg);
    out->value = out->status >= 0 ? frame->value : NULL;
    out->exception = frame->exception;
    if (out->status >= 0 ||
        skua_exception_status(out->exception) != out->status) {
        skua_exception_unref(out->exception);
        out->exception = NULL;
    }
    *frame = saved;
}

int skui_outcome_deliver(struct skui_outcome *outcome, void **out_value)
{
    if (outcome->status < 0) {
        skui_frame_set_exception(skui_frame_current(), outcome->exception);
    } else if (out_value != NULL) {
        *out_value = outcome->value;
    }
    return outcome->status;
}

int skua_call(skua_task_fn *fn, void *arg, void **out_result)
{
    struct skui_outcome outcome;

    if (fn == NULL) {
        return -EINVAL;
    }
    skui_outcome_capture(skui_frame_current(), fn, arg, &outcome);
    return skui_outcome_deliver(&outcome, out_result);
}

/* --- causes added later, and groups taken apart --- */

/* As `exception`, which stays as it is, with another cause (taken). */
static skua_exception *exception_with_cause(const skua_exception *exception,
                                            skua_exception *cause)
{
    size_t length = strlen(exception->message);
    skua_exception *copy = exception_allocate(exception->status, length);
    skua_exception **children = NULL;

    if (exception->count > 0) {
        children = skui_allocate(exception->count * sizeof(*children));
    }
    if (copy == NULL || (exception->count > 0 && children == NULL)) {
        skui_release(copy);
        skui_release(children);
        return NULL;
    }
    memcpy(copy->message, exception->message, length + 1);
    memcpy(copy->task_name, exception->task_name, sizeof(copy->task_name));
    for (size_t i = 0; i < exception->count; i++) {
        children[i] = skua_exception_ref(exception->children[i]);
    }
    copy->children = children;
    copy->count = exception->count;
    copy->cause = cause;
    return copy;
}

void skui_frame_add_cause(struct skui_frame *frame, int status, int cause)
{
    skua_exception *error =
        frame->exception != NULL && frame->exception->status == status
            ? skua_exception_ref(frame->exception)
            : skui_exception_bare(status);
    skua_exception *added = skui_exception_bare(cause);
    skua_exception *result = error != NULL && added != NULL
                                 ? exception_with_cause(error, added)
                                 : NULL;

    if (result != NULL) {
        added->cause = skua_exception_ref(error->cause);
        skui_frame_set_exception(frame, result);
    } else {
        skua_exception_unref(added);
    }
    skua_exception_unref(error);
}

skua_exception *skua_exception_find(const skua_exception *exception, int status)
{
    skua_exception *found = NULL;

    if (exception == NULL || exception->status == status) {
        return (skua_exception *)exception;
    }
    for (size_t i = 0; i < exception->count && found == NULL; i++) {
        found = skua_exception_find(exception->children[i], status);
    }
    return found;
}

/* The two halves of a split; a half that is empty is NULL. */
struct split {
    skua_exception *half[2]; /* matches, others */
};

static int exception_split(const skua_exception *exception, int status,
                           struct split *out);

/* A group like `exception` of `count` children (references, taken); NULL for
 * none, and when memory is short. */
static skua_exception *split_group(const skua_exception *exception,
                                   skua_exception **children, size_t count)
{
    skua_exception *group = NULL;

    if (count > 0) {
        group = skui_exception_group(exception->status, exception->message,
                                     children, count);
    }
    if (group != NULL) {
        memcpy(group->task_name, exception->task_name,
               sizeof(group->task_name));
        group->cause = skua_exception_ref(exception->cause);
        return group;
    }
    for (size_t i = 0; i < count; i++) {
        skua_exception_unref(children[i]);
    }
    return NULL;
}

static int exception_split_children(const skua_exception *exception, int status,
                                    skua_exception **parts, struct split *out)
{
    skua_exception **of[2] = {parts, parts + exception->count};
    size_t count[2] = {0, 0};
    int result = 0;

    for (size_t i = 0; i < exception->count && result == 0; i++) {
        struct split split = {{NULL, NULL}};

        result = exception_split(exception->children[i], status, &split);
        for (int side = 0; side < 2; side++) {
            if (split.half[side] != NULL) {
                of[side][count[side]++] = split.half[side];
            }
        }
    }
    for (int side = 0; side < 2; side++) {
        out->half[side] = split_group(exception, of[side], count[side]);
        if (count[side] > 0 && out->half[side] == NULL) {
            result = -ENOMEM;
        }
    }
    return result;
}

static int exception_split(const skua_exception *exception, int status,
                           struct split *out)
{
    skua_exception **parts;
    int result;

    if (exception->status == status || exception->count == 0) {
        out->half[exception->status != status] =
            skua_exception_ref((skua_exception *)exception);
        return 0;
    }
    parts = skui_allocate(2 * exception->count * sizeof(*parts));
    if (parts == NULL) {
        return -ENOMEM;
    }
    result = exception_split_children(exception, status, parts, out);
    skui_release(parts);
    if (result < 0) {
        skua_exception_unref(out->half[0]);
        skua_exception_unref(out->half[1]);
        out->half[0] = NULL;
        out->half[1] = NULL;
    }
    return result;
}

int skua_exception_split(const skua_exception *exception, int status,
                         skua_exception **out_matches,
                         skua_exception **out_rest)
{
    struct split split = {{NULL, NULL}};
    int result;

    if (exception == NULL || status >= 0 || out_matches == NULL ||
        out_rest == NULL) {
        return -EINVAL;
    }
    result = exception_split(exception, status, &split);
    if (result == 0) {
        *out_matches = split.half[0];
        *out_rest = split.half[1];
    }
    return result;
}
