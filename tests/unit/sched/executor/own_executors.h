/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_executors.h - executors by the table, for tests: one runs work at once,
 * one has a thread, one keeps jobs for the test to do as it likes.
 */
#ifndef TESTS_UNIT_SCHED_EXECUTOR_OWN_EXECUTORS_H
#define TESTS_UNIT_SCHED_EXECUTOR_OWN_EXECUTORS_H

#include <condition_variable>
#include <cstring>
#include <list>
#include <type_traits>

#include "unit/sched/executor/pool_support.h"

namespace pools
{

/** What is common to the executors here: they count what they are called for.
 */
struct Counted {
    skua_executor *executor = nullptr; /* borrowed */
    std::atomic<int> submits{0};
    std::atomic<int> shutdowns{0};
    std::atomic<int> stops{0};
    std::atomic<int> joins{0};
    std::atomic<int> *released = nullptr;
};

/** Runs each job in the thread that submits it. */
struct Inline : Counted {
    bool closed = false;

    static int submit(void *self, skua_job *job)
    {
        auto *mine = static_cast<Inline *>(self);

        if (mine->closed) {
            return SKUA_ECLOSED;
        }
        mine->submits++;
        skua_job_run(job);
        return 0;
    }

    static void shutdown(void *self, bool)
    {
        auto *mine = static_cast<Inline *>(self);

        mine->closed = true;
        if (mine->shutdowns++ == 0) {
            EXPECT_EQ(0, skua_executor_ended(mine->executor));
        }
    }

    static void release(void *self)
    {
        auto *mine = static_cast<Inline *>(self);

        if (mine->released != nullptr) {
            (*mine->released)++;
        }
        delete mine;
    }
};

inline constexpr skua_executor_type kInline = {.name = "inline",
                                               .submit = Inline::submit,
                                               .shutdown = Inline::shutdown,
                                               .release = Inline::release,
                                               .stop = nullptr,
                                               .get_stats = nullptr,
                                               .join = nullptr};

/** One thread and a list. */
struct Threaded : Counted {
    std::mutex mutex;
    std::condition_variable changed;
    std::list<skua_job *> jobs;
    bool closed = false;
    std::thread thread{[this] { work(); }};

    void work()
    {
        std::unique_lock lock(mutex);

        while (!closed || !jobs.empty()) {
            if (jobs.empty()) {
                changed.wait(lock);
                continue;
            }
            skua_job *job = jobs.front();

            jobs.pop_front();
            lock.unlock();
            skua_job_run(job);
            lock.lock();
        }
        lock.unlock();
        EXPECT_EQ(0, skua_executor_ended(executor));
    }

    static int submit(void *self, skua_job *job)
    {
        auto *mine = static_cast<Threaded *>(self);
        const std::scoped_lock lock(mine->mutex);

        if (mine->closed) {
            return SKUA_ECLOSED;
        }
        mine->submits++;
        mine->jobs.push_back(job);
        mine->changed.notify_one();
        return 0;
    }

    static void shutdown(void *self, bool cancel_futures)
    {
        auto *mine = static_cast<Threaded *>(self);
        std::list<skua_job *> cancelled;

        {
            const std::scoped_lock lock(mine->mutex);

            mine->closed = true;
            if (cancel_futures) {
                cancelled.swap(mine->jobs);
            }
            mine->changed.notify_one();
        }
        mine->shutdowns++;
        for (skua_job *job : cancelled) {
            (void)skua_future_cancel(job);
            skua_job_discard(job);
        }
    }

    static void release(void *self)
    {
        auto *mine = static_cast<Threaded *>(self);

        if (mine->thread.joinable()) {
            mine->thread.detach(); /* it is the caller, or about to end */
        }
        if (mine->released != nullptr) {
            (*mine->released)++;
        }
        delete mine;
    }

    static void stop(void *self, skua_job *job)
    {
        EXPECT_TRUE(skua_job_should_stop(job));
        static_cast<Threaded *>(self)->stops++;
    }

