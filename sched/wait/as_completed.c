/* SPDX-License-Identifier: Apache-2.0 */
/*
 * as_completed.c - futures in the order in which they complete.
 * Threads     Hooks run in the threads that complete; any calls next.
 * Invariants  Each call of next reserves one completion and gets it or gives
 *             the place back. Calls wait only while none is ready, in order. A
 *             hook of each future is there until fini, fired or not, and holds
 *             a reference.
 * Ordering    SL1 for all fields; AC1 a thread's look at its call.
 * Rejected    A timer for the limit: each wait has the deadline itself, so
 *             there is none to remove.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../clock.h"
#include "../executor/work_self.h"
#include "../composite.h"
#include "../futex.h"
#include "../loop.h"
#include "../spinlock.h"
#include "../task.h"
#include "distinct.h"
#include "skua/wait.h"

/* One call of next that waits, on its stack. Guarded by the lock. */
struct call {
    struct call *next;
    struct skui_waiter *hook; /* what it was given, or NULL */
    skui_claim waiter;        /* a task, once it is parked */
    bool thread;              /* constant */
};

/* All guarded by the lock, but for what is said. */
struct completed {
    struct skui_spinlock lock;
    _Atomic(uint32_t) news;    /* AC1; grows when a thread's call is answered */
    struct skui_waiter *hooks; /* of all futures, as given; constant */
    struct skui_waiter *ready_first; /* fired and not handed out */
    struct skui_waiter *ready_last;
    struct call *calls_first; /* none while something is ready */
    struct call *calls_last;
    size_t left;         /* completions that no call has reserved */
    int64_t deadline_ns; /* constant */
    bool expired;        /* nothing becomes ready any more */
};

_Static_assert(sizeof(struct completed) <= sizeof(skua_as_completed),
               "the public storage fits");

static struct completed *completed_of(skua_as_completed *self)
{
    return (struct completed *)(void *)self->opaque;
}

/* --- the two queues, under the lock --- */

static struct skui_waiter *ready_next(struct skui_waiter *hook)
{
    /* relaxed: under the lock */
    struct skui_runnable *next = skui_load_relaxed(&hook->runnable.next);

    return next == NULL ? NULL
                        : SKUI_CONTAINER_OF(next, struct skui_waiter, runnable);
}

static void ready_link(struct skui_waiter *hook, struct skui_waiter *next)
{
    /* relaxed: under the lock */
    skui_store_relaxed(&hook->runnable.next,
                       next == NULL ? NULL : &next->runnable);
}

static void ready_append(struct completed *self, struct skui_waiter *hook)
{
    ready_link(hook, NULL);
    if (self->ready_first == NULL) {
        self->ready_first = hook;
    } else {
        ready_link(self->ready_last, hook);
    }
    self->ready_last = hook;
}

static void ready_prepend(struct completed *self, struct skui_waiter *hook)
{
    ready_link(hook, self->ready_first);
    if (self->ready_first == NULL) {
        self->ready_last = hook;
    }
    self->ready_first = hook;
}

static struct skui_waiter *ready_take(struct completed *self)
{
    struct skui_waiter *hook = self->ready_first;

    if (hook != NULL) {
        self->ready_first = ready_next(hook);
    }
    return hook;
}

static void calls_append(struct completed *self, struct call *call)
{
    if (self->calls_first == NULL) {
        self->calls_first = call;
    } else {
        self->calls_last->next = call;
    }
    self->calls_last = call;
}

static void calls_remove(struct completed *self, struct call *call)
{
    struct call **link = &self->calls_first;
    struct call *previous = NULL;

    while (*link != call) {
        previous = *link;
        link = &previous->next;
    }
    *link = call->next;
    if (self->calls_last == call) {
        self->calls_last = previous;
    }
}

/* Whom to wake outside the lock. */
struct wake {
    skui_claim waiter;
    bool thread;
};

/* Answer the oldest call. False when none waits. */
static bool calls_answer(struct completed *self, struct skui_waiter *hook,
                         struct wake *wake)
{
    struct call *call = self->calls_first;

    if (call == NULL) {
        return false;
    }
    self->calls_first = call->next;
    call->hook = hook;
    wake->waiter = call->waiter;
    wake->thread = call->thread;
    if (call->thread) {
        /* AC1 release: a thread that looks goes on to the lock. */
        skui_store_release(&self->news, skui_load_relaxed(&self->news) + 1);
    }
    return true;
}

