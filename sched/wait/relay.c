/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.c - a future that ends as another one does: shield and wrap_future.
 * Threads     Any thread completes the source, any cancels the relay.
 * Invariants  Who completes the relay, its source's end or a cancel, frees the
 *             hook. Who was called by the hook, or has revoked it, lets go of
 *             the source and of the hook's reference: not the last reference,
 *             or a chain of relays would be freed by recursion.
 * Ordering    FU1, FU3 (future.c).
 *
 * A relay that is cancelled takes its hook back, so a source that lives long
 * keeps nothing of it. A shield leaves a mark on the source, one for all: what
 * fails then is reported at once, since nobody may be left who would read it.
 */
#include <errno.h>

#include "../composite.h"
#include "../loop.h"
#include "../task.h"
#include "skua/gather.h"

struct relay {
    struct skui_composite composite;
    skua_future *source;      /* constant; a reference while it is followed */
    struct skui_waiter *hook; /* owned by who completes the relay */
    bool is_shield;           /* constant */
    bool follows;             /* written by who holds the hook's reference */
};

_Static_assert(sizeof(struct relay) <= SKUI_COMPOSITE_BYTES,
               "it fits the class of composites");

static struct relay *relay_of(struct skui_composite *composite)
{
    return SKUI_CONTAINER_OF(composite, struct relay, composite);
}

/* Give up the source and the hook's reference. */
static void relay_let_go(struct relay *relay)
{
    relay->follows = false;
    skua_future_unref(relay->source);
    skua_future_unref(&relay->composite.future);
}

static bool relay_hook(struct skui_waiter *waiter, skua_future *source,
                       struct skui_completions *due)
{
    struct relay *relay = waiter->arg;

    (void)source;
    skui_completions_add(due, &relay->composite);
    return true;
}

/* The source is done. True: the relay ended by that. */
static bool relay_copy(struct relay *relay, struct skui_completions *due)
{
    skua_future *source = relay->source;
    struct skui_outcome outcome = {source->status, source->value,
                                   skua_exception_ref(source->exception)};
    uintptr_t bits = 0;

    if (skui_future_has_failed(source)) {
        bits = SKUI_FUTURE_FAILED | SKUI_FUTURE_UNREAD;
    } else if (outcome.status < 0) {
        bits = SKUI_FUTURE_CANCELLED;
    }
    if (!skui_future_complete_within(&relay->composite.future, &outcome, bits,
                                     due)) {
        return false;
    }
    skui_future_forgive(source);
    return true;
}

static void relay_complete(struct skui_composite *self,
                           struct skui_completions *due)
{
    struct relay *relay = relay_of(self);

    if (relay_copy(relay, due)) {
        (void)skui_future_revoke(relay->source, relay->hook);
    }
    relay_let_go(relay);
}

static int relay_cancel(struct skui_composite *self, struct skui_spread *spread,
                        bool insist)
{
    struct relay *relay = relay_of(self);

    (void)insist;
    if (!skui_future_cancel_plain(&self->future, spread->message)) {
        return 0;
    }
    if (skui_future_revoke(relay->source, relay->hook)) {
        if (relay->is_shield) {
            (void)skui_future_mark(relay->source, SKUI_FUTURE_SHIELDED);
        } else {
            (void)skui_future_cancel_within(relay->source, spread);
        }
        relay_let_go(relay); /* the caller has a reference as well */
    }
    return 1;
}

static bool relay_spread(struct skui_composite *self,
                         struct skui_spread *spread)
{
    (void)self;
    (void)spread;
    return true; /* never asked: it ends at once */
}

static bool relay_spread_end(struct skui_composite *self)
{
    (void)self;
    return false; /* as relay_spread() */
}

static bool relay_awaits(struct skui_composite *self, const skua_future *future)
{
    /* Once it is done, the memory may be another future's. */
    return relay_of(self)->source == future &&
           !skui_future_is_done(&self->future);
}

static void relay_release(struct skui_composite *self)
{
    if (relay_of(self)->follows) { /* it was never registered */
        skua_future_unref(relay_of(self)->source);
    }
}

static const struct skui_composite_ops relay_ops = {
    relay_complete,   relay_cancel, relay_spread,
    relay_spread_end, relay_awaits, relay_release,
};

/*
 * Follow `source`, whose reference is taken. A source that is done needs none;
 * then the relay is done as well.
 */
static int relay_new(skua_future *source, skua_loop *loop, bool is_shield,
                     skua_future **out_future)
{
    struct skui_completions due = {0};
    struct skui_composite *composite = skui_composite_make(&relay_ops, loop, 2);
    struct relay *relay;

    if (composite == NULL) {
        skua_future_unref(source);
        return -ENOMEM;
    }
    relay = relay_of(composite);
    relay->source = source;
    relay->is_shield = is_shield;
    relay->follows = true;
    relay->hook = skui_waiter_make_hook(relay_hook, relay, source);
    if (relay->hook == NULL) {
        skua_future_unref(&composite->future);
        skua_future_unref(&composite->future);
        return -ENOMEM;
    }
    skui_composite_set_whole(composite);
    if (!skui_future_register(source, relay->hook)) {
        skui_waiter_free(relay->hook);
        (void)relay_copy(relay, &due);
        relay_let_go(relay);
    }
    *out_future = &composite->future;
    skui_completions_run(&due);
    return 0;
}

int skua_shield(skua_awaitable awaitable, skua_future **out_future)
{
    skua_future *source = NULL;
    int status =
        out_future == NULL ? -EINVAL : skui_awaitables_check(&awaitable, 1);

    if (status == 0) {
        status = skua_ensure_future(NULL, awaitable, &source);
    }
    if (source == NULL) {
        return status;
    }
    if (skui_future_is_done(source)) {
        *out_future = source;
        return 0;
    }
    return relay_new(source, skui_future_home(source), true, out_future);
}

int skua_wrap_future(skua_loop *loop, skua_future *future,
                     skua_future **out_future)
{
    int status = future == NULL || out_future == NULL
                     ? -EINVAL
                     : skui_future_check(future);

    if (status < 0) {
        return status;
    }
    if (loop == NULL) {
        loop = skui_loop_self();
    }
    if (!skui_future_is_of_executor(future)) {
        *out_future = skua_future_ref(future);
        return 0;
    }
    if (loop == NULL) {
        return SKUA_ENOLOOP;
    }
    if (skui_loop_fork_generation(loop) != skui_fork_generation()) {
        return SKUA_EFORKED;
    }
    return relay_new(skua_future_ref(future), loop, false, out_future);
}
