/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasks_stress_test.cc - families of tasks that start each other eagerly and
 * queued, cancel each other from other loops with and without messages, and
 * set and reset context variables while they move.
 */
#include "../conformance/context_support.h"
#include "seed.h"

namespace stress
{
namespace
{

using namespace conformance;

class TaskStorm : public ConformanceMany
{
};

/** What all tasks of a storm share. */
struct Storm {
    explicit Storm(uint64_t seed_) : seed(seed_)
    {
    }

    static constexpr size_t kVictims = 64;

    Lambdas lambdas;
    std::vector<skua_loop *> loops;
    std::atomic<uint64_t> seed;
    std::mutex mutex;
    Future victims[kVictims]; /* guarded by mutex */
    std::atomic<int> created = 0;
    std::atomic<int> ended = 0;
    std::atomic<int> budget = 0; /* of tasks to be created */
};

Future pick(Storm &storm, Random &random)
{
    const std::scoped_lock lock(storm.mutex);

    return Future(
        skua_future_ref(storm.victims[random.below(Storm::kVictims)].get()));
}

void offer(Storm &storm, Random &random, skua_future *task)
{
    Future mine(skua_future_ref(task));
    const std::scoped_lock lock(storm.mutex);

    storm.victims[random.below(Storm::kVictims)].swap(mine);
}

int live(Storm &storm, intptr_t inherited, int depth);

void create(Storm &storm, Random &random, int depth)
{
    skua_task_options options = {};
    skua_task *task = nullptr;
    const intptr_t mine = random.below(1000);

    if (storm.budget.fetch_sub(1) <= 0) {
        return;
    }
    options.eager_start = random.below(3) - 1;
    options.pinned = random.below(4) == 0;
    if (random.below(4) == 0) {
        options.loop = storm.loops[static_cast<size_t>(random.below(1024)) %
                                   storm.loops.size()];
    }
    storm.created++;
    set(number, mine);
    EXPECT_EQ(0, skua_create_task_with(
                     &options, run_body,
                     storm.lambdas.keeper_.body([&storm, mine, depth] {
                         return live(storm, mine, depth + 1);
                     }),
                     &task));
    EXPECT_EQ(mine, get(number));
    offer(storm, random, task);
    skua_future_unref(task);
}

/** One step in the life of a task; false when it was cancelled. */
bool step(Storm &storm, Random &random, int depth)
{
    switch (random.below(6)) {
    case 0:
        create(storm, random, depth);
        return true;
    case 1:
        return skua_yield() == 0;
    case 2:
        return skua_sleep(random.below(20) * SKUA_US) == 0;
    case 3: {
        const Future victim = pick(storm, random);

        if (victim != nullptr) {
            (void)skua_task_cancel_with(
                victim.get(), random.below(2) == 0 ? nullptr : "storm");
        }
        return true;
    }
    case 4:
        set_counted(random.below(100));
        return skua_checkpoint() == 0;
    default: {
        const Future other = pick(storm, random);

        if (other == nullptr || other.get() == skua_current_task()) {
            return true;
        }
        const int status = skua_await_until(
            other.get(), skua_monotonic() + 50 * SKUA_US, nullptr);

        return status != SKUA_ECANCELED;
    }
    }
}

int live(Storm &storm, intptr_t inherited, int depth)
{
    Random random(storm.seed.fetch_add(1));
    const intptr_t mine = random.below(1000);
    skua_context_token token = {};
    bool goes_on = true;

    EXPECT_EQ(inherited, get(number));
    EXPECT_EQ(0, skua_context_var_set(&other, as_pointer(mine), &token));
    for (int i = 0; i < 8 && goes_on; i++) {
        goes_on = step(storm, random, depth);
        EXPECT_EQ(mine, get(other));
        if (!goes_on) {
            const std::string why =
                skua_exception_message(skua_current_exception());

            EXPECT_TRUE(why.empty() || why == "storm") << why;
        }
    }
    EXPECT_EQ(0, skua_context_var_reset(&other, &token));
    storm.ended++;
    return goes_on ? 0 : SKUA_ECANCELED;
}

TEST_P(TaskStorm, EachEndsOnceWithItsOwnContext)
{
    Storm storm(print_seed());
    std::atomic<bool> stop = false;
    int never_ran = 0;

    counted_made = 0;
    counted_destroyed = 0;
    storm.budget = kRaceDetector ? 2000 : 20000;
    EXPECT_EQ(0, run([&] {
                  storm.loops = loops();
                  std::thread watcher([&] {
                      while (!stop) {
                          for (skua_loop *loop : storm.loops) {
                              EXPECT_LE(0, skua_all_tasks(loop, nullptr, 0));
                          }
                      }
                  });
                  Random random(storm.seed.fetch_add(1));
                  bool left = true;

                  while (storm.budget > 0) {
                      create(storm, random, 0);
                      (void)skua_yield();
                  }
                  while (left) {
                      left = false;
                      (void)skua_sleep(SKUA_MS);
                      for (skua_loop *loop : storm.loops) {
                          left = left || skua_all_tasks(loop, nullptr, 0) >
                                             (loop == storm.loops[0] ? 1 : 0);
                      }
                  }
                  stop = true;
                  watcher.join();
                  for (Future &victim : storm.victims) {
                      victim.reset();
                  }
                  return 0;
              }));
    never_ran = storm.created - storm.ended;
    EXPECT_LE(0, never_ran); /* cancelled before they began */
    EXPECT_LT(0, storm.ended);
    EXPECT_EQ(counted_made, counted_destroyed);
    EXPECT_EQ(0u, reports_.size());
}

INSTANTIATE_TEST_SUITE_P(Loops, TaskStorm, testing::Values(1, 2, 4));

} // namespace
} // namespace stress
