/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_pool_test.cc - conformance 165, 166, and what else is promised of
 * process pools.
 */
#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "processes.h"

namespace processes
{
namespace
{

class ProcessPool : public testing::Test
{
  protected:
    void SetUp() override
    {
        SKIP_WITHOUT_PROCESSES();
        before_ = Holdings::now();
    }

    /** All pools of the test are gone by then. */
    void TearDown() override
    {
        if (missing().empty()) {
            EXPECT_TRUE(before_.come_back())
                << before_ << ", now " << Holdings::now();
        }
    }

  private:
    Holdings before_ = {};
};

/* --- calls --- */

TEST_F(ProcessPool, RunsFunctionsInOtherProcesses)
{
    const Executor pool = new_pool(1);

    EXPECT_EQ("hello", answered(submit(pool, "echo", "hello")));
    EXPECT_EQ("", answered(submit(pool, "echo")));
    EXPECT_NE(getpid(), answered_as<pid_t>(submit(pool, "pid")));
    finish(pool);
}

TEST_F(ProcessPool, GivesStatusesAndExceptionsBack)
{
    const Executor pool = new_pool(1);

    EXPECT_EQ(7, outcome(submit(pool, "status", bytes_of(7))));
    EXPECT_EQ(-ENOSPC, outcome(submit(pool, "status", bytes_of(-ENOSPC))));
    const Future failed = submit(pool, "fail", "badly");
    EXPECT_EQ(-EIO, outcome(failed));
    EXPECT_EQ("it broke: badly", reason(failed));
    const Future stopped = submit(pool, "status", bytes_of(SKUA_ECANCELED));
    EXPECT_EQ(SKUA_ECANCELED, outcome(stopped));
    EXPECT_FALSE(skua_future_cancelled(stopped.get())); /* it did run */
    finish(pool);
}

TEST_F(ProcessPool, CarriesLargeBytesBothWays)
{
    const Executor pool = new_pool(1);
    const uint64_t count = 40U << 20;

    for (const uint64_t bytes : {uint64_t{3000}, uint64_t{100000}, count}) {
        const Future filled = submit(pool, "fill", bytes_of(bytes));
        const std::string got = answered(filled);
        skua_buffer *buffer = nullptr;
        skua_work work = {};
        skua_future *future = nullptr;

        ASSERT_EQ(bytes, got.size());
        EXPECT_EQ(static_cast<char>(bytes - 1), got.back());
        ASSERT_LE(0, skua_future_buffer(filled.get(), &buffer));
        const Buffer owner(buffer);
        work.name = "sum";
        work.buffer = buffer;
        ASSERT_EQ(
            0, skua_executor_submit_work(pool.get(), &work, nullptr, &future));
        uint64_t expected = 0;
        for (const char c : got) {
            expected += static_cast<unsigned char>(c);
        }
        EXPECT_EQ(expected, answered_as<uint64_t>(Future(future)));
    }
    finish(pool);
}

TEST_F(ProcessPool, RefusesWhatWorkersCannotRun)
{
    skua_process_pool_options options = {};
    options.max_workers = 1;
    options.max_message_bytes = 1000;
    const Executor pool = new_pool(options);
    const std::string large(1001, 'x');
    skua_future *future = nullptr;

    EXPECT_EQ(-ENOTSUP,
              skua_executor_submit(
                  pool.get(), [](void *) { return 0; }, nullptr, &future));
    EXPECT_EQ(-ENOENT, skua_executor_submit_named(pool.get(), "nobody", nullptr,
                                                  0, &future));
    ASSERT_EQ(
        0, skua_function_register("too-late", [](const void *, size_t,
                                                 skua_reply *) { return 0; }));
    EXPECT_EQ(-ENOENT, skua_executor_submit_named(pool.get(), "too-late",
                                                  nullptr, 0, &future));
    EXPECT_EQ(-EMSGSIZE,
              skua_executor_submit_named(pool.get(), "echo", large.data(),
                                         large.size(), &future));
    EXPECT_EQ(-EMSGSIZE,
              outcome(submit(pool, "fill", bytes_of(uint64_t{1001}))));
    EXPECT_EQ(1000U,
              answered(submit(pool, "fill", bytes_of(uint64_t{1000}))).size());
    finish(pool);
}

TEST_F(ProcessPool, RefusesOptionsThatCannotBe)
{
    const auto refused = [](auto change) {
        skua_process_pool_options options = {};
        skua_executor *executor = nullptr;

        change(options);
        return skua_process_pool_executor_new(&options, &executor);
    };

    EXPECT_EQ(-EINVAL, refused([](auto &o) { o.max_workers = -1; }));
    EXPECT_EQ(-EINVAL, refused([](auto &o) { o.max_workers = 1025; }));
    EXPECT_EQ(-EINVAL, refused([](auto &o) { o.max_queued = 1; }));
    EXPECT_EQ(-EINVAL, refused([](auto &o) { o.policy = SKUA_QUEUE_REJECT; }));
    EXPECT_EQ(-EINVAL, refused([](auto &o) { o.initializer_bytes = 1; }));
    EXPECT_EQ(-EINVAL, refused([](auto &o) { o.prefetch = 256; }));
    EXPECT_EQ(-EINVAL, refused([](auto &o) { o.max_attempts = -1; }));
    EXPECT_EQ(-ENOENT, refused([](auto &o) { o.initializer = "nobody"; }));
    EXPECT_EQ(-EINVAL, skua_process_pool_executor_new(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_process_pool_kill_workers(nullptr));
    EXPECT_EQ(-EINVAL, skua_process_pool_terminate_workers(nullptr));
}

TEST_F(ProcessPool, AwaitsInTasksOfSeveralLoops)
{
    static const Executor *shared;
    const Executor pool = new_pool(2);
    skua_runner_options options = {};
    skua_runner *runner = nullptr;

    shared = &pool;
    options.loops = 2;
    options.no_sigint = true;
    ASSERT_EQ(0, skua_runner_new(&options, &runner));
    EXPECT_EQ(0, skua_runner_run(
                     runner,
                     [](void *) {
                         skua_task_group group = {};

                         for (int i = 0; i < 20; i++) {
                             (void)skua_task_group_create_task(
                                 &group,
                                 [](void *) {
                                     for (int j = 0; j < 50; j++) {
                                         const Future one =
                                             submit(*shared, "echo", "x");
                                         EXPECT_EQ(
                                             0, skua_await(one.get(), nullptr));
                                     }
                                     return 0;
                                 },
                                 nullptr);
                         }
                         return skua_task_group_join(&group);
                     },
                     nullptr, nullptr));
    EXPECT_EQ(0, skua_runner_close(runner));
    finish(pool);
}

/* --- starting workers --- */

TEST_F(ProcessPool, StartsWorkersOnlyWhenNoneIsIdle)
{
    const Executor pool = new_pool(3);
    const Gate gate;
    std::set<pid_t> pids;
    skua_executor_stats stats = {};

    EXPECT_EQ(0, skua_executor_get_stats(pool.get(), &stats));
    EXPECT_EQ(0, stats.workers);
    for (int i = 0; i < 10; i++) {
        pids.insert(answered_as<pid_t>(submit(pool, "pid")));
    }
    EXPECT_EQ(1U, pids.size());
    const Future first = submit(pool, "gate", gate.name());
    const Held held = gate.wait();
    EXPECT_NE(held.pid(), answered_as<pid_t>(submit(pool, "pid")));
    EXPECT_EQ(0, skua_executor_get_stats(pool.get(), &stats));
    EXPECT_EQ(2, stats.workers);
    EXPECT_EQ(3, stats.max_workers);
    EXPECT_EQ(12, stats.submitted);
    EXPECT_TRUE(skua_future_running(first.get()));
    EXPECT_EQ(SKUA_EINVALSTATE, skua_future_result(first.get(), nullptr));
    const_cast<Held &>(held).let_go();
    EXPECT_EQ(0, outcome(first));
    finish(pool);
}

TEST_F(ProcessPool, WorkersAreMadeAsPromised)
{
    skua_process_pool_options options = {};
    options.max_workers = 1;
    options.nice = 3;
    options.cpu_seconds = 1000;
    options.address_space_bytes = kSanitizer ? 0 : uint64_t{1} << 40;
    const Executor pool = new_pool(options);
    const auto found = answered_as<Surroundings>(submit(pool, "look"));

    EXPECT_EQ(4, found.descriptors) << "beside the channel's";
    EXPECT_EQ(getpriority(PRIO_PROCESS, 0) + 3, found.nice);
    EXPECT_TRUE(found.ignores_sigint);
    EXPECT_FALSE(found.blocks_signals);
    EXPECT_FALSE(found.has_input);
    EXPECT_EQ(1000U, found.cpu);
    if (!kSanitizer) {
        EXPECT_EQ(rlim_t{1} << 40, found.address_space);
    }
    EXPECT_STREQ("skua-worker", found.name);
    finish(pool);
}

TEST_F(ProcessPool, RunsTheInitializerFirstInEachWorker)
{
    skua_process_pool_options options = {};
    options.max_workers = 2;
    options.initializer = "remember";
    options.initializer_data = "who I am";
    options.initializer_bytes = 8;
    const Executor pool = new_pool(options);
    const Gate gate;
    const Future one = submit(pool, "gate", gate.name());
    Held held = gate.wait();

    EXPECT_EQ("who I am", answered(submit(pool, "recall")));
    held.let_go();
    EXPECT_EQ(0, outcome(one));
    EXPECT_EQ("who I am", answered(submit(pool, "recall")));
    finish(pool);
}

TEST_F(ProcessPool, N164_AFailingInitializerBreaksThePool)
{
    skua_process_pool_options options = {};
    options.max_workers = 1;
    options.initializer = "refuse";
    options.restart = SKUA_RESTART_ALWAYS;
    const Executor pool = new_pool(options);
    const Future one = submit(pool, "echo");
    const Future two = submit(pool, "echo");
    skua_future *late = nullptr;

    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(one));
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(two));
    EXPECT_NE(std::string::npos, reason(one).find("not today")) << reason(one);
    EXPECT_EQ(SKUA_EBROKENPOOL, skua_executor_submit_named(pool.get(), "echo",
                                                           nullptr, 0, &late));
    finish(pool);
}

/* --- death --- */

TEST_F(ProcessPool, N165_ADeathFailsAllPendingAndLaterWork)
{
    const Executor pool = new_pool(2);
    const Gate gate;
    std::vector<Future> futures;
    skua_future *late = nullptr;

    for (int i = 0; i < 20; i++) {
        futures.push_back(submit(pool, "gate", gate.name()));
    }
    const Held one = gate.wait();
    const Held two = gate.wait();
    ASSERT_EQ(0, kill(one.pid(), SIGKILL));
    for (const Future &future : futures) {
        EXPECT_EQ(SKUA_EBROKENPOOL, outcome(future));
        EXPECT_EQ("worker " + std::to_string(one.pid()) +
                      " was killed by signal 9 (Killed)",
                  reason(future));
    }
    EXPECT_EQ(SKUA_EBROKENPOOL, skua_executor_submit_named(pool.get(), "echo",
                                                           nullptr, 0, &late));
    finish(pool);
    EXPECT_TRUE(Process(two.pid()).is_watched() == false);
}

TEST_F(ProcessPool, N165_AnExitIsADeathAsWell)
{
    for (const int code : {0, 3}) {
        const Executor pool = new_pool(1);
        const Future future = submit(pool, "exit", bytes_of(code));

        EXPECT_EQ(SKUA_EBROKENPOOL, outcome(future));
        EXPECT_NE(std::string::npos, reason(future).find("exited with status " +
                                                         std::to_string(code)))
            << reason(future);
        finish(pool);
    }
}

TEST_F(ProcessPool, N165_SoIsACrash)
{
    for (const int number : {SIGSEGV, SIGABRT, SIGTERM, SIGXCPU}) {
        const Executor pool = new_pool(1);
        const Future future = submit(pool, "signal", bytes_of(number));

        EXPECT_EQ(SKUA_EBROKENPOOL, outcome(future));
        EXPECT_NE(std::string::npos,
                  reason(future).find("killed by signal " +
                                      std::to_string(number) + " "))
            << reason(future);
        finish(pool);
    }
}

TEST_F(ProcessPool, N165_AnIdleWorkersDeathBreaksThePool)
{
    const Executor pool = new_pool(1);
    const auto pid = answered_as<pid_t>(submit(pool, "pid"));
    skua_future *future = nullptr;
    int status = 0;

    ASSERT_EQ(0, kill(pid, SIGKILL));
    while ((status = skua_executor_submit_named(pool.get(), "echo", nullptr, 0,
                                                &future)) == 0) {
        const Future one(future);

        EXPECT_EQ(SKUA_EBROKENPOOL, outcome(one));
    }
    EXPECT_EQ(SKUA_EBROKENPOOL, status);
    finish(pool);
}

TEST_F(ProcessPool, N165_ADeathDuringADoneCallbackHangsNothing)
{
    const Executor pool = new_pool(1);
    std::atomic<int> calls = 0;
    const Gate gate;
    const Future one = submit(pool, "gate", gate.name());

    ASSERT_EQ(0, skua_future_add_done_callback(
                     one.get(),
                     [](skua_future *, void *arg) {
                         ++*static_cast<std::atomic<int> *>(arg);
                     },
                     &calls));
    const Held held = gate.wait();
    ASSERT_EQ(0, kill(held.pid(), SIGKILL));
    finish(pool);
    EXPECT_EQ(1, calls);
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(one));
}

