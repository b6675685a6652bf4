/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - what loops that are awake look at by themselves.
 *
 * A source is where jobs come back that leave no trace in this process: worker
 * processes publish replies in shared memory. While a loop is awake it looks
 * there, once in each poll phase and in its spins, and nobody needs a system
 * call. Else a thread of the source's owner, its keeper, is woken: publishers
 * do that while the source is armed. source.c has the protocol.
 *
 *                   register  expect  settle  keep  look  unregister
 *   register           x        x       x      x     -        x
 *   expect, settle     x        -       -      -     -        x
 *   keep               x        -       -      x     -        x
 *   look, give up      -        -       -      -     -        -
 *   unregister         x        x       x      x     -        x
 */
#ifndef SKUI_SOURCE_H
#define SKUI_SOURCE_H

#include "atomic.h"
#include "skua/types.h"

SKUI_BEGIN_DECLS

enum {
    SKUI_SOURCES_SEEN = 64, /* by loops; more are left to their keepers */
    SKUI_SOURCE_TICK_NS = 1000000,
    SKUI_SOURCE_QUIET_TICKS = 4, /* then the keeper rests */
};

struct skui_source;

/*
 * What a source does. poll, arm and disarm of one source exclude each other;
 * any thread that looks calls them, a loop in the place of its reactor's
 * callbacks. They do not wait, and call nothing of this header but
 * skui_source_expect() and skui_source_settle(). Callbacks that run in poll
 * keep others from looking; a source with `take` runs them there.
 */
struct skui_source_ops {
    /* Take what was published and complete it, in its order; as much as it
     * likes, but 0 only when there was nothing. Returns how much it took,
     * whether or not that ended jobs. With `take` it only looks: 0, or more
     * when there is something. */
    size_t (*poll)(struct skui_source *source);
    /* Whatever is published from here on wakes the keeper, at least the first
     * (seq_cst: before the look of the poll that follows). Called again before
     * each sleep of the keeper. */
    void (*arm)(struct skui_source *source);
    /* Publishers need wake nobody. A wake too many is harmless. */
    void (*disarm)(struct skui_source *source);
    /* Let the keeper's sleep end, so that it calls skui_source_keep(). Any
     * thread, at any time, also beside the others. */
    void (*wake_keeper)(struct skui_source *source);
    /* poll has seen something, and others may look again: take and complete
     * what there is. What it leaves to another thread that is inside already,
     * that one sees; what it leaves else, it wakes the keeper for, if armed.
     * Returns as poll. It may come once more when the source is gone, or
     * another one in its place: that is to give 0. NULL: poll does it. */
    size_t (*take)(struct skui_source *source);
};

/* Who looks at a source: one at a time. */
struct skui_source_slot {
    SKUI_CACHE_ALIGNED _Atomic(uint32_t) gate; /* SR1: enum gate_state */
    struct skui_source *source;                /* guarded by gate; NULL: none */
};

/* Part of its owner. */
struct skui_source {
    const struct skui_source_ops *ops; /* constant */
    struct skui_source_slot *slot;     /* constant while registered */
    int number;                        /* of the slot; -1: its own, which loops
                                          do not see */
    bool armed;          /* guarded by the gate: the keeper is woken */
    uint32_t looks;      /* guarded by the gate: of loops, ever ... */
    uint32_t looks_seen; /* ... and when the keeper looked last */
    uint32_t taken;      /* guarded by the gate: what polls took, ever ... */
    uint32_t taken_seen; /* ... and when the keeper looked last */
    unsigned quiet;      /* guarded by the gate: the keeper's looks in a row
                            that saw nothing move */
    SKUI_CACHE_ALIGNED _Atomic(uint32_t) outstanding; /* SR3: jobs */
    _Atomic(uint32_t) resting; /* SR3: the keeper sleeps without a limit */
    struct skui_source_slot own;
};

/*
 * Register a source, armed, with nothing outstanding and its keeper resting.
 * Its functions are called from here on, first within.
 * When there are SKUI_SOURCES_SEEN others loops do not see it, and its keeper
 * does everything.
 */
void skui_source_register(struct skui_source *source,
                          const struct skui_source_ops *ops);

/*
 * From its return on nobody calls its functions. Waits for who is inside, so
 * not to be called in one of them: its keeper does that, or who has joined it.
 */
void skui_source_unregister(struct skui_source *source);

/* Before jobs are published: so many more are outstanding. May wake the keeper,
 * once in each time of rest. Any thread. */
void skui_source_expect(struct skui_source *source, uint32_t jobs);
/* So many have ended, however they did; also within poll. Any thread. */
void skui_source_settle(struct skui_source *source, uint32_t jobs);
/* How many are outstanding, at some moment. */
uint32_t skui_source_outstanding(const struct skui_source *source);

/*
 * The keeper's turn: before each of its sleeps, and so after each, whatever
 * ended it. Takes what has come.
 * Returns how long it may sleep at most: SKUI_SOURCE_TICK_NS, or SKUA_FOREVER:
 * a publisher or wake_keeper will end it.
 */
int64_t skui_source_keep(struct skui_source *source);

/* --- for loops --- */

/* SR4: a bit for each slot that loops should look at. */
extern _Atomic(uint64_t) skui_sources_busy;

size_t skui_sources_poll(skua_loop *loop);

/* In its poll phase and its spins: take what has come; returns how much. From
 * then on the loop is one that looks, until it gives that up. */
static inline size_t skui_sources_look(skua_loop *loop)
{
    /* relaxed: SR4; who misses a bit looks again, or its keeper does */
    return SKUI_LIKELY(skui_load_relaxed(&skui_sources_busy) == 0)
               ? 0
               : skui_sources_poll(loop);
}

/* Before it sleeps or ends: keepers take over if nobody else looks. Returns how
 * much has come meanwhile. Only for a loop that looks (idle.looks). */
size_t skui_sources_give_up(skua_loop *loop);

/* In a forked child: the parent's sources are none of its. */
void skui_sources_after_fork(void);

SKUI_END_DECLS

#endif
