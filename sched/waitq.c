/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waitq.c - who waits at a primitive, in order, and who may wake them.
 * Threads     Any; a list under the lock that its waiters name.
 * Invariants  A node is in one list or none. Who takes it out wakes it, once.
 *             A task's node is linked and its task parked under one hold of
 *             the lock.
 * Ordering    SL1 the list and the nodes in it; WW1 what the waker did; WQ3
 *             the same for a thread.
 * Progress    As the lock: a few dozen instructions, or as many as waiters are
 *             taken at once.
 * Rejected    Claims, as sockets use them: two compare-and-swaps more for each
 *             wait, and grant, cancel and deadline would race in the wait word
 *             while the list says something else. A lock-free list: leaving
 *             early then needs nodes that outlive their wait, so memory, which
 *             may be short.
 */
#include "waitq.h"

#include <errno.h>

#include "clock.h"
#include "cores.h"
#include "futex.h"
#include "loop.h"
#include "task.h"

/* --- the list, under its lock --- */

static void waitq_link(struct skui_waitq *queue, struct skui_waitq_node *node)
{
    struct skui_waitq_node *last = queue->last;

    if (last == NULL) {
        node->next = node;
        node->prev = node;
    } else {
        node->next = last->next;
        node->prev = last;
        last->next->prev = node;
        last->next = node;
    }
    if (last == NULL || !node->in_front) {
        queue->last = node;
    }
    queue->count++;
    node->queue = queue;
}

void skui_waitq_unlink(struct skui_waitq_node *node)
{
    struct skui_waitq *queue = node->queue;

    if (node->next == node) {
        queue->last = NULL;
    } else {
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is a ring */
        node->next->prev = node->prev;
        node->prev->next = node->next;
        if (queue->last == node) {
            queue->last = node->prev;
        }
    }
    queue->count--;
    node->queue = NULL;
}

bool skui_waitq_take(struct skui_waitq_node *node)
{
    struct skui_spinlock *lock = node->lock;
    bool taken;

    skui_spinlock_lock(lock);
    taken = node->queue != NULL;
    if (taken) {
        skui_waitq_unlink(node);
    }
    skui_spinlock_unlock(lock);
    return taken;
}

struct skui_waitq_node *skui_waitq_take_first(struct skui_waitq *queue,
                                              struct skui_waitq_chain *chain)
{
    struct skui_waitq_node *node = queue->last;

    if (node == NULL) {
        return NULL;
    }
    node = node->next;
    skui_waitq_unlink(node);
    node->next = NULL;
    node->value = 0;
    if (chain->first == NULL) {
        chain->first = node;
    } else {
        chain->last->next = node;
    }
    chain->last = node;
    return node;
}

void skui_waitq_take_all(struct skui_waitq *queue,
                         struct skui_waitq_chain *chain, int value)
{
    struct skui_waitq_node *node;

    while ((node = skui_waitq_take_first(queue, chain)) != NULL) {
        node->value = value;
    }
}

/* --- waking --- */

void skui_waitq_grant(const struct skui_waitq_chain *chain)
{
    struct skui_waitq_node *node = chain->first;

    while (node != NULL) {
        struct skui_waitq_node *next = node->next;

        if (node->task != NULL) {
            skui_task_wake_owned(node->task, SKUI_WAITQ_GRANTED);
        } else {
            /* WQ3 release: what the granter did is visible. The node is gone
             * from here on. */
            skui_store_release(&node->granted, 1u);
            skui_futex_wake(&node->granted, 1);
        }
        node = next;
    }
}

void skui_waitq_expire(struct skui_waitq_node *node)
{
    bool taken;

    skui_spinlock_lock(node->lock);
    node->expired = true; /* if it is not in its list yet */
    taken = node->queue != NULL;
    if (taken) {
        skui_waitq_unlink(node);
    }
    skui_spinlock_unlock(node->lock);
    if (taken) {
        skui_task_wake_owned(node->task, -ETIMEDOUT);
    }
}

/* --- spinning --- */

/* Twice as many pauses in each round: about half a microsecond in all, less
 * than a wake takes even if the other loop is awake. */
enum { SPIN_ROUNDS = 5 };

/* Whether another core may come before this one has anything else to do. */
static bool spin_is_free(void)
{
    skua_loop *loop = skui_loop_self();

    if (loop == NULL) {
        return skui_cores_if_known() > 1;
    }
    return loop->current != NULL && skui_loop_has_siblings(loop) &&
           skui_ready_is_empty(&loop->ready) &&
           skui_inbox_is_empty(&loop->inbox);
}

