/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_test.cc - conformance 1-12, 20, 23: the loop.
 */
#include "support.h"

namespace conformance
{
namespace
{

/* --- order of callbacks --- */

TEST_F(Conformance, N001_CallbacksRunOnceInOrder)
{
    Log log;
    Order expected;

    for (int i = 0; i < 1000; i++) {
        soon(loop_, [&log, i] { log.add(i); });
        expected.push_back(i);
    }
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ(expected, log.get());
    drain();
    EXPECT_EQ(expected, log.get());
}

TEST_P(ConformanceMany, N001_CallbacksOfEachLoopRunOnceInOrder)
{
    constexpr int kCount = 500;
    std::vector<Log> logs(GetParam());
    Order expected;

    for (int i = 0; i < kCount; i++) {
        expected.push_back(i);
    }
    EXPECT_EQ(0, run([&] {
                  const std::vector<skua_loop *> all = loops();
                  Latch latch(kCount * static_cast<int>(all.size()));

                  for (int i = 0; i < kCount; i++) {
                      for (size_t k = 0; k < all.size(); k++) {
                          post(all[k], [&, k, i] {
                              EXPECT_EQ(all[k], skua_get_running_loop());
                              logs[k].add(i);
                              latch.down();
                          });
                      }
                  }
                  return latch.wait();
              }));
    for (const Log &log : logs) {
        EXPECT_EQ(expected, log.get());
    }
}

TEST_F(Conformance, N002_OffspringRunsInTheNextIterationAfterAPoll)
{
    Log log;
    Pipe pipe;

    reader(loop_, pipe.reader(), [&] {
        pipe.take();
        log.add(100);
    });
    soon(loop_, [&] {
        log.add(1);
        pipe.put();
        soon(loop_, [&] {
            log.add(3);
            soon(loop_, [&] { log.add(4); });
        });
    });
    soon(loop_, [&] { log.add(2); });
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ((Order{1, 2}), log.get());
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ((Order{1, 2, 3, 100}), log.get());
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ((Order{1, 2, 3, 100, 4}), log.get());
}

TEST_P(ConformanceMany, N002_OffspringRunsAfterTheBatch)
{
    EXPECT_EQ(0, run([&] {
                  const std::vector<skua_loop *> all = loops();
                  std::vector<Log> logs(all.size());
                  Latch latch(static_cast<int>(all.size()));

                  for (size_t k = 0; k < all.size(); k++) {
                      post(all[k], [&, k] {
                          soon(all[k], [&, k] {
                              logs[k].add(1);
                              soon(all[k], [&, k] {
                                  logs[k].add(3);
                                  latch.down();
                              });
                          });
                          soon(all[k], [&, k] { logs[k].add(2); });
                      });
                  }
                  EXPECT_EQ(0, latch.wait());
                  for (const Log &log : logs) {
                      EXPECT_EQ((Order{1, 2, 3}), log.get());
                  }
                  return 0;
              }));
}

TEST_F(Conformance, N003_QueuedThenDescriptorsThenTimers)
{
    Log log;
    Pipe pipe;

    pipe.put();
    reader(loop_, pipe.reader(), [&] {
        pipe.take();
        log.add(2);
    });
    at(loop_, skua_monotonic() - 1, [&] { log.add(3); });
    soon(loop_, [&] { log.add(1); });
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ((Order{1, 2, 3}), log.get());
}

TEST_F(Conformance, N004_SelfRequeueingCallbackDoesNotStarveDescriptors)
{
    Pipe pipe;
    Step again;
    int tick = 0;
    int seen_at = 0;

    reader(loop_, pipe.reader(), [&] {
        pipe.take();
        seen_at = tick;
        skua_loop_stop(loop_);
    });
    again = [&] {
        if (++tick == 10) {
            pipe.put();
        }
        if (tick < 1000) {
            soon(loop_, again);
        }
    };
    soon(loop_, again);
    ASSERT_EQ(0, skua_loop_run_forever(loop_));
    EXPECT_EQ(11, seen_at);
}

TEST_P(ConformanceMany, N004_SelfRequeueingCallbackDoesNotStarveDescriptors)
{
    constexpr int kSkippedPolls = 61; /* DESIGN.md, section 5 */
    Pipe pipe;
    Step again;
    int tick = 0;
    int seen_at = 0;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = loops().back();
                  Latch latch(1);

                  again = [&] {
                      if (++tick == 10) {
                          pipe.put();
                      }
                      if (seen_at == 0 && tick < 100000) {
                          soon(loop, again);
                      } else {
                          latch.down();
                      }
                  };
                  post(loop, [&] {
                      reader(loop, pipe.reader(), [&] {
                          pipe.take();
                          seen_at = tick;
                          EXPECT_EQ(
                              1, skua_loop_remove_reader(loop, pipe.reader()));
                      });
                      soon(loop, again);
                  });
                  return latch.wait();
              }));
    EXPECT_LE(10, seen_at);
    EXPECT_GE(10 + kSkippedPolls + 2, seen_at);
}

