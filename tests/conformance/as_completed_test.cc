/* SPDX-License-Identifier: Apache-2.0 */
/*
 * as_completed_test.cc - conformance 80-82: as_completed; 160: of executor
 * futures.
 */
#include "support.h"

namespace conformance
{
namespace
{

/** An iterator that ends with its scope. */
class Completed
{
  public:
    Completed() = default;
    Completed(const Completed &) = delete;
    Completed &operator=(const Completed &) = delete;

    ~Completed()
    {
        skua_as_completed_fini(&self_);
    }

    void add(skua_future *future)
    {
        awaitables_.push_back(skua_awaitable_future(future));
    }

    void add(skua_awaitable awaitable)
    {
        awaitables_.push_back(awaitable);
    }

    int start(int64_t timeout_ns = SKUA_FOREVER)
    {
        return skua_as_completed_init(&self_, awaitables_.data(),
                                      awaitables_.size(), timeout_ns);
    }

    /** The next future, or NULL with the status. */
    skua_future *next(int *status = nullptr)
    {
        skua_future *future = nullptr;
        const int result = skua_as_completed_next(&self_, &future);

        if (status != nullptr) {
            *status = result;
        }
        return future;
    }

    /** The next value, or status. */
    int await()
    {
        void *value = nullptr;
        const int status = skua_as_completed_await(&self_, &value);

        return status < 0 ? status : static_cast<int>(as_int(value));
    }

    void stop()
    {
        skua_as_completed_fini(&self_);
    }

