/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/executor/job.c: named work, answers, tokens and deadlines. */
#include "executor/buffer.h"

#include <cstring>

#include "unit/sched/executor/pool_support.h"

namespace
{

using pools::Body;
using pools::Future;
using pools::Gate;
using pools::Pool;
using pools::Token;

/* --- registered functions --- */

int echo(const void *data, size_t bytes, skua_reply *reply)
{
    EXPECT_NE(nullptr, data);
    EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(data) % 8);
    return skua_reply_write(reply, data, bytes);
}

/* The text, as often as it says at its begin. */
int repeat(const void *data, size_t bytes, skua_reply *reply)
{
    const auto *text = static_cast<const char *>(data);

    for (int left = std::stoi(std::string(text, bytes)); left > 0; left--) {
        const int status = skua_reply_write(reply, text, bytes);

        if (status < 0) {
            return status;
        }
    }
    return 3;
}

int fail_with_message(const void *, size_t, skua_reply *reply)
{
    (void)skua_reply_write(reply, "dropped", 7);
    return skua_raise(-EPROTO, "no %s", "good");
}

int end_as_cancelled(const void *, size_t, skua_reply *)
{
    return SKUA_ECANCELED;
}

int answer_nothing(const void *, size_t bytes, skua_reply *reply)
{
    EXPECT_EQ(0u, bytes);
    EXPECT_EQ(0u, skua_reply_bytes(reply));
    return 0;
}

int reserve_too_much(const void *, size_t, skua_reply *reply)
{
    void *room;

    return skua_reply_reserve(reply, SIZE_MAX - 100, &room);
}

const void *buffer_seen; /* where the last work's bytes lay */

int note_place(const void *data, size_t, skua_reply *)
{
    buffer_seen = data;
    return 0;
}

/* Large, written in place. */
int fill(const void *, size_t, skua_reply *reply)
{
    void *room;
    const int status = skua_reply_reserve(reply, 100000, &room);

    if (status == 0) {
        std::memset(room, 'f', 100000);
    }
    return status;
}

class Job : public testing::Test
{
  protected:
    static void SetUpTestSuite()
    {
        EXPECT_EQ(0, skua_function_register("job.echo", echo));
        EXPECT_EQ(0, skua_function_register("job.repeat", repeat));
        EXPECT_EQ(0, skua_function_register("job.fail", fail_with_message));
        EXPECT_EQ(0, skua_function_register("job.cancelled", end_as_cancelled));
        EXPECT_EQ(0, skua_function_register("job.nothing", answer_nothing));
        EXPECT_EQ(0, skua_function_register("job.reserve", reserve_too_much));
        EXPECT_EQ(0, skua_function_register("job.place", note_place));
        EXPECT_EQ(0, skua_function_register("job.fill", fill));
    }

    Future named(const char *name, const std::string &data)
    {
        skua_future *future = nullptr;

        EXPECT_EQ(0, skua_executor_submit_named(pool_.get(), name, data.data(),
                                                data.size(), &future));
        return Future(future);
    }

    static std::string answer(const Future &future)
    {
        const void *data = nullptr;
        size_t bytes = 0;

        EXPECT_LE(0, skua_future_bytes(future.get(), &data, &bytes));
        EXPECT_NE(nullptr, data);
        EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(data) % 8);
        return {static_cast<const char *>(data), bytes};
    }

    Pool pool_{1};
};

/* --- answers --- */

TEST_F(Job, NamedWorkAnswersBytes)
{
    std::string text = "some text";
    const Future future = named("job.echo", text);
    void *value = nullptr;

    text = "other text, for it was copied";
    EXPECT_EQ(0, skua_await(future.get(), &value));
    EXPECT_EQ("some text", answer(future));
    EXPECT_EQ(0, std::memcmp("some text", value, 9));
}

TEST_F(Job, AnAnswerMayBeEmpty)
{
    for (const char *name : {"job.echo", "job.nothing"}) {
        const Future future = named(name, "");
        skua_buffer *buffer = nullptr;

        EXPECT_EQ(0, future.await());
        EXPECT_EQ("", answer(future));
        EXPECT_EQ(0, skua_future_buffer(future.get(), &buffer));
        EXPECT_EQ(0u, skua_buffer_bytes(buffer));
        skua_buffer_unref(buffer);
    }
}

TEST_F(Job, AnAnswerGrows)
{
    const Future future = named("job.repeat", "5000 times");
    std::string expected;

    for (int i = 0; i < 5000; i++) {
        expected += "5000 times";
    }
    EXPECT_EQ(3, future.await());
    EXPECT_EQ(expected, answer(future));
}

