/* SPDX-License-Identifier: Apache-2.0 */
/*
 * semaphore_test.cc - conformance 114-117: semaphores.
 */
#include <climits>

#include "support.h"

namespace conformance
{
namespace
{

class Semaphore
{
  public:
    explicit Semaphore(int value)
    {
        EXPECT_EQ(0, skua_semaphore_init(&semaphore_, value));
    }

    int acquire()
    {
        return skua_semaphore_acquire(&semaphore_);
    }

    void release()
    {
        EXPECT_EQ(0, skua_semaphore_release(&semaphore_));
    }

    [[nodiscard]] int value() const
    {
        return skua_semaphore_value(&semaphore_);
    }

    [[nodiscard]] bool locked() const
    {
        return skua_semaphore_locked(&semaphore_);
    }

    operator skua_semaphore *()
    {
        return &semaphore_;
    }

    /** A body: acquire and note `id`. */
    Body take(Log &log, int id)
    {
        return [this, &log, id] {
            const int status = acquire();

            if (status == 0) {
                log.add(id);
            }
            return status;
        };
    }

  private:
    skua_semaphore semaphore_ = {};
};

int await_status(const Future &task)
{
    return skua_await(task.get(), nullptr);
}

/* --- values: 114 --- */

TEST(Semaphore, N114_TheStartMustNotBeNegative)
{
    skua_semaphore semaphore = {};

    EXPECT_EQ(-EINVAL, skua_semaphore_init(&semaphore, -1));
    EXPECT_EQ(-EINVAL, skua_semaphore_init(&semaphore, INT_MIN));
    EXPECT_EQ(-EINVAL, skua_bounded_semaphore_init(&semaphore, -1));
    EXPECT_EQ(-EINVAL, skua_semaphore_init(nullptr, 1));
    EXPECT_EQ(-EINVAL, skua_bounded_semaphore_init(nullptr, 1));
}

TEST(Semaphore, N114_AllZeroIsOnePermit)
{
    skua_semaphore semaphore = {};

    EXPECT_EQ(1, skua_semaphore_value(&semaphore));
    EXPECT_FALSE(skua_semaphore_locked(&semaphore));
    EXPECT_EQ(0, skua_semaphore_acquire_nowait(&semaphore));
    EXPECT_TRUE(skua_semaphore_locked(&semaphore));
    EXPECT_EQ(-EAGAIN, skua_semaphore_acquire_nowait(&semaphore));
    EXPECT_EQ(0, skua_semaphore_release(&semaphore));
    EXPECT_EQ(0, skua_semaphore_release(&semaphore));
    EXPECT_EQ(2, skua_semaphore_value(&semaphore));
}

TEST(Semaphore, N114_ZeroIsAllowed)
{
    Semaphore semaphore(0);

    EXPECT_TRUE(semaphore.locked());
    EXPECT_EQ(0, semaphore.value());
    EXPECT_EQ(-EAGAIN, skua_semaphore_acquire_nowait(semaphore));
    semaphore.release();
    EXPECT_FALSE(semaphore.locked());
    EXPECT_EQ(0, semaphore.acquire());
}

TEST(Semaphore, N114_ABoundedOneIsNeverAboveItsStart)
{
    for (const int start : {0, 1, 3, INT_MAX}) {
        skua_semaphore semaphore = {};

        ASSERT_EQ(0, skua_bounded_semaphore_init(&semaphore, start));
        EXPECT_EQ(-EINVAL, skua_semaphore_release(&semaphore));
        EXPECT_EQ(start, skua_semaphore_value(&semaphore));
        if (start > 0) {
            EXPECT_EQ(0, skua_semaphore_acquire(&semaphore));
            EXPECT_EQ(0, skua_semaphore_release(&semaphore));
            EXPECT_EQ(-EINVAL, skua_semaphore_release(&semaphore));
        }
        EXPECT_EQ(start, skua_semaphore_value(&semaphore));
    }
}

TEST(Semaphore, N114_PermitsDoNotOverflow)
{
    Semaphore full(INT_MAX);
    Semaphore nearly(INT_MAX - 1);

    EXPECT_EQ(INT_MAX, full.value());
    EXPECT_EQ(-EOVERFLOW, skua_semaphore_release(full));
    EXPECT_EQ(INT_MAX, full.value());
    EXPECT_EQ(0, full.acquire());
    EXPECT_EQ(0, skua_semaphore_release(full));
    EXPECT_EQ(0, skua_semaphore_release(nearly));
    EXPECT_EQ(-EOVERFLOW, skua_semaphore_release(nearly));
    EXPECT_EQ(INT_MAX, nearly.value());
    EXPECT_FALSE(nearly.locked());
}

TEST(Semaphore, MisuseIsAStatus)
{
    Semaphore semaphore(0);

    EXPECT_EQ(-EINVAL, skua_semaphore_acquire(nullptr));
    EXPECT_EQ(-EINVAL, skua_semaphore_acquire_until(nullptr, SKUA_FOREVER));
    EXPECT_EQ(-EINVAL, skua_semaphore_acquire_nowait(nullptr));
    EXPECT_EQ(-EINVAL, skua_semaphore_release(nullptr));
    EXPECT_FALSE(skua_semaphore_locked(nullptr));
    EXPECT_EQ(0, skua_semaphore_value(nullptr));
    EXPECT_EQ(-EINVAL,
              skua_semaphore_acquire_until(semaphore, SKUA_NOT_A_TIME));
    semaphore.release();
    EXPECT_EQ(-EINVAL,
              skua_semaphore_acquire_until(semaphore, SKUA_NOT_A_TIME));
    EXPECT_EQ(1, semaphore.value());
}

TEST_F(Conformance, ACallbackTakesAPermitAndWaitsForNone)
{
    Semaphore semaphore(1);
    Log log;

    soon(loop_, [&] {
        log.add(semaphore.acquire());
        log.add(semaphore.acquire());
        log.add(skua_semaphore_acquire_until(semaphore, SKUA_FOREVER));
        log.add(skua_semaphore_release(semaphore));
        log.add(skua_semaphore_acquire_nowait(semaphore));
    });
    drain();
    EXPECT_EQ((Order{0, -EDEADLK, -EDEADLK, 0, 0}), log.get());
}

/* --- order: 115, 116 --- */

TEST_P(ConformanceOne, N115_AcquireReleaseAcquireTakesTurns)
{
    Semaphore semaphore(1);
    Log log;
    const auto body = [&] {
        const auto visitor = [&](int id) {
            return [&, id] {
                for (int i = 0; i < 2; i++) {
                    EXPECT_EQ(0, semaphore.acquire());
                    log.add(id);
                    EXPECT_EQ(0, skua_yield());
                    semaphore.release();
                }
                return 0;
            };
        };
        const Future a = spawn(visitor(1));
        const Future b = spawn(visitor(2));
        const Future c = spawn(visitor(3));

        EXPECT_EQ(0, await_status(a));
        EXPECT_EQ(0, await_status(b));
        return await_status(c);
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ((Order{1, 2, 3, 1, 2, 3}), log.get());
}

TEST_P(ConformanceOne, N116_WhoReleasesAndAcquiresGoesBehindOlderWaiters)
{
    Semaphore semaphore(1);
    Log log;
    const auto body = [&] {
        const Future a = spawn(semaphore.take(log, 1));
        const Future b = spawn([&] {
            EXPECT_EQ(0, semaphore.take(log, 2)());
            semaphore.release();
            return semaphore.take(log, 4)();
        });
        const Future c = spawn(semaphore.take(log, 3));

        EXPECT_EQ(0, skua_yield());
        semaphore.release();
        semaphore.release();
        EXPECT_EQ(0, await_status(a));
        EXPECT_EQ(0, await_status(c));
        return await_status(b);
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ((Order{1, 2, 3, 4}), log.get());
}

/* Permits are left, but the first waiter has not run: a newcomer waits. */
TEST_P(ConformanceOne, N116_ANewcomerWaitsBehindAnOlderWaiter)
{
    Semaphore semaphore(0);
    Log log;
    Future last;
    const auto body = [&] {
        const Future a = spawn([&] {
            EXPECT_EQ(0, semaphore.value());
            EXPECT_EQ(0, semaphore.acquire());
            last = spawn(semaphore.take(log, 4));
            log.add(1);
            return 0;
        });
        const Future b = spawn([&] {
            semaphore.release();
            semaphore.release();
            semaphore.release();
            EXPECT_EQ(2, semaphore.value());
            EXPECT_TRUE(semaphore.locked());
            EXPECT_EQ(-EAGAIN, skua_semaphore_acquire_nowait(semaphore));
            return semaphore.take(log, 2)();
        });
        const Future c = spawn(semaphore.take(log, 3));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(Order{}, log.get());
        EXPECT_EQ(0, await_status(c));
        EXPECT_EQ(0, semaphore.value());
        semaphore.release();
        EXPECT_EQ(0, await_status(a));
        EXPECT_EQ(0, await_status(b));
        return await_status(last);
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ((Order{1, 2, 3, 4}), log.get());
}

TEST_P(ConformanceMany, N116_WaitersOfAllLoopsAreServedInOrder)
{
    constexpr int kWaiters = 12;
    Semaphore semaphore(0);
    Log log;
    const auto body = [&] {
        std::vector<Future> tasks;

        for (int i = 0; i < kWaiters; i++) {
            tasks.push_back(
                start_parked(static_cast<size_t>(i), semaphore.take(log, i)));
        }
        for (size_t i = 0; i < kWaiters; i++) {
            semaphore.release();
            EXPECT_EQ(0, await_status(tasks[i]));
            EXPECT_EQ(i + 1, log.size());
            EXPECT_EQ(static_cast<int>(i), log.get().back());
        }
        EXPECT_EQ(0, semaphore.value());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* --- cancelled: 117 --- */

TEST_P(ConformanceMany, N117_ACancelledWaiterTakesNone)
{
    Semaphore semaphore(0);
    Log log;
    const auto body = [&] {
        const Future a = start_parked(0, semaphore.take(log, 1));
        const Future b = start_parked(1, semaphore.take(log, 2));
        const Future c = start_parked(2, semaphore.take(log, 3));

        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_EQ(1, skua_task_cancel(c.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        EXPECT_EQ(SKUA_ECANCELED, await_status(c));
        semaphore.release();
        semaphore.release();
        EXPECT_EQ(0, await_status(b));
        EXPECT_EQ(1, semaphore.value());
        EXPECT_FALSE(semaphore.locked());
        return 0;
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ(Order{2}, log.get());
}

/* Two waiters are cancelled in the tick of the release, one before it. */
TEST_P(ConformanceOne, N117_CancelledBeforeTheyWereWoken)
{
    Semaphore semaphore(1);
    Log log;
    const auto body = [&] {
        EXPECT_EQ(0, semaphore.acquire());
        const Future a = spawn(semaphore.take(log, 1));
        const Future b = spawn(semaphore.take(log, 2));
        const Future c = spawn(semaphore.take(log, 3));
        const Future d = spawn(semaphore.take(log, 4));

        EXPECT_EQ(0, skua_yield());
        semaphore.release();
        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_EQ(1, skua_task_cancel(b.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        EXPECT_EQ(SKUA_ECANCELED, await_status(b));
        EXPECT_EQ(0, await_status(c));
        EXPECT_FALSE(skua_future_done(d.get()));
        EXPECT_TRUE(semaphore.locked());
        semaphore.release();
        EXPECT_EQ(0, await_status(d));
        return 0;
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ((Order{3, 4}), log.get());
}

TEST_P(ConformanceOne, N117_CancelAndReleaseInOneTickDoNotHang)
{
    Semaphore semaphore(0);
    Log log;
    const auto body = [&] {
        const Future a = spawn(semaphore.take(log, 1));
        const Future b = spawn(semaphore.take(log, 2));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(1, skua_task_cancel(a.get()));
        semaphore.release();
        EXPECT_EQ(0, skua_yield());
        EXPECT_TRUE(semaphore.locked());
        EXPECT_TRUE(skua_future_done(b.get()));
        EXPECT_EQ(0, await_status(b));
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* The owner cancels the one that waits, after it gave the permit back. */
TEST_P(ConformanceOne, N117_TheOwnerCancelsTheChosenOne)
{
    Semaphore semaphore(1);
    Log log;
    const auto body = [&] {
        const Future waiter = spawn([&] {
            EXPECT_EQ(0, skua_yield());
            return semaphore.take(log, 2)();
        });

        EXPECT_EQ(0, semaphore.acquire());
        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(0, skua_yield());
        semaphore.release();
        EXPECT_EQ(1, skua_task_cancel(waiter.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(waiter));
        EXPECT_EQ(1, semaphore.value());
        EXPECT_FALSE(semaphore.locked());
        return skua_semaphore_acquire_until(semaphore,
                                            skua_monotonic() + SKUA_S);
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ(Order{}, log.get());
}

TEST_P(ConformanceOne, N117_TheOrderSurvivesACancel)
{
    Semaphore semaphore(0);
    Log log;
    const auto body = [&] {
        const Future a = spawn(semaphore.take(log, 1));
        const Future b = spawn([&] {
            EXPECT_EQ(0, semaphore.take(log, 2)());
            return 0;
        });
        const Future c = spawn(semaphore.take(log, 3));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_EQ(0, skua_yield());
        semaphore.release();
        semaphore.release();
        EXPECT_EQ(0, await_status(c));
        EXPECT_EQ(0, await_status(b));
        return 0;
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ((Order{2, 3}), log.get());
}

TEST_P(ConformanceOne, N117_AChosenOneThatIsCancelledLetsNewcomersGo)
{
    Semaphore semaphore(0);
    Log log;
    const auto body = [&] {
        const Future a = spawn(semaphore.take(log, 1));

        EXPECT_EQ(0, skua_yield());
        semaphore.release();
        semaphore.release();
        const Future b = spawn(semaphore.take(log, 2));
        const Future c = spawn(semaphore.take(log, 3));

        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        EXPECT_EQ(0, await_status(b));
        EXPECT_EQ(0, await_status(c));
        EXPECT_EQ(0, semaphore.value());
        return 0;
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ((Order{2, 3}), log.get());
}

TEST_P(ConformanceMany, N117_GrantAndCancelMeetAndNoPermitIsLost)
{
    const int rounds = kRaceDetector ? 60 : 300;
    Semaphore semaphore(0);
    const auto body = [&] {
        for (int round = 0; round < rounds; round++) {
            int status = -1;
            const Future waiter = start_parked(0, [&] {
                status = semaphore.acquire();
                return 0;
            });
            const Future canceller = spawn_on(
                loops().back(),
                [&] {
                    (void)skua_task_cancel(waiter.get());
                    return 0;
                },
                true);

            semaphore.release();
            (void)await_status(waiter); /* may be cancelled after that */
            EXPECT_EQ(0, await_status(canceller));
            EXPECT_TRUE(status == 0 || status == SKUA_ECANCELED);
            EXPECT_EQ(status == 0 ? 0 : 1, semaphore.value());
            if (status != 0) {
                EXPECT_EQ(0, semaphore.acquire());
            }
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ(0, semaphore.value());
}

/* --- limits --- */

TEST_P(ConformanceMany, SemaphorePastDeadlineTakesWhatIsThere)
{
    Semaphore semaphore(2);
    const auto body = [&] {
        EXPECT_EQ(0, skua_semaphore_acquire_until(semaphore, 0));
        EXPECT_EQ(0, skua_semaphore_acquire_until(semaphore, INT64_MIN + 1));
        EXPECT_EQ(-ETIMEDOUT, skua_semaphore_acquire_until(semaphore, 0));
        EXPECT_EQ(-ETIMEDOUT, skua_semaphore_acquire_until(
                                  semaphore, skua_monotonic() + SKUA_MS));
        semaphore.release();
        EXPECT_EQ(1, semaphore.value());
        return semaphore.acquire();
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, SemaphoreLimitAndReleaseMeetAndNoPermitIsLost)
{
    const int rounds = kRaceDetector ? 60 : 300;
    Semaphore semaphore(0);
    const auto body = [&] {
        for (int round = 0; round < rounds; round++) {
            const int64_t deadline_ns = skua_monotonic() + 50 * SKUA_US;
            const Future waiter = spawn([&] {
                return skua_semaphore_acquire_until(semaphore, deadline_ns);
            });

            while (skua_monotonic() < deadline_ns - SKUA_US) {
                EXPECT_EQ(0, skua_yield());
            }
            semaphore.release();
            const int status = await_status(waiter);

            EXPECT_TRUE(status == 0 || status == -ETIMEDOUT);
            EXPECT_EQ(status == 0 ? 0 : 1, semaphore.value());
            if (status != 0) {
                EXPECT_EQ(0, semaphore.acquire());
            }
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* --- threads, and the end --- */

TEST_P(ConformanceMany, SemaphoreBetweenThreadsAndTasks)
{
    constexpr int kPermits = 200;
    Semaphore full(0);
    Semaphore empty(3);
    const auto body = [&] {
        std::thread thread([&] {
            for (int i = 0; i < kPermits; i++) {
                EXPECT_EQ(0, full.acquire());
                empty.release();
            }
        });

        for (int i = 0; i < kPermits; i++) {
            EXPECT_EQ(0, empty.acquire());
            full.release();
        }
        thread.join();
        EXPECT_EQ(0, full.value());
        EXPECT_EQ(3, empty.value());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* Who waits for all permits frees the semaphore at once. */
TEST_P(ConformanceMany, SemaphoreAsACompletionIsFreedByItsWaiter)
{
    constexpr int kParts = 5;
    const int rounds = kRaceDetector ? 60 : 500;
    const auto body = [&] {
        std::vector<Future> parts;

        for (int round = 0; round < rounds; round++) {
            auto semaphore = std::make_unique<Semaphore>(0);
            Semaphore *borrowed = semaphore.get();

            for (int i = 0; i < kParts; i++) {
                parts.push_back(spawn([borrowed] {
                    borrowed->release();
                    return 0;
                }));
            }
            for (int i = 0; i < kParts; i++) {
                EXPECT_EQ(0, borrowed->acquire());
            }
            semaphore.reset();
        }
        for (const Future &part : parts) {
            EXPECT_EQ(0, await_status(part));
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST(Semaphore, AsACompletionOfAThreadIsFreedByAnother)
{
    const int rounds = kRaceDetector ? 200 : 2000;
    std::vector<std::thread> threads;
    std::atomic<Semaphore *> next = nullptr;

    threads.emplace_back([&] {
        for (int round = 0; round < rounds; round++) {
            Semaphore *borrowed = nullptr;

            while ((borrowed = next.exchange(nullptr)) == nullptr) {
                std::this_thread::yield();
            }
            borrowed->release();
        }
    });
    for (int round = 0; round < rounds; round++) {
        auto semaphore = std::make_unique<Semaphore>(0);

        next = semaphore.get();
        EXPECT_EQ(0, semaphore->acquire());
    }
    threads.front().join();
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