TEST_F(Conformance, N005_HandleCancelledInTheSameBatchDoesNotRun)
{
    Log log;
    Handle second;

    soon(loop_, [&] {
        log.add(1);
        EXPECT_FALSE(skua_handle_cancelled(second.get()));
        EXPECT_EQ(1, skua_handle_cancel(second.get()));
        EXPECT_TRUE(skua_handle_cancelled(second.get()));
        EXPECT_EQ(0, skua_handle_cancel(second.get()));
    });
    second = soon(loop_, [&] { log.add(2); });
    soon(loop_, [&] { log.add(3); });
    drain();
    EXPECT_EQ((Order{1, 3}), log.get());
}

TEST_F(Conformance, N005_TimerCancelledInTheSameBatchDoesNotRun)
{
    Log log;
    Handle second;
    const int64_t now_ns = skua_monotonic();

    at(loop_, now_ns - 2, [&] {
        log.add(1);
        EXPECT_EQ(1, skua_handle_cancel(second.get()));
    });
    second = at(loop_, now_ns - 1, [&] { log.add(2); });
    drain();
    EXPECT_EQ((Order{1}), log.get());
}

/* --- running and stopping --- */

TEST_F(Conformance, N006_StopBeforeRunPollsOnceAndRunsQueuedOnly)
{
    Log log;
    Pipe pipe;

    pipe.put();
    reader(loop_, pipe.reader(), [&] {
        pipe.take();
        log.add(2);
    });
    soon(loop_, [&] {
        log.add(1);
        soon(loop_, [&] { log.add(3); });
    });
    ASSERT_EQ(0, skua_loop_stop(loop_));
    ASSERT_EQ(0, skua_loop_run_forever(loop_));
    EXPECT_EQ((Order{1, 2}), log.get());
    ASSERT_EQ(0, skua_loop_stop(loop_));
    ASSERT_EQ(0, skua_loop_run_forever(loop_));
    EXPECT_EQ((Order{1, 2, 3}), log.get());
}

TEST_F(Conformance, N006_StopBeforeRunWithoutWorkReturns)
{
    bool fired = false;

    later(loop_, 3600 * SKUA_S, [&] { fired = true; });
    ASSERT_EQ(0, skua_loop_stop(loop_));
    ASSERT_EQ(0, skua_loop_run_forever(loop_));
    EXPECT_FALSE(fired);
}

TEST_F(Conformance, N007_StopInsideACallbackFinishesTheBatch)
{
    Log log;

    soon(loop_, [&] {
        log.add(1);
        EXPECT_EQ(0, skua_loop_stop(loop_));
        soon(loop_, [&] { log.add(3); });
    });
    soon(loop_, [&] {
        log.add(2);
        soon(loop_, [&] {
            log.add(4);
            skua_loop_stop(loop_);
        });
    });
    ASSERT_EQ(0, skua_loop_run_forever(loop_));
    EXPECT_EQ((Order{1, 2}), log.get());
    ASSERT_EQ(0, skua_loop_run_forever(loop_));
    EXPECT_EQ((Order{1, 2, 3, 4}), log.get());
}

