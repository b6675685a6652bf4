/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.c - what loops that are awake look at by themselves.
 * Threads     Loops look; each source's keeper does; any thread expects and
 *             settles jobs. Publishers are in other processes, as a rule.
 * Invariants  One thread at a time is inside a source. A source that no loop
 *             looks at is armed, or somebody inside is about to arm it.
 *             A keeper that rests has an armed source.
 * Ordering    SR1 gate, SR2 lookers, SR3 rest, SR4 busy.
 * Progress    look: try-lock, so it never waits. give up: never waits. expect:
 *             wait-free, but for a system call when the keeper rests.
 *             unregister waits for who is inside.
 * Rejected    A lock for the keeper to wait for: who is inside may run a user's
 *             callback. Counting jobs in the word that loops look at: a line
 *             that all submitters write. A list of sources: who walks it would
 *             have to be waited for; slots are static, and their gate tells.
 *             Loops that leave a source when it has nothing outstanding: with
 *             one job at a time each would take four read-modify-writes more.
 *
 * Who notices what was published
 *   publisher     publish / look whether armed: then disarm, wake the keeper
 *   who arms      arm / look at what was published
 * Both steps of both are seq_cst, in ops: so no reply is left while all sleep.
 * A source is disarmed by loops only, from inside, and only by one that counts
 * in `lookers`; it is armed from inside, by who finds no lookers:
 *
 *   SR2  loop that looks:   lookers + 1; enter; disarm; look; leave
 *        loop that ends it: lookers - 1; if it was the last: for each source
 *                           enter; lookers = 0? arm; look; leave
 *
 * The last one to give up comes after all that have disarmed anything: so its
 * turn inside comes after theirs, and leaves the source armed. Another may have
 * begun to look by then; it disarms in its own time, and gives up after that.
 *
 * Who cannot enter asks (SR1). The gate is one word: FREE, HELD, or HELD and
 * ASKED. Who gives up, and the keeper, make HELD ASKED and go; who is inside
 * cannot make ASKED FREE, so it does the turn once more on their behalf: if
 * there are no lookers it arms, and looks. Loops that look need not ask: they
 * look again, or give up, which asks.
 *
 * The keeper looks once a tick while jobs are outstanding and loops look. If
 * none has looked since its last tick, they are all stuck in long tasks: it
 * arms the source, so that publishers wake it at once, until one looks again.
 * When nothing moves for some ticks, and the source is armed or has nothing
 * outstanding, it rests: sleeps without a limit (SR3). Rest is ended by
 *   expect   outstanding + n; look at `resting`
 *   keeper   arm; busy bit off if none is outstanding; resting = 1; look at
 *            `outstanding`
 * in seq_cst order, so one sees the other; and by who disarms the source, which
 * the gate orders. So a source with nothing to do costs nobody anything: the
 * word that loops look at is 0 (SR4), and its keeper sleeps.
 *
 * A source with `take` is only looked at inside: who sees something there takes
 * it after it has left. So completing jobs, which calls the program's
 * functions, keeps nobody else from what other publishers have; it is the look
 * that says whether all may sleep.
 *
 * A bit of `busy` may be seen late, or too long. Seen too long: the gate tells
 * what is in the slot. Seen late: the source is armed, or its keeper ticks.
 */
#include "source.h"

#include "loop.h"
#include "spinlock.h"
#include "tls.h"

enum gate_state {
    GATE_FREE,
    GATE_HELD,  /* by one thread, which may use what the gate guards */
    GATE_ASKED, /* as HELD: to be looked at once more before it is FREE */
};

SKUI_CACHE_ALIGNED _Atomic(uint64_t) skui_sources_busy;

/* SR2: loops that look at what is busy. */
static SKUI_CACHE_ALIGNED _Atomic(uint32_t) lookers;
/* Relaxed: a slot is armed when its bit is set, so who misses it misses
 * nothing. Written under table_lock. */
