/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/cancel_token.c: tokens, trees of them, and who is told. */
#include "unit/sched/executor/pool_support.h"

namespace
{

using pools::Body;
using pools::Token;

skua_cancel_token *child_of(skua_cancel_token *parent)
{
    skua_cancel_token *token = nullptr;

    EXPECT_EQ(0, skua_cancel_token_new(parent, &token));
    return token;
}

TEST(CancelToken, IsCancelledOnceAndForAll)
{
    const Token token;

    EXPECT_FALSE(token.is_cancelled());
    EXPECT_EQ(1, token.cancel());
    EXPECT_TRUE(token.is_cancelled());
    EXPECT_EQ(0, token.cancel());
    EXPECT_TRUE(token.is_cancelled());
}

TEST(CancelToken, RefusesNull)
{
    EXPECT_EQ(-EINVAL, skua_cancel_token_new(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_cancel_token_cancel(nullptr));
    EXPECT_FALSE(skua_cancel_token_is_cancelled(nullptr));
    EXPECT_EQ(nullptr, skua_cancel_token_future(nullptr));
    EXPECT_EQ(nullptr, skua_cancel_token_ref(nullptr));
    skua_cancel_token_unref(nullptr);
}

TEST(CancelToken, TheLastReferenceDoesNotCancel)
{
    const Token parent;
    skua_cancel_token *child = child_of(parent.get());
    skua_future *future = skua_future_ref(skua_cancel_token_future(child));

    skua_cancel_token_unref(child);
    EXPECT_FALSE(parent.is_cancelled());
    EXPECT_FALSE(skua_future_done(future));
    skua_future_unref(future);
}

TEST(CancelTokenFuture, IsDoneByCancelling)
{
    const Token token;
    skua_future *future = skua_cancel_token_future(token.get());
    std::atomic<int> called{0};
    void *value = &called;

    EXPECT_FALSE(skua_future_done(future));
    EXPECT_EQ(0, skua_future_cancel(future)) << "only by its token";
    EXPECT_EQ(0, skua_future_add_done_callback(
                     future,
                     [](skua_future *, void *arg) {
                         static_cast<std::atomic<int> *>(arg)->fetch_add(1);
                     },
                     &called));
    EXPECT_EQ(1, token.cancel());
    EXPECT_EQ(1, called.load());
    EXPECT_EQ(0, skua_future_result(future, &value));
    EXPECT_EQ(nullptr, value);
}

TEST(CancelTokenFuture, WakesTasksAndThreads)
{
    const Token token;
    std::thread thread([&] {
        EXPECT_EQ(0,
                  skua_await(skua_cancel_token_future(token.get()), nullptr));
        EXPECT_TRUE(token.is_cancelled());
    });
    Body waits = [&] {
        return skua_await(skua_cancel_token_future(token.get()), nullptr);
    };
    Body body = [&] {
        skua_task *task = nullptr;

        EXPECT_EQ(0, skua_create_task(pools::run_body, &waits, &task));
        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(1, token.cancel());
        EXPECT_EQ(0, skua_await(task, nullptr));
        skua_future_unref(task);
        return 0;
    };

    EXPECT_EQ(0, skua_run(pools::run_body, &body));
    thread.join();
}

TEST(CancelTokenTree, GoesDownAndNotUp)
{
    const Token root;
    const Token left(root.get());
    const Token right(root.get());
    const Token leaf(left.get());

    EXPECT_EQ(1, left.cancel());
    EXPECT_TRUE(leaf.is_cancelled());
    EXPECT_FALSE(root.is_cancelled());
    EXPECT_FALSE(right.is_cancelled());
    EXPECT_EQ(1, root.cancel());
    EXPECT_TRUE(right.is_cancelled());
}

TEST(CancelTokenTree, AChildOfACancelledOneIsCancelled)
{
    const Token root;

    EXPECT_EQ(1, root.cancel());

    const Token late(root.get());

    EXPECT_TRUE(late.is_cancelled());
    EXPECT_TRUE(skua_future_done(skua_cancel_token_future(late.get())));
    EXPECT_EQ(0, late.cancel());
}

TEST(CancelTokenTree, TheParentMayBeDroppedFirst)
{
    skua_cancel_token *root = child_of(nullptr);
    skua_cancel_token *middle = child_of(root);
    const Token leaf(middle);

    skua_cancel_token_unref(middle);
    EXPECT_EQ(1, skua_cancel_token_cancel(root));
    EXPECT_TRUE(leaf.is_cancelled());
    skua_cancel_token_unref(root);
}

/* Neither cancelling nor dropping takes stack for each. */
TEST(CancelTokenTree, AChainOfAnyLength)
{
    constexpr int kLength = 100000;

    for (const bool cancel : {true, false}) {
        const Token root;
        skua_cancel_token *last = skua_cancel_token_ref(root.get());

        for (int i = 0; i < kLength; i++) {
            skua_cancel_token *next = child_of(last);

            skua_cancel_token_unref(last);
            last = next;
        }
        if (cancel) {
            EXPECT_EQ(1, root.cancel());
        }
        EXPECT_EQ(cancel, skua_cancel_token_is_cancelled(last));
        skua_cancel_token_unref(last);
    }
}

TEST(CancelTokenTree, ManyChildren)
{
    const Token root;
    std::vector<skua_cancel_token *> children;

    for (int i = 0; i < 10000; i++) {
        children.push_back(child_of(root.get()));
    }
    for (size_t i = 0; i < children.size(); i += 2) {
        skua_cancel_token_unref(children[i]); /* out of the middle */
    }
    EXPECT_EQ(1, root.cancel());
    for (size_t i = 1; i < children.size(); i += 2) {
        EXPECT_TRUE(skua_cancel_token_is_cancelled(children[i]));
        skua_cancel_token_unref(children[i]);
    }
}

/* CT1. */
TEST(CancelToken, PublishesWhatLedToIt)
{
    for (int round = 0; round < 300; round++) {
        const Token root;
        const Token child(root.get());
        int written = 0;
        std::thread reader([&] {
            while (!child.is_cancelled()) {
                std::this_thread::yield();
            }
            EXPECT_EQ(1, written);
        });

        written = 1;
        EXPECT_EQ(1, root.cancel());
        reader.join();
    }
}

TEST(CancelTokenStress, OneOfManyCancellersIsTheFirst)
{
    for (int round = 0; round < 200; round++) {
        const Token root;
        const Token child(root.get());
        std::atomic<int> first{0};
        std::vector<std::thread> threads;

        for (int t = 0; t < 3; t++) {
            threads.emplace_back(
                [&, t] { first += t == 0 ? root.cancel() : child.cancel(); });
        }
        for (std::thread &thread : threads) {
            thread.join();
        }
        EXPECT_TRUE(root.is_cancelled());
        EXPECT_TRUE(child.is_cancelled());
        EXPECT_GE(first.load(), 1);
        EXPECT_LE(first.load(), 2);
    }
}

TEST(CancelTokenStress, ChildrenComeAndGoWhileTheParentIsCancelled)
{
    for (int round = 0; round < 100; round++) {
        skua_cancel_token *root = child_of(nullptr);
        std::vector<std::thread> threads;

        for (int t = 0; t < 3; t++) {
            skua_cancel_token *mine = skua_cancel_token_ref(root);

            threads.emplace_back([mine] {
                for (int i = 0; i < 50; i++) {
                    skua_cancel_token *child = child_of(mine);
                    skua_cancel_token *leaf = child_of(child);

                    skua_cancel_token_unref(child);
                    skua_cancel_token_unref(leaf);
                }
                while (!skua_cancel_token_is_cancelled(mine)) {
                    std::this_thread::yield();
                }
                skua_cancel_token *late = child_of(mine);

                EXPECT_TRUE(skua_cancel_token_is_cancelled(late));
                skua_cancel_token_unref(late);
                skua_cancel_token_unref(mine);
            });
        }
        EXPECT_EQ(1, skua_cancel_token_cancel(root));
        skua_cancel_token_unref(root);
        for (std::thread &thread : threads) {
            thread.join();
        }
    }
}

} // namespace
