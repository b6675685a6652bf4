/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin_test.cc - when and where the unwinder is loaded: this program's
 * backtrace() notes who calls it.
 */
#include <dlfcn.h>
#include <mutex>
#include <thread>
#include <vector>

#include "conformance/support.h"

namespace
{

std::mutex calls_mutex;
std::vector<std::thread::id> calls; /* guarded by calls_mutex */

std::vector<std::thread::id> get_calls()
{
    const std::scoped_lock lock(calls_mutex);

    return calls;
}

} // namespace

extern "C" int backtrace(void **frames, int capacity)
{
    using Backtrace = int(void **, int);
    auto *next = reinterpret_cast<Backtrace *>(dlsym(RTLD_NEXT, "backtrace"));
    const std::scoped_lock lock(calls_mutex);

    calls.push_back(std::this_thread::get_id());
    return next(frames, capacity);
}

namespace
{

/* Only the first time counts, so there is one test. */
TEST(OriginPrepare, LoadsTheUnwinderWhenDebugModeBeginsAndOffTheTasksStack)
{
    conformance::Lambdas lambdas;
    conformance::Loop loop;

    if (skua_get_debug()) {
        GTEST_SKIP() << "it has begun";
    }
    EXPECT_EQ(0, lambdas.run(loop, [&] {
        const std::thread::id self = std::this_thread::get_id();

        conformance::make_future().reset();
        EXPECT_EQ(0, skua_loop_set_debug(loop, false));
        EXPECT_EQ(0u, get_calls().size()) << "nobody needs it";
        EXPECT_EQ(0, skua_loop_set_debug(loop, true));
        EXPECT_EQ(1u, get_calls().size());
        EXPECT_NE(self, get_calls().at(0)) << "a larger stack";
        EXPECT_EQ(0, skua_loop_set_debug(loop, true));
        EXPECT_EQ(1u, get_calls().size()) << "once";
        conformance::make_future().reset();
        EXPECT_EQ(2u, get_calls().size());
        EXPECT_EQ(self, get_calls().at(1));
        return 0;
    }));
}

} // namespace
