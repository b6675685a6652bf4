/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer_test.cc - conformance 14-16, 18, 19: timers.
 */
#include <cmath>

#include "support.h"

namespace conformance
{
namespace
{

constexpr int64_t kDelays[] = {
    0, 1, 999, 1024, 50 * SKUA_US, 1 * SKUA_MS, 3 * SKUA_MS + 7};

TEST_F(Conformance, N014_TimersNeverFireEarly)
{
    int left = 2 * static_cast<int>(std::size(kDelays));
    auto fired = [&](int64_t due_ns) {
        EXPECT_LE(due_ns, skua_monotonic());
        EXPECT_LE(due_ns, skua_loop_time(loop_));
        if (--left == 0) {
            skua_loop_stop(loop_);
        }
    };

    for (const int64_t delay_ns : kDelays) {
        const int64_t due_ns = skua_monotonic() + delay_ns;
        Handle handle = later(loop_, delay_ns, [=] { fired(due_ns); });

        EXPECT_LE(due_ns, skua_handle_when(handle.get()));
        handle = at(loop_, due_ns, [=] { fired(due_ns); });
        EXPECT_EQ(due_ns, skua_handle_when(handle.get()));
    }
    ASSERT_EQ(0, skua_loop_run_forever(loop_));
    EXPECT_EQ(0, left);
}

TEST_F(Conformance, N014_AHandleWithoutATimeHasNone)
{
    EXPECT_EQ(SKUA_NOT_A_TIME, skua_handle_when(soon(loop_, [] {}).get()));
}

TEST_P(ConformanceMany, N014_SleepsAndTimersNeverEndEarly)
{
    EXPECT_EQ(0, run([&] {
                  const std::vector<skua_loop *> all = loops();
                  const int count = static_cast<int>(std::size(kDelays));
                  Latch latch(count * static_cast<int>(all.size() + 1));

                  for (const int64_t delay_ns : kDelays) {
                      for (skua_loop *loop : all) {
                          post(loop, [&, loop, delay_ns] {
                              const int64_t due_ns =
                                  skua_monotonic() + delay_ns;

                              later(loop, delay_ns, [&, due_ns] {
                                  EXPECT_LE(due_ns, skua_monotonic());
                                  latch.down();
                              });
                          });
                      }
                      spawn([&, delay_ns] {
                          const int64_t due_ns = skua_monotonic() + delay_ns;

                          EXPECT_EQ(0, skua_sleep(delay_ns));
                          EXPECT_LE(due_ns, skua_monotonic());
                          EXPECT_EQ(0, skua_sleep_until(due_ns + 5));
                          EXPECT_LE(due_ns, skua_monotonic());
                          latch.down();
                          return 0;
                      });
                  }
                  return latch.wait();
              }));
}

TEST_F(Conformance, N015_NegativeDelaysRunAtOnceInOrderOfDueTime)
{
    Log log;

    later(loop_, -1 * SKUA_S, [&] { log.add(-1); });
    later(loop_, -2 * SKUA_S, [&] { log.add(-2); });
    later(loop_, -3 * SKUA_S, [&] { log.add(-3); });
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ((Order{-3, -2, -1}), log.get());
}

TEST_F(Conformance, N015_AbsurdDelaysAreTakenAsTheyAre)
{
    Log log;

    later(loop_, -SKUA_FOREVER, [&] { log.add(1); });
    later(loop_, SKUA_FOREVER, [&] { log.add(2); });
    at(loop_, SKUA_FOREVER - 1, [&] { log.add(3); });
    drain();
    EXPECT_EQ((Order{1}), log.get());
}

TEST_F(Conformance, N016_EqualDueTimesFireInTheOrderCreated)
{
    Log log;
    Order expected;
    const int64_t past_ns = skua_monotonic();
    const int64_t due_ns = past_ns + 2 * SKUA_MS;

    for (int i = 0; i < 100; i++) {
        at(loop_, due_ns, [&log, i] { log.add(i); });
        expected.push_back(i);
    }
    at(loop_, due_ns + 1, [&] { skua_loop_stop(loop_); });
    ASSERT_EQ(0, skua_loop_run_forever(loop_));
    EXPECT_EQ(expected, log.get());
    for (int i = 0; i < 100; i++) {
        at(loop_, past_ns, [&log, i] { log.add(100 + i); });
        expected.push_back(100 + i);
    }
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ(expected, log.get());
}

TEST_F(Conformance, N016_CancelledTimersLeaveTheOrderOfTheOthers)
{
    Log log;
    std::vector<Handle> handles;
    Order expected;
    const int64_t due_ns = skua_monotonic() + 1 * SKUA_MS;

    for (int i = 0; i < 90; i++) {
        handles.push_back(at(loop_, due_ns, [&log, i] { log.add(i); }));
    }
    for (int i = 0; i < 90; i++) {
        if (i % 3 == 1) {
            EXPECT_EQ(1, skua_handle_cancel(handles[i].get()));
        } else {
            expected.push_back(i);
        }
    }
    at(loop_, due_ns + 1, [&] { skua_loop_stop(loop_); });
    ASSERT_EQ(0, skua_loop_run_forever(loop_));
    EXPECT_EQ(expected, log.get());
}

TEST_F(Conformance, N018_CancelledTimersDoNotWakeTheLoop)
{
    const int64_t due_ns = skua_monotonic() + 20 * SKUA_MS;
    skua_loop_stats before = {};
    skua_loop_stats after = {};
    std::vector<Handle> handles;

    for (int i = 1; i <= 100; i++) {
        handles.push_back(later(loop_, i * 100 * SKUA_US,
                                [] { ADD_FAILURE() << "was cancelled"; }));
    }
    at(loop_, due_ns, [&] { skua_loop_stop(loop_); });
    for (const Handle &handle : handles) {
        EXPECT_EQ(1, skua_handle_cancel(handle.get()));
    }
    EXPECT_EQ(due_ns, skua_loop_next_deadline(loop_));
    ASSERT_EQ(0, skua_loop_get_stats(loop_, &before));
    ASSERT_EQ(0, skua_loop_run_forever(loop_));
    ASSERT_EQ(0, skua_loop_get_stats(loop_, &after));
    EXPECT_GE(5u, after.iterations - before.iterations);
}

TEST_F(Conformance, N019_FiveSleepsNeedAtMostTwentyIterations)
{
    skua_loop_stats before = {};
    skua_loop_stats after = {};

    ASSERT_EQ(0, skua_loop_get_stats(loop_, &before));
    EXPECT_EQ(0, run(loop_, [] {
                  for (const double seconds : {1e-2, 1e-4, 1e-6, 1e-8, 1e-10}) {
                      EXPECT_EQ(0, skua_sleep(skua_seconds(seconds)));
                  }
                  return 0;
              }));
    ASSERT_EQ(0, skua_loop_get_stats(loop_, &after));
    EXPECT_GE(20u, after.iterations - before.iterations);
    EXPECT_LE(5u, after.iterations - before.iterations);
}

TEST_F(Conformance, N014_SecondsAreClamped)
{
    EXPECT_EQ(SKUA_S, skua_seconds(1.0));
    EXPECT_EQ(-SKUA_S / 2, skua_seconds(-0.5));
    EXPECT_EQ(SKUA_FOREVER, skua_seconds(INFINITY));
    EXPECT_EQ(SKUA_FOREVER, skua_seconds(1e300));
    EXPECT_EQ(SKUA_NOT_A_TIME, skua_seconds(NAN));
    EXPECT_NE(SKUA_NOT_A_TIME, skua_seconds(-INFINITY));
    EXPECT_NE(SKUA_NOT_A_TIME, skua_seconds(-1e300));
}

/* --- with the only loop, in a task --- */

TEST_P(ConformanceOne, N015_NegativeDelaysRunAtOnceInOrderOfDueTime)
{
    Log log;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();
                  Latch latch(3);

                  for (const int seconds : {-1, -3, -2}) {
                      later(loop, seconds * SKUA_S, [&, seconds] {
                          log.add(seconds);
                          latch.down();
                      });
                  }
                  return latch.wait();
              }));
    EXPECT_EQ((Order{-3, -2, -1}), log.get());
}

TEST_P(ConformanceOne, N016_EqualDueTimesFireInTheOrderCreated)
{
    constexpr int kTimers = 50;
    Log log;
    Order expected;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();
                  const int64_t due_ns = skua_monotonic() + SKUA_MS;
                  Latch latch(kTimers);

                  for (int i = 0; i < kTimers; i++) {
                      expected.push_back(i);
                      at(loop, due_ns, [&, i] {
                          log.add(i);
                          latch.down();
                      });
                  }
                  return latch.wait();
              }));
    EXPECT_EQ(expected, log.get());
}

TEST_P(ConformanceOne, N019_FiveSleepsNeedAtMostTwentyIterations)
{
    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();
                  skua_loop_stats before = {};
                  skua_loop_stats after = {};

                  EXPECT_EQ(0, skua_loop_get_stats(loop, &before));
                  for (const double seconds : {1e-2, 1e-4, 1e-6, 1e-8, 1e-10}) {
                      EXPECT_EQ(0, skua_sleep(skua_seconds(seconds)));
                  }
                  EXPECT_EQ(0, skua_loop_get_stats(loop, &after));
                  EXPECT_GE(20u, after.iterations - before.iterations);
                  return 0;
              }));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
