// SPDX-License-Identifier: Apache-2.0
// Sources: who looks, who is woken, and that nothing is left between them.
#include "../../../sched/source.h"

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <skua.h>

#include "../../../sched/loop.h"

namespace
{

/// A source whose publisher is a queue of futures.
class Fake
{
  public:
    Fake()
    {
        skui_runtime_init();
        static const skui_source_ops ops = {Poll, Arm, Disarm, Wake, nullptr};

        fake_ = std::make_unique<Shared>();
        skui_source_register(&fake_->source, &ops);
    }
    ~Fake()
    {
        if (fake_) {
            skui_source_unregister(&fake_->source);
        }
    }
    Fake(const Fake &) = delete;
    Fake &operator=(const Fake &) = delete;

    skui_source *source()
    {
        return &fake_->source;
    }
    /// A worker's part: whether that would have written the event.
    bool Publish(skua_future *future)
    {
        std::scoped_lock guard(fake_->mutex);

        fake_->published.push_back(future);
        return fake_->armed.exchange(false);
    }
    void Expect(uint32_t jobs = 1)
    {
        skui_source_expect(&fake_->source, jobs);
    }
    int64_t Keep()
    {
        return skui_source_keep(&fake_->source);
    }
    /// Until the keeper rests; how many turns that took.
    int KeepUntilRest()
    {
        int turns = 1;

        while (Keep() != SKUA_FOREVER) {
            turns++;
            if (turns > 100) {
                break;
            }
        }
        return turns;
    }
    bool IsArmed()
    {
        return fake_->armed.load();
    }
    int Wakes()
    {
        return fake_->wakes.load();
    }
    int Polls()
    {
        return fake_->polls.load();
    }
    /// In each poll, before it looks.
    void SetHook(std::function<void()> hook)
    {
        fake_->hook = std::move(hook);
    }

  private:
    struct Shared {
        skui_source source = {};
        std::mutex mutex;
        std::deque<skua_future *> published; // guarded by mutex
        std::atomic<bool> armed = false;
        std::atomic<int> wakes = 0;
        std::atomic<int> polls = 0;
        std::function<void()> hook;
    };

    static Shared *Of(skui_source *source)
    {
        return reinterpret_cast<Shared *>(source);
    }
    static size_t Poll(skui_source *source)
    {
        Shared *shared = Of(source);
        skua_future *future = nullptr;

        shared->polls++;
        if (shared->hook) {
            shared->hook();
        }
        {
            std::scoped_lock guard(shared->mutex);
            if (shared->published.empty()) {
                return 0;
            }
            future = shared->published.front();
            shared->published.pop_front();
        }
        skui_source_settle(source, 1);
        if (future != nullptr) {
            EXPECT_EQ(skua_future_set_result(future, nullptr), 0);
        }
        return 1;
    }
    static void Arm(skui_source *source)
    {
        Of(source)->armed = true;
    }
    static void Disarm(skui_source *source)
    {
        Of(source)->armed = false;
    }
    static void Wake(skui_source *source)
    {
        Of(source)->wakes++;
    }

    std::unique_ptr<Shared> fake_;
};

/// A loop of one that spins, so that it looks before it sleeps.
class SourceLoop : public testing::Test
{
  protected:
    void SetUp() override
    {
        skua_runner_options options = {};

        options.loops = 1;
        options.no_sigint = true;
        options.spin = SKUA_SPIN_FIXED;
        ASSERT_EQ(skua_runner_new(&options, &runner_), 0);
    }
    void TearDown() override
    {
        EXPECT_EQ(skua_runner_close(runner_), 0);
    }
    int Run(skua_task_fn *fn, void *arg)
    {
        return skua_runner_run(runner_, fn, arg, nullptr);
    }

    skua_runner *runner_ = nullptr;
};

bool IsBusy(skui_source *source)
{
    uint64_t bits = skui_load_seq_cst(&skui_sources_busy);

    return source->number >= 0 && (bits >> source->number & 1) != 0;
}

} // namespace

TEST(Source, StartsArmedAndLeavesLoopsAlone)
{
    Fake fake;

    EXPECT_TRUE(fake.IsArmed());
    EXPECT_FALSE(IsBusy(fake.source()));
    EXPECT_EQ(fake.Wakes(), 0);
}

TEST(Source, TheFirstJobEndsTheKeepersRestOnce)
{
    Fake fake;

    fake.Expect();
    EXPECT_EQ(fake.Wakes(), 1);
    EXPECT_TRUE(IsBusy(fake.source()));
    fake.Expect(3);
    EXPECT_EQ(fake.Wakes(), 1);
    EXPECT_EQ(skui_source_outstanding(fake.source()), 4u);
    skui_source_settle(fake.source(), 4);
}

