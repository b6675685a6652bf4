/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errors_memory_test.cc - conformance 20, 21, 37 when memory is short: what
 * is reported is reported all the same, with less detail.
 */
#include "lines.h"

namespace conformance
{
namespace
{

std::atomic<int> allocations_left = -1; /* negative: as many as you like */

bool allocation_fails()
{
    int left = allocations_left;

    while (left > 0 &&
           !allocations_left.compare_exchange_weak(left, left - 1)) {
    }
    return left == 0;
}

const skua_allocator failing_allocator = {
    [](void *, size_t bytes) -> void * {
        return allocation_fails() ? nullptr : malloc(bytes);
    },
    [](void *, void *pointer, size_t bytes) -> void * {
        return allocation_fails() ? nullptr : realloc(pointer, bytes);
    },
    [](void *, void *pointer) { free(pointer); },
    nullptr,
};

class ErrorsMemory : public testing::Test, public Lambdas
{
  protected:
    static void SetUpTestSuite()
    {
        ASSERT_EQ(0, skua_set_allocator(&failing_allocator));
    }

    void SetUp() override
    {
        skua_loop_options options = {};

        ASSERT_EQ(0, skua_loop_new(&options, &loop_));
        for (int i = 0; i < 8; i++) { /* caches are filled */
            make_future(loop_);
            soon(loop_, [] {});
            spawn_on(loop_, [] { return 0; });
        }
        ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    }

    void TearDown() override
    {
        allocations_left = -1;
        skua_loop_unref(loop_);
    }

    /** Run `step` with 0, 1, 2, ... allocations until it needs no more. */
    static void for_each_failure(const Step &step)
    {
        for (int count = 0; count < 1000; count++) {
            allocations_left = count;
            step();
            if (allocations_left > 0) {
                allocations_left = -1;
                return;
            }
        }
        allocations_left = -1;
        ADD_FAILURE() << "it never had enough";
    }

    skua_loop *loop_ = nullptr;
};

TEST_F(ErrorsMemory, N037_AnUnreadErrorIsReportedAllTheSame)
{
    Lines lines;
    int rounds = 0;

    for (const bool debug : {false, true}) {
        ASSERT_EQ(0, skua_loop_set_debug(loop_, debug));
        for_each_failure([&] {
            Future future = make_future(loop_);

            rounds++;
            EXPECT_EQ(0, skua_future_set_error(future.get(), -EIO));
            future.reset();
            EXPECT_EQ(static_cast<size_t>(rounds), lines.size());
        });
    }
    EXPECT_LE(4, rounds);
    EXPECT_EQ(static_cast<size_t>(rounds),
              lines.count("never retrieved: Input/output error (-5)"));
    EXPECT_LE(1u, lines.count("future made at"));
}

TEST_F(ErrorsMemory, N020_ARaiseInACallbackIsReportedAllTheSame)
{
    int calls = 0;
    int rounds = 0;
    int whole = 0;
    Handler handler = [&](skua_loop *, const skua_exception_context *context) {
        calls++;
        whole += context->status == -EIO ? 1 : 0;
        EXPECT_TRUE(context->status == -EIO || context->status == -ENOMEM);
        EXPECT_NE(nullptr, context->exception);
    };
    Step step = [] { (void)skua_raise(-EIO, "boom"); };

    set_handler(loop_, handler);
    for_each_failure([&] {
        const int left = allocations_left.exchange(-1);

        ASSERT_EQ(0, skua_loop_call_soon(loop_, run_step, &step, nullptr));
        allocations_left = left;
        rounds++;
        EXPECT_EQ(0, skua_loop_run_once(loop_, 0));
        EXPECT_EQ(rounds, calls);
    });
    EXPECT_EQ(rounds - 1, whole) << "the first has none at all";
    EXPECT_LE(2, rounds);
}

TEST_F(ErrorsMemory, N021_ABrokenHandlerToo)
{
    Lines lines;
    Handler handler = [](skua_loop *, const skua_exception_context *) {
        (void)skua_raise(-EPROTO, "broken");
    };

    set_handler(loop_, handler);
    for_each_failure([&] {
        const size_t before = lines.size();
        Future future = make_future(loop_);

        EXPECT_EQ(0, skua_future_set_error(future.get(), -EIO));
        future.reset();
        EXPECT_EQ(before + 2, lines.size());
    });
    EXPECT_LE(1u, lines.count("broken"));
}

TEST_F(ErrorsMemory, N049_ATaskThatIsPendingAtCloseToo)
{
    Lines lines;

    ASSERT_EQ(0, skua_loop_set_debug(loop_, true));
    allocations_left = 0;
    spawn_on(loop_, [] { return 0; }).reset();
    EXPECT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(1u, lines.count("Task was destroyed but it is pending!"));
}

TEST_F(ErrorsMemory, N022_ASlowStepToo)
{
    Lines lines;
    Step step = [] {};

    ASSERT_EQ(0, skua_loop_set_debug(loop_, true));
    ASSERT_EQ(0, skua_loop_set_slow_callback_duration(loop_, 0));
    allocations_left = 0;
    EXPECT_EQ(0, skua_loop_call_soon(loop_, run_step, &step, nullptr));
    EXPECT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ(1u, lines.count(" took "));
}

TEST_F(ErrorsMemory, T16_StacksAndLeaks)
{
    Lines lines;
    Future task = spawn_on(loop_, [] { return 0; });
    void *frame = nullptr;

    ASSERT_EQ(0, skua_loop_set_debug(loop_, true));
    Future future = make_future(loop_);
    const int64_t leaks = skua_dump_leaks();
    const size_t before = lines.size();

    EXPECT_LE(1, leaks);
    allocations_left = 0;
    EXPECT_EQ(-ENOMEM, skua_task_print_stack(task.get(), 0));
    EXPECT_GT(0, skua_task_get_stack(task.get(), &frame, 1));
    EXPECT_EQ(leaks, skua_dump_leaks());
    EXPECT_EQ(before, lines.size());
    allocations_left = -1;
    EXPECT_EQ(0, run(loop_, [] { return 0; }));
}

} // namespace
} // namespace conformance
