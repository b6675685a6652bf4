/* SPDX-License-Identifier: Apache-2.0 */
/*
 * future_scrub.c - leaving a future's list before it is done.
 * Threads     Any. One scrubber at a time; it and the completer share the list.
 * Ordering    FU2 list (state), FU3 life of a waiter, FU4 hand-off.
 * Progress    leave, revoke: O(1) amortised; revoke waits for a hook that is
 *             being called, a few instructions. withdraw, visit and
 *             remove_done_callback wait for another scrubber.
 *
 * Scrubbing. A leaver marks its node and goes. Once enough have gone, one of
 * them sets SCRUB while it takes the whole list, frees what left, and puts the
 * rest back under the same order. If the future is completed meanwhile, the
 * completer meets SCRUB in the word it replaced: the younger part of the list
 * is in its hands, the older in the scrubber's. Both offer their part in
 * `handoff`; the second to come fires both, older first (FU4). So nobody waits
 * and registration order holds.
 */
#include <errno.h>
#include <sched.h>

#include "composite.h"
#include "future_list.h"
#include "task.h"

/* Take the list out under SCRUB. False when done or another one scrubs. */
static bool scrub_begin(skua_future *future, struct skui_runnable **out_list)
{
    uintptr_t state = skui_load_relaxed(&future->state); /* relaxed: CAS */

    do {
        if ((state & SKUI_FUTURE_PHASE) == SKUI_FUTURE_DONE ||
            (state & SKUI_FUTURE_SCRUB) != 0) {
            return false;
        }
        /* FU2 acq_rel: takes the nodes. */
    } while (
        !skui_cas_acq_rel(&future->state, &state,
                          (state & SKUI_FUTURE_FLAGS) | SKUI_FUTURE_SCRUB));
    *out_list = skui_state_list(state);
    return true;
}

/* Append `older` behind the oldest of `newer`. */
static struct skui_runnable *list_join(struct skui_runnable *newer,
                                       struct skui_runnable *older)
{
    struct skui_runnable *last = newer;

    if (newer == NULL) {
        return older;
    }
    while (skui_node_next(last) != NULL) {
        last = skui_node_next(last);
    }
    skui_node_set_next(last, older);
    return newer;
}

/* Put what is left back; fire it when the future was completed meanwhile. */
static void scrub_end(skua_future *future, struct skui_runnable *rest)
{
    struct skui_completions due = {0};
    uintptr_t state = skui_load_relaxed(&future->state); /* relaxed: CAS */

    for (;;) {
        if ((state & SKUI_FUTURE_PHASE) == SKUI_FUTURE_DONE) {
            skui_future_hand_off(future, rest, true, &due);
            skui_completions_run(&due);
            return;
        }
        if (skui_state_list(state) != NULL) {
            /* FU2 acq_rel: takes what was registered meanwhile. */
            if (skui_cas_acq_rel(&future->state, &state,
                                 state & SKUI_FUTURE_FLAGS)) {
                rest = list_join(skui_state_list(state), rest);
                state &= SKUI_FUTURE_FLAGS;
            }
            continue;
        }
        /* FU2 acq_rel: gives the list back. */
        if (skui_cas_acq_rel(&future->state, &state,
                             (uintptr_t)rest |
                                 (state & SKUI_FUTURE_FLAGS &
                                  ~(uintptr_t)SKUI_FUTURE_SCRUB))) {
            return;
        }
    }
}

/* What a scrubber looks for beside waiters that left. */
struct weed {
    skua_done_callback_fn *fn; /* callbacks equal to (fn, arg), unless NULL */
    void *arg;
    const struct skui_task *task; /* this one, unless NULL */
    void (*visit)(struct skui_runnable *node, void *arg); /* what stays, unless
                                                             NULL; with `arg` */
    int removed;                /* how many of those were found */
    uint32_t live;              /* how many stay */
    struct skui_runnable *gone; /* to be freed when the list is back: what
                                   holds a context may call users' code */
};

/* Whether a node goes: it is freed then, or will be, but for a task. */
static bool weed_node(struct weed *weed, struct skui_runnable *node)
{
    struct skui_waiter *waiter = skui_node_waiter(node);

    if (waiter == NULL) {
        bool found = weed->task != NULL && node == &weed->task->runnable;

        weed->removed += found;
        return found;
    }
    if (node->detail >= SKUI_WAITER_CALLBACK) {
        if (weed->fn == NULL || waiter->to.fn != weed->fn ||
            waiter->arg != weed->arg) {
            return false;
        }
        weed->removed++;
        skui_node_set_next(node, weed->gone);
        weed->gone = node;
        return true;
    }
    /* FU3 acquire: pairs with skui_future_leave(). */
    if (skui_load_acquire(&waiter->life) != SKUI_WAITER_LEFT) {
        return false;
    }
    skui_waiter_free(waiter);
    return true;
}