TEST(Source, WithoutLoopsTheKeeperTakesAllAndStaysArmed)
{
    Fake fake;

    fake.Expect(2);
    EXPECT_TRUE(fake.Publish(nullptr));
    EXPECT_FALSE(fake.Publish(nullptr));
    EXPECT_EQ(fake.Keep(), SKUI_SOURCE_TICK_NS);
    EXPECT_EQ(skui_source_outstanding(fake.source()), 0u);
    EXPECT_TRUE(fake.IsArmed());
}

TEST(Source, WhatComesWhileItIsArmedIsTaken)
{
    Fake fake;
    bool once = true;

    // A publisher that disarms it between the arming and the look.
    fake.SetHook([&] {
        if (std::exchange(once, false)) {
            fake.Publish(nullptr);
        }
    });
    fake.Expect();
    (void)fake.Keep();
    EXPECT_EQ(skui_source_outstanding(fake.source()), 0u);
    EXPECT_TRUE(fake.IsArmed());
}

TEST(Source, TheKeeperRestsWhenNothingMoves)
{
    Fake fake;

    fake.Expect();
    fake.Publish(nullptr);
    EXPECT_EQ(fake.KeepUntilRest(), 1 + SKUI_SOURCE_QUIET_TICKS);
    EXPECT_FALSE(IsBusy(fake.source()));
    EXPECT_TRUE(fake.IsArmed());
    fake.Expect();
    EXPECT_EQ(fake.Wakes(), 2);
    EXPECT_TRUE(IsBusy(fake.source()));
    skui_source_settle(fake.source(), 1);
}

TEST(Source, BesideLongJobsTheKeeperRestsAndLoopsMayLook)
{
    Fake fake;

    fake.Expect();
    EXPECT_EQ(fake.KeepUntilRest(), SKUI_SOURCE_QUIET_TICKS);
    EXPECT_TRUE(IsBusy(fake.source()));
    EXPECT_TRUE(fake.Publish(nullptr)); // it is woken by that
    EXPECT_EQ(fake.Keep(), SKUI_SOURCE_TICK_NS);
    EXPECT_EQ(skui_source_outstanding(fake.source()), 0u);
}

TEST(Source, AJobThatComesWhileTheKeeperLiesDownKeepsItUp)
{
    Fake fake;
    bool armed = false;

    fake.Expect();
    fake.Publish(nullptr);
    for (int i = 0; i < SKUI_SOURCE_QUIET_TICKS; i++) {
        ASSERT_EQ(fake.Keep(), SKUI_SOURCE_TICK_NS);
    }
    fake.SetHook([&] { // in the last look before it rests
        if (!std::exchange(armed, true)) {
            fake.Expect();
        }
    });
    (void)fake.Keep();
    fake.SetHook(nullptr);
    EXPECT_TRUE(IsBusy(fake.source()));
    skui_source_settle(fake.source(), 1);
}

TEST(Source, OneThatLoopsDoNotSeeIsItsKeepers)
{
    std::vector<std::unique_ptr<Fake>> fakes;

    for (int i = 0; i < SKUI_SOURCES_SEEN; i++) {
        fakes.push_back(std::make_unique<Fake>());
        EXPECT_GE(fakes.back()->source()->number, 0);
    }
    Fake unseen;
    EXPECT_EQ(unseen.source()->number, -1);
    unseen.Expect();
    EXPECT_EQ(unseen.Wakes(), 1);
    EXPECT_EQ(skui_load_seq_cst(&skui_sources_busy), 0u);
    EXPECT_TRUE(unseen.Publish(nullptr));
    (void)unseen.Keep();
    EXPECT_EQ(skui_source_outstanding(unseen.source()), 0u);
    fakes.clear();
    Fake seen;
    EXPECT_GE(seen.source()->number, 0);
}

TEST(Source, WhoIsInsideLooksForWhoCannotEnter)
{
    Fake fake;
    std::atomic<bool> inside = false;
    std::atomic<bool> may_leave = false;
    bool first = true;

    fake.Expect(2);
    fake.SetHook([&] {
        if (std::exchange(first, false)) {
            inside = true;
            inside.notify_all();
            may_leave.wait(false);
        }
    });
    std::thread holder([&] { (void)fake.Keep(); });
    inside.wait(false);
    int before = fake.Polls();
    EXPECT_EQ(fake.Keep(), SKUI_SOURCE_TICK_NS); // does not wait
    EXPECT_EQ(fake.Polls(), before);
    may_leave = true;
    may_leave.notify_all();
    holder.join();
    // Its own look and that after it armed; and as much for the other one.
    EXPECT_EQ(fake.Polls(), before - 1 + 4);
    skui_source_settle(fake.source(), 2);
}

