/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor_memory_test.cc - executors when memory is short: each allocation of
 * a call fails in turn. What gives -ENOMEM has accepted nothing and keeps
 * nothing, and the executor goes on.
 */
#include "conformance/failing_allocator.h"

#include <cstring>

#include "sched/memory.h"
#include "unit/sched/executor/pool_support.h"

namespace
{

using pools::Body;
using pools::Future;
using pools::Gate;
using pools::Pool;
using pools::Token;

/** The library's allocator here. */
class Allocator
{
  public:
    static inline std::atomic<bool> always{false};
    static inline std::atomic<int> left{0}; /* the one that reaches 0 fails */

    static bool fails(size_t)
    {
        return always || (left > 0 && --left == 0);
    }
};

const int installed = conformance::install_allocator(Allocator::fails);

/** Holds all free objects of a class. */
class Held
{
  public:
    explicit Held(skui_object_class which) : which_(which)
    {
        void *object = nullptr;

        Allocator::always = true;
        while ((object = skui_object_get(which)) != nullptr) {
            objects_.push_back(object);
        }
        Allocator::always = false;
    }
    ~Held()
    {
        for (void *object : objects_) {
            skui_object_put(which_, object);
        }
    }
    Held(const Held &) = delete;
    Held &operator=(const Held &) = delete;

  private:
    skui_object_class which_;
    std::vector<void *> objects_;
};

/** Let each allocation of a call fail once; how many there were. */
int fail_each(const Body &call)
{
    int failed = 0;

    for (int which = 1; which < 100; which++) {
        Allocator::left = which;
        const int status = call();
        const bool had_failed = Allocator::left == 0;

        Allocator::left = 0;
        if (!had_failed) {
            EXPECT_EQ(0, status);
            return failed;
        }
        EXPECT_EQ(-ENOMEM, status) << "allocation " << which;
        failed++;
    }
    ADD_FAILURE() << "no end";
    return failed;
}

/** The same, once the objects that it needs are at hand. */
int fail_each_later(const Body &call)
{
    EXPECT_EQ(0, call());
    return fail_each(call);
}

int echo(const void *data, size_t bytes, skua_reply *reply)
{
    return skua_reply_write(reply, data, bytes);
}

class ExecutorMemory : public testing::Test
{
  protected:
    static void SetUpTestSuite()
    {
        ASSERT_EQ(0, installed);
        ASSERT_EQ(0, skua_function_register("memory.echo", echo));
    }
};

/** A pool whose one thread is in the middle of work. */
struct Busy {
    Pool pool{1};
    Gate gate;
    Future blocker = pool.submit(gate.body());

