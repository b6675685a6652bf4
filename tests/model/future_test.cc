// SPDX-License-Identifier: Apache-2.0
/*
 * sched/future.c and future_scrub.c in all their ways: FU1 to FU4, RF1. Who
 * completes, cancels, waits, leaves and drops the last reference, at once.
 */
#include "future.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "explorer.h"
#include "surroundings.h"

namespace
{

int the_value;

bool Complete(skua_future *future, int status, void *value)
{
    skui_outcome outcome = {status, value, nullptr};

    return skui_future_complete(future, &outcome);
}

/* What a scenario is about, and what came of it. */
struct World {
    skua_future *future;
    model::Shared<int> payload; /* who sees DONE sees it */
    bool first = false;
    bool second = false;
    model::Shared<int> called;

    World() : future(skui_future_make(SKUI_FUTURE_PLAIN, nullptr))
    {
        model::BeginWakes();
    }

    void WritePayload()
    {
        payload.Set(1);
    }

    void ReadPayload()
    {
        model::Require(payload.Get() == 1, "what came before is seen");
    }
};

void Unref(World *world)
{
    skua_future_unref(world->future);
}

TEST(FutureModel, OfTwoCompletersOneWinsAndReadersSeeAll)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *world = run.New<World>();

        run.Thread("one", [world] {
            world->first = Complete(world->future, 0, &the_value);
        });
        run.Thread("two", [world] {
            world->second = Complete(world->future, -EPIPE, nullptr);
        });
        run.Thread("reader", [world] {
            if (skui_future_is_done(world->future)) {
                const int status = world->future->status;

                model::Require(status == 0
                                   ? world->future->value == &the_value
                                   : status == -EPIPE &&
                                         world->future->value == nullptr,
                               "the outcome is of one completer");
            }
        });
        run.Finally([world] {
            model::Require(world->first != world->second, "one wins");
            model::Require(skui_future_is_done(world->future), "it is done");
            Unref(world);
        });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

TEST(FutureModel, OfCompletionAndCancellationOneWins)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *world = run.New<World>();

        run.Thread("completer", [world] {
            world->WritePayload();
            world->first = Complete(world->future, 0, nullptr);
        });
        run.Thread("canceller", [world] {
            world->second = skui_future_cancel_plain(world->future, nullptr);
        });
        run.Thread("reader", [world] {
            if (skui_future_is_done(world->future) &&
                world->future->status == 0) {
                world->ReadPayload();
            }
        });
        run.Finally([world] {
            model::Require(world->first != world->second, "one wins");
            Unref(world);
        });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

/* A task waits; it is woken once, whenever it came. */
TEST(FutureModel, AWaiterIsWokenOnce)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *world = run.New<World>();

        run.Thread("completer", [world] {
            world->WritePayload();
            (void)Complete(world->future, 0, &the_value);
        });
        run.Thread("waiter", [world] {
            skui_waiter *waiter =
                skui_waiter_make(SKUI_WAITER_CLAIM, nullptr, nullptr);

            waiter->to.claim = model::MakeClaim(0);
            if (skui_future_register(world->future, waiter)) {
                model::WaitForWake(0);
                model::Require(skui_future_is_done(world->future), "done");
            } else {
                skui_waiter_free(waiter);
            }
            model::Require(world->future->value == &the_value, "the value");
        });
        run.Finally([world] {
            model::Require(model::WakesOf(0) <= 1, "woken once");
            Unref(world);
        });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

/* A thread waits with a time limit: it leaves, or is woken; the node is freed
 * by the second of both. */
TEST(FutureModel, AThreadThatGivesUpAndACompleter)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *world = run.New<World>();

        run.Thread("completer",
                   [world] { (void)Complete(world->future, 0, &the_value); });
        run.Thread("thread", [world] {
            const int status = skui_future_wait_done(world->future, 1);

            model::Require(status == 0 || status == -ETIMEDOUT, "an outcome");
            if (status == 0) {
                model::Require(world->future->value == &the_value, "value");
            }
        });
        run.Finally([world] { Unref(world); });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

bool CountHook(skui_waiter *waiter, skua_future *, skui_completions *)
{
    auto *world = static_cast<World *>(waiter->arg);

    world->called.Set(world->called.Get() + 1);
    return true;
}

/* After revoke() the hook is not being called, and never will be. */
TEST(FutureModel, AHookThatIsTakenBack)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *world = run.New<World>();
        skui_waiter *waiter =
            skui_waiter_make_hook(CountHook, world, world->future);

        (void)skui_future_register(world->future, waiter);
        run.Thread("completer",
                   [world] { (void)Complete(world->future, 0, &the_value); });
        run.Thread("owner", [world, waiter] {
            const bool kept = skui_future_revoke(world->future, waiter);

            model::Require(world->called.Get() == (kept ? 0 : 1),
                           "called or not");
        });
        run.Finally([world] { Unref(world); });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

/* Many leave, so the list is weeded while the future is completed. */
TEST(FutureModel, ScrubberAndCompleterShareTheList)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *world = run.New<World>();
        constexpr int leavers = 9;
        static skui_waiter *waiters[leavers];

        for (int i = 0; i < leavers; i++) {
            waiters[i] = skui_waiter_make(SKUI_WAITER_CLAIM, nullptr, nullptr);
            waiters[i]->to.claim = model::MakeClaim(i == 0 ? 0 : 1);
            (void)skui_future_register(world->future, waiters[i]);
        }
        for (int i = 1; i < leavers - 1; i++) {
            skui_future_leave(world->future, waiters[i]);
        }
        run.Thread("completer",
                   [world] { (void)Complete(world->future, 0, &the_value); });
        run.Thread("leaver", [world] {
            if (skui_wake(waiters[leavers - 1]->to.claim, -ETIMEDOUT)) {
                skui_future_leave(world->future, waiters[leavers - 1]);
            }
        });
        run.Finally([world] {
            model::Require(model::WakesOf(0) == 1, "who stayed is woken");
            Unref(world);
        });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

TEST(FutureModel, TheLastReferenceGoesWithEitherSide)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *world = run.New<World>();

        (void)skua_future_ref(world->future);
        run.Thread("completer", [world] {
            world->WritePayload();
            (void)Complete(world->future, -EPIPE, nullptr);
            Unref(world);
        });
        run.Thread("other", [world] {
            if (skui_future_is_done(world->future)) {
                world->ReadPayload();
            }
            Unref(world);
        });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

} // namespace
