/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timers.h - one loop's timers: a hierarchical wheel under a spinlock.
 *
 * Every operation from any thread: other loops cancel, and thieves may fire.
 * Firing happens under the lock, so a cancel that comes too late also comes
 * after the timer has fired completely.
 */
#ifndef SKUI_TIMERS_H
#define SKUI_TIMERS_H

#include "spinlock.h"

SKUI_BEGIN_DECLS

enum {
    SKUI_TIMERS_SLOT_BITS = 6,
    SKUI_TIMERS_SLOTS = 1 << SKUI_TIMERS_SLOT_BITS,
    SKUI_TIMERS_LEVEL_BITS = 3, /* a level's slots are 8 times as wide */
    SKUI_TIMERS_LEVELS = 17,    /* 54 bits of ticks: every int64_t of ns */
    SKUI_TIMERS_TICK_SHIFT = 10,
};

/* Intrusive; all-zero: not pending. */
struct skui_timer {
    struct skui_timer *next; /* guarded by the wheel's lock, as all here */
    struct skui_timer *prev;
    int64_t deadline_ns;
    uint64_t sequence;
    uint8_t level;
    uint8_t slot;
    uint8_t kind; /* its owner's; constant */
    bool pending;
};

struct skui_timers {
    struct skui_spinlock lock;
    _Atomic(size_t) pending; /* written under lock; relaxed hint */
    uint64_t elapsed;        /* ticks; guarded by lock, as all below */
    uint64_t sequence;
    int64_t earliest_ns; /* when earliest_known: the earliest, or a bound */
    bool earliest_known;
    uint32_t levels; /* which have an occupied slot */
    uint32_t ahead;  /* how many to move down before they have to be */
    uint64_t occupied[SKUI_TIMERS_LEVELS];
    struct skui_timer *slots[SKUI_TIMERS_LEVELS][SKUI_TIMERS_SLOTS];
};

/* Called under the wheel's lock: wakes or queues, and nothing else. */
typedef void skui_timer_fire_fn(struct skui_timer *timer, void *arg);

void skui_timers_init(struct skui_timers *timers, int64_t now_ns);

/*
 * An empty or all-zero wheel: count from `now_ns`. Unlike init it may run
 * together with cancels of timers that are no longer pending.
 */
void skui_timers_restart(struct skui_timers *timers, int64_t now_ns);

/* `timer` is not pending. */
void skui_timers_start(struct skui_timers *timers, struct skui_timer *timer,
                       int64_t deadline_ns);

/* Take out a pending timer, as skui_timers_cancel(); the caller has the lock.
 */
void skui_timers_remove(struct skui_timers *timers, struct skui_timer *timer);

/* True when it was pending and will never fire. */
bool skui_timers_cancel(struct skui_timers *timers, struct skui_timer *timer);

/*
 * Fire what is due at `now_ns`, in order of (deadline, start); never early.
 * Returns how many.
 */
size_t skui_timers_fire_due(struct skui_timers *timers, int64_t now_ns,
                            skui_timer_fire_fn *fire, void *arg);
/* The same, unless somebody else has the lock just now. */
size_t skui_timers_try_fire_due(struct skui_timers *timers, int64_t now_ns,
                                skui_timer_fire_fn *fire, void *arg);

/*
 * When to look again: the earliest deadline, or with very many candidates a
 * time somewhat before it; INT64_MAX when nothing is pending.
 */
int64_t skui_timers_next_deadline(struct skui_timers *timers);

/* Whether any timer is pending; a hint for other threads. */
static inline bool skui_timers_any(struct skui_timers *timers)
{
    return skui_load_relaxed(&timers->pending) != 0; /* relaxed: a hint */
}

SKUI_END_DECLS

#endif
