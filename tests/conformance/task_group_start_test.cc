/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_group_start_test.cc - inventory O-35: children that tell when they are
 * ready.
 */
#include "groups.h"

namespace conformance
{
namespace
{

/* --- O-35: children that tell when they are ready --- */

TEST_P(ConformanceMany, O35_StartWaitsUntilTheChildIsReady)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  std::atomic<bool> bound = false;
                  std::atomic<bool> ended = false;
                  void *value = nullptr;

                  EXPECT_EQ(0,
                            group.start(
                                [&] {
                                    EXPECT_EQ(0, skua_sleep(SKUA_MS));
                                    bound = true;
                                    EXPECT_EQ(0, skua_task_group_started(
                                                     as_pointer(8080)));
                                    EXPECT_EQ(SKUA_EINVALSTATE,
                                              skua_task_group_started(nullptr));
                                    EXPECT_EQ(0, skua_sleep(SKUA_MS));
                                    ended = true;
                                    return 0;
                                },
                                &value));
                  EXPECT_TRUE(bound);
                  EXPECT_EQ(8080, as_int(value));
                  EXPECT_EQ(0, group.leave());
                  EXPECT_TRUE(ended);
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, O35_AFailureBeforeComesOutOfStart)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);

                  EXPECT_EQ(0, group.add([] { return skua_sleep(SKUA_MS); }));
                  EXPECT_EQ(-EADDRINUSE, group.start([] {
                      return skua_raise(-EADDRINUSE, "port %d", 80);
                  }));
                  EXPECT_STREQ("port 80", skua_exception_message(
                                              skua_current_exception()));
                  EXPECT_EQ(SKUA_EBROKEN, group.start([] { return 5; }));
                  EXPECT_EQ(SKUA_ECANCELED,
                            group.start([] { return SKUA_ECANCELED; }));
                  EXPECT_EQ(0, cancels());
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(0, group.leave());
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, O35_AFailureAfterwardsIsTheGroups)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  Latch started(1);
                  int status;

                  EXPECT_EQ(0, group.start([&] {
                      EXPECT_EQ(0, skua_task_group_started(nullptr));
                      EXPECT_EQ(0, started.wait());
                      return -EIO;
                  }));
                  started.down();
                  status = sleep_long();
                  EXPECT_EQ(SKUA_ECANCELED, status);
                  EXPECT_EQ(SKUA_EGROUP, group.leave(status));
                  EXPECT_EQ((Order{-EIO}), group_errors());
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, O35_ACancelledStarterCancelsAndWaitsForTheChild)
{
    for (const bool fails : {false, true}) {
        EXPECT_EQ(0, run([&] {
                      Latch ready(1);
                      std::atomic<bool> ended = false;
                      Future task = spawn([&] {
                          Group group(this);
                          const int status = group.start([&] {
                              ready.down();
                              EXPECT_EQ(SKUA_ECANCELED, sleep_long());
                              EXPECT_EQ(0, skua_sleep(SKUA_MS));
                              EXPECT_EQ(SKUA_ECANCELED,
                                        skua_task_group_started(nullptr));
                              ended = true;
                              return fails ? -EIO : 0;
                          });

                          EXPECT_TRUE(ended);
                          EXPECT_EQ(fails ? -EIO : SKUA_ECANCELED, status);
                          EXPECT_EQ(1, cancels());
                          EXPECT_EQ(0, group.leave());
                          return SKUA_ECANCELED;
                      });

                      EXPECT_EQ(0, ready.wait());
                      EXPECT_EQ(0, skua_sleep(100 * SKUA_US));
                      EXPECT_EQ(1, skua_task_cancel(task.get()));
                      EXPECT_EQ(SKUA_ECANCELED,
                                skua_await(task.get(), nullptr));
                      return 0;
                  }));
    }
}

/* A sibling fails while the body waits in start: all of them end. */
TEST_P(ConformanceMany, O35_AnAbortEndsAChildThatIsNotReady)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  Latch ready(1);
                  int status;

                  EXPECT_EQ(0, group.add([&] {
                      EXPECT_EQ(0, ready.wait());
                      return -EIO;
                  }));
                  status = group.start([&] {
                      ready.down();
                      return sleep_long();
                  });
                  EXPECT_EQ(SKUA_ECANCELED, status);
                  EXPECT_EQ(SKUA_EGROUP, group.leave(status));
                  EXPECT_EQ((Order{-EIO}), group_errors());
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, O35_OnlyAChildOfStartIsEverReady)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);

                  EXPECT_EQ(SKUA_EINVALSTATE, skua_task_group_started(nullptr));
                  EXPECT_EQ(0, group.add([] {
                      return skua_task_group_started(nullptr) ==
                                     SKUA_EINVALSTATE
                                 ? 0
                                 : -EIO;
                  }));
                  EXPECT_EQ(0, group.leave());
                  return 0;
              }));
}

/* A child starts another one, and ends as that is ready. */
TEST_P(ConformanceMany, O35_ChildrenStartOthersWhileTheParentLeaves)
{
    EXPECT_EQ(
        0, run([&] {
            Group group(this);
            std::atomic<int> ready = 0;
            std::function<int(int)> child = [&](int left) {
                int status = 0;

                if (left > 0) {
                    status = group.start([&, left] { return child(left - 1); });
                }
                ready++;
                return status < 0 ? status : skua_task_group_started(nullptr);
            };

            EXPECT_EQ(0, group.add([&] {
                return group.start([&] { return child(20); });
            }));
            EXPECT_EQ(0, group.leave());
            EXPECT_EQ(21, ready);
            return 0;
        }));
}

CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
