/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug.c - debug mode: the setting, slow steps, what is left behind.
 * Threads     Settings from any. A step is timed by the loop that runs it.
 * Invariants  A step that began timed ends timed: `timed` changes between two
 *             batches only.
 */
#include "debug.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "future.h"
#include "log.h"
#include "report.h"
#include "task.h"
#include "watchdog.h"

enum { TEXT_BYTES = 2048, SLOW_BYTES = 256, PLACE_BYTES = 96, WHAT_BYTES = 96 };

_Atomic(bool) skui_debug_default; /* relaxed: a setting */

/* --- the setting --- */

static void debug_at_exit(void)
{
    (void)skua_dump_leaks();
}

void skui_debug_set(_Atomic(bool) *setting, bool enabled)
{
    if (enabled) {
        skui_origin_prepare();
        skui_running_prepare();
    }
    skui_store_relaxed(setting, enabled); /* relaxed: a setting */
}

void skui_debug_init(void)
{
    const char *text = secure_getenv("SKUA_DEBUG");

    if (text != NULL && text[0] != '\0' && strcmp(text, "0") != 0) {
        skui_debug_set(&skui_debug_default, true);
        (void)atexit(debug_at_exit);
    }
}

int skua_set_debug(bool enabled)
{
    skui_runtime_init(); /* the environment comes first */
    skui_debug_set(&skui_debug_default, enabled);
    return 0;
}

bool skua_get_debug(void)
{
    skui_runtime_init();
    return skui_load_relaxed(&skui_debug_default); /* relaxed: a setting */
}

static void set_slow(skua_loop *loop, const void *value)
{
    /* relaxed: a setting */
    skui_store_relaxed(&loop->slow_ns, *(const int64_t *)value);
}

int skua_loop_set_slow_callback_duration(skua_loop *loop, int64_t duration_ns)
{
    int status =
        loop == NULL || duration_ns < 0 ? -EINVAL : skui_loop_check_open(loop);

    if (status == SKUA_EFORKED || status == -EINVAL) {
        return status;
    }
    skui_loop_set(loop, set_slow, &duration_ns);
    return 0;
}

int64_t skua_loop_get_slow_callback_duration(const skua_loop *loop)
{
    /* relaxed: a setting */
    return loop == NULL ? -EINVAL
                        : skui_load_relaxed(&((skua_loop *)loop)->slow_ns);
}

/* --- slow steps --- */

static void what_of_handle(char *what, const skua_handle *handle)
{
    void *function = (void *)(uintptr_t)handle->fn;
    Dl_info info;

    if (dladdr(function, &info) != 0 && info.dli_sname != NULL) {
        (void)snprintf(what, WHAT_BYTES, "callback %s", info.dli_sname);
    } else {
        (void)snprintf(what, WHAT_BYTES, "callback %p", function);
    }
}

static void what_runs(char *what, const struct skui_step *step)
{
    char name[SKUI_NAME_BYTES];

    if (step->handle != NULL) {
        what_of_handle(what, step->handle);
    } else if (skui_future_is_task(step->future)) {
        (void)skui_task_copy_name(skui_task_of(step->future), name,
                                  sizeof(name));
        (void)snprintf(what, WHAT_BYTES, "%s %s",
                       step->is_callback ? "a done callback of" : "task", name);
    } else {
        (void)snprintf(what, WHAT_BYTES, "a done callback");
    }
}

static void slow_context(skua_exception_context *context, skua_loop *loop,
                         const struct skui_step *step, int64_t took_ns)
{
    context->loop = loop;
    context->future = step->future;
    context->handle = step->handle;
    context->duration_ns = took_ns;
}

static void slow_report_ended(skua_loop *loop, const struct skui_step *step,
                              int64_t took_ns)
{
    skua_exception_context context = {0};
    char message[SLOW_BYTES];
    char what[WHAT_BYTES];

    what_runs(what, step);
    (void)snprintf(message, sizeof(message), "Executing %s took %.6f seconds",
                   what, (double)took_ns / SKUA_S);
    context.message = message;
    slow_context(&context, loop, step, took_ns);
    skui_report(&context);
}

/* Where in the kernel it waits; "" when it does not. */
static void place_of(char *place, const struct skui_running_answer *answer)
{
    place[0] = '\0';
    if (answer->state != SKUI_RUNNING_WAITS) {
        return;
    }
    if (answer->system_call < 0) {
        (void)snprintf(place, PLACE_BYTES, ", waiting in the kernel");
    } else {
        const char *name = skui_system_call_name(answer->system_call);

        (void)snprintf(place, PLACE_BYTES, ", in system call %ld (%s)",
                       answer->system_call, name == NULL ? "?" : name);
    }
}

