/* SPDX-License-Identifier: Apache-2.0 */
/*
 * future_wait.c - threads and tasks wait for a future.
 * Threads     Any thread that is no loop blocks; a task suspends.
 * Invariants  Who gives up its wait leaves its node to skui_future_leave().
 * Ordering    FU3 life of a waiter.
 */
#include <errno.h>

#include "clock.h"
#include "executor/work_self.h"
#include "composite.h"
#include "futex.h"
#include "future.h"
#include "loop.h"
#include "task.h"

/* --- waiting in a plain thread --- */

static int future_block(skua_future *future, int64_t deadline_ns)
{
    struct skui_waiter *waiter =
        skui_waiter_make(SKUI_WAITER_THREAD, NULL, NULL);

    if (waiter == NULL) {
        return -ENOMEM;
    }
    if (!skui_future_register(future, waiter)) {
        skui_waiter_free(waiter);
        return 0;
    }
    /* FU3 acquire: pairs with fire_thread(). */
    while (skui_load_acquire(&waiter->life) == SKUI_WAITER_LIVE) {
        if (!skui_futex_wait(&waiter->life, SKUI_WAITER_LIVE, deadline_ns)) {
            skui_future_leave(future, waiter);
            return skui_future_is_done(future) ? 0 : -ETIMEDOUT;
        }
    }
    skui_waiter_free(waiter);
    return 0;
}

static int future_wait_thread(skua_future *future, int64_t deadline_ns)
{
    int status = skui_work_wait_begin(future, deadline_ns);

    if (status == 0) {
        status = future_block(future, deadline_ns);
        skui_work_wait_end();
    }
    return status;
}

/* --- waiting in a task --- */

enum await_pass {
    PASS_TAKEN,
    PASS_LATE,    /* it is as good as done: wait for that, and be cancelled */
    PASS_REFUSED, /* there is nothing to wait for */
};

/*
 * How many requests that come before the wait are passed on to a composite:
 * results may be written until it is done, so the task waits for it, whoever
 * cancels again meanwhile. That many come only around a ring.
 */
enum { PASSES_TO_COMPOSITE = 1000 };

static enum await_pass await_pass_spread(skua_future *future,
                                         struct skui_spread *spread,
                                         unsigned before)
{
    int result;

    if (future->kind != SKUI_FUTURE_COMPOSITE) {
        result = before == 0 ? skui_future_cancel_within(future, spread) : 0;
        (void)skui_spread_run(spread);
        return result == 1 ? PASS_TAKEN : PASS_REFUSED;
    }
    result = skui_composite_cancel(skui_composite_of(future), spread, true);
    (void)skui_spread_run(spread);
    if (spread->came_back || before == PASSES_TO_COMPOSITE) {
        return PASS_REFUSED; /* a ring: nobody else would end it */
    }
    return result != 0 ? PASS_TAKEN : PASS_LATE;
}

/*
 * A request that came before the wait goes to what is awaited now (asyncio),
 * with its message, if it is the first one.
 */
static enum await_pass await_pass_on(struct skui_task *task,
                                     skua_future *future, unsigned before)
{
    skua_exception *message = skui_task_take_blame(task);
    struct skui_spread spread = {.message = message};
    enum await_pass pass;

    if (future->kind == SKUI_FUTURE_COMPOSITE) {
        spread.origin = &task->future;
    }
    pass = await_pass_spread(future, &spread, before);
    if (pass != PASS_TAKEN && message != NULL) {
        skui_task_set_blame(task, message);
    } else {
        skua_exception_unref(message);
    }
    return pass;
}

/* Without a deadline: the task itself is the waiter. */
static int future_wait_task(skua_loop *loop, struct skui_task *task,
                            skua_future *future)
{
    int reason = skui_task_await(loop, task, future);
    unsigned passes = 0;
    bool late = false;

    while (reason == SKUI_REASON_NOT_PARKED) {
        enum await_pass pass = await_pass_on(task, future, passes++);

        if (pass == PASS_REFUSED) {
            return SKUA_ECANCELED;
        }
        late = late || pass == PASS_LATE;
        reason = skui_task_await(skui_loop_self(), task, future);
    }
    return late ? SKUA_ECANCELED : reason;
}

struct await_state {
    skua_future *future;
    struct skui_waiter *waiter; /* NULL once it belongs to somebody else */
    bool published;
};

