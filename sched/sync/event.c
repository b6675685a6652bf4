/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.c - a flag, and who waits until it is set.
 * Threads     Any.
 * Invariants  QUEUED is set while the list is not empty, and may stay longer.
 *             SET is set by one compare-and-swap that finds QUEUED clear, and
 *             a waiter that finds SET as it announces itself does not wait. So
 *             the two never miss each other.
 * Ordering    EV1 the flag, SL1 the list.
 * Progress    is_set, clear, and set without waiters: wait-free.
 */
#include <errno.h>

#include "../wait.h"
#include "../waitq.h"
#include "skua/sync.h"

enum {
    EVENT_SET = 1,
    EVENT_QUEUED = 2,
};

struct event {
    _Atomic(uint32_t) word; /* EV1 */
    struct skui_spinlock lock;
    struct skui_waitq waiters;
};

_Static_assert(sizeof(struct event) <= sizeof(skua_event),
               "the public storage fits");

static struct event *event_of(const skua_event *event)
{
    return (struct event *)(void *)((skua_event *)event)->opaque;
}

static bool event_is_set(struct event *event)
{
    /* EV1 acquire: pairs with skua_event_set(). */
    return (skui_load_acquire(&event->word) & EVENT_SET) != 0;
}

/* Take out who waits; the flag that says so goes. */
static void event_take_all(struct event *event, struct skui_waitq_chain *chain)
{
    skui_spinlock_lock(&event->lock);
    /* EV1 acq_rel: SET stays as it is. */
    (void)skui_fetch_and_acq_rel(&event->word, ~(uint32_t)EVENT_QUEUED);
    skui_waitq_take_all(&event->waiters, chain, 0);
    skui_spinlock_unlock(&event->lock);
}

int skua_event_set(skua_event *event)
{
    struct skui_waitq_chain chain = {NULL, NULL};
    struct event *self;
    uint32_t word;

    if (event == NULL) {
        return -EINVAL;
    }
    self = event_of(event);
    word = skui_load_relaxed(&self->word); /* relaxed: CAS */
    for (;;) {
        if ((word & EVENT_QUEUED) != 0) {
            event_take_all(self, &chain);
            word = skui_load_relaxed(&self->word); /* relaxed: CAS */
            continue;
        }
        /* EV1 release: what came before is visible to who sees it set. The last
         * touch: who goes on may free the event. */
        if (skui_cas_release(&self->word, &word, word | EVENT_SET)) {
            break;
        }
    }
    skui_waitq_grant(&chain);
    return 0;
}

int skua_event_clear(skua_event *event)
{
    if (event == NULL) {
        return -EINVAL;
    }
    /* EV1 acq_rel: QUEUED stays as it is. */
    (void)skui_fetch_and_acq_rel(&event_of(event)->word, ~(uint32_t)EVENT_SET);
    return 0;
}

bool skua_event_is_set(const skua_event *event)
{
    return event != NULL && event_is_set(event_of(event));
}

int skua_event_wait(skua_event *event)
{
    return skua_event_wait_until(event, SKUA_FOREVER);
}

static int event_wait(struct event *event, int64_t deadline_ns)
{
    struct skui_waitq_node node;

    skui_spinlock_lock(&event->lock);
    skui_waitq_begin(&node, &event->lock, deadline_ns);
    /* EV1 acq_rel: who sets it without seeing this has set it before. */
    if ((skui_fetch_or_acq_rel(&event->word, (uint32_t)EVENT_QUEUED) &
         EVENT_SET) != 0) {
        skui_waitq_leave(&node);
        return 0;
    }
    return skui_waitq_wait(&event->waiters, &node);
}

int skua_event_wait_until(skua_event *event, int64_t deadline_ns)
{
    int status = event == NULL || deadline_ns == SKUA_NOT_A_TIME
                     ? -EINVAL
                     : skui_task_spend_budget();

    if (status < 0 || event_is_set(event_of(event))) {
        return status;
    }
    return event_wait(event_of(event), deadline_ns);
}
