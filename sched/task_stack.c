/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_stack.c - the stacks of tasks, for people.
 * Threads     Any. A parked task is HELD, as by a canceller: who wakes it
 *             leaves the queueing to the holder, so it stays where it is. A
 *             WATCHED one may be resumed, but waits until it is let go, above
 *             the frames that are read; then the result is not used.
 * Invariants  Only addresses on the task's own stack are read, whatever its
 *             functions keep in the frame pointer.
 * Ordering    WW1 (wait word).
 * Rejected    Unwinding by call frame information: the unwinder begins at its
 *             caller only. Frame pointers need none, and a build without them
 *             loses the rest of the stack, not where the task suspended.
 */
#include <errno.h>
#include <execinfo.h>
#include <stdio.h>

#include "frames.h"
#include "log.h"
#include "origin.h"
#include "task.h"

enum { FRAMES_MAXIMUM = 64, TEXT_BYTES = 8192 };

static bool word_is_parked(uint64_t word)
{
    return (word & SKUI_WAIT_PHASE) == SKUI_WAIT_PARKED ||
           (word & SKUI_WAIT_PHASE) == SKUI_WAIT_WATCHED;
}

/* HOLD the wait word of a parked task; false when it is not parked. */
static bool stack_hold(struct skui_task *task)
{
    uint64_t word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */

    while (word_is_parked(word)) {
        if ((word & SKUI_WAIT_HELD) != 0) {
            skui_cpu_relax(); /* a canceller is about to let go */
            word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */
            /* WW1 acq_rel: its context and its stack are visible. */
        } else if (skui_cas_acq_rel(&task->wait_word, &word,
                                    word | SKUI_WAIT_HELD)) {
            return true;
        }
    }
    return false;
}

static int stack_walk(const struct skui_task *task, void **frames,
                      size_t capacity)
{
    struct skui_frame_span span = {(uintptr_t)task->stack.limit,
                                   (uintptr_t)task->stack.top};
    uintptr_t saved[2]; /* the caller's frame, the return address */

    if (!skui_arch_saved_frame(task->coroutine.context, saved)) {
        return -ENOTSUP;
    }
    return (int)skui_frames_walk((struct skui_frame_record){saved[0], saved[1]},
                                 span, frames, capacity);
}

static int stack_of_suspended(struct skui_task *task, void **frames,
                              size_t capacity)
{
    uint64_t word;
    int count;

    if (!stack_hold(task)) {
        return skui_future_is_done(&task->future) ? 0 : -EBUSY;
    }
    count = stack_walk(task, frames, capacity);
    /* WW1 acquire: a watched task may have been resumed. */
    word = skui_load_acquire(&task->wait_word);
    skui_task_unhold(task, SKUI_UNHOLD_ONLY);
    return word_is_parked(word) || (word & SKUI_WAIT_DEFERRED) != 0 ? count
                                                                    : -EBUSY;
}

int skua_task_get_stack(skua_task *task, void **frames, size_t capacity)
{
    int status = task == NULL || !skui_future_is_task(task) ||
                         (frames == NULL && capacity > 0)
                     ? -EINVAL
                     : skui_future_check(task);

    if (status < 0) {
        return status;
    }
    if (capacity > INT16_MAX) {
        capacity = INT16_MAX;
    }
    if (skua_current_task() == task) {
        return capacity == 0 ? 0 : backtrace(frames, (int)capacity);
    }
    return stack_of_suspended(skui_task_of(task), frames, capacity);
}

static size_t text_frames(char *text, size_t used, const char *title,
                          void *const *frames, size_t count)
{
    int length = snprintf(text + used, TEXT_BYTES - used, "\n%s\n", title);

    used += (size_t)length < TEXT_BYTES - used ? (size_t)length : 0;
    length =
        skua_backtrace_format(frames, count, text + used, TEXT_BYTES - used);
    return (size_t)length < TEXT_BYTES - used ? used + (size_t)length
                                              : TEXT_BYTES - 1;
}

int skua_task_print_stack(skua_task *task, size_t limit)
{
    void *frames[FRAMES_MAXIMUM];
    char name[SKUI_NAME_BYTES];
    struct skui_origin origin;
    size_t used;
    char *text;
    int count = skua_task_get_stack(
        task, frames,
        limit == 0 || limit > FRAMES_MAXIMUM ? FRAMES_MAXIMUM : limit);

    if (count == -EINVAL || count == SKUA_EFORKED) {
        return count;
    }
    text = skui_allocate(TEXT_BYTES);
    if (text == NULL) {
        return -ENOMEM;
    }
    (void)skui_task_copy_name(skui_task_of(task), name, sizeof(name));
    used = (size_t)snprintf(text, TEXT_BYTES, "task %s: %s", name,
                            count < 0    ? skua_strerror(count)
                            : count == 0 ? "done"
                                         : "innermost call first");
    if (count > 0) {
        used = text_frames(text, used, "stack", frames, (size_t)count);
    }
    if (task->traced && skui_origin_find(task, &origin)) {
        (void)text_frames(text, used, "made at", origin.frames, origin.count);
    }
    skui_log(SKUA_LOG_INFO, text);
    skui_release(text);
    return count;
}
