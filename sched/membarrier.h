/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membarrier.h - a full memory barrier in every running thread of the process,
 * asked for by one of them.
 *
 * It makes a pair of store and look safe whose frequent side has no barrier of
 * its own but for one that the compiler heeds: the rare side pays for both.
 */
#ifndef SKUI_MEMBARRIER_H
#define SKUI_MEMBARRIER_H

#include "atomic.h"

SKUI_BEGIN_DECLS

/* Once, before any other thread uses the library: register the process. */
void skui_membarrier_init(void);
/* In a forked child: it registers itself. */
void skui_membarrier_after_fork(void);

/* Whether the system grants it: the same from start to end of a process. */
bool skui_membarrier_is_granted(void);

/*
 * Any thread: what each thread of the process stored before is visible to the
 * caller, and what the caller stored before to what each of them loads after.
 * About 15 us if others run, and 8 us to each of them. False if the system
 * refuses: then nothing was ordered.
 */
bool skui_membarrier(void);

SKUI_END_DECLS

#endif
