/* SPDX-License-Identifier: Apache-2.0 */
/*
 * descriptor.c - readiness of one descriptor and the tasks that wait for it.
 *
 * One word holds generation, tick and flags, so that one compare-and-swap
 * decides them together. An edge-triggered event comes once and any thread may
 * deliver it, so a flag must never be lost:
 *
 *   deliver                            wait (skui_publish_fn)
 *   1. word: set flags, tick + 1       1. waiters[direction]: 0 -> claim
 *   2. seq_cst                         2. seq_cst
 *   3. look at waiters, take a claim,  3. look at the word; ready: take the
 *      wake it                            claim back, wake oneself
 *
 * Each side publishes before it looks, so at least one sees the other (RD1).
 * Whoever takes the claim out of the slot owns it and wakes it; all others
 * leave it alone. A wake is a hint: the task looks again, so delivering late
 * to a reused record costs one turn and nothing else.
 *
 * A system call that drained the descriptor clears the flag only if the tick
 * did not move since before the call: an event delivered in between may stand
 * for data that came after it.
 *
 * Waiter slot  0       nobody waits; the next task may publish
 *              claim   the task is suspended; whoever takes it out wakes it
 *
 * Threads     deliver, clear, readiness: any.  wait: a task.  retire: the
 *             closer, once.  new, free: the owner.
 * Invariants  Memory is type-stable; generations only grow, so an event of a
 *             closed descriptor never marks the next one in that record.
 * Ordering    RD1 (above).
 * Progress    deliver, clear: lock-free.
 * Rejected    EPOLLONESHOT: a system call per wait. Clearing blindly after
 *             EAGAIN: loses an event that another thread delivers meanwhile.
 */
#include "descriptor.h"

#include <errno.h>
#include <pthread.h>

#include "../sched/memory.h"
#include "../sched/wait.h"

enum { FLAG_BITS = 8, GENERATION_SHIFT = 32 };

/* An event's key: record address / 64 below, generation's low bits above. */
enum { KEY_RECORD_BITS = 42, KEY_GENERATION_BITS = 21 };

#define FLAGS_MASK UINT64_C(0xff)
#define GENERATION_STEP (UINT64_C(1) << GENERATION_SHIFT)
#define TICK_STEP (UINT64_C(1) << FLAG_BITS)
#define TICK_MASK (GENERATION_STEP - TICK_STEP)
#define KEY_GENERATION_MASK ((UINT64_C(1) << KEY_GENERATION_BITS) - 1)

_Static_assert(sizeof(struct skui_descriptor) <= SKUI_OBJECT_ALIGNMENT,
               "a record is one cache line");

static pthread_once_t class_once = PTHREAD_ONCE_INIT;

static void class_init(void)
{
    skui_object_class_init(SKUI_OBJECT_DESCRIPTOR,
                           sizeof(struct skui_descriptor));
}

void skui_descriptor_class_init(void)
{
    (void)pthread_once(&class_once, class_init);
}

struct skui_descriptor *skui_descriptor_new(void)
{
    struct skui_descriptor *descriptor =
        skui_object_get(SKUI_OBJECT_DESCRIPTOR);

    if (descriptor == NULL) {
        return NULL;
    }
    if ((uint64_t)(uintptr_t)descriptor / SKUI_OBJECT_ALIGNMENT >>
            KEY_RECORD_BITS !=
        0) {
        skui_object_put(SKUI_OBJECT_DESCRIPTOR, descriptor);
        return NULL; /* an address that no key can hold */
    }
    descriptor->poller = NULL;
    descriptor->next = NULL;
    descriptor->previous = NULL;
    descriptor->fd = -1;
    descriptor->listed = false;
    return descriptor;
}

void skui_descriptor_prepare(struct skui_descriptor *descriptor, int fd,
                             unsigned flags)
{
    uint64_t word = skui_load_relaxed(&descriptor->readiness); /* the owner */

    descriptor->fd = fd;
    /* relaxed: stale deliverers see another generation and leave it alone */
    skui_store_relaxed(&descriptor->readiness,
                       (word & ~FLAGS_MASK) | (flags & FLAGS_MASK));
}

void skui_descriptor_free(struct skui_descriptor *descriptor)
{
    if (descriptor != NULL) {
        skui_object_put(SKUI_OBJECT_DESCRIPTOR, descriptor);
    }
}

uint32_t skui_readiness_generation(uint64_t word)
{
    return (uint32_t)(word >> GENERATION_SHIFT);
}

uint32_t skui_descriptor_generation(const struct skui_descriptor *descriptor)
{
    /* relaxed: asked by the owner, who alone changes it */
    return skui_readiness_generation(skui_load_relaxed(&descriptor->readiness));
}

uint64_t skui_descriptor_key(const struct skui_descriptor *descriptor)
{
    uint64_t record = (uint64_t)(uintptr_t)descriptor / SKUI_OBJECT_ALIGNMENT;
    uint64_t generation =
        skui_descriptor_generation(descriptor) & KEY_GENERATION_MASK;

    return generation << KEY_RECORD_BITS | record;
}

/* Take whoever waits in `direction` and wake it. */
static int descriptor_wake(struct skui_descriptor *descriptor,
                           enum skui_direction direction)
{
    skui_claim claim;

