/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentinel.h - the tick that has one sleeping loop look after running ones.
 *
 * A timer that all loops of a runner watch. While it is on it ends, each
 * millisecond, the sleep of one loop, if any sleeps.
 */
#ifndef SKUI_SENTINEL_H
#define SKUI_SENTINEL_H

#include "skua/runner.h"
#include "spinlock.h"

SKUI_BEGIN_DECLS

struct skui_sentinel {
    _Atomic(bool) is_on; /* PK8; written under lock */
    struct skui_spinlock lock;
    int64_t tick_ns; /* guarded by lock */
    int timer_fd;    /* constant while the runner lives; -1: no sentinel */
};

enum {
    SKUI_SENTINEL_TICK_NS = 1000000
}; /* how long a stuck loop goes unseen */

/* For the open loops of a runner; nothing to do where nobody steals. 0, or a
 * system call's errno, negative. */
int skui_sentinel_open(skua_runner *runner);
/* After a failed open, too. */
void skui_sentinel_close(skua_runner *runner);

/* A loop has queued work and runs on: have it looked after. */
void skui_sentinel_start(skua_runner *runner);

/* Tick each millisecond, or less often by and by: nobody was found stuck for
 * whom a spare loop is needed. */
void skui_sentinel_pace(skua_runner *runner, bool often);

/* A loop that has announced its sleep; `ticked`: the tick ended the last one.
 * On while other loops run. */
void skui_sentinel_park(skua_runner *runner, bool ticked);

SKUI_END_DECLS

#endif
