/* SPDX-License-Identifier: Apache-2.0 */
/*
 * future.c - one outcome and those who wait for it.
 * Threads     Any thread completes, registers, leaves, reads.
 * Invariants  PENDING -> SETTING -> DONE, each step once. Whoever made it
 *             SETTING owns the outcome until DONE; then it is constant. Each
 *             waiter fires at most once.
 * Ordering    FU1 outcome (state), FU2 list (state), FU3 life of a waiter,
 *             FU4 hand-off between completer and scrubber.
 * Progress    complete, register: lock-free, never wait for a leaver. For
 *             leaving see future_scrub.c.
 * Rejected    A lock bit around the list: completion would wait for whoever
 *             leaves. Nodes on the waiter's stack: a node that left early may
 *             outlive its wait. A separate claim byte: SETTING in the same
 *             word costs the same and cannot disagree with it.
 *
 * Who frees a waiter
 *   a task    in the list itself: nobody. Who takes it from the list, completer
 *             or withdrawer, is the only one that can wake it.
 *   CLAIM     fired: the completer wakes the claim. If that wins, the task
 *             can no longer leave and the completer frees the node. If it loses
 *             (cancel or timeout won), completer and task exchange `life`;
 *             the second of the two frees.
 *   THREAD    fired: TAKEN, then the thread frees. Left first: the finder.
 *   CALLBACK, INLINE  fired: who runs it. Removed: the scrubber.
 *   HOOK      fired: its completer, or if the hook says so its owner, who waits
 *             for a call under way (FIRING). Left first: the finder.
 *
 * Chains. A composite that is complete by a hook is completed after the list of
 * the future that called it, one after the other (skui_completions), so a chain
 * of any length takes no stack.
 */
#include "future.h"

#include <errno.h>

#include "composite.h"
#include "debug.h"
#include "executor/job.h"
#include "futex.h"
#include "future_list.h"
#include "loop.h"
#include "report.h"
#include "task.h"

_Static_assert(sizeof(struct skua_future) <= SKUI_CACHE_LINE,
               "a future is one cache line");
_Static_assert(sizeof(struct skui_waiter) <= SKUI_CACHE_LINE,
               "a waiter is one cache line");

/* An empty part in `handoff`, distinct from nothing offered. */
static struct skui_runnable handoff_empty;

/* --- life of a future --- */

void skui_future_init(skua_future *future, enum skui_future_kind kind,
                      skua_loop *loop, uint32_t refs)
{
    /* relaxed, all: the future is not shared yet */
    skui_store_relaxed(&future->state, (uintptr_t)SKUI_FUTURE_PENDING);
    skui_store_relaxed(&future->handoff, NULL); /* relaxed: as above */
    skui_store_relaxed(&future->dead, 0u);      /* relaxed: as above */
    /* relaxed: as above */
    skui_store_relaxed(&future->scrub_at, (uint16_t)SKUI_SCRUB_MINIMUM);
    skui_store_relaxed(&future->number, 0u);         /* relaxed: as above */
    skui_store_relaxed(&future->linked, (uint8_t)0); /* relaxed: as above */
    future->status = 0;
    future->value = NULL;
    future->exception = NULL;
    future->loop = loop;
    future->loop_id = loop == NULL ? 0 : skui_loop_id(loop);
    future->kind = (uint8_t)kind;
    future->reports_unread = !skui_future_is_of_executor(future);
    future->traced = skui_debug_note(
        future, loop,
        kind == SKUI_FUTURE_TASK ? SKUI_ORIGIN_TASK : SKUI_ORIGIN_FUTURE);
    /* RF1 release: who lists tasks sees a whole one. */
    skui_store_release(&future->refs, refs);
}

skua_future *skui_future_make(enum skui_future_kind kind, skua_loop *loop)
{
    skua_future *future = skui_object_get(SKUI_OBJECT_FUTURE);

    if (future != NULL) {
        skui_future_init(future, kind, loop, 1);
    }
    return future;
}

skua_loop *skui_future_home(const skua_future *future)
{
    skua_loop *loop = future->loop;

    return loop != NULL && skui_loop_is_alive(loop, future->loop_id) ? loop
                                                                     : NULL;
}

