/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barrier_test.cc - conformance 119-121: barriers.
 */
#include <algorithm>
#include <array>

#include "support.h"

namespace conformance
{
namespace
{

class Barrier
{
  public:
    explicit Barrier(int parties)
    {
        EXPECT_EQ(0, skua_barrier_init(&barrier_, parties));
    }

    int wait()
    {
        return skua_barrier_wait(&barrier_);
    }

    [[nodiscard]] int waiting() const
    {
        return skua_barrier_n_waiting(&barrier_);
    }

    [[nodiscard]] bool broken() const
    {
        return skua_barrier_broken(&barrier_);
    }

    operator skua_barrier *()
    {
        return &barrier_;
    }

    /** A body: wait and note the status. */
    Body visit(Log &log)
    {
        return [this, &log] {
            const int status = wait();

            log.add(status);
            return status < 0 ? status : 0;
        };
    }

  private:
    skua_barrier barrier_ = {};
};

int await_status(const Future &task)
{
    return skua_await(task.get(), nullptr);
}

/* --- filling: 119 --- */

TEST_P(ConformanceOne, N119_TheLastOneFreesAllInOrder)
{
    Barrier barrier(3);
    Log log;
    const auto body = [&] {
        EXPECT_EQ(3, skua_barrier_parties(barrier));
        EXPECT_EQ(0, barrier.waiting());
        const Future a = spawn(barrier.visit(log));
        const Future b = spawn(barrier.visit(log));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(2, barrier.waiting());
        EXPECT_EQ(2, barrier.wait()); /* the last: at once */
        EXPECT_EQ(0, barrier.waiting());
        EXPECT_EQ(Order{}, log.get());
        EXPECT_EQ(0, await_status(b));
        EXPECT_EQ((Order{0, 1}), log.get());
        EXPECT_FALSE(barrier.broken());
        return await_status(a);
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N119_EachPartyGetsAnotherIndex)
{
    constexpr int kParties = 6;
    Barrier barrier(kParties);
    Log log;
    const auto body = [&] {
        std::vector<Future> tasks;

        for (size_t i = 0; i < kParties; i++) {
            tasks.push_back(start_parked(i, barrier.visit(log)));
            EXPECT_EQ((static_cast<int>(i) + 1) % kParties, barrier.waiting());
        }
        for (const Future &task : tasks) {
            EXPECT_EQ(0, await_status(task));
        }
        Order indexes = log.get();

        std::sort(indexes.begin(), indexes.end());
        EXPECT_EQ((Order{0, 1, 2, 3, 4, 5}), indexes);
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N119_ItIsReusableAtOnce)
{
    constexpr int kParties = 4;
    constexpr int kRounds = 60;
    Barrier barrier(kParties);
    std::vector<std::atomic<int>> sums(kRounds);
    std::vector<std::atomic<int>> arrived(kRounds);
    const auto body = [&] {
        std::vector<Future> tasks;

        for (int i = 0; i < kParties; i++) {
            tasks.push_back(spawn([&] {
                for (size_t round = 0; round < kRounds; round++) {
                    arrived[round]++;
                    const int index = barrier.wait();

                    EXPECT_EQ(kParties, arrived[round]);
                    EXPECT_LE(0, index);
                    sums[round] += 1 << (4 * index);
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
    for (const std::atomic<int> &sum : sums) {
        EXPECT_EQ(0x1111, sum);
    }
    EXPECT_EQ(0, barrier.waiting());
}

TEST_P(ConformanceMany, N119_OnePartyNeverWaits)
{
    Barrier barrier(1);
    const auto body = [&] {
        EXPECT_EQ(0, barrier.wait());
        EXPECT_EQ(0, skua_barrier_wait_until(barrier, 0));
        EXPECT_EQ(0, skua_barrier_abort(barrier));
        EXPECT_EQ(SKUA_EBROKENBARRIER, barrier.wait());
        EXPECT_EQ(0, skua_barrier_reset(barrier));
        return barrier.wait();
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N119_ACancelledWaiterJustLeaves)
{
    Barrier barrier(3);
    Log log;
    const auto body = [&] {
        const Future a = start_parked(0, barrier.visit(log));
        const Future b = start_parked(1, barrier.visit(log));

        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        EXPECT_EQ(1, barrier.waiting());
        const Future c = start_parked(2, barrier.visit(log));

        EXPECT_EQ(2, barrier.waiting());
        EXPECT_EQ(2, barrier.wait());
        EXPECT_EQ(0, await_status(b));
        EXPECT_EQ(0, await_status(c));
        EXPECT_FALSE(barrier.broken());
        Order seen = log.get();

        std::sort(seen.begin(), seen.end());
        EXPECT_EQ((Order{SKUA_ECANCELED, 0, 1}), seen);
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* The others have gone through with it by then. */
TEST_P(ConformanceOne, N119_FreedAndThenCancelledIsCancelled)
{
    Barrier barrier(3);
    Log log;
    const auto body = [&] {
        const Future a = spawn(barrier.visit(log));
        const Future b = spawn(barrier.visit(log));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(2, barrier.wait());
        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        EXPECT_EQ(0, await_status(b));
        EXPECT_EQ(0, barrier.waiting());
        EXPECT_EQ((Order{SKUA_ECANCELED, 1}), log.get());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N119_AWaiterMayTimeOut)
{
    Barrier barrier(2);
    const auto body = [&] {
        EXPECT_EQ(-ETIMEDOUT, skua_barrier_wait_until(barrier, 0));
        EXPECT_EQ(-ETIMEDOUT,
                  skua_barrier_wait_until(barrier, skua_monotonic() + SKUA_MS));
        EXPECT_EQ(0, barrier.waiting());
        EXPECT_FALSE(barrier.broken());
        Log log;
        const Future a = start_parked(0, barrier.visit(log));

        EXPECT_EQ(1, skua_barrier_wait_until(barrier, 0)); /* the last */
        EXPECT_EQ(0, await_status(a));
        EXPECT_EQ(Order{0}, log.get());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* --- draining: 120 --- */

/* Two are freed and have not run: who comes now belongs to the next round. */
TEST_P(ConformanceOne, N120_WhoComesWhileItDrainsWaitsForTheNextRound)
{
    Barrier barrier(2);
    Log log;
    const auto body = [&] {
        const Future a = spawn(barrier.visit(log));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(1, barrier.wait());
        const Future early = spawn(barrier.visit(log));

        EXPECT_EQ(0, await_status(a));
        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(Order{0}, log.get());
        EXPECT_FALSE(skua_future_done(early.get()));
        EXPECT_EQ(1, barrier.waiting());
        EXPECT_EQ(1, barrier.wait());
        EXPECT_EQ(0, await_status(early));
        EXPECT_EQ((Order{0, 0}), log.get());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N120_NobodyIsInTwoRoundsAtOnce)
{
    constexpr int kParties = 3;
    constexpr int kTasks = 8;
    constexpr int kVisits = 60 * kParties;
    Barrier barrier(kParties);
    std::array<std::atomic<int>, kParties> seen = {};
    std::atomic<int> visits = 0;
    const auto body = [&] {
        std::vector<Future> tasks;

        for (int i = 0; i < kTasks; i++) {
            tasks.push_back(spawn([&] {
                while (visits++ < kVisits) {
                    const int index = barrier.wait();

                    EXPECT_LE(0, index);
                    EXPECT_GT(kParties, index);
                    seen[static_cast<size_t>(index)]++;
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
    for (const std::atomic<int> &count : seen) {
        EXPECT_EQ(kVisits / kParties, count);
    }
}

/* --- reset and abort: 121 --- */

TEST_P(ConformanceMany, N121_ResetFailsThoseWhoWaitAndStartsAfresh)
{
    Barrier barrier(3);
    Log log;
    const auto body = [&] {
        const Future a = start_parked(0, barrier.visit(log));
        const Future b = start_parked(1, barrier.visit(log));

        EXPECT_EQ(0, skua_barrier_reset(barrier));
        EXPECT_FALSE(barrier.broken());
        EXPECT_EQ(0, barrier.waiting());
        EXPECT_EQ(SKUA_EBROKENBARRIER, await_status(a));
        EXPECT_EQ(SKUA_EBROKENBARRIER, await_status(b));
        const Future c = start_parked(0, barrier.visit(log));
        const Future d = start_parked(1, barrier.visit(log));

        EXPECT_EQ(2, barrier.wait());
        EXPECT_EQ(0, await_status(c));
        return await_status(d);
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N121_ResetOfAnEmptyOneDoesNothing)
{
    Barrier barrier(2);
    const auto body = [&] {
        EXPECT_EQ(0, skua_barrier_reset(barrier));
        EXPECT_FALSE(barrier.broken());
        EXPECT_EQ(0, barrier.waiting());
        EXPECT_EQ(2, skua_barrier_parties(barrier));
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* They were freed before, so they do not fail. */
TEST_P(ConformanceOne, N121_ResetWhileItDrainsLeavesTheFreedAlone)
{
    Barrier barrier(2);
    Log log;
    const auto body = [&] {
        const Future a = spawn(barrier.visit(log));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(1, barrier.wait());
        EXPECT_EQ(0, skua_barrier_reset(barrier));
        EXPECT_EQ(0, await_status(a));
        EXPECT_EQ(Order{0}, log.get());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N121_AbortBreaksItForAllUntilItIsReset)
{
    Barrier barrier(3);
    Log log;
    const auto body = [&] {
        const Future a = start_parked(0, barrier.visit(log));
        const Future b = start_parked(1, barrier.visit(log));

        EXPECT_EQ(0, skua_barrier_abort(barrier));
        EXPECT_TRUE(barrier.broken());
        EXPECT_EQ(SKUA_EBROKENBARRIER, await_status(a));
        EXPECT_EQ(SKUA_EBROKENBARRIER, await_status(b));
        EXPECT_EQ(SKUA_EBROKENBARRIER, barrier.wait());
        EXPECT_EQ(SKUA_EBROKENBARRIER, skua_barrier_wait_until(barrier, 0));
        EXPECT_EQ(0, barrier.waiting());
        EXPECT_EQ(0, skua_barrier_abort(barrier));
        EXPECT_EQ(0, skua_barrier_reset(barrier));
        EXPECT_FALSE(barrier.broken());
        const Future c = start_parked(0, barrier.visit(log));
        const Future d = start_parked(1, barrier.visit(log));

        EXPECT_EQ(2, barrier.wait());
        EXPECT_EQ(0, await_status(c));
        return await_status(d);
    };

    EXPECT_EQ(0, run(body));
}

/* As asyncio: the error of the barrier gives way to the cancellation. */
TEST_P(ConformanceOne, N121_AbortedAndThenCancelledIsCancelled)
{
    Barrier barrier(2);
    Log log;
    const auto body = [&] {
        const Future a = spawn(barrier.visit(log));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(0, skua_barrier_abort(barrier));
        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* --- misuse --- */

TEST(Barrier, MisuseIsAStatus)
{
    skua_barrier unset = {};
    Barrier barrier(2);

    EXPECT_EQ(-EINVAL, skua_barrier_init(nullptr, 1));
    EXPECT_EQ(-EINVAL, skua_barrier_init(&unset, 0));
    EXPECT_EQ(-EINVAL, skua_barrier_init(&unset, -1));
    for (skua_barrier *bad : {static_cast<skua_barrier *>(nullptr), &unset}) {
        EXPECT_EQ(-EINVAL, skua_barrier_wait(bad));
        EXPECT_EQ(-EINVAL, skua_barrier_wait_until(bad, 0));
        EXPECT_EQ(-EINVAL, skua_barrier_reset(bad));
        EXPECT_EQ(-EINVAL, skua_barrier_abort(bad));
        EXPECT_EQ(0, skua_barrier_parties(bad));
        EXPECT_EQ(0, skua_barrier_n_waiting(bad));
        EXPECT_FALSE(skua_barrier_broken(bad));
    }
    EXPECT_EQ(-EINVAL, skua_barrier_wait_until(barrier, SKUA_NOT_A_TIME));
    EXPECT_EQ(0, barrier.waiting());
}

TEST_F(Conformance, ACallbackResetsABarrierAndDoesNotWait)
{
    Barrier barrier(2);
    Log log;
    const Future task = spawn_on(loop_, barrier.visit(log));

    drain();
    soon(loop_, [&] {
        log.add(skua_barrier_reset(barrier));
        log.add(barrier.wait());
    });
    drain();
    EXPECT_EQ((Order{0, -EDEADLK, SKUA_EBROKENBARRIER}), log.get());
    EXPECT_EQ(0, barrier.waiting());
}

/* --- threads --- */

TEST_P(ConformanceMany, BarrierOfThreadsAndTasks)
{
    constexpr int kRounds = 20;
    Barrier barrier(4);
    std::vector<std::atomic<int>> sums(kRounds);
    const auto play = [&] {
        for (std::atomic<int> &sum : sums) {
            const int index = barrier.wait();

            EXPECT_LE(0, index);
            sum += 1 << (4 * index);
        }
        return 0;
    };
    const auto body = [&] {
        std::thread one(play);
        std::thread two(play);
        const Future task = spawn(play);

        EXPECT_EQ(0, play());
        EXPECT_EQ(0, await_status(task));
        one.join();
        two.join();
        return 0;
    };

    EXPECT_EQ(0, run(body));
    for (const std::atomic<int> &sum : sums) {
        EXPECT_EQ(0x1111, sum);
    }
}

TEST(Barrier, AThreadWaitsUntilItsLimit)
{
    Barrier barrier(2);
    const int64_t deadline_ns = skua_monotonic() + 2 * SKUA_MS;

    EXPECT_EQ(-ETIMEDOUT, skua_barrier_wait_until(barrier, deadline_ns));
    EXPECT_LE(deadline_ns, skua_monotonic());
    EXPECT_EQ(0, barrier.waiting());
}

TEST_P(ConformanceMany, BarrierIsAbortedByAThread)
{
    Barrier barrier(2);
    Log log;
    const auto body = [&] {
        const Future task = start_parked(1, barrier.visit(log));
        std::thread thread([&] { EXPECT_EQ(0, skua_barrier_abort(barrier)); });

        EXPECT_EQ(SKUA_EBROKENBARRIER, await_status(task));
        thread.join();
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_F(Conformance, ClosingTheLoopTakesItsWaitersOutOfABarrier)
{
    Barrier barrier(2);
    Log log;
    const Future task = spawn_on(loop_, barrier.visit(log));

    drain();
    EXPECT_EQ(1, barrier.waiting());
    EXPECT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(SKUA_ECLOSED, skua_future_result(task.get(), nullptr));
    EXPECT_EQ(0, barrier.waiting());
    EXPECT_EQ(Order{}, log.get());
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
