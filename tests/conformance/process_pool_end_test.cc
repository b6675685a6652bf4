/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_pool_end_test.cc - cancelling work of process pools, and their ends.
 */
#include <algorithm>
#include <thread>

#include "processes.h"

namespace processes
{
namespace
{

class ProcessPoolEnd : public testing::Test
{
  protected:
    void SetUp() override
    {
        SKIP_WITHOUT_PROCESSES();
        before_ = Holdings::now();
        for (int fd = 0; fd < 1024; fd++) {
            if (fcntl(fd, F_GETFD) >= 0) {
                open_.push_back(fd);
            }
        }
    }

    void TearDown() override
    {
        if (missing().empty()) {
            EXPECT_TRUE(before_.come_back())
                << before_ << ", now " << Holdings::now();
        }
    }

    /** Whether that was there before the test. */
    [[nodiscard]] bool was_open(int fd) const
    {
        return std::find(open_.begin(), open_.end(), fd) != open_.end();
    }

  private:
    Holdings before_ = {};
    std::vector<int> open_;
};

/* --- cancelling --- */

TEST_F(ProcessPoolEnd, N158_WorkThatLiesWithAWorkerCanBeCancelled)
{
    const Executor pool = new_pool(1);
    const Gate gate;
    const Future running = submit(pool, "gate", gate.name());
    Held held = gate.wait();
    std::vector<Future> waiting;

    for (int i = 0; i < 10; i++) {
        waiting.push_back(submit(pool, "count"));
    }
    EXPECT_EQ(0, skua_future_cancel(running.get()));
    for (size_t i = 0; i < 10; i += 2) {
        EXPECT_EQ(1, skua_future_cancel(waiting[i].get()));
        EXPECT_TRUE(skua_future_cancelled(waiting[i].get()));
    }
    held.let_go();
    EXPECT_EQ(0, outcome(running));
    EXPECT_EQ(0, skua_future_cancel(running.get()));
    for (size_t i = 1; i < 10; i += 2) {
        EXPECT_EQ(static_cast<int>(i + 1) / 2,
                  answered_as<Count>(waiting[i]).count)
            << "what was cancelled has not run";
    }
    finish(pool);
}

TEST_F(ProcessPoolEnd, TokensReachWorkThatRunsAndWorkThatWaits)
{
    const Executor pool = new_pool(1);
    const Gate gate;
    skua_cancel_token *token = nullptr;
    skua_work work = {};
    skua_submit_options options = {};
    skua_future *running = nullptr;
    skua_future *waiting = nullptr;

    ASSERT_EQ(0, skua_cancel_token_new(nullptr, &token));
    const Token owner(token);
    work.name = "until-stopped";
    work.data = gate.name().data();
    work.bytes = gate.name().size();
    options.token = token;
    ASSERT_EQ(0,
              skua_executor_submit_work(pool.get(), &work, &options, &running));
    const Future one(running);
    const Held held = gate.wait();
    ASSERT_EQ(0,
              skua_executor_submit_work(pool.get(), &work, &options, &waiting));
    const Future two(waiting);
    EXPECT_EQ(1, skua_cancel_token_cancel(token));
    EXPECT_EQ(-EINTR, outcome(one));
    EXPECT_EQ("told to stop", reason(one));
    EXPECT_EQ(SKUA_ECANCELED, outcome(two));
    EXPECT_EQ("x", answered(submit(pool, "echo", "x")));
    finish(pool);
}

TEST_F(ProcessPoolEnd, DeadlinesStopWhatRunsAndRefuseWhatIsLate)
{
    const Executor pool = new_pool(1);
    const Gate gate;
    skua_work work = {};
    skua_submit_options options = {};
    skua_future *future = nullptr;

    work.name = "until-stopped";
    work.data = gate.name().data();
    work.bytes = gate.name().size();
    options.deadline_ns = skua_monotonic() + 50 * SKUA_MS;
    ASSERT_EQ(0,
              skua_executor_submit_work(pool.get(), &work, &options, &future));
    const Future one(future);
    const Held held = gate.wait();
    options.deadline_ns = skua_monotonic();
    ASSERT_EQ(0,
              skua_executor_submit_work(pool.get(), &work, &options, &future));
    const Future two(future);
    EXPECT_EQ(-EINTR, outcome(one));
    EXPECT_EQ(-ETIMEDOUT, outcome(two));
    finish(pool);
}

TEST_F(ProcessPoolEnd, WorkMovesFromAStuckWorkerToAnIdleOne)
{
    const Executor pool = new_pool(2);
    const Gate gate;
    const Future one = submit(pool, "gate", gate.name());
    Held first = gate.wait();
    const Future two = submit(pool, "gate", gate.name());
    Held second = gate.wait();
    std::vector<Future> rest;

    for (int i = 0; i < 20; i++) {
        rest.push_back(submit(pool, "pid"));
    }
    second.let_go();
    for (const Future &future : rest) {
        EXPECT_EQ(second.pid(), answered_as<pid_t>(future));
    }
    EXPECT_FALSE(skua_future_done(one.get()));
    first.let_go();
    EXPECT_EQ(0, outcome(one));
    EXPECT_EQ(0, outcome(two));
    finish(pool);
}

/* --- bounded queues --- */

TEST_F(ProcessPoolEnd, AFullQueueRejects)
{
    skua_process_pool_options options = {};
    options.max_workers = 1;
    options.max_queued = 2;
    options.policy = SKUA_QUEUE_REJECT;
    const Executor pool = new_pool(options);
    const Gate gate;
    const Future running = submit(pool, "gate", gate.name());
    Held held = gate.wait();
    const Future one = submit(pool, "echo", "1");
    const Future two = submit(pool, "echo", "2");
    skua_executor_stats stats = {};
    skua_future *none = nullptr;

    EXPECT_EQ(-EAGAIN, skua_executor_submit_named(pool.get(), "echo", nullptr,
                                                  0, &none));
    EXPECT_EQ(0, skua_executor_get_stats(pool.get(), &stats));
    EXPECT_EQ(2, stats.queued);
    EXPECT_EQ(1, stats.rejected);
    EXPECT_EQ(0, stats.idle);
    EXPECT_EQ(1, skua_future_cancel(one.get()));
    const Future three = submit(pool, "echo", "3");
    EXPECT_EQ(-EAGAIN, skua_executor_submit_named(pool.get(), "echo", nullptr,
                                                  0, &none));
    held.let_go();
    EXPECT_EQ("2", answered(two));
    EXPECT_EQ("3", answered(three));
    EXPECT_EQ("4", answered(submit(pool, "echo", "4")));
    EXPECT_EQ(0, skua_executor_get_stats(pool.get(), &stats));
    EXPECT_EQ(0, stats.queued);
    EXPECT_EQ(2, stats.queued_most);
    finish(pool);
}

TEST_F(ProcessPoolEnd, OrSuspendsWhoSubmits)
{
    skua_process_pool_options options = {};
    options.max_workers = 1;
    options.max_queued = 1;
    options.policy = SKUA_QUEUE_SUSPEND;
    const Executor pool = new_pool(options);
    const Gate gate;
    const Future running = submit(pool, "gate", gate.name());
    Held held = gate.wait();
    const Future waiting = submit(pool, "echo", "1");
    std::atomic<bool> submitted = false;
    std::thread submitter([&] {
        const Future late = submit(pool, "echo", "2");

        submitted = true;
        EXPECT_EQ("2", answered(late));
    });
    skua_executor_stats stats = {};

    EXPECT_EQ(0, skua_executor_get_stats(pool.get(), &stats));
    EXPECT_EQ(1, stats.queued);
    EXPECT_FALSE(submitted);
    held.let_go();
    submitter.join();
    EXPECT_EQ(0, outcome(running));
    EXPECT_EQ("1", answered(waiting));
    finish(pool);
}

TEST_F(ProcessPoolEnd, WhoIsSuspendedLearnsOfTheEnd)
{
    skua_process_pool_options options = {};
    options.max_workers = 1;
    options.max_queued = 1;
    options.policy = SKUA_QUEUE_SUSPEND;
    for (const bool kills : {true, false}) {
        const Executor pool = new_pool(options);
        const Gate gate;
        const Future running = submit(pool, "gate", gate.name());
        Held held = gate.wait();
        const Future waiting = submit(pool, "echo", "1");
        std::atomic<int> ready = 0;
        std::vector<std::thread> submitters;

        for (int i = 0; i < 3; i++) {
            submitters.emplace_back([&] {
                skua_future *none = nullptr;

                ready++;
                EXPECT_EQ(kills ? SKUA_EBROKENPOOL : SKUA_ECLOSED,
                          skua_executor_submit_named(pool.get(), "echo",
                                                     nullptr, 0, &none));
            });
        }
        while (ready < 3) {
            (void)sched_yield();
        }
        EXPECT_EQ(0, kills ? skua_process_pool_kill_workers(pool.get())
                           : skua_executor_shutdown(pool.get(), false, true));
        for (std::thread &submitter : submitters) {
            submitter.join();
        }
        held.let_go();
        EXPECT_EQ(kills ? SKUA_EBROKENPOOL : 0, outcome(running));
        finish(pool);
    }
}

/* --- ends --- */

TEST_F(ProcessPoolEnd, N163_ShutdownRunsWhatIsQueuedAndRefusesMore)
{
    const Executor pool = new_pool(2);
    std::vector<Future> futures;
    skua_future *late = nullptr;

    for (int i = 0; i < 50; i++) {
        futures.push_back(submit(pool, "echo", "x"));
    }
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
    for (const Future &future : futures) {
        EXPECT_TRUE(skua_future_done(future.get()));
        EXPECT_EQ("x", answered(future));
    }
    EXPECT_EQ(SKUA_ECLOSED, skua_executor_submit_named(pool.get(), "echo",
                                                       nullptr, 0, &late));
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, true));
}