/* Report a step that the caller keeps alive. */
static void slow_report_running(skua_loop *loop, const struct skui_step *step,
                                uint32_t number, int64_t took_ns)
{
    skua_exception_context context = {0};
    struct skui_running_answer answer;
    char message[SLOW_BYTES];
    char what[WHAT_BYTES];
    char place[PLACE_BYTES];

    skui_running_ask(loop, number, &answer);
    what_runs(what, step);
    place_of(place, &answer);
    (void)snprintf(message, sizeof(message),
                   "Executing %s goes on after %.6f seconds on loop %u "
                   "(thread %d)%s",
                   what, (double)took_ns / SKUA_S, loop->index,
                   (int)loop->thread_seen.id, place);
    context.message = message;
    context.frames = answer.frames;
    context.frame_count = answer.count;
    slow_context(&context, loop, step, took_ns);
    skui_report(&context);
}

void skui_slow_switch(skua_loop *loop, bool timed)
{
    loop->timed = timed;
    if (timed) {
        skui_running_open(&loop->thread_seen);
        skui_watchdog_add(loop);
    } else {
        skui_watchdog_remove(loop);
        skui_running_close(&loop->thread_seen);
    }
}

void skui_slow_begin(skua_loop *loop, const struct skui_step *step)
{
    skui_spinlock_lock(&loop->step_lock);
    loop->step = *step;
    loop->step.began_ns = skui_clock_now();
    skui_count(&loop->step_number, 1u);
    skui_spinlock_unlock(&loop->step_lock);
}

void skui_slow_end(skua_loop *loop)
{
    struct skui_step ended;
    int64_t took_ns;

    skui_spinlock_lock(&loop->step_lock);
    ended = loop->step;
    loop->step.future = NULL;
    loop->step.handle = NULL;
    skui_count(&loop->step_number, 1u);
    skui_spinlock_unlock(&loop->step_lock);
    took_ns = skui_clock_now() - ended.began_ns;
    if (took_ns >= skua_loop_get_slow_callback_duration(loop)) {
        slow_report_ended(loop, &ended, took_ns);
    }
}

void skui_slow_look(skua_loop *loop)
{
    int64_t limit_ns = skua_loop_get_slow_callback_duration(loop);
    struct skui_step found = {0};
    uint32_t number;
    int64_t took_ns;

    skui_spinlock_lock(&loop->step_lock);
    took_ns = skui_clock_now() - loop->step.began_ns;
    number = skui_load_relaxed(&loop->step_number); /* relaxed: under lock */
    if (!loop->step.told && took_ns >= limit_ns &&
        (loop->step.future != NULL || loop->step.handle != NULL)) {
        loop->step.told = true;
        found = loop->step;
        found.future = skua_future_ref(loop->step.future);
        found.handle = skua_handle_ref(loop->step.handle);
    }
    skui_spinlock_unlock(&loop->step_lock);
    if (found.future != NULL || found.handle != NULL) {
        slow_report_running(loop, &found, number, took_ns);
        skua_future_unref(found.future);
        skua_handle_unref(found.handle);
    }
}

/* --- what is left --- */

static const char *kind_name(enum skui_origin_kind kind)
{
    switch (kind) {
    case SKUI_ORIGIN_FUTURE:
        return "future";
    case SKUI_ORIGIN_TASK:
        return "task";
    case SKUI_ORIGIN_HANDLE:
        return "handle";
    case SKUI_ORIGIN_LOOP:
        return "loop";
    case SKUI_ORIGIN_EXECUTOR:
        return "executor";
    case SKUI_ORIGIN_SOCKET:
        return "socket";
    case SKUI_ORIGIN_WATCH:
        return "watch";
    }
    return "object";
}

/* Log `what`, and where its object was made. Out of line: a large frame, and
 * rarely needed. */
static SKUI_NOINLINE void origin_log(const struct skui_origin *origin,
                                     const char *what)
{
    char text[TEXT_BYTES];
    int used = snprintf(text, sizeof(text), "%s, made at\n", what);

    (void)skua_backtrace_format(origin->frames, origin->count, text + used,
                                sizeof(text) - (size_t)used);
    skui_log(SKUA_LOG_WARNING, text);
}

static void unclosed_log(const struct skui_origin *origin)
{
    char what[WHAT_BYTES];
    const char *kind = kind_name(origin->kind);

    if (origin->fd >= 0) {
        (void)snprintf(what, sizeof(what), "unclosed %s of descriptor %d", kind,
                       origin->fd);
    } else {
        (void)snprintf(what, sizeof(what), "unclosed %s", kind);
    }
    origin_log(origin, what);
}

void skui_debug_unclosed(const void *object)
{
    struct skui_origin origin;

    if (skui_origin_settle(object, &origin)) {
        unclosed_log(&origin);
    }
}

void skui_debug_loop_closes(const skua_loop *loop)
{
    struct skui_origin origin;

    while (skui_origin_settle_one(loop, &origin)) {
        unclosed_log(&origin);
    }
}

static void leak_log(const struct skui_origin *origin, void *arg)
{
    char what[WHAT_BYTES];

    (void)arg;
    (void)snprintf(what, sizeof(what), "%s was not released",
                   kind_name(origin->kind));
    origin_log(origin, what);
}

int64_t skua_dump_leaks(void)
{
    return (int64_t)skui_origin_for_each(leak_log, NULL);
}
