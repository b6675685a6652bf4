/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cancel_test.cc - conformance 39, 53-57, 60, 61, 63-65: cancellation.
 */
#include "support.h"

namespace conformance
{
namespace
{

TEST_P(ConformanceMany, N039_AResultForACancelledFutureChangesNothing)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  Exception exception = make_exception(-EIO, "late");

                  EXPECT_EQ(1, skua_future_cancel(future.get()));
                  EXPECT_EQ(SKUA_EINVALSTATE,
                            skua_future_set_result(future.get(), nullptr));
                  EXPECT_EQ(
                      SKUA_EINVALSTATE,
                      skua_future_set_exception(future.get(), exception.get()));
                  EXPECT_EQ(SKUA_EINVALSTATE,
                            skua_future_set_error(future.get(), -EIO));
                  EXPECT_TRUE(skua_future_cancelled(future.get()));
                  EXPECT_EQ(SKUA_ECANCELED,
                            skua_future_result(future.get(), nullptr));
                  return 0;
              }));
    EXPECT_EQ(0u, reports_.size());
}

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

TEST_P(ConformanceOne, N056_CancelOfADeepChainEndsAllInOrder)
{
    constexpr int kDepth = 100;

    EXPECT_EQ(0, run([&] {
                  std::vector<Future> tasks(kDepth + 1);
                  Log log;
                  Order expected;

                  for (int i = 0; i <= kDepth; i++) {
                      tasks[i] = spawn([&, i] {
                          const int status =
                              i == 0 ? skua_sleep(SKUA_FOREVER)
                                     : skua_await(tasks[i - 1].get(), nullptr);

                          EXPECT_EQ(SKUA_ECANCELED, status);
                          log.add(i);
                          return status;
                      });
                      expected.push_back(i);
                  }
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(1, skua_task_cancel(tasks[kDepth].get()));
                  EXPECT_EQ(0u, log.size());
                  EXPECT_EQ(SKUA_ECANCELED,
                            skua_await(tasks[kDepth].get(), nullptr));
                  EXPECT_EQ(expected, log.get());
                  for (const Future &task : tasks) {
                      EXPECT_EQ(1, skua_task_cancelling(task.get()));
                      EXPECT_TRUE(skua_future_cancelled(task.get()));
                  }
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

TEST_P(ConformanceOne, N060_ACaughtCancelGivesTheResultInOrder)
{
    EXPECT_EQ(0, run([&] {
                  Log log;
                  Future task = spawn([&] {
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      log.add(2);
                      return skua_return(as_pointer(42));
                  });

                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  log.add(1);
                  EXPECT_EQ(42, await_int(task.get()));
                  EXPECT_EQ((Order{1, 2}), log.get());
                  EXPECT_FALSE(skua_future_cancelled(task.get()));
                  EXPECT_EQ(1, skua_task_cancelling(task.get()));
                  return 0;
              }));
}

TEST_P(ConformanceOne, N061_ASwallowedCancelIsForgottenByTheNextAwait)
{
    EXPECT_EQ(0, run([&] {
                  Future second = make_future();
                  Future task = spawn([&] {
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      return skua_return(as_pointer(await_int(second.get())));
                  });

                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_FALSE(skua_future_done(second.get()));
                  EXPECT_EQ(
                      0, skua_future_set_result(second.get(), as_pointer(9)));
                  EXPECT_EQ(9, await_int(task.get()));
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

/* --- messages --- */

/** What the code that runs here has caught: its message, "" for none. */
std::string caught()
{
    return skua_exception_message(skua_current_exception());
}

int await_cancelled(skua_future *future)
{
    return skua_await(future, nullptr);
}

TEST_P(ConformanceMany, N065_TheMessageReachesTheWaitAndTheAwaitingSide)
{
    EXPECT_EQ(0, run([&] {
                  Latch ready(1);
                  Future task = spawn([&] {
                      ready.down();
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      EXPECT_EQ("why", caught());
                      EXPECT_EQ(SKUA_ECANCELED, skua_exception_status(
                                                    skua_current_exception()));
                      return SKUA_ECANCELED;
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(1, skua_task_cancel_with(task.get(), "why"));
                  EXPECT_EQ(SKUA_ECANCELED, await_cancelled(task.get()));
                  EXPECT_EQ("why", caught());
                  EXPECT_EQ(0, skua_task_cancel_with(task.get(), "late"));
                  EXPECT_EQ(SKUA_ECANCELED, await_cancelled(task.get()));
                  EXPECT_EQ("why", caught());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N065_TheMessageReachesTheInnermostOfAChain)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  Latch ready(1);
                  Future inner = spawn([&] {
                      ready.down();
                      EXPECT_EQ(SKUA_ECANCELED, await_cancelled(future.get()));
                      EXPECT_EQ("chain", caught());
                      return SKUA_ECANCELED;
                  });
                  Future outer = spawn([&] {
                      EXPECT_EQ(SKUA_ECANCELED, await_cancelled(inner.get()));
                      EXPECT_EQ("chain", caught());
                      return SKUA_ECANCELED;
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(1, skua_task_cancel_with(outer.get(), "chain"));
                  EXPECT_EQ(SKUA_ECANCELED, await_cancelled(outer.get()));
                  EXPECT_EQ("chain", caught());
                  if (skua_task_cancelling(inner.get()) == 0) {
                      /* The request came before the await. */
                      EXPECT_EQ(1, skua_task_cancel_with(inner.get(), "chain"));
                  }
                  EXPECT_EQ(SKUA_ECANCELED, await_cancelled(inner.get()));
                  EXPECT_TRUE(skua_future_cancelled(future.get()));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N065_WithoutAMessageThereIsNone)
{
    EXPECT_EQ(0, run([&] {
                  Latch ready(2);
                  Future again = make_future();
                  Future task = spawn([&] {
                      ready.down();
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      EXPECT_EQ("first", caught());
                      EXPECT_EQ(0,
                                skua_future_set_result(again.get(), nullptr));
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      EXPECT_EQ(nullptr, skua_current_exception());
                      return SKUA_ECANCELED;
                  });
                  Future plain = spawn([&] {
                      ready.down();
                      return skua_sleep(SKUA_FOREVER);
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(1, skua_task_cancel_with(task.get(), "first"));
                  EXPECT_EQ(0, skua_await(again.get(), nullptr));
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(SKUA_ECANCELED, await_cancelled(task.get()));
                  EXPECT_EQ(nullptr, skua_current_exception());
                  EXPECT_EQ(1, skua_task_cancel_with(plain.get(), nullptr));
                  EXPECT_EQ(SKUA_ECANCELED, await_cancelled(plain.get()));
                  EXPECT_EQ(nullptr, skua_current_exception());
                  return 0;
              }));
}

TEST_P(ConformanceOne, N065_BeforeTheFirstStep)
{
    EXPECT_EQ(0, run([&] {
                  Future task = spawn([] { return 0; });

                  EXPECT_EQ(1, skua_task_cancel_with(task.get(), "early"));
                  EXPECT_EQ(SKUA_ECANCELED, await_cancelled(task.get()));
                  EXPECT_EQ("early", caught());
                  return 0;
              }));
}

TEST_P(ConformanceOne, N065_AfterTheFutureHasItsResult)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  Future task = spawn([&] {
                      EXPECT_EQ(SKUA_ECANCELED, await_cancelled(future.get()));
                      EXPECT_EQ("both", caught());
                      return SKUA_ECANCELED;
                  });

                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(
                      0, skua_future_set_result(future.get(), as_pointer(1)));
                  EXPECT_EQ(1, skua_task_cancel_with(task.get(), "both"));
                  EXPECT_EQ(SKUA_ECANCELED, await_cancelled(task.get()));
                  EXPECT_EQ("both", caught());
                  EXPECT_EQ(1, await_int(future.get()));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N065_OfATaskThatRuns)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  Future waits = spawn([&] {
                      skua_task *self = skua_current_task();

                      EXPECT_EQ(1, skua_task_cancel_with(self, "one"));
                      EXPECT_EQ(1, skua_task_cancel_with(self, "two"));
                      EXPECT_EQ(SKUA_ECANCELED, await_cancelled(future.get()));
                      EXPECT_EQ("two", caught());
                      EXPECT_EQ(1, skua_task_cancel_with(self, "three"));
                      EXPECT_EQ(SKUA_ECANCELED, skua_checkpoint());
                      EXPECT_EQ("three", caught());
                      EXPECT_EQ(1, skua_task_cancel_with(self, "four"));
                      EXPECT_EQ(1, skua_task_cancel(self));
                      EXPECT_EQ(SKUA_ECANCELED, skua_yield());
                      EXPECT_EQ(nullptr, skua_current_exception());
                      return 0;
                  });
                  Future returns = spawn([&] {
                      EXPECT_EQ(
                          1, skua_task_cancel_with(skua_current_task(), "end"));
                      return 0;
                  });

                  EXPECT_EQ(0, skua_await(waits.get(), nullptr));
                  EXPECT_TRUE(skua_future_cancelled(future.get()));
                  EXPECT_EQ(SKUA_ECANCELED, await_cancelled(future.get()));
                  EXPECT_EQ("two", caught());
                  EXPECT_EQ(SKUA_ECANCELED, await_cancelled(returns.get()));
                  EXPECT_EQ("end", caught());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N065_OfAPlainFuture)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  Latch ready(1);
                  Future task = spawn([&] {
                      ready.down();
                      EXPECT_EQ(SKUA_ECANCELED, await_cancelled(future.get()));
                      EXPECT_EQ("gone", caught());
                      return SKUA_ECANCELED;
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(1, skua_future_cancel_with(future.get(), "gone"));
                  EXPECT_EQ(0, skua_future_cancel_with(future.get(), "late"));
                  EXPECT_EQ(SKUA_ECANCELED, await_cancelled(task.get()));
                  EXPECT_EQ("gone", caught());
                  EXPECT_EQ(SKUA_ECANCELED,
                            skua_future_result(future.get(), nullptr));
                  EXPECT_EQ("gone", caught());
                  EXPECT_EQ(-EINVAL, skua_future_cancel_with(nullptr, "x"));
                  EXPECT_EQ(-EINVAL, skua_task_cancel_with(future.get(), "x"));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N065_ManyMessagesAtOnce)
{
    const int rounds = kRaceDetector ? 20 : 100;

    EXPECT_EQ(0, run([&] {
                  for (int i = 0; i < rounds; i++) {
                      std::vector<Future> cancellers;
                      Future victim = spawn([&] {
                          for (int k = 0; k < 4; k++) {
                              if (skua_sleep(10 * SKUA_US) == SKUA_ECANCELED) {
                                  EXPECT_TRUE(skua_current_exception() ==
                                                  nullptr ||
                                              caught() == "mine");
                              }
                              (void)skua_checkpoint();
                          }
                          return 0;
                      });

                      for (int k = 0; k < 8; k++) {
                          cancellers.push_back(spawn([&, k] {
                              (void)skua_task_cancel_with(
                                  victim.get(), k % 3 == 0 ? nullptr : "mine");
                              return 0;
                          }));
                      }
                      for (const Future &canceller : cancellers) {
                          EXPECT_EQ(0, skua_await(canceller.get(), nullptr));
                      }
                      (void)skua_await(victim.get(), nullptr);
                  }
                  return 0;
              }));
}

TEST_P(ConformanceMany, N064_ACheckpointTakesARequestThatWaits)
{
    EXPECT_EQ(0, run([] {
                  skua_task *self = skua_current_task();

                  EXPECT_EQ(0, skua_checkpoint());
                  EXPECT_EQ(1, skua_task_cancel(self));
                  EXPECT_EQ(SKUA_ECANCELED, skua_checkpoint());
                  EXPECT_EQ(0, skua_checkpoint());
                  EXPECT_EQ(0, skua_task_uncancel(self));
                  return 0;
              }));
    EXPECT_EQ(SKUA_ENOLOOP, skua_checkpoint());
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
