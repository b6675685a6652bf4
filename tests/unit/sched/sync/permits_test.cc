/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/sync/permits.c, with plain threads as waiters. */
#include "sync/permits.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <thread>
#include <vector>

#include "skua/time.h"

namespace
{

constexpr skui_permits_limit kLock = {0, true};
constexpr skui_permits_limit kBounded = {0, false};

size_t waiting(skui_permits *permits)
{
    skui_spinlock_lock(&permits->lock);
    const size_t count = permits->waiters.count;

    skui_spinlock_unlock(&permits->lock);
    return count;
}

uint64_t word_of(const skui_permits *permits)
{
    return skui_permits_load(permits);
}

/** A thread that waits in the list when the constructor returns. */
class Waiter
{
  public:
    explicit Waiter(skui_permits *permits)
        : thread_([this, permits] {
              status_ = skui_permits_wait(permits, SKUA_FOREVER);
          })
    {
        const size_t before = count++;

        while (waiting(permits) <= before) {
            std::this_thread::yield();
        }
    }

    int join()
    {
        thread_.join();
        count--;
        return status_;
    }

    static size_t count; /* of those that wait, in one test */

  private:
    int status_ = -1;
    std::thread thread_;
};

size_t Waiter::count;

TEST(PermitsWord, CountsWhatIsTaken)
{
    skui_permits permits = {};

    EXPECT_EQ(0u, word_of(&permits));
    EXPECT_EQ(1, skui_permits_left(&permits, 0));
    EXPECT_TRUE(skui_permits_try_take(&permits));
    EXPECT_EQ(1, skui_permits_taken(word_of(&permits)));
    EXPECT_FALSE(skui_permits_try_take(&permits));
    EXPECT_EQ(0, skui_permits_release(&permits, kLock));
    EXPECT_EQ(0u, word_of(&permits));
    EXPECT_EQ(-EPERM, skui_permits_release(&permits, kLock));
    EXPECT_EQ(0u, word_of(&permits));
}

TEST(PermitsWord, MayGoBelowZeroAndBack)
{
    const skui_permits_limit unbounded = {-INT_MAX, false};
    skui_permits permits = {};

    permits.extra = -1; /* none at the start */
    EXPECT_FALSE(skui_permits_try_take(&permits));
    EXPECT_EQ(0, skui_permits_release(&permits, unbounded));
    EXPECT_EQ(0, skui_permits_release(&permits, unbounded));
    EXPECT_EQ(-2, skui_permits_taken(word_of(&permits)));
    EXPECT_EQ(0u, skui_permits_given(word_of(&permits)));
    EXPECT_EQ(2, skui_permits_left(&permits, word_of(&permits)));
    EXPECT_TRUE(skui_permits_try_take(&permits));
    EXPECT_TRUE(skui_permits_try_take(&permits));
    EXPECT_FALSE(skui_permits_try_take(&permits));
    EXPECT_EQ(0u, word_of(&permits));
}

TEST(PermitsWord, AddChangesNothingElse)
{
    const uint64_t flags = SKUI_PERMITS_QUEUED | 5 * SKUI_PERMITS_GIVEN;

    EXPECT_EQ(flags | 0xffffffffu, skui_permits_add(flags, -1));
    EXPECT_EQ(flags, skui_permits_add(skui_permits_add(flags, -1), 1));
    EXPECT_EQ(5u, skui_permits_given(skui_permits_add(flags, -1)));
}

TEST(PermitsAcquire, GivesUpAtItsLimitAndLeavesNoTrace)
{
    skui_permits permits = {};

    ASSERT_TRUE(skui_permits_try_take(&permits));
    EXPECT_EQ(-ETIMEDOUT, skui_permits_wait(&permits, 0));
    EXPECT_EQ(-ETIMEDOUT,
              skui_permits_wait(&permits, skua_monotonic() + SKUA_MS));
    EXPECT_EQ(0u, waiting(&permits));
    EXPECT_EQ(1u, word_of(&permits)); /* QUEUED is gone */
}

TEST(PermitsAcquire, MarksTheWordAsLongAsSomebodyWaits)
{
    skui_permits permits = {};

    ASSERT_TRUE(skui_permits_try_take(&permits));
    Waiter first(&permits);
    Waiter second(&permits);

    EXPECT_EQ(SKUI_PERMITS_QUEUED | 1u, word_of(&permits));
    EXPECT_EQ(0, skui_permits_release(&permits, kLock));
    EXPECT_EQ(0, first.join());
    EXPECT_EQ(SKUI_PERMITS_QUEUED | 1u, word_of(&permits));
    EXPECT_EQ(0, skui_permits_release(&permits, kLock));
    EXPECT_EQ(0, second.join());
    EXPECT_EQ(1u, word_of(&permits));
    EXPECT_EQ(0, skui_permits_release(&permits, kLock));
    EXPECT_EQ(0u, word_of(&permits));
}

TEST(PermitsAcquire, ServesThreadsInTheOrderOfTheirCalls)
{
    constexpr int kWaiters = 4;
    skui_permits permits = {};
    std::vector<std::thread> threads;
    std::vector<int> order; /* guarded by the permit */

    ASSERT_TRUE(skui_permits_try_take(&permits));
    for (int i = 0; i < kWaiters; i++) {
        threads.emplace_back([&, i] {
            EXPECT_EQ(0, skui_permits_wait(&permits, SKUA_FOREVER));
            order.push_back(i);
            EXPECT_EQ(0, skui_permits_release(&permits, kLock));
        });
        while (waiting(&permits) <= static_cast<size_t>(i)) {
            std::this_thread::yield();
        }
    }
    EXPECT_EQ(0, skui_permits_release(&permits, kLock));
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ((std::vector<int>{0, 1, 2, 3}), order);
    EXPECT_EQ(0u, word_of(&permits));
}

TEST(PermitsAcquire, ANewcomerDoesNotOvertake)
{
    skui_permits permits = {};

    ASSERT_TRUE(skui_permits_try_take(&permits));
    Waiter waiter(&permits);

    EXPECT_FALSE(skui_permits_try_take(&permits));
    EXPECT_EQ(-ETIMEDOUT, skui_permits_wait(&permits, 0));
    EXPECT_EQ(0, skui_permits_release(&permits, kLock));
    EXPECT_FALSE(skui_permits_try_take(&permits));
    EXPECT_EQ(0, waiter.join());
}

TEST(PermitsRelease, IsBoundedByWhatIsTaken)
{
    skui_permits permits = {};

    permits.extra = 1; /* two at the start */
    EXPECT_EQ(-EPERM, skui_permits_release(&permits, kBounded));
    ASSERT_TRUE(skui_permits_try_take(&permits));
    ASSERT_TRUE(skui_permits_try_take(&permits));
    Waiter waiter(&permits);

    EXPECT_EQ(0, skui_permits_release(&permits, kBounded));
    EXPECT_EQ(0, waiter.join());
    EXPECT_EQ(2u, word_of(&permits));
    EXPECT_EQ(0, skui_permits_release(&permits, kBounded));
    EXPECT_EQ(0, skui_permits_release(&permits, kBounded));
    EXPECT_EQ(-EPERM, skui_permits_release(&permits, kBounded));
}

/* The list is empty, its flag is not: it was left by one that timed out. */
TEST(PermitsRelease, ClearsAFlagThatIsLeftOver)
{
    skui_permits permits = {};

    skui_store_relaxed(&permits.word, SKUI_PERMITS_QUEUED | 1u);
    EXPECT_FALSE(skui_permits_try_take(&permits));
    EXPECT_EQ(0, skui_permits_release(&permits, kLock));
    EXPECT_EQ(0u, word_of(&permits));
    skui_store_relaxed(&permits.word, SKUI_PERMITS_QUEUED);
    EXPECT_EQ(0, skui_permits_wait(&permits, SKUA_FOREVER));
    EXPECT_EQ(1u, word_of(&permits));
    skui_store_relaxed(&permits.word, SKUI_PERMITS_QUEUED);
    EXPECT_EQ(-EPERM, skui_permits_release(&permits, kLock));
    EXPECT_EQ(0u, word_of(&permits));
}

} // namespace
