/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait_test.cc - conformance 67-72: wait; 160: of executor futures.
 */
#include "support.h"

namespace conformance
{
namespace
{

constexpr skua_return_when kWhens[] = {SKUA_ALL_COMPLETED, SKUA_FIRST_COMPLETED,
                                       SKUA_FIRST_EXCEPTION};

/** Futures as skua_wait() takes them, and what it says about them. */
class Batch
{
  public:
    explicit Batch(size_t count)
    {
        for (size_t i = 0; i < count; i++) {
            add(make_future());
        }
    }

    void add(Future future)
    {
        futures_.push_back(future.get());
        owners_.push_back(std::move(future));
    }

    void add_again(size_t index)
    {
        futures_.push_back(futures_[index]);
    }

    skua_future *operator[](size_t index) const
    {
        return futures_[index];
    }

    int wait(skua_return_when when, int64_t timeout_ns = SKUA_FOREVER)
    {
        /* vector<bool> has no array to give. */
        const auto done = std::make_unique<bool[]>(futures_.size());
        const int status = skua_wait(futures_.data(), futures_.size(),
                                     timeout_ns, when, done.get());

        if (status >= 0) {
            done_.clear();
            for (size_t i = 0; i < futures_.size(); i++) {
                done_ += done[i] ? '1' : '0';
            }
        }
        return status;
    }

    /** One digit for each: whether it was done. */
    [[nodiscard]] const std::string &done() const
    {
        return done_;
    }

  private:
    std::vector<Future> owners_;
    std::vector<skua_future *> futures_;
    std::string done_;
};

/* --- 67: arguments --- */

TEST_P(ConformanceMany, N067_NothingToWaitForIsRefused)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  skua_future *futures[] = {future.get(), nullptr};

