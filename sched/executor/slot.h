/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.h - the executors of a runner, or of a loop of its own, by purpose.
 */
#ifndef SKUI_EXECUTOR_SLOT_H
#define SKUI_EXECUTOR_SLOT_H

#include "../spinlock.h"
#include "executor.h"

SKUI_BEGIN_DECLS

enum { SKUI_EXECUTOR_PURPOSES = 3 };

/* All-zero: none yet. */
struct skui_executor_slot {
    struct skui_spinlock lock;
    /* By purpose; guarded by lock; a reference each. */
    skua_executor *executors[SKUI_EXECUTOR_PURPOSES];
    bool closed; /* guarded by lock */
};

/* A reference to the executor, made on first use; SKUA_ECLOSED; -ENOMEM. */
int skui_executor_slot_get(struct skui_executor_slot *slot,
                           skua_executor_purpose purpose,
                           skua_executor **out_executor);

/* Replace it; takes a new reference. 0 or SKUA_ECLOSED. */
int skui_executor_slot_set(struct skui_executor_slot *slot,
                           skua_executor_purpose purpose,
                           skua_executor *executor);

/* Whether there is any. */
bool skui_executor_slot_is_used(struct skui_executor_slot *slot);

/*
 * Nobody gets one any more; shut all down and wait for all until `deadline_ns`.
 * Each is dropped when it has ended, or with -ETIMEDOUT; not when the waiting
 * task was cancelled. 0; -ETIMEDOUT; or as skua_executor_shutdown_until().
 */
int skui_executor_slot_shutdown(struct skui_executor_slot *slot,
                                int64_t deadline_ns);

/* Shut all down and drop them; nobody gets one after that. */
void skui_executor_slot_close(struct skui_executor_slot *slot, bool wait);

SKUI_END_DECLS

#endif
