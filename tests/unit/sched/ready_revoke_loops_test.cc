// SPDX-License-Identifier: Apache-2.0
/* A loop whose batch is taken while it is stuck in user code goes on. */
#include "sched/loop.h"
#include "sched/membarrier.h"
#include "sched/runner.h"
#include "sched/tls.h"

#include <gtest/gtest.h>
#include <skua.h>

#include <array>
#include <atomic>

#include <sched.h>

#include "switches.h"

namespace
{

constexpr int followers = 7; /* three of them in the batch, behind the hog */

struct Scene {
    std::atomic<bool> watching{false};
    std::atomic<skua_loop *> stuck{nullptr};
    std::atomic<int> done{0};
    skua_loop *main_loop = nullptr;
    size_t revoked = 0;
};

int Follow(void *arg)
{
    static_cast<Scene *>(arg)->done++;
    return 0;
}

/* Has what is behind it run elsewhere before it returns to its loop. */
int Hog(void *arg)
{
    auto *scene = static_cast<Scene *>(arg);

    scene->stuck = skui_loop_self();
    while (scene->done.load() < followers) {
        (void)sched_yield();
    }
    return 0;
}

int Take(void *arg)
{
    auto *scene = static_cast<Scene *>(arg);
    skua_loop *victim;

    scene->watching = true;
    while ((victim = scene->stuck.load()) == nullptr) {
        (void)sched_yield();
    }
    EXPECT_EQ(victim, scene->main_loop);
    EXPECT_TRUE(skui_ready_has_batch(&victim->ready));
    scene->revoked =
        skui_ready_revoke(&victim->ready, &skui_loop_self()->ready);
    return 0;
}

int Play(Scene *scene)
{
    skua_task *taker = nullptr;
    skua_task *hog = nullptr;
    std::array<skua_task *, followers> others = {};

    skua_task_options elsewhere = {};

    scene->main_loop = skui_loop_self();
    elsewhere.loop =
        scene->main_loop->runner->loops[1 - scene->main_loop->index];
    elsewhere.pinned = true;
    EXPECT_EQ(skua_create_task_with(&elsewhere, Take, scene, &taker), 0);
    while (!scene->watching.load()) {
        (void)sched_yield();
    }
    EXPECT_EQ(skua_create_task(Hog, scene, &hog), 0);
    for (auto &task : others) {
        EXPECT_EQ(skua_create_task(Follow, scene, &task), 0);
    }
    EXPECT_EQ(skua_await(hog, nullptr), 0);
    EXPECT_EQ(skua_await(taker, nullptr), 0);
    for (skua_task *task : others) {
        EXPECT_EQ(skua_await(task, nullptr), 0);
        skua_future_unref(task);
    }
    skua_future_unref(hog);
    skua_future_unref(taker);
    EXPECT_EQ(scene->revoked, 3u);
    return 0;
}

int PlayOften(void *)
{
    for (int i = 0; i < 20; i++) {
        Scene scene;

        EXPECT_EQ(Play(&scene), 0);
    }
    return 0;
}

void RunWith(skui_ready_barrier barrier)
{
    skua_runner_options options = {};
    skua_runner *runner = nullptr;

    options.loops = 2;
    options.no_sigint = true;
    /* Only the test revokes; the sentinel has the rest of the ring stolen. */
    options.without = SKUA_REVOCATION | SKUA_RELIEF;
    ASSERT_EQ(skua_runner_new(&options, &runner), 0);
    if (barrier == SKUI_READY_EXPEDITED && !skui_membarrier_is_granted()) {
        EXPECT_EQ(skua_runner_close(runner), 0);
        GTEST_SKIP() << "the system refuses membarrier()";
    }
    for (unsigned i = 0; i < runner->count; i++) {
        runner->loops[i]->ready.batch.barrier = static_cast<uint8_t>(barrier);
    }
    EXPECT_EQ(skua_runner_run(runner, PlayOften, nullptr, nullptr), 0);
    EXPECT_EQ(skua_runner_close(runner), 0);
}

} // namespace

TEST(ReadyRevokeLoops, GoOnWithoutTheirBatch)
{
    SKIP_WITHOUT(SKUA_SENTINEL);
    RunWith(SKUI_READY_EXPEDITED);
}

TEST(ReadyRevokeLoops, GoOnWithoutTheirBatchFenced)
{
    SKIP_WITHOUT(SKUA_SENTINEL);
    RunWith(SKUI_READY_FENCED);
}
