/* SPDX-License-Identifier: Apache-2.0 */
/*
 * park.c - finding work, spinning, sleeping, waking.
 * Threads     A loop idles in its own thread; any thread wakes it.
 * Progress    notify: at most one compare-and-swap for each loop.
 *
 * No wake is lost, by three pairs of lists in the order of seq_cst operations:
 *
 *   PK1  poster: push to the inbox; look at park_state
 *        loop:   park_state = PARKED; look at the inbox; sleep
 *   PK3, PK4  pusher: push to the ring / inject queue; look at `idle` (PK2),
 *                     then at `searching` (PK5)
 *        loop:   searching - 1 (PK5); idle + 1 (PK2); look at the rings and
 *                the inject queue; sleep
 *
 * So a pusher that meets a searcher leaves the work to it: the searcher finds
 * it, or looks again after it has given up searching.
 *
 * Nobody reaches into what is gone, by two counts:
 *
 *   PK6  foreign pusher: wakers + 1; look at inject_runner; push a task there,
 *                        notify; wakers - 1
 *        closer: inject_runner = NULL; wait for wakers = 0; free the runner
 *   PK7  waker:  wakers + 1; look at park_state; use the poller; wakers - 1
 *        closer: park_state = CLOSED; wait for wakers = 0; close the poller
 *
 * Work that the owner will have run before a sleeping core wakes is left to it:
 * a single task behind a running one, and as many as are estimated, by the
 * average of recent slices, to last less than twice the price of a wake. If the
 * owner is stuck in user code, the sentinel (one sleeping loop each
 * millisecond, while others run) takes them, and what the owner has claimed in
 * its batch (stuck.h).
 *
 * Spinning is for cores that nobody else wants. A spinner offers its core to
 * the system now and then; if others keep taking it, idle loops sleep at once
 * for a while.
 */
#include <errno.h>

#include "cores.h"
#include "loop.h"
#include "runner.h"
#include "source.h"
#include "task.h"
#include "tls.h"

enum {
    OWN_ROUNDS = 64,          /* before a spinner counts as searching */
    SPIN_ROUNDS = 32,         /* between looks at reactor and timers */
    SINGLE_NS = 20000,        /* how long one task is left to its owner */
    GAP_LIMIT = 16,           /* idle gaps count as at most this x spin */
    OFFER_ROUNDS = 4,         /* between offers of the core to others */
    TAKEN_NS = 20000,         /* an offer that lasts this long was taken ... */
    TAKEN_APART_NS = 5000000, /* ... and is one of a row, at most this apart */
    TAKEN_LIMIT = 3,          /* a row of so many ends spinning ... */
    GIVE_WAY_NS = 4000000,    /* ... for this long, and twice as long ... */
    GIVE_WAY_DOUBLINGS = 8,   /* ... when it comes again at once, this often */
    CALIBRATE_NS = 20000,     /* how long the first wakes wait for sleepers */
};

static bool loop_is_stopping(skua_loop *loop)
{
    /* PK1 (seq_cst): pairs with skui_loop_request_stop(). */
    return skui_load_seq_cst(&loop->stop_requested);
}

/* --- finding work --- */

/* Whether a victim's only task has waited long enough to be taken. */
static bool single_is_stuck(struct skui_idle *idle, const skua_loop *victim,
                            uint32_t head)
{
    int64_t now = skui_clock_now();

    if (idle->seen_victim == victim->index + 1 && idle->seen_head == head) {
        return now - idle->seen_at_ns >= SINGLE_NS;
    }
    idle->seen_victim = victim->index + 1;
    idle->seen_head = head;
    idle->seen_at_ns = now;
    return false;
}

static bool steal_from(skua_loop *loop, skua_loop *victim)
{
    size_t count = skui_ready_stealable_count(&victim->ready);
    size_t stolen;

    if (count == 0) {
        return false;
    }
    if (count == 1 && !loop->idle.sentinel_due &&
        !single_is_stuck(&loop->idle, victim,
                         skui_ready_head_position(&victim->ready))) {
        return false;
    }
    stolen = skui_ready_steal(&victim->ready, &loop->ready);
    skui_count(&loop->counters.stolen, stolen);
    return stolen > 0;
}