TEST(Source, UnregisterWaitsForWhoIsInside)
{
    auto fake = std::make_unique<Fake>();
    std::atomic<bool> inside = false;
    std::atomic<bool> left = false;
    bool first = true;

    fake->SetHook([&] {
        if (std::exchange(first, false)) {
            inside = true;
            inside.notify_all();
            for (int i = 0; i < 100; i++) {
                std::this_thread::yield();
            }
            left = true;
        }
    });
    std::thread holder([&] { (void)skui_source_keep(fake->source()); });
    inside.wait(false);
    skui_source *source = fake->source();
    skui_source_unregister(source);
    EXPECT_TRUE(left.load());
    holder.join();
    static const skui_source_ops none = {
        [](skui_source *) -> size_t { return 0; }, [](skui_source *) {},
        [](skui_source *) {}, [](skui_source *) {}, nullptr};
    skui_source_register(source, &none); // for the destructor
}

TEST(Source, AForkedChildSeesNone)
{
    Fake fake;
    int status = -1;

    fake.Expect();
    ASSERT_TRUE(IsBusy(fake.source()));
    pid_t child = fork();
    if (child == 0) {
        bool is_gone = skui_load_seq_cst(&skui_sources_busy) == 0;
        Fake own;

        own.Expect();
        is_gone = is_gone && own.source()->number == 0 && own.Wakes() == 1;
        _exit(is_gone ? 0 : 1);
    }
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    skui_source_settle(fake.source(), 1);
}

/* --- loops --- */

namespace
{

struct Round {
    Fake *fake;
    std::atomic<bool> woken = false; // the keeper, by a publisher
    std::atomic<bool> awake = false;
};

skua_future *NewFuture()
{
    skua_future *future = nullptr;

    EXPECT_EQ(skua_future_new(nullptr, &future), 0);
    return future;
}

int AwaitOne(void *arg)
{
    auto *round = static_cast<Round *>(arg);
    skua_future *future = NewFuture();

    round->fake->Expect();
    // What comes before a loop has looked wakes the keeper, if armed.
    EXPECT_EQ(skua_yield(), 0);
    EXPECT_FALSE(round->fake->IsArmed());
    round->woken = round->fake->Publish(future);
    EXPECT_EQ(skua_await(future, nullptr), 0);
    skua_future_unref(future);
    return 0;
}

} // namespace

TEST_F(SourceLoop, ThatIsAwakeTakesWhatComesWithoutTheKeeper)
{
    Fake fake;
    Round round{&fake};

    EXPECT_EQ(Run(AwaitOne, &round), 0);
    EXPECT_FALSE(round.woken);
    EXPECT_EQ(skui_source_outstanding(fake.source()), 0u);
    EXPECT_TRUE(fake.IsArmed()); // the loop has ended
    // By the first job; and by who disarmed it, if the keeper rested again.
    EXPECT_EQ(fake.Wakes(), 1);
}

TEST_F(SourceLoop, ThatEndsHandsItBack)
{
    Fake fake;

    fake.Expect();
    EXPECT_EQ(Run([](void *) { return skua_yield() != 0 ? 1 : 0; }, nullptr),
              0);
    EXPECT_TRUE(fake.IsArmed());
    EXPECT_TRUE(fake.Publish(nullptr));
    (void)fake.Keep();
    EXPECT_EQ(skui_source_outstanding(fake.source()), 0u);
}

TEST_F(SourceLoop, ThatSleepsHandsItBack)
{
    Fake fake;
    Round round{&fake};
    skua_future *future = NewFuture();
    std::thread keeper([&] {
        bool asleep = false;

        // The loop disarms it, looks, sleeps, and so arms it.
        round.awake.wait(false);
        while (!asleep) {
            asleep = fake.IsArmed();
            std::this_thread::yield();
        }
        EXPECT_TRUE(fake.Publish(future));
        (void)fake.Keep();
    });

    struct Sleep {
        Round *round;
        skua_future *future;
    } given{&round, future};
    EXPECT_EQ(Run(
                  [](void *arg) {
                      auto *sleep = static_cast<Sleep *>(arg);

                      sleep->round->fake->Expect();
                      EXPECT_EQ(skua_yield(), 0);
                      EXPECT_FALSE(sleep->round->fake->IsArmed());
                      sleep->round->awake = true;
                      sleep->round->awake.notify_all();
                      return skua_await(sleep->future, nullptr);
                  },
                  &given),
              0);
    keeper.join();
    skua_future_unref(future);
}

