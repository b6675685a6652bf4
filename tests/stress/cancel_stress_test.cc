/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cancel_stress_test.cc - storms of cancels on sleeping and awaiting chains
 * and on wait_for, on work that refuses and on rings: every task ends, each
 * request is honoured once.
 */
#include <array>

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

class CancelStorm : public conformance::Harness
{
};

TEST_P(CancelStorm, SleepersEndOnceWhateverWins)
{
    constexpr int kSleepers = 64;
    const int rounds = kRaceDetector ? 40 : 300;
    const uint64_t seed = print_seed();

    EXPECT_EQ(0, run([&] {
                  Random random(seed);

                  for (int i = 0; i < rounds; i++) {
                      std::atomic<int> slept = 0;
                      std::atomic<int> cancelled = 0;
                      std::vector<Future> sleepers;

                      for (int k = 0; k < kSleepers; k++) {
                          const int64_t delay_ns = random.below(100000);

                          sleepers.push_back(spawn([&, delay_ns] {
                              const int status = skua_sleep(delay_ns);

                              EXPECT_TRUE(status == 0 ||
                                          status == SKUA_ECANCELED);
                              (status == 0 ? slept : cancelled)++;
                              return status;
                          }));
                      }
                      EXPECT_EQ(0, skua_sleep(random.below(60000)));
                      for (const Future &sleeper : sleepers) {
                          if (random.below(4) != 0) {
                              EXPECT_LE(0, skua_task_cancel(sleeper.get()));
                          }
                      }
                      for (const Future &sleeper : sleepers) {
                          (void)skua_await(sleeper.get(), nullptr);
                          EXPECT_TRUE(skua_future_done(sleeper.get()));
                      }
                      EXPECT_GE(kSleepers, slept + cancelled);
                  }
                  return 0;
              }));
}

/** A chain of awaits that ends in a sleep or in a plain future. */
int descend(conformance::Lambdas &lambdas, int depth, skua_future *end,
            std::atomic<int> &inside)
{
    int status;

    inside++;
    if (depth == 0) {
        status = end != nullptr ? skua_await(end, nullptr)
                                : skua_sleep(SKUA_FOREVER);
    } else {
        Future inner = lambdas.spawn([&lambdas, depth, end, &inside] {
            return descend(lambdas, depth - 1, end, inside);
        });

        status = skua_await(inner.get(), nullptr);
        (void)skua_task_cancel(inner.get());
        while (!skua_future_done(inner.get())) {
            (void)skua_await(inner.get(), nullptr);
        }
    }
    inside--;
    return status;
}

TEST_P(CancelStorm, ChainsAreCancelledFromSeveralTasks)
{
    const int rounds = kRaceDetector ? 40 : 200;
    const uint64_t seed = print_seed();

    EXPECT_EQ(0, run([&] {
                  Random random(seed);

                  for (int i = 0; i < rounds; i++) {
                      std::atomic<int> inside = 0;
                      Future end = make_future();
                      const bool sleeps = random.below(2) == 0;
                      const int depth = random.below(12);
                      Future outer = spawn([&] {
                          return descend(*this, depth,
                                         sleeps ? nullptr : end.get(), inside);
                      });
                      std::vector<Future> cancellers;

                      EXPECT_EQ(0, skua_sleep(random.below(40000)));
                      for (int k = 0; k < 3; k++) {
                          cancellers.push_back(spawn([&] {
                              EXPECT_LE(0, skua_task_cancel(outer.get()));
                              return 0;
                          }));
                      }
                      EXPECT_EQ(SKUA_ECANCELED,
                                skua_await(outer.get(), nullptr));
                      for (const Future &canceller : cancellers) {
                          EXPECT_EQ(0, skua_await(canceller.get(), nullptr));
                      }
                      EXPECT_EQ(0, inside);
                  }
                  return 0;
              }));
}