bool skui_future_try_ref(skua_future *future)
{
    uint32_t refs = skui_load_relaxed(&future->refs); /* relaxed: CAS */

    do {
        if (refs == 0) {
            return false;
        }
        /* RF1 acq_rel: what made the future is visible. */
    } while (!skui_cas_acq_rel(&future->refs, &refs, refs + 1));
    return true;
}

void skui_future_fini(skua_future *future)
{
    uintptr_t state = skui_load_relaxed(&future->state); /* relaxed: last ref */
    struct skui_runnable *node;

    skui_future_forget(future);
    if ((state & SKUI_FUTURE_PHASE) == SKUI_FUTURE_DONE) {
        skua_exception_unref(future->exception);
        future->exception = NULL;
        return;
    }
    /* What left, or callbacks, which hold no reference; no task waits for a
     * future without one. */
    for (node = skui_state_list(state); node != NULL;) {
        struct skui_runnable *next = skui_node_next(node);
        struct skui_waiter *waiter = skui_node_waiter(node);

        if (waiter != NULL) {
            skui_waiter_free(waiter);
        }
        node = next;
    }
}

skua_future *skua_future_ref(skua_future *future)
{
    if (future != NULL) {
        /* relaxed: the caller has a reference already */
        (void)skui_fetch_add_relaxed(&future->refs, 1u);
    }
    return future;
}

static bool future_is_unread(skua_future *future)
{
    uintptr_t state = skui_load_relaxed(&future->state); /* relaxed: last ref */

    return (state & SKUI_FUTURE_PHASE) == SKUI_FUTURE_DONE &&
           (state & SKUI_FUTURE_UNREAD) != 0 && future->reports_unread;
}

void skua_future_unref(skua_future *future)
{
    if (future == NULL) {
        return;
    }
    /* RF1 acq_rel: the last one sees what the others did. No short cut for
     * the last owner: who walks all objects may take a reference. */
    if (skui_fetch_sub_acq_rel(&future->refs, 1u) != 1 ||
        (future_is_unread(future) && skui_future_report_last(future))) {
        return;
    }
    skui_future_fini(future);
    if (skui_future_is_task(future)) {
        skui_task_put(skui_task_of(future));
    } else if (future->kind == SKUI_FUTURE_COMPOSITE) {
        skui_composite_free(skui_composite_of(future));
    } else if (future->kind == SKUI_FUTURE_JOB) {
        skui_job_free(skui_job_of(future));
    } else {
        skui_object_put(SKUI_OBJECT_FUTURE, future);
    }
}

/* --- firing --- */

static void fire_claim(struct skui_waiter *waiter)
{
    /* FU3 acquire: pairs with skui_future_leave(). */
    if (skui_load_acquire(&waiter->life) == SKUI_WAITER_LEFT ||
        skui_wake(waiter->to.claim, 0)) {
        skui_waiter_free(waiter);
        return;
    }
    /* FU3 acq_rel: the second of completer and leaver frees. */
    if (skui_exchange_acq_rel(&waiter->life, (uint32_t)SKUI_WAITER_TAKEN) ==
        SKUI_WAITER_LEFT) {
        skui_waiter_free(waiter);
    }
}

static void fire_thread(struct skui_waiter *waiter)
{
    /* FU3 acq_rel: as fire_claim(). */
    if (skui_exchange_acq_rel(&waiter->life, (uint32_t)SKUI_WAITER_TAKEN) ==
        SKUI_WAITER_LEFT) {
        skui_waiter_free(waiter);
        return;
    }
    /* The thread may have freed the node: its memory is type-stable, and a
     * wake too many is harmless. */
    skui_futex_wake(&waiter->life, 1);
}

static void fire_inline(struct skui_waiter *waiter, skua_future *future)
{
    skui_waiter_call(waiter, future);
    skui_waiter_free(waiter);
}

static void fire_hook(struct skui_waiter *waiter, skua_future *future,
                      struct skui_completions *due)
{
    uint32_t live = SKUI_WAITER_LIVE;

    /* FU3 acq_rel: its owner has let go of the node, or waits. */
    if (!skui_cas_acq_rel(&waiter->life, &live, (uint32_t)SKUI_WAITER_FIRING) ||
        !waiter->to.hook(waiter, future, due)) {
        skui_waiter_free(waiter);
        return;
    }
    /* FU3 release: the call is over; the owner may free the node. */
    skui_store_release(&waiter->life, (uint32_t)SKUI_WAITER_TAKEN);
}

