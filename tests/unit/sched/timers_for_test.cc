// SPDX-License-Identifier: Apache-2.0
// Timers of a loop that other threads fire, too: order, cancelling, moving.
#include "../../../sched/runner.h"

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include <sched.h>

#include "../../conformance/support.h"
#include "../../stress/seed.h"

namespace
{

using conformance::Future;
using conformance::Handle;
using conformance::kRaceDetector;
using conformance::Order;
using stress::Random;

// Two loops that do not look after each other.
class TimersFor : public testing::Test, public conformance::Lambdas
{
  protected:
    TimersFor()
    {
        skua_runner_options options = {};

        options.loops = 2;
        options.no_sigint = true;
        options.without = SKUA_SENTINEL;
        EXPECT_EQ(skua_runner_new(&options, &runner_), 0);
    }
    ~TimersFor() override
    {
        EXPECT_EQ(skua_runner_close(runner_), 0);
    }
    // On the first loop: who is woken from outside may go on elsewhere.
    int Run(conformance::Body body)
    {
        return run_on_first(runner_, std::move(body));
    }
    // What a thief does, until it has fired something.
    static void FireSome(skua_loop *loop)
    {
        while (skui_loop_fire_timers_for(loop) == 0) {
            (void)sched_yield();
        }
    }

  private:
    skua_runner *runner_ = nullptr;
};

// A thief that never stops.
class Thief
{
  public:
    explicit Thief(skua_loop *loop)
        : thread_([this, loop] {
              while (!over_.load()) {
                  fired_ += skui_loop_fire_timers_for(loop);
              }
          })
    {
    }
    ~Thief()
    {
        over_ = true;
        thread_.join();
    }
    Thief(const Thief &) = delete;
    Thief &operator=(const Thief &) = delete;

    size_t fired() const
    {
        return fired_.load();
    }

  private:
    std::atomic<bool> over_{false};
    std::atomic<size_t> fired_{0};
    std::thread thread_;
};

std::function<void()> in_poll; // runs once in the next poll of the loop

int PollAfter(skui_poller *poller, int64_t timeout_ns)
{
    if (in_poll) {
        std::exchange(in_poll, nullptr)();
        timeout_ns = 0;
    }
    return skui_epoll_poller.poll(poller, timeout_ns);
}

const skui_poller_ops *hooked_ops()
{
    static const skui_poller_ops ops = [] {
        skui_poller_ops changed = skui_epoll_poller;

        changed.poll = PollAfter;
        return changed;
    }();

    return &ops;
}

} // namespace

// The first is fired by a thief after the loop has looked into its inbox, the
// second by the loop itself.
TEST_F(TimersFor, RunInTheOrderOfTheirTimesWhoeverFiresThem)
{
    EXPECT_EQ(Run([this] {
                  skua_loop *loop = skua_get_running_loop();
                  Order order;
                  const Future over = conformance::make_future();
                  /* Not before the thief is there, however slow that is. */
                  const int64_t first_ns = skua_monotonic() + 200 * SKUA_MS;
                  const int64_t last_ns = first_ns + 4 * SKUA_MS;

                  at(loop, first_ns, [&] { order.push_back(1); });
                  const Future second = spawn_on(
                      loop,
                      [&] {
                          EXPECT_EQ(skua_sleep_until(first_ns + SKUA_US), 0);
                          return order.push_back(2), 0;
                      },
                      true);
                  const Future third = spawn_on(
                      loop,
                      [&] {
                          EXPECT_EQ(skua_sleep_until(last_ns - SKUA_US), 0);
                          return order.push_back(3), 0;
                      },
                      true);
                  at(loop, last_ns, [&] {
                      order.push_back(4);
                      EXPECT_EQ(skua_future_set_result(over.get(), nullptr), 0);
                  });
                  EXPECT_EQ(skua_yield(), 0);
                  loop->poller_ops = hooked_ops();
                  in_poll = [loop, last_ns] {
                      std::thread thief([loop] { FireSome(loop); });

                      thief.join();
                      while (skua_monotonic() <= last_ns) {
                      }
                  };
                  EXPECT_EQ(skua_await(over.get(), nullptr), 0);
                  EXPECT_EQ(skua_await(second.get(), nullptr), 0);
                  EXPECT_EQ(skua_await(third.get(), nullptr), 0);
                  loop->poller_ops = &skui_epoll_poller;
                  EXPECT_EQ(order, (Order{1, 2, 3, 4}));
                  return 0;
              }),
              0);
}

