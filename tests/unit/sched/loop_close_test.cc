/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include "conformance/support.h"
#include "future.h"
#include "handle.h"
#include "inbox.h"
#include "task.h"

namespace
{

using conformance::Future;
using conformance::Reports;

/** A loop that is closed by hand. */
skua_loop *open_loop()
{
    skua_loop *loop = nullptr;

    EXPECT_EQ(0, skua_loop_new(nullptr, &loop));
    return loop;
}

int await_future(void *future)
{
    return skua_await(static_cast<skua_future *>(future), nullptr);
}

Future make_future(skua_loop *loop)
{
    skua_future *future = nullptr;

    EXPECT_EQ(0, skua_future_new(loop, &future));
    return Future(future);
}

Future start_task(skua_loop *loop, skua_task_fn *fn, void *arg)
{
    skua_task *task = nullptr;

    EXPECT_EQ(0, skua_loop_create_task(loop, fn, arg, &task));
    return Future(task);
}

void count_completion(skua_future *, void *arg)
{
    ++*static_cast<int *>(arg);
}

TEST(LoopClose, EndsAParkedTaskOnce)
{
    skua_loop *loop = open_loop();
    Future future = make_future(loop);
    Future task = start_task(loop, await_future, future.get());
    Reports reports;
    int completions = 0;

    reports.install(loop);
    ASSERT_EQ(
        0, skui_future_add_inline(task.get(), count_completion, &completions));
    ASSERT_EQ(0, skua_loop_run_once(loop, 0));
    ASSERT_EQ(0, skua_loop_close(loop));
    EXPECT_EQ(1, completions);
    EXPECT_EQ(1u, reports.count(SKUA_ECLOSED));
    EXPECT_EQ(SKUA_ECLOSED, skua_future_result(task.get(), nullptr));
    /* A waker that comes late finds nobody. */
    EXPECT_EQ(0, skua_future_set_result(future.get(), nullptr));
    EXPECT_EQ(1, completions);
    skua_loop_unref(loop);
}

TEST(LoopClose, EndsATaskThatWasWokenAndIsQueuedOnce)
{
    skua_loop *loop = open_loop();
    Future future = make_future(loop);
    Future task = start_task(loop, await_future, future.get());
    Reports reports;
    int completions = 0;

    reports.install(loop);
    ASSERT_EQ(
        0, skui_future_add_inline(task.get(), count_completion, &completions));
    ASSERT_EQ(0, skua_loop_run_once(loop, 0));
    ASSERT_EQ(0, skua_future_set_result(future.get(), nullptr));
    ASSERT_EQ(0, skua_loop_close(loop));
    EXPECT_EQ(1, completions);
    EXPECT_EQ(1u, reports.count(SKUA_ECLOSED));
    EXPECT_EQ(SKUA_ECLOSED, skua_future_result(task.get(), nullptr));
    skua_loop_unref(loop);
}

TEST(LoopClose, EndsTasksThatWakeOneAnotherAsTheyEnd)
{
    skua_loop *loop = open_loop();
    Future future = make_future(loop);
    std::vector<Future> tasks;
    Reports reports;

    reports.install(loop);
    tasks.push_back(start_task(loop, await_future, future.get()));
    for (int i = 0; i < 100; i++) {
        tasks.push_back(start_task(loop, await_future, tasks.back().get()));
    }
    for (int i = 0; i < 3; i++) {
        ASSERT_EQ(0, skua_loop_run_once(loop, 0));
    }
    ASSERT_EQ(0, skua_loop_close(loop));
    EXPECT_EQ(tasks.size(), reports.count(SKUA_ECLOSED));
    for (const Future &task : tasks) {
        EXPECT_TRUE(skua_future_done(task.get()));
    }
    skua_loop_unref(loop);
}

/* WW1: a canceller that HOLDs the word owns what a waker leaves to it. */
TEST(LoopClose, WaitsForACancellerThatHoldsATask)
{
    skua_loop *loop = open_loop();
    Future future = make_future(loop);
    Future task = start_task(loop, await_future, future.get());
    struct skui_task *inner = skui_task_of(task.get());
    Reports reports;

    reports.install(loop);
    ASSERT_EQ(0, skua_loop_run_once(loop, 0));
    inner->wait_word.fetch_or(SKUI_WAIT_HELD);
    /* The waker leaves the task to the holder. */
    ASSERT_EQ(0, skua_future_set_result(future.get(), nullptr));
    ASSERT_NE(0u, inner->wait_word.load() & SKUI_WAIT_DEFERRED);
    std::thread closer([&] { EXPECT_EQ(0, skua_loop_close(loop)); });
    while (loop->park_state.load() != SKUI_PARK_CLOSING) {
        std::this_thread::yield();
    }
    EXPECT_FALSE(skua_future_done(task.get()));
    inner->wait_word.fetch_and(
        ~static_cast<uint64_t>(SKUI_WAIT_HELD | SKUI_WAIT_DEFERRED));
    skui_task_queue(inner);
    closer.join();
    EXPECT_EQ(1u, reports.count(SKUA_ECLOSED));
    EXPECT_EQ(SKUA_ECLOSED, skua_future_result(task.get(), nullptr));
    skua_loop_unref(loop);
}

int sleep_long(void *)
{
    return skua_sleep(3600 * SKUA_S);
}

TEST(LoopClose, TakesTheTimersOfTasksOut)
{
    skua_loop *loop = open_loop();
    Future task = start_task(loop, sleep_long, nullptr);
    Reports reports;

    reports.install(loop);
    ASSERT_EQ(0, skua_loop_run_once(loop, 0));
    ASSERT_TRUE(skui_timers_any(&loop->timers));
    ASSERT_EQ(0, skua_loop_close(loop));
    EXPECT_FALSE(skui_timers_any(&loop->timers));
    EXPECT_EQ(1u, reports.count(SKUA_ECLOSED));
    skua_loop_unref(loop);
}

void set_flag(void *flag)
{
    *static_cast<bool *>(flag) = true;
}

TEST(LoopReopen, DropsAPostThatWasMeantForTheLoopBefore)
{
    skua_loop *first = open_loop();
    skua_handle *handle = nullptr;
    bool ran = false;
    skua_loop *second;

    /* A poster that has looked at the id and stands still before its push. */
    ASSERT_EQ(0, skui_handle_new(first, set_flag, &ran, &handle));
    (void)skua_handle_ref(handle);
    handle->runnable.ticket = handle->loop_id;
    ASSERT_EQ(0, skua_loop_close(first));
    skua_loop_unref(first);
    second = open_loop();
    ASSERT_EQ(first, second) << "memory of closed loops is reused";
    skui_inbox_push(&second->inbox, &handle->runnable);
    ASSERT_EQ(0, skua_loop_run_once(second, 0));
    EXPECT_FALSE(ran);
    EXPECT_EQ(1u, handle->refs.load());
    skua_handle_unref(handle);
    EXPECT_EQ(0, skua_loop_close(second));
    skua_loop_unref(second);
}

TEST(LoopReopen, RefusesThePostOfAnOlderId)
{
    skua_loop *first = open_loop();
    skua_handle *handle = nullptr;
    bool ran = false;
    skua_loop *second;

    ASSERT_EQ(0, skui_handle_new(first, set_flag, &ran, &handle));
    ASSERT_EQ(0, skua_loop_close(first));
    skua_loop_unref(first);
    second = open_loop();
    ASSERT_EQ(first, second);
    EXPECT_FALSE(skui_loop_queue(second, handle->loop_id, &handle->runnable));
    skua_handle_unref(handle);
    EXPECT_EQ(0, skua_loop_close(second));
    skua_loop_unref(second);
}

} // namespace