TEST_F(Job, AFailureDropsTheAnswerAndKeepsTheMessage)
{
    const Future future = named("job.fail", "");
    const void *data = nullptr;
    size_t bytes = 7;

    EXPECT_EQ(-EPROTO, future.await());
    EXPECT_STREQ("no good", skua_exception_message(skua_current_exception()));
    EXPECT_EQ(-EPROTO, skua_future_bytes(future.get(), &data, &bytes));
    EXPECT_EQ(nullptr, data);
    EXPECT_EQ(7u, bytes);
}

TEST_F(Job, MoreThanThereIsMemoryForFails)
{
    EXPECT_EQ(-ENOMEM, named("job.reserve", "").await());
}

TEST_F(Job, TheAnswerMayBeKeptAsABuffer)
{
    skua_buffer *buffer = nullptr;

    {
        const Future future = named("job.fill", "");

        EXPECT_EQ(0, future.await());
        EXPECT_EQ(0, skua_future_buffer(future.get(), &buffer));
    }
    EXPECT_EQ(100000u, skua_buffer_bytes(buffer));
    EXPECT_EQ('f', static_cast<char *>(skua_buffer_data(buffer))[99999]);
    skua_buffer_unref(buffer);
}

TEST_F(Job, ABufferIsNotCopied)
{
    skua_buffer *buffer = nullptr;
    skua_future *future = nullptr;
    skua_work work = {};

    ASSERT_EQ(0, skua_buffer_new(100000, &buffer));
    work.name = "job.place";
    work.buffer = buffer;
    ASSERT_EQ(0,
              skua_executor_submit_work(pool_.get(), &work, nullptr, &future));
    EXPECT_EQ(0, skua_await(future, nullptr));
    EXPECT_EQ(skua_buffer_data(buffer), buffer_seen);
    skua_future_unref(future);
    skua_buffer_unref(buffer);
}

TEST_F(Job, OtherFuturesHaveNoBytes)
{
    Gate gate;
    const Future bare = pool_.submit(gate.body());
    const Future pending = named("job.echo", "x");
    skua_buffer *buffer = nullptr;
    const void *data = nullptr;
    size_t bytes = 0;

    EXPECT_EQ(SKUA_EINVALSTATE,
              skua_future_bytes(pending.get(), &data, &bytes));
    gate.open.release();
    EXPECT_EQ(0, bare.await());
    EXPECT_EQ(-EINVAL, skua_future_bytes(bare.get(), &data, &bytes));
    EXPECT_EQ(-EINVAL, skua_future_buffer(bare.get(), &buffer));
    EXPECT_EQ(-EINVAL, skua_future_bytes(nullptr, &data, &bytes));
    EXPECT_EQ(0, pending.await());
    EXPECT_EQ(-EINVAL, skua_future_bytes(pending.get(), nullptr, &bytes));
    EXPECT_EQ(-EINVAL, skua_future_bytes(pending.get(), &data, nullptr));
    EXPECT_EQ(-EINVAL, skua_future_buffer(pending.get(), nullptr));
}

/* --- what is refused --- */

TEST_F(Job, BadWorkIsRefused)
{
    skua_work work = {};
    skua_submit_options options = {};
    skua_future *future = nullptr;

    EXPECT_EQ(-EINVAL, skua_executor_submit_work(pool_.get(), nullptr, nullptr,
                                                 &future));
    EXPECT_EQ(-EINVAL,
              skua_executor_submit_work(pool_.get(), &work, nullptr, &future));
    work.name = "job.echo";
    work.bytes = 1;
    EXPECT_EQ(-EINVAL,
              skua_executor_submit_work(pool_.get(), &work, nullptr, &future));
    work.bytes = 0;
    work.fn = [](void *) { return 0; };
    EXPECT_EQ(-EINVAL,
              skua_executor_submit_work(pool_.get(), &work, nullptr, &future));
    work.fn = nullptr;
    options.deadline_ns = -1;
    EXPECT_EQ(-EINVAL,
              skua_executor_submit_work(pool_.get(), &work, &options, &future));
    work.name = "job.unknown";
    EXPECT_EQ(-ENOENT,
              skua_executor_submit_work(pool_.get(), &work, nullptr, &future));
    EXPECT_EQ(-EINVAL,
              skua_executor_submit_named(pool_.get(), nullptr, "", 0, &future));
    EXPECT_EQ(-EINVAL,
              skua_executor_submit_named(nullptr, "job.echo", "", 0, &future));
    EXPECT_EQ(nullptr, future);
    EXPECT_EQ(0, pool_.stats().submitted);
}

TEST_F(Job, NamedWorkAfterShutdownIsRefused)
{
    EXPECT_EQ(0, skua_executor_shutdown(pool_.get(), true, false));
    EXPECT_EQ(SKUA_ECLOSED, skua_executor_submit_named(pool_.get(), "job.echo",
                                                       "x", 1, nullptr));
}