    static void get_stats(void *self, skua_executor_stats *out_stats)
    {
        out_stats->submitted = static_cast<Threaded *>(self)->submits;
        out_stats->workers = 1;
    }

    static void join(void *self)
    {
        auto *mine = static_cast<Threaded *>(self);

        if (mine->joins++ == 0) {
            mine->thread.join();
        }
    }
};

inline constexpr skua_executor_type kThreaded = {.name = "threaded",
                                                 .submit = Threaded::submit,
                                                 .shutdown = Threaded::shutdown,
                                                 .release = Threaded::release,
                                                 .stop = Threaded::stop,
                                                 .get_stats =
                                                     Threaded::get_stats,
                                                 .join = Threaded::join};

/** Keeps jobs for the test to do as it likes. */
struct Manual : Counted {
    std::vector<skua_job *> jobs;
    int refuses = 0;

    static int submit(void *self, skua_job *job)
    {
        auto *mine = static_cast<Manual *>(self);

        mine->submits++;
        if (mine->refuses < 0) {
            return mine->refuses;
        }
        mine->jobs.push_back(job);
        return 0;
    }

    static void shutdown(void *self, bool)
    {
        static_cast<Manual *>(self)->shutdowns++;
    }

    static void release(void *self)
    {
        auto *mine = static_cast<Manual *>(self);

        EXPECT_TRUE(mine->jobs.empty());
        if (mine->released != nullptr) {
            (*mine->released)++;
        }
        delete mine;
    }
};

inline constexpr skua_executor_type kManual = {.name = "manual",
                                               .submit = Manual::submit,
                                               .shutdown = Manual::shutdown,
                                               .release = Manual::release,
                                               .stop = nullptr,
                                               .get_stats = nullptr,
                                               .join = nullptr};

inline int echo_bytes(const void *data, size_t bytes, skua_reply *reply)
{
    return skua_reply_write(reply, data, bytes);
}

/** An executor of a kind, with a reference to it. */
template <typename Kind> class Own
{
  public:
    explicit Own(const skua_executor_type &type) : self_(new Kind)
    {
        self_->released = &released_;
        EXPECT_EQ(0, skua_executor_new(&type, self_, &executor_));
        self_->executor = executor_;
    }
    ~Own()
    {
        if constexpr (std::is_same_v<Kind, Threaded>) {
            EXPECT_EQ(0, skua_executor_shutdown(executor_, true, false));
        }
        unref();
    }
    Own(const Own &) = delete;
    Own &operator=(const Own &) = delete;

    void unref()
    {
        skua_executor_unref(executor_);
        executor_ = nullptr;
    }

    Kind *operator->()
    {
        return self_;
    }

    [[nodiscard]] skua_executor *get() const
    {
        return executor_;
    }

    [[nodiscard]] int released() const
    {
        return released_.load();
    }

    skua_future *submit(Body body, const skua_submit_options *options = nullptr)
    {
        skua_future *future = nullptr;
        skua_work work = {};

        work.fn = run_body;
        work.arg = bodies_.keep(std::move(body));
        EXPECT_EQ(
            0, skua_executor_submit_work(executor_, &work, options, &future));
        return future;
    }

    skua_future *echo(const char *text)
    {
        skua_future *future = nullptr;

        EXPECT_EQ(0, skua_function_register("type.echo", echo_bytes));
        EXPECT_EQ(0, skua_executor_submit_named(executor_, "type.echo", text,
                                                strlen(text), &future));
        return future;
    }

    /** Shut down, of a Manual. */
    void end()
    {
        EXPECT_EQ(0, skua_executor_shutdown(executor_, false, false));
        EXPECT_EQ(0, skua_executor_ended(executor_));
    }

  private:
    std::atomic<int> released_{0};
    Kind *self_;
    skua_executor *executor_ = nullptr;
    Bodies bodies_;
};

} // namespace pools

#endif
