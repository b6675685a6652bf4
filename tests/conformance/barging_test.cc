/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barging_test.cc - inventory K-01: locks that newcomers may take first.
 */
#include "support.h"

namespace conformance
{
namespace
{

constexpr int kVainWakes = 8; /* after so many a waiter is given the lock */

class BargingLock : public ConformanceOne
{
  protected:
    void SetUp() override
    {
        ConformanceOne::SetUp();
        ASSERT_EQ(0, skua_lock_init(&lock_, SKUA_LOCK_BARGING));
    }

    /** A task that takes the lock, notes `id` and keeps it; it waits now. */
    Future start_waiter(int id)
    {
        Future task = spawn([this, id] {
            const int status = skua_lock_acquire(&lock_);

            if (status == 0) {
                log_.add(id);
            }
            return status;
        });

        EXPECT_EQ(0, skua_yield());
        return task;
    }

    /** Let the first waiter wake in vain, once for each round. */
    void barge(int rounds)
    {
        for (int i = 0; i < rounds; i++) {
            EXPECT_EQ(0, skua_lock_release(&lock_));
            EXPECT_EQ(0, skua_lock_acquire(&lock_));
            EXPECT_EQ(0, skua_yield());
        }
    }

    static int await_status(const Future &task)
    {
        return skua_await(task.get(), nullptr);
    }