    Busy()
    {
        gate.begun.acquire();
    }
    ~Busy()
    {
        gate.open.release();
        EXPECT_EQ(0, blocker.await());
    }
};

TEST_F(ExecutorMemory, NothingIsLeftOfWhatWasNotMade)
{
    EXPECT_LE(2, fail_each_later([] {
                  skua_executor *executor = nullptr;
                  const int status =
                      skua_thread_pool_executor_new(nullptr, &executor);

                  EXPECT_EQ(status == 0, executor != nullptr);
                  skua_executor_unref(executor);
                  return status;
              }));
    EXPECT_EQ(1, fail_each_later([] {
                  skua_cancel_token *token = nullptr;
                  const int status = skua_cancel_token_new(nullptr, &token);

                  skua_cancel_token_unref(token);
                  return status;
              }));
    EXPECT_EQ(1, fail_each([] {
                  skua_buffer *buffer = nullptr;
                  const int status = skua_buffer_new(100, &buffer);

                  skua_buffer_unref(buffer);
                  return status;
              }));
    static int repeats; /* names are for good */
    const std::string name = "memory.registered." + std::to_string(repeats++);

    EXPECT_EQ(1, fail_each([&] {
                  return skua_function_register(name.c_str(), echo);
              }));
}

TEST_F(ExecutorMemory, AFutureThatCannotBeHad)
{
    Busy busy;
    skua_future *future = nullptr;

    {
        const Held futures(SKUI_OBJECT_FUTURE);

        Allocator::always = true;
        EXPECT_EQ(-ENOMEM, busy.pool.try_submit([] { return 0; }, &future));
        Allocator::always = false;
    }
    EXPECT_EQ(nullptr, future);
    EXPECT_EQ(1, busy.pool.stats().submitted);
}

TEST_F(ExecutorMemory, APlaceInTheQueueThatCannotBeHad)
{
    Busy busy;
    int accepted = 0;

    {
        const Held work(SKUI_OBJECT_WORK);
        int status = 0;

        while (status == 0) {
            Allocator::always = accepted >= 1024;
            status = busy.pool.try_submit([] { return 0; });
            Allocator::always = false;
            accepted += status == 0 ? 1 : 0;
        }
        EXPECT_EQ(-ENOMEM, status);
    }
    EXPECT_EQ(0, busy.pool.try_submit([] { return 0; }));
    EXPECT_EQ(accepted + 2, busy.pool.stats().submitted);
}

TEST_F(ExecutorMemory, AThreadThatCannotBeHad)
{
    Pool pool(2);
    Gate gate;

    EXPECT_EQ(1, fail_each([&] { return pool.try_submit(gate.body()); }));
    gate.begun.acquire();
    Allocator::left = 1; /* the second thread's: the first one does it */
    Future second = pool.submit([] { return 0; });
    Allocator::left = 0;
    EXPECT_EQ(1, pool.stats().workers);
    gate.open.release();
    EXPECT_EQ(0, second.await());
}

TEST_F(ExecutorMemory, WorkWithAllThatCanBeSaid)
{
    Busy busy;
    const Token token;
    skua_submit_options options = {};
    skua_work work = {};

    options.token = token.get();
    options.key = "key";
    work.name = "memory.echo";
    work.data = "data";
    work.bytes = 4;
    EXPECT_EQ(2, fail_each_later([&] {
                  return skua_executor_submit_work(busy.pool.get(), &work,
                                                   &options, nullptr);
              }));
    {
        const Held jobs(SKUI_OBJECT_JOB);

        Allocator::always = true;
        EXPECT_EQ(-ENOMEM, skua_executor_submit_work(busy.pool.get(), &work,
                                                     &options, nullptr));
        Allocator::always = false;
    }
    EXPECT_EQ(1, token.cancel());
}

TEST_F(ExecutorMemory, AnAnswerThatCannotBeHad)
{
    Pool pool(1);
    const std::string text(1000, 'x');

    EXPECT_EQ(0, pool.submit([] { return 0; }).await());
    for (const size_t bytes : {text.size(), size_t{0}}) {
        skua_future *future = nullptr;

        ASSERT_EQ(0, skua_executor_submit_named(pool.get(), "memory.echo",
                                                text.data(), bytes, &future));
        EXPECT_EQ(0, skua_await(future, nullptr));
        skua_future_unref(future);
        ASSERT_EQ(1, fail_each([&] {
                      Gate gate;
                      const Future blocker = pool.submit(gate.body());
                      const int left = Allocator::left;
                      skua_future *answered = nullptr;

                      gate.begun.acquire();
                      Allocator::left = 0;
                      EXPECT_EQ(0, skua_executor_submit_named(
                                       pool.get(), "memory.echo", text.data(),
                                       bytes, &answered));
                      Allocator::left = left;
                      gate.open.release();

                      const int status = skua_await(answered, nullptr);

                      skua_future_unref(answered);
                      return status;
                  }));
    }
}

/* --- executors of one's own --- */

/** Keeps one job. */
struct Keeper {
    skua_executor *executor = nullptr;
    skua_job *job = nullptr;

