/* SPDX-License-Identifier: Apache-2.0 */
/*
 * composite.c - futures that are made of others: what they have in common.
 * Threads     Any. A work list belongs to the thread on whose stack it lies.
 * Invariants  A composite is in at most one list of completions, once in its
 *             life, and in at most one spread at a time, once; it is not
 *             completed before that is over.
 * Rejected    Completing and cancelling by recursion: a chain of a thousand
 *             gathers would overflow the stack of the task that cancels it.
 */
#include "composite.h"

#include <errno.h>

#include "task.h"

struct skui_composite *skui_composite_make(const struct skui_composite_ops *ops,
                                           skua_loop *loop, uint32_t refs)
{
    struct skui_composite *composite = skui_object_get(SKUI_OBJECT_COMPOSITE);

    if (composite != NULL) {
        composite->ops = ops;
        /* relaxed: seen with the reference (RF1) */
        skui_store_relaxed(&composite->whole, false);
        skui_future_init(&composite->future, SKUI_FUTURE_COMPOSITE, loop, refs);
    }
    return composite;
}

void skui_composite_free(struct skui_composite *composite)
{
    composite->ops->release(composite);
    skui_object_put(SKUI_OBJECT_COMPOSITE, composite);
}

void skui_completions_add(struct skui_completions *due,
                          struct skui_composite *composite)
{
    composite->next_complete = NULL;
    if (due->first == NULL) {
        due->first = composite;
    } else {
        due->last->next_complete = composite;
    }
    due->last = composite;
}

void skui_completions_drain(struct skui_completions *due)
{
    while (due->first != NULL) {
        struct skui_composite *composite = due->first;

        due->first = composite->next_complete;
        composite->ops->complete(composite, due);
    }
}

static void spread_append(struct skui_spread *spread,
                          struct skui_composite *composite)
{
    composite->spread_parent = spread->active;
    composite->next_spread = NULL;
    if (spread->first == NULL) {
        spread->first = composite;
    } else {
        spread->last->next_spread = composite;
    }
    spread->last = composite;
}

void skui_spread_add(struct skui_spread *spread,
                     struct skui_composite *composite)
{
    (void)skua_future_ref(&composite->future);
    spread_append(spread, composite);
}

bool skui_spread_came_by(const struct skui_spread *spread,
                         const struct skui_composite *composite)
{
    const struct skui_composite *above = spread->active;

    while (above != NULL && above != composite) {
        above = above->spread_parent;
    }
    return above != NULL;
}

/* Let go of all in the list; those with another request are the next list. */
static void spread_end(struct skui_spread *spread)
{
    struct skui_composite *composite = spread->first;

    spread->first = NULL;
    spread->active = NULL;
    while (composite != NULL) {
        struct skui_composite *next = composite->next_spread;

        if (composite->ops->spread_end(composite)) {
            spread_append(spread, composite);
        } else {
            skua_future_unref(&composite->future);
        }
        composite = next;
    }
}

bool skui_spread_run(struct skui_spread *spread)
{
    bool first = true;
    bool accepted = true;

    while (spread->first != NULL) {
        struct skui_composite *composite;

        for (composite = spread->first; composite != NULL;
             composite = composite->next_spread) {
            bool passed;

            spread->active = composite;
            passed = composite->ops->spread(composite, spread);
            accepted = first ? passed : accepted;
            first = false;
        }
        spread_end(spread);
    }
    return accepted;
}

int skui_future_cancel_within(skua_future *future, struct skui_spread *spread)
{
    if (skui_future_is_task(future)) {
        return skui_task_cancel(skui_task_of(future), spread);
    }
    if (future->kind == SKUI_FUTURE_COMPOSITE) {
        return skui_composite_cancel(skui_composite_of(future), spread, false) >
               0;
    }
    return skui_future_cancel_plain(future, spread->message);
}

int skui_awaitables_check(const skua_awaitable *awaitables, size_t count)
{
    int status =
        count > UINT32_MAX || (count > 0 && awaitables == NULL) ? -EINVAL : 0;

    for (size_t i = 0; i < count && status == 0; i++) {
        const skua_awaitable *awaitable = &awaitables[i];

        if ((awaitable->future == NULL) == (awaitable->fn == NULL)) {
            status = -EINVAL;
        } else if (awaitable->future != NULL) {
            status = skui_future_check(awaitable->future);
        }
    }
    return status;
}