TEST_F(ProcessPoolEnd, N163_CancelFuturesCancelsAllThatHasNotStarted)
{
    const Executor pool = new_pool(1);
    const Gate gate;
    const Future running = submit(pool, "gate", gate.name());
    Held held = gate.wait();
    std::vector<Future> futures;

    for (int i = 0; i < 100; i++) {
        futures.push_back(submit(pool, "echo"));
    }
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), false, true));
    for (const Future &future : futures) {
        EXPECT_TRUE(skua_future_cancelled(future.get()));
    }
    EXPECT_FALSE(skua_future_done(running.get()));
    held.let_go();
    EXPECT_EQ(0, outcome(running));
    finish(pool);
}

TEST_F(ProcessPoolEnd, N163_DroppingThePoolRunsWhatIsQueued)
{
    std::vector<Future> futures;
    {
        const Executor pool = new_pool(1);

        for (int i = 0; i < 50; i++) {
            futures.push_back(submit(pool, "echo", "x"));
        }
    }
    for (const Future &future : futures) {
        EXPECT_EQ("x", answered(future));
    }
    futures.clear();
}

TEST_F(ProcessPoolEnd, AnUnusedPoolEnds)
{
    {
        const Executor pool = new_pool(1);
    }
    const Executor pool = new_pool(4);
    finish(pool);
}

