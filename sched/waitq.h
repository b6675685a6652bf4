/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waitq.h - who waits at a primitive, in order, and who may wake them.
 *
 * One core for locks, semaphores, events, conditions, barriers and queues. A
 * waiter is a node in the frame of the call that waits. Its life:
 *
 *   QUEUED  `queue` is set: it is in that list, and its task is PARKED or its
 *           thread sleeps. Nobody owns its wake.
 *   TAKEN   `queue` is NULL again: somebody took it out, under `lock`, and
 *           alone may wake it, once: the granter, the canceller, the deadline,
 *           or the closer of its loop.
 *   AWAKE   it runs, with what its taker said. The node is its own again.
 *
 * So the lock decides between grant, cancel and deadline: whoever takes the
 * node out has won, and there is nothing to undo. A list is changed under its
 * lock only, and a task is linked and parked under one hold of it, which spans
 * the switch to its loop: who sees the node sees a parked task.
 *
 * A grant is revocable until the waiter runs: a cancel request that finds the
 * node taken stays pending in the wait word. The waiter then wakes with the
 * grant and the request at once, and hands the grant on by `hand_on`. Who ends
 * a task that was granted something and will not run again, because its loop
 * closes, does the same for it. So no grant is ever in two hands, or in none.
 *
 * A waker touches neither primitive nor list after the first wake: the woken
 * may free them. It takes all nodes out under the lock, lets go of it, and then
 * wakes what it took; a node stays valid until its own wake.
 *
 *              begin  wait  take  wake
 *   begin        -     -     -     -     `lock` excludes what matters
 *   take         -     -     x     -     excluded by `lock`
 *   wake         -     -     -     -     each node by its taker only
 */
#ifndef SKUI_WAITQ_H
#define SKUI_WAITQ_H

#include "skua/types.h"
#include "spinlock.h"

SKUI_BEGIN_DECLS

struct skui_task;

/* All-zero: empty. Guarded by the lock of those who wait in it. */
struct skui_waitq {
    struct skui_waitq_node *last; /* a ring: the first one follows */
    uint32_t count;
};

enum { SKUI_WAITQ_GRANTED = 0 };

struct skui_waitq_node {
    struct skui_waitq_node *next; /* in the list, or in a chain */
    struct skui_waitq_node *prev;
    struct skui_waitq *queue;   /* guarded by *lock */
    struct skui_spinlock *lock; /* constant while it waits */
    struct skui_task *task;     /* constant; NULL: a thread ... */
    bool in_callback;           /* ... which cannot wait here */
    bool in_front;              /* constant: it goes before all others */
    bool roams;                 /* constant: a task that goes on where its waker
                                   is, unless it is pinned */
    int64_t deadline_ns;        /* constant */
    int value;                  /* with a grant: written by the granter */
    bool expired;               /* guarded by *lock */
    _Atomic(uint32_t) granted;  /* WQ3: to a thread */
    /* Unless NULL: called once, when the waiter is parked, or need not be, and
     * *lock is free; perhaps on another stack. */
    void (*parked)(void *arg);
    void *parked_arg;
    /* Unless NULL: hand on what the waiter was granted and does not take. It
     * calls this itself, or else will not run again. */
    void (*hand_on)(struct skui_waitq_node *node, bool goes_on);
};

/* Nodes that were taken, to be woken in this order. All-zero: none. */
struct skui_waitq_chain {
    struct skui_waitq_node *first;
    struct skui_waitq_node *last;
};

/* How long a caller has spun instead of waiting; all-zero: not yet. */
struct skui_waitq_spins {
    unsigned rounds;
};

/*
 * With *lock held: let go of it for a moment, so that another core can bring
 * what the caller is about to wait for. False, at once, when that is no use:
 * its loop has other work or no sibling, or it has spun long enough.
 */
bool skui_waitq_spin(struct skui_waitq_spins *spin, struct skui_spinlock *lock);

/*
 * Get ready to wait, with *lock held; then skui_waitq_leave() or
 * skui_waitq_wait(). The lock may have been let go of meanwhile: look again
 * whether to wait.
 */
void skui_waitq_begin(struct skui_waitq_node *node, struct skui_spinlock *lock,
                      int64_t deadline_ns);

/* Do not wait; lets go of the lock. */
void skui_waitq_leave(struct skui_waitq_node *node);

/*
 * Wait in `queue`; lets go of the lock. SKUI_WAITQ_GRANTED; or SKUA_ECANCELED,
 * -ETIMEDOUT, or -EDEADLK in a callback of a loop (`parked` is not called
 * then): then the caller has nothing.
 */
int skui_waitq_wait(struct skui_waitq *queue, struct skui_waitq_node *node);

/* A task that waited, perhaps with a grant, will not run again. */
void skui_waitq_abandon(struct skui_waitq_node *node, bool granted);

/* Under the lock: take the first one and append it to `chain`; NULL: none. */
struct skui_waitq_node *skui_waitq_take_first(struct skui_waitq *queue,
                                              struct skui_waitq_chain *chain);

/* Under the lock: take all. */
void skui_waitq_take_all(struct skui_waitq *queue,
                         struct skui_waitq_chain *chain, int value);

/* Wake those in `chain`, without the lock. */
void skui_waitq_grant(const struct skui_waitq_chain *chain);

/* Take a node out of its list: true when it is the caller's to wake. Its task
 * cannot go on meanwhile. */
bool skui_waitq_take(struct skui_waitq_node *node);

/* As above, by whoever holds the lock; it is in a list. */
void skui_waitq_unlink(struct skui_waitq_node *node);

/* The deadline of a task is over; called under the lock of its timer. */
void skui_waitq_expire(struct skui_waitq_node *node);

SKUI_END_DECLS

#endif
