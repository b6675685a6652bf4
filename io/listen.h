/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.h - what tests may change about listeners.
 */
#ifndef SKUI_LISTEN_H
#define SKUI_LISTEN_H

#include "../sched/atomic.h"

SKUI_BEGIN_DECLS

/* How long accept pauses when the system is short of something: 1 s. */
void skui_accept_set_pause(int64_t pause_ns);

SKUI_END_DECLS

#endif
