/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cores.h - how many cores this process may use.
 */
#ifndef SKUI_CORES_H
#define SKUI_CORES_H

#include <sys/types.h>

#include "atomic.h"

SKUI_BEGIN_DECLS

/* How many loops this process can run at once: affinity and cgroup quota. */
unsigned skui_usable_cores(void);

/* Whether a cgroup's quota is what limits it: time that is spun away is
 * missing later. */
bool skui_cores_are_rationed(void);

/* The first, read once per process: for hints. */
unsigned skui_known_cores(void);
/* Where no files may be read: 0 when nobody has read them yet. */
unsigned skui_cores_if_known(void);

/* The core that this thread runs on; -1: unknown. */
int skui_cores_here(void);

/* Where a thread may run besides, while it is kept off a core. */
struct skui_cores_mask {
    uint64_t bits[16];
};

/*
 * Let another thread of the process wake elsewhere than on `core`, if it may
 * run elsewhere; true if so: then that thread calls skui_cores_restore() with
 * what is in `former`.
 */
bool skui_cores_keep_off(pid_t thread, int core,
                         struct skui_cores_mask *former);
void skui_cores_restore(const struct skui_cores_mask *former);

SKUI_END_DECLS

#endif
