/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cancel_test.cc - conformance 53-57, 60, 61, 63, 64: cancellation.
 */
#include "support.h"

namespace conformance
{
namespace
{

TEST_P(ConformanceMany, N053_CancelIsTrueWhileTheTaskLives)
{
    EXPECT_EQ(0, run([&] {
                  Future done = spawn([] { return 0; });
                  Future live = spawn([] { return skua_sleep(SKUA_FOREVER); });

                  EXPECT_EQ(0, skua_await(done.get(), nullptr));
                  EXPECT_EQ(0, skua_task_cancel(done.get()));
                  EXPECT_EQ(0, skua_future_cancel(done.get()));
                  EXPECT_EQ(1, skua_task_cancel(live.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(live.get(), nullptr));
                  EXPECT_EQ(0, skua_task_cancel(live.get()));
                  EXPECT_EQ(1, skua_task_cancelling(live.get()));
                  return 0;
              }));
}

TEST_P(ConformanceOne, N053_CancelIsTrueRepeatedly)
{
    EXPECT_EQ(0, run([&] {
                  Future live = spawn([] { return skua_sleep(SKUA_FOREVER); });

                  EXPECT_EQ(0, skua_yield());
                  for (int i = 1; i <= 3; i++) {
                      EXPECT_EQ(1, skua_task_cancel(live.get()));
                      EXPECT_EQ(i, skua_task_cancelling(live.get()));
                      EXPECT_FALSE(skua_future_cancelled(live.get()));
                  }
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(live.get(), nullptr));
                  EXPECT_TRUE(skua_future_cancelled(live.get()));
                  return 0;
              }));
}

TEST_P(ConformanceOne, N054_CancelBeforeTheFirstStepNeverRunsTheBody)
{
    EXPECT_EQ(0, run([&] {
                  Future task = spawn([] {
                      ADD_FAILURE() << "the body ran";
                      return 0;
                  });

                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_FALSE(skua_future_done(task.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(task.get(), nullptr));
                  EXPECT_TRUE(skua_future_cancelled(task.get()));
                  return 0;
              }));
    EXPECT_EQ(0u, reports_.size());
}

TEST_P(ConformanceMany, N054_CancelBeforeTheFirstStepOfAPinnedTask)
{
    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = loops().back();
                  Latch latch(1);
                  Future task;

                  post(loop, [&, loop] {
                      task = spawn_on(
                          loop,
                          [] {
                              ADD_FAILURE() << "the body ran";
                              return 0;
                          },
                          true);
                      EXPECT_EQ(1, skua_task_cancel(task.get()));
                      latch.down();
                  });
                  EXPECT_EQ(0, latch.wait());
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(task.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceOne, N055_CancelOfAWaiterCancelsItsFutureAtOnce)
{
    EXPECT_EQ(0, run([&] {
                  Log log;
                  Future future = make_future();
                  Future task = spawn([&] {
                      EXPECT_EQ(SKUA_ECANCELED,
                                skua_await(future.get(), nullptr));
                      log.add(2);
                      return SKUA_ECANCELED;
                  });

                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_TRUE(skua_future_cancelled(future.get()));
                  EXPECT_FALSE(skua_future_done(task.get()));
                  log.add(1);
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(task.get(), nullptr));
                  EXPECT_EQ((Order{1, 2}), log.get());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N055_CancelOfAWaiterEndsIt)
{
    constexpr int kRounds = 100;

    EXPECT_EQ(
        0, run([&] {
            for (int i = 0; i < kRounds; i++) {
                Future future = make_future();
                Future task =
                    spawn([&] { return skua_await(future.get(), nullptr); });

                EXPECT_EQ(0, i % 2 == 0 ? skua_yield() : 0);
                EXPECT_EQ(1, skua_task_cancel(task.get()));
                EXPECT_EQ(SKUA_ECANCELED, skua_await(task.get(), nullptr));
                EXPECT_TRUE(skua_future_cancelled(task.get()));
            }
            return 0;
        }));
}

/** A chain of `depth` tasks, each awaiting the next; the last one sleeps. */
int chain(Lambdas &lambdas, int depth, std::atomic<int> &cancelled,
          Latch &ready)
{
    int status = 0;

    if (depth == 0) {
        ready.down();
        status = skua_sleep(SKUA_FOREVER);
    } else {
        Future inner = lambdas.spawn(
            [&, depth] { return chain(lambdas, depth - 1, cancelled, ready); });

        status = skua_await(inner.get(), nullptr);
        EXPECT_TRUE(skua_future_cancelled(inner.get()));
    }
    EXPECT_EQ(SKUA_ECANCELED, status);
    cancelled++;
    return status;
}

TEST_P(ConformanceMany, N056_CancelFollowsAChainOfAwaits)
{
    constexpr int kDepth = 40;

    EXPECT_EQ(0, run([&] {
                  std::atomic<int> cancelled = 0;
                  Latch ready(1);
                  Future outer = spawn(
                      [&] { return chain(*this, kDepth, cancelled, ready); });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(1, skua_task_cancel(outer.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(outer.get(), nullptr));
                  EXPECT_EQ(kDepth + 1, cancelled);
                  return 0;
              }));
}

TEST_P(ConformanceMany, N056_CancelCrossesLoops)
{
    EXPECT_EQ(0, run([&] {
                  const std::vector<skua_loop *> all = loops();
                  Latch ready(1);
                  Future inner = spawn_on(
                      all.back(),
                      [&] {
                          ready.down();
                          return skua_sleep(SKUA_FOREVER);
                      },
                      true);
                  Future outer = spawn_on(
                      all.front(),
                      [&] { return skua_await(inner.get(), nullptr); }, true);

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(1, skua_task_cancel(outer.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(outer.get(), nullptr));
                  if (skua_task_cancelling(inner.get()) == 0) {
                      /* The request came before the await. */
                      EXPECT_EQ(1, skua_task_cancel(inner.get()));
                  }
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(inner.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceOne, N057_CancelAfterTheFutureIsDoneCancelsTheTask)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  Future task = spawn([&] {
                      void *value = as_pointer(-1);
                      const int status = skua_await(future.get(), &value);

                      EXPECT_EQ(-1, as_int(value));
                      return status;
                  });

                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(
                      0, skua_future_set_result(future.get(), as_pointer(3)));
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(task.get(), nullptr));
                  EXPECT_TRUE(skua_future_cancelled(task.get()));
                  EXPECT_EQ(3, await_int(future.get()));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N057_CancelRacingWithCompletionLosesNothing)
{
    constexpr int kRounds = 300;

    EXPECT_EQ(
        0, run([&] {
            for (int i = 0; i < kRounds; i++) {
                Future future = make_future();
                Future task =
                    spawn([&] { return skua_await(future.get(), nullptr); });
                Future setter = spawn([&] {
                    return skua_future_set_result(future.get(), nullptr);
                });
                const int asked = skua_task_cancel(task.get());
                const int status = skua_await(task.get(), nullptr);

                /* A request may come too late for a task that ends. */
                EXPECT_TRUE(status == 0 ||
                            (asked == 1 && status == SKUA_ECANCELED));
                EXPECT_EQ(skua_future_cancelled(future.get()) ? SKUA_EINVALSTATE
                                                              : 0,
                          skua_await(setter.get(), nullptr));
            }
            return 0;
        }));
}

TEST_P(ConformanceMany, N060_ACaughtCancelGivesTheResult)
{
    EXPECT_EQ(0, run([&] {
                  Latch ready(1);
                  Future task = spawn([&] {
                      ready.down();
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      return skua_return(as_pointer(42));
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(42, await_int(task.get()));
                  EXPECT_FALSE(skua_future_cancelled(task.get()));
                  EXPECT_EQ(1, skua_task_cancelling(task.get()));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N061_ASwallowedCancelDoesNotInterruptTheNextAwait)
{
    EXPECT_EQ(0, run([&] {
                  Latch ready(1);
                  Future task = spawn([&] {
                      ready.down();
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      EXPECT_EQ(0, skua_sleep(1 * SKUA_MS));
                      EXPECT_EQ(0, skua_yield());
                      EXPECT_EQ(1, skua_task_cancelling(skua_current_task()));
                      return 0;
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  return skua_await(task.get(), nullptr);
              }));
}

TEST_P(ConformanceMany, N063_AFutureCancelledByAThirdPartyCancelsTheWaiter)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  Future task = spawn([&] {
                      EXPECT_EQ(SKUA_ECANCELED,
                                skua_await(future.get(), nullptr));
                      return SKUA_ECANCELED;
                  });

                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(1, skua_future_cancel(future.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(task.get(), nullptr));
                  EXPECT_TRUE(skua_future_cancelled(task.get()));
                  EXPECT_EQ(0, skua_task_cancelling(task.get()));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N064_CancellingCountsAndUncancelTakesBack)
{
    EXPECT_EQ(0, run([&] {
                  skua_task *self = skua_current_task();

                  EXPECT_EQ(0, skua_task_cancelling(self));
                  EXPECT_EQ(0, skua_task_uncancel(self));
                  EXPECT_EQ(1, skua_task_cancel(self));
                  EXPECT_EQ(1, skua_task_cancel(self));
                  EXPECT_EQ(2, skua_task_cancelling(self));
                  EXPECT_EQ(1, skua_task_uncancel(self));
                  EXPECT_EQ(0, skua_task_uncancel(self));
                  EXPECT_EQ(0, skua_task_uncancel(self));
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(0, skua_sleep(1));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N064_ARequestNotTakenBackIsDelivered)
{
    EXPECT_EQ(0, run([&] {
                  skua_task *self = skua_current_task();

                  EXPECT_EQ(1, skua_task_cancel(self));
                  EXPECT_EQ(1, skua_task_cancel(self));
                  EXPECT_EQ(1, skua_task_uncancel(self));
                  EXPECT_EQ(SKUA_ECANCELED, skua_yield());
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(0, skua_task_uncancel(self));
                  return 0;
              }));
}

TEST_P(ConformanceOne, N064_UncancelOfATaskThatHasNotStartedLetsItRun)
{
    EXPECT_EQ(0, run([&] {
                  Future task =
                      spawn([] { return skua_return(as_pointer(1)); });

                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(0, skua_task_uncancel(task.get()));
                  EXPECT_EQ(1, await_int(task.get()));
                  return 0;
              }));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
