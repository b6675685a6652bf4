/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.c - the default executor, made on first use.
 * Threads     Any, under the slot's lock; executors are made and shut down
 *             outside it.
 * Ordering    SL1 (spinlock.h).
 */
#include "slot.h"

#include <errno.h>

#include "skua/thread_pool.h"

#include "../debug.h"

/* A new reference, or NULL while there is none; under lock. */
static int slot_ref(const struct skui_executor_slot *slot,
                    skua_executor **out_executor)
{
    /* Closed, it may be waited for still. */
    *out_executor = slot->closed ? NULL : skua_executor_ref(slot->executor);
    return slot->closed ? SKUA_ECLOSED : 0;
}

static int slot_take(struct skui_executor_slot *slot,
                     skua_executor **out_executor)
{
    int status;

    skui_spinlock_lock(&slot->lock);
    status = slot_ref(slot, out_executor);
    skui_spinlock_unlock(&slot->lock);
    return status;
}

int skui_executor_slot_get(struct skui_executor_slot *slot,
                           skua_executor **out_executor)
{
    skua_executor *made;
    int status = slot_take(slot, out_executor);

    if (status < 0 || *out_executor != NULL) {
        return status;
    }
    status = skua_thread_pool_executor_new(NULL, &made);
    if (status < 0) {
        return status;
    }
    skui_debug_closed(made); /* nobody else could do that */
    skui_spinlock_lock(&slot->lock);
    if (slot->executor == NULL && !slot->closed) {
        slot->executor = made;
        made = NULL;
    }
    status = slot_ref(slot, out_executor);
    skui_spinlock_unlock(&slot->lock);
    skua_executor_unref(made); /* another thread was first */
    return status;
}

int skui_executor_slot_set(struct skui_executor_slot *slot,
                           skua_executor *executor)
{
    skua_executor *former = skua_executor_ref(executor);
    int status = SKUA_ECLOSED;

    skui_spinlock_lock(&slot->lock);
    if (!slot->closed) {
        skua_executor *replaced = slot->executor;

        slot->executor = executor;
        former = replaced;
        status = 0;
    }
    skui_spinlock_unlock(&slot->lock);
    skua_executor_unref(former);
    return status;
}

bool skui_executor_slot_is_used(struct skui_executor_slot *slot)
{
    bool used;

    skui_spinlock_lock(&slot->lock);
    used = slot->executor != NULL;
    skui_spinlock_unlock(&slot->lock);
    return used;
}

/* Drop the slot's reference to `executor`, unless another caller did. */
static void slot_drop(struct skui_executor_slot *slot,
                      const skua_executor *executor)
{
    skua_executor *dropped = NULL;

    skui_spinlock_lock(&slot->lock);
    if (slot->executor == executor) {
        dropped = slot->executor;
        slot->executor = NULL;
    }
    skui_spinlock_unlock(&slot->lock);
    skua_executor_unref(dropped);
}

int skui_executor_slot_shutdown(struct skui_executor_slot *slot,
                                int64_t deadline_ns)
{
    skua_executor *executor;
    int status;

    skui_spinlock_lock(&slot->lock);
    slot->closed = true;
    executor = skua_executor_ref(slot->executor);
    skui_spinlock_unlock(&slot->lock);
    if (executor == NULL) {
        return 0;
    }
    status = skua_executor_shutdown_until(executor, deadline_ns, false);
    if (status == 0 || status == -ETIMEDOUT) {
        slot_drop(slot, executor);
    }
    skua_executor_unref(executor);
    return status;
}

void skui_executor_slot_close(struct skui_executor_slot *slot, bool wait)
{
    skua_executor *executor;

    skui_spinlock_lock(&slot->lock);
    executor = slot->executor;
    slot->executor = NULL;
    slot->closed = true;
    skui_spinlock_unlock(&slot->lock);
    if (executor != NULL) {
        (void)skua_executor_shutdown(executor, wait, false);
        skua_executor_unref(executor);
    }
}
