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

enum { TEXT_BYTES = 2048, SLOW_BYTES = 160, WHAT_BYTES = 96 };

_Atomic(bool) skui_debug_default; /* relaxed: a setting */

/* --- the setting --- */

static void debug_at_exit(void)
{
    (void)skua_dump_leaks();
}

void skui_debug_init(void)
{
    const char *text = secure_getenv("SKUA_DEBUG");

    if (text != NULL && text[0] != '\0' && strcmp(text, "0") != 0) {
        skui_store_relaxed(&skui_debug_default, true); /* relaxed: a setting */
        (void)atexit(debug_at_exit);
    }
}

int skua_set_debug(bool enabled)
{
    skui_runtime_init(); /* the environment comes first */
    skui_store_relaxed(&skui_debug_default, enabled); /* relaxed: a setting */
    return 0;
}

bool skua_get_debug(void)
{
    skui_runtime_init();
    return skui_load_relaxed(&skui_debug_default); /* relaxed: a setting */
}

int skua_loop_set_slow_callback_duration(skua_loop *loop, int64_t duration_ns)
{
    int status =
        loop == NULL || duration_ns < 0 ? -EINVAL : skui_loop_check_open(loop);

    if (status == SKUA_EFORKED || status == -EINVAL) {
        return status;
    }
    /* relaxed: a setting */
    skui_store_relaxed(&loop->slow_ns, duration_ns);
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

static void what_runs(char *what, skua_future *future,
                      const skua_handle *handle)
{
    char name[SKUI_NAME_BYTES];

    if (handle != NULL) {
        what_of_handle(what, handle);
    } else if (future != NULL && skui_future_is_task(future)) {
        (void)skui_task_copy_name(skui_task_of(future), name, sizeof(name));
        (void)snprintf(what, WHAT_BYTES, "task %s", name);
    } else {
        (void)snprintf(what, WHAT_BYTES, "done callback");
    }
}

void skui_slow_begin(skua_loop *loop)
{
    loop->step_began_ns = skui_clock_now();
}

void skui_slow_end(skua_loop *loop, skua_future *future, skua_handle *handle)
{
    int64_t took_ns = skui_clock_now() - loop->step_began_ns;
    skua_exception_context context = {0};
    char message[SLOW_BYTES];
    char what[WHAT_BYTES];

    if (took_ns < skua_loop_get_slow_callback_duration(loop)) {
        return;
    }
    what_runs(what, future, handle);
    (void)snprintf(
        message, sizeof(message), "Executing %s took %lld.%06lld seconds", what,
        (long long)(took_ns / SKUA_S), (long long)(took_ns % SKUA_S / SKUA_US));
    context.message = message;
    context.loop = loop;
    context.future = future;
    context.handle = handle;
    context.duration_ns = took_ns;
    skui_report(&context);
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
    }
    return "object";
}

static void leak_log(const struct skui_origin *origin, void *arg)
{
    char text[TEXT_BYTES];
    int used = snprintf(text, sizeof(text), "%s was not released, made at\n",
                        kind_name(origin->kind));

    (void)arg;
    (void)skua_backtrace_format(origin->frames, origin->count, text + used,
                                sizeof(text) - (size_t)used);
    skui_log(SKUA_LOG_WARNING, text);
}

int64_t skua_dump_leaks(void)
{
    return (int64_t)skui_origin_for_each(leak_log, NULL);
}