static void fire_callback(struct skui_waiter *waiter, skua_future *future)
{
    skua_loop *loop = waiter->loop;

    waiter->future = skua_future_ref(future);
    if (!skui_loop_queue(loop, waiter->loop_id, &waiter->runnable)) {
        skui_waiter_discard(waiter);
    }
}

static void fire_waiter(struct skui_waiter *waiter, skua_future *future,
                        struct skui_completions *due)
{
    switch ((enum skui_waiter_kind)waiter->runnable.detail) {
    case SKUI_WAITER_CLAIM:
        fire_claim(waiter);
        break;
    case SKUI_WAITER_THREAD:
        fire_thread(waiter);
        break;
    case SKUI_WAITER_HOOK:
        fire_hook(waiter, future, due);
        break;
    case SKUI_WAITER_CALLBACK:
        fire_callback(waiter, future);
        break;
    case SKUI_WAITER_INLINE:
        fire_inline(waiter, future);
        break;
    }
}

/* Fire a list, newest first as it comes, oldest first as it goes. */
static void fire_list(struct skui_runnable *newest, skua_future *future,
                      struct skui_completions *due)
{
    struct skui_runnable *oldest = NULL;

    while (newest != NULL) {
        struct skui_runnable *next = skui_node_next(newest);

        skui_node_set_next(newest, oldest);
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct skui_runnable *next = skui_node_next(oldest);
        struct skui_waiter *waiter = skui_node_waiter(oldest);

        if (waiter != NULL) {
            fire_waiter(waiter, future, due);
        } else {
            skui_task_fulfil(
                SKUI_CONTAINER_OF(oldest, struct skui_task, runnable),
                future->status, future->value);
        }
        oldest = next;
    }
}

void skui_future_hand_off(skua_future *future, struct skui_runnable *mine,
                          bool mine_is_older, struct skui_completions *due)
{
    struct skui_runnable *offer = mine == NULL ? &handoff_empty : mine;
    struct skui_runnable *other = NULL;

    /* FU4 acq_rel: the second one acquires the first one's part. */
    if (skui_cas_acq_rel(&future->handoff, &other, offer)) {
        return;
    }
    if (other == &handoff_empty) {
        other = NULL;
    }
    fire_list(mine_is_older ? mine : other, future, due);
    fire_list(mine_is_older ? other : mine, future, due);
}

/* --- completing --- */

/* PENDING -> SETTING; false when another has it. */
static bool future_claim(skua_future *future)
{
    /* FU2 acq_rel: keeps the list visible to who takes it. DONE holds the bit
     * as well, so one read-modify-write that needs no look before decides: a
     * future in another core's cache is fetched once. */
    return (skui_fetch_or_acq_rel(&future->state,
                                  (uintptr_t)SKUI_FUTURE_SETTING) &
            SKUI_FUTURE_SETTING) == 0;
}

/* The same for a cancel request, which running work refuses. */
static bool future_claim_to_cancel(skua_future *future)
{
    uintptr_t state = skui_load_relaxed(&future->state); /* relaxed: CAS */

    do {
        if ((state & SKUI_FUTURE_PHASE) != SKUI_FUTURE_PENDING ||
            ((state & SKUI_FUTURE_RUNNING) != 0 &&
             skui_future_is_of_executor(future))) {
            return false;
        }
        /* FU2 acq_rel: as future_claim(). */
    } while (
        !skui_cas_acq_rel(&future->state, &state, state | SKUI_FUTURE_SETTING));
    return true;
}

/* It failed after a wait for it was given up. */
static void future_settle(skua_future *future, uintptr_t before)
{
    skua_exception_context context = {0};

    if (!skui_future_has_failed(future)) {
        return;
    }
    skui_future_forgive(future);
    if ((before & SKUI_FUTURE_SHIELDED) != 0) {
        context.message = "exception in shielded future";
        context.status = future->status;
        context.exception = future->exception;
        context.loop = skui_future_home(future);
        context.future = future;
        skui_report(&context);
    }
}

/* Fire the waiters in the word that DONE replaced. */
static void future_fire(skua_future *future, uintptr_t before,
                        struct skui_completions *due)
{
    if (SKUI_UNLIKELY((before & SKUI_FUTURE_SCRUB) != 0)) {
        skui_future_hand_off(future, skui_state_list(before), false, due);
    } else if (skui_state_list(before) != NULL) {
        fire_list(skui_state_list(before), future, due);
    }
    if (SKUI_UNLIKELY((before & (SKUI_FUTURE_QUIET | SKUI_FUTURE_SHIELDED)) !=
                      0)) {
        future_settle(future, before);
    }
}

