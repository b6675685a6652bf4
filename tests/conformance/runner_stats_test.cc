/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_stats_test.cc - what a runner counts, and the price of wakes.
 */
#include "support.h"

namespace conformance
{
namespace
{

/** A runner of two loops with other options. */
class RunnerStats : public testing::Test, public Lambdas
{
  protected:
    void open(const skua_runner_options &wanted)
    {
        skua_runner_options options = wanted;

        options.loops = 2;
        options.no_sigint = true;
        ASSERT_EQ(0, skua_runner_new(&options, &runner_));
    }
    void TearDown() override
    {
        EXPECT_EQ(0, skua_runner_close(runner_));
    }

    int run(Body body)
    {
        return skua_runner_run(runner_, run_body, keeper_.body(std::move(body)),
                               nullptr);
    }

    skua_runner_stats stats()
    {
        skua_runner_stats stats = {};

        EXPECT_EQ(0, skua_runner_get_stats(runner_, &stats));
        return stats;
    }

    /** A task more, and time for the loops to sleep. */
    static void queue_one()
    {
        skua_task *task = nullptr;

        EXPECT_EQ(0,
                  skua_create_task([](void *) { return 0; }, nullptr, &task));
        EXPECT_EQ(0, skua_await(task, nullptr));
        skua_future_unref(task);
        EXPECT_EQ(0, skua_sleep(SKUA_MS));
    }

    skua_runner *runner_ = nullptr;
};

TEST_F(RunnerStats, OptionsAreChecked)
{
    const auto status_of = [](const skua_runner_options &options) {
        skua_runner *runner = nullptr;

        return skua_runner_new(&options, &runner);
    };
    skua_runner_options wake = {};
    skua_runner_options relief = {};
    skua_runner_options without = {};
    skua_runner_stats stats = {};

    wake.wake = static_cast<skua_wake_policy>(2);
    relief.relief_loops = 65;
    without.without = 16;
    EXPECT_EQ(-EINVAL, status_of(wake));
    EXPECT_EQ(-EINVAL, status_of(relief));
    EXPECT_EQ(-EINVAL, status_of(without));
    EXPECT_EQ(-EINVAL, skua_runner_get_stats(nullptr, &stats));
    open({});
    EXPECT_EQ(-EINVAL, skua_runner_get_stats(runner_, nullptr));
}

TEST_F(RunnerStats, AddUpOverAllLoops)
{
    open({});
    EXPECT_EQ(0, run([this] {
                  uint64_t before = stats().loops.tasks_run;

                  for (int i = 0; i < 10; i++) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  EXPECT_LE(before + 9, stats().loops.tasks_run);
                  return 0;
              }));
    EXPECT_LT(0, stats().wake_ns);
}

TEST_F(RunnerStats, AWakeThatDoesNotPayIsSaved)
{
    open({});
    EXPECT_EQ(0, run([this] {
                  while (stats().loops.wakes_saved == 0) {
                      queue_one();
                  }
                  return 0;
              }));
}

TEST_F(RunnerStats, AlwaysWakingSavesNone)
{
    skua_runner_options options = {};

    options.wake = SKUA_WAKE_ALWAYS;
    open(options);
    EXPECT_EQ(0, run([this] {
                  const uint64_t before = stats().loops.wakes_sent;

                  while (stats().loops.wakes_sent < before + 3) {
                      queue_one();
                  }
                  return 0;
              }));
    EXPECT_EQ(0u, stats().loops.wakes_saved);
}

} // namespace
} // namespace conformance
