// SPDX-License-Identifier: Apache-2.0
#include "sched/inject.h"

#include <gtest/gtest.h>

#include <vector>

namespace
{

constexpr size_t block = SKUI_INJECT_BLOCK_CAPACITY;

void push_one(skui_inject *queue, skui_runnable *item)
{
    skui_inject_push(queue, &item, 1);
}

void push_together(skui_inject *queue, std::vector<skui_runnable> &items)
{
    std::vector<skui_runnable *> pointers;

    for (auto &item : items) {
        pointers.push_back(&item);
    }
    skui_inject_push(queue, pointers.data(), pointers.size());
}

std::vector<skui_runnable *> pop(skui_inject *queue)
{
    std::vector<skui_runnable *> out(block);

    out.resize(skui_inject_pop(queue, out.data()));
    return out;
}

std::vector<skui_runnable *> pop_all(skui_inject *queue)
{
    std::vector<skui_runnable *> all;

    for (auto part = pop(queue); !part.empty(); part = pop(queue)) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

} // namespace

TEST(InjectPop, GivesNothingWhenEmpty)
{
    skui_inject queue{};

    EXPECT_EQ(skui_inject_count(&queue), 0u);
    EXPECT_TRUE(pop(&queue).empty());
}

TEST(InjectPop, TakesSeveralThatCameAlone)
{
    skui_inject queue{};
    std::vector<skui_runnable> items(block + 3);

    for (auto &item : items) {
        push_one(&queue, &item);
    }
    EXPECT_EQ(skui_inject_count(&queue), block + 3);
    auto first = pop(&queue);
    ASSERT_EQ(first.size(), block);
    EXPECT_EQ(skui_inject_count(&queue), 3u);
    auto second = pop(&queue);
    ASSERT_EQ(second.size(), 3u);
    EXPECT_EQ(skui_inject_count(&queue), 0u);
    for (size_t i = 0; i < items.size(); i++) {
        EXPECT_EQ(i < block ? first[i] : second[i - block], &items[i]);
    }
}

TEST(InjectPop, GivesBlocksOfEachSizeInTheirOrder)
{
    for (size_t size = 1; size <= 2 * block + 2; size++) {
        skui_inject queue{};
        std::vector<skui_runnable> items(size);

        push_together(&queue, items);
        EXPECT_EQ(skui_inject_count(&queue), size);
        auto all = pop_all(&queue);
        ASSERT_EQ(all.size(), size);
        for (size_t i = 0; i < size; i++) {
            ASSERT_EQ(all[i], &items[i]);
        }
        EXPECT_EQ(skui_inject_count(&queue), 0u);
    }
}

TEST(InjectPop, TakesOneBlockAtATime)
{
    skui_inject queue{};
    std::vector<skui_runnable> first(5);
    std::vector<skui_runnable> second(block + 2);

    push_together(&queue, first);
    push_together(&queue, second);
    EXPECT_EQ(pop(&queue).size(), 5u);
    EXPECT_EQ(pop(&queue).size(), block);
    EXPECT_EQ(pop(&queue).size(), 2u);
    EXPECT_TRUE(pop(&queue).empty());
}

TEST(InjectPush, AppendsBehindWhatIsThere)
{
    skui_inject queue{};
    skui_runnable before{};
    std::vector<skui_runnable> items(3);
    skui_runnable after{};

    push_one(&queue, &before);
    push_together(&queue, items);
    push_one(&queue, &after);
    std::vector<skui_runnable *> expected = {&before, &items[0], &items[1],
                                             &items[2], &after};
    EXPECT_EQ(pop_all(&queue), expected);
}

TEST(InjectPush, WorksAfterTheQueueRanEmpty)
{
    skui_inject queue{};
    std::vector<skui_runnable> items(3);

    for (int round = 0; round < 3; round++) {
        push_one(&queue, &items[0]);
        ASSERT_EQ(pop(&queue).size(), 1u);
        push_together(&queue, items);
        ASSERT_EQ(pop(&queue).size(), 3u);
    }
    EXPECT_EQ(skui_inject_count(&queue), 0u);
}