TEST_F(ProcessPoolEnd, N163_ATaskThatShutsDownLetsItsLoopGoOn)
{
    struct Scene {
        Executor pool = new_pool(1);
        Gate gate;
        Future running;
        std::unique_ptr<Held> held;
        bool shut = false;
    } scene;

    scene.running = submit(scene.pool, "gate", scene.gate.name());
    scene.held = std::make_unique<Held>(scene.gate.wait());
    EXPECT_EQ(0, skua_run(
                     [](void *arg) {
                         skua_task_group group = {};

                         (void)skua_task_group_create_task(
                             &group,
                             [](void *what) {
                                 auto *seen = static_cast<Scene *>(what);

                                 finish(seen->pool);
                                 seen->shut = true;
                                 return 0;
                             },
                             arg);
                         (void)skua_task_group_create_task(
                             &group,
                             [](void *what) {
                                 auto *seen = static_cast<Scene *>(what);

                                 EXPECT_FALSE(seen->shut);
                                 seen->held->let_go();
                                 return 0;
                             },
                             arg);
                         return skua_task_group_join(&group);
                     },
                     &scene));
    EXPECT_TRUE(scene.shut);
    EXPECT_EQ(0, outcome(scene.running));
}

TEST_F(ProcessPoolEnd, FunctionsWithoutANameAreRefusedFromLoops)
{
    struct Scene {
        Executor pool = new_pool(1);
    } scene;

    EXPECT_EQ(-ENOTSUP, skua_run(
                            [](void *arg) {
                                skua_future *none = nullptr;

                                return skua_loop_run_in_executor(
                                    skua_get_running_loop(),
                                    static_cast<Scene *>(arg)->pool.get(),
                                    [](void *) { return 0; }, nullptr, &none);
                            },
                            &scene));
    finish(scene.pool);
}

