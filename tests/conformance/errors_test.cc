/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errors_test.cc - conformance 20, 21, 37, 49: errors nobody handled.
 */
#include "lines.h"
#include "support.h"

namespace conformance
{
namespace
{

/** A failed future that nobody has read. */
Future failed(skua_loop *loop, int status = -EIO)
{
    Future future = make_future(loop);

    EXPECT_EQ(0, skua_future_set_error(future.get(), status));
    return future;
}

class Errors : public testing::Test, public Lambdas
{
  protected:
    Errors()
    {
        EXPECT_EQ(0, skua_loop_set_debug(loop_, false)); /* SKUA_DEBUG=1 */
    }

    Loop loop_;
    Lines lines_;
};

/* --- the handler --- */

TEST_F(Errors, N020_TheHandlerCanBeReadBack)
{
    int mark = 0;
    void *arg = &mark;

    EXPECT_EQ(nullptr, skua_loop_get_exception_handler(loop_, &arg));
    EXPECT_EQ(nullptr, arg);
    ASSERT_EQ(0, skua_loop_set_exception_handler(loop_, call_handler, &mark));
    EXPECT_EQ(call_handler, skua_loop_get_exception_handler(loop_, &arg));
    EXPECT_EQ(&mark, arg);
    EXPECT_EQ(call_handler, skua_loop_get_exception_handler(loop_, nullptr));
    EXPECT_EQ(nullptr, skua_loop_get_exception_handler(nullptr, &arg));
    EXPECT_EQ(nullptr, arg);
}

TEST_F(Errors, N020_WithoutAHandlerTheErrorIsLogged)
{
    soon(loop_, [] { (void)skua_raise(-EIO, "boom"); });
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    ASSERT_EQ(1u, lines_.size());
    EXPECT_EQ("exception in callback: Input/output error (-5): boom",
              lines_.get()[0]);
    EXPECT_EQ(SKUA_LOG_ERROR, lines_.level());
}

TEST_F(Errors, N020_TheContextNamesTheTask)
{
    int calls = 0;
    Handler handler = [&](skua_loop *loop,
                          const skua_exception_context *context) {
        calls++;
        EXPECT_EQ(loop_, loop);
        EXPECT_EQ(loop_, context->loop);
        EXPECT_NE(nullptr, context->task);
        EXPECT_EQ(context->future, context->task);
        EXPECT_EQ(nullptr, context->handle);
        EXPECT_EQ(0, context->duration_ns);
        EXPECT_EQ(nullptr, context->source_traceback);
        EXPECT_STREQ("gone", skua_exception_message(context->exception));
    };

    set_handler(loop_, handler);
    spawn_on(loop_, [] { return skua_raise(-EIO, "gone"); }).reset();
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ(1, calls);
}

TEST_F(Errors, N020_APlainFutureIsNoTask)
{
    int calls = 0;
    Handler handler = [&](skua_loop *, const skua_exception_context *context) {
        calls++;
        EXPECT_EQ(nullptr, context->task);
        EXPECT_NE(nullptr, context->future);
        EXPECT_EQ(nullptr, context->exception);
        EXPECT_EQ(-EPIPE, context->status);
    };

    set_handler(loop_, handler);
    failed(loop_, -EPIPE).reset();
    EXPECT_EQ(1, calls);
}

TEST_F(Errors, N020_ItMayTakeReferences)
{
    Future kept;
    Handler handler = [&](skua_loop *, const skua_exception_context *context) {
        kept.reset(skua_future_ref(context->future));
    };

    set_handler(loop_, handler);
    failed(loop_).reset();
    ASSERT_NE(nullptr, kept);
    EXPECT_EQ(-EIO, skua_future_result(kept.get(), nullptr));
    kept.reset();
    spawn_on(loop_, [] { return -EPIPE; }).reset();
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    ASSERT_NE(nullptr, kept);
    EXPECT_EQ(-EPIPE, skua_future_result(kept.get(), nullptr));
}

TEST_F(Errors, N020_ItCannotSuspendTheTaskThatReports)
{
    int calls = 0;
    Handler handler = [&](skua_loop *, const skua_exception_context *) {
        calls++;
        EXPECT_EQ(nullptr, skua_current_task());
        EXPECT_EQ(SKUA_ENOLOOP, skua_sleep(SKUA_MS));
        EXPECT_EQ(SKUA_ENOLOOP, skua_yield());
        EXPECT_EQ(-EDEADLK, skua_await(make_future().get(), nullptr));
        EXPECT_EQ(loop_, skua_get_running_loop());
    };

    set_handler(loop_, handler);
    EXPECT_EQ(0, run(loop_, [&] {
                  skua_task *self = skua_current_task();

                  failed(loop_).reset();
                  EXPECT_EQ(self, skua_current_task());
                  return skua_yield();
              }));
    EXPECT_EQ(1, calls);
}

TEST_F(Errors, N020_TheTasksOwnExceptionIsUntouched)
{
    Handler handler = [&](skua_loop *, const skua_exception_context *) {
        EXPECT_EQ(nullptr, skua_current_exception());
        (void)skua_return(as_pointer(99));
    };
    void *value = nullptr;

    set_handler(loop_, handler);
    EXPECT_EQ(0, run(
                     loop_,
                     [&] {
                         (void)skua_raise(-EIO, "mine");
                         (void)skua_return(as_pointer(1));
                         failed(loop_).reset();
                         EXPECT_STREQ("mine", skua_exception_message(
                                                  skua_current_exception()));
                         return 0;
                     },
                     &value));
    EXPECT_EQ(1, as_int(value));
}

TEST_P(ConformanceMany, N020_ObjectsOfOtherLoopsGoToTheirLoopsHandler)
{
    if (GetParam() == 1) {
        GTEST_SKIP() << "needs a second loop";
    }
    std::mutex mutex;
    std::vector<std::pair<skua_loop *, int>> seen;
    Handler handler = [&](skua_loop *loop,
                          const skua_exception_context *context) {
        const std::scoped_lock lock(mutex);

        seen.emplace_back(loop, context->status);
    };

    EXPECT_EQ(0, run([&] {
                  const std::vector<skua_loop *> all = loops();

                  for (skua_loop *loop : all) {
                      set_handler(loop, handler); /* from another thread */
                  }
                  for (size_t i = 0; i < all.size(); i++) {
                      failed(all[i], -static_cast<int>(i) - 1).reset();
                  }
                  EXPECT_EQ(all.size(), seen.size());
                  for (size_t i = 0; i < seen.size(); i++) {
                      EXPECT_EQ(all[i], seen[i].first);
                      EXPECT_EQ(-static_cast<int>(i) - 1, seen[i].second);
                  }
                  for (skua_loop *loop : all) {
                      reports_.install(loop);
                  }
                  return 0;
              }));
}

TEST_P(ConformanceMany, N020_TheHandlerMayBeSetWhileOthersReport)
{
    std::atomic<int> calls = 0;
    Handler one = [&](skua_loop *, const skua_exception_context *) { calls++; };
    Handler two = [&](skua_loop *, const skua_exception_context *) { calls++; };

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = loops().back();
                  std::atomic<bool> end = false;

                  set_handler(loop, one);
                  std::thread setter([&] {
                      while (!end) {
                          set_handler(loop, two);
                          set_handler(loop, one);
                      }
                  });
                  for (int i = 0; i < 500; i++) {
                      failed(loop).reset();
                  }
                  end = true;
                  setter.join();
                  reports_.install(loop);
                  return 0;
              }));
    EXPECT_EQ(500, calls);
}

