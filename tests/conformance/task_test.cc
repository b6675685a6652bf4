/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_test.cc - conformance 40-48: tasks.
 */
#include <algorithm>
#include <cmath>
#include <cstring>

#include "support.h"

namespace conformance
{
namespace
{

/* --- starting --- */

TEST_P(ConformanceOne, N040_ATaskStartsInTheNextIteration)
{
    EXPECT_EQ(0, run([&] {
                  Log log;
                  Future task = spawn([&] {
                      log.add(2);
                      return 0;
                  });

                  log.add(1);
                  EXPECT_FALSE(skua_future_done(task.get()));
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ((Order{1, 2}), log.get());
                  EXPECT_TRUE(skua_future_done(task.get()));
                  return 0;
              }));
}

struct Slot {
    skua_task *task;
    std::atomic<int> wrong;
};

int compare_slot(void *arg)
{
    auto *slot = static_cast<Slot *>(arg);

    slot->wrong = slot->task == skua_current_task() ? 0 : 1;
    return 0;
}

TEST_P(ConformanceMany, N040_TheHandleIsWrittenBeforeTheTaskCanRun)
{
    constexpr int kCount = 2000;
    std::vector<Slot> slots(kCount);

    EXPECT_EQ(0, run([&] {
                  for (Slot &slot : slots) {
                      slot.wrong = -1;
                      EXPECT_EQ(
                          0, skua_create_task(compare_slot, &slot, &slot.task));
                  }
                  for (Slot &slot : slots) {
                      EXPECT_EQ(0, skua_await(slot.task, nullptr));
                      EXPECT_EQ(0, slot.wrong);
                      skua_future_unref(slot.task);
                  }
                  return 0;
              }));
}

TEST_P(ConformanceOne, N041_TasksStartInTheOrderCreated)
{
    EXPECT_EQ(0, run([&] {
                  Log log;
                  Order expected;
                  std::vector<Future> tasks;

                  for (int i = 0; i < 1000; i++) {
                      tasks.push_back(spawn([&, i] {
                          log.add(i);
                          return 0;
                      }));
                      expected.push_back(i);
                  }
                  for (const Future &task : tasks) {
                      EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  }
                  EXPECT_EQ(expected, log.get());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N041_PinnedTasksStartInTheOrderCreated)
{
    EXPECT_EQ(0, run([&] {
                  for (skua_loop *loop : loops()) {
                      Log log;
                      Order expected;
                      std::vector<Future> tasks;

                      for (int i = 0; i < 200; i++) {
                          tasks.push_back(spawn_on(
                              loop,
                              [&, i] {
                                  log.add(i);
                                  return 0;
                              },
                              true));
                          expected.push_back(i);
                      }
                      for (const Future &task : tasks) {
                          EXPECT_EQ(0, skua_await(task.get(), nullptr));
                      }
                      EXPECT_EQ(expected, log.get());
                  }
                  return 0;
              }));
}

TEST_P(ConformanceOne, N042_ADirectCallKeepsTheIteration)
{
    EXPECT_EQ(0, run([&] {
                  Log log;
                  void *value = nullptr;
                  const skua_awaitable inner =
                      call([] { return skua_return(as_pointer(5)); });

                  soon(skua_get_running_loop(), [&] { log.add(1); });
                  EXPECT_EQ(0, skua_call(inner.fn, inner.arg, &value));
                  EXPECT_EQ(5, as_int(value));
                  EXPECT_EQ(0u, log.size());
                  EXPECT_EQ(5, await_int(spawn([] {
                                             return skua_return(as_pointer(5));
                                         }).get()));
                  EXPECT_EQ(1u, log.size());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N042_ADirectCallGivesResultAndException)
{
    EXPECT_EQ(0, run([&] {
                  const skua_awaitable fails = call([] {
                      EXPECT_EQ(0, skua_yield());
                      return skua_raise(-EIO, "deep");
                  });
                  void *value = as_pointer(-1);

                  EXPECT_EQ(-EIO, skua_call(fails.fn, fails.arg, &value));
                  EXPECT_EQ(-1, as_int(value));
                  EXPECT_STREQ(
                      "deep", skua_exception_message(skua_current_exception()));
                  return skua_return(nullptr);
              }));
}

/* --- sleeping --- */

TEST_P(ConformanceOne, N043_SleepZeroGivesUpExactlyOneIteration)
{
    EXPECT_EQ(0, run([&] {
                  Log log;
                  skua_loop *loop = skua_get_running_loop();

                  for (const int64_t delay_ns : {INT64_C(0), INT64_C(-5)}) {
                      const size_t before = log.size();

                      soon(loop, [&] {
                          log.add(1);
                          soon(loop, [&] { log.add(2); });
                      });
                      EXPECT_EQ(before, log.size());
                      EXPECT_EQ(0, skua_sleep(delay_ns));
                      EXPECT_EQ(before + 1, log.size());
                      EXPECT_EQ(0, skua_sleep(delay_ns));
                      EXPECT_EQ(before + 2, log.size());
                  }
                  return 0;
              }));
}

TEST_P(ConformanceOne, N043_YieldingTasksTakeTurns)
{
    EXPECT_EQ(0, run([&] {
                  Log log;
                  std::vector<Future> tasks;

                  for (int i = 0; i < 3; i++) {
                      tasks.push_back(spawn([&, i] {
                          for (int round = 0; round < 3; round++) {
                              log.add(i);
                              EXPECT_EQ(0, skua_yield());
                          }
                          return 0;
                      }));
                  }
                  for (const Future &task : tasks) {
                      EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  }
                  EXPECT_EQ((Order{0, 1, 2, 0, 1, 2, 0, 1, 2}), log.get());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N044_SleepRefusesWhatIsNoTime)
{
    EXPECT_EQ(0, run([&] {
                  EXPECT_EQ(-EINVAL, skua_sleep(SKUA_NOT_A_TIME));
                  EXPECT_EQ(-EINVAL, skua_sleep(skua_seconds(NAN)));
                  EXPECT_EQ(-EINVAL, skua_sleep_until(SKUA_NOT_A_TIME));
                  return 0;
              }));
}

TEST_F(Conformance, N044_CancellingASleeperRemovesItsTimer)
{
    Future sleeper = spawn_on(loop_, [] {
        EXPECT_EQ(SKUA_ECANCELED, skua_sleep(3600 * SKUA_S));
        return SKUA_ECANCELED;
    });

    drain();
    EXPECT_LT(skua_monotonic(), skua_loop_next_deadline(loop_));
    EXPECT_NE(SKUA_FOREVER, skua_loop_next_deadline(loop_));
    EXPECT_EQ(1, skua_task_cancel(sleeper.get()));
    drain();
    EXPECT_TRUE(skua_future_cancelled(sleeper.get()));
    EXPECT_EQ(SKUA_FOREVER, skua_loop_next_deadline(loop_));
}

TEST_P(ConformanceMany, N044_SleepGivesItsResult)
{
    EXPECT_EQ(
        0, run([&] {
            const skua_awaitable sleeps =
                call([] { return skua_sleep_result(SKUA_US, as_pointer(12)); });
            void *value = nullptr;

            EXPECT_EQ(12,
                      await_int(spawn([] {
                                    return skua_sleep_result(0, as_pointer(12));
                                }).get()));
            EXPECT_EQ(0, skua_call(sleeps.fn, sleeps.arg, &value));
            EXPECT_EQ(12, as_int(value));
            EXPECT_EQ(-EINVAL, skua_sleep_result(SKUA_NOT_A_TIME, nullptr));
            EXPECT_EQ(1, skua_task_cancel(skua_current_task()));
            EXPECT_EQ(SKUA_ECANCELED, skua_sleep_result(0, nullptr));
            EXPECT_EQ(0, skua_task_uncancel(skua_current_task()));
            return skua_return(nullptr);
        }));
    EXPECT_EQ(SKUA_ENOLOOP, skua_sleep_result(1, nullptr));
}

/* --- the budget --- */

TEST_P(ConformanceOne, N043_ReadyAwaitsInARowLetOthersRun)
{
    EXPECT_EQ(0, run([&] {
                  Future ready = make_future();
                  int turns = 0;
                  Future busy = spawn([&] {
                      for (int i = 0; i < 1000; i++) {
                          EXPECT_EQ(7, await_int(ready.get()));
                      }
                      return 0;
                  });

                  EXPECT_EQ(0,
                            skua_future_set_result(ready.get(), as_pointer(7)));
                  while (!skua_future_done(busy.get())) {
                      turns++;
                      EXPECT_EQ(0, skua_yield());
                  }
                  EXPECT_EQ(1000 / 128 + 1, turns);
                  return 0;
              }));
}

TEST_P(ConformanceOne, N043_ACancelIsDeliveredWhereTheBudgetEnds)
{
    EXPECT_EQ(0, run([&] {
                  Future ready = make_future();
                  Future busy = spawn([&] {
                      int status = 0;

                      while (status == 0) {
                          status = skua_await(ready.get(), nullptr);
                      }
                      EXPECT_FALSE(skua_future_cancelled(ready.get()));
                      return status;
                  });

                  EXPECT_EQ(0, skua_future_set_result(ready.get(), nullptr));
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(1, skua_task_cancel(busy.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(busy.get(), nullptr));
                  return 0;
              }));
}

/* --- tasks are no plain futures --- */

TEST_P(ConformanceMany, N045_ATaskCannotAwaitItself)
{
    EXPECT_EQ(0, run([&] {
                  skua_task *self = skua_current_task();

                  EXPECT_EQ(-EDEADLK, skua_await(self, nullptr));
                  EXPECT_EQ(-EDEADLK,
                            skua_await_until(self, skua_monotonic() + SKUA_S,
                                             nullptr));
                  EXPECT_EQ(0, skua_task_cancelling(self));
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N046_ATaskCannotBeCompletedFromOutside)
{
    EXPECT_EQ(
        0, run([&] {
            Future gate = make_future();
            Exception exception = make_exception(-EIO, "no");
            Future task = spawn([&] {
                EXPECT_EQ(0, skua_await(gate.get(), nullptr));
                return skua_return(as_pointer(1));
            });

            for (int i = 0; i < 2; i++) {
                EXPECT_EQ(-EPERM, skua_future_set_result(task.get(), nullptr));
                EXPECT_EQ(-EPERM, skua_future_set_exception(task.get(),
                                                            exception.get()));
                EXPECT_EQ(-EPERM, skua_future_set_error(task.get(), -EIO));
                (void)skua_future_set_result(gate.get(), nullptr);
                EXPECT_EQ(1, await_int(task.get()));
            }
            return 0;
        }));
}

/* --- who runs --- */

TEST_P(ConformanceMany, N047_CurrentTaskIsRightAcrossInterleavings)
{
    EXPECT_EQ(nullptr, skua_current_task());
    EXPECT_EQ(0, run([&] {
                  constexpr int kTasks = 50;
                  std::vector<Future> tasks(kTasks);
                  Future gate = make_future();
                  Latch called(1);

                  for (Future &task : tasks) {
                      task = spawn([&] {
                          EXPECT_EQ(0, skua_await(gate.get(), nullptr));
                          for (int i = 0; i < 20; i++) {
                              EXPECT_EQ(task.get(), skua_current_task());
                              EXPECT_EQ(0, i % 7 == 0 ? skua_sleep(20 * SKUA_US)
                                                      : skua_yield());
                          }
                          return 0;
                      });
                  }
                  post(loops().back(), [&] {
                      EXPECT_EQ(nullptr, skua_current_task());
                      called.down();
                  });
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  for (const Future &task : tasks) {
                      EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  }
                  return called.wait();
              }));
    EXPECT_EQ(nullptr, skua_current_task());
    EXPECT_EQ(nullptr, skua_get_running_loop());
}

std::vector<skua_task *> tasks_of(skua_loop *loop)
{
    std::vector<skua_task *> found(4096);
    const int64_t count = skua_all_tasks(loop, found.data(), found.size());

    EXPECT_LE(0, count);
    found.resize(
        std::min<size_t>(static_cast<size_t>(count < 0 ? 0 : count), 4096));
    for (skua_task *task : found) {
        skua_future_unref(task);
    }
    std::sort(found.begin(), found.end());
    return found;
}

TEST_P(ConformanceOne, N048_AllTasksAreThoseNotDone)
{
    EXPECT_EQ(
        0, run([&] {
            Future gate = make_future();
            std::vector<Future> tasks;
            std::vector<skua_task *> expected = {skua_current_task()};

            for (int i = 0; i < 10; i++) {
                tasks.push_back(
                    spawn([&] { return skua_await(gate.get(), nullptr); }));
                expected.push_back(tasks.back().get());
            }
            std::sort(expected.begin(), expected.end());
            EXPECT_EQ(expected, tasks_of(nullptr));
            EXPECT_EQ(0, skua_yield());
            EXPECT_EQ(expected, tasks_of(skua_get_running_loop()));
            EXPECT_EQ(11, skua_all_tasks(nullptr, nullptr, 0));
            EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
            for (const Future &task : tasks) {
                EXPECT_EQ(0, skua_await(task.get(), nullptr));
            }
            EXPECT_EQ((std::vector{skua_current_task()}), tasks_of(nullptr));
            return 0;
        }));
    EXPECT_EQ(SKUA_ENOLOOP, skua_all_tasks(nullptr, nullptr, 0));
}

TEST_P(ConformanceMany, N048_AllTasksFromAnyThreadDuringCreationStorms)
{
    const int rounds = kRaceDetector ? 20 : 100;

    EXPECT_EQ(0, run([&] {
                  std::atomic<bool> stop = false;
                  skua_loop *loop = loops().front();
                  Future forever =
                      spawn_on(loop, [] { return skua_sleep(SKUA_FOREVER); });
                  std::thread watcher([&] {
                      while (!stop) {
                          const auto found = tasks_of(loop);

                          EXPECT_TRUE(std::binary_search(
                              found.begin(), found.end(), forever.get()));
                      }
                  });

                  for (int i = 0; i < rounds; i++) {
                      std::vector<Future> tasks;

                      for (int k = 0; k < 100; k++) {
                          tasks.push_back(spawn([] { return skua_yield(); }));
                      }
                      for (const Future &task : tasks) {
                          EXPECT_EQ(0, skua_await(task.get(), nullptr));
                      }
                  }
                  stop = true;
                  watcher.join();
                  EXPECT_EQ(1, skua_task_cancel(forever.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(forever.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N048_EachTaskIsListedOnceWhereverItRuns)
{
    const int rounds = kRaceDetector ? 20 : 100;

    EXPECT_EQ(0, run([&] {
                  const std::vector<skua_loop *> all = loops();
                  std::atomic<bool> stop = false;
                  std::vector<Future> movers;
                  std::vector<skua_task *> expected;

                  for (int i = 0; i < 16; i++) {
                      movers.push_back(spawn_on(all[i % all.size()], [&] {
                          while (!stop) {
                              EXPECT_EQ(0, skua_sleep(10 * SKUA_US));
                          }
                          return 0;
                      }));
                      expected.push_back(movers.back().get());
                  }
                  std::thread watcher([&] {
                      for (int i = 0; i < rounds; i++) {
                          std::vector<skua_task *> found;

                          for (skua_loop *loop : all) {
                              const auto part = tasks_of(loop);

                              found.insert(found.end(), part.begin(),
                                           part.end());
                          }
                          /* Of the others, one that ended may have made place
                           * for another on the next loop, at the same address.
                           */
                          for (skua_task *mover : expected) {
                              EXPECT_EQ(1, std::count(found.begin(),
                                                      found.end(), mover));
                          }
                      }
                      stop = true;
                  });

                  while (!stop) {
                      skua_task_group group = {};

                      for (int k = 0; k < 50; k++) {
                          EXPECT_EQ(0, skua_task_group_create_task(
                                           &group,
                                           [](void *) { return skua_yield(); },
                                           nullptr));
                      }
                      EXPECT_EQ(0, skua_task_group_join(&group));
                  }
                  watcher.join();
                  for (const Future &mover : movers) {
                      EXPECT_EQ(0, skua_await(mover.get(), nullptr));
                  }
                  return 0;
              }));
}

/* --- names --- */

TEST_P(ConformanceMany, N047_NamesChangeWhileOthersAsk)
{
    const int rounds = kRaceDetector ? 100 : 1000;

    EXPECT_EQ(0, run([&] {
                  skua_task *self = skua_current_task();
                  Latch latch(1);
                  std::thread renamer([&] {
                      for (int i = 0; i < rounds; i++) {
                          EXPECT_EQ(0, skua_task_set_name(
                                           self, i % 2 == 0 ? "aaaaaaaaaaaaaaa"
                                                            : "bbbbbbb"));
                      }
                      latch.down();
                  });

                  EXPECT_EQ(0, skua_task_set_name(self, "bbbbbbb"));
                  for (int i = 0; i < rounds; i++) {
                      char name[64] = "";

                      EXPECT_LE(7,
                                skua_task_get_name(self, name, sizeof(name)));
                      EXPECT_TRUE(strcmp(name, "aaaaaaaaaaaaaaa") == 0 ||
                                  strcmp(name, "bbbbbbb") == 0)
                          << name;
                  }
                  EXPECT_EQ(0, latch.wait());
                  renamer.join();
                  return 0;
              }));
}

TEST_P(ConformanceMany, N047_ATaskKnowsWhatItRuns)
{
    EXPECT_EQ(0, run([&] {
                  skua_task_fn *fn = nullptr;
                  void *arg = nullptr;
                  Future gate = make_future();
                  Future task = spawn_on(
                      skua_get_running_loop(),
                      [&] {
                          skua_task_fn *own = nullptr;
                          void *own_arg = nullptr;

                          EXPECT_EQ(0, skua_task_get_coro(skua_current_task(),
                                                          &own, &own_arg));
                          EXPECT_EQ(run_body, own);
                          EXPECT_NE(nullptr, own_arg);
                          return skua_await(gate.get(), nullptr);
                      },
                      true);

                  EXPECT_EQ(-EINVAL, skua_task_get_coro(gate.get(), &fn, &arg));
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  EXPECT_EQ(SKUA_EINVALSTATE,
                            skua_task_get_coro(task.get(), &fn, &arg));
                  EXPECT_EQ(nullptr, fn);
                  return 0;
              }));
}

TEST_P(ConformanceOne, N047_WhatASuspendedTaskRuns)
{
    EXPECT_EQ(0, run([&] {
                  skua_task_fn *fn = nullptr;
                  void *arg = nullptr;
                  Future gate = make_future();
                  Future task =
                      spawn([&] { return skua_await(gate.get(), nullptr); });

                  for (int i = 0; i < 2; i++) {
                      fn = nullptr;
                      EXPECT_EQ(0, skua_task_get_coro(task.get(), &fn, &arg));
                      EXPECT_EQ(run_body, fn);
                      EXPECT_EQ(0, skua_yield());
                  }
                  std::thread([&] {
                      EXPECT_EQ(-EPERM,
                                skua_task_get_coro(task.get(), &fn, &arg));
                  }).join();
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  return skua_await(task.get(), nullptr);
              }));
}

TEST_P(ConformanceMany, N047_TasksHaveNames)
{
    EXPECT_EQ(0, run([&] {
                  skua_task_options options = {};
                  skua_task *task = nullptr;
                  char name[64] = "";
                  const skua_awaitable body = call([] { return 0; });

                  options.name = "a-name";
                  EXPECT_EQ(0, skua_create_task_with(&options, body.fn,
                                                     body.arg, &task));
                  EXPECT_EQ(6, skua_task_get_name(task, name, sizeof(name)));
                  EXPECT_STREQ("a-name", name);
                  EXPECT_EQ(0, skua_task_set_name(task, "other"));
                  EXPECT_EQ(5, skua_task_get_name(task, name, 3));
                  EXPECT_STREQ("ot", name);
                  EXPECT_EQ(0, skua_await(task, nullptr));
                  skua_future_unref(task);
                  return skua_await(
                      spawn([] {
                          char own[64] = "";

                          EXPECT_LT(5, skua_task_get_name(skua_current_task(),
                                                          own, sizeof(own)));
                          EXPECT_EQ(0, strncmp("Task-", own, 5));
                          return 0;
                      }).get(),
                      nullptr);
              }));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
