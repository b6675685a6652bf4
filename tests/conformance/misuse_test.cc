/* SPDX-License-Identifier: Apache-2.0 */
/*
 * misuse_test.cc - every public call with NULL, in a wrong state, from a wrong
 * thread, with absurd sizes and with what is no time: a status, never a crash.
 */
#include <cmath>
#include <sys/socket.h>

#include "skua/errno.h"
#include "support.h"

/* Sanitizers: an absurd allocation gives NULL, as it does without them. */
extern "C" const char *__asan_default_options()
{
    return "allocator_may_return_null=1";
}

extern "C" const char *__tsan_default_options()
{
    return "allocator_may_return_null=1";
}

namespace conformance
{
namespace
{

void never(void *)
{
    ADD_FAILURE() << "must not be called";
}

void never_done(skua_future *, void *)
{
    ADD_FAILURE() << "must not be called";
}

int nothing(void *)
{
    return 0;
}

/* --- NULL --- */

TEST(MisuseNull, Status)
{
    for (const int status :
         {0, 1, -1, -EINVAL, -4095, -4096, SKUA_ECANCELED, SKUA_EBROKEN,
          SKUA_EBROKEN - 1, INT32_MIN, INT32_MAX}) {
        EXPECT_NE(nullptr, skua_strerror(status));
        EXPECT_STRNE("", skua_strerror(status));
    }
    EXPECT_NE(nullptr, skua_errno_location());
}

TEST(MisuseNull, LoopLife)
{
    EXPECT_EQ(-EINVAL, skua_loop_new(nullptr, nullptr));
    EXPECT_EQ(nullptr, skua_loop_ref(nullptr));
    skua_loop_unref(nullptr);
    EXPECT_EQ(-EINVAL, skua_loop_close(nullptr));
    EXPECT_EQ(-EINVAL, skua_loop_run_forever(nullptr));
    EXPECT_EQ(-EINVAL,
              skua_loop_run_until_complete(
                  nullptr, skua_awaitable_call(nothing, nullptr), nullptr));
    EXPECT_EQ(-EINVAL, skua_loop_run_once(nullptr, 0));
    EXPECT_EQ(-EINVAL, skua_loop_get_fd(nullptr));
    EXPECT_EQ(-EINVAL, skua_loop_next_deadline(nullptr));
    EXPECT_EQ(-EINVAL, skua_loop_stop(nullptr));
    EXPECT_FALSE(skua_loop_is_running(nullptr));
    EXPECT_TRUE(skua_loop_is_closed(nullptr));
    EXPECT_EQ(-EINVAL, skua_loop_time(nullptr));
    EXPECT_EQ(nullptr, skua_get_running_loop());
    EXPECT_EQ(nullptr, skua_get_running_runner());
}

TEST(MisuseNull, LoopCallbacks)
{
    Loop loop;

    for (skua_loop *each :
         {static_cast<skua_loop *>(nullptr), static_cast<skua_loop *>(loop)}) {
        skua_callback_fn *fn = each == nullptr ? never : nullptr;

        EXPECT_EQ(-EINVAL, skua_loop_call_soon(each, fn, nullptr, nullptr));
        EXPECT_EQ(-EINVAL,
                  skua_loop_call_soon_threadsafe(each, fn, nullptr, nullptr));
        EXPECT_EQ(-EINVAL, skua_loop_call_later(each, 0, fn, nullptr, nullptr));
        EXPECT_EQ(-EINVAL, skua_loop_call_at(each, 0, fn, nullptr, nullptr));
        EXPECT_EQ(-EINVAL, skua_loop_add_reader(each, 0, fn, nullptr));
        EXPECT_EQ(-EINVAL, skua_loop_add_writer(each, 0, fn, nullptr));
    }
    EXPECT_EQ(-EINVAL, skua_loop_remove_reader(nullptr, 0));
    EXPECT_EQ(-EINVAL, skua_loop_remove_reader(nullptr, -1));
    EXPECT_EQ(-EINVAL, skua_loop_remove_writer(nullptr, 0));
    EXPECT_EQ(nullptr, skua_handle_ref(nullptr));
    skua_handle_unref(nullptr);
    EXPECT_EQ(-EINVAL, skua_handle_cancel(nullptr));
    EXPECT_FALSE(skua_handle_cancelled(nullptr));
    EXPECT_EQ(SKUA_NOT_A_TIME, skua_handle_when(nullptr));
}

TEST(MisuseNull, LoopOthers)
{
    Loop loop;
    skua_future *future = nullptr;
    skua_loop_stats stats = {};
    const skua_exception_context context = {};

    EXPECT_EQ(-EINVAL, skua_loop_create_future(nullptr, &future));
    EXPECT_EQ(-EINVAL, skua_loop_create_future(loop, nullptr));
    EXPECT_EQ(-EINVAL,
              skua_loop_create_task(nullptr, nothing, nullptr, &future));
    EXPECT_EQ(-EINVAL, skua_loop_create_task(loop, nullptr, nullptr, &future));
    EXPECT_EQ(-EINVAL, skua_loop_run_in_executor(nullptr, nullptr, nothing,
                                                 nullptr, &future));
    EXPECT_EQ(-EINVAL, skua_loop_run_in_executor(loop, nullptr, nullptr,
                                                 nullptr, &future));
    EXPECT_EQ(-EINVAL, skua_loop_run_in_executor(loop, nullptr, nothing,
                                                 nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_loop_set_default_executor(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_loop_set_default_executor(loop, nullptr));
    EXPECT_EQ(-EINVAL,
              skua_loop_set_exception_handler(nullptr, nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_loop_call_exception_handler(nullptr, &context));
    EXPECT_EQ(-EINVAL, skua_loop_call_exception_handler(loop, nullptr));
    EXPECT_EQ(-EINVAL, skua_loop_set_debug(nullptr, true));
    EXPECT_FALSE(skua_loop_get_debug(nullptr));
    EXPECT_EQ(-EINVAL, skua_loop_get_stats(nullptr, &stats));
    EXPECT_EQ(-EINVAL, skua_loop_get_stats(loop, nullptr));
    EXPECT_EQ(nullptr, future);
}

TEST(MisuseNull, Future)
{
    Exception exception = make_exception(-EIO, "x");
    Future future = make_future();
    skua_exception *read = nullptr;

    EXPECT_EQ(-EINVAL, skua_future_new(nullptr, nullptr));
    EXPECT_EQ(nullptr, skua_future_ref(nullptr));
    skua_future_unref(nullptr);
    EXPECT_EQ(-EINVAL, skua_future_set_result(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_future_set_exception(nullptr, exception.get()));
    EXPECT_EQ(-EINVAL, skua_future_set_exception(future.get(), nullptr));
    EXPECT_EQ(-EINVAL, skua_future_set_error(nullptr, -EIO));
    EXPECT_EQ(-EINVAL, skua_future_set_error(future.get(), 0));
    EXPECT_EQ(-EINVAL, skua_future_set_error(future.get(), 7));
    EXPECT_EQ(-EINVAL, skua_future_cancel(nullptr));
    EXPECT_FALSE(skua_future_done(nullptr));
    EXPECT_FALSE(skua_future_cancelled(nullptr));
    EXPECT_FALSE(skua_future_running(nullptr));
    EXPECT_EQ(-EINVAL, skua_future_result(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_future_exception(nullptr, &read));
    EXPECT_EQ(-EINVAL, skua_future_exception(future.get(), nullptr));
    EXPECT_EQ(-EINVAL,
              skua_future_add_done_callback(nullptr, never_done, nullptr));
    EXPECT_EQ(-EINVAL,
              skua_future_add_done_callback(future.get(), nullptr, nullptr));
    EXPECT_EQ(-EINVAL,
              skua_future_remove_done_callback(nullptr, never_done, nullptr));
    EXPECT_GE(0,
              skua_future_remove_done_callback(future.get(), nullptr, nullptr));
    EXPECT_EQ(nullptr, skua_future_get_loop(nullptr));
    EXPECT_EQ(nullptr, skua_future_get_loop(future.get()));
    EXPECT_EQ(-EINVAL, skua_await(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_await_until(nullptr, 0, nullptr));
    EXPECT_EQ(-EINVAL, skua_ensure_future(nullptr, skua_awaitable{}, nullptr));
    EXPECT_EQ(-EINVAL,
              skua_ensure_future(nullptr, skua_awaitable_future(future.get()),
                                 nullptr));
}

TEST(MisuseNull, Task)
{
    char name[8] = "";

    EXPECT_EQ(-EINVAL, skua_create_task(nullptr, nullptr, nullptr));
    EXPECT_EQ(-EINVAL,
              skua_create_task_with(nullptr, nullptr, nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_run_coroutine_threadsafe(nullptr, nothing, nullptr,
                                                     nullptr));
    EXPECT_EQ(-EINVAL, skua_call(nullptr, nullptr, nullptr));
    EXPECT_EQ(0, skua_call(nothing, nullptr, nullptr));
    EXPECT_EQ(0, skua_return(nullptr));
    EXPECT_EQ(-EINVAL, skua_task_cancel(nullptr));
    EXPECT_EQ(-EINVAL, skua_task_cancelling(nullptr));
    EXPECT_EQ(-EINVAL, skua_task_uncancel(nullptr));
    EXPECT_EQ(-EINVAL, skua_all_tasks(nullptr, nullptr, 1));
    EXPECT_EQ(-EINVAL, skua_task_get_name(nullptr, name, sizeof(name)));
    EXPECT_EQ(-EINVAL, skua_task_set_name(nullptr, "x"));
    skua_task_detach(nullptr);
}

TEST(MisuseNull, GroupsAndTimeouts)
{
    EXPECT_EQ(-EINVAL, skua_task_group_create_task(nullptr, nothing, nullptr));
    EXPECT_EQ(-EINVAL, skua_task_group_join(nullptr));
    EXPECT_EQ(-EINVAL, skua_timeout_enter(nullptr, 0));
    EXPECT_EQ(-EINVAL, skua_timeout_enter_at(nullptr, 0));
    EXPECT_EQ(-EINVAL, skua_timeout_exit(nullptr, 0));
    EXPECT_EQ(-EINVAL, skua_timeout_reschedule(nullptr, 0));
    EXPECT_FALSE(skua_timeout_expired(nullptr));
    EXPECT_EQ(SKUA_FOREVER, skua_timeout_when(nullptr));
}

TEST(MisuseNull, Exception)
{
    skua_exception *made = nullptr;
    const char *volatile no_format = nullptr;

    EXPECT_EQ(-EINVAL, skua_exception_new(nullptr, -EIO, "x"));
    EXPECT_EQ(-EINVAL, skua_exception_new(&made, 0, "x"));
    EXPECT_EQ(-EINVAL, skua_exception_new(&made, 5, "x"));
    EXPECT_EQ(nullptr, made);
    EXPECT_EQ(nullptr, skua_exception_ref(nullptr));
    skua_exception_unref(nullptr);
    EXPECT_EQ(-EINVAL, skua_exception_status(nullptr));
    EXPECT_STREQ("", skua_exception_message(nullptr));
    EXPECT_STREQ("", skua_exception_task_name(nullptr));
    EXPECT_EQ(nullptr, skua_exception_cause(nullptr));
    EXPECT_EQ(0u, skua_exception_count(nullptr));
    EXPECT_EQ(nullptr, skua_exception_child(nullptr, 0));
    EXPECT_EQ(-EINVAL, skua_raise(0, "not negative"));
    EXPECT_EQ(-EINVAL, skua_raise(9, "not negative"));
    EXPECT_EQ(-EIO, skua_raise(-EIO, no_format, nullptr));
}

TEST(MisuseNull, Executor)
{
    skua_executor_stats stats = {};
    skua_executor *made = nullptr;

    EXPECT_EQ(-EINVAL, skua_thread_pool_executor_new(nullptr, nullptr));
    EXPECT_EQ(nullptr, skua_executor_ref(nullptr));
    skua_executor_unref(nullptr);
    EXPECT_EQ(-EINVAL,
              skua_executor_submit(nullptr, nothing, nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_executor_shutdown(nullptr, true, true));
    EXPECT_EQ(-EINVAL, skua_executor_get_stats(nullptr, &stats));
    ASSERT_EQ(0, skua_thread_pool_executor_new(nullptr, &made));
    EXPECT_EQ(-EINVAL, skua_executor_submit(made, nullptr, nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_executor_get_stats(made, nullptr));
    skua_executor_unref(made);
}

TEST(MisuseNull, Runner)
{
    EXPECT_EQ(-EINVAL, skua_run(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_run_with(nullptr, nullptr, nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_runner_new(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_runner_run(nullptr, nothing, nullptr, nullptr));
    EXPECT_EQ(nullptr, skua_runner_get_loop(nullptr, 0));
    EXPECT_EQ(0u, skua_runner_loops(nullptr));
    EXPECT_EQ(0, skua_runner_close(nullptr));
}

TEST(MisuseNull, Memory)
{
    skua_allocator allocator = {};

    EXPECT_EQ(-EINVAL, skua_set_allocator(nullptr));
    EXPECT_EQ(-EINVAL, skua_set_allocator(&allocator));
    skua_release(nullptr);
    EXPECT_EQ(nullptr, skua_allocate(PTRDIFF_MAX));
    skua_release(skua_allocate(0));
}

int null_sockets(void *)
{
    skua_socket *made = nullptr;
    const iovec buffers[1] = {{nullptr, 0}};
    void *data = nullptr;
    char byte = 0;

    EXPECT_EQ(-EINVAL, skua_sock_listen(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_sock_accept(nullptr, &made));
    EXPECT_EQ(-EINVAL, skua_sock_accept_until(nullptr, 0, &made));
    EXPECT_EQ(-EINVAL, skua_sock_connect(nullptr, 1, nullptr));
    EXPECT_EQ(-EINVAL, skua_sock_connect_until(nullptr, 1, 0, nullptr));
    EXPECT_EQ(-EINVAL, skua_socket_new(0, nullptr));
    EXPECT_EQ(nullptr, skua_socket_ref(nullptr));
    skua_socket_unref(nullptr);
    EXPECT_EQ(-EINVAL, skua_sock_close(nullptr));
    EXPECT_EQ(-EINVAL, skua_sock_shutdown(nullptr, SHUT_RD));
    EXPECT_EQ(-EINVAL, skua_sock_recv(nullptr, 1, &data));
    EXPECT_EQ(-EINVAL, skua_sock_recv_until(nullptr, 1, 0, &data));
    EXPECT_EQ(-EINVAL, skua_sock_recv_into(nullptr, &byte, 1));
    EXPECT_EQ(-EINVAL, skua_sock_recv_into_until(nullptr, &byte, 1, 0));
    EXPECT_EQ(-EINVAL, skua_sock_send(nullptr, &byte, 1));
    EXPECT_EQ(-EINVAL, skua_sock_send_until(nullptr, &byte, 1, 0));
    EXPECT_EQ(-EINVAL, skua_sock_sendall(nullptr, &byte, 1));
    EXPECT_EQ(-EINVAL, skua_sock_sendall_until(nullptr, &byte, 1, 0, nullptr));
    EXPECT_EQ(-EINVAL, skua_sock_sendmsg(nullptr, buffers, 1));
    EXPECT_EQ(-EINVAL, skua_sock_sendmsg_until(nullptr, buffers, 1, 0));
    EXPECT_EQ(-EINVAL, skua_sock_sendmsg_all(nullptr, buffers, 1));
    EXPECT_EQ(-EINVAL,
              skua_sock_sendmsg_all_until(nullptr, buffers, 1, 0, nullptr));
    EXPECT_EQ(-EINVAL, skua_sock_getsockname(nullptr, nullptr, 0, nullptr));
    EXPECT_EQ(-EINVAL, skua_sock_getpeername(nullptr, nullptr, 0, nullptr));
    EXPECT_EQ(-EINVAL, skua_sock_fileno(nullptr));
    EXPECT_EQ(-EINVAL, skua_sock_nodelay(nullptr, true));
    return 0;
}

TEST(MisuseNull, Socket)
{
    skua_runner_options options = {};

    options.loops = 1;
    EXPECT_EQ(0, null_sockets(nullptr));
    EXPECT_EQ(0, skua_run_with(&options, null_sockets, nullptr, nullptr));
}

/* --- outside a loop, outside a task --- */

TEST(MisuseState, OutsideALoop)
{
    Future future = make_future();
    skua_future *out = nullptr;
    skua_socket *socket = nullptr;
    skua_task_group group = {};
    skua_timeout timeout = {};
    const skua_awaitable call = skua_awaitable_call(nothing, nullptr);

    EXPECT_EQ(SKUA_ENOLOOP, skua_create_task(nothing, nullptr, &out));
    EXPECT_EQ(SKUA_ENOLOOP, skua_ensure_future(nullptr, call, &out));
    EXPECT_EQ(SKUA_ENOLOOP, skua_sleep(0));
    EXPECT_EQ(SKUA_ENOLOOP, skua_sleep(5));
    EXPECT_EQ(SKUA_ENOLOOP, skua_sleep_until(5));
    EXPECT_EQ(SKUA_ENOLOOP, skua_yield());
    EXPECT_EQ(SKUA_ENOLOOP, skua_all_tasks(nullptr, nullptr, 0));
    EXPECT_EQ(nullptr, skua_current_task());
    EXPECT_EQ(SKUA_ENOLOOP,
              skua_task_group_create_task(&group, nothing, nullptr));
    EXPECT_EQ(SKUA_ENOLOOP, skua_task_group_join(&group));
    EXPECT_EQ(SKUA_ENOLOOP, skua_timeout_enter(&timeout, 5));
    EXPECT_EQ(SKUA_ENOLOOP, skua_timeout_enter_at(&timeout, 5));
    EXPECT_EQ(-EINVAL, skua_timeout_exit(&timeout, 0));
    EXPECT_EQ(SKUA_ENOLOOP, skua_wait_for(call, 5, nullptr));
    EXPECT_EQ(SKUA_ENOLOOP, skua_sock_listen(nullptr, &socket));
    EXPECT_EQ(SKUA_ENOLOOP, skua_sock_connect(nullptr, 1, &socket));
    EXPECT_EQ(SKUA_ENOLOOP, skua_socket_new(0, &socket));
    EXPECT_EQ(SKUA_ENOLOOP,
              skua_future_add_done_callback(future.get(), never_done, nullptr));
    EXPECT_EQ(nullptr, out);
    EXPECT_EQ(nullptr, socket);
}

TEST(MisuseState, InACallback)
{
    Lambdas lambdas;
    Loop loop;
    Future future = make_future(loop);
    Future done = make_future(loop);

    ASSERT_EQ(0, skua_future_set_result(done.get(), nullptr));
    lambdas.soon(loop, [&] {
        skua_task_group group = {};
        skua_timeout timeout = {};

        EXPECT_EQ(-EDEADLK, skua_await(future.get(), nullptr));
        EXPECT_EQ(-EDEADLK,
                  skua_await_until(future.get(), SKUA_FOREVER, nullptr));
        EXPECT_EQ(0, skua_await(done.get(), nullptr));
        EXPECT_EQ(SKUA_ENOLOOP, skua_sleep(0));
        EXPECT_EQ(SKUA_ENOLOOP, skua_yield());
        EXPECT_EQ(SKUA_ENOLOOP, skua_task_group_join(&group));
        EXPECT_EQ(SKUA_ENOLOOP, skua_timeout_enter(&timeout, 5));
        EXPECT_EQ(
            SKUA_ENOLOOP,
            skua_wait_for(skua_awaitable_future(future.get()), 5, nullptr));
    });
    EXPECT_EQ(0, skua_loop_run_once(loop, 0));
}

TEST(MisuseState, PlainFuturesAreNoTasks)
{
    Future future = make_future();
    char name[8] = "";

    EXPECT_EQ(-EINVAL, skua_task_cancel(future.get()));
    EXPECT_EQ(-EINVAL, skua_task_cancelling(future.get()));
    EXPECT_EQ(-EINVAL, skua_task_uncancel(future.get()));
    EXPECT_EQ(-EINVAL, skua_task_get_name(future.get(), name, sizeof(name)));
    EXPECT_EQ(-EINVAL, skua_task_set_name(future.get(), "x"));
}

int await_itself(void *)
{
    EXPECT_EQ(-EDEADLK, skua_await(skua_current_task(), nullptr));
    EXPECT_EQ(-EDEADLK,
              skua_await_until(skua_current_task(), SKUA_FOREVER, nullptr));
    EXPECT_GT(0, skua_wait_for(skua_awaitable_future(skua_current_task()), 5,
                               nullptr));
    return 0;
}

TEST(MisuseState, ATaskThatAwaitsItself)
{
    EXPECT_EQ(0, skua_run(await_itself, nullptr));
}

int names_in_a_task(void *)
{
    skua_task *self = skua_current_task();
    const std::string longest(1 << 16, 'n');
    char name[64] = "";

    EXPECT_EQ(0, skua_task_set_name(self, longest.c_str()));
    EXPECT_EQ(31, skua_task_get_name(self, name, sizeof(name)));
    EXPECT_EQ(-EINVAL, skua_task_set_name(self, nullptr));
    EXPECT_EQ(-EINVAL, skua_task_get_name(self, nullptr, 5));
    EXPECT_EQ(31, skua_task_get_name(self, nullptr, 0));
    EXPECT_EQ(31, skua_task_get_name(self, name, 1));
    EXPECT_STREQ("", name);
    EXPECT_EQ(0, skua_task_set_name(self, ""));
    return 0;
}

TEST(MisuseState, Names)
{
    EXPECT_EQ(0, skua_run(names_in_a_task, nullptr));
}

int misuse_groups(void *)
{
    skua_task_group group = {};
    skua_task_group *of_parent = &group;
    Lambdas lambdas;

    EXPECT_EQ(-EINVAL, skua_task_group_create_task(&group, nullptr, nullptr));
    EXPECT_EQ(0, skua_task_group_create_task(&group, nothing, nullptr));
    Future other =
        lambdas.spawn([of_parent] { return skua_task_group_join(of_parent); });
    EXPECT_EQ(-EPERM, skua_await(other.get(), nullptr));
    EXPECT_EQ(0, skua_task_group_join(&group));
    EXPECT_EQ(SKUA_EINVALSTATE, skua_task_group_join(&group));
    EXPECT_EQ(SKUA_EINVALSTATE,
              skua_task_group_create_task(&group, nothing, nullptr));
    return 0;
}

TEST(MisuseState, Groups)
{
    EXPECT_EQ(0, skua_run(misuse_groups, nullptr));
}

TEST(MisuseState, ClosedRunnerLoopsAndExecutors)
{
    Future future;
    {
        Loop loop;

        future = make_future(loop);
    }
    EXPECT_EQ(nullptr, skua_future_get_loop(future.get()));
    EXPECT_EQ(SKUA_ENOLOOP,
              skua_future_add_done_callback(future.get(), never_done, nullptr));
    EXPECT_EQ(0, skua_future_set_result(future.get(), nullptr));
    EXPECT_EQ(0, skua_await(future.get(), nullptr));
}

TEST(MisuseState, HandlesOutliveTheirLoop)
{
    Lambdas lambdas;
    Handle soon;
    Handle timer;
    {
        Loop loop;

        soon = lambdas.soon(loop, [] { never(nullptr); });
        timer = lambdas.later(loop, SKUA_S, [] { never(nullptr); });
    }
    EXPECT_LE(0, skua_handle_cancel(soon.get()));
    EXPECT_LE(0, skua_handle_cancel(timer.get()));
    (void)skua_handle_cancelled(timer.get());
    EXPECT_NE(SKUA_NOT_A_TIME, skua_handle_when(timer.get()));
}

/* --- wrong thread --- */

TEST(MisuseThread, ARunningLoopIsItsThreads)
{
    Lambdas lambdas;
    Loop loop;
    Pipe pipe;

    lambdas.soon(loop, [&] {
        std::thread([&] {
            EXPECT_EQ(-EPERM,
                      skua_loop_call_soon(loop, never, nullptr, nullptr));
            EXPECT_EQ(-EPERM,
                      skua_loop_call_later(loop, 0, never, nullptr, nullptr));
            EXPECT_EQ(-EPERM,
                      skua_loop_call_at(loop, 0, never, nullptr, nullptr));
            EXPECT_EQ(-EPERM, skua_loop_add_reader(loop, pipe.reader(), never,
                                                   nullptr));
            EXPECT_EQ(-EPERM, skua_loop_add_writer(loop, pipe.writer(), never,
                                                   nullptr));
            EXPECT_EQ(-EPERM, skua_loop_remove_reader(loop, pipe.reader()));
            EXPECT_EQ(-EPERM, skua_loop_remove_writer(loop, pipe.writer()));
            EXPECT_EQ(SKUA_ERUNNING, skua_loop_run_forever(loop));
            EXPECT_EQ(SKUA_ERUNNING, skua_loop_close(loop));
            EXPECT_EQ(0, skua_loop_stop(loop));
        }).join();
    });
    EXPECT_EQ(0, skua_loop_run_forever(loop));
}

/* --- absurd sizes, times, descriptors --- */

TEST(MisuseSizes, Loops)
{
    for (const size_t bytes : {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX - 4095}) {
        skua_loop_options options = {};
        skua_loop *loop = nullptr;

        options.stack_bytes = bytes;
        EXPECT_GT(0, skua_loop_new(&options, &loop));
        EXPECT_EQ(nullptr, loop);
    }
    for (const size_t bytes : {size_t{1}, size_t{4096}, size_t{1} << 20}) {
        skua_loop_options options = {};
        skua_loop *loop = nullptr;

        options.stack_bytes = bytes;
        const int status = skua_loop_new(&options, &loop);

        EXPECT_TRUE(status == 0 || status == -EINVAL);
        skua_loop_unref(loop);
    }
}

TEST(MisuseSizes, Runners)
{
    skua_runner_options options = {};
    skua_runner *runner = nullptr;

    options.loops = UINT32_MAX;
    EXPECT_EQ(-EINVAL, skua_runner_new(&options, &runner));
    EXPECT_EQ(-EINVAL, skua_run_with(&options, nothing, nullptr, nullptr));
    options = {};
    options.stack_bytes = SIZE_MAX;
    EXPECT_GT(0, skua_runner_new(&options, &runner));
    options = {};
    options.spin_ns = -1;
    EXPECT_EQ(-EINVAL, skua_runner_new(&options, &runner));
    options = {};
    options.spin = static_cast<skua_spin_policy>(3);
    EXPECT_EQ(-EINVAL, skua_runner_new(&options, &runner));
    EXPECT_EQ(nullptr, runner);
}

TEST(MisuseSizes, Executors)
{
    for (const int workers : {-1, 4096, INT32_MAX, INT32_MIN}) {
        skua_thread_pool_options options = {};
        skua_executor *executor = nullptr;

        options.max_workers = workers;
        EXPECT_EQ(-EINVAL, skua_thread_pool_executor_new(&options, &executor));
        EXPECT_EQ(nullptr, executor);
    }
}

TEST(MisuseSizes, Times)
{
    Loop loop;
    Future future = make_future();

    EXPECT_EQ(-EINVAL, skua_loop_call_later(loop, SKUA_NOT_A_TIME, never,
                                            nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_loop_call_at(loop, SKUA_NOT_A_TIME, never, nullptr,
                                         nullptr));
    EXPECT_EQ(-EINVAL, skua_loop_run_once(loop, SKUA_NOT_A_TIME));
    EXPECT_EQ(-EINVAL,
              skua_await_until(future.get(), SKUA_NOT_A_TIME, nullptr));
    EXPECT_EQ(-ETIMEDOUT,
              skua_await_until(future.get(), SKUA_NOT_A_TIME + 1, nullptr));
    EXPECT_EQ(0, skua_loop_run_once(loop, SKUA_NOT_A_TIME + 1));
    EXPECT_EQ(-EINVAL, skua_sleep(SKUA_NOT_A_TIME));
    EXPECT_EQ(-EINVAL, skua_sleep_until(SKUA_NOT_A_TIME));
}

int times_in_a_task(void *)
{
    Future future = make_future();
    skua_timeout timeout = {};
    skua_socket *listener = nullptr;
    skua_socket *made = nullptr;

    EXPECT_EQ(-EINVAL, skua_sleep(skua_seconds(NAN)));
    EXPECT_EQ(-EINVAL,
              skua_await_until(future.get(), SKUA_NOT_A_TIME, nullptr));
    EXPECT_EQ(-ETIMEDOUT,
              skua_await_until(future.get(), SKUA_NOT_A_TIME + 1, nullptr));
    EXPECT_EQ(-EINVAL, skua_timeout_enter(&timeout, SKUA_NOT_A_TIME));
    EXPECT_EQ(-EINVAL, skua_timeout_enter_at(&timeout, SKUA_NOT_A_TIME));
    EXPECT_EQ(0, skua_timeout_enter(&timeout, SKUA_FOREVER - 1));
    EXPECT_EQ(-EINVAL, skua_timeout_reschedule(&timeout, SKUA_NOT_A_TIME));
    EXPECT_EQ(0, skua_timeout_exit(&timeout, 0));
    EXPECT_EQ(-EINVAL, skua_wait_for(skua_awaitable_future(future.get()),
                                     SKUA_NOT_A_TIME, nullptr));
    EXPECT_EQ(0, skua_sock_listen(nullptr, &listener));
    EXPECT_EQ(-EINVAL,
              skua_sock_accept_until(listener, SKUA_NOT_A_TIME, &made));
    EXPECT_EQ(-ETIMEDOUT, skua_sock_accept_until(listener, 0, &made));
    skua_socket_unref(listener);
    return 0;
}

TEST(MisuseSizes, TimesInATask)
{
    EXPECT_EQ(0, skua_run(times_in_a_task, nullptr));
}

TEST(MisuseSizes, Descriptors)
{
    Loop loop;

    for (const int fd : {-1, INT32_MIN, INT32_MAX, 1000000}) {
        EXPECT_EQ(-EBADF, skua_loop_add_reader(loop, fd, never, nullptr));
        EXPECT_EQ(-EBADF, skua_loop_add_writer(loop, fd, never, nullptr));
        EXPECT_EQ(0, skua_loop_remove_reader(loop, fd));
        EXPECT_EQ(0, skua_loop_remove_writer(loop, fd));
    }
    FILE *file = tmpfile();

    ASSERT_NE(nullptr, file);
    EXPECT_EQ(-EPERM, skua_loop_add_reader(loop, fileno(file), never, nullptr));
    EXPECT_EQ(0, fclose(file));
}

int misuse_sockets(void *)
{
    skua_listen_options options = {};
    skua_socket *listener = nullptr;
    skua_socket *made = nullptr;
    void *data = nullptr;
    char byte = 0;

    for (const int port : {-1, 65536, INT32_MAX, INT32_MIN}) {
        options.port = port;
        EXPECT_EQ(-EINVAL, skua_sock_listen(&options, &made));
        EXPECT_EQ(-EINVAL, skua_sock_connect("127.0.0.1", port, &made));
    }
    options = {};
    options.host = "not a number";
    EXPECT_EQ(-EINVAL, skua_sock_listen(&options, &made));
    EXPECT_EQ(-EINVAL, skua_sock_connect("999.1.1.1", 1, &made));
    EXPECT_EQ(-EINVAL, skua_sock_connect("127.0.0.1", 0, &made));
    EXPECT_EQ(-EBADF, skua_socket_new(-1, &made));
    EXPECT_EQ(-EBADF, skua_socket_new(1000000, &made));
    EXPECT_EQ(0, skua_sock_listen(nullptr, &listener));
    EXPECT_EQ(-EINVAL, skua_sock_accept(listener, nullptr));
    EXPECT_EQ(-EINVAL, skua_sock_shutdown(listener, 99));
    EXPECT_EQ(-EINVAL, skua_sock_recv(listener, 0, &data));
    EXPECT_EQ(-EINVAL, skua_sock_recv(listener, 1, nullptr));
    EXPECT_EQ(-EINVAL, skua_sock_recv_into(listener, nullptr, 1));
    EXPECT_EQ(-EINVAL, skua_sock_recv_into(listener, &byte, 0));
    EXPECT_EQ(-EINVAL, skua_sock_sendall(listener, nullptr, 1));
    EXPECT_EQ(-EINVAL, skua_sock_sendmsg(listener, nullptr, 1));
    EXPECT_GT(0, skua_sock_recv_into_until(listener, &byte, 1, 0));
    EXPECT_GT(0, skua_sock_sendall_until(listener, &byte, 1, 0, nullptr));
    EXPECT_EQ(-ENOTCONN, skua_sock_getpeername(listener, nullptr, 0, nullptr));
    EXPECT_EQ(-ENOSPC, skua_sock_getsockname(listener, &byte, 1, nullptr));
    EXPECT_EQ(0, skua_sock_close(listener));
    EXPECT_EQ(0, skua_sock_close(listener));
    EXPECT_EQ(-EBADF, skua_sock_accept(listener, &made));
    EXPECT_EQ(-EBADF, skua_sock_fileno(listener));
    EXPECT_EQ(-EBADF, skua_sock_nodelay(listener, true));
    EXPECT_EQ(-EBADF, skua_sock_shutdown(listener, SHUT_RD));
    EXPECT_EQ(-EBADF, skua_sock_recv_into(listener, &byte, 1));
    skua_socket_unref(listener);
    EXPECT_EQ(nullptr, made);
    return 0;
}

TEST(MisuseSizes, Sockets)
{
    EXPECT_EQ(0, skua_run(misuse_sockets, nullptr));
}

TEST(MisuseSizes, SendsThatOverflow)
{
    Lambdas lambdas;
    Loop loop;

    EXPECT_EQ(0, lambdas.run(loop, [] {
        int ends[2] = {-1, -1};
        skua_socket *socket = nullptr;
        char byte = 0;
        const iovec huge[2] = {{&byte, SIZE_MAX - 1}, {&byte, SIZE_MAX - 1}};

        EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
        EXPECT_EQ(0, skua_socket_new(ends[0], &socket));
        EXPECT_EQ(-EINVAL, skua_sock_sendmsg_all(socket, huge, 2));
        EXPECT_EQ(0, skua_sock_sendmsg_all(socket, nullptr, 0));
        EXPECT_EQ(0, skua_sock_sendall(socket, nullptr, 0));
        skua_socket_unref(socket);
        EXPECT_EQ(0, close(ends[1]));
        return 0;
    }));
}

} // namespace
} // namespace conformance
