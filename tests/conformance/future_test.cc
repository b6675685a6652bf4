/* SPDX-License-Identifier: Apache-2.0 */
/*
 * future_test.cc - conformance 25-32, 34-38: futures.
 */
#include "support.h"

namespace conformance
{
namespace
{

/* --- states --- */

TEST_F(Conformance, N025_NewFutureIsPending)
{
    Future future = make_future(loop_);
    skua_exception *exception = nullptr;
    void *value = as_pointer(-1);

    EXPECT_FALSE(skua_future_done(future.get()));
    EXPECT_FALSE(skua_future_cancelled(future.get()));
    EXPECT_FALSE(skua_future_running(future.get()));
    EXPECT_EQ(SKUA_EINVALSTATE, skua_future_result(future.get(), &value));
    EXPECT_EQ(SKUA_EINVALSTATE,
              skua_future_exception(future.get(), &exception));
    EXPECT_EQ(-1, as_int(value));
    EXPECT_EQ(nullptr, exception);
    EXPECT_EQ(static_cast<skua_loop *>(loop_),
              skua_future_get_loop(future.get()));
}

TEST_F(Conformance, N026_ResultIsRepeatableAndFinal)
{
    Future future = make_future(loop_);
    Exception other = make_exception(-EIO, "x");
    skua_exception *exception = other.get();

    ASSERT_EQ(0, skua_future_set_result(future.get(), as_pointer(42)));
    for (int i = 0; i < 3; i++) {
        void *value = nullptr;

        EXPECT_TRUE(skua_future_done(future.get()));
        EXPECT_FALSE(skua_future_cancelled(future.get()));
        EXPECT_EQ(0, skua_future_result(future.get(), &value));
        EXPECT_EQ(42, as_int(value));
        EXPECT_EQ(SKUA_EINVALSTATE,
                  skua_future_set_result(future.get(), nullptr));
        EXPECT_EQ(SKUA_EINVALSTATE,
                  skua_future_set_exception(future.get(), other.get()));
        EXPECT_EQ(SKUA_EINVALSTATE, skua_future_set_error(future.get(), -1));
        EXPECT_EQ(0, skua_future_cancel(future.get()));
    }
    EXPECT_EQ(0, skua_future_exception(future.get(), &exception));
    EXPECT_EQ(nullptr, exception);
}

TEST_P(ConformanceMany, N026_OfTwoRacingSettersExactlyOneWins)
{
    constexpr int kRounds = 200;

    EXPECT_EQ(0, run([&] {
                  for (int i = 0; i < kRounds; i++) {
                      Future future = make_future();
                      std::atomic<int> winner = 0;
                      std::vector<Future> setters;

                      for (intptr_t k = 1; k <= 3; k++) {
                          setters.push_back(spawn([&, k] {
                              const int status = skua_future_set_result(
                                  future.get(), as_pointer(k));

                              if (status == 0) {
                                  winner += static_cast<int>(k);
                              } else {
                                  EXPECT_EQ(SKUA_EINVALSTATE, status);
                              }
                              return 0;
                          }));
                      }
                      for (const Future &setter : setters) {
                          EXPECT_EQ(0, skua_await(setter.get(), nullptr));
                      }
                      EXPECT_EQ(winner.load(), await_int(future.get()));
                  }
                  return 0;
              }));
}

TEST_P(ConformanceMany, N027_ExceptionIsGivenEveryTime)
{
    EXPECT_EQ(
        0, run([&] {
            Future future = make_future();
            Exception exception = make_exception(-EIO, "boom");
            skua_exception *read = nullptr;

            EXPECT_EQ(0,
                      skua_future_set_exception(future.get(), exception.get()));
            EXPECT_TRUE(skua_future_done(future.get()));
            EXPECT_FALSE(skua_future_cancelled(future.get()));
            for (int i = 0; i < 3; i++) {
                EXPECT_EQ(-EIO, skua_future_result(future.get(), nullptr));
                EXPECT_EQ(-EIO, skua_await(future.get(), nullptr));
                EXPECT_EQ(0, skua_future_exception(future.get(), &read));
                EXPECT_EQ(exception.get(), read);
                EXPECT_STREQ("boom", skua_exception_message(read));
                skua_exception_unref(read);
            }
            EXPECT_EQ(SKUA_EINVALSTATE,
                      skua_future_set_result(future.get(), nullptr));
            return 0;
        }));
}

TEST_F(Conformance, N027_ABareStatusIsAnExceptionToo)
{
    Future future = make_future(loop_);
    skua_exception *read = nullptr;

    ASSERT_EQ(0, skua_future_set_error(future.get(), -ENOENT));
    EXPECT_EQ(-ENOENT, skua_future_result(future.get(), nullptr));
    ASSERT_EQ(0, skua_future_exception(future.get(), &read));
    ASSERT_NE(nullptr, read);
    EXPECT_EQ(-ENOENT, skua_exception_status(read));
    skua_exception_unref(read);
}

TEST_P(ConformanceMany, N028_CancelOfAPendingFuture)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  skua_exception *exception = nullptr;

