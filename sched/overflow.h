/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overflow.h - a task that runs over its stack is named before it dies.
 *
 * No knowledge of tasks: who runs is told by the describer.
 */
#ifndef SKUI_OVERFLOW_H
#define SKUI_OVERFLOW_H

#include "atomic.h"

SKUI_BEGIN_DECLS

/* The stack that the calling thread runs on, for the report. */
struct skui_overflow_site {
    const char *name;      /* of the task; NULL: no name */
    uintptr_t low;         /* lowest usable byte; the guard ends here */
    uintptr_t high;        /* first byte above */
    uintptr_t guard_bytes; /* below `low` */
};

/*
 * Fills *out for the task of the calling thread; false: no task runs here.
 * Called in a signal handler: async-signal-safe.
 */
typedef bool skui_overflow_describe_fn(uintptr_t fault_address,
                                       struct skui_overflow_site *out);

/* Process-wide; NULL: nobody. Thread: any. */
void skui_overflow_set_describer(skui_overflow_describe_fn *fn);

/*
 * Give the calling thread an alternate signal stack and, once in the process,
 * install the handler. Nests: each init takes one fini, by the same thread.
 * 0 or a negative errno.
 */
int skui_overflow_thread_init(void);
void skui_overflow_thread_fini(void);

/* In a forked child: the parent's threads may have held the lock. */
void skui_overflow_after_fork(void);

SKUI_END_DECLS

#endif
