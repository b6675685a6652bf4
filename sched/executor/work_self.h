/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work_self.h - what a worker knows of the work that runs in its thread.
 */
#ifndef SKUI_EXECUTOR_WORK_SELF_H
#define SKUI_EXECUTOR_WORK_SELF_H

#include <stdbool.h>

#include "../atomic.h"
#include "skua/types.h"

SKUI_BEGIN_DECLS

/* The thread's own, on its stack; tls.c knows where. */
struct skui_work_self {
    skua_executor *executor; /* whose worker it is; NULL in a process */
    /* Whether the work should stop; NULL: it cannot be told. */
    bool (*should_stop)(const struct skui_work_self *self);
    void *arg; /* for should_stop */
};

/* NULL in a thread that is no worker's. */
SKUI_NOINLINE const struct skui_work_self *skui_work_self(void);
/* What it was is returned, to be set again afterwards. */
SKUI_NOINLINE const struct skui_work_self *
skui_work_set_self(const struct skui_work_self *self);

SKUI_END_DECLS

#endif