                  EXPECT_EQ(1, skua_future_cancel(future.get()));
                  EXPECT_TRUE(skua_future_done(future.get()));
                  EXPECT_TRUE(skua_future_cancelled(future.get()));
                  EXPECT_EQ(SKUA_ECANCELED,
                            skua_future_result(future.get(), nullptr));
                  EXPECT_EQ(SKUA_ECANCELED,
                            skua_future_exception(future.get(), &exception));
                  EXPECT_EQ(nullptr, exception);
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(future.get(), nullptr));
                  EXPECT_EQ(SKUA_EINVALSTATE,
                            skua_future_set_result(future.get(), nullptr));
                  EXPECT_EQ(SKUA_EINVALSTATE,
                            skua_future_set_error(future.get(), -EIO));
                  EXPECT_EQ(0, skua_future_cancel(future.get()));
                  return 0;
              }));
}

/* --- done callbacks --- */

enum class Ending { kResult, kError, kCancel };

int end(skua_future *future, Ending ending)
{
    switch (ending) {
    case Ending::kResult:
        return skua_future_set_result(future, nullptr);
    case Ending::kError:
        return skua_future_set_error(future, -EIO);
    case Ending::kCancel:
        break;
    }
    return skua_future_cancel(future) - 1;
}

TEST_F(Conformance, N029_DoneCallbacksRunInTheNextIteration)
{
    for (const Ending ending :
         {Ending::kResult, Ending::kError, Ending::kCancel}) {
        Log log;
        Future future = make_future(loop_);

        soon(loop_, [&] {
            when_done(future.get(), [&](skua_future *) { log.add(2); });
            EXPECT_EQ(0, end(future.get(), ending));
            log.add(1);
        });
        ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
        EXPECT_EQ((Order{1}), log.get());
        ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
        EXPECT_EQ((Order{1, 2}), log.get());
        (void)skua_future_result(future.get(), nullptr);
    }
}

TEST_P(ConformanceMany, N029_DoneCallbacksNeverRunInline)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  Latch latch(1);
                  const std::thread::id self = std::this_thread::get_id();
                  std::atomic<bool> inside = true;

                  when_done(future.get(), [&](skua_future *) {
                      EXPECT_FALSE(self == std::this_thread::get_id() &&
                                   inside);
                      EXPECT_EQ(nullptr, skua_current_task());
                      latch.down();
                  });
                  EXPECT_EQ(0, skua_future_set_result(future.get(), nullptr));
                  inside = false;
                  return latch.wait();
              }));
}