uintptr_t skui_outcome_bits(const struct skui_outcome *outcome)
{
    if (outcome->status >= 0) {
        return 0;
    }
    return outcome->status == SKUA_ECANCELED
               ? SKUI_FUTURE_CANCELLED
               : SKUI_FUTURE_FAILED | SKUI_FUTURE_UNREAD;
}

/* SETTING -> DONE; fires the waiters. */
static void future_publish(skua_future *future, struct skui_outcome *outcome,
                           uintptr_t bits, struct skui_completions *due)
{
    uintptr_t before;

    future->status = outcome->status;
    future->value = outcome->value;
    future->exception = outcome->exception;
    /* FU1 release: the outcome is visible to every reader. FU2 acquire: the
     * waiters' nodes are visible here. */
    before = skui_exchange_acq_rel(&future->state, SKUI_FUTURE_DONE | bits);
    future_fire(future, before, due);
}

/*
 * PENDING -> DONE with status 0 and no value, as an event has it: a future has
 * that outcome from the start, so nobody needs to own it meanwhile.
 */
static bool future_complete_empty(skua_future *future,
                                  struct skui_completions *due)
{
    uintptr_t state = skui_load_relaxed(&future->state); /* relaxed: CAS */

    do {
        if ((state & SKUI_FUTURE_PHASE) != SKUI_FUTURE_PENDING) {
            return false;
        }
        /* FU1 release, FU2 acquire: as future_publish(). */
    } while (
        !skui_cas_acq_rel(&future->state, &state, (uintptr_t)SKUI_FUTURE_DONE));
    future_fire(future, state, due);
    return true;
}

bool skui_future_complete_within(skua_future *future,
                                 struct skui_outcome *outcome, uintptr_t bits,
                                 struct skui_completions *due)
{
    bool claimed;

    if (outcome->status == 0 && outcome->value == NULL) {
        return future_complete_empty(future, due);
    }
    claimed = (bits & SKUI_FUTURE_CANCELLED) != 0
                  ? future_claim_to_cancel(future)
                  : future_claim(future);
    if (!claimed) {
        skua_exception_unref(outcome->exception);
        return false;
    }
    future_publish(future, outcome, bits, due);
    return true;
}

bool skui_future_complete_started(skua_future *future,
                                  struct skui_outcome *outcome)
{
    struct skui_completions due = {0};

    if (!future_claim(future)) {
        skua_exception_unref(outcome->exception);
        return false;
    }
    future_publish(future, outcome, skui_outcome_bits(outcome), &due);
    skui_completions_run(&due);
    return true;
}

bool skui_future_complete(skua_future *future, struct skui_outcome *outcome)
{
    struct skui_completions due = {0};
    bool done = skui_future_complete_within(future, outcome,
                                            skui_outcome_bits(outcome), &due);

    skui_completions_run(&due);
    return done;
}

bool skui_future_complete_work(skua_future *future,
                               struct skui_outcome *outcome)
{
    struct skui_completions due = {0};
    uintptr_t bits = skui_outcome_bits(outcome);
    bool done;

    if (SKUI_UNLIKELY(bits == SKUI_FUTURE_CANCELLED) &&
        skui_future_is_of_executor(future)) {
        bits = SKUI_FUTURE_FAILED | SKUI_FUTURE_UNREAD;
    }
    done = skui_future_complete_within(future, outcome, bits, &due);
    skui_completions_run(&due);
    return done;
}

void skui_future_complete_sole(skua_future *future,
                               struct skui_outcome *outcome)
{
    struct skui_completions due = {0};

    future_publish(future, outcome, skui_outcome_bits(outcome), &due);
    skui_completions_run(&due);
}

bool skui_future_set_running(skua_future *future)
{
    uintptr_t state = skui_load_relaxed(&future->state); /* relaxed: CAS */

    do {
        if ((state & (SKUI_FUTURE_PHASE | SKUI_FUTURE_RUNNING)) !=
            SKUI_FUTURE_PENDING) {
            return false;
        }
        /* FU2 acq_rel: keeps the list visible to who takes it. */
    } while (
        !skui_cas_acq_rel(&future->state, &state, state | SKUI_FUTURE_RUNNING));
    return true;
}

