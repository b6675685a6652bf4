/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.c - the executors of a loop, made on first use.
 * Threads     Any, under the slot's lock; executors are made and shut down
 *             outside it.
 * Ordering    SL1 (spinlock.h).
 */
#include "slot.h"

#include <errno.h>

#include "skua/thread_pool.h"

#include "../cores.h"
#include "../debug.h"

enum { NAMES_WORKERS = 4, NAMES_QUEUED = 256, WORKERS_MAX = 4095 };

/* A new reference, or NULL while there is none; under lock. */
static int slot_ref(const struct skui_executor_slot *slot,
                    skua_executor_purpose purpose, skua_executor **out_executor)
{
    /* Closed, it may be waited for still. */
    *out_executor =
        slot->closed ? NULL : skua_executor_ref(slot->executors[purpose]);
    return slot->closed ? SKUA_ECLOSED : 0;
}

static int slot_take(struct skui_executor_slot *slot,
                     skua_executor_purpose purpose,
                     skua_executor **out_executor)
{
    int status;

    skui_spinlock_lock(&slot->lock);
    status = slot_ref(slot, purpose, out_executor);
    skui_spinlock_unlock(&slot->lock);
    return status;
}

static int slot_make(skua_executor_purpose purpose,
                     skua_executor **out_executor)
{
    skua_thread_pool_options options = {0};
    int status;

    if (purpose == SKUA_EXECUTOR_CPU) {
        unsigned cores = skui_usable_cores();

        options.max_workers = cores < WORKERS_MAX ? (int)cores : WORKERS_MAX;
        options.name_prefix = "skua-cpu";
    } else if (purpose == SKUA_EXECUTOR_NAMES) {
        options.max_workers = NAMES_WORKERS;
        options.name_prefix = "skua-names";
        options.max_queued = NAMES_QUEUED;
        options.policy = SKUA_QUEUE_SUSPEND;
    }
    status = skua_thread_pool_executor_new(&options, out_executor);
    if (status == 0) {
        skui_debug_closed(*out_executor); /* nobody else could do that */
    }
    return status;
}

int skui_executor_slot_get(struct skui_executor_slot *slot,
                           skua_executor_purpose purpose,
                           skua_executor **out_executor)
{
    skua_executor *made;
    int status = slot_take(slot, purpose, out_executor);

    if (status < 0 || *out_executor != NULL) {
        return status;
    }
    status = slot_make(purpose, &made);
    if (status < 0) {
        return status;
    }
    skui_spinlock_lock(&slot->lock);
    if (slot->executors[purpose] == NULL && !slot->closed) {
        slot->executors[purpose] = made;
        made = NULL;
    }
    status = slot_ref(slot, purpose, out_executor);
    skui_spinlock_unlock(&slot->lock);
    skua_executor_unref(made); /* another thread was first */
    return status;
}

int skui_executor_slot_set(struct skui_executor_slot *slot,
                           skua_executor_purpose purpose,
                           skua_executor *executor)
{
    skua_executor *former = skua_executor_ref(executor);
    int status = SKUA_ECLOSED;

    skui_spinlock_lock(&slot->lock);
    if (!slot->closed) {
        skua_executor *replaced = slot->executors[purpose];

        slot->executors[purpose] = executor;
        former = replaced;
        status = 0;
    }
    skui_spinlock_unlock(&slot->lock);
    skua_executor_unref(former);
    return status;
}

bool skui_executor_slot_is_used(struct skui_executor_slot *slot)
{
    bool used = false;

    skui_spinlock_lock(&slot->lock);
    for (int i = 0; i < SKUI_EXECUTOR_PURPOSES; i++) {
        used = used || slot->executors[i] != NULL;
    }
    skui_spinlock_unlock(&slot->lock);
    return used;
}

/* Drop the slot's reference to `executor`, unless another caller did. */
static void slot_drop(struct skui_executor_slot *slot, int purpose,
                      const skua_executor *executor)
{
    skua_executor *dropped = NULL;

    skui_spinlock_lock(&slot->lock);
    if (slot->executors[purpose] == executor) {
        dropped = slot->executors[purpose];
        slot->executors[purpose] = NULL;
    }
    skui_spinlock_unlock(&slot->lock);
    skua_executor_unref(dropped);
}

/* Close the slot, with a new reference to each. */
static void slot_begin_end(struct skui_executor_slot *slot,
                           skua_executor **executors)
{
    skui_spinlock_lock(&slot->lock);
    slot->closed = true;
    for (int i = 0; i < SKUI_EXECUTOR_PURPOSES; i++) {
        executors[i] = skua_executor_ref(slot->executors[i]);
    }
    skui_spinlock_unlock(&slot->lock);
    for (int i = 0; i < SKUI_EXECUTOR_PURPOSES; i++) {
        if (executors[i] != NULL) {
            (void)skua_executor_shutdown(executors[i], false, false);
        }
    }
}

int skui_executor_slot_shutdown(struct skui_executor_slot *slot,
                                int64_t deadline_ns)
{
    skua_executor *executors[SKUI_EXECUTOR_PURPOSES];
    int result = 0;

    slot_begin_end(slot, executors);
    for (int i = 0; i < SKUI_EXECUTOR_PURPOSES; i++) {
        int status = 0;

        if (executors[i] != NULL && (result == 0 || result == -ETIMEDOUT)) {
            status =
                skua_executor_shutdown_until(executors[i], deadline_ns, false);
            if (status == 0 || status == -ETIMEDOUT) {
                slot_drop(slot, i, executors[i]);
            }
        }
        if (status < 0 && (result == 0 || status != -ETIMEDOUT)) {
            result = status;
        }
        skua_executor_unref(executors[i]);
    }
    return result;
}

void skui_executor_slot_close(struct skui_executor_slot *slot, bool wait)
{
    skua_executor *executors[SKUI_EXECUTOR_PURPOSES];

    slot_begin_end(slot, executors);
    for (int i = 0; i < SKUI_EXECUTOR_PURPOSES; i++) {
        if (executors[i] != NULL) {
            slot_drop(slot, i, executors[i]);
            (void)skua_executor_shutdown(executors[i], wait, false);
            skua_executor_unref(executors[i]);
        }
    }
}
