// SPDX-License-Identifier: Apache-2.0
#include "sched/inbox.h"

#include <gtest/gtest.h>

#include <vector>

namespace
{

struct Inbox {
    Inbox()
    {
        skui_inbox_init(&inbox);
    }
    skui_inbox inbox;
};

} // namespace

TEST(InboxPop, GivesNullWhenEmpty)
{
    Inbox box;

    EXPECT_TRUE(skui_inbox_is_empty(&box.inbox));
    EXPECT_EQ(skui_inbox_pop(&box.inbox), nullptr);
    EXPECT_TRUE(skui_inbox_is_empty(&box.inbox));
}

TEST(InboxPop, IsFirstInFirstOut)
{
    Inbox box;
    std::vector<skui_runnable> items(10);

    for (auto &item : items) {
        skui_inbox_push(&box.inbox, &item);
        EXPECT_FALSE(skui_inbox_is_empty(&box.inbox));
    }
    for (auto &item : items) {
        EXPECT_FALSE(skui_inbox_is_empty(&box.inbox));
        EXPECT_EQ(skui_inbox_pop(&box.inbox), &item);
    }
    EXPECT_TRUE(skui_inbox_is_empty(&box.inbox));
    EXPECT_EQ(skui_inbox_pop(&box.inbox), nullptr);
}

TEST(InboxPop, ReusesAnEntryAtOnce)
{
    Inbox box;
    skui_runnable item{};

    for (int round = 0; round < 100; round++) {
        skui_inbox_push(&box.inbox, &item);
        ASSERT_EQ(skui_inbox_pop(&box.inbox), &item);
        ASSERT_TRUE(skui_inbox_is_empty(&box.inbox));
    }
}

TEST(InboxPop, KeepsOrderWhilePushesGoOn)
{
    Inbox box;
    std::vector<skui_runnable> items(300);
    size_t popped = 0;

    for (size_t i = 0; i < items.size(); i++) {
        skui_inbox_push(&box.inbox, &items[i]);
        if (i % 3 == 2) {
            ASSERT_EQ(skui_inbox_pop(&box.inbox), &items[popped++]);
        }
    }
    while (popped < items.size()) {
        ASSERT_EQ(skui_inbox_pop(&box.inbox), &items[popped++]);
    }
    EXPECT_TRUE(skui_inbox_is_empty(&box.inbox));
}

/* A push stopped between its exchange and its link, played by hand. */
TEST(InboxIsEmpty, SaysNoWhileAPushIsUnlinked)
{
    Inbox box;
    skui_runnable first{};
    skui_runnable second{};
    skui_runnable *before = skui_exchange_seq_cst(&box.inbox.newest, &first);

    EXPECT_FALSE(skui_inbox_is_empty(&box.inbox));
    EXPECT_EQ(skui_inbox_pop(&box.inbox), nullptr);
    skui_inbox_push(&box.inbox, &second);
    EXPECT_EQ(skui_inbox_pop(&box.inbox), nullptr);
    EXPECT_FALSE(skui_inbox_is_empty(&box.inbox));
    skui_store_release(&before->next, &first); /* IN1 release: the link */
    EXPECT_EQ(skui_inbox_pop(&box.inbox), &first);
    EXPECT_EQ(skui_inbox_pop(&box.inbox), &second);
    EXPECT_TRUE(skui_inbox_is_empty(&box.inbox));
}

TEST(InboxIsEmpty, SaysNoWhileAPushBehindTheLastIsUnlinked)
{
    Inbox box;
    skui_runnable first{};
    skui_runnable second{};

    skui_inbox_push(&box.inbox, &first);
    skui_runnable *before = skui_exchange_seq_cst(&box.inbox.newest, &second);
    ASSERT_EQ(before, &first);
    EXPECT_EQ(skui_inbox_pop(&box.inbox), nullptr);
    EXPECT_FALSE(skui_inbox_is_empty(&box.inbox));
    skui_store_release(&before->next, &second); /* IN1 release: the link */
    EXPECT_EQ(skui_inbox_pop(&box.inbox), &first);
    EXPECT_EQ(skui_inbox_pop(&box.inbox), &second);
    EXPECT_TRUE(skui_inbox_is_empty(&box.inbox));
}
