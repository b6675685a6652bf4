/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/waitq.c and sched/futex.c. */
#include "waitq.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <thread>
#include <vector>

#include "clock.h"
#include "futex.h"
#include "loop.h"
#include "skua/loop.h"
#include "skua/task.h"
#include "skua/time.h"
#include "task.h"

namespace
{

/** A list with its lock; waits and grants as a primitive does. */
struct List {
    skui_spinlock lock = {};
    skui_waitq queue = {};

    uint32_t count()
    {
        skui_spinlock_lock(&lock);
        const uint32_t waiters = queue.count;

        skui_spinlock_unlock(&lock);
        return waiters;
    }

    int handed_on = 0; /* grants that were given back */

    int wait(int64_t deadline_ns, int *out_value = nullptr)
    {
        skui_waitq_node node = {};
        int status = 0;

        skui_spinlock_lock(&lock);
        skui_waitq_begin(&node, &lock, deadline_ns);
        node.hand_on = hand_on;
        status = skui_waitq_wait(&queue, &node);
        if (out_value != nullptr) {
            *out_value = node.value;
        }
        return status;
    }

    static void hand_on(skui_waitq_node *node, bool)
    {
        List *list = SKUI_CONTAINER_OF(node->lock, List, lock);

        list->handed_on++;
    }

    /** Grant to the first `most`, numbered from 1; returns how many. */
    int grant(int most)
    {
        skui_waitq_chain chain = {};
        skui_waitq_node *node = nullptr;
        int granted = 0;

        skui_spinlock_lock(&lock);
        while (granted < most &&
               (node = skui_waitq_take_first(&queue, &chain)) != nullptr) {
            node->value = ++granted;
        }
        skui_spinlock_unlock(&lock);
        skui_waitq_grant(&chain);
        return granted;
    }
};

/** A loop of its own, turned by hand. */
class WaitqLoop : public testing::Test
{
  protected:
    WaitqLoop()
    {
        EXPECT_EQ(0, skua_loop_new(nullptr, &loop_));
    }

    ~WaitqLoop() override
    {
        for (skua_task *task : tasks_) {
            skua_future_unref(task);
        }
        EXPECT_EQ(0, skua_loop_close(loop_));
        skua_loop_unref(loop_);
        skui_clock_set_virtual(-1);
    }

    WaitqLoop(const WaitqLoop &) = delete;
    WaitqLoop &operator=(const WaitqLoop &) = delete;

    /** A task that waits in `list_` when this returns. */
    skua_task *start_waiter(int64_t deadline_ns = SKUA_FOREVER)
    {
        skua_task *task = nullptr;
        const uint32_t before = list_.count();

        deadline_ns_ = deadline_ns;
        EXPECT_EQ(0, skua_loop_create_task(loop_, wait, this, &task));
        turn();
        EXPECT_EQ(before + 1, list_.count());
        tasks_.push_back(task);
        return task;
    }

    void turn()
    {
        EXPECT_EQ(0, skua_loop_run_once(loop_, 0));
    }

    List list_;
    std::vector<int> statuses_; /* in the order in which they went on */
    std::vector<int> values_;
    skua_loop *loop_ = nullptr;

  private:
    static int wait(void *arg)
    {
        auto *self = static_cast<WaitqLoop *>(arg);
        int value = 0;
        const int status = self->list_.wait(self->deadline_ns_, &value);

        self->statuses_.push_back(status);
        self->values_.push_back(value);
        return 0;
    }