/* --- broken handlers and loggers --- */

TEST_F(Errors, N021_OfAFailingHandlerBothErrorsAreLogged)
{
    Handler handler = [](skua_loop *, const skua_exception_context *) {
        (void)skua_raise(-EPROTO, "broken handler");
    };
    Log log;

    set_handler(loop_, handler);
    soon(loop_, [] { (void)skua_raise(-EIO, "the first"); });
    soon(loop_, [&] { log.add(1); });
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ((Order{1}), log.get());
    ASSERT_EQ(2u, lines_.size());
    EXPECT_EQ(1u, lines_.count("the first"));
    EXPECT_EQ(1u, lines_.count("broken handler"));
    EXPECT_EQ(1u, lines_.count("exception in exception handler"));
}

TEST_F(Errors, N021_AFailingHandlerInATaskToo)
{
    Handler handler = [](skua_loop *, const skua_exception_context *) {
        (void)skua_raise(-EPROTO, "broken handler");
    };

    set_handler(loop_, handler);
    EXPECT_EQ(0, run(loop_, [&] {
                  failed(loop_).reset();
                  EXPECT_EQ(nullptr, skua_current_exception());
                  return 0;
              }));
    EXPECT_EQ(2u, lines_.size());
}

TEST_F(Errors, N021_WhatAHandlerReportsGoesToTheDefaultOne)
{
    int calls = 0;
    Handler handler = [&](skua_loop *loop,
                          const skua_exception_context *context) {
        skua_exception_context again = *context;

        calls++;
        again.message = "again";
        EXPECT_EQ(0, skua_loop_call_exception_handler(loop, &again));
        failed(loop, -EPIPE).reset();
    };

    set_handler(loop_, handler);
    failed(loop_).reset();
    EXPECT_EQ(1, calls);
    EXPECT_EQ(2u, lines_.size());
    EXPECT_EQ(1u, lines_.count("again"));
    EXPECT_EQ(1u, lines_.count("Broken pipe"));
    failed(loop_).reset();
    EXPECT_EQ(2, calls) << "the guard is let go";
}

