/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.h - the waiting core: a task suspends, exactly one source wakes it.
 *
 * A claim names one wait of one task: the task's address and the number of the
 * wait, packed into a word that fits an atomic slot. Whoever holds a claim may
 * call skui_wake() at any time, even long after the task went on or ended:
 * tasks live in type-stable memory and a stale claim loses. At most one source
 * wins each wait.
 *
 * Numbers wrap after 2^22 waits. A claim kept exactly that long would wake the
 * wrong wait once; every holder drops its claim when its wait ends (or takes
 * part in that), so only a thread that stands still inside skui_wake() for
 * four million waits of one task could do it.
 */
#ifndef SKUI_WAIT_H
#define SKUI_WAIT_H

#include "atomic.h"

SKUI_BEGIN_DECLS

typedef uint64_t skui_claim; /* 0: none */

/*
 * Publish `claim` to whoever shall wake the task. Called on the loop's own
 * stack after the task's context is saved: once the claim is published the
 * task may run elsewhere, so neither its stack nor `arg` may be touched after
 * that. May call skui_wake() itself when the condition holds already.
 */
typedef void skui_publish_fn(skui_claim claim, void *arg);

/*
 * Suspend the current task until its claim is woken.
 * Returns the waker's reason (>= 0 or a negative status), SKUA_ECANCELED,
 * -ETIMEDOUT at `deadline_ns` (SKUA_FOREVER: none), SKUA_ENOLOOP outside a
 * task. A cancel request that was pending before is delivered without
 * publishing. After a return other than the waker's reason the caller must
 * withdraw the claim from where it was published.
 */
int skui_task_wait(skui_publish_fn *publish, void *arg, int64_t deadline_ns);

/*
 * Wake the wait that `claim` names with `reason`, a small status (it must fit
 * 16 bits, signed). Any thread. Returns true when this call won.
 */
bool skui_wake(skui_claim claim, int reason);

/*
 * Give up the rest of the iteration when the current task has done many ready
 * operations in a row. 0, or SKUA_ECANCELED.
 */
int skui_task_spend_budget(void);

SKUI_END_DECLS

#endif