static _Atomic(uint64_t) registered;
static struct skui_spinlock table_lock;
static struct skui_source_slot slots[SKUI_SOURCES_SEEN];

_Static_assert(SKUI_SOURCES_SEEN == 64, "a bit for each");

static uint64_t source_bit(const struct skui_source *source)
{
    return source->number < 0 ? 0 : (uint64_t)1 << source->number;
}

/* --- the gate --- */

static bool gate_try(struct skui_source_slot *slot)
{
    uint32_t state = GATE_FREE;

    /* relaxed: a hint. SR1 acquire: what the last one inside did is visible. */
    return skui_load_relaxed(&slot->gate) == GATE_FREE &&
           skui_cas_acquire(&slot->gate, &state, (uint32_t)GATE_HELD);
}

/* False: who is inside does a turn more. */
static bool gate_try_or_ask(struct skui_source_slot *slot)
{
    uint32_t state = GATE_FREE;
    uint32_t next = GATE_HELD;

    /* SR1 acq_rel: who does the turn sees what the asker knows. */
    while (!skui_cas_acq_rel(&slot->gate, &state, next)) {
        next = state == GATE_FREE ? GATE_HELD : GATE_ASKED;
    }
    return next == GATE_HELD;
}

static void gate_wait(struct skui_source_slot *slot)
{
    unsigned spins = 0;

    while (!gate_try(slot)) {
        skui_spin_pause(&spins);
    }
}

/* --- inside --- */

/* Whether keepers must be woken: no loop looks. */
static bool source_is_alone(const struct skui_source *source)
{
    /* SR2 acquire: who gave up last, and asked, is seen here by the gate. */
    return source->number < 0 || skui_load_acquire(&lookers) == 0;
}

static size_t source_poll(struct skui_source *source)
{
    size_t taken = source->ops->poll(source);

    source->taken += (uint32_t)taken;
    return taken;
}

/* Arm it, and take, or see, what was published before that. */
static size_t source_arm(struct skui_source *source)
{
    size_t taken = 0;
    size_t more;

    source->armed = true;
    do {
        source->ops->arm(source);
        more = source_poll(source);
        taken += more;
    } while (more > 0 && source->ops->take == NULL);
    return taken;
}

/* A look of somebody who does not promise another one. */
static size_t source_turn(struct skui_source *source)
{
    size_t taken = source_poll(source);

    if (source->armed || source_is_alone(source)) {
        taken += source_arm(source);
    }
    return taken;
}

/* After `taken` was taken or seen inside. Returns how much was taken in all,
 * with what was on behalf of who asked meanwhile. */
static size_t gate_leave(struct skui_source_slot *slot, size_t taken)
{
    struct skui_source *source = slot->source;
    size_t (*take)(struct skui_source * source) =
        source == NULL ? NULL : source->ops->take;
    uint32_t state = GATE_HELD;

    /* SR1 release: what was done inside is visible to the next one. */
    while (!skui_cas_release(&slot->gate, &state, (uint32_t)GATE_FREE)) {
        /* SR1 acquire: and what the asker did, here. */
        (void)skui_exchange_acquire(&slot->gate, (uint32_t)GATE_HELD);
        if (source != NULL) {
            taken += source_turn(source);
        }
        state = GATE_HELD;
    }
    return taken > 0 && take != NULL ? take(source) : taken;
}

/* --- rest --- */

static void source_set_busy(struct skui_source *source)
{
    /* SR4: on before `resting` is off, and before jobs are published. */
    (void)skui_fetch_or_acq_rel(&skui_sources_busy, source_bit(source));
}

/* End the keeper's rest; true for who did. */
static bool source_end_rest(struct skui_source *source)
{
    uint32_t resting = 1;

    /* relaxed: who has to see it looked before, SR3 */
    if (skui_load_relaxed(&source->resting) == 0) {
        return false;
    }
    source_set_busy(source);
    /* SR3 (seq_cst): one of those that meet wakes the keeper. */
    return skui_cas_seq_cst(&source->resting, &resting, 0u);
}