TEST_F(Conformance, N008_StopDoesNotLeakIntoTheNextRun)
{
    soon(loop_, [&] { skua_loop_stop(loop_); });
    ASSERT_EQ(0, skua_loop_run_forever(loop_));
    for (int i = 0; i < 3; i++) {
        void *value = nullptr;

        EXPECT_EQ(0, run(
                         loop_,
                         [] {
                             EXPECT_EQ(0, skua_sleep(1 * SKUA_MS));
                             return skua_return(as_pointer(7));
                         },
                         &value));
        EXPECT_EQ(7, as_int(value));
    }
}

TEST_P(ConformanceMany, N008_ARunnerRunsAgainAndCannotBeStopped)
{
    skua_runner *runner = new_runner();

    for (int i = 0; i < 5; i++) {
        void *value = nullptr;
        void *arg = keeper_.body([i] {
            EXPECT_EQ(-EPERM, skua_loop_stop(skua_get_running_loop()));
            EXPECT_EQ(0, skua_yield());
            return skua_return(as_pointer(i));
        });

        EXPECT_EQ(0, skua_runner_run(runner, run_body, arg, &value));
        EXPECT_EQ(i, as_int(value));
    }
    EXPECT_EQ(0, skua_runner_close(runner));
}

TEST_F(Conformance, N009_RunUntilCompleteGivesValueOrError)
{
    Future future = make_future(loop_);
    void *value = nullptr;

    EXPECT_EQ(0,
              run(
                  loop_, [] { return skua_return(as_pointer(42)); }, &value));
    EXPECT_EQ(42, as_int(value));
    EXPECT_EQ(5, run(loop_, [] { return 5; }));
    EXPECT_EQ(-EIO, run(loop_, [] { return -EIO; }));
    EXPECT_EQ(-EIO, run(loop_, [] { return skua_raise(-EIO, "boom"); }));
    ASSERT_NE(nullptr, skua_current_exception());
    EXPECT_STREQ("boom", skua_exception_message(skua_current_exception()));
    soon(loop_, [&] { skua_future_set_result(future.get(), as_pointer(6)); });
    EXPECT_EQ(0, skua_loop_run_until_complete(
                     loop_, skua_awaitable_future(future.get()), &value));
    EXPECT_EQ(6, as_int(value));
    EXPECT_EQ(0u, reports_.size());
}

TEST_F(Conformance, N009_StoppedFirstLeavesTheTaskPending)
{
    Future gate = make_future(loop_);
    Future task = spawn_on(loop_, [&] {
        EXPECT_EQ(0, skua_await(gate.get(), nullptr));
        return skua_return(as_pointer(9));
    });
    void *value = as_pointer(-1);

    soon(loop_, [&] { skua_loop_stop(loop_); });
    EXPECT_EQ(SKUA_ESTOPPED,
              skua_loop_run_until_complete(
                  loop_, skua_awaitable_future(task.get()), &value));
    EXPECT_EQ(-1, as_int(value));
    EXPECT_FALSE(skua_future_done(task.get()));
    ASSERT_EQ(0, skua_future_set_result(gate.get(), nullptr));
    EXPECT_EQ(0, skua_loop_run_until_complete(
                     loop_, skua_awaitable_future(task.get()), &value));
    EXPECT_EQ(9, as_int(value));
}

TEST_F(Conformance, N009_WhatIsDoneWhenStoppedDoesNotStopTheNextRun)
{
    Future future = make_future(loop_);

    soon(loop_, [&] {
        EXPECT_EQ(0, skua_loop_stop(loop_));
        EXPECT_EQ(0, skua_future_set_result(future.get(), nullptr));
    });
    EXPECT_EQ(0, skua_loop_run_until_complete(
                     loop_, skua_awaitable_future(future.get()), nullptr));
    EXPECT_EQ(3, run(loop_, [] {
                  EXPECT_EQ(0, skua_sleep(SKUA_MS));
                  return 3;
              }));
}

