/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_api.c - the public calls on loops: checks, then loop.c.
 * Threads     As each call's comment says.
 * Ordering    LP2 (loop.c).
 */
#include <errno.h>

#include "debug.h"
#include "executor/slot.h"
#include "future.h"
#include "loop.h"
#include "runner.h"

int skua_loop_new(const skua_loop_options *options, skua_loop **out_loop)
{
    skua_loop *loop;
    int status;

    if (out_loop == NULL) {
        return -EINVAL;
    }
    status = skui_loop_open(NULL, options == NULL ? 0 : options->stack_bytes,
                            NULL, 0, &loop);
    if (status < 0) {
        return status;
    }
    if (options != NULL && options->debug) {
        skui_debug_set(&loop->debug, true);
    }
    (void)skui_debug_note(loop, loop, SKUI_ORIGIN_LOOP);
    *out_loop = loop;
    return 0;
}

skua_loop *skua_loop_ref(skua_loop *loop)
{
    if (loop != NULL) {
        /* relaxed: the caller has a reference already */
        (void)skui_fetch_add_relaxed(&loop->refs, 1u);
    }
    return loop;
}

static int loop_check_standalone(const skua_loop *loop)
{
    int status = loop == NULL ? -EINVAL : skui_loop_check_open(loop);

    return status == 0 && loop->runner != NULL ? -EPERM : status;
}

/* `dropped`: by its last reference. */
static int loop_close(skua_loop *loop, bool dropped)
{
    int status = loop_check_standalone(loop);

    if (status == SKUA_ECLOSED) {
        return 0;
    }
    if (status < 0) {
        return status;
    }
    if (skua_loop_is_running(loop)) {
        return SKUA_ERUNNING;
    }
    if (dropped) {
        skui_debug_unclosed(loop);
    } else {
        skui_debug_closed(loop);
    }
    skui_executor_slot_close(loop->executor_slot, false);
    skui_loops_shut(&loop, 1);
    return 0;
}

int skua_loop_close(skua_loop *loop)
{
    return loop_close(loop, false);
}

void skua_loop_unref(skua_loop *loop)
{
    /* RF1 acq_rel: the last one sees what the others did. */
    if (loop != NULL && loop->runner == NULL &&
        skui_fetch_sub_acq_rel(&loop->refs, 1u) == 1) {
        if (loop_close(loop, true) == 0) {
            skui_loop_recycle(loop);
        } else {
            /* relaxed: it runs, or belongs to the parent process; whoever runs
             * it can still close it and drop this reference */
            (void)skui_fetch_add_relaxed(&loop->refs, 1u);
        }
    }
}

int skua_loop_run_forever(skua_loop *loop)
{
    int status = loop_check_standalone(loop);

    if (status == 0) {
        status = skui_loop_enter(loop);
    }
    if (status < 0) {
        return status;
    }
    skui_loop_run(loop);
    status = skui_loop_take_abort(loop, 0);
    skui_loop_leave(loop);
    return status;
}

int skua_loop_run_until_complete(skua_loop *loop, skua_awaitable awaitable,
                                 void **out_result)
{
    skua_future *future = NULL;
    int status = loop_check_standalone(loop);

    if (status == 0) {
        status = skui_loop_enter(loop);
    }
    if (status < 0) {
        return status;
    }
    status = skua_ensure_future(loop, awaitable, &future);
    if (status == 0) {
        status = skui_loop_run_until(loop, future);
        status = skui_loop_take_abort(loop, status);
    }
    skui_loop_leave(loop);
    if (status == 0) {
        status = skua_future_result(future, out_result);
    } else if (future != NULL && awaitable.fn != NULL) {
        skui_future_forgive(future); /* an abort is what is told of it */
    }
    skua_future_unref(future);
    return status;
}

int skua_loop_run_once(skua_loop *loop, int64_t timeout_ns)
{
    int status = loop_check_standalone(loop);

    if (status == 0 && timeout_ns == SKUA_NOT_A_TIME) {
        status = -EINVAL;
    }
    if (status == 0) {
        status = skui_loop_enter(loop);
    }
    if (status < 0) {
        return status;
    }
    skui_loop_iterate(loop, timeout_ns <= 0 ? 0 : skui_clock_after(timeout_ns));
    /* AB1 acquire: as skui_loop_run(). */
    (void)skui_exchange_acquire(&loop->stop_requested, false);
    status = skui_loop_take_abort(loop, 0);
    skui_loop_leave(loop);
    return status;
}

int skua_loop_get_fd(skua_loop *loop)
{
    int status = loop == NULL ? -EINVAL : skui_loop_check_open(loop);

    return status < 0 ? status : loop->poller_ops->get_fd(loop->poller);
}

int64_t skua_loop_next_deadline(skua_loop *loop)
{
    int status = loop == NULL ? -EINVAL : skui_loop_check_own(loop);

    if (status < 0) {
        return status;
    }
    if (!skui_ready_is_empty(&loop->ready) ||
        !skui_inbox_is_empty(&loop->inbox)) {
        return 0;
    }
    return skui_timers_next_deadline(&loop->timers);
}

