// SPDX-License-Identifier: Apache-2.0
#include "sched/inject.h"

#include <gtest/gtest.h>

#include <vector>

namespace
{

void push_one(skui_inject *queue, skui_runnable *item)
{
    skui_inject_push(queue, item, item, 1);
}

} // namespace

TEST(InjectPop, GivesNothingWhenEmpty)
{
    skui_inject queue{};
    skui_runnable *first = nullptr;

    EXPECT_EQ(skui_inject_count(&queue), 0u);
    EXPECT_EQ(skui_inject_pop(&queue, 8, &first), 0u);
    EXPECT_EQ(first, nullptr);
}

TEST(InjectPop, TakesTheOldestUpToTheLimit)
{
    skui_inject queue{};
    std::vector<skui_runnable> items(5);
    skui_runnable *first = nullptr;

    for (auto &item : items) {
        push_one(&queue, &item);
    }
    EXPECT_EQ(skui_inject_count(&queue), 5u);
    ASSERT_EQ(skui_inject_pop(&queue, 2, &first), 2u);
    EXPECT_EQ(first, &items[0]);
    EXPECT_EQ(skui_load_relaxed(&first->next), &items[1]);
    EXPECT_EQ(skui_load_relaxed(&items[1].next), nullptr);
    EXPECT_EQ(skui_inject_count(&queue), 3u);
    ASSERT_EQ(skui_inject_pop(&queue, 100, &first), 3u);
    EXPECT_EQ(first, &items[2]);
    EXPECT_EQ(skui_inject_count(&queue), 0u);
}

TEST(InjectPop, OfNoneTakesNone)
{
    skui_inject queue{};
    skui_runnable item{};
    skui_runnable *first = nullptr;

    push_one(&queue, &item);
    EXPECT_EQ(skui_inject_pop(&queue, 0, &first), 0u);
    EXPECT_EQ(skui_inject_count(&queue), 1u);
    EXPECT_EQ(skui_inject_pop(&queue, 1, &first), 1u);
    EXPECT_EQ(first, &item);
}

TEST(InjectPush, AppendsAChainBehindWhatIsThere)
{
    skui_inject queue{};
    std::vector<skui_runnable> items(4);
    skui_runnable *first = nullptr;

    push_one(&queue, &items[0]);
    skui_store_relaxed(&items[1].next, &items[2]);
    skui_inject_push(&queue, &items[1], &items[2], 2);
    push_one(&queue, &items[3]);
    ASSERT_EQ(skui_inject_pop(&queue, 10, &first), 4u);
    for (auto &item : items) {
        ASSERT_EQ(first, &item);
        first = skui_load_relaxed(&first->next);
    }
    EXPECT_EQ(first, nullptr);
}

TEST(InjectPush, WorksAfterTheQueueRanEmpty)
{
    skui_inject queue{};
    skui_runnable item{};
    skui_runnable *first = nullptr;

    for (int round = 0; round < 3; round++) {
        push_one(&queue, &item);
        ASSERT_EQ(skui_inject_pop(&queue, 1, &first), 1u);
        ASSERT_EQ(first, &item);
    }
    EXPECT_EQ(skui_inject_count(&queue), 0u);
}
