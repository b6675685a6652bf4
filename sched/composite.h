/* SPDX-License-Identifier: Apache-2.0 */
/*
 * composite.h - futures that are made of others: gather, shield, wrap.
 *
 * They are completed by the ends of others and pass cancel requests on to them.
 * Either may form a chain or a tree of any size, so both go by work lists, not
 * by recursion: what is complete (skui_completions), and what is to pass a
 * request on (skui_spread). Each list belongs to the thread that works on it.
 */
#ifndef SKUI_COMPOSITE_H
#define SKUI_COMPOSITE_H

#include "future.h"

SKUI_BEGIN_DECLS

struct skui_composite;

/* Composites that are complete, in that order; all-zero: none. */
struct skui_completions {
    struct skui_composite *first;
    struct skui_composite *last;
};

/*
 * Composites that pass one cancel request on, in the order in which it came to
 * them; all-zero: none. Each stays in the list, and ours, until the request has
 * gone all its ways.
 */
struct skui_spread {
    skua_exception *message;      /* goes with the request; borrowed, or NULL */
    struct skui_composite *first; /* a reference each */
    struct skui_composite *last;
    struct skui_composite *active; /* which passes it on just now */
    const skua_future *origin;     /* a running task that passes on a request of
                                      its own, or NULL */
    bool came_back;                /* the request came to that */
};

struct skui_composite_ops {
    /* Complete it: it was appended to a list of completions. */
    void (*complete)(struct skui_composite *self, struct skui_completions *due);
    /*
     * Request cancellation: 1, also when the request goes on by `spread`; 0
     * when it is as good as done; -EDEADLK when it waits for itself.
     * `insist`: a task that awaits it was cancelled, and waits on for its end;
     * so it ends as cancelled even if nothing it waits for can be.
     */
    int (*cancel)(struct skui_composite *self, struct skui_spread *spread,
                  bool insist);
    /* Pass the request on; false when nothing accepted it. */
    bool (*spread)(struct skui_composite *self, struct skui_spread *spread);
    /* The spread is over. True: another request came, to be spread as well. */
    bool (*spread_end)(struct skui_composite *self);
    /* Whether it waits for `future`; a reader that has a reference asks, once
     * it is `whole`. */
    bool (*awaits)(struct skui_composite *self, const skua_future *future);
    /* The last reference is gone. */
    void (*release)(struct skui_composite *self);
};

struct skui_composite {
    struct skua_future future;
    const struct skui_composite_ops *ops; /* constant */
    struct skui_composite *next_complete; /* owned by the list's thread */
    struct skui_composite *next_spread;   /* owned by the list's thread */
    struct skui_composite *spread_parent; /* owned by the list's thread; from
                                             where the request came */
    _Atomic(bool) whole; /* CO1: who walks all objects may ask what it awaits */
};

/* Room for each kind of composite: they share a class of objects. */
enum { SKUI_COMPOSITE_BYTES = 256 };

static inline struct skui_composite *skui_composite_of(skua_future *future)
{
    return SKUI_CONTAINER_OF(future, struct skui_composite, future);
}

/* Memory for a composite with `refs` references; NULL when it is short. What
 * follows struct skui_composite is not initialised. */
struct skui_composite *skui_composite_make(const struct skui_composite_ops *ops,
                                           skua_loop *loop, uint32_t refs);
/* It waits from here on: what was initialised is visible to who asks. */
static inline void skui_composite_set_whole(struct skui_composite *composite)
{
    /* CO1 release: pairs with roll_add_composite(). */
    skui_store_release(&composite->whole, true);
}
/* Its last reference is gone and its future is finished. */
void skui_composite_free(struct skui_composite *composite);

/* See struct skui_composite_ops. */
static inline int skui_composite_cancel(struct skui_composite *composite,
                                        struct skui_spread *spread, bool insist)
{
    return composite->ops->cancel(composite, spread, insist);
}

/* Append; `composite` stays valid until it was completed. */
void skui_completions_add(struct skui_completions *due,
                          struct skui_composite *composite);
/* Complete them, and those that are complete by that. */
void skui_completions_drain(struct skui_completions *due);
static inline void skui_completions_run(struct skui_completions *due)
{
    if (SKUI_UNLIKELY(due->first != NULL)) {
        skui_completions_drain(due);
    }
}

/* Append, with a reference of its own. */
void skui_spread_add(struct skui_spread *spread,
                     struct skui_composite *composite);
/* Whether the request, now at the active one, came there by `composite`, which
 * is in the list. */
bool skui_spread_came_by(const struct skui_spread *spread,
                         const struct skui_composite *composite);
/* Pass the request on; false when nothing accepted it that the first one waits
 * for. */
bool skui_spread_run(struct skui_spread *spread);

/* Cancel any future, within a spread that the caller runs afterwards. */
int skui_future_cancel_within(skua_future *future, struct skui_spread *spread);

/* 0; -EINVAL when one of them is malformed, or for more than UINT32_MAX;
 * SKUA_EFORKED. */
int skui_awaitables_check(const skua_awaitable *awaitables, size_t count);

SKUI_END_DECLS

#endif
