/* SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "composite.h"
#include "future_list.h"
#include "skua.h"

namespace
{

constexpr int kRounds = 100000;

/** How many nodes are in the list of a pending future, by how they are. */
struct Census {
    int live = 0;
    int left = 0;

    explicit Census(skua_future *future)
    {
        skui_runnable *node =
            skui_state_list(skui_load_acquire(&future->state));

        for (; node != nullptr; node = skui_node_next(node)) {
            const bool gone =
                skui_load_acquire(&skui_node_waiter(node)->life) ==
                SKUI_WAITER_LEFT;

            (gone ? left : live)++;
        }
    }
};

skua_future *new_future()
{
    skua_future *future = nullptr;

    EXPECT_EQ(0, skua_future_new(nullptr, &future));
    return future;
}

/* What has left goes in packs, so a few may still be there. */
void expect_empty(skua_future *future)
{
    const Census census(future);

    EXPECT_EQ(0, census.live);
    EXPECT_LT(census.left, SKUI_SCRUB_MINIMUM);
}

TEST(FutureScrub, ShortWaitsLeaveTheListEmpty)
{
    skua_future *lasting = new_future();
    skua_future *done = new_future();
    skua_future *pair[] = {lasting, done};

    ASSERT_EQ(0, skua_future_set_result(done, nullptr));
    for (int i = 0; i < kRounds; i++) {
        ASSERT_EQ(
            1, skua_wait(pair, 2, SKUA_FOREVER, SKUA_FIRST_COMPLETED, nullptr));
    }
    for (int i = 0; i < kRounds / 100; i++) {
        /* Not over at once: a hook each time. */
        ASSERT_EQ(1, skua_wait(pair, 2, 1 + i % 2 * 1000, SKUA_FIRST_EXCEPTION,
                               nullptr));
    }
    expect_empty(lasting);
    skua_future_unref(lasting);
    skua_future_unref(done);
}

TEST(FutureScrub, CancelledShieldsLeaveTheListEmpty)
{
    skua_future *lasting = new_future();

    for (int i = 0; i < kRounds; i++) {
        skua_future *shield = nullptr;

        ASSERT_EQ(0, skua_shield(skua_awaitable_future(lasting), &shield));
        ASSERT_EQ(1, Census(lasting).live);
        ASSERT_EQ(1, skua_future_cancel(shield));
        skua_future_unref(shield);
    }
    expect_empty(lasting);
    skua_future_unref(lasting);
}

TEST(FutureScrub, IteratorsThatEndEarlyLeaveTheListEmpty)
{
    skua_future *lasting = new_future();
    const skua_awaitable awaitable = skua_awaitable_future(lasting);

    for (int i = 0; i < kRounds; i++) {
        skua_as_completed completed;

        ASSERT_EQ(
            1, skua_as_completed_init(&completed, &awaitable, 1, SKUA_FOREVER));
        skua_as_completed_fini(&completed);
    }
    expect_empty(lasting);
    skua_future_unref(lasting);
}

TEST(FutureScrub, FailedGathersLeaveTheListEmpty)
{
    skua_future *lasting = new_future();
    skua_future *failed = new_future();
    const skua_awaitable awaitables[] = {skua_awaitable_future(lasting),
                                         skua_awaitable_future(failed)};

    ASSERT_EQ(0, skua_future_set_error(failed, -EIO));
    for (int i = 0; i < kRounds; i++) {
        skua_gather_result results[2];
        skua_future *gather = nullptr;

        ASSERT_EQ(0, skua_gather(awaitables, 2, nullptr, results, &gather));
        ASSERT_EQ(-EIO, skua_await(gather, nullptr));
        ASSERT_FALSE(results[0].done);
        skua_future_unref(gather);
    }
    expect_empty(lasting);
    skua_future_unref(lasting);
    skua_future_unref(failed);
}

/* --- nothing is lost --- */

constexpr skui_object_class kClasses[] = {
    SKUI_OBJECT_FUTURE, SKUI_OBJECT_COMPOSITE, SKUI_OBJECT_WAITER};

/** How many objects of each class are in use, when no other thread lives. */
std::vector<size_t> objects_in_use()
{
    std::vector<size_t> counts;

    for (const skui_object_class which : kClasses) {
        counts.push_back(skui_object_outside_depot(which));
    }
    return counts;
}

