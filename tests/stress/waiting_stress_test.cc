/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waiting_stress_test.cc - wait, gather, as_completed and shield against
 * completions, cancels and time limits from several loops and threads.
 */
#include <cstring>

#include "../conformance/support.h"
#include "seed.h"

namespace stress
{
namespace
{

using conformance::as_int;
using conformance::as_pointer;
using conformance::Future;
using conformance::kRaceDetector;
using conformance::make_future;

constexpr int kFutures = 12;

/** Futures of one round; each is completed once, by whoever comes first. */
struct Round {
    Future futures[kFutures];
    std::atomic<int> values = 0;
    std::atomic<int> errors = 0;
    std::atomic<int> cancels = 0;

    Round()
    {
        for (Future &future : futures) {
            future = make_future();
        }
    }

    void complete(int index, int choice)
    {
        skua_future *future = futures[index].get();

        if (choice < 6) {
            values += skua_future_set_result(future, as_pointer(index)) == 0;
        } else if (choice < 8) {
            errors += skua_future_set_error(future, -EIO) == 0;
        } else {
            cancels += skua_future_cancel(future) == 1;
        }
    }

    void complete_all(Random &random)
    {
        const int first = random.below(kFutures);

        for (int i = 0; i < kFutures; i++) {
            complete((first + i) % kFutures, random.below(9));
        }
    }

    std::vector<skua_future *> list() const
    {
        std::vector<skua_future *> list;

        for (const Future &future : futures) {
            list.push_back(future.get());
        }
        return list;
    }

    /** The futures as awaitables, the first one twice. */
    std::vector<skua_awaitable> awaitables() const
    {
        std::vector<skua_awaitable> awaitables;

        for (skua_future *future : list()) {
            awaitables.push_back(skua_awaitable_future(future));
        }
        awaitables.push_back(awaitables.front());
        return awaitables;
    }

    /** Nobody need hear of these errors. */
    ~Round()
    {
        for (const Future &future : futures) {
            (void)skua_future_cancel(future.get());
        }
    }
};

class WaitStorm : public conformance::Harness
{
  protected:
    /** Run `round` many times as the main task. */
    void rounds(int count, const std::function<void(Random &)> &round)
    {
        const uint64_t seed = print_seed();

        EXPECT_EQ(0, run([&] {
                      Random random(seed);

                      for (int i = 0; i < count; i++) {
                          round(random);
                      }
                      return 0;
                  }));
        EXPECT_EQ(0U, reports_.size());
    }

    void join(const std::vector<Future> &tasks)
    {
        for (const Future &task : tasks) {
            EXPECT_EQ(0, skua_await(task.get(), nullptr));
        }
    }

    /** Tasks that complete all futures, each from its own place. */
    void start_completers(std::vector<Future> &tasks, Round &round,
                          Random &random)
    {
        for (int k = 0; k < 2; k++) {
            const uint64_t seed = random.next();

            tasks.push_back(spawn([&round, seed] {
                Random own(seed);

                for (int i = own.below(4); i > 0; i--) {
                    EXPECT_EQ(0, skua_yield());
                }
                round.complete_all(own);
                return 0;
            }));
        }
    }
};

/* --- wait --- */

void check_wait(const Round &round, skua_return_when when, int64_t timeout_ns)
{
    const std::vector<skua_future *> list = round.list();
    bool done[kFutures];
    const int status = skua_wait(list.data(), kFutures, timeout_ns, when, done);
    int count = 0;

    if (status == SKUA_ECANCELED) {
        return;
    }
    for (int i = 0; i < kFutures; i++) {
        EXPECT_TRUE(!done[i] || skua_future_done(list[i]));
        count += done[i] ? 1 : 0;
    }
    EXPECT_EQ(status, count);
    if (timeout_ns == SKUA_FOREVER) {
        EXPECT_LE(1, status);
        EXPECT_TRUE(when != SKUA_ALL_COMPLETED || status == kFutures);
    }
}

TEST_P(WaitStorm, WaitsAreCancelledWhileTheirFuturesComplete)
{
    rounds(kRaceDetector ? 150 : 1500, [&](Random &random) {
        Round round;
        std::vector<Future> tasks;
        std::vector<Future> waiters;

        for (int k = 0; k < 6; k++) {
            const auto when = static_cast<skua_return_when>(random.below(3));
            const int64_t timeout_ns =
                random.below(3) == 0 ? random.below(40000) : SKUA_FOREVER;

            waiters.push_back(spawn([&round, when, timeout_ns] {
                check_wait(round, when, timeout_ns);
                return 0;
            }));
        }
        start_completers(tasks, round, random);
        for (int k = 0; k < 3; k++) {
            skua_future *waiter =
                waiters[static_cast<size_t>(random.below(6))].get();

            tasks.push_back(spawn([waiter] {
                (void)skua_task_cancel(waiter);
                return 0;
            }));
        }
        join(tasks);
        for (const Future &waiter : waiters) {
            const int status = skua_await(waiter.get(), nullptr);

            EXPECT_TRUE(status == 0 || status == SKUA_ECANCELED);
        }
        EXPECT_EQ(kFutures, round.values + round.errors + round.cancels);
    });
}

/* --- gather --- */

/** Gathers a round's futures and some functions. */
class Gathered
{
  public:
    explicit Gathered(const Round &round) : awaitables_(round.awaitables())
    {
    }

