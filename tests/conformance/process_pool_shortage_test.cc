/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_pool_shortage_test.cc - process pools when memory or descriptors are
 * short: a status, or work that fails with a reason, and nothing is kept.
 */
#include "failing_allocator.h"
#include "processes.h"

#include <sys/resource.h>

#include "executor/process/process_pool.h"

namespace processes
{
namespace
{

/** The library's allocator here. */
class Allocator
{
  public:
    static inline std::atomic<int> left = 0; /* the one that reaches 0 fails */
    static inline std::atomic<int> workers_fail = 0; /* so many, from now on */

    static bool fails(size_t bytes)
    {
        if (bytes >= sizeof(skui_process_worker) &&
            bytes < sizeof(skui_process_worker) + 256 && workers_fail > 0) {
            workers_fail--;
            return true;
        }
        return left > 0 && --left == 0;
    }
};

const int installed = conformance::install_allocator(Allocator::fails);

class ProcessPoolShortage : public testing::Test
{
  protected:
    void SetUp() override
    {
        ASSERT_EQ(0, installed);
        SKIP_WITHOUT_PROCESSES();
        /* What is made once and kept. */
        finish(new_pool(1));
        before_ = Holdings::now();
        ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit_));
    }

    void TearDown() override
    {
        Allocator::left = 0;
        Allocator::workers_fail = 0;
        if (missing().empty()) {
            (void)setrlimit(RLIMIT_NOFILE, &limit_);
            EXPECT_TRUE(before_.come_back())
                << before_ << ", now " << Holdings::now();
        }
    }

    /** Let there be `more` descriptors beyond those that are open. */
    void limit_descriptors(int more) const
    {
        rlimit limit = limit_;
        int lowest = dup(0);

        (void)close(lowest);
        limit.rlim_cur = static_cast<rlim_t>(lowest + more);
        ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
    }

    void lift_limit() const
    {
        ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit_));
    }

  private:
    Holdings before_ = {};
    rlimit limit_ = {};
};

TEST_F(ProcessPoolShortage, EachAllocationOfANewPoolFails)
{
    skua_process_pool_options options = {};
    skua_executor *executor = nullptr;
    int status = -ENOMEM;
    int failures = 0;

    options.max_workers = 1;
    options.initializer = "remember";
    options.initializer_data = "x";
    options.initializer_bytes = 1;
    while (status < 0) {
        Allocator::left = failures + 1;
        status = skua_process_pool_executor_new(&options, &executor);
        Allocator::left = 0;
        if (status < 0) {
            EXPECT_EQ(-ENOMEM, status);
            failures++;
        }
    }
    EXPECT_LE(3, failures) << "the initializer's data, workers, executor";
    finish(Executor(executor));
}

TEST_F(ProcessPoolShortage, DescriptorsForANewPoolAreShort)
{
    skua_process_pool_options options = {};
    skua_executor *executor = nullptr;
    int status = -EMFILE;
    int more = 0;

    options.max_workers = 1;
    while (status < 0) {
        limit_descriptors(more++);
        status = skua_process_pool_executor_new(&options, &executor);
        lift_limit();
        if (status < 0) {
            EXPECT_EQ(-EMFILE, status);
        }
    }
    EXPECT_LE(3, more) << "a link, an epoll instance, an event";
    finish(Executor(executor));
}

TEST_F(ProcessPoolShortage, AWorkerThatCannotBeMadeBreaksThePool)
{
    const Executor pool = new_pool(1);

    Allocator::workers_fail = 1;
    const Future future = submit(pool, "echo");
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(future));
    EXPECT_EQ("a worker could not be started: Cannot allocate memory",
              reason(future));
    finish(pool);
}

TEST_F(ProcessPoolShortage, OrIsTriedAgain)
{
    const Executor pool = new_pool(1, SKUA_RESTART_ALWAYS);

    Allocator::workers_fail = 5;
    EXPECT_EQ("x", answered(submit(pool, "echo", "x")));
    EXPECT_EQ(0, Allocator::workers_fail);
    finish(pool);
}

TEST_F(ProcessPoolShortage, ButNotForEver)
{
    const Executor pool = new_pool(1, SKUA_RESTART_ALWAYS);

    Allocator::workers_fail = INT32_MAX;
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(submit(pool, "echo", "x")));
    finish(pool);
}

TEST_F(ProcessPoolShortage, DescriptorsForAWorkerAreShort)
{
    int status = SKUA_EBROKENPOOL;
    int more = 0;

    while (status < 0) {
        const Executor pool = new_pool(1);

        limit_descriptors(more++);
        const Future future = submit(pool, "echo", "x");
        status = outcome(future);
        lift_limit();
        if (status < 0) {
            EXPECT_EQ(SKUA_EBROKENPOOL, status);
            EXPECT_NE(std::string::npos,
                      reason(future).find("Too many open files"))
                << reason(future);
        }
        finish(pool);
    }
    EXPECT_LE(5, more) << "memory, an event, two sockets, a pidfd";
}

TEST_F(ProcessPoolShortage, LargeCallsFailAloneWhenDescriptorsAreShort)
{
    const Executor pool = new_pool(1);
    const std::string large(200000, 'x');

    EXPECT_EQ("x", answered(submit(pool, "echo", "x")));
    limit_descriptors(0);
    skua_future *none = nullptr;
    EXPECT_EQ(-EMFILE,
              skua_executor_submit_named(pool.get(), "echo", large.data(),
                                         large.size(), &none));
    const Future answer = submit(pool, "fill", bytes_of(uint64_t{200000}));
    EXPECT_EQ(-EMFILE, outcome(answer));
    EXPECT_EQ("the answer could not be received", reason(answer));
    EXPECT_EQ("x", answered(submit(pool, "echo", "x")));
    lift_limit();
    EXPECT_EQ(large, answered(submit(pool, "echo", large)));
    finish(pool);
}

} // namespace
} // namespace processes

int main(int argc, char **argv)
{
    return processes::run_tests(argc, argv);
}