  private:
    skua_as_completed self_ = {};
    std::vector<skua_awaitable> awaitables_;
};

/* --- 80: order --- */

TEST_P(ConformanceMany, N080_TheOrderIsThatOfTheCompletions)
{
    EXPECT_EQ(0, run([&] {
                  Future futures[4] = {make_future(), make_future(),
                                       make_future(), make_future()};
                  Completed completed;
                  Future setter;

                  for (const Future &future : futures) {
                      completed.add(future.get());
                  }
                  completed.add(futures[1].get());
                  EXPECT_EQ(0, skua_future_set_result(futures[3].get(),
                                                      as_pointer(3)));
                  EXPECT_EQ(4, completed.start());
                  setter = spawn([&] {
                      for (const int i : {2, 0, 1}) {
                          EXPECT_EQ(0, skua_future_set_result(futures[i].get(),
                                                              as_pointer(i)));
                          EXPECT_EQ(0, skua_yield());
                      }
                      return 0;
                  });
                  for (const int i : {3, 2, 0, 1}) {
                      EXPECT_EQ(futures[i].get(), completed.next());
                  }
                  EXPECT_EQ(nullptr, completed.next());
                  EXPECT_EQ(SKUA_EINVALSTATE, completed.await());
                  return skua_await(setter.get(), nullptr);
              }));
}

TEST_P(ConformanceMany, N080_WhatWasDoneComesInTheOrderGiven)
{
    EXPECT_EQ(
        0, run([&] {
            Future futures[3] = {make_future(), make_future(), make_future()};
            Completed completed;

            for (const Future &future : futures) {
                completed.add(future.get());
            }
            for (const int i : {2, 0, 1}) {
                EXPECT_EQ(
                    0, skua_future_set_result(futures[i].get(), as_pointer(i)));
            }
            EXPECT_EQ(3, completed.start());
            EXPECT_EQ(0, completed.await());
            EXPECT_EQ(1, completed.await());
            EXPECT_EQ(2, completed.await());
            return 0;
        }));
}

TEST_P(ConformanceMany, N080_TheKthCallGetsTheKthCompletion)
{
    EXPECT_EQ(
        0, run([&] {
            Future futures[3] = {make_future(), make_future(), make_future()};
            std::atomic<int> waiting = 0;
            std::vector<Future> waiters;
            Completed completed;
            Order got(3);

            for (const Future &future : futures) {
                completed.add(future.get());
            }
            EXPECT_EQ(3, completed.start());
            for (size_t i = 0; i < 3; i++) {
                waiters.push_back(spawn_on(
                    skua_get_running_loop(),
                    [&, i] {
                        waiting++;
                        got[i] = completed.await();
                        return 0;
                    },
                    true));
            }
            while (waiting < 3) {
                EXPECT_EQ(0, skua_yield());
            }
            EXPECT_EQ(0, skua_sleep(SKUA_MS));
            /* Every completion is reserved. */
            EXPECT_EQ(nullptr, completed.next());
            for (const int i : {1, 2, 0}) {
                EXPECT_EQ(
                    0, skua_future_set_result(futures[i].get(), as_pointer(i)));
            }
            for (const Future &waiter : waiters) {
                EXPECT_EQ(0, skua_await(waiter.get(), nullptr));
            }
            EXPECT_EQ((Order{1, 2, 0}), got);
            return 0;
        }));
}

TEST_P(ConformanceMany, N080_OutcomesAreThoseOfTheChildren)
{
    EXPECT_EQ(0, run([&] {
                  Future failed = make_future();
                  Future cancelled = make_future();
                  Completed completed;

                  completed.add(failed.get());
                  completed.add(cancelled.get());
                  EXPECT_EQ(2, completed.start());
                  EXPECT_EQ(0, skua_future_set_error(failed.get(), -EIO));
                  EXPECT_EQ(1, skua_future_cancel(cancelled.get()));
                  EXPECT_EQ(-EIO, completed.await());
                  EXPECT_EQ(SKUA_ECANCELED, completed.await());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N080_NothingIsOverAtOnce)
{
    EXPECT_EQ(0, run([&] {
                  skua_as_completed zero = {};
                  skua_future *future = nullptr;
                  Completed none;

                  EXPECT_EQ(0, skua_as_completed_next(&zero, &future));
                  skua_as_completed_fini(&zero);
                  skua_as_completed_fini(nullptr);
                  EXPECT_EQ(0, none.start());
                  EXPECT_EQ(nullptr, none.next());
                  EXPECT_EQ(-EINVAL, skua_as_completed_next(nullptr, &future));
                  EXPECT_EQ(-EINVAL,
                            skua_as_completed_init(nullptr, nullptr, 0, 0));
                  EXPECT_EQ(-EINVAL, none.start(SKUA_NOT_A_TIME));
                  none.add(skua_awaitable{});
                  EXPECT_EQ(-EINVAL, none.start());
                  return 0;
              }));
}

/* --- 81: limits --- */

TEST_P(ConformanceMany, N081_AfterTheTimeTheRestGiveATimeout)
{
    EXPECT_EQ(0, run([&] {
                  Future gate = make_future();
                  Future done = make_future();
                  Future task =
                      spawn([&] { return skua_await(gate.get(), nullptr); });
                  Completed completed;

                  completed.add(task.get());
                  completed.add(done.get());
                  completed.add(gate.get());
                  EXPECT_EQ(0,
                            skua_future_set_result(done.get(), as_pointer(1)));
                  EXPECT_EQ(3, completed.start(SKUA_MS));
                  EXPECT_EQ(1, completed.await());
                  EXPECT_EQ(-ETIMEDOUT, completed.await());
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  EXPECT_EQ(-ETIMEDOUT, completed.await());
                  EXPECT_EQ(SKUA_EINVALSTATE, completed.await());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N081_TheTimeCountsFromInit)
{
    EXPECT_EQ(0, run([&] {
                  const int64_t start_ns = skua_monotonic();
                  Future pending = make_future();
                  Completed completed;
                  int status = 0;

                  completed.add(pending.get());
                  EXPECT_EQ(1, completed.start(5 * SKUA_MS));
                  EXPECT_EQ(0, skua_sleep(5 * SKUA_MS));
                  EXPECT_EQ(nullptr, completed.next(&status));
                  EXPECT_EQ(-ETIMEDOUT, status);
                  EXPECT_LE(start_ns + 5 * SKUA_MS, skua_monotonic());
                  EXPECT_FALSE(skua_future_done(pending.get()));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N081_ALimitThatIsNotReachedLeavesNoTimer)
{
    const int64_t start_ns = skua_monotonic();

    EXPECT_EQ(0, run([&] {
                  Completed completed;

                  completed.add(call([] {
                      EXPECT_EQ(0, skua_yield());
                      return skua_return(as_pointer(2));
                  }));
                  EXPECT_EQ(1, completed.start(3600 * SKUA_S));
                  EXPECT_EQ(2, completed.await());
                  return 0;
              }));
    EXPECT_GT(start_ns + 60 * SKUA_S, skua_monotonic());
}

/* --- 82: resuming, and the futures themselves --- */

TEST_P(ConformanceMany, N082_LeftAndResumed)
{
    EXPECT_EQ(0, run([&] {
                  Future first = make_future();
                  Future second = make_future();
                  Completed completed;
                  skua_future *future;

                  completed.add(first.get());
                  completed.add(second.get());
                  EXPECT_EQ(2, completed.start());
                  EXPECT_EQ(0, skua_future_set_result(second.get(), nullptr));
                  while ((future = completed.next()) != nullptr) {
                      EXPECT_EQ(second.get(), future);
                      break;
                  }
                  EXPECT_EQ(0, skua_future_set_result(first.get(), nullptr));
                  EXPECT_EQ(first.get(), completed.next());
                  EXPECT_EQ(nullptr, completed.next());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N082_ACoroutineGivesItsTask)
{
    EXPECT_EQ(0, run([&] {
                  Completed completed;
                  skua_future *task;

                  completed.add(call([] {
                      EXPECT_EQ(0, skua_yield());
                      return skua_return(skua_current_task());
                  }));
                  EXPECT_EQ(1, completed.start());
                  task = completed.next();
                  EXPECT_TRUE(skua_future_done(task));
                  {
                      void *self = nullptr;

                      EXPECT_EQ(0, skua_future_result(task, &self));
                      EXPECT_EQ(task, self);
                  }
                  return 0;
              }));
}

TEST_P(ConformanceMany, N082_WhatIsLeftEarlyGoesOn)
{
    EXPECT_EQ(0, run([&] {
                  const auto latch = std::make_shared<Latch>(1);
                  Future gate = make_future();
                  Completed completed;

                  completed.add(call([&, latch] {
                      EXPECT_EQ(0, skua_await(gate.get(), nullptr));
                      latch->down();
                      return 0;
                  }));
                  completed.add(gate.get());
                  EXPECT_EQ(2, completed.start());
                  completed.stop();
                  EXPECT_EQ(nullptr, completed.next());
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  return latch->wait();
              }));
}

TEST_P(ConformanceMany, N082_ACancelledCallLosesNothing)
{
    EXPECT_EQ(0, run([&] {
                  Future first = make_future();
                  Future second = make_future();
                  std::atomic<bool> waits = false;
                  Completed completed;
                  Future waiter;

                  completed.add(first.get());
                  completed.add(second.get());
                  EXPECT_EQ(2, completed.start());
                  waiter = spawn([&] {
                      waits = true;
                      return completed.await();
                  });
                  while (!waits) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  EXPECT_EQ(1, skua_task_cancel(waiter.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(waiter.get(), nullptr));
                  EXPECT_EQ(0, skua_future_set_result(second.get(), nullptr));
                  EXPECT_EQ(0, skua_future_set_result(first.get(), nullptr));
                  EXPECT_EQ(second.get(), completed.next());
                  EXPECT_EQ(first.get(), completed.next());
                  return 0;
              }));
}

TEST_P(ConformanceOne, N082_AnAnswerThatMeetsACancelGoesToTheNextCall)
{
    EXPECT_EQ(0, run([&] {
                  Future first = make_future();
                  Future second = make_future();
                  Completed completed;
                  Future waiter;

                  completed.add(first.get());
                  completed.add(second.get());
                  EXPECT_EQ(2, completed.start());
                  waiter = spawn([&] { return completed.await(); });
                  EXPECT_EQ(0, skua_yield());
                  /* Answered and queued, then cancelled before it runs. */
                  EXPECT_EQ(0, skua_future_set_result(second.get(), nullptr));
                  EXPECT_EQ(1, skua_task_cancel(waiter.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(waiter.get(), nullptr));
                  EXPECT_EQ(0, skua_future_set_result(first.get(), nullptr));
                  EXPECT_EQ(second.get(), completed.next());
                  EXPECT_EQ(first.get(), completed.next());
                  EXPECT_EQ(nullptr, completed.next());
                  return 0;
              }));
}

TEST_F(Conformance, N080_ACallbackMustNotWaitButMayTakeWhatIsReady)
{
    Future first = make_future(loop_);
    Future second = make_future(loop_);
    Completed completed;

    completed.add(first.get());
    completed.add(second.get());
    EXPECT_EQ(2, completed.start());
    soon(loop_, [&] {
        int status = 0;

        EXPECT_EQ(nullptr, completed.next(&status));
        EXPECT_EQ(-EDEADLK, status);
        EXPECT_EQ(0, skua_future_set_result(second.get(), nullptr));
        EXPECT_EQ(second.get(), completed.next());
    });
    drain();
    EXPECT_EQ(0, skua_future_set_result(first.get(), nullptr));
    EXPECT_EQ(first.get(), completed.next());
}

/* --- 160: plain threads and executors --- */

TEST(ConformanceThreads, N160_AThreadFollowsExecutorFutures)
{
    Lambdas lambdas;
    skua_executor *made = nullptr;
    Executor executor;
    Future gate = make_future();
    Future slow;
    Future fast;

    ASSERT_EQ(0, skua_thread_pool_executor_new(nullptr, &made));
    executor.reset(made);
    slow = lambdas.submit(executor.get(), [&] {
        EXPECT_EQ(0, skua_await(gate.get(), nullptr));
        return skua_return(as_pointer(1));
    });
    fast = lambdas.submit(executor.get(),
                          [] { return skua_return(as_pointer(2)); });
    Completed completed;

    completed.add(slow.get());
    completed.add(fast.get());
    completed.add(slow.get());
    EXPECT_EQ(2, completed.start());
    EXPECT_EQ(2, completed.await());
    EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
    EXPECT_EQ(1, completed.await());
    EXPECT_EQ(SKUA_EINVALSTATE, completed.await());
}

TEST(ConformanceThreads, N160_AThreadRunsOutOfTime)
{
    Future pending = make_future();
    Completed completed;

    completed.add(pending.get());
    EXPECT_EQ(1, completed.start(SKUA_MS));
    EXPECT_EQ(-ETIMEDOUT, completed.await());
    EXPECT_EQ(SKUA_EINVALSTATE, completed.await());
    EXPECT_FALSE(skua_future_done(pending.get()));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
