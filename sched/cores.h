/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cores.h - how many cores this process may use.
 */
#ifndef SKUI_CORES_H
#define SKUI_CORES_H

#include "atomic.h"

SKUI_BEGIN_DECLS

/* How many loops this process can run at once: affinity and cgroup quota. */
unsigned skui_usable_cores(void);

/* The same, read once per process: for hints. */
unsigned skui_known_cores(void);
/* Where no files may be read: 0 when nobody has read them yet. */
unsigned skui_cores_if_known(void);

SKUI_END_DECLS

#endif
