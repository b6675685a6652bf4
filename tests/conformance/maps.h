/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maps.h - what the tests of maps share: an owner, sources, and an executor of
 * the test's own.
 */
#ifndef SKUA_TESTS_CONFORMANCE_MAPS_H
#define SKUA_TESTS_CONFORMANCE_MAPS_H

#include <cstring>
#include <optional>
#include <semaphore>

#include "support.h"

namespace conformance
{

/** A map, closed at the end. */
class Map
{
  public:
    Map() = default;

    ~Map()
    {
        close();
    }

    Map(const Map &) = delete;
    Map &operator=(const Map &) = delete;

    skua_map **out()
    {
        close();
        return &map_;
    }

    [[nodiscard]] skua_map *get() const
    {
        return map_;
    }

    void close()
    {
        skua_map_close(map_);
        map_ = nullptr;
    }

    /** The next result as a number; what skua_map_next() says otherwise. */
    intptr_t next()
    {
        void *result = as_pointer(-1);
        const int status = skua_map_next(map_, &result);

        return status == 1 ? as_int(result) : status;
    }

    /** The bytes of the next result; the status as text when there is none. */
    std::string next_text()
    {
        const void *data = nullptr;
        size_t bytes = 0;
        const int status = skua_map_next(map_, nullptr);

        if (status != 1) {
            return "status " + std::to_string(status);
        }
        EXPECT_LE(0, skua_map_bytes(map_, &data, &bytes));
        EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(data) % 8);
        return {static_cast<const char *>(data), bytes};
    }

  private:
    skua_map *map_ = nullptr;
};

/** Work from a function; counts how often it was asked. */
class Source
{
  public:
    using Next = std::function<int(size_t index, skua_work *out_work)>;

    explicit Source(Next next) : next_(std::move(next))
    {
    }

    static int call(void *arg, skua_work *out_work)
    {
        auto *self = static_cast<Source *>(arg);

        return self->next_(self->asked_++, out_work);
    }

    [[nodiscard]] size_t asked() const
    {
        return asked_;
    }

  private:
    Next next_;
    size_t asked_ = 0;
};

/** An executor of the test's own: keeps its jobs, or runs each at once. */
class Own
{
  public:
    explicit Own(bool at_once) : at_once_(at_once)
    {
        EXPECT_EQ(0, skua_executor_new(&kType, this, &executor_));
    }

    ~Own()
    {
        EXPECT_EQ(0, skua_executor_shutdown(executor_, true, true));
        skua_executor_unref(executor_);
        EXPECT_TRUE(released_);
    }

    Own(const Own &) = delete;
    Own &operator=(const Own &) = delete;

    [[nodiscard]] skua_executor *get() const
    {
        return executor_;
    }

    /** Jobs that it keeps. */
    std::vector<skua_job *> jobs;
    /** Asked before each job is taken. */
    std::function<int()> admit;
    /** Told of each job. */
    std::function<void(const skua_job *)> seen;

    /** Run the oldest one. */
    void run_one()
    {
        skua_job *job = jobs.front();

        jobs.erase(jobs.begin());
        run_in_thread(job);
    }

  private:
    /* Not in a task, which has a frame of its own. */
    static void run_in_thread(skua_job *job)
    {
        std::thread(skua_job_run, job).join();
    }

    static int submit(void *arg, skua_job *job)
    {
        auto *self = static_cast<Own *>(arg);
        const int status = self->admit ? self->admit() : 0;

        if (status < 0 || self->shut_) {
            return status < 0 ? status : SKUA_ECLOSED;
        }
        if (self->seen) {
            self->seen(job);
        }
        if (self->at_once_) {
            run_in_thread(job);
        } else {
            self->jobs.push_back(job);
        }
        return 0;
    }

    static void shutdown(void *arg, bool)
    {
        auto *self = static_cast<Own *>(arg);

        if (self->shut_) {
            return;
        }
        self->shut_ = true;
        for (skua_job *job : self->jobs) {
            (void)skua_future_cancel(job);
            skua_job_discard(job);
        }
        self->jobs.clear();
        EXPECT_EQ(0, skua_executor_ended(self->executor_));
    }

    static void release(void *arg)
    {
        static_cast<Own *>(arg)->released_ = true;
    }

    static constexpr skua_executor_type kType = {
        "own", submit, shutdown, release, nullptr, nullptr, nullptr};

    bool at_once_;
    bool shut_ = false;
    bool released_ = false;
    skua_executor *executor_ = nullptr;
};

inline Executor new_pool(int max_workers)
{
    skua_thread_pool_options options = {};
    skua_executor *executor = nullptr;

    options.max_workers = max_workers;
    EXPECT_EQ(0, skua_thread_pool_executor_new(&options, &executor));
    return Executor(executor);
}

inline void finish(const Executor &pool)
{
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
}

/** Arguments 1 to `count`. */
inline std::vector<void *> numbers(size_t count)
{
    std::vector<void *> args;

    for (size_t i = 1; i <= count; i++) {
        args.push_back(as_pointer(static_cast<intptr_t>(i)));
    }
    return args;
}

/** Work: the argument times three. */
inline int triple(void *arg)
{
    return skua_return(as_pointer(3 * as_int(arg)));
}

/** A registered function: its input twice, and its length as the status. */
inline int twice(const void *data, size_t bytes, skua_reply *reply)
{
    int status = skua_reply_write(reply, data, bytes);

    if (status == 0) {
        status = skua_reply_write(reply, data, bytes);
    }
    return status < 0 ? status : static_cast<int>(bytes);
}

/** A registered function that fails if its input begins with "bad". */
inline int picky(const void *data, size_t bytes, skua_reply *reply)
{
    const std::string text(static_cast<const char *>(data), bytes);

    if (text.rfind("bad", 0) == 0) {
        (void)skua_reply_write(reply, "lost", 4);
        return skua_raise(-EDOM, "%s is bad", text.c_str());
    }
    return skua_reply_write(reply, data, bytes);
}

/** Work that runs until it is let go; started in a worker of its own. */
class Gate
{
  public:
    static int pass(void *arg)
    {
        auto *self = static_cast<Gate *>(arg);

        self->started_.release();
        self->open_.acquire();
        self->passed_++;
        return 0;
    }

    void wait_started()
    {
        started_.acquire();
    }

    void open(int count = 1)
    {
        open_.release(count);
    }

    [[nodiscard]] int passed() const
    {
        return passed_;
    }

  private:
    std::counting_semaphore<> started_{0};
    std::counting_semaphore<> open_{0};
    std::atomic<int> passed_ = 0;
};

inline int count_up(void *arg)
{
    static_cast<std::atomic<int> *>(arg)->fetch_add(1);
    return 0;
}

inline int must_not_run(void *)
{
    ADD_FAILURE() << "was cancelled";
    return 0;
}

inline skua_bytes bytes_of(const std::string &text)
{
    return {text.data(), text.size()};
}

/** In a task with GetParam() loops; 0: in a plain thread. */
class ExecutorMap : public Harness
{
  protected:
    int run_here(const Body &body)
    {
        return GetParam() == 0 ? body() : run(body);
    }
};

} // namespace conformance

#endif
