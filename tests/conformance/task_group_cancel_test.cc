/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_group_cancel_test.cc - conformance 99, 101: groups cancelled from
 * outside, nested ones; inventory G-08: groups that are ended early.
 */
#include "groups.h"

namespace conformance
{
namespace
{

Executor one_worker()
{
    skua_thread_pool_options options = {};
    skua_executor *executor = nullptr;

    options.max_workers = 1;
    EXPECT_EQ(0, skua_thread_pool_executor_new(&options, &executor));
    return Executor(executor);
}

/* --- 99: cancelled from outside --- */

TEST_P(ConformanceMany, N099_AnExternalCancelCancelsTheChildren)
{
    for (const bool in_body : {true, false}) {
        EXPECT_EQ(0, run([&] {
                      std::atomic<int> ready = 0;
                      std::atomic<int> ended = 0;
                      Future task = spawn([&] {
                          Group group(this);
                          int status = 0;

                          for (int i = 0; i < 5; i++) {
                              EXPECT_EQ(0, group.add([&] {
                                  ready++;
                                  EXPECT_EQ(SKUA_ECANCELED, sleep_long());
                                  EXPECT_EQ(0, skua_sleep(100 * SKUA_US));
                                  ended++;
                                  return SKUA_ECANCELED;
                              }));
                          }
                          if (in_body) {
                              status = sleep_long();
                          }
                          status = group.leave(status);
                          EXPECT_EQ(5, ended);
                          EXPECT_EQ(1, cancels());
                          return status;
                      });

                      while (ready < 5) {
                          EXPECT_EQ(0, skua_yield());
                      }
                      EXPECT_EQ(0, skua_sleep(500 * SKUA_US));
                      EXPECT_EQ(1, skua_task_cancel(task.get()));
                      EXPECT_EQ(SKUA_ECANCELED,
                                skua_await(task.get(), nullptr));
                      EXPECT_TRUE(skua_future_cancelled(task.get()));
                      return 0;
                  }));
    }
}

TEST_P(ConformanceMany, N099_RepeatedCancelsStillWaitForTheChildren)
{
    EXPECT_EQ(0, run([&] {
                  Latch ready(1);
                  std::atomic<bool> stopping = false;
                  std::atomic<bool> ended = false;
                  Future task = spawn([&] {
                      Group group(this);
                      skua_task *parent = skua_current_task();

                      EXPECT_EQ(0, group.add([&, parent] {
                          ready.down();
                          EXPECT_EQ(SKUA_ECANCELED, sleep_long());
                          stopping = true;
                          while (skua_task_cancelling(parent) < 3) {
                              EXPECT_EQ(0, skua_yield());
                          }
                          ended = true;
                          return 0;
                      }));
                      EXPECT_EQ(SKUA_ECANCELED, group.leave());
                      EXPECT_TRUE(ended);
                      EXPECT_EQ(3, cancels());
                      return SKUA_ECANCELED;
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  while (!stopping) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(task.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N099_AChildThatFailsMeanwhileWinsAndTheCancelStays)
{
    EXPECT_EQ(0, run([&] {
                  Latch ready(1);
                  Future task = spawn([&] {
                      Group group(this);

                      EXPECT_EQ(0, group.add([&] {
                          ready.down();
                          EXPECT_EQ(SKUA_ECANCELED, sleep_long());
                          return -EIO;
                      }));
                      EXPECT_EQ(SKUA_EGROUP, group.leave(sleep_long()));
                      EXPECT_EQ((Order{-EIO}), group_errors());
                      EXPECT_EQ(1, cancels());
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(3600 * SKUA_S));
                      EXPECT_EQ(1, cancels());
                      return skua_yield();
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(0, skua_task_cancelling(task.get()));
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  return 0;
              }));
}

/* A child fails, and as the group waits its parent is cancelled: both stay. */
TEST_P(ConformanceMany, N099_ACancelAfterAFailureStays)
{
    EXPECT_EQ(0, run([&] {
                  Latch stopping(1);
                  Future task = spawn([&] {
                      Group group(this);
                      skua_task *parent = skua_current_task();
                      std::atomic<bool> ready = false;

                      EXPECT_EQ(0, group.add([&, parent] {
                          ready = true;
                          EXPECT_EQ(SKUA_ECANCELED, sleep_long());
                          stopping.down();
                          while (skua_task_cancelling(parent) < 2) {
                              EXPECT_EQ(0, skua_yield());
                          }
                          return 0;
                      }));
                      EXPECT_EQ(0, group.add([&] {
                          while (!ready) {
                              EXPECT_EQ(0, skua_yield());
                          }
                          return -EIO;
                      }));
                      const int status = sleep_long();

                      EXPECT_EQ(SKUA_ECANCELED, status);
                      EXPECT_EQ(SKUA_EGROUP, group.leave(status));
                      EXPECT_EQ(1, cancels());
                      EXPECT_EQ(SKUA_ECANCELED, skua_yield());
                      return skua_yield();
                  });

                  EXPECT_EQ(0, stopping.wait());
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  return 0;
              }));
}

/* --- 101: nested --- */

TEST_P(ConformanceMany, N101_AnInnerFailureDoesNotHideTheOuterOne)
{
    EXPECT_EQ(0, run([&] {
                  Group outer(this);
                  Group inner(this);
                  Latch ready(1);
                  Latch aborting(1);
                  skua_task *parent = skua_current_task();
                  int status;

                  EXPECT_EQ(0, outer.enter());
                  EXPECT_EQ(0, inner.add([&] {
                      ready.down();
                      EXPECT_EQ(SKUA_ECANCELED, sleep_long());
                      aborting.down();
                      while (skua_task_cancelling(parent) < 2) {
                          EXPECT_EQ(0, skua_yield());
                      }
                      return 0;
                  }));
                  EXPECT_EQ(0, inner.add([&] {
                      EXPECT_EQ(0, ready.wait());
                      return -EIO;
                  }));
                  EXPECT_EQ(0, outer.add([&] {
                      EXPECT_EQ(0, aborting.wait());
                      return -EPIPE;
                  }));
                  status = sleep_long();
                  EXPECT_EQ(SKUA_ECANCELED, status);
                  EXPECT_EQ(SKUA_EGROUP, inner.leave(status));
                  EXPECT_EQ((Order{-EIO}), group_errors());
                  /* Handled here; the outer's request waits. */
                  EXPECT_EQ(1, cancels());
                  status = skua_sleep(3600 * SKUA_S);
                  EXPECT_EQ(SKUA_ECANCELED, status);
                  EXPECT_EQ(SKUA_EGROUP, outer.leave(status));
                  EXPECT_EQ((Order{-EPIPE}), group_errors());
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N101_AnInnerGroupErrorIsNestedInTheOuterOne)
{
    EXPECT_EQ(
        0, run([&] {
            Group outer(this);
            Group inner(this);
            int status;

            EXPECT_EQ(0, outer.enter());
            EXPECT_EQ(0, inner.add([] { return -EIO; }));
            status = inner.leave();
            EXPECT_EQ(SKUA_EGROUP, status);
            EXPECT_EQ(SKUA_EGROUP, outer.leave(status));
            EXPECT_EQ((Order{SKUA_EGROUP}), group_errors());
            EXPECT_EQ(
                -EIO,
                skua_exception_status(skua_exception_child(
                    skua_exception_child(skua_current_exception(), 0), 0)));
            EXPECT_EQ(0, cancels());
            return skua_yield();
        }));
}

TEST_P(ConformanceMany, N101_AnOuterFailureEndsTheInnerGroup)
{
    EXPECT_EQ(0, run([&] {
                  Group outer(this);
                  Group inner(this);
                  Latch ready(1);
                  int status;

                  EXPECT_EQ(0, outer.add([&] {
                      EXPECT_EQ(0, ready.wait());
                      return -EIO;
                  }));
                  Future child = inner.child([&] {
                      ready.down();
                      return sleep_long();
                  });
                  status = inner.leave();
                  EXPECT_EQ(SKUA_ECANCELED, status);
                  EXPECT_TRUE(skua_future_cancelled(child.get()));
                  EXPECT_EQ(SKUA_EGROUP, outer.leave(status));
                  EXPECT_EQ((Order{-EIO}), group_errors());
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

/* --- G-08: ending early --- */

TEST_P(ConformanceMany, G08_TheBodyEndsItsGroupEarly)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  std::atomic<int> started = 0;
                  std::atomic<int> cancelled = 0;
                  int status;

                  for (int i = 0; i < 70; i++) {
                      EXPECT_EQ(0, group.add([&] {
                          started++;
                          cancelled += sleep_long() == SKUA_ECANCELED;
                          return SKUA_ECANCELED;
                      }));
                  }
                  EXPECT_EQ(0, skua_sleep(SKUA_MS));
                  EXPECT_EQ(0, group.cancel());
                  EXPECT_EQ(0, group.cancel());
                  EXPECT_EQ(1, cancels());
                  EXPECT_EQ(SKUA_EINVALSTATE, group.add([] { return 0; }));
                  status = skua_yield();
                  EXPECT_EQ(SKUA_ECANCELED, status);
                  EXPECT_EQ(0, group.leave(status));
                  EXPECT_EQ(started, cancelled);
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, G08_WithoutASuspensionTheRequestIsWithdrawn)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);

                  EXPECT_EQ(0, group.enter());
                  EXPECT_EQ(0, group.cancel());
                  EXPECT_EQ(6, group.leave(6));
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, G08_AChildATaskOrAThreadEndsIt)
{
    for (const int who : {0, 1, 2, 3}) {
        EXPECT_EQ(0, run([&] {
                      Group group(this);
                      Future other;
                      std::thread thread;
                      int status = 0;

                      EXPECT_EQ(0, group.add([] { return sleep_long(); }));
                      if (who == 0 || who == 3) {
                          EXPECT_EQ(0, group.add([&] {
                              EXPECT_EQ(0, skua_sleep(SKUA_MS));
                              return group.cancel();
                          }));
                      } else if (who == 1) {
                          other = spawn_on(loops().back(),
                                           [&] { return group.cancel(); });
                      } else {
                          thread = std::thread([&] { (void)group.cancel(); });
                      }
                      if (who != 3) {
                          status = sleep_long();
                          EXPECT_EQ(SKUA_ECANCELED, status);
                      }
                      EXPECT_EQ(0, group.leave(status));
                      EXPECT_EQ(0, cancels());
                      if (thread.joinable()) {
                          thread.join();
                      }
                      if (other != nullptr) {
                          EXPECT_EQ(0, skua_await(other.get(), nullptr));
                      }
                      return skua_yield();
                  }));
    }
}

/* A thread that cancels the group is held up after the last child has ended,
 * by a callback of what that awaited: the parent leaves when it is through,
 * with the request that it makes at the end. */
TEST_P(ConformanceMany, G08_TheParentLeavesAfterWhoEndsIt)
{
    EXPECT_EQ(0, run([&] {
                  Executor pool = one_worker();
                  Group group(this);
                  skua_task_options pinned = {};
                  std::atomic<bool> release = false;
                  std::atomic<bool> ended = false;
                  std::atomic<bool> left = false;
                  bool left_before = true;
                  int body = 0;
                  Future blocker = submit(pool.get(), [&] {
                      while (!release) {
                          std::this_thread::yield();
                      }
                      return 0;
                  });
                  Future job = submit(pool.get(), [] { return 0; });

                  EXPECT_EQ(0, group.enter());
                  pinned.loop = loops().back();
                  pinned.pinned = true;
                  Future child = group.child(
                      [&] {
                          const int status = skua_await(job.get(), nullptr);

                          ended = true;
                          return status;
                      },
                      &pinned);
                  Future after = spawn_on(
                      loops().back(),
                      [&] {
                          /* The child waits; this fires after it is woken. */
                          when_done(job.get(), [&](skua_future *) {
                              while (!ended) {
                                  std::this_thread::yield();
                              }
                              for (int i = 0; i < 2000 && !left; i++) {
                                  std::this_thread::yield();
                              }
                              left_before = left;
                          });
                          return 0;
                      },
                      true);

                  EXPECT_EQ(0, skua_await(after.get(), nullptr));
                  std::thread thread([&] { EXPECT_EQ(0, group.cancel()); });

                  while (!ended && body == 0) {
                      body = skua_yield();
                  }
                  EXPECT_EQ(0, group.leave(body));
                  left = true;
                  EXPECT_EQ(0, cancels());
                  thread.join();
                  EXPECT_FALSE(left_before);
                  EXPECT_EQ(0, cancels());
                  release = true;
                  EXPECT_EQ(0, skua_await(blocker.get(), nullptr));
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, G08_BeforeItIsEntered)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  Group unused(this);

                  EXPECT_EQ(0, group.cancel());
                  EXPECT_EQ(SKUA_EINVALSTATE, skua_task_group_create_task(
                                                  group.get(), never, nullptr));
                  EXPECT_EQ(0, group.enter());
                  EXPECT_EQ(1, cancels());
                  EXPECT_EQ(0, group.leave(skua_yield()));
                  EXPECT_EQ(0, cancels());
                  EXPECT_EQ(0, unused.cancel());
                  EXPECT_EQ(0, unused.leave());
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, G08_ErrorsComeOutAllTheSame)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  Latch ready(1);

                  EXPECT_EQ(0, group.add([&] {
                      ready.down();
                      EXPECT_EQ(SKUA_ECANCELED, sleep_long());
                      return -EIO;
                  }));
                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(0, group.cancel());
                  EXPECT_EQ(SKUA_EGROUP, group.leave(skua_yield()));
                  EXPECT_EQ((Order{-EIO}), group_errors());
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, G08_AnExternalCancelIsNotSwallowed)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  int status;

                  EXPECT_EQ(0, group.enter());
                  EXPECT_EQ(0, group.cancel());
                  EXPECT_EQ(1, skua_task_cancel(skua_current_task()));
                  status = skua_yield();
                  EXPECT_EQ(SKUA_ECANCELED, group.leave(status));
                  EXPECT_EQ(1, cancels());
                  EXPECT_EQ(0, skua_task_uncancel(skua_current_task()));
                  return skua_yield();
              }));
}

/* In a task that met a request before, the group's own is told from that. */
TEST_P(ConformanceMany, G08_AtAnyLevelOfRequests)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  Group unmet(this);

                  EXPECT_EQ(1, skua_task_cancel(skua_current_task()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_yield());
                  EXPECT_EQ(0, group.enter());
                  EXPECT_EQ(0, group.cancel());
                  EXPECT_EQ(0, group.leave(skua_yield()));
                  EXPECT_EQ(1, cancels());
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(0, unmet.enter());
                  EXPECT_EQ(0, unmet.cancel());
                  EXPECT_EQ(2, cancels());
                  EXPECT_EQ(0, unmet.leave());
                  EXPECT_EQ(1, cancels());
                  return skua_yield();
              }));
}

CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
