/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_hooks_test.cc - who is told what tasks do.
 */
#include <map>
#include <set>

#include "conformance/support.h"

namespace conformance
{
namespace
{

/** Counts what it is told, for each task. */
class Observer
{
  public:
    struct Count {
        int spawned = 0;
        int begun = 0;
        int ended = 0;
        int done = 0;
        bool runs = false;
    };

    const skua_task_hooks *hooks() const
    {
        return &hooks_;
    }

    std::vector<Count> counts()
    {
        const std::scoped_lock lock(mutex_);

        return finished_;
    }

    Count all()
    {
        Count sum;

        for (const Count &count : counts()) {
            sum.spawned += count.spawned;
            sum.begun += count.begun;
            sum.ended += count.ended;
            sum.done += count.done;
        }
        return sum;
    }

  private:
    static Observer *check(skua_task *task, void *arg)
    {
        EXPECT_EQ(nullptr, skua_current_task());
        EXPECT_NE(nullptr, task);
        EXPECT_EQ(SKUA_ENOLOOP, skua_yield());
        return static_cast<Observer *>(arg);
    }

    static void spawned(skua_task *task, void *arg)
    {
        Observer *self = check(task, arg);
        const std::scoped_lock lock(self->mutex_);

        EXPECT_FALSE(skua_future_done(task));
        self->live_[task] = Count();
        self->live_[task].spawned++;
    }

    static void begun(skua_task *task, void *arg)
    {
        Observer *self = check(task, arg);
        const std::scoped_lock lock(self->mutex_);
        Count &count = self->live_[task];

        EXPECT_FALSE(count.runs);
        count.runs = true;
        count.begun++;
    }

    static void ended(skua_task *task, void *arg)
    {
        Observer *self = check(task, arg);
        const std::scoped_lock lock(self->mutex_);
        Count &count = self->live_[task];

        EXPECT_TRUE(count.runs);
        count.runs = false;
        count.ended++;
    }

    static void done(skua_task *task, void *arg)
    {
        Observer *self = check(task, arg);
        const std::scoped_lock lock(self->mutex_);

        EXPECT_TRUE(skua_future_done(task));
        self->live_[task].done++;
        self->finished_.push_back(self->live_[task]);
        self->live_.erase(task);
    }

    skua_task_hooks hooks_ = {spawned, begun, ended, done, this};
    std::mutex mutex_;
    std::map<skua_task *, Count> live_;
    std::vector<Count> finished_;
};

TEST_P(ConformanceOne, TaskHooksTellOfEachStep)
{
    Observer observer;

    EXPECT_EQ(
        0, run([&] {
            skua_loop *loop = skua_get_running_loop();

            EXPECT_EQ(0, skua_loop_set_task_hooks(loop, observer.hooks()));
            Future task = spawn([] {
                EXPECT_EQ(0, skua_yield());
                EXPECT_EQ(0, skua_sleep(1));
                return 0;
            });
            EXPECT_EQ(0, skua_await(task.get(), nullptr));
            EXPECT_EQ(0, skua_loop_set_task_hooks(loop, nullptr));
            EXPECT_EQ(0, skua_await(spawn([] { return 0; }).get(), nullptr));
            return 0;
        }));
    const auto counts = observer.counts();
    ASSERT_EQ(1u, counts.size());
    EXPECT_EQ(1, counts[0].spawned);
    EXPECT_EQ(3, counts[0].begun);
    EXPECT_EQ(3, counts[0].ended);
    EXPECT_EQ(1, counts[0].done);
}

TEST_P(ConformanceOne, TaskHooksOfTasksThatNeverRun)
{
    Observer observer;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();

                  EXPECT_EQ(0,
                            skua_loop_set_task_hooks(loop, observer.hooks()));
                  Future task = spawn([] { return 0; });
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(task.get(), nullptr));
                  EXPECT_EQ(0, skua_loop_set_task_hooks(loop, nullptr));
                  return 0;
              }));
    const auto counts = observer.counts();
    ASSERT_EQ(1u, counts.size());
    EXPECT_EQ(1, counts[0].spawned);
    EXPECT_EQ(0, counts[0].begun);
    EXPECT_EQ(1, counts[0].done);
}

