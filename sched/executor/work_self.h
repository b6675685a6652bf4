/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work_self.h - what a worker knows of the work that runs in its thread.
 */
#ifndef SKUI_EXECUTOR_WORK_SELF_H
#define SKUI_EXECUTOR_WORK_SELF_H

#include <stdbool.h>

#include "../atomic.h"
#include "skua/types.h"

struct skui_interrupt;
struct skui_pool_worker;

SKUI_BEGIN_DECLS

/* The thread's own, on its stack; tls.c knows where. */
struct skui_work_self {
    skua_executor *executor; /* whose worker it is; NULL in a process */
    /* Whether the work should stop; NULL: it cannot be told. */
    bool (*should_stop)(const struct skui_work_self *self);
    void *arg; /* for should_stop */
    /* Of the thread, if it is one of a thread pool, whoever's work this is. */
    struct skui_pool_worker *worker;
    struct skui_interrupt *interrupt;   /* NULL: it has none; as above */
    const struct skui_work_self *outer; /* in the middle of which this runs */
};

/* NULL in a thread that is no worker's. */
SKUI_NOINLINE const struct skui_work_self *skui_work_self(void);
/* What it was is returned, to be set again afterwards. */
SKUI_NOINLINE const struct skui_work_self *
skui_work_set_self(const struct skui_work_self *self);

/* Whether this thread runs work of `executor`, be it around other work. */
static inline bool skui_work_is_of(const skua_executor *executor)
{
    const struct skui_work_self *self = skui_work_self();

    while (self != NULL && self->executor != executor) {
        self = self->outer;
    }
    return self != NULL;
}

/* --- thread_pool_wait.c --- */

/*
 * This thread is about to block until `future` is done. In a worker of a thread
 * pool that may never be, if the pool is to do it: then it is done here, or the
 * answer is -EDEADLK. Else 0, and skui_work_wait_end() comes after the wait.
 */
int skui_work_wait_begin(skua_future *future, int64_t deadline_ns);
void skui_work_wait_end(void);

/* Do it here, if it is queued in the pool whose worker this is. True: it was
 * done. */
bool skui_work_help(skua_future *future);

SKUI_END_DECLS

#endif
