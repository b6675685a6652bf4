/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/overflow.h"

#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include <gtest/gtest.h>

#include "sched/coroutine.h"

namespace
{

skui_stack stack;
skui_coroutine thread_side;
skui_coroutine task_side;

bool describe(uintptr_t fault_address, skui_overflow_site *out)
{
    (void)fault_address;
    out->name = "digger";
    out->low = reinterpret_cast<uintptr_t>(stack.limit);
    out->high = reinterpret_cast<uintptr_t>(stack.top);
    out->guard_bytes = SKUI_STACK_GUARD_BYTES;
    return true;
}

template <size_t frame_bytes> __attribute__((noinline)) int dig(int depth)
{
    volatile char frame[frame_bytes];

    frame[0] = static_cast<char>(depth);
    int below = depth > 1000000 ? 0 : dig<frame_bytes>(depth + 1);
    return below + frame[0];
}

template <size_t frame_bytes> void task(void *)
{
    skui_coroutine_entered(&task_side, &thread_side);
    volatile int sink = dig<frame_bytes>(0);
    (void)sink;
    skui_coroutine_switch_last(&task_side, &thread_side);
}

void quiet_core_dumps()
{
    signal(SIGABRT, SIG_DFL);
}

template <size_t frame_bytes> void overflow()
{
    skui_stack_pool pool{};

    quiet_core_dumps();
    if (skui_stack_pool_init(&pool, 0) != 0 ||
        skui_stack_pool_get(&pool, &stack) != 0 ||
        skui_overflow_thread_init() != 0) {
        _exit(2);
    }
    skui_overflow_set_describer(describe);
    skui_coroutine_init_thread(&thread_side);
    skui_coroutine_prepare(&task_side, &stack, task<frame_bytes>, nullptr);
    skui_coroutine_switch(&thread_side, &task_side);
    _exit(0);
}

void foreign_fault()
{
    void *hole =
        mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    *static_cast<volatile char *>(hole) = 1;
}

void before(int, siginfo_t *, void *)
{
    _exit(33);
}

const char *const REPORT =
    "skua: stack overflow in task \"digger\": stack 0x[0-9a-f]+-0x[0-9a-f]+ "
    "\\([0-9]+ bytes\\), fault at 0x[0-9a-f]+";

} // namespace

TEST(OverflowReportDeathTest, NamesTheTaskOfSmallFrames)
{
    EXPECT_EXIT(overflow<100>(), testing::KilledBySignal(SIGSEGV), REPORT);
}

TEST(OverflowReportDeathTest, NamesTheTaskOfPageSizedFrames)
{
    EXPECT_EXIT(overflow<4096>(), testing::KilledBySignal(SIGSEGV), REPORT);
}

TEST(OverflowReportDeathTest, NamesTheTaskOfFramesJustSmallerThanTheGuard)
{
    EXPECT_EXIT(overflow<12000>(), testing::KilledBySignal(SIGSEGV), REPORT);
}

TEST(OverflowChainDeathTest, LeavesForeignFaultsToTheHandlerBefore)
{
    EXPECT_EXIT(
        {
            struct sigaction action = {};

            action.sa_sigaction = before;
            action.sa_flags = SA_SIGINFO;
            sigaction(SIGSEGV, &action, nullptr);
            (void)skui_overflow_thread_init();
            skui_overflow_set_describer(describe);
            foreign_fault();
        },
        testing::ExitedWithCode(33), "");
}

TEST(OverflowChainDeathTest, ForeignFaultsKillByDefault)
{
    EXPECT_EXIT(
        {
            signal(SIGSEGV, SIG_DFL);
            (void)skui_overflow_thread_init();
            skui_overflow_set_describer(nullptr);
            foreign_fault();
        },
        testing::KilledBySignal(SIGSEGV), "");
}

TEST(OverflowChainDeathTest, ASentSignalKillsByDefault)
{
    EXPECT_EXIT(
        {
            signal(SIGSEGV, SIG_DFL);
            (void)skui_overflow_thread_init();
            kill(getpid(), SIGSEGV);
            _exit(0);
        },
        testing::KilledBySignal(SIGSEGV), "");
}

TEST(OverflowThread, InitNestsAndFiniRestoresTheStackBefore)
{
    std::thread thread([] {
        stack_t first{};
        stack_t inside{};
        stack_t after{};

        sigaltstack(nullptr, &first);
        ASSERT_EQ(skui_overflow_thread_init(), 0);
        ASSERT_EQ(skui_overflow_thread_init(), 0);
        skui_overflow_thread_fini();
        sigaltstack(nullptr, &inside);
        EXPECT_EQ(inside.ss_flags & SS_DISABLE, 0);
        EXPECT_NE(inside.ss_sp, first.ss_sp);
        skui_overflow_thread_fini();
        sigaltstack(nullptr, &after);
        EXPECT_EQ(after.ss_sp, first.ss_sp);
        EXPECT_EQ(after.ss_flags, first.ss_flags);
        skui_overflow_thread_fini();
    });
    thread.join();
}