/* A spare loop does so only while it relieves, and takes then what a look has
 * found, not what others are about to run. */
static bool may_help(const skua_loop *loop)
{
    /* relaxed: a hint */
    return !loop->spare ||
           skui_load_relaxed(&loop->runner->relief.is_relieving);
}

static bool find_work(skua_loop *loop)
{
    skua_runner *runner = loop->runner;

    if (runner == NULL || runner->count < 2 || !may_help(loop)) {
        return false;
    }
    if (skui_loop_take_injected(loop)) {
        return true;
    }
    if (!runner->stealing || loop->spare) {
        return false;
    }
    for (unsigned i = 0; i < runner->total; i++) {
        skua_loop *victim =
            runner->loops[(loop->idle.victim + i) % runner->total];

        if (victim != loop && steal_from(loop, victim)) {
            loop->idle.victim = victim->index;
            return true;
        }
    }
    return false;
}

/* --- searching --- */

static bool searching_begin(skua_loop *loop)
{
    skua_runner *runner = loop->runner;

    if (runner == NULL || loop->idle.searching) {
        return true;
    }
    /* relaxed: a bound on spinners, not a promise */
    if (skui_load_relaxed(&runner->searching) * 2 >= runner->count + 1) {
        return false;
    }
    /* PK5 (seq_cst): pushers leave the search to this loop from here on. */
    (void)skui_fetch_add_seq_cst(&runner->searching, 1u);
    loop->idle.searching = true;
    return true;
}

/* Give up searching; returns whether no other loop searches. */
static bool searching_end(skua_loop *loop)
{
    if (!loop->idle.searching) {
        return false;
    }
    loop->idle.searching = false;
    /* PK5 (seq_cst): what was pushed before is looked for after this. */
    return skui_fetch_sub_seq_cst(&loop->runner->searching, 1u) == 1;
}

/* What waits in all queues that several loops reach. */
static size_t runner_queued(skua_runner *runner)
{
    size_t queued = skui_inject_count(&runner->inject);

    for (unsigned i = 0; i < runner->total; i++) {
        queued += skui_ready_stealable_count(&runner->loops[i]->ready);
    }
    return queued;
}

void skui_idle_found(skua_loop *loop)
{
    if (searching_end(loop)) {
        skui_runner_notify(loop->runner, loop, runner_queued(loop->runner));
    }
}

/* --- spinning --- */

/* No loop of the runner spins for a while; longer if it was so just now. */
static void spin_give_way(skua_loop *loop, uint64_t now)
{
    uint64_t shortest = skui_clock_ticks_of(GIVE_WAY_NS);
    /* relaxed, all: estimates, and any order of them will do */
    uint64_t length = skui_load_relaxed(&loop->idle.give_way_ticks);
    uint64_t spin_at = skui_load_relaxed(&loop->idle.spin_at_ticks);
    unsigned count = loop->runner == NULL ? 1 : loop->runner->count;

    if (spin_at != 0 && (int64_t)(now - spin_at) < 0) {
        return; /* another loop has just said so */
    }
    if (spin_at == 0 || now - spin_at > length) {
        length = shortest;
    } else if (length < shortest << GIVE_WAY_DOUBLINGS) {
        length *= 2;
    }
    for (unsigned i = 0; i < count; i++) {
        skua_loop *each = loop->runner == NULL ? loop : loop->runner->loops[i];

        skui_store_relaxed(&each->idle.give_way_ticks, length);
        skui_store_relaxed(&each->idle.spin_at_ticks, now + length);
    }
}