TEST_F(Errors, N021_AHandlerMayLeaveItToTheDefaultOne)
{
    Handler handler = [](skua_loop *loop,
                         const skua_exception_context *context) {
        EXPECT_EQ(0, skua_loop_default_exception_handler(loop, context));
    };

    set_handler(loop_, handler);
    failed(loop_).reset();
    EXPECT_EQ(1u, lines_.count("never retrieved: Input/output error"));
    EXPECT_EQ(1u, lines_.size());
}

TEST_F(Errors, N021_ABrokenLoggerDoesNotEndTheLoop)
{
    struct Broken {
        static void log(skua_log_level, const char *, void *arg)
        {
            ++*static_cast<int *>(arg);
            failed(skua_get_event_loop()).reset(); /* logged elsewhere */
            (void)skua_raise(-EIO, "broken logger");
        }
    };
    int calls = 0;
    Log log;

    ASSERT_EQ(0, skua_set_logger(Broken::log, &calls));
    testing::internal::CaptureStderr();
    soon(loop_, [] { (void)skua_raise(-EIO, "the first"); });
    soon(loop_, [&] {
        log.add(1);
        EXPECT_EQ(nullptr, skua_current_exception());
    });
    EXPECT_EQ(0, skua_loop_run_once(loop_, 0));
    const std::string text = testing::internal::GetCapturedStderr();
    EXPECT_EQ(1, calls);
    EXPECT_EQ((Order{1}), log.get());
    EXPECT_NE(std::string::npos, text.find("skua: exception in the logger"));
    EXPECT_NE(std::string::npos, text.find("broken logger"));
    EXPECT_NE(std::string::npos, text.find("the first"));
    EXPECT_NE(std::string::npos, text.find("never retrieved"));
}

TEST_F(Errors, N021_TheDefaultLoggerWritesToStandardError)
{
    ASSERT_EQ(0, skua_set_logger(nullptr, nullptr));
    testing::internal::CaptureStderr();
    failed(loop_).reset();
    EXPECT_EQ("skua: Future exception was never retrieved: "
              "Input/output error (-5)\n",
              testing::internal::GetCapturedStderr());
}

/* --- the text --- */

TEST_F(Errors, N021_ALongTextIsCut)
{
    Exception exception = make_exception(-EIO, std::string(40000, 'x').c_str());
    skua_exception_context context = {};

    context.status = -EIO;
    context.exception = exception.get();
    EXPECT_EQ(0, skua_loop_default_exception_handler(loop_, &context));
    ASSERT_EQ(1u, lines_.size());
    EXPECT_EQ(0u, lines_.get()[0].find("unhandled exception: Input"));
    EXPECT_LT(10000u, lines_.get()[0].size());
    EXPECT_GT(40000u, lines_.get()[0].size());
}

TEST_F(Errors, N021_MisuseOfTheHandlersCalls)
{
    const skua_exception_context context = {};

    EXPECT_EQ(-EINVAL, skua_loop_default_exception_handler(nullptr, &context));
    EXPECT_EQ(-EINVAL, skua_loop_default_exception_handler(loop_, nullptr));
    EXPECT_EQ(0u, lines_.size());
    EXPECT_EQ(0, skua_loop_call_exception_handler(loop_, &context));
    EXPECT_EQ("unhandled exception", lines_.get()[0]);
    EXPECT_EQ(SKUA_LOG_WARNING, lines_.level());
}

