/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pressure.h - whether others want the core that this thread would spin on.
 */
#ifndef SKUI_PRESSURE_H
#define SKUI_PRESSURE_H

#include "atomic.h"

SKUI_BEGIN_DECLS

/* Of one thread, the owner's. All-zero: not looked at yet. */
struct skui_pressure {
    uint64_t looked_at_ticks; /* at the thread's involuntary switches ... */
    int64_t switches;
    uint64_t stolen_at_ticks; /* ... and at the time that a hypervisor took */
    uint64_t stolen;
    uint64_t total;
};

/*
 * Whether this thread was lately pushed off its core again and again, or a
 * hypervisor took a share of all cores' time. Asks the system now and then
 * only, and says no in between.
 */
bool skui_pressure_rises(struct skui_pressure *pressure);

SKUI_END_DECLS

#endif
