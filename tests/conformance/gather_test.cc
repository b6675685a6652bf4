/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gather_test.cc - conformance 73-77, 86: gather.
 */
#include "gathering.h"

namespace conformance
{
namespace
{

/* --- 73: results --- */

TEST_P(ConformanceMany, N073_ResultsComeInTheOrderOfTheArguments)
{
    EXPECT_EQ(0, run([&] {
                  Future first = make_future();
                  Gathering all;
                  void *value = nullptr;

                  all.add(call([&] {
                      EXPECT_EQ(1, await_int(first.get()));
                      return skua_return(as_pointer(10));
                  }));
                  all.add(call([] {
                      EXPECT_EQ(0, skua_yield());
                      return skua_return(as_pointer(20));
                  }));
                  all.add(call([&] {
                      EXPECT_EQ(0, skua_future_set_result(first.get(),
                                                          as_pointer(1)));
                      return skua_return(as_pointer(30));
                  }));
                  all.add(first.get());
                  all.start();
                  EXPECT_EQ(0, skua_await(all.get(), &value));
                  EXPECT_EQ(&all[0], value);
                  EXPECT_EQ((Order{10, 20, 30, 1}), all.values());
                  for (size_t i = 0; i < 4; i++) {
                      EXPECT_TRUE(all[i].done);
                      EXPECT_EQ(nullptr, all[i].exception);
                  }
                  return 0;
              }));
}

TEST_P(ConformanceOne, N073_ChildrenStartAtOnceInOrder)
{
    EXPECT_EQ(0, run([&] {
                  Log log;
                  Gathering all;

                  for (int i = 0; i < 3; i++) {
                      all.add(call([&, i] {
                          log.add(i);
                          return 0;
                      }));
                  }
                  all.start();
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ((Order{0, 1, 2}), log.get());
                  EXPECT_TRUE(skua_future_done(all.get()));
                  return all.wait();
              }));
}

TEST_P(ConformanceMany, N073_TheSameFutureTwiceRunsOnce)
{
    EXPECT_EQ(0, run([&] {
                  std::atomic<int> runs = 0;
                  Future task = spawn([&] {
                      runs++;
                      EXPECT_EQ(0, skua_yield());
                      return skua_return(as_pointer(5));
                  });
                  Gathering all;

                  all.add(task.get());
                  all.add(task.get());
                  all.start();
                  EXPECT_EQ(0, all.wait());
                  EXPECT_EQ((Order{5, 5}), all.values());
                  EXPECT_EQ(1, runs);
                  return 0;
              }));
}

TEST_P(ConformanceMany, N073_WhatIsDoneAlreadyGivesADoneFuture)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  Future failed = make_future();
                  Gathering all;
                  Gathering bad;

                  EXPECT_EQ(
                      0, skua_future_set_result(future.get(), as_pointer(3)));
                  EXPECT_EQ(0, skua_future_set_error(failed.get(), -EIO));
                  all.add(future.get());
                  all.start();
                  EXPECT_TRUE(skua_future_done(all.get()));
                  EXPECT_EQ((Order{3}), all.values());
                  bad.add(failed.get());
                  bad.add(make_future());
                  bad.start();
                  EXPECT_TRUE(skua_future_done(bad.get()));
                  EXPECT_EQ(-EIO, bad.wait());
                  EXPECT_FALSE(bad[1].done);
                  return 0;
              }));
}

TEST_P(ConformanceMany, N073_AThousandChildren)
{
    constexpr int kChildren = 1000;

    EXPECT_EQ(0, run([&] {
                  Gathering all;
                  Order expected;

                  for (int i = 0; i < kChildren; i++) {
                      expected.push_back(i);
                      all.add(call([i] {
                          if (i % 3 == 0) {
                              EXPECT_EQ(0, skua_yield());
                          }
                          return skua_return(as_pointer(i));
                      }));
                  }
                  all.start();
                  EXPECT_EQ(0, all.wait());
                  EXPECT_EQ(expected, all.values());
                  return 0;
              }));
}

/* --- 74: nothing --- */

TEST_P(ConformanceMany, N074_NothingCompletesAtOnce)
{
    EXPECT_EQ(0, run([&] {
                  Gathering none;

                  none.start();
                  EXPECT_TRUE(skua_future_done(none.get()));
                  EXPECT_EQ(0, skua_future_cancel(none.get()));
                  return none.wait();
              }));
}