bool skui_waitq_spin(struct skui_waitq_spins *spin, struct skui_spinlock *lock)
{
    if (spin->rounds == SPIN_ROUNDS || (spin->rounds == 0 && !spin_is_free())) {
        return false;
    }
    skui_spinlock_unlock(lock);
    for (unsigned i = 0; i < 1u << spin->rounds; i++) {
        skui_cpu_relax();
    }
    spin->rounds++;
    skui_spinlock_lock(lock);
    return true;
}

/* --- waiting --- */

/* Let the wait end at a time: not under the lock, which the timer takes under
 * that of its wheel. */
static void waitq_start_deadline(struct skui_waitq_node *node, skua_loop *loop)
{
    if (node->deadline_ns <= skui_clock_now()) {
        node->expired = true;
        node->deadline_ns = SKUA_FOREVER; /* no timer */
    } else if (node->task != NULL) {
        skui_spinlock_unlock(node->lock);
        skui_task_start_deadline(loop, node->task, node, node->deadline_ns);
        skui_spinlock_lock(node->lock);
    }
}

void skui_waitq_begin(struct skui_waitq_node *node, struct skui_spinlock *lock,
                      int64_t deadline_ns)
{
    skua_loop *loop = skui_loop_self();

    node->queue = NULL;
    node->lock = lock;
    node->task = loop == NULL ? NULL : loop->current;
    node->in_callback = loop != NULL && node->task == NULL;
    node->in_front = false;
    node->roams = false;
    node->deadline_ns = deadline_ns;
    node->value = 0;
    node->expired = false;
    node->parked = NULL;
    node->hand_on = NULL;
    if (deadline_ns != SKUA_FOREVER) {
        waitq_start_deadline(node, loop);
    }
}

static void waitq_end(struct skui_waitq_node *node)
{
    if (node->task == NULL) {
        return;
    }
    if (node->deadline_ns != SKUA_FOREVER) {
        skui_task_stop_deadline(node->task);
    }
    node->task->wait_node = NULL;
}

void skui_waitq_leave(struct skui_waitq_node *node)
{
    skui_spinlock_unlock(node->lock);
    waitq_end(node);
}

static void waitq_tell_parked(const struct skui_waitq_node *node)
{
    if (node->parked != NULL) {
        node->parked(node->parked_arg);
    }
}

static int waitq_wait_thread(struct skui_waitq_node *node)
{
    int64_t deadline_ns = node->deadline_ns;

    skui_spinlock_unlock(node->lock);
    waitq_tell_parked(node);
    /* WQ3 acquire: pairs with skui_waitq_grant(). */
    while (skui_load_acquire(&node->granted) == 0) {
        if (!skui_futex_wait(&node->granted, 0, deadline_ns)) {
            if (skui_waitq_take(node)) {
                return -ETIMEDOUT;
            }
            deadline_ns = SKUA_FOREVER; /* a granter has it */
        }
    }
    return SKUI_WAITQ_GRANTED;
}

static void waitq_hand_on(struct skui_waitq_node *node, bool goes_on)
{
    if (node->hand_on != NULL) {
        node->hand_on(node, goes_on);
    }
}

static int waitq_wait_task(struct skui_waitq_node *node)
{
    struct skui_task *task = node->task;
    int reason = skui_task_wait_queued(task, node);
    bool cancelled;

    waitq_end(node);
    cancelled = skui_task_take_cancel(task);
    if (cancelled && reason == SKUI_WAITQ_GRANTED) {
        waitq_hand_on(node, true);
    }
    return cancelled || reason == SKUA_ECANCELED
               ? skui_task_deliver_cancel(task)
               : reason;
}

void skui_waitq_abandon(struct skui_waitq_node *node, bool granted)
{
    if (granted) {
        waitq_hand_on(node, false);
    }
}

int skui_waitq_wait(struct skui_waitq *queue, struct skui_waitq_node *node)
{
    if (node->in_callback) {
        skui_waitq_leave(node);
        return -EDEADLK; /* it would block its own loop */
    }
    if (node->expired) {
        skui_waitq_leave(node);
        waitq_tell_parked(node);
        return -ETIMEDOUT;
    }
    skui_store_relaxed(&node->granted, 0u); /* relaxed: published by SL1 */
    waitq_link(queue, node);
    return node->task != NULL ? waitq_wait_task(node) : waitq_wait_thread(node);
}
