/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storm.h - many tasks on several loops and some threads at one primitive,
 * while the main task cancels the tasks at random.
 */
#ifndef SKUA_TESTS_STRESS_STORM_H
#define SKUA_TESTS_STRESS_STORM_H

#include "../conformance/support.h"
#include "seed.h"

namespace stress
{

using conformance::Future;
using conformance::kRaceDetector;

using Work = std::function<void(Random &)>;

class Storm : public conformance::ConformanceMany
{
  protected:
    /** From within run(): tasks of all loops, every other one pinned. */
    void start_tasks(int count, const Work &work)
    {
        const std::vector<skua_loop *> found = loops();

        for (int i = 0; i < count; i++) {
            const uint64_t seed = random_.next();
            skua_loop *loop = found[static_cast<size_t>(i) % found.size()];

            left_++;
            unstarted_++;
            tasks_.push_back(spawn_on(
                loop,
                [this, work, seed] {
                    Random random(seed);

                    unstarted_--;
                    work(random);
                    left_--;
                    return 0;
                },
                i % 4 < 2));
        }
    }

    void start_threads(int count, const Work &work)
    {
        for (int i = 0; i < count; i++) {
            const uint64_t seed = random_.next();

            left_++;
            threads_.emplace_back([this, work, seed] {
                Random random(seed);

                work(random);
                left_--;
            });
        }
    }

    /** Until all have ended; true for `cancels`: and cancel them meanwhile. */
    void wait_for_all(bool cancels)
    {
        while (left_ > 0) {
            if (cancels && unstarted_ == 0) {
                cancel_any(); /* one that has not started would never */
            }
            EXPECT_EQ(0, skua_yield());
        }
        for (const Future &task : tasks_) {
            (void)skua_await(task.get(), nullptr);
        }
        for (std::thread &thread : threads_) {
            thread.join();
        }
        tasks_.clear();
        threads_.clear();
    }

    void cancel_any()
    {
        const auto count = static_cast<unsigned>(tasks_.size());

        (void)skua_task_cancel(
            tasks_[static_cast<size_t>(random_.below(count))].get());
    }

    /** Mostly none, else soon or past. */
    static int64_t any_deadline(Random &random)
    {
        switch (random.below(8)) {
        case 0:
            return 0;
        case 1:
        case 2:
            return skua_monotonic() + SKUA_US * random.below(100);
        default:
            return SKUA_FOREVER;
        }
    }

    /** Let others go on now and then; a cancel may come here as well. */
    static void pause(Random &random)
    {
        if (random.below(4) == 0 && skua_current_task() != nullptr) {
            (void)skua_yield();
        }
    }

    /** A call that gave nothing must say why, with one of those. */
    static void expect_in_vain(int status)
    {
        EXPECT_TRUE(status == -ETIMEDOUT || status == SKUA_ECANCELED) << status;
    }

    Random random_{print_seed()};
    std::atomic<int> left_ = 0;
    std::atomic<int> unstarted_ = 0;

  private:
    std::vector<Future> tasks_;
    std::vector<std::thread> threads_;
};

} // namespace stress

#endif
