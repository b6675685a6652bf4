/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/ck_adapter.c: the bounded queue. */
#include "ck_adapter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

namespace
{

struct item {
    int producer;
    int number;
};

TEST(BoundedQueueInit, RefusesAbsurdCapacities)
{
    struct skui_bounded_queue queue = {};

    EXPECT_EQ(skui_bounded_queue_init(&queue, 0), -EINVAL);
    EXPECT_EQ(skui_bounded_queue_init(&queue, SIZE_MAX), -EINVAL);
    skui_bounded_queue_fini(&queue);
    skui_bounded_queue_fini(nullptr);
}

TEST(BoundedQueuePush, KeepsOrderAndEndsWhenFull)
{
    struct skui_bounded_queue queue = {};
    item items[64] = {};
    int pushed = 0;

    ASSERT_EQ(skui_bounded_queue_init(&queue, 4), 0);
    EXPECT_EQ(skui_bounded_queue_try_pop(&queue), nullptr);
    while (pushed < 64 && skui_bounded_queue_try_push(&queue, &items[pushed])) {
        pushed++;
    }
    EXPECT_GE(pushed, 4);
    EXPECT_LT(pushed, 64);
    for (int i = 0; i < pushed; i++) {
        EXPECT_EQ(skui_bounded_queue_try_pop(&queue), &items[i]);
    }
    EXPECT_EQ(skui_bounded_queue_try_pop(&queue), nullptr);
    skui_bounded_queue_fini(&queue);
}

TEST(BoundedQueueStress, LosesNothingAndKeepsEachProducersOrder)
{
    constexpr int kProducers = 2;
    constexpr int kItems = 20000;
    struct skui_bounded_queue queue = {};
    std::vector<std::vector<item>> items(kProducers, std::vector<item>(kItems));
    std::atomic<int> left{kProducers * kItems};
    std::vector<std::thread> threads;

    ASSERT_EQ(skui_bounded_queue_init(&queue, 100), 0);
    for (int p = 0; p < kProducers; p++) {
        threads.emplace_back([&, p] {
            for (int i = 0; i < kItems; i++) {
                items[p][i] = {p, i};
                while (!skui_bounded_queue_try_push(&queue, &items[p][i])) {
                    std::this_thread::yield();
                }
            }
        });
    }
    for (int c = 0; c < 2; c++) {
        threads.emplace_back([&] {
            int latest[kProducers] = {-1, -1};

            while (left.load() > 0) {
                auto *got =
                    static_cast<item *>(skui_bounded_queue_try_pop(&queue));

                if (got == nullptr) {
                    std::this_thread::yield();
                    continue;
                }
                ASSERT_GT(got->number, latest[got->producer]);
                latest[got->producer] = got->number;
                left--;
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(skui_bounded_queue_try_pop(&queue), nullptr);
    skui_bounded_queue_fini(&queue);
}

} // namespace