/* One of each, ended in a way that `round` chooses. */
void use_everything(int round)
{
    skua_future *pair[] = {new_future(), new_future()};
    const skua_awaitable both[] = {skua_awaitable_future(pair[0]),
                                   skua_awaitable_future(pair[1])};
    const skua_gather_options options = {round % 2 == 0, false};
    skua_gather_result results[2];
    skua_as_completed completed;
    skua_future *gather = nullptr;
    skua_future *shield = nullptr;
    skua_future *next = nullptr;

    EXPECT_EQ(2, skua_as_completed_init(&completed, both, 2, SKUA_FOREVER));
    EXPECT_EQ(0, skua_gather(both, 2, &options, results, &gather));
    EXPECT_EQ(0, skua_shield(skua_awaitable_future(gather), &shield));
    EXPECT_EQ(0, skua_wait(pair, 2, 1, SKUA_FIRST_COMPLETED, nullptr));
    if (round % 3 == 0) {
        EXPECT_EQ(1, skua_future_cancel(shield));
    }
    if (round % 5 == 0) {
        EXPECT_EQ(1, skua_future_cancel(gather));
    } else {
        EXPECT_EQ(0, skua_future_set_error(pair[1], -EIO));
    }
    EXPECT_EQ(1, skua_as_completed_next(&completed, &next));
    (void)skua_future_result(next, nullptr);
    skua_as_completed_fini(&completed);
    (void)skua_future_cancel(pair[0]);
    (void)skua_await(gather, nullptr);
    (void)skua_await(shield, nullptr);
    for (skua_future *future : {pair[0], pair[1], gather, shield}) {
        skua_future_unref(future);
    }
}

TEST(FutureObjects, AllComeBack)
{
    std::vector<size_t> before;

    std::thread([] { use_everything(1); }).join();
    before = objects_in_use();
    std::thread([] {
        for (int round = 0; round < 1000; round++) {
            use_everything(round);
        }
    }).join();
    EXPECT_EQ(before, objects_in_use());
}

/* --- hooks --- */

bool keep_hook(skui_waiter *waiter, skua_future *, skui_completions *)
{
    (*static_cast<std::atomic<int> *>(waiter->arg))++;
    return true;
}

bool drop_hook(skui_waiter *waiter, skua_future *, skui_completions *)
{
    (*static_cast<std::atomic<int> *>(waiter->arg))++;
    return false;
}

TEST(FutureRevoke, TellsWhetherTheHookWasCalled)
{
    skua_future *future = new_future();
    std::atomic<int> calls = 0;
    skui_waiter *first = skui_waiter_make_hook(keep_hook, &calls, nullptr);
    skui_waiter *second = skui_waiter_make_hook(keep_hook, &calls, nullptr);

    ASSERT_TRUE(skui_future_register(future, first));
    ASSERT_TRUE(skui_future_register(future, second));
    EXPECT_TRUE(skui_future_revoke(future, first));
    EXPECT_EQ(0, skua_future_set_result(future, nullptr));
    EXPECT_EQ(1, calls);
    EXPECT_FALSE(skui_future_revoke(future, second));
    skua_future_unref(future);
}

TEST(FutureRevoke, AHookThatDoesNotKeepItsWaiterNeedsNone)
{
    skua_future *future = new_future();
    std::atomic<int> calls = 0;

    ASSERT_TRUE(skui_future_register(
        future, skui_waiter_make_hook(drop_hook, &calls, nullptr)));
    EXPECT_EQ(0, skua_future_set_result(future, nullptr));
    EXPECT_EQ(1, calls);
    skua_future_unref(future);
}

/** A hook that takes until it is let go. */
struct Slow {
    std::atomic<bool> entered = false;
    std::atomic<bool> may_end = false;
    std::atomic<bool> ended = false;
};

bool slow_hook(skui_waiter *waiter, skua_future *, skui_completions *)
{
    auto *slow = static_cast<Slow *>(waiter->arg);

    slow->entered = true;
    while (!slow->may_end) {
        std::this_thread::yield();
    }
    slow->ended = true;
    return true;
}

TEST(FutureRevoke, WaitsForACallUnderWay)
{
    for (int i = 0; i < 50; i++) {
        skua_future *future = new_future();
        Slow slow;
        skui_waiter *waiter = skui_waiter_make_hook(slow_hook, &slow, nullptr);
        std::thread completer;
        std::thread releaser;

        ASSERT_TRUE(skui_future_register(future, waiter));
        completer = std::thread(
            [&] { EXPECT_EQ(0, skua_future_set_result(future, nullptr)); });
        while (!slow.entered) {
            std::this_thread::yield();
        }
        releaser = std::thread([&] { slow.may_end = true; });
        EXPECT_FALSE(skui_future_revoke(future, waiter));
        EXPECT_TRUE(slow.ended);
        completer.join();
        releaser.join();
        skua_future_unref(future);
    }
}

} // namespace
