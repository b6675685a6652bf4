// SPDX-License-Identifier: Apache-2.0
/* An owner that gets stuck now and then, and thieves that revoke its batches:
 * each item runs as often as it should, and the owner's in order. */
#include "sched/membarrier.h"
#include "sched/ready.h"
#include "seed.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace
{

constexpr uint64_t any_ticket = UINT64_MAX;
constexpr size_t count = 60000;
constexpr size_t thieves = 2;

struct Item {
    skui_runnable runnable{};
    /* Plain, all: the race detector checks the hand-over. */
    int left = 1;     /* how often it is to run */
    int runs = 0;     /* how often it has */
    size_t order = 0; /* the owner's, when it queued it */
};

Item *item_of(skui_runnable *runnable)
{
    return SKUI_CONTAINER_OF(runnable, Item, runnable);
}

class Storm
{
  public:
    Storm(skui_ready_barrier barrier, uint64_t seed) : seed_(seed)
    {
        skui_ready_init(&owner_, barrier);
        for (auto &thief : thieves_) {
            skui_ready_init(&thief, barrier);
        }
        for (auto &item : items_) {
            item.left = 1 + static_cast<int>(&item - &items_[0]) % 3;
            total_ += static_cast<size_t>(item.left);
        }
    }

    void run()
    {
        std::vector<std::thread> threads;

        for (size_t i = 0; i < thieves; i++) {
            threads.emplace_back([this, i] { run_thief(i); });
        }
        run_owner();
        for (auto &thread : threads) {
            thread.join();
        }
    }

    void check() const
    {
        for (const auto &item : items_) {
            ASSERT_EQ(item.left, 0);
            ASSERT_EQ(item.runs, 1 + static_cast<int>(&item - &items_[0]) % 3);
        }
        EXPECT_EQ(done_.load(), total_);
        EXPECT_EQ(disorder_, 0u);
        EXPECT_GT(revoked_.load(), 0u);
    }

  private:
    bool is_over() const
    {
        return done_.load() >= total_; /* more is found by check() */
    }

    /* Run it, and again if there is no room to queue it. */
    void run_item(skui_ready *queue, Item *item)
    {
        bool queued = false;

        while (!queued && item->left > 0) {
            item->left--;
            item->runs++;
            if (item->left > 0) {
                queued = push(queue, item);
            }
            done_++;
        }
    }

    bool push(skui_ready *queue, Item *item)
    {
        if (queue == &owner_) {
            item->order = ++pushed_;
        }
        return skui_ready_push_stealable(queue, &item->runnable);
    }

    /* Inside a task: for a moment, or until a thief has come. */
    void stall(stress::Random &random)
    {
        if (random.below(64) == 0) {
            while (skui_ready_has_batch(&owner_)) {
                std::this_thread::yield();
            }
        } else if (random.below(8) == 0) {
            for (int i = random.below(200); i > 0; i--) {
                skui_cpu_relax();
            }
        }
    }

    void run_own(int most, stress::Random &random)
    {
        size_t last = 0;

        for (; most > 0; most--) {
            skui_runnable *runnable = skui_ready_pop(&owner_, any_ticket);

            if (runnable == nullptr) {
                break;
            }
            disorder_ += item_of(runnable)->order <= last;
            last = item_of(runnable)->order;
            stall(random);
            run_item(&owner_, item_of(runnable));
        }
    }

    void run_owner()
    {
        stress::Random random(seed_);

        for (size_t i = 0; i < count;) {
            for (int burst = random.below(100); burst > 0 && i < count;
                 burst--) {
                if (!push(&owner_, &items_[i])) {
                    break;
                }
                i++;
            }
            run_own(random.below(100), random);
        }
        while (!is_over()) {
            run_own(1000, random);
            std::this_thread::yield();
        }
    }

    void run_thief(size_t self)
    {
        stress::Random random(seed_ + 1 + self);
        skui_ready *own = &thieves_[self];

        while (!is_over()) {
            if (random.below(4) == 0) {
                (void)skui_ready_steal(&owner_, own);
            }
            revoked_ += skui_ready_revoke(&owner_, own);
            if (random.below(4) == 0) {
                revoked_ += skui_ready_revoke(&thieves_[1 - self], own);
            }
            while (skui_runnable *runnable = skui_ready_pop(own, any_ticket)) {
                run_item(own, item_of(runnable));
            }
            std::this_thread::yield();
        }
    }

    uint64_t seed_;
    std::vector<Item> items_{count};
    size_t total_ = 0;
    size_t pushed_ = 0;   /* the owner's */
    size_t disorder_ = 0; /* the owner's */
    std::atomic<size_t> done_{0};
    std::atomic<size_t> revoked_{0};
    skui_ready owner_;
    skui_ready thieves_[thieves];
};

class RevokeStress : public testing::TestWithParam<skui_ready_barrier>
{
};

INSTANTIATE_TEST_SUITE_P(Barriers, RevokeStress,
                         testing::Values(SKUI_READY_EXPEDITED,
                                         SKUI_READY_FENCED));

} // namespace

TEST_P(RevokeStress, RunsEachItemOnce)
{
    skui_membarrier_init();
    if (GetParam() == SKUI_READY_EXPEDITED && !skui_membarrier_is_granted()) {
        GTEST_SKIP() << "the system refuses membarrier()";
    }
    auto storm = std::make_unique<Storm>(GetParam(), stress::print_seed());

    storm->run();
    storm->check();
}
