/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threads_test.cc - conformance 167, 169, 173, 174: threads and loops.
 */
#include "support.h"

#include "skua/errno.h"

namespace conformance
{
namespace
{

/* --- call_soon_threadsafe --- */

void wait_for_park(skua_loop *loop)
{
    skua_loop_stats stats = {};

    do {
        std::this_thread::yield();
        EXPECT_EQ(0, skua_loop_get_stats(loop, &stats));
    } while (stats.parks == 0);
}

TEST_F(Conformance, N167_APostWakesALoopBlockedWithoutLimit)
{
    std::thread poster([&] {
        wait_for_park(loop_);
        post(loop_, [&] { EXPECT_EQ(0, skua_loop_stop(loop_)); });
    });

    EXPECT_EQ(0, skua_loop_run_forever(loop_));
    poster.join();
}

TEST_P(ConformanceMany, N167_APostWakesEachSleepingLoop)
{
    EXPECT_EQ(0, run([&] {
                  const std::vector<skua_loop *> all = loops();
                  Latch latch(static_cast<int>(all.size()));
                  std::thread poster([&] {
                      for (skua_loop *loop : all) {
                          wait_for_park(loop);
                          post(loop, [&] { latch.down(); });
                      }
                  });
                  const int status = latch.wait();

                  poster.join();
                  return status;
              }));
}

TEST_P(ConformanceMany, N167_PostsOfEachProducerKeepTheirOrder)
{
    constexpr int kProducers = 4;
    const int count = kRaceDetector ? 500 : 5000;
    std::vector<Log> logs(kProducers);
    Order expected;

    for (int i = 0; i < count; i++) {
        expected.push_back(i);
    }
    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = loops().back();
                  Latch latch(kProducers * count);
                  std::vector<std::thread> producers;

                  for (Log &log : logs) {
                      producers.emplace_back([&] {
                          for (int i = 0; i < count; i++) {
                              post(loop, [&, i] {
                                  log.add(i);
                                  latch.down();
                              });
                          }
                      });
                  }
                  const int status = latch.wait();

                  for (std::thread &producer : producers) {
                      producer.join();
                  }
                  return status;
              }));
    for (const Log &log : logs) {
        EXPECT_EQ(expected, log.get());
    }
}

TEST_P(ConformanceMany, N167_FromTheOwnThreadAPostKeepsItsPlace)
{
    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = loops().back();
                  Latch latch(1);
                  Log log;

                  post(loop, [&, loop] {
                      soon(loop, [&] { log.add(1); });
                      post(loop, [&] { log.add(2); });
                      soon(loop, [&] { log.add(3); });
                      post(loop, [&] {
                          log.add(4);
                          latch.down();
                      });
                  });
                  EXPECT_EQ(0, latch.wait());
                  EXPECT_EQ((Order{1, 2, 3, 4}), log.get());
                  return 0;
              }));
}

/* --- run_coroutine_threadsafe --- */

Future submit_to(Lambdas &lambdas, skua_loop *loop, Body body)
{
    skua_future *future = nullptr;

    EXPECT_EQ(
        0, skua_run_coroutine_threadsafe(
               loop, run_body, lambdas.keeper_.body(std::move(body)), &future));
    return Future(future);
}

TEST_P(ConformanceMany, N169_AThreadGetsValueErrorOrCancellation)
{
    EXPECT_EQ(
        0, run([&] {
            skua_loop *loop = loops().back();
            Latch latch(1);
            std::thread thread([&] {
                Future value = submit_to(*this, loop, [] {
                    EXPECT_EQ(0, skua_sleep(100 * SKUA_US));
                    return skua_return(as_pointer(3));
                });
                Future error = submit_to(
                    *this, loop, [] { return skua_raise(-EIO, "remote"); });
                Future forever = submit_to(
                    *this, loop, [] { return skua_sleep(SKUA_FOREVER); });

                EXPECT_EQ(3, await_int(value.get()));
                EXPECT_EQ(-EIO, skua_await(error.get(), nullptr));
                EXPECT_STREQ("remote",
                             skua_exception_message(skua_current_exception()));
                EXPECT_EQ(-ETIMEDOUT, skua_await_until(
                                          forever.get(),
                                          skua_monotonic() + SKUA_MS, nullptr));
                EXPECT_EQ(1, skua_future_cancel(forever.get()));
                EXPECT_EQ(SKUA_ECANCELED, skua_await(forever.get(), nullptr));
                EXPECT_TRUE(skua_future_cancelled(forever.get()));
                latch.down();
            });
            const int status = latch.wait();

            thread.join();
            return status;
        }));
}

TEST_P(ConformanceMany, N169_TenThreadsAtOnce)
{
    constexpr int kThreads = 10;
    const int rounds = kRaceDetector ? 20 : 100;
    std::atomic<int> ran = 0;

    EXPECT_EQ(0, run([&] {
                  const std::vector<skua_loop *> all = loops();
                  Latch latch(kThreads);
                  std::vector<std::thread> threads;

                  for (int k = 0; k < kThreads; k++) {
                      threads.emplace_back([&, k] {
                          for (int i = 0; i < rounds; i++) {
                              Future future = submit_to(
                                  *this, all[(k + i) % all.size()], [&, i] {
                                      ran++;
                                      EXPECT_EQ(0, skua_yield());
                                      return skua_return(as_pointer(i));
                                  });

                              EXPECT_EQ(i, await_int(future.get()));
                          }
                          latch.down();
                      });
                  }
                  const int status = latch.wait();

                  for (std::thread &thread : threads) {
                      thread.join();
                  }
                  return status;
              }));
    EXPECT_EQ(kThreads * rounds, ran);
}