int skua_loop_stop(skua_loop *loop)
{
    int status = loop_check_standalone(loop);

    if (status < 0) {
        return status;
    }
    skui_loop_request_stop(loop);
    return 0;
}

int skua_loop_abort(skua_loop *loop, int status)
{
    int check =
        loop == NULL || status >= 0 ? -EINVAL : skui_loop_check_open(loop);

    if (check == 0) {
        skui_loop_request_abort(loop, status);
    }
    return check;
}

bool skua_loop_is_running(const skua_loop *loop)
{
    /* LP2 acquire: pairs with skui_loop_leave(). */
    return loop != NULL && skui_load_acquire(&((skua_loop *)loop)->running);
}

bool skua_loop_is_closed(const skua_loop *loop)
{
    return loop == NULL || skui_loop_id(loop) == 0;
}

int64_t skua_loop_time(const skua_loop *loop)
{
    return loop == NULL ? -EINVAL : skui_clock_now();
}

skua_loop *skua_get_running_loop(void)
{
    return skui_loop_self();
}

skua_loop *skua_get_event_loop(void)
{
    skua_loop *loop = skui_loop_self();
    uint32_t id;

    if (loop != NULL) {
        return loop;
    }
    loop = skui_event_loop(&id);
    return loop != NULL && skui_loop_is_alive(loop, id) ? loop : NULL;
}

int skua_set_event_loop(skua_loop *loop)
{
    int status = loop == NULL ? 0 : skui_loop_check_open(loop);

    if (status == 0) {
        skui_set_event_loop(loop, loop == NULL ? 0 : skui_loop_id(loop));
    }
    return status;
}

int skua_loop_create_future(skua_loop *loop, skua_future **out_future)
{
    return loop == NULL ? -EINVAL : skua_future_new(loop, out_future);
}

int skua_loop_run_in_executor(skua_loop *loop, skua_executor *executor,
                              skua_task_fn *fn, void *arg,
                              skua_future **out_future)
{
    int status;

    if (loop == NULL || fn == NULL || out_future == NULL) {
        return -EINVAL;
    }
    status = skui_loop_check_open(loop);
    if (status == 0 && executor == NULL) {
        status = skui_executor_slot_get(loop->executor_slot,
                                        SKUA_EXECUTOR_BLOCKING, &executor);
    } else if (status == 0) {
        executor = skua_executor_ref(executor);
    }
    if (status < 0) {
        return status;
    }
    status = skui_executor_run_for(executor, loop, fn, arg, out_future);
    skua_executor_unref(executor);
    return status;
}

static bool purpose_is_known(skua_executor_purpose purpose)
{
    return (int)purpose >= 0 && (int)purpose < SKUI_EXECUTOR_PURPOSES;
}

int skua_loop_get_executor(skua_loop *loop, skua_executor_purpose purpose,
                           skua_executor **out_executor)
{
    skua_executor *executor;
    int status =
        loop == NULL || out_executor == NULL || !purpose_is_known(purpose)
            ? -EINVAL
            : skui_loop_check_open(loop);

    if (status == 0) {
        status =
            skui_executor_slot_get(loop->executor_slot, purpose, &executor);
    }
    if (status == 0) {
        *out_executor = executor;
    }
    return status;
}

int skua_loop_set_executor(skua_loop *loop, skua_executor_purpose purpose,
                           skua_executor *executor)
{
    int status = loop == NULL || executor == NULL || !purpose_is_known(purpose)
                     ? -EINVAL
                     : skui_loop_check_open(loop);

    return status < 0
               ? status
               : skui_executor_slot_set(loop->executor_slot, purpose, executor);
}

int skua_loop_set_default_executor(skua_loop *loop, skua_executor *executor)
{
    return skua_loop_set_executor(loop, SKUA_EXECUTOR_BLOCKING, executor);
}

int skua_loop_shutdown_default_executor(skua_loop *loop, int64_t timeout_ns)
{
    int status = loop == NULL || timeout_ns == SKUA_NOT_A_TIME
                     ? -EINVAL
                     : skui_loop_check_open(loop);

    return status < 0 ? status
                      : skui_executor_slot_shutdown(
                            loop->executor_slot, skui_clock_after(timeout_ns));
}

static int loop_add(skua_loop *loop, int fd, enum skui_direction direction,
                    skua_callback_fn *fn, void *arg)
{
    int status =
        loop == NULL || fn == NULL ? -EINVAL : skui_loop_check_own(loop);

    if (status == 0 && fd < 0) {
        status = -EBADF;
    }
    return status < 0 ? status
                      : loop->poller_ops->add_callback(loop->poller, fd,
                                                       direction, fn, arg);
}