TEST_F(Conformance, N010_NestedRunsAreRefused)
{
    Loop other;
    const skua_awaitable nothing = call([] { return 0; });

    soon(loop_, [&] {
        EXPECT_TRUE(skua_loop_is_running(loop_));
        for (skua_loop *loop : {static_cast<skua_loop *>(loop_),
                                static_cast<skua_loop *>(other)}) {
            EXPECT_EQ(SKUA_ERUNNING, skua_loop_run_forever(loop));
            EXPECT_EQ(SKUA_ERUNNING, skua_loop_run_once(loop, 0));
            EXPECT_EQ(SKUA_ERUNNING,
                      skua_loop_run_until_complete(loop, nothing, nullptr));
        }
        EXPECT_EQ(SKUA_ERUNNING, skua_run(nothing.fn, nothing.arg));
        skua_loop_stop(loop_);
    });
    ASSERT_EQ(0, skua_loop_run_forever(loop_));
    EXPECT_FALSE(skua_loop_is_running(loop_));
    EXPECT_EQ(0, skua_loop_run_until_complete(other, nothing, nullptr));
}

TEST_F(Conformance, N010_ARunningLoopIsRefusedToAnotherThread)
{
    soon(loop_, [&] {
        std::thread([&] {
            EXPECT_EQ(SKUA_ERUNNING, skua_loop_run_forever(loop_));
            EXPECT_EQ(SKUA_ERUNNING, skua_loop_run_once(loop_, 0));
        }).join();
        skua_loop_stop(loop_);
    });
    ASSERT_EQ(0, skua_loop_run_forever(loop_));
}

TEST_P(ConformanceMany, N010_NestedRunsAreRefused)
{
    const skua_awaitable nothing = call([] { return 0; });

    EXPECT_EQ(0, run([&] {
                  Loop other;
                  skua_runner *runner = skua_get_running_runner();

                  EXPECT_EQ(SKUA_ERUNNING, skua_loop_run_forever(other));
                  EXPECT_EQ(SKUA_ERUNNING, skua_run(nothing.fn, nothing.arg));
                  EXPECT_EQ(SKUA_ERUNNING,
                            skua_runner_run(runner, nothing.fn, nothing.arg,
                                            nullptr));
                  EXPECT_EQ(SKUA_ERUNNING, skua_runner_close(runner));
                  for (skua_loop *loop : loops()) {
                      EXPECT_GT(0, skua_loop_run_forever(loop));
                      EXPECT_GT(0, skua_loop_run_once(loop, 0));
                  }
                  return 0;
              }));
}

/* --- aborting --- */

TEST_F(Conformance, E08_AnAbortSurfacesFromRunForever)
{
    Log log;

    soon(loop_, [&] {
        log.add(1);
        EXPECT_EQ(0, skua_loop_abort(loop_, -ENOSYS));
        soon(loop_, [&] { log.add(3); });
    });
    soon(loop_, [&] { log.add(2); });
    EXPECT_EQ(-ENOSYS, skua_loop_run_forever(loop_));
    EXPECT_EQ((Order{1, 2}), log.get()) << "the batch is run to its end";
    soon(loop_, [&] { skua_loop_stop(loop_); });
    EXPECT_EQ(0, skua_loop_run_forever(loop_)) << "it is told once";
    EXPECT_EQ((Order{1, 2, 3}), log.get());
}

TEST_F(Conformance, E08_AnAbortSurfacesFromRunUntilComplete)
{
    Future gate = make_future(loop_);
    void *value = as_pointer(-1);

    soon(loop_, [&] { EXPECT_EQ(0, skua_loop_abort(loop_, -ENOSYS)); });
    EXPECT_EQ(-ENOSYS, skua_loop_run_until_complete(
                           loop_, skua_awaitable_future(gate.get()), &value));
    EXPECT_EQ(-1, as_int(value));
    EXPECT_FALSE(skua_future_done(gate.get()));
    EXPECT_EQ(-ENOSYS, run(loop_, [&] {
        EXPECT_EQ(0, skua_loop_abort(loop_, -ENOSYS));
        return -EIO;
    }));
    EXPECT_EQ(0u, reports_.size()) << "the task's own failure is no news";
    EXPECT_EQ(7, run(loop_, [] { return 7; }));
}

