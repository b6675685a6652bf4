/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gather.c - several awaitables as one future.
 * Threads     Children end in any thread; any thread cancels.
 * Invariants  Results are written under the lock and only while it is open, so
 *             never after the future is done. It is closed once, by who finds
 *             it over, and that thread completes it. All children together hold
 *             one reference, which goes with the last of them.
 * Ordering    SL1 for all fields and the results; FU1 publishes them.
 * Rejected    Counting down without a lock: a child that fails would have to
 *             wait for those that write their results right then. Memory for
 *             each child: until it has ended, its result holds what is needed.
 *
 * A child that was a function is observed, so it costs nothing beside its task.
 * A future has a hook. While somebody `holds` the gather (its start, and a
 * cancel request on its way through the children) it is not closed.
 */
#include "skua/gather.h"

#include <errno.h>
#include <string.h>

#include "../composite.h"
#include "../loop.h"
#include "../spinlock.h"
#include "../task.h"
#include "errors.h"

enum {
    CANCEL_BATCH = 32, /* children cancelled outside the lock in one go */
    CANCEL_SCAN = 256, /* results looked at under it */
};

/* All guarded by the lock, but for what is constant. */
struct gather {
    struct skui_composite composite;
    struct skui_observer observer; /* constant; of children that are tasks */
    struct skui_spinlock lock;
    bool return_exceptions; /* constant */
    bool returns_early;     /* constant; see cancel_returns_early */
    bool closed;            /* its outcome is settled */
    bool early;             /* closed while children live */
    bool failed;            /* a child ended without a result */
    bool cancelled;         /* a request was accepted */
    bool insisted;          /* a request must have an effect */
    int failure_status;     /* of the first that failed */
    uint32_t holds;
    uint32_t requests; /* that came while another one was spread */
    skua_gather_result *results;
    size_t count;              /* constant */
    size_t left;               /* children that have not ended */
    skua_exception *failure;   /* of the first that failed; in `errors` */
    struct skui_errors errors; /* the results' exceptions */
    const struct skui_spread *spread_by; /* who passes requests on, or NULL */
};

_Static_assert(sizeof(struct gather) <= SKUI_COMPOSITE_BYTES,
               "it fits the class of composites");

static struct gather *gather_of(struct skui_composite *composite)
{
    return SKUI_CONTAINER_OF(composite, struct gather, composite);
}

/* --- a result that is not in --- */

/* It keeps the child, and the hook unless that is a task of ours. */
static void result_expect(skua_gather_result *result, skua_future *child,
                          struct skui_waiter *hook)
{
    result->status = SKUA_EINVALSTATE;
    result->done = false;
    result->value = child;
    result->exception = (skua_exception *)(void *)hook;
}

static skua_future *result_child(const skua_gather_result *result)
{
    return result->value;
}

static struct skui_waiter *result_hook(const skua_gather_result *result)
{
    return (struct skui_waiter *)(void *)result->exception;
}

static void result_clear(skua_gather_result *result)
{
    result->value = NULL;
    result->exception = NULL;
}

/* --- children that end --- */

/* Under the lock: close it if it is over. True: the caller completes it, with
 * a reference that goes with that. */
static bool gather_close(struct gather *gather)
{
    bool at_first = !gather->return_exceptions && gather->failed &&
                    (!gather->cancelled || gather->returns_early);

    if (gather->closed || gather->holds > 0 ||
        (gather->left > 0 && !at_first)) {
        return false;
    }
    gather->closed = true;
    gather->early = gather->left > 0;
    if (gather->early) {
        (void)skua_future_ref(&gather->composite.future);
    }
    return true;
}

/* Under the lock: note how child `index` ended. */
static void gather_note(struct gather *gather, size_t index,
                        const struct skui_outcome *outcome,
                        struct skui_error *error)
{
    skua_gather_result *result = &gather->results[index];

    result->status = outcome->status;
    result->done = true;
    result->value = outcome->status >= 0 ? outcome->value : NULL;
    result->exception = error == NULL ? NULL : error->exception;
    skui_errors_add(&gather->errors, error);
    if (outcome->status < 0 && !gather->failed) {
        gather->failed = true;
        gather->failure_status = outcome->status;
        gather->failure = result->exception;
    }
}

