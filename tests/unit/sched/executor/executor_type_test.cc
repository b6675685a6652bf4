/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/executor/executor.c: executors of one's own, by the table. */
#include <cstring>

#include "unit/sched/executor/own_executors.h"

namespace
{

using pools::Body;
using pools::Gate;
using pools::Inline;
using pools::kInline;
using pools::kManual;
using pools::kThreaded;
using pools::Manual;
using pools::Own;
using pools::Threaded;
using pools::Token;

int await_and_drop(skua_future *future)
{
    const int status = skua_await(future, nullptr);

    skua_future_unref(future);
    return status;
}

std::string answer_of(skua_future *future)
{
    const void *data = nullptr;
    size_t bytes = 0;

    EXPECT_LE(0, skua_future_bytes(future, &data, &bytes));
    return {static_cast<const char *>(data), bytes};
}

/* --- making one --- */

TEST(ExecutorType, NeedsWhatItCannotDoWithout)
{
    skua_executor *executor = nullptr;

    EXPECT_EQ(-EINVAL, skua_executor_new(nullptr, nullptr, &executor));
    EXPECT_EQ(-EINVAL, skua_executor_new(&kInline, nullptr, nullptr));
    for (int missing = 0; missing < 4; missing++) {
        skua_executor_type type = kInline;

        type.name = missing == 0 ? nullptr : type.name;
        type.submit = missing == 1 ? nullptr : type.submit;
        type.shutdown = missing == 2 ? nullptr : type.shutdown;
        type.release = missing == 3 ? nullptr : type.release;
        EXPECT_EQ(-EINVAL, skua_executor_new(&type, nullptr, &executor));
    }
    EXPECT_EQ(nullptr, executor);
}

/* EX2. */
TEST(ExecutorType, EndsOnceAndOnlyAfterShutdown)
{
    Own<Manual> manual(kManual);
    std::atomic<int> ended{0};
    std::vector<std::thread> threads;

    EXPECT_EQ(-EINVAL, skua_executor_ended(nullptr));
    EXPECT_EQ(SKUA_EINVALSTATE, skua_executor_ended(manual.get()));
    EXPECT_EQ(0, skua_executor_shutdown(manual.get(), false, false));
    for (int t = 0; t < 3; t++) {
        threads.emplace_back([&] {
            ended += skua_executor_ended(manual.get()) == 0 ? 1 : 0;
            EXPECT_EQ(0, skua_executor_shutdown(manual.get(), true, false));
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(1, ended.load());
    EXPECT_EQ(4, manual->shutdowns.load());
    EXPECT_EQ(0, manual.released());
    manual.unref();
    EXPECT_EQ(1, manual.released());
}

TEST(ExecutorType, IsReleasedAfterTheLastReferenceAndTheEnd)
{
    Own<Manual> manual(kManual);
    skua_executor *executor = manual.get();

    EXPECT_EQ(executor, skua_executor_ref(executor));
    skua_executor_unref(executor);
    EXPECT_EQ(0, manual->shutdowns.load());
    manual.unref();
    EXPECT_EQ(1, manual->shutdowns.load()) << "the last one shuts it down";
    EXPECT_EQ(0, manual.released());
    EXPECT_EQ(0, skua_executor_ended(executor));
    EXPECT_EQ(1, manual.released());
}

TEST(ExecutorType, KnowsNoFiguresUnlessItSaysSo)
{
    Own<Inline> plain(kInline);
    Own<Threaded> threaded(kThreaded);
    skua_executor_stats stats = {};

    stats.submitted = 77;
    EXPECT_EQ(0, skua_executor_get_stats(plain.get(), &stats));
    EXPECT_EQ(0, stats.submitted);
    EXPECT_EQ(0, await_and_drop(threaded.submit([] { return 0; })));
    EXPECT_EQ(0, skua_executor_get_stats(threaded.get(), &stats));
    EXPECT_EQ(1, stats.submitted);
    EXPECT_EQ(1, stats.workers);
}

/* --- doing work --- */

TEST(ExecutorInline, RunsWorkInTheSubmitter)
{
    Own<Inline> executor(kInline);
    std::thread::id there;
    skua_future *future = executor.submit([&] {
        there = std::this_thread::get_id();
        return skua_raise(-EIO, "inside");
    });
    skua_future *named = executor.echo("text");

    EXPECT_TRUE(skua_future_done(future));
    EXPECT_EQ(std::this_thread::get_id(), there);
    EXPECT_EQ(-EIO, await_and_drop(future));
    EXPECT_STREQ("inside", skua_exception_message(skua_current_exception()));
    EXPECT_EQ("text", answer_of(named));
    skua_future_unref(named);
    EXPECT_EQ(0, skua_executor_shutdown(executor.get(), true, false));
    EXPECT_EQ(SKUA_ECLOSED,
              skua_executor_submit(
                  executor.get(), [](void *) { return 0; }, nullptr, nullptr));
}

TEST(ExecutorInline, KnowsItsOwnWork)
{
    Own<Inline> executor(kInline);

    EXPECT_EQ(-EDEADLK, await_and_drop(executor.submit([&] {
        return skua_executor_shutdown(executor.get(), true, false);
    })));
}

/* Work of a pool's thread is that of the pool, whoever else it is done for. */
TEST(ExecutorInline, WithinAPoolIsOfThatPool)
{
    Own<Inline> executor(kInline);
    pools::Pool pool(1);
    const pools::Future outer = pool.submit([&] {
        return await_and_drop(executor.submit([&] {
            const pools::Future queued = pool.submit([&] {
                EXPECT_EQ(-EDEADLK,
                          skua_executor_shutdown(executor.get(), true, false));
                return 7;
            });

            EXPECT_EQ(7, queued.await());
            return skua_executor_shutdown(pool.get(), true, false);
        }));
    });

    EXPECT_EQ(-EDEADLK, outer.await());
}

TEST(ExecutorThreaded, RunsWorkInOrder)
{
    Own<Threaded> executor(kThreaded);
    std::vector<int> order;
    std::vector<skua_future *> futures;

    for (int i = 0; i < 100; i++) {
        futures.push_back(executor.submit([&, i] {
            order.push_back(i);
            return i;
        }));
    }
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(i, await_and_drop(futures[static_cast<size_t>(i)]));
    }
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(i, order[static_cast<size_t>(i)]);
    }
    EXPECT_EQ(0, skua_executor_shutdown(executor.get(), true, false));
    EXPECT_EQ(1, executor->joins.load());
}

TEST(ExecutorThreaded, CancelsWhatIsQueued)
{
    Own<Threaded> executor(kThreaded);
    Gate gate;
    skua_future *running = executor.submit(gate.body());
    skua_future *queued = executor.submit([] {
        ADD_FAILURE() << "ran";
        return 0;
    });

    gate.begun.acquire();
    EXPECT_EQ(0, skua_executor_shutdown(executor.get(), false, true));
    EXPECT_EQ(SKUA_ECANCELED, await_and_drop(queued));
    gate.open.release();
    EXPECT_EQ(0, await_and_drop(running));
    EXPECT_EQ(0, skua_executor_shutdown(executor.get(), true, false));
}

TEST(ExecutorThreaded, IsToldToStop)
{
    Own<Threaded> executor(kThreaded);
    const Token token;
    skua_submit_options options = {};
    Gate gate;

    options.token = token.get();
    skua_future *running = executor.submit(
        [&] {
            gate.body()();
            return skua_work_should_stop() ? 1 : 0;
        },
        &options);
    skua_future *queued = executor.submit([] { return 0; }, &options);

    gate.begun.acquire();
    EXPECT_EQ(1, token.cancel());
    EXPECT_EQ(1, executor->stops.load()) << "for what runs only";
    EXPECT_EQ(SKUA_ECANCELED, await_and_drop(queued));
    gate.open.release();
    EXPECT_EQ(1, await_and_drop(running));
}

/* --- each way in which a job may end --- */

class ExecutorManual : public testing::Test
{
  protected:
    ~ExecutorManual() override
    {
        manual_.end();
    }

    skua_job *take()
    {
        skua_job *job = manual_->jobs.back();

        manual_->jobs.pop_back();
        return job;
    }

    Own<Manual> manual_{kManual};
};

TEST_F(ExecutorManual, ShowsTheWork)
{
    const Token token;
    skua_submit_options options = {};
    skua_work work = {};
    char key[] = "the key";
    char text[] = "text";

    ASSERT_EQ(0, skua_function_register(
                     "type.shown",
                     [](const void *, size_t, skua_reply *) { return 0; }));
    options.token = token.get();
    options.deadline_ns = SKUA_FOREVER;
    options.interruptible = true;
    options.key = key;
    work.name = "type.shown";
    work.data = text;
    work.bytes = 4;
    ASSERT_EQ(
        0, skua_executor_submit_work(manual_.get(), &work, &options, nullptr));
    std::memset(key, 'x', sizeof(key) - 1);
    std::memset(text, 'x', sizeof(text) - 1);

    skua_job *job = take();
    const skua_work *shown = skua_job_work(job);

    EXPECT_STREQ("type.shown", shown->name);
    EXPECT_EQ(nullptr, shown->fn);
    EXPECT_EQ(4u, shown->bytes);
    EXPECT_EQ(0, std::memcmp("text", shown->data, 4));
    EXPECT_EQ(shown->data, skua_buffer_data(shown->buffer));
    EXPECT_EQ(token.get(), skua_job_options(job)->token);
    EXPECT_EQ(SKUA_FOREVER, skua_job_options(job)->deadline_ns);
    EXPECT_TRUE(skua_job_options(job)->interruptible);
    EXPECT_STREQ("the key", skua_job_options(job)->key);
    skua_job_finish(job, 0, nullptr, 0);
}

TEST_F(ExecutorManual, FinishesWithBytes)
{
    skua_future *future = manual_.echo("x");
    skua_job *job = take();

    EXPECT_TRUE(skua_job_start(job));
    EXPECT_FALSE(skua_job_start(job)) << "once";
    EXPECT_TRUE(skua_future_running(future));
    EXPECT_EQ(0, skua_future_cancel(future));
    skua_job_finish(job, 3, "answer", 6);
    EXPECT_EQ(3, skua_await(future, nullptr));
    EXPECT_EQ("answer", answer_of(future));
    skua_future_unref(future);
}

/* concurrent.futures lets an executor finish what it has not said to start. */
TEST_F(ExecutorManual, FinishesWithoutStarting)
{
    skua_future *future = manual_.echo("x");

    skua_job_finish(take(), 0, "y", 1);
    EXPECT_EQ(0, skua_await(future, nullptr));
    EXPECT_EQ("y", answer_of(future));
    skua_future_unref(future);
}

TEST_F(ExecutorManual, FinishesWithABuffer)
{
    skua_future *future = manual_.echo("x");
    skua_buffer *buffer = nullptr;
    skua_buffer *kept = nullptr;

    ASSERT_EQ(0, skua_buffer_new(10, &buffer));
    std::memcpy(skua_buffer_data(buffer), "0123456789", 10);
    skua_job_finish_buffer(take(), 0, buffer, 4);
    skua_buffer_unref(buffer);
    EXPECT_EQ(0, skua_await(future, nullptr));
    EXPECT_EQ("0123", answer_of(future));
    EXPECT_EQ(0, skua_future_buffer(future, &kept));
    EXPECT_EQ(4u, skua_buffer_bytes(kept));
    skua_buffer_unref(kept);
    skua_future_unref(future);
}

TEST_F(ExecutorManual, FinishingBadlyFails)
{
    skua_future *future = manual_.echo("x");

    skua_job_finish(take(), 0, nullptr, 5);
    EXPECT_EQ(-EINVAL, await_and_drop(future));
    future = manual_.echo("x");
    skua_job_finish(take(), -EIO, "dropped", 7);
    EXPECT_EQ(-EIO, await_and_drop(future));
}

TEST_F(ExecutorManual, FailsWithAMessage)
{
    skua_future *future = manual_.echo("x");

    skua_job_fail(take(), -EIO, "the %s is gone");
    EXPECT_EQ(-EIO, await_and_drop(future));
    EXPECT_STREQ("the %s is gone",
                 skua_exception_message(skua_current_exception()));
    future = manual_.echo("x");
    skua_job_fail(take(), 0, nullptr);
    EXPECT_EQ(SKUA_EBROKENPOOL, await_and_drop(future));
}

TEST_F(ExecutorManual, DiscardingIsAFailureUnlessItWasCancelled)
{
    skua_future *future = manual_.echo("x");

    skua_job_discard(take());
    EXPECT_EQ(SKUA_EBROKENPOOL, await_and_drop(future));
    future = manual_.echo("x");
    EXPECT_EQ(1, skua_future_cancel(future));
    EXPECT_FALSE(skua_job_start(manual_->jobs.back()));
    skua_job_discard(take());
    EXPECT_EQ(SKUA_ECANCELED, await_and_drop(future));
}

/* The answer to work that was cancelled is dropped, however it comes. */
TEST_F(ExecutorManual, FinishingWhatWasCancelledIsHarmless)
{
    for (int way = 0; way < 5; way++) {
        skua_future *future = manual_.echo("x");
        skua_buffer *buffer = nullptr;

        EXPECT_EQ(0, skua_buffer_new(1, &buffer));
        EXPECT_EQ(1, skua_future_cancel(future));
        switch (way) {
        case 0:
            skua_job_finish(take(), 0, "y", 1);
            break;
        case 1:
            skua_job_finish_buffer(take(), 0, buffer, 1);
            break;
        case 2:
            skua_job_fail(take(), -EIO, "message");
            break;
        case 3:
            skua_job_run(take());
            break;
        default:
            skua_job_discard(take());
            break;
        }
        skua_buffer_unref(buffer);
        EXPECT_EQ(SKUA_ECANCELED, await_and_drop(future));
    }
}

TEST_F(ExecutorManual, WorkThatIsTooLateIsNotStarted)
{
    skua_submit_options options = {};

    options.deadline_ns = 1;
    for (const bool run : {true, false}) {
        skua_future *future = manual_.submit(
            [] {
                ADD_FAILURE() << "ran";
                return 0;
            },
            &options);
        skua_job *job = take();

        EXPECT_TRUE(skua_job_should_stop(job));
        if (run) {
            skua_job_run(job);
        } else {
            EXPECT_FALSE(skua_job_start(job));
            skua_job_discard(job);
        }
        EXPECT_EQ(-ETIMEDOUT, await_and_drop(future));
    }
}

TEST_F(ExecutorManual, RefusedWorkIsForgotten)
{
    const Token token;
    skua_submit_options options = {};
    skua_future *future = nullptr;
    skua_work work = {};

    options.token = token.get();
    options.key = "key";
    work.name = "type.echo";
    work.data = "x";
    work.bytes = 1;
    skua_future_unref(manual_.echo("registered"));
    skua_job_discard(take());
    manual_->refuses = -EAGAIN;
    EXPECT_EQ(-EAGAIN, skua_executor_submit_work(manual_.get(), &work, &options,
                                                 &future));
    EXPECT_EQ(nullptr, future);
    EXPECT_EQ(1, token.cancel());
    manual_->refuses = 0;
}

/* The token lets go of what is done, and of who did it. */
TEST(ExecutorToken, MayOutliveTheExecutor)
{
    const Token token;
    skua_submit_options options = {};
    skua_future *future;

    options.token = token.get();
    {
        Own<Manual> manual(kManual);

        future = manual.submit([] { return 0; }, &options);
        skua_job_run(manual->jobs.back());
        manual->jobs.pop_back();
        manual.end();
        manual.unref();
        EXPECT_EQ(1, manual.released());
    }
    EXPECT_EQ(1, token.cancel());
    EXPECT_EQ(0, await_and_drop(future));
}

TEST(ExecutorToken, ACancelledJobIsStillTheExecutors)
{
    const Token token;
    Own<Manual> manual(kManual);
    skua_submit_options options = {};
    skua_future *future;

    options.token = token.get();
    future = manual.submit([] { return 0; }, &options);
    EXPECT_EQ(1, token.cancel());
    EXPECT_EQ(SKUA_ECANCELED, await_and_drop(future));
    manual.end();
    skua_job_run(manual->jobs.back());
    manual->jobs.pop_back();
    manual.unref();
    EXPECT_EQ(1, manual.released());
}

/* --- from loops, and mixed --- */

class ExecutorInLoop : public testing::Test
{
  protected:
    static int run(Body body)
    {
        return skua_run(pools::run_body, &body);
    }

    skua_future *in(skua_executor *executor, Body body)
    {
        skua_future *future = nullptr;

        EXPECT_EQ(0, skua_loop_run_in_executor(
                         skua_get_running_loop(), executor, pools::run_body,
                         bodies_.keep(std::move(body)), &future));
        return future;
    }

    pools::Bodies bodies_;
    Own<Inline> inline_{kInline};
    Own<Threaded> threaded_{kThreaded};
};

TEST_F(ExecutorInLoop, RunInExecutor)
{
    EXPECT_EQ(
        0, run([&] {
            EXPECT_EQ(3, await_and_drop(in(inline_.get(), [] { return 3; })));
            EXPECT_EQ(4, await_and_drop(in(threaded_.get(), [] { return 4; })));
            EXPECT_EQ(-EIO, await_and_drop(in(threaded_.get(), [] {
                return skua_raise(-EIO, "there");
            })));
            EXPECT_STREQ("there",
                         skua_exception_message(skua_current_exception()));
            return 0;
        }));
}

/* What runs in a task has the task's frame: it returns and raises there. */
TEST_F(ExecutorInLoop, AnInlineOneGivesWhatWorkReturnsAndRaises)
{
    Own<Inline> executor(kInline);

    EXPECT_EQ(
        0, run([&] {
            int answer = 7;
            void *value = nullptr;
            skua_future *future = nullptr;

            EXPECT_EQ(0, skua_raise(-EDOM, "outside") + EDOM);
            EXPECT_EQ(0, skua_executor_submit(
                             executor.get(),
                             [](void *arg) { return skua_return(arg); },
                             &answer, &future));
            EXPECT_EQ(0, skua_await(future, &value));
            EXPECT_EQ(&answer, value);
            skua_future_unref(future);
            future = executor.submit([] { return skua_raise(-EIO, "inside"); });
            EXPECT_STREQ("outside",
                         skua_exception_message(skua_current_exception()));
            EXPECT_EQ(-EIO, await_and_drop(future));
            EXPECT_STREQ("inside",
                         skua_exception_message(skua_current_exception()));
            return 0;
        }));
}

TEST_F(ExecutorInLoop, N157_CancellingTheFutureOfTheLoopCancelsQueuedWork)
{
    Gate gate;

    EXPECT_EQ(0, run([&] {
                  skua_future *first = in(threaded_.get(), gate.body());
                  skua_future *queued = in(threaded_.get(), [] {
                      ADD_FAILURE() << "ran";
                      return 0;
                  });

                  EXPECT_EQ(1, skua_future_cancel(queued));
                  EXPECT_EQ(SKUA_ECANCELED, await_and_drop(queued));
                  EXPECT_EQ(0, skua_sleep(0));
                  gate.open.release();
                  return await_and_drop(first);
              }));
}

TEST_F(ExecutorInLoop, ToThreadUsesTheDefaultOneThatWasSet)
{
    EXPECT_EQ(0, run([&] {
                  std::thread::id there;
                  Body body = [&] {
                      there = std::this_thread::get_id();
                      return 6;
                  };

                  EXPECT_EQ(0, skua_loop_set_default_executor(
                                   skua_get_running_loop(), threaded_.get()));
                  EXPECT_EQ(6, skua_to_thread(pools::run_body, &body, nullptr));
                  EXPECT_NE(std::thread::id(), there);
                  return 0;
              }));
    EXPECT_EQ(1, threaded_->submits.load());
}

TEST_F(ExecutorInLoop, N160_WaitsForMixedFutures)
{
    pools::Pool pool(1);
    Gate gate;

    EXPECT_EQ(0, run([&] {
                  const pools::Future of_pool = pool.submit([] { return 0; });
                  skua_future *named = threaded_.echo("x");
                  skua_future *of_loop = in(threaded_.get(), [] { return 0; });
                  skua_future *gated = threaded_.submit(gate.body());
                  skua_future *const all[] = {named, of_pool.get(), of_loop,
                                              named, gated};

                  EXPECT_EQ(3, skua_wait(all, 4, SKUA_FOREVER,
                                         SKUA_ALL_COMPLETED, nullptr));
                  EXPECT_EQ(3, skua_wait(all, 5, SKUA_FOREVER,
                                         SKUA_FIRST_COMPLETED, nullptr));
                  gate.open.release();
                  EXPECT_EQ(4, skua_wait(all, 5, SKUA_FOREVER,
                                         SKUA_ALL_COMPLETED, nullptr));
                  skua_future_unref(named);
                  skua_future_unref(of_loop);
                  skua_future_unref(gated);
                  return 0;
              }));
}

TEST_F(ExecutorInLoop, N160_GathersAndIteratesMixedFutures)
{
    pools::Pool pool(1);

    EXPECT_EQ(0, run([&] {
                  const pools::Future of_pool = pool.submit([] { return 0; });
                  skua_future *named = threaded_.echo("x");
                  skua_awaitable both[] = {skua_awaitable_future(of_pool.get()),
                                           skua_awaitable_future(named)};
                  skua_as_completed iterator;
                  skua_gather_result results[2] = {};
                  skua_future *done = nullptr;
                  skua_future *gather = nullptr;
                  int count = 0;

                  EXPECT_EQ(2, skua_as_completed_init(&iterator, both, 2,
                                                      SKUA_FOREVER));
                  while (skua_as_completed_next(&iterator, &done) == 1) {
                      EXPECT_TRUE(done == named || done == of_pool.get());
                      count++;
                  }
                  skua_as_completed_fini(&iterator);
                  EXPECT_EQ(2, count);
                  EXPECT_EQ(0, skua_gather(both, 2, nullptr, results, &gather));
                  EXPECT_EQ(0, await_and_drop(gather));
                  EXPECT_EQ("x", answer_of(named));
                  skua_future_unref(named);
                  return 0;
              }));
}

} // namespace
