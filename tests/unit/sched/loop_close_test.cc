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

void count_completion(skua_future *, void *arg)
{
    ++*static_cast<int *>(arg);
}

/** Close and release `loop`; the next one gets its memory. */
skua_loop *reopen(skua_loop *loop)
{
    skua_loop *next;

    EXPECT_EQ(0, skua_loop_close(loop));
    skua_loop_unref(loop);
    next = open_loop();
    EXPECT_EQ(loop, next) << "memory of closed loops is reused";
    return next;
}

/** A loop that the test closes, and a future that its tasks await. */
class LoopClose : public testing::Test
{
  protected:
    LoopClose()
    {
        reports_.install(loop_);
    }

    ~LoopClose() override
    {
        skua_loop_unref(loop_);
    }

    Future start(skua_task_fn *fn, void *arg)
    {
        skua_task *task = nullptr;

        EXPECT_EQ(0, skua_loop_create_task(loop_, fn, arg, &task));
        return Future(task);
    }

    /** A task that waits for `future_`; `completions_` counts its ends. */
    Future park()
    {
        Future task = start(await_future, future_.get());

        EXPECT_EQ(0, skui_future_add_inline(task.get(), count_completion,
                                            &completions_));
        EXPECT_EQ(0, skua_loop_run_once(loop_, 0));
        return task;
    }

    void expect_ended_once(const Future &task)
    {
        EXPECT_EQ(1, completions_);
        EXPECT_EQ(1u, reports_.count(SKUA_ECLOSED));
        EXPECT_EQ(SKUA_ECLOSED, skua_future_result(task.get(), nullptr));
    }

    skua_loop *loop_ = open_loop();
    Future future_ = make_future(loop_);
    Reports reports_;
    int completions_ = 0;
};

TEST_F(LoopClose, EndsAParkedTaskOnce)
{
    Future task = park();

    ASSERT_EQ(0, skua_loop_close(loop_));
    expect_ended_once(task);
    /* A waker that comes late finds nobody. */
    EXPECT_EQ(0, skua_future_set_result(future_.get(), nullptr));
    EXPECT_EQ(1, completions_);
}

TEST_F(LoopClose, EndsATaskThatWasWokenAndIsQueuedOnce)
{
    Future task = park();

    ASSERT_EQ(0, skua_future_set_result(future_.get(), nullptr));
    ASSERT_EQ(0, skua_loop_close(loop_));
    expect_ended_once(task);
}

TEST_F(LoopClose, EndsTasksThatWakeOneAnotherAsTheyEnd)
{
    std::vector<Future> tasks;

    tasks.push_back(start(await_future, future_.get()));
    for (int i = 0; i < 100; i++) {
        tasks.push_back(start(await_future, tasks.back().get()));
    }
    for (int i = 0; i < 3; i++) {
        ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    }
    ASSERT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(tasks.size(), reports_.count(SKUA_ECLOSED));
    for (const Future &task : tasks) {
        EXPECT_TRUE(skua_future_done(task.get()));
    }
}

/* WW1: a canceller that HOLDs the word owns what a waker leaves to it. */
TEST_F(LoopClose, WaitsForACancellerThatHoldsATask)
{
    Future task = park();
    struct skui_task *inner = skui_task_of(task.get());

    inner->wait_word.fetch_or(SKUI_WAIT_HELD);
    /* The waker leaves the task to the holder. */
    ASSERT_EQ(0, skua_future_set_result(future_.get(), nullptr));
    ASSERT_NE(0u, inner->wait_word.load() & SKUI_WAIT_DEFERRED);
    std::thread closer([&] { EXPECT_EQ(0, skua_loop_close(loop_)); });
    while (loop_->park_state.load() != SKUI_PARK_CLOSING) {
        std::this_thread::yield();
    }
    EXPECT_FALSE(skua_future_done(task.get()));
    inner->wait_word.fetch_and(
        ~static_cast<uint64_t>(SKUI_WAIT_HELD | SKUI_WAIT_DEFERRED));
    skui_task_queue(inner);
    closer.join();
    expect_ended_once(task);
}

int sleep_long(void *)
{
    return skua_sleep(3600 * SKUA_S);
}

TEST_F(LoopClose, TakesTheTimersOfTasksOut)
{
    Future task = start(sleep_long, nullptr);

    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    ASSERT_TRUE(skui_timers_any(&loop_->timers));
    ASSERT_EQ(0, skua_loop_close(loop_));
    EXPECT_FALSE(skui_timers_any(&loop_->timers));
    EXPECT_EQ(1u, reports_.count(SKUA_ECLOSED));
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
    second = reopen(first);
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
    second = reopen(first);
    EXPECT_FALSE(skui_loop_queue(second, handle->loop_id, &handle->runnable));
    skua_handle_unref(handle);
    EXPECT_EQ(0, skua_loop_close(second));
    skua_loop_unref(second);
}

} // namespace