TEST_P(ConformanceMany, N074_MalformedArgumentsStartNothing)
{
    EXPECT_EQ(
        0, run([&] {
            Future future = make_future();
            const skua_awaitable pair[] = {call([] {
                                               ADD_FAILURE() << "started";
                                               return 0;
                                           }),
                                           {nullptr, nullptr, nullptr}};
            skua_gather_result results[2] = {};
            skua_future *gather = nullptr;

            EXPECT_EQ(-EINVAL, skua_gather(pair, 2, nullptr, results, &gather));
            EXPECT_EQ(-EINVAL, skua_gather(pair, 1, nullptr, nullptr, &gather));
            EXPECT_EQ(-EINVAL,
                      skua_gather(nullptr, 1, nullptr, results, &gather));
            EXPECT_EQ(-EINVAL, skua_gather(pair, 1, nullptr, results, nullptr));
            EXPECT_EQ(0, skua_yield());
            return 0;
        }));
}

/* --- 75: the first error --- */

TEST_P(ConformanceMany, N075_TheFirstErrorComesAtOnceAndTheOthersGoOn)
{
    EXPECT_EQ(
        0, run([&] {
            Future gate = make_future();
            Latch ended(2);
            Gathering all;

            all.add(call([&] {
                EXPECT_EQ(0, skua_await(gate.get(), nullptr));
                ended.down();
                return skua_return(as_pointer(1));
            }));
            all.add(call([] { return skua_raise(-EIO, "first"); }));
            all.add(call([&] {
                EXPECT_EQ(0, skua_await(gate.get(), nullptr));
                ended.down();
                return skua_raise(-EPIPE, "later, and not reported");
            }));
            all.start();
            EXPECT_EQ(-EIO, all.wait());
            EXPECT_STREQ("first",
                         skua_exception_message(skua_current_exception()));
            EXPECT_EQ((Order{SKUA_EINVALSTATE, -EIO, SKUA_EINVALSTATE}),
                      all.values());
            EXPECT_FALSE(all[0].done);
            EXPECT_EQ(nullptr, all[0].value);
            EXPECT_TRUE(all[1].done);
            EXPECT_STREQ("first", skua_exception_message(all[1].exception));
            EXPECT_EQ(0, skua_future_cancel(all.get()));
            EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
            EXPECT_EQ(0, ended.wait());
            EXPECT_FALSE(all[2].done);
            return 0;
        }));
    EXPECT_EQ(0U, reports_.size());
}

TEST_P(ConformanceMany, N075_LaterErrorsOfFuturesAreNotReported)
{
    EXPECT_EQ(0, run([&] {
                  Future first = make_future();
                  Future later = make_future();
                  Future at_once = make_future();
                  Gathering all;

                  all.add(first.get());
                  all.add(later.get());
                  all.add(at_once.get());
                  all.start();
                  EXPECT_EQ(0, skua_future_set_error(first.get(), -EIO));
                  EXPECT_EQ(-EIO, all.wait());
                  EXPECT_EQ(0, skua_future_set_error(later.get(), -EPIPE));
                  /* What is read is read, whoever asks again. */
                  EXPECT_EQ(0, skua_future_set_error(at_once.get(), -EPROTO));
                  EXPECT_EQ(-EPROTO,
                            skua_future_result(at_once.get(), nullptr));
                  return 0;
              }));
    EXPECT_EQ(0U, reports_.size());
}

TEST_P(ConformanceMany, N075_AnErrorThatNobodyReadsIsReportedOnce)
{
    EXPECT_EQ(0, run([&] {
                  Gathering all;

                  all.add(call([] { return -EIO; }));
                  all.start();
                  while (!skua_future_done(all.get())) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  return 0;
              }));
    EXPECT_EQ(1U, reports_.size());
    EXPECT_EQ(1U, reports_.count(-EIO));
}

TEST_P(ConformanceMany, N075_ManyFailedGathersLeaveALongLivedFutureAlone)
{
    const int rounds = kRaceDetector ? 500 : 20000;

    EXPECT_EQ(0, run([&] {
                  Future lasting = make_future();

                  for (int i = 0; i < rounds; i++) {
                      Future failed = make_future();
                      Gathering all;

                      all.add(lasting.get());
                      all.add(failed.get());
                      all.start();
                      EXPECT_EQ(0, skua_future_set_error(failed.get(), -EIO));
                      EXPECT_EQ(-EIO, all.wait());
                  }
                  EXPECT_EQ(0, skua_future_set_result(lasting.get(), nullptr));
                  return 0;
              }));
}

/* --- 76: exceptions as results --- */

