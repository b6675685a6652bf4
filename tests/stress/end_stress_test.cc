/* SPDX-License-Identifier: Apache-2.0 */
/*
 * end_stress_test.cc - what comes just as something ends: requests to cancel a
 * task that returns, children for a group that is being cancelled, SIGINT at
 * the end of a run.
 */
#include <array>
#include <csignal>

#include "../conformance/support.h"
#include "memory.h"
#include "seed.h"

namespace stress
{
namespace
{

using conformance::Body;
using conformance::Future;
using conformance::kRaceDetector;

void spin(int rounds)
{
    for (std::atomic<int> i = 0; i < rounds; i++) {
    }
}

/** A thread that cancels each task it is handed, after a while. */
class Canceller
{
  public:
    Canceller() : thread_([this] { work(); })
    {
    }
    ~Canceller()
    {
        over_ = true;
        thread_.join();
    }
    Canceller(const Canceller &) = delete;
    Canceller &operator=(const Canceller &) = delete;

    void hand(skua_task *task, int spins)
    {
        spins_ = spins;
        result_ = kNone;
        task_ = task;
        while (task_ != nullptr) {
            std::this_thread::yield();
        }
    }

    [[nodiscard]] int result() const
    {
        while (result_ == kNone) {
            std::this_thread::yield();
        }
        return result_;
    }

  private:
    static constexpr int kNone = -1;

    void work()
    {
        while (!over_) {
            skua_task *task = task_;

            if (task == nullptr) {
                std::this_thread::yield();
                continue;
            }
            task_ = nullptr;
            spin(spins_);
            result_ = skua_task_cancel(task);
        }
    }

    std::atomic<bool> over_ = false;
    std::atomic<skua_task *> task_ = nullptr;
    std::atomic<int> spins_ = 0;
    std::atomic<int> result_ = kNone;
    std::thread thread_;
};

class CancelAtTheEnd : public conformance::Harness
{
  protected:
    /* A request that was accepted is honoured; one that was not, came late. */
    void race(const std::function<Future(int)> &start)
    {
        const int rounds = kRaceDetector ? 1000 : 10000;
        const uint64_t seed = print_seed();
        int accepted = 0;

        EXPECT_EQ(0, run([&] {
                      Random random(seed);
                      Canceller canceller;

                      for (int i = 0; i < rounds; i++) {
                          const Future task = start(random.below(300));

                          canceller.hand(task.get(), random.below(600));
                          accepted += race_end(task, canceller);
                      }
                      return 0;
                  }));
        std::printf("%d of %d were accepted\n", accepted, rounds);
    }

