/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room.h - how much work an executor takes, and who waits for room.
 *
 *             enter  leave  close  figures
 *   enter        -      -      -      -      (any thread; a task suspends)
 *   leave        -      -      -      -      (any thread)
 *   close        -      -      -      -      (any thread)
 *
 * A place is taken before work is accepted and given back when it is over, or
 * was not accepted after all. Who waits is served in order, and nobody who
 * comes later overtakes. An executor keeps its room as long as itself.
 */
#ifndef SKUI_EXECUTOR_ROOM_H
#define SKUI_EXECUTOR_ROOM_H

#include "../waitq.h"
#include "skua/executor.h"

SKUI_BEGIN_DECLS

struct skui_room {
    skua_queue_policy policy; /* constant, as the next */
    uint64_t places;
    struct skui_spinlock lock;
    uint64_t taken;            /* guarded by lock; as all that follows, with
                                  the places given to who has not gone on */
    struct skui_waitq waiters; /* who waits, while none is free */
    int closed;                /* why nobody enters; 0: they do */
    int64_t rejected;          /* who found no place */
};

/*
 * Room for `max_queued` pieces of work beside `workers` that are worked on:
 * with GROW and 0 there is room for all. 0; -EINVAL for a policy that is none
 * or does not go with `max_queued`.
 */
int skui_room_init(struct skui_room *room, skua_queue_policy policy,
                   size_t max_queued, size_t workers);

/* Out of line: see skui_room_enter(). */
int skui_room_enter_bounded(struct skui_room *room,
                            const skua_executor *executor);
void skui_room_leave_bounded(struct skui_room *room);

/*
 * Take a place: 0. When none is free: -EAGAIN with REJECT; with SUSPEND a task
 * suspends and a plain thread blocks, until there is one, or SKUA_ECANCELED;
 * -EDEADLK in a loop's callback and in a worker of `executor`. What it was
 * closed with.
 */
static inline int skui_room_enter(struct skui_room *room,
                                  const skua_executor *executor)
{
    return SKUI_LIKELY(room->policy == SKUA_QUEUE_GROW)
               ? 0
               : skui_room_enter_bounded(room, executor);
}

/* Give a place back: to who waits longest, if anybody does. */
static inline void skui_room_leave(struct skui_room *room)
{
    if (SKUI_UNLIKELY(room->policy != SKUA_QUEUE_GROW)) {
        skui_room_leave_bounded(room);
    }
}

/* Nobody enters any more: who waits and who comes gets `status`, a negative
 * one. The first one stays. */
void skui_room_close(struct skui_room *room, int status);

/* How many found no place. */
int64_t skui_room_rejected(struct skui_room *room);

SKUI_END_DECLS

#endif