static int loop_remove(skua_loop *loop, int fd, enum skui_direction direction)
{
    int status = loop == NULL ? -EINVAL : skui_loop_check_own(loop);

    if (status == SKUA_ECLOSED || (status == 0 && fd < 0)) {
        return 0;
    }
    return status < 0
               ? status
               : loop->poller_ops->remove_callback(loop->poller, fd, direction);
}

int skua_loop_add_reader(skua_loop *loop, int fd, skua_callback_fn *fn,
                         void *arg)
{
    return loop_add(loop, fd, SKUI_READ, fn, arg);
}

int skua_loop_add_writer(skua_loop *loop, int fd, skua_callback_fn *fn,
                         void *arg)
{
    return loop_add(loop, fd, SKUI_WRITE, fn, arg);
}

int skua_loop_remove_reader(skua_loop *loop, int fd)
{
    return loop_remove(loop, fd, SKUI_READ);
}

int skua_loop_remove_writer(skua_loop *loop, int fd)
{
    return loop_remove(loop, fd, SKUI_WRITE);
}

/* What also works on a closed loop: 0, -EINVAL or SKUA_EFORKED. */
static int loop_check_process(const skua_loop *loop)
{
    int status = loop == NULL ? -EINVAL : skui_loop_check_open(loop);

    return status == SKUA_ECLOSED ? 0 : status;
}

struct handler {
    skua_exception_handler_fn *fn;
    void *arg;
};

static void set_handler(skua_loop *loop, const void *value)
{
    const struct handler *handler = value;

    skui_spinlock_lock(&loop->lock);
    loop->handler = handler->fn;
    loop->handler_arg = handler->arg;
    skui_spinlock_unlock(&loop->lock);
}

int skua_loop_set_exception_handler(skua_loop *loop,
                                    skua_exception_handler_fn *fn, void *arg)
{
    const struct handler handler = {fn, arg};
    int status = loop_check_process(loop);

    if (status == 0) {
        skui_loop_set(loop, set_handler, &handler);
    }
    return status;
}

bool skui_loop_handler(skua_loop *loop, skua_exception_handler_fn **out_fn,
                       void **out_arg)
{
    skui_spinlock_lock(&loop->lock);
    *out_fn = loop->handler;
    *out_arg = loop->handler_arg;
    skui_spinlock_unlock(&loop->lock);
    return *out_fn != NULL;
}

skua_exception_handler_fn *skua_loop_get_exception_handler(skua_loop *loop,
                                                           void **out_arg)
{
    skua_exception_handler_fn *fn = NULL;
    void *arg = NULL;

    if (loop_check_process(loop) == 0) {
        (void)skui_loop_handler(loop, &fn, &arg);
    }
    if (out_arg != NULL) {
        *out_arg = arg;
    }
    return fn;
}

static void set_debug(skua_loop *loop, const void *value)
{
    skui_debug_set(&loop->debug, *(const bool *)value);
}

int skua_loop_set_debug(skua_loop *loop, bool enabled)
{
    int status = loop_check_process(loop);

    if (status == 0) {
        skui_loop_set(loop, set_debug, &enabled);
    }
    return status;
}

bool skua_loop_get_debug(const skua_loop *loop)
{
    /* relaxed: a setting */
    return loop != NULL && skui_load_relaxed(&((skua_loop *)loop)->debug);
}

int skua_loop_get_stats(const skua_loop *loop, skua_loop_stats *out_stats)
{
    struct skui_counters *counters;
    int status = out_stats == NULL ? -EINVAL : loop_check_process(loop);

    if (status < 0) {
        return status;
    }
    counters = &((skua_loop *)loop)->counters;
    /* relaxed, all: counters of another thread, each right at some moment */
    out_stats->iterations = skui_load_relaxed(&counters->iterations);
    out_stats->tasks_run = skui_load_relaxed(&counters->tasks_run);
    out_stats->callbacks_run = skui_load_relaxed(&counters->callbacks_run);
    out_stats->stolen = skui_load_relaxed(&counters->stolen);
    out_stats->spilled = skui_load_relaxed(&counters->spilled);
    out_stats->polls = skui_load_relaxed(&counters->polls);
    out_stats->parks = skui_load_relaxed(&counters->parks);
    out_stats->wakes_sent = skui_load_relaxed(&counters->wakes_sent);
    out_stats->spins = skui_load_relaxed(&counters->spins);
    out_stats->spins_paid = skui_load_relaxed(&counters->spins_paid);
    out_stats->wakes_saved = skui_load_relaxed(&counters->wakes_saved);
    out_stats->stuck = skui_load_relaxed(&counters->stuck);
    out_stats->revoked = skui_load_relaxed(&counters->revoked);
    out_stats->timers_for = skui_load_relaxed(&counters->timers_for);
    out_stats->delivered_for = skui_load_relaxed(&counters->delivered_for);
    return 0;
}

struct skui_poller *skui_running_poller(void)
{
    skua_loop *loop = skui_loop_self();

    return loop == NULL ? NULL : loop->poller;
}

struct skui_poller *skui_loop_poller(skua_loop *loop)
{
    return loop->poller;
}