TEST_F(ProcessPool, N165_WhatAWorkerScribblesIsNotBelieved)
{
    const Executor pool = new_pool(1);
    const Gate gate;
    const Future first = submit(pool, "gate", gate.name());
    Held held = gate.wait();
    const Future one = submit(pool, "scribble");
    const Future two = submit(pool, "echo", "x");

    held.let_go();
    (void)outcome(one); /* if it gets through, it is the last one */
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(two));
    finish(pool);
}

TEST_F(ProcessPool, N165_AlwaysRestartFailsOnlyWhatWasRunning)
{
    const Executor pool = new_pool(1, SKUA_RESTART_ALWAYS);
    const Gate gate;
    const Future fatal = submit(pool, "gate", gate.name());
    const Held held = gate.wait();
    std::vector<Future> rest;

    for (int i = 0; i < 100; i++) {
        rest.push_back(submit(pool, "echo", std::to_string(i)));
    }
    ASSERT_EQ(0, kill(held.pid(), SIGKILL));
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(fatal));
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(std::to_string(i), answered(rest[static_cast<size_t>(i)]));
    }
    skua_executor_stats stats = {};
    EXPECT_EQ(0, skua_executor_get_stats(pool.get(), &stats));
    EXPECT_EQ(1, stats.restarted);
    finish(pool);
}