TEST_F(Conformance, N030_DoneCallbacksRunInOrderAndReceiveTheFuture)
{
    Log log;
    Order expected;
    Future future = make_future(loop_);

    for (int i = 0; i < 20; i++) {
        when_done(future.get(), [&, i](skua_future *done) {
            EXPECT_EQ(future.get(), done);
            EXPECT_TRUE(skua_future_done(done));
            log.add(i);
        });
        expected.push_back(i);
    }
    ASSERT_EQ(0, skua_future_set_result(future.get(), nullptr));
    drain();
    EXPECT_EQ(expected, log.get());
}

TEST_P(ConformanceMany, N030_DoneCallbacksRunInOrderOnEachRegisteringLoop)
{
    constexpr int kCount = 20;
    std::vector<Log> logs(GetParam());
    Order expected;

    for (int i = 0; i < kCount; i++) {
        expected.push_back(i);
    }
    EXPECT_EQ(0, run([&] {
                  const std::vector<skua_loop *> all = loops();
                  const int total = kCount * static_cast<int>(all.size());
                  Future future = make_future();
                  Latch registered(static_cast<int>(all.size()));
                  Latch called(total);

                  for (size_t k = 0; k < all.size(); k++) {
                      post(all[k], [&, k] {
                          for (int i = 0; i < kCount; i++) {
                              when_done(future.get(), [&, k, i](skua_future *) {
                                  EXPECT_EQ(all[k], skua_get_running_loop());
                                  logs[k].add(i);
                                  called.down();
                              });
                          }
                          registered.down();
                      });
                  }
                  EXPECT_EQ(0, registered.wait());
                  EXPECT_EQ(0, skua_future_set_result(future.get(), nullptr));
                  return called.wait();
              }));
    for (const Log &log : logs) {
        EXPECT_EQ(expected, log.get());
    }
}

TEST_F(Conformance, N031_CallbackOfADoneFutureIsScheduled)
{
    Log log;
    Future future = make_future(loop_);

    ASSERT_EQ(0, skua_future_set_result(future.get(), nullptr));
    soon(loop_, [&] {
        when_done(future.get(), [&](skua_future *) { log.add(2); });
        log.add(1);
    });
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ((Order{1}), log.get());
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ((Order{1, 2}), log.get());
}

TEST_P(ConformanceMany, N031_CallbackOfADoneFutureIsScheduled)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  Latch latch(1);
                  skua_loop *loop = loops().back();

                  EXPECT_EQ(0, skua_future_cancel(future.get()) - 1);
                  post(loop, [&, loop] {
                      when_done(future.get(), [&, loop](skua_future *) {
                          EXPECT_EQ(loop, skua_get_running_loop());
                          EXPECT_EQ(nullptr, skua_current_task());
                          latch.down();
                      });
                  });
                  return latch.wait();
              }));
}

void count_call(skua_future *, void *arg)
{
    ++*static_cast<int *>(arg);
}

TEST_F(Conformance, N032_RemoveTakesAllEqualRegistrations)
{
    Future future = make_future(loop_);
    int first = 0;
    int second = 0;

    for (int i = 0; i < 6; i++) {
        ASSERT_EQ(
            0, skua_future_add_done_callback(future.get(), count_call, &first));
        ASSERT_EQ(0, skua_future_add_done_callback(future.get(), count_call,
                                                   &second));
    }
    EXPECT_EQ(
        6, skua_future_remove_done_callback(future.get(), count_call, &first));
    EXPECT_EQ(
        0, skua_future_remove_done_callback(future.get(), count_call, &first));
    EXPECT_EQ(
        0, skua_future_remove_done_callback(future.get(), count_call, &future));
    ASSERT_EQ(0, skua_future_set_result(future.get(), nullptr));
    drain();
    EXPECT_EQ(0, first);
    EXPECT_EQ(6, second);
}

/* --- awaiting --- */

