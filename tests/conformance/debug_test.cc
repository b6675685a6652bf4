/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug_test.cc - conformance 22, 23, 49: debug mode.
 */
#include "child.h"
#include "lines.h"

#include <algorithm>
#include <cstring>

namespace conformance
{
namespace
{

/** Remembers what was reported as slow. */
class Slow
{
  public:
    struct Seen {
        std::string message;
        int64_t duration_ns;
        int status;
        bool is_task;
        bool has_handle;
        size_t source_frames;
        size_t handle_frames;
    };

    Slow()
        : handler_([this](skua_loop *, const skua_exception_context *context) {
              const std::scoped_lock lock(mutex_);

              seen_.push_back({context->message, context->duration_ns,
                               context->status, context->task != nullptr,
                               context->handle != nullptr,
                               context->source_frames, context->handle_frames});
          })
    {
    }

    void install(skua_loop *loop)
    {
        set_handler(loop, handler_);
        EXPECT_EQ(0, skua_loop_set_debug(loop, true));
    }

    /** Those whose message contains `part`. */
    [[nodiscard]] std::vector<Seen> get(const std::string &part) const
    {
        const std::scoped_lock lock(mutex_);
        std::vector<Seen> found;

        for (const Seen &seen : seen_) {
            if (seen.message.find(part) != std::string::npos) {
                found.push_back(seen);
            }
        }
        return found;
    }

  private:
    mutable std::mutex mutex_;
    std::vector<Seen> seen_;
    Handler handler_;
};

class Debug : public testing::Test, public Lambdas
{
  protected:
    /** Run a task to its end in debug mode, with a limit for each step. */
    void run_limited(int64_t limit_ns, Body body)
    {
        slow_.install(loop_);
        EXPECT_EQ(0, skua_loop_set_slow_callback_duration(loop_, limit_ns));
        EXPECT_EQ(0, run(loop_, std::move(body)));
    }