TEST_F(ProcessPool, N165_WorkIsTriedAgainUntilItHasKilledEnough)
{
    skua_process_pool_options options = {};
    options.max_workers = 1;
    options.restart = SKUA_RESTART_ALWAYS;
    options.max_attempts = 3;
    options.restart_delay_ns = 1;
    options.restart_delay_max_ns = 1;
    const Executor pool = new_pool(options);
    const Gate gate;
    const Future future = submit(pool, "gate", gate.name());
    const Future after = submit(pool, "echo", "still here");
    std::set<pid_t> pids;

    for (int i = 0; i < 3; i++) {
        const Held held = gate.wait();

        pids.insert(held.pid());
        EXPECT_FALSE(skua_future_done(future.get()));
        ASSERT_EQ(0, kill(held.pid(), SIGKILL));
    }
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(future));
    EXPECT_EQ(3U, pids.size());
    EXPECT_EQ("still here", answered(after));
    finish(pool);
}

TEST_F(ProcessPool, N165_AndSucceedsWhenAnotherWorkerSurvivesIt)
{
    skua_process_pool_options options = {};
    options.max_workers = 1;
    options.restart = SKUA_RESTART_ALWAYS;
    options.max_attempts = 2;
    const Executor pool = new_pool(options);
    const Gate gate;
    const Future future = submit(pool, "gate", gate.name());

    {
        const Held held = gate.wait();
        ASSERT_EQ(0, kill(held.pid(), SIGKILL));
    }
    Held again = gate.wait();
    again.let_go();
    EXPECT_EQ(0, outcome(future));
    finish(pool);
}

