/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_pool_stress_test.cc - workers that die at any moment under load, and
 * cancels that meet claims: each future ends exactly once, with what its own
 * call has given.
 */
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <random>
#include <thread>

#include "conformance/processes.h"
#include "seed.h"

namespace processes
{
namespace
{

#if defined(__SANITIZE_THREAD__)
constexpr int kJobs = 2000;
#else
constexpr int kJobs = 10000;
#endif
constexpr int kSubmitters = 3;

struct Tally {
    std::atomic<int> done{0};
    std::atomic<int> answered{0};
    std::atomic<int> cancelled{0};
    std::atomic<int> failed{0};
};

void count_done(skua_future *, void *arg)
{
    static_cast<Tally *>(arg)->done++;
}

/** Who cancels now and then, and looks at what it gets. */
class Submitter
{
  public:
    Submitter(const Executor &pool, Tally &tally, uint64_t seed)
        : pool_(pool), tally_(tally), random_(seed)
    {
    }

    void run(int jobs)
    {
        std::vector<std::pair<Future, std::string>> window;

        for (int i = 0; i < jobs; i++) {
            const std::string data =
                std::to_string(random_()) +
                std::string(random_() % 16 == 0 ? random_() % 3000 : 0, 'x');
            Future future = submit(
                pool_, random_() % 4 == 0 ? "echo-slowly" : "echo", data);

            EXPECT_EQ(0, skua_future_add_done_callback(future.get(), count_done,
                                                       &tally_));
            if (random_() % 8 == 0) {
                (void)skua_future_cancel(future.get());
            }
            window.emplace_back(std::move(future), data);
            if (window.size() > random_() % 128) {
                check(window);
            }
        }
        check(window);
    }

  private:
    void check(std::vector<std::pair<Future, std::string>> &window)
    {
        for (const auto &[future, data] : window) {
            const int status = outcome(future);

            if (status == 0) {
                EXPECT_EQ(data, answered(future));
                tally_.answered++;
            } else if (status == SKUA_ECANCELED) {
                tally_.cancelled++;
            } else {
                EXPECT_EQ(SKUA_EBROKENPOOL, status);
                tally_.failed++;
            }
        }
        window.clear();
    }

    const Executor &pool_;
    Tally &tally_;
    std::mt19937_64 random_;
};

/** Kill one worker after the other while `on`: each has answered before, since
 * a pool whose workers never begin is given up. */
void kill_workers(const Executor &pool, const std::atomic<bool> &on,
                  uint64_t seed, int &killed)
{
    std::mt19937_64 random(seed);
    const pid_t server = children_of(getpid()).front();

    while (on) {
        const Future asked = submit(pool, "pid");

        if (outcome(asked) < 0) {
            continue;
        }
        const auto pid = answered_as<pid_t>(asked);
        const std::vector<pid_t> workers = children_of(server);

        if (std::find(workers.begin(), workers.end(), pid) != workers.end() &&
            kill(pid, SIGKILL) == 0) {
            killed++;
        }
        for (uint64_t i = random() % 500; i > 0; i--) {
            (void)sched_yield();
        }
    }
}

void storm(const skua_process_pool_options &options, bool deaths)
{
    SKIP_WITHOUT_PROCESSES();
    const uint64_t seed = stress::print_seed();
    const Holdings before = Holdings::now();
    std::atomic<bool> on = deaths;
    Tally tally;
    int killed = 0;
    {
        const Executor pool = new_pool(options);
        std::vector<std::thread> threads;
        std::thread killer([&] { kill_workers(pool, on, seed, killed); });

        for (int i = 0; i < kSubmitters; i++) {
            threads.emplace_back([&, i] {
                Submitter(pool, tally, seed + static_cast<uint64_t>(i))
                    .run(kJobs);
            });
        }
        for (std::thread &thread : threads) {
            thread.join();
        }
        on = false;
        killer.join();
        finish(pool);
    }
    EXPECT_EQ(kJobs * kSubmitters, tally.done);
    EXPECT_EQ(kJobs * kSubmitters,
              tally.answered + tally.cancelled + tally.failed);
    EXPECT_LE(tally.failed, killed);
    EXPECT_TRUE(before.come_back()) << before << ", now " << Holdings::now();
    std::printf("%d killed, %d failed, %d cancelled\n", killed,
                tally.failed.load(), tally.cancelled.load());
}

skua_process_pool_options many_restarts()
{
    skua_process_pool_options options = {};

    options.max_workers = 3;
    options.restart = SKUA_RESTART_ALWAYS;
    options.restart_delay_ns = 1;
    options.restart_delay_max_ns = 1;
    options.ring_bytes = 16384;
    return options;
}

TEST(ProcessPoolStress, EachFutureEndsOnceWhileWorkersDie)
{
    storm(many_restarts(), true);
}

TEST(ProcessPoolStress, WithWorkersThatRetireAsWell)
{
    skua_process_pool_options options = many_restarts();

    options.max_tasks_per_child = 50;
    options.max_attempts = 3;
    storm(options, true);
}

TEST(ProcessPoolStress, WithAQueueThatSuspends)
{
    skua_process_pool_options options = many_restarts();

    options.max_queued = 16;
    options.policy = SKUA_QUEUE_SUSPEND;
    storm(options, true);
}

TEST(ProcessPoolStress, CancelsMeetClaims)
{
    skua_process_pool_options options = many_restarts();

    options.prefetch = 4;
    storm(options, false);
}

TEST(ProcessPoolStress, PoolsThatEndInEveryWay)
{
    SKIP_WITHOUT_PROCESSES();
    std::mt19937_64 random(stress::print_seed());
    const Holdings before = Holdings::now();

    for (int i = 0; i < (kJobs / 100); i++) {
        Tally tally;
        std::vector<Future> futures;
        {
            const Executor pool = new_pool(
                1 + static_cast<int>(random() % 3),
                random() % 2 == 0 ? SKUA_RESTART_ALWAYS : SKUA_RESTART_NEVER);

            for (uint64_t j = random() % 40; j > 0; j--) {
                futures.push_back(submit(pool, "echo", "x"));
                EXPECT_EQ(0, skua_future_add_done_callback(futures.back().get(),
                                                           count_done, &tally));
            }
            switch (random() % 5) {
            case 0:
                EXPECT_EQ(0, skua_process_pool_kill_workers(pool.get()));
                break;
            case 1:
                EXPECT_EQ(0, skua_process_pool_terminate_workers(pool.get()));
                break;
            case 2:
                EXPECT_EQ(0, skua_executor_shutdown(pool.get(), false, true));
                break;
            case 3:
                EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
                break;
            default:
                break;
            }
        }
        for (const Future &future : futures) {
            (void)outcome(future);
        }
        EXPECT_TRUE(before.come_back())
            << before << ", now " << Holdings::now();
        EXPECT_EQ(static_cast<int>(futures.size()), tally.done);
    }
}

} // namespace
} // namespace processes

int main(int argc, char **argv)
{
    return processes::run_tests(argc, argv);
}