    Loop loop_;
    Slow slow_;
};

/* --- slow steps --- */

TEST_F(Debug, N022_ASlowStepOfATaskIsReported)
{
    run_limited(0, [] {
        EXPECT_EQ(0, skua_task_set_name(skua_current_task(), "worker"));
        return skua_yield();
    });
    const std::vector<Slow::Seen> seen =
        slow_.get("Executing task worker took ");

    ASSERT_EQ(2u, seen.size()) << "before and after the yield";
    EXPECT_LE(0, seen[0].duration_ns);
    EXPECT_EQ(0, seen[0].status);
    EXPECT_TRUE(seen[0].is_task);
    EXPECT_FALSE(seen[0].has_handle);
    EXPECT_NE(std::string::npos, seen[0].message.find(" seconds"));
    EXPECT_LE(1u, seen[0].source_frames);
}

TEST_F(Debug, N022_ASlowCallbackIsReported)
{
    slow_.install(loop_);
    ASSERT_EQ(0, skua_loop_set_slow_callback_duration(loop_, 0));
    soon(loop_, [] {});
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    const std::vector<Slow::Seen> seen = slow_.get("Executing callback ");

    ASSERT_LE(1u, seen.size());
    EXPECT_FALSE(seen[0].is_task);
    EXPECT_TRUE(seen[0].has_handle);
    EXPECT_LE(1u, seen[0].handle_frames);
}

TEST_F(Debug, N022_ASlowDoneCallbackIsReported)
{
    Future future = make_future(loop_);

    slow_.install(loop_);
    ASSERT_EQ(0, skua_loop_set_slow_callback_duration(loop_, 0));
    when_done(future.get(), [](skua_future *) {});
    ASSERT_EQ(0, skua_future_set_result(future.get(), nullptr));
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_LE(1u, slow_.get("Executing a done callback took ").size());
}

TEST_F(Debug, N022_ADoneCallbackIsToldFromItsTask)
{
    Future task = spawn_on(loop_, [] { return 0; });

    slow_.install(loop_);
    ASSERT_EQ(0, skua_loop_set_slow_callback_duration(loop_, 0));
    EXPECT_EQ(0, skua_task_set_name(task.get(), "worker"));
    when_done(task.get(), [](skua_future *) {});
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ(1u, slow_.get("Executing task worker took ").size());
    EXPECT_EQ(1u,
              slow_.get("Executing a done callback of worker took ").size());
}

TEST_F(Debug, N022_QuickStepsAreNot)
{
    run_limited(SKUA_FOREVER, [] { return skua_yield(); });
    EXPECT_EQ(0u, slow_.get("").size());
}

TEST_F(Debug, N022_WithoutDebugModeNothingIs)
{
    slow_.install(loop_);
    ASSERT_EQ(0, skua_loop_set_slow_callback_duration(loop_, 0));
    ASSERT_EQ(0, skua_loop_set_debug(loop_, false));
    EXPECT_EQ(0, run(loop_, [] { return skua_yield(); }));
    EXPECT_EQ(0u, slow_.get("").size());
}

TEST_F(Debug, N022_TheDurationIsASetting)
{
    EXPECT_EQ(100 * SKUA_MS, skua_loop_get_slow_callback_duration(loop_));
    EXPECT_EQ(0, skua_loop_set_slow_callback_duration(loop_, 5));
    EXPECT_EQ(5, skua_loop_get_slow_callback_duration(loop_));
    EXPECT_EQ(-EINVAL, skua_loop_set_slow_callback_duration(loop_, -1));
    EXPECT_EQ(-EINVAL, skua_loop_set_slow_callback_duration(nullptr, 1));
    EXPECT_EQ(-EINVAL, skua_loop_get_slow_callback_duration(nullptr));
    EXPECT_EQ(5, skua_loop_get_slow_callback_duration(loop_));
}

/* The step goes on until it was reported: it would hang otherwise. */
TEST_P(ConformanceMany, N022_AStepThatGoesOnIsReportedMeanwhile)
{
    Slow slow;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = loops().back();

                  slow.install(loop);
                  EXPECT_EQ(
                      0, skua_loop_set_slow_callback_duration(loop, SKUA_MS));
                  Future task = spawn_on(
                      loop,
                      [&] {
                          (void)skua_task_set_name(skua_current_task(), "busy");
                          EXPECT_EQ(0, skua_yield());
                          while (slow.get("task busy goes on after ").empty()) {
                              std::this_thread::yield();
                          }
                          return 0;
                      },
                      true);
                  Latch latch(1);

                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  post(loop, [&] {
                      while (slow.get("callback ").empty()) {
                          std::this_thread::yield();
                      }
                      latch.down();
                  });
                  EXPECT_EQ(0, latch.wait());
                  EXPECT_EQ(0, skua_loop_set_debug(loop, false));
                  reports_.install(loop);
                  return 0;
              }));
    EXPECT_EQ(1u, slow.get("task busy goes on after ").size());
    EXPECT_LE(1u, slow.get("task busy took ").size());
    EXPECT_LE(SKUA_MS, slow.get("task busy goes on after ")[0].duration_ns);
}

TEST_P(ConformanceMany, N022_ItMayBeSwitchedWhileLoopsRun)
{
    EXPECT_EQ(0, run([&] {
                  const std::vector<skua_loop *> all = loops();

                  for (int round = 0; round < 50; round++) {
                      for (skua_loop *loop : all) {
                          EXPECT_EQ(0, skua_loop_set_debug(loop, true));
                          spawn_on(loop, [] { return skua_yield(); });
                      }
                      EXPECT_EQ(0, skua_yield());
                      for (skua_loop *loop : all) {
                          EXPECT_EQ(0, skua_loop_set_debug(loop, false));
                      }
                      EXPECT_EQ(0, skua_yield());
                  }
                  return 0;
              }));
    EXPECT_EQ(0u, reports_.size());
}

/* --- where things were made --- */

