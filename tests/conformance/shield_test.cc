/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shield_test.cc - conformance 83, 84, 86: shield; 172: wrap_future.
 */
#include "support.h"

namespace conformance
{
namespace
{

Future shield(skua_awaitable awaitable)
{
    skua_future *future = nullptr;

    EXPECT_EQ(0, skua_shield(awaitable, &future));
    return Future(future);
}

Future shield(const Future &inner)
{
    return shield(skua_awaitable_future(inner.get()));
}

/* --- 83: the inner goes on --- */

TEST_P(ConformanceMany, N083_CancellingTheWaiterLeavesTheInnerRunning)
{
    EXPECT_EQ(0, run([&] {
                  Future gate = make_future();
                  std::atomic<bool> waits = false;
                  Future inner = spawn([&] {
                      EXPECT_EQ(0, skua_await(gate.get(), nullptr));
                      return skua_return(as_pointer(6));
                  });
                  Future waiter = spawn([&] {
                      Future outer = shield(inner);
                      int status;

                      waits = true;
                      status = skua_await(outer.get(), nullptr);
                      EXPECT_TRUE(skua_future_cancelled(outer.get()));
                      return status;
                  });

                  while (!waits) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  EXPECT_EQ(1, skua_task_cancel(waiter.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(waiter.get(), nullptr));
                  EXPECT_FALSE(skua_future_done(inner.get()));
                  EXPECT_EQ(0, skua_task_cancelling(inner.get()));
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  EXPECT_EQ(6, await_int(inner.get()));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N083_UncancelledItEndsAsTheInner)
{
    EXPECT_EQ(0, run([&] {
                  Future value =
                      shield(call([] { return skua_return(as_pointer(3)); }));
                  Future error =
                      shield(call([] { return skua_raise(-EIO, "inside"); }));

                  EXPECT_EQ(3, await_int(value.get()));
                  EXPECT_EQ(-EIO, skua_await(error.get(), nullptr));
                  EXPECT_STREQ("inside", skua_exception_message(
                                             skua_current_exception()));
                  return skua_return(nullptr);
              }));
    EXPECT_EQ(0U, reports_.size());
}

TEST_P(ConformanceMany, N083_TheInnerIsHeld)
{
    EXPECT_EQ(0, run([&] {
                  Latch ended(1);
                  Future outer = shield(call([&] {
                      EXPECT_EQ(0, skua_yield());
                      ended.down();
                      return 0;
                  }));

                  EXPECT_EQ(1, skua_future_cancel(outer.get()));
                  outer.reset();
                  return ended.wait();
              }));
}

TEST_P(ConformanceMany, N083_AFailureAfterTheCancelIsReportedOnceAtOnce)
{
    EXPECT_EQ(0, run([&] {
                  Future inner = make_future();
                  Exception exception = make_exception(-EIO, "nobody reads");

                  for (int i = 0; i < 100; i++) {
                      Future outer = shield(inner);

                      EXPECT_EQ(1, skua_future_cancel(outer.get()));
                      EXPECT_EQ(0, skua_future_cancel(outer.get()));
                  }
                  EXPECT_EQ(0, skua_future_set_exception(inner.get(),
                                                         exception.get()));
                  EXPECT_EQ(1U, reports_.count(-EIO));
                  inner.reset();
                  return 0;
              }));
    ASSERT_EQ(1U, reports_.size());
    EXPECT_EQ("exception in shielded future", reports_.get()[0].message);
    EXPECT_EQ("nobody reads", reports_.get()[0].detail);
}

TEST_P(ConformanceMany, N083_ASuccessAfterTheCancelIsNotReported)
{
    EXPECT_EQ(0, run([&] {
                  Future inner = make_future();
                  Future cancelled = make_future();

                  EXPECT_EQ(1, skua_future_cancel(shield(inner).get()));
                  EXPECT_EQ(1, skua_future_cancel(shield(cancelled).get()));
                  EXPECT_EQ(1, skua_future_cancel(cancelled.get()));
                  return skua_future_set_result(inner.get(), nullptr);
              }));
    EXPECT_EQ(0U, reports_.size());
}

TEST_P(ConformanceMany, N083_ManyCancelledShieldsOfOneLongLivedFuture)
{
    const int rounds = kRaceDetector ? 2000 : 100000;

    EXPECT_EQ(0, run([&] {
                  Future inner = make_future();

                  for (int i = 0; i < rounds; i++) {
                      EXPECT_EQ(1, skua_future_cancel(shield(inner).get()));
                  }
                  EXPECT_EQ(0, skua_future_set_result(inner.get(), nullptr));
                  return 0;
              }));
}

/* --- 84: the inner ends first --- */

TEST_P(ConformanceMany, N084_ACancelledInnerCancelsTheOuter)
{
    EXPECT_EQ(0, run([&] {
                  Future inner = make_future();
                  Future outer = shield(inner);

                  EXPECT_EQ(1, skua_future_cancel(inner.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(outer.get(), nullptr));
                  EXPECT_TRUE(skua_future_cancelled(outer.get()));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N084_ADoneInnerIsReturnedAsItIs)
{
    EXPECT_EQ(0, run([&] {
                  Future inner = make_future();

                  EXPECT_EQ(0, skua_future_set_result(inner.get(), nullptr));
                  EXPECT_EQ(inner.get(), shield(inner).get());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N084_MalformedArguments)
{
    EXPECT_EQ(0, run([&] {
                  skua_future *future = nullptr;

                  EXPECT_EQ(-EINVAL, skua_shield({}, &future));
                  EXPECT_EQ(-EINVAL,
                            skua_shield(call([] { return 0; }), nullptr));
                  EXPECT_EQ(0, skua_yield());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N086_AChainOfShields)
{
    constexpr int kDepth = kRaceDetector ? 1000 : 100000;

    EXPECT_EQ(0, run([&] {
                  Future inner = make_future();
                  Future outer = shield(inner);

                  for (int i = 1; i < kDepth; i++) {
                      outer = shield(outer);
                  }
                  EXPECT_EQ(0,
                            skua_future_set_result(inner.get(), as_pointer(8)));
                  EXPECT_EQ(8, await_int(outer.get()));
                  return 0;
              }));
}

/* --- 172: wrap_future --- */

Future wrap(const Future &source, skua_loop *loop = nullptr)
{
    skua_future *future = nullptr;

    EXPECT_EQ(0, skua_wrap_future(loop, source.get(), &future));
    return Future(future);
}

Executor new_executor(int max_workers)
{
    skua_thread_pool_options options = {};
    skua_executor *made = nullptr;

    options.max_workers = max_workers;
    EXPECT_EQ(0, skua_thread_pool_executor_new(&options, &made));
    return Executor(made);
}

TEST_P(ConformanceMany, N172_ALoopsFutureIsReturnedAsItIs)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  Future task = spawn([] { return 0; });

                  EXPECT_EQ(future.get(), wrap(future).get());
                  EXPECT_EQ(task.get(), wrap(task).get());
                  return skua_await(task.get(), nullptr);
              }));
}

TEST_P(ConformanceMany, N172_TheOutcomeIsCopied)
{
    EXPECT_EQ(0, run([&] {
                  Executor executor = new_executor(1);
                  Future gate = make_future();
                  Future value = submit(executor.get(), [&] {
                      EXPECT_EQ(0, skua_await(gate.get(), nullptr));
                      return skua_return(as_pointer(5));
                  });
                  Future error = submit(executor.get(), [] {
                      return skua_raise(-EIO, "in a thread");
                  });
                  Future first = wrap(value);
                  Future second = wrap(error);

                  EXPECT_NE(value.get(), first.get());
                  EXPECT_FALSE(skua_future_done(first.get()));
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  EXPECT_EQ(5, await_int(first.get()));
                  EXPECT_EQ(5, await_int(wrap(value).get()));
                  EXPECT_EQ(-EIO, skua_await(second.get(), nullptr));
                  EXPECT_STREQ("in a thread", skua_exception_message(
                                                  skua_current_exception()));
                  return skua_return(nullptr);
              }));
    EXPECT_EQ(0U, reports_.size());
}

TEST_P(ConformanceMany, N172_CallbacksRunOnTheLoop)
{
    EXPECT_EQ(0, run([&] {
                  Executor executor = new_executor(1);
                  Future gate = make_future();
                  Future source = submit(executor.get(), [&] {
                      return skua_await(gate.get(), nullptr);
                  });
                  Future wrapper = wrap(source);
                  skua_loop *loop = skua_future_get_loop(wrapper.get());
                  Latch called(1);

                  EXPECT_NE(nullptr, loop);
                  when_done(wrapper.get(), [&](skua_future *) {
                      EXPECT_NE(nullptr, skua_get_running_loop());
                      EXPECT_EQ(nullptr, skua_current_task());
                      called.down();
                  });
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  EXPECT_EQ(0, called.wait());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N172_CancellingTheWrapperCancelsQueuedWork)
{
    EXPECT_EQ(0, run([&] {
                  Executor executor = new_executor(1);
                  Future gate = make_future();
                  Latch running(1);
                  Future busy = submit(executor.get(), [&] {
                      running.down();
                      return skua_await(gate.get(), nullptr);
                  });
                  Future queued = submit(executor.get(), [] {
                      ADD_FAILURE() << "ran";
                      return 0;
                  });
                  Future first = wrap(busy);
                  Future second = wrap(queued);

                  EXPECT_EQ(0, running.wait());
                  EXPECT_EQ(1, skua_future_cancel(second.get()));
                  EXPECT_TRUE(skua_future_cancelled(second.get()));
                  EXPECT_TRUE(skua_future_cancelled(queued.get()));
                  /* What runs goes on; its outcome is dropped. */
                  EXPECT_EQ(1, skua_future_cancel(first.get()));
                  EXPECT_TRUE(skua_future_cancelled(first.get()));
                  EXPECT_FALSE(skua_future_done(busy.get()));
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  EXPECT_EQ(0, skua_await(busy.get(), nullptr));
                  EXPECT_TRUE(skua_future_cancelled(first.get()));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N172_ACancelledSourceCancelsTheWrapper)
{
    EXPECT_EQ(0, run([&] {
                  Executor executor = new_executor(1);
                  Future gate = make_future();
                  Latch running(1);
                  Future busy = submit(executor.get(), [&] {
                      running.down();
                      return skua_await(gate.get(), nullptr);
                  });
                  Future queued = submit(executor.get(), [] { return 0; });
                  Future wrapper = wrap(queued);

                  EXPECT_EQ(0, running.wait());
                  EXPECT_EQ(1, skua_future_cancel(queued.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(wrapper.get(), nullptr));
                  EXPECT_TRUE(skua_future_cancelled(wrapper.get()));
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  return skua_await(busy.get(), nullptr);
              }));
}

TEST_P(ConformanceMany, N172_ACancelledTaskGoesOnWhileTheWorkRuns)
{
    EXPECT_EQ(0, run([&] {
                  Executor executor = new_executor(1);
                  Future gate = make_future();
                  Latch running(1);
                  Future busy = submit(executor.get(), [&] {
                      running.down();
                      return skua_await(gate.get(), nullptr);
                  });
                  Future task = spawn(
                      [&] { return skua_await(wrap(busy).get(), nullptr); });

                  EXPECT_EQ(0, running.wait());
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(task.get(), nullptr));
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  return skua_await(busy.get(), nullptr);
              }));
}

TEST(ConformanceThreads, N172_AClosedLoopIsTolerated)
{
    Lambdas lambdas;
    Executor executor = new_executor(1);
    Future gate = make_future();
    Future source = lambdas.submit(
        executor.get(), [&] { return skua_await(gate.get(), nullptr); });
    skua_future *future = nullptr;
    Future wrapper;

    EXPECT_EQ(SKUA_ENOLOOP, skua_wrap_future(nullptr, source.get(), &future));
    EXPECT_EQ(-EINVAL, skua_wrap_future(nullptr, nullptr, &future));
    {
        Loop loop;

        wrapper = wrap(source, loop);
        lambdas.when_done(wrapper.get(), [](skua_future *) {
            ADD_FAILURE() << "called without a loop";
        });
        EXPECT_EQ(0, skua_loop_close(loop));
    }
    EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
    EXPECT_EQ(0, skua_await(wrapper.get(), nullptr));
    EXPECT_EQ(nullptr, skua_future_get_loop(wrapper.get()));
}

TEST_P(ConformanceMany, N172_ManyCancelledWrappersOfRunningWork)
{
    EXPECT_EQ(0, run([&] {
                  Executor executor = new_executor(1);
                  Future gate = make_future();
                  Latch running(1);
                  Future busy = submit(executor.get(), [&] {
                      running.down();
                      return skua_await(gate.get(), nullptr);
                  });

                  EXPECT_EQ(0, running.wait());
                  for (int i = 0; i < 2000; i++) {
                      EXPECT_EQ(1, skua_future_cancel(wrap(busy).get()));
                  }
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  return skua_await(busy.get(), nullptr);
              }));
}

CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
