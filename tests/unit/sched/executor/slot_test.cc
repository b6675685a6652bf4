/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/executor/slot.c: the executors of loops and runners. */
#include "executor/slot.h"

#include <pthread.h>

#include "unit/sched/executor/pool_support.h"

namespace
{

using pools::Body;
using pools::Gate;

constexpr skua_executor_purpose kPurposes[] = {
    SKUA_EXECUTOR_BLOCKING, SKUA_EXECUTOR_CPU, SKUA_EXECUTOR_NAMES};

class Loop
{
  public:
    Loop()
    {
        EXPECT_EQ(0, skua_loop_new(nullptr, &loop_));
    }
    ~Loop()
    {
        skua_loop_unref(loop_);
    }
    Loop(const Loop &) = delete;
    Loop &operator=(const Loop &) = delete;

    operator skua_loop *() const
    {
        return loop_;
    }

    [[nodiscard]] skua_executor *get(skua_executor_purpose purpose) const
    {
        skua_executor *executor = nullptr;

        EXPECT_EQ(0, skua_loop_get_executor(loop_, purpose, &executor));
        return executor;
    }

  private:
    skua_loop *loop_ = nullptr;
};

/** Run in an executor and wait. */
void run_in(skua_executor *executor, Body body)
{
    skua_future *future = nullptr;

    ASSERT_EQ(0,
              skua_executor_submit(executor, pools::run_body, &body, &future));
    EXPECT_EQ(0, skua_await(future, nullptr));
    skua_future_unref(future);
}

std::string thread_name()
{
    char name[16] = "";

    EXPECT_EQ(0, pthread_getname_np(pthread_self(), name, sizeof(name)));
    return name;
}

TEST(ExecutorSlot, RefusesWhatIsNone)
{
    const Loop loop;
    skua_executor *executor = nullptr;

    EXPECT_EQ(-EINVAL,
              skua_loop_get_executor(nullptr, SKUA_EXECUTOR_CPU, &executor));
    EXPECT_EQ(-EINVAL,
              skua_loop_get_executor(loop, SKUA_EXECUTOR_CPU, nullptr));
    EXPECT_EQ(-EINVAL, skua_loop_get_executor(loop, (skua_executor_purpose)3,
                                              &executor));
    EXPECT_EQ(-EINVAL, skua_loop_get_executor(loop, (skua_executor_purpose)-1,
                                              &executor));
    EXPECT_EQ(-EINVAL,
              skua_loop_set_executor(loop, SKUA_EXECUTOR_CPU, nullptr));
    EXPECT_EQ(nullptr, executor);
}

TEST(ExecutorSlot, GivesOneForEachPurpose)
{
    const char *const names[] = {"skua-pool-0", "skua-cpu-0", "skua-names-0"};
    const Loop loop;
    std::vector<skua_executor *> executors;

    for (const skua_executor_purpose purpose : kPurposes) {
        skua_executor *executor = loop.get(purpose);
        skua_executor *again = loop.get(purpose);
        std::string name;

        EXPECT_EQ(executor, again);
        skua_executor_unref(again);
        for (const skua_executor *other : executors) {
            EXPECT_NE(other, executor);
        }
        run_in(executor, [&] {
            name = thread_name();
            return 0;
        });
        EXPECT_EQ(names[purpose], name);
        executors.push_back(executor);
    }
    for (skua_executor *executor : executors) {
        skua_executor_unref(executor);
    }
}

TEST(ExecutorSlot, TheDefaultOneIsForWhatBlocks)
{
    const Loop loop;
    skua_executor *blocking = loop.get(SKUA_EXECUTOR_BLOCKING);
    skua_executor *other = nullptr;
    skua_future *future = nullptr;
    skua_executor_stats stats;

    ASSERT_EQ(0,
              skua_loop_run_in_executor(
                  loop, nullptr, [](void *) { return 0; }, nullptr, &future));
    ASSERT_EQ(0, skua_executor_get_stats(blocking, &stats));
    EXPECT_EQ(1, stats.submitted);
    ASSERT_EQ(0, skua_thread_pool_executor_new(nullptr, &other));
    ASSERT_EQ(0, skua_loop_set_default_executor(loop, other));
    EXPECT_EQ(0, skua_executor_shutdown(blocking, true, false));
    skua_executor_unref(blocking);
    blocking = loop.get(SKUA_EXECUTOR_BLOCKING);
    EXPECT_EQ(other, blocking);
    skua_executor_unref(blocking);
    skua_executor_unref(other);
    EXPECT_EQ(0, skua_loop_shutdown_default_executor(loop, SKUA_FOREVER));
    EXPECT_TRUE(skua_future_done(future));
    skua_future_unref(future);
}

TEST(ExecutorSlot, TasksOfARunnerShareThem)
{
    skua_executor *seen[2] = {};
    Body body = [&] {
        for (skua_executor *&executor : seen) {
            EXPECT_EQ(0, skua_loop_get_executor(skua_get_running_loop(),
                                                SKUA_EXECUTOR_CPU, &executor));
            EXPECT_EQ(0, skua_yield());
        }
        return 0;
    };

    EXPECT_EQ(0, skua_run(pools::run_body, &body));
    EXPECT_EQ(seen[0], seen[1]);
    for (skua_executor *executor : seen) {
        EXPECT_EQ(SKUA_ECLOSED,
                  skua_executor_submit(
                      executor, [](void *) { return 0; }, nullptr, nullptr));
        skua_executor_unref(executor);
    }
}

TEST(ExecutorSlot, ShutdownEndsAllOfThem)
{
    const Loop loop;
    std::vector<skua_executor *> executors;
    skua_executor *none = nullptr;

    for (const skua_executor_purpose purpose : kPurposes) {
        executors.push_back(loop.get(purpose));
    }
    EXPECT_EQ(0, skua_loop_shutdown_default_executor(loop, SKUA_FOREVER));
    for (const skua_executor_purpose purpose : kPurposes) {
        EXPECT_EQ(SKUA_ECLOSED, skua_loop_get_executor(loop, purpose, &none));
        EXPECT_EQ(SKUA_ECLOSED,
                  skua_loop_set_executor(loop, purpose, executors[purpose]));
    }
    for (skua_executor *executor : executors) {
        EXPECT_EQ(SKUA_ECLOSED,
                  skua_executor_submit(
                      executor, [](void *) { return 0; }, nullptr, nullptr));
        skua_executor_unref(executor);
    }
    EXPECT_EQ(0, skua_loop_shutdown_default_executor(loop, SKUA_FOREVER));
}

void forget_message(skua_log_level, const char *, void *)
{
}

/* All have the time limit together, so all are told before the first wait. */
TEST(ExecutorSlot, ShutdownTellsAllBeforeItWaits)
{
    const Loop loop;
    Gate gate;
    Body body = gate.body();
    std::vector<skua_executor *> executors;

    ASSERT_EQ(0, skua_set_logger(forget_message, nullptr));
    for (const skua_executor_purpose purpose : kPurposes) {
        executors.push_back(loop.get(purpose));
        ASSERT_EQ(0, skua_executor_submit(executors.back(), pools::run_body,
                                          &body, nullptr));
        gate.begun.acquire();
    }
    std::thread waiter([&] {
        EXPECT_EQ(0, skua_loop_shutdown_default_executor(loop, SKUA_FOREVER));
    });

    for (skua_executor *executor : executors) {
        while (skua_executor_submit(
                   executor, [](void *) { return 0; }, nullptr, nullptr) == 0) {
            std::this_thread::yield();
        }
    }
    EXPECT_EQ(-ETIMEDOUT, skua_loop_shutdown_default_executor(loop, 0));
    gate.open.release(3);
    waiter.join();
    ASSERT_EQ(0, skua_set_logger(nullptr, nullptr));
    for (skua_executor *executor : executors) {
        EXPECT_EQ(0, skua_executor_shutdown(executor, true, false));
        skua_executor_unref(executor);
    }
}

TEST(ExecutorSlot, ACancelledShutdownCanBeRepeated)
{
    Gate gate;
    Body blocks = gate.body();
    Body waits = [&] {
        return skua_loop_shutdown_default_executor(skua_get_running_loop(),
                                                   SKUA_FOREVER);
    };
    Body body = [&] {
        skua_executor *executor = nullptr;
        skua_task *task = nullptr;

        EXPECT_EQ(0, skua_loop_get_executor(skua_get_running_loop(),
                                            SKUA_EXECUTOR_NAMES, &executor));
        EXPECT_EQ(0, skua_executor_submit(executor, pools::run_body, &blocks,
                                          nullptr));
        EXPECT_EQ(0, skua_create_task(pools::run_body, &waits, &task));
        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(1, skua_task_cancel(task));
        EXPECT_EQ(SKUA_ECANCELED, skua_await(task, nullptr));
        skua_future_unref(task);
        skua_executor_unref(executor);
        gate.open.release();
        return waits();
    };
    skua_runner_options options = {};

    options.loops = 1;
    EXPECT_EQ(0, skua_run_with(&options, pools::run_body, &body, nullptr));
}

} // namespace
