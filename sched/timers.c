/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timers.c - a hierarchical timer wheel.
 * Threads     Any, under the spinlock.
 * Invariants  A timer's level is that of the highest 6-bit group in which its
 *             tick differs from `elapsed`; so what lies on a lower level is
 *             due before all that lies on a higher one, and within a level
 *             slots are in order. Past deadlines lie in the slot of `elapsed`.
 * Ordering    SL1 (spinlock.h).
 * Progress    start, cancel: O(1). fire: O(levels + due + cascaded).
 * Rejected    A heap: a fifth faster to expire, but it grows (ENOMEM) and its
 *             cancel is not O(1). timerfd: 269 ns a change, no better.
 */
#include "timers.h"

#include <string.h>

enum { SCAN_LIMIT = 256 };

void skui_timers_init(struct skui_timers *timers, int64_t now_ns)
{
    memset(timers, 0, sizeof(*timers));
    skui_timers_restart(timers, now_ns);
}

void skui_timers_restart(struct skui_timers *timers, int64_t now_ns)
{
    skui_spinlock_lock(&timers->lock);
    timers->elapsed =
        now_ns > 0 ? (uint64_t)now_ns >> SKUI_TIMERS_TICK_SHIFT : 0;
    timers->earliest_known = false;
    skui_spinlock_unlock(&timers->lock);
}

static uint64_t timers_tick(const struct skui_timers *timers, int64_t at_ns)
{
    uint64_t tick = at_ns > 0 ? (uint64_t)at_ns >> SKUI_TIMERS_TICK_SHIFT : 0;

    return tick > timers->elapsed ? tick : timers->elapsed;
}

static void timers_link(struct skui_timers *timers, struct skui_timer *timer)
{
    uint64_t tick = timers_tick(timers, timer->deadline_ns);
    uint64_t differ = tick ^ timers->elapsed;
    unsigned level = differ == 0 ? 0
                                 : (63u - (unsigned)__builtin_clzll(differ)) /
                                       SKUI_TIMERS_SLOT_BITS;
    unsigned slot = (unsigned)(tick >> (level * SKUI_TIMERS_SLOT_BITS)) &
                    (SKUI_TIMERS_SLOTS - 1);
    struct skui_timer *first = timers->slots[level][slot];

    timer->level = (uint8_t)level;
    timer->slot = (uint8_t)slot;
    timer->prev = NULL;
    timer->next = first;
    if (first != NULL) {
        first->prev = timer;
    }
    timers->slots[level][slot] = timer;
    timers->occupied[level] |= UINT64_C(1) << slot;
}

static void timers_unlink(struct skui_timers *timers, struct skui_timer *timer)
{
    if (timer->next != NULL) {
        timer->next->prev = timer->prev;
    }
    if (timer->prev != NULL) {
        timer->prev->next = timer->next;
        return;
    }
    timers->slots[timer->level][timer->slot] = timer->next;
    if (timer->next == NULL) {
        timers->occupied[timer->level] &= ~(UINT64_C(1) << timer->slot);
    }
}

static void timers_count(struct skui_timers *timers, size_t change)
{
    /* relaxed: written under lock, read as a hint */
    skui_store_relaxed(&timers->pending,
                       skui_load_relaxed(&timers->pending) + change);
}

void skui_timers_start(struct skui_timers *timers, struct skui_timer *timer,
                       int64_t deadline_ns)
{
    skui_spinlock_lock(&timers->lock);
    timer->deadline_ns = deadline_ns;
    timer->sequence = timers->sequence++;
    timer->pending = true;
    timers_link(timers, timer);
    /* relaxed: under lock */
    if (skui_load_relaxed(&timers->pending) == 0) {
        timers->earliest_known = true;
        timers->earliest_ns = deadline_ns;
    } else if (deadline_ns < timers->earliest_ns) {
        timers->earliest_ns = deadline_ns; /* right if it was known */
    }
    timers_count(timers, 1);
    skui_spinlock_unlock(&timers->lock);
}

bool skui_timers_cancel(struct skui_timers *timers, struct skui_timer *timer)
{
    bool was_pending;

    skui_spinlock_lock(&timers->lock);
    was_pending = timer->pending;
    if (was_pending) {
        timers_unlink(timers, timer);
        timer->pending = false;
        if (timer->deadline_ns <= timers->earliest_ns) {
            timers->earliest_known = false;
        }
        timers_count(timers, (size_t)-1);
    }
    skui_spinlock_unlock(&timers->lock);
    return was_pending;
}

