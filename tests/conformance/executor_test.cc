/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor_test.cc - conformance 156-159, 163: executors.
 */
#include <semaphore>

#include "support.h"

namespace conformance
{
namespace
{

/** Work that says when it has started and runs until it is let go. */
class Blocker
{
  public:
    Body body(intptr_t value = 0)
    {
        return [this, value] {
            started_.release();
            gate_.acquire();
            finished_ = true;
            return skua_return(as_pointer(value));
        };
    }

    void wait_started()
    {
        started_.acquire();
    }

    void let_go()
    {
        gate_.release();
    }

    [[nodiscard]] bool finished() const
    {
        return finished_;
    }

  private:
    std::binary_semaphore started_{0};
    std::binary_semaphore gate_{0};
    std::atomic<bool> finished_ = false;
};

Executor new_pool(int max_workers)
{
    skua_thread_pool_options options = {};
    skua_executor *executor = nullptr;

    options.max_workers = max_workers;
    EXPECT_EQ(0, skua_thread_pool_executor_new(&options, &executor));
    return Executor(executor);
}

void finish(const Executor &pool)
{
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
}

int must_not_run()
{
    ADD_FAILURE() << "was cancelled";
    return 0;
}

/* --- from a loop --- */

TEST_P(ConformanceMany, N156_WorkRunsInAnotherThreadAndGivesItsOutcome)
{
    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();
                  std::thread::id worker;
                  Future value = in_executor(loop, nullptr, [&] {
                      worker = std::this_thread::get_id();
                      EXPECT_EQ(nullptr, skua_get_running_loop());
                      EXPECT_EQ(nullptr, skua_current_task());
                      return skua_return(as_pointer(11));
                  });
                  Future error = in_executor(loop, nullptr, [] {
                      return skua_raise(-EIO, "in a thread");
                  });

                  EXPECT_EQ(11, await_int(value.get()));
                  EXPECT_NE(std::this_thread::get_id(), worker);
                  EXPECT_EQ(-EIO, skua_await(error.get(), nullptr));
                  EXPECT_STREQ("in a thread", skua_exception_message(
                                                  skua_current_exception()));
                  return skua_return(nullptr);
              }));
}

TEST_P(ConformanceMany, N156_OneThreadStartsWorkInOrder)
{
    Executor pool = new_pool(1);
    Log log;
    Order expected;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();
                  std::vector<Future> futures;

                  for (int i = 0; i < 200; i++) {
                      futures.push_back(in_executor(loop, pool.get(), [&, i] {
                          log.add(i);
                          return 0;
                      }));
                      expected.push_back(i);
                  }
                  for (const Future &future : futures) {
                      EXPECT_EQ(0, skua_await(future.get(), nullptr));
                  }
                  return 0;
              }));
    EXPECT_EQ(expected, log.get());
    finish(pool);
}

TEST_P(ConformanceMany, N156_TheDefaultExecutorCanBeSet)
{
    Executor pool = new_pool(1);
    skua_executor_stats stats = {};

    EXPECT_EQ(
        0, run([&] {
            skua_loop *loop = skua_get_running_loop();

            EXPECT_EQ(0, skua_loop_set_default_executor(loop, pool.get()));
            return skua_await(
                in_executor(loop, nullptr, [] { return 0; }).get(), nullptr);
        }));
    EXPECT_EQ(0, skua_executor_get_stats(pool.get(), &stats));
    EXPECT_EQ(1, stats.submitted);
}

TEST_P(ConformanceMany, N157_CancellingQueuedWorkKeepsItFromRunning)
{
    Executor pool = new_pool(1);
    Blocker blocker;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();
                  Future first = in_executor(loop, pool.get(), blocker.body());
                  Future queued = in_executor(loop, pool.get(), must_not_run);

                  EXPECT_EQ(1, skua_future_cancel(queued.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(queued.get(), nullptr));
                  blocker.let_go();
                  return skua_await(first.get(), nullptr);
              }));
    finish(pool);
}

TEST_P(ConformanceMany, N157_CancellingTheAwaitOfQueuedWork)
{
    Executor pool = new_pool(1);
    Blocker blocker;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();
                  Latch ready(1);
                  Future first = in_executor(loop, pool.get(), blocker.body());
                  Future waiter = spawn([&] {
                      Future queued =
                          in_executor(loop, pool.get(), must_not_run);

                      ready.down();
                      return skua_await(queued.get(), nullptr);
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(1, skua_task_cancel(waiter.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(waiter.get(), nullptr));
                  blocker.let_go();
                  return skua_await(first.get(), nullptr);
              }));
    finish(pool);
}