static void wake_up(struct completed *self, const struct wake *wake)
{
    if (wake->waiter != 0) {
        (void)skui_wake(wake->waiter, 0);
    } else if (wake->thread) {
        skui_futex_wake(&self->news, INT_MAX);
    }
}

/* --- completions --- */

/* The iterator stays until this has returned: fini revokes the hook. */
static bool completed_hook(struct skui_waiter *waiter, skua_future *future,
                           struct skui_completions *due)
{
    struct completed *self = waiter->arg;
    struct wake wake = {0};

    (void)future;
    (void)due;
    skui_spinlock_lock(&self->lock);
    if (!self->expired && !calls_answer(self, waiter, &wake)) {
        ready_append(self, waiter);
    }
    skui_spinlock_unlock(&self->lock);
    wake_up(self, &wake);
    return true;
}

/* --- beginning --- */

/* A hook for one awaitable; index tells whether its task is to be started. */
static int completed_prepare(struct completed *self, skua_awaitable awaitable,
                             struct skui_waiter **out_hook)
{
    struct skui_waiter *hook =
        skui_waiter_make_hook(completed_hook, self, NULL);
    struct skui_task *task;
    int status;

    if (hook == NULL) {
        return -ENOMEM;
    }
    hook->index = awaitable.future == NULL;
    if (awaitable.future != NULL) {
        hook->future = skua_future_ref(awaitable.future);
    } else {
        status = skui_task_create_held(awaitable.fn, awaitable.arg, &task);
        if (status < 0) {
            skui_waiter_free(hook);
            return status;
        }
        hook->future = &task->future;
    }
    hook->link = NULL;
    *out_hook = hook;
    return 0;
}

static void completed_undo(struct completed *self)
{
    while (self->hooks != NULL) {
        struct skui_waiter *hook = self->hooks;

        self->hooks = hook->link;
        if (hook->index != 0) {
            skui_task_drop_unstarted(skui_task_of(hook->future));
        }
        skua_future_unref(hook->future);
        skui_waiter_free(hook);
    }
}

static int completed_prepare_all(struct completed *self,
                                 const skua_awaitable *awaitables, size_t count,
                                 struct skui_distinct *distinct)
{
    struct skui_waiter **link = &self->hooks;

    for (size_t i = 0; i < count; i++) {
        int status;

        if (awaitables[i].future != NULL &&
            !skui_distinct_add(distinct, awaitables[i].future)) {
            continue;
        }
        status = completed_prepare(self, awaitables[i], link);
        if (status < 0) {
            completed_undo(self);
            return status;
        }
        link = &(*link)->link;
        self->left++;
    }
    return 0;
}

static void completed_start(struct completed *self)
{
    struct skui_completions none = {0};
    struct skui_waiter *hook;

    for (hook = self->hooks; hook != NULL; hook = hook->link) {
        if (!skui_future_register(hook->future, hook)) {
            (void)completed_hook(hook, hook->future, &none);
            /* relaxed: no completer has it */
            skui_store_relaxed(&hook->life, (uint32_t)SKUI_WAITER_TAKEN);
        }
        if (hook->index != 0) {
            skui_task_start(skui_task_of(hook->future));
        }
    }
}

int skua_as_completed_init(skua_as_completed *iterator,
                           const skua_awaitable *awaitables, size_t count,
                           int64_t timeout_ns)
{
    struct skui_distinct distinct;
    struct completed *self;
    int status =
        iterator == NULL || count > INT_MAX || timeout_ns == SKUA_NOT_A_TIME
            ? -EINVAL
            : skui_awaitables_check(awaitables, count);

    if (status == 0) {
        status = skui_distinct_init(&distinct, count);
    }
    if (status < 0) {
        return status;
    }
    skui_runtime_init();
    memset(iterator, 0, sizeof(*iterator));
    self = completed_of(iterator);
    self->deadline_ns = skui_clock_after(timeout_ns);
    status = completed_prepare_all(self, awaitables, count, &distinct);
    skui_distinct_fini(&distinct);
    if (status < 0) {
        memset(iterator, 0, sizeof(*iterator));
        return status;
    }
    status = (int)self->left;
    completed_start(self);
    return status;
}

/* --- waiting --- */

struct call_wait {
    struct completed *self;
    struct call *call;
};

static void call_publish(skui_claim claim, void *arg)
{
    struct call_wait *wait = arg;
    bool answered;

    skui_spinlock_lock(&wait->self->lock);
    answered = wait->call->hook != NULL;
    wait->call->waiter = claim;
    skui_spinlock_unlock(&wait->self->lock);
    if (answered) {
        (void)skui_wake(claim, 0);
    }
}