TEST_F(ProcessPoolEnd, CtrlCIsForTheProgram)
{
    const Executor pool = new_pool(1);
    const Gate gate;
    const Future future = submit(pool, "gate", gate.name());
    Held held = gate.wait();

    ASSERT_EQ(0, kill(held.pid(), SIGINT));
    for (const pid_t server : children_of(getpid())) {
        ASSERT_EQ(0, kill(server, SIGINT));
    }
    EXPECT_EQ(getpgrp(), getpgid(held.pid()));
    held.let_go();
    EXPECT_EQ(0, outcome(future));
    finish(pool);
}

TEST_F(ProcessPoolEnd, WhatWorkersPrintComesOutOnce)
{
    int ends[2] = {};
    ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
    const pid_t program = fork();

    if (program == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)printf("before ");
        if (skua_fork_server_start() != 0) {
            _exit(1);
        }
        const Executor pool = new_pool(2);
        const Future one = submit(pool, "say", "worker ");
        (void)outcome(one);
        finish(pool);
        (void)printf("after");
        (void)fflush(stdout);
        _exit(0);
    }
    std::string printed;
    char bytes[64];
    ssize_t count = 0;

    (void)close(ends[1]);
    while ((count = read(ends[0], bytes, sizeof(bytes))) > 0) {
        printed.append(bytes, static_cast<size_t>(count));
    }
    (void)close(ends[0]);
    EXPECT_EQ("before worker after", printed);
    EXPECT_EQ(program, waitpid(program, nullptr, 0));
}

TEST_F(ProcessPoolEnd, NothingIsInheritedByOtherPrograms)
{
    const Executor pool = new_pool(2);
    const Gate gate;
    const Future one = submit(pool, "gate", gate.name());
    Held held = gate.wait();
    const Future two = submit(pool, "echo", "x");

    EXPECT_EQ("x", answered(two));
    for (int fd = 3; fd < 1024; fd++) {
        const int flags = fcntl(fd, F_GETFD);

        EXPECT_TRUE(flags < 0 || (flags & FD_CLOEXEC) != 0 || was_open(fd))
            << fd;
    }
    held.let_go();
    EXPECT_EQ(0, outcome(one));
    finish(pool);
}

TEST_F(ProcessPoolEnd, ShutdownWithADeadlineLeavesAStuckWorker)
{
    const Executor pool = new_pool(1);
    const Gate gate;
    const Future stuck = submit(pool, "gate", gate.name());
    const Held held = gate.wait();

    EXPECT_EQ(-ETIMEDOUT, skua_executor_shutdown_until(
                              pool.get(), skua_monotonic() + SKUA_MS, false));
    EXPECT_FALSE(skua_future_done(stuck.get()));
    EXPECT_EQ(0, skua_process_pool_kill_workers(pool.get()));
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(stuck));
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
}

TEST_F(ProcessPoolEnd, KillWorkersFailsEverything)
{
    const Executor pool = new_pool(2, SKUA_RESTART_ALWAYS);
    const Gate gate;
    const Future one = submit(pool, "gate", gate.name());
    const Held first = gate.wait();
    const Future two = submit(pool, "gate", gate.name());
    const Held second = gate.wait();
    const Future three = submit(pool, "echo");
    const Process watched(first.pid());
    skua_future *late = nullptr;

    EXPECT_EQ(0, skua_process_pool_kill_workers(pool.get()));
    for (const Future *future : {&one, &two, &three}) {
        EXPECT_TRUE(skua_future_done(future->get()));
        EXPECT_EQ(SKUA_EBROKENPOOL, outcome(*future));
        EXPECT_EQ("the workers were killed", reason(*future));
    }
    EXPECT_EQ(SKUA_EBROKENPOOL, skua_executor_submit_named(pool.get(), "echo",
                                                           nullptr, 0, &late));
    EXPECT_TRUE(watched.wait_end());
    finish(pool);
}