bool skui_future_cancel_plain(skua_future *future, skua_exception *message)
{
    struct skui_outcome outcome = {SKUA_ECANCELED, NULL,
                                   skua_exception_ref(message)};

    if (skui_future_complete(future, &outcome) ||
        (future->kind == SKUI_FUTURE_JOB &&
         skui_job_cancel_started(skui_job_of(future), message))) {
        return true;
    }
    skui_future_forgive(future);
    return false;
}

void skui_future_forgive(skua_future *future)
{
    if (skui_future_is_done(future)) {
        /* FU1 acq_rel: DONE and the kind of outcome stay as they are. */
        (void)skui_fetch_and_acq_rel(&future->state,
                                     ~(uintptr_t)SKUI_FUTURE_UNREAD);
    }
}

bool skui_future_mark(skua_future *future, uintptr_t flag)
{
    uintptr_t state = skui_load_relaxed(&future->state); /* relaxed: CAS */

    do {
        if ((state & SKUI_FUTURE_PHASE) == SKUI_FUTURE_DONE) {
            return false;
        }
        if ((state & flag) != 0) {
            return true;
        }
        /* FU2 acq_rel: keeps the list visible to who takes it. */
    } while (!skui_cas_acq_rel(&future->state, &state, state | flag));
    return true;
}

/* --- registering --- */

/* Add a node. False when the future is done. */
static bool future_push(skua_future *future, struct skui_runnable *node)
{
    uintptr_t state = skui_load_relaxed(&future->state); /* relaxed: CAS */

    for (;;) {
        if ((state & SKUI_FUTURE_PHASE) == SKUI_FUTURE_DONE) {
            /* FU1 acquire: the outcome is visible to who came too late. */
            (void)skui_load_acquire(&future->state);
            return false;
        }
        skui_node_set_next(node, skui_state_list(state));
        /* FU2 acq_rel: the node is visible to who takes the list; what this
         * list already holds stays so. */
        if (skui_cas_acq_rel(&future->state, &state,
                             (uintptr_t)node | (state & SKUI_FUTURE_FLAGS))) {
            return true;
        }
    }
}

bool skui_future_register(skua_future *future, struct skui_waiter *waiter)
{
    /* relaxed: published by FU2 */
    skui_store_relaxed(&waiter->life, (uint32_t)SKUI_WAITER_LIVE);
    return future_push(future, &waiter->runnable);
}

bool skui_future_register_task(skua_future *future, struct skui_task *task)
{
    return future_push(future, &task->runnable);
}

int skui_future_add_inline(skua_future *future, skua_done_callback_fn *fn,
                           void *arg)
{
    struct skui_waiter *waiter = skui_waiter_make(SKUI_WAITER_INLINE, fn, arg);

    if (waiter == NULL) {
        return -ENOMEM;
    }
    if (!skui_future_register(future, waiter)) {
        fire_waiter(waiter, future, NULL);
    }
    return 0;
}

int skua_future_add_done_callback_in(skua_future *future, skua_context *context,
                                     skua_done_callback_fn *fn, void *arg)
{
    skua_loop *loop = skui_loop_self();
    struct skui_waiter *waiter;
    int status =
        future == NULL || fn == NULL ? -EINVAL : skui_future_check(future);

    if (status < 0) {
        return status;
    }
    if (skui_future_is_of_executor(future)) {
        return skui_future_add_inline(future, fn, arg);
    }
    if (loop == NULL) {
        loop = skui_future_home(future);
    }
    if (loop == NULL) {
        return SKUA_ENOLOOP;
    }
    waiter = skui_waiter_make(SKUI_WAITER_CALLBACK, fn, arg);
    if (waiter == NULL) {
        return -ENOMEM;
    }
    waiter->loop = loop;
    waiter->loop_id = skui_loop_id(loop);
    /* relaxed: published by FU2 */
    skui_store_relaxed(&waiter->context, skui_context_choose(context));
    if (!skui_future_register(future, waiter)) {
        fire_waiter(waiter, future, NULL);
    }
    return 0;
}

int skua_future_add_done_callback(skua_future *future,
                                  skua_done_callback_fn *fn, void *arg)
{
    return skua_future_add_done_callback_in(future, NULL, fn, arg);
}
