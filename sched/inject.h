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

/* What comes together leaves together, in blocks of so many at most. */
#ifndef SKUI_INJECT_BLOCK_CAPACITY
#define SKUI_INJECT_BLOCK_CAPACITY 64
#endif

struct skui_inject {
    struct skui_spinlock lock;
    struct skui_runnable *first; /* of the oldest block; guarded by lock */
    struct skui_runnable *last;  /* of the newest block; guarded by lock */
    _Atomic(size_t) count;       /* PK4; grows under lock */
};

/* Append `count` runnables, at least one, in their order. */
void skui_inject_push(struct skui_inject *queue,
                      struct skui_runnable *const *runnables, size_t count);

/*
 * Take the oldest block, or as many of the oldest that came alone as follow one
 * another, up to SKUI_INJECT_BLOCK_CAPACITY, for which `out` has room. Returns
 * how many.
 */
size_t skui_inject_pop(struct skui_inject *queue, struct skui_runnable **out);

/* May still count what is being taken. */
size_t skui_inject_count(struct skui_inject *queue);

SKUI_END_DECLS

#endif