/* Let others have the core; true when they want it all the time. */
static bool spin_offer_core(skua_loop *loop)
{
    struct skui_idle *idle = &loop->idle;
    uint64_t start = skui_clock_ticks();
    uint64_t now;

    (void)sched_yield();
    now = skui_clock_ticks();
    if (now - start < skui_clock_ticks_of(TAKEN_NS)) {
        return false;
    }
    if (now - idle->taken_at_ticks > skui_clock_ticks_of(TAKEN_APART_NS)) {
        idle->taken = 0;
    }
    idle->taken_at_ticks = now;
    if (++idle->taken < TAKEN_LIMIT) {
        return false;
    }
    idle->taken = 0;
    spin_give_way(loop, now);
    return true;
}

static bool spin_gives_way(struct skui_idle *idle)
{
    /* relaxed: an estimate */
    uint64_t spin_at = skui_load_relaxed(&idle->spin_at_ticks);

    return spin_at != 0 && (int64_t)(skui_clock_ticks() - spin_at) < 0;
}

static int64_t spin_limit(struct skui_idle *idle)
{
    switch (idle->policy) {
    case SKUA_SPIN_OFF:
        return 0;
    case SKUA_SPIN_FIXED:
        return idle->spin_ns;
    case SKUA_SPIN_ADAPTIVE:
        break;
    }
    return idle->gap_ns < idle->spin_ns + idle->spin_ns / 2 &&
                   !spin_gives_way(idle)
               ? idle->spin_ns
               : 0;
}

/* Look at sources; true when that brought something to do here. */
static bool sources_bring_work(skua_loop *loop, skui_claim watched)
{
    return skui_sources_look(loop) > 0 &&
           (!skui_ready_is_empty(&loop->ready) ||
            (watched != 0 && skui_task_watched_is_awake(watched)));
}

/*
 * The first part of a spin: what this loop alone is waiting for. It does not
 * count as searching, so a hand-over between two loops touches no shared line
 * but those it has to.
 */
static bool spin_on_own(skua_loop *loop, skui_claim watched)
{
    for (int i = 0; i < OWN_ROUNDS; i++) {
        if (!skui_inbox_is_empty(&loop->inbox) ||
            (watched != 0 && skui_task_watched_is_awake(watched)) ||
            sources_bring_work(loop, watched)) {
            return true;
        }
        skui_cpu_relax();
    }
    return false;
}

static bool spin_round(skua_loop *loop, skui_claim watched)
{
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        if (!skui_inbox_is_empty(&loop->inbox) || find_work(loop) ||
            loop_is_stopping(loop) ||
            (watched != 0 && skui_task_watched_is_awake(watched)) ||
            sources_bring_work(loop, watched)) {
            return true;
        }
        skui_cpu_relax();
    }
    return skui_loop_poll(loop, 0) > 0;
}

/* Spin by the clock; true when there is something to do. */
static bool idle_spin(skua_loop *loop, skui_claim watched, int64_t end_ns,
                      int64_t deadline_ns)
{
    int64_t now = skui_clock_now();
    unsigned rounds = 0;
    bool found = false;

    if (loop->idle.policy == SKUA_SPIN_ADAPTIVE &&
        skui_pressure_rises(&loop->idle.pressure)) {
        spin_give_way(loop, skui_clock_ticks());
        return false;
    }
    if (!searching_begin(loop)) {
        return false;
    }
    while (!found && now < end_ns) {
        found = spin_round(loop, watched) || now >= deadline_ns;
        if (!found && loop->idle.policy == SKUA_SPIN_ADAPTIVE &&
            ++rounds % OFFER_ROUNDS == 0 && spin_offer_core(loop)) {
            break;
        }
        now = skui_clock_now();
    }
    return found;
}

bool skui_loop_may_watch(skua_loop *loop)
{
    return loop->idle.watched == 0 && loop->eager_depth == 0 &&
           skui_ready_is_empty(&loop->ready) && spin_limit(&loop->idle) > 0;
}

bool skui_loop_unwatch(skua_loop *loop)
{
    skui_claim watched = loop->idle.watched;

    loop->idle.watched = 0;
    return watched != 0 && skui_task_unwatch(watched, &loop->idle.woken);
}

