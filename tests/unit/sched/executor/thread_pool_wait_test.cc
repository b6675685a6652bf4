/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/executor/thread_pool_wait.c: pools that wait for themselves.
 */
#include "unit/sched/executor/pool_support.h"

namespace
{

using pools::Body;
using pools::Future;
using pools::Gate;
using pools::Pool;

/** Await what was submitted by somebody. */
int await_and_drop(skua_future *future)
{
    const int status = skua_await(future, nullptr);

    skua_future_unref(future);
    return status;
}

/** Work that submits work that submits work, and waits for each. */
struct Descent {
    Pool &pool;
    std::atomic<int> deepest{0};
    size_t frame_bytes = 0;

    int descend(int depth)
    {
        skua_future *future = nullptr;
        int status;

        deepest = depth;
        if (depth == 0) {
            return 0;
        }
        status = pool.try_submit([this, depth] { return descend(depth - 1); },
                                 &future);
        return status < 0 ? status : await_and_drop(future);
    }
};

TEST(ThreadPoolWait, OneThreadDoesWorkThatWaitsForWork)
{
    Pool pool(1);
    Descent descent{pool};

    EXPECT_EQ(0, pool.submit([&] { return descent.descend(1000); }).await());
    EXPECT_EQ(0, descent.deepest.load());
    EXPECT_EQ(1, pool.stats().workers);
}

TEST(ThreadPoolWait, SoDoSeveral)
{
    Pool pool(3);
    Descent descent{pool};
    std::vector<Future> futures;

    for (int i = 0; i < 20; i++) {
        futures.push_back(pool.submit([&] { return descent.descend(50); }));
    }
    for (const Future &future : futures) {
        EXPECT_EQ(0, future.await());
    }
}

/* What it waits for leaves the queue at once, so one place is enough. */
TEST(ThreadPoolWait, NeedsOnePlaceInABoundedQueue)
{
    for (const skua_queue_policy policy :
         {SKUA_QUEUE_SUSPEND, SKUA_QUEUE_REJECT}) {
        skua_thread_pool_options options = {};

        options.max_workers = 1;
        options.max_queued = 1;
        options.policy = policy;
        Pool pool(options);
        Descent descent{pool};

        EXPECT_EQ(0,
                  pool.submit([&] { return descent.descend(1000); }).await());
    }
}

TEST(ThreadPoolWait, FailsInAFullQueueAndLosesNothing)
{
    skua_thread_pool_options options = {};

    options.max_workers = 1;
    options.max_queued = 1;
    options.policy = SKUA_QUEUE_SUSPEND;
    Pool pool(options);
    Descent descent{pool};
    Gate gate;
    const Future first = pool.submit([&] {
        gate.body()();
        return descent.descend(10);
    });
    const Future queued = pool.submit([] { return 0; });

    gate.open.release();
    EXPECT_EQ(-EDEADLK, first.await());
    EXPECT_EQ(0, queued.await());
}

TEST(ThreadPoolWait, RunsWhatOthersHaveSubmittedBehindIt)
{
    Pool pool(1);
    Gate gate;
    skua_future *behind = nullptr;
    std::thread::id there;
    const Future first = pool.submit([&] {
        gate.body()();
        EXPECT_EQ(0, skua_await(behind, nullptr));
        EXPECT_EQ(std::this_thread::get_id(), there);
        return 0;
    });
    const Future between = pool.submit([&] {
        EXPECT_NE(std::thread::id(), there) << "the awaited comes first";
        return 0;
    });
    const Future last = pool.submit([&] {
        there = std::this_thread::get_id();
        return 0;
    });

    behind = last.get();
    gate.open.release();
    EXPECT_EQ(0, first.await());
    EXPECT_EQ(0, between.await());
}

/* More than the ring holds, so it lies in the list behind it. */
TEST(ThreadPoolWait, FindsWhatIsFarBehind)
{
    Pool pool(1);
    Gate gate;
    std::atomic<int> ran{0};
    skua_future *behind = nullptr;
    const Future first = pool.submit([&] {
        gate.body()();
        EXPECT_EQ(0, skua_await(behind, nullptr));
        EXPECT_EQ(1, ran.load());
        return 0;
    });
    Future last;

    for (int i = 0; i < 3000; i++) {
        last = pool.submit([&] {
            ran++;
            return 0;
        });
    }
    behind = last.get();
    gate.open.release();
    EXPECT_EQ(0, first.await());
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
    EXPECT_EQ(3000, ran.load());
}

TEST(ThreadPoolWait, AWaitWithALimitEndsByIt)
{
    Pool pool(1);
    Gate gate;
    std::atomic<int> ran{0};
    skua_future *behind = nullptr;
    const Future first = pool.submit([&] {
        gate.body()();
        EXPECT_EQ(-ETIMEDOUT, skua_await_until(
                                  behind, skua_monotonic() + SKUA_MS, nullptr));
        EXPECT_EQ(0, ran.load());
        return 0;
    });
    const Future second = pool.submit([&] {
        ran++;
        return 0;
    });

    behind = second.get();
    gate.open.release();
    EXPECT_EQ(0, first.await());
    EXPECT_EQ(0, second.await());
}

TEST(ThreadPoolWait, WorkThatWaitsForItselfIsTold)
{
    Pool pool(4);
    Gate gate;
    skua_future *self = nullptr;
    const Future first = pool.submit([&] {
        gate.body()();
        return skua_await(self, nullptr);
    });

    self = first.get();
    gate.open.release();
    EXPECT_EQ(-EDEADLK, first.await());
}

/* First waits for the inner one, which waits for the first. */
TEST(ThreadPoolWait, SoIsARingInOneThread)
{
    Pool pool(1);
    Gate gate;
    skua_future *outer = nullptr;
    const Future first = pool.submit([&] {
        skua_future *inner = nullptr;

        gate.body()();
        EXPECT_EQ(0, pool.try_submit([&] { return skua_await(outer, nullptr); },
                                     &inner));
        return await_and_drop(inner);
    });

    outer = first.get();
    gate.open.release();
    EXPECT_EQ(-EDEADLK, first.await());
}

TEST(ThreadPoolWait, TheLastOfARingOfThreadsIsTold)
{
    for (int round = 0; round < 50; round++) {
        constexpr int kWorkers = 3;
        Pool pool(kWorkers);
        Gate gate;
        skua_future *next[kWorkers] = {};
        std::vector<Future> futures;
        int deadlocks = 0;

        for (int i = 0; i < kWorkers; i++) {
            futures.push_back(pool.submit([&, i] {
                gate.body()();
                return skua_await(next[i], nullptr);
            }));
        }
        for (int i = 0; i < kWorkers; i++) {
            next[i] = futures[static_cast<size_t>((i + 1) % kWorkers)].get();
            gate.begun.acquire();
        }
        gate.open.release(kWorkers);
        for (const Future &future : futures) {
            deadlocks += future.await() == -EDEADLK ? 1 : 0;
        }
        EXPECT_EQ(kWorkers, deadlocks); /* told one, who told the others */
    }
}

/* Each level takes a large frame, so the stack ends before the recursion. */
int descend_heavily(Pool &pool, int depth)
{
    volatile char frame[96 * 1024];
    skua_future *future = nullptr;
    int status;

    frame[0] = 1;
    if (depth == 0) {
        return 0;
    }
    status = pool.try_submit(
        [&pool, depth] { return descend_heavily(pool, depth - 1); }, &future);
    status = status < 0 ? status : await_and_drop(future);
    frame[1] = frame[0];
    return status;
}

TEST(ThreadPoolWait, WithoutStackItIsADeadlockThatIsTold)
{
    Pool pool(1);

    EXPECT_EQ(0, pool.submit([&] { return descend_heavily(pool, 5); }).await());
    EXPECT_EQ(-EDEADLK,
              pool.submit([&] { return descend_heavily(pool, 1000); }).await());
    EXPECT_EQ(0, pool.submit([] { return 0; }).await());
}

TEST(ThreadPoolWait, WaitsForSeveralAtOnce)
{
    for (const skua_return_when when :
         {SKUA_ALL_COMPLETED, SKUA_FIRST_COMPLETED, SKUA_FIRST_EXCEPTION}) {
        Pool pool(1);
        const int expected = when == SKUA_FIRST_COMPLETED ? 1 : 5;

        EXPECT_EQ(0, pool.submit([&] {
                             std::vector<skua_future *> futures(5);
                             int done;

                             for (skua_future *&future : futures) {
                                 EXPECT_EQ(0, pool.try_submit([] { return 0; },
                                                              &future));
                             }
                             done = skua_wait(futures.data(), futures.size(),
                                              SKUA_FOREVER, when, nullptr);
                             for (skua_future *future : futures) {
                                 skua_future_unref(future);
                             }
                             EXPECT_EQ(expected, done);
                             return 0;
                         })
                         .await());
    }
}

TEST(ThreadPoolWait, TakesThemAsTheyComplete)
{
    Pool pool(1);

    EXPECT_EQ(
        0, pool.submit([&] {
                   std::vector<skua_awaitable> awaitables;
                   skua_as_completed iterator;
                   skua_future *done = nullptr;
                   int count = 0;

                   for (int i = 0; i < 5; i++) {
                       skua_future *future = nullptr;

                       EXPECT_EQ(0, pool.try_submit([] { return 0; }, &future));
                       awaitables.push_back(skua_awaitable_future(future));
                   }
                   EXPECT_EQ(5, skua_as_completed_init(
                                    &iterator, awaitables.data(),
                                    awaitables.size(), SKUA_FOREVER));
                   while (skua_as_completed_next(&iterator, &done) == 1) {
                       count++;
                   }
                   skua_as_completed_fini(&iterator);
                   for (const skua_awaitable &awaitable : awaitables) {
                       skua_future_unref(awaitable.future);
                   }
                   EXPECT_EQ(5, count);
                   return 0;
               })
               .await());
}

/* Its own options: what is done within it is not told of its token. */
TEST(ThreadPoolWait, WhatRunsWithinHasItsOwnToken)
{
    Pool pool(1);
    const pools::Token outer;
    const pools::Token inner;
    skua_submit_options options = {};

    options.token = outer.get();
    EXPECT_EQ(
        0,
        pool.submit(
                [&] {
                    skua_submit_options within = {};

                    EXPECT_EQ(1, outer.cancel());
                    EXPECT_TRUE(skua_work_should_stop());
                    EXPECT_EQ(0, pool.submit([] {
                                         EXPECT_FALSE(skua_work_should_stop());
                                         return 0;
                                     })
                                     .await());
                    within.token = inner.get();
                    EXPECT_EQ(0,
                              pool.submit(
                                      [&] {
                                          EXPECT_FALSE(skua_work_should_stop());
                                          return 0;
                                      },
                                      within)
                                  .await());
                    EXPECT_TRUE(skua_work_should_stop());
                    return 0;
                },
                options)
            .await());
}

/* Nor does it see the variables of what it runs in the middle of. */
TEST(ThreadPoolWait, WhatRunsWithinHasItsOwnVariables)
{
    static skua_context_var var = {};
    Body body = [&] {
        skua_executor *executor = nullptr;
        skua_thread_pool_options options = {};
        static int value = 7;
        Body looks = [&] {
            void *found = &value;

            EXPECT_EQ(0, skua_context_var_get(&var, &found));
            return 0;
        };
        Body outer = [&] {
            skua_future *future = nullptr;
            void *found = nullptr;

            EXPECT_EQ(0, skua_executor_submit(executor, pools::run_body, &looks,
                                              &future));
            EXPECT_EQ(0, await_and_drop(future));
            EXPECT_EQ(1, skua_context_var_get(&var, &found));
            EXPECT_EQ(&value, found);
            return 0;
        };

        options.max_workers = 1;
        EXPECT_EQ(0, skua_thread_pool_executor_new(&options, &executor));
        EXPECT_EQ(0, skua_loop_set_default_executor(skua_get_running_loop(),
                                                    executor));
        EXPECT_EQ(0, skua_context_var_set(&var, &value, nullptr));
        EXPECT_EQ(0, skua_to_thread(pools::run_body, &outer, nullptr));
        skua_executor_unref(executor);
        return 0;
    };

    EXPECT_EQ(0, skua_run(pools::run_body, &body));
}

/* Claimed by who waits or by who takes it from the queue, never by both. */
TEST(ThreadPoolWaitStress, EachPieceRunsOnce)
{
    constexpr int kPieces = 40;
    Pool pool(3);

    for (int round = 0; round < 100; round++) {
        std::atomic<int> ran{0};
        std::vector<Future> futures;

        for (int i = 0; i < kPieces; i++) {
            futures.push_back(pool.submit([&] {
                skua_future *inner = nullptr;

                EXPECT_EQ(0, pool.try_submit(
                                 [&] {
                                     ran++;
                                     return 0;
                                 },
                                 &inner));
                return await_and_drop(inner);
            }));
        }
        for (const Future &future : futures) {
            EXPECT_EQ(0, future.await());
        }
        EXPECT_EQ(kPieces, ran.load());
    }
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
    EXPECT_EQ(0, pool.stats().queued);
}

} // namespace
