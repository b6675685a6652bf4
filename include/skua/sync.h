/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Locks, events, conditions, semaphores, barriers: for tasks of any loop and
 * for plain threads.
 *
 * Each lies in its user's memory, which stays where it is and lives until every
 * call on it has returned; all-zero is ready for use where nothing else is
 * said. Waiters are served in the order of their calls (but see
 * skua_lock_policy). What a waiter was given is handed on to the next one when
 * that waiter was cancelled meanwhile, so nothing is lost. A call that need not
 * wait takes no lock and does not suspend, unless the task has done many of
 * them in a row (its budget).
 *
 * A task suspends where a plain thread blocks; where a callback of a running
 * loop would have to wait it gets -EDEADLK. A cancel request that is pending
 * is delivered where the task would suspend. Every call gives -EINVAL for NULL
 * and, where it takes a deadline, for SKUA_NOT_A_TIME, beside what is listed.
 * Deadlines are times of skua_monotonic(); one that is past still takes what is
 * there without waiting.
 */
#ifndef SKUA_SYNC_H
#define SKUA_SYNC_H

#include <stdbool.h>

#include <skua/types.h>

SKUA_BEGIN_DECLS

/* --- lock --- */

/** All-zero: unlocked and fair. Nobody owns it: whoever likes may release it.
 */
typedef struct skua_lock {
    SKUA_ALIGNED(8) unsigned char opaque[40];
} skua_lock;

/** Who gets a lock that is released while others wait for it. */
typedef enum skua_lock_policy {
    /** Who waits longest, as in asyncio: each such release costs a switch. */
    SKUA_LOCK_FAIR,
    /** Whoever comes first; who waits longest is woken and tries again, and is
     * given it after a few vain tries. Several times faster when cores contend
     * for it. */
    SKUA_LOCK_BARGING,
} skua_lock_policy;

/**
 * Unlocked, with a policy.
 * @return 0; -EINVAL for another policy
 * Thread: any, before any other call.  Suspends: never.  asyncio: Lock().
 */
SKUA_API int skua_lock_init(skua_lock *lock, skua_lock_policy policy);

/**
 * Wait until the lock is free and take it. A fair one: first come, first
 * served; who releases and acquires again goes behind those that wait.
 * @return 0; SKUA_ECANCELED (not taken); -EDEADLK in a callback
 * Thread: any.  Suspends: may.  asyncio: Lock.acquire().
 */
SKUA_API int skua_lock_acquire(skua_lock *lock);

/**
 * skua_lock_acquire() with a limit.
 * @return as skua_lock_acquire(); -ETIMEDOUT (not taken)
 * Thread: any.  Suspends: may.
 */
SKUA_API int skua_lock_acquire_until(skua_lock *lock, int64_t deadline_ns);

/**
 * Take the lock if it is free and, if it is fair, nobody waits for it.
 * @return 0; -EAGAIN
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_lock_acquire_nowait(skua_lock *lock);

/**
 * Give the lock to who waits longest, else leave it free (skua_lock_policy).
 * @return 0; -EPERM when it is not locked
 * Thread: any.  Suspends: never.  Order: what precedes the call is visible to
 * the next who acquires.  asyncio: Lock.release().
 */
SKUA_API int skua_lock_release(skua_lock *lock);

/**
 * Whether somebody has it: not yet a waiter that was chosen and has not gone
 * on. False for NULL.
 * Thread: any.  Suspends: never.  asyncio: Lock.locked().
 */
SKUA_API bool skua_lock_locked(const skua_lock *lock);

/* --- event --- */

/** All-zero: not set. */
typedef struct skua_event {
    SKUA_ALIGNED(8) unsigned char opaque[24];
} skua_event;

/**
 * Set the flag and wake all who wait now, even if it is cleared at once.
 * @return 0
 * Thread: any.  Suspends: never.  Order: what precedes the call is visible to
 * who waits.  asyncio: Event.set().
 */
SKUA_API int skua_event_set(skua_event *event);

/**
 * Clear the flag.
 * @return 0
 * Thread: any.  Suspends: never.  asyncio: Event.clear().
 */
SKUA_API int skua_event_clear(skua_event *event);

/**
 * Whether the flag is set. False for NULL.
 * Thread: any.  Suspends: never.  asyncio: Event.is_set().
 */
SKUA_API bool skua_event_is_set(const skua_event *event);