/* --- several loops --- */

TEST_P(ConformanceMany, N173_AwaitingAFutureOfAnotherLoop)
{
    const int rounds = kRaceDetector ? 50 : 500;

    EXPECT_EQ(0, run([&] {
                  skua_loop *home = loops().front();
                  skua_loop *other = loops().back();

                  for (int i = 0; i < rounds; i++) {
                      int written = 0;
                      skua_future *made = nullptr;

                      EXPECT_EQ(0, skua_loop_create_future(other, &made));
                      Future future(made);
                      Future waiter = spawn_on(
                          home,
                          [&] {
                              EXPECT_EQ(i, await_int(future.get()));
                              EXPECT_EQ(i + 1, written);
                              EXPECT_EQ(home, skua_get_running_loop());
                              return 0;
                          },
                          true);
                      Future setter = spawn_on(
                          other,
                          [&] {
                              written = i + 1;
                              return skua_future_set_result(future.get(),
                                                            as_pointer(i));
                          },
                          true);

                      EXPECT_EQ(0, skua_await(waiter.get(), nullptr));
                      EXPECT_EQ(0, skua_await(setter.get(), nullptr));
                  }
                  return 0;
              }));
}

TEST_F(Conformance, N173_TwoLoopsOfTheirOwn)
{
    Future future = make_future(loop_);
    int written = 0;
    std::thread other([&] {
        Loop loop;

        EXPECT_EQ(0, run(loop, [&] {
                      EXPECT_EQ(0, skua_sleep(1 * SKUA_MS));
                      written = 5;
                      return skua_future_set_result(future.get(),
                                                    as_pointer(5));
                  }));
    });

    EXPECT_EQ(0, run(loop_, [&] {
                  EXPECT_EQ(5, await_int(future.get()));
                  EXPECT_EQ(5, written);
                  EXPECT_EQ(static_cast<skua_loop *>(loop_),
                            skua_get_running_loop());
                  return 0;
              }));
    other.join();
}

bool is_one_of(const std::vector<skua_loop *> &all, skua_loop *loop)
{
    for (skua_loop *each : all) {
        if (each == loop) {
            return true;
        }
    }
    return false;
}

int wander(const std::vector<skua_loop *> &all, int number, Future &self)
{
    for (int i = 0; i < 50; i++) {
        errno = number;
        EXPECT_EQ(0, i % 10 == 0 ? skua_sleep(10 * SKUA_US) : skua_yield());
        EXPECT_EQ(number, errno);
        EXPECT_EQ(self.get(), skua_current_task());
        EXPECT_TRUE(is_one_of(all, skua_get_running_loop()));
    }
    return 0;
}

TEST_P(ConformanceMany, N174_StealableTasksKeepTheirStateWhileTheyMove)
{
    EXPECT_EQ(0, run([&] {
                  const std::vector<skua_loop *> all = loops_and_spare();
                  std::vector<Future> tasks(64);
                  Future gate = make_future();

                  for (size_t i = 0; i < tasks.size(); i++) {
                      tasks[i] = spawn([&, i] {
                          EXPECT_EQ(0, skua_await(gate.get(), nullptr));
                          return wander(all, 1000 + static_cast<int>(i),
                                        tasks[i]);
                      });
                  }
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  for (const Future &task : tasks) {
                      EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  }
                  return 0;
              }));
}

TEST_P(ConformanceMany, N174_APinnedTaskNeverChangesItsLoop)
{
    EXPECT_EQ(0, run([&] {
                  const std::vector<skua_loop *> all = loops();
                  std::vector<Future> tasks;

                  for (int i = 0; i < 32; i++) {
                      skua_loop *home = all[i % all.size()];

                      tasks.push_back(spawn_on(
                          home,
                          [&, home] {
                              for (int k = 0; k < 50; k++) {
                                  EXPECT_EQ(home, skua_get_running_loop());
                                  EXPECT_EQ(0, k % 10 == 0
                                                   ? skua_sleep(10 * SKUA_US)
                                                   : skua_yield());
                              }
                              return 0;
                          },
                          true));
                  }
                  for (const Future &task : tasks) {
                      EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  }
                  return 0;
              }));
}

TEST_P(ConformanceMany, N005_AHandleCancelledInTheSameBatchDoesNotRun)
{
    EXPECT_EQ(0, run([&] {
                  for (skua_loop *loop : loops()) {
                      Future over = make_future();
                      std::atomic<int> ran = 0;
                      Handle victim;

                      post(loop, [&] {
                          /* All three are of the next batch. */
                          soon(loop, [&] {
                              EXPECT_EQ(1, skua_handle_cancel(victim.get()));
                          });
                          victim = soon(loop, [&] { ran++; });
                          soon(loop, [&] {
                              EXPECT_EQ(0, skua_future_set_result(over.get(),
                                                                  nullptr));
                          });
                      });
                      EXPECT_EQ(0, skua_await(over.get(), nullptr));
                      EXPECT_EQ(0, ran);
                      EXPECT_TRUE(skua_handle_cancelled(victim.get()));
                  }
                  return 0;
              }));
}

CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
