/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentinel.c - the tick that has one sleeping loop look after running ones.
 * Threads     Any loop of the runner.
 * Invariants  `is_on` and the timer agree outside the lock.
 * Ordering    PK8, below.
 * Rejected    A sleep of a millisecond at most: on a virtual machine each
 *             sleep then sets and clears a timer of the CPU, which costs more
 *             than the sleep itself. An idle loop that is woken to watch: 12 us
 *             for the waker, at each burst.
 *
 * The timer is one for all loops, and the kernel wakes one of those that sleep
 * (EPOLLEXCLUSIVE); who is awake needs no reminder. If none sleeps, the event
 * waits for the first that wants to, and with it the timer, which goes on when
 * it is read. It stays on over many sleeps, and goes off when a loop that it
 * woke finds that nobody runs. That must not be missed by a loop that begins to
 * run at the same time:
 *
 *   PK8  runner:  park_state = AWAKE (PK1); push; look at `is_on`
 *        sleeper: `is_on` = false; look at park_state of all; on again
 */
#include "sentinel.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "runner.h"

enum {
    SLOWEST_TICK_NS = 4 * SKUI_SENTINEL_TICK_NS,
    /* Not before the system's own next tick, as far as one can tell: to set a
     * timer before that costs 7 us on a virtual machine, and else 1.5. */
    FIRST_TICK_NS = 4 * SKUI_SENTINEL_TICK_NS,
};

int skui_sentinel_open(skua_runner *runner)
{
    struct skui_sentinel *sentinel = &runner->sentinel;
    int status = 0;

    sentinel->timer_fd = -1;
    sentinel->tick_ns = SKUI_SENTINEL_TICK_NS;
    if (runner->count < 2 || !runner->stealing ||
        !skui_runner_has(runner, SKUA_SENTINEL)) {
        return 0;
    }
    sentinel->timer_fd =
        timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (sentinel->timer_fd < 0) {
        return -errno;
    }
    /* The kernel asks those that watch it first first: spare loops are last. */
    for (unsigned i = 0; i < runner->total && status == 0; i++) {
        skua_loop *loop = runner->loops[i];

        status = loop->poller_ops->watch_tick(loop->poller, sentinel->timer_fd);
    }
    return status;
}

void skui_sentinel_close(skua_runner *runner)
{
    if (runner->sentinel.timer_fd >= 0) {
        (void)close(runner->sentinel.timer_fd);
    }
}

/* Under the lock. */
static void sentinel_switch(struct skui_sentinel *sentinel, bool on,
                            int64_t first_ns)
{
    const struct itimerspec times = {
        .it_interval = {0, on ? (long)sentinel->tick_ns : 0},
        .it_value = {0, on ? (long)first_ns : 0},
    };

    (void)timerfd_settime(sentinel->timer_fd, 0, &times, NULL);
    /* PK8 (seq_cst): off before the look in sentinel_is_needed(). */
    skui_store_seq_cst(&sentinel->is_on, on);
}

static bool sentinel_is_needed(const skua_runner *runner)
{
    for (unsigned i = 0; i < runner->total; i++) {
        /* PK8 (seq_cst): who begins to run after this finds it off. */
        uint32_t state = skui_load_seq_cst(&runner->loops[i]->park_state);

        if (state == SKUI_PARK_AWAKE || state == SKUI_PARK_SEARCHING) {
            return true;
        }
    }
    return false;
}

void skui_sentinel_start(skua_runner *runner)
{
    struct skui_sentinel *sentinel = &runner->sentinel;

    /* PK8 (seq_cst): looked at after this loop was AWAKE. */
    if (sentinel->timer_fd < 0 || skui_load_seq_cst(&sentinel->is_on)) {
        return;
    }
    skui_spinlock_lock(&sentinel->lock);
    if (!skui_load_relaxed(&sentinel->is_on)) { /* relaxed: under the lock */
        sentinel_switch(sentinel, true, FIRST_TICK_NS);
    }
    skui_spinlock_unlock(&sentinel->lock);
}

void skui_sentinel_pace(skua_runner *runner, bool often)
{
    struct skui_sentinel *sentinel = &runner->sentinel;
    int64_t tick_ns;

    skui_spinlock_lock(&sentinel->lock);
    tick_ns = often ? SKUI_SENTINEL_TICK_NS : 2 * sentinel->tick_ns;
    if (tick_ns != sentinel->tick_ns && tick_ns <= SLOWEST_TICK_NS) {
        sentinel->tick_ns = tick_ns;
        if (skui_load_relaxed(&sentinel->is_on)) { /* relaxed: under the lock */
            sentinel_switch(sentinel, true, tick_ns);
        }
    }
    skui_spinlock_unlock(&sentinel->lock);
}

static void sentinel_stop(skua_runner *runner)
{
    struct skui_sentinel *sentinel = &runner->sentinel;

    skui_spinlock_lock(&sentinel->lock);
    if (skui_load_relaxed(&sentinel->is_on)) { /* relaxed: under the lock */
        sentinel_switch(sentinel, false, 0);
        if (sentinel_is_needed(runner)) {
            sentinel_switch(sentinel, true, sentinel->tick_ns);
        }
    }
    skui_spinlock_unlock(&sentinel->lock);
}

void skui_sentinel_park(skua_runner *runner, bool ticked)
{
    struct skui_sentinel *sentinel = &runner->sentinel;

    if (sentinel->timer_fd < 0) {
        return;
    }
    /* relaxed: a loop that begins to run meanwhile looks itself */
    if (!skui_load_relaxed(&sentinel->is_on)) {
        if (sentinel_is_needed(runner)) {
            skui_sentinel_start(runner);
        }
    } else if (ticked && !sentinel_is_needed(runner)) {
        sentinel_stop(runner);
    }
}
