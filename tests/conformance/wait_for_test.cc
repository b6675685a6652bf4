/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait_for_test.cc - conformance 93, 94: wait_for.
 */
#include "support.h"

namespace conformance
{
namespace
{

/* --- wait_for: 93 --- */

TEST_P(ConformanceMany, N093_TimeoutWaitsForTheCancelledChild)
{
    EXPECT_EQ(0, run([&] {
                  std::atomic<bool> ended = false;
                  const int64_t start_ns = skua_monotonic();
                  Future child = spawn([&] {
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      EXPECT_EQ(0, skua_sleep(2 * SKUA_MS));
                      ended = true;
                      return SKUA_ECANCELED;
                  });

                  EXPECT_EQ(-ETIMEDOUT,
                            skua_wait_for(skua_awaitable_future(child.get()),
                                          1 * SKUA_MS, nullptr));
                  EXPECT_TRUE(ended);
                  EXPECT_TRUE(skua_future_cancelled(child.get()));
                  EXPECT_LE(start_ns + 1 * SKUA_MS, skua_monotonic());
                  EXPECT_EQ(0, skua_task_cancelling(skua_current_task()));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N093_TimeoutCancelsACoroutineAndWaitsForIt)
{
    EXPECT_EQ(0, run([&] {
                  bool ended = false;

                  EXPECT_EQ(-ETIMEDOUT,
                            skua_wait_for(call([&] {
                                              const int status =
                                                  skua_sleep(SKUA_FOREVER);

                                              EXPECT_EQ(0, skua_yield());
                                              ended = true;
                                              return status;
                                          }),
                                          1 * SKUA_MS, nullptr));
                  EXPECT_TRUE(ended);
                  EXPECT_EQ(0, skua_task_cancelling(skua_current_task()));
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N093_AValueDespiteTheCancelIsTheResult)
{
    EXPECT_EQ(0, run([&] {
                  Future child = spawn([] {
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      return skua_return(as_pointer(7));
                  });
                  void *value = nullptr;

                  EXPECT_EQ(0, skua_wait_for(skua_awaitable_future(child.get()),
                                             1 * SKUA_MS, &value));
                  EXPECT_EQ(7, as_int(value));
                  EXPECT_EQ(0, skua_task_cancelling(skua_current_task()));
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N093_AnotherErrorIsTheError)
{
    EXPECT_EQ(
        0, run([&] {
            Future child = spawn([] {
                EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                return skua_raise(-EIO, "while cancelled");
            });

            EXPECT_EQ(-EIO, skua_wait_for(skua_awaitable_future(child.get()),
                                          1 * SKUA_MS, nullptr));
            EXPECT_STREQ("while cancelled",
                         skua_exception_message(skua_current_exception()));
            return skua_return(nullptr);
        }));
}

TEST_P(ConformanceMany, N093_NoTimeLeftNeverStartsACoroutine)
{
    EXPECT_EQ(0, run([&] {
                  for (const int64_t timeout_ns : {INT64_C(0), -SKUA_S}) {
                      EXPECT_EQ(-ETIMEDOUT, skua_wait_for(call([] {
                                                              ADD_FAILURE()
                                                                  << "started";
                                                              return 0;
                                                          }),
                                                          timeout_ns, nullptr));
                  }
                  return 0;
              }));
}

TEST_P(ConformanceMany, N093_NoTimeLeftGivesAFinishedFuture)
{
    EXPECT_EQ(
        0, run([&] {
            Future done = make_future();
            Future failed = make_future();
            Future pending = make_future();
            void *value = nullptr;

            EXPECT_EQ(0, skua_future_set_result(done.get(), as_pointer(2)));
            EXPECT_EQ(0, skua_future_set_error(failed.get(), -EIO));
            EXPECT_EQ(
                0, skua_wait_for(skua_awaitable_future(done.get()), 0, &value));
            EXPECT_EQ(2, as_int(value));
            EXPECT_EQ(-EIO, skua_wait_for(skua_awaitable_future(failed.get()),
                                          -1, nullptr));
            EXPECT_EQ(-ETIMEDOUT,
                      skua_wait_for(skua_awaitable_future(pending.get()), 0,
                                    nullptr));
            EXPECT_TRUE(skua_future_cancelled(pending.get()));
            return 0;
        }));
}

TEST_P(ConformanceMany, N093_InTimeGivesTheOutcome)
{
    EXPECT_EQ(
        0, run([&] {
            for (const int64_t timeout_ns : {3600 * SKUA_S, SKUA_FOREVER}) {
                void *value = nullptr;
                Future child = spawn([] {
                    EXPECT_EQ(0, skua_sleep(100 * SKUA_US));
                    return skua_return(as_pointer(4));
                });

                EXPECT_EQ(0, skua_wait_for(skua_awaitable_future(child.get()),
                                           timeout_ns, &value));
                EXPECT_EQ(4, as_int(value));
                EXPECT_EQ(0,
                          skua_wait_for(
                              call([] { return skua_return(as_pointer(5)); }),
                              timeout_ns, &value));
                EXPECT_EQ(5, as_int(value));
                EXPECT_EQ(-EIO, skua_wait_for(call([] { return -EIO; }),
                                              timeout_ns, nullptr));
            }
            return 0;
        }));
}

TEST_P(ConformanceMany, N093_RefusesWhatIsNoTimeOrNoAwaitable)
{
    EXPECT_EQ(0, run([&] {
                  EXPECT_EQ(-EINVAL, skua_wait_for(call([] { return 0; }),
                                                   SKUA_NOT_A_TIME, nullptr));
                  EXPECT_EQ(-EINVAL,
                            skua_wait_for(skua_awaitable{}, 1, nullptr));
                  return 0;
              }));
}

/* --- wait_for: 94 --- */

TEST_P(ConformanceOne, N094_OuterCancelInTheIterationOfCompletionIsKept)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  Future waiter = spawn([&] {
                      return skua_wait_for(skua_awaitable_future(future.get()),
                                           3600 * SKUA_S, nullptr);
                  });

                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(
                      0, skua_future_set_result(future.get(), as_pointer(6)));
                  EXPECT_EQ(1, skua_task_cancel(waiter.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(waiter.get(), nullptr));
                  EXPECT_EQ(6, await_int(future.get()));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N094_OuterCancelRacingWithCompletion)
{
    constexpr int kRounds = 200;

    EXPECT_EQ(
        0, run([&] {
            for (int i = 0; i < kRounds; i++) {
                Future future = make_future();
                Latch ready(1);
                Future waiter = spawn([&] {
                    int status;

                    ready.down();
                    status = skua_wait_for(skua_awaitable_future(future.get()),
                                           3600 * SKUA_S, nullptr);
                    return status == SKUA_ECANCELED ? status : skua_yield();
                });
                Future setter;

                EXPECT_EQ(0, ready.wait());
                setter = spawn([&] {
                    return skua_future_set_result(future.get(), as_pointer(6));
                });
                const int asked = skua_task_cancel(waiter.get());
                const int status = skua_await(waiter.get(), nullptr);

                EXPECT_TRUE(status == 0 ||
                            (asked == 1 && status == SKUA_ECANCELED));
                if (skua_await(setter.get(), nullptr) == 0) {
                    EXPECT_EQ(6, await_int(future.get()));
                }
            }
            return 0;
        }));
}

TEST_P(ConformanceMany, N094_OuterCancelCancelsTheChild)
{
    EXPECT_EQ(0, run([&] {
                  Latch ready(2);
                  Future child = spawn([&] {
                      ready.down();
                      return skua_sleep(SKUA_FOREVER);
                  });
                  Future waiter = spawn([&] {
                      ready.down();
                      return skua_wait_for(skua_awaitable_future(child.get()),
                                           3600 * SKUA_S, nullptr);
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(0, skua_sleep(1 * SKUA_MS));
                  EXPECT_EQ(1, skua_task_cancel(waiter.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(waiter.get(), nullptr));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(child.get(), nullptr));
                  EXPECT_TRUE(skua_future_cancelled(child.get()));
                  return 0;
              }));
}

/* The result and then the limit in one iteration: the result; with a request
 * from outside as well: that. */
TEST_P(ConformanceOne, N093_AResultInTheIterationOfTheLimitIsTheResult)
{
    for (const bool cancelled : {false, true}) {
        EXPECT_EQ(
            0, run([&] {
                skua_loop *loop = skua_get_running_loop();
                const int64_t limit_ns = skua_monotonic() + 5 * SKUA_MS;
                Future future = make_future();
                void *value = nullptr;
                Future waiter = spawn([&] {
                    return skua_wait_for(skua_awaitable_future(future.get()),
                                         5 * SKUA_MS, &value);
                });

                /* Busy until both are due; the limit is a little later. */
                soon(loop, [&] {
                    while (skua_monotonic() < limit_ns + 5 * SKUA_MS) {
                    }
                });
                at(loop, limit_ns, [&] {
                    EXPECT_EQ(
                        0, skua_future_set_result(future.get(), as_pointer(8)));
                    if (cancelled) {
                        EXPECT_EQ(1, skua_task_cancel(waiter.get()));
                    }
                });
                EXPECT_EQ(cancelled ? SKUA_ECANCELED : 0,
                          skua_await(waiter.get(), nullptr));
                EXPECT_EQ(cancelled ? 0 : 8, as_int(value));
                EXPECT_EQ(8, await_int(future.get()));
                return 0;
            }));
    }
}

TEST_P(ConformanceMany, N094_OuterCancelWithoutTimeLeftIsKept)
{
    EXPECT_EQ(0, run([&] {
                  Latch started(1);
                  Latch ready(1);
                  Latch cancelled(1);
                  Future child = spawn([&] {
                      started.down(); /* else it is cancelled before that */
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      cancelled.down();
                      (void)skua_sleep(SKUA_FOREVER);
                      return SKUA_ECANCELED;
                  });
                  Future waiter = spawn([&] {
                      EXPECT_EQ(0, started.wait());
                      ready.down();
                      const int status = skua_wait_for(
                          skua_awaitable_future(child.get()), 0, nullptr);

                      EXPECT_EQ(1, skua_task_cancelling(skua_current_task()));
                      return status;
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(0, cancelled.wait());
                  EXPECT_EQ(1, skua_task_cancel(waiter.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(waiter.get(), nullptr));
                  EXPECT_TRUE(skua_future_cancelled(child.get()));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N094_AnOuterCancelThatWaitsIsKept)
{
    EXPECT_EQ(0, run([&] {
                  Future pending = make_future();

                  EXPECT_EQ(1, skua_task_cancel(skua_current_task()));
                  EXPECT_EQ(SKUA_ECANCELED,
                            skua_wait_for(skua_awaitable_future(pending.get()),
                                          0, nullptr));
                  EXPECT_EQ(1, skua_task_cancelling(skua_current_task()));
                  EXPECT_EQ(0, skua_task_uncancel(skua_current_task()));
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N093_ACancelledChildIsNoTimeout)
{
    EXPECT_EQ(0, run([&] {
                  Future pending = make_future();
                  Future canceller = spawn(
                      [&] { return skua_future_cancel(pending.get()) - 1; });

                  EXPECT_EQ(SKUA_ECANCELED,
                            skua_wait_for(skua_awaitable_future(pending.get()),
                                          3600 * SKUA_S, nullptr));
                  EXPECT_EQ(0, skua_await(canceller.get(), nullptr));
                  EXPECT_EQ(0, skua_task_cancelling(skua_current_task()));
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N093_WithoutTimeAGatherIsCancelledAndTimesOut)
{
    EXPECT_EQ(
        0, run([&] {
            Future never = make_future();
            const skua_awaitable child = skua_awaitable_future(never.get());
            skua_gather_result result = {};
            skua_future *gather = nullptr;

            EXPECT_EQ(0, skua_gather(&child, 1, nullptr, &result, &gather));
            EXPECT_EQ(-ETIMEDOUT,
                      skua_wait_for(skua_awaitable_future(gather), 0, nullptr));
            EXPECT_TRUE(skua_future_cancelled(never.get()));
            skua_future_unref(gather);
            return 0;
        }));
}

TEST_P(ConformanceMany, N093_ForTheTaskItselfIsRefusedAndAsksNothing)
{
    EXPECT_EQ(0, run([&] {
                  const skua_awaitable self =
                      skua_awaitable_future(skua_current_task());

                  EXPECT_EQ(-EDEADLK, skua_wait_for(self, 0, nullptr));
                  EXPECT_EQ(-EDEADLK, skua_wait_for(self, SKUA_S, nullptr));
                  EXPECT_EQ(0, skua_task_cancelling(skua_current_task()));
                  return 0;
              }));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
