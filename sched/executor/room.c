/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room.c - how much work an executor takes, and who waits for room.
 * Threads     Any; all of it under the room's lock.
 * Invariants  Nobody waits while a place is free. A place that is given to a
 *             waiter stays taken on its way; a waiter that was cancelled gives
 *             it to the next one. Once it is closed nobody waits.
 * Ordering    SL1 for all of it.
 * Progress    A few dozen instructions under the lock.
 * Rejected    permits.h, which takes a place without the lock: it cannot be
 *             closed. Places for what is queued only, not for what runs: then
 *             work for a pool whose threads have not come yet is refused, or
 *             not, by chance.
 */
#include "room.h"

#include <errno.h>

#include "../wait.h"
#include "work_self.h"

int skui_room_init(struct skui_room *room, skua_queue_policy policy,
                   size_t max_queued, size_t workers)
{
    bool bounded = policy == SKUA_QUEUE_SUSPEND || policy == SKUA_QUEUE_REJECT;

    if ((!bounded && policy != SKUA_QUEUE_GROW) ||
        bounded != (max_queued > 0) || max_queued > SIZE_MAX - workers) {
        return -EINVAL;
    }
    *room =
        (struct skui_room){.policy = policy, .places = max_queued + workers};
    return 0;
}

/* With the lock: 0, -EAGAIN when none is free, or why it is closed. */
static int room_try_enter(struct skui_room *room)
{
    if (room->closed != 0) {
        return room->closed;
    }
    if (room->taken == room->places) {
        return -EAGAIN;
    }
    room->taken++;
    return 0;
}

static void room_hand_on(struct skui_waitq_node *node, bool goes_on)
{
    (void)goes_on;
    if (node->value == 0) { /* else it was closed, and there is no place */
        skui_room_leave_bounded(
            SKUI_CONTAINER_OF(node->lock, struct skui_room, lock));
    }
}

/* It is full, and the caller cannot wait: nobody may be left to make room. */
static int room_refuse(struct skui_room *room)
{
    skui_spinlock_lock(&room->lock);
    room->rejected++;
    skui_spinlock_unlock(&room->lock);
    return -EDEADLK;
}

int skui_room_enter_bounded(struct skui_room *room,
                            const skua_executor *executor)
{
    struct skui_waitq_node node;
    int status = 0;

    if (room->policy == SKUA_QUEUE_SUSPEND) {
        status = skui_task_spend_budget();
    }
    if (status < 0) {
        return status;
    }
    skui_spinlock_lock(&room->lock);
    status = room_try_enter(room);
    if (status != -EAGAIN || room->policy == SKUA_QUEUE_REJECT) {
        room->rejected += status == -EAGAIN;
        skui_spinlock_unlock(&room->lock);
        return status;
    }
    if (skui_work_is_of(executor)) {
        skui_spinlock_unlock(&room->lock);
        return room_refuse(room);
    }
    skui_waitq_begin(&node, &room->lock, SKUA_FOREVER);
    node.hand_on = room_hand_on;
    status = skui_waitq_wait(&room->waiters, &node);
    if (status == -EDEADLK) { /* a loop's callback */
        return room_refuse(room);
    }
    return status == SKUI_WAITQ_GRANTED ? node.value : status;
}

void skui_room_leave_bounded(struct skui_room *room)
{
    struct skui_waitq_chain chain = {NULL, NULL};

    skui_spinlock_lock(&room->lock);
    if (skui_waitq_take_first(&room->waiters, &chain) == NULL) {
        room->taken--;
    }
    skui_spinlock_unlock(&room->lock);
    skui_waitq_grant(&chain);
}

void skui_room_close(struct skui_room *room, int status)
{
    struct skui_waitq_chain chain = {NULL, NULL};

    skui_spinlock_lock(&room->lock);
    if (room->closed == 0) {
        room->closed = status;
        skui_waitq_take_all(&room->waiters, &chain, status);
    }
    skui_spinlock_unlock(&room->lock);
    skui_waitq_grant(&chain);
}

int64_t skui_room_rejected(struct skui_room *room)
{
    int64_t rejected;

    skui_spinlock_lock(&room->lock);
    rejected = room->rejected;
    skui_spinlock_unlock(&room->lock);
    return rejected;
}
