// SPDX-License-Identifier: Apache-2.0
/* sched/inbox.c in all its ways: IN1, and PK1's side of a look at it. */
#include "inbox.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "explorer.h"

namespace
{

struct Item {
    skui_runnable runnable{};
    model::Shared<int> producer;
    model::Shared<int> number;
};

struct Box {
    skui_inbox inbox{};
    std::array<Item, 4> items{};
    std::atomic<int> parked{0};
    std::vector<const Item *> popped;

    Box()
    {
        skui_inbox_init(&inbox);
    }

    void Push(size_t item, int producer, int number)
    {
        items[item].producer.Set(producer);
        items[item].number.Set(number);
        skui_inbox_push(&inbox, &items[item].runnable);
    }

    bool Pop()
    {
        skui_runnable *runnable = skui_inbox_pop(&inbox);

        if (runnable == nullptr) {
            return false;
        }
        const Item *item = SKUI_CONTAINER_OF(runnable, Item, runnable);

        model::Require(item->number.Get() < 2, "it is whole");
        popped.push_back(item);
        return true;
    }

    void PopAll(size_t count)
    {
        while (popped.size() < count) {
            if (!Pop()) {
                model::GiveWay();
            }
        }
    }

    /* Each once, those of one producer in their order. */
    void RequireAll(size_t count) const
    {
        std::array<int, 3> next{};

        model::Require(popped.size() == count, "all are popped, each once");
        for (const Item *item : popped) {
            int &expected = next[static_cast<size_t>(item->producer.Get())];

            model::Require(item->number.Get() == expected++,
                           "a producer's items keep their order");
        }
    }
};

TEST(InboxModel, KeepsEachProducersOrder)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *box = run.New<Box>();

        run.Thread("one", [box] {
            box->Push(0, 0, 0);
            box->Push(1, 0, 1);
        });
        run.Thread("two", [box] { box->Push(2, 1, 0); });
        run.Thread("consumer", [box] { box->PopAll(3); });
        run.Finally([box] { box->RequireAll(3); });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

/* The stub goes round while a producer is in the middle of its push. */
TEST(InboxModel, TakesInWhatComesWhileTheStubIsPutBack)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *box = run.New<Box>();

        box->Push(0, 0, 0);
        run.Thread("producer", [box] { box->Push(1, 1, 0); });
        run.Thread("consumer", [box] { box->PopAll(2); });
        run.Finally([box] { box->RequireAll(2); });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

/* PK1 in small: announce and look, push and look. */
TEST(InboxModel, APushAndAnAnnouncementSeeEachOther)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *box = run.New<Box>();
        static bool woken;
        static bool sleeps;

        woken = false;
        sleeps = false;
        run.Thread("producer", [box] {
            box->Push(0, 0, 0);
            woken = skui_load_seq_cst(&box->parked) == 1;
        });
        run.Thread("consumer", [box] {
            skui_store_seq_cst(&box->parked, 1);
            sleeps = skui_inbox_is_empty(&box->inbox);
        });
        run.Finally(
            [] { model::Require(woken || !sleeps, "no push is slept over"); });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

} // namespace
