/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch_stress_test.cc - tasks that their loop watches (task.h, WATCHED) are
 * woken and cancelled just as the loop goes on, stops or is left.
 */
#include <poll.h>

#include "../conformance/support.h"
#include "loop.h"
#include "seed.h"

namespace stress
{
namespace
{

using conformance::as_int;
using conformance::as_pointer;
using conformance::await_int;
using conformance::Future;
using conformance::kRaceDetector;
using conformance::make_future;

void spin(int rounds)
{
    for (std::atomic<int> i = 0; i < rounds; i++) {
    }
}

/* --- a loop that others embed or stop --- */

/** One task that waits again and again, and a thread that ends each wait. */
class Server
{
  public:
    Server(skua_loop *loop, uint64_t seed, int rounds)
        : rounds_(rounds), task_random_(seed), random_(seed + 1)
    {
        skua_task *task = nullptr;

        EXPECT_EQ(0, skua_loop_create_task(loop, serve, this, &task));
        task_.reset(task);
        thread_ = std::thread([this] { end_waits(); });
    }
    ~Server()
    {
        thread_.join();
        EXPECT_EQ(0, skua_future_result(task_.get(), nullptr));
        EXPECT_EQ(rounds_, ended_);
    }
    Server(const Server &) = delete;
    Server &operator=(const Server &) = delete;

    [[nodiscard]] bool over() const
    {
        return skua_future_done(task_.get());
    }

  private:
    static int serve(void *arg)
    {
        auto *self = static_cast<Server *>(arg);

        for (int i = 0; i < self->rounds_; i++) {
            self->wait_once(i);
        }
        return 0;
    }

    /* In the list of the future, by a claim, or without a future. */
    void wait_once(int number)
    {
        const Future future = make_future();
        const int kind = task_random_.below(3);
        void *value = nullptr;
        int status;

        sleeps_ = kind == 2;
        future_ = skua_future_ref(future.get());
        if (kind == 0) {
            status = skua_await(future.get(), &value);
        } else if (kind == 1) {
            status = skua_await_until(future.get(),
                                      skua_monotonic() + 3600 * SKUA_S, &value);
        } else {
            status = skua_sleep(3600 * SKUA_S);
        }
        if (status == 0) {
            EXPECT_EQ(number, as_int(value));
        } else {
            EXPECT_EQ(SKUA_ECANCELED, status);
            EXPECT_EQ(0, skua_task_uncancel(task_.get()));
        }
    }

    void end_waits()
    {
        while (ended_ < rounds_) {
            const Future future(future_.exchange(nullptr));

            if (future == nullptr) {
                std::this_thread::yield();
                continue;
            }
            spin(random_.below(400));
            if (sleeps_ || random_.below(4) == 0) {
                EXPECT_EQ(1, skua_task_cancel(task_.get()));
            } else {
                EXPECT_EQ(0, skua_future_set_result(future.get(),
                                                    as_pointer(ended_)));
            }
            ended_++;
        }
    }

    const int rounds_;
    Random task_random_; /* the task's */
    Random random_;      /* the thread's, as `ended_` */
    int ended_ = 0;
    Future task_;
    std::atomic<bool> sleeps_ = false;
    std::atomic<skua_future *> future_ = nullptr;
    std::thread thread_;
};

/** It spins before it sleeps, and watches while it spins. */
void always_spin(skua_loop *loop, int64_t spin_ns)
{
    loop->idle.policy = SKUA_SPIN_FIXED;
    loop->idle.spin_ns = spin_ns;
}

/** As a program does that embeds the loop: sleep when there is nothing. */
void wait_outside(skua_loop *loop)
{
    struct pollfd ready = {skua_loop_get_fd(loop), POLLIN, 0};

    if (skua_loop_next_deadline(loop) > skua_monotonic()) {
        EXPECT_EQ(1, poll(&ready, 1, -1));
    }
}

TEST(WatchStorm, ALoopThatIsEmbedded)
{
    const int rounds = kRaceDetector ? 2000 : 10000;
    const uint64_t seed = print_seed();
    conformance::Loop loop;
    Random random(seed);

    always_spin(loop, 20000);
    const Server server(loop, seed, rounds);
    while (!server.over()) {
        ASSERT_EQ(0, skua_loop_run_once(loop, random.below(3) * 20000));
        if (!server.over()) {
            wait_outside(loop);
        }
    }
}

TEST(WatchStorm, ALoopThatIsStopped)
{
    const int rounds = kRaceDetector ? 2000 : 10000;
    const uint64_t seed = print_seed();
    conformance::Loop loop;

    always_spin(loop, 20000);
    const Server server(loop, seed, rounds);
    std::thread stopper([&, random = Random(seed)]() mutable {
        while (!server.over()) {
            spin(random.below(4000));
            EXPECT_EQ(0, skua_loop_stop(loop));
            std::this_thread::yield();
        }
        EXPECT_EQ(0, skua_loop_stop(loop));
    });
    while (!server.over()) {
        ASSERT_EQ(0, skua_loop_run_forever(loop));
    }
    stopper.join();
}

/* --- a runner --- */

/** Two players, each of which answers the other. */
struct Match {
    std::vector<Future> balls;
    std::vector<Future> players;
};

int play(Match &match, size_t player)
{
    for (size_t i = 0; i < match.balls.size(); i++) {
        skua_future *ball = match.balls[i].get();

        if (i % 2 == player) {
            EXPECT_EQ(0, skua_future_set_result(ball, as_pointer(1)));
        } else {
            EXPECT_EQ(1, await_int(ball));
        }
    }
    return 0;
}

class WatchStormLoops : public conformance::Harness
{
  protected:
    skua_runner *new_spinning_runner()
    {
        skua_runner_options options = {};
        skua_runner *runner = nullptr;

        options.loops = GetParam();
        options.no_sigint = true;
        options.spin = SKUA_SPIN_FIXED;
        options.spin_ns = 20000;
        EXPECT_EQ(0, skua_runner_new(&options, &runner));
        return runner;
    }

    int run_on(skua_runner *runner, conformance::Body body)
    {
        return skua_runner_run(runner, conformance::run_body,
                               keeper_.body(std::move(body)), nullptr);
    }

    void start(Match &match, bool pinned)
    {
        for (size_t player = 0; player < 2; player++) {
            match.players.push_back(spawn_on(
                loops()[player % loops().size()],
                [&match, player] { return play(match, player); }, pinned));
        }
    }
};

TEST_P(WatchStormLoops, ARunnerThatRunsAndRests)
{
    const size_t volleys = kRaceDetector ? 1000 : 6000;
    Random random(print_seed());
    skua_runner *runner = new_spinning_runner();
    Match matches[2];

    EXPECT_EQ(0, run_on(runner, [&] {
                  for (Match &match : matches) {
                      for (size_t i = 0; i < volleys; i++) {
                          match.balls.push_back(make_future());
                      }
                      start(match, &match == &matches[0]);
                  }
                  return 0;
              }));
    for (size_t next = 0; next < volleys; next += random.below(100)) {
        const Match &match = matches[random.below(2)];

        EXPECT_EQ(0, run_on(runner, [&] {
                      return skua_await(match.balls[next].get(), nullptr);
                  }));
    }
    for (const Match &match : matches) {
        for (const Future &player : match.players) {
            EXPECT_EQ(0, run_on(runner, [&] {
                          return skua_await(player.get(), nullptr);
                      }));
        }
    }
    EXPECT_EQ(0, skua_runner_close(runner));
}

INSTANTIATE_TEST_SUITE_P(Loops, WatchStormLoops, testing::Values(1, 2, 4));

} // namespace
} // namespace stress
