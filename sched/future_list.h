/* SPDX-License-Identifier: Apache-2.0 */
/*
 * future_list.h - the list of waiters in a future's state word, for those who
 * take it out: completer and scrubber.
 */
#ifndef SKUI_FUTURE_LIST_H
#define SKUI_FUTURE_LIST_H

#include "future.h"

SKUI_BEGIN_DECLS

enum { SKUI_SCRUB_MINIMUM = 8, SKUI_SCRUB_MAXIMUM = 32767 };

static inline struct skui_runnable *skui_state_list(uintptr_t state)
{
    return (struct skui_runnable *)(state & ~(uintptr_t)SKUI_FUTURE_FLAGS);
}

static inline struct skui_runnable *skui_node_next(struct skui_runnable *node)
{
    /* relaxed: the list was acquired as a whole (FU2) */
    return skui_load_relaxed(&node->next);
}

static inline void skui_node_set_next(struct skui_runnable *node,
                                      struct skui_runnable *next)
{
    skui_store_relaxed(&node->next, next); /* relaxed: published by FU2 */
}

/* NULL: the node is a task. */
static inline struct skui_waiter *skui_node_waiter(struct skui_runnable *node)
{
    return node->kind == SKUI_RUNNABLE_TASK
               ? NULL
               : SKUI_CONTAINER_OF(node, struct skui_waiter, runnable);
}

/*
 * Completer and scrubber each bring their part of the list; the second fires
 * both. `mine_is_older` tells which part the caller has.
 */
void skui_future_hand_off(skua_future *future, struct skui_runnable *mine,
                          bool mine_is_older, struct skui_completions *due);

SKUI_END_DECLS

#endif
