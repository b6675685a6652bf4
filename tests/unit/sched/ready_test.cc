// SPDX-License-Identifier: Apache-2.0
#include "sched/ready.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <random>
#include <vector>

namespace
{

constexpr uint64_t any_ticket = UINT64_MAX;
constexpr size_t capacity = SKUI_READY_RING_CAPACITY;

struct Queue {
    Queue()
    {
        skui_ready_init(&ready, SKUI_READY_EXPEDITED);
    }
    skui_ready ready;
};

using Items = std::vector<skui_runnable>;

std::vector<skui_runnable *> pop_all(skui_ready *queue)
{
    std::vector<skui_runnable *> out;

    while (skui_runnable *item = skui_ready_pop(queue, any_ticket)) {
        out.push_back(item);
    }
    return out;
}

void push_stealable(skui_ready *queue, Items &items)
{
    for (auto &item : items) {
        ASSERT_TRUE(skui_ready_push_stealable(queue, &item));
    }
}

unsigned test_seed()
{
    const char *text = std::getenv("SKUA_TEST_SEED");
    unsigned seed = text != nullptr
                        ? static_cast<unsigned>(std::strtoul(text, nullptr, 0))
                        : std::random_device{}();

    std::cout << "SKUA_TEST_SEED=" << seed << '\n';
    return seed;
}

} // namespace

TEST(ReadyPop, GivesNullWhenEmpty)
{
    Queue queue;

    EXPECT_TRUE(skui_ready_is_empty(&queue.ready));
    EXPECT_EQ(skui_ready_pop(&queue.ready, any_ticket), nullptr);
}

TEST(ReadyPop, KeepsOneOrderOverBothQueues)
{
    Queue queue;
    Items items(std::min<size_t>(100, capacity));

    for (size_t i = 0; i < items.size(); i++) {
        if (i % 3 == 0) {
            skui_ready_push_pinned(&queue.ready, &items[i]);
        } else {
            ASSERT_TRUE(skui_ready_push_stealable(&queue.ready, &items[i]));
        }
    }
    for (auto &item : items) {
        EXPECT_EQ(skui_ready_pop(&queue.ready, any_ticket), &item);
    }
    EXPECT_TRUE(skui_ready_is_empty(&queue.ready));
}

TEST(ReadyPop, StopsAtTheTicketGiven)
{
    Queue queue;
    Items items(6);

    skui_ready_push_pinned(&queue.ready, &items[0]);
    ASSERT_TRUE(skui_ready_push_stealable(&queue.ready, &items[1]));
    uint64_t until = skui_ready_next_ticket(&queue.ready);
    ASSERT_TRUE(skui_ready_push_stealable(&queue.ready, &items[2]));
    skui_ready_push_pinned(&queue.ready, &items[3]);

    EXPECT_EQ(skui_ready_pop(&queue.ready, until), &items[0]);
    EXPECT_EQ(skui_ready_pop(&queue.ready, until), &items[1]);
    EXPECT_EQ(skui_ready_pop(&queue.ready, until), nullptr);
    EXPECT_FALSE(skui_ready_is_empty(&queue.ready));
    EXPECT_EQ(skui_ready_pop(&queue.ready, any_ticket), &items[2]);
    EXPECT_EQ(skui_ready_pop(&queue.ready, any_ticket), &items[3]);
}

TEST(ReadyPop, PinnedOnlyStopsAtTheTicketGiven)
{
    Queue queue;
    Items items(2);

    skui_ready_push_pinned(&queue.ready, &items[0]);
    uint64_t until = skui_ready_next_ticket(&queue.ready);
    skui_ready_push_pinned(&queue.ready, &items[1]);

    EXPECT_EQ(skui_ready_pop(&queue.ready, until), &items[0]);
    EXPECT_EQ(skui_ready_pop(&queue.ready, until), nullptr);
    EXPECT_EQ(skui_ready_pop(&queue.ready, any_ticket), &items[1]);
}