TEST_F(Debug, N049_ReportsTellWhereTheFutureAndTheCallbackWereMade)
{
    size_t source = 0;
    size_t callback = 0;
    Handler handler = [&](skua_loop *, const skua_exception_context *context) {
        source = context->source_frames;
        callback = context->handle_frames;
        EXPECT_EQ(source > 0, context->source_traceback != nullptr);
        EXPECT_EQ(callback > 0, context->handle_traceback != nullptr);
    };

    set_handler(loop_, handler);
    ASSERT_EQ(0, skua_loop_set_debug(loop_, true));
    Future future = make_future(loop_);
    ASSERT_EQ(0, skua_future_set_error(future.get(), -EIO));
    future.reset();
    EXPECT_LE(1u, source);
    EXPECT_EQ(0u, callback) << "no callback runs";

    soon(loop_, [] { (void)skua_raise(-EIO, "boom"); });
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ(0u, source);
    EXPECT_LE(1u, callback);

    later(loop_, -1, [&] { /* a timer; and the one that runs counts */
                           Future lost = make_future(loop_);

                           EXPECT_EQ(0,
                                     skua_future_set_error(lost.get(), -EIO));
    });
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_LE(1u, source);
    EXPECT_LE(1u, callback);
}

TEST_F(Debug, N049_TheDefaultHandlerWritesIt)
{
    Lines lines;
    Future future;

    ASSERT_EQ(0, skua_loop_set_debug(loop_, true));
    future = make_future(loop_);
    ASSERT_EQ(0, skua_future_set_error(future.get(), -EIO));
    future.reset();
    EXPECT_EQ(1u, lines.count("\n  future made at\n  #0 0x"));
    spawn_on(loop_, [] { return -EIO; }).reset();
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ(1u, lines.count("\n  task made at\n  #0 0x"));
    soon(loop_, [] { (void)skua_raise(-EIO, "boom"); });
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ(1u, lines.count("\n  callback queued at\n  #0 0x"));
}

TEST_F(Debug, N049_OriginsOfManyObjectsAreForgottenWithThem)
{
    constexpr int kObjects = 20000;
    Lines lines;
    std::vector<Future> futures;
    const int64_t before = skua_dump_leaks();

    ASSERT_EQ(0, skua_loop_set_debug(loop_, true));
    futures.reserve(kObjects);
    for (int i = 0; i < kObjects; i++) {
        futures.push_back(make_future(loop_));
    }
    EXPECT_EQ(before + kObjects, skua_dump_leaks());
    EXPECT_EQ(static_cast<size_t>(kObjects),
              lines.count("future was not released, made at\n  #0 0x"));
    futures.clear();
    for (int i = 0; i < 100; i++) {
        spawn_on(loop_, [] { return 0; }).reset(); /* ends alone */
        spawn_on(loop_, [] { return skua_yield(); });
        later(loop_, i, [] {});
        EXPECT_EQ(1, skua_handle_cancel(later(loop_, SKUA_S, [] {}).get()));
    }
    EXPECT_EQ(0, run(loop_, [] { return skua_sleep(SKUA_MS); }));
    EXPECT_EQ(before, skua_dump_leaks());
}

TEST_F(Debug, N049_LoopsExecutorsAndSocketsAreKnownToo)
{
    const bool debug_before = skua_get_debug();
    const int64_t before = skua_dump_leaks();
    Lines lines;

    ASSERT_EQ(0, skua_set_debug(true));
    {
        Loop loop;
        skua_executor *executor = nullptr;

        ASSERT_EQ(0, skua_thread_pool_executor_new(nullptr, &executor));
        EXPECT_EQ(0, run(loop, [&] {
                      skua_listen_options options = {};
                      skua_socket *listener = nullptr;

                      options.host = "127.0.0.1";
                      EXPECT_EQ(0, skua_sock_listen(&options, &listener));
                      (void)skua_dump_leaks();
                      EXPECT_EQ(0, skua_sock_close(listener));
                      skua_socket_unref(listener);
                      return 0;
                  }));
        EXPECT_EQ(0, skua_executor_shutdown(executor, true, false));
        skua_executor_unref(executor);
        EXPECT_EQ(0, skua_loop_close(loop));
    }
    ASSERT_EQ(0, skua_set_debug(debug_before));
    EXPECT_LE(1u, lines.count("loop was not released"));
    EXPECT_EQ(1u, lines.count("executor was not released"));
    EXPECT_EQ(1u, lines.count("socket was not released"));
    EXPECT_EQ(1u, lines.count("task was not released"));
    EXPECT_EQ(static_cast<size_t>(before) + 4, lines.size());
    EXPECT_EQ(before, skua_dump_leaks());
}

/* --- the setting --- */

