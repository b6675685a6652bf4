/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steal_stress_test.cc - storms of stealable tasks: each runs exactly once.
 */
#include "../conformance/support.h"
#include "seed.h"

namespace stress
{
namespace
{

using conformance::as_int;
using conformance::as_pointer;
using conformance::kRaceDetector;

class StealStorm : public conformance::ConformanceMany
{
};

/** A tree of tasks; each node counts itself. */
struct Node {
    std::atomic<int> *ran;
    uint64_t seed;
    int depth;
};

int grow(void *arg)
{
    const Node node = *static_cast<Node *>(arg);
    Random random(node.seed);
    Node children[4];
    skua_task *tasks[4] = {};
    const size_t count = node.depth == 0 ? 0 : 1 + random.below(4);

    (*node.ran)++;
    for (size_t i = 0; i < count; i++) {
        children[i] = {node.ran, random.next(), node.depth - 1};
        EXPECT_EQ(0, skua_create_task(grow, &children[i], &tasks[i]));
        if (random.below(3) == 0) {
            EXPECT_EQ(0, skua_yield());
        }
    }
    intptr_t size = 1;

    for (size_t i = 0; i < count; i++) {
        void *value = nullptr;

        EXPECT_EQ(0, skua_await(tasks[i], &value));
        skua_future_unref(tasks[i]);
        size += as_int(value);
    }
    return skua_return(as_pointer(size));
}

TEST_P(StealStorm, TreesOfTasksCountEachNodeOnce)
{
    const int rounds = kRaceDetector ? 10 : 60;
    const uint64_t seed = print_seed();

    EXPECT_EQ(0, run([&] {
                  for (int i = 0; i < rounds; i++) {
                      std::atomic<int> ran = 0;
                      Node root = {&ran, seed + static_cast<uint64_t>(i), 6};
                      skua_task *task = nullptr;
                      void *size = nullptr;

                      EXPECT_EQ(0, skua_create_task(grow, &root, &task));
                      EXPECT_EQ(0, skua_await(task, &size));
                      EXPECT_EQ(ran.load(), as_int(size));
                      skua_future_unref(task);
                  }
                  return 0;
              }));
}

int count_run(void *arg)
{
    (*static_cast<std::atomic<int> *>(arg))++;
    return 0;
}

/* More than a ring holds: overflow goes through the inject queue. */
TEST_P(StealStorm, BurstsBeyondTheRingRunOnce)
{
    const int rounds = kRaceDetector ? 4 : 50;
    constexpr size_t kBurst = kRaceDetector ? 700 : 3000;

    EXPECT_EQ(0, run([&] {
                  for (int i = 0; i < rounds; i++) {
                      std::vector<std::atomic<int>> runs(kBurst);
                      std::vector<skua_task *> tasks(kBurst);

                      for (size_t k = 0; k < kBurst; k++) {
                          EXPECT_EQ(0, skua_create_task(count_run, &runs[k],
                                                        &tasks[k]));
                      }
                      for (skua_task *task : tasks) {
                          EXPECT_EQ(0, skua_await(task, nullptr));
                          skua_future_unref(task);
                      }
                      for (const std::atomic<int> &each : runs) {
                          EXPECT_EQ(1, each);
                      }
                  }
                  return 0;
              }));
}

struct Wanderer {
    uint64_t seed;
    std::atomic<int> inside; /* 1 while a thread runs the task */
    int steps;
};

int wander(void *arg)
{
    auto *self = static_cast<Wanderer *>(arg);
    Random random(self->seed);

    for (int i = 0; i < self->steps; i++) {
        EXPECT_EQ(0, self->inside.exchange(1));
        for (uint64_t spin = random.below(200); spin > 0; spin--) {
            EXPECT_NE(nullptr, skua_current_task());
        }
        self->inside = 0;
        EXPECT_EQ(0, random.below(8) == 0 ? skua_sleep(1 + random.below(20000))
                                          : skua_yield());
    }
    return 0;
}

TEST_P(StealStorm, NoTaskRunsInTwoPlaces)
{
    const int steps = kRaceDetector ? 40 : 400;
    const uint64_t seed = print_seed();

    EXPECT_EQ(0, run([&] {
                  std::deque<Wanderer> wanderers;
                  std::vector<skua_task *> tasks;

                  for (uint64_t i = 0; i < 200; i++) {
                      Wanderer &one = wanderers.emplace_back();

                      one.seed = seed + i;
                      one.steps = steps;
                      tasks.push_back(nullptr);
                      EXPECT_EQ(0,
                                skua_create_task(wander, &one, &tasks.back()));
                  }
                  for (skua_task *task : tasks) {
                      EXPECT_EQ(0, skua_await(task, nullptr));
                      skua_future_unref(task);
                  }
                  return 0;
              }));
}

INSTANTIATE_TEST_SUITE_P(Loops, StealStorm, testing::Values(1, 2, 4));

} // namespace
} // namespace stress
