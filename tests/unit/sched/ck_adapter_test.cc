/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/ck_adapter.c: the bounded queue. */
#include "ck_adapter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <mutex>
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

bool push(struct skui_bounded_queue *queue, item *value)
{
    const struct skui_queue_item pushed = {value, nullptr, value};

    return skui_bounded_queue_push(queue, &pushed);
}

/* Null when the queue is empty. */
item *pop(struct skui_bounded_queue *queue)
{
    struct skui_queue_item popped = {};

    if (!skui_bounded_queue_pop(queue, &popped)) {
        return nullptr;
    }
    EXPECT_EQ(popped.value, popped.arg);
    return static_cast<item *>(popped.value);
}

TEST(BoundedQueuePush, KeepsOrderAndEndsWhenFull)
{
    constexpr int kCapacity = 5;
    struct skui_bounded_queue queue = {};
    item items[kCapacity + 1] = {};

    ASSERT_EQ(skui_bounded_queue_init(&queue, kCapacity), 0);
    for (int round = 0; round < 3; round++) {
        EXPECT_EQ(pop(&queue), nullptr);
        EXPECT_TRUE(skui_bounded_queue_is_empty(&queue));
        EXPECT_TRUE(skui_bounded_queue_seems_empty(&queue));
        for (int i = 0; i < kCapacity; i++) {
            EXPECT_TRUE(push(&queue, &items[i]));
            EXPECT_FALSE(skui_bounded_queue_is_empty(&queue));
            EXPECT_FALSE(skui_bounded_queue_seems_empty(&queue));
        }
        EXPECT_FALSE(push(&queue, &items[kCapacity]));
        for (int i = 0; i < kCapacity; i++) {
            EXPECT_EQ(pop(&queue), &items[i]);
        }
    }
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
    std::mutex pushing;
    std::mutex popping;

    ASSERT_EQ(skui_bounded_queue_init(&queue, 100), 0);
    for (int p = 0; p < kProducers; p++) {
        threads.emplace_back([&, p] {
            for (int i = 0; i < kItems;) {
                const std::lock_guard<std::mutex> lock(pushing);

                items[p][i] = {p, i};
                i += push(&queue, &items[p][i]) ? 1 : 0;
            }
        });
    }
    for (int c = 0; c < 2; c++) {
        threads.emplace_back([&] {
            int latest[kProducers] = {-1, -1};

            while (left.load() > 0) {
                item *got = nullptr;

                if (!skui_bounded_queue_seems_empty(&queue)) {
                    const std::lock_guard<std::mutex> lock(popping);

                    got = pop(&queue);
                }
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
    EXPECT_TRUE(skui_bounded_queue_is_empty(&queue));
    skui_bounded_queue_fini(&queue);
}

/* Spin, and give way to a thread without a core of its own. */
void await(int turn)
{
    if (turn % 256 == 0) {
        std::this_thread::yield();
    } else {
        skui_cpu_relax();
    }
}

/* Of a push and a look, each beside an exchange, one sees the other (CK2). */
TEST(BoundedQueueStress, APushOrALookSeesTheOther)
{
    constexpr int kRounds = 20000;
    struct skui_bounded_queue queue = {};
    alignas(SKUI_CACHE_LINE) std::atomic<int> pushes{0};
    alignas(SKUI_CACHE_LINE) std::atomic<int> looks{0};
    alignas(SKUI_CACHE_LINE) std::atomic<int> gate{0};
    item thing = {};
    int missed = 0;

    ASSERT_EQ(skui_bounded_queue_init(&queue, 1), 0);
    std::vector<int> looks_seen(kRounds + 1);
    std::thread pusher([&] {
        for (int round = 1; round <= kRounds; round++) {
            for (int i = 1; gate.load() < round; i++) {
                await(i);
            }
            ASSERT_TRUE(push(&queue, &thing));
            pushes.exchange(round);
            looks_seen[round] = looks.load();
            gate.fetch_add(kRounds); /* done */
            for (int i = 1; gate.load() > kRounds; i++) {
                await(i);
            }
        }
    });
    for (int round = 1; round <= kRounds; round++) {
        bool empty;

        gate.store(round);
        for (int i = 0; i < round % 256; i++) {
            skui_cpu_relax(); /* until the pusher is there, about */
        }
        looks.exchange(round);
        empty = skui_bounded_queue_is_empty(&queue);
        for (int i = 1; gate.load() <= kRounds; i++) {
            await(i);
        }
        missed += empty && looks_seen[round] != round ? 1 : 0;
        EXPECT_EQ(pop(&queue), &thing);
        gate.store(0);
    }
    pusher.join();
    EXPECT_EQ(missed, 0);
    skui_bounded_queue_fini(&queue);
}

} // namespace