TEST_F(Debug, N022_NewLoopsTakeTheProcessesSetting)
{
    const bool before = skua_get_debug();

    ASSERT_EQ(0, skua_set_debug(true));
    EXPECT_TRUE(skua_get_debug());
    {
        Loop loop;

        EXPECT_TRUE(skua_loop_get_debug(loop));
    }
    ASSERT_EQ(0, skua_set_debug(false));
    {
        Loop loop;
        Loop own(true);

        EXPECT_FALSE(skua_loop_get_debug(loop));
        EXPECT_TRUE(skua_loop_get_debug(own));
    }
    ASSERT_EQ(0, skua_set_debug(before));
}

TEST_F(Debug, N022_ARunnersLoopsTakeItsSetting)
{
    skua_runner_options options = {};
    skua_runner *runner = nullptr;

    options.loops = 2;
    options.debug = true;
    ASSERT_EQ(0, skua_runner_new(&options, &runner));
    EXPECT_TRUE(skua_loop_get_debug(skua_runner_get_loop(runner, 0)));
    EXPECT_TRUE(skua_loop_get_debug(skua_runner_get_loop(runner, 1)));
    EXPECT_EQ(0, skua_runner_close(runner));
}

/** A new process in this environment, of this program, expects so. */
int expect_debug(const char *value, bool expected)
{
    return wait_for_child(start_child([value, expected] {
        char path[] = "/proc/self/exe";
        char filter[] = "--gtest_filter=DebugChild.*";
        char *const arguments[] = {path, filter, nullptr};

        (void)setenv("EXPECT_DEBUG", expected ? "1" : "0", 1);
        if (value == nullptr) {
            (void)unsetenv("SKUA_DEBUG");
        } else {
            (void)setenv("SKUA_DEBUG", value, 1);
        }
        (void)freopen("/dev/null", "w", stdout);
        return execv(path, arguments);
    }));
}

TEST(DebugChild, LoopsAreAsExpected)
{
    const char *expected = getenv("EXPECT_DEBUG");
    Loop loop;

    if (expected == nullptr) {
        GTEST_SKIP() << "for the test that follows";
    }
    EXPECT_EQ(*expected == '1', skua_loop_get_debug(loop));
    EXPECT_EQ(*expected == '1', skua_get_debug());
}

TEST_F(Debug, N022_TheEnvironmentDecides)
{
    EXPECT_EQ(0, expect_debug("1", true));
    EXPECT_EQ(0, expect_debug("yes", true));
    EXPECT_EQ(0, expect_debug("0", false));
    EXPECT_EQ(0, expect_debug("", false));
    EXPECT_EQ(0, expect_debug(nullptr, false));
    EXPECT_NE(0, expect_debug("1", false)) << "it is looked at";
}

TEST_F(Debug, N155_AChildOfAProgramInDebugModeHasItsOwn)
{
    if (kRaceDetector) {
        GTEST_SKIP() << "ThreadSanitizer has no threads after such a fork";
    }
    slow_.install(loop_);
    Future kept = make_future(loop_); /* the parent's, with its origin */
    EXPECT_EQ(0, run(loop_, [] { return skua_yield(); }));
    const int status = wait_for_child(start_child([] {
        CHILD_REQUIRE(skua_dump_leaks() == 0);
        Loop loop;
        Slow slow;
        Lambdas lambdas;

        slow.install(loop);
        CHILD_REQUIRE(skua_loop_set_slow_callback_duration(loop, SKUA_MS) == 0);
        CHILD_REQUIRE(lambdas.run(loop, [&] {
            while (slow.get(" goes on after ").empty()) {
                std::this_thread::yield();
            }
            return 6;
        }) == 6);
        return 0;
    }));

    EXPECT_EQ(0, status);
}

/* --- wrong threads --- */

