// SPDX-License-Identifier: Apache-2.0
#include "sched/spinlock.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

TEST(SpinlockTryLock, FailsWhileHeld)
{
    skui_spinlock lock{};

    EXPECT_TRUE(skui_spinlock_try_lock(&lock));
    EXPECT_FALSE(skui_spinlock_try_lock(&lock));
    skui_spinlock_unlock(&lock);
    EXPECT_TRUE(skui_spinlock_try_lock(&lock));
    skui_spinlock_unlock(&lock);
}

TEST(SpinlockLock, ExcludesOtherThreads)
{
    constexpr int threads_count = 4;
    constexpr int rounds = 5000;
    skui_spinlock lock{};
    int plain_counter = 0;
    std::vector<std::thread> threads;

    for (int i = 0; i < threads_count; i++) {
        threads.emplace_back([&] {
            for (int round = 0; round < rounds; round++) {
                skui_spinlock_lock(&lock);
                plain_counter++;
                skui_spinlock_unlock(&lock);
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(plain_counter, threads_count * rounds);
}
