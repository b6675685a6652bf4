/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exception.c - exceptions: a status with a message, a cause and children.
 * Threads     Immutable once made; references are counted atomically.
 * Ordering    RF1 reference counts.
 * Rejected    Recursion over causes and children: a task that handles errors in
 *             a loop can nest them as deep as it likes, on a small stack.
 */
#include "exception.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "task.h"

enum { WALK_LOCAL = 16 };

struct skua_exception {
    _Atomic(uint32_t) refs;
    int status;
    skua_exception *cause;
    skua_exception **children;
    size_t count;
    skua_exception *next_dead; /* of who has dropped its last reference */
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

/* Drop a reference; returns the list `dead`, with the exception on it if that
 * was the last one. */
static skua_exception *exception_drop(skua_exception *exception,
                                      skua_exception *dead)
{
    /* RF1 acq_rel: the last one sees what the others did. */
    if (exception == NULL ||
        skui_fetch_sub_acq_rel(&exception->refs, 1u) != 1) {
        return dead;
    }
    exception->next_dead = dead;
    return exception;
}

void skua_exception_unref(skua_exception *exception)
{
    skua_exception *dead = exception_drop(exception, NULL);

    while (dead != NULL) {
        skua_exception *gone = dead;

        dead = exception_drop(gone->cause, gone->next_dead);
        for (size_t i = 0; i < gone->count; i++) {
            dead = exception_drop(gone->children[i], dead);
        }
        skui_release(gone->children);
        skui_release(gone);
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

/* The groups that a walk is inside of, as far as they have more children. */
struct walk {
    struct walk_place {
        const skua_exception *group;
        size_t next; /* its child that comes next */
    } local[WALK_LOCAL], *places;
    size_t depth;
    size_t capacity;
};

/* Make room for one more place. */
static bool walk_grow(struct walk *walk)
{
    bool is_local = walk->places == walk->local;
    size_t bytes = 2 * walk->capacity * sizeof(walk->local[0]);
    struct walk_place *grown =
        is_local ? skui_allocate(bytes) : skui_resize(walk->places, bytes);

    if (grown == NULL) {
        return false;
    }
    if (is_local) {
        memcpy(grown, walk->local, sizeof(walk->local));
    }
    walk->places = grown;
    walk->capacity *= 2;
    return true;
}

static bool walk_enter(struct walk *walk, const skua_exception *group)
{
    if (group->count == 0) {
        return true;
    }
    if (walk->depth == walk->capacity && !walk_grow(walk)) {
        return false;
    }
    walk->places[walk->depth++] = (struct walk_place){group, 0};
    return true;
}

/* What comes next in order, or NULL. */
static const skua_exception *walk_next(struct walk *walk)
{
    struct walk_place *place;
    const skua_exception *child;

    if (walk->depth == 0) {
        return NULL;
    }
    place = &walk->places[walk->depth - 1];
    child = place->group->children[place->next++];
    if (place->next == place->group->count) {
        walk->depth--; /* so a chain of groups takes one place */
    }
    return child;
}

skua_exception *skua_exception_find(const skua_exception *exception, int status)
{
    struct walk walk;

    walk.places = walk.local;
    walk.capacity = WALK_LOCAL;
    walk.depth = 0;
    while (exception != NULL && exception->status != status) {
        exception = walk_enter(&walk, exception) ? walk_next(&walk) : NULL;
    }
    if (walk.places != walk.local) {
        skui_release(walk.places);
    }
    return (skua_exception *)exception;
}

/* A group that is being split. Sides: 0 has what matches, 1 the others. */
struct split {
    struct split *outer; /* the group that it is in, or NULL */
    const skua_exception *group;
    size_t next;             /* its child that comes next */
    size_t count[2];         /* of parts, by side */
    skua_exception *parts[]; /* references; room for all children a side */
};

static struct split *split_enter(const skua_exception *group,
                                 struct split *outer)
{
    size_t bytes = 2 * group->count * sizeof(skua_exception *);
    struct split *split = skui_allocate(sizeof(*split) + bytes);

    if (split != NULL) {
        split->outer = outer;
        split->group = group;
        split->next = 0;
        split->count[0] = 0;
        split->count[1] = 0;
    }
    return split;
}

/* `part` is taken. */
static void split_add(struct split *split, int side, skua_exception *part)
{
    split->parts[(size_t)side * split->group->count + split->count[side]++] =
        part;
}

/* Free it, with parts that were not made groups of. */
static struct split *split_drop(struct split *split)
{
    struct split *outer = split->outer;

    for (int side = 0; side < 2; side++) {
        while (split->count[side] > 0) {
            size_t last = --split->count[side];

            skua_exception_unref(
                split->parts[(size_t)side * split->group->count + last]);
        }
    }
    skui_release(split);
    return outer;
}

/* A group of the parts of one side, which are taken. */
static skua_exception *split_group(struct split *split, int side)
{
    const skua_exception *like = split->group;
    skua_exception *group = skui_exception_group(
        like->status, like->message, split->parts + (size_t)side * like->count,
        split->count[side]);

    if (group != NULL) {
        split->count[side] = 0;
        memcpy(group->task_name, like->task_name, sizeof(group->task_name));
        group->cause = skua_exception_ref(like->cause);
    }
    return group;
}

/* All children are through: hand a group of each side to the outer one, or to
 * `half` when this is the outermost. */
static int split_leave(struct split *split, skua_exception *half[2])
{
    for (int side = 0; side < 2; side++) {
        skua_exception *group;

        if (split->count[side] == 0) {
            continue;
        }
        group = split_group(split, side);
        if (group == NULL) {
            return -ENOMEM;
        }
        if (split->outer != NULL) {
            split_add(split->outer, side, group);
        } else {
            half[side] = group;
        }
    }
    return 0;
}

static bool split_is_whole(const skua_exception *exception, int status)
{
    return exception->status == status || exception->count == 0;
}

/* One step: on with the next child, or back to the outer group. Returns where
 * the split is then. */
static struct split *split_step(struct split *split, int status,
                                skua_exception *half[2], int *result)
{
    skua_exception *child;
    struct split *inner;

    if (split->next == split->group->count) {
        *result = split_leave(split, half);
        return split_drop(split);
    }
    child = split->group->children[split->next++];
    if (split_is_whole(child, status)) {
        split_add(split, child->status != status, skua_exception_ref(child));
        return split;
    }
    inner = split_enter(child, split);
    *result = inner == NULL ? -ENOMEM : 0;
    return inner == NULL ? split : inner;
}

static int exception_split(const skua_exception *exception, int status,
                           skua_exception *half[2])
{
    struct split *split;
    int result = 0;

    if (split_is_whole(exception, status)) {
        half[exception->status != status] =
            skua_exception_ref((skua_exception *)exception);
        return 0;
    }
    split = split_enter(exception, NULL);
    if (split == NULL) {
        return -ENOMEM;
    }
    while (split != NULL && result == 0) {
        split = split_step(split, status, half, &result);
    }
    while (split != NULL) { /* it failed */
        split = split_drop(split);
    }
    return result;
}

int skua_exception_split(const skua_exception *exception, int status,
                         skua_exception **out_matches,
                         skua_exception **out_rest)
{
    skua_exception *half[2] = {NULL, NULL};
    int result;

    if (exception == NULL || status >= 0 || out_matches == NULL ||
        out_rest == NULL) {
        return -EINVAL;
    }
    result = exception_split(exception, status, half);
    if (result < 0) {
        skua_exception_unref(half[0]); /* made before the other one failed */
        return result;
    }
    *out_matches = half[0];
    *out_rest = half[1];
    return 0;
}
