/* SPDX-License-Identifier: Apache-2.0 */
/*
 * awaited_by_test.cc - inventory F-20: who awaits a future.
 */
#include <algorithm>

#include "support.h"
#include "failing_allocator.h"

namespace conformance
{
namespace
{

/** The allocator of this program: in a thread that says so, one call fails. */
class Shortage
{
  public:
    static inline thread_local int left = 0; /* that which reaches 0 fails */

    static bool fails(size_t)
    {
        return left > 0 && --left == 0;
    }
};

const int installed = install_allocator(Shortage::fails);

void add(const Future &future, const Future &waiter)
{
    EXPECT_EQ(0, skua_future_add_to_awaited_by(future.get(), waiter.get()));
}

void discard(const Future &future, const Future &waiter)
{
    EXPECT_EQ(0,
              skua_future_discard_from_awaited_by(future.get(), waiter.get()));
}

int count(const Future &future)
{
    return skua_future_awaited_by(future.get(), nullptr, 0);
}

using Set = std::vector<skua_future *>;

/** Compared by address only. */
Set sorted(Set set)
{
    std::sort(set.begin(), set.end());
    return set;
}

Set waiters(const Future &future)
{
    Set found(256);
    const int number =
        skua_future_awaited_by(future.get(), found.data(), found.size());

    EXPECT_LE(0, number);
    EXPECT_GE(256, number);
    found.resize(number < 0 ? 0 : (size_t)number);
    for (skua_future *waiter : found) {
        skua_future_unref(waiter);
    }
    return sorted(found);
}

/* --- registered --- */

TEST_F(Conformance, F20_WhoIsRegisteredTwiceIsThereOnce)
{
    const Future future = make_future();
    const Future other = make_future();
    const Future first = make_future();
    const Future second = make_future(loop_);

    EXPECT_EQ(0, count(future));
    add(future, first);
    add(future, first);
    add(future, second);
    add(other, second);
    EXPECT_EQ(sorted({first.get(), second.get()}), waiters(future));
    EXPECT_EQ(Set{second.get()}, waiters(other));
    discard(future, first);
    EXPECT_EQ(Set{second.get()}, waiters(future));
    discard(future, first);
    discard(other, first);
    discard(future, second);
    EXPECT_EQ(0, count(future));
    EXPECT_EQ(Set{second.get()}, waiters(other));
    EXPECT_EQ(0, count(first));
}

TEST_F(Conformance, F20_TheOutcomeDoesNotChangeWhatIsRegistered)
{
    const Future future = make_future();
    const Future waiter = make_future();

    add(future, waiter);
    EXPECT_EQ(0, skua_future_set_result(future.get(), nullptr));
    EXPECT_EQ(1, skua_future_cancel(waiter.get()));
    EXPECT_EQ(Set{waiter.get()}, waiters(future));
    add(future, future);
    EXPECT_EQ(sorted({future.get(), waiter.get()}), waiters(future));
}

TEST_F(Conformance, F20_ThereMayBeMoreThanFit)
{
    const Future future = make_future();
    std::vector<Future> many;
    Set all;
    Set some(3);

    for (int i = 0; i < 200; i++) {
        many.push_back(make_future());
        add(future, many.back());
        all.push_back(many.back().get());
    }
    EXPECT_EQ(200, count(future));
    EXPECT_EQ(sorted(all), waiters(future));
    EXPECT_EQ(200, skua_future_awaited_by(future.get(), some.data(), 2));
    EXPECT_NE(some[0], some[1]);
    EXPECT_EQ(nullptr, some[2]);
    skua_future_unref(some[0]);
    skua_future_unref(some[1]);
}

TEST_F(Conformance, F20_AWaiterThatIsFreedAwaitsNoMore)
{
    const Future future = make_future();
    const Future stays = make_future();

    add(future, stays);
    for (int round = 0; round < 100; round++) {
        add(future, make_future());
        /* It has the same memory, most likely. */
        const Future next = make_future();

        EXPECT_EQ(Set{stays.get()}, waiters(future));
        discard(future, next);
        EXPECT_EQ(Set{stays.get()}, waiters(future));
    }
}

TEST_F(Conformance, F20_AFutureThatIsFreedIsAwaitedNoMore)
{
    const Future waiter = make_future();

    for (int round = 0; round < 100; round++) {
        const Future future = make_future();

        EXPECT_EQ(0, count(future));
        add(future, waiter);
        EXPECT_EQ(Set{waiter.get()}, waiters(future));
    }
}

TEST_F(Conformance, F20_ARingKeepsNothing)
{
    Future first = make_future(loop_);
    Future second = make_future(loop_);

    add(first, second);
    add(second, first);
    add(first, first);
    EXPECT_EQ(0, skua_future_set_error(first.get(), -EIO));
    EXPECT_EQ(0, skua_future_set_error(second.get(), -EIO));
    second.reset();
    EXPECT_EQ(1u, reports_.size());
    EXPECT_EQ(Set{first.get()}, waiters(first));
    first.reset();
    EXPECT_EQ(2u, reports_.count(-EIO));
}

TEST_F(Conformance, F20_MisuseIsRefused)
{
    const Future future = make_future();
    skua_future *nobody = nullptr;

    EXPECT_EQ(-EINVAL, skua_future_add_to_awaited_by(nullptr, future.get()));
    EXPECT_EQ(-EINVAL, skua_future_add_to_awaited_by(future.get(), nullptr));
    EXPECT_EQ(-EINVAL,
              skua_future_discard_from_awaited_by(nullptr, future.get()));
    EXPECT_EQ(-EINVAL,
              skua_future_discard_from_awaited_by(future.get(), nullptr));
    EXPECT_EQ(-EINVAL, skua_future_awaited_by(nullptr, &nobody, 1));
    EXPECT_EQ(-EINVAL, skua_future_awaited_by(future.get(), nullptr, 1));
}

TEST_F(Conformance, F20_AShortageChangesNothing)
{
    const Future future = make_future();
    const Future stays = make_future();

    ASSERT_EQ(0, installed);
    add(future, stays);
    for (int nth = 1;; nth++) {
        const Future waiter = make_future();
        int status;

        Shortage::left = nth;
        status = skua_future_add_to_awaited_by(future.get(), waiter.get());
        if (Shortage::left > 0) { /* it needed fewer */
            Shortage::left = 0;
            EXPECT_EQ(0, status);
            EXPECT_LT(2, nth);
            break;
        }
        EXPECT_EQ(-ENOMEM, status);
        EXPECT_EQ(Set{stays.get()}, waiters(future));
        discard(future, waiter);
    }
    Shortage::left = 1;
    EXPECT_EQ(-ENOMEM, count(future));
    EXPECT_EQ(Set{stays.get()}, waiters(future));
}

/* --- known to the library --- */

TEST_P(ConformanceMany, F20_TasksThatWaitAreThere)
{
    EXPECT_EQ(0, run([&] {
                  const Future gate = make_future();
                  const Future first = start_parked(
                      0, [&] { return skua_await(gate.get(), nullptr); });
                  const Future second = start_parked(1, [&] {
                      return skua_await_until(gate.get(),
                                              skua_monotonic() + 3600 * SKUA_S,
                                              nullptr);
                  });
                  const Future third = start_parked(2, [&] {
                      skua_future *both[] = {gate.get(), first.get()};

                      return skua_wait(both, 2, SKUA_FOREVER,
                                       SKUA_ALL_COMPLETED, nullptr);
                  });
                  const Future fourth = start_parked(3, [&] {
                      return skua_wait_for(skua_awaitable_future(gate.get()),
                                           3600 * SKUA_S, nullptr);
                  });

                  EXPECT_EQ(sorted({first.get(), second.get(), third.get(),
                                    fourth.get()}),
                            waiters(gate));
                  add(gate, first); /* registered as well: once */
                  EXPECT_EQ(4, count(gate));
                  discard(gate, first);
                  EXPECT_EQ(4, count(gate));
                  EXPECT_EQ(0, count(fourth));
                  EXPECT_EQ(1, skua_task_cancel(third.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(third.get(), nullptr));
                  EXPECT_EQ(3, count(gate));
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  EXPECT_EQ(0, count(gate));
                  EXPECT_EQ(0, skua_await(first.get(), nullptr));
                  EXPECT_EQ(0, skua_await(second.get(), nullptr));
                  EXPECT_EQ(0, skua_await(fourth.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, F20_AWaitThatRanOutIsOver)
{
    EXPECT_EQ(0, run([&] {
                  const Future gate = make_future();
                  const Future waiter = start_parked(1, [&] {
                      const int status = skua_await_until(
                          gate.get(), skua_monotonic() + SKUA_MS, nullptr);

                      EXPECT_EQ(0, count(gate));
                      return status;
                  });

                  EXPECT_EQ(-ETIMEDOUT, skua_await(waiter.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, F20_AGatherAwaitsItsChildren)
{
    EXPECT_EQ(
        0, run([&] {
            const Future gate = make_future();
            const Future plain = make_future();
            skua_gather_result results[3];
            skua_future *child = nullptr;
            skua_future *gather = nullptr;
            const skua_awaitable children[] = {
                skua_awaitable_future(plain.get()), call([&] {
                    child = skua_future_ref(skua_current_task());
                    return skua_await(gate.get(), nullptr);
                }),
                skua_awaitable_future(plain.get())};

            EXPECT_EQ(0, skua_gather(children, 3, nullptr, results, &gather));
            const Future all(gather);
            const Future parent =
                start_parked(1, [&] { return skua_await(all.get(), nullptr); });

            while (count(gate) == 0) {
                EXPECT_EQ(0, skua_yield());
            }
            const Future made(child);

            EXPECT_EQ(Set{made.get()}, waiters(gate));
            EXPECT_EQ(Set{all.get()}, waiters(made));
            EXPECT_EQ(Set{all.get()}, waiters(plain));
            EXPECT_EQ(Set{parent.get()}, waiters(all));
            EXPECT_EQ(0, skua_future_set_result(plain.get(), nullptr));
            EXPECT_EQ(0, count(plain));
            EXPECT_EQ(Set{all.get()}, waiters(made));
            EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
            EXPECT_EQ(0, skua_await(parent.get(), nullptr));
            EXPECT_EQ(0, count(made));
            return 0;
        }));
}

TEST_P(ConformanceMany, F20_AGatherThatEndedEarlyAwaitsNothing)
{
    EXPECT_EQ(0, run([&] {
                  const Future left = make_future();
                  const Future fails = make_future();
                  skua_gather_result results[2];
                  skua_future *gather = nullptr;
                  const skua_awaitable children[] = {
                      skua_awaitable_future(left.get()),
                      skua_awaitable_future(fails.get())};

                  EXPECT_EQ(
                      0, skua_gather(children, 2, nullptr, results, &gather));
                  const Future all(gather);

                  EXPECT_EQ(Set{all.get()}, waiters(left));
                  EXPECT_EQ(0, skua_future_set_error(fails.get(), -EIO));
                  EXPECT_EQ(-EIO, skua_await(all.get(), nullptr));
                  EXPECT_EQ(0, count(left));
                  return 0;
              }));
}

TEST_P(ConformanceMany, F20_AShieldAwaitsWhatItProtects)
{
    EXPECT_EQ(0, run([&] {
                  const Future inner = make_future();
                  skua_future *outer = nullptr;

                  EXPECT_EQ(0, skua_shield(skua_awaitable_future(inner.get()),
                                           &outer));
                  const Future shield(outer);

                  EXPECT_EQ(Set{shield.get()}, waiters(inner));
                  EXPECT_EQ(1, skua_future_cancel(shield.get()));
                  EXPECT_EQ(0, count(inner));
                  return 0;
              }));
}

TEST_P(ConformanceMany, F20_AWrapAwaitsTheWork)
{
    EXPECT_EQ(0, run([&] {
                  std::atomic<bool> goes = true;
                  skua_executor *pool = nullptr;
                  skua_future *wrapped = nullptr;

                  EXPECT_EQ(0, skua_thread_pool_executor_new(nullptr, &pool));
                  const Executor executor(pool);
                  const Future work = submit(pool, [&] {
                      while (goes) {
                          std::this_thread::yield();
                      }
                      return 0;
                  });

                  EXPECT_EQ(0, skua_wrap_future(nullptr, work.get(), &wrapped));
                  const Future outer(wrapped);

                  EXPECT_EQ(Set{outer.get()}, waiters(work));
                  goes = false;
                  EXPECT_EQ(0, skua_await(outer.get(), nullptr));
                  EXPECT_EQ(0, count(work));
                  return 0;
              }));
}

/* --- all at once --- */

constexpr int kRounds = kRaceDetector ? 100 : 400;
constexpr int kWaiters = 8;

/** One future and those that wait for it, over and over. */
class Storm
{
  public:
    explicit Storm(Harness &harness) : harness_(harness)
    {
    }

    /** A round: tasks wait, in several ways; one is cancelled, and at times one
     * that passes that on; then the future is done. */
    void round(int number)
    {
        const Future gate = make_future();
        const bool cancels_gate = number % 4 == 3;
        std::vector<Future> tasks;

        publish(gate);
        for (int i = 0; i < kWaiters; i++) {
            tasks.push_back(start(gate, i));
        }
        if (number % 2 == 0) {
            EXPECT_EQ(0, skua_yield());
        }
        EXPECT_EQ(1, skua_task_cancel(tasks[0].get()));
        if (cancels_gate) {
            EXPECT_EQ(1, skua_task_cancel(tasks[1].get()));
        }
        EXPECT_TRUE(skua_future_set_result(gate.get(), nullptr) == 0 ||
                    cancels_gate);
        EXPECT_EQ(SKUA_ECANCELED, skua_await(tasks[0].get(), nullptr));
        for (const Future &task : tasks) {
            const int status = skua_await(task.get(), nullptr);

            EXPECT_TRUE(status == 0 || cancels_gate || task == tasks[0])
                << status;
        }
        for (const skua_future *waiter : waiters(gate)) {
            for (const Future &task : tasks) {
                EXPECT_NE(task.get(), waiter);
            }
        }
    }

    void read()
    {
        bool first = true;

        while (!over) {
            const Future gate = current();

            if (gate != nullptr) {
                look(gate);
                reading += first ? 1 : 0;
                first = false;
            }
        }
    }

    /** Return once `readers` others read. */
    void await_readers(int readers)
    {
        publish(make_future());
        while (reading < readers) {
            EXPECT_EQ(0, skua_yield());
        }
    }

    std::atomic<bool> over = false;
    std::atomic<int> reading = 0;

  private:
    void publish(const Future &gate)
    {
        const std::scoped_lock lock(mutex_);

        gate_.reset(skua_future_ref(gate.get()));
    }

    Future current()
    {
        const std::scoped_lock lock(mutex_);

        return Future(skua_future_ref(gate_.get()));
    }

    /** Who is found lives, and can be asked itself. */
    void look(const Future &gate)
    {
        Set found(4 * kWaiters);
        const Future mine = make_future();
        int number;

        add(gate, mine);
        number = skua_future_awaited_by(gate.get(), found.data(), found.size());
        ASSERT_LE(1, number);
        ASSERT_GE((int)found.size(), number);
        found.resize((size_t)number);
        EXPECT_EQ(1, std::count(found.begin(), found.end(), mine.get()));
        for (skua_future *waiter : found) {
            EXPECT_NE(nullptr, waiter);
            EXPECT_LE(0, skua_future_awaited_by(waiter, nullptr, 0));
            skua_future_unref(waiter);
        }
        if (number % 2 == 0) { /* else it goes with its end */
            discard(gate, mine);
        }
    }

    static int await_shielded(skua_future *future)
    {
        skua_future *shield = nullptr;

        EXPECT_EQ(0, skua_shield(skua_awaitable_future(future), &shield));
        return skua_await(Future(shield).get(), nullptr);
    }

    static int await_gathered(skua_future *future)
    {
        const skua_awaitable child = skua_awaitable_future(future);
        skua_gather_result result;
        skua_future *gather = nullptr;

        EXPECT_EQ(0, skua_gather(&child, 1, nullptr, &result, &gather));
        return skua_await(Future(gather).get(), nullptr);
    }

    /** Only one that gathers passes a cancel request on to the future; one that
     * awaits it does as well, but none of those is cancelled. */
    Future start(const Future &gate, int kind)
    {
        skua_future *future = gate.get();

        return harness_.spawn([future, kind] {
            int status = 0;

            switch (kind % 4) {
            case 0:
                return await_shielded(future);
            case 1:
                return await_gathered(future);
            case 2:
                status = skua_await_until(
                    future, skua_monotonic() + 20 * SKUA_US, nullptr);
                return status == -ETIMEDOUT ? 0 : status;
            default:
                return skua_await(future, nullptr);
            }
        });
    }

    Harness &harness_;
    std::mutex mutex_;
    Future gate_;
};

TEST_P(ConformanceMany, F20_ReadersDisturbNobody)
{
    Storm storm(*this);

    std::thread reader([&] { storm.read(); });
    std::thread other([&] { storm.read(); });

    EXPECT_EQ(0, run([&] {
                  storm.await_readers(2);
                  for (int i = 0; i < kRounds; i++) {
                      storm.round(i);
                  }
                  return 0;
              }));
    storm.over = true;
    reader.join();
    other.join();
}

TEST_P(ConformanceMany, F20_ThreadsRegisterAtOnce)
{
    const Future future = make_future();
    std::vector<std::thread> threads;

    for (unsigned i = 0; i < GetParam(); i++) {
        threads.emplace_back([&] {
            for (int round = 0; round < kRounds; round++) {
                const Future waiter = make_future();
                const Future target = make_future();

                add(future, waiter);
                add(target, waiter);
                add(waiter, future);
                EXPECT_EQ(Set{waiter.get()}, waiters(target));
                EXPECT_EQ(Set{future.get()}, waiters(waiter));
                EXPECT_LE(1, count(future));
                if (round % 2 == 0) {
                    discard(future, waiter);
                }
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(0, count(future));
}

CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