/**
 * Wait until the flag is set.
 * @return 0; SKUA_ECANCELED; -EDEADLK in a callback
 * Thread: any.  Suspends: may.  asyncio: Event.wait().
 */
SKUA_API int skua_event_wait(skua_event *event);

/**
 * skua_event_wait() with a limit.
 * @return as skua_event_wait(); -ETIMEDOUT
 * Thread: any.  Suspends: may.
 */
SKUA_API int skua_event_wait_until(skua_event *event, int64_t deadline_ns);

/* --- condition --- */

/** All-zero: with a lock of its own. */
typedef struct skua_condition {
    SKUA_ALIGNED(8) unsigned char opaque[72];
} skua_condition;

/**
 * Use `lock`, borrowed as long as the condition is used; NULL: its own.
 * @return 0
 * Thread: any, before any other call.  Suspends: never.
 * asyncio: Condition(lock).
 */
SKUA_API int skua_condition_init(skua_condition *condition, skua_lock *lock);

/**
 * skua_lock_acquire() of its lock.
 * @return as skua_lock_acquire()
 * Thread: any.  Suspends: may.  asyncio: Condition.acquire().
 */
SKUA_API int skua_condition_acquire(skua_condition *condition);

/**
 * skua_lock_release() of its lock.
 * @return as skua_lock_release()
 * Thread: any.  Suspends: never.  asyncio: Condition.release().
 */
SKUA_API int skua_condition_release(skua_condition *condition);

/**
 * skua_lock_locked() of its lock.
 * Thread: any.  Suspends: never.  asyncio: Condition.locked().
 */
SKUA_API bool skua_condition_locked(const skua_condition *condition);

/**
 * Release the lock, wait for a notification, and take the lock again, whatever
 * happens: that wait cannot be cancelled. A waiter may also wake without what
 * it waits for, so look again (skua_condition_wait_for()). One that was
 * notified and is cancelled passes the notification on.
 * @return 0; SKUA_ECANCELED; -EPERM when the lock is not locked; -EDEADLK in a
 *         callback; the lock is held in each case but -EPERM
 * Thread: any that holds the lock.  Suspends: always.
 * asyncio: Condition.wait().
 */
SKUA_API int skua_condition_wait(skua_condition *condition);

/**
 * skua_condition_wait() with a limit on the notification, not on the lock.
 * @return as skua_condition_wait(); -ETIMEDOUT, with the lock held
 * Thread: any that holds the lock.  Suspends: always.
 */
SKUA_API int skua_condition_wait_until(skua_condition *condition,
                                       int64_t deadline_ns);

/** Whether what is waited for holds; called with the lock held. */
typedef bool skua_predicate_fn(void *arg);

/**
 * Wait until `predicate(arg)` holds.
 * @param arg  borrowed until the call returns
 * @return as skua_condition_wait()
 * Thread: any that holds the lock.  Suspends: may.
 * asyncio: Condition.wait_for().
 */
SKUA_API int skua_condition_wait_for(skua_condition *condition,
                                     skua_predicate_fn *predicate, void *arg);

/**
 * skua_condition_wait_for() with a limit on the notifications.
 * @return as skua_condition_wait_for(); -ETIMEDOUT when it does not hold then
 * Thread: any that holds the lock.  Suspends: may.
 */
SKUA_API int skua_condition_wait_for_until(skua_condition *condition,
                                           int64_t deadline_ns,
                                           skua_predicate_fn *predicate,
                                           void *arg);

/**
 * Wake at most `count` waiters, those that wait longest first. They go on once
 * they have the lock.
 * @return how many; -EPERM when the lock is not locked
 * Thread: any that holds the lock.  Suspends: never.
 * asyncio: Condition.notify().
 */
SKUA_API int skua_condition_notify(skua_condition *condition, size_t count);

/**
 * Wake all waiters.
 * @return as skua_condition_notify()
 * Thread: any that holds the lock.  Suspends: never.
 * asyncio: Condition.notify_all().
 */
SKUA_API int skua_condition_notify_all(skua_condition *condition);

/* --- semaphore --- */

/** All-zero: one permit, not bounded. */
typedef struct skua_semaphore {
    SKUA_ALIGNED(8) unsigned char opaque[40];
} skua_semaphore;

/**
 * Start with `value` permits.
 * @return 0; -EINVAL for a negative value
 * Thread: any, before any other call.  Suspends: never.
 * asyncio: Semaphore(value).
 */
SKUA_API int skua_semaphore_init(skua_semaphore *semaphore, int value);