  private:
    static int race_end(const Future &task, const Canceller &canceller)
    {
        const int status = skua_await(task.get(), nullptr);
        const int accepted = canceller.result();

        EXPECT_EQ(accepted == 1 ? SKUA_ECANCELED : 0, status);
        EXPECT_EQ(accepted == 1, skua_future_cancelled(task.get()));
        return accepted;
    }
};

/* ENDED: the word of a task that has returned refuses requests. */
TEST_P(CancelAtTheEnd, OfATaskThatReturns)
{
    race([&](int spins) {
        return spawn([spins] {
            const int status = skua_yield();

            spin(spins);
            return status;
        });
    });
}

/* The request goes to what is awaited, or if that has ended to who awaits. */
TEST_P(CancelAtTheEnd, OfWhatTheTaskAwaits)
{
    race([&](int spins) {
        return spawn([this, spins] {
            const Future child = spawn([spins] {
                spin(spins);
                return 0;
            });

            return skua_await(child.get(), nullptr);
        });
    });
}

INSTANTIATE_TEST_SUITE_P(Loops, CancelAtTheEnd, testing::Values(1, 2, 4));

/** A group whose children go on creating siblings until one fails. */
struct Brood {
    skua_task_group group = {};
    std::atomic<int> accepted = 0;
    std::atomic<int> refused = 0;
    std::atomic<bool> failing = false;
    int fail_at = 0;
};

int brood_child(void *arg)
{
    auto *brood = static_cast<Brood *>(arg);

    for (;;) {
        const int status =
            skua_task_group_create_task(&brood->group, brood_child, brood);

        if (status < 0) {
            EXPECT_EQ(SKUA_EINVALSTATE, status);
            brood->refused++;
            return 0;
        }
        if (++brood->accepted >= brood->fail_at &&
            !brood->failing.exchange(true)) {
            return -EIO;
        }
        if (skua_yield() < 0) {
            /* Cancelled: the group is being cancelled, and refuses. */
            continue;
        }
    }
}

class RefusedChildren : public conformance::Harness
{
};

TEST_P(RefusedChildren, LeaveNothingBehind)
{
    const int rounds = kRaceDetector ? 60 : 600;
    const uint64_t seed = print_seed();
    const size_t before = skui_object_outside_depot(SKUI_OBJECT_TASK);
    int refused = 0;

    EXPECT_EQ(0, run([&] {
                  Random random(seed);

                  for (int i = 0; i < rounds; i++) {
                      Brood brood;

                      brood.fail_at = 1 + random.below(60);
                      EXPECT_EQ(0, skua_task_group_create_task(
                                       &brood.group, brood_child, &brood));
                      EXPECT_EQ(SKUA_EGROUP,
                                skua_task_group_join(&brood.group));
                      refused += brood.refused;
                  }
                  return 0;
              }));
    EXPECT_LE(1, refused);
    /* Threads' caches hold a few. */
    EXPECT_LE(skui_object_outside_depot(SKUI_OBJECT_TASK),
              before + 16 * SKUI_MAGAZINE_CAPACITY);
}

INSTANTIATE_TEST_SUITE_P(Loops, RefusedChildren, testing::Values(1, 2, 4));

/** Others that meet tasks at their end: by a list of all, and by callbacks. */
class Onlooker
{
  public:
    /** In a task, which is left alone. */
    Onlooker(skua_loop *loop, uint64_t seed)
        : loop_(loop), owner_(skua_current_task()), random_(seed),
          thread_([this] { look(); })
    {
    }
    ~Onlooker()
    {
        stop();
        EXPECT_EQ(added_, called_);
    }
    Onlooker(const Onlooker &) = delete;
    Onlooker &operator=(const Onlooker &) = delete;

    void stop()
    {
        over_ = true;
        if (thread_.joinable()) {
            thread_.join();
        }
    }

    /** Whether a callback is still to come. */
    [[nodiscard]] bool waits() const
    {
        return called_ < added_;
    }

  private:
    static void count(skua_future *task, void *arg)
    {
        EXPECT_TRUE(skua_future_done(task));
        static_cast<Onlooker *>(arg)->called_++;
    }

    void look()
    {
        skua_task *tasks[64];

        while (!over_) {
            const int64_t found = skua_all_tasks(loop_, tasks, 64);

            for (int64_t i = 0; i < found && i < 64; i++) {
                const Future task(tasks[i]);

                spin(random_.below(50));
                if (task.get() != owner_ && random_.below(3) == 0) {
                    EXPECT_EQ(0, skua_future_add_done_callback(task.get(),
                                                               count, this));
                    added_++;
                }
            }
        }
    }

