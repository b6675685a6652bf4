/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/executor/work_queue.c: the ring and the list behind it. */
#include "executor/work_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <thread>
#include <vector>

#include "skua/status.h"

namespace
{

struct skui_work work_of(std::intptr_t number)
{
    return {nullptr, reinterpret_cast<void *>(number), nullptr};
}

std::intptr_t number_of(const struct skui_work &work)
{
    return reinterpret_cast<std::intptr_t>(work.arg);
}

int push(struct skui_work_queue *queue, std::intptr_t number)
{
    const struct skui_work work = work_of(number);

    return skui_work_queue_push(queue, &work);
}

TEST(WorkQueueInit, RefusesBadCapacities)
{
    struct skui_work_queue queue;

    EXPECT_EQ(skui_work_queue_init(&queue, 0), -EINVAL);
    EXPECT_EQ(skui_work_queue_init(&queue, std::size_t{1} << 40), -EINVAL);
}

TEST(WorkQueueOrder, HoldsAcrossRingAndList)
{
    struct skui_work_queue queue;
    struct skui_work work;
    std::intptr_t popped = 0;

    ASSERT_EQ(skui_work_queue_init(&queue, 7), 0);
    EXPECT_FALSE(skui_work_queue_pop(&queue, &work));
    for (std::intptr_t i = 0; i < 300; i++) {
        ASSERT_EQ(push(&queue, i), 0);
    }
    EXPECT_EQ(skui_work_queue_count(&queue), 300u);
    for (; popped < 150; popped++) {
        ASSERT_TRUE(skui_work_queue_pop(&queue, &work));
        ASSERT_EQ(number_of(work), popped);
    }
    for (std::intptr_t i = 300; i < 500; i++) {
        ASSERT_EQ(push(&queue, i), 0);
    }
    for (; popped < 500; popped++) {
        EXPECT_TRUE(skui_work_queue_has_work(&queue));
        ASSERT_TRUE(skui_work_queue_pop(&queue, &work));
        ASSERT_EQ(number_of(work), popped);
    }
    EXPECT_FALSE(skui_work_queue_has_work(&queue));
    EXPECT_FALSE(skui_work_queue_pop(&queue, &work));
    EXPECT_EQ(skui_work_queue_count(&queue), 0u);
    skui_work_queue_fini(&queue);
}

TEST(WorkQueueClose, RefusesPushesAndKeepsWhatIsQueued)
{
    struct skui_work_queue queue;
    struct skui_work work;

    ASSERT_EQ(skui_work_queue_init(&queue, 2), 0);
    for (std::intptr_t i = 0; i < 5; i++) {
        ASSERT_EQ(push(&queue, i), 0); /* three of them in the list */
    }
    EXPECT_FALSE(skui_work_queue_is_closed(&queue));
    skui_work_queue_close(&queue);
    EXPECT_TRUE(skui_work_queue_is_closed(&queue));
    EXPECT_EQ(push(&queue, 5), SKUA_ECLOSED);
    for (std::intptr_t i = 0; i < 5; i++) {
        EXPECT_FALSE(skui_work_queue_is_drained(&queue));
        ASSERT_TRUE(skui_work_queue_pop(&queue, &work));
        ASSERT_EQ(number_of(work), i);
    }
    EXPECT_TRUE(skui_work_queue_is_drained(&queue));
    EXPECT_EQ(push(&queue, 5), SKUA_ECLOSED); /* the ring has room */
    EXPECT_FALSE(skui_work_queue_pop(&queue, &work));
    skui_work_queue_fini(&queue);
}

TEST(WorkQueueStress, KeepsEachProducersOrder)
{
    constexpr int kProducers = 2;
    constexpr std::intptr_t kItems = 20000;
    struct skui_work_queue queue;
    std::vector<std::thread> producers;
    std::vector<std::intptr_t> latest(kProducers, -1);

    ASSERT_EQ(skui_work_queue_init(&queue, 31), 0);
    for (int p = 0; p < kProducers; p++) {
        producers.emplace_back([&, p] {
            for (std::intptr_t i = 0; i < kItems; i++) {
                ASSERT_EQ(push(&queue, p * kItems + i), 0);
            }
        });
    }
    for (std::intptr_t left = kProducers * kItems; left > 0;) {
        struct skui_work work;

        if (!skui_work_queue_pop(&queue, &work)) {
            std::this_thread::yield();
            continue;
        }
        const auto producer = number_of(work) / kItems;
        const auto number = number_of(work) % kItems;

        ASSERT_EQ(number, latest[producer] + 1);
        latest[producer] = number;
        left--;
    }
    for (auto &producer : producers) {
        producer.join();
    }
    skui_work_queue_fini(&queue);
}

/* What is accepted before closing is popped, and nothing else. */
TEST(WorkQueueStress, ClosingLosesNothing)
{
    constexpr int kThreads = 3;

    for (int round = 0; round < 200; round++) {
        struct skui_work_queue queue;
        std::vector<std::thread> threads;
        std::atomic<std::intptr_t> accepted{0};
        std::atomic<std::intptr_t> popped{0};

        ASSERT_EQ(skui_work_queue_init(&queue, 4), 0);
        for (int t = 0; t < kThreads; t++) {
            threads.emplace_back([&] {
                while (push(&queue, 1) == 0) {
                    accepted++;
                }
            });
            threads.emplace_back([&] {
                struct skui_work work;

                while (!skui_work_queue_is_drained(&queue)) {
                    if (skui_work_queue_pop(&queue, &work)) {
                        popped++;
                    } else {
                        std::this_thread::yield();
                    }
                }
            });
        }
        while (popped.load() < 50) {
            std::this_thread::yield();
        }
        skui_work_queue_close(&queue);
        for (auto &thread : threads) {
            thread.join();
        }
        EXPECT_EQ(popped.load(), accepted.load());
        EXPECT_EQ(skui_work_queue_count(&queue), 0u);
        skui_work_queue_fini(&queue);
    }
}

} // namespace