                  EXPECT_EQ(-EINVAL, skua_wait(futures, 0, SKUA_FOREVER,
                                               SKUA_ALL_COMPLETED, nullptr));
                  EXPECT_EQ(-EINVAL, skua_wait(nullptr, 1, SKUA_FOREVER,
                                               SKUA_ALL_COMPLETED, nullptr));
                  EXPECT_EQ(-EINVAL, skua_wait(futures, 2, SKUA_FOREVER,
                                               SKUA_ALL_COMPLETED, nullptr));
                  EXPECT_EQ(-EINVAL, skua_wait(futures, 1, SKUA_NOT_A_TIME,
                                               SKUA_ALL_COMPLETED, nullptr));
                  EXPECT_EQ(-EINVAL, skua_wait(futures, 1, SKUA_FOREVER,
                                               static_cast<skua_return_when>(3),
                                               nullptr));
                  futures[0] = skua_current_task();
                  EXPECT_EQ(-EDEADLK, skua_wait(futures, 1, SKUA_FOREVER,
                                                SKUA_ALL_COMPLETED, nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N067_DuplicatesCountOnce)
{
    EXPECT_EQ(0, run([&] {
                  /* More than 32 take another table. */
                  for (const size_t count : {size_t{2}, size_t{100}}) {
                      Batch batch(count);

                      for (size_t i = 0; i < count; i++) {
                          EXPECT_EQ(0,
                                    skua_future_set_result(batch[i], nullptr));
                          batch.add_again(i);
                      }
                      EXPECT_EQ(static_cast<int>(count),
                                batch.wait(SKUA_ALL_COMPLETED));
                      EXPECT_EQ(std::string(2 * count, '1'), batch.done());
                  }
                  return 0;
              }));
}

TEST_P(ConformanceMany, N067_APendingDuplicateIsOne)
{
    EXPECT_EQ(0, run([&] {
                  for (const skua_return_when when : kWhens) {
                      Batch batch(1);
                      Future setter;

                      batch.add_again(0);
                      setter = spawn([&] {
                          return skua_future_set_result(batch[0], nullptr);
                      });
                      EXPECT_EQ(1, batch.wait(when));
                      EXPECT_EQ("11", batch.done());
                      EXPECT_EQ(0, skua_await(setter.get(), nullptr));
                  }
                  return 0;
              }));
}

TEST_F(Conformance, N067_ACallbackMustNotWait)
{
    Future future = make_future(loop_);
    skua_future *futures[] = {future.get()};

    soon(loop_, [&] {
        for (const skua_return_when when : kWhens) {
            EXPECT_EQ(-EDEADLK,
                      skua_wait(futures, 1, SKUA_FOREVER, when, nullptr));
        }
        EXPECT_EQ(0, skua_future_set_result(future.get(), nullptr));
        EXPECT_EQ(1, skua_wait(futures, 1, SKUA_FOREVER, SKUA_ALL_COMPLETED,
                               nullptr));
    });
    drain();
    EXPECT_TRUE(skua_future_done(future.get()));
}

/* --- 68: limits --- */

TEST_P(ConformanceMany, N068_ATimeoutIsNoErrorAndCancelsNothing)
{
    EXPECT_EQ(0, run([&] {
                  for (const skua_return_when when :
                       {SKUA_ALL_COMPLETED, SKUA_FIRST_EXCEPTION}) {
                      Future gate = make_future();
                      Batch batch(1);

                      EXPECT_EQ(0, skua_future_set_result(batch[0], nullptr));
                      batch.add(spawn(
                          [&] { return skua_await(gate.get(), nullptr); }));
                      EXPECT_EQ(1, batch.wait(when, SKUA_MS));
                      EXPECT_EQ("10", batch.done());
                      EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                      EXPECT_EQ(2, batch.wait(when));
                      EXPECT_EQ(0, skua_await(batch[1], nullptr));
                  }
                  return 0;
              }));
}

TEST_P(ConformanceMany, N068_NoTimeGivesUpOneIteration)
{
    EXPECT_EQ(0, run([&] {
                  for (const skua_return_when when : kWhens) {
                      Batch batch(1);

                      EXPECT_EQ(0, batch.wait(when, 0));
                      EXPECT_EQ("0", batch.done());
                      EXPECT_EQ(0, batch.wait(when, -SKUA_S));
                      EXPECT_EQ(0, skua_future_set_result(batch[0], nullptr));
                      EXPECT_EQ(1, batch.wait(when, 0));
                  }
                  return 0;
              }));
}

TEST_P(ConformanceOne, N068_NoTimeLetsOthersRunOnce)
{
    EXPECT_EQ(0, run([&] {
                  Batch batch(0);

                  batch.add(spawn([] { return 0; }));
                  EXPECT_EQ(1, batch.wait(SKUA_ALL_COMPLETED, 0));
                  return 0;
              }));
}

/* --- 69: cancelling --- */

TEST_P(ConformanceMany, N069_ACancelledWaitLeavesThemRunning)
{
    EXPECT_EQ(
        0, run([&] {
            for (const skua_return_when when : kWhens) {
                Future gate = make_future();
                Batch batch(0);
                std::atomic<bool> waits = false;
                Future waiter;

                for (int i = 0; i < 3; i++) {
                    batch.add(
                        spawn([&] { return skua_await(gate.get(), nullptr); }));
                }
                waiter = spawn([&] {
                    waits = true;
                    return batch.wait(when);
                });
                while (!waits) {
                    EXPECT_EQ(0, skua_yield());
                }
                EXPECT_EQ(0, skua_sleep(SKUA_MS));
                EXPECT_EQ(1, skua_task_cancel(waiter.get()));
                EXPECT_EQ(SKUA_ECANCELED, skua_await(waiter.get(), nullptr));
                EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                EXPECT_EQ(3, batch.wait(SKUA_ALL_COMPLETED));
                for (size_t i = 0; i < 3; i++) {
                    EXPECT_EQ(0, skua_await(batch[i], nullptr));
                }
            }
            return 0;
        }));
}

TEST_P(ConformanceMany, N069_ARequestBeforeTheWaitEndsIt)
{
    EXPECT_EQ(0, run([&] {
                  for (const skua_return_when when : kWhens) {
                      Batch batch(2);
                      Future waiter = spawn([&] {
                          EXPECT_EQ(1, skua_task_cancel(skua_current_task()));
                          EXPECT_EQ(SKUA_ECANCELED, batch.wait(when));
                          return 0;
                      });

                      EXPECT_EQ(0, skua_await(waiter.get(), nullptr));
                      EXPECT_FALSE(skua_future_done(batch[0]));
                  }
                  return 0;
              }));
}

/* --- 70: first completed --- */

TEST_P(ConformanceMany, N070_TheFirstEndIsEnough)
{
    EXPECT_EQ(0, run([&] {
                  Batch batch(3);
                  Future setter = spawn([&] {
                      return skua_future_set_result(batch[1], nullptr);
                  });

                  EXPECT_EQ(1, batch.wait(SKUA_FIRST_COMPLETED));
                  EXPECT_EQ("010", batch.done());
                  EXPECT_EQ(1, skua_future_cancel(batch[2]));
                  EXPECT_EQ(2, batch.wait(SKUA_FIRST_COMPLETED));
                  EXPECT_EQ("011", batch.done());
                  EXPECT_EQ(0, skua_await(setter.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N070_CancelledIsAnEnd)
{
    EXPECT_EQ(0, run([&] {
                  Batch batch(2);
                  Future canceller = spawn([&] {
                      EXPECT_EQ(1, skua_future_cancel(batch[0]));
                      return 0;
                  });

                  EXPECT_EQ(1, batch.wait(SKUA_FIRST_COMPLETED));
                  EXPECT_EQ("10", batch.done());
                  EXPECT_EQ(0, skua_await(canceller.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceOne, N070_AllThatHasEndedByThenIsDone)
{
    EXPECT_EQ(0, run([&] {
                  Batch batch(3);

                  soon(skua_get_running_loop(), [&] {
                      EXPECT_EQ(0, skua_future_set_result(batch[2], nullptr));
                      EXPECT_EQ(0, skua_future_set_error(batch[0], -EIO));
                  });
                  EXPECT_EQ(2, batch.wait(SKUA_FIRST_COMPLETED));
                  EXPECT_EQ("101", batch.done());
                  EXPECT_EQ(-EIO, skua_await(batch[0], nullptr));
                  return 0;
              }));
}

/* --- 71: first exception --- */

TEST_P(ConformanceMany, N071_AnErrorEndsItACancelledChildDoesNot)
{
    EXPECT_EQ(0, run([&] {
                  Batch batch(4);
                  Future failer = spawn([&] {
                      EXPECT_EQ(1, skua_future_cancel(batch[0]));
                      EXPECT_EQ(0, skua_future_set_result(batch[1], nullptr));
                      EXPECT_EQ(0, skua_yield());
                      return skua_future_set_error(batch[2], -EIO);
                  });

                  EXPECT_EQ(3, batch.wait(SKUA_FIRST_EXCEPTION));
                  EXPECT_EQ("1110", batch.done());
                  EXPECT_EQ(-EIO, skua_await(batch[2], nullptr));
                  EXPECT_EQ(0, skua_await(failer.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N071_AnErrorBeforeEndsItAtOnce)
{
    EXPECT_EQ(0, run([&] {
                  Batch batch(2);

                  EXPECT_EQ(0, skua_future_set_error(batch[1], -EIO));
                  EXPECT_EQ(1, batch.wait(SKUA_FIRST_EXCEPTION));
                  EXPECT_EQ("01", batch.done());
                  EXPECT_EQ(-EIO, skua_await(batch[1], nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N071_WithoutAnErrorItWaitsForAll)
{
    EXPECT_EQ(0, run([&] {
                  Batch batch(3);
                  Future setter = spawn([&] {
                      EXPECT_EQ(0, skua_future_set_result(batch[2], nullptr));
                      EXPECT_EQ(0, skua_yield());
                      EXPECT_EQ(1, skua_future_cancel(batch[0]));
                      EXPECT_EQ(0, skua_yield());
                      return skua_future_set_result(batch[1], nullptr);
                  });

                  EXPECT_EQ(3, batch.wait(SKUA_FIRST_EXCEPTION));
                  EXPECT_EQ("111", batch.done());
                  EXPECT_EQ(0, skua_await(setter.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N071_TheErrorIsNotRead)
{
    EXPECT_EQ(0, run([&] {
                  Batch batch(1);

                  EXPECT_EQ(0, skua_future_set_error(batch[0], -EIO));
                  EXPECT_EQ(1, batch.wait(SKUA_FIRST_EXCEPTION));
                  return 0;
              }));
    EXPECT_EQ(1U, reports_.count(-EIO));
}

/* --- 72: nothing stays behind --- */

TEST_P(ConformanceMany, N072_ManyShortWaitsOnOneLongLivedFuture)
{
    const int rounds = kRaceDetector ? 2000 : 100000;

    EXPECT_EQ(0, run([&] {
                  Batch batch(1);
                  Future waiter;

                  batch.add(make_future());
                  for (int i = 0; i < rounds; i++) {
                      Future brief = make_future();
                      skua_future *pair[] = {batch[0], brief.get()};
                      Future setter = spawn([&] {
                          return skua_future_set_result(brief.get(), nullptr);
                      });

                      EXPECT_EQ(1, skua_wait(pair, 2, SKUA_FOREVER,
                                             SKUA_FIRST_COMPLETED, nullptr));
                      EXPECT_EQ(0, skua_await(setter.get(), nullptr));
                  }
                  EXPECT_EQ(0, skua_future_set_result(batch[0], nullptr));
                  return 0;
              }));
}

/* --- plain threads; 160: executor futures --- */

TEST_P(ConformanceMany, N160_AThreadWaitsForExecutorFuturesAndTasks)
{
    EXPECT_EQ(0, run([&] {
                  Future gate = make_future();
                  Latch latch(1);
                  std::thread thread;
                  skua_executor *made = nullptr;
                  Executor executor;

                  EXPECT_EQ(0, skua_thread_pool_executor_new(nullptr, &made));
                  executor.reset(made);
                  thread = std::thread([&] {
                      Batch batch(0);

                      batch.add(submit(executor.get(), [&] {
                          return skua_await(gate.get(), nullptr);
                      }));
                      batch.add(Future(skua_future_ref(gate.get())));
                      batch.add_again(0);
                      EXPECT_EQ(0, batch.wait(SKUA_ALL_COMPLETED, SKUA_MS));
                      EXPECT_EQ(0, batch.wait(SKUA_FIRST_COMPLETED, SKUA_MS));
                      EXPECT_EQ("000", batch.done());
                      latch.down();
                      EXPECT_LE(1, batch.wait(SKUA_FIRST_COMPLETED));
                      EXPECT_EQ(2, batch.wait(SKUA_FIRST_EXCEPTION));
                      EXPECT_EQ(2, batch.wait(SKUA_ALL_COMPLETED));
                      EXPECT_EQ("111", batch.done());
                  });
                  EXPECT_EQ(0, latch.wait());
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  thread.join();
                  return 0;
              }));
}

TEST(ConformanceThreads, N160_FirstRulesOfExecutorFutures)
{
    Lambdas lambdas;
    skua_executor *made = nullptr;
    Executor executor;
    Future gate = make_future();
    Batch batch(0);

    ASSERT_EQ(0, skua_thread_pool_executor_new(nullptr, &made));
    executor.reset(made);
    batch.add(lambdas.submit(executor.get(),
                             [&] { return skua_await(gate.get(), nullptr); }));
    batch.add(lambdas.submit(executor.get(), [] { return 0; }));
    EXPECT_EQ(1, batch.wait(SKUA_FIRST_COMPLETED));
    EXPECT_EQ("01", batch.done());
    batch.add(lambdas.submit(executor.get(), [] { return -EIO; }));
    EXPECT_LE(2, batch.wait(SKUA_FIRST_EXCEPTION));
    EXPECT_EQ('0', batch.done()[0]);
    EXPECT_EQ('1', batch.done()[2]);
    EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
    EXPECT_EQ(3, batch.wait(SKUA_ALL_COMPLETED));
    EXPECT_EQ(-EIO, skua_future_result(batch[2], nullptr));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
