// SPDX-License-Identifier: Apache-2.0
// Work behind a loop that is stuck in user code, and silence when all sleep.
#include "../../../sched/runner.h"

#include <atomic>
#include <thread>

#include <sched.h>

#include <gtest/gtest.h>
#include <skua.h>

#include "switches.h"

namespace
{

class Runner
{
  public:
    Runner()
    {
        skua_runner_options options = {};

        options.loops = 2;
        options.no_sigint = true;
        EXPECT_EQ(skua_runner_new(&options, &runner_), 0);
    }
    ~Runner()
    {
        EXPECT_EQ(skua_runner_close(runner_), 0);
    }
    Runner(const Runner &) = delete;
    Runner &operator=(const Runner &) = delete;

    int Run(skua_task_fn *fn, void *arg)
    {
        return skua_runner_run(runner_, fn, arg, nullptr);
    }
    bool IsWatched()
    {
        // acquire: whoever switched it off is through with it
        return skui_load_acquire(&runner_->sentinel.is_on);
    }

  private:
    skua_runner *runner_ = nullptr;
};

int CountRun(void *arg)
{
    static_cast<std::atomic<int> *>(arg)->fetch_add(1);
    return 0;
}

// Short slices, so that a few queued tasks are not worth a wake.
void RunShortSlices()
{
    for (int i = 0; i < 2000; i++) {
        EXPECT_EQ(skua_yield(), 0);
    }
}

// Queues `count` tasks and does not return to the loop before one has run.
int QueueAndGetStuck(int count)
{
    std::atomic<int> runs{0};
    skua_task *tasks[4] = {};

    RunShortSlices();
    for (int i = 0; i < count; i++) {
        EXPECT_EQ(skua_create_task(CountRun, &runs, &tasks[i]), 0);
    }
    while (runs.load() == 0) {
        (void)sched_yield();
    }
    for (int i = 0; i < count; i++) {
        EXPECT_EQ(skua_await(tasks[i], nullptr), 0);
        skua_future_unref(tasks[i]);
    }
    return 0;
}

int StuckBeforeOne(void *)
{
    return QueueAndGetStuck(1);
}

int StuckBeforeFour(void *)
{
    return QueueAndGetStuck(4);
}

struct Watch {
    Runner *runner;
    skua_future *over;
};

int WaitUntilUnwatched(void *arg)
{
    auto *watch = static_cast<Watch *>(arg);
    int status = QueueAndGetStuck(4);

    EXPECT_EQ(skua_future_new(nullptr, &watch->over), 0);
    std::thread other([watch] {
        while (watch->runner->IsWatched()) {
            (void)sched_yield();
        }
        EXPECT_EQ(skua_future_set_result(watch->over, nullptr), 0);
    });
    EXPECT_EQ(skua_await(watch->over, nullptr), 0);
    other.join();
    skua_future_unref(watch->over);
    return status;
}

} // namespace

TEST(Sentinel, TakesASingleTaskBehindAStuckOne)
{
    SKIP_WITHOUT(SKUA_SENTINEL);
    Runner runner;

    EXPECT_EQ(runner.Run(StuckBeforeOne, nullptr), 0);
}

TEST(Sentinel, TakesWorkThatWasNotWorthAWake)
{
    SKIP_WITHOUT(SKUA_SENTINEL);
    Runner runner;

    EXPECT_EQ(runner.Run(StuckBeforeFour, nullptr), 0);
    EXPECT_EQ(runner.Run(StuckBeforeFour, nullptr), 0);
}

TEST(Sentinel, IsOffOnceAllLoopsSleep)
{
    SKIP_WITHOUT(SKUA_SENTINEL);
    Runner runner;
    Watch watch = {&runner, nullptr};

    EXPECT_EQ(runner.Run(WaitUntilUnwatched, &watch), 0);
}
