/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_test.cc - conformance 24 and what else run() promises.
 */
#include "support.h"

namespace conformance
{
namespace
{

TEST_P(ConformanceMany, N024_LeftoverTasksAreCancelledAndWaitedFor)
{
    constexpr int kTasks = 20;
    std::atomic<int> ended = 0;

    EXPECT_EQ(3, run([&] {
                  Latch ready(kTasks);

                  for (int i = 0; i < kTasks; i++) {
                      spawn([&] {
                          ready.down();
                          EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                          EXPECT_EQ(0, skua_sleep(SKUA_MS));
                          ended++;
                          return SKUA_ECANCELED;
                      });
                  }
                  EXPECT_EQ(0, ready.wait());
                  return 3;
              }));
    EXPECT_EQ(kTasks, ended);
    EXPECT_EQ(0u, reports_.size());
}

TEST_P(ConformanceMany, N024_ALeftoverThatFailsIsReportedNotReturned)
{
    EXPECT_EQ(0, run([&] {
                  Latch ready(1);

                  spawn([&] {
                      ready.down();
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      return skua_raise(-EIO, "in the end");
                  });
                  return ready.wait();
              }));
    ASSERT_EQ(1u, reports_.size());
    EXPECT_EQ(-EIO, reports_.get()[0].status);
    EXPECT_EQ("in the end", reports_.get()[0].detail);
    EXPECT_TRUE(reports_.get()[0].has_future);
}

TEST_P(ConformanceMany, N024_ALeftoverMayStillUseTheLoop)
{
    std::atomic<int> result = 0;

    EXPECT_EQ(0, run([&] {
                  Latch ready(1);

                  spawn([&] {
                      ready.down();
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      result = static_cast<int>(await_int(
                          in_executor(skua_get_running_loop(), nullptr, [] {
                              return skua_return(as_pointer(5));
                          }).get()));
                      return 0;
                  });
                  return ready.wait();
              }));
    EXPECT_EQ(5, result);
}

TEST_P(ConformanceMany, N024_ALeftoverThatMakesTasksIsFollowed)
{
    std::atomic<bool> ended = false;

    EXPECT_EQ(0, run([&] {
                  Latch ready(1);

                  spawn([&] {
                      ready.down();
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      spawn([&] {
                          EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                          ended = true;
                          return 0;
                      });
                      EXPECT_EQ(0, skua_sleep(SKUA_MS));
                      return 0;
                  });
                  return ready.wait();
              }));
    EXPECT_TRUE(ended);
}

TEST_P(ConformanceMany, N024_RunGivesTheResultOfMain)
{
    void *value = nullptr;

    EXPECT_EQ(0, run([] { return skua_return(as_pointer(8)); }, &value));
    EXPECT_EQ(8, as_int(value));
    EXPECT_EQ(4, run([] { return 4; }));
    EXPECT_EQ(-EIO, run([] { return skua_raise(-EIO, "main failed"); }));
    EXPECT_STREQ("main failed",
                 skua_exception_message(skua_current_exception()));
    EXPECT_EQ(SKUA_ECANCELED, run([] {
                  EXPECT_EQ(1, skua_task_cancel(skua_current_task()));
                  return skua_yield();
              }));
    EXPECT_EQ(0u, reports_.size());
}

TEST_P(ConformanceMany, N024_WhatARunLeftBehindGoesOnInTheNext)
{
    skua_runner *runner = new_runner();
    std::atomic<bool> ended = false;
    Future left;
    void *first = keeper_.body([&] {
        left = spawn([&] {
            EXPECT_EQ(0, skua_sleep(5 * SKUA_MS));
            ended = true;
            return 0;
        });
        return 0;
    });
    void *second =
        keeper_.body([&] { return skua_await(left.get(), nullptr); });

    EXPECT_EQ(0, skua_runner_run(runner, run_body, first, nullptr));
    EXPECT_EQ(0, skua_runner_run(runner, run_body, second, nullptr));
    EXPECT_TRUE(ended);
    EXPECT_EQ(0, skua_runner_close(runner));
}

TEST_P(ConformanceMany, N024_WorkMovesWhileLoopZeroRestsBetweenRuns)
{
    if (GetParam() == 1) {
        GTEST_SKIP() << "needs a second loop";
    }
    skua_runner *runner = new_runner();
    void *main = keeper_.body([] { return skua_yield(); });

    for (int i = 0; i < 50; i++) {
        EXPECT_EQ(0, skua_runner_run(runner, run_body, main, nullptr));
        Future task = spawn_on(skua_runner_get_loop(runner, 1),
                               [] { return skua_return(as_pointer(6)); });

        EXPECT_EQ(6, await_int(task.get()));
    }
    EXPECT_EQ(0, skua_runner_close(runner));
}

TEST_P(ConformanceMany, N024_LoopsOfARunnerHaveAnIndex)
{
    skua_runner *runner = new_runner();

    EXPECT_EQ(GetParam(), skua_runner_loops(runner));
    EXPECT_NE(nullptr, skua_runner_get_loop(runner, 0));
    EXPECT_EQ(nullptr, skua_runner_get_loop(runner, GetParam()));
    EXPECT_EQ(-EPERM, skua_loop_close(skua_runner_get_loop(runner, 0)));
    EXPECT_EQ(-EPERM, skua_loop_run_forever(skua_runner_get_loop(runner, 0)));
    EXPECT_EQ(0, skua_runner_close(runner));
    EXPECT_EQ(nullptr, skua_get_running_runner());
}

int return_four(void *)
{
    return 4;
}

TEST_F(Conformance, N024_TheDefaultRunnerSizesItself)
{
    skua_runner *runner = nullptr;

    EXPECT_EQ(4, skua_run(return_four, nullptr));
    EXPECT_EQ(4, skua_run_with(nullptr, return_four, nullptr, nullptr));
    ASSERT_EQ(0, skua_runner_new(nullptr, &runner));
    EXPECT_LE(1u, skua_runner_loops(runner));
    EXPECT_EQ(0, skua_runner_close(runner));
}

CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