/* Child `index` has ended. False when the gather was closed before. */
static bool gather_child_ended(struct gather *gather, size_t index,
                               const struct skui_outcome *outcome,
                               struct skui_completions *due)
{
    struct skui_error *error =
        outcome->status < 0 ? skui_error_make(outcome->exception) : NULL;
    bool open;
    bool over;
    bool last;

    skui_spinlock_lock(&gather->lock);
    open = !gather->closed;
    if (open) {
        gather_note(gather, index, outcome, error);
    }
    gather->left--;
    over = gather_close(gather);
    last = !open && gather->left == 0;
    skui_spinlock_unlock(&gather->lock);
    if (!open) {
        skui_error_free(error);
    }
    if (over) {
        skui_completions_add(due, &gather->composite);
    } else if (last) {
        skua_future_unref(&gather->composite.future);
    }
    return open;
}

static void gather_task_ended(struct skui_observer *observer,
                              struct skui_task *task,
                              const struct skui_outcome *outcome)
{
    struct gather *gather =
        SKUI_CONTAINER_OF(observer, struct gather, observer);
    struct skui_completions due = {0};

    (void)gather_child_ended(gather, task->index, outcome, &due);
    skui_completions_run(&due);
}

/* The child's reference is given up here. */
static bool gather_future_ended(struct gather *gather, size_t index,
                                skua_future *future,
                                struct skui_completions *due)
{
    struct skui_outcome outcome = {future->status, future->value,
                                   future->exception};
    bool open;

    if (outcome.status < 0) {
        skui_future_forgive(future);
    }
    open = gather_child_ended(gather, index, &outcome, due);
    skua_future_unref(future);
    return open;
}

static bool gather_hook(struct skui_waiter *waiter, skua_future *future,
                        struct skui_completions *due)
{
    /* When it was closed before, who closed it takes the hook back. */
    return !gather_future_ended(waiter->arg, waiter->index, future, due);
}

/* --- completing --- */

/* Let go of children that have not ended: their results are the caller's. */
static void gather_let_go(struct gather *gather)
{
    size_t gone = 0;
    bool last;

    for (size_t i = 0; i < gather->count; i++) {
        skua_gather_result *result = &gather->results[i];
        skua_future *child = result_child(result);
        struct skui_waiter *hook = result_hook(result);

        if (result->done) {
            continue;
        }
        result_clear(result);
        if (hook != NULL && skui_future_revoke(child, hook)) {
            if (!skui_future_mark(child, SKUI_FUTURE_QUIET)) {
                skui_future_forgive(child);
            }
            skua_future_unref(child);
            gone++;
        }
    }
    skui_spinlock_lock(&gather->lock);
    gather->left -= gone;
    last = gone > 0 && gather->left == 0;
    skui_spinlock_unlock(&gather->lock);
    if (last) {
        skua_future_unref(&gather->composite.future);
    }
}

static void gather_complete(struct skui_composite *self,
                            struct skui_completions *due)
{
    struct gather *gather = gather_of(self);
    struct skui_outcome outcome = {0, gather->results, NULL};
    uintptr_t bits = 0;

    if (gather->early) {
        gather_let_go(gather);
    }
    if (gather->failed && !gather->return_exceptions) {
        outcome.status = gather->failure_status;
        outcome.exception = skua_exception_ref(gather->failure);
    } else if (gather->cancelled) {
        outcome.status = SKUA_ECANCELED;
    }
    if (outcome.status < 0) {
        outcome.value = NULL;
        bits = SKUI_FUTURE_FAILED;
        if (!gather->cancelled || outcome.status != SKUA_ECANCELED) {
            bits |= SKUI_FUTURE_UNREAD;
        }
    }
    (void)skui_future_complete_within(&self->future, &outcome, bits, due);
    skua_future_unref(&self->future);
}

/* --- cancelling --- */

static int gather_cancel(struct skui_composite *self,
                         struct skui_spread *spread, bool insist)
{
    struct gather *gather = gather_of(self);
    bool starts = false;
    bool again = false;
    int result = 1;