TEST_F(ProcessPoolEnd, TerminateWorkersSendsSigterm)
{
    const Executor pool = new_pool(1);
    const Gate gate;
    const Future one = submit(pool, "gate", gate.name());
    const Held held = gate.wait();

    EXPECT_EQ(0, skua_process_pool_terminate_workers(pool.get()));
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(one));
    finish(pool);
    EXPECT_EQ(0, skua_process_pool_terminate_workers(pool.get()));
}

TEST_F(ProcessPoolEnd, WhoWithstandsSigtermEndsAfterItsWork)
{
    const Executor pool = new_pool(1);
    const Gate gate;
    const Future one = submit(pool, "stubborn-gate", gate.name());
    Held held = gate.wait();
    const Future two = submit(pool, "gate", gate.name());

    EXPECT_EQ(0, skua_process_pool_terminate_workers(pool.get()));
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(one));
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(two));
    EXPECT_EQ(-ETIMEDOUT, skua_executor_shutdown_until(
                              pool.get(), skua_monotonic() + SKUA_MS, false));
    held.let_go(); /* nobody comes to the gate again */
    finish(pool);
}

TEST_F(ProcessPoolEnd, KillingAPoolThatHasNotStartedAnything)
{
    const Executor pool = new_pool(1);

    EXPECT_EQ(0, skua_process_pool_kill_workers(pool.get()));
    finish(pool);
    skua_executor *threads = nullptr;
    ASSERT_EQ(0, skua_thread_pool_executor_new(nullptr, &threads));
    const Executor other(threads);
    EXPECT_EQ(-EINVAL, skua_process_pool_kill_workers(threads));
    EXPECT_EQ(0, skua_executor_shutdown(threads, true, false));
}

TEST_F(ProcessPoolEnd, ACallbackMayNotWaitForItsPoolButMaySubmit)
{
    struct Seen {
        const Executor *pool;
        std::atomic<int> wait_status;
        std::atomic<bool> submitted;
    };
    const Executor pool = new_pool(1);
    Seen seen = {&pool, {0}, {false}};
    const Gate gate;
    const Future one = submit(pool, "gate", gate.name());
    Held held = gate.wait();

    ASSERT_EQ(0, skua_future_add_done_callback(
                     one.get(),
                     [](skua_future *, void *arg) {
                         auto *what = static_cast<Seen *>(arg);
                         const Future more = submit(*what->pool, "echo", "m");

                         what->submitted = true;
                         what->wait_status = skua_executor_shutdown(
                             what->pool->get(), true, false);
                     },
                     &seen));
    held.let_go();
    EXPECT_EQ(0, outcome(one));
    finish(pool);
    EXPECT_TRUE(seen.submitted);
    EXPECT_EQ(-EDEADLK, seen.wait_status);
}

TEST_F(ProcessPoolEnd, StartingTheServerAgainChangesNothing)
{
    const std::vector<pid_t> servers = children_of(getpid());

    EXPECT_EQ(0, skua_fork_server_start());
    EXPECT_EQ(servers, children_of(getpid()));
}

TEST_F(ProcessPoolEnd, AServerIsRefusedWhenThereAreThreads)
{
    const pid_t child = fork();

    if (child == 0) {
        int status = 0;
        std::atomic<bool> over = false;
        std::thread other([&] {
            while (!over) {
                (void)sched_yield();
            }
        });

        status = skua_fork_server_start();
        over = true;
        other.join();
        _exit(status == -EBUSY ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(child, waitpid(child, &status, 0));
    EXPECT_EQ(0, status);
}

} // namespace
} // namespace processes

int main(int argc, char **argv)
{
    return processes::run_tests(argc, argv);
}