/* Inside, by the keeper; false when there is something to do after all. Adds
 * what it took or saw. */
static bool source_rest(struct skui_source *source, size_t *inout_taken)
{
    uint32_t outstanding;

    *inout_taken += source_arm(source);
    /* SR3 (seq_cst): as below. */
    outstanding = skui_load_seq_cst(&source->outstanding);
    if (outstanding == 0) {
        /* SR4: off before `resting` is on: who sees that turns it on again. */
        (void)skui_fetch_and_acq_rel(&skui_sources_busy, ~source_bit(source));
    }
    /* SR3 (seq_cst): said before the look that follows. */
    skui_store_seq_cst(&source->resting, 1u);
    /* SR3 (seq_cst): what is expected later finds it said. */
    if (outstanding == skui_load_seq_cst(&source->outstanding)) {
        return true;
    }
    (void)source_end_rest(source);
    return false;
}

/* Whether the keeper may stop ticking: nothing moved for a while, and what
 * comes will wake it. */
static bool source_is_quiet(struct skui_source *source)
{
    bool calm = source->armed || skui_source_outstanding(source) == 0;

    source->quiet =
        calm && source->taken == source->taken_seen ? source->quiet + 1 : 0;
    source->taken_seen = source->taken;
    return source->quiet >= SKUI_SOURCE_QUIET_TICKS;
}

int64_t skui_source_keep(struct skui_source *source)
{
    size_t taken;
    bool rests;

    (void)source_end_rest(source);
    if (!gate_try_or_ask(source->slot)) {
        return SKUI_SOURCE_TICK_NS; /* who is inside looks, and then it ticks */
    }
    taken = source_turn(source);
    if (source->looks == source->looks_seen && !source->armed) {
        taken += source_arm(source); /* loops that look are stuck */
    }
    source->looks_seen = source->looks;
    rests = source_is_quiet(source) && source_rest(source, &taken);
    (void)gate_leave(source->slot, taken);
    return rests ? SKUA_FOREVER : SKUI_SOURCE_TICK_NS;
}

/* --- jobs --- */

void skui_source_expect(struct skui_source *source, uint32_t jobs)
{
    /* SR3 (seq_cst): counted before the look at `resting`. */
    (void)skui_fetch_add_seq_cst(&source->outstanding, jobs);
    /* SR3 (seq_cst): pairs with source_rest(). */
    if (SKUI_UNLIKELY(skui_load_seq_cst(&source->resting) != 0) &&
        source_end_rest(source)) {
        source->ops->wake_keeper(source);
    }
}

void skui_source_settle(struct skui_source *source, uint32_t jobs)
{
    /* relaxed: a keeper that misses it ticks once more */
    (void)skui_fetch_sub_relaxed(&source->outstanding, jobs);
}

uint32_t skui_source_outstanding(const struct skui_source *source)
{
    /* relaxed: of some moment */
    return skui_load_relaxed(&((struct skui_source *)source)->outstanding);
}

/* --- for loops --- */

/* Inside, by a loop that counts as one that looks. */
static size_t source_look(struct skui_source *source)
{
    source->looks++;
    if (source->armed) {
        source->armed = false;
        source->ops->disarm(source);
        if (source_end_rest(source)) {
            source->ops->wake_keeper(source);
        }
    }
    return source_poll(source);
}

static size_t slot_look(struct skui_source_slot *slot)
{
    size_t taken = 0;

    if (!gate_try(slot)) {
        return 0; /* another one looks */
    }
    if (slot->source != NULL) {
        taken = source_look(slot->source);
    }
    return gate_leave(slot, taken);
}