TEST_P(ConformanceMany, N157_RunningWorkFinishesAndItsResultIsDropped)
{
    Executor pool = new_pool(1);
    Blocker blocker;

    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();
                  Future waiter = spawn([&] {
                      return skua_await(
                          in_executor(loop, pool.get(), blocker.body(1)).get(),
                          nullptr);
                  });
                  Future started = in_executor(loop, nullptr, [&] {
                      blocker.wait_started();
                      return 0;
                  });

                  EXPECT_EQ(0, skua_await(started.get(), nullptr));
                  EXPECT_EQ(0, skua_sleep(1 * SKUA_MS));
                  EXPECT_EQ(1, skua_task_cancel(waiter.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(waiter.get(), nullptr));
                  EXPECT_FALSE(blocker.finished());
                  blocker.let_go();
                  return 0;
              }));
    finish(pool);
    EXPECT_TRUE(blocker.finished());
    EXPECT_EQ(0u, reports_.size());
}

TEST_F(Conformance, N157_NoCallbackReachesAClosedLoop)
{
    Executor pool = new_pool(1);
    Blocker blocker;
    Future future = in_executor(loop_, pool.get(), blocker.body());

    when_done(future.get(),
              [](skua_future *) { ADD_FAILURE() << "on a closed loop"; });
    ASSERT_EQ(0, skua_loop_close(loop_));
    blocker.let_go();
    finish(pool);
    EXPECT_TRUE(skua_future_done(future.get()));
}

/* --- the executor's own futures --- */

TEST_F(Conformance, N158_CancelIsFalseWhileRunningAndWhenFinished)
{
    Executor pool = new_pool(1);
    Blocker blocker;
    Future future = submit(pool.get(), blocker.body(5));

    blocker.wait_started();
    EXPECT_TRUE(skua_future_running(future.get()));
    EXPECT_EQ(0, skua_future_cancel(future.get()));
    blocker.let_go();
    EXPECT_EQ(5, await_int(future.get()));
    EXPECT_FALSE(skua_future_running(future.get()));
    EXPECT_EQ(0, skua_future_cancel(future.get()));
    EXPECT_FALSE(skua_future_cancelled(future.get()));
}

TEST_F(Conformance, N158_DoneCallbacksRunInlineInOrder)
{
    Executor pool = new_pool(1);
    Blocker blocker;
    Log log;
    std::thread::id worker;
    Future future = submit(pool.get(), [&, body = blocker.body()] {
        worker = std::this_thread::get_id();
        return body();
    });

    blocker.wait_started();
    for (int i = 0; i < 5; i++) {
        when_done(future.get(), [&, i](skua_future *done) {
            EXPECT_EQ(future.get(), done);
            EXPECT_EQ(worker, std::this_thread::get_id());
            log.add(i);
            if (i == 1) {
                (void)skua_raise(-EIO, "callback %d", i);
            }
        });
    }
    blocker.let_go();
    finish(pool);
    EXPECT_EQ((Order{0, 1, 2, 3, 4}), log.get());
    when_done(future.get(), [&](skua_future *) { log.add(5); });
    EXPECT_EQ((Order{0, 1, 2, 3, 4, 5}), log.get());
}

TEST_F(Conformance, N159_ATimedOutWaitDoesNotDisturbTheWork)
{
    Executor pool = new_pool(1);
    Blocker blocker;
    Future future = submit(pool.get(), blocker.body(9));

    EXPECT_EQ(-ETIMEDOUT,
              skua_await_until(future.get(), skua_monotonic() + 2 * SKUA_MS,
                               nullptr));
    EXPECT_EQ(-ETIMEDOUT, skua_await_until(future.get(), 0, nullptr));
    EXPECT_FALSE(skua_future_done(future.get()));
    blocker.let_go();
    EXPECT_EQ(9, await_int(future.get()));
    EXPECT_EQ(SKUA_EINVALSTATE, skua_future_set_result(future.get(), nullptr));
    EXPECT_EQ(SKUA_EINVALSTATE, skua_future_set_error(future.get(), -EIO));
    EXPECT_EQ(9, await_int(future.get()));
}

TEST_P(ConformanceMany, N159_ATimedOutAwaitInATask)
{
    Executor pool = new_pool(1);
    Blocker blocker;

    EXPECT_EQ(0, run([&] {
                  Future future = submit(pool.get(), blocker.body(9));

                  EXPECT_EQ(-ETIMEDOUT,
                            skua_await_until(future.get(),
                                             skua_monotonic() + 1 * SKUA_MS,
                                             nullptr));
                  blocker.let_go();
                  EXPECT_EQ(9, await_int(future.get()));
                  return 0;
              }));
}