TEST_F(TimersFor, RunOnTheirOwnLoopOnceAndNotWhenCancelled)
{
    EXPECT_EQ(Run([this] {
                  constexpr int kTimers = kRaceDetector ? 2000 : 10000;
                  Random random(stress::print_seed());
                  skua_loop *loop = skua_get_running_loop();
                  const std::thread::id here = std::this_thread::get_id();
                  const int64_t start_ns = skua_monotonic();
                  std::vector<int> runs(kTimers);
                  std::vector<bool> is_cancelled(kTimers);
                  std::vector<int64_t> when(kTimers);
                  std::vector<Handle> handles;
                  int64_t last_ns = 0;
                  const Thief thief(loop);

                  for (int i = 0; i < kTimers; i++) {
                      when[i] = start_ns + SKUA_US * random.below(20000);
                      handles.push_back(at(loop, when[i], [&, i] {
                          EXPECT_EQ(std::this_thread::get_id(), here);
                          EXPECT_FALSE(is_cancelled[i]);
                          EXPECT_LE(when[i], skua_monotonic());
                          runs[i]++;
                          last_ns = when[i];
                      }));
                      if (random.below(4) == 0) {
                          const int victim = random.below(unsigned(i) + 1);

                          if (runs[victim] == 0) {
                              skua_handle_cancel(handles[victim].get());
                              is_cancelled[victim] = true;
                          }
                      }
                      if (random.below(16) == 0) {
                          EXPECT_EQ(skua_yield(), 0);
                      }
                  }
                  EXPECT_EQ(skua_sleep_until(start_ns + 30 * SKUA_MS), 0);
                  EXPECT_EQ(skua_yield(), 0);
                  EXPECT_EQ(skua_yield(), 0);
                  for (int i = 0; i < kTimers; i++) {
                      EXPECT_EQ(runs[i], is_cancelled[i] ? 0 : 1) << i;
                  }
                  EXPECT_GT(last_ns, 0);
                  return 0;
              }),
              0);
}

TEST_F(TimersFor, RunInOrderBesideAThief)
{
    EXPECT_EQ(Run([this] {
                  constexpr int kTimers = 500;
                  skua_loop *loop = skua_get_running_loop();
                  const Thief thief(loop);

                  for (int round = 0; round < 20; round++) {
                      const Future over = conformance::make_future();
                      const int64_t start_ns = skua_monotonic();
                      Order order;

                      for (int i = 0; i < kTimers; i++) {
                          at(loop, start_ns + SKUA_MS + i * SKUA_US,
                             [&order, i] { order.push_back(i); });
                      }
                      at(loop, start_ns + 2 * SKUA_MS, [&over] {
                          EXPECT_EQ(skua_future_set_result(over.get(), nullptr),
                                    0);
                      });
                      EXPECT_EQ(skua_await(over.get(), nullptr), 0);
                      EXPECT_EQ(order.size(), size_t{kTimers});
                      for (size_t i = 1; i < order.size(); i++) {
                          EXPECT_LT(order[i - 1], order[i]);
                      }
                  }
                  return 0;
              }),
              0);
}

// A timeout that is moved on again and again must not end its block, and one
// that is moved to the past must.
TEST_F(TimersFor, OfTimeoutsAreMovedBesideAThief)
{
    EXPECT_EQ(
        Run([] {
            constexpr int kRounds = kRaceDetector ? 300 : 2000;
            Random random(stress::print_seed());
            const Thief thief(skua_get_running_loop());

            for (int i = 0; i < kRounds; i++) {
                skua_timeout timeout = {};
                int status;

                EXPECT_EQ(
                    skua_timeout_enter(&timeout, SKUA_US * random.below(20)),
                    0);
                for (int turn = random.below(4); turn > 0; turn--) {
                    int moved = skua_timeout_reschedule(
                        &timeout,
                        skua_monotonic() + SKUA_US * random.below(20));

                    EXPECT_TRUE(moved == 0 || moved == SKUA_EINVALSTATE);
                }
                if (skua_timeout_reschedule(&timeout, SKUA_FOREVER) == 0) {
                    EXPECT_EQ(skua_sleep(SKUA_US * random.below(20)), 0);
                    EXPECT_EQ(skua_timeout_reschedule(&timeout, 0), 0);
                }
                status = skua_sleep(SKUA_FOREVER);
                EXPECT_EQ(status, SKUA_ECANCELED);
                EXPECT_EQ(skua_timeout_exit(&timeout, status), -ETIMEDOUT);
                EXPECT_TRUE(skua_timeout_expired(&timeout));
                EXPECT_EQ(skua_yield(), 0);
            }
            return 0;
        }),
        0);
}

TEST_F(TimersFor, OfWaitsRaceWithCancelsAndWakes)
{
    EXPECT_EQ(Run([this] {
                  constexpr int kRounds = kRaceDetector ? 300 : 2000;
                  Random random(stress::print_seed());
                  const Thief thief(skua_get_running_loop());

                  for (int i = 0; i < kRounds; i++) {
                      int64_t limit_ns = SKUA_US * random.below(30);
                      int ends = 0;
                      const Future task = spawn_on(
                          skua_get_running_loop(),
                          [&] {
                              int status = skua_sleep(limit_ns);

                              ends++;
                              return status;
                          },
                          true);
                      int status;

                      EXPECT_EQ(skua_sleep(SKUA_US * random.below(30)), 0);
                      (void)skua_task_cancel(task.get());
                      status = skua_await(task.get(), nullptr);
                      EXPECT_TRUE(status == 0 || status == SKUA_ECANCELED);
                      EXPECT_LE(ends, 1);
                      EXPECT_TRUE(ends == 1 || status == SKUA_ECANCELED);
                  }
                  return 0;
              }),
              0);
}
