/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer_stress_test.cc - timers fire while several threads cancel them and let
 * go of them: each ends exactly once, and every handle is given back.
 */
#include "../conformance/support.h"
#include "sched/memory.h"
#include "seed.h"

namespace stress
{
namespace
{

using conformance::kRaceDetector;

constexpr int kTimers = kRaceDetector ? 10000 : 100000;
constexpr int kStartedAtOnce = 20;
constexpr int kThreads = 3;

struct Alarm {
    std::atomic<int> ended = 0;
    std::atomic<int> *left = nullptr;
    skua_loop *loop = nullptr;

    void end()
    {
        ended++;
        if (left->fetch_sub(1) == 1) {
            EXPECT_EQ(0, skua_loop_stop(loop));
        }
    }
};

void ring(void *arg)
{
    static_cast<Alarm *>(arg)->end();
}

/** A handle with a reference of the receiver's. */
struct Held {
    skua_handle *handle;
    Alarm *alarm;
};

/* Cancel some, then let go. */
void finish(const Held &held, Random *random)
{
    if (random->below(3) == 0 && skua_handle_cancel(held.handle) == 1) {
        held.alarm->end();
    }
    if (random->below(4) == 0) {
        skua_handle_unref(skua_handle_ref(held.handle));
    }
    skua_handle_unref(held.handle);
}

/** A thread that finishes what it is given. */
class Finisher
{
  public:
    void give(const Held &held)
    {
        const std::scoped_lock lock(mutex_);
        given_.push_back(held);
    }

    void run(uint64_t seed)
    {
        Random random(seed);
        std::vector<Held> taken;

        for (bool last = false; !last;) {
            last = over_;
            {
                const std::scoped_lock lock(mutex_);
                taken.swap(given_);
            }
            for (const Held &held : taken) {
                finish(held, &random);
            }
            taken.clear();
            std::this_thread::yield();
        }
    }

    void end()
    {
        over_ = true;
    }

  private:
    std::mutex mutex_;
    std::vector<Held> given_;
    std::atomic<bool> over_ = false;
};

/** Starts all timers, some in each iteration of the loop. */
struct Starter {
    skua_loop *loop;
    std::vector<Alarm> alarms = std::vector<Alarm>(kTimers);
    std::vector<Finisher> finishers = std::vector<Finisher>(kThreads);
    std::atomic<int> left = kTimers;
    Random random;
    int started = 0;

    Starter(skua_loop *of, uint64_t seed) : loop(of), random(seed)
    {
    }

    void start(Alarm *alarm)
    {
        const int64_t delay_ns = random.below(200000) - 1000;
        skua_handle *handle = nullptr;
        const bool wanted = random.below(8) != 0;

        alarm->left = &left;
        alarm->loop = loop;
        ASSERT_EQ(0, skua_loop_call_later(loop, delay_ns, ring, alarm,
                                          wanted ? &handle : nullptr));
        if (!wanted) {
            return;
        }
        for (int i = random.below(kThreads + 1); i > 0; i--) {
            finishers[i - 1].give({skua_handle_ref(handle), alarm});
        }
        finish({handle, alarm}, &random);
    }
};

void start_some(void *arg)
{
    auto *starter = static_cast<Starter *>(arg);

    for (int i = 0; i < kStartedAtOnce; i++) {
        starter->start(&starter->alarms[starter->started++]);
    }
    if (starter->started < kTimers) {
        ASSERT_EQ(0, skua_loop_call_soon(starter->loop, start_some, starter,
                                         nullptr));
    }
}

TEST(TimerStorm, EachEndsOnceAndItsHandleComesBack)
{
    const uint64_t seed = print_seed();
    conformance::Loop loop;
    Starter starter(loop, seed);
    std::vector<std::thread> threads;

    for (int i = 0; i < kThreads; i++) {
        threads.emplace_back(&Finisher::run, &starter.finishers[i],
                             seed + 1 + static_cast<uint64_t>(i));
    }
    ASSERT_EQ(0, skua_loop_call_soon(loop, start_some, &starter, nullptr));
    ASSERT_EQ(0, skua_loop_run_forever(loop));
    for (Finisher &finisher : starter.finishers) {
        finisher.end();
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    /* Cancelled ones may still be queued. */
    ASSERT_EQ(0, skua_loop_run_once(loop, 0));
    EXPECT_EQ(0, starter.left);
    for (const Alarm &alarm : starter.alarms) {
        ASSERT_EQ(1, alarm.ended);
    }
    /* What this thread keeps for itself may be outside. */
    EXPECT_GE(2u * SKUI_MAGAZINE_CAPACITY,
              skui_object_outside_depot(SKUI_OBJECT_TIMER_HANDLE));
}

} // namespace
} // namespace stress