TEST_P(CancelStorm, ARequestToARunningTaskIsDeliveredOnce)
{
    const int rounds = kRaceDetector ? 200 : 2000;

    EXPECT_EQ(0, run([&] {
                  for (int i = 0; i < rounds; i++) {
                      Latch started(1);
                      Future task = spawn([&] {
                          started.down();
                          while (skua_yield() != SKUA_ECANCELED) {
                          }
                          EXPECT_EQ(1,
                                    skua_task_cancelling(skua_current_task()));
                          EXPECT_EQ(0, skua_yield());
                          EXPECT_EQ(0, skua_task_uncancel(skua_current_task()));
                          EXPECT_EQ(0, skua_sleep(1));
                          return 3;
                      });

                      EXPECT_EQ(0, started.wait());
                      EXPECT_EQ(1, skua_task_cancel(task.get()));
                      EXPECT_EQ(3, skua_await(task.get(), nullptr));
                  }
                  return 0;
              }));
}

/* --- wait_for --- */

int answer_later(int64_t delay_ns)
{
    const int status = skua_sleep(delay_ns);

    return status < 0 ? status : skua_return(as_pointer(9));
}

void expect_outcome(int status, void *value)
{
    if (status == 0) {
        EXPECT_EQ(9, as_int(value));
    } else {
        EXPECT_TRUE(status == -ETIMEDOUT || status == SKUA_ECANCELED);
    }
}

TEST_P(CancelStorm, WaitForAgainstItsChildItsLimitAndACanceller)
{
    const int rounds = kRaceDetector ? 150 : 1500;
    const uint64_t seed = print_seed();

    EXPECT_EQ(
        0, run([&] {
            Random random(seed);

            for (int i = 0; i < rounds; i++) {
                const int64_t limit_ns = 1 + random.below(60000);
                const int64_t delay_ns = random.below(60000);
                const bool as_task = random.below(2) == 0;
                Future waiter = spawn([&] {
                    void *value = nullptr;
                    Future child =
                        spawn([&] { return answer_later(delay_ns); });
                    const int status = skua_wait_for(
                        as_task ? skua_awaitable_future(child.get())
                                : call([&] { return answer_later(delay_ns); }),
                        limit_ns, &value);

                    expect_outcome(status, value);
                    if (as_task && status != SKUA_ECANCELED) {
                        EXPECT_TRUE(skua_future_done(child.get()));
                    }
                    while (!skua_future_done(child.get())) {
                        (void)skua_await(child.get(), nullptr);
                    }
                    return status;
                });

                EXPECT_EQ(0, skua_sleep(random.below(60000)));
                if (random.below(2) == 0) {
                    EXPECT_LE(0, skua_task_cancel(waiter.get()));
                }
                expect_outcome(skua_await(waiter.get(), nullptr),
                               as_pointer(9));
            }
            return 0;
        }));
}

/* --- what refuses --- */

/** Work that runs, tasks that wait for it, and others that cancel those. */
class Refusal
{
  public:
    explicit Refusal(Random &random) : spins_(random.below(3000))
    {
    }

    void work()
    {
        runs_ = true;
        while (!may_end_) {
            std::this_thread::yield();
        }
        for (std::atomic<int> i = 0; i < spins_; i++) {
        }
    }

    void wait_until_it_runs() const
    {
        while (!runs_) {
            EXPECT_EQ(0, skua_yield());
        }
    }

    void add_waiter(Future waiter)
    {
        waiters_.push_back(std::move(waiter));
    }

    void add_canceller(Future canceller)
    {
        cancellers_.push_back(std::move(canceller));
    }

    int cancel_each(uint64_t seed)
    {
        Random random(seed);

        may_end_ = true;
        for (size_t k = 0; k < waiters_.size(); k++) {
            for (std::atomic<int> i = random.below(600); i > 0; i--) {
            }
            if (skua_task_cancel(waiters_[k].get()) == 1) {
                accepted_[k] = true;
            }
        }
        return 0;
    }