TEST_P(ConformanceOne, N034_AwaitingADoneFutureKeepsTheIteration)
{
    EXPECT_EQ(0, run([&] {
                  Log log;
                  Future future = make_future();
                  Future failed = make_future();

                  EXPECT_EQ(
                      0, skua_future_set_result(future.get(), as_pointer(3)));
                  EXPECT_EQ(0, skua_future_set_error(failed.get(), -EIO));
                  soon(skua_get_running_loop(), [&] { log.add(1); });
                  EXPECT_EQ(3, await_int(future.get()));
                  EXPECT_EQ(-EIO, skua_await(failed.get(), nullptr));
                  EXPECT_EQ(0u, log.size());
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(1u, log.size());
                  return 0;
              }));
}

TEST_P(ConformanceOne, N035_TheWakeTakesItsPlaceAtSetResult)
{
    EXPECT_EQ(0, run([&] {
                  Log log;
                  Latch latch(3);
                  skua_loop *loop = skua_get_running_loop();
                  Future future = make_future();
                  Future waiter = spawn([&] {
                      EXPECT_EQ(0, skua_await(future.get(), nullptr));
                      log.add(2);
                      latch.down();
                      return 0;
                  });

                  EXPECT_EQ(0, skua_yield());
                  soon(loop, [&] {
                      soon(loop, [&] {
                          log.add(1);
                          latch.down();
                      });
                      EXPECT_EQ(0,
                                skua_future_set_result(future.get(), nullptr));
                      soon(loop, [&] {
                          log.add(3);
                          latch.down();
                      });
                  });
                  EXPECT_EQ(0, latch.wait());
                  EXPECT_EQ((Order{1, 2, 3}), log.get());
                  return skua_await(waiter.get(), nullptr);
              }));
}

TEST_P(ConformanceOne, N036_WaitersResumeInTheOrderOfTheirAwaits)
{
    EXPECT_EQ(0, run([&] {
                  Log log;
                  Future future = make_future();
                  std::vector<Future> waiters;
                  Order expected;

                  for (int i = 0; i < 20; i++) {
                      waiters.push_back(spawn([&, i] {
                          EXPECT_EQ(8, await_int(future.get()));
                          log.add(i);
                          return 0;
                      }));
                      expected.push_back(i);
                  }
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(
                      0, skua_future_set_result(future.get(), as_pointer(8)));
                  for (const Future &waiter : waiters) {
                      EXPECT_EQ(0, skua_await(waiter.get(), nullptr));
                  }
                  EXPECT_EQ(expected, log.get());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N036_AllWaitersResumeOnceWithTheSameResult)
{
    constexpr int kWaiters = 100;
    std::atomic<int> resumed = 0;

    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  std::vector<Future> waiters;

                  for (int i = 0; i < kWaiters; i++) {
                      waiters.push_back(spawn([&] {
                          EXPECT_EQ(8, await_int(future.get()));
                          resumed++;
                          return 0;
                      }));
                  }
                  EXPECT_EQ(0, skua_sleep(1 * SKUA_MS));
                  EXPECT_EQ(
                      0, skua_future_set_result(future.get(), as_pointer(8)));
                  for (const Future &waiter : waiters) {
                      EXPECT_EQ(0, skua_await(waiter.get(), nullptr));
                  }
                  return 0;
              }));
    EXPECT_EQ(kWaiters, resumed);
}

/* --- errors nobody read --- */

TEST_F(Conformance, N037_UnreadErrorIsReportedOnceAtTheLastReference)
{
    Future future = make_future(loop_);
    Exception exception = make_exception(-EIO, "lost");
    Future second(skua_future_ref(future.get()));

    ASSERT_EQ(0, skua_future_set_exception(future.get(), exception.get()));
    future.reset();
    EXPECT_EQ(0u, reports_.size());
    second.reset();
    ASSERT_EQ(1u, reports_.size());
    const Report report = reports_.get()[0];
    EXPECT_NE(std::string::npos, report.message.find("never retrieved"));
    EXPECT_EQ(-EIO, report.status);
    EXPECT_EQ("lost", report.detail);
    EXPECT_TRUE(report.has_future);
}

