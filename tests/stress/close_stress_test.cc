/* SPDX-License-Identifier: Apache-2.0 */
/*
 * close_stress_test.cc - loops and runners are closed while other threads wake
 * their tasks and create new ones: each task ends exactly once, and what is
 * closed is not touched any more (PK6, PK7, WW1).
 */
#include "../conformance/support.h"
#include "future.h"
#include "seed.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

namespace stress
{
namespace
{

using conformance::Future;
using conformance::kRaceDetector;
using conformance::Reports;

void spin(int rounds)
{
    for (std::atomic<int> i = 0; i < rounds; i++) {
    }
}

int await_future(void *future)
{
    return skua_await(static_cast<skua_future *>(future), nullptr);
}

int group_of_waiters(void *future)
{
    skua_task_group group = {};

    for (int i = 0; i < 200; i++) {
        EXPECT_EQ(0, skua_task_group_create_task(&group, await_future, future));
    }
    return skua_task_group_join(&group);
}

/** Abandoned stacks are not unwound: what their frames own is lost. */
class AllowLeaks
{
  public:
    AllowLeaks()
    {
#if defined(__SANITIZE_ADDRESS__)
        __lsan_disable();
#endif
    }
    ~AllowLeaks()
    {
#if defined(__SANITIZE_ADDRESS__)
        __lsan_enable();
#endif
    }
    AllowLeaks(const AllowLeaks &) = delete;
    AllowLeaks &operator=(const AllowLeaks &) = delete;
};

TEST(CloseStorm, KeepsTheFrameOfAGroupUntilItsChildrenHaveEnded)
{
    const Future future = conformance::make_future();
    skua_loop *loop = nullptr;
    skua_task *task = nullptr;
    Reports reports;
    const AllowLeaks scope;

    ASSERT_EQ(0, skua_loop_new(nullptr, &loop));
    ASSERT_EQ(
        0, skua_loop_create_task(loop, group_of_waiters, future.get(), &task));
    const Future parent(task);
    reports.install(loop);
    ASSERT_EQ(0, skua_loop_run_once(loop, 0));
    ASSERT_EQ(0, skua_loop_run_once(loop, 0));
    ASSERT_EQ(0, skua_loop_close(loop));
    EXPECT_EQ(201u, reports.count(SKUA_ECLOSED));
    EXPECT_TRUE(skua_future_done(parent.get()));
    skua_loop_unref(loop);
}

struct Wait {
    Future future;
    Future task;
};

void start_waits(skua_loop *loop, std::vector<Wait> *waits)
{
    for (Wait &wait : *waits) {
        skua_future *future = nullptr;
        skua_task *task = nullptr;

        ASSERT_EQ(0, skua_future_new(nullptr, &future));
        wait.future.reset(future);
        ASSERT_EQ(0, skua_loop_create_task(loop, await_future, future, &task));
        wait.task.reset(task);
    }
    ASSERT_EQ(0, skua_loop_run_once(loop, 0));
}

/* Wakers and cancellers against a closer: all want the same parked tasks. */
TEST(CloseStorm, ForeignWakersMeetTheCloser)
{
    const int rounds = kRaceDetector ? 300 : 4000;
    Random random(print_seed());

    for (int i = 0; i < rounds; i++) {
        std::vector<Wait> waits(16);
        std::vector<std::thread> threads;
        std::atomic<int> ready = 0;
        Reports reports;
        skua_loop *loop = nullptr;
        const int closer_spins = random.below(4000);

        ASSERT_EQ(0, skua_loop_new(nullptr, &loop));
        reports.install(loop);
        start_waits(loop, &waits);
        for (int k = 0; k < 2; k++) {
            threads.emplace_back([&, k] {
                ready++;
                while (ready < 3) {
                    std::this_thread::yield();
                }
                for (Wait &wait : waits) {
                    if (k == 0) {
                        (void)skua_future_set_result(wait.future.get(),
                                                     nullptr);
                    } else {
                        (void)skua_future_cancel(wait.task.get());
                    }
                }
            });
        }
        ready++;
        while (ready < 3) {
            std::this_thread::yield();
        }
        spin(closer_spins);
        ASSERT_EQ(0, skua_loop_close(loop));
        for (const Wait &wait : waits) {
            EXPECT_EQ(SKUA_ECLOSED,
                      skua_future_result(wait.task.get(), nullptr));
        }
        EXPECT_EQ(waits.size(), reports.count(SKUA_ECLOSED));
        for (std::thread &thread : threads) {
            thread.join();
        }
        skua_loop_unref(loop);
    }
}

int return_at_once(void *)
{
    return 0;
}

/* Who creates tasks on a loop that closes gets an outcome for each. */
TEST(CloseStorm, CreatorsOnAClosingLoopGetAnOutcome)
{
    const int rounds = kRaceDetector ? 100 : 1000;

    for (int i = 0; i < rounds; i++) {
        std::vector<std::thread> threads;
        std::atomic<int> created = 0;
        Reports reports;
        skua_loop *loop = nullptr;

        ASSERT_EQ(0, skua_loop_new(nullptr, &loop));
        reports.install(loop);
        for (int k = 0; k < 2; k++) {
            threads.emplace_back([&] {
                skua_task *task = nullptr;

                while (skua_loop_create_task(loop, return_at_once, nullptr,
                                             &task) == 0) {
                    const Future owner(task);

                    created++;
                    int status = skua_await(task, nullptr);
                    EXPECT_TRUE(status == 0 || status == SKUA_ECLOSED);
                }
            });
        }
        while (created < 4) {
            ASSERT_EQ(0, skua_loop_run_once(loop, 0));
        }
        ASSERT_EQ(0, skua_loop_close(loop));
        for (std::thread &thread : threads) {
            thread.join();
        }
        skua_loop_unref(loop);
    }
}

/** Tasks that start anew however they end, until their loop is closed. */
struct Chains {
    std::atomic<skua_future *> slots[8] = {};
    std::atomic<int> created = 0;
    std::atomic<int> completed = 0;
    std::atomic<int> destroyed = 0;
    std::atomic<bool> over = false;
};

struct Chain {
    Chains *chains;
    int slot;
    skua_loop *loop;
};

int chain_link(void *arg)
{
    auto *chain = static_cast<Chain *>(arg);
    skua_future *future = nullptr;

    EXPECT_EQ(0, skua_future_new(nullptr, &future));
    /* The slot has a reference of its own. */
    skua_future_unref(
        chain->chains->slots[chain->slot].exchange(skua_future_ref(future)));
    (void)skua_await(future, nullptr);
    skua_future_unref(future);
    return 0;
}

void chain_completed(skua_future *task, void *arg);

void chain_create(Chain *chain)
{
    skua_task *task = nullptr;

    ASSERT_EQ(0, skua_loop_create_task(chain->loop, chain_link, chain, &task));
    chain->chains->created++;
    EXPECT_EQ(0, skui_future_add_inline(task, chain_completed, chain));
    skua_future_unref(task);
}

void chain_completed(skua_future *task, void *arg)
{
    auto *chain = static_cast<Chain *>(arg);

    chain->chains->completed++;
    if (skua_future_result(task, nullptr) == SKUA_ECLOSED) {
        chain->chains->destroyed++;
    } else {
        chain_create(chain);
    }
}

int chains_main(void *arg)
{
    auto *all = static_cast<std::vector<Chain> *>(arg);

    for (Chain &chain : *all) {
        chain_create(&chain);
    }
    for (int i = 0; i < 10; i++) {
        (void)skua_yield();
    }
    return 0;
}

void wake_slots(Chains *chains)
{
    while (!chains->over) {
        for (std::atomic<skua_future *> &slot : chains->slots) {
            skua_future *future = slot.exchange(nullptr);

            if (future != nullptr) {
                (void)skua_future_set_result(future, nullptr);
                skua_future_unref(future);
            }
        }
        std::this_thread::yield();
    }
}

class CloseStormLoops : public testing::TestWithParam<unsigned>
{
};

/* A runner's shutdown gives up after a number of rounds: what survives is
 * woken by other threads while the loops are closed. */
TEST_P(CloseStormLoops, SurvivorsEndOnceWhileTheyAreWoken)
{
    const int rounds = kRaceDetector ? 8 : 150;

    for (int i = 0; i < rounds; i++) {
        Chains chains;
        std::vector<Chain> all;
        Reports reports;
        skua_runner *runner = nullptr;
        skua_runner_options options = {};

        options.loops = GetParam();
        options.no_sigint = true;
        ASSERT_EQ(0, skua_runner_new(&options, &runner));
        for (unsigned k = 0; k < options.loops; k++) {
            reports.install(skua_runner_get_loop(runner, k));
        }
        for (int k = 0; k < 8; k++) {
            all.push_back(
                {&chains, k,
                 skua_runner_get_loop(runner, static_cast<unsigned>(k) %
                                                  options.loops)});
        }
        std::thread waker([&] { wake_slots(&chains); });
        ASSERT_EQ(0, skua_runner_run(runner, chains_main, &all, nullptr));
        ASSERT_EQ(0, skua_runner_close(runner));
        chains.over = true;
        waker.join();
        EXPECT_EQ(chains.created, chains.completed);
        EXPECT_EQ(8, chains.destroyed);
        EXPECT_EQ(8u, reports.count(SKUA_ECLOSED));
        for (std::atomic<skua_future *> &slot : chains.slots) {
            skua_future_unref(slot.load());
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Loops, CloseStormLoops, testing::Values(1, 2, 4));

} // namespace
} // namespace stress
