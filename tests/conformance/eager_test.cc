/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eager_test.cc - conformance 51, 52: tasks that start inside their creator.
 */
#include "context_support.h"

#include "skua/errno.h"

namespace conformance
{
namespace
{

Future spawn_eager(Lambdas &lambdas, Body body, bool pinned = false)
{
    skua_task_options options = {};
    skua_task *task = nullptr;

    options.eager_start = 1;
    options.pinned = pinned;
    EXPECT_EQ(0, skua_create_task_with(&options, run_body,
                                       lambdas.keeper_.body(std::move(body)),
                                       &task));
    return Future(task);
}

size_t times_listed(skua_loop *loop, const skua_task *task)
{
    std::vector<skua_task *> found(4096);
    const int64_t count = skua_all_tasks(loop, found.data(), found.size());
    size_t times = 0;

    EXPECT_LE(0, count);
    EXPECT_GE(static_cast<int64_t>(found.size()), count);
    for (int64_t i = 0; i < count; i++) {
        times += found[static_cast<size_t>(i)] == task ? 1 : 0;
        skua_future_unref(found[static_cast<size_t>(i)]);
    }
    return times;
}

bool is_listed(const skua_task *task)
{
    return times_listed(nullptr, task) == 1;
}

/* --- completion --- */

TEST_P(ConformanceMany, N051_ATaskThatDoesNotWaitIsDoneWhenItIsCreated)
{
    EXPECT_EQ(
        0, run([&] {
            Log log;
            Future value = spawn_eager(*this, [&] {
                log.add(1);
                return skua_return(as_pointer(7));
            });

            log.add(2);
            EXPECT_TRUE(skua_future_done(value.get()));
            EXPECT_EQ((Order{1, 2}), log.get());
            EXPECT_EQ(7, await_int(value.get()));
            EXPECT_EQ(0, skua_task_cancel(value.get()));
            EXPECT_FALSE(skua_future_cancelled(value.get()));

            Future error =
                spawn_eager(*this, [] { return skua_raise(-EIO, "at once"); });
            EXPECT_TRUE(skua_future_done(error.get()));
            EXPECT_EQ(-EIO, skua_await(error.get(), nullptr));
            EXPECT_STREQ("at once",
                         skua_exception_message(skua_current_exception()));
            return skua_return(nullptr);
        }));
    EXPECT_EQ(0u, reports_.size());
}

TEST_P(ConformanceMany, N051_ATaskThatWaitsGoesOnLater)
{
    EXPECT_EQ(0, run([&] {
                  Log log;
                  Future gate = make_future();
                  Future task = spawn_eager(*this, [&] {
                      log.add(1);
                      EXPECT_EQ(5, await_int(gate.get()));
                      log.add(3);
                      EXPECT_EQ(0, skua_yield());
                      EXPECT_EQ(0, skua_sleep(10 * SKUA_US));
                      log.add(4);
                      return skua_return(as_pointer(6));
                  });

                  EXPECT_FALSE(skua_future_done(task.get()));
                  log.add(2);
                  EXPECT_EQ(0,
                            skua_future_set_result(gate.get(), as_pointer(5)));
                  EXPECT_EQ(6, await_int(task.get()));
                  EXPECT_EQ((Order{1, 2, 3, 4}), log.get());
                  return 0;
              }));
}

TEST_P(ConformanceOne, N051_ATaskThatYieldsIsQueuedBehindWhatIsReady)
{
    EXPECT_EQ(0, run([&] {
                  Log log;
                  Future queued = spawn([&] {
                      log.add(3);
                      return 0;
                  });
                  Future task = spawn_eager(*this, [&] {
                      log.add(1);
                      EXPECT_EQ(0, skua_yield());
                      log.add(4);
                      return 0;
                  });

                  log.add(2);
                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  EXPECT_EQ((Order{1, 2, 3, 4}), log.get());
                  return skua_await(queued.get(), nullptr);
              }));
}

TEST_P(ConformanceMany, N051_CurrentTaskIsRightDuringTheEagerStep)
{
    EXPECT_EQ(0, run([&] {
                  skua_task *self = skua_current_task();
                  skua_task *inside = nullptr;
                  skua_loop *loop = skua_get_running_loop();
                  Future task = spawn_eager(
                      *this,
                      [&] {
                          inside = skua_current_task();
                          EXPECT_NE(self, inside);
                          EXPECT_EQ(loop, skua_get_running_loop());
                          EXPECT_EQ(0, skua_sleep(10 * SKUA_US));
                          EXPECT_EQ(inside, skua_current_task());
                          return 0;
                      },
                      true);

                  EXPECT_EQ(self, skua_current_task());
                  EXPECT_EQ(task.get(), inside);
                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  EXPECT_EQ(self, skua_current_task());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N051_TheCreatorKeepsErrnoAndWhatItHandles)
{
    EXPECT_EQ(0, run([&] {
                  const skua_awaitable fails =
                      call([] { return skua_raise(-EIO, "mine"); });

                  EXPECT_EQ(-EIO, skua_call(fails.fn, fails.arg, nullptr));
                  errno = 77;
                  Future task = spawn_eager(*this, [] {
                      EXPECT_EQ(nullptr, skua_current_exception());
                      errno = 5;
                      (void)skua_raise(-ENOENT, "its");
                      return skua_yield();
                  });
                  EXPECT_EQ(77, errno);
                  EXPECT_STREQ(
                      "mine", skua_exception_message(skua_current_exception()));
                  return skua_await(task.get(), nullptr);
              }));
}

TEST_P(ConformanceMany, N051_FromACallback)
{
    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = loops().back();
                  Latch latch(1);
                  Log log;
                  Future task;

                  post(loop, [&] {
                      task = spawn_eager(*this, [&] {
                          log.add(1);
                          EXPECT_NE(nullptr, skua_current_task());
                          EXPECT_EQ(0, skua_sleep(10 * SKUA_US));
                          log.add(3);
                          return skua_return(as_pointer(4));
                      });
                      EXPECT_EQ(nullptr, skua_current_task());
                      EXPECT_EQ(SKUA_ENOLOOP, skua_yield());
                      log.add(2);
                      latch.down();
                  });
                  EXPECT_EQ(0, latch.wait());
                  EXPECT_EQ(4, await_int(task.get()));
                  EXPECT_EQ((Order{1, 2, 3}), log.get());
                  return 0;
              }));
}

/** Tasks within tasks, each eager; what depth ran at once. */
int nest(Lambdas &lambdas, int depth, std::atomic<int> &entered, bool wait)
{
    entered++;
    if (depth > 0) {
        Future inner = spawn_eager(lambdas, [&, depth, wait] {
            return nest(lambdas, depth - 1, entered, wait);
        });

        if (wait) {
            EXPECT_EQ(0, skua_await(inner.get(), nullptr));
        }
    }
    return wait ? skua_yield() : 0;
}

TEST_P(ConformanceMany, N051_EagerTasksNest)
{
    EXPECT_EQ(0, run([&] {
                  for (const bool wait : {false, true}) {
                      std::atomic<int> entered = 0;
                      Future task = spawn_eager(*this, [&, wait] {
                          return nest(*this, 20, entered, wait);
                      });

                      EXPECT_EQ(21, entered);
                      EXPECT_EQ(!wait, skua_future_done(task.get()));
                      EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  }
                  return 0;
              }));
}

TEST_P(ConformanceOne, N051_BeyondADepthTasksAreQueued)
{
    EXPECT_EQ(0, run([&] {
                  std::atomic<int> entered = 0;
                  Future task = spawn_eager(
                      *this, [&] { return nest(*this, 1000, entered, true); });

                  EXPECT_EQ(64, entered);
                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  EXPECT_EQ(1001, entered);
                  return 0;
              }));
}

TEST_P(ConformanceMany, N051_ALoopCanStartAllTasksEagerly)
{
    EXPECT_EQ(0, run([&] {
                  skua_task_options later = {};
                  skua_task *task = nullptr;
                  std::atomic<int> ran = 0;
                  skua_task_group group = {};
                  Body count = [&] {
                      ran++;
                      return 0;
                  };

                  for (skua_loop *loop : loops()) {
                      EXPECT_FALSE(skua_loop_get_eager(loop));
                      EXPECT_EQ(0, skua_loop_set_eager(loop, true));
                      EXPECT_TRUE(skua_loop_get_eager(loop));
                  }
                  EXPECT_TRUE(skua_future_done(spawn(count).get()));
                  for (int i = 2; i <= 4; i++) {
                      EXPECT_EQ(0, skua_task_group_create_task(
                                       &group, run_body, keeper_.body(count)));
                      EXPECT_EQ(i, ran);
                  }
                  EXPECT_EQ(0, skua_task_group_join(&group));
                  later.eager_start = -1;
                  later.pinned = true;
                  EXPECT_EQ(0,
                            skua_create_task_with(&later, run_body,
                                                  keeper_.body(count), &task));
                  EXPECT_EQ(4, ran);
                  EXPECT_EQ(0, skua_await(task, nullptr));
                  skua_future_unref(task);
                  for (skua_loop *loop : loops()) {
                      EXPECT_EQ(0, skua_loop_set_eager(loop, false));
                  }
                  EXPECT_EQ(0, skua_await(spawn(count).get(), nullptr));
                  EXPECT_EQ(6, ran);
                  return 0;
              }));
    EXPECT_FALSE(skua_loop_get_eager(nullptr));
    EXPECT_EQ(-EINVAL, skua_loop_set_eager(nullptr, true));
}

TEST_P(ConformanceMany, N051_AFailingChildOfAGroupAbortsItsSiblings)
{
    EXPECT_EQ(SKUA_EGROUP, run([&] {
                  skua_task_group group = {};
                  int status = 0;

                  for (skua_loop *loop : loops()) {
                      EXPECT_EQ(0, skua_loop_set_eager(loop, true));
                  }
                  EXPECT_EQ(0, skua_task_group_create_task(
                                   &group, run_body, keeper_.body([] {
                                       EXPECT_EQ(SKUA_ECANCELED,
                                                 skua_sleep(SKUA_FOREVER));
                                       return SKUA_ECANCELED;
                                   })));
                  EXPECT_EQ(0, skua_task_group_create_task(
                                   &group, run_body,
                                   keeper_.body([] { return -EIO; })));
                  status = skua_task_group_create_task(
                      &group, run_body, keeper_.body([] { return 0; }));
                  EXPECT_EQ(SKUA_EINVALSTATE, status);
                  return skua_task_group_join(&group);
              }));
}

TEST_F(Conformance, N051_WithoutARunningLoopTasksAreQueued)
{
    skua_task_options options = {};
    skua_task *task = nullptr;
    int ran = 0;
    const skua_awaitable body = call([&] {
        ran++;
        return 0;
    });

    options.loop = loop_;
    options.eager_start = 1;
    EXPECT_EQ(0, skua_create_task_with(&options, body.fn, body.arg, &task));
    EXPECT_EQ(0, ran);
    drain();
    EXPECT_EQ(1, ran);
    EXPECT_TRUE(skua_future_done(task));
    skua_future_unref(task);
}

TEST_F(Conformance, N051_TheMainTaskIsQueuedSinceItsLoopDoesNotRunYet)
{
    Log log;

    EXPECT_EQ(0, skua_loop_set_eager(loop_, true));
    soon(loop_, [&] { log.add(1); });
    EXPECT_EQ(0, run(loop_, [&] {
                  log.add(2);
                  return 0;
              }));
    EXPECT_EQ((Order{1, 2}), log.get());
}

TEST_P(ConformanceMany, N051_CancelOfAnEagerTaskThatWaits)
{
    EXPECT_EQ(0, run([&] {
                  Future task = spawn_eager(*this, [] {
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      return SKUA_ECANCELED;
                  });
                  Future self = spawn_eager(*this, [] {
                      EXPECT_EQ(1, skua_task_cancel(skua_current_task()));
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      return 0;
                  });
                  Future returns = spawn_eager(*this, [] {
                      EXPECT_EQ(1, skua_task_cancel(skua_current_task()));
                      return 0;
                  });

                  EXPECT_TRUE(skua_future_cancelled(returns.get()));
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(task.get(), nullptr));
                  EXPECT_EQ(0, skua_await(self.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N051_TheCreatorsCallbackCanBeCancelledWithin)
{
    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = loops().back();
                  Latch latch(2);
                  Handle handle;
                  std::atomic<int> result = -1;
                  const skua_awaitable inner = call([&] {
                      result = skua_handle_cancel(handle.get());
                      latch.down();
                      return 0;
                  });

                  post(loop, [&, loop] {
                      handle = soon(loop, [&] {
                          skua_task_options options = {};

                          options.eager_start = 1;
                          EXPECT_EQ(0,
                                    skua_create_task_with(&options, inner.fn,
                                                          inner.arg, nullptr));
                          EXPECT_EQ(0, result);
                          latch.down();
                      });
                  });
                  return latch.wait();
              }));
}

TEST_P(ConformanceMany, N051_AFailureThatNobodyReadsIsReported)
{
    EXPECT_EQ(0, run([&] {
                  skua_task_options options = {};

                  options.eager_start = 1;
                  EXPECT_EQ(0, skua_create_task_with(
                                   &options, run_body,
                                   keeper_.body([] { return -EIO; }), nullptr));
                  EXPECT_EQ(1u, reports_.count(-EIO));
                  return 0;
              }));
}

/** A handler that tries what only a task may do, while a task creates. */
void try_to_wait(skua_loop *, const skua_exception_context *, void *arg)
{
    auto *found = static_cast<std::vector<int> *>(arg);
    skua_task_options options = {};
    skua_task *task = nullptr;

    found->push_back(skua_sleep(SKUA_MS));
    options.eager_start = 1;
    found->push_back(skua_create_task_with(
        &options, [](void *) { return skua_yield(); }, nullptr, &task));
    found->push_back(skua_future_done(task) ? 1 : 0);
    skua_task_detach(task);
}

TEST_P(ConformanceOne, N051_WhatIsCalledAfterAnEagerStepCannotWait)
{
    std::vector<int> found;

    EXPECT_EQ(0, run([&] {
                  skua_task_options options = {};

                  EXPECT_EQ(0,
                            skua_loop_set_exception_handler(
                                skua_get_running_loop(), try_to_wait, &found));
                  options.eager_start = 1;
                  EXPECT_EQ(0, skua_create_task_with(
                                   &options, run_body,
                                   keeper_.body([] { return -EIO; }), nullptr));
                  EXPECT_EQ((std::vector<int>{SKUA_ENOLOOP, 0, 0}), found);
                  EXPECT_NE(nullptr, skua_current_task());
                  EXPECT_EQ(0, skua_loop_set_exception_handler(
                                   skua_get_running_loop(), nullptr, nullptr));
                  return skua_yield();
              }));
}

/* --- who is listed --- */

TEST_P(ConformanceOne, N052_AllTasksHoldsAnEagerTaskWhileItRuns)
{
    EXPECT_EQ(0, run([&] {
                  Future gate = make_future();
                  Future done = spawn_eager(*this, [] {
                      EXPECT_TRUE(is_listed(skua_current_task()));
                      return 0;
                  });
                  Future waits = spawn_eager(
                      *this, [&] { return skua_await(gate.get(), nullptr); });

                  EXPECT_TRUE(is_listed(skua_current_task()));
                  EXPECT_FALSE(is_listed(done.get()));
                  EXPECT_TRUE(is_listed(waits.get()));
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  EXPECT_EQ(0, skua_await(waits.get(), nullptr));
                  EXPECT_FALSE(is_listed(waits.get()));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N052_TheCreatorsContextStaysAsItWas)
{
    EXPECT_EQ(0, run([&] {
                  set(number, 1);
                  Future task = spawn_eager(*this, [] {
                      EXPECT_EQ(1, get(number));
                      set(number, 2);
                      EXPECT_EQ(2, get(number));
                      EXPECT_EQ(0, skua_yield());
                      EXPECT_EQ(2, get(number));
                      return 0;
                  });

                  EXPECT_EQ(1, get(number));
                  set(number, 3);
                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  EXPECT_EQ(3, get(number));
                  return 0;
              }));
}

TEST_P(ConformanceOne, N052_ACallbacksContextStaysAsItWas)
{
    EXPECT_EQ(0, run([&] {
                  Latch latch(1);

                  set(number, 1);
                  soon(skua_get_running_loop(), [&] {
                      Future task = spawn_eager(*this, [] {
                          EXPECT_EQ(1, get(number));
                          set(number, 2);
                          return 0;
                      });

                      EXPECT_EQ(1, get(number));
                      latch.down();
                  });
                  return latch.wait();
              }));
}

TEST_P(ConformanceMany, N052_AStormOfEagerTasksIsListedRight)
{
    const int rounds = kRaceDetector ? 20 : 100;

    EXPECT_EQ(
        0, run([&] {
            const std::vector<skua_loop *> all = loops();
            const skua_task *main = skua_current_task();
            std::atomic<bool> stop = false;
            std::atomic<int> ended = 0;
            std::thread watcher([&] {
                while (!stop) {
                    size_t times = 0;

                    for (skua_loop *loop : all) {
                        times += times_listed(loop, main);
                    }
                    EXPECT_EQ(1u, times);
                }
            });

            for (int i = 0; i < rounds; i++) {
                std::vector<Future> tasks;

                for (int k = 0; k < 50; k++) {
                    tasks.push_back(spawn_eager(*this, [&, k] {
                        const int status = k % 3 == 0   ? 0
                                           : k % 3 == 1 ? skua_yield()
                                                        : skua_sleep(SKUA_US);

                        ended++;
                        return status;
                    }));
                    if (k % 5 == 0) {
                        (void)skua_task_cancel(tasks[tasks.size() / 2].get());
                    }
                }
                for (const Future &task : tasks) {
                    const int status = skua_await(task.get(), nullptr);

                    EXPECT_TRUE(status == 0 || status == SKUA_ECANCELED);
                }
            }
            stop = true;
            watcher.join();
            EXPECT_EQ(50 * rounds, ended);
            return 0;
        }));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