    skui_spinlock_lock(&gather->lock);
    if (gather->closed || gather->left == 0) {
        result = 0;
    } else {
        again = gather->spread_by == spread;
        starts = gather->spread_by == NULL;
        gather->insisted = gather->insisted || insist;
        if (starts) {
            gather->spread_by = spread;
            gather->holds++;
        } else if (!again) {
            gather->requests++; /* for who spreads the other one */
        }
    }
    skui_spinlock_unlock(&gather->lock);
    if (starts) {
        skui_spread_add(spread, self);
    }
    return again && skui_spread_came_by(spread, self) ? -EDEADLK : result;
}

/* References to some children that have not ended, from `*cursor` on. */
static size_t gather_next_to_cancel(struct gather *gather, size_t *cursor,
                                    skua_future **batch)
{
    size_t end = gather->count - *cursor < CANCEL_SCAN ? gather->count
                                                       : *cursor + CANCEL_SCAN;
    size_t count = 0;

    skui_spinlock_lock(&gather->lock);
    while (*cursor < end && count < CANCEL_BATCH) {
        const skua_gather_result *result = &gather->results[(*cursor)++];

        /* One that has no reference any more is ending. */
        if (!result->done && skui_future_try_ref(result_child(result))) {
            batch[count++] = result_child(result);
        }
    }
    skui_spinlock_unlock(&gather->lock);
    return count;
}

/* One request to every child; whether one accepted it. */
static bool gather_pass_on(struct gather *gather, struct skui_spread *spread)
{
    skua_future *batch[CANCEL_BATCH];
    size_t cursor = 0;
    bool accepted = false;

    while (cursor < gather->count) {
        size_t count = gather_next_to_cancel(gather, &cursor, batch);

        for (size_t i = 0; i < count; i++) {
            if (skui_future_cancel_within(batch[i], spread) > 0) {
                accepted = true;
            }
            skua_future_unref(batch[i]);
        }
    }
    return accepted;
}

static bool gather_spread(struct skui_composite *self,
                          struct skui_spread *spread)
{
    struct gather *gather = gather_of(self);
    bool accepted = gather_pass_on(gather, spread);

    skui_spinlock_lock(&gather->lock);
    gather->cancelled = gather->cancelled || accepted || gather->insisted;
    skui_spinlock_unlock(&gather->lock);
    return accepted;
}

static bool gather_spread_end(struct skui_composite *self)
{
    struct gather *gather = gather_of(self);
    struct skui_completions due = {0};
    bool over = false;
    bool again;

    skui_spinlock_lock(&gather->lock);
    again = gather->requests > 0;
    if (again) {
        gather->requests--;
    } else {
        gather->cancelled = gather->cancelled || gather->insisted;
        gather->spread_by = NULL;
        gather->holds--;
        over = gather_close(gather);
    }
    skui_spinlock_unlock(&gather->lock);
    if (over) {
        skui_completions_add(&due, self);
        skui_completions_run(&due);
    }
    return again;
}

/* Under the lock: a child that has not ended is still the one expected. */
static bool gather_expects(const struct gather *gather, size_t from, size_t end,
                           const skua_future *future)
{
    for (size_t i = from; i < end; i++) {
        const skua_gather_result *result = &gather->results[i];

        if (!result->done && result_child(result) == future) {
            return true;
        }
    }
    return false;
}

static bool gather_awaits(struct skui_composite *self,
                          const skua_future *future)
{
    struct gather *gather = gather_of(self);
    bool found = false;
    bool closed = false;

    for (size_t i = 0; i < gather->count && !found && !closed;
         i += CANCEL_SCAN) {
        size_t end =
            gather->count - i < CANCEL_SCAN ? gather->count : i + CANCEL_SCAN;

        skui_spinlock_lock(&gather->lock);
        closed = gather->closed; /* the results are the caller's */
        found = !closed && gather_expects(gather, i, end, future);
        skui_spinlock_unlock(&gather->lock);
    }
    return found;
}

static void gather_release(struct skui_composite *self)
{
    skui_errors_clear(&gather_of(self)->errors);
}

static const struct skui_composite_ops gather_ops = {
    gather_complete,   gather_cancel, gather_spread,
    gather_spread_end, gather_awaits, gather_release,
};

/* --- starting --- */

/* The running loop; without one, a future's home. */
static skua_loop *gather_home(const skua_awaitable *awaitables, size_t count)
{
    skua_loop *loop = skui_loop_self();

    for (size_t i = 0; i < count && loop == NULL; i++) {
        if (awaitables[i].future != NULL) {
            loop = skui_future_home(awaitables[i].future);
        }
    }
    return loop;
}