TEST_F(Conformance, E08_AnAbortSurfacesFromRunOnce)
{
    soon(loop_, [&] { EXPECT_EQ(0, skua_loop_abort(loop_, -ENOSYS)); });
    EXPECT_EQ(-ENOSYS, skua_loop_run_once(loop_, 0));
    EXPECT_EQ(0, skua_loop_run_once(loop_, 0));
}

TEST_F(Conformance, E08_AnAbortWakesASleepingLoop)
{
    std::thread aborter([&] {
        while (!skua_loop_is_running(loop_)) {
            std::this_thread::yield();
        }
        EXPECT_EQ(0, skua_loop_abort(loop_, -ENOSYS));
    });

    EXPECT_EQ(-ENOSYS, skua_loop_run_forever(loop_));
    aborter.join();
}

TEST_F(Conformance, E08_MisuseOfAbort)
{
    EXPECT_EQ(-EINVAL, skua_loop_abort(nullptr, -EIO));
    EXPECT_EQ(-EINVAL, skua_loop_abort(loop_, 0));
    EXPECT_EQ(-EINVAL, skua_loop_abort(loop_, 5));
    EXPECT_EQ(0, skua_loop_run_once(loop_, 0));
    ASSERT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(SKUA_ECLOSED, skua_loop_abort(loop_, -EIO));
}

/* --- the thread's loop --- */

TEST_F(Conformance, L02_TheRunningLoopElseTheOneThatWasSet)
{
    Loop other;

    EXPECT_EQ(nullptr, skua_get_event_loop());
    EXPECT_EQ(0, skua_set_event_loop(other));
    EXPECT_EQ(other, skua_get_event_loop());
    EXPECT_EQ(nullptr, skua_get_running_loop());
    EXPECT_EQ(0, run(loop_, [&] {
                  EXPECT_EQ(loop_, skua_get_event_loop());
                  return 0;
              }));
    EXPECT_EQ(other, skua_get_event_loop());
    std::thread([] { EXPECT_EQ(nullptr, skua_get_event_loop()); }).join();
    EXPECT_EQ(0, skua_set_event_loop(nullptr));
    EXPECT_EQ(nullptr, skua_get_event_loop());
}

TEST_F(Conformance, L03_AClosedLoopIsNobodys)
{
    EXPECT_EQ(0, skua_set_event_loop(loop_));
    EXPECT_EQ(loop_, skua_get_event_loop());
    ASSERT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(nullptr, skua_get_event_loop());
    EXPECT_EQ(SKUA_ECLOSED, skua_set_event_loop(loop_));
    EXPECT_EQ(0, skua_set_event_loop(nullptr));
}

/* --- closing --- */

TEST_F(Conformance, N011_CloseWhileRunningIsRefusedAndTwiceIsFine)
{
    Loop loop;

    soon(loop, [&] {
        EXPECT_EQ(SKUA_ERUNNING, skua_loop_close(loop));
        skua_loop_stop(loop);
    });
    ASSERT_EQ(0, skua_loop_run_forever(loop));
    EXPECT_FALSE(skua_loop_is_closed(loop));
    EXPECT_EQ(0, skua_loop_close(loop));
    EXPECT_TRUE(skua_loop_is_closed(loop));
    EXPECT_EQ(0, skua_loop_close(loop));
}

TEST_F(Conformance, N011_ClosingDropsWhatIsQueued)
{
    bool ran = false;

    soon(loop_, [&] { ran = true; });
    later(loop_, -1, [&] { ran = true; });
    ASSERT_EQ(0, skua_loop_close(loop_));
    EXPECT_FALSE(ran);
}

