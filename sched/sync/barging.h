/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barging.h - a lock that newcomers may take before those that wait for it.
 *
 * Who lets go of it leaves it free and wakes the first waiter, which tries
 * again: who runs already need not wait for one that must be woken first. The
 * price is order, so there is a limit: who was woken in vain OWED_AFTER times
 * is given the lock, and nobody may come between.
 *
 *   HELD    somebody has it
 *   QUEUED  there may be waiters in the list; set while it is not empty
 *   WOKEN   a waiter was woken and has not tried yet: no need for another one
 *   OWED    the first waiter is to be given the lock; only while HELD
 *
 *   take     HELD, if it is clear                        anybody
 *   wait     QUEUED (OWED), if HELD; WOKEN cleared       the list's lock
 *   release  without waiters, or while WOKEN: HELD cleared
 *            else under the list's lock: the first one is taken out and WOKEN
 *            set; after that HELD is cleared, and then it is woken
 *            OWED: HELD stays, it is the first one's
 *   a woken waiter was cancelled: WOKEN goes to the next one, if HELD is clear
 *
 * So while there are waiters, either HELD is set and that one's release will
 * wake, or WOKEN is set and that one will take it, and release. All but HELD
 * changes under the list's lock only. Clearing HELD is the last touch of who
 * releases: it wakes a waiter, but touches no more than that one's node.
 */
#ifndef SKUI_SYNC_BARGING_H
#define SKUI_SYNC_BARGING_H

#include "../waitq.h"

SKUI_BEGIN_DECLS

#define SKUI_BARGING_HELD UINT64_C(1) /* alone: as TAKEN of one permit */
#define SKUI_BARGING_QUEUED (UINT64_C(1) << 32)
#define SKUI_BARGING_WOKEN (UINT64_C(1) << 33)
#define SKUI_BARGING_OWED (UINT64_C(1) << 34)

/* All-zero: free. */
struct skui_barging {
    _Atomic(uint64_t) word;    /* LK1 */
    struct skui_spinlock lock; /* of the list */
    struct skui_waitq waiters;
};

/* Take it if it is free. */
bool skui_barging_try_take(struct skui_barging *lock);

/* Take it, if need be after waiting for it: 0, SKUA_ECANCELED, -ETIMEDOUT,
 * -EDEADLK. */
int skui_barging_wait(struct skui_barging *lock, int64_t deadline_ns);

/* 0, or -EPERM when it is free. */
int skui_barging_release(struct skui_barging *lock);

bool skui_barging_is_held(const struct skui_barging *lock);

SKUI_END_DECLS

#endif
