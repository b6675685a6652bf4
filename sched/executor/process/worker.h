/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - a worker process: what it is told, and its main loop.
 */
#ifndef SKUI_EXECUTOR_PROCESS_WORKER_H
#define SKUI_EXECUTOR_PROCESS_WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "../../atomic.h"

SKUI_BEGIN_DECLS

enum {
    /* Of a message's user flags, to the worker: */
    SKUI_WORK_INITIALIZER = 1, /* the first call: answered by READY */
    /* from the worker: */
    SKUI_WORK_MESSAGE = 1,     /* it failed; the payload is why, a text */
    SKUI_WORK_NOT_STARTED = 2, /* its deadline had passed by then */
    /* The end of a worker that could not even begin. */
    SKUI_WORKER_CANNOT = 113,
    SKUI_WORKER_TEXT = 1024, /* bytes of a failure's text at most */
};

/* How a worker works; part of the order for it. */
struct skui_worker_order {
    uint64_t max_tasks;           /* it ends after as many; 0: never */
    uint64_t address_space_bytes; /* RLIMIT_AS; 0: as it is */
    uint64_t cpu_seconds;         /* RLIMIT_CPU; 0: as it is */
    uint64_t reply_limit;         /* the longest answer, bytes */
    int32_t nice;                 /* added */
    uint32_t has_initializer;
};

/* In the worker: work until told to quit, then exit. The descriptors are those
 * of a struct skui_channel_fds. */
__attribute__((noreturn)) void
skui_worker_run(const struct skui_worker_order *order, const int *descriptors,
                size_t count);

SKUI_END_DECLS

#endif
