/* SPDX-License-Identifier: Apache-2.0 */
#include "debug.h"

#include <cstring>

#include "conformance/lines.h"

namespace
{

using conformance::Handler;

/** Time stands still until the test moves it. */
class DebugSlow : public testing::Test, public conformance::Lambdas
{
  protected:
    static constexpr int64_t kStart = 1000 * SKUA_S;

    DebugSlow()
    {
        now_ns_ = kStart;
        skui_clock_set_virtual(now_ns_);
        conformance::set_handler(loop_, handler_);
        EXPECT_EQ(0, skua_loop_set_debug(loop_, true));
        EXPECT_EQ(0, skua_loop_set_slow_callback_duration(loop_, limit_ns_));
    }

    ~DebugSlow() override
    {
        skui_clock_set_virtual(-1);
    }

    void pass(int64_t ns)
    {
        now_ns_ += ns;
        skui_clock_set_virtual(now_ns_);
    }

    /** What took too long, of the steps that have ended. */
    std::vector<int64_t> took()
    {
        const std::scoped_lock lock(mutex_);
        return took_;
    }

    const int64_t limit_ns_ = SKUI_SLOW_NS;

  private:
    std::mutex mutex_;
    std::vector<int64_t> took_;
    Handler handler_ = [this](skua_loop *,
                              const skua_exception_context *context) {
        const std::scoped_lock lock(mutex_);

        if (strstr(context->message, " took ") != nullptr) {
            took_.push_back(context->duration_ns);
        }
    };

  protected:
    conformance::Loop loop_;
    int64_t now_ns_ = 0;
};

TEST_F(DebugSlow, CountsFromTheLimitOn)
{
    soon(loop_, [&] { pass(limit_ns_ - 1); });
    soon(loop_, [&] { pass(limit_ns_); });
    soon(loop_, [&] { pass(3 * limit_ns_); });
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ((std::vector<int64_t>{limit_ns_, 3 * limit_ns_}), took());
}

TEST_F(DebugSlow, CountsEachStepOfATaskAlone)
{
    spawn_on(loop_, [&] {
        pass(limit_ns_ / 2);
        EXPECT_EQ(0, skua_yield());
        pass(limit_ns_ / 2);
        EXPECT_EQ(0, skua_yield());
        pass(2 * limit_ns_);
        return 0;
    });
    for (int i = 0; i < 4; i++) {
        ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    }
    EXPECT_EQ((std::vector<int64_t>{2 * limit_ns_}), took());
}

TEST_F(DebugSlow, DoesNotCountTheTimeBetweenSteps)
{
    soon(loop_, [] {});
    pass(10 * limit_ns_);
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_TRUE(took().empty());
}

TEST_F(DebugSlow, TellsTheDurationInSeconds)
{
    conformance::Lines lines;

    ASSERT_EQ(0, skua_loop_set_exception_handler(loop_, nullptr, nullptr));
    spawn_on(loop_, [&] {
        EXPECT_EQ(0, skua_task_set_name(skua_current_task(), "worker"));
        pass(1500 * SKUA_MS);
        return 0;
    });
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ(1u,
              lines.count("Executing task worker took 1.500000 seconds in"));
    EXPECT_EQ(SKUA_LOG_WARNING, lines.level());
}

TEST(OriginTable, FindsWhatItWasToldUntilItForgets)
{
    constexpr size_t kObjects = 10000;
    std::vector<char> objects(kObjects);
    skui_origin found = {};

    for (char &object : objects) {
        ASSERT_TRUE(skui_origin_note(&object, SKUI_ORIGIN_TASK, nullptr, -1));
    }
    for (size_t i = 0; i < kObjects; i += 2) {
        skui_origin_forget(&objects[i]);
    }
    for (size_t i = 0; i < kObjects; i++) {
        EXPECT_EQ(i % 2 == 1, skui_origin_find(&objects[i], &found));
    }
    EXPECT_EQ(SKUI_ORIGIN_TASK, found.kind);
    EXPECT_LE(1u, found.count);
    for (char &object : objects) {
        skui_origin_forget(&object);
    }
    EXPECT_FALSE(skui_origin_find(&objects[1], &found));
}

TEST(OriginTable, SettlesWhatBelongsToALoopOnce)
{
    constexpr int kObjects = 3000;
    conformance::Loop loop;
    conformance::Loop other;
    std::vector<char> objects(kObjects);
    skua_loop *const owners[3] = {loop, other, nullptr};
    skui_origin found = {};
    int count = 0;

    for (int i = 0; i < kObjects; i++) {
        ASSERT_TRUE(skui_origin_note(&objects[i], SKUI_ORIGIN_SOCKET,
                                     owners[i % 3], i));
    }
    EXPECT_TRUE(skui_origin_settle(&objects[3], &found));
    EXPECT_EQ(3, found.fd);
    EXPECT_FALSE(skui_origin_settle(&objects[3], &found));
    EXPECT_TRUE(skui_origin_settle(&objects[2], nullptr));
    EXPECT_FALSE(skui_origin_settle(&objects[2], nullptr));
    skui_origin_forget(&objects[6]);
    while (skui_origin_settle_one(loop, &found)) {
        EXPECT_EQ(0, found.fd % 3);
        EXPECT_NE(3, found.fd);
        EXPECT_NE(6, found.fd);
        EXPECT_LE(1u, found.count);
        count++;
    }
    EXPECT_EQ(kObjects / 3 - 2, count);
    EXPECT_TRUE(skui_origin_find(&objects[3], &found)) << "it is there still";
    EXPECT_TRUE(skui_origin_settle(&objects[1], &found));
    for (char &object : objects) {
        skui_origin_forget(&object);
    }
    EXPECT_FALSE(skui_origin_settle(&objects[4], &found));
    EXPECT_FALSE(skui_origin_settle_one(other, &found));
}

TEST(OriginTable, ManyThreadsAtOnce)
{
    std::vector<std::thread> threads;
    std::vector<std::vector<char>> objects(4, std::vector<char>(2000));

    for (std::vector<char> &own : objects) {
        threads.emplace_back([&own] {
            skui_origin found = {};

            for (int round = 0; round < 3; round++) {
                for (char &object : own) {
                    EXPECT_TRUE(skui_origin_note(&object, SKUI_ORIGIN_FUTURE,
                                                 nullptr, -1));
                }
                for (char &object : own) {
                    EXPECT_TRUE(skui_origin_find(&object, &found));
                    skui_origin_forget(&object);
                    EXPECT_FALSE(skui_origin_find(&object, &found));
                }
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
}

} // namespace
