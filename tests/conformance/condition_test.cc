/* SPDX-License-Identifier: Apache-2.0 */
/*
 * condition_test.cc - conformance 110-112: conditions.
 */
#include "support.h"

namespace conformance
{
namespace
{

/** A condition and how its waiters fared. */
class Condition
{
  public:
    explicit Condition(skua_lock *lock = nullptr)
    {
        EXPECT_EQ(0, skua_condition_init(&condition_, lock));
    }

    void acquire()
    {
        EXPECT_EQ(0, skua_condition_acquire(&condition_));
    }

    void release()
    {
        EXPECT_EQ(0, skua_condition_release(&condition_));
    }

    [[nodiscard]] bool locked() const
    {
        return skua_condition_locked(&condition_);
    }

    /** With the lock around it. */
    int notify(size_t count)
    {
        acquire();
        const int woken = skua_condition_notify(&condition_, count);

        release();
        return woken;
    }

    /** A body: wait, note `id` when notified, under the lock. */
    Body wait(int id, int64_t deadline_ns = SKUA_FOREVER)
    {
        return [this, id, deadline_ns] {
            acquire();
            const int status =
                skua_condition_wait_until(&condition_, deadline_ns);

            EXPECT_TRUE(locked());
            EXPECT_EQ(1, ++inside_);
            if (status == 0) {
                log_.add(id);
            }
            EXPECT_EQ(0, --inside_);
            release();
            return status;
        };
    }

    operator skua_condition *()
    {
        return &condition_;
    }

    Log log_;

