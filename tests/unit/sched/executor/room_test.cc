/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/executor/room.c, and of pools whose queue is bounded. */
#include "executor/room.h"

#include "unit/sched/executor/pool_support.h"

namespace
{

using pools::Body;
using pools::Future;
using pools::Gate;
using pools::Pool;

skua_thread_pool_options bounded(int max_workers, size_t max_queued,
                                 skua_queue_policy policy)
{
    skua_thread_pool_options options = {};

    options.max_workers = max_workers;
    options.max_queued = max_queued;
    options.policy = policy;
    return options;
}

/** On one loop: what is woken in order goes on in order. */
int run_task(Body body)
{
    skua_runner_options options = {};

    options.loops = 1;
    return skua_run_with(&options, pools::run_body, &body, nullptr);
}

TEST(RoomInit, TakesOnlyWhatGoesTogether)
{
    skui_room room;

    EXPECT_EQ(0, skui_room_init(&room, SKUA_QUEUE_GROW, 0, 4));
    EXPECT_EQ(0, skui_room_init(&room, SKUA_QUEUE_SUSPEND, 1, 4));
    EXPECT_EQ(0, skui_room_init(&room, SKUA_QUEUE_REJECT, 1, 4));
    EXPECT_EQ(-EINVAL, skui_room_init(&room, SKUA_QUEUE_GROW, 1, 4));
    EXPECT_EQ(-EINVAL, skui_room_init(&room, SKUA_QUEUE_SUSPEND, 0, 4));
    EXPECT_EQ(-EINVAL, skui_room_init(&room, SKUA_QUEUE_REJECT, 0, 4));
    EXPECT_EQ(-EINVAL, skui_room_init(&room, (skua_queue_policy)3, 1, 4));
    EXPECT_EQ(-EINVAL,
              skui_room_init(&room, SKUA_QUEUE_REJECT, SIZE_MAX - 1, 4));
}

TEST(RoomInit, PoolsCheckTheirOptions)
{
    skua_executor *executor = nullptr;
    skua_thread_pool_options options = bounded(1, 0, SKUA_QUEUE_REJECT);

    EXPECT_EQ(-EINVAL, skua_thread_pool_executor_new(&options, &executor));
    options = bounded(1, 7, SKUA_QUEUE_GROW);
    EXPECT_EQ(-EINVAL, skua_thread_pool_executor_new(&options, &executor));
    EXPECT_EQ(nullptr, executor);
}

/* As many as may run and wait, whether or not threads have come already. */
TEST(RoomReject, TakesWhatRunsAndWhatMayWait)
{
    for (int round = 0; round < 200; round++) {
        Pool pool(bounded(2, 3, SKUA_QUEUE_REJECT));
        Gate gate;
        std::vector<Future> futures;

        for (int i = 0; i < 5; i++) {
            futures.push_back(pool.submit(gate.body()));
        }
        EXPECT_EQ(-EAGAIN, pool.try_submit(gate.body()));
        EXPECT_EQ(1, pool.stats().rejected);
        EXPECT_EQ(5, pool.stats().submitted);
        gate.open.release(5);
        for (const Future &future : futures) {
            EXPECT_EQ(0, future.await());
        }
    }
}

TEST(RoomReject, WhoAwaitsWorkFindsItsPlace)
{
    Pool pool(bounded(1, 1, SKUA_QUEUE_REJECT));
    Gate gate;
    const Future blocker = pool.submit(gate.body());
    Future queued = pool.submit([] { return 0; });

    EXPECT_EQ(-EAGAIN, pool.try_submit([] { return 0; }));
    gate.open.release();
    EXPECT_EQ(0, blocker.await());
    for (int i = 0; i < 1000; i++) {
        Future next = pool.submit([] { return 0; });

        EXPECT_EQ(0, queued.await());
        queued = std::move(next);
    }
    EXPECT_EQ(0, queued.await());
}

TEST(RoomGauges, TellHowMuchWaitedAtMost)
{
    Pool pool(1);
    Gate gate;
    Future blocker = pool.submit(gate.body());

    gate.begun.acquire();
    for (int i = 0; i < 500; i++) {
        pool.submit([] { return 0; });
    }
    gate.open.release();
    EXPECT_EQ(0, blocker.await());
    EXPECT_EQ(0, pool.submit([] { return 0; }).await());
    EXPECT_EQ(0, pool.stats().queued);
    EXPECT_EQ(500, pool.stats().queued_most);
    EXPECT_EQ(0, pool.stats().rejected);
}

TEST(RoomSuspend, BlocksAPlainThread)
{
    Pool pool(bounded(1, 1, SKUA_QUEUE_SUSPEND));
    Gate gate;
    std::atomic<int> ran{0};
    const Future blocker = pool.submit(gate.body());

    pool.submit([] { return 0; });
    std::thread submitter([&] {
        for (int i = 0; i < 500; i++) {
            EXPECT_EQ(0, pool.try_submit([&] {
                ran++;
                return 0;
            }));
        }
    });
    gate.open.release();
    submitter.join();
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
    EXPECT_EQ(500, ran.load());
    EXPECT_LE(pool.stats().queued_most, 2);
}

TEST(RoomSuspend, SuspendsTasksInOrder)
{
    Pool pool(bounded(1, 1, SKUA_QUEUE_SUSPEND));
    std::vector<int> order;
    Gate gate;
    const Future blocker = pool.submit(gate.body());
    const Future queued = pool.submit([] { return 0; });
    std::deque<Body> bodies;

    EXPECT_EQ(0, run_task([&] {
                  std::vector<skua_task *> tasks(10);

                  for (int i = 0; i < 10; i++) {
                      bodies.emplace_back([&, i] {
                          return pool.try_submit([&order, i] {
                              order.push_back(i);
                              return 0;
                          });
                      });
                      EXPECT_EQ(0, skua_create_task(pools::run_body,
                                                    &bodies.back(), &tasks[i]));
                      EXPECT_EQ(0, skua_yield());
                      EXPECT_FALSE(skua_future_done(tasks[i]));
                  }
                  gate.open.release();
                  for (skua_task *task : tasks) {
                      EXPECT_EQ(0, skua_await(task, nullptr));
                      skua_future_unref(task);
                  }
                  return 0;
              }));
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
    EXPECT_EQ((std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}), order);
}

