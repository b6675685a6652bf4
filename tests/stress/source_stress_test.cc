// SPDX-License-Identifier: Apache-2.0
// Loops that look at sources, sleep and end; keepers; publishers that wake
// those only who asked for it. Every job is completed, with no ticks to help:
// the keepers here sleep until they are woken.
#include "../../sched/source.h"

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <skua.h>

#include "../../sched/loop.h"
#include "../conformance/support.h"
#include "seed.h"

namespace
{

constexpr int rounds = conformance::kRaceDetector ? 100 : 300;
constexpr int burst = 8;

/// A source with a worker thread, which publishes what it is given, and a
/// keeper.
class Pool
{
  public:
    explicit Pool(bool ticks)
    {
        static const skui_source_ops ops = {Poll, Arm, Disarm, Wake, nullptr};

        shared_ = std::make_unique<Shared>();
        skui_source_register(&shared_->source, &ops);
        worker_ = std::thread([this] { Work(); });
        keeper_ = std::thread([this, ticks] { Keep(ticks); });
    }
    ~Pool()
    {
        EXPECT_EQ(skui_source_outstanding(&shared_->source), 0u);
        {
            std::scoped_lock guard(shared_->mutex);
            shared_->quits = true;
            shared_->work.notify_all();
        }
        worker_.join();
        Ring(shared_.get());
        keeper_.join();
        skui_source_unregister(&shared_->source);
    }
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

    /// A reference for the caller.
    skua_future *Submit()
    {
        skua_future *future = nullptr;

        EXPECT_EQ(skua_future_new(nullptr, &future), 0);
        skui_source_expect(&shared_->source, 1);
        std::scoped_lock guard(shared_->mutex);
        shared_->given.push_back(skua_future_ref(future));
        shared_->work.notify_one();
        return future;
    }

  private:
    struct Shared {
        skui_source source = {};
        std::mutex mutex;
        std::condition_variable work;
        std::deque<skua_future *> given; // guarded by mutex
        bool quits = false;              // as above
        // What would be in shared memory: a ring of its own, and the word.
        std::array<std::atomic<skua_future *>, 1024> ring = {};
        std::atomic<uint64_t> tail = 0;
        std::atomic<uint64_t> head = 0;
        std::atomic<uint32_t> armed = 0;
        // The keeper's event.
        std::atomic<uint32_t> event = 0;
    };

    static Shared *Of(skui_source *source)
    {
        return reinterpret_cast<Shared *>(source);
    }
    static void Ring(Shared *shared)
    {
        shared->event.fetch_add(1);
        shared->event.notify_all();
    }
    static size_t Poll(skui_source *source)
    {
        Shared *shared = Of(source);
        size_t taken = 0;
        uint64_t head = shared->head.load(std::memory_order_relaxed);

        while (taken < 4 && head != shared->tail.load()) {
            skua_future *future = shared->ring[head % 1024].load();

            shared->head.store(++head);
            skui_source_settle(source, 1);
            EXPECT_EQ(skua_future_set_result(future, nullptr), 0);
            skua_future_unref(future);
            taken++;
        }
        return taken;
    }
    static void Arm(skui_source *source)
    {
        Of(source)->armed.store(1);
    }
    static void Disarm(skui_source *source)
    {
        Of(source)->armed.store(0, std::memory_order_relaxed);
    }
    static void Wake(skui_source *source)
    {
        Ring(Of(source));
    }

    void Publish(skua_future *future)
    {
        Shared *shared = shared_.get();
        uint64_t tail = shared->tail.load(std::memory_order_relaxed);

        while (tail - shared->head.load() == 1024) {
            std::this_thread::yield();
        }
        shared->ring[tail % 1024].store(future);
        shared->tail.store(tail + 1);
        if (shared->armed.load() != 0 && shared->armed.exchange(0) != 0) {
            Ring(shared);
        }
    }
    void Work()
    {
        std::unique_lock lock(shared_->mutex);

        for (;;) {
            shared_->work.wait(lock, [this] {
                return shared_->quits || !shared_->given.empty();
            });
            if (shared_->given.empty()) {
                return;
            }
            skua_future *future = shared_->given.front();
            shared_->given.pop_front();
            lock.unlock();
            Publish(future);
            lock.lock();
        }
    }
    void Keep(bool ticks)
    {
        for (;;) {
            uint32_t event = shared_->event.load();
            int64_t timeout_ns = skui_source_keep(&shared_->source);

            {
                std::scoped_lock guard(shared_->mutex);
                if (shared_->quits) {
                    return;
                }
            }
            if (ticks && timeout_ns != SKUA_FOREVER) {
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            } else {
                shared_->event.wait(event);
            }
        }
    }

