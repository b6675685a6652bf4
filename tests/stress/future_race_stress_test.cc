/* SPDX-License-Identifier: Apache-2.0 */
/*
 * future_race_stress_test.cc - complete, cancel, time out and leave one
 * future from several threads at once; nothing is lost or doubled.
 */
#include <barrier>
#include <optional>

#include "../conformance/support.h"
#include "seed.h"

namespace stress
{
namespace
{

using conformance::as_int;
using conformance::as_pointer;
using conformance::Future;
using conformance::kRaceDetector;
using conformance::Latch;
using conformance::make_future;

constexpr intptr_t kThreads = 4;

/* --- plain threads --- */

/** What the threads of one round did to their future. */
struct Round {
    Future future = make_future();
    std::atomic<int> winners = 0;
    std::atomic<intptr_t> outcome = 0; /* a value, or a negative status */
    std::atomic<int> callbacks = 0;
};

void win(Round &round, intptr_t outcome)
{
    round.winners++;
    round.outcome = outcome;
}

void act(Round &round, intptr_t thread, Random &random)
{
    skua_future *future = round.future.get();
    void *value = nullptr;

    switch (random.below(5)) {
    case 0:
        if (skua_future_set_result(future, as_pointer(thread)) == 0) {
            win(round, thread);
        }
        break;
    case 1:
        if (skua_future_set_error(future, -EIO) == 0) {
            win(round, -EIO);
        }
        break;
    case 2:
        if (skua_future_cancel(future) == 1) {
            win(round, SKUA_ECANCELED);
        }
        break;
    case 3:
        (void)skua_await_until(future, skua_monotonic() + random.below(20000),
                               &value);
        break;
    default:
        (void)skua_future_result(future, &value);
        break;
    }
}

void check(Round &round)
{
    void *value = nullptr;
    int status;

    if (round.winners == 0) {
        EXPECT_FALSE(skua_future_done(round.future.get()));
        return;
    }
    status = skua_await(round.future.get(), &value);
    EXPECT_EQ(1, round.winners);
    EXPECT_EQ(round.outcome, status < 0 ? status : as_int(value));
    EXPECT_EQ(status == SKUA_ECANCELED,
              skua_future_cancelled(round.future.get()));
}

TEST(FutureRace, FourThreadsOneFutureOneWinner)
{
    const int rounds = kRaceDetector ? 3000 : 30000;
    const uint64_t seed = print_seed();
    std::optional<Round> round;
    std::barrier barrier(kThreads);
    std::vector<std::thread> threads;

    for (intptr_t k = 0; k < kThreads; k++) {
        threads.emplace_back([&, k] {
            Random random(seed + static_cast<uint64_t>(k));

            for (int i = 0; i < rounds; i++) {
                if (k == 0) {
                    round.emplace();
                }
                barrier.arrive_and_wait();
                act(*round, k + 1, random);
                barrier.arrive_and_wait();
                if (k == 0) {
                    check(*round);
                }
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
}

/* --- tasks --- */

class FutureRaceLoops : public conformance::Harness
{
};

/** A task that awaits with a limit; a value, an error, or a timeout. */
int wait_a_while(skua_future *future, int64_t limit_ns, std::atomic<int> &ended)
{
    void *value = nullptr;
    const int status =
        skua_await_until(future, skua_monotonic() + limit_ns, &value);

    EXPECT_TRUE((status == 0 && as_int(value) == 7) || status == -ETIMEDOUT ||
                status == SKUA_ECANCELED);
    ended++;
    return status;
}

TEST_P(FutureRaceLoops, WaitersLeaveWhileItIsCompleted)
{
    constexpr int kWaiters = 16;
    const int rounds = kRaceDetector ? 60 : 500;
    const uint64_t seed = print_seed();

    EXPECT_EQ(
        0, run([&] {
            Random random(seed);

            for (int i = 0; i < rounds; i++) {
                std::atomic<int> ended = 0;
                Future future = make_future();
                std::vector<Future> waiters;

                for (int k = 0; k < kWaiters; k++) {
                    const int64_t limit_ns = random.below(100000);

                    waiters.push_back(spawn([&, limit_ns] {
                        return wait_a_while(future.get(), limit_ns, ended);
                    }));
                }
                EXPECT_EQ(0, skua_sleep(random.below(60000)));
                EXPECT_GE(0,
                          skua_future_set_result(future.get(), as_pointer(7)));
                for (const Future &waiter : waiters) {
                    (void)skua_await(waiter.get(), nullptr);
                }
                EXPECT_EQ(kWaiters, ended);
            }
            return 0;
        }));
}

void count_callback(skua_future *, void *arg)
{
    (*static_cast<std::atomic<int> *>(arg))++;
}

TEST_P(FutureRaceLoops, CallbacksRunOnceOrAreRemoved)
{
    const int rounds = kRaceDetector ? 100 : 1000;

    EXPECT_EQ(0, run([&] {
                  for (int i = 0; i < rounds; i++) {
                      constexpr int kCallbacks = 24;
                      Future future = make_future();
                      std::atomic<int> called = 0;
                      std::atomic<int> removed = 0;
                      Future remover;
                      Future setter;

                      for (int k = 0; k < kCallbacks; k++) {
                          EXPECT_EQ(0,
                                    skua_future_add_done_callback(
                                        future.get(), count_callback, &called));
                      }
                      remover = spawn([&] {
                          removed = skua_future_remove_done_callback(
                              future.get(), count_callback, &called);
                          return 0;
                      });
                      setter = spawn([&] {
                          return skua_future_set_result(future.get(), nullptr);
                      });
                      EXPECT_EQ(0, skua_await(remover.get(), nullptr));
                      EXPECT_EQ(0, skua_await(setter.get(), nullptr));
                      while (called + removed < kCallbacks) {
                          EXPECT_EQ(0, skua_yield());
                      }
                      EXPECT_EQ(kCallbacks, called + removed);
                  }
                  return 0;
              }));
}

/* Many short waits on one long-lived future leave nothing behind. */
TEST_P(FutureRaceLoops, ALongLivedFutureIsLeftManyTimes)
{
    constexpr int kTasks = 8;
    const int waits = kRaceDetector ? 200 : 2000;

    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  std::vector<Future> tasks;

                  for (int k = 0; k < kTasks; k++) {
                      tasks.push_back(spawn([&] {
                          for (int i = 0; i < waits; i++) {
                              EXPECT_EQ(-ETIMEDOUT,
                                        skua_await_until(future.get(),
                                                         skua_monotonic() + 1,
                                                         nullptr));
                          }
                          return static_cast<int>(
                              conformance::await_int(future.get()));
                      }));
                  }
                  EXPECT_EQ(0, skua_sleep(SKUA_MS));
                  spawn([&] {
                      EXPECT_EQ(0, skua_sleep(5 * SKUA_MS));
                      return skua_future_set_result(future.get(),
                                                    as_pointer(7));
                  });
                  for (const Future &task : tasks) {
                      (void)skua_await(task.get(), nullptr);
                  }
                  return 0;
              }));
}

INSTANTIATE_TEST_SUITE_P(Loops, FutureRaceLoops, testing::Values(1, 2, 4));

} // namespace
} // namespace stress
