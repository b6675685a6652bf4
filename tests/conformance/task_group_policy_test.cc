/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_group_policy_test.cc - inventory O-37: what ends a group.
 */
#include "groups.h"

namespace conformance
{
namespace
{

/* --- O-37: policies --- */

TEST_P(ConformanceMany, O37_CollectWaitsForAllAndGivesAllErrors)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  std::atomic<int> finished = 0;

                  EXPECT_EQ(0, group.enter(SKUA_TASK_GROUP_COLLECT));
                  Future first = group.child([] { return -EIO; });

                  EXPECT_EQ(0, group.add([&] {
                      EXPECT_EQ(0, skua_sleep(2 * SKUA_MS));
                      finished++;
                      return 0;
                  }));
                  EXPECT_EQ(-EIO, skua_await(first.get(), nullptr));
                  EXPECT_EQ(0, group.add([&] {
                      EXPECT_EQ(0, skua_sleep(2 * SKUA_MS));
                      finished++;
                      return -EPIPE;
                  }));
                  EXPECT_EQ(SKUA_EGROUP, group.leave(-ENOENT));
                  EXPECT_EQ(2, finished);
                  EXPECT_EQ((Order{-EIO, -EPIPE, -ENOENT}), group_errors());
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, O37_CollectIsStillCancelledFromOutside)
{
    EXPECT_EQ(0, run([&] {
                  Latch ready(1);
                  Future task = spawn([&] {
                      Group group(this);

                      EXPECT_EQ(0, group.enter(SKUA_TASK_GROUP_COLLECT));
                      EXPECT_EQ(0, group.add([&] {
                          ready.down();
                          return sleep_long();
                      }));
                      return group.leave();
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(task.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, O37_TheFirstSuccessCancelsTheOthers)
{
    for (const bool in_body : {true, false}) {
        EXPECT_EQ(
            0, run([&] {
                Group group(this);
                Latch complete(1);
                size_t index = 99;
                void *value = nullptr;
                int status = 0;

                EXPECT_EQ(0, group.enter(SKUA_TASK_GROUP_FIRST_SUCCESS));
                EXPECT_EQ(0, group.add([] { return sleep_long(); }));
                EXPECT_EQ(0, group.add([] { return -EIO; }));
                EXPECT_EQ(0, group.add([&] {
                    EXPECT_EQ(0, complete.wait());
                    (void)skua_return(as_pointer(9));
                    return 2;
                }));
                EXPECT_EQ(0, group.add([] {
                    EXPECT_EQ(SKUA_ECANCELED, sleep_long());
                    return -EPIPE;
                }));
                EXPECT_EQ(SKUA_EINVALSTATE,
                          skua_task_group_winner(group.get(), &index, &value));
                complete.down();
                if (in_body) {
                    status = sleep_long();
                    EXPECT_EQ(SKUA_ECANCELED, status);
                }
                EXPECT_EQ(0, group.leave(status));
                EXPECT_EQ(2,
                          skua_task_group_winner(group.get(), &index, &value));
                EXPECT_EQ(2u, index);
                EXPECT_EQ(9, as_int(value));
                EXPECT_EQ(0, cancels());
                return skua_yield();
            }));
    }
}

TEST_P(ConformanceMany, O37_WithoutASuccessAllErrorsComeOut)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  Group cancelled(this);
                  size_t index = 99;

                  EXPECT_EQ(0, group.enter(SKUA_TASK_GROUP_FIRST_SUCCESS));
                  Future first = group.child([] { return -EIO; });

                  EXPECT_EQ(0, group.add([&] {
                      EXPECT_EQ(-EIO, skua_await(first.get(), nullptr));
                      return -EPIPE;
                  }));
                  EXPECT_EQ(SKUA_EGROUP, group.leave());
                  EXPECT_EQ((Order{-EIO, -EPIPE}), group_errors());
                  EXPECT_EQ(-ENOENT, skua_task_group_winner(group.get(), &index,
                                                            nullptr));
                  EXPECT_EQ(99u, index);
                  EXPECT_EQ(0, cancelled.enter(SKUA_TASK_GROUP_FIRST_SUCCESS));
                  EXPECT_EQ(0, cancelled.add([] { return SKUA_ECANCELED; }));
                  EXPECT_EQ(0, cancelled.leave());
                  EXPECT_EQ(-ENOENT, skua_task_group_winner(cancelled.get(),
                                                            nullptr, nullptr));
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, O37_OneOfManySuccessesWins)
{
    EXPECT_EQ(0, run([&] {
                  for (int round = 0; round < 20; round++) {
                      Group group(this);
                      size_t index = 1000;
                      int created = 0;

                      EXPECT_EQ(0, group.enter(SKUA_TASK_GROUP_FIRST_SUCCESS));
                      while (created < 100 &&
                             group.add([created] { return created; }) == 0) {
                          created++;
                      }
                      EXPECT_EQ(0, group.leave());
                      const int winner =
                          skua_task_group_winner(group.get(), &index, nullptr);

                      EXPECT_LE(0, winner);
                      EXPECT_GT(created, winner);
                      EXPECT_EQ(static_cast<size_t>(winner), index);
                      EXPECT_EQ(0, cancels());
                      EXPECT_EQ(0, skua_yield());
                  }
                  return 0;
              }));
}

TEST_P(ConformanceMany, O37_OtherPoliciesHaveNoWinner)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);

                  EXPECT_EQ(0, group.add([] { return 0; }));
                  EXPECT_EQ(0, group.leave());
                  EXPECT_EQ(
                      SKUA_EINVALSTATE,
                      skua_task_group_winner(group.get(), nullptr, nullptr));
                  return 0;
              }));
}

CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