/* --- how it ends --- */

/* "Cancelled" is what never ran. */
TEST_F(Job, WorkThatEndsAsCancelledHasFailed)
{
    const Future named_work = named("job.cancelled", "");
    const Future bare = pool_.submit([] { return SKUA_ECANCELED; });

    for (const Future *future : {&named_work, &bare}) {
        EXPECT_EQ(SKUA_ECANCELED, future->await());
        EXPECT_FALSE(skua_future_cancelled(future->get()));
        EXPECT_TRUE(skua_future_done(future->get()));
    }
}

TEST_F(Job, NamedWorkThatIsQueuedIsCancelledByShutdown)
{
    Gate gate;
    const Future blocker = pool_.submit(gate.body());
    const Future queued = named("job.fail", "");

    gate.begun.acquire();
    EXPECT_EQ(0, skua_executor_shutdown(pool_.get(), false, true));
    EXPECT_EQ(SKUA_ECANCELED, queued.await());
    gate.open.release();
    EXPECT_EQ(0, blocker.await());
}

/* Conformance 164, of named work. */
TEST(JobBroken, N164_NamedWorkFailsWithThePool)
{
    skua_thread_pool_options options = {};
    std::vector<Future> futures;
    const Token token;
    skua_submit_options with_token = {};
    Gate gate;
    Body initialize = [&] {
        gate.body()();
        return -EIO;
    };

    ASSERT_EQ(0, skua_function_register("job.echo", echo));
    with_token.token = token.get();
    options.max_workers = 1;
    options.initializer = pools::run_body;
    options.initializer_arg = &initialize;
    Pool pool(options);

    for (int i = 0; i < 3; i++) {
        futures.push_back(pool.submit([] { return 0; }, with_token));
    }
    gate.open.release();
    for (const Future &future : futures) {
        EXPECT_EQ(SKUA_EBROKENPOOL, future.await());
    }
    EXPECT_EQ(1, token.cancel());
    EXPECT_EQ(SKUA_EBROKENPOOL, skua_executor_submit_named(
                                    pool.get(), "job.echo", "", 0, nullptr));
}

/* --- tokens --- */

skua_submit_options with(const Token &token)
{
    skua_submit_options options = {};

    options.token = token.get();
    return options;
}

TEST_F(Job, ATokenCancelsQueuedWork)
{
    Gate gate;
    std::atomic<int> ran{0};
    const Token token;
    const Future blocker = pool_.submit(gate.body());
    std::vector<Future> futures;

    for (int i = 0; i < 5; i++) {
        futures.push_back(pool_.submit(
            [&] {
                ran++;
                return 0;
            },
            with(token)));
    }
    EXPECT_EQ(1, token.cancel());
    for (const Future &future : futures) {
        EXPECT_TRUE(skua_future_cancelled(future.get()));
    }
    gate.open.release();
    EXPECT_EQ(0, blocker.await());
    EXPECT_EQ(0, skua_executor_shutdown(pool_.get(), true, false));
    EXPECT_EQ(0, ran.load());
}

TEST_F(Job, ATokenTellsRunningWork)
{
    Gate gate;
    const Token root;
    const Token token(root.get());
    const Future future = pool_.submit(
        [&] {
            EXPECT_FALSE(skua_work_should_stop());
            gate.body()();
            return skua_work_should_stop() ? 5 : 6;
        },
        with(token));

    gate.begun.acquire();
    EXPECT_EQ(1, root.cancel());
    EXPECT_TRUE(skua_future_running(future.get()));
    gate.open.release();
    EXPECT_EQ(5, future.await());
    EXPECT_EQ(
        6,
        pool_.submit([] { return skua_work_should_stop() ? 5 : 6; }).await());
    EXPECT_FALSE(skua_work_should_stop());
}

TEST_F(Job, ACancelledTokenRefusesWork)
{
    const Token token;
    const skua_submit_options options = with(token);
    skua_future *future = nullptr;
    skua_work work = {};

    work.name = "job.echo";
    EXPECT_EQ(1, token.cancel());
    EXPECT_EQ(SKUA_ECANCELED,
              skua_executor_submit_work(pool_.get(), &work, &options, &future));
    EXPECT_EQ(nullptr, future);
}

TEST_F(Job, TheTokenIsHeldByTheWork)
{
    Gate gate;
    const Future blocker = pool_.submit(gate.body());
    Future future;

    {
        const Token token;

        future = pool_.submit([] { return skua_work_should_stop() ? 1 : 0; },
                              with(token));
    }
    gate.open.release();
    EXPECT_EQ(0, future.await());
}