    Keeper()
    {
        static const skua_executor_type type = {
            .name = "keeper",
            .submit =
                [](void *self, skua_job *taken) {
                    static_cast<Keeper *>(self)->job = taken;
                    return 0;
                },
            .shutdown = [](void *, bool) {},
            .release = [](void *) {},
            .stop = nullptr,
            .get_stats = nullptr,
            .join = nullptr,
        };

        EXPECT_EQ(0, skua_executor_new(&type, this, &executor));
    }
    ~Keeper()
    {
        EXPECT_EQ(0, skua_executor_shutdown(executor, false, false));
        EXPECT_EQ(0, skua_executor_ended(executor));
        skua_executor_unref(executor);
    }
    Keeper(const Keeper &) = delete;
    Keeper &operator=(const Keeper &) = delete;

    skua_future *submit()
    {
        skua_future *future = nullptr;

        EXPECT_EQ(0, skua_executor_submit_named(executor, "memory.echo", "x", 1,
                                                &future));
        return future;
    }
};

TEST_F(ExecutorMemory, AnAnswerThatCannotBeCopied)
{
    Keeper keeper;
    skua_future *future = keeper.submit();

    Allocator::left = 1;
    skua_job_finish(keeper.job, 0, "answer", 6);
    EXPECT_EQ(0, Allocator::left.load());
    EXPECT_EQ(-ENOMEM, skua_await(future, nullptr));
    skua_future_unref(future);
}

TEST_F(ExecutorMemory, AMessageThatCannotBeHad)
{
    Keeper keeper;
    skua_future *future = keeper.submit();

    Allocator::always = true;
    skua_job_fail(keeper.job, -EPROTO, "lost");
    Allocator::always = false;
    EXPECT_EQ(-EPROTO, skua_await(future, nullptr));
    skua_future_unref(future);
}

TEST_F(ExecutorMemory, APartOfABufferThatCannotBeCopied)
{
    Keeper keeper;
    skua_future *future = keeper.submit();
    skua_buffer *buffer = nullptr;

    ASSERT_EQ(0, skua_buffer_new(10, &buffer));
    skua_job_finish_buffer(keeper.job, 0, buffer, 5);
    skua_buffer_unref(buffer);
    EXPECT_EQ(1, fail_each([&] {
                  skua_buffer *part = nullptr;
                  const int status = skua_future_buffer(future, &part);

                  EXPECT_EQ(status == 0 ? 5u : 0u, skua_buffer_bytes(part));
                  skua_buffer_unref(part);
                  return status;
              }));
    skua_future_unref(future);
}

/* --- waiting --- */

TEST_F(ExecutorMemory, SubmittersWaitWithoutAny)
{
    skua_thread_pool_options options = {};

    options.max_workers = 1;
    options.max_queued = 1;
    options.policy = SKUA_QUEUE_SUSPEND;
    Pool pool(options);
    Gate gate;
    const Future blocker = pool.submit(gate.body());
    const Future queued = pool.submit([] { return 0; });

    gate.begun.acquire();
    Future future;
    std::thread submitter([&] { future = pool.submit([] { return 0; }); });

    gate.open.release();
    submitter.join();
    EXPECT_EQ(0, future.await());
}

TEST_F(ExecutorMemory, ToThreadWithVariables)
{
    static const skua_context_var var = {"memory", nullptr, nullptr};
    Body body = [] {
        Body nothing = [] { return 0; };
        EXPECT_EQ(0, skua_context_var_set(&var, &nothing, nullptr));
        EXPECT_EQ(0, skua_to_thread(pools::run_body, &nothing, nullptr));
        for (int which = 1; which < 5; which++) {
            Allocator::left = which;
            const int status =
                skua_to_thread(pools::run_body, &nothing, nullptr);

            Allocator::left = 0;
            /* Later ones may be of the threads' caches, which do without. */
            EXPECT_TRUE(status == -ENOMEM || (status == 0 && which > 1));
        }
        return 0;
    };
    skua_runner_options options = {};

    options.loops = 1;
    EXPECT_EQ(0, skua_run_with(&options, pools::run_body, &body, nullptr));
}

} // namespace
