// SPDX-License-Identifier: Apache-2.0
// Which cores a thread may run on, and how it is kept off one.
#include "../../../sched/cores.h"

#include <atomic>
#include <cstring>
#include <thread>

#include <sched.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace
{

cpu_set_t MaskOf(pid_t thread)
{
    cpu_set_t mask;

    CPU_ZERO(&mask);
    EXPECT_EQ(sched_getaffinity(thread, sizeof(mask), &mask), 0);
    return mask;
}

// A thread that waits until it shall restore what it may use.
class Sleeper
{
  public:
    Sleeper()
        : thread_([this] {
              id_ = gettid();
              while (!go_on_.load()) {
                  (void)sched_yield();
              }
              skui_cores_restore(&former);
              restored_ = MaskOf(0);
          })
    {
        while (id_.load() == 0) {
            (void)sched_yield();
        }
    }
    cpu_set_t Restore()
    {
        go_on_ = true;
        thread_.join();
        return restored_;
    }
    pid_t id() const
    {
        return id_.load();
    }

    skui_cores_mask former = {};

  private:
    std::atomic<pid_t> id_{0};
    std::atomic<bool> go_on_{false};
    cpu_set_t restored_ = {};
    std::thread thread_;
};

TEST(Cores, AreAtLeastOneAndNotMoreThanTheMaskHas)
{
    const cpu_set_t mask = MaskOf(0);

    EXPECT_GE(skui_usable_cores(), 1u);
    EXPECT_LE(skui_usable_cores(), static_cast<unsigned>(CPU_COUNT(&mask)));
    EXPECT_TRUE(CPU_ISSET(skui_cores_here(), &mask));
}

TEST(CoresKeepOff, TakesOneCoreAwayUntilItIsRestored)
{
    const cpu_set_t before = MaskOf(0);
    const int core = skui_cores_here();
    Sleeper sleeper;
    cpu_set_t others;

    if (CPU_COUNT(&before) < 2) {
        memcpy(&sleeper.former, &before, sizeof(before));
        (void)sleeper.Restore();
        GTEST_SKIP() << "needs a second core";
    }
    ASSERT_TRUE(skui_cores_keep_off(sleeper.id(), core, &sleeper.former));
    others = MaskOf(sleeper.id());
    EXPECT_FALSE(CPU_ISSET(core, &others));
    EXPECT_EQ(CPU_COUNT(&others), CPU_COUNT(&before) - 1);
    others = sleeper.Restore();
    EXPECT_TRUE(CPU_EQUAL(&others, &before));
}

TEST(CoresKeepOff, LeavesAThreadAloneThatHasNoOther)
{
    const cpu_set_t before = MaskOf(0);
    Sleeper sleeper;
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(skui_cores_here(), &one);
    ASSERT_EQ(sched_setaffinity(sleeper.id(), sizeof(one), &one), 0);
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (CPU_ISSET(core, &one)) {
            EXPECT_FALSE(
                skui_cores_keep_off(sleeper.id(), core, &sleeper.former));
        }
    }
    EXPECT_FALSE(skui_cores_keep_off(sleeper.id(), -1, &sleeper.former));
    EXPECT_FALSE(
        skui_cores_keep_off(sleeper.id(), CPU_SETSIZE, &sleeper.former));
    one = MaskOf(sleeper.id());
    EXPECT_EQ(CPU_COUNT(&one), 1);
    memcpy(&sleeper.former, &before, sizeof(before));
    (void)sleeper.Restore();
}

} // namespace