    void add(skua_awaitable awaitable)
    {
        awaitables_.push_back(awaitable);
    }

    void start(bool return_exceptions)
    {
        const skua_gather_options options = {return_exceptions, false};
        skua_future *gather = nullptr;

        results_.resize(awaitables_.size());
        EXPECT_EQ(0, skua_gather(awaitables_.data(), awaitables_.size(),
                                 &options, results_.data(), &gather));
        gather_.reset(gather);
    }

    skua_future *get() const
    {
        return gather_.get();
    }

    /** How many children have ended with one of these statuses. */
    int count(int status) const
    {
        int found = 0;

        for (int i = 0; i < kFutures; i++) {
            const skua_gather_result &result = results_[static_cast<size_t>(i)];

            found += result.done && result.status == status ? 1 : 0;
        }
        return found;
    }

    /** Every result is what its child has come to. */
    void check(bool all)
    {
        for (size_t i = 0; i < results_.size(); i++) {
            const skua_gather_result &result = results_[i];
            skua_future *child = awaitables_[i].future;

            EXPECT_TRUE(result.done || !all);
            if (!result.done) {
                EXPECT_EQ(SKUA_EINVALSTATE, result.status);
                EXPECT_EQ(nullptr, result.value);
            } else if (child != nullptr) {
                void *value = nullptr;

                EXPECT_EQ(skua_future_result(child, &value), result.status);
                EXPECT_EQ(value, result.value);
            }
        }
        /* What is not in is never written. */
        std::memset(results_.data(), 0x5a,
                    results_.size() * sizeof(results_[0]));
    }

    bool is_untouched() const
    {
        const auto *bytes =
            reinterpret_cast<const unsigned char *>(results_.data());

        for (size_t i = 0; i < results_.size() * sizeof(results_[0]); i++) {
            if (bytes[i] != 0x5a) {
                return false;
            }
        }
        return true;
    }

  private:
    std::vector<skua_awaitable> awaitables_;
    std::vector<skua_gather_result> results_;
    Future gather_;
};

TEST_P(WaitStorm, GathersFailWhileTheirChildrenEnd)
{
    rounds(kRaceDetector ? 200 : 2000, [&](Random &random) {
        Round round;
        const bool returns = random.below(2) == 0;
        /* Children that were let go outlive the round. */
        const auto children = std::make_shared<std::atomic<int>>(0);
        std::vector<Future> tasks;
        Gathered gathered(round);
        int status;

        for (int k = 0; k < 3; k++) {
            gathered.add(call([children] {
                (void)skua_yield();
                (*children)++;
                return 0;
            }));
        }
        gathered.start(returns);
        start_completers(tasks, round, random);
        if (random.below(3) == 0) {
            tasks.push_back(spawn([&] {
                (void)skua_future_cancel(gathered.get());
                return 0;
            }));
        }
        status = skua_await(gathered.get(), nullptr);
        EXPECT_TRUE(status == 0 || status == SKUA_ECANCELED ||
                    (status == -EIO && !returns));
        gathered.check(status == 0);
        join(tasks);
        EXPECT_TRUE(status < 0 || *children == 3);
        EXPECT_TRUE(gathered.is_untouched());
        for (const Future &future : round.futures) {
            EXPECT_TRUE(skua_future_done(future.get()));
        }
    });
}

/** A tree of gathers: leaves sleep until they are cancelled. */
struct Tree {
    std::atomic<int> leaves = 0;
    std::atomic<int> ended = 0;