  private:
    skua_condition condition_ = {};
    int inside_ = 0; /* guarded by the lock */
};

int await_status(const Future &task)
{
    return skua_await(task.get(), nullptr);
}

/* --- misuse: 110 --- */

TEST_P(ConformanceOne, N110_WaitAndNotifyNeedTheLock)
{
    Condition condition;
    const auto never = [](void *) { return false; };
    const auto body = [&] {
        EXPECT_EQ(-EPERM, skua_condition_wait(condition));
        EXPECT_EQ(-EPERM, skua_condition_wait_until(condition, 0));
        EXPECT_EQ(-EPERM, skua_condition_wait_for(condition, never, nullptr));
        EXPECT_EQ(-EPERM, skua_condition_notify(condition, 1));
        EXPECT_EQ(-EPERM, skua_condition_notify_all(condition));
        EXPECT_EQ(-EPERM, skua_condition_release(condition));
        EXPECT_FALSE(condition.locked());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST(Condition, MisuseIsAStatus)
{
    Condition condition;
    const auto always = [](void *) { return true; };

    EXPECT_EQ(-EINVAL, skua_condition_init(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_condition_acquire(nullptr));
    EXPECT_EQ(-EINVAL, skua_condition_release(nullptr));
    EXPECT_FALSE(skua_condition_locked(nullptr));
    EXPECT_EQ(-EINVAL, skua_condition_wait(nullptr));
    EXPECT_EQ(-EINVAL, skua_condition_wait_until(nullptr, 0));
    EXPECT_EQ(-EINVAL, skua_condition_wait_for(nullptr, always, nullptr));
    EXPECT_EQ(-EINVAL, skua_condition_notify(nullptr, 1));
    EXPECT_EQ(-EINVAL, skua_condition_notify_all(nullptr));
    condition.acquire();
    EXPECT_EQ(-EINVAL, skua_condition_wait_until(condition, SKUA_NOT_A_TIME));
    EXPECT_EQ(-EINVAL, skua_condition_wait_for(condition, nullptr, nullptr));
    EXPECT_TRUE(condition.locked());
    condition.release();
}

TEST_F(Conformance, ACallbackNotifiesAndDoesNotWait)
{
    Condition condition;
    Log log;
    const Future task = spawn_on(loop_, condition.wait(7));

    drain();
    soon(loop_, [&] {
        log.add(skua_condition_acquire(condition));
        log.add(skua_condition_wait(condition));
        log.add(condition.locked() ? 1 : 0);
        log.add(skua_condition_notify(condition, 5));
        log.add(skua_condition_release(condition));
    });
    drain();
    EXPECT_EQ((Order{0, -EDEADLK, 1, 1, 0}), log.get());
    EXPECT_EQ(Order{7}, condition.log_.get());
}

/* --- notify: 111 --- */

TEST_P(ConformanceOne, N111_AWokenWaiterGoesOnWithTheLockOnly)
{
    Condition condition;
    const auto body = [&] {
        const Future a = spawn(condition.wait(1));
        const Future b = spawn(condition.wait(2));
        const Future c = spawn(condition.wait(3));

        EXPECT_EQ(0, skua_yield());
        EXPECT_FALSE(condition.locked());
        condition.acquire();
        EXPECT_EQ(1, skua_condition_notify(condition, 1));
        for (int i = 0; i < 4; i++) {
            EXPECT_EQ(0, skua_yield());
        }
        EXPECT_EQ(Order{}, condition.log_.get()); /* the lock is not free */
        condition.release();
        for (int i = 0; i < 4; i++) {
            EXPECT_EQ(0, skua_yield());
        }
        EXPECT_EQ(Order{1}, condition.log_.get());
        EXPECT_EQ(2, condition.notify(2));
        EXPECT_EQ(0, await_status(b));
        EXPECT_EQ(0, await_status(c));
        EXPECT_EQ((Order{1, 2, 3}), condition.log_.get());
        EXPECT_FALSE(condition.locked());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N111_NotifyWakesAtMostSoManyInOrder)
{
    constexpr int kWaiters = 7;
    Condition condition;
    const auto body = [&] {
        std::vector<Future> tasks;

        for (int i = 0; i < kWaiters; i++) {
            tasks.push_back(
                start_parked(static_cast<size_t>(i), condition.wait(i)));
        }
        EXPECT_EQ(0, condition.notify(0));
        for (size_t i = 0; i < 3; i++) {
            EXPECT_EQ(1, condition.notify(1));
            EXPECT_EQ(0, await_status(tasks[i]));
        }
        EXPECT_EQ((Order{0, 1, 2}), condition.log_.get());
        EXPECT_EQ(2, condition.notify(2));
        EXPECT_EQ(0, await_status(tasks[3]));
        EXPECT_EQ(0, await_status(tasks[4]));
        settle();
        EXPECT_EQ(size_t{5}, condition.log_.size());
        EXPECT_EQ(2, condition.notify(2048));
        EXPECT_EQ(0, await_status(tasks[5]));
        EXPECT_EQ(0, await_status(tasks[6]));
        EXPECT_EQ(0, condition.notify(1));
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N111_NotifyAll)
{
    Condition condition;
    const auto body = [&] {
        const Future a = start_parked(0, condition.wait(1));
        const Future b = start_parked(1, condition.wait(2));

        condition.acquire();
        EXPECT_EQ(2, skua_condition_notify_all(condition));
        EXPECT_EQ(0, skua_condition_notify_all(condition));
        condition.release();
        EXPECT_EQ(0, await_status(a));
        return await_status(b);
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N111_NotificationsAreNotKept)
{
    Condition condition;
    const auto body = [&] {
        EXPECT_EQ(0, condition.notify(3));
        const Future late = start_parked(0, condition.wait(1));

        settle();
        EXPECT_FALSE(skua_future_done(late.get()));
        EXPECT_EQ(1, condition.notify(1));
        return await_status(late);
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N111_ASharedLock)
{
    skua_lock lock = {};
    Condition one(&lock);
    Condition two(&lock);
    const auto body = [&] {
        const Future a = start_parked(0, one.wait(1));
        const Future b = start_parked(1, two.wait(2));

        EXPECT_EQ(0, skua_lock_acquire(&lock));
        EXPECT_TRUE(one.locked());
        EXPECT_TRUE(two.locked());
        EXPECT_EQ(1, skua_condition_notify_all(two));
        EXPECT_EQ(0, skua_lock_release(&lock));
        EXPECT_EQ(0, await_status(b));
        EXPECT_FALSE(skua_future_done(a.get()));
        EXPECT_EQ(1, one.notify(1));
        return await_status(a);
    };

    EXPECT_EQ(0, run(body));
    EXPECT_FALSE(skua_lock_locked(&lock));
}

TEST(Condition, N111_AllZeroHasALockOfItsOwn)
{
    skua_condition condition = {};

    EXPECT_FALSE(skua_condition_locked(&condition));
    EXPECT_EQ(0, skua_condition_acquire(&condition));
    EXPECT_TRUE(skua_condition_locked(&condition));
    EXPECT_EQ(0, skua_condition_notify_all(&condition));
    EXPECT_EQ(-ETIMEDOUT, skua_condition_wait_until(&condition, 0));
    EXPECT_EQ(0, skua_condition_release(&condition));
    EXPECT_EQ(-EPERM, skua_condition_release(&condition));
}

/* --- waiting for a predicate --- */

struct Counter {
    int value;
    int looks;
};

bool is_three(void *arg)
{
    auto *counter = static_cast<Counter *>(arg);

    counter->looks++;
    return counter->value == 3;
}

TEST_P(ConformanceMany, N111_WaitForLooksAgainAfterEachNotification)
{
    Condition condition;
    Counter counter = {0, 0}; /* guarded by the condition's lock */
    const auto body = [&] {
        const Future task = start_parked(0, [&] {
            condition.acquire();
            const int status =
                skua_condition_wait_for(condition, is_three, &counter);

            EXPECT_EQ(3, counter.value);
            condition.release();
            return status;
        });

        for (int i = 1; i <= 3; i++) {
            EXPECT_FALSE(skua_future_done(task.get()));
            condition.acquire();
            counter.value = i;
            EXPECT_EQ(1, skua_condition_notify(condition, 1));
            condition.release();
            settle();
        }
        EXPECT_EQ(0, await_status(task));
        EXPECT_EQ(4, counter.looks);
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceOne, N111_WaitForWhatHoldsDoesNotWait)
{
    Condition condition;
    Counter counter = {3, 0};
    const auto body = [&] {
        bool other_ran = false;
        const Future other = spawn([&] {
            other_ran = true;
            return 0;
        });

        condition.acquire();
        EXPECT_EQ(0, skua_condition_wait_for(condition, is_three, &counter));
        EXPECT_FALSE(other_ran);
        EXPECT_EQ(1, counter.looks);
        condition.release();
        return await_status(other);
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N112_WaitForCancelledHasTheLock)
{
    Condition condition;
    Counter counter = {0, 0};
    const auto body = [&] {
        const Future task = start_parked(1, [&] {
            condition.acquire();
            const int status =
                skua_condition_wait_for(condition, is_three, &counter);

            EXPECT_TRUE(condition.locked());
            condition.release();
            return status;
        });

        EXPECT_EQ(1, skua_task_cancel(task.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(task));
        EXPECT_EQ(0, condition.notify(1));
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* --- cancelled and timed out: 112 --- */

TEST_P(ConformanceMany, N112_ACancelledWaiterHasTheLock)
{
    Condition condition;
    const auto body = [&] {
        const Future a = start_parked(0, condition.wait(1));
        const Future b = start_parked(1, condition.wait(2));

        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        EXPECT_FALSE(condition.locked());
        EXPECT_EQ(1, condition.notify(2));
        return await_status(b);
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ(Order{2}, condition.log_.get());
}

/* Somebody has the lock: the cancelled waiter waits for it, come what may. */
TEST_P(ConformanceMany, N112_TheWaitForTheLockIsNotCancelled)
{
    Condition condition;
    const auto body = [&] {
        const Future task = start_parked(1, condition.wait(1));

        condition.acquire();
        for (int i = 0; i < 3; i++) {
            EXPECT_EQ(1, skua_task_cancel(task.get()));
            settle();
            EXPECT_FALSE(skua_future_done(task.get()));
        }
        condition.release();
        EXPECT_EQ(SKUA_ECANCELED, await_status(task));
        EXPECT_FALSE(condition.locked());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N112_NotifiedAndThenCancelledPassesItOn)
{
    Condition condition;
    const auto body = [&] {
        const Future a = start_parked(0, condition.wait(1));
        const Future b = start_parked(1, condition.wait(2));
        const Future c = start_parked(2, condition.wait(3));

        condition.acquire();
        EXPECT_EQ(1, skua_condition_notify(condition, 1));
        settle(); /* `a` waits for the lock by now */
        EXPECT_EQ(1, skua_task_cancel(a.get()));
        settle();
        EXPECT_FALSE(skua_future_done(a.get()));
        condition.release();
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        EXPECT_EQ(0, await_status(b));
        settle();
        EXPECT_FALSE(skua_future_done(c.get()));
        EXPECT_EQ(1, condition.notify(1));
        EXPECT_EQ(0, await_status(c));
        EXPECT_EQ((Order{2, 3}), condition.log_.get());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceOne, N112_NotifiedAndCancelledInOneTickPassesItOn)
{
    Condition condition;
    const auto body = [&] {
        const Future a = spawn(condition.wait(1));
        const Future b = spawn(condition.wait(2));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(1, condition.notify(1));
        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        return await_status(b);
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ(Order{2}, condition.log_.get());
}

TEST_P(ConformanceOne, N112_CancelledBeforeItWaits)
{
    Condition condition;
    const auto body = [&] {
        const Future task = spawn([&] {
            condition.acquire();
            EXPECT_EQ(1, skua_task_cancel(skua_current_task()));
            EXPECT_EQ(SKUA_ECANCELED, skua_condition_wait(condition));
            EXPECT_TRUE(condition.locked());
            condition.release();
            return SKUA_ECANCELED;
        });

        EXPECT_EQ(SKUA_ECANCELED, await_status(task));
        EXPECT_FALSE(condition.locked());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N112_ATimedOutWaiterHasTheLock)
{
    Condition condition;
    const auto body = [&] {
        const Future task =
            start_parked(0, condition.wait(1, skua_monotonic() + SKUA_MS));

        EXPECT_EQ(-ETIMEDOUT, await_status(task));
        EXPECT_FALSE(condition.locked());
        EXPECT_EQ(0, condition.notify(1));
        EXPECT_EQ(-ETIMEDOUT, condition.wait(2, 0)());
        EXPECT_EQ(-ETIMEDOUT, condition.wait(3, INT64_MIN + 1)());
        return 0;
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ(Order{}, condition.log_.get());
}

/* The limit is over while somebody has the lock; then it is released. */
TEST_P(ConformanceMany, N112_TheLimitDoesNotApplyToTheLock)
{
    Condition condition;
    const auto body = [&] {
        int64_t limit_ns = SKUA_MS;
        Future task;

        for (;;) {
            const int64_t deadline_ns = skua_monotonic() + limit_ns;

            task = start_parked(1, condition.wait(1, deadline_ns));
            condition.acquire();
            if (skua_monotonic() < deadline_ns) {
                EXPECT_EQ(0, skua_sleep_until(deadline_ns + SKUA_MS));
                break;
            }
            condition.release(); /* not in time: allow more */
            EXPECT_EQ(-ETIMEDOUT, await_status(task));
            limit_ns *= 2;
        }
        settle();
        EXPECT_FALSE(skua_future_done(task.get()));
        condition.release();
        EXPECT_EQ(-ETIMEDOUT, await_status(task));
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N112_ATimeoutScopeEndsWithTheLock)
{
    Condition condition;
    const auto body = [&] {
        condition.acquire();
        EXPECT_EQ(-ETIMEDOUT,
                  skua_wait_for(
                      call([&] { return skua_condition_acquire(condition); }),
                      SKUA_MS, nullptr));
        skua_timeout scope = {};

        EXPECT_EQ(0, skua_timeout_enter(&scope, SKUA_MS));
        int status = skua_condition_wait(condition);

        EXPECT_TRUE(condition.locked());
        status = skua_timeout_exit(&scope, status);
        EXPECT_EQ(-ETIMEDOUT, status);
        condition.release();
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* --- a cancelled one among many: nothing is lost --- */

TEST_P(ConformanceMany, N112_NotifyAndCancelMeetAndNoNotificationIsLost)
{
    const int rounds = kRaceDetector ? 40 : 200;
    Condition condition;
    const auto body = [&] {
        for (int round = 0; round < rounds; round++) {
            int status = -1;
            const Future first = start_parked(0, [&] {
                status = condition.wait(1)();
                return 0;
            });
            const Future second = start_parked(1, condition.wait(2));
            const Future canceller = spawn_on(
                loops().back(),
                [&] {
                    (void)skua_task_cancel(first.get());
                    return 0;
                },
                true);

            EXPECT_EQ(1, condition.notify(1));
            (void)await_status(first); /* may be cancelled after that */
            EXPECT_EQ(0, await_status(canceller));
            if (status == 0) {
                EXPECT_EQ(1, condition.notify(1));
            } else {
                EXPECT_EQ(SKUA_ECANCELED, status);
            }
            EXPECT_EQ(0, await_status(second));
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* --- threads --- */

TEST_P(ConformanceMany, ConditionBetweenThreadsAndTasks)
{
    constexpr int kTurns = 50;
    Condition condition;
    int turn = 0; /* guarded by the condition's lock */
    const auto play = [&](int mine) {
        for (int i = 0; i < kTurns; i++) {
            condition.acquire();
            while (turn % 3 != mine) {
                EXPECT_EQ(0, skua_condition_wait(condition));
            }
            turn++;
            EXPECT_LE(0, skua_condition_notify_all(condition));
            condition.release();
        }
    };
    const auto body = [&] {
        std::thread one([&] { play(0); });
        std::thread two([&] { play(1); });

        play(2);
        one.join();
        two.join();
        EXPECT_EQ(3 * kTurns, turn);
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST(Condition, AThreadWaitsUntilItsLimit)
{
    Condition condition;
    const int64_t deadline_ns = skua_monotonic() + 2 * SKUA_MS;

    condition.acquire();
    EXPECT_EQ(-ETIMEDOUT, skua_condition_wait_until(condition, deadline_ns));
    EXPECT_LE(deadline_ns, skua_monotonic());
    EXPECT_TRUE(condition.locked());
    condition.release();
}

TEST_F(Conformance, ClosingTheLoopTakesItsWaitersOutOfACondition)
{
    skua_condition condition = {};
    const Future task = spawn_on(loop_, [&] {
        EXPECT_EQ(0, skua_condition_acquire(&condition));
        (void)skua_condition_wait(&condition);
        ADD_FAILURE() << "went on";
        return 0;
    });

    drain();
    EXPECT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(SKUA_ECLOSED, skua_future_result(task.get(), nullptr));
    EXPECT_FALSE(skua_condition_locked(&condition));
    EXPECT_EQ(0, skua_condition_acquire(&condition));
    EXPECT_EQ(0, skua_condition_notify_all(&condition));
    EXPECT_EQ(0, skua_condition_release(&condition));
}

TEST_P(ConformanceMany, N112_WaitForHasALimit)
{
    EXPECT_EQ(
        0, run([&] {
            skua_condition condition = {};
            bool holds = false;
            auto looks = [](void *arg) { return *static_cast<bool *>(arg); };

            EXPECT_EQ(0, skua_condition_acquire(&condition));
            EXPECT_EQ(-ETIMEDOUT, skua_condition_wait_for_until(
                                      &condition, skua_monotonic() + SKUA_MS,
                                      looks, &holds));
            EXPECT_TRUE(skua_condition_locked(&condition));
            holds = true;
            EXPECT_EQ(
                0, skua_condition_wait_for_until(&condition, 0, looks, &holds));
            EXPECT_EQ(0, skua_condition_release(&condition));
            EXPECT_EQ(-EPERM, skua_condition_wait_for_until(&condition, 0,
                                                            looks, &holds));
            return 0;
        }));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
