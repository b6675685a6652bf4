// SPDX-License-Identifier: Apache-2.0
/*
 * sched/ready.c in all its ways, with a ring of four and batches of two: RQ1,
 * RQ2, RQ3, with the barrier in all threads and with one on each side.
 */
#include "ready.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "explorer.h"

namespace
{

constexpr uint64_t kAny = std::numeric_limits<uint64_t>::max();

struct Item {
    skui_runnable runnable{};
    model::Shared<int> runs; /* who runs it has it alone */
};

struct Queues {
    skui_ready owner{};
    skui_ready thief{};
    std::array<Item, 6> items{};

    explicit Queues(skui_ready_barrier barrier)
    {
        skui_ready_init(&owner, barrier);
        skui_ready_init(&thief, barrier);
    }

    void Push(size_t item)
    {
        model::Require(skui_ready_push_stealable(&owner, &items[item].runnable),
                       "there is room");
    }

    static void Run(skui_runnable *runnable)
    {
        Item *item = SKUI_CONTAINER_OF(runnable, Item, runnable);

        item->runs.Set(item->runs.Get() + 1);
    }

    static void Drain(skui_ready &queue)
    {
        while (!skui_ready_is_empty(&queue)) {
            if (skui_runnable *runnable = skui_ready_pop(&queue, kAny)) {
                Run(runnable);
            }
        }
    }

    void RequireOnce(size_t count) const
    {
        for (size_t i = 0; i < count; i++) {
            model::Require(items[i].runs.Get() == 1, "each item runs once");
        }
    }
};

/* Three threads: all runs are too many. */
model::Options Bounded()
{
    model::Options options;

    options.preemptions = 2;
    return options;
}

void Pops(Queues *queues, int count)
{
    for (int i = 0; i < count; i++) {
        if (skui_runnable *runnable = skui_ready_pop(&queues->owner, kAny)) {
            Queues::Run(runnable);
        }
    }
}

class ReadyModel : public testing::TestWithParam<skui_ready_barrier>
{
};

TEST_P(ReadyModel, OwnerAndThiefShareTheRing)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *queues = run.New<Queues>(GetParam());

        queues->Push(0);
        run.Thread("owner", [queues] {
            queues->Push(1);
            queues->Push(2);
            Queues::Drain(queues->owner);
        });
        run.Thread("thief", [queues] {
            (void)skui_ready_steal(&queues->owner, &queues->thief);
            Queues::Drain(queues->thief);
        });
        run.Finally([queues] { queues->RequireOnce(3); });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

TEST_P(ReadyModel, TwoThievesGetDifferentItems)
{
    const model::Report report = model::Explore(
        [](model::Run &run) {
            auto *queues = run.New<Queues>(GetParam());
            auto *second = run.New<Queues>(GetParam());

            for (size_t i = 0; i < 3; i++) {
                queues->Push(i);
            }
            run.Thread("owner", [queues] { Pops(queues, 1); });
            run.Thread("one", [queues] {
                (void)skui_ready_steal(&queues->owner, &queues->thief);
            });
            run.Thread("two", [queues, second] {
                (void)skui_ready_steal(&queues->owner, &second->thief);
            });
            run.Finally([queues, second] {
                Queues::Drain(queues->owner);
                Queues::Drain(queues->thief);
                Queues::Drain(second->thief);
                queues->RequireOnce(3);
            });
        },
        Bounded());

    EXPECT_TRUE(report.holds()) << report.text();
}

/* The owner writes to slots that thieves have freed. */
TEST_P(ReadyModel, SlotsAreUsedAgain)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *queues = run.New<Queues>(GetParam());

        for (size_t i = 0; i < 4; i++) {
            queues->Push(i);
        }
        run.Thread("owner", [queues] {
            if (skui_ready_room(&queues->owner) > 0) {
                queues->Push(4);
            }
        });
        run.Thread("thief", [queues] {
            (void)skui_ready_steal(&queues->owner, &queues->thief);
            Queues::Drain(queues->thief);
        });
        run.Finally([queues] {
            const bool was_pushed = queues->items[4].runnable.ticket == 4;

            Queues::Drain(queues->owner);
            queues->RequireOnce(was_pushed ? 5 : 4);
        });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

TEST_P(ReadyModel, ARevokedBatchIsRunOnce)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *queues = run.New<Queues>(GetParam());

        for (size_t i = 0; i < 4; i++) {
            queues->Push(i);
        }
        Pops(queues, 1); /* the batch holds one more */
        run.Thread("owner", [queues] { Pops(queues, 2); });
        run.Thread("thief", [queues] {
            (void)skui_ready_revoke(&queues->owner, &queues->thief);
            Queues::Drain(queues->thief);
        });
        run.Finally([queues] {
            Queues::Drain(queues->owner);
            queues->RequireOnce(4);
        });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

TEST_P(ReadyModel, TwoThievesRevokeWhileTheOwnerGoesOn)
{
    const model::Report report = model::Explore(
        [](model::Run &run) {
            auto *queues = run.New<Queues>(GetParam());
            auto *second = run.New<Queues>(GetParam());

            for (size_t i = 0; i < 4; i++) {
                queues->Push(i);
            }
            Pops(queues, 1);
            run.Thread("owner", [queues] { Pops(queues, 2); });
            run.Thread("one", [queues] {
                (void)skui_ready_revoke(&queues->owner, &queues->thief);
            });
            run.Thread("two", [queues, second] {
                (void)skui_ready_revoke(&queues->owner, &second->thief);
            });
            run.Finally([queues, second] {
                Queues::Drain(queues->owner);
                Queues::Drain(queues->thief);
                Queues::Drain(second->thief);
                queues->RequireOnce(4);
            });
        },
        Bounded());

    EXPECT_TRUE(report.holds()) << report.text();
}

INSTANTIATE_TEST_SUITE_P(Barriers, ReadyModel,
                         testing::Values(SKUI_READY_EXPEDITED,
                                         SKUI_READY_FENCED));

} // namespace