TEST_P(ConformanceMany, N076_ErrorsAndCancelsAreEntries)
{
    EXPECT_EQ(
        0, run([&] {
            Future cancelled = make_future();
            Gathering all;

            all.add(call([] { return skua_raise(-EIO, "an entry"); }));
            all.add(cancelled.get());
            all.add(call([] {
                EXPECT_EQ(0, skua_yield());
                return skua_return(as_pointer(9));
            }));
            all.add(call([] { return SKUA_ECANCELED; }));
            all.add(call([] { return -EPIPE; }));
            all.start_returning_exceptions();
            EXPECT_EQ(1, skua_future_cancel(cancelled.get()));
            EXPECT_EQ(0, all.wait());
            EXPECT_EQ((Order{-EIO, SKUA_ECANCELED, 9, SKUA_ECANCELED, -EPIPE}),
                      all.values());
            EXPECT_STREQ("an entry", skua_exception_message(all[0].exception));
            EXPECT_EQ(nullptr, all[4].exception);
            return 0;
        }));
    EXPECT_EQ(0U, reports_.size());
}

/* --- 77: a cancelled child --- */

TEST_P(ConformanceMany, N077_ACancelledChildIsAnErrorAndSiblingsGoOn)
{
    EXPECT_EQ(0, run([&] {
                  Future gate = make_future();
                  Future child = spawn([] { return skua_sleep(SKUA_FOREVER); });
                  Latch ended(1);
                  Gathering all;
                  skua_exception *exception = nullptr;

                  all.add(child.get());
                  all.add(call([&] {
                      EXPECT_EQ(0, skua_await(gate.get(), nullptr));
                      ended.down();
                      return 0;
                  }));
                  all.start();
                  EXPECT_EQ(1, skua_task_cancel(child.get()));
                  EXPECT_EQ(SKUA_ECANCELED, all.wait());
                  EXPECT_TRUE(skua_future_done(all.get()));
                  EXPECT_FALSE(skua_future_cancelled(all.get()));
                  EXPECT_EQ(0, skua_future_exception(all.get(), &exception));
                  EXPECT_EQ(SKUA_ECANCELED, skua_exception_status(exception));
                  skua_exception_unref(exception);
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  return ended.wait();
              }));
    EXPECT_EQ(0U, reports_.size());
}

/* --- from a plain thread --- */

TEST(ConformanceThreads, N073_AThreadGathersFutures)
{
    Future first = make_future();
    Future second = make_future();
    Gathering all;
    std::thread thread;

    all.add(first.get());
    all.add(second.get());
    all.start();
    thread = std::thread([&] {
        EXPECT_EQ(0, skua_future_set_result(second.get(), as_pointer(2)));
        EXPECT_EQ(0, skua_future_set_result(first.get(), as_pointer(1)));
    });
    EXPECT_EQ(0, all.wait());
    EXPECT_EQ((Order{1, 2}), all.values());
    thread.join();
    EXPECT_EQ(-EPERM, skua_future_set_result(all.get(), nullptr));
}

/* --- 86: gather and shield --- */

TEST_P(ConformanceMany, N086_ACancelledGatherStopsAtTheShield)
{
    EXPECT_EQ(0, run([&] {
                  Future inner = make_future();
                  skua_future *shield = nullptr;
                  Gathering all;

                  EXPECT_EQ(0, skua_shield(skua_awaitable_future(inner.get()),
                                           &shield));
                  all.add(shield);
                  all.start();
                  EXPECT_EQ(1, skua_future_cancel(all.get()));
                  EXPECT_EQ(SKUA_ECANCELED, all.wait());
                  EXPECT_TRUE(skua_future_cancelled(shield));
                  EXPECT_FALSE(skua_future_done(inner.get()));
                  skua_future_unref(shield);
                  return skua_future_set_result(inner.get(), nullptr);
              }));
}

TEST_P(ConformanceMany, N086_AShieldedGatherGoesOn)
{
    EXPECT_EQ(
        0, run([&] {
            Future inner = make_future();
            skua_future *shield = nullptr;
            Gathering all;

            all.add(inner.get());
            all.start();
            EXPECT_EQ(0,
                      skua_shield(skua_awaitable_future(all.get()), &shield));
            EXPECT_EQ(1, skua_future_cancel(shield));
            EXPECT_EQ(SKUA_ECANCELED, skua_await(shield, nullptr));
            skua_future_unref(shield);
            EXPECT_FALSE(skua_future_done(all.get()));
            EXPECT_EQ(0, skua_future_set_result(inner.get(), as_pointer(4)));
            EXPECT_EQ(0, all.wait());
            EXPECT_EQ((Order{4}), all.values());
            return 0;
        }));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
