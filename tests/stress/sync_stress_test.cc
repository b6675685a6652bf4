/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_stress_test.cc - locks, semaphores, events, conditions and barriers
 * between loops and threads, with cancels and limits from everywhere.
 */
#include "storm.h"

#include <array>

namespace stress
{
namespace
{

class SyncStorm : public Storm
{
  protected:
    void share_a_lock(skua_lock_policy policy);
    void hand_a_lock_round(skua_lock_policy policy);
};

/* --- locks --- */

void SyncStorm::share_a_lock(skua_lock_policy policy)
{
    constexpr int kTasks = 10;
    constexpr int kThreads = 2;
    const int visits = kRaceDetector ? 150 : 1500;
    skua_lock lock = {};
    int64_t entered = 0; /* both guarded by the lock */
    int inside = 0;
    const auto visit = [&](Random &random) {
        for (int done = 0; done < visits;) {
            const int status =
                skua_lock_acquire_until(&lock, any_deadline(random));

            if (status < 0) {
                expect_in_vain(status);
                continue;
            }
            EXPECT_EQ(1, ++inside);
            entered++;
            pause(random);
            EXPECT_EQ(0, --inside);
            EXPECT_EQ(0, skua_lock_release(&lock));
            done++;
        }
    };

    EXPECT_EQ(0, skua_lock_init(&lock, policy));
    EXPECT_EQ(0, run([&] {
                  start_tasks(kTasks, visit);
                  start_threads(kThreads, visit);
                  wait_for_all(true);
                  return 0;
              }));
    EXPECT_EQ((kTasks + kThreads) * visits, entered);
    EXPECT_EQ(0, skua_lock_acquire_nowait(&lock));
}

TEST_P(SyncStorm, ThreadsAndTasksShareALock)
{
    share_a_lock(SKUA_LOCK_FAIR);
}

TEST_P(SyncStorm, ThreadsAndTasksShareABargingLock)
{
    share_a_lock(SKUA_LOCK_BARGING);
}

/* Nobody owns a lock: it goes round, released by another than took it. */
void SyncStorm::hand_a_lock_round(skua_lock_policy policy)
{
    constexpr int kTasks = 6;
    const int visits = kRaceDetector ? 100 : 1000;
    std::array<skua_lock, 2> locks = {};
    int64_t turns = 0; /* guarded by having taken one and not released other */
    const auto ping = [&](size_t mine) {
        return [&, mine](Random &random) {
            for (int done = 0; done < visits;) {
                const int status =
                    skua_lock_acquire_until(&locks[mine], any_deadline(random));

                if (status < 0) {
                    expect_in_vain(status);
                    continue;
                }
                turns++;
                EXPECT_EQ(0, skua_lock_release(&locks[1 - mine]));
                done++;
            }
        };
    };

    for (skua_lock &lock : locks) {
        EXPECT_EQ(0, skua_lock_init(&lock, policy));
    }
    EXPECT_EQ(0, skua_lock_acquire(&locks[1]));
    EXPECT_EQ(0, run([&] {
                  start_tasks(kTasks, ping(0));
                  start_tasks(kTasks - 1, ping(1));
                  start_threads(1, ping(1));
                  wait_for_all(true);
                  return 0;
              }));
    EXPECT_EQ(2 * kTasks * visits, turns);
    EXPECT_FALSE(skua_lock_locked(&locks[0]));
    EXPECT_TRUE(skua_lock_locked(&locks[1]));
}

TEST_P(SyncStorm, ALockIsHandedRound)
{
    hand_a_lock_round(SKUA_LOCK_FAIR);
}

TEST_P(SyncStorm, ABargingLockIsHandedRound)
{
    hand_a_lock_round(SKUA_LOCK_BARGING);
}

/* --- semaphores --- */

TEST_P(SyncStorm, PermitsAreNeitherLostNorDoubled)
{
    constexpr int kTasks = 12;
    constexpr int kThreads = 2;
    constexpr int kPermits = 3;
    const int visits = kRaceDetector ? 150 : 1500;
    skua_semaphore semaphore = {};
    std::atomic<int> inside = 0;
    std::atomic<int> taken = 0;
    const auto visit = [&](Random &random) {
        for (int done = 0; done < visits;) {
            const int status = random.below(8) == 0
                                   ? skua_semaphore_acquire_nowait(&semaphore)
                                   : skua_semaphore_acquire_until(
                                         &semaphore, any_deadline(random));

            if (status < 0) {
                EXPECT_TRUE(status == -EAGAIN || status == -ETIMEDOUT ||
                            status == SKUA_ECANCELED);
                continue;
            }
            EXPECT_GE(kPermits, ++inside);
            pause(random);
            taken++;
            inside--;
            EXPECT_EQ(0, skua_semaphore_release(&semaphore));
            done++;
        }
    };

    EXPECT_EQ(0, skua_bounded_semaphore_init(&semaphore, kPermits));
    EXPECT_EQ(0, run([&] {
                  start_tasks(kTasks, visit);
                  start_threads(kThreads, visit);
                  wait_for_all(true);
                  return 0;
              }));
    EXPECT_EQ((kTasks + kThreads) * visits, taken);
    EXPECT_EQ(kPermits, skua_semaphore_value(&semaphore));
    EXPECT_FALSE(skua_semaphore_locked(&semaphore));
    EXPECT_EQ(-EINVAL, skua_semaphore_release(&semaphore));
}

/* Permits come from elsewhere than where they go. */
TEST_P(SyncStorm, EachPermitThatIsReleasedIsTakenOnce)
{
    constexpr int kPairs = 5;
    const int permits = kRaceDetector ? 150 : 1500;
    skua_semaphore semaphore = {};
    const auto release = [&](Random &random) {
        for (int i = 0; i < permits; i++) {
            EXPECT_EQ(0, skua_semaphore_release(&semaphore));
            pause(random);
        }
    };
    const auto acquire = [&](Random &random) {
        for (int done = 0; done < permits;) {
            const int status =
                skua_semaphore_acquire_until(&semaphore, any_deadline(random));

            if (status == 0) {
                done++;
            } else {
                expect_in_vain(status);
            }
        }
    };

    EXPECT_EQ(0, skua_semaphore_init(&semaphore, 0));
    EXPECT_EQ(0, run([&] {
                  start_tasks(kPairs, acquire);
                  start_threads(1, acquire);
                  start_tasks(kPairs, release);
                  start_threads(1, release);
                  wait_for_all(true);
                  return 0;
              }));
    EXPECT_EQ(0, skua_semaphore_value(&semaphore));
    EXPECT_EQ(-EAGAIN, skua_semaphore_acquire_nowait(&semaphore));
}

/* --- events --- */

TEST_P(SyncStorm, NobodyMissesAnEvent)
{
    constexpr int kTasks = 8;
    constexpr int kThreads = 2;
    const size_t rounds = kRaceDetector ? 100 : 1000;
    std::vector<skua_event> events(rounds);
    std::vector<size_t> values(rounds); /* handed over by the events */
    std::atomic<size_t> seen = 0;
    const auto follow = [&](Random &random) {
        for (size_t i = 0; i < rounds;) {
            const int status =
                skua_event_wait_until(&events[i], any_deadline(random));

            if (status < 0) {
                expect_in_vain(status);
                continue;
            }
            EXPECT_EQ(i, values[i]);
            seen++;
            i++;
        }
    };
    const auto lead = [&](Random &random) {
        for (size_t i = 0; i < rounds; i++) {
            while (2 * seen < (2 * i - 1) * (kTasks + kThreads) && i > 0) {
                (void)skua_yield(); /* not before half of them have come */
            }
            values[i] = i;
            EXPECT_EQ(0, skua_event_set(&events[i]));
            pause(random);
        }
    };

    EXPECT_EQ(0, run([&] {
                  start_tasks(kTasks, follow);
                  start_threads(kThreads, follow);
                  start_tasks(1, lead);
                  wait_for_all(true);
                  return 0;
              }));
    EXPECT_EQ((kTasks + kThreads) * rounds, seen);
}

/* Who waits when it is set goes on, even if it is cleared at once. */
TEST_P(SyncStorm, ASetThatIsClearedAtOnceReachesAllWhoWait)
{
    constexpr int kTasks = 6;
    const int rounds = kRaceDetector ? 40 : 300;
    skua_event event = {};
    std::atomic<int> woken = 0;

    EXPECT_EQ(0, run([&] {
                  for (int round = 0; round < rounds; round++) {
                      std::vector<Future> tasks;

                      for (size_t i = 0; i < kTasks; i++) {
                          tasks.push_back(spawn_on(
                              loops()[i % loops().size()],
                              [&] {
                                  woken += skua_event_wait(&event) == 0;
                                  return 0;
                              },
                              true));
                      }
                      settle();
                      EXPECT_EQ(0, skua_event_set(&event));
                      EXPECT_EQ(0, skua_event_clear(&event));
                      for (const Future &task : tasks) {
                          EXPECT_EQ(0, skua_await(task.get(), nullptr));
                      }
                  }
                  return 0;
              }));
    EXPECT_EQ(kTasks * rounds, woken);
}

/* Setters and waiters of one event, which its waiter frees. */
TEST_P(SyncStorm, AnEventIsGoneOnceItsWaiterGoesOn)
{
    constexpr int kTasks = 6;
    const int rounds = kRaceDetector ? 100 : 1000;
    std::atomic<int> pending = 0;
    const auto wait = [&](Random &random) {
        for (int round = 0; round < rounds; round++) {
            auto event = std::make_unique<skua_event>();
            skua_event *borrowed = event.get();

            *borrowed = {};
            pending++;
            const Future setter = spawn([borrowed, &pending] {
                EXPECT_EQ(0, skua_event_set(borrowed));
                pending--;
                return 0;
            });

            pause(random);
            while (skua_event_wait(borrowed) == SKUA_ECANCELED) {
                /* again: the setter still has it */
            }
        }
    };

    EXPECT_EQ(0, run([&] {
                  start_tasks(kTasks, wait);
                  wait_for_all(true);
                  while (pending > 0) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  return 0;
              }));
}

/* --- conditions --- */

/**
 * Six wait, three of them are cancelled while three are notified: at least
 * three are not cancelled, so three go on exactly, whoever they are.
 */
TEST_P(SyncStorm, NotificationsArePassedOn)
{
    constexpr int kWaiters = 6;
    constexpr int kNotified = 3;
    const int rounds = kRaceDetector ? 40 : 300;
    skua_condition condition = {};

    EXPECT_EQ(0, run([&] {
                  for (int round = 0; round < rounds; round++) {
                      std::vector<Future> waiters;
                      std::atomic<int> notified = 0;
                      std::atomic<int> left = 0;

                      for (size_t i = 0; i < kWaiters; i++) {
                          waiters.push_back(start_parked(i, [&] {
                              EXPECT_EQ(0, skua_condition_acquire(&condition));
                              notified += skua_condition_wait(&condition) == 0;
                              EXPECT_EQ(0, skua_condition_release(&condition));
                              left++;
                              return 0;
                          }));
                      }
                      const Future canceller = spawn([&] {
                          for (size_t i = 0; i < kNotified; i++) {
                              (void)skua_task_cancel(waiters[i].get());
                          }
                          return 0;
                      });

                      EXPECT_EQ(0, skua_condition_acquire(&condition));
                      EXPECT_EQ(kNotified,
                                skua_condition_notify(&condition, kNotified));
                      pause(random_);
                      EXPECT_EQ(0, skua_condition_release(&condition));
                      EXPECT_EQ(0, skua_await(canceller.get(), nullptr));
                      while (notified < kNotified) {
                          EXPECT_EQ(0, skua_yield());
                      }
                      settle();
                      EXPECT_EQ(kNotified, notified);
                      EXPECT_EQ(0, skua_condition_acquire(&condition));
                      EXPECT_LE(0, skua_condition_notify_all(&condition));
                      EXPECT_EQ(0, skua_condition_release(&condition));
                      for (const Future &waiter : waiters) {
                          (void)skua_await(waiter.get(), nullptr);
                      }
                      EXPECT_EQ(kWaiters, left);
                  }
                  return 0;
              }));
}

/* A box with room for one, behind one condition for each of its two states. */
TEST_P(SyncStorm, ABoxBetweenTwoConditions)
{
    constexpr int kTasks = 4;
    const int items = kRaceDetector ? 100 : 1000;
    skua_lock lock = {};
    skua_condition filled = {};
    skua_condition emptied = {};
    int box = 0; /* guarded by the lock, as both sums */
    int64_t put_sum = 0;
    int64_t got_sum = 0;
    /* With the lock: until the box is full, or empty. */
    const auto wait_until = [&](skua_condition *condition, bool full,
                                Random &random) {
        while ((box != 0) != full) {
            const int status =
                skua_condition_wait_until(condition, any_deadline(random));

            if (status < 0) {
                expect_in_vain(status);
                EXPECT_TRUE(skua_condition_locked(condition));
            }
        }
    };
    const auto acquire = [&] {
        while (skua_lock_acquire(&lock) == SKUA_ECANCELED) {
            /* again */
        }
    };
    const auto put = [&](Random &random) {
        for (int i = 1; i <= items; i++) {
            acquire();
            wait_until(&emptied, false, random);
            box = i;
            put_sum += i;
            EXPECT_LE(0, skua_condition_notify(&filled, 1));
            EXPECT_EQ(0, skua_lock_release(&lock));
        }
    };
    const auto get = [&](Random &random) {
        for (int i = 1; i <= items; i++) {
            acquire();
            wait_until(&filled, true, random);
            got_sum += box;
            box = 0;
            EXPECT_LE(0, skua_condition_notify(&emptied, 1));
            EXPECT_EQ(0, skua_lock_release(&lock));
        }
    };

    EXPECT_EQ(0, skua_condition_init(&filled, &lock));
    EXPECT_EQ(0, skua_condition_init(&emptied, &lock));
    EXPECT_EQ(0, run([&] {
                  start_tasks(kTasks, put);
                  start_tasks(kTasks, get);
                  start_threads(1, put);
                  start_threads(1, get);
                  wait_for_all(true);
                  return 0;
              }));
    EXPECT_EQ(put_sum, got_sum);
    EXPECT_EQ(0, box);
}

/* --- barriers --- */

/* Limits only: who was freed has an index, so each comes equally often. */
TEST_P(SyncStorm, EachRoundHasEachIndexOnce)
{
    constexpr int kParties = 4;
    constexpr int kTasks = 7;
    const int visits = kParties * (kRaceDetector ? 100 : 1000);
    skua_barrier barrier = {};
    std::array<std::atomic<int>, kParties> seen = {};
    std::atomic<int> tickets = 0;
    const auto visit = [&](Random &random) {
        while (tickets++ < visits) {
            int index = -ETIMEDOUT;

            while (index == -ETIMEDOUT) {
                index = skua_barrier_wait_until(&barrier, any_deadline(random));
            }
            ASSERT_LE(0, index);
            seen.at(static_cast<size_t>(index))++;
        }
    };

    EXPECT_EQ(0, skua_barrier_init(&barrier, kParties));
    EXPECT_EQ(0, run([&] {
                  start_tasks(kTasks, visit);
                  start_threads(2, visit);
                  wait_for_all(false);
                  return 0;
              }));
    for (const std::atomic<int> &count : seen) {
        EXPECT_EQ(visits / kParties, count);
    }
    EXPECT_EQ(0, skua_barrier_n_waiting(&barrier));
}

/* The last party is never cancelled, so it counts the rounds. */
TEST_P(SyncStorm, ABarrierSurvivesCancelsAndResets)
{
    constexpr int kParties = 3;
    constexpr int kTasks = 8;
    const int rounds = kRaceDetector ? 100 : 1000;
    skua_barrier barrier = {};
    std::array<std::atomic<int>, kParties> seen = {};
    const auto visit = [&](Random &random) {
        while (seen[kParties - 1] < rounds) {
            const int index =
                skua_barrier_wait_until(&barrier, any_deadline(random));

            if (index >= 0) {
                seen.at(static_cast<size_t>(index))++;
            } else if (index != SKUA_EBROKENBARRIER) {
                expect_in_vain(index);
            } else if (random.below(16) == 0) {
                EXPECT_EQ(0, skua_barrier_reset(&barrier));
            }
        }
        EXPECT_EQ(0, skua_barrier_abort(&barrier)); /* frees the others */
    };

    EXPECT_EQ(0, skua_barrier_init(&barrier, kParties));
    EXPECT_EQ(0, run([&] {
                  start_tasks(kTasks, visit);
                  wait_for_all(true);
                  return 0;
              }));
    for (const std::atomic<int> &count : seen) {
        EXPECT_GE(seen[kParties - 1], count);
    }
    EXPECT_EQ(0, skua_barrier_n_waiting(&barrier));
    EXPECT_TRUE(skua_barrier_broken(&barrier));
}

INSTANTIATE_TEST_SUITE_P(Loops, SyncStorm, testing::Values(1, 2, 4));

} // namespace
} // namespace stress