    void expect_all_honoured()
    {
        for (const Future &canceller : cancellers_) {
            EXPECT_EQ(0, skua_await(canceller.get(), nullptr));
        }
        for (size_t k = 0; k < waiters_.size(); k++) {
            void *value = nullptr;
            const int status = skua_await(waiters_[k].get(), &value);

            EXPECT_EQ(accepted_[k] ? SKUA_ECANCELED : 9,
                      status < 0 ? status : as_int(value));
        }
    }

  private:
    const int spins_;
    std::atomic<bool> runs_ = false;
    std::atomic<bool> may_end_ = false;
    std::array<std::atomic<bool>, 16> accepted_ = {};
    std::vector<Future> waiters_;
    std::vector<Future> cancellers_;
};

int wait_for_work(skua_future *work, bool limited)
{
    void *value = nullptr;
    const int status =
        limited
            ? skua_await_until(work, skua_monotonic() + 3600 * SKUA_S, &value)
            : skua_await(work, &value);

    return status < 0 ? status : skua_return(value);
}

conformance::Executor make_pool()
{
    skua_executor *pool = nullptr;

    EXPECT_EQ(0, skua_thread_pool_executor_new(nullptr, &pool));
    return conformance::Executor(pool);
}

/** Work that runs refuses; a request ends the wait for it alone. */
TEST_P(CancelStorm, WaitersAreWithdrawnFromWorkThatRuns)
{
    constexpr int kWaiters = 6;
    const int rounds = kRaceDetector ? 100 : 1000;
    const uint64_t seed = print_seed();
    const conformance::Executor pool = make_pool();

    EXPECT_EQ(0, run([&] {
                  Random random(seed);

                  for (int i = 0; i < rounds; i++) {
                      Refusal refusal(random);
                      Future work = submit(pool.get(), [&refusal] {
                          refusal.work();
                          return skua_return(as_pointer(9));
                      });

                      refusal.wait_until_it_runs();
                      for (int k = 0; k < kWaiters; k++) {
                          const bool limited = random.below(3) == 0;

                          refusal.add_waiter(spawn([&work, limited] {
                              return wait_for_work(work.get(), limited);
                          }));
                      }
                      for (int k = 0; k < 3; k++) {
                          const uint64_t own_seed = random.next();

                          refusal.add_canceller(spawn([&refusal, own_seed] {
                              return refusal.cancel_each(own_seed);
                          }));
                      }
                      refusal.expect_all_honoured();
                      EXPECT_EQ(9, conformance::await_int(work.get()));
                  }
                  return 0;
              }));
}

/** Tasks that wait for one another in a ring, and several who cancel some. */
TEST_P(CancelStorm, RingsAreBrokenFromSeveralTasks)
{
    const int rounds = kRaceDetector ? 150 : 1500;
    const uint64_t seed = print_seed();

    EXPECT_EQ(
        0, run([&] {
            Random random(seed);

            for (int i = 0; i < rounds; i++) {
                const size_t size = 2 + static_cast<size_t>(random.below(4));
                std::atomic<bool> closed = false;
                std::vector<Future> ring(size);
                std::vector<Future> cancellers;

                for (size_t k = 0; k < size; k++) {
                    ring[k] = spawn([&, k] {
                        while (!closed) {
                            if (skua_yield() < 0) {
                                return SKUA_ECANCELED;
                            }
                        }
                        return skua_await(ring[(k + 1) % size].get(), nullptr);
                    });
                }
                closed = true;
                for (int k = 0; k < 3; k++) {
                    skua_task *victim = ring[random.next() % size].get();

                    cancellers.push_back(spawn([victim] {
                        EXPECT_LE(0, skua_task_cancel(victim));
                        return 0;
                    }));
                }
                for (const Future &canceller : cancellers) {
                    EXPECT_EQ(0, skua_await(canceller.get(), nullptr));
                }
                for (const Future &task : ring) {
                    EXPECT_EQ(SKUA_ECANCELED, skua_await(task.get(), nullptr));
                }
            }
            return 0;
        }));
}

INSTANTIATE_TEST_SUITE_P(Loops, CancelStorm, testing::Values(1, 2, 4));

} // namespace
} // namespace stress
