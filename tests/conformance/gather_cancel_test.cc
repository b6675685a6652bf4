/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gather_cancel_test.cc - conformance 78: cancelling a gather; trees, chains
 * and rings of them.
 */
#include "gathering.h"

namespace conformance
{
namespace
{

/* --- 78: cancelling --- */

TEST_P(ConformanceMany, N078_CancellingWaitsForAllChildren)
{
    EXPECT_EQ(0, run([&] {
                  for (const bool returns : {false, true}) {
                      std::atomic<int> started = 0;
                      std::atomic<int> ended = 0;
                      const skua_gather_options options = {returns, false};
                      Future plain = make_future();
                      Gathering all;

                      for (int i = 0; i < 3; i++) {
                          all.add(call(
                              slow_to_unwind(started, ended, SKUA_ECANCELED)));
                      }
                      all.add(plain.get());
                      all.start(&options);
                      while (started < 3) {
                          EXPECT_EQ(0, skua_yield());
                      }
                      EXPECT_EQ(1, skua_future_cancel(all.get()));
                      EXPECT_TRUE(skua_future_cancelled(plain.get()));
                      EXPECT_EQ(SKUA_ECANCELED, all.wait());
                      EXPECT_EQ(3, ended);
                      EXPECT_FALSE(skua_future_cancelled(all.get()));
                      EXPECT_EQ(Order(4, SKUA_ECANCELED), all.values());
                      EXPECT_EQ(0, skua_future_cancel(all.get()));
                  }
                  return 0;
              }));
    EXPECT_EQ(0U, reports_.size());
}

TEST_P(ConformanceMany, N078_CancellingTheTaskThatAwaitsIt)
{
    EXPECT_EQ(0, run([&] {
                  std::atomic<int> started = 0;
                  std::atomic<int> ended = 0;
                  Future outer = spawn([&] {
                      Gathering all;

                      for (int i = 0; i < 40; i++) {
                          all.add(call(
                              slow_to_unwind(started, ended, SKUA_ECANCELED)));
                      }
                      all.start();
                      EXPECT_EQ(SKUA_ECANCELED, all.wait());
                      EXPECT_EQ(40, ended);
                      return SKUA_ECANCELED;
                  });

                  while (started < 40) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  EXPECT_EQ(1, skua_task_cancel(outer.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(outer.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N078_TheFirstErrorMeanwhileIsTheOutcome)
{
    EXPECT_EQ(
        0, run([&] {
            std::atomic<int> started = 0;
            std::atomic<int> ended = 0;
            Gathering all;
            skua_loop *loop = skua_get_running_loop();
            const Body fails = [&] {
                started++;
                EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                return -EIO;
            };

            /* On one loop, so that this is the first one to end. */
            all.add(spawn_on(loop, fails, true));
            all.add(spawn_on(
                loop, slow_to_unwind(started, ended, SKUA_ECANCELED), true));
            all.start();
            while (started < 2) {
                EXPECT_EQ(0, skua_yield());
            }
            EXPECT_EQ(1, skua_future_cancel(all.get()));
            EXPECT_EQ(-EIO, all.wait());
            EXPECT_EQ(1, ended);
            return 0;
        }));
}

TEST_P(ConformanceMany, N078_ChildrenThatGoOnDoNotUndoIt)
{
    EXPECT_EQ(0, run([&] {
                  std::atomic<int> started = 0;
                  std::atomic<int> ended = 0;
                  Gathering all;

                  all.add(call(slow_to_unwind(started, ended, 0)));
                  all.start();
                  while (started < 1) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  EXPECT_EQ(1, skua_future_cancel(all.get()));
                  EXPECT_EQ(SKUA_ECANCELED, all.wait());
                  EXPECT_EQ((Order{0}), all.values());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N078_AsAsyncioItEndsAtTheFirstCancelledChild)
{
    EXPECT_EQ(0, run([&] {
                  const skua_gather_options options = {false, true};
                  Future gate = make_future();
                  Latch ended(1);
                  std::atomic<bool> started = false;
                  Gathering all;

                  all.add(make_future());
                  all.add(call([&] {
                      started = true;
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      EXPECT_EQ(0, skua_await(gate.get(), nullptr));
                      ended.down();
                      return 0;
                  }));
                  all.start(&options);
                  while (!started) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  EXPECT_EQ(1, skua_future_cancel(all.get()));
                  EXPECT_EQ(SKUA_ECANCELED, all.wait());
                  EXPECT_FALSE(all[1].done);
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  return ended.wait();
              }));
}

TEST_P(ConformanceMany, N078_NobodyAcceptsIt)
{
    EXPECT_EQ(0, run([&] {
                  Future gate = make_future();
                  Latch running(1);
                  skua_executor *made = nullptr;
                  Executor executor;
                  Future work;
                  Gathering all;

                  EXPECT_EQ(0, skua_thread_pool_executor_new(nullptr, &made));
                  executor.reset(made);
                  work = submit(executor.get(), [&] {
                      running.down();
                      return skua_await(gate.get(), nullptr);
                  });
                  EXPECT_EQ(0, running.wait());
                  all.add(work.get());
                  all.start();
                  EXPECT_EQ(0, skua_future_cancel(all.get()));
                  EXPECT_FALSE(skua_future_done(all.get()));
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  return all.wait();
              }));
}

/* --- trees, chains and rings --- */

int nest(void *arg)
{
    const intptr_t depth = as_int(arg);
    skua_awaitable awaitable = skua_awaitable_call(nest, as_pointer(depth - 1));
    skua_gather_result result = {};
    skua_future *gather = nullptr;
    int status;

    if (depth == 0) {
        return skua_sleep(SKUA_FOREVER);
    }
    EXPECT_EQ(0, skua_gather(&awaitable, 1, nullptr, &result, &gather));
    status = skua_await(gather, nullptr);
    skua_future_unref(gather);
    EXPECT_TRUE(result.done);
    return status;
}

TEST_P(ConformanceMany, N078_ARequestGoesDownAThousandGathers)
{
    constexpr intptr_t kDepth = kRaceDetector ? 100 : 1000;

    EXPECT_EQ(0, run([&] {
                  skua_future *made = nullptr;
                  Future top;

                  EXPECT_EQ(0,
                            skua_create_task(nest, as_pointer(kDepth), &made));
                  top.reset(made);
                  EXPECT_EQ(0, skua_sleep(2 * SKUA_MS));
                  EXPECT_EQ(1, skua_task_cancel(top.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(top.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N078_AChainOfGathersCompletesWithoutRecursion)
{
    constexpr int kDepth = kRaceDetector ? 2000 : 100000;

    EXPECT_EQ(
        0, run([&] {
            for (const bool cancels : {false, true}) {
                std::vector<skua_gather_result> results(kDepth);
                Future first = make_future();
                Future last(skua_future_ref(first.get()));

                for (skua_gather_result &result : results) {
                    const skua_awaitable awaitable =
                        skua_awaitable_future(last.get());
                    skua_future *gather = nullptr;

                    EXPECT_EQ(0, skua_gather(&awaitable, 1, nullptr, &result,
                                             &gather));
                    last.reset(gather);
                }
                if (cancels) {
                    EXPECT_EQ(1, skua_future_cancel(last.get()));
                    EXPECT_EQ(SKUA_ECANCELED, skua_await(last.get(), nullptr));
                } else {
                    EXPECT_EQ(0, skua_future_set_result(first.get(), nullptr));
                    EXPECT_EQ(0, skua_await(last.get(), nullptr));
                }
            }
            return 0;
        }));
}

TEST_P(ConformanceMany, N078_AGatherThatWaitsForItselfCanBeCancelled)
{
    EXPECT_EQ(0, run([&] {
                  Future ready = make_future();
                  std::atomic<skua_future *> gather = nullptr;
                  Gathering all;

                  all.add(call([&] {
                      EXPECT_EQ(0, skua_await(ready.get(), nullptr));
                      return skua_await(gather, nullptr);
                  }));
                  all.start();
                  gather = all.get();
                  EXPECT_EQ(0, skua_future_set_result(ready.get(), nullptr));
                  EXPECT_EQ(0, skua_sleep(SKUA_MS));
                  EXPECT_EQ(1, skua_future_cancel(all.get()));
                  EXPECT_EQ(SKUA_ECANCELED, all.wait());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N078_AChildCancelledBeforeItAwaitsItsOwnGather)
{
    EXPECT_EQ(0, run([&] {
                  Future ready = make_future();
                  Gathering all;

                  all.add(call([&] {
                      EXPECT_EQ(0, skua_await(ready.get(), nullptr));
                      EXPECT_EQ(1, skua_task_cancel(skua_current_task()));
                      EXPECT_EQ(SKUA_ECANCELED, all.wait());
                      return SKUA_ECANCELED;
                  }));
                  all.start();
                  EXPECT_EQ(0, skua_future_set_result(ready.get(), nullptr));
                  EXPECT_EQ(SKUA_ECANCELED, all.wait());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N078_TwoThatWaitForEachOtherCanBeCancelled)
{
    EXPECT_EQ(0, run([&] {
                  Future ready = make_future();
                  Gathering first;
                  Gathering second;

                  first.add(call([&] {
                      EXPECT_EQ(0, skua_await(ready.get(), nullptr));
                      return second.wait();
                  }));
                  second.add(call([&] {
                      EXPECT_EQ(0, skua_await(ready.get(), nullptr));
                      return first.wait();
                  }));
                  first.start();
                  second.start();
                  EXPECT_EQ(0, skua_future_set_result(ready.get(), nullptr));
                  EXPECT_EQ(0, skua_sleep(SKUA_MS));
                  EXPECT_EQ(1, skua_future_cancel(first.get()));
                  EXPECT_EQ(SKUA_ECANCELED, first.wait());
                  EXPECT_EQ(SKUA_ECANCELED, second.wait());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N078_ARequestThatComesTwoWaysIsNoRing)
{
    EXPECT_EQ(0, run([&] {
                  Future inner = make_future();
                  std::atomic<int> started = 0;
                  std::atomic<bool> early = false;
                  Gathering shared;
                  Gathering outer;

                  shared.add(call([&] {
                      started++;
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      EXPECT_EQ(0, skua_await(inner.get(), nullptr));
                      return 0;
                  }));
                  shared.start();
                  for (int i = 0; i < 2; i++) {
                      outer.add(call([&] {
                          started++;
                          EXPECT_EQ(SKUA_ECANCELED, shared.wait());
                          early = early || !skua_future_done(shared.get());
                          return SKUA_ECANCELED;
                      }));
                  }
                  outer.start();
                  while (started < 3) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  EXPECT_EQ(0, skua_sleep(SKUA_MS));
                  EXPECT_EQ(1, skua_future_cancel(outer.get()));
                  EXPECT_FALSE(skua_future_done(outer.get()));
                  EXPECT_EQ(0, skua_future_set_result(inner.get(), nullptr));
                  EXPECT_EQ(SKUA_ECANCELED, outer.wait());
                  EXPECT_FALSE(early);
                  return 0;
              }));
}

TEST_P(ConformanceMany, N078_EveryRequestBeforeTheAwaitIsPassedOn)
{
    EXPECT_EQ(0, run([&] {
                  Future task = spawn([&] {
                      std::atomic<int> started = 0;
                      std::atomic<int> ended = 0;
                      Gathering all;

                      all.add(
                          call(slow_to_unwind(started, ended, SKUA_ECANCELED)));
                      all.start();
                      while (started < 1) {
                          EXPECT_EQ(0, skua_yield());
                      }
                      EXPECT_EQ(1, skua_task_cancel(skua_current_task()));
                      EXPECT_EQ(SKUA_ECANCELED, all.wait());
                      EXPECT_EQ(1, ended);
                      EXPECT_TRUE(skua_future_done(all.get()));
                      return 0;
                  });

                  return skua_await(task.get(), nullptr);
              }));
}

CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