TEST(ReadyPop, LeavesHalfOfTheRingToThieves)
{
    Queue queue;
    Items items(4);

    push_stealable(&queue.ready, items);
    EXPECT_EQ(skui_ready_pop(&queue.ready, any_ticket), &items[0]);
    EXPECT_EQ(skui_ready_stealable_count(&queue.ready), 2u);
}

TEST(ReadyPushStealable, RefusesWhenFull)
{
    Queue queue;
    Items items(capacity);
    skui_runnable extra{};

    push_stealable(&queue.ready, items);
    EXPECT_FALSE(skui_ready_push_stealable(&queue.ready, &extra));
    EXPECT_EQ(skui_ready_stealable_count(&queue.ready), capacity);
    EXPECT_NE(skui_ready_pop(&queue.ready, any_ticket), nullptr);
    EXPECT_TRUE(skui_ready_push_stealable(&queue.ready, &extra));
}

TEST(ReadyPushStealable, WrapsAroundManyTimes)
{
    Queue queue;
    Items items(3);

    for (size_t round = 0; round < capacity * 3; round++) {
        push_stealable(&queue.ready, items);
        for (auto &item : items) {
            ASSERT_EQ(skui_ready_pop(&queue.ready, any_ticket), &item);
        }
    }
}

TEST(ReadyPushAll, QueuesInOrderBehindWhatIsThere)
{
    Queue queue;
    Items items(5);
    std::vector<skui_runnable *> rest;

    ASSERT_TRUE(skui_ready_push_stealable(&queue.ready, &items[0]));
    skui_ready_push_pinned(&queue.ready, &items[1]);
    for (size_t i = 2; i < items.size(); i++) {
        rest.push_back(&items[i]);
    }
    EXPECT_EQ(skui_ready_room(&queue.ready), capacity - 1);
    skui_ready_push_all(&queue.ready, rest.data(), rest.size());
    EXPECT_EQ(skui_ready_room(&queue.ready), capacity - 1 - rest.size());
    auto all = pop_all(&queue.ready);
    ASSERT_EQ(all.size(), items.size());
    for (size_t i = 0; i < items.size(); i++) {
        EXPECT_EQ(all[i], &items[i]);
    }
}

TEST(ReadySpill, TakesTheOldestHalf)
{
    Queue queue;
    Items items(capacity);
    skui_runnable *out[SKUI_READY_SPILL_CAPACITY];

    push_stealable(&queue.ready, items);
    ASSERT_EQ(skui_ready_spill(&queue.ready, out), capacity / 2);
    for (size_t i = 0; i < capacity / 2; i++) {
        ASSERT_EQ(out[i], &items[i]);
    }
    EXPECT_EQ(skui_ready_pop(&queue.ready, any_ticket), &items[capacity / 2]);
}

TEST(ReadySpill, GivesNothingWhenEmpty)
{
    Queue queue;
    skui_runnable *out[SKUI_READY_SPILL_CAPACITY];

    EXPECT_EQ(skui_ready_spill(&queue.ready, out), 0u);
}

TEST(ReadySteal, TakesHalfRoundedUpOldestFirst)
{
    Queue victim;
    Queue thief;
    Items items(3);

    push_stealable(&victim.ready, items);
    EXPECT_EQ(skui_ready_steal(&victim.ready, &thief.ready), 2u);
    auto stolen = pop_all(&thief.ready);
    auto left = pop_all(&victim.ready);

    ASSERT_EQ(stolen.size(), 2u);
    ASSERT_EQ(left.size(), 1u);
    EXPECT_EQ(stolen[0], &items[0]);
    EXPECT_EQ(stolen[1], &items[1]);
    EXPECT_EQ(left[0], &items[2]);
}

