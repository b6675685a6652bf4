/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_support.h - thread pools for tests: lambdas as work, gates, and threads
 * whose end can be waited for.
 */
#ifndef TESTS_UNIT_SCHED_EXECUTOR_POOL_SUPPORT_H
#define TESTS_UNIT_SCHED_EXECUTOR_POOL_SUPPORT_H

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <deque>
#include <functional>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "skua.h"

namespace pools
{

using Semaphore = std::counting_semaphore<1 << 20>;
using Body = std::function<int()>;

inline int run_body(void *arg)
{
    return (*static_cast<Body *>(arg))();
}

/** Owns closures, which are passed as `arg`. */
class Bodies
{
  public:
    void *keep(Body body)
    {
        const std::scoped_lock lock(mutex_);

        return &bodies_.emplace_back(std::move(body));
    }

  private:
    std::mutex mutex_;
    std::deque<Body> bodies_;
};

/** Work that says it has begun and waits to be let go. */
struct Gate {
    Semaphore begun{0};
    Semaphore open{0};

    Body body()
    {
        return [this] {
            begun.release();
            open.acquire();
            return 0;
        };
    }
};

/** A future, with the outcome of waiting for it. */
class Future
{
  public:
    Future() = default;
    explicit Future(skua_future *future) : future_(future)
    {
    }
    Future(Future &&other) noexcept : future_(other.future_)
    {
        other.future_ = nullptr;
    }
    Future &operator=(Future &&other) noexcept
    {
        std::swap(future_, other.future_);
        return *this;
    }
    Future(const Future &) = delete;
    Future &operator=(const Future &) = delete;
    ~Future()
    {
        skua_future_unref(future_);
    }

    [[nodiscard]] skua_future *get() const
    {
        return future_;
    }

    int await() const
    {
        return skua_await(future_, nullptr);
    }

  private:
    skua_future *future_ = nullptr;
};

/** A pool, shut down and waited for at the end. */
class Pool
{
  public:
    explicit Pool(const skua_thread_pool_options &options)
    {
        EXPECT_EQ(0, skua_thread_pool_executor_new(&options, &executor_));
    }

    explicit Pool(int max_workers) : Pool(sized(max_workers))
    {
    }

    ~Pool()
    {
        EXPECT_EQ(0, skua_executor_shutdown(executor_, true, false));
        skua_executor_unref(executor_);
    }

    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

    [[nodiscard]] skua_executor *get() const
    {
        return executor_;
    }

    int try_submit(Body body, skua_future **out_future = nullptr)
    {
        return skua_executor_submit(executor_, run_body,
                                    bodies_.keep(std::move(body)), out_future);
    }

    Future submit(Body body)
    {
        skua_future *future = nullptr;

        EXPECT_EQ(0, try_submit(std::move(body), &future));
        return Future(future);
    }

    /** With options. */
    Future submit(Body body, const skua_submit_options &options)
    {
        skua_work work = {};
        skua_future *future = nullptr;

        work.fn = run_body;
        work.arg = bodies_.keep(std::move(body));
        EXPECT_EQ(
            0, skua_executor_submit_work(executor_, &work, &options, &future));
        return Future(future);
    }

    [[nodiscard]] skua_executor_stats stats() const
    {
        skua_executor_stats stats = {};

        EXPECT_EQ(0, skua_executor_get_stats(executor_, &stats));
        return stats;
    }

  private:
    static skua_thread_pool_options sized(int max_workers)
    {
        skua_thread_pool_options options = {};

        options.max_workers = max_workers;
        return options;
    }

    skua_executor *executor_ = nullptr;
    Bodies bodies_;
};

/** A token, dropped at the end. */
class Token
{
  public:
    explicit Token(skua_cancel_token *parent = nullptr)
    {
        EXPECT_EQ(0, skua_cancel_token_new(parent, &token_));
    }
    ~Token()
    {
        skua_cancel_token_unref(token_);
    }
    Token(const Token &) = delete;
    Token &operator=(const Token &) = delete;

    [[nodiscard]] skua_cancel_token *get() const
    {
        return token_;
    }

    int cancel() const
    {
        return skua_cancel_token_cancel(token_);
    }

    [[nodiscard]] bool is_cancelled() const
    {
        return skua_cancel_token_is_cancelled(token_);
    }

  private:
    skua_cancel_token *token_ = nullptr;
};

} // namespace pools

#endif