/* --- sleeping --- */

/* After announcing sleep: whether anything came that nobody will wake for. */
static bool park_sees_work(skua_loop *loop)
{
    skua_runner *runner = loop->runner;
    bool searches = runner != NULL && runner->stealing && !loop->spare;

    if (!skui_inbox_is_empty(&loop->inbox) || loop_is_stopping(loop)) {
        return true;
    }
    if (runner == NULL || runner->count < 2) {
        return false;
    }
    if (skui_inject_count(&runner->inject) > 0) {
        return may_help(loop);
    }
    for (unsigned i = 0; searches && i < runner->total; i++) {
        if (runner->loops[i] != loop &&
            skui_ready_stealable_count(&runner->loops[i]->ready) > 1) {
            return true;
        }
    }
    return false;
}

/* True when the sentinel's tick ended it. */
static bool park_sleep(skua_loop *loop, int64_t deadline_ns)
{
    int64_t timeout_ns = SKUA_FOREVER;

    if (loop->runner != NULL) {
        skui_sentinel_park(loop->runner, loop->idle.ticked);
    }
    if (deadline_ns != SKUA_FOREVER) {
        timeout_ns = deadline_ns - skui_clock_now();
        timeout_ns = timeout_ns < 0 ? 0 : timeout_ns;
    }
    skui_count(&loop->counters.parks, 1);
    skui_store_relaxed(&loop->idle.core, skui_cores_here()); /* relaxed: hint */
    (void)skui_loop_poll(loop, timeout_ns);
    return loop->poller_ops->take_tick(loop->poller);
}

/* Sleeping ones are asked to search and to look after others; spare ones, which
 * do not count, only to look. */
static void idle_announce(skua_loop *loop, bool sleeps)
{
    skua_runner *runner = loop->runner;

    if (runner == NULL) {
        return;
    }
    if (!loop->spare && sleeps) {
        /* PK2 (seq_cst): announced before the looks in park_sees_work(). */
        (void)skui_fetch_add_seq_cst(&runner->idle, 1u);
    } else if (!loop->spare) {
        /* PK2 (seq_cst): as above. */
        (void)skui_fetch_sub_seq_cst(&runner->idle, 1u);
    }
    if (!sleeps) {
        skui_sentinel_start(runner); /* here, not while a task waits for it */
    }
}

/* Whether somebody has given a loop away since the last look. */
static bool look_is_due(skua_loop *loop)
{
    /* relaxed: a hint; the look acquires (ST1) */
    return loop->runner != NULL &&
           skui_load_relaxed(&loop->runner->keeping.is_due);
}

/* Look after the others; true when that brought something to do. */
static bool idle_look(skua_loop *loop)
{
    if (loop->spare) {
        skui_relief_look(loop);
    } else {
        (void)skui_stuck_look(loop);
        /* relaxed: a hint */
        skui_store_relaxed(&loop->runner->relief.is_relieving, false);
        skui_sentinel_pace(loop->runner, true);
    }
    return !skui_ready_is_empty(&loop->ready);
}

/* Another loop has woken this one to share its work: what that took. */
static void idle_note_wake(skua_loop *loop)
{
    skua_runner *runner = loop->runner;
    /* relaxed, all: estimates; of two that meet one is lost */
    uint64_t average = skui_load_relaxed(&runner->wake_ticks);
    uint64_t took =
        skui_clock_ticks() - skui_load_relaxed(&loop->idle.woken_at_ticks);

    took = took < 2 * average ? took : 2 * average;
    /* relaxed: as above */
    skui_store_relaxed(&runner->wake_ticks, average - average / 8 + took / 8);
}

