/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overflow_test.cc - a task that overflows its stack is named and dies by
 * SIGSEGV.
 */
#include <csignal>

#include "support.h"

namespace conformance
{
namespace
{

volatile int endless = 1; /* so that no compiler sees the recursion's end */

template <size_t kBytes>
__attribute__((noinline, no_sanitize("address"))) int recurse(int depth)
{
    volatile char frame[kBytes];

    frame[0] = static_cast<char>(depth);
    frame[kBytes - 1] = frame[0];
    if (endless == 0) {
        return 0;
    }
    return recurse<kBytes>(depth + 1) + frame[kBytes - 1];
}

template <size_t kBytes> int overflow(void *)
{
    return recurse<kBytes>(0);
}

template <size_t kBytes> int main_task(void *)
{
    skua_task_options options = {};
    skua_task *task = nullptr;

    options.name = "too-deep";
    if (skua_create_task_with(&options, overflow<kBytes>, nullptr, &task) < 0) {
        return -1;
    }
    return skua_await(task, nullptr);
}

template <size_t kBytes> void run_overflow(unsigned loops)
{
    skua_runner_options options = {};

    options.loops = loops;
    (void)skua_run_with(&options, main_task<kBytes>, nullptr, nullptr);
}

constexpr char kMessage[] =
    "stack overflow in task \"too-deep\": stack 0x[0-9a-f]+-0x[0-9a-f]+";

class ConformanceOverflow : public testing::TestWithParam<unsigned>
{
  protected:
    void SetUp() override
    {
        GTEST_FLAG_SET(death_test_style, "threadsafe");
    }
};

using ConformanceOverflowDeathTest = ConformanceOverflow;

TEST_P(ConformanceOverflowDeathTest, SmallFramesNameTheTaskAndItsStack)
{
    EXPECT_EXIT(run_overflow<64>(GetParam()), testing::KilledBySignal(SIGSEGV),
                kMessage);
}

TEST_P(ConformanceOverflowDeathTest, PageSizedFramesDoNotStepOverTheGuard)
{
    EXPECT_EXIT(run_overflow<4096>(GetParam()),
                testing::KilledBySignal(SIGSEGV), kMessage);
}

TEST_P(ConformanceOverflowDeathTest, GuardSizedFramesDoNotStepOverTheGuard)
{
    EXPECT_EXIT(run_overflow<16384 - 256>(GetParam()),
                testing::KilledBySignal(SIGSEGV), kMessage);
}

int fault(void *)
{
    /* Not null, which UBSan would catch before the kernel does. */
    volatile uintptr_t nowhere = 64;

    *reinterpret_cast<volatile int *>(nowhere) = 1;
    return 0;
}

TEST_P(ConformanceOverflowDeathTest, AnotherFaultKillsAsWell)
{
    EXPECT_EXIT(
        {
            skua_runner_options options = {};

            options.loops = GetParam();
            (void)signal(SIGSEGV, SIG_DFL);
            (void)skua_run_with(&options, fault, nullptr, nullptr);
        },
        testing::KilledBySignal(SIGSEGV), "");
}

INSTANTIATE_TEST_SUITE_P(Loops, ConformanceOverflowDeathTest,
                         testing::Values(1, 2));

} // namespace
} // namespace conformance
