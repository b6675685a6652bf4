/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shortage_test.cc - conformance 50, 65, 170: tasks when memory is short.
 */
#include "context_support.h"
#include "failing_allocator.h"

namespace conformance
{
namespace
{

/** The library's allocator here: fails for good, or once in a while. */
class Shortage
{
  public:
    static inline std::atomic<bool> always = false;
    static inline std::atomic<int> left = 0; /* the one that reaches 0 fails */

    static bool fails(size_t)
    {
        return always || (left > 0 && left.fetch_sub(1) == 1);
    }
};

const int installed = install_allocator(Shortage::fails);

TEST_F(Conformance, N170_AFailureToCreateReachesTheThreadAndTheHandler)
{
    std::vector<Future> tasks;
    int last = 0;

    ASSERT_EQ(0, installed);
    std::thread([&] {
        make_future(loop_).reset(); /* there are futures in this thread */
        Shortage::always = true;
        while (last == 0 && reports_.size() == 0 && tasks.size() < 100000) {
            skua_future *future = nullptr;

            last = skua_run_coroutine_threadsafe(
                loop_, [](void *) { return 0; }, nullptr, &future);
            tasks.emplace_back(future);
        }
        Shortage::always = false;
        EXPECT_EQ(0, last);
        ASSERT_FALSE(tasks.empty());
        EXPECT_EQ(-ENOMEM, skua_await(tasks.back().get(), nullptr));
    }).join();
    ASSERT_EQ(1u, reports_.size());
    EXPECT_EQ(-ENOMEM, reports_.get()[0].status);
    EXPECT_EQ("a task could not be created", reports_.get()[0].message);
    tasks.pop_back();
    drain();
    for (const Future &task : tasks) {
        EXPECT_EQ(0, skua_future_result(task.get(), nullptr));
    }
    EXPECT_EQ(1u, reports_.size());
}

TEST_F(Conformance, N065_WithoutMemoryOnlyTheMessageIsLost)
{
    Future future = make_future(loop_);

    Shortage::always = true;
    EXPECT_EQ(1, skua_future_cancel_with(future.get(), "lost"));
    Shortage::always = false;
    EXPECT_EQ(SKUA_ECANCELED, skua_future_result(future.get(), nullptr));
    EXPECT_EQ(nullptr, skua_current_exception());
}

/** Let each allocation of `attempt` fail in turn until it succeeds. */
int fail_each(const std::function<int()> &attempt)
{
    for (int i = 1;; i++) {
        Shortage::left = i;
        const int status = attempt();
        const bool failed = Shortage::left == 0;

        Shortage::left = 0;
        if (!failed) {
            return status == 0 ? i - 1 : -1;
        }
        EXPECT_EQ(-ENOMEM, status);
    }
}

TEST_F(Conformance, N050_EachAllocationOfContextsMayFail)
{
    std::thread([&] {
        skua_context_token token = {};
        skua_context *context = nullptr;
        const auto unset = [&] {
            skua_context_unref(context);
            context = nullptr;
        };

        EXPECT_EQ(2, fail_each([&] {
                      EXPECT_FALSE(is_set(number));
                      return skua_context_var_set(&number, as_pointer(1),
                                                  nullptr);
                  }));
        EXPECT_EQ(2, fail_each([&] {
                      EXPECT_EQ(1, get(number));
                      return skua_context_var_set(&number, as_pointer(2),
                                                  &token);
                  }));
        EXPECT_EQ(1, fail_each([&] {
                      EXPECT_EQ(2, get(number));
                      return skua_context_var_reset(&number, &token);
                  }));
        EXPECT_EQ(1, get(number));
        EXPECT_EQ(1, fail_each([&] { return skua_copy_context(&context); }));
        unset();
        EXPECT_EQ(1, fail_each([&] { return skua_context_new(&context); }));
        std::thread([&] {
            const skua_awaitable body = call([] { return 0; });

            EXPECT_EQ(1, fail_each([&] {
                          return skua_context_run(context, body.fn, body.arg,
                                                  nullptr);
                      }));
        }).join();
        unset();
    }).join();
}

} // namespace
} // namespace conformance