/* Whoever kept it off a core need not any more. */
static void idle_restore_cores(skua_loop *loop)
{
    /* CP1 acquire: pairs with wake_elsewhere(). */
    if (SKUI_UNLIKELY(skui_load_acquire(&loop->idle.cores) ==
                      SKUI_CORES_KEPT_OFF)) {
        skui_cores_restore(&loop->idle.allowed);
        /* CP1 release: the next one may write `allowed`. */
        skui_store_release(&loop->idle.cores, (uint32_t)SKUI_CORES_FREE);
    }
}

void skui_park_open_cores(skua_loop *loop)
{
    /* CP1 release: as above. */
    skui_store_release(&loop->idle.cores, (uint32_t)SKUI_CORES_FREE);
}

void skui_park_close_cores(skua_loop *loop)
{
    uint32_t state;

    do {
        idle_restore_cores(loop);
        state = SKUI_CORES_FREE;
        /* CP1 acquire: a waker that has it is waited for. */
    } while (!skui_cas_acquire(&loop->idle.cores, &state,
                               (uint32_t)SKUI_CORES_HELD) &&
             sched_yield() == 0);
}

static void idle_park(skua_loop *loop, int64_t deadline_ns)
{
    uint32_t before;
    bool ticked = false;

    (void)searching_end(loop);
    /* PK1 (seq_cst): announced before the looks in park_sees_work(). */
    (void)skui_exchange_seq_cst(&loop->park_state, (uint32_t)SKUI_PARK_PARKED);
    idle_announce(loop, true);
    if (!park_sees_work(loop)) {
        ticked = park_sleep(loop, deadline_ns);
    }
    /* PK1 (seq_cst): who posts from here on need not wake this loop. */
    before =
        skui_exchange_seq_cst(&loop->park_state, (uint32_t)SKUI_PARK_AWAKE);
    idle_restore_cores(loop);
    if (before == SKUI_PARK_SEARCHING) {
        idle_note_wake(loop);
    }
    loop->idle.searching = before == SKUI_PARK_SEARCHING;
    loop->idle.ticked = ticked;
    loop->idle.sentinel_due = ticked;
    if (ticked) {
        (void)idle_look(loop);
    }
    idle_announce(loop, false);
}

/* The average of idle gaps; a long one counts as GAP_LIMIT spins. */
static void idle_note_gap(struct skui_idle *idle, int64_t gap_ns)
{
    gap_ns = gap_ns < 0 ? 0 : gap_ns;
    if (gap_ns > GAP_LIMIT * idle->spin_ns) {
        gap_ns = GAP_LIMIT * idle->spin_ns;
    }
    idle->gap_ns += (gap_ns - idle->gap_ns) / 4;
}

/* Spin, then sleep. A hit in the first rounds reads no clock at all: it is
 * what two loops that hand work to and fro wait for. */
static void idle_wait(skua_loop *loop, int64_t deadline_ns)
{
    struct skui_idle *idle = &loop->idle;
    int64_t limit_ns = spin_limit(idle);
    int64_t start_ns;
    bool found = false;

    if (limit_ns > 0) {
        skui_count(&loop->counters.spins, 1);
        if (spin_on_own(loop, idle->watched)) {
            skui_count(&loop->counters.spins_paid, 1);
            idle_note_gap(idle, 0);
            return;
        }
    }
    start_ns = skui_clock_now();
    if (limit_ns > 0) {
        found =
            idle_spin(loop, idle->watched, start_ns + limit_ns, deadline_ns);
    }
    /* Asleep it could not watch. */
    found = skui_loop_unwatch(loop) || found;
    if (!found && idle->looks != 0) {
        found = skui_sources_give_up(loop) > 0;
    }
    if (found) {
        skui_count(&loop->counters.spins_paid, 1);
    } else {
        /* A sleeper's gap holds its own wake, about what a spin may last: two
         * loops that hand work to and fro would never try spinning again. */
        idle_park(loop, deadline_ns);
        start_ns += idle->spin_ns;
    }
    idle_note_gap(idle, skui_clock_now() - start_ns);
    if (found) {
        skui_idle_found(loop);
    }
}

