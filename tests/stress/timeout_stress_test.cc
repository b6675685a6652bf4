/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timeout_stress_test.cc - deadlines that several tasks and threads move while
 * their scopes expire and are left: each request is taken back once.
 */
#include "../conformance/support.h"
#include "seed.h"

namespace stress
{
namespace
{

using conformance::Future;
using conformance::kRaceDetector;

/** A scope that others move; it outlives them all. */
struct Scope {
    skua_timeout timeout = {};
    std::atomic<int> movers = 0;
    std::atomic<bool> left = false;
};

class TimeoutStorm : public conformance::Harness
{
};

int64_t some_deadline(Random &random)
{
    const int64_t now_ns = skua_monotonic();

    switch (random.below(5)) {
    case 0:
        return SKUA_FOREVER;
    case 1:
        return now_ns - 1;
    case 2:
        return now_ns + 3600 * SKUA_S;
    default:
        return now_ns + random.below(60) * SKUA_US;
    }
}

void move_once(Scope &scope, Random &random)
{
    const int status =
        skua_timeout_reschedule(&scope.timeout, some_deadline(random));

    EXPECT_TRUE(status == 0 || status == SKUA_EINVALSTATE);
    (void)skua_timeout_when(&scope.timeout);
}

int move(Scope &scope, uint64_t seed)
{
    Random random(seed);

    while (!scope.left) {
        move_once(scope, random);
        EXPECT_EQ(0, skua_sleep(random.below(20) * SKUA_US));
    }
    scope.movers--;
    return 0;
}

/** Leave with what the body made of it. */
void expect_exit(Scope &scope, int status)
{
    const int result = skua_timeout_exit(&scope.timeout, status);

    EXPECT_EQ(status == SKUA_ECANCELED ? -ETIMEDOUT : status, result);
    EXPECT_TRUE(status != SKUA_ECANCELED ||
                skua_timeout_expired(&scope.timeout));
    EXPECT_EQ(0, skua_task_cancelling(skua_current_task()));
    EXPECT_EQ(0, skua_yield());
}

int live_in(Scope &scope, uint64_t seed)
{
    Random random(seed);
    int status =
        skua_timeout_enter(&scope.timeout, (random.below(80) - 5) * SKUA_US);

    EXPECT_EQ(0, status);
    for (int i = random.below(12); i > 0 && status == 0; i--) {
        switch (random.below(3)) {
        case 0:
            status = skua_yield();
            break;
        case 1:
            move_once(scope, random);
            break;
        default:
            status = skua_sleep(random.below(30) * SKUA_US);
            break;
        }
    }
    expect_exit(scope, status);
    scope.left = true;
    while (scope.movers > 0) {
        EXPECT_EQ(0, skua_yield());
    }
    return 0;
}

TEST_P(TimeoutStorm, DeadlinesMoveWhileScopesExpireAndAreLeft)
{
    const int rounds = kRaceDetector ? 40 : 400;
    constexpr int kScopes = 8;
    const uint64_t seed = print_seed();

    EXPECT_EQ(0, run([&] {
                  Random random(seed);

                  for (int i = 0; i < rounds; i++) {
                      std::deque<Scope> scopes(kScopes);
                      std::vector<Future> tasks;

                      for (Scope &scope : scopes) {
                          scope.movers = 2;
                          for (int k = 0; k < 2; k++) {
                              tasks.push_back(spawn([&, lot = random.next()] {
                                  return move(scope, lot);
                              }));
                          }
                          tasks.push_back(spawn([&, lot = random.next()] {
                              return live_in(scope, lot);
                          }));
                      }
                      for (const Future &task : tasks) {
                          EXPECT_EQ(0, skua_await(task.get(), nullptr));
                      }
                  }
                  return 0;
              }));
}

TEST_P(TimeoutStorm, PlainThreadsMoveDeadlines)
{
    const int rounds = kRaceDetector ? 100 : 1000;
    const uint64_t seed = print_seed();

    EXPECT_EQ(0, run([&] {
                  Random random(seed);
                  std::deque<Scope> scopes(static_cast<size_t>(rounds));
                  std::vector<std::thread> threads;

                  for (int k = 0; k < 2; k++) {
                      threads.emplace_back([&, lot = random.next()] {
                          Random own(lot);

                          for (Scope &scope : scopes) {
                              while (!scope.left) {
                                  move_once(scope, own);
                                  std::this_thread::yield();
                              }
                          }
                      });
                  }
                  for (Scope &scope : scopes) {
                      EXPECT_EQ(0, live_in(scope, random.next()));
                  }
                  for (std::thread &thread : threads) {
                      thread.join();
                  }
                  return 0;
              }));
}

/* Tasks that enter, wait for what is ready or not, and leave, on all loops. */
TEST_P(TimeoutStorm, LimitsOfEveryLengthOnTasksThatMove)
{
    constexpr int kLaps = kRaceDetector ? 40 : 400;
    constexpr int kTasks = 48;
    const uint64_t seed = print_seed();

    EXPECT_EQ(
        0, run([&] {
            Random random(seed);
            std::vector<Future> tasks;

            for (int i = 0; i < kTasks; i++) {
                tasks.push_back(spawn([lot = random.next()] {
                    Random own(lot);

                    for (int k = 0; k < kLaps; k++) {
                        Scope scope;
                        Scope outer;
                        int status = skua_timeout_enter(
                            &outer.timeout, own.below(90) * SKUA_US);

                        EXPECT_EQ(0, status);
                        EXPECT_EQ(0,
                                  skua_timeout_enter(&scope.timeout,
                                                     own.below(60) * SKUA_US));
                        status = own.below(2) == 0
                                     ? skua_yield()
                                     : skua_sleep(own.below(90) * SKUA_US);
                        status = skua_timeout_exit(&scope.timeout, status);
                        if (status == -ETIMEDOUT) {
                            status = 0;
                        }
                        expect_exit(outer, status);
                    }
                    return 0;
                }));
            }
            for (const Future &task : tasks) {
                EXPECT_EQ(0, skua_await(task.get(), nullptr));
            }
            return 0;
        }));
}

INSTANTIATE_TEST_SUITE_P(Loops, TimeoutStorm, testing::Values(1, 2, 4));

} // namespace
} // namespace stress