static void await_publish(skui_claim claim, void *arg)
{
    struct await_state *state = arg;
    struct skui_waiter *waiter = state->waiter;

    waiter->to.claim = claim;
    state->published = true;
    if (!skui_future_register(state->future, waiter)) {
        skui_waiter_free(waiter);
        state->waiter = NULL; /* nobody has the claim but a timer */
        (void)skui_wake(claim, 0);
    }
}

/* After the wait that ended with `reason`. */
static void await_end(const struct await_state *state, int reason)
{
    if (!state->published) {
        skui_waiter_free(state->waiter);
    } else if (reason != 0 && state->waiter != NULL) {
        skui_future_leave(state->future, state->waiter);
    }
}

static int future_wait_task_until(struct skui_task *task, skua_future *future,
                                  int64_t deadline_ns)
{
    struct await_state state = {future, NULL, false};
    unsigned passes = 0;
    bool late = false;
    int reason;

    if (deadline_ns <= skui_clock_now()) {
        return -ETIMEDOUT;
    }
    state.waiter = skui_waiter_make(SKUI_WAITER_CLAIM, NULL, NULL);
    if (state.waiter == NULL) {
        return -ENOMEM;
    }
    task->awaiting = future;
    reason = skui_task_suspend(task, await_publish, &state, deadline_ns);
    while (reason == SKUA_ECANCELED && !state.published) {
        enum await_pass pass = await_pass_on(task, future, passes++);

        if (pass == PASS_REFUSED) {
            break;
        }
        late = late || pass == PASS_LATE;
        reason = skui_task_suspend(task, await_publish, &state, deadline_ns);
    }
    task->awaiting = NULL;
    await_end(&state, reason);
    return late && reason == 0 ? SKUA_ECANCELED : reason;
}

/* How a wait ended that a request may have met. */
static int await_outcome(struct skui_task *task, int reason)
{
    return skui_task_take_cancel(task) || reason == SKUA_ECANCELED
               ? skui_task_deliver_cancel(task)
               : reason;
}

/* A request ends the wait: the task awaits nothing that it could go to. */
static int future_wait_task_apart(struct skui_task *task, skua_future *future,
                                  int64_t deadline_ns)
{
    struct await_state state = {future, NULL, false};
    int reason;

    if (future == &task->future) {
        return -EDEADLK;
    }
    if (deadline_ns <= skui_clock_now()) {
        return -ETIMEDOUT;
    }
    state.waiter = skui_waiter_make(SKUI_WAITER_CLAIM, NULL, NULL);
    if (state.waiter == NULL) {
        return -ENOMEM;
    }
    reason = skui_task_suspend(task, await_publish, &state, deadline_ns);
    await_end(&state, reason);
    return await_outcome(task, reason);
}

/* 0 when the future is done; or it has delivered. */
static int future_suspend(skua_loop *loop, skua_future *future,
                          int64_t deadline_ns)
{
    struct skui_task *task = loop->current;
    int reason;

    if (future == &task->future) {
        return -EDEADLK;
    }
    reason = deadline_ns == SKUA_FOREVER
                 ? future_wait_task(loop, task, future)
                 : future_wait_task_until(task, future, deadline_ns);
    return await_outcome(task, reason);
}

int skui_future_wait(skua_future *future, int64_t deadline_ns,
                     struct skui_outcome *out)
{
    skua_loop *loop;
    struct skui_task *task = NULL;
    int status = 0;

    if (!skui_future_is_done(future)) {
        loop = skui_loop_self();
        task = loop == NULL ? NULL : loop->current;
        if (task != NULL) {
            status = future_suspend(loop, future, deadline_ns);
        } else if (loop != NULL) {
            status = -EDEADLK; /* a callback: it would block its own loop */
        } else {
            status = future_wait_thread(future, deadline_ns);
        }
    } else {
        status = skui_task_spend_budget();
    }
    if (task != NULL && status == SKUI_REASON_DELIVERED) {
        *out = (struct skui_outcome){0, task->delivered, NULL};
        return 0;
    }
    if (status == 0) {
        skui_future_read(future, out);
    }
    return status;
}

int skui_future_wait_done(skua_future *future, int64_t deadline_ns)
{
    skua_loop *loop;

    if (skui_future_is_done(future)) {
        return 0;
    }
    loop = skui_loop_self();
    if (loop == NULL) {
        return future_wait_thread(future, deadline_ns);
    }
    return loop->current == NULL
               ? -EDEADLK /* a callback: it would block its own loop */
               : future_wait_task_apart(loop->current, future, deadline_ns);
}