/* The first slot in order of time; false when there is none. */
static bool timers_first_slot(const struct skui_timers *timers,
                              unsigned *out_level, unsigned *out_slot,
                              uint64_t *out_start)
{
    for (unsigned level = 0; level < SKUI_TIMERS_LEVELS; level++) {
        if (timers->occupied[level] != 0) {
            unsigned shift = level * SKUI_TIMERS_SLOT_BITS;
            unsigned slot = (unsigned)__builtin_ctzll(timers->occupied[level]);
            uint64_t above = timers->elapsed >> shift >> SKUI_TIMERS_SLOT_BITS;

            *out_level = level;
            *out_slot = slot;
            *out_start = ((above << SKUI_TIMERS_SLOT_BITS) | slot) << shift;
            return true;
        }
    }
    return false;
}

static bool timer_before(const struct skui_timer *a, const struct skui_timer *b)
{
    return a->deadline_ns < b->deadline_ns ||
           (a->deadline_ns == b->deadline_ns && a->sequence < b->sequence);
}

static struct skui_timer *timers_merge(struct skui_timer *a,
                                       struct skui_timer *b)
{
    struct skui_timer *first = NULL;
    struct skui_timer **end = &first;

    while (a != NULL && b != NULL) {
        struct skui_timer **smaller = timer_before(b, a) ? &b : &a;

        *end = *smaller;
        end = &(*smaller)->next;
        *smaller = (*smaller)->next;
    }
    *end = a != NULL ? a : b;
    return first;
}

/* Merge sort of a chain through `next`, without recursion. */
static struct skui_timer *timers_sort(struct skui_timer *chain)
{
    struct skui_timer *bins[64] = {NULL};
    struct skui_timer *sorted = NULL;

    while (chain != NULL) {
        struct skui_timer *carry = chain;
        unsigned bin = 0;

        chain = chain->next;
        carry->next = NULL;
        for (; bins[bin] != NULL; bin++) {
            carry = timers_merge(bins[bin], carry);
            bins[bin] = NULL;
        }
        bins[bin] = carry;
    }
    for (unsigned bin = 0; bin < 64; bin++) {
        sorted = timers_merge(bins[bin], sorted);
    }
    return sorted;
}

/* Take a slot's timers out as a chain. */
static struct skui_timer *timers_empty_slot(struct skui_timers *timers,
                                            unsigned level, unsigned slot)
{
    struct skui_timer *chain = timers->slots[level][slot];

    timers->slots[level][slot] = NULL;
    timers->occupied[level] &= ~(UINT64_C(1) << slot);
    return chain;
}

static void timers_relink(struct skui_timers *timers, struct skui_timer *chain)
{
    while (chain != NULL) {
        struct skui_timer *next = chain->next;

        timers_link(timers, chain);
        chain = next;
    }
}

size_t skui_timers_fire_due(struct skui_timers *timers, int64_t now_ns,
                            skui_timer_fire_fn *fire, void *arg)
{
    uint64_t now = now_ns > 0 ? (uint64_t)now_ns >> SKUI_TIMERS_TICK_SHIFT : 0;
    unsigned level;
    unsigned slot;
    uint64_t start;
    size_t fired = 0;

    skui_spinlock_lock(&timers->lock);
    while (timers_first_slot(timers, &level, &slot, &start) && start <= now) {
        struct skui_timer *chain = timers_empty_slot(timers, level, slot);

        timers->earliest_known = false;
        if (start > timers->elapsed) {
            timers->elapsed = start;
        }
        if (level > 0) {
            timers_relink(timers, chain);
            continue;
        }
        chain = timers_sort(chain);
        while (chain != NULL && chain->deadline_ns <= now_ns) {
            struct skui_timer *timer = chain;

            chain = chain->next;
            timer->pending = false;
            fired++;
            fire(timer, arg);
        }
        if (chain != NULL) {
            timers_relink(timers, chain); /* due later in this tick */
            break;
        }
    }
    if (fired > 0) {
        timers_count(timers, (size_t)0 - fired);
    }
    skui_spinlock_unlock(&timers->lock);
    return fired;
}

int64_t skui_timers_next_deadline(struct skui_timers *timers)
{
    int64_t earliest = INT64_MAX;
    unsigned level;
    unsigned slot;
    uint64_t start;

    if (!skui_timers_any(timers)) {
        return INT64_MAX;
    }
    skui_spinlock_lock(&timers->lock);
    if (timers->earliest_known) {
        earliest = timers->earliest_ns;
    } else if (timers_first_slot(timers, &level, &slot, &start)) {
        const struct skui_timer *timer = timers->slots[level][slot];
        unsigned scanned = 0;

        for (; timer != NULL && scanned < SCAN_LIMIT; scanned++) {
            if (timer->deadline_ns < earliest) {
                earliest = timer->deadline_ns;
            }
            timer = timer->next;
        }
        if (timer != NULL) {
            int64_t bound = (int64_t)(start << SKUI_TIMERS_TICK_SHIFT);

            earliest = bound < earliest ? bound : earliest;
        }
        /* A bound holds until the slot is opened, so nobody scans again. */
        timers->earliest_known = true;
        timers->earliest_ns = earliest;
    }
    skui_spinlock_unlock(&timers->lock);
    return earliest;
}