static bool call_is_answered(struct completed *self, const struct call *call)
{
    bool answered;

    skui_spinlock_lock(&self->lock);
    answered = call->hook != NULL;
    skui_spinlock_unlock(&self->lock);
    return answered;
}

/* In a worker of a pool which is to do some of it: do the first such. */
static bool completed_help(const struct completed *self)
{
    const struct skui_waiter *hook = self->hooks;

    while (hook != NULL && self->deadline_ns == SKUA_FOREVER &&
           !skui_work_help(hook->future)) {
        hook = hook->link;
    }
    return hook != NULL && self->deadline_ns == SKUA_FOREVER;
}

static int call_wait_thread(struct completed *self, const struct call *call)
{
    for (;;) {
        /* AC1 acquire: an answer that comes after this changes it. */
        uint32_t news = skui_load_acquire(&self->news);

        if (call_is_answered(self, call)) {
            return 0;
        }
        if (completed_help(self)) {
            continue;
        }
        if (!skui_futex_wait(&self->news, news, self->deadline_ns)) {
            return -ETIMEDOUT;
        }
    }
}

/*
 * The call has ended with `status`: 0 if it was answered, which a cancelled one
 * passes on.
 */
static int call_end(struct completed *self, struct call *call, int status)
{
    struct wake wake = {0};

    skui_spinlock_lock(&self->lock);
    if (call->hook == NULL) {
        calls_remove(self, call);
        self->expired = self->expired || status == -ETIMEDOUT;
    } else if (status == -ETIMEDOUT) {
        status = 0;
    } else if (status < 0 && !calls_answer(self, call->hook, &wake)) {
        ready_prepend(self, call->hook);
    }
    if (status < 0 && status != -ETIMEDOUT) {
        self->left++; /* the place goes to another call */
    }
    skui_spinlock_unlock(&self->lock);
    wake_up(self, &wake);
    return status;
}

/* Reserve a place: 1 with *out_hook, 0 when there is none; -EAGAIN: `call`
 * waits now. */
static int completed_reserve(struct completed *self, struct call *call,
                             struct skui_waiter **out_hook)
{
    int result = 1;

    skui_spinlock_lock(&self->lock);
    if (self->left == 0) {
        result = 0;
    } else {
        self->left--;
        *out_hook = ready_take(self);
        if (*out_hook == NULL && self->expired) {
            result = -ETIMEDOUT;
        } else if (*out_hook == NULL) {
            calls_append(self, call);
            result = -EAGAIN;
        }
    }
    skui_spinlock_unlock(&self->lock);
    return result;
}

int skua_as_completed_next(skua_as_completed *iterator,
                           skua_future **out_future)
{
    const skua_loop *loop = skui_loop_self();
    struct call call = {.thread = loop == NULL};
    struct skui_waiter *hook = NULL;
    struct call_wait wait;
    int status;

    if (iterator == NULL || out_future == NULL) {
        return -EINVAL;
    }
    status = skui_task_spend_budget();
    if (status < 0) {
        return status;
    }
    wait = (struct call_wait){completed_of(iterator), &call};
    status = completed_reserve(wait.self, &call, &hook);
    if (status == -EAGAIN) {
        if (loop == NULL) {
            status = call_wait_thread(wait.self, &call);
        } else {
            status = skui_task_self() == NULL
                         ? -EDEADLK
                         : skui_task_wait(call_publish, &wait,
                                          wait.self->deadline_ns);
        }
        status = call_end(wait.self, &call, status);
        hook = call.hook;
        status = status >= 0 ? 1 : status;
    }
    if (status == 1) {
        *out_future = hook->future;
    }
    return status;
}

int skua_as_completed_await(skua_as_completed *iterator, void **out_result)
{
    skua_future *future = NULL;
    int status = skua_as_completed_next(iterator, &future);

    if (status == 0) {
        return SKUA_EINVALSTATE;
    }
    return future == NULL ? status : skua_future_result(future, out_result);
}

void skua_as_completed_fini(skua_as_completed *iterator)
{
    struct skui_waiter *hook =
        iterator == NULL ? NULL : completed_of(iterator)->hooks;

    while (hook != NULL) {
        struct skui_waiter *next = hook->link;
        skua_future *future = hook->future;

        (void)skui_future_revoke(future, hook);
        skua_future_unref(future);
        hook = next;
    }
    if (iterator != NULL) {
        memset(iterator, 0, sizeof(*iterator));
    }
}