/* Weed a list that the caller took; what stays. */
static struct skui_runnable *scrub_weed(struct skui_runnable *list,
                                        struct weed *weed)
{
    struct skui_runnable *kept = NULL;
    struct skui_runnable *last = NULL;

    while (list != NULL) {
        struct skui_runnable *node = list;

        list = skui_node_next(node);
        if (weed_node(weed, node)) {
            continue;
        }
        if (weed->visit != NULL) {
            weed->visit(node, weed->arg);
        }
        weed->live++;
        skui_node_set_next(node, NULL);
        if (last == NULL) {
            kept = node;
        } else {
            skui_node_set_next(last, node);
        }
        last = node;
    }
    return kept;
}

/* How many must have left before `live` others are walked again. */
static uint16_t scrub_threshold(uint32_t live)
{
    if (live / 2 <= SKUI_SCRUB_MINIMUM) {
        return SKUI_SCRUB_MINIMUM;
    }
    return live / 2 < SKUI_SCRUB_MAXIMUM ? (uint16_t)(live / 2)
                                         : SKUI_SCRUB_MAXIMUM;
}

/* False when it could not scrub: done, or another thread does. */
static bool future_scrub(skua_future *future, struct weed *weed)
{
    struct skui_runnable *list;

    if (!scrub_begin(future, &list)) {
        return false;
    }
    skui_store_relaxed(&future->dead, 0u); /* relaxed: about */
    list = scrub_weed(list, weed);
    /* relaxed: written under SCRUB, read as a hint */
    skui_store_relaxed(&future->scrub_at, scrub_threshold(weed->live));
    scrub_end(future, list);
    while (weed->gone != NULL) {
        struct skui_waiter *waiter = skui_node_waiter(weed->gone);

        weed->gone = skui_node_next(weed->gone);
        skui_waiter_free(waiter);
    }
    return true;
}

/* Scrub for something certain to be found, unless the future is done. */
static int future_weed(skua_future *future, struct weed *weed)
{
    while (!future_scrub(future, weed)) {
        if (skui_future_is_done(future)) {
            return 0;
        }
        skui_cpu_relax(); /* another thread scrubs: a few instructions */
    }
    return weed->removed;
}

/* One more has left: scrub when that is worth it. */
static void future_note_left(skua_future *future)
{
    struct weed weed = {0};

    /* relaxed: about how many; only the scrubber must be alone */
    if (skui_fetch_add_relaxed(&future->dead, 1u) + 1 >=
        skui_load_relaxed(&future->scrub_at)) {
        (void)future_scrub(future, &weed);
    }
}

void skui_future_leave(skua_future *future, struct skui_waiter *waiter)
{
    /* FU3 acq_rel: the second of completer and leaver frees. */
    if (skui_exchange_acq_rel(&waiter->life, (uint32_t)SKUI_WAITER_LEFT) ==
        SKUI_WAITER_TAKEN) {
        skui_waiter_free(waiter);
        return;
    }
    future_note_left(future);
}

bool skui_future_revoke(skua_future *future, struct skui_waiter *waiter)
{
    uint32_t life = SKUI_WAITER_LIVE;
    unsigned spins = 0;

    /* FU3 acq_rel: whoever finds it in a list frees it. */
    if (skui_cas_acq_rel(&waiter->life, &life, (uint32_t)SKUI_WAITER_LEFT)) {
        future_note_left(future);
        return true;
    }
    /* FU3 acquire: the call is over; what it did is visible. */
    while (skui_load_acquire(&waiter->life) == SKUI_WAITER_FIRING) {
        if (++spins % 64 == 0) {
            (void)sched_yield();
        } else {
            skui_cpu_relax();
        }
    }
    skui_waiter_free(waiter);
    return false;
}

bool skui_future_withdraw(skua_future *future, struct skui_task *task)
{
    struct weed weed = {.task = task};

    return future_weed(future, &weed) != 0;
}

void skui_future_visit(skua_future *future,
                       void (*fn)(struct skui_runnable *node, void *arg),
                       void *arg)
{
    struct weed weed = {.visit = fn, .arg = arg};

    (void)future_weed(future, &weed);
}

int skua_future_remove_done_callback(skua_future *future,
                                     skua_done_callback_fn *fn, void *arg)
{
    struct weed weed = {.fn = fn, .arg = arg};
    int status =
        future == NULL || fn == NULL ? -EINVAL : skui_future_check(future);

    return status < 0 ? status : future_weed(future, &weed);
}
