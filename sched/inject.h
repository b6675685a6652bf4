/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject.h - a runner's queue of stealable work that no loop holds: overflow,
 * and what foreign threads submit. Every operation from any thread.
 */
#ifndef SKUI_INJECT_H
#define SKUI_INJECT_H

#include "runnable.h"
#include "spinlock.h"

SKUI_BEGIN_DECLS

struct skui_inject {
    struct skui_spinlock lock;
    struct skui_runnable *first; /* guarded by lock */
    struct skui_runnable *last;  /* guarded by lock */
    _Atomic(size_t) count;       /* PK4; written under lock */
};

/* A chain of `count` runnables linked through `next`. */
void skui_inject_push(struct skui_inject *queue, struct skui_runnable *first,
                      struct skui_runnable *last, size_t count);

/* Up to `most` of the oldest as a chain; returns how many. */
size_t skui_inject_pop(struct skui_inject *queue, size_t most,
                       struct skui_runnable **out_first);

size_t skui_inject_count(struct skui_inject *queue);

SKUI_END_DECLS

#endif