TEST_F(Conformance, N037_ReadOrCancelledErrorsAreNotReported)
{
    Future read = make_future(loop_);
    Future looked = make_future(loop_);
    Future cancelled = make_future(loop_);
    skua_exception *exception = nullptr;

    ASSERT_EQ(0, skua_future_set_error(read.get(), -EIO));
    ASSERT_EQ(0, skua_future_set_error(looked.get(), -EIO));
    EXPECT_EQ(-EIO, skua_future_result(read.get(), nullptr));
    EXPECT_EQ(0, skua_future_exception(looked.get(), &exception));
    EXPECT_EQ(1, skua_future_cancel(cancelled.get()));
    skua_exception_unref(exception);
    read.reset();
    looked.reset();
    cancelled.reset();
    EXPECT_EQ(0u, reports_.size());
}

TEST_P(ConformanceMany, N037_UnreadErrorsOfTasksAreReportedOnce)
{
    constexpr size_t kCount = 50;

    EXPECT_EQ(0, run([&] {
                  for (size_t i = 0; i < kCount; i++) {
                      spawn([] { return skua_raise(-EIO, "lost"); });
                      EXPECT_EQ(-ENOENT, skua_await(spawn([] {
                                                        return skua_raise(
                                                            -ENOENT, "read");
                                                    }).get(),
                                                    nullptr));
                  }
                  while (reports_.size() < kCount) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  return 0;
              }));
    EXPECT_EQ(kCount, reports_.count(-EIO));
    EXPECT_EQ(kCount, reports_.size());
}

TEST_P(ConformanceMany, N037_DetachedTasksReportWhenTheyEnd)
{
    EXPECT_EQ(0, run([&] {
                  void *body = keeper_.body([] { return -EIO; });

                  EXPECT_EQ(0, skua_create_task(run_body, body, nullptr));
                  while (reports_.size() == 0) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  return 0;
              }));
    EXPECT_EQ(1u, reports_.count(-EIO));
    EXPECT_EQ(1u, reports_.size());
}

TEST_F(Conformance, N037_StillReferencedErrorIsReportedAtLoopClose)
{
    Future future = make_future(loop_);

    ASSERT_EQ(0, skua_future_set_error(future.get(), -EIO));
    ASSERT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(1u, reports_.count(-EIO));
    future.reset();
    EXPECT_EQ(1u, reports_.count(-EIO));
}

/* --- ensure_future --- */

TEST_P(ConformanceMany, N038_EnsureFutureGivesTheSameObject)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  Future task = spawn([] { return 0; });

                  for (skua_future *each : {future.get(), task.get()}) {
                      skua_future *same = nullptr;

                      EXPECT_EQ(
                          0, skua_ensure_future(
                                 nullptr, skua_awaitable_future(each), &same));
                      EXPECT_EQ(each, same);
                      skua_future_unref(same);
                  }
                  return skua_await(task.get(), nullptr);
              }));
}

TEST_P(ConformanceMany, N038_EnsureFutureMakesATaskOfACoroutine)
{
    EXPECT_EQ(0, run([&] {
                  skua_future *task = nullptr;

                  EXPECT_EQ(0, skua_ensure_future(nullptr, call([] {
                                                      return skua_return(
                                                          as_pointer(4));
                                                  }),
                                                  &task));
                  EXPECT_EQ(0, skua_task_cancelling(task));
                  EXPECT_EQ(4, await_int(task));
                  skua_future_unref(task);
                  return 0;
              }));
}

TEST_F(Conformance, N038_EnsureFutureRefusesOthers)
{
    Loop other;
    Future future = make_future(other);
    skua_future *out = nullptr;
    skua_awaitable both = call([] { return 0; });

    EXPECT_EQ(-EINVAL, skua_ensure_future(
                           loop_, skua_awaitable_future(future.get()), &out));
    EXPECT_EQ(-EINVAL, skua_ensure_future(loop_, skua_awaitable{}, &out));
    both.future = future.get();
    EXPECT_EQ(-EINVAL, skua_ensure_future(loop_, both, &out));
    EXPECT_EQ(nullptr, out);
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