/* Its callbacks run in the thread that cancels, and may do the same again. */
TEST_F(Job, ACallbackOfCancelledWorkMayCancelMore)
{
    Gate gate;
    const Token first;
    const Token second;
    const Future blocker = pool_.submit(gate.body());
    const Future one = pool_.submit([] { return 0; }, with(first));
    const Future two = pool_.submit([] { return 0; }, with(second));

    EXPECT_EQ(0, skua_future_add_done_callback(
                     one.get(),
                     [](skua_future *, void *arg) {
                         EXPECT_EQ(1,
                                   static_cast<const Token *>(arg)->cancel());
                     },
                     const_cast<Token *>(&second)));
    EXPECT_EQ(1, first.cancel());
    EXPECT_TRUE(skua_future_cancelled(two.get()));
    gate.open.release();
    EXPECT_EQ(0, blocker.await());
}

TEST(JobTokenStress, CancelMeetsStartAndEnd)
{
    Pool pool(2);

    for (int round = 0; round < 300; round++) {
        Token token;
        std::atomic<int> ran{0};
        std::vector<Future> futures;
        int cancelled = 0;

        for (int i = 0; i < 10; i++) {
            futures.push_back(pool.submit(
                [&] {
                    ran++;
                    return 0;
                },
                with(token)));
        }
        EXPECT_EQ(1, token.cancel());
        for (const Future &future : futures) {
            const int status = future.await();

            EXPECT_TRUE(status == 0 || status == SKUA_ECANCELED);
            cancelled += status == SKUA_ECANCELED ? 1 : 0;
        }
        EXPECT_EQ(10, ran.load() + cancelled);
    }
}

/* The pool goes while its work is being cancelled. */
TEST(JobTokenStress, CancelMeetsTheLastReference)
{
    for (int round = 0; round < 200; round++) {
        const Token token;
        const skua_submit_options options = with(token);
        skua_executor *executor = nullptr;
        skua_work work = {};

        work.fn = [](void *) { return 0; };
        ASSERT_EQ(0, skua_thread_pool_executor_new(nullptr, &executor));
        for (int i = 0; i < 5; i++) {
            EXPECT_EQ(0, skua_executor_submit_work(executor, &work, &options,
                                                   nullptr));
        }
        std::thread canceller([&] { EXPECT_EQ(1, token.cancel()); });

        skua_executor_unref(executor);
        canceller.join();
    }
}

/* --- deadlines --- */

TEST_F(Job, WorkThatStartsTooLateFails)
{
    Gate gate;
    skua_submit_options options = {};
    const Future blocker = pool_.submit(gate.body());

    options.deadline_ns = 1; /* long ago */
    const Future late = pool_.submit(
        [] {
            ADD_FAILURE() << "ran";
            return 0;
        },
        options);

    EXPECT_FALSE(skua_future_done(late.get())) << "its turn has not come";
    gate.open.release();
    EXPECT_EQ(-ETIMEDOUT, late.await());
    EXPECT_FALSE(skua_future_cancelled(late.get()));
}

TEST_F(Job, WorkThatRunsIsToldOfItsDeadline)
{
    skua_submit_options options = {};

    options.deadline_ns = skua_monotonic() + 50 * SKUA_MS;
    const Future future = pool_.submit(
        [] {
            while (!skua_work_should_stop()) {
                std::this_thread::yield();
            }
            return 4;
        },
        options);
    const int status = future.await();

    EXPECT_TRUE(status == 4 || status == -ETIMEDOUT) << status;
}

TEST_F(Job, ADeadlineThatIsFarDoesNotMatter)
{
    skua_submit_options options = {};

    options.deadline_ns = SKUA_FOREVER;
    EXPECT_EQ(
        2, pool_.submit([] { return skua_work_should_stop() ? 1 : 2; }, options)
               .await());
}

/* --- who looks at a job that is none --- */

TEST(JobCalls, TakeWhatIsNoJob)
{
    skua_future *future = nullptr;

    ASSERT_EQ(0, skua_future_new(nullptr, &future));
    for (skua_future *job : {static_cast<skua_future *>(nullptr), future}) {
        EXPECT_EQ(nullptr, skua_job_work(job));
        EXPECT_EQ(nullptr, skua_job_options(job));
        EXPECT_FALSE(skua_job_start(job));
        EXPECT_FALSE(skua_job_should_stop(job));
        skua_job_run(job);
        skua_job_finish(job, 0, "x", 1);
        skua_job_finish_buffer(job, 0, nullptr, 0);
        skua_job_fail(job, -EIO, "x");
        skua_job_discard(job);
    }
    EXPECT_FALSE(skua_future_done(future));
    skua_future_unref(future);
}

} // namespace
