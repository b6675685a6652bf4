/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support.h - what the conformance tests share: owners, recorders, and a
 * harness that runs a lambda as the main task of one loop or of several.
 */
#ifndef SKUA_TESTS_CONFORMANCE_SUPPORT_H
#define SKUA_TESTS_CONFORMANCE_SUPPORT_H

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "skua.h"

namespace conformance
{

/** Whether the race detector slows everything down by ten and more. */
#if defined(__SANITIZE_THREAD__)
inline constexpr bool kRaceDetector = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool kRaceDetector = true;
#else
inline constexpr bool kRaceDetector = false;
#endif
#else
inline constexpr bool kRaceDetector = false;
#endif

using Body = std::function<int()>;
using Step = std::function<void()>;
using Done = std::function<void(skua_future *)>;
using Order = std::vector<int>;

inline void *as_pointer(intptr_t value)
{
    return reinterpret_cast<void *>(value);
}

inline intptr_t as_int(void *value)
{
    return reinterpret_cast<intptr_t>(value);
}

struct Unref {
    void operator()(skua_future *future) const
    {
        skua_future_unref(future);
    }
    void operator()(skua_handle *handle) const
    {
        skua_handle_unref(handle);
    }
    void operator()(skua_exception *exception) const
    {
        skua_exception_unref(exception);
    }
    void operator()(skua_executor *executor) const
    {
        skua_executor_unref(executor);
    }
    void operator()(skua_socket *socket) const
    {
        skua_socket_unref(socket);
    }
};

using Future = std::unique_ptr<skua_future, Unref>;
using Handle = std::unique_ptr<skua_handle, Unref>;
using Exception = std::unique_ptr<skua_exception, Unref>;
using Executor = std::unique_ptr<skua_executor, Unref>;
using Socket = std::unique_ptr<skua_socket, Unref>;

/** A list of numbers that any thread may append to. */
class Log
{
  public:
    void add(int value)
    {
        const std::scoped_lock lock(mutex_);
        values_.push_back(value);
    }

    [[nodiscard]] Order get() const
    {
        const std::scoped_lock lock(mutex_);
        return values_;
    }

    [[nodiscard]] size_t size() const
    {
        return get().size();
    }

  private:
    mutable std::mutex mutex_;
    Order values_;
};

/** Owns closures for as long as a test runs; they are passed as `arg`. */
class Keeper
{
  public:
    void *step(Step step)
    {
        const std::scoped_lock lock(mutex_);
        return &steps_.emplace_back(std::move(step));
    }

    void *body(Body body)
    {
        const std::scoped_lock lock(mutex_);
        return &bodies_.emplace_back(std::move(body));
    }

    void *done(Done done)
    {
        const std::scoped_lock lock(mutex_);
        return &dones_.emplace_back(std::move(done));
    }

  private:
    std::mutex mutex_;
    std::deque<Step> steps_;
    std::deque<Body> bodies_;
    std::deque<Done> dones_;
};

inline void run_step(void *arg)
{
    (*static_cast<Step *>(arg))();
}

inline int run_body(void *arg)
{
    return (*static_cast<Body *>(arg))();
}

inline void run_done(skua_future *future, void *arg)
{
    (*static_cast<Done *>(arg))(future);
}

/** What an exception handler was told. */
struct Report {
    std::string message;
    int status;
    std::string detail;
    bool has_future;
    bool has_handle;
};

/** An exception handler that remembers. */
class Reports
{
  public:
    void install(skua_loop *loop)
    {
        ASSERT_EQ(0, skua_loop_set_exception_handler(loop, record, this));
    }

    [[nodiscard]] std::vector<Report> get() const
    {
        const std::scoped_lock lock(mutex_);
        return reports_;
    }

    [[nodiscard]] size_t size() const
    {
        return get().size();
    }

    [[nodiscard]] size_t count(int status) const
    {
        size_t found = 0;

        for (const Report &report : get()) {
            found += report.status == status ? 1 : 0;
        }
        return found;
    }

  private:
    static void record(skua_loop *, const skua_exception_context *context,
                       void *arg)
    {
        auto *self = static_cast<Reports *>(arg);
        const std::scoped_lock lock(self->mutex_);

        self->reports_.push_back(
            {context->message != nullptr ? context->message : "",
             context->status, skua_exception_message(context->exception),
             context->future != nullptr, context->handle != nullptr});
    }

    mutable std::mutex mutex_;
    std::vector<Report> reports_;
};

/** A loop of its own, closed at the end. */
class Loop
{
  public:
    explicit Loop(bool debug = false)
    {
        skua_loop_options options = {};

        options.debug = debug;
        EXPECT_EQ(0, skua_loop_new(&options, &loop_));
    }

    ~Loop()
    {
        (void)skua_loop_close(loop_);
        skua_loop_unref(loop_);
    }

