/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/executor/work_queue.c: the ring and the list behind it. */
#include "executor/work_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace
{

TEST(WorkQueueOrder, HoldsAcrossRingAndList)
{
    struct skui_work_queue queue;
    std::vector<struct skui_work> works(500);
    std::size_t popped = 0;

    ASSERT_EQ(skui_work_queue_init(&queue, 7), 0);
    EXPECT_EQ(skui_work_queue_pop(&queue), nullptr);
    for (std::size_t i = 0; i < 300; i++) {
        skui_work_queue_push(&queue, &works[i]);
    }
    for (; popped < 150; popped++) {
        ASSERT_EQ(skui_work_queue_pop(&queue), &works[popped]);
    }
    for (std::size_t i = 300; i < 500; i++) {
        skui_work_queue_push(&queue, &works[i]);
    }
    for (; popped < 500; popped++) {
        ASSERT_EQ(skui_work_queue_pop(&queue), &works[popped]);
    }
    EXPECT_EQ(skui_work_queue_pop(&queue), nullptr);
    skui_work_queue_fini(&queue);
}

TEST(WorkQueueStress, KeepsEachProducersOrder)
{
    constexpr int kProducers = 2;
    constexpr std::intptr_t kItems = 20000;
    struct skui_work_queue queue;
    std::vector<struct skui_work> works(kProducers * kItems);
    std::vector<std::thread> producers;
    std::vector<std::intptr_t> latest(kProducers, -1);

    ASSERT_EQ(skui_work_queue_init(&queue, 31), 0);
    for (int p = 0; p < kProducers; p++) {
        producers.emplace_back([&, p] {
            for (std::intptr_t i = 0; i < kItems; i++) {
                struct skui_work *work = &works[p * kItems + i];

                work->arg = reinterpret_cast<void *>(i);
                skui_work_queue_push(&queue, work);
            }
        });
    }
    for (std::intptr_t left = kProducers * kItems; left > 0;) {
        struct skui_work *work = skui_work_queue_pop(&queue);

        if (work == nullptr) {
            std::this_thread::yield();
            continue;
        }
        const auto producer = (work - works.data()) / kItems;
        const auto number = reinterpret_cast<std::intptr_t>(work->arg);

        ASSERT_EQ(number, latest[producer] + 1);
        latest[producer] = number;
        left--;
    }
    for (auto &producer : producers) {
        producer.join();
    }
    skui_work_queue_fini(&queue);
}

} // namespace
