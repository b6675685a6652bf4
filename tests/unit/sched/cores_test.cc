// SPDX-License-Identifier: Apache-2.0
// Which cores a thread may run on, and how it is kept off one.
#include "../../../sched/cores.h"

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "../../../sched/runner.h"

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

constexpr int kNoMounts = 77; /* exit status: no file system of one's own */

// In a child: a cgroup whose cpu.max says `quota`.
void UseQuota(const std::string &quota)
{
    std::ifstream groups("/proc/self/cgroup");
    std::string group;

    while (std::getline(groups, group) && group.rfind("0::", 0) != 0) {
    }
    if (group.rfind("0::", 0) != 0 || unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", "/sys/fs/cgroup", "tmpfs", 0, nullptr) != 0) {
        _exit(kNoMounts);
    }
    const std::string folder = "/sys/fs/cgroup" + group.substr(3);

    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/cpu.max") << quota << "\n";
}

// What idle loops of a new runner do.
skua_spin_policy NewPolicy()
{
    skua_runner_options options = {};
    skua_runner *runner = nullptr;
    skua_spin_policy policy = SKUA_SPIN_FIXED;

    options.loops = 1;
    if (skua_runner_new(&options, &runner) == 0) {
        policy = runner->loops[0]->idle.policy;
        (void)skua_runner_close(runner);
    }
    return policy;
}

bool IsRationedByAQuotaOfOne()
{
    UseQuota("100000 100000");
    return skui_usable_cores() == 1 && skui_cores_are_rationed() &&
           NewPolicy() == SKUA_SPIN_OFF;
}

bool IsFreeWithoutALimit()
{
    UseQuota("max 100000");
    return !skui_cores_are_rationed() && NewPolicy() == SKUA_SPIN_ADAPTIVE;
}

bool IsFreeBelowALargeLimit()
{
    UseQuota("409600000 100000");
    return !skui_cores_are_rationed() && NewPolicy() == SKUA_SPIN_ADAPTIVE;
}

void InChild(bool (*holds)())
{
    const pid_t child = fork();
    int status = 0;

    ASSERT_GE(child, 0);
    if (child == 0) {
        _exit(holds() ? 0 : 1);
    }
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == kNoMounts) {
        GTEST_SKIP() << "not allowed to mount";
    }
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(CoresQuota, OfOneCoreStopsSpinning)
{
    InChild(IsRationedByAQuotaOfOne);
}

TEST(CoresQuota, WithoutALimitChangesNothing)
{
    InChild(IsFreeWithoutALimit);
}

TEST(CoresQuota, AboveTheCoresChangesNothing)
{
    InChild(IsFreeBelowALargeLimit);
}

} // namespace