    skua_lock lock_ = {};
    Log log_;
};

TEST_P(BargingLock, K01_OtherPoliciesAreRefused)
{
    EXPECT_EQ(-EINVAL, skua_lock_init(nullptr, SKUA_LOCK_FAIR));
    EXPECT_EQ(-EINVAL,
              skua_lock_init(&lock_, static_cast<skua_lock_policy>(2)));
    EXPECT_EQ(0, skua_lock_init(&lock_, SKUA_LOCK_FAIR));
    EXPECT_EQ(-EPERM, skua_lock_release(&lock_));
}

TEST_P(BargingLock, K01_ReleaseOfAFreeOneIsRefused)
{
    EXPECT_EQ(-EPERM, skua_lock_release(&lock_));
    EXPECT_FALSE(skua_lock_locked(&lock_));
    EXPECT_EQ(0, skua_lock_acquire_nowait(&lock_));
    EXPECT_TRUE(skua_lock_locked(&lock_));
    EXPECT_EQ(-EAGAIN, skua_lock_acquire_nowait(&lock_));
    EXPECT_EQ(0, skua_lock_release(&lock_));
    EXPECT_EQ(-EPERM, skua_lock_release(&lock_));
}

TEST_P(BargingLock, K01_ANewcomerTakesItBeforeAWaiter)
{
    EXPECT_EQ(0, run([this] {
                  EXPECT_EQ(0, skua_lock_acquire(&lock_));
                  const Future waiter = start_waiter(1);

                  EXPECT_EQ(0, skua_lock_release(&lock_));
                  EXPECT_FALSE(skua_lock_locked(&lock_));
                  EXPECT_EQ(0, skua_lock_acquire(&lock_)); /* at once */
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(Order{}, log_.get());
                  EXPECT_EQ(0, skua_lock_release(&lock_));
                  EXPECT_EQ(0, await_status(waiter));
                  EXPECT_EQ(Order{1}, log_.get());
                  return 0;
              }));
    EXPECT_TRUE(skua_lock_locked(&lock_));
}

/* Who was woken in vain stays before those that came later. */
TEST_P(BargingLock, K01_WaitersKeepTheirOrder)
{
    EXPECT_EQ(0, run([this] {
                  std::vector<Future> waiters;

                  EXPECT_EQ(0, skua_lock_acquire(&lock_));
                  for (int id = 1; id <= 3; id++) {
                      waiters.push_back(start_waiter(id));
                      barge(1);
                  }
                  for (const Future &waiter : waiters) {
                      EXPECT_EQ(0, skua_lock_release(&lock_));
                      EXPECT_EQ(0, await_status(waiter));
                  }
                  EXPECT_EQ((Order{1, 2, 3}), log_.get());
                  return 0;
              }));
}

TEST_P(BargingLock, K01_AfterSomeVainWakesAWaiterIsGivenIt)
{
    EXPECT_EQ(0, run([this] {
                  EXPECT_EQ(0, skua_lock_acquire(&lock_));
                  const Future first = start_waiter(1);
                  const Future second = start_waiter(2);

                  barge(kVainWakes);
                  EXPECT_EQ(0, skua_lock_release(&lock_));
                  EXPECT_TRUE(skua_lock_locked(&lock_)); /* by the waiter */
                  EXPECT_EQ(-EAGAIN, skua_lock_acquire_nowait(&lock_));
                  EXPECT_EQ(0, await_status(first));
                  EXPECT_EQ(0, skua_lock_release(&lock_));
                  EXPECT_EQ(0, await_status(second)); /* wakes as any other */
                  EXPECT_EQ((Order{1, 2}), log_.get());
                  return 0;
              }));
}

TEST_P(BargingLock, K01_ACancelledWaiterIsSkipped)
{
    for (const int rounds : {0, 1, kVainWakes}) {
        skua_lock_init(&lock_, SKUA_LOCK_BARGING);
        EXPECT_EQ(0, run([&] {
                      EXPECT_EQ(0, skua_lock_acquire(&lock_));
                      const Future first = start_waiter(1);
                      const Future second = start_waiter(2);

                      barge(rounds);
                      EXPECT_EQ(1, skua_task_cancel(first.get()));
                      EXPECT_EQ(SKUA_ECANCELED, await_status(first));
                      EXPECT_EQ(0, skua_lock_release(&lock_));
                      EXPECT_EQ(0, skua_lock_acquire(&lock_)); /* none owed */
                      EXPECT_EQ(0, skua_lock_release(&lock_));
                      EXPECT_EQ(0, await_status(second));
                      return skua_lock_release(&lock_);
                  }));
        EXPECT_FALSE(skua_lock_locked(&lock_));
    }
}

TEST_P(BargingLock, K01_WokenOrGivenAndThenCancelledPassesItOn)
{
    for (const int rounds : {0, 1, kVainWakes}) {
        skua_lock_init(&lock_, SKUA_LOCK_BARGING);
        EXPECT_EQ(0, run([&] {
                      EXPECT_EQ(0, skua_lock_acquire(&lock_));
                      const Future first = start_waiter(1);
                      const Future second = start_waiter(2);

                      barge(rounds);
                      EXPECT_EQ(0, skua_lock_release(&lock_));
                      EXPECT_EQ(1, skua_task_cancel(first.get()));
                      EXPECT_EQ(SKUA_ECANCELED, await_status(first));
                      EXPECT_EQ(0, await_status(second));
                      return skua_lock_release(&lock_);
                  }));
        EXPECT_FALSE(skua_lock_locked(&lock_));
        EXPECT_EQ(0, skua_lock_acquire_nowait(&lock_));
        EXPECT_EQ(0, skua_lock_release(&lock_));
    }
}

/* The holder's release must wake who waits, though another was woken before. */
TEST_P(BargingLock, K01_CancelOfAWokenOneWhileAnotherHasIt)
{
    EXPECT_EQ(0, run([this] {
                  EXPECT_EQ(0, skua_lock_acquire(&lock_));
                  const Future first = start_waiter(1);
                  const Future second = start_waiter(2);

                  EXPECT_EQ(0, skua_lock_release(&lock_));
                  EXPECT_EQ(0, skua_lock_acquire(&lock_));
                  EXPECT_EQ(1, skua_task_cancel(first.get()));
                  EXPECT_EQ(SKUA_ECANCELED, await_status(first));
                  EXPECT_EQ(0, skua_lock_release(&lock_));
                  return await_status(second);
              }));
}

TEST_P(BargingLock, K01_AWaitEndsAtItsDeadline)
{
    EXPECT_EQ(0, run([this] {
                  EXPECT_EQ(0, skua_lock_acquire(&lock_));
                  EXPECT_EQ(
                      -ETIMEDOUT,
                      skua_lock_acquire_until(
                          &lock_, skua_loop_time(skua_get_running_loop())));
                  EXPECT_EQ(0, skua_lock_release(&lock_));
                  return skua_lock_acquire_nowait(&lock_);
              }));
}

TEST_P(BargingLock, K01_ServesACondition)
{
    skua_condition condition = {};

    EXPECT_EQ(0, skua_condition_init(&condition, &lock_));
    EXPECT_EQ(0, run([&] {
                  const Future waiter = spawn([&] {
                      EXPECT_EQ(0, skua_condition_acquire(&condition));
                      EXPECT_EQ(0, skua_condition_wait(&condition));
                      EXPECT_TRUE(skua_condition_locked(&condition));
                      return skua_condition_release(&condition);
                  });

                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(0, skua_condition_acquire(&condition));
                  EXPECT_EQ(1, skua_condition_notify(&condition, 1));
                  EXPECT_EQ(0, skua_condition_release(&condition));
                  return await_status(waiter);
              }));
    EXPECT_FALSE(skua_lock_locked(&lock_));
}

INSTANTIATE_TEST_SUITE_P(Loops, BargingLock, testing::Values(0, 1));

} // namespace
} // namespace conformance
