/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inbox.h - what other threads hand to one loop: many producers, one consumer.
 *
 *             push   pop   is_empty
 *   push       -      -      -
 *   pop        -      x      -
 */
#ifndef SKUI_INBOX_H
#define SKUI_INBOX_H

#include "runnable.h"

SKUI_BEGIN_DECLS

struct skui_inbox {
    /* Producers: the newest entry. */
    __attribute__((
        aligned(SKUI_CACHE_LINE))) _Atomic(struct skui_runnable *) newest;
    /* Consumer: the oldest entry. */
    __attribute__((aligned(SKUI_CACHE_LINE))) struct skui_runnable *oldest;
    struct skui_runnable stub;
};

void skui_inbox_init(struct skui_inbox *inbox);

/* Any thread. */
void skui_inbox_push(struct skui_inbox *inbox, struct skui_runnable *runnable);

/*
 * Consumer: the oldest entry; NULL when there is none, or while its producer
 * has not linked it yet (skui_inbox_is_empty() says which).
 */
struct skui_runnable *skui_inbox_pop(struct skui_inbox *inbox);

/* Consumer: whether no push has begun that was not popped. */
static inline bool skui_inbox_is_empty(struct skui_inbox *inbox)
{
    /* PK1 (seq_cst): sees every push that came before the park state was
     * announced. */
    return inbox->oldest == &inbox->stub &&
           skui_load_seq_cst(&inbox->newest) == &inbox->stub;
}

SKUI_END_DECLS

#endif