TEST_F(ProcessPool, N165_WorkersThatNeverBeginBreakThePool)
{
    skua_process_pool_options options = {};
    options.max_workers = 1;
    options.restart = SKUA_RESTART_ALWAYS;
    options.restart_delay_ns = 1;
    options.restart_delay_max_ns = 1;
    options.initializer = "exit";
    options.initializer_data = "\5\0\0\0";
    options.initializer_bytes = 4;
    const Executor pool = new_pool(options);
    const Future future = submit(pool, "echo");

    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(future));
    EXPECT_NE(std::string::npos, reason(future).find("status 5"))
        << reason(future);
    finish(pool);
}

TEST_F(ProcessPool, N165_LimitsEndWhatExceedsThem)
{
    if (kSanitizer) {
        GTEST_SKIP() << "sanitizers reserve more than any limit";
    }
    skua_process_pool_options options = {};
    options.max_workers = 1;
    options.restart = SKUA_RESTART_ALWAYS;
    options.address_space_bytes = uint64_t{4} << 30;
    options.cpu_seconds = 1;
    const Executor pool = new_pool(options);
    const Future spun = submit(pool, "cpu");

    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(spun));
    EXPECT_NE(std::string::npos,
              reason(spun).find("signal " + std::to_string(SIGXCPU)))
        << reason(spun);
    EXPECT_EQ(-ENOMEM,
              outcome(submit(pool, "memory", bytes_of(uint64_t{8} << 30))));
    finish(pool);
}

