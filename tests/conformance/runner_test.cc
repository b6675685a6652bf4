/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_test.cc - conformance 24 and what else run() promises.
 */
#include <algorithm>

#include "lines.h"
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
    EXPECT_EQ(nullptr, skua_runner_get_loop(runner, GetParam() + 2));
    EXPECT_EQ(-EPERM, skua_loop_close(skua_runner_get_loop(runner, 0)));
    EXPECT_EQ(-EPERM, skua_loop_run_forever(skua_runner_get_loop(runner, 0)));
    EXPECT_EQ(0, skua_runner_close(runner));
    EXPECT_EQ(nullptr, skua_get_running_runner());
}

/* --- aborts --- */

TEST_P(ConformanceMany, T22_AnAbortSurfacesFromTheRun)
{
    skua_runner *runner = new_runner();
    std::atomic<bool> cancelled = false;
    skua_loop *last = skua_runner_get_loop(runner, GetParam() - 1);
    void *main = keeper_.body([&, last] {
        std::thread([&] {
            EXPECT_EQ(0, skua_loop_abort(last, -ENOSYS));
            EXPECT_EQ(0, skua_loop_abort(last, -EIO)) << "the first counts";
        }).join();
        cancelled = skua_sleep(SKUA_FOREVER) == SKUA_ECANCELED;
        return 0;
    });
    EXPECT_EQ(-ENOSYS, skua_runner_run(runner, run_body, main, nullptr));
    EXPECT_FALSE(cancelled) << "the main task goes on";
    void *next = keeper_.body([] { return 5; });
    EXPECT_EQ(5, skua_runner_run(runner, run_body, next, nullptr));
    EXPECT_EQ(0, skua_runner_close(runner));
    EXPECT_TRUE(cancelled);
    EXPECT_EQ(0u, reports_.size());
}

TEST_P(ConformanceMany, T22_BetweenRunsTheNextOneEnds)
{
    skua_runner *runner = new_runner();
    void *main = keeper_.body([] { return 3; });

    EXPECT_EQ(0, skua_loop_abort(skua_runner_get_loop(runner, 0), -ENOSYS));
    EXPECT_EQ(-ENOSYS, skua_runner_run(runner, run_body, main, nullptr));
    EXPECT_EQ(3, skua_runner_run(runner, run_body, main, nullptr));
    EXPECT_EQ(0, skua_loop_abort(skua_runner_get_loop(runner, 0), -ENOSYS));
    EXPECT_EQ(0, skua_runner_close(runner)) << "closing is not kept from it";
    EXPECT_EQ(0u, reports_.size());
}

TEST_P(ConformanceMany, T22_AFailureBesideAnAbortIsNoNews)
{
    skua_runner *runner = new_runner();
    void *main = keeper_.body([&] {
        EXPECT_EQ(0, skua_loop_abort(skua_get_running_loop(), -ENOSYS));
        return -EIO; /* as SystemExit: the task's outcome, and the run's */
    });

    EXPECT_EQ(-ENOSYS, skua_runner_run(runner, run_body, main, nullptr));
    EXPECT_EQ(0, skua_runner_close(runner));
    EXPECT_GE(GetParam() == 1 ? 0u : 1u, reports_.size());
}

TEST_P(ConformanceMany, T22_AnAbortWhileClosingDoesNotKeepTasks)
{
    skua_runner *runner = new_runner();
    std::atomic<int> ended = 0;
    void *main = keeper_.body([&] {
        constexpr int kTasks = 10;
        Latch ready(kTasks);

        for (int i = 0; i < kTasks; i++) {
            spawn([&] {
                ready.down();
                EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                EXPECT_EQ(0, skua_loop_abort(skua_get_running_loop(), -EIO));
                EXPECT_EQ(0, skua_yield());
                ended++;
                return SKUA_ECANCELED;
            });
        }
        return ready.wait();
    });

    EXPECT_EQ(0, skua_runner_run(runner, run_body, main, nullptr));
    EXPECT_EQ(0, skua_runner_close(runner));
    EXPECT_EQ(10, ended);
}

/* --- the default executor --- */