void skui_loop_idle(skua_loop *loop, int64_t deadline_ns)
{
    bool found = (look_is_due(loop) && idle_look(loop)) || find_work(loop);

    loop->idle.sentinel_due = false;
    if (found) {
        skui_idle_found(loop);
    } else if (deadline_ns != SKUA_FOREVER && deadline_ns <= skui_clock_now()) {
        (void)skui_loop_poll(loop, 0);
        (void)skui_sources_look(loop);
    } else {
        idle_wait(loop, deadline_ns);
    }
}

/* --- waking --- */

/*
 * It is woken to share this thread's work. The system would wake it where it
 * went to sleep; if that is here, it would wait for this thread, or take turns
 * with it, until the system notices, which takes milliseconds.
 */
static void wake_elsewhere(skua_loop *loop)
{
    uint32_t state = SKUI_CORES_FREE;
    int here = skui_cores_here();
    bool kept_off;

    /* relaxed: a hint. CP1 acquire: the mask is not in use. */
    if (skui_load_relaxed(&loop->idle.core) != here ||
        !skui_cas_acquire(&loop->idle.cores, &state,
                          (uint32_t)SKUI_CORES_HELD)) {
        return;
    }
    kept_off = skui_cores_keep_off(loop->thread_id, here, &loop->idle.allowed);
    /* CP1 release: pairs with idle_restore_cores(). */
    skui_store_release(
        &loop->idle.cores,
        (uint32_t)(kept_off ? SKUI_CORES_KEPT_OFF : SKUI_CORES_FREE));
}

/* If it is PARKED, make it `to` and wake it; so too if it is OUTSIDE and the
 * caller asks for that. */
static bool wake_parked(skua_loop *loop, enum skui_park_state to, bool outside)
{
    skua_loop *self = skui_loop_self();
    uint32_t state = SKUI_PARK_PARKED;
    bool woken;

    /* PK7 (seq_cst): announced before the look at park_state, so the poller
     * stays open until this is taken back. */
    (void)skui_fetch_add_seq_cst(&loop->wakers, 1u);
    /* PK1 (seq_cst): one write for each announced sleep. */
    woken = skui_cas_seq_cst(&loop->park_state, &state, (uint32_t)to) ||
            (outside && state == SKUI_PARK_OUTSIDE);
    if (woken) {
        if (to == SKUI_PARK_SEARCHING) {
            /* relaxed: an estimate */
            skui_store_relaxed(&loop->idle.woken_at_ticks, skui_clock_ticks());
            wake_elsewhere(loop);
        }
        loop->poller_ops->wake(loop->poller);
    }
    /* PK7 release: the poller may be closed. */
    (void)skui_fetch_sub_release(&loop->wakers, 1u);
    if (woken && self != NULL) {
        skui_count(&self->counters.wakes_sent, 1);
    }
    return woken;
}

bool skui_park_try_wake(skua_loop *loop)
{
    /* relaxed: a hint */
    return skui_load_relaxed(&loop->park_state) == SKUI_PARK_PARKED &&
           wake_parked(loop, SKUI_PARK_AWAKE, false);
}

void skui_loop_wake(skua_loop *loop)
{
    /* PK1 (seq_cst): who is awake will look. */
    if (skui_load_seq_cst(&loop->park_state) != SKUI_PARK_AWAKE) {
        (void)wake_parked(loop, SKUI_PARK_AWAKE, true);
    }
}

/* Wake one sleeping loop as a searcher; false when none sleeps. */
static bool notify_one(skua_runner *runner, skua_loop *self)
{
    unsigned start = self == NULL ? 0 : self->index + 1;

    for (unsigned i = 0; i < runner->count; i++) {
        skua_loop *loop = runner->loops[(start + i) % runner->count];

        /* relaxed: a hint */
        if (loop != self &&
            skui_load_relaxed(&loop->park_state) == SKUI_PARK_PARKED &&
            wake_parked(loop, SKUI_PARK_SEARCHING, false)) {
            return true;
        }
    }
    return false;
}

