/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_stress_test.cc - groups of many cohorts, whose children end while
 * others are created.
 */
#include "../conformance/support.h"

namespace stress
{
namespace
{

using conformance::kRaceDetector;

class GroupStorm : public conformance::ConformanceMany
{
};

struct Family {
    skua_task_group group;
    std::atomic<int> started;
    std::atomic<int> ended;
};

int grandchild(void *arg)
{
    auto *family = static_cast<Family *>(arg);

    family->started++;
    family->ended++;
    return 0;
}

/* Adds siblings, also while the parent waits for the end. */
int child(void *arg)
{
    auto *family = static_cast<Family *>(arg);

    if (family->started++ % 3 == 0) {
        EXPECT_EQ(0, skua_yield());
    }
    EXPECT_EQ(0,
              skua_task_group_create_task(&family->group, grandchild, family));
    family->ended++;
    return 0;
}

TEST_P(GroupStorm, JoinWaitsForAllOfThem)
{
    const int rounds = kRaceDetector ? 6 : 40;

    EXPECT_EQ(0, run([&] {
                  for (int i = 0; i < rounds; i++) {
                      Family family = {};
                      const int children = 1 + i * 37;

                      for (int k = 0; k < children; k++) {
                          EXPECT_EQ(0, skua_task_group_create_task(
                                           &family.group, child, &family));
                      }
                      EXPECT_EQ(0, skua_task_group_join(&family.group));
                      EXPECT_EQ(2 * children, family.ended);
                  }
                  return 0;
              }));
}

int sleeper(void *arg)
{
    auto *family = static_cast<Family *>(arg);

    family->started++;
    if (skua_sleep(SKUA_FOREVER) == SKUA_ECANCELED) {
        family->ended++;
    }
    return SKUA_ECANCELED;
}

int failing(void *arg)
{
    (void)arg;
    return -EIO;
}

TEST_P(GroupStorm, AFailureCancelsEveryCohort)
{
    constexpr int kChildren = kRaceDetector ? 200 : 1000;

    EXPECT_EQ(0, run([&] {
                  Family family = {};

                  for (int k = 0; k < kChildren; k++) {
                      EXPECT_EQ(0, skua_task_group_create_task(
                                       &family.group, sleeper, &family));
                  }
                  while (family.started < kChildren) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  EXPECT_EQ(0, skua_task_group_create_task(&family.group,
                                                           failing, nullptr));
                  EXPECT_EQ(SKUA_EGROUP, skua_task_group_join(&family.group));
                  EXPECT_EQ(kChildren, family.ended);
                  return 0;
              }));
}

int stubborn(void *arg)
{
    static_cast<Family *>(arg)->started++;
    EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
    return -EIO;
}

TEST_P(GroupStorm, KeepsTheErrorOfEachThatFails)
{
    constexpr int kChildren = 70;

    EXPECT_EQ(0, run([&] {
                  Family family = {};

                  for (int k = 0; k < kChildren; k++) {
                      EXPECT_EQ(0, skua_task_group_create_task(
                                       &family.group, stubborn, &family));
                  }
                  while (family.started < kChildren) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  EXPECT_EQ(0, skua_task_group_create_task(&family.group,
                                                           failing, nullptr));
                  EXPECT_EQ(SKUA_EGROUP, skua_task_group_join(&family.group));
                  EXPECT_EQ(size_t{kChildren} + 1,
                            skua_exception_count(skua_current_exception()));
                  return 0;
              }));
}

INSTANTIATE_TEST_SUITE_P(Loops, GroupStorm, testing::Values(1, 2, 4));

} // namespace
} // namespace stress