TEST_P(ConformanceMany, E12_ShuttingTheDefaultExecutorWaitsForItsWork)
{
    EXPECT_EQ(
        0, run([&] {
            skua_loop *loop = loops().back();
            std::atomic<bool> may_end = false;
            std::atomic<bool> ended = false;
            skua_future *refused = nullptr;
            Future job = in_executor(loop, nullptr, [&] {
                while (!may_end) { /* a loop lets it */
                    std::this_thread::yield();
                }
                ended = true;
                return 0;
            });
            Future waiter = spawn([&, loop] {
                return skua_loop_shutdown_default_executor(loop, 60 * SKUA_S);
            });

            while (skua_loop_run_in_executor(loop, nullptr, run_body,
                                             keeper_.body([] { return 0; }),
                                             &refused) == 0) {
                skua_future_unref(refused);
                refused = nullptr;
                EXPECT_EQ(0, skua_yield()); /* the loop is not blocked */
            }
            EXPECT_EQ(SKUA_ECLOSED,
                      skua_loop_run_in_executor(loop, nullptr, run_body,
                                                nullptr, &refused));
            may_end = true;
            EXPECT_EQ(0, skua_await(waiter.get(), nullptr));
            EXPECT_TRUE(ended);
            EXPECT_EQ(0, skua_await(job.get(), nullptr));
            EXPECT_EQ(0, skua_loop_shutdown_default_executor(loop, 0))
                << "there is none any more";
            return 0;
        }));
}

TEST_P(ConformanceMany, E12_InTimeOrLeftToFinish)
{
    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = loops().front();
                  std::atomic<bool> may_end = false;
                  Future job = in_executor(loop, nullptr, [&] {
                      while (!may_end) {
                          std::this_thread::yield();
                      }
                      return skua_return(as_pointer(4));
                  });

                  EXPECT_EQ(-ETIMEDOUT,
                            skua_loop_shutdown_default_executor(loop, SKUA_MS));
                  EXPECT_FALSE(skua_future_done(job.get()));
                  may_end = true;
                  EXPECT_EQ(4, await_int(job.get()));
                  return 0;
              }));
    EXPECT_EQ(0u, reports_.size());
}

TEST_P(ConformanceMany, E12_ACancelledWaitMayBeBegunAgain)
{
    EXPECT_EQ(
        0, run([&] {
            skua_loop *loop = loops().front();
            std::atomic<bool> may_end = false;
            Future job = in_executor(loop, nullptr, [&] {
                while (!may_end) {
                    std::this_thread::yield();
                }
                return 0;
            });
            Future waiter = spawn([&, loop] {
                return skua_loop_shutdown_default_executor(loop, SKUA_FOREVER);
            });

            for (int i = 0; i < 10; i++) {
                EXPECT_EQ(0, skua_yield());
            }
            EXPECT_EQ(1, skua_task_cancel(waiter.get()));
            EXPECT_EQ(SKUA_ECANCELED, skua_await(waiter.get(), nullptr));
            may_end = true;
            EXPECT_EQ(0,
                      skua_loop_shutdown_default_executor(loop, SKUA_FOREVER));
            EXPECT_TRUE(skua_future_done(job.get()));
            return 0;
        }));
}

TEST_P(ConformanceMany, E12_ARunnerGivesUpOnAnExecutorThatDoesNotEnd)
{
    skua_runner_options options = {};
    skua_runner *runner = nullptr;
    std::atomic<bool> may_end = false;
    std::atomic<bool> ended = false;
    Future job;

    options.loops = GetParam();
    options.no_sigint = true;
    options.executor_timeout_ns = SKUA_MS;
    ASSERT_EQ(0, skua_runner_new(&options, &runner));
    reports_.install(skua_runner_get_loop(runner, 0));
    void *main = keeper_.body([&] {
        job = in_executor(skua_get_running_loop(), nullptr, [&] {
            while (!may_end) {
                std::this_thread::yield();
            }
            ended = true;
            return 0;
        });
        return 0;
    });
    EXPECT_EQ(0, skua_runner_run(runner, run_body, main, nullptr));
    EXPECT_EQ(0, skua_runner_close(runner));
    ASSERT_EQ(1u, reports_.size());
    EXPECT_EQ(-ETIMEDOUT, reports_.get()[0].status);
    EXPECT_FALSE(ended);
    may_end = true;
    EXPECT_EQ(0, skua_await(job.get(), nullptr)) << "in a plain thread";
    EXPECT_TRUE(ended);
}

TEST_F(Conformance, E12_InAPlainThreadItBlocks)
{
    std::atomic<bool> may_end = false;
    Future job = in_executor(loop_, nullptr, [&] {
        while (!may_end) {
            std::this_thread::yield();
        }
        return 0;
    });

    std::thread release([&] { may_end = true; });
    EXPECT_EQ(0, skua_loop_shutdown_default_executor(loop_, 60 * SKUA_S));
    release.join();
    EXPECT_TRUE(skua_future_done(job.get()));
}

TEST_F(Conformance, E12_InAPlainThreadItGivesUp)
{
    std::atomic<bool> may_end = false;
    Future job = in_executor(loop_, nullptr, [&] {
        while (!may_end) {
            std::this_thread::yield();
        }
        return 0;
    });

    EXPECT_EQ(-ETIMEDOUT, skua_loop_shutdown_default_executor(loop_, SKUA_MS));
    may_end = true;
    EXPECT_EQ(0, skua_await(job.get(), nullptr));
}

