/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork_test.cc - conformance 154, 155: fork in a running program.
 */
#include "child.h"
#include "support.h"

namespace conformance
{
namespace
{

/** What a child inherits from the program that forked it. */
struct Inherited {
    skua_loop *loop;
    skua_runner *runner;
    skua_future *future;
    skua_task *task;
    skua_executor *executor;
    skua_socket *listener;
    int fd;
};

void never(void *)
{
}

void never_done(skua_future *, void *)
{
}

int nothing(void *)
{
    return 0;
}

int check_loop(const Inherited &parent)
{
    skua_loop *loop = parent.loop;
    skua_future *out = nullptr;
    skua_awaitable awaitable = skua_awaitable_call(nothing, nullptr);

    CHILD_REQUIRE(skua_get_running_loop() == nullptr);
    CHILD_REQUIRE(skua_get_running_runner() == nullptr);
    CHILD_REQUIRE(skua_current_task() == nullptr);
    CHILD_REQUIRE(skua_loop_run_forever(loop) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_run_once(loop, 0) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_run_until_complete(loop, awaitable, nullptr) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_stop(loop) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_close(loop) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_get_fd(loop) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_next_deadline(loop) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_call_soon(loop, never, nullptr, nullptr) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_call_soon_threadsafe(loop, never, nullptr,
                                                 nullptr) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_call_later(loop, 0, never, nullptr, nullptr) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_call_at(loop, 0, never, nullptr, nullptr) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_create_future(loop, &out) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_create_task(loop, nothing, nullptr, &out) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_run_coroutine_threadsafe(loop, nothing, nullptr, &out) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_run_in_executor(loop, nullptr, nothing, nullptr,
                                            &out) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_set_default_executor(loop, parent.executor) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_add_reader(loop, parent.fd, never, nullptr) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_add_writer(loop, parent.fd, never, nullptr) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_remove_reader(loop, parent.fd) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_remove_writer(loop, parent.fd) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_all_tasks(loop, nullptr, 0) == SKUA_EFORKED);
    CHILD_REQUIRE(out == nullptr);
    return 0;
}

int check_loop_settings(const Inherited &parent)
{
    skua_loop *loop = parent.loop;
    skua_exception_context context = {};
    skua_loop_stats stats = {};

    context.message = "x";
    context.status = -EIO;

    CHILD_REQUIRE(skua_loop_set_exception_handler(loop, nullptr, nullptr) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_call_exception_handler(loop, &context) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_get_exception_handler(loop, nullptr) == nullptr);
    CHILD_REQUIRE(skua_loop_default_exception_handler(loop, &context) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_set_slow_callback_duration(loop, 0) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_abort(loop, -EIO) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_shutdown_default_executor(loop, 0) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_set_event_loop(loop) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_get_event_loop() == nullptr);
    CHILD_REQUIRE(skua_loop_set_debug(loop, true) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_loop_get_stats(loop, &stats) == SKUA_EFORKED);
    return 0;
}

int check_future(const Inherited &parent)
{
    for (skua_future *future : {parent.future, parent.task}) {
        skua_exception *exception = nullptr;

        CHILD_REQUIRE(skua_future_set_result(future, nullptr) == SKUA_EFORKED);
        CHILD_REQUIRE(skua_future_set_error(future, -EIO) == SKUA_EFORKED);
        CHILD_REQUIRE(skua_future_cancel(future) == SKUA_EFORKED);
        CHILD_REQUIRE(skua_future_result(future, nullptr) == SKUA_EFORKED);
        CHILD_REQUIRE(skua_future_exception(future, &exception) ==
                      SKUA_EFORKED);
        CHILD_REQUIRE(skua_future_add_done_callback(future, never_done,
                                                    nullptr) == SKUA_EFORKED);
        CHILD_REQUIRE(skua_future_remove_done_callback(
                          future, never_done, nullptr) == SKUA_EFORKED);
        CHILD_REQUIRE(skua_future_add_to_awaited_by(future, future) ==
                      SKUA_EFORKED);
        CHILD_REQUIRE(skua_future_discard_from_awaited_by(future, future) ==
                      SKUA_EFORKED);
        CHILD_REQUIRE(skua_future_awaited_by(future, nullptr, 0) ==
                      SKUA_EFORKED);
        CHILD_REQUIRE(skua_await(future, nullptr) == SKUA_EFORKED);
        CHILD_REQUIRE(skua_await_until(future, 0, nullptr) == SKUA_EFORKED);
    }
    CHILD_REQUIRE(skua_task_cancel(parent.task) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_create_task(nothing, nullptr, nullptr) == SKUA_ENOLOOP);
    CHILD_REQUIRE(skua_sleep(1) == SKUA_ENOLOOP);
    CHILD_REQUIRE(skua_yield() == SKUA_ENOLOOP);
    return 0;
}

int check_others(const Inherited &parent)
{
    skua_executor_stats stats = {};
    skua_future *out = nullptr;
    skua_socket *socket = nullptr;
    char byte = 0;

    CHILD_REQUIRE(skua_runner_run(parent.runner, nothing, nullptr, nullptr) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_runner_close(parent.runner) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_executor_submit(parent.executor, nothing, nullptr,
                                       &out) == SKUA_EFORKED);
    CHILD_REQUIRE(skua_executor_shutdown(parent.executor, true, true) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_executor_get_stats(parent.executor, &stats) ==
                  SKUA_EFORKED);
    CHILD_REQUIRE(skua_sock_accept(parent.listener, &socket) < 0);
    CHILD_REQUIRE(skua_sock_recv_into(parent.listener, &byte, 1) < 0);
    CHILD_REQUIRE(skua_sock_sendall(parent.listener, &byte, 1) < 0);
    return 0;
}

int add_in_a_thread(void *arg)
{
    *static_cast<std::atomic<int> *>(arg) += 1;
    return 0;
}

int own_main(void *arg)
{
    auto *sum = static_cast<std::atomic<int> *>(arg);
    skua_loop *loop = skua_get_running_loop();
    skua_task *tasks[8] = {};
    skua_future *work = nullptr;

    CHILD_REQUIRE(loop != nullptr);
    CHILD_REQUIRE(skua_current_task() != nullptr);
    for (skua_task *&task : tasks) {
        CHILD_REQUIRE(skua_create_task(add_in_a_thread, sum, &task) == 0);
    }
    for (skua_task *task : tasks) {
        CHILD_REQUIRE(skua_await(task, nullptr) == 0);
        skua_future_unref(task);
    }
    CHILD_REQUIRE(skua_sleep(100 * SKUA_US) == 0);
    CHILD_REQUIRE(skua_loop_run_in_executor(loop, nullptr, add_in_a_thread, sum,
                                            &work) == 0);
    CHILD_REQUIRE(skua_await(work, nullptr) == 0);
    skua_future_unref(work);
    return 0;
}

int run_own_runner(unsigned loops)
{
    skua_runner_options options = {};
    std::atomic<int> sum = 0;

    options.loops = loops;
    for (int i = 1; i <= 3; i++) {
        CHILD_REQUIRE(skua_run_with(&options, own_main, &sum, nullptr) == 0);
        CHILD_REQUIRE(sum == 9 * i);
    }
    return 0;
}

int interrupt_myself(void *)
{
    (void)kill(getpid(), SIGINT);
    return skua_sleep(SKUA_FOREVER);
}

class ConformanceFork : public Harness
{
  protected:
    /** Run `child` in a child forked by the main task. */
    void fork_and(const std::function<int(const Inherited &)> &child)
    {
        EXPECT_EQ(
            0, run([&] {
                skua_executor *executor = nullptr;
                skua_socket *listener = nullptr;
                Pipe pipe;
                Future future = make_future();
                Future task = spawn([] { return skua_sleep(SKUA_FOREVER); });

                EXPECT_EQ(0, skua_thread_pool_executor_new(nullptr, &executor));
                EXPECT_EQ(0, skua_sock_listen(nullptr, &listener));
                EXPECT_EQ(0, skua_yield());
                const Inherited inherited = {skua_get_running_loop(),
                                             skua_get_running_runner(),
                                             future.get(),
                                             task.get(),
                                             executor,
                                             listener,
                                             pipe.reader()};

                EXPECT_EQ(0, wait_for_child(start_child(
                                 [&] { return child(inherited); })));
                EXPECT_EQ(0, skua_task_cancelling(skua_current_task()));
                EXPECT_FALSE(skua_future_done(future.get()));
                EXPECT_EQ(0, skua_sleep(SKUA_MS));
                skua_socket_unref(listener);
                skua_executor_unref(executor);
                return 0;
            }));
    }
};

TEST_P(ConformanceFork, N154_EveryCallOnALoopFailsInTheChild)
{
    fork_and(check_loop);
}

TEST_P(ConformanceFork, N154_EverySettingOfALoopFailsInTheChild)
{
    fork_and(check_loop_settings);
}

TEST_P(ConformanceFork, N154_EveryCallOnAFutureFailsInTheChild)
{
    fork_and(check_future);
}

TEST_P(ConformanceFork, N154_EveryCallOnOtherObjectsFailsInTheChild)
{
    fork_and(check_others);
}

TEST_P(ConformanceFork, N154_ASignalToTheChildIsNotSeenByTheParent)
{
    if (kRaceDetector) {
        GTEST_SKIP() << "ThreadSanitizer defers signals to the next call";
    }
    fork_and([](const Inherited &) {
        skua_runner_options options = {};

        options.loops = 1;
        CHILD_REQUIRE(skua_run_with(&options, interrupt_myself, nullptr,
                                    nullptr) == -EINTR);
        return 0;
    });
}

TEST_P(ConformanceFork, N155_AChildMayRunItsOwnRunner)
{
    if (kRaceDetector) {
        GTEST_SKIP() << "ThreadSanitizer has no threads after such a fork";
    }
    fork_and([](const Inherited &) { return run_own_runner(1); });
    fork_and([](const Inherited &) { return run_own_runner(2); });
}

TEST_P(ConformanceFork, N155_AChildMayRunItsOwnLoop)
{
    if (kRaceDetector) {
        GTEST_SKIP() << "ThreadSanitizer has no threads after such a fork";
    }
    fork_and([](const Inherited &) {
        skua_loop *loop = nullptr;
        std::atomic<int> sum = 0;

        CHILD_REQUIRE(skua_loop_new(nullptr, &loop) == 0);
        CHILD_REQUIRE(skua_loop_run_until_complete(
                          loop, skua_awaitable_call(own_main, &sum), nullptr) ==
                      0);
        CHILD_REQUIRE(sum == 9);
        CHILD_REQUIRE(skua_loop_close(loop) == 0);
        skua_loop_unref(loop);
        return 0;
    });
}

TEST_P(ConformanceFork, N155_AChildOfAFinishedProgramMayRun)
{
    EXPECT_EQ(0, run_own_runner(GetParam()));
    EXPECT_EQ(0, wait_for_child(start_child([] { return run_own_runner(2); })));
    EXPECT_EQ(0, run_own_runner(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Loops, ConformanceFork, testing::Values(1, 2, 4));

} // namespace
} // namespace conformance