TEST_F(Conformance, N012_ClosedLoopRefusesWork)
{
    Pipe pipe;
    Step step = [] { ADD_FAILURE() << "ran on a closed loop"; };
    Body body = [] { return 0; };
    const skua_awaitable awaitable = skua_awaitable_call(run_body, &body);
    skua_task_options options = {};
    skua_future *out = nullptr;

    options.loop = loop_;
    reader(loop_, pipe.reader(), step);
    ASSERT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(SKUA_ECLOSED, skua_loop_run_forever(loop_));
    EXPECT_EQ(SKUA_ECLOSED, skua_loop_run_once(loop_, 0));
    EXPECT_EQ(SKUA_ECLOSED,
              skua_loop_run_until_complete(loop_, awaitable, nullptr));
    EXPECT_EQ(SKUA_ECLOSED, skua_loop_stop(loop_));
    EXPECT_EQ(SKUA_ECLOSED,
              skua_loop_call_soon(loop_, run_step, &step, nullptr));
    EXPECT_EQ(SKUA_ECLOSED,
              skua_loop_call_soon_threadsafe(loop_, run_step, &step, nullptr));
    EXPECT_EQ(SKUA_ECLOSED,
              skua_loop_call_later(loop_, 0, run_step, &step, nullptr));
    EXPECT_EQ(SKUA_ECLOSED,
              skua_loop_call_at(loop_, 0, run_step, &step, nullptr));
    EXPECT_EQ(SKUA_ECLOSED,
              skua_loop_create_task(loop_, run_body, &body, &out));
    EXPECT_EQ(SKUA_ECLOSED,
              skua_create_task_with(&options, run_body, &body, &out));
    EXPECT_EQ(SKUA_ECLOSED,
              skua_run_coroutine_threadsafe(loop_, run_body, &body, &out));
    EXPECT_EQ(SKUA_ECLOSED, skua_ensure_future(loop_, awaitable, &out));
    EXPECT_EQ(SKUA_ECLOSED,
              skua_loop_add_reader(loop_, pipe.reader(), run_step, &step));
    EXPECT_EQ(SKUA_ECLOSED,
              skua_loop_add_writer(loop_, pipe.writer(), run_step, &step));
    EXPECT_EQ(SKUA_ECLOSED,
              skua_loop_run_in_executor(loop_, nullptr, run_body, &body, &out));
    EXPECT_EQ(SKUA_ECLOSED, skua_loop_get_fd(loop_));
    EXPECT_EQ(nullptr, out);
    EXPECT_EQ(0, skua_loop_remove_reader(loop_, pipe.reader()));
    EXPECT_EQ(0, skua_loop_remove_writer(loop_, pipe.writer()));
}

TEST_F(Conformance, N012_CreateFutureWorksOnAClosedLoop)
{
    skua_future *future = nullptr;

    ASSERT_EQ(0, skua_loop_close(loop_));
    ASSERT_EQ(0, skua_loop_create_future(loop_, &future));
    EXPECT_FALSE(skua_future_done(future));
    EXPECT_EQ(0, skua_future_set_result(future, nullptr));
    EXPECT_EQ(0, skua_future_result(future, nullptr));
    skua_future_unref(future);
}

/* --- errors and threads --- */

TEST_F(Conformance, N020_ErrorOfACallbackGoesToTheHandler)
{
    Log log;

    soon(loop_, [&] { log.add(1); });
    soon(loop_, [&] {
        log.add(2);
        (void)skua_raise(-EIO, "callback %d", 2);
    });
    soon(loop_, [&] { log.add(3); });
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ((Order{1, 2, 3}), log.get());
    ASSERT_EQ(1u, reports_.size());
    const Report report = reports_.get()[0];
    EXPECT_NE("", report.message);
    EXPECT_EQ(-EIO, report.status);
    EXPECT_EQ("callback 2", report.detail);
    EXPECT_TRUE(report.has_handle);
}

TEST_P(ConformanceMany, N020_ErrorOfACallbackGoesToTheHandlerOfItsLoop)
{
    EXPECT_EQ(0, run([&] {
                  const std::vector<skua_loop *> all = loops();
                  Latch latch(2 * static_cast<int>(all.size()));

                  for (skua_loop *loop : all) {
                      post(loop, [&] {
                          (void)skua_raise(-EIO, "boom");
                          latch.down();
                      });
                      post(loop, [&] { latch.down(); });
                  }
                  return latch.wait();
              }));
    EXPECT_EQ(GetParam(), reports_.count(-EIO));
    EXPECT_EQ(GetParam(), reports_.size());
}