TEST_P(ConformanceMany, N023_WhatNeedsATaskIsRefusedElsewhere)
{
    EXPECT_EQ(
        0, run([&] {
            Latch latch(1);

            post(loops().back(), [&] {
                EXPECT_EQ(SKUA_ENOLOOP, skua_sleep(1));
                EXPECT_EQ(SKUA_ENOLOOP, skua_yield());
                EXPECT_EQ(-EDEADLK, skua_await(make_future().get(), nullptr));
                EXPECT_EQ(-EDEADLK,
                          skua_await_until(make_future().get(), 0, nullptr));
                latch.down();
            });
            EXPECT_EQ(0, latch.wait());
            std::thread([] {
                EXPECT_EQ(SKUA_ENOLOOP, skua_sleep(1));
                EXPECT_EQ(SKUA_ENOLOOP, skua_yield());
                EXPECT_EQ(SKUA_ENOLOOP,
                          skua_create_task(run_body, nullptr, nullptr));
            }).join();
            return 0;
        }));
}

TEST_P(ConformanceMany, N023_EveryLoopOnlyCallIsRefusedInDebugModeAndWithout)
{
    const Pipe pipe;
    Step step = [] { ADD_FAILURE() << "must not be queued"; };

    EXPECT_EQ(
        0, run([&] {
            for (skua_loop *loop : loops()) {
                for (const bool debug : {true, false}) {
                    EXPECT_EQ(0, skua_loop_set_debug(loop, debug));
                    std::thread([&] {
                        EXPECT_EQ(-EPERM, skua_loop_call_soon(loop, run_step,
                                                              &step, nullptr));
                        EXPECT_EQ(-EPERM,
                                  skua_loop_call_later(loop, 0, run_step, &step,
                                                       nullptr));
                        EXPECT_EQ(-EPERM, skua_loop_call_at(loop, 0, run_step,
                                                            &step, nullptr));
                        EXPECT_EQ(-EPERM,
                                  skua_loop_add_reader(loop, pipe.reader(),
                                                       run_step, &step));
                        EXPECT_EQ(-EPERM,
                                  skua_loop_add_writer(loop, pipe.writer(),
                                                       run_step, &step));
                        EXPECT_EQ(-EPERM,
                                  skua_loop_remove_reader(loop, pipe.reader()));
                        EXPECT_EQ(-EPERM,
                                  skua_loop_remove_writer(loop, pipe.writer()));
                        EXPECT_EQ(-EPERM, skua_loop_next_deadline(loop));
                    }).join();
                }
            }
            return 0;
        }));
}

/* --- stacks --- */

int stand_innermost(const Future &gate)
{
    return skua_await(gate.get(), nullptr);
}

int stand_middle(const Future &gate)
{
    const int status = stand_innermost(gate);

    return status == 0 ? 0 : status; /* no tail call */
}

TEST_P(ConformanceMany, T16_TheStackOfASuspendedTask)
{
    EXPECT_EQ(0, run([&] {
                  Future gate = make_future();
                  Latch ready(1);
                  Future task = spawn([&] {
                      ready.down();
                      return stand_middle(gate);
                  });
                  std::vector<void *> frames(64);
                  int count = -EBUSY;

                  EXPECT_EQ(0, ready.wait());
                  while (count == -EBUSY) {
                      EXPECT_EQ(0, skua_yield());
                      count = skua_task_get_stack(task.get(), frames.data(),
                                                  frames.size());
                  }
                  if (count != -ENOTSUP) {
                      EXPECT_LE(3, count);
                      EXPECT_EQ(
                          1, skua_task_get_stack(task.get(), frames.data(), 1));
                      EXPECT_EQ(0, skua_task_get_stack(task.get(), nullptr, 0));
                  }
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  EXPECT_EQ(0, skua_task_get_stack(task.get(), frames.data(),
                                                   frames.size()));
                  return 0;
              }));
}

TEST_P(ConformanceMany, T16_TheStackOfTheTaskItself)
{
    EXPECT_EQ(0, run([&] {
                  void *frames[64] = {};
                  skua_task *self = skua_current_task();

                  EXPECT_LE(2, skua_task_get_stack(self, frames, 64));
                  EXPECT_EQ(2, skua_task_get_stack(self, frames, 2));
                  EXPECT_EQ(0, skua_task_get_stack(self, nullptr, 0));
                  return 0;
              }));
}