TEST_P(ConformanceOne, TaskHooksOfEagerTasks)
{
    Observer observer;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();
                  skua_task *self = skua_current_task();

                  EXPECT_EQ(0,
                            skua_loop_set_task_hooks(loop, observer.hooks()));
                  EXPECT_EQ(0, skua_loop_set_eager(loop, true));
                  Future task = spawn([] { return 0; });
                  EXPECT_TRUE(skua_future_done(task.get()));
                  EXPECT_EQ(self, skua_current_task());
                  EXPECT_EQ(0, skua_loop_set_task_hooks(loop, nullptr));
                  return 0;
              }));
    const auto counts = observer.counts();
    ASSERT_EQ(1u, counts.size());
    EXPECT_EQ(1, counts[0].begun);
    EXPECT_EQ(1, counts[0].ended);
}

TEST_F(Conformance, TaskHooksOfAbandonedTasks)
{
    Observer observer;
    {
        Loop loop;

        reports_.install(loop);
        EXPECT_EQ(0, skua_loop_set_task_hooks(loop, observer.hooks()));
        EXPECT_EQ(0, run(loop, [&] {
                      (void)spawn([] { return skua_sleep(SKUA_FOREVER); });
                      return skua_yield();
                  }));
    }
    EXPECT_EQ(2u, observer.counts().size());
    EXPECT_EQ(1u, reports_.count(SKUA_ECLOSED));
    EXPECT_EQ(-EINVAL, skua_loop_set_task_hooks(nullptr, nullptr));
}

TEST_P(ConformanceMany, TaskHooksPairWhileTasksMove)
{
    const int count = kRaceDetector ? 200 : 2000;
    Observer observer;

    EXPECT_EQ(
        0, run([&] {
            skua_task_group group = {};

            for (skua_loop *loop : loops()) {
                EXPECT_EQ(0, skua_loop_set_task_hooks(loop, observer.hooks()));
            }
            for (int i = 0; i < count; i++) {
                EXPECT_EQ(0, skua_task_group_create_task(
                                 &group, run_body, keeper_.body([] {
                                     EXPECT_EQ(0, skua_yield());
                                     return skua_sleep(SKUA_US);
                                 })));
            }
            EXPECT_EQ(0, skua_task_group_join(&group));
            EXPECT_EQ(static_cast<size_t>(count), observer.counts().size());
            for (skua_loop *loop : loops()) {
                EXPECT_EQ(0, skua_loop_set_task_hooks(loop, nullptr));
            }
            return 0;
        }));
    const Observer::Count all = observer.all();
    EXPECT_EQ(count, all.spawned);
    EXPECT_EQ(count, all.done);
    EXPECT_EQ(3 * count, all.begun);
    EXPECT_EQ(3 * count, all.ended);
}

TEST_P(ConformanceOne, WhatATaskHookRaisesIsHeardByNobody)
{
    static skua_task_hooks hooks = {};

    hooks.on_spawn = [](skua_task *, void *) {
        (void)skua_raise(-EIO, "a hook");
    };
    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();
                  Future over = make_future();
                  Future task;

                  EXPECT_EQ(0, skua_loop_set_task_hooks(loop, &hooks));
                  soon(loop, [&] {
                      task = spawn([] { return 0; });
                      EXPECT_EQ(nullptr, skua_current_exception());
                      EXPECT_EQ(0, skua_future_set_result(over.get(), nullptr));
                  });
                  EXPECT_EQ(0, skua_await(over.get(), nullptr));
                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  EXPECT_EQ(0, skua_loop_set_task_hooks(loop, nullptr));
                  return 0;
              }));
    EXPECT_EQ(0u, reports_.size());
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