TEST(RoomSuspend, ACancelledSubmitterHasNotSubmitted)
{
    Pool pool(bounded(1, 1, SKUA_QUEUE_SUSPEND));
    std::atomic<int> ran{0};
    Gate gate;
    const Future blocker = pool.submit(gate.body());
    const Future queued = pool.submit([] { return 0; });
    Body waits = [&] {
        return pool.try_submit([&] {
            ran++;
            return 0;
        });
    };

    EXPECT_EQ(
        0, run_task([&] {
            skua_task *first = nullptr;
            skua_task *second = nullptr;

            EXPECT_EQ(0, skua_create_task(pools::run_body, &waits, &first));
            EXPECT_EQ(0, skua_create_task(pools::run_body, &waits, &second));
            EXPECT_EQ(0, skua_yield());
            EXPECT_EQ(1, skua_task_cancel(first));
            EXPECT_EQ(SKUA_ECANCELED, skua_await(first, nullptr));
            gate.open.release();
            EXPECT_EQ(0, skua_await(second, nullptr));
            skua_future_unref(first);
            skua_future_unref(second);
            return 0;
        }));
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
    EXPECT_EQ(1, ran.load());
    EXPECT_EQ(3, pool.stats().submitted);
}

/* The place that it was given goes to the next one. */
TEST(RoomSuspend, ASubmitterThatIsCancelledWithItsPlaceHandsItOn)
{
    for (int round = 0; round < 300; round++) {
        Pool pool(bounded(1, 1, SKUA_QUEUE_SUSPEND));
        Gate gate;
        const Future blocker = pool.submit(gate.body());
        const Future queued = pool.submit([] { return 0; });
        Body waits = [&] { return pool.try_submit([] { return 0; }); };

        EXPECT_EQ(0, run_task([&] {
                      skua_task *tasks[4] = {};

                      for (skua_task *&task : tasks) {
                          EXPECT_EQ(0, skua_create_task(pools::run_body, &waits,
                                                        &task));
                      }
                      EXPECT_EQ(0, skua_yield());
                      gate.open.release();
                      (void)skua_task_cancel(tasks[0]);
                      (void)skua_task_cancel(tasks[2]);
                      for (skua_task *task : tasks) {
                          const int status = skua_await(task, nullptr);

                          EXPECT_TRUE(status == 0 || status == SKUA_ECANCELED);
                          skua_future_unref(task);
                      }
                      return pool.try_submit([] { return 0; });
                  }));
    }
}