    int grow(int depth)
    {
        Tree *self = this;
        struct Branch {
            Tree *tree;
            int depth;
        } branch = {self, depth - 1};
        skua_awaitable awaitables[3];
        skua_gather_result results[3];
        skua_future *gather = nullptr;
        int status;

        if (depth == 0) {
            leaves++;
            status = skua_sleep(SKUA_FOREVER);
            ended++;
            return status;
        }
        for (skua_awaitable &awaitable : awaitables) {
            awaitable = skua_awaitable_call(
                [](void *arg) {
                    const Branch *down = static_cast<Branch *>(arg);

                    return down->tree->grow(down->depth);
                },
                &branch);
        }
        EXPECT_EQ(0, skua_gather(awaitables, 3, nullptr, results, &gather));
        status = skua_await(gather, nullptr);
        for (const skua_gather_result &result : results) {
            EXPECT_TRUE(result.done);
            EXPECT_EQ(SKUA_ECANCELED, result.status);
        }
        skua_future_unref(gather);
        return status;
    }
};

TEST_P(WaitStorm, TreesOfGathersAreCancelledFromSeveralPlaces)
{
    constexpr int kLeaves = 81;

    rounds(kRaceDetector ? 10 : 100, [&](Random &) {
        Tree tree;
        std::vector<Future> tasks;
        Future top = spawn([&] { return tree.grow(4); });

        while (tree.leaves < kLeaves) {
            EXPECT_EQ(0, skua_yield());
        }
        for (int k = 0; k < 3; k++) {
            tasks.push_back(spawn([&] {
                (void)skua_task_cancel(top.get());
                return 0;
            }));
        }
        EXPECT_EQ(SKUA_ECANCELED, skua_await(top.get(), nullptr));
        join(tasks);
        EXPECT_EQ(kLeaves, tree.ended);
    });
}

/* --- as_completed --- */

TEST_P(WaitStorm, EachCompletionIsHandedOutOnce)
{
    rounds(kRaceDetector ? 150 : 1500, [&](Random &random) {
        Round round;
        std::atomic<int> handed[kFutures] = {};
        std::atomic<int> count = 0;
        std::vector<Future> tasks;
        std::vector<Future> takers;
        const std::vector<skua_awaitable> awaitables = round.awaitables();
        skua_as_completed completed;

        EXPECT_EQ(kFutures,
                  skua_as_completed_init(&completed, awaitables.data(),
                                         awaitables.size(), SKUA_FOREVER));
        for (int k = 0; k < 3; k++) {
            takers.push_back(spawn([&] {
                skua_future *future = nullptr;
                int status;

                while ((status = skua_as_completed_next(&completed, &future)) ==
                       1) {
                    for (int i = 0; i < kFutures; i++) {
                        handed[i] += round.futures[i].get() == future;
                    }
                    EXPECT_TRUE(skua_future_done(future));
                    count++;
                }
                EXPECT_TRUE(status == 0 || status == SKUA_ECANCELED);
                return 0;
            }));
        }
        tasks.push_back(spawn([&] {
            (void)skua_task_cancel(takers[0].get());
            return 0;
        }));
        start_completers(tasks, round, random);
        join(tasks);
        for (const Future &taker : takers) {
            (void)skua_await(taker.get(), nullptr);
        }
        /* What a cancelled one gave back is still there, with its place. */
        for (skua_future *future = nullptr;
             skua_as_completed_next(&completed, &future) == 1;) {
            for (int i = 0; i < kFutures; i++) {
                handed[i] += round.futures[i].get() == future;
            }
            count++;
        }
        EXPECT_EQ(kFutures, count);
        for (const std::atomic<int> &times : handed) {
            EXPECT_EQ(1, times);
        }
        skua_as_completed_fini(&completed);
    });
}

TEST_P(WaitStorm, IteratorsEndWhileTheirFuturesComplete)
{
    rounds(kRaceDetector ? 200 : 2000, [&](Random &random) {
        Round round;
        std::vector<Future> tasks;
        const std::vector<skua_awaitable> awaitables = round.awaitables();

        start_completers(tasks, round, random);
        for (int k = 0; k < 2; k++) {
            const int take = random.below(kFutures);
            const int64_t timeout_ns = random.below(50000);

            tasks.push_back(spawn([&awaitables, take, timeout_ns] {
                skua_as_completed completed;
                skua_future *future = nullptr;

                EXPECT_EQ(kFutures, skua_as_completed_init(
                                        &completed, awaitables.data(),
                                        awaitables.size(), timeout_ns));
                for (int i = 0; i < take; i++) {
                    const int status =
                        skua_as_completed_next(&completed, &future);

                    EXPECT_TRUE(status == 1 || status == -ETIMEDOUT);
                }
                skua_as_completed_fini(&completed);
                std::memset(&completed, 0x5a, sizeof(completed));
                return 0;
            }));
        }
        join(tasks);
    });
}

/* --- shield --- */

TEST_P(WaitStorm, ShieldsAreCancelledWhileTheInnerEnds)
{
    rounds(kRaceDetector ? 300 : 3000, [&](Random &random) {
        Future inner = make_future();
        const bool cancels_inner = random.below(4) == 0;
        std::atomic<int> read = 0;
        std::vector<Future> tasks;

        for (int k = 0; k < 5; k++) {
            const bool cancels = random.below(2) == 0;

            tasks.push_back(spawn([&, cancels] {
                skua_future *made = nullptr;
                Future outer;
                void *value = nullptr;
                int status;

                EXPECT_EQ(
                    0, skua_shield(skua_awaitable_future(inner.get()), &made));
                outer.reset(made);
                if (cancels && made != inner.get()) {
                    (void)skua_future_cancel(made);
                }
                status = skua_await(outer.get(), &value);
                EXPECT_TRUE((status == 0 && as_int(value) == 7) ||
                            status == SKUA_ECANCELED);
                EXPECT_TRUE(status == 0 || cancels || cancels_inner);
                read++;
                return 0;
            }));
        }
        if (cancels_inner) {
            EXPECT_EQ(1, skua_future_cancel(inner.get()));
        } else {
            EXPECT_EQ(0, skua_future_set_result(inner.get(), as_pointer(7)));
        }
        join(tasks);
        EXPECT_EQ(5, read);
    });
}

/* --- plain threads --- */

TEST(WaitStormThreads, ThreadsWaitForFuturesThatThreadsComplete)
{
    const int rounds = kRaceDetector ? 150 : 1500;
    const uint64_t seed = print_seed();
    Random random(seed);

    for (int i = 0; i < rounds; i++) {
        Round round;
        std::vector<std::thread> threads;

        for (int k = 0; k < 3; k++) {
            const auto when = static_cast<skua_return_when>(random.below(3));
            const int64_t timeout_ns =
                random.below(3) == 0 ? random.below(40000) : SKUA_FOREVER;

            threads.emplace_back([&round, when, timeout_ns] {
                check_wait(round, when, timeout_ns);
            });
        }
        round.complete_all(random);
        for (std::thread &thread : threads) {
            thread.join();
        }
        EXPECT_EQ(kFutures, round.values + round.errors + round.cancels);
    }
}

TEST(WaitStormThreads, EachCompletionIsHandedOutOnce)
{
    const int rounds = kRaceDetector ? 150 : 1500;
    const uint64_t seed = print_seed();
    Random random(seed);

    for (int i = 0; i < rounds; i++) {
        Round round;
        std::atomic<int> count = 0;
        std::vector<std::thread> threads;
        const std::vector<skua_awaitable> awaitables = round.awaitables();
        skua_as_completed completed;

        EXPECT_EQ(kFutures,
                  skua_as_completed_init(&completed, awaitables.data(),
                                         awaitables.size(), SKUA_FOREVER));
        for (int k = 0; k < 2; k++) {
            threads.emplace_back([&] {
                skua_future *future = nullptr;

                while (skua_as_completed_next(&completed, &future) == 1) {
                    EXPECT_TRUE(skua_future_done(future));
                    count++;
                }
            });
        }
        round.complete_all(random);
        for (std::thread &thread : threads) {
            thread.join();
        }
        EXPECT_EQ(kFutures, count);
        skua_as_completed_fini(&completed);
    }
}

TEST(WaitStormThreads, WrappersAreCancelledWhileTheWorkEnds)
{
    const int rounds = kRaceDetector ? 300 : 3000;
    const uint64_t seed = print_seed();
    Random random(seed);
    conformance::Loop loop;
    skua_executor *executor = nullptr;

    ASSERT_EQ(0, skua_thread_pool_executor_new(nullptr, &executor));
    for (int i = 0; i < rounds; i++) {
        skua_future *source = nullptr;
        skua_future *wrapper = nullptr;
        bool cancelled;

        ASSERT_EQ(0, skua_executor_submit(
                         executor, [](void *) { return 3; }, nullptr, &source));
        ASSERT_EQ(0, skua_wrap_future(loop, source, &wrapper));
        for (int spins = random.below(2000); spins > 0; spins--) {
            std::atomic_signal_fence(std::memory_order_seq_cst);
        }
        cancelled = skua_future_cancel(wrapper) == 1;
        EXPECT_EQ(cancelled ? SKUA_ECANCELED : 3, skua_await(wrapper, nullptr));
        skua_future_unref(wrapper);
        skua_future_unref(source);
    }
    EXPECT_EQ(0, skua_executor_shutdown(executor, true, false));
    skua_executor_unref(executor);
}

INSTANTIATE_TEST_SUITE_P(Loops, WaitStorm, testing::Values(1, 2, 4));

} // namespace
} // namespace stress