size_t skui_sources_poll(skua_loop *loop)
{
    /* relaxed: as skui_sources_look() */
    uint64_t busy = skui_load_relaxed(&skui_sources_busy);
    size_t taken = 0;

    if (loop->idle.looks == 0) {
        loop->idle.looks = skui_fork_generation() + 1;
        /* SR2 acq_rel: counted before it disarms anything. */
        (void)skui_fetch_add_acq_rel(&lookers, 1u);
    }
    while (busy != 0) {
        taken += slot_look(&slots[__builtin_ctzll(busy)]);
        busy &= busy - 1;
    }
    return taken;
}

size_t skui_sources_give_up(skua_loop *loop)
{
    bool is_own = loop->idle.looks == skui_fork_generation() + 1;
    uint64_t bits;
    size_t taken = 0;

    loop->idle.looks = 0;
    /* SR2 acq_rel: the last one comes after what all others did inside. */
    if (!is_own || skui_fetch_sub_acq_rel(&lookers, 1u) != 1) {
        return 0;
    }
    /* relaxed: what any of them disarmed was registered */
    bits = skui_load_relaxed(&registered);
    while (bits != 0) {
        struct skui_source_slot *slot = &slots[__builtin_ctzll(bits)];

        if (gate_try_or_ask(slot)) {
            size_t found = slot->source == NULL ? 0 : source_turn(slot->source);

            taken += gate_leave(slot, found);
        }
        bits &= bits - 1;
    }
    return taken;
}

/* --- registering --- */

/* The number of a slot that was free, or -1. */
static int table_take(void)
{
    uint64_t bits;
    int number = -1;

    skui_spinlock_lock(&table_lock);
    bits = skui_load_relaxed(&registered); /* relaxed: under the lock */
    if (bits != UINT64_MAX) {
        number = __builtin_ctzll(~bits);
        /* relaxed: as above */
        skui_store_relaxed(&registered, bits | (uint64_t)1 << number);
    }
    skui_spinlock_unlock(&table_lock);
    return number;
}

static void table_give_back(uint64_t bit)
{
    skui_spinlock_lock(&table_lock);
    /* relaxed: under the lock */
    skui_store_relaxed(&registered, skui_load_relaxed(&registered) & ~bit);
    skui_spinlock_unlock(&table_lock);
}

void skui_source_register(struct skui_source *source,
                          const struct skui_source_ops *ops)
{
    source->ops = ops;
    source->number = table_take();
    source->slot = source->number < 0 ? &source->own : &slots[source->number];
    source->looks = 0;
    source->looks_seen = 0;
    source->taken = 0;
    source->taken_seen = 0;
    source->quiet = 0;
    source->own.source = NULL;
    /* relaxed, all: not shared yet */
    skui_store_relaxed(&source->own.gate, (uint32_t)GATE_FREE);
    skui_store_relaxed(&source->outstanding, 0u);
    skui_store_relaxed(&source->resting, 1u);
    gate_wait(source->slot);
    source->slot->source = source;
    (void)gate_leave(source->slot, source_arm(source));
}

void skui_source_unregister(struct skui_source *source)
{
    struct skui_source_slot *slot = source->slot;

    gate_wait(slot);
    slot->source = NULL;
    /* SR4: those that saw it before find the slot empty; inside, or who looks
     * could end the keeper's rest and set it again. */
    (void)skui_fetch_and_acq_rel(&skui_sources_busy, ~source_bit(source));
    (void)gate_leave(slot, 0);
    table_give_back(source_bit(source));
}

void skui_sources_after_fork(void)
{
    skui_spinlock_unlock(&table_lock);
    /* relaxed, all: one thread */
    skui_store_relaxed(&skui_sources_busy, 0u);
    skui_store_relaxed(&registered, 0u);
    skui_store_relaxed(&lookers, 0u);
    for (int i = 0; i < SKUI_SOURCES_SEEN; i++) {
        skui_store_relaxed(&slots[i].gate, (uint32_t)GATE_FREE);
        slots[i].source = NULL;
    }
}