    Loop(const Loop &) = delete;
    Loop &operator=(const Loop &) = delete;

    operator skua_loop *() const
    {
        return loop_;
    }

  private:
    skua_loop *loop_ = nullptr;
};

/** A pipe, closed at the end. */
class Pipe
{
  public:
    Pipe()
    {
        EXPECT_EQ(0, pipe(ends_));
    }

    ~Pipe()
    {
        close(ends_[0]);
        close(ends_[1]);
    }

    Pipe(const Pipe &) = delete;
    Pipe &operator=(const Pipe &) = delete;

    [[nodiscard]] int reader() const
    {
        return ends_[0];
    }

    [[nodiscard]] int writer() const
    {
        return ends_[1];
    }

    void put() const
    {
        EXPECT_EQ(1, write(ends_[1], "x", 1));
    }

    void take() const
    {
        char byte = 0;

        EXPECT_EQ(1, read(ends_[0], &byte, 1));
    }

  private:
    int ends_[2] = {-1, -1};
};

/** Calls with lambdas in place of functions with an argument. */
class Lambdas
{
  public:
    /** On the runner's first loop: who is woken from outside may go on
     * elsewhere. */
    int run_on_first(skua_runner *runner, Body body)
    {
        return skua_runner_run(
            runner, run_body, keeper_.body([this, runner, body] {
                const Future task =
                    spawn_on(skua_runner_get_loop(runner, 0), body, true);

                return skua_await(task.get(), nullptr);
            }),
            nullptr);
    }

    Handle soon(skua_loop *loop, Step step)
    {
        skua_handle *handle = nullptr;

        EXPECT_EQ(0,
                  skua_loop_call_soon(loop, run_step,
                                      keeper_.step(std::move(step)), &handle));
        return Handle(handle);
    }

    Handle post(skua_loop *loop, Step step)
    {
        skua_handle *handle = nullptr;

        EXPECT_EQ(0,
                  skua_loop_call_soon_threadsafe(
                      loop, run_step, keeper_.step(std::move(step)), &handle));
        return Handle(handle);
    }

    Handle later(skua_loop *loop, int64_t delay_ns, Step step)
    {
        skua_handle *handle = nullptr;

        EXPECT_EQ(0,
                  skua_loop_call_later(loop, delay_ns, run_step,
                                       keeper_.step(std::move(step)), &handle));
        return Handle(handle);
    }

    Handle at(skua_loop *loop, int64_t when_ns, Step step)
    {
        skua_handle *handle = nullptr;

        EXPECT_EQ(0, skua_loop_call_at(loop, when_ns, run_step,
                                       keeper_.step(std::move(step)), &handle));
        return Handle(handle);
    }

    void reader(skua_loop *loop, int fd, Step step)
    {
        EXPECT_EQ(0, skua_loop_add_reader(loop, fd, run_step,
                                          keeper_.step(std::move(step))));
    }

    Future spawn(Body body)
    {
        skua_future *task = nullptr;

        EXPECT_EQ(0, skua_create_task(run_body, keeper_.body(std::move(body)),
                                      &task));
        return Future(task);
    }

    Future spawn_on(skua_loop *loop, Body body, bool pinned = false)
    {
        skua_task_options options = {};
        skua_future *task = nullptr;

        options.loop = loop;
        options.pinned = pinned;
        EXPECT_EQ(0,
                  skua_create_task_with(&options, run_body,
                                        keeper_.body(std::move(body)), &task));
        return Future(task);
    }

    Future submit(skua_executor *executor, Body body)
    {
        skua_future *future = nullptr;

        EXPECT_EQ(0,
                  skua_executor_submit(executor, run_body,
                                       keeper_.body(std::move(body)), &future));
        return Future(future);
    }

    Future in_executor(skua_loop *loop, skua_executor *executor, Body body)
    {
        skua_future *future = nullptr;

        EXPECT_EQ(0, skua_loop_run_in_executor(loop, executor, run_body,
                                               keeper_.body(std::move(body)),
                                               &future));
        return Future(future);
    }

    void *when_done(skua_future *future, Done done)
    {
        void *arg = keeper_.done(std::move(done));

        EXPECT_EQ(0, skua_future_add_done_callback(future, run_done, arg));
        return arg;
    }

    skua_awaitable call(Body body)
    {
        return skua_awaitable_call(run_body, keeper_.body(std::move(body)));
    }

    int run(skua_loop *loop, Body body, void **out_result = nullptr)
    {
        return skua_loop_run_until_complete(loop, call(std::move(body)),
                                            out_result);
    }

