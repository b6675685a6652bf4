// SPDX-License-Identifier: Apache-2.0
/* sched/cancel_token.c in all its ways: CT1, SL1. */
#include "cancel_token.h"

#include <gtest/gtest.h>

#include "explorer.h"
#include "future.h"
#include "surroundings.h"

namespace
{

/* Who is told, in memory of its own; `refs` as a job has them. */
struct Told {
    skui_cancel_node node{};
    std::atomic<uint32_t> refs{1};
    model::Shared<int> fired;
};

Told *ToldOf(skui_cancel_node *node)
{
    return SKUI_CONTAINER_OF(node, Told, node);
}

void Drop(Told *told)
{
    if (skui_fetch_sub_acq_rel(&told->refs, 1U) == 1) {
        model::Free(told);
    }
}

bool Take(skui_cancel_node *node)
{
    (void)skui_fetch_add_relaxed(&ToldOf(node)->refs, 1U);
    return true;
}

void Fire(skui_cancel_node *node, skui_cancel_list *)
{
    ToldOf(node)->fired.Set(1);
    Drop(ToldOf(node));
}

model::Options Bounded(int preemptions)
{
    model::Options options;

    options.preemptions = preemptions;
    return options;
}

const skui_cancel_node_ops the_ops = {Take, Fire};

Told *MakeTold()
{
    auto *told = new (model::Allocate(sizeof(Told))) Told;

    told->node.ops = &the_ops;
    return told;
}

skua_cancel_token *MakeToken(skua_cancel_token *parent)
{
    skua_cancel_token *token = nullptr;

    (void)skua_cancel_token_new(parent, &token);
    return token;
}

TEST(CancelTokenModel, ANodeIsToldOnceOrRemoved)
{
    const model::Report report = model::Explore(
        [](model::Run &run) {
            model::BeginWakes();
            skua_cancel_token *token = MakeToken(nullptr);
            Told *told = MakeTold();
            auto *flag = run.New<model::Shared<int>>();

            (void)skua_cancel_token_ref(token);
            (void)skui_cancel_token_add(token, &told->node);
            run.Thread("canceller", [token, flag] {
                flag->Set(1);
                model::Require(skua_cancel_token_cancel(token) == 1, "first");
                skua_cancel_token_unref(token);
            });
            run.Thread("owner", [token, told, flag] {
                if (skua_cancel_token_is_cancelled(token)) {
                    model::Require(flag->Get() == 1, "what led to it is seen");
                }
                skui_cancel_token_remove(token, &told->node);
                Drop(told);
                skua_cancel_token_unref(token);
            });
        },
        Bounded(3));

    EXPECT_TRUE(report.holds()) << report.text();
}

TEST(CancelTokenModel, OneThatIsAddedLateIsRefusedOrTold)
{
    const model::Report report = model::Explore(
        [](model::Run &run) {
            model::BeginWakes();
            skua_cancel_token *token = MakeToken(nullptr);
            Told *told = MakeTold();

            (void)skua_cancel_token_ref(token);
            run.Thread("canceller", [token] {
                (void)skua_cancel_token_cancel(token);
                skua_cancel_token_unref(token);
            });
            run.Thread("owner", [token, told] {
                if (!skui_cancel_token_add(token, &told->node)) {
                    model::Require(skua_cancel_token_is_cancelled(token),
                                   "it was cancelled before");
                }
                skui_cancel_token_remove(token, &told->node);
                Drop(told);
                skua_cancel_token_unref(token);
            });
        },
        Bounded(3));

    EXPECT_TRUE(report.holds()) << report.text();
}

TEST(CancelTokenModel, AChildGoesWhileItsParentIsCancelled)
{
    const model::Report report = model::Explore([](model::Run &run) {
        model::BeginWakes();
        skua_cancel_token *parent = MakeToken(nullptr);
        skua_cancel_token *child = MakeToken(parent);

        run.Thread("canceller", [parent] {
            (void)skua_cancel_token_cancel(parent);
            skua_cancel_token_unref(parent);
        });
        run.Thread("owner", [child] {
            (void)skua_cancel_token_is_cancelled(child);
            skua_cancel_token_unref(child);
        });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

TEST(CancelTokenModel, TwoCancelAtOnce)
{
    const model::Report report = model::Explore([](model::Run &run) {
        model::BeginWakes();
        skua_cancel_token *parent = MakeToken(nullptr);
        skua_cancel_token *child = MakeToken(parent);
        static int wins;

        wins = 0;
        run.Thread("parent",
                   [parent] { (void)skua_cancel_token_cancel(parent); });
        run.Thread("child",
                   [child] { wins += skua_cancel_token_cancel(child); });
        run.Finally([parent, child] {
            model::Require(skua_cancel_token_is_cancelled(child), "cancelled");
            model::Require(skui_future_is_done(skua_cancel_token_future(child)),
                           "its future is done");
            skua_cancel_token_unref(child);
            skua_cancel_token_unref(parent);
        });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

} // namespace
