/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inbox.c - intrusive multi-producer single-consumer queue (after Vyukov).
 * Threads     Any thread pushes; who consumes is decided by the caller.
 * Invariants  From `oldest` a chain of `next` leads to `newest`, but for links
 *             that a producer between its exchange and its store still owes.
 * Ordering    IN1 link; PK1 the exchange is seq_cst, before a look at the
 *             consumer's park state.
 * Progress    push: wait-free, one exchange; it cannot fail.
 * Rejected    A bounded ring: producers spin on it while the consumer is
 *             preempted (3.8 us an item measured).
 */
#include "inbox.h"

void skui_inbox_init(struct skui_inbox *inbox)
{
    skui_store_relaxed(&inbox->stub.next, NULL); /* relaxed: not shared yet */
    inbox->stub.kind = SKUI_RUNNABLE_STUB;
    inbox->oldest = &inbox->stub;
    skui_store_relaxed(&inbox->newest, &inbox->stub); /* relaxed: same */
}

void skui_inbox_push(struct skui_inbox *inbox, struct skui_runnable *runnable)
{
    struct skui_runnable *before;

    skui_store_relaxed(&runnable->next, NULL); /* relaxed: not shared yet */
    /* PK1 (seq_cst): ordered before the producer's look at the park state. */
    before = skui_exchange_seq_cst(&inbox->newest, runnable);
    /* IN1 release: the runnable and all before it are visible to pop. */
    skui_store_release(&before->next, runnable);
}

struct skui_runnable *skui_inbox_pop(struct skui_inbox *inbox)
{
    struct skui_runnable *oldest = inbox->oldest;
    /* IN1 acquire: pairs with skui_inbox_push(). */
    struct skui_runnable *next = skui_load_acquire(&oldest->next);

    if (oldest == &inbox->stub) {
        if (next == NULL) {
            return NULL;
        }
        inbox->oldest = next;
        oldest = next;
        /* IN1 acquire: as above. */
        next = skui_load_acquire(&oldest->next);
    }
    if (next == NULL) {
        /* relaxed: equal means that no push has begun behind it */
        if (skui_load_relaxed(&inbox->newest) != oldest) {
            return NULL;
        }
        skui_inbox_push(inbox, &inbox->stub);
        /* IN1 acquire: as above. */
        next = skui_load_acquire(&oldest->next);
        if (next == NULL) {
            return NULL;
        }
    }
    inbox->oldest = next;
    return oldest;
}
