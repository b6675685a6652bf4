/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.h - the default executor of a runner, or of a loop of its own.
 */
#ifndef SKUI_EXECUTOR_SLOT_H
#define SKUI_EXECUTOR_SLOT_H

#include "../spinlock.h"
#include "executor.h"

SKUI_BEGIN_DECLS

/* All-zero: none yet. */
struct skui_executor_slot {
    struct skui_spinlock lock;
    skua_executor *executor; /* guarded by lock; a reference */
    bool closed;             /* guarded by lock */
};

/* A reference to the executor, made on first use; SKUA_ECLOSED; -ENOMEM. */
int skui_executor_slot_get(struct skui_executor_slot *slot,
                           skua_executor **out_executor);

/* Replace it; takes a new reference. 0 or SKUA_ECLOSED. */
int skui_executor_slot_set(struct skui_executor_slot *slot,
                           skua_executor *executor);

/* Whether there is one. */
bool skui_executor_slot_is_used(struct skui_executor_slot *slot);

/*
 * Nobody gets one any more; shut it down and wait until `deadline_ns`. It is
 * dropped when that has ended, or with -ETIMEDOUT; not when the waiting task
 * was cancelled.
 */
int skui_executor_slot_shutdown(struct skui_executor_slot *slot,
                                int64_t deadline_ns);

/* Shut it down and drop it; nobody gets one after that. */
void skui_executor_slot_close(struct skui_executor_slot *slot, bool wait);

SKUI_END_DECLS

#endif
