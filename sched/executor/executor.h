/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor.h - the interface of all executors, as the library sees it.
 */
#ifndef SKUI_EXECUTOR_EXECUTOR_H
#define SKUI_EXECUTOR_EXECUTOR_H

#include "../atomic.h"
#include "skua/executor_type.h"
#include "skua/future.h"

SKUI_BEGIN_DECLS

/*
 * What all kinds have. Two own it: those who have references, until the last
 * one goes, and the executor itself, until it has said that it ended; whoever
 * uses it from elsewhere holds it for a moment.
 */
struct skua_executor {
    const skua_executor_type *type; /* constant, as all up to `refs` */
    void *self;
    /* Run fn(arg) and complete `future`, of which the executor takes its own
     * reference, without a job; NULL: it only takes jobs. */
    int (*submit_bare)(void *self, skua_task_fn *fn, void *arg,
                       skua_future *future);
    /* It was shut down and has not ended in time: log what still runs; NULL: it
     * does not know. */
    void (*report)(void *self);
    bool takes_functions; /* its workers are threads of this process */
    bool shares_buffers;  /* large bytes are to lie in shared memory */
    uint32_t number;      /* of a thread pool, else 0; its futures without a
                             job have it as `loop_id` */
    uint32_t fork_generation;
    skua_future *ended;       /* done once it has ended; nobody can cancel it */
    _Atomic(uint32_t) refs;   /* EX1 */
    _Atomic(uint32_t) owners; /* EX1 */
    _Atomic(uint32_t) phase;  /* EX2 */
};

/* As skua_executor_new(); the caller sets what differs from a user's one. */
int skui_executor_make(const skua_executor_type *type, void *self,
                       skua_executor **out_executor);

/* Keep its memory, and what is behind it, though it may have ended. */
void skui_executor_hold(skua_executor *executor);
void skui_executor_drop(skua_executor *executor);

/*
 * Run fn(arg) in `executor` and complete a future of kind `kind` at home on
 * `loop`: skua_loop_run_in_executor().
 */
int skui_executor_run_for(skua_executor *executor, skua_loop *loop,
                          skua_task_fn *fn, void *arg,
                          skua_future **out_future);

/*
 * `count` more loops (negative: fewer) run in this process. Threads of a pool
 * only spin for work while loops and busy threads leave them a core.
 */
void skui_executor_add_loops(int count);
/*
 * Cores that neither the loops (or the one submitter, without loops) nor
 * `busy` threads need; may be negative.
 */
int skui_executor_spare_cores(int busy);

SKUI_END_DECLS

#endif
