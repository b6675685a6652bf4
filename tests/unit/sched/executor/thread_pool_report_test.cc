/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/executor/thread_pool_report.c: pools that do not end. */
#include "unit/sched/executor/pool_support.h"

namespace
{

using pools::Body;
using pools::Future;
using pools::Gate;
using pools::Pool;

/** What the library logs, while it lives. */
class Logged
{
  public:
    Logged()
    {
        EXPECT_EQ(0, skua_set_logger(record, this));
    }
    ~Logged()
    {
        EXPECT_EQ(0, skua_set_logger(nullptr, nullptr));
    }
    Logged(const Logged &) = delete;
    Logged &operator=(const Logged &) = delete;

    [[nodiscard]] std::string all() const
    {
        const std::scoped_lock lock(mutex_);

        return text_;
    }

    [[nodiscard]] bool has(const std::string &part) const
    {
        return all().find(part) != std::string::npos;
    }

  private:
    static void record(skua_log_level level, const char *message, void *arg)
    {
        auto *self = static_cast<Logged *>(arg);
        const std::scoped_lock lock(self->mutex_);

        EXPECT_GE(level, SKUA_LOG_WARNING);
        self->text_ += message;
        self->text_ += "\n";
    }

    mutable std::mutex mutex_;
    std::string text_;
};

Gate *shared_gate; /* for the function that has a name */

int pass_shared_gate(const void *, size_t, skua_reply *)
{
    return shared_gate->body()();
}

skua_thread_pool_options named(const char *prefix)
{
    skua_thread_pool_options options = {};

    options.max_workers = 1;
    options.name_prefix = prefix;
    return options;
}

TEST(ThreadPoolReport, NamesWhatIsStuckAndLetsItFinish)
{
    const Logged logged;
    Pool pool(named("slow"));
    Gate gate;
    skua_future *future = nullptr;

    shared_gate = &gate;
    ASSERT_EQ(0, skua_function_register("report.gate", pass_shared_gate));
    ASSERT_EQ(0, skua_executor_submit_named(pool.get(), "report.gate", nullptr,
                                            0, &future));
    gate.begun.acquire();
    const Future queued = pool.submit([] { return 0; });

    EXPECT_EQ(-ETIMEDOUT, skua_executor_shutdown_until(pool.get(), 0, false));
    EXPECT_TRUE(logged.has("slow-0 (thread ")) << logged.all();
    EXPECT_TRUE(logged.has("has run \"report.gate\" for 0.")) << logged.all();
    EXPECT_TRUE(logged.has("thread pool \"slow\": shut down, but not at its "
                           "end in time: 1 threads have work, 1 pieces are "
                           "queued"))
        << logged.all();
    gate.open.release();
    EXPECT_EQ(0, skua_await(future, nullptr));
    EXPECT_EQ(0, queued.await());
    skua_future_unref(future);
}

TEST(ThreadPoolReport, NamesFunctionsByTheirPlace)
{
    const Logged logged;
    Pool pool(1);
    Gate gate;
    const Future future = pool.submit(gate.body());

    gate.begun.acquire();
    EXPECT_EQ(-ETIMEDOUT, skua_executor_shutdown_until(pool.get(), 0, true));
    EXPECT_TRUE(logged.has("skua-pool-0 (thread ")) << logged.all();
    EXPECT_TRUE(logged.has("test.unit.sched.executor.thread_pool_report+0x"))
        << logged.all();
    gate.open.release();
    EXPECT_EQ(0, future.await());
}

TEST(ThreadPoolReport, IsSilentAboutPoolsThatEnd)
{
    const Logged logged;
    Pool pool(2);

    EXPECT_EQ(0, pool.submit([] { return 0; }).await());
    EXPECT_EQ(0, skua_executor_shutdown_until(pool.get(), SKUA_FOREVER, false));
    EXPECT_EQ("", logged.all());
}

/* The pool is let go of while its work is stuck: that has all it needs. */
TEST(ThreadPoolReport, StuckWorkOutlivesThePool)
{
    const Logged logged;
    Gate gate;
    Body body = gate.body();
    skua_executor *executor = nullptr;
    skua_future *future = nullptr;

    ASSERT_EQ(0, skua_thread_pool_executor_new(nullptr, &executor));
    ASSERT_EQ(0,
              skua_executor_submit(executor, pools::run_body, &body, &future));
    gate.begun.acquire();
    EXPECT_EQ(-ETIMEDOUT, skua_executor_shutdown_until(executor, 0, false));
    skua_executor_unref(executor);
    EXPECT_TRUE(skua_future_running(future));
    gate.open.release();
    EXPECT_EQ(0, skua_await(future, nullptr));
    skua_future_unref(future);
}

/* What a runner's default executor does not finish in its time, too. */
TEST(ThreadPoolReport, OfARunnerThatCloses)
{
    const Logged logged;
    Gate gate;
    Body stuck = gate.body();
    skua_future *future = nullptr;
    Body main_task = [&] {
        EXPECT_EQ(0,
                  skua_loop_run_in_executor(skua_get_running_loop(), nullptr,
                                            pools::run_body, &stuck, &future));
        return 0;
    };
    skua_runner_options options = {};

    options.loops = 1;
    options.executor_timeout_ns = 1;
    EXPECT_EQ(0, skua_run_with(&options, pools::run_body, &main_task, nullptr));
    gate.begun.acquire();
    EXPECT_TRUE(logged.has("shut down, but not at its end in time"))
        << logged.all();
    gate.open.release();
    EXPECT_EQ(0, skua_await(future, nullptr));
    skua_future_unref(future);
}

int never_submits(void *, skua_job *)
{
    return SKUA_ECLOSED;
}

/* An executor of one's own is named as such. */
TEST(ExecutorReport, NamesExecutorsOfOnesOwn)
{
    static const skua_executor_type type = {
        .name = "sloth",
        .submit = never_submits,
        .shutdown = [](void *, bool) {},
        .release = [](void *) {},
        .stop = nullptr,
        .get_stats = nullptr,
        .join = nullptr,
    };
    const Logged logged;
    skua_executor *executor = nullptr;

    ASSERT_EQ(0, skua_executor_new(&type, nullptr, &executor));
    EXPECT_EQ(-ETIMEDOUT, skua_executor_shutdown_until(executor, 0, false));
    EXPECT_TRUE(logged.has("executor \"sloth\": shut down, but not at its end "
                           "in time"))
        << logged.all();
    EXPECT_EQ(0, skua_executor_ended(executor));
    skua_executor_unref(executor);
}

} // namespace