/**
 * As skua_semaphore_init(), and never let there be more permits than that.
 * @return 0; -EINVAL for a negative value
 * Thread: any, before any other call.  Suspends: never.
 * asyncio: BoundedSemaphore(value).
 */
SKUA_API int skua_bounded_semaphore_init(skua_semaphore *semaphore, int value);

/**
 * Wait for a permit and take it. First come, first served.
 * @return 0; SKUA_ECANCELED (none taken); -EDEADLK in a callback
 * Thread: any.  Suspends: may.  asyncio: Semaphore.acquire().
 */
SKUA_API int skua_semaphore_acquire(skua_semaphore *semaphore);

/**
 * skua_semaphore_acquire() with a limit.
 * @return as skua_semaphore_acquire(); -ETIMEDOUT (none taken)
 * Thread: any.  Suspends: may.
 */
SKUA_API int skua_semaphore_acquire_until(skua_semaphore *semaphore,
                                          int64_t deadline_ns);

/**
 * Take a permit if there is one and nobody waits.
 * @return 0; -EAGAIN
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_semaphore_acquire_nowait(skua_semaphore *semaphore);

/**
 * Give a permit to who waits longest, else keep it.
 * @return 0; -EINVAL above the start of a bounded one; -EOVERFLOW beyond
 *         INT_MAX permits
 * Thread: any.  Suspends: never.  Order: what precedes the call is visible to
 * who gets the permit.  asyncio: Semaphore.release().
 */
SKUA_API int skua_semaphore_release(skua_semaphore *semaphore);

/**
 * Whether who asks now would wait: no permit is left, or others are before it.
 * False for NULL.
 * Thread: any.  Suspends: never.  asyncio: Semaphore.locked().
 */
SKUA_API bool skua_semaphore_locked(const skua_semaphore *semaphore);

/**
 * How many permits there are now: it may have changed on return. 0 for NULL.
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_semaphore_value(const skua_semaphore *semaphore);

/* --- barrier --- */

/** To be set up by skua_barrier_init(): until then calls give -EINVAL. */
typedef struct skua_barrier {
    SKUA_ALIGNED(8) unsigned char opaque[32];
} skua_barrier;

/**
 * A barrier for `parties`.
 * @return 0; -EINVAL below 1
 * Thread: any, before any other call.  Suspends: never.
 * asyncio: Barrier(parties).
 */
SKUA_API int skua_barrier_init(skua_barrier *barrier, int parties);

/**
 * Wait until all parties have come. The last one frees all and may come again
 * at once. Who is cancelled just leaves, and the others wait for one more.
 * @return an index, another for each party: 0 for who waited longest, parties
 *         - 1 for who came last; SKUA_ECANCELED; SKUA_EBROKENBARRIER when it
 *         was reset or aborted; -EDEADLK in a callback
 * Thread: any.  Suspends: may.  asyncio: Barrier.wait().
 */
SKUA_API int skua_barrier_wait(skua_barrier *barrier);

/**
 * skua_barrier_wait() with a limit, at which the waiter leaves.
 * @return as skua_barrier_wait(); -ETIMEDOUT
 * Thread: any.  Suspends: may.
 */
SKUA_API int skua_barrier_wait_until(skua_barrier *barrier,
                                     int64_t deadline_ns);

/**
 * Let those who wait fail, and start afresh.
 * @return 0
 * Thread: any.  Suspends: never.  asyncio: Barrier.reset().
 */
SKUA_API int skua_barrier_reset(skua_barrier *barrier);

/**
 * Let all fail, who wait and who come later, until it is reset.
 * @return 0
 * Thread: any.  Suspends: never.  asyncio: Barrier.abort().
 */
SKUA_API int skua_barrier_abort(skua_barrier *barrier);

/**
 * For how many it is. 0 for NULL.
 * Thread: any.  Suspends: never.  asyncio: Barrier.parties.
 */
SKUA_API int skua_barrier_parties(const skua_barrier *barrier);

/**
 * How many wait. 0 for NULL.
 * Thread: any.  Suspends: never.  asyncio: Barrier.n_waiting.
 */
SKUA_API int skua_barrier_n_waiting(const skua_barrier *barrier);

/**
 * Whether it was aborted. False for NULL.
 * Thread: any.  Suspends: never.  asyncio: Barrier.broken.
 */
SKUA_API bool skua_barrier_broken(const skua_barrier *barrier);

SKUA_END_DECLS

#endif