/* --- what nobody read --- */

TEST_P(ConformanceMany, N037_StillReferencedErrorsAreReportedAtCloseOnce)
{
    std::vector<Future> kept;

    EXPECT_EQ(0, run([&] {
                  for (skua_loop *loop : loops()) {
                      Future task = spawn_on(
                          loop, [] { return -EIO; }, true);

                      while (!skua_future_done(task.get())) {
                          EXPECT_EQ(0, skua_yield());
                      }
                      kept.push_back(std::move(task));
                      kept.push_back(failed(loop));
                  }
                  EXPECT_EQ(0u, reports_.size());
                  return 0;
              }));
    EXPECT_EQ(2u * GetParam(), reports_.count(-EIO));
    kept.clear();
    EXPECT_EQ(2u * GetParam(), reports_.size());
}

TEST_P(ConformanceMany, N037_ReadAndCancelledOnesAreNotReportedAtClose)
{
    std::vector<Future> kept;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = loops().back();

                  for (int i = 0; i < 3; i++) {
                      kept.push_back(failed(loop));
                  }
                  EXPECT_EQ(-EIO, skua_future_result(kept[0].get(), nullptr));
                  EXPECT_EQ(-EIO, skua_await(kept[1].get(), nullptr));
                  EXPECT_EQ(0, skua_future_cancel(kept[2].get()));
                  kept.push_back(make_future(loop));
                  EXPECT_EQ(1, skua_future_cancel(kept[3].get()));
                  return 0;
              }));
    kept.clear();
    EXPECT_EQ(0u, reports_.size());
}

TEST_P(ConformanceMany, N037_ManyThreadsDropTheLastReferenceOnce)
{
    constexpr int kRounds = 200;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = loops().back();
                  std::vector<std::thread> threads;
                  std::vector<std::vector<Future>> shares(4);

                  for (int i = 0; i < kRounds; i++) {
                      Future future = failed(loop);

                      for (std::vector<Future> &share : shares) {
                          share.emplace_back(skua_future_ref(future.get()));
                      }
                  }
                  threads.reserve(shares.size());
                  for (std::vector<Future> &share : shares) {
                      threads.emplace_back([&share] { share.clear(); });
                  }
                  for (std::thread &thread : threads) {
                      thread.join();
                  }
                  return 0;
              }));
    EXPECT_EQ(static_cast<size_t>(kRounds), reports_.count(-EIO));
}

/* --- destroyed while pending --- */

TEST_F(Errors, N049_ATaskThatIsPendingAtCloseIsReported)
{
    int calls = 0;
    Handler handler = [&](skua_loop *, const skua_exception_context *context) {
        calls++;
        EXPECT_STREQ("Task was destroyed but it is pending!", context->message);
        EXPECT_NE(nullptr, context->task);
        EXPECT_EQ(SKUA_ECLOSED, context->status);
        EXPECT_EQ(nullptr, context->source_traceback) << "no debug mode";
    };

    set_handler(loop_, handler);
    spawn_on(loop_, [] { return skua_sleep(SKUA_FOREVER); }).reset();
    Future started = spawn_on(loop_, [] { return skua_sleep(SKUA_FOREVER); });
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    spawn_on(loop_, [] { return 0; }).reset(); /* never started */
    ASSERT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(3, calls);
    EXPECT_EQ(SKUA_ECLOSED, skua_future_result(started.get(), nullptr));
}

TEST_F(Errors, N049_InDebugModeItTellsWhereTheTaskWasMade)
{
    size_t frames = 0;
    Handler handler = [&](skua_loop *, const skua_exception_context *context) {
        ASSERT_NE(nullptr, context->source_traceback);
        frames = context->source_frames;
        EXPECT_NE(nullptr, context->source_traceback[0]);
    };

    ASSERT_EQ(0, skua_loop_set_debug(loop_, true));
    set_handler(loop_, handler);
    spawn_on(loop_, [] { return skua_sleep(SKUA_FOREVER); }).reset();
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    ASSERT_EQ(0, skua_loop_close(loop_));
    EXPECT_LE(1u, frames);
    EXPECT_GE(static_cast<size_t>(SKUA_BACKTRACE_FRAMES), frames);
}

CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