/* All ordinary loops are awake. If some are stuck a spare one runs what is
 * new; if that is not known yet the next tick tells. */
static void notify_spare(skua_runner *runner)
{
    /* relaxed: a hint */
    if (skui_load_relaxed(&runner->relief.is_relieving)) {
        skui_relief_call(runner);
    }
}

/* Whether another loop sleeps that may have announced it before the last push.
 * This one may be PARKED itself: what its sleep's poll delivers is pushed
 * before it takes the announcement back. */
static bool runner_has_parked(skua_runner *runner, const skua_loop *self)
{
    for (unsigned i = 0; i < runner->count; i++) {
        /* PK1 (seq_cst): looked at after PK5; a loop that parks later looks at
         * the queues after that. */
        if (runner->loops[i] != self &&
            skui_load_seq_cst(&runner->loops[i]->park_state) ==
                SKUI_PARK_PARKED) {
            return true;
        }
    }
    return false;
}

/* Whether what is queued lasts longer than a wake is worth. */
static bool wake_pays(const skua_loop *loop, size_t queued)
{
    skua_runner *runner = loop->runner;

    /* relaxed: an estimate */
    return runner->always_wakes ||
           (queued > 1 && queued * loop->idle.slice_ticks >
                              2 * skui_load_relaxed(&runner->wake_ticks));
}

/* Left to the owner, or else to the sentinel. */
static void notify_nobody(skua_runner *runner, skua_loop *self)
{
    /* relaxed: a hint */
    if (skui_load_relaxed(&runner->idle) > 0) {
        skui_count(&self->counters.wakes_saved, 1);
    }
    if (self->in_batch || !skui_ready_has_one(&self->ready)) {
        skui_sentinel_start(runner);
    }
}

void skui_runner_notify(skua_runner *runner, skua_loop *self, size_t queued)
{
    uint32_t nobody;

    if (self != NULL && (runner->count < 2 || !runner->stealing)) {
        return;
    }
    if (self != NULL && !wake_pays(self, queued)) {
        notify_nobody(runner, self);
        return;
    }
    do {
        nobody = 0;
        /* PK2, PK5 (seq_cst): looked at after the push. The searcher's place
         * is taken on behalf of the loop that is woken. */
        if (skui_load_seq_cst(&runner->idle) == 0) {
            notify_spare(runner);
            return;
        }
        /* PK5 (seq_cst): as above. */
        if (!skui_cas_seq_cst(&runner->searching, &nobody, 1u) ||
            notify_one(runner, self)) {
            return;
        }
        /* PK5 (seq_cst): nobody slept. Whoever pushed meanwhile relied on
         * this search, so look again as every searcher does. Loops that are
         * awake, if not yet on a core, look for themselves. */
        (void)skui_fetch_sub_seq_cst(&runner->searching, 1u);
    } while (runner_queued(runner) > 0 && runner_has_parked(runner, self));
}

/* Wake a loop as a searcher, if it sleeps and nobody searches. */
static bool wake_searcher(skua_runner *runner, skua_loop *loop)
{
    uint32_t nobody = 0;

    /* PK5 (seq_cst): as skui_runner_notify(). */
    if (!skui_cas_seq_cst(&runner->searching, &nobody, 1u)) {
        return false;
    }
    if (wake_parked(loop, SKUI_PARK_SEARCHING, false)) {
        return true;
    }
    /* PK5 (seq_cst): as above. */
    (void)skui_fetch_sub_seq_cst(&runner->searching, 1u);
    return false;
}

void skui_park_calibrate(skua_runner *runner)
{
    uint64_t end = skui_clock_ticks() + skui_clock_ticks_of(CALIBRATE_NS);

    while (runner->count > 1 && runner->stealing &&
           !wake_searcher(runner, runner->loops[1]) &&
           (int64_t)(skui_clock_ticks() - end) < 0) {
        skui_cpu_relax(); /* until it sleeps */
    }
}