/* Held, with a reference for the caller and one for the children. */
static struct gather *gather_make(const skua_awaitable *awaitables,
                                  size_t count,
                                  const skua_gather_options *options,
                                  skua_gather_result *results)
{
    struct skui_composite *composite =
        skui_composite_make(&gather_ops, gather_home(awaitables, count), 2);
    struct gather *gather;

    if (composite == NULL) {
        return NULL;
    }
    gather = gather_of(composite);
    memset((char *)gather + sizeof(*composite), 0,
           sizeof(*gather) - sizeof(*composite));
    gather->observer.ended = gather_task_ended;
    gather->return_exceptions = options != NULL && options->return_exceptions;
    gather->returns_early = options != NULL && options->cancel_returns_early;
    gather->holds = 1;
    gather->results = results;
    gather->count = count;
    gather->left = count;
    return gather;
}

/* Make all that child `index` needs to start. */
static int gather_prepare(struct gather *gather, skua_awaitable awaitable,
                          size_t index)
{
    skua_gather_result *result = &gather->results[index];
    struct skui_waiter *hook;
    struct skui_task *task;
    int status;

    if (awaitable.future == NULL) {
        status = skui_task_create_observed(NULL, awaitable.fn, awaitable.arg, 1,
                                           &task);
        if (status == 0) {
            task->observer = &gather->observer;
            task->index = (uint32_t)index;
            result_expect(result, &task->future, NULL);
        }
        return status;
    }
    hook = skui_waiter_make_hook(gather_hook, gather, awaitable.future);
    if (hook == NULL) {
        return -ENOMEM;
    }
    hook->index = (uint32_t)index;
    result_expect(result, skua_future_ref(awaitable.future), hook);
    return 0;
}

/* Undo gather_prepare() for the first `count`, and the gather. */
static void gather_undo(struct gather *gather, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        skua_gather_result *result = &gather->results[i];
        skua_future *child = result_child(result);

        if (result_hook(result) == NULL) {
            skui_task_drop_unstarted(skui_task_of(child));
        } else {
            skui_waiter_free(result_hook(result));
            skua_future_unref(child);
        }
        result_clear(result);
    }
    skua_future_unref(&gather->composite.future);
    skua_future_unref(&gather->composite.future);
}

/* From here on the result may be written by who ends the child. */
static void gather_start_child(struct gather *gather, size_t index,
                               struct skui_completions *due)
{
    const skua_gather_result *result = &gather->results[index];
    skua_future *child = result_child(result);
    struct skui_waiter *hook = result_hook(result);

    if (hook == NULL) {
        skui_task_start(skui_task_of(child));
    } else if (!skui_future_register(child, hook)) {
        skui_waiter_free(hook);
        (void)gather_future_ended(gather, index, child, due);
    }
}

static void gather_start(struct gather *gather)
{
    struct skui_completions due = {0};
    bool over;

    skui_composite_set_whole(&gather->composite);
    for (size_t i = 0; i < gather->count; i++) {
        gather_start_child(gather, i, &due);
    }
    skui_spinlock_lock(&gather->lock);
    gather->holds--;
    over = gather_close(gather);
    skui_spinlock_unlock(&gather->lock);
    if (over) {
        skui_completions_add(&due, &gather->composite);
    }
    skui_completions_run(&due);
}

int skua_gather(const skua_awaitable *awaitables, size_t count,
                const skua_gather_options *options, skua_gather_result *results,
                skua_future **out_gather)
{
    struct gather *gather;
    int status = 0;

    if (out_gather == NULL || (count > 0 && results == NULL)) {
        return -EINVAL;
    }
    status = skui_awaitables_check(awaitables, count);
    if (status < 0) {
        return status;
    }
    skui_runtime_init();
    gather = gather_make(awaitables, count, options, results);
    if (gather == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count && status == 0; i++) {
        status = gather_prepare(gather, awaitables[i], i);
        if (status < 0) {
            gather_undo(gather, i);
        }
    }
    if (status == 0) {
        *out_gather = &gather->composite.future;
        gather_start(gather);
    }
    return status;
}