TEST_F(SourceLoop, WhatCameBeforeItSleepsIsSeen)
{
    Fake fake;
    std::atomic<int> calls = 0;
    skua_future *future = NewFuture();
    struct Last {
        Fake *fake;
        skua_future *future;
    } last{&fake, future};

    // Published when the source is armed already: the look after that finds it,
    // and nobody else would.
    fake.SetHook([&] {
        if (fake.IsArmed() && calls.load() > 0) {
            calls = -1000000;
            (void)fake.Publish(future);
        }
    });
    struct Task {
        Last *last;
        std::atomic<int> *calls;
    } given{&last, &calls};
    EXPECT_EQ(Run(
                  [](void *arg) {
                      auto *task = static_cast<Task *>(arg);

                      task->last->fake->Expect();
                      EXPECT_EQ(skua_yield(), 0);
                      EXPECT_FALSE(task->last->fake->IsArmed());
                      *task->calls = 1;
                      return skua_await(task->last->future, nullptr);
                  },
                  &given),
              0);
    EXPECT_LT(calls.load(), 0);
    fake.SetHook(nullptr);
    skua_future_unref(future);
}

TEST_F(SourceLoop, ThatIsStuckIsReplacedByTheKeeperAfterATick)
{
    Fake fake;

    EXPECT_EQ(Run(
                  [](void *arg) {
                      auto *given = static_cast<Fake *>(arg);

                      given->Expect(2);
                      EXPECT_EQ(skua_yield(), 0);
                      EXPECT_FALSE(given->IsArmed());
                      // This task does not return to its loop for a while.
                      EXPECT_EQ(given->Keep(), SKUI_SOURCE_TICK_NS);
                      EXPECT_FALSE(given->IsArmed()); // the loop looked before
                      EXPECT_FALSE(given->Publish(nullptr));
                      EXPECT_EQ(given->Keep(), SKUI_SOURCE_TICK_NS);
                      EXPECT_EQ(skui_source_outstanding(given->source()), 1u);
                      EXPECT_TRUE(given->IsArmed());
                      EXPECT_TRUE(given->Publish(nullptr));
                      EXPECT_EQ(given->Keep(), SKUI_SOURCE_TICK_NS);
                      EXPECT_EQ(skui_source_outstanding(given->source()), 0u);
                      EXPECT_EQ(skua_yield(), 0); // the loop looks again
                      EXPECT_FALSE(given->IsArmed());
                      return 0;
                  },
                  &fake),
              0);
}

TEST_F(SourceLoop, ThatLooksEndsTheKeepersRest)
{
    Fake fake;

    fake.Expect();
    EXPECT_EQ(fake.KeepUntilRest(), SKUI_SOURCE_QUIET_TICKS);
    EXPECT_EQ(fake.Wakes(), 1);
    EXPECT_EQ(Run([](void *) { return skua_yield(); }, nullptr), 0);
    EXPECT_EQ(fake.Wakes(), 2);
    skui_source_settle(fake.source(), 1);
}

TEST_F(SourceLoop, ThatHasNothingOutstandingDoesNotLook)
{
    Fake fake;
    int before = fake.Polls();

    EXPECT_EQ(Run([](void *) { return skua_yield(); }, nullptr), 0);
    EXPECT_EQ(fake.Polls(), before);
}

TEST_F(SourceLoop, KeepsTheOrderOfWhatWasPublished)
{
    Fake fake;
    std::vector<skua_future *> futures;

    for (int i = 0; i < 100; i++) {
        futures.push_back(NewFuture());
        fake.Expect();
        fake.Publish(futures.back());
    }
    struct Order {
        Fake *fake;
        std::vector<skua_future *> *futures;
    } given{&fake, &futures};
    EXPECT_EQ(Run(
                  [](void *arg) {
                      auto *order = static_cast<Order *>(arg);

                      for (skua_future *future : *order->futures) {
                          EXPECT_EQ(skua_await(future, nullptr), 0);
                      }
                      return 0;
                  },
                  &given),
              0);
    EXPECT_EQ(skui_source_outstanding(fake.source()), 0u);
    for (skua_future *future : futures) {
        skua_future_unref(future);
    }
}