TEST(ReadySteal, TakesALoneTask)
{
    Queue victim;
    Queue thief;
    Items items(1);
    uint32_t before = skui_ready_head_position(&victim.ready);

    push_stealable(&victim.ready, items);
    EXPECT_EQ(skui_ready_head_position(&victim.ready), before);
    EXPECT_EQ(skui_ready_steal(&victim.ready, &thief.ready), 1u);
    EXPECT_NE(skui_ready_head_position(&victim.ready), before);
    EXPECT_TRUE(skui_ready_is_empty(&victim.ready));
    EXPECT_EQ(skui_ready_pop(&thief.ready, any_ticket), &items[0]);
}

TEST(ReadySteal, LeavesPinnedWorkAlone)
{
    Queue victim;
    Queue thief;
    Items items(3);

    for (auto &item : items) {
        skui_ready_push_pinned(&victim.ready, &item);
    }
    EXPECT_EQ(skui_ready_steal(&victim.ready, &thief.ready), 0u);
    EXPECT_EQ(pop_all(&victim.ready).size(), 3u);
}

TEST(ReadySteal, GivesTicketsOfTheThief)
{
    Queue victim;
    Queue thief;
    Items mine(2);
    Items items(2);

    push_stealable(&victim.ready, items);
    skui_ready_push_pinned(&thief.ready, &mine[0]);
    ASSERT_EQ(skui_ready_steal(&victim.ready, &thief.ready), 1u);
    skui_ready_push_pinned(&thief.ready, &mine[1]);
    EXPECT_EQ(skui_ready_pop(&thief.ready, any_ticket), &mine[0]);
    EXPECT_EQ(skui_ready_pop(&thief.ready, any_ticket), &items[0]);
    EXPECT_EQ(skui_ready_pop(&thief.ready, any_ticket), &mine[1]);
}

TEST(ReadySteal, TakesNoMoreThanFits)
{
    Queue victim;
    Queue thief;
    Items items(capacity);
    Items mine(capacity - 1);

    push_stealable(&victim.ready, items);
    push_stealable(&thief.ready, mine);
    EXPECT_EQ(skui_ready_steal(&victim.ready, &thief.ready), 1u);
    EXPECT_EQ(skui_ready_steal(&victim.ready, &thief.ready), 0u);
    EXPECT_EQ(skui_ready_stealable_count(&victim.ready), capacity - 1);
    EXPECT_EQ(pop_all(&thief.ready).back(), &items[0]);
}

/* Random operations against a plain list in the order of pushes. */
TEST(ReadyModel, FollowsAReferenceQueue)
{
    std::mt19937 random(test_seed());
    Queue queue;
    Queue thief;
    Items items(4000);
    std::deque<skui_runnable *> reference;
    std::vector<bool> pinned(items.size());
    size_t used = 0;

    while (used < items.size()) {
        switch (random() % 4) {
        case 0:
            pinned[used] = true;
            reference.push_back(&items[used]);
            skui_ready_push_pinned(&queue.ready, &items[used++]);
            break;
        case 1:
            if (skui_ready_push_stealable(&queue.ready, &items[used])) {
                reference.push_back(&items[used++]);
            }
            break;
        case 2: {
            skui_runnable *item = skui_ready_pop(&queue.ready, any_ticket);

            ASSERT_EQ(item, reference.empty() ? nullptr : reference.front());
            if (item != nullptr) {
                reference.pop_front();
            }
            break;
        }
        default:
            if (random() % 16 != 0) {
                break;
            }
            skui_ready_steal(&queue.ready, &thief.ready);
            for (skui_runnable *item : pop_all(&thief.ready)) {
                ASSERT_FALSE(pinned[static_cast<size_t>(item - &items[0])]);
                ASSERT_EQ(std::erase(reference, item), 1u);
            }
            break;
        }
    }
    for (skui_runnable *item : pop_all(&queue.ready)) {
        ASSERT_EQ(item, reference.front());
        reference.pop_front();
    }
    EXPECT_TRUE(reference.empty());
}