TEST(RoomSuspend, IsADeadlockInACallbackAndInItsOwnWorker)
{
    Pool pool(bounded(1, 1, SKUA_QUEUE_SUSPEND));
    Gate gate;
    const Future blocker = pool.submit([&] {
        gate.begun.release();
        gate.open.acquire();
        return pool.try_submit([] { return 0; });
    });
    const Future queued = pool.submit([] { return 0; });
    struct {
        Pool *pool;
        int status;
    } seen = {&pool, 0};

    EXPECT_EQ(0, run_task([&] {
                  EXPECT_EQ(0, skua_loop_call_soon(
                                   skua_get_running_loop(),
                                   [](void *arg) {
                                       auto *self =
                                           static_cast<decltype(seen) *>(arg);

                                       self->status = self->pool->try_submit(
                                           [] { return 0; });
                                   },
                                   &seen, nullptr));
                  EXPECT_EQ(0, skua_yield());
                  return skua_yield();
              }));
    EXPECT_EQ(-EDEADLK, seen.status);
    gate.open.release();
    EXPECT_EQ(-EDEADLK, blocker.await());
    EXPECT_EQ(2, pool.stats().rejected);
}

/** Threads and a task that wait for room, and what they were told. */
struct Waiting {
    std::vector<std::thread> threads;
    std::vector<int> statuses;

    Waiting(Pool &pool, int count) : statuses(static_cast<size_t>(count), 1)
    {
        for (int &status : statuses) {
            threads.emplace_back([&pool, &status] {
                status = pool.try_submit([] { return 0; });
            });
        }
    }

    void join()
    {
        for (std::thread &thread : threads) {
            thread.join();
        }
    }
};

TEST(RoomClose, ShutdownWakesWhoWaits)
{
    for (int round = 0; round < 50; round++) {
        Pool pool(bounded(1, 1, SKUA_QUEUE_SUSPEND));
        Gate gate;
        const Future blocker = pool.submit(gate.body());
        const Future queued = pool.submit([] { return 0; });
        Waiting waiting(pool, 3);

        if (round % 2 == 0) {
            gate.begun.acquire();
        }
        EXPECT_EQ(0, skua_executor_shutdown(pool.get(), false, false));
        waiting.join();
        EXPECT_EQ(std::vector<int>(3, SKUA_ECLOSED), waiting.statuses);
        gate.open.release();
        EXPECT_EQ(0, queued.await());
    }
}

/* Conformance 164, with submitters that wait. */
TEST(RoomClose, N164_AFailingInitializerWakesWhoWaits)
{
    for (int round = 0; round < 50; round++) {
        Gate gate;
        Body initialize = [&] {
            gate.begun.release();
            gate.open.acquire();
            return -EIO;
        };
        skua_thread_pool_options options = bounded(1, 2, SKUA_QUEUE_SUSPEND);

        options.initializer = pools::run_body;
        options.initializer_arg = &initialize;
        Pool pool(options);
        std::vector<Future> futures;

        for (int i = 0; i < 3; i++) {
            futures.push_back(pool.submit([] {
                ADD_FAILURE() << "ran in a broken pool";
                return 0;
            }));
        }
        Waiting waiting(pool, 2);

        gate.begun.acquire();
        gate.open.release();
        waiting.join();
        EXPECT_EQ(std::vector<int>(2, SKUA_EBROKENPOOL), waiting.statuses);
        for (const Future &future : futures) {
            EXPECT_EQ(SKUA_EBROKENPOOL, future.await());
        }
        EXPECT_EQ(SKUA_EBROKENPOOL, pool.try_submit([] { return 0; }));
    }
}

TEST(RoomStress, ManySubmittersShareAFewPlaces)
{
    Pool pool(bounded(2, 2, SKUA_QUEUE_SUSPEND));
    std::atomic<int> ran{0};
    std::vector<std::thread> threads;

    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&] {
            for (int i = 0; i < 500; i++) {
                EXPECT_EQ(0, pool.try_submit([&] {
                    ran++;
                    return 0;
                }));
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
    EXPECT_EQ(2000, ran.load());
    EXPECT_EQ(0, pool.stats().queued);
}

} // namespace
