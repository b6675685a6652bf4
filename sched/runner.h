/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.h - a group of loops, inside the library.
 */
#ifndef SKUI_RUNNER_H
#define SKUI_RUNNER_H

#include <semaphore.h>

#include "executor/slot.h"
#include "inject.h"
#include "loop.h"
#include "relief.h"
#include "sentinel.h"
#include "stuck.h"

SKUI_BEGIN_DECLS

struct skua_runner {
    struct skui_inject inject;
    SKUI_CACHE_ALIGNED _Atomic(uint32_t) idle; /* PK2: loops about to sleep */
    _Atomic(uint32_t) searching;               /* PK5: loops looking for work */
    _Atomic(uint64_t) wake_ticks; /* relaxed: average time that a wake takes */
    _Atomic(bool) interrupted;    /* relaxed: SIGINT came during this run */
    _Atomic(bool) sigint_posted;  /* SI2: the handler is through with it */
    _Atomic(bool) running;        /* relaxed: refuses a second run */

    /* Seldom written. */
    SKUI_CACHE_ALIGNED struct skui_sentinel sentinel;
    struct skui_keeping keeping;
    struct skui_relief relief;

    /* Constant while the runner lives. */
    unsigned count;   /* of ordinary loops, which come first */
    unsigned total;   /* with the spare ones */
    unsigned without; /* mechanisms that are off */
    bool stealing;
    bool always_wakes;
    bool relief_at_start;
    bool no_sigint;
    int64_t executor_timeout_ns;
    uint32_t fork_generation;
    skua_loop **loops;
    struct skui_executor_slot executor_slot;

    /* The thread that runs it. */
    pthread_t *threads;        /* of loops 1..; spare: guarded by relief */
    sem_t entered;             /* posted by each new thread, once */
    _Atomic(int) enter_status; /* relaxed: ordered by `entered` */
    unsigned started;
    bool closing;          /* aborts come too late */
    skua_task *main_task;  /* while running */
    skua_context *context; /* of all main tasks; NULL before the first run */
    skua_handle *sigint_handle;
};

static inline bool skui_runner_has(const skua_runner *runner,
                                   skua_mechanism mechanism)
{
    return (runner->without & (unsigned)mechanism) == 0;
}

/* sigint.c: SIGINT cancels runner->main_task, a second one ends the process. */
void skui_sigint_install(skua_runner *runner);
void skui_sigint_restore(skua_runner *runner);

SKUI_END_DECLS

#endif
