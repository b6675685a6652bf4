/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/executor/thread_pool.c, from plain threads. */
#include "executor/executor.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <latch>
#include <semaphore>
#include <thread>
#include <vector>

#include "skua/executor.h"
#include "skua/exception.h"
#include "skua/future.h"
#include "skua/loop.h"
#include "skua/runner.h"
#include "skua/task.h"
#include "skua/thread_pool.h"
#include "skua/time.h"

namespace
{

using semaphore = std::counting_semaphore<1 << 20>;

skua_executor *pool_new(int max_workers, skua_task_fn *initializer = nullptr,
                        void *initializer_arg = nullptr)
{
    skua_thread_pool_options options = {};
    skua_executor *executor = nullptr;

    options.max_workers = max_workers;
    options.initializer = initializer;
    options.initializer_arg = initializer_arg;
    EXPECT_EQ(skua_thread_pool_executor_new(&options, &executor), 0);
    return executor;
}

skua_future *submit(skua_executor *executor, skua_task_fn *fn, void *arg)
{
    skua_future *future = nullptr;

    EXPECT_EQ(skua_executor_submit(executor, fn, arg, &future), 0);
    return future;
}

void end(skua_executor *executor)
{
    EXPECT_EQ(skua_executor_shutdown(executor, true, false), 0);
    skua_executor_unref(executor);
}

int await_and_drop(skua_future *future, void **out_value = nullptr)
{
    const int status = skua_await(future, out_value);

    skua_future_unref(future);
    return status;
}

int increment(void *arg)
{
    static_cast<std::atomic<int> *>(arg)->fetch_add(1);
    return 0;
}

int nothing(void *)
{
    return 0;
}

/* Work that says it has begun and waits to be let go. */
struct gate {
    semaphore begun{0};
    semaphore open{0};
};

int pass_gate(void *arg)
{
    auto *gate = static_cast<struct gate *>(arg);

    gate->begun.release();
    gate->open.acquire();
    return 0;
}

TEST(ThreadPoolNew, N162_RefusesBadOptions)
{
    skua_thread_pool_options options = {};
    skua_executor *executor = nullptr;

    EXPECT_EQ(skua_thread_pool_executor_new(nullptr, nullptr), -EINVAL);
    options.max_workers = -1;
    EXPECT_EQ(skua_thread_pool_executor_new(&options, &executor), -EINVAL);
    options.max_workers = 1 << 30;
    EXPECT_EQ(skua_thread_pool_executor_new(&options, &executor), -EINVAL);
    EXPECT_EQ(executor, nullptr);
}

TEST(ThreadPoolCalls, RefuseNull)
{
    skua_executor_stats stats;
    skua_executor *executor = pool_new(1);
    skua_future *future = nullptr;

    EXPECT_EQ(skua_executor_submit(nullptr, nothing, nullptr, &future),
              -EINVAL);
    EXPECT_EQ(skua_executor_submit(executor, nullptr, nullptr, &future),
              -EINVAL);
    EXPECT_EQ(skua_executor_shutdown(nullptr, true, true), -EINVAL);
    EXPECT_EQ(skua_executor_get_stats(nullptr, &stats), -EINVAL);
    EXPECT_EQ(skua_executor_get_stats(executor, nullptr), -EINVAL);
    EXPECT_EQ(skua_executor_ref(nullptr), nullptr);
    skua_executor_unref(nullptr);
    skua_executor_unref(executor);
}

TEST(ThreadPoolSubmit, GivesValueAndStatus)
{
    static int answer = 42;
    skua_executor *executor = pool_new(2);
    void *value = nullptr;

    EXPECT_EQ(
        await_and_drop(
            submit(
                executor, [](void *arg) { return skua_return(arg); }, &answer),
            &value),
        0);
    EXPECT_EQ(value, &answer);
    EXPECT_EQ(await_and_drop(submit(
                  executor, [](void *) { return -EPIPE; }, nullptr)),
              -EPIPE);
    end(executor);
}

TEST(ThreadPoolSubmit, RunsInAnotherThreadWithSignalsBlocked)
{
    struct seen {
        std::thread::id thread;
        bool blocked;
    } seen = {};
    skua_executor *executor = pool_new(1);
    skua_future *future = submit(
        executor,
        [](void *arg) {
            auto *out = static_cast<struct seen *>(arg);
            sigset_t mask;

            pthread_sigmask(SIG_BLOCK, nullptr, &mask);
            out->thread = std::this_thread::get_id();
            out->blocked = sigismember(&mask, SIGINT) == 1 &&
                           sigismember(&mask, SIGTERM) == 1;
            return 0;
        },
        &seen);

    EXPECT_EQ(await_and_drop(future), 0);
    EXPECT_NE(seen.thread, std::this_thread::get_id());
    EXPECT_TRUE(seen.blocked);
    end(executor);
}

/* Conformance 156. */
TEST(ThreadPoolOrder, OneThreadStartsInOrderOfSubmission)
{
    struct step {
        std::vector<int> *order;
        int number;
    };
    constexpr int kSteps = 5000; /* more than the ring holds */
    std::vector<int> order;
    std::vector<step> steps;
    skua_executor *executor = pool_new(1);
    gate gate;
    skua_future *first = submit(executor, pass_gate, &gate);

    for (int i = 0; i < kSteps; i++) {
        steps.push_back({&order, i});
    }
    for (auto &step : steps) {
        EXPECT_EQ(skua_executor_submit(
                      executor,
                      [](void *arg) {
                          auto *mine = static_cast<struct step *>(arg);

                          mine->order->push_back(mine->number);
                          return 0;
                      },
                      &step, nullptr),
                  0);
    }
    gate.open.release();
    EXPECT_EQ(await_and_drop(first), 0);
    end(executor);
    ASSERT_EQ(order.size(), static_cast<std::size_t>(kSteps));
    for (int i = 0; i < kSteps; i++) {
        ASSERT_EQ(order[i], i);
    }
}

/* Conformance 162. */
TEST(ThreadPoolThreads, N162_StartOnlyWhenNoneIsIdle)
{
    skua_executor *executor = pool_new(3);
    skua_executor_stats stats;
    std::vector<skua_future *> futures;
    gate gate;

    ASSERT_EQ(skua_executor_get_stats(executor, &stats), 0);
    EXPECT_EQ(stats.workers, 0);
    EXPECT_EQ(stats.max_workers, 3);
    for (int i = 0; i < 6; i++) {
        futures.push_back(submit(executor, pass_gate, &gate));
        ASSERT_EQ(skua_executor_get_stats(executor, &stats), 0);
        EXPECT_EQ(stats.workers, i < 3 ? i + 1 : 3);
        if (i < 3) {
            gate.begun.acquire(); /* it is not idle any more */
        }
    }
    ASSERT_EQ(skua_executor_get_stats(executor, &stats), 0);
    EXPECT_EQ(stats.queued, 3);
    EXPECT_EQ(stats.idle, 0);
    EXPECT_EQ(stats.submitted, 6);
    gate.open.release(6);
    for (auto *future : futures) {
        EXPECT_EQ(await_and_drop(future), 0);
    }
    end(executor);
}

TEST(ThreadPoolThreads, PlainFuturesReuseTheIdleThread)
{
    skua_executor *executor = pool_new(4);
    skua_executor_stats stats;

    for (int i = 0; i < 200; i++) {
        skua_future *future = nullptr;

        ASSERT_EQ(skua_future_new(nullptr, &future), 0);
        ASSERT_EQ(
            executor->submit_bare(executor->self, nothing, nullptr, future), 0);
        ASSERT_EQ(await_and_drop(future), 0);
    }
    ASSERT_EQ(skua_executor_get_stats(executor, &stats), 0);
    EXPECT_EQ(stats.workers, 1);
    end(executor);
}

/* Conformance 157, 158. */
TEST(ThreadPoolCancel, DropsQueuedWorkButNotRunningWork)
{
    skua_executor *executor = pool_new(1);
    std::atomic<int> ran{0};
    gate gate;
    skua_future *running = submit(executor, pass_gate, &gate);
    skua_future *queued = submit(executor, increment, &ran);

    gate.begun.acquire();
    EXPECT_TRUE(skua_future_running(running));
    EXPECT_EQ(skua_future_cancel(running), 0);
    EXPECT_FALSE(skua_future_running(queued));
    EXPECT_EQ(skua_future_cancel(queued), 1);
    EXPECT_EQ(await_and_drop(queued), SKUA_ECANCELED);
    gate.open.release();
    EXPECT_EQ(skua_await(running, nullptr), 0);
    EXPECT_EQ(skua_future_cancel(running), 0);
    skua_future_unref(running);
    end(executor);
    EXPECT_EQ(ran.load(), 0);
}

/* Conformance 158. */
TEST(ThreadPoolCallbacks, RunInlineInOrderAndAtOnceWhenDone)
{
    struct log {
        std::vector<int> order;
        std::thread::id thread;
    } log;
    skua_executor *executor = pool_new(1);
    gate gate;
    skua_future *future = submit(executor, pass_gate, &gate);
    auto note = [](int number) {
        return number == 1
                   ? [](skua_future *, void *arg) {
                         auto *out = static_cast<struct log *>(arg);
                         out->order.push_back(1);
                         out->thread = std::this_thread::get_id();
                     }
                   : +[](skua_future *, void *arg) {
                         static_cast<struct log *>(arg)->order.push_back(2);
                     };
    };

    gate.begun.acquire();
    EXPECT_EQ(skua_future_add_done_callback(future, note(1), &log), 0);
    EXPECT_EQ(skua_future_add_done_callback(future, note(2), &log), 0);
    gate.open.release();
    end(executor);
    ASSERT_EQ(log.order, (std::vector<int>{1, 2}));
    EXPECT_NE(log.thread, std::this_thread::get_id());
    EXPECT_EQ(skua_future_add_done_callback(future, note(1), &log), 0);
    ASSERT_EQ(log.order, (std::vector<int>{1, 2, 1}));
    EXPECT_EQ(log.thread, std::this_thread::get_id());
    skua_future_unref(future);
}

/* Conformance 159. */
TEST(ThreadPoolResult, TimesOutWithoutDisturbingTheWork)
{
    skua_executor *executor = pool_new(1);
    gate gate;
    skua_future *future = submit(executor, pass_gate, &gate);

    EXPECT_EQ(skua_await_until(future, 0, nullptr), -ETIMEDOUT);
    gate.open.release();
    EXPECT_EQ(await_and_drop(future), 0);
    end(executor);
}

/* Conformance 163. */
TEST(ThreadPoolShutdown, RefusesLaterWorkAndMayBeRepeated)
{
    skua_executor *executor = pool_new(2);
    skua_future *future = nullptr;

    EXPECT_EQ(await_and_drop(submit(executor, nothing, nullptr)), 0);
    EXPECT_EQ(skua_executor_shutdown(executor, true, false), 0);
    EXPECT_EQ(skua_executor_submit(executor, nothing, nullptr, &future),
              SKUA_ECLOSED);
    EXPECT_EQ(future, nullptr);
    EXPECT_EQ(skua_executor_shutdown(executor, true, true), 0);
    end(executor);
}

TEST(ThreadPoolShutdown, WithoutWaitingStillFinishesWhatIsQueued)
{
    skua_executor *executor = pool_new(1);
    std::atomic<int> ran{0};
    gate gate;
    skua_future *first = submit(executor, pass_gate, &gate);
    skua_future *second = submit(executor, increment, &ran);

    EXPECT_EQ(skua_executor_shutdown(executor, false, false), 0);
    EXPECT_EQ(ran.load(), 0);
    gate.open.release();
    EXPECT_EQ(await_and_drop(first), 0);
    EXPECT_EQ(await_and_drop(second), 0);
    EXPECT_EQ(ran.load(), 1);
    end(executor);
}

TEST(ThreadPoolShutdown, CancelFuturesWakesWhoWaits)
{
    skua_executor *executor = pool_new(1);
    std::atomic<int> ran{0};
    gate gate;
    skua_future *first = submit(executor, pass_gate, &gate);
    skua_future *second = submit(executor, increment, &ran);
    int status = 0;
    std::thread waiter([&] { status = skua_await(second, nullptr); });

    gate.begun.acquire();
    EXPECT_EQ(skua_executor_shutdown(executor, false, true), 0);
    waiter.join();
    EXPECT_EQ(status, SKUA_ECANCELED);
    skua_future_unref(second);
    gate.open.release();
    EXPECT_EQ(await_and_drop(first), 0);
    end(executor);
    EXPECT_EQ(ran.load(), 0);
}

TEST(ThreadPoolShutdown, FromOwnThreadIsRefusedButCloses)
{
    skua_executor *executor = pool_new(1);
    skua_future *future = submit(
        executor,
        [](void *arg) {
            return skua_executor_shutdown(static_cast<skua_executor *>(arg),
                                          true, false);
        },
        executor);

    EXPECT_EQ(await_and_drop(future), -EDEADLK);
    EXPECT_EQ(skua_executor_submit(executor, nothing, nullptr, nullptr),
              SKUA_ECLOSED);
    end(executor);
}

TEST(ThreadPoolShutdown, TwoThreadsMayWaitAtOnce)
{
    skua_executor *executor = pool_new(2);
    std::atomic<int> ran{0};
    gate gate;
    skua_future *first = submit(executor, pass_gate, &gate);
    auto wait = [&] {
        EXPECT_EQ(skua_executor_shutdown(executor, true, false), 0);
        EXPECT_TRUE(skua_future_done(first));
        ran++;
    };
    std::thread one(wait);
    std::thread two(wait);

    gate.open.release();
    one.join();
    two.join();
    EXPECT_EQ(ran.load(), 2);
    skua_future_unref(first);
    end(executor);
}

struct shutdown_case {
    skua_executor *executor;
    struct gate door;
    skua_task *waiter;
    int status;
};

int shut_down_in_task(void *arg)
{
    auto *test = static_cast<shutdown_case *>(arg);

    test->status = skua_executor_shutdown(test->executor, true, false);
    return test->status;
}

TEST(ThreadPoolShutdown, InATaskSuspendsOnlyTheTask)
{
    shutdown_case test = {pool_new(1), {}, nullptr, 1};
    skua_future *job = submit(test.executor, pass_gate, &test.door);
    auto main_task = [](void *arg) {
        auto *inner = static_cast<shutdown_case *>(arg);
        int status = skua_create_task(shut_down_in_task, inner, &inner->waiter);

        if (status == 0) {
            status = skua_yield();
        }
        inner->door.open.release();
        if (status == 0) {
            status = await_and_drop(inner->waiter);
        }
        return status;
    };

    EXPECT_EQ(skua_run(main_task, &test), 0);
    EXPECT_EQ(test.status, 0);
    EXPECT_EQ(await_and_drop(job), 0);
    end(test.executor);
}

TEST(ThreadPoolShutdown, InATaskCanBeCancelled)
{
    shutdown_case test = {pool_new(1), {}, nullptr, 1};
    skua_future *job = submit(test.executor, pass_gate, &test.door);
    auto main_task = [](void *arg) {
        auto *inner = static_cast<shutdown_case *>(arg);
        int status = skua_create_task(shut_down_in_task, inner, &inner->waiter);

        if (status == 0) {
            status = skua_yield();
        }
        (void)skua_task_cancel(inner->waiter);
        EXPECT_EQ(await_and_drop(inner->waiter), SKUA_ECANCELED);
        return status;
    };

    EXPECT_EQ(skua_run(main_task, &test), 0);
    EXPECT_EQ(test.status, SKUA_ECANCELED);
    EXPECT_EQ(skua_executor_submit(test.executor, nothing, nullptr, nullptr),
              SKUA_ECLOSED);
    test.door.open.release();
    EXPECT_EQ(await_and_drop(job), 0);
    end(test.executor);
}

int shut_down(void *executor)
{
    return skua_executor_shutdown(static_cast<skua_executor *>(executor), true,
                                  false);
}

/* Write all over a stack, and keep it while others take theirs. */
int scribble(void *)
{
    volatile char stack[16384];

    for (volatile char &byte : stack) {
        byte = 0x5a;
    }
    return skua_yield();
}

void ignore_report(skua_loop *, const skua_exception_context *, void *)
{
}

/* The stack on which the task waited is another's when the pool ends. */
TEST(ThreadPoolShutdown, InATaskWhoseLoopIsClosedMeanwhile)
{
    skua_executor *executor = pool_new(1);
    gate work;
    skua_loop *loop = nullptr;

    skua_future_unref(submit(executor, pass_gate, &work));
    work.begun.acquire();
    ASSERT_EQ(skua_loop_new(nullptr, &loop), 0);
    EXPECT_EQ(skua_loop_set_exception_handler(loop, ignore_report, nullptr), 0);
    EXPECT_EQ(skua_loop_create_task(loop, shut_down, executor, nullptr), 0);
    EXPECT_EQ(skua_loop_run_once(loop, 0), 0);
    skua_loop_unref(loop);
    ASSERT_EQ(skua_loop_new(nullptr, &loop), 0);
    for (int i = 0; i < 64; i++) {
        EXPECT_EQ(skua_loop_create_task(loop, scribble, nullptr, nullptr), 0);
    }
    EXPECT_EQ(skua_loop_run_once(loop, 0), 0);
    EXPECT_EQ(skua_loop_run_once(loop, 0), 0);
    skua_loop_unref(loop);
    work.open.release();
    end(executor);
}

TEST(ThreadPoolUnref, LetsQueuedWorkFinish)
{
    skua_executor *executor = pool_new(1);
    std::atomic<int> ran{0};
    gate gate;
    skua_future *first = submit(executor, pass_gate, &gate);
    skua_future *second = submit(executor, increment, &ran);

    skua_executor_unref(executor);
    gate.open.release();
    EXPECT_EQ(await_and_drop(first), 0);
    EXPECT_EQ(await_and_drop(second), 0);
    EXPECT_EQ(ran.load(), 1);
}

TEST(ThreadPoolUnref, InOwnThreadIsAllowed)
{
    skua_executor *executor = pool_new(1);
    skua_future *future = submit(
        executor,
        [](void *arg) {
            skua_executor_unref(static_cast<skua_executor *>(arg));
            return 0;
        },
        executor);

    EXPECT_EQ(await_and_drop(future), 0);
}

/* Conformance 164. */
TEST(ThreadPoolInitializer, FailureBreaksThePool)
{
    gate gate;
    skua_executor *executor = pool_new(
        2,
        [](void *arg) {
            pass_gate(arg);
            return -EIO;
        },
        &gate);
    skua_future *first = submit(executor, nothing, nullptr);
    skua_future *second = submit(executor, nothing, nullptr);
    skua_future *third = submit(executor, nothing, nullptr);

    gate.open.release(2);
    EXPECT_EQ(await_and_drop(first), SKUA_EBROKENPOOL);
    EXPECT_EQ(await_and_drop(second), SKUA_EBROKENPOOL);
    EXPECT_EQ(await_and_drop(third), SKUA_EBROKENPOOL);
    EXPECT_EQ(skua_executor_submit(executor, nothing, nullptr, nullptr),
              SKUA_EBROKENPOOL);
    end(executor);
}

TEST(ThreadPoolInitializer, RunsOnceInEachThread)
{
    std::atomic<int> ran{0};
    skua_executor *executor = pool_new(3, increment, &ran);
    std::vector<skua_future *> futures;
    gate gate;

    for (int i = 0; i < 5; i++) {
        futures.push_back(submit(executor, pass_gate, &gate));
    }
    gate.open.release(5);
    for (auto *future : futures) {
        EXPECT_EQ(await_and_drop(future), 0);
    }
    end(executor);
    EXPECT_EQ(ran.load(), 3);
}

TEST(ThreadPoolStress, ManySubmittersAndAShutdownLoseNothing)
{
    constexpr int kThreads = 4;

    for (int round = 0; round < 20; round++) {
        skua_executor *executor = pool_new(3);
        std::atomic<int> ran{0};
        std::atomic<int> accepted{0};
        std::vector<std::thread> threads;

        for (int t = 0; t < kThreads; t++) {
            threads.emplace_back([&] {
                for (int i = 0; i < 500; i++) {
                    const int status = skua_executor_submit(executor, increment,
                                                            &ran, nullptr);

                    if (status == SKUA_ECLOSED) {
                        return;
                    }
                    ASSERT_EQ(status, 0);
                    accepted++;
                }
            });
        }
        while (round % 2 == 0 && ran.load() < 300) {
            std::this_thread::yield();
        }
        if (round % 2 == 0) {
            EXPECT_EQ(skua_executor_shutdown(executor, true, false), 0);
        }
        for (auto &thread : threads) {
            thread.join();
        }
        end(executor);
        EXPECT_EQ(ran.load(), accepted.load());
    }
}

/* Jobs were short for long, so wakes are spared; now each needs all others. */
TEST(ThreadPoolStress, JobsThatWaitForEachOtherAllRun)
{
    constexpr int kWorkers = 4;
    skua_executor *executor = pool_new(kWorkers);

    for (int round = 0; round < 50; round++) {
        std::atomic<int> ran{0};
        std::latch meeting(kWorkers);
        std::vector<skua_future *> futures;

        for (int i = 0; i < 500; i++) {
            futures.push_back(submit(executor, increment, &ran));
        }
        for (int i = 0; i < kWorkers; i++) {
            futures.push_back(submit(
                executor,
                [](void *arg) {
                    static_cast<std::latch *>(arg)->arrive_and_wait();
                    return 0;
                },
                &meeting));
        }
        for (auto *future : futures) {
            EXPECT_EQ(await_and_drop(future), 0);
        }
        EXPECT_EQ(ran.load(), 500);
    }
    end(executor);
}

/* As above, one at a time: the rest find no submitter that would wake them. */
TEST(ThreadPoolStress, WorkBehindABlockedJobRuns)
{
    skua_executor *executor = pool_new(2);

    for (int round = 0; round < 50; round++) {
        gate gate;
        std::atomic<int> ran{0};
        skua_future *blocked;

        for (int i = 0; i < 100; i++) {
            EXPECT_EQ(await_and_drop(submit(executor, nothing, nullptr)), 0);
        }
        for (int i = 0; i < 40; i++) {
            EXPECT_EQ(skua_executor_submit(executor, increment, &ran, nullptr),
                      0);
        }
        blocked = submit(executor, pass_gate, &gate);
        EXPECT_EQ(await_and_drop(submit(executor, increment, &ran)), 0);
        EXPECT_EQ(ran.load(), 41);
        gate.open.release();
        EXPECT_EQ(await_and_drop(blocked), 0);
    }
    end(executor);
}

TEST(ThreadPoolStress, RacingCancelsResolveEveryFutureOnce)
{
    constexpr int kJobs = 3000;
    skua_executor *executor = pool_new(2);
    std::atomic<int> ran{0};
    std::vector<skua_future *> futures;
    int cancelled = 0;

    for (int i = 0; i < kJobs; i++) {
        futures.push_back(submit(executor, increment, &ran));
        if (i % 2 == 0) {
            cancelled += skua_future_cancel(futures.back());
        }
    }
    for (auto *future : futures) {
        const int status = await_and_drop(future);

        EXPECT_TRUE(status == 0 || status == SKUA_ECANCELED);
    }
    end(executor);
    EXPECT_EQ(ran.load() + cancelled, kJobs);
}

} // namespace