TEST_F(Conformance, N023_ForeignThreadsAreRejected)
{
    Step step = [] { ADD_FAILURE() << "must not be queued"; };

    ASSERT_EQ(0, skua_loop_set_debug(loop_, true));
    EXPECT_TRUE(skua_loop_get_debug(loop_));
    soon(loop_, [&] {
        std::thread([&] {
            EXPECT_EQ(-EPERM,
                      skua_loop_call_soon(loop_, run_step, &step, nullptr));
            EXPECT_EQ(-EPERM,
                      skua_loop_call_later(loop_, 0, run_step, &step, nullptr));
            EXPECT_EQ(-EPERM,
                      skua_loop_call_at(loop_, 0, run_step, &step, nullptr));
        }).join();
        skua_loop_stop(loop_);
    });
    ASSERT_EQ(0, skua_loop_run_forever(loop_));
    drain();
}

TEST_P(ConformanceMany, N023_ForeignThreadsAreRejected)
{
    Step step = [] { ADD_FAILURE() << "must not be queued"; };

    EXPECT_EQ(
        0, run([&] {
            for (skua_loop *loop : loops()) {
                std::thread([&] {
                    EXPECT_EQ(-EPERM, skua_loop_call_soon(loop, run_step, &step,
                                                          nullptr));
                    EXPECT_EQ(-EPERM, skua_loop_call_later(loop, 0, run_step,
                                                           &step, nullptr));
                }).join();
            }
            return 0;
        }));
}

/* --- the exact order, as a task of the only loop finds it --- */

TEST_P(ConformanceOne, N001_CallbacksRunOnceInOrder)
{
    Log log;
    Order expected;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();

                  for (int i = 0; i < 200; i++) {
                      soon(loop, [&log, i] { log.add(i); });
                      expected.push_back(i);
                  }
                  EXPECT_EQ(0u, log.size());
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(expected, log.get());
                  return skua_yield();
              }));
    EXPECT_EQ(expected, log.get());
}

TEST_P(ConformanceOne, N002_OffspringRunsInTheNextIteration)
{
    Log log;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();

                  soon(loop, [&, loop] {
                      log.add(1);
                      soon(loop, [&] { log.add(3); });
                  });
                  soon(loop, [&] { log.add(2); });
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ((Order{1, 2}), log.get());
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ((Order{1, 2, 3}), log.get());
                  return 0;
              }));
}

TEST_P(ConformanceOne, N003_QueuedThenDescriptorsThenTimers)
{
    Log log;
    Pipe pipe;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();
                  Latch latch(3);
                  const auto note = [&](int value) {
                      log.add(value);
                      latch.down();
                  };

                  pipe.put();
                  reader(loop, pipe.reader(), [&, note] {
                      pipe.take();
                      note(2);
                  });
                  at(loop, skua_monotonic() - 1, [note] { note(3); });
                  soon(loop, [note] { note(1); });
                  EXPECT_EQ(0, latch.wait());
                  EXPECT_EQ(1, skua_loop_remove_reader(loop, pipe.reader()));
                  return 0;
              }));
    EXPECT_EQ((Order{1, 2, 3}), log.get());
}

TEST_P(ConformanceOne, N005_HandleCancelledInTheSameBatchDoesNotRun)
{
    Log log;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();
                  Handle second;

                  soon(loop, [&] {
                      log.add(1);
                      EXPECT_EQ(1, skua_handle_cancel(second.get()));
                  });
                  second = soon(loop, [&] { log.add(2); });
                  soon(loop, [&] { log.add(3); });
                  EXPECT_EQ(0, skua_yield());
                  return skua_yield();
              }));
    EXPECT_EQ((Order{1, 3}), log.get());
}

TEST_P(ConformanceOne, N020_TheRestOfTheBatchRuns)
{
    Log log;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();

                  soon(loop, [&] { log.add(1); });
                  soon(loop, [] { (void)skua_raise(-EIO, "boom"); });
                  soon(loop, [&] { log.add(2); });
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ((Order{1, 2}), log.get());
                  return 0;
              }));
    ASSERT_EQ(1u, reports_.size());
    EXPECT_EQ("boom", reports_.get()[0].detail);
    EXPECT_TRUE(reports_.get()[0].has_handle);
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