    std::unique_ptr<Shared> shared_;
    std::thread worker_;
    std::thread keeper_;
};

struct Storm {
    Pool *pool;
    uint64_t seed;
};

void SubmitAndAwait(Pool *pool, int count)
{
    skua_future *futures[burst];

    for (int i = 0; i < count; i++) {
        futures[i] = pool->Submit();
    }
    for (int i = 0; i < count; i++) {
        EXPECT_EQ(skua_await(futures[i], nullptr), 0);
        skua_future_unref(futures[i]);
    }
}

int Rounds(void *arg)
{
    auto *storm = static_cast<Storm *>(arg);
    stress::Random random(storm->seed);

    for (int i = 0; i < rounds; i++) {
        SubmitAndAwait(storm->pool, 1 + random.below(burst));
        if (random.below(3) == 0) {
            EXPECT_EQ(skua_yield(), 0);
        } else if (random.below(16) == 0) { // so that loops sleep
            EXPECT_EQ(skua_sleep(100000), 0);
        }
    }
    return 0;
}

int ManyRounds(void *arg)
{
    auto *storm = static_cast<Storm *>(arg);
    Storm parts[6];
    skua_task *tasks[6];
    uint64_t seed = storm->seed;

    for (int i = 0; i < 6; i++) {
        parts[i] = {storm->pool, seed++};
        EXPECT_EQ(skua_create_task(Rounds, &parts[i], &tasks[i]), 0);
    }
    for (skua_task *task : tasks) {
        EXPECT_EQ(skua_await(task, nullptr), 0);
        skua_future_unref(task);
    }
    return 0;
}

void RunStorm(Pool *pool, unsigned loops, skua_spin_policy spin, uint64_t seed)
{
    skua_runner_options options = {};
    skua_runner *runner = nullptr;
    Storm storm{pool, seed};

    options.loops = loops;
    options.spin = spin;
    options.spin_ns = 5000;
    options.no_sigint = true;
    ASSERT_EQ(skua_runner_new(&options, &runner), 0);
    EXPECT_EQ(skua_runner_run(runner, ManyRounds, &storm, nullptr), 0);
    EXPECT_EQ(skua_runner_close(runner), 0);
}

} // namespace

/* A job that nobody looks for would never come back: there are no ticks, and
 * loops that are stuck in nothing give their sources up. */
TEST(SourceStress, LoopsThatSleepAndEndLoseNothing)
{
    uint64_t seed = stress::print_seed();
    Pool pool(false);

    for (skua_spin_policy spin :
         {SKUA_SPIN_OFF, SKUA_SPIN_FIXED, SKUA_SPIN_ADAPTIVE}) {
        for (unsigned loops = 1; loops <= 3; loops++) {
            RunStorm(&pool, loops, spin, seed++);
        }
    }
}

TEST(SourceStress, RunnersThatComeAndGoAndPlainThreadsShareASource)
{
    uint64_t seed = stress::print_seed();
    Pool pool(true);
    std::atomic<bool> ends = false;
    std::thread plain([&] {
        while (!ends.load()) {
            SubmitAndAwait(&pool, burst);
        }
    });
    std::vector<std::thread> threads;

    for (int i = 0; i < 2; i++) {
        threads.emplace_back([&pool, seed, i] {
            for (int run = 0; run < 3; run++) {
                RunStorm(&pool, 1 + (run + i) % 2, SKUA_SPIN_FIXED,
                         seed + static_cast<uint64_t>(i * 10 + run));
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    ends = true;
    plain.join();
}

TEST(SourceStress, SourcesComeAndGoWhileLoopsLook)
{
    uint64_t seed = stress::print_seed();
    Pool stays(true);
    std::atomic<bool> ends = false;
    std::thread changing([&] {
        while (!ends.load()) {
            Pool pool(true);

            SubmitAndAwait(&pool, burst);
        }
    });

    RunStorm(&stays, 2, SKUA_SPIN_FIXED, seed);
    RunStorm(&stays, 2, SKUA_SPIN_ADAPTIVE, seed + 1);
    ends = true;
    changing.join();
}