TEST_F(ProcessPool, N165_NobodyIsLeftWhenTheProgramIsKilled)
{
    int report[2] = {};
    ASSERT_EQ(0, pipe2(report, O_CLOEXEC));
    const pid_t program = fork();

    if (program == 0) {
        pid_t pids[2] = {};

        if (skua_fork_server_start() != 0) {
            _exit(1);
        }
        const Executor pool = new_pool(2);
        const Gate gate;
        const Future one = submit(pool, "gate", gate.name());
        const Held first = gate.wait();
        const Future two = submit(pool, "gate", gate.name());
        const Held second = gate.wait();

        pids[0] = first.pid();
        pids[1] = second.pid();
        (void)!write(report[1], pids, sizeof(pids));
        (void)pause();
        _exit(1);
    }
    pid_t pids[2] = {};
    ASSERT_EQ(static_cast<ssize_t>(sizeof(pids)),
              read(report[0], pids, sizeof(pids)));
    std::vector<Process> gone;
    for (const pid_t server : children_of(program)) {
        gone.emplace_back(server);
    }
    EXPECT_EQ(1U, gone.size());
    for (const pid_t pid : pids) {
        gone.emplace_back(pid);
    }
    ASSERT_EQ(0, kill(program, SIGKILL));
    for (const Process &process : gone) {
        ASSERT_TRUE(process.is_watched());
        EXPECT_TRUE(process.wait_end());
    }
    EXPECT_EQ(program, waitpid(program, nullptr, 0));
    (void)close(report[0]);
    (void)close(report[1]);
}

