/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/executor/thread_pool_threads.c: threads that come and go. */
#include "unit/sched/executor/pool_support.h"

namespace
{

using pools::Future;
using pools::Gate;
using pools::Pool;
using pools::Semaphore;

skua_thread_pool_options idling(int max_workers, int64_t idle_ns)
{
    skua_thread_pool_options options = {};

    options.max_workers = max_workers;
    options.idle_ns = idle_ns;
    return options;
}

/** Tells when the thread that has touched it has ended. */
class Farewell
{
  public:
    ~Farewell()
    {
        if (gone_ != nullptr) {
            gone_->release();
        }
    }

    void tell(Semaphore *gone)
    {
        gone_ = gone;
    }

  private:
    Semaphore *gone_ = nullptr;
};

void tell_when_thread_ends(Semaphore *gone)
{
    thread_local Farewell farewell;

    farewell.tell(gone);
}

TEST(ThreadPoolIdle, RefusesNegativeTimes)
{
    const skua_thread_pool_options options = idling(1, -1);
    skua_executor *executor = nullptr;

    EXPECT_EQ(-EINVAL, skua_thread_pool_executor_new(&options, &executor));
}

TEST(ThreadPoolIdle, ThreadsEndAndOthersComeWhenThereIsWork)
{
    Pool pool(idling(3, 1 * SKUA_MS));

    for (int round = 0; round < 20; round++) {
        Semaphore gone{0};
        Gate gate;
        std::vector<Future> futures;

        for (int i = 0; i < 3; i++) {
            futures.push_back(pool.submit([&] {
                tell_when_thread_ends(&gone);
                return gate.body()();
            }));
            gate.begun.acquire();
        }
        EXPECT_EQ(3, pool.stats().workers);
        gate.open.release(3);
        for (const Future &future : futures) {
            EXPECT_EQ(0, future.await());
        }
        for (int i = 0; i < 3; i++) {
            gone.acquire();
        }
        EXPECT_EQ(0, pool.stats().workers);
        EXPECT_EQ(0, pool.stats().idle);
    }
}

TEST(ThreadPoolIdle, BusyThreadsStay)
{
    Pool pool(idling(2, 1 * SKUA_MS));
    Semaphore gone{0};
    Gate gate;
    const Future busy = pool.submit(gate.body());

    gate.begun.acquire();
    EXPECT_EQ(0, pool.submit([&] {
                         tell_when_thread_ends(&gone);
                         return 0;
                     })
                     .await());
    gone.acquire();
    EXPECT_EQ(1, pool.stats().workers);
    gate.open.release();
    EXPECT_EQ(0, busy.await());
}

TEST(ThreadPoolIdle, ForEverMeansThatTheyStay)
{
    Pool lasting(idling(1, SKUA_FOREVER));
    Pool ending(idling(1, 20 * SKUA_MS));
    Semaphore lasting_gone{0};
    Semaphore ending_gone{0};

    EXPECT_EQ(0, lasting
                     .submit([&] {
                         tell_when_thread_ends(&lasting_gone);
                         return 0;
                     })
                     .await());
    EXPECT_EQ(0, ending
                     .submit([&] {
                         tell_when_thread_ends(&ending_gone);
                         return 0;
                     })
                     .await());
    ending_gone.acquire();
    EXPECT_FALSE(lasting_gone.try_acquire());
    EXPECT_EQ(1, lasting.stats().workers);
    EXPECT_EQ(0, skua_executor_shutdown(lasting.get(), true, false));
    EXPECT_TRUE(lasting_gone.try_acquire()); /* it was joined */
}

TEST(ThreadPoolIdle, APoolWithoutThreadsEnds)
{
    for (const bool cancel : {false, true}) {
        Pool pool(idling(1, 1 * SKUA_MS));
        Semaphore gone{0};

        EXPECT_EQ(0, pool.submit([&] {
                             tell_when_thread_ends(&gone);
                             return 0;
                         })
                         .await());
        gone.acquire();
        EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, cancel));
        EXPECT_EQ(SKUA_ECLOSED, pool.try_submit([] { return 0; }));
    }
}

TEST(ThreadPoolIdle, EachNewThreadIsInitialised)
{
    std::atomic<int> initialised{0};
    pools::Body initialize = [&] {
        initialised++;
        return 0;
    };
    skua_thread_pool_options options = idling(1, 1 * SKUA_MS);

    options.initializer = pools::run_body;
    options.initializer_arg = &initialize;
    Pool pool(options);

    for (int i = 1; i <= 3; i++) {
        Semaphore gone{0};

        EXPECT_EQ(0, pool.submit([&] {
                             tell_when_thread_ends(&gone);
                             return 0;
                         })
                         .await());
        gone.acquire();
        EXPECT_EQ(i, initialised.load());
    }
}

/* TP1: threads leave all the time, one after nearly each job. */
TEST(ThreadPoolIdleStress, WorkIsNeverStranded)
{
    Pool pool(idling(2, 1)); /* a nanosecond */

    for (int i = 0; i < 3000; i++) {
        EXPECT_EQ(0, pool.submit([] { return 0; }).await());
    }
}

TEST(ThreadPoolIdleStress, ManySubmittersLoseNothing)
{
    for (int round = 0; round < 10; round++) {
        Pool pool(idling(3, round % 2 == 0 ? 1 : 20000));
        std::atomic<int> ran{0};
        std::vector<std::thread> threads;

        for (int t = 0; t < 3; t++) {
            threads.emplace_back([&] {
                for (int i = 0; i < 200; i++) {
                    const Future future = pool.submit([&] {
                        ran++;
                        return 0;
                    });

                    if (i % 3 == 0) {
                        EXPECT_EQ(0, future.await());
                    }
                }
            });
        }
        for (std::thread &thread : threads) {
            thread.join();
        }
        EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
        EXPECT_EQ(600, ran.load());
    }
}

/* The last reference goes while threads leave. */
TEST(ThreadPoolIdleStress, PoolsGoWhileTheirThreadsLeave)
{
    for (int round = 0; round < 300; round++) {
        const skua_thread_pool_options options = idling(2, 1 + round * 100);
        skua_executor *executor = nullptr;

        ASSERT_EQ(0, skua_thread_pool_executor_new(&options, &executor));
        for (int i = 0; i < 3; i++) {
            EXPECT_EQ(
                0, skua_executor_submit(
                       executor, [](void *) { return 0; }, nullptr, nullptr));
        }
        skua_executor_unref(executor);
    }
}

} // namespace