    skua_loop *const loop_;
    const skua_task *const owner_;
    Random random_; /* the thread's */
    std::atomic<int> added_ = 0;
    std::atomic<int> called_ = 0;
    std::atomic<bool> over_ = false;
    std::thread thread_;
};

struct Sibling {
    int yields;
    int spins;
    int status;
};

int end_soon(void *arg)
{
    const auto *sibling = static_cast<const Sibling *>(arg);

    for (int i = 0; i < sibling->yields; i++) {
        if (skua_yield() == SKUA_ECANCELED) {
            return SKUA_ECANCELED;
        }
    }
    spin(sibling->spins);
    return sibling->status;
}

class WitnessedEnds : public conformance::Harness
{
};

/* RF1: a task that only the runtime refers to ends by itself, unless a
 * sibling's failure, a list of all tasks or a callback gets there first. */
TEST_P(WitnessedEnds, OfChildrenWhoseGroupIsCancelled)
{
    constexpr size_t kChildren = 12;
    const int rounds = kRaceDetector ? 60 : 600;
    const uint64_t seed = print_seed();
    const size_t before = skui_object_outside_depot(SKUI_OBJECT_TASK);

    EXPECT_EQ(0, run([&] {
                  Random random(seed);
                  Onlooker onlooker(loops()[0], random.next());
                  Sibling loner = {1, 100, 0};

                  for (int i = 0; i < rounds; i++) {
                      std::array<Sibling, kChildren> siblings = {};
                      skua_task_group group = {};
                      const bool fails = random.below(2) == 0;

                      for (Sibling &sibling : siblings) {
                          sibling = {random.below(3), random.below(300), 0};
                      }
                      if (fails) {
                          siblings[random.next() % kChildren].status = -EIO;
                      }
                      for (Sibling &sibling : siblings) {
                          const int status = skua_task_group_create_task(
                              &group, end_soon, &sibling);

                          EXPECT_TRUE(status == 0 ||
                                      (fails && status == SKUA_EINVALSTATE));
                      }
                      const int status = skua_task_group_join(&group);

                      EXPECT_TRUE(fails || status == 0) << status;
                      EXPECT_EQ(0, skua_create_task(end_soon, &loner, nullptr));
                      EXPECT_EQ(0, skua_yield());
                  }
                  while (skua_all_tasks(nullptr, nullptr, 0) > 1) {
                      EXPECT_EQ(0, skua_yield()); /* a loner is left */
                  }
                  onlooker.stop();
                  while (onlooker.waits()) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  return 0;
              }));
    /* Threads' caches hold a few. */
    EXPECT_LE(skui_object_outside_depot(SKUI_OBJECT_TASK),
              before + 16 * SKUI_MAGAZINE_CAPACITY);
}

INSTANTIATE_TEST_SUITE_P(Loops, WitnessedEnds, testing::Values(1, 2, 4));

/* SI2: a handler that runs in another thread meets the end of the run. The
 * handler is called as a function there, with SIGINT blocked: what it raises
 * when it comes too late goes away with the thread. */
class SigintAtTheEnd : public testing::TestWithParam<unsigned>
{
  protected:
    using Handler = void (*)(int);

    static void interrupt(const std::atomic<Handler> *handler, int spins)
    {
        sigset_t blocked = {};
        Handler found = nullptr;

        EXPECT_EQ(0, sigemptyset(&blocked));
        EXPECT_EQ(0, sigaddset(&blocked, SIGINT));
        EXPECT_EQ(0, pthread_sigmask(SIG_BLOCK, &blocked, nullptr));
        while ((found = *handler) == nullptr) {
            std::this_thread::yield();
        }
        spin(spins);
        found(SIGINT);
    }
};

struct SigintRun {
    std::atomic<void (*)(int)> handler = nullptr;
    int yields;
};

int tell_handler(void *arg)
{
    auto *round = static_cast<SigintRun *>(arg);
    struct sigaction action = {};

    EXPECT_EQ(0, sigaction(SIGINT, nullptr, &action));
    EXPECT_NE(SIG_DFL, action.sa_handler);
    round->handler = action.sa_handler;
    for (int i = 0; i < round->yields; i++) {
        const int status = skua_yield();

        if (status < 0) {
            return status;
        }
    }
    return 0;
}

TEST_P(SigintAtTheEnd, EitherInterruptsOrComesTooLate)
{
    const int rounds = kRaceDetector ? 200 : 2000;
    Random random(print_seed());
    int interrupted = 0;

    for (int i = 0; i < rounds; i++) {
        SigintRun round;
        skua_runner_options options = {};
        const int spins = random.below(2000);

        round.yields = random.below(60);
        options.loops = GetParam();
        std::thread other([&] { interrupt(&round.handler, spins); });
        const int status =
            skua_run_with(&options, tell_handler, &round, nullptr);
        other.join();
        EXPECT_TRUE(status == 0 || status == -EINTR) << status;
        interrupted += status == -EINTR ? 1 : 0;
        (void)std::signal(SIGINT, SIG_DFL);
    }
    std::printf("%d of %d were interrupted\n", interrupted, rounds);
}

INSTANTIATE_TEST_SUITE_P(Loops, SigintAtTheEnd, testing::Values(1, 2));

} // namespace
} // namespace stress