    Keeper keeper_;
};

inline Future make_future(skua_loop *loop = nullptr)
{
    skua_future *future = nullptr;

    EXPECT_EQ(0, skua_future_new(loop, &future));
    return Future(future);
}

inline Exception make_exception(int status, const char *message)
{
    skua_exception *exception = nullptr;

    EXPECT_EQ(0, skua_exception_new(&exception, status, "%s", message));
    return Exception(exception);
}

/** Wait for `future`, expect success, give its value as a number. */
inline intptr_t await_int(skua_future *future)
{
    void *value = as_pointer(-1);

    EXPECT_LE(0, skua_await(future, &value));
    return as_int(value);
}

/** Opens when it was counted down to 0; awaited as a future. */
class Latch
{
  public:
    explicit Latch(int count) : left_(count), future_(make_future())
    {
    }

    void down()
    {
        /* Once the count is 0 the waiter may destroy the latch. */
        const Future future(skua_future_ref(future_.get()));

        if (left_.fetch_sub(1) == 1) {
            EXPECT_EQ(0, skua_future_set_result(future.get(), nullptr));
        }
    }

    [[nodiscard]] int wait() const
    {
        return skua_await(future_.get(), nullptr);
    }

  private:
    std::atomic<int> left_;
    Future future_;
};

/** Tests of one loop: a plain fixture with a loop that is not running. */
class Conformance : public testing::Test, public Lambdas
{
  protected:
    /** Run until everything queued so far, and what it queues, is done. */
    void drain()
    {
        for (int i = 0; i < 64; i++) {
            EXPECT_EQ(0, skua_loop_run_once(loop_, 0));
        }
    }

    Conformance()
    {
        reports_.install(loop_);
    }

    Reports reports_;
    Loop loop_;
};

/**
 * Runs a body as the main task. The parameter is the number of loops of a
 * runner; 0 is a loop of its own.
 */
class Harness : public testing::TestWithParam<unsigned>, public Lambdas
{
  protected:
    /** Run `body`; afterwards everything is shut down. */
    int run(Body body, void **out_result = nullptr)
    {
        void *arg = keeper_.body(std::move(body));
        int status = 0;

        if (GetParam() == 0) {
            Loop loop;

            reports_.install(loop);
            return skua_loop_run_until_complete(
                loop, skua_awaitable_call(run_body, arg), out_result);
        }
        skua_runner *runner = new_runner();

        status = skua_runner_run(runner, run_body, arg, out_result);
        EXPECT_EQ(0, skua_runner_close(runner));
        return status;
    }

    skua_runner *new_runner()
    {
        skua_runner_options options = {};
        skua_runner *runner = nullptr;

        options.loops = GetParam();
        options.no_sigint = true;
        EXPECT_EQ(0, skua_runner_new(&options, &runner));
        for (unsigned i = 0; i < skua_runner_loops(runner); i++) {
            reports_.install(skua_runner_get_loop(runner, i));
        }
        return runner;
    }

    /** The loops that run; from within run(). */
    static std::vector<skua_loop *> loops()
    {
        skua_runner *runner = skua_get_running_runner();
        std::vector<skua_loop *> found;

        for (unsigned i = 0; i < skua_runner_loops(runner); i++) {
            found.push_back(skua_runner_get_loop(runner, i));
        }
        if (found.empty()) {
            found.push_back(skua_get_running_loop());
        }
        return found;
    }

    /** The loops, and the spare ones, where a task may be moved. */
    static std::vector<skua_loop *> loops_and_spare()
    {
        skua_runner *runner = skua_get_running_runner();
        std::vector<skua_loop *> found;
        skua_loop *loop = skua_runner_get_loop(runner, 0);

        while (loop != nullptr) {
            found.push_back(loop);
            loop = skua_runner_get_loop(runner,
                                        static_cast<unsigned>(found.size()));
        }
        return found.empty() ? loops() : found;
    }

    /** Return once all that was queued before, pinned, has run until it waits;
     * from within run(). */
    void settle()
    {
        for (skua_loop *loop : loops()) {
            const Future probe = spawn_on(
                loop, [] { return 0; }, true);

            EXPECT_EQ(0, skua_await(probe.get(), nullptr));
        }
    }

    /** Start a pinned task on loop `index`, modulo their number; return once it
     * waits. */
    Future start_parked(size_t index, Body body)
    {
        const std::vector<skua_loop *> found = loops();
        Future task =
            spawn_on(found[index % found.size()], std::move(body), true);

        settle();
        return task;
    }

    Reports reports_;
};

/** With exactly one loop: order is exact. */
class ConformanceOne : public Harness
{
};

/** With one loop and with several. */
class ConformanceMany : public Harness
{
};

#define CONFORMANCE_INSTANTIATE_ONE()                                          \
    INSTANTIATE_TEST_SUITE_P(Loops, ConformanceOne, testing::Values(0, 1))
#define CONFORMANCE_INSTANTIATE_MANY()                                         \
    INSTANTIATE_TEST_SUITE_P(Loops, ConformanceMany, testing::Values(1, 2, 4))

} // namespace conformance

#endif