    /* RD1 seq_cst: after the word was changed; pairs with wait_publish(). */
    if (skui_load_seq_cst(&descriptor->waiters[direction]) == 0) {
        return 0;
    }
    /* RD1 seq_cst: the claim belongs to who takes it out. */
    claim = skui_exchange_seq_cst(&descriptor->waiters[direction], 0);
    return claim != 0 && skui_wake(claim, 0) ? 1 : 0;
}

/* Deliver if `generation` agrees with the word's in the bits of `mask`. */
static int descriptor_deliver(struct skui_descriptor *descriptor,
                              uint32_t generation, uint32_t mask,
                              unsigned flags)
{
    uint64_t word = skui_load_relaxed(&descriptor->readiness); /* CAS checks */
    uint64_t next;
    int woken = 0;

    do {
        if (((skui_readiness_generation(word) ^ generation) & mask) != 0) {
            return 0;
        }
        next = (word & ~TICK_MASK) | ((word + TICK_STEP) & TICK_MASK) | flags;
        /* RD1 seq_cst: flags first, then the look at who waits. */
    } while (!skui_cas_seq_cst(&descriptor->readiness, &word, next));
    if ((flags & SKUI_READ_MASK) != 0) {
        woken += descriptor_wake(descriptor, SKUI_READ);
    }
    if ((flags & SKUI_WRITE_MASK) != 0) {
        woken += descriptor_wake(descriptor, SKUI_WRITE);
    }
    return woken;
}

int skui_descriptor_deliver(struct skui_descriptor *descriptor,
                            uint32_t generation, unsigned flags)
{
    return descriptor_deliver(descriptor, generation, UINT32_MAX, flags);
}

int skui_descriptor_deliver_key(uint64_t key, unsigned flags)
{
    uint64_t record = key & ((UINT64_C(1) << KEY_RECORD_BITS) - 1);
    uintptr_t address = (uintptr_t)(record * SKUI_OBJECT_ALIGNMENT);

    /* Keys come from skui_descriptor_key(), records are never unmapped. */
    return descriptor_deliver(
        (struct skui_descriptor *)
            address, /* NOLINT(performance-no-int-to-ptr) */
        (uint32_t)(key >> KEY_RECORD_BITS), (uint32_t)KEY_GENERATION_MASK,
        flags);
}

uint64_t skui_descriptor_readiness(const struct skui_descriptor *descriptor)
{
    /* relaxed: a hint; what the kernel says counts */
    return skui_load_relaxed(&descriptor->readiness);
}

void skui_descriptor_clear(struct skui_descriptor *descriptor, unsigned flags,
                           uint64_t seen)
{
    uint64_t word = seen;

    /* relaxed: one word; the tick in it says whether an event came between */
    while (!skui_cas_relaxed(&descriptor->readiness, &word,
                             word & ~(uint64_t)flags)) {
        if ((word ^ seen) >> FLAG_BITS != 0) {
            return;
        }
    }
}

void skui_descriptor_retire(struct skui_descriptor *descriptor)
{
    uint64_t word = skui_load_relaxed(&descriptor->readiness); /* CAS checks */

    /* RD1 seq_cst: the generation first, then the look at who waits. */
    while (!skui_cas_seq_cst(&descriptor->readiness, &word,
                             (word & ~FLAGS_MASK) + GENERATION_STEP)) {
    }
    (void)descriptor_wake(descriptor, SKUI_READ);
    (void)descriptor_wake(descriptor, SKUI_WRITE);
}

struct wait_request {
    struct skui_descriptor *descriptor;
    uint32_t generation;
    enum skui_direction direction;
    skui_claim claim; /* written before it is published */
};

/* On the loop's stack. Once the claim is in the slot `arg` is not ours. */
static void wait_publish(skui_claim claim, void *arg)
{
    struct wait_request *request = arg;
    struct skui_descriptor *descriptor = request->descriptor;
    _Atomic(uint64_t) *slot = &descriptor->waiters[request->direction];
    uint32_t generation = request->generation;
    unsigned mask =
        request->direction == SKUI_READ ? SKUI_READ_MASK : SKUI_WRITE_MASK;
    skui_claim expected = 0;
    uint64_t word;

    request->claim = claim;
    /* RD1 seq_cst: the claim first, then the look at the word. */
    if (!skui_cas_seq_cst(slot, &expected, claim)) {
        (void)skui_wake(claim, -EBUSY);
        return;
    }
    /* RD1 seq_cst: pairs with descriptor_deliver() and retire. */
    word = skui_load_seq_cst(&descriptor->readiness);
    if ((word & mask) == 0 && skui_readiness_generation(word) == generation) {
        return;
    }
    expected = claim;
    /* RD1 seq_cst: the claim belongs to who takes it out. */
    if (skui_cas_seq_cst(slot, &expected, 0)) {
        (void)skui_wake(claim, 0);
    }
}

int skui_descriptor_wait(struct skui_descriptor *descriptor,
                         uint32_t generation, enum skui_direction direction,
                         int64_t deadline_ns)
{
    struct wait_request request = {descriptor, generation, direction, 0};
    int status = skui_task_wait(wait_publish, &request, deadline_ns);
    skui_claim expected = request.claim;

    if (status < 0 && expected != 0) {
        /* RD1 seq_cst: withdrawn, unless a deliverer took it: it loses. */
        (void)skui_cas_seq_cst(&descriptor->waiters[direction], &expected, 0);
    }
    return status;
}