TEST_P(ConformanceMany, T16_ATaskIsLookedAtWhileOthersWakeAndCancelIt)
{
    EXPECT_EQ(0, run([&] {
                  std::atomic<bool> end = false;
                  std::atomic<int> looks = 0;
                  Future task = spawn([&] {
                      while (!end) {
                          (void)skua_sleep(10 * SKUA_US);
                      }
                      return 0;
                  });
                  std::thread looker([&] {
                      void *frames[16];

                      while (!end) {
                          const int count =
                              skua_task_get_stack(task.get(), frames, 16);

                          EXPECT_TRUE(count >= 0 || count == -EBUSY ||
                                      count == -ENOTSUP);
                          looks++;
                      }
                  });
                  for (int i = 0; i < 200 || looks < 200; i++) {
                      (void)skua_task_cancel(task.get());
                      EXPECT_EQ(0, skua_yield());
                  }
                  end = true;
                  (void)skua_task_cancel(task.get());
                  (void)skua_await(task.get(), nullptr);
                  looker.join();
                  return 0;
              }));
}

TEST_F(Debug, T16_PrintingAStack)
{
    Lines lines;

    ASSERT_EQ(0, skua_loop_set_debug(loop_, true));
    EXPECT_EQ(0, run(loop_, [&] {
                  Future gate = make_future();
                  Future task = spawn([&] { return stand_middle(gate); });

                  EXPECT_EQ(0, skua_task_set_name(task.get(), "sleeper"));
                  EXPECT_EQ(0, skua_yield());
                  const int count = skua_task_print_stack(task.get(), 0);
                  EXPECT_TRUE(count > 0 || count == -ENOTSUP);
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  EXPECT_EQ(0, skua_task_print_stack(task.get(), 0));
                  return 0;
              }));
    ASSERT_EQ(2u, lines.size());
    EXPECT_EQ(0u, lines.get()[0].find("task sleeper: "));
    EXPECT_NE(std::string::npos, lines.get()[0].find("\nmade at\n  #0 0x"));
    EXPECT_EQ(0u, lines.get()[1].find("task sleeper: done"));
    EXPECT_EQ(SKUA_LOG_INFO, lines.level());
}

TEST_F(Debug, T16_Misuse)
{
    Future future = make_future(loop_);
    void *frame = nullptr;

    EXPECT_EQ(-EINVAL, skua_task_get_stack(nullptr, &frame, 1));
    EXPECT_EQ(-EINVAL, skua_task_get_stack(future.get(), &frame, 1));
    EXPECT_EQ(-EINVAL, skua_task_print_stack(nullptr, 0));
    EXPECT_EQ(-EINVAL, skua_task_print_stack(future.get(), 0));
    Future task = spawn_on(loop_, [] { return 0; });
    EXPECT_EQ(-EINVAL, skua_task_get_stack(task.get(), nullptr, 1));
    const int queued = skua_task_get_stack(task.get(), &frame, 1);
    EXPECT_TRUE(queued == -EBUSY || queued == -ENOTSUP);
    EXPECT_EQ(0, run(loop_, [] { return 0; }));
}

TEST(BacktraceFormat, WritesALineForEachFrame)
{
    void *const frames[3] = {reinterpret_cast<void *>(&skua_run), nullptr,
                             reinterpret_cast<void *>(0x1234)};
    char text[512] = "";
    char cut[20];
    const int length = skua_backtrace_format(frames, 3, text, sizeof(text));

    EXPECT_EQ(static_cast<size_t>(length), strlen(text));
    EXPECT_EQ(2, std::count(text, text + length, '\n'));
    EXPECT_NE(nullptr, strstr(text, "\n  #1 0x0\n  #2 0x1234"));
    EXPECT_EQ(length, skua_backtrace_format(frames, 3, cut, sizeof(cut)));
    EXPECT_EQ(std::string(text).substr(0, sizeof(cut) - 1), cut);
    EXPECT_EQ(length, skua_backtrace_format(frames, 3, nullptr, 0));
    EXPECT_EQ(0, skua_backtrace_format(nullptr, 0, text, sizeof(text)));
    EXPECT_STREQ("", text);
    EXPECT_EQ(-EINVAL, skua_backtrace_format(nullptr, 1, text, sizeof(text)));
    EXPECT_EQ(-EINVAL, skua_backtrace_format(frames, 1, nullptr, 1));
}

CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
