/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock_test.cc - conformance 105-108: what is ready keeps the tick; locks.
 */
#include "support.h"

namespace conformance
{
namespace
{

/** Acquire, note `id`, and release. */
Body visit(skua_lock &lock, Log &log, int id)
{
    return [&lock, &log, id] {
        const int status = skua_lock_acquire(&lock);

        if (status == 0) {
            log.add(id);
            EXPECT_EQ(0, skua_lock_release(&lock));
        }
        return status;
    };
}

/** Acquire, note `id`, and keep it. */
Body take(skua_lock &lock, Log &log, int id)
{
    return [&lock, &log, id] {
        const int status = skua_lock_acquire(&lock);

        if (status == 0) {
            log.add(id);
        }
        return status;
    };
}

int await_status(const Future &task)
{
    return skua_await(task.get(), nullptr);
}

/* --- what is ready: 105 --- */

TEST_P(ConformanceOne, N105_WhatIsReadyKeepsTheTick)
{
    skua_lock lock = {};
    skua_semaphore semaphore = {};
    skua_event event = {};
    skua_queue queue = {};
    Log log;
    const auto body = [&] {
        const Future other = spawn([&] {
            log.add(1);
            return 0;
        });
        void *item = nullptr;

        EXPECT_EQ(0, skua_lock_acquire(&lock));
        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_EQ(0, skua_semaphore_acquire(&semaphore));
        EXPECT_EQ(0, skua_semaphore_release(&semaphore));
        EXPECT_EQ(0, skua_event_set(&event));
        EXPECT_EQ(0, skua_event_wait(&event));
        EXPECT_EQ(0, skua_queue_put(&queue, as_pointer(5)));
        EXPECT_EQ(0, skua_queue_get(&queue, &item));
        EXPECT_EQ(5, as_int(item));
        EXPECT_EQ(0, skua_queue_task_done(&queue));
        EXPECT_EQ(0, skua_queue_join(&queue));
        EXPECT_EQ(Order{}, log.get());
        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(Order{1}, log.get());
        return 0;
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ(0, skua_queue_fini(&queue));
}

/* asyncio would never let the others run; here the budget does. */
TEST_P(ConformanceOne, N105_ManyReadyOperationsYieldInTheEnd)
{
    skua_lock lock = {};
    skua_semaphore semaphore = {};
    skua_event event = {};
    skua_queue queue = {};
    const std::vector<Step> operations = {
        [&] {
            ASSERT_EQ(0, skua_lock_acquire(&lock));
            ASSERT_EQ(0, skua_lock_release(&lock));
        },
        [&] {
            ASSERT_EQ(0, skua_semaphore_acquire(&semaphore));
            ASSERT_EQ(0, skua_semaphore_release(&semaphore));
        },
        [&] {
            ASSERT_EQ(0, skua_event_set(&event));
            ASSERT_EQ(0, skua_event_wait(&event));
        },
        [&] {
            void *item = nullptr;

            ASSERT_EQ(0, skua_queue_put(&queue, nullptr));
            ASSERT_EQ(0, skua_queue_get(&queue, &item));
        },
    };
    const auto body = [&] {
        for (const Step &operation : operations) {
            bool other_ran = false;
            const Future other = spawn([&] {
                other_ran = true;
                return 0;
            });

            for (int i = 0; i < 100000 && !other_ran; i++) {
                operation();
            }
            EXPECT_TRUE(other_ran);
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ(0, skua_queue_fini(&queue));
}

/* --- order: 106 --- */

TEST_P(ConformanceOne, N106_WaitersGetItInTheOrderOfTheirCalls)
{
    skua_lock lock = {};
    Log log;
    const auto body = [&] {
        EXPECT_EQ(0, skua_lock_acquire(&lock));
        const Future a = spawn(take(lock, log, 1));
        const Future b = spawn(take(lock, log, 2));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(Order{}, log.get());
        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(Order{1}, log.get());
        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(Order{1}, log.get());

        const Future c = spawn(take(lock, log, 3));

        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ((Order{1, 2}), log.get());
        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ((Order{1, 2, 3}), log.get());
        EXPECT_TRUE(skua_lock_locked(&lock));
        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_FALSE(skua_lock_locked(&lock));
        return await_status(c);
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceOne, N106_WhoReleasesAndAcquiresAgainGoesLast)
{
    skua_lock lock = {};
    Log log;
    const auto body = [&] {
        EXPECT_EQ(0, skua_lock_acquire(&lock));
        const Future a = spawn(visit(lock, log, 0));
        const Future b = spawn(visit(lock, log, 1));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_FALSE(skua_lock_locked(&lock)); /* chosen, but not gone on */
        EXPECT_EQ(-EAGAIN, skua_lock_acquire_nowait(&lock));
        EXPECT_EQ(0, visit(lock, log, 9)());
        EXPECT_EQ((Order{0, 1, 9}), log.get());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N106_WaitersOfAllLoopsGetItInOrder)
{
    constexpr int kWaiters = 12;
    skua_lock lock = {};
    Log log;
    const auto body = [&] {
        std::vector<Future> tasks;
        Order expected;

        EXPECT_EQ(0, skua_lock_acquire(&lock));
        for (int i = 0; i < kWaiters; i++) {
            tasks.push_back(
                start_parked(static_cast<size_t>(i), visit(lock, log, i)));
            expected.push_back(i);
        }
        expected.push_back(99);
        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_EQ(0, visit(lock, log, 99)());
        EXPECT_EQ(expected, log.get());
        for (const Future &task : tasks) {
            EXPECT_EQ(0, await_status(task));
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N106_OneOwnerAtATime)
{
    constexpr int kTasks = 8;
    constexpr int kVisits = 200;
    skua_lock lock = {};
    int inside = 0; /* guarded by the lock */
    int64_t visits = 0;
    const auto body = [&] {
        std::vector<Future> tasks;

        for (int i = 0; i < kTasks; i++) {
            tasks.push_back(spawn([&] {
                for (int k = 0; k < kVisits; k++) {
                    EXPECT_EQ(0, skua_lock_acquire(&lock));
                    EXPECT_EQ(1, ++inside);
                    if (k % 8 == 0) {
                        EXPECT_EQ(0, skua_yield());
                    }
                    visits++;
                    EXPECT_EQ(0, --inside);
                    EXPECT_EQ(0, skua_lock_release(&lock));
                }
                return 0;
            }));
        }
        for (const Future &task : tasks) {
            EXPECT_EQ(0, await_status(task));
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ(kTasks * kVisits, visits);
    EXPECT_FALSE(skua_lock_locked(&lock));
}

/* --- cancelled: 107 --- */

TEST_P(ConformanceMany, N107_ACancelledWaiterIsSkipped)
{
    skua_lock lock = {};
    Log log;
    const auto body = [&] {
        EXPECT_EQ(0, skua_lock_acquire(&lock));
        const Future a = start_parked(0, visit(lock, log, 1));
        const Future b = start_parked(1, visit(lock, log, 2));
        const Future c = start_parked(2, visit(lock, log, 3));

        EXPECT_EQ(1, skua_task_cancel(b.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(b));
        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_EQ(0, await_status(a));
        EXPECT_EQ(0, await_status(c));
        EXPECT_EQ((Order{1, 3}), log.get());
        EXPECT_FALSE(skua_lock_locked(&lock));
        return skua_lock_acquire_nowait(&lock);
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceOne, N107_ChosenAndThenCancelledPassesItOn)
{
    skua_lock lock = {};
    Log log;
    const auto body = [&] {
        EXPECT_EQ(0, skua_lock_acquire(&lock));
        const Future a = spawn(take(lock, log, 1));
        const Future b = spawn(take(lock, log, 2));
        const Future c = spawn(take(lock, log, 3));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_FALSE(skua_lock_locked(&lock));
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        EXPECT_EQ(0, await_status(b));
        EXPECT_TRUE(skua_lock_locked(&lock));
        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_EQ(0, await_status(c));
        EXPECT_EQ((Order{2, 3}), log.get());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* The next waiter is cancelled in the tick in which the owner releases. */
TEST_P(ConformanceOne, N107_CancelAndReleaseInOneTickLoseNothing)
{
    for (const bool cancel_first : {true, false}) {
        skua_lock lock = {};
        Log log;
        const auto body = [&] {
            EXPECT_EQ(0, skua_lock_acquire(&lock));
            const Future second = spawn(visit(lock, log, 2));
            const Future third = spawn(visit(lock, log, 3));
            const Future fourth = spawn(visit(lock, log, 4));

            EXPECT_EQ(0, skua_yield());
            if (cancel_first) {
                EXPECT_EQ(1, skua_task_cancel(second.get()));
                EXPECT_EQ(0, skua_lock_release(&lock));
            } else {
                EXPECT_EQ(0, skua_lock_release(&lock));
                EXPECT_EQ(1, skua_task_cancel(second.get()));
            }
            EXPECT_EQ(SKUA_ECANCELED, await_status(second));
            EXPECT_EQ(0, await_status(fourth));
            EXPECT_EQ((Order{3, 4}), log.get());
            return await_status(third);
        };

        EXPECT_EQ(0, run(body));
        EXPECT_EQ(0, skua_lock_acquire_nowait(&lock));
    }
}

TEST_P(ConformanceOne, N107_TheOnlyWaiterChosenAndCancelledLeavesItFree)
{
    skua_lock lock = {};
    Log log;
    const auto body = [&] {
        EXPECT_EQ(0, skua_lock_acquire(&lock));
        const Future only = spawn(take(lock, log, 1));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_EQ(1, skua_task_cancel(only.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(only));
        EXPECT_FALSE(skua_lock_locked(&lock));
        EXPECT_EQ(0, skua_lock_acquire(&lock));
        return skua_lock_release(&lock);
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ(Order{}, log.get());
}

TEST_P(ConformanceOne, N107_ACancelledTaskTakesAFreeLock)
{
    skua_lock lock = {};
    const auto body = [&] {
        const Future task = spawn([&] {
            EXPECT_EQ(1, skua_task_cancel(skua_current_task()));
            EXPECT_EQ(0, skua_lock_acquire(&lock));
            EXPECT_EQ(SKUA_ECANCELED, skua_lock_acquire(&lock));
            EXPECT_EQ(0, skua_lock_release(&lock));
            return SKUA_ECANCELED;
        });

        EXPECT_EQ(SKUA_ECANCELED, await_status(task));
        EXPECT_FALSE(skua_lock_locked(&lock));
        return skua_lock_acquire_nowait(&lock);
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N107_GrantAndCancelMeetAndNobodyHangs)
{
    const int rounds = kRaceDetector ? 60 : 300;
    skua_lock lock = {};
    Log log;
    const auto body = [&] {
        for (int round = 0; round < rounds; round++) {
            EXPECT_EQ(0, skua_lock_acquire(&lock));
            const Future first = start_parked(0, visit(lock, log, 1));
            const Future second = start_parked(1, visit(lock, log, 2));
            const Future canceller = spawn_on(
                loops().back(),
                [&] {
                    (void)skua_task_cancel(first.get());
                    return 0;
                },
                true);

            EXPECT_EQ(0, skua_lock_release(&lock));
            EXPECT_EQ(0, await_status(second));
            const int status = await_status(first);

            EXPECT_TRUE(status == 0 || status == SKUA_ECANCELED);
            EXPECT_EQ(0, await_status(canceller));
            EXPECT_EQ(0, skua_lock_acquire_nowait(&lock));
            EXPECT_EQ(0, skua_lock_release(&lock));
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* --- misuse: 108 --- */

TEST_P(ConformanceOne, N108_ReleasingAnUnlockedLockIsRefused)
{
    skua_lock lock = {};
    Log log;
    const auto body = [&] {
        EXPECT_EQ(-EPERM, skua_lock_release(&lock));
        EXPECT_EQ(0, skua_lock_acquire(&lock));
        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_EQ(-EPERM, skua_lock_release(&lock));

        EXPECT_EQ(0, skua_lock_acquire(&lock));
        const Future chosen = spawn(visit(lock, log, 1));
        const Future next = spawn(visit(lock, log, 2));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_EQ(-EPERM, skua_lock_release(&lock)); /* not the chosen one's */
        EXPECT_EQ(0, await_status(chosen));
        EXPECT_EQ(0, await_status(next));
        EXPECT_EQ((Order{1, 2}), log.get());
        return skua_lock_acquire_nowait(&lock);
    };

    EXPECT_EQ(0, run(body));
}

TEST(Lock, MisuseIsAStatus)
{
    skua_lock lock = {};

    EXPECT_EQ(-EINVAL, skua_lock_acquire(nullptr));
    EXPECT_EQ(-EINVAL, skua_lock_acquire_until(nullptr, SKUA_FOREVER));
    EXPECT_EQ(-EINVAL, skua_lock_acquire_nowait(nullptr));
    EXPECT_EQ(-EINVAL, skua_lock_release(nullptr));
    EXPECT_FALSE(skua_lock_locked(nullptr));
    EXPECT_EQ(0, skua_lock_acquire(&lock));
    EXPECT_EQ(-EINVAL, skua_lock_acquire_until(&lock, SKUA_NOT_A_TIME));
    EXPECT_TRUE(skua_lock_locked(&lock));
    EXPECT_EQ(-ETIMEDOUT, skua_lock_acquire_until(&lock, 0));
    EXPECT_EQ(0, skua_lock_release(&lock));
    EXPECT_EQ(0, skua_lock_acquire_nowait(&lock));
}

TEST(Lock, NotATimeIsRefusedForAFreeLockAsWell)
{
    skua_lock lock = {};

    EXPECT_EQ(-EINVAL, skua_lock_acquire_until(&lock, SKUA_NOT_A_TIME));
    EXPECT_FALSE(skua_lock_locked(&lock));
}

TEST_F(Conformance, ACallbackTakesAFreeLockAndWaitsForNone)
{
    skua_lock lock = {};
    Log log;

    soon(loop_, [&] {
        log.add(skua_lock_acquire(&lock));
        log.add(skua_lock_acquire(&lock));
        log.add(skua_lock_acquire_until(&lock, SKUA_FOREVER));
        log.add(skua_lock_release(&lock));
        log.add(skua_lock_acquire_nowait(&lock));
    });
    drain();
    EXPECT_EQ((Order{0, -EDEADLK, -EDEADLK, 0, 0}), log.get());
}

/* --- limits --- */

TEST_P(ConformanceMany, LockPastDeadlineTakesWhatIsFree)
{
    skua_lock lock = {};
    const auto body = [&] {
        for (const int64_t deadline_ns :
             {INT64_MIN + 1, INT64_C(0), skua_monotonic() - 1}) {
            EXPECT_EQ(0, skua_lock_acquire_until(&lock, deadline_ns));
            EXPECT_EQ(-ETIMEDOUT, skua_lock_acquire_until(&lock, deadline_ns));
            EXPECT_EQ(0, skua_lock_release(&lock));
        }
        return skua_lock_acquire_until(&lock, SKUA_FOREVER);
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, LockWaiterThatTimesOutIsSkipped)
{
    skua_lock lock = {};
    Log log;
    const auto body = [&] {
        EXPECT_EQ(0, skua_lock_acquire(&lock));
        const Future limited = start_parked(0, [&] {
            return skua_lock_acquire_until(&lock, skua_monotonic() + SKUA_MS);
        });
        const Future patient = start_parked(1, visit(lock, log, 2));

        EXPECT_EQ(-ETIMEDOUT, await_status(limited));
        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_EQ(0, await_status(patient));
        EXPECT_EQ(Order{2}, log.get());
        return skua_lock_acquire_nowait(&lock);
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, LockInTimeStopsTheTimer)
{
    skua_lock lock = {};
    const auto body = [&] {
        EXPECT_EQ(0, skua_lock_acquire(&lock));
        const Future limited = start_parked(0, [&] {
            const int status = skua_lock_acquire_until(
                &lock, skua_monotonic() + 3600 * SKUA_S);

            EXPECT_EQ(0, skua_sleep(SKUA_US)); /* the timer is free again */
            return status;
        });

        EXPECT_EQ(0, skua_lock_release(&lock));
        return await_status(limited);
    };

    EXPECT_EQ(0, run(body));
}

/* --- threads --- */

TEST(Lock, ThreadsWithoutALoopShareIt)
{
    constexpr int kThreads = 4;
    constexpr int kVisits = 500;
    skua_lock lock = {};
    int64_t visits = 0; /* guarded by the lock */
    std::vector<std::thread> threads;

    for (int i = 0; i < kThreads; i++) {
        threads.emplace_back([&] {
            for (int k = 0; k < kVisits; k++) {
                EXPECT_EQ(0, skua_lock_acquire(&lock));
                visits++;
                EXPECT_EQ(0, skua_lock_release(&lock));
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(kThreads * kVisits, visits);
}

TEST(Lock, AThreadWaitsUntilItsLimit)
{
    skua_lock lock = {};
    const int64_t deadline_ns = skua_monotonic() + 2 * SKUA_MS;

    EXPECT_EQ(0, skua_lock_acquire(&lock));
    EXPECT_EQ(-ETIMEDOUT, skua_lock_acquire_until(&lock, deadline_ns));
    EXPECT_LE(deadline_ns, skua_monotonic());
    EXPECT_EQ(0, skua_lock_release(&lock));
    EXPECT_EQ(0, skua_lock_acquire_nowait(&lock));
}

TEST_P(ConformanceMany, LockGoesFromTaskToThreadAndBack)
{
    skua_lock lock = {};
    Log log;
    const auto body = [&] {
        EXPECT_EQ(0, skua_lock_acquire(&lock));
        Future asked = make_future();
        std::thread thread([&] {
            EXPECT_EQ(0, skua_future_set_result(asked.get(), nullptr));
            EXPECT_EQ(0, visit(lock, log, 1)());
        });
        const Future task = start_parked(0, visit(lock, log, 2));

        EXPECT_EQ(0, skua_await(asked.get(), nullptr));
        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_EQ(0, await_status(task));
        thread.join();
        EXPECT_EQ(size_t{2}, log.size());
        return skua_lock_acquire_nowait(&lock);
    };

    EXPECT_EQ(0, run(body));
}

/* Nobody owns it: a thread releases what a task took. */
TEST_P(ConformanceMany, LockIsReleasedByAThread)
{
    skua_lock lock = {};
    Log log;
    const auto body = [&] {
        EXPECT_EQ(0, skua_lock_acquire(&lock));
        const Future task = start_parked(1, visit(lock, log, 1));
        std::thread thread([&] { EXPECT_EQ(0, skua_lock_release(&lock)); });

        EXPECT_EQ(0, await_status(task));
        thread.join();
        return 0;
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ(Order{1}, log.get());
}

/* --- closing --- */

/** A loop with a task that waits for `lock`, which somebody has. */
class WaitingLoop : public Conformance
{
  protected:
    void start(Body body)
    {
        task_ = spawn_on(loop_, std::move(body));
        drain();
        ASSERT_FALSE(skua_future_done(task_.get()));
    }

    void close()
    {
        EXPECT_EQ(0, skua_loop_close(loop_));
        EXPECT_EQ(SKUA_ECLOSED, skua_future_result(task_.get(), nullptr));
        EXPECT_EQ(size_t{1}, reports_.count(SKUA_ECLOSED));
    }

    Future task_;
};

TEST_F(WaitingLoop, ClosedTakesItsWaiterOutOfALock)
{
    skua_lock lock = {};
    Log log;

    ASSERT_EQ(0, skua_lock_acquire(&lock));
    start(visit(lock, log, 1));
    close();
    EXPECT_EQ(0, skua_lock_release(&lock));
    EXPECT_FALSE(skua_lock_locked(&lock));
    std::thread thread([&] { EXPECT_EQ(0, visit(lock, log, 2)()); });

    thread.join();
    EXPECT_EQ(Order{2}, log.get());
    EXPECT_EQ(-EPERM, skua_lock_release(&lock));
}

/* It was given the lock and will never go on. */
TEST_F(WaitingLoop, ClosedHandsOnALockThatItsWaiterWasGiven)
{
    skua_lock lock = {};
    Log log;

    ASSERT_EQ(0, skua_lock_acquire(&lock));
    start(visit(lock, log, 1));
    EXPECT_EQ(0, skua_lock_release(&lock));
    close();
    EXPECT_EQ(0, skua_lock_acquire_nowait(&lock));
    EXPECT_EQ(Order{}, log.get());
}

TEST_F(WaitingLoop, ClosedStopsTheLimitOfItsWaiter)
{
    skua_lock lock = {};

    ASSERT_EQ(0, skua_lock_acquire(&lock));
    start([&] {
        return skua_lock_acquire_until(&lock, skua_monotonic() + 3600 * SKUA_S);
    });
    close();
    EXPECT_EQ(0, skua_lock_release(&lock));
    EXPECT_EQ(0, skua_lock_acquire_nowait(&lock));
}

TEST_F(WaitingLoop, ClosedTakesItsWaiterOutOfASemaphoreInTheMiddle)
{
    skua_semaphore semaphore = {};
    Loop other;
    Log log;

    reports_.install(other);
    ASSERT_EQ(0, skua_semaphore_init(&semaphore, 0));
    const Future before = spawn_on(other, [&] {
        EXPECT_EQ(0, skua_semaphore_acquire(&semaphore));
        log.add(1);
        return 0;
    });

    EXPECT_EQ(0, skua_loop_run_once(other, 0));
    start([&] { return skua_semaphore_acquire(&semaphore); });
    const Future after = spawn_on(other, [&] {
        EXPECT_EQ(0, skua_semaphore_acquire(&semaphore));
        log.add(2);
        return 0;
    });

    EXPECT_EQ(0, skua_loop_run_once(other, 0));
    close();
    EXPECT_EQ(0, skua_semaphore_release(&semaphore));
    EXPECT_EQ(0, skua_semaphore_release(&semaphore));
    EXPECT_EQ(0, skua_loop_run_until_complete(
                     other, skua_awaitable_future(after.get()), nullptr));
    EXPECT_EQ((Order{1, 2}), log.get());
    EXPECT_EQ(0, skua_semaphore_value(&semaphore));
    EXPECT_TRUE(skua_future_done(before.get()));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