    int64_t deadline_ns_ = SKUA_FOREVER;
    std::vector<skua_task *> tasks_;
};

using Numbers = std::vector<int>;

TEST_F(WaitqLoop, GrantsInTheOrderOfTheWaits)
{
    for (int i = 0; i < 3; i++) {
        start_waiter();
    }
    EXPECT_EQ(2, list_.grant(2));
    EXPECT_EQ(1u, list_.count());
    turn();
    EXPECT_EQ((Numbers{1, 2}), values_);
    EXPECT_EQ((Numbers{0, 0}), statuses_);
    EXPECT_EQ(1, list_.grant(9));
    turn();
    EXPECT_EQ((Numbers{1, 2, 1}), values_);
    EXPECT_EQ(0u, list_.count());
    EXPECT_EQ(nullptr, list_.queue.last);
}

TEST_F(WaitqLoop, CancelTakesItOutAnywhereInTheList)
{
    std::vector<skua_task *> tasks;

    for (int i = 0; i < 5; i++) {
        tasks.push_back(start_waiter());
    }
    for (const size_t at : {0u, 2u, 4u}) { /* first, middle, last */
        EXPECT_EQ(1, skua_task_cancel(tasks[at]));
    }
    EXPECT_EQ(2u, list_.count());
    EXPECT_EQ(2, list_.grant(9));
    turn();
    EXPECT_EQ((Numbers{SKUA_ECANCELED, SKUA_ECANCELED, SKUA_ECANCELED, 0, 0}),
              statuses_);
    EXPECT_EQ((Numbers{0, 0, 0, 1, 2}), values_);
}

TEST_F(WaitqLoop, AGrantIsHandedOnAfterALaterCancel)
{
    skua_task *task = start_waiter();

    EXPECT_EQ(1, list_.grant(1));
    EXPECT_EQ(1, skua_task_cancel(task));
    EXPECT_EQ(0, list_.handed_on);
    turn();
    EXPECT_EQ(Numbers{SKUA_ECANCELED}, statuses_);
    EXPECT_EQ(1, list_.handed_on);
}

TEST_F(WaitqLoop, AGrantToATaskThatIsAbandonedIsHandedOn)
{
    skui_waitq_node node = {};

    node.lock = &list_.lock;
    node.hand_on = List::hand_on;
    skui_waitq_abandon(&node, false);
    EXPECT_EQ(0, list_.handed_on);
    skui_waitq_abandon(&node, true);
    EXPECT_EQ(1, list_.handed_on);
}

TEST_F(WaitqLoop, AGrantComesTooLateAfterACancel)
{
    skua_task *task = start_waiter();

    EXPECT_EQ(1, skua_task_cancel(task));
    EXPECT_EQ(0, list_.grant(1));
    EXPECT_EQ(1, skua_task_cancel(task)); /* another, before it goes on */
    turn();
    EXPECT_EQ(Numbers{SKUA_ECANCELED}, statuses_);
}

TEST_F(WaitqLoop, TheLimitTakesItOutOnce)
{
    const int64_t start_ns = 1000 * SKUA_S;

    skui_clock_set_virtual(start_ns);
    start_waiter(start_ns + SKUA_MS);
    skui_clock_set_virtual(start_ns + SKUA_MS - 1);
    turn();
    EXPECT_EQ(Numbers{}, statuses_);
    skui_clock_set_virtual(start_ns + SKUA_MS);
    turn();
    EXPECT_EQ(Numbers{-ETIMEDOUT}, statuses_);
    EXPECT_EQ(0u, list_.count());
    EXPECT_EQ(0, list_.grant(1));
}

TEST_F(WaitqLoop, AGrantBeforeTheTimerIsServedWins)
{
    const int64_t start_ns = 1000 * SKUA_S;

    skui_clock_set_virtual(start_ns);
    start_waiter(start_ns + SKUA_MS);
    skui_clock_set_virtual(start_ns + 2 * SKUA_MS);
    EXPECT_EQ(1, list_.grant(1));
    turn();
    EXPECT_EQ(Numbers{0}, statuses_);
    turn();
    EXPECT_EQ(Numbers{0}, statuses_);
}

TEST_F(WaitqLoop, APastLimitDoesNotWait)
{
    skua_task *task = nullptr;
    static List list;
    const auto wait = [](void *arg) {
        *static_cast<int *>(arg) = list.wait(0);
        return 0;
    };
    int status = 0;

    EXPECT_EQ(0, skua_loop_create_task(loop_, wait, &status, &task));
    turn();
    EXPECT_EQ(-ETIMEDOUT, status);
    EXPECT_EQ(0u, list.count());
    skua_future_unref(task);
}

TEST_F(WaitqLoop, SeizingTakesItOut)
{
    skua_task *task = start_waiter();
    start_waiter();

    EXPECT_TRUE(skui_task_seize(skui_task_of(task)));
    EXPECT_EQ(1u, list_.count());
    EXPECT_FALSE(skui_task_seize(skui_task_of(task)));
    skui_task_abandon(skui_task_of(task), loop_);
    skui_task_bury(skui_task_of(task));
    EXPECT_EQ(1, list_.grant(9));
    turn();
    EXPECT_EQ(Numbers{0}, statuses_);
}

TEST_F(WaitqLoop, WhoIsTakenIsNotSeized)
{
    skua_task *task = start_waiter();

    EXPECT_EQ(1, list_.grant(1));
    EXPECT_FALSE(skui_task_seize(skui_task_of(task)));
    turn();
    EXPECT_EQ(Numbers{0}, statuses_);
}

TEST_F(WaitqLoop, ACallbackIsRefused)
{
    static List list;
    int status = 0;
    const auto call = [](void *arg) {
        *static_cast<int *>(arg) = list.wait(SKUA_FOREVER);
    };

    EXPECT_EQ(0, skua_loop_call_soon(loop_, call, &status, nullptr));
    turn();
    EXPECT_EQ(-EDEADLK, status);
    EXPECT_TRUE(skui_spinlock_try_lock(&list.lock));
}

TEST(Waitq, AThreadIsGrantedWithAValue)
{
    List list;
    int value = 0;
    int status = -1;
    std::thread thread([&] { status = list.wait(SKUA_FOREVER, &value); });

    while (list.count() == 0) {
        std::this_thread::yield();
    }
    EXPECT_EQ(1, list.grant(1));
    thread.join();
    EXPECT_EQ(0, status);
    EXPECT_EQ(1, value);
}

TEST(Waitq, AThreadTakesItselfOutAtItsLimit)
{
    List list;
    const int64_t deadline_ns = skua_monotonic() + SKUA_MS;

    EXPECT_EQ(-ETIMEDOUT, list.wait(0));
    EXPECT_EQ(-ETIMEDOUT, list.wait(deadline_ns));
    EXPECT_LE(deadline_ns, skua_monotonic());
    EXPECT_EQ(0u, list.count());
}

/* Grant and limit meet: each grant reaches one, and is heard of. */
TEST(Waitq, AThreadsLimitAndItsGrantAreNeverBoth)
{
    List list;
    int heard = 0;
    int granted = 0;
    std::atomic<bool> over = false;
    std::thread thread([&] {
        for (int i = 0; i < 100; i++) {
            heard += list.wait(skua_monotonic() + 20 * SKUA_US) == 0;
        }
        over = true;
    });

    while (!over) {
        granted += list.grant(1);
        std::this_thread::yield(); /* valgrind runs one thread at a time */
    }
    thread.join();
    EXPECT_EQ(granted, heard);
}

TEST(WaitqParked, IsCalledOnceWithTheLockFree)
{
    struct Told {
        List list;
        int calls = 0;
        bool lock_was_free = false;
    } told;
    skui_waitq_node node = {};

    for (const int64_t deadline_ns : {INT64_C(0), skua_monotonic() + SKUA_MS}) {
        skui_spinlock_lock(&told.list.lock);
        skui_waitq_begin(&node, &told.list.lock, deadline_ns);
        node.parked = [](void *arg) {
            auto *self = static_cast<Told *>(arg);

            self->calls++;
            self->lock_was_free = skui_spinlock_try_lock(&self->list.lock);
            skui_spinlock_unlock(&self->list.lock);
        };
        node.parked_arg = &told;
        EXPECT_EQ(-ETIMEDOUT, skui_waitq_wait(&told.list.queue, &node));
        EXPECT_TRUE(told.lock_was_free);
    }
    EXPECT_EQ(2, told.calls);
}

TEST(Futex, DoesNotSleepOnAnotherValueNorPastItsLimit)
{
    _Atomic(uint32_t) word = 1;

    EXPECT_TRUE(skui_futex_wait(&word, 0, SKUA_FOREVER));
    EXPECT_FALSE(skui_futex_wait(&word, 1, 0));
    EXPECT_FALSE(skui_futex_wait(&word, 1, INT64_MIN + 1));
    skui_futex_wake(&word, 1);
}

} // namespace