TEST_F(ProcessPool, N165_TheDeathOfTheForkServerBreaksPools)
{
    const pid_t program = fork();

    if (program == 0) {
        skua_executor *none = nullptr;

        if (skua_process_pool_executor_new(nullptr, &none) != -ENOTCONN ||
            skua_fork_server_start() != 0) {
            _exit(1);
        }
        const Executor pool = new_pool(1);
        const Gate gate;
        const Future one = submit(pool, "gate", gate.name());
        const Held held = gate.wait();
        const Process worker(held.pid());

        const std::vector<pid_t> servers = children_of(getpid());
        const Process server(servers.front());

        (void)kill(servers.front(), SIGKILL);
        if (servers.size() != 1 || !server.wait_end()) {
            _exit(5);
        }
        if (outcome(one) != SKUA_EBROKENPOOL ||
            reason(one) != "the fork server has died" || !worker.wait_end()) {
            _exit(2);
        }
        finish(pool);
        if (!children_of(getpid()).empty()) {
            _exit(6); /* a zombie */
        }
        if (skua_process_pool_executor_new(nullptr, &none) !=
            SKUA_EBROKENPOOL) {
            _exit(3);
        }
        _exit(testing::Test::HasFailure() ? 4 : 0);
    }
    int status = -1;
    EXPECT_EQ(program, waitpid(program, &status, 0));
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST_F(ProcessPool, N165_ADeathIsSeenWithoutTheForkServer)
{
    const Executor pool = new_pool(1);
    const Gate gate;
    const Future future = submit(pool, "gate", gate.name());
    const Held held = gate.wait();
    const pid_t server = children_of(getpid()).front();
    int status = 0;

    while (state_of(server) != 'S') {
        (void)sched_yield(); /* until it has told of the worker's start */
    }
    ASSERT_EQ(0, kill(server, SIGSTOP));
    ASSERT_EQ(server, waitpid(server, &status, WUNTRACED));
    ASSERT_EQ(0, kill(held.pid(), SIGKILL));
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(future));
    EXPECT_EQ("worker " + std::to_string(held.pid()) + " has died",
              reason(future));
    ASSERT_EQ(0, kill(server, SIGCONT));
    finish(pool);
}

TEST_F(ProcessPool, AForkedChildHasNoneOfIt)
{
    const Executor pool = new_pool(1);
    EXPECT_EQ("x", answered(submit(pool, "echo", "x")));
    const pid_t child = fork();

    if (child == 0) {
        skua_future *future = nullptr;

        _exit(skua_executor_submit_named(pool.get(), "echo", nullptr, 0,
                                         &future) == SKUA_EFORKED &&
                      skua_process_pool_kill_workers(pool.get()) == SKUA_EFORKED
                  ? 0
                  : 1);
    }
    int status = -1;
    EXPECT_EQ(child, waitpid(child, &status, 0));
    EXPECT_EQ(0, status);
    EXPECT_EQ("y", answered(submit(pool, "echo", "y")));
    finish(pool);
}

/* --- max_tasks --- */

TEST_F(ProcessPool, N166_AWorkerIsReplacedAfterItsTasksAndNothingIsLost)
{
    skua_process_pool_options options = {};
    options.max_workers = 2;
    options.max_tasks_per_child = 7;
    const Executor pool = new_pool(options);
    std::vector<Future> futures;
    std::map<pid_t, int> most;
    int answers = 0;

    for (int i = 0; i < 300; i++) {
        futures.push_back(submit(pool, "count"));
    }
    for (const Future &future : futures) {
        const auto count = answered_as<Count>(future);

        most[count.pid] = std::max(most[count.pid], count.count);
        answers++;
    }
    EXPECT_EQ(300, answers);
    EXPECT_LE(300U / 7, most.size());
    for (const auto &[pid, count] : most) {
        EXPECT_GE(7, count) << pid;
    }
    finish(pool);
}

TEST_F(ProcessPool, N166_ShutdownComesEarlierThanTheReplacement)
{
    skua_process_pool_options options = {};
    options.max_workers = 1;
    options.max_tasks_per_child = 1;
    const Executor pool = new_pool(options);
    std::vector<Future> futures;

    for (int i = 0; i < 6; i++) {
        futures.push_back(submit(pool, "count"));
    }
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
    for (const Future &future : futures) {
        EXPECT_EQ(1, answered_as<Count>(future).count);
    }
}

} // namespace
} // namespace processes

int main(int argc, char **argv)
{
    return processes::run_tests(argc, argv);
}