/* --- shutdown --- */

TEST_F(Conformance, N158_WorkThatSaysItWasCancelledHasFailed)
{
    Executor pool = new_pool(1);
    skua_submit_options options = {};
    skua_cancel_token *token = nullptr;
    skua_work work = {};
    skua_future *bare = nullptr;
    skua_future *job = nullptr;

    work.fn = [](void *) { return SKUA_ECANCELED; };
    ASSERT_EQ(0, skua_cancel_token_new(nullptr, &token));
    options.token = token;
    ASSERT_EQ(0, skua_executor_submit(pool.get(), work.fn, nullptr, &bare));
    ASSERT_EQ(0, skua_executor_submit_work(pool.get(), &work, &options, &job));
    for (skua_future *future : {bare, job}) {
        EXPECT_EQ(SKUA_ECANCELED, skua_await(future, nullptr));
        EXPECT_FALSE(skua_future_cancelled(future)); /* it did run */
        skua_future_unref(future);
    }
    skua_cancel_token_unref(token);
    finish(pool);
}

TEST_F(Conformance, N163_SubmitAfterShutdownIsRefused)
{
    Executor pool = new_pool(2);
    Body body = [] { return 0; };
    skua_future *out = nullptr;

    EXPECT_EQ(0, skua_await(submit(pool.get(), body).get(), nullptr));
    finish(pool);
    EXPECT_EQ(SKUA_ECLOSED,
              skua_executor_submit(pool.get(), run_body, &body, &out));
    EXPECT_EQ(SKUA_ECLOSED, skua_loop_run_in_executor(loop_, pool.get(),
                                                      run_body, &body, &out));
    EXPECT_EQ(nullptr, out);
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, true));
}

TEST_F(Conformance, N163_CancelFuturesResolvesWhatIsQueued)
{
    Executor pool = new_pool(1);
    Blocker blocker;
    std::vector<Future> queued;
    Future running = submit(pool.get(), blocker.body());

    blocker.wait_started();
    for (int i = 0; i < 10; i++) {
        queued.push_back(submit(pool.get(), must_not_run));
    }
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), false, true));
    for (const Future &future : queued) {
        EXPECT_EQ(SKUA_ECANCELED, skua_await(future.get(), nullptr));
        EXPECT_TRUE(skua_future_cancelled(future.get()));
    }
    blocker.let_go();
    EXPECT_EQ(0, skua_await(running.get(), nullptr));
    finish(pool);
}

TEST_F(Conformance, N163_ShutdownWithoutWaitingReturnsAndTheWorkFinishes)
{
    Executor pool = new_pool(1);
    Blocker blocker;
    Future running = submit(pool.get(), blocker.body(1));
    Future queued =
        submit(pool.get(), [] { return skua_return(as_pointer(2)); });

    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), false, false));
    EXPECT_FALSE(skua_future_done(queued.get()));
    pool.reset();
    blocker.let_go();
    EXPECT_EQ(1, await_int(running.get()));
    EXPECT_EQ(2, await_int(queued.get()));
}

TEST_P(ConformanceMany, N163_ShutdownWaitsInATask)
{
    Executor pool = new_pool(2);
    std::atomic<int> finished = 0;

    EXPECT_EQ(0, run([&] {
                  for (int i = 0; i < 20; i++) {
                      submit(pool.get(), [&] {
                          finished++;
                          return 0;
                      });
                  }
                  EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
                  EXPECT_EQ(20, finished);
                  return 0;
              }));
}

TEST_P(ConformanceMany, N163_WorkMayWaitForTheLoopsWhileTheRunnerCloses)
{
    Executor pool = new_pool(1);
    int status = 1;

    EXPECT_EQ(
        0, run([&] {
            skua_loop *loop = loops().back();

            EXPECT_EQ(0, skua_loop_set_default_executor(loop, pool.get()));
            in_executor(loop, nullptr, [&, loop] {
                void *nap = keeper_.body([] { return skua_sleep(SKUA_US); });
                skua_future *task = nullptr;

                /* Refused once the executor is being shut down. */
                while (skua_loop_set_default_executor(loop, pool.get()) == 0) {
                    std::this_thread::yield();
                }
                status =
                    skua_run_coroutine_threadsafe(loop, run_body, nap, &task);
                return status == 0 ? await_int(Future(task).get()) : 1;
            });
            return 0;
        }));
    EXPECT_EQ(0, status);
}

CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