TEST_F(Conformance, E12_NoneIsMadeAfterwards)
{
    skua_future *future = nullptr;
    skua_executor *executor = nullptr;

    EXPECT_EQ(0, skua_loop_shutdown_default_executor(loop_, SKUA_FOREVER));
    EXPECT_EQ(SKUA_ECLOSED, skua_loop_run_in_executor(loop_, nullptr, run_body,
                                                      nullptr, &future));
    ASSERT_EQ(0, skua_thread_pool_executor_new(nullptr, &executor));
    EXPECT_EQ(SKUA_ECLOSED, skua_loop_set_default_executor(loop_, executor));
    skua_executor_unref(executor);
    soon(loop_,
         [&] { EXPECT_EQ(0, skua_loop_shutdown_default_executor(loop_, 0)); });
    EXPECT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ(-EINVAL, skua_loop_shutdown_default_executor(nullptr, 0));
    EXPECT_EQ(-EINVAL,
              skua_loop_shutdown_default_executor(loop_, SKUA_NOT_A_TIME));
    EXPECT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(SKUA_ECLOSED, skua_loop_shutdown_default_executor(loop_, 0));
}

TEST_F(Conformance, E12_ACallbackCannotWait)
{
    std::atomic<bool> may_end = false;
    Future job = in_executor(loop_, nullptr, [&] {
        while (!may_end) {
            std::this_thread::yield();
        }
        return 0;
    });

    soon(loop_, [&] {
        EXPECT_EQ(-EDEADLK,
                  skua_loop_shutdown_default_executor(loop_, SKUA_FOREVER));
        may_end = true;
    });
    EXPECT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ(0, skua_await(job.get(), nullptr));
}

/* --- several runs --- */

TEST_P(ConformanceMany, R02_RunsShareTheLoops)
{
    skua_runner *runner = new_runner();
    std::vector<skua_loop *> first;
    void *look = keeper_.body([&] {
        if (first.empty()) {
            first = loops();
        }
        EXPECT_EQ(first, loops());
        return 0;
    });

    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(0, skua_runner_run(runner, run_body, look, nullptr));
    }
    EXPECT_EQ(GetParam(), first.size());
    EXPECT_EQ(0, skua_runner_close(runner));
    EXPECT_EQ(0, skua_runner_close(nullptr));
}

TEST_P(ConformanceMany, R02_AFailedRunLeavesTheRunnerUsable)
{
    skua_runner *runner = new_runner();
    void *fails = keeper_.body([] { return skua_raise(-EIO, "first"); });
    void *works = keeper_.body([] { return 2; });

    EXPECT_EQ(-EIO, skua_runner_run(runner, run_body, fails, nullptr));
    EXPECT_EQ(2, skua_runner_run(runner, run_body, works, nullptr));
    EXPECT_EQ(-EINVAL, skua_runner_run(runner, nullptr, nullptr, nullptr));
    EXPECT_EQ(2, skua_runner_run(runner, run_body, works, nullptr));
    EXPECT_EQ(0, skua_runner_close(runner));
    EXPECT_EQ(0u, reports_.size());
}

TEST_F(Conformance, R02_OptionsAreChecked)
{
    skua_runner_options options = {};
    skua_runner *runner = nullptr;

    options.executor_timeout_ns = -1;
    EXPECT_EQ(-EINVAL, skua_runner_new(&options, &runner));
    EXPECT_EQ(nullptr, runner);
}

TEST_P(ConformanceMany, R04_LeftoversAreReportedToTheirHomeLoop)
{
    std::mutex mutex;
    std::vector<skua_loop *> told;
    Handler handler = [&](skua_loop *loop,
                          const skua_exception_context *context) {
        const std::scoped_lock lock(mutex);

        EXPECT_EQ(-EIO, context->status);
        EXPECT_NE(nullptr, context->task);
        EXPECT_STREQ("late", skua_exception_message(context->exception));
        told.push_back(loop);
    };
    std::vector<skua_loop *> all;

    EXPECT_EQ(0, run([&] {
                  all = loops();
                  Latch ready(static_cast<int>(all.size()));

                  for (skua_loop *loop : all) {
                      set_handler(loop, handler);
                      spawn_on(loop, [&] {
                          ready.down();
                          EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                          return skua_raise(-EIO, "late");
                      });
                  }
                  return ready.wait();
              }));
    std::sort(all.begin(), all.end());
    std::sort(told.begin(), told.end());
    EXPECT_EQ(all, told);
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
