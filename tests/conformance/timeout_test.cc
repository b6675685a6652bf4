/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timeout_test.cc - conformance 87-92: timeout scopes.
 */
#include "support.h"

namespace conformance
{
namespace
{

/** Where a callback runs beside the body. */
class ConformanceSeveral : public Harness
{
};

int cancels()
{
    return skua_task_cancelling(skua_current_task());
}

/* --- 87: at the deadline --- */

TEST_P(ConformanceMany, N087_AtTheDeadlineTheBodyIsCancelled)
{
    EXPECT_EQ(0, run([&] {
                  skua_timeout timeout = {};
                  const int64_t start_ns = skua_monotonic();
                  int status = skua_timeout_enter(&timeout, 1 * SKUA_MS);

                  EXPECT_EQ(0, status);
                  EXPECT_LE(start_ns + 1 * SKUA_MS,
                            skua_timeout_when(&timeout));
                  status = skua_sleep(SKUA_FOREVER);
                  EXPECT_EQ(SKUA_ECANCELED, status);
                  EXPECT_TRUE(skua_timeout_expired(&timeout));
                  EXPECT_EQ(1, cancels());
                  EXPECT_EQ(-ETIMEDOUT, skua_timeout_exit(&timeout, status));
                  EXPECT_TRUE(skua_timeout_expired(&timeout));
                  EXPECT_LE(start_ns + 1 * SKUA_MS, skua_monotonic());
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N087_TheCountReturnsToWhatItWasAtEntry)
{
    EXPECT_EQ(0, run([&] {
                  Latch ready(1);
                  Future task = spawn([&] {
                      skua_timeout timeout = {};

                      ready.down();
                      EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                      EXPECT_EQ(1, cancels());
                      EXPECT_EQ(0, skua_timeout_enter(&timeout, 1 * SKUA_MS));
                      EXPECT_EQ(-ETIMEDOUT,
                                skua_timeout_exit(&timeout,
                                                  skua_sleep(SKUA_FOREVER)));
                      EXPECT_EQ(1, cancels());
                      return skua_yield();
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N087_InTimeNothingHappens)
{
    EXPECT_EQ(0, run([&] {
                  skua_timeout timeout = {};

                  EXPECT_EQ(0, skua_timeout_enter(&timeout, 3600 * SKUA_S));
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(7, skua_timeout_exit(&timeout, 7));
                  EXPECT_FALSE(skua_timeout_expired(&timeout));
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N087_TheBodyMayGoOnDespiteTheCancel)
{
    EXPECT_EQ(0, run([&] {
                  skua_timeout timeout = {};

                  EXPECT_EQ(0, skua_timeout_enter(&timeout, 1 * SKUA_MS));
                  EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(3, skua_timeout_exit(&timeout, 3));
                  EXPECT_TRUE(skua_timeout_expired(&timeout));
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

/* Another loop expires the scope while the body runs and does not suspend. */
TEST_P(ConformanceSeveral, N087_ADeadlineAfterTheBodyDoesNotPoisonTheNextWait)
{
    EXPECT_EQ(
        0, run([&] {
            Future body = spawn_on(
                loops().front(),
                [&] {
                    skua_timeout timeout = {};

                    EXPECT_EQ(0, skua_timeout_enter(&timeout, SKUA_FOREVER));
                    Future mover = spawn_on(
                        loops().back(),
                        [&] { return skua_timeout_reschedule(&timeout, 0); },
                        true);
                    while (!skua_timeout_expired(&timeout)) {
                    }
                    EXPECT_EQ(0, skua_timeout_exit(&timeout, 0));
                    EXPECT_TRUE(skua_timeout_expired(&timeout));
                    EXPECT_EQ(0, cancels());
                    EXPECT_EQ(0, skua_yield());
                    return skua_await(mover.get(), nullptr);
                },
                true);

            return skua_await(body.get(), nullptr);
        }));
}

/* The request of a scope that came to a task which does not suspend any more
 * is withdrawn, also where the task had met one before the scope. */
TEST_P(ConformanceMany, N087_AnUnmetRequestIsWithdrawnAtEachLevel)
{
    EXPECT_EQ(0, run([&] {
                  for (const int before : {0, 1}) {
                      Latch ready(1);
                      Future task = spawn([&, before] {
                          skua_timeout timeout = {};

                          ready.down();
                          if (before == 1) {
                              EXPECT_EQ(SKUA_ECANCELED,
                                        skua_sleep(SKUA_FOREVER));
                          }
                          EXPECT_EQ(before, cancels());
                          EXPECT_EQ(0, skua_timeout_enter(&timeout, -1));
                          EXPECT_EQ(before + 1, cancels());
                          EXPECT_FALSE(skua_timeout_expired(&timeout));
                          EXPECT_EQ(5, skua_timeout_exit(&timeout, 5));
                          EXPECT_FALSE(skua_timeout_expired(&timeout));
                          EXPECT_EQ(before, cancels());
                          return skua_yield();
                      });

                      EXPECT_EQ(0, ready.wait());
                      if (before == 1) {
                          EXPECT_EQ(1, skua_task_cancel(task.get()));
                      }
                      EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  }
                  return 0;
              }));
}

/* Also on a loop that is no runner's. */
TEST_P(ConformanceOne, N087_NestedScopesOnOneLoop)
{
    EXPECT_EQ(
        0, run([&] {
            for (int i = 0; i < 3; i++) {
                skua_timeout outer = {};
                skua_timeout inner = {};
                int status;

                EXPECT_EQ(0, skua_timeout_enter(&outer, SKUA_FOREVER));
                EXPECT_EQ(0, skua_timeout_enter(&inner, i * SKUA_MS));
                status = skua_timeout_exit(&inner, skua_sleep(SKUA_FOREVER));
                EXPECT_EQ(-ETIMEDOUT, status);
                EXPECT_EQ(0, skua_timeout_reschedule(&outer, i));
                EXPECT_EQ(-ETIMEDOUT, skua_timeout_exit(&outer, skua_yield()));
                EXPECT_EQ(0, cancels());
            }
            return skua_yield();
        }));
}

/* --- 88: past and none --- */

TEST_P(ConformanceMany, N088_PastDeadlinesExpireAtTheFirstSuspension)
{
    EXPECT_EQ(0, run([&] {
                  for (int round = 0; round < 50; round++) {
                      for (const int64_t delay_ns : {INT64_C(0), -SKUA_S}) {
                          skua_timeout timeout = {};
                          int status = skua_timeout_enter(&timeout, delay_ns);

                          EXPECT_EQ(0, status);
                          EXPECT_FALSE(skua_timeout_expired(&timeout));
                          status = skua_yield();
                          EXPECT_EQ(SKUA_ECANCELED, status);
                          EXPECT_TRUE(skua_timeout_expired(&timeout));
                          EXPECT_EQ(-ETIMEDOUT,
                                    skua_timeout_exit(&timeout, status));
                          EXPECT_EQ(0, cancels());
                      }
                  }
                  return skua_yield();
              }));
}

/* Thieves are busy: whoever resumes the task first finds it cancelled. */
TEST_P(ConformanceMany, N088_AlsoWhenTheTaskMoves)
{
    EXPECT_EQ(0, run([&] {
                  std::vector<Future> tasks;

                  for (int i = 0; i < 64; i++) {
                      tasks.push_back(spawn([] {
                          for (int k = 0; k < 20; k++) {
                              skua_timeout timeout = {};

                              EXPECT_EQ(0, skua_timeout_enter(&timeout, 0));
                              EXPECT_EQ(
                                  -ETIMEDOUT,
                                  skua_timeout_exit(&timeout, skua_yield()));
                              EXPECT_EQ(0, skua_yield());
                          }
                          return 0;
                      }));
                  }
                  for (const Future &task : tasks) {
                      EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  }
                  return 0;
              }));
}

TEST_P(ConformanceMany, N088_EverySuspensionExpires)
{
    EXPECT_EQ(
        0, run([&] {
            Future pending = make_future();
            skua_timeout sleeping = {};
            skua_timeout awaiting = {};
            skua_timeout at = {};

            EXPECT_EQ(0, skua_timeout_enter(&sleeping, 0));
            EXPECT_EQ(-ETIMEDOUT,
                      skua_timeout_exit(&sleeping, skua_sleep(3600 * SKUA_S)));
            EXPECT_EQ(0, skua_timeout_enter(&awaiting, 0));
            EXPECT_EQ(-ETIMEDOUT,
                      skua_timeout_exit(&awaiting,
                                        skua_await(pending.get(), nullptr)));
            EXPECT_TRUE(skua_future_cancelled(pending.get()));
            EXPECT_EQ(0, skua_timeout_enter_at(&at, skua_monotonic() - 1));
            EXPECT_EQ(-ETIMEDOUT, skua_timeout_exit(&at, skua_yield()));
            return skua_yield();
        }));
}

TEST_P(ConformanceMany, N088_WithoutASuspensionNothingExpires)
{
    EXPECT_EQ(0, run([&] {
                  skua_timeout timeout = {};
                  Future done = make_future();

                  EXPECT_EQ(0, skua_future_set_result(done.get(), nullptr));
                  EXPECT_EQ(0, skua_timeout_enter(&timeout, 0));
                  EXPECT_EQ(0, skua_await(done.get(), nullptr));
                  EXPECT_EQ(3, skua_timeout_exit(&timeout, 3));
                  EXPECT_FALSE(skua_timeout_expired(&timeout));
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N088_NoDeadlineIsNoLimit)
{
    EXPECT_EQ(0, run([&] {
                  skua_timeout timeout = {};

                  EXPECT_EQ(0, skua_timeout_enter(&timeout, SKUA_FOREVER));
                  EXPECT_EQ(SKUA_FOREVER, skua_timeout_when(&timeout));
                  EXPECT_EQ(0, skua_sleep(1 * SKUA_MS));
                  EXPECT_EQ(3, skua_timeout_exit(&timeout, 3));
                  EXPECT_FALSE(skua_timeout_expired(&timeout));
                  return 0;
              }));
}

/* --- 89: other cancels --- */

TEST_P(ConformanceMany, N089_AnExternalCancelStaysACancel)
{
    EXPECT_EQ(0, run([&] {
                  Latch ready(1);
                  Future task = spawn([&] {
                      skua_timeout timeout = {};
                      int status = skua_timeout_enter(&timeout, 3600 * SKUA_S);

                      EXPECT_EQ(0, status);
                      ready.down();
                      status =
                          skua_timeout_exit(&timeout, skua_sleep(SKUA_FOREVER));
                      EXPECT_FALSE(skua_timeout_expired(&timeout));
                      EXPECT_EQ(1, cancels());
                      return status;
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(task.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N089_AnExternalCancelBesideTheExpiryStaysACancel)
{
    EXPECT_EQ(0, run([&] {
                  skua_timeout timeout = {};
                  int status = skua_timeout_enter(&timeout, 0);

                  EXPECT_EQ(0, status);
                  EXPECT_EQ(1, skua_task_cancel(skua_current_task()));
                  status = skua_yield();
                  EXPECT_EQ(SKUA_ECANCELED,
                            skua_timeout_exit(&timeout, status));
                  EXPECT_TRUE(skua_timeout_expired(&timeout));
                  EXPECT_EQ(1, cancels());
                  EXPECT_EQ(0, skua_task_uncancel(skua_current_task()));
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N089_ACancelThatWaitedAtEntryIsNotTakenForTheLimit)
{
    EXPECT_EQ(0, run([&] {
                  skua_timeout timeout = {};

                  EXPECT_EQ(1, skua_task_cancel(skua_current_task()));
                  EXPECT_EQ(0, skua_timeout_enter(&timeout, 0));
                  EXPECT_EQ(SKUA_ECANCELED,
                            skua_timeout_exit(&timeout, skua_yield()));
                  EXPECT_EQ(1, cancels());
                  EXPECT_EQ(0, skua_task_uncancel(skua_current_task()));
                  return skua_yield();
              }));
}

/* --- nested: W-14 --- */

TEST_P(ConformanceMany, N087_TheInnerExpiresAlone)
{
    EXPECT_EQ(
        0, run([&] {
            skua_timeout outer = {};
            skua_timeout inner = {};

            EXPECT_EQ(0, skua_timeout_enter(&outer, 3600 * SKUA_S));
            EXPECT_EQ(0, skua_timeout_enter(&inner, 1 * SKUA_MS));
            EXPECT_EQ(-ETIMEDOUT,
                      skua_timeout_exit(&inner, skua_sleep(SKUA_FOREVER)));
            EXPECT_EQ(0, skua_yield());
            EXPECT_FALSE(skua_timeout_expired(&outer));
            EXPECT_EQ(0, skua_timeout_reschedule(&outer, skua_monotonic()));
            EXPECT_EQ(-ETIMEDOUT, skua_timeout_exit(&outer, skua_yield()));
            EXPECT_EQ(0, cancels());
            return skua_yield();
        }));
}

TEST_P(ConformanceMany, N087_TheOuterExpiresWithinTheInner)
{
    EXPECT_EQ(
        0, run([&] {
            skua_timeout outer = {};
            skua_timeout inner = {};

            EXPECT_EQ(0, skua_timeout_enter(&outer, 1 * SKUA_MS));
            EXPECT_EQ(0, skua_timeout_enter(&inner, 3600 * SKUA_S));
            EXPECT_EQ(SKUA_ECANCELED,
                      skua_timeout_exit(&inner, skua_sleep(SKUA_FOREVER)));
            EXPECT_FALSE(skua_timeout_expired(&inner));
            EXPECT_EQ(-ETIMEDOUT, skua_timeout_exit(&outer, SKUA_ECANCELED));
            EXPECT_EQ(0, cancels());
            return skua_yield();
        }));
}

TEST_P(ConformanceMany, N087_OfTwoThatExpireTogetherTheOuterTells)
{
    EXPECT_EQ(0, run([&] {
                  for (const int64_t delay_ns : {INT64_C(0), 1 * SKUA_MS}) {
                      skua_timeout outer = {};
                      skua_timeout inner = {};
                      int status;

                      EXPECT_EQ(0, skua_timeout_enter(&outer, delay_ns));
                      EXPECT_EQ(0, skua_timeout_enter(&inner, delay_ns));
                      status = skua_sleep(SKUA_FOREVER);
                      EXPECT_EQ(SKUA_ECANCELED, status);
                      while (!skua_timeout_expired(&inner) ||
                             !skua_timeout_expired(&outer)) {
                          (void)skua_yield();
                      }
                      status = skua_timeout_exit(&inner, status);
                      EXPECT_EQ(SKUA_ECANCELED, status);
                      EXPECT_EQ(-ETIMEDOUT, skua_timeout_exit(&outer, status));
                      EXPECT_EQ(0, cancels());
                      EXPECT_EQ(0, skua_yield());
                  }
                  return 0;
              }));
}

/* The loop is busy until both deadlines are over; only the outer's came. */
TEST_P(ConformanceMany, N087_ABusyLoopExpiresTheOuterLater)
{
    EXPECT_EQ(0, run([&] {
                  skua_timeout outer = {};
                  skua_timeout inner = {};
                  int status;

                  EXPECT_EQ(0, skua_timeout_enter(&outer, 1 * SKUA_MS));
                  EXPECT_EQ(0, skua_timeout_enter(&inner, 3600 * SKUA_S));
                  while (skua_monotonic() < skua_timeout_when(&outer)) {
                  }
                  status = skua_timeout_exit(&inner, skua_sleep(SKUA_FOREVER));
                  EXPECT_EQ(SKUA_ECANCELED, status);
                  EXPECT_EQ(-ETIMEDOUT, skua_timeout_exit(&outer, status));
                  return skua_yield();
              }));
}

/* --- 91: other errors --- */

TEST_P(ConformanceMany, N091_AnotherErrorWinsWithTheLimitAsItsCause)
{
    EXPECT_EQ(0, run([&] {
                  skua_timeout timeout = {};
                  int status = skua_timeout_enter(&timeout, 1 * SKUA_MS);
                  skua_exception *error;

                  EXPECT_EQ(0, status);
                  EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
                  status = skua_raise(-EIO, "while %s", "expiring");
                  EXPECT_EQ(-EIO, skua_timeout_exit(&timeout, status));
                  error = skua_current_exception();
                  EXPECT_EQ(-EIO, skua_exception_status(error));
                  EXPECT_STREQ("while expiring", skua_exception_message(error));
                  EXPECT_EQ(-ETIMEDOUT,
                            skua_exception_status(skua_exception_cause(error)));
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N091_ABareErrorGetsTheCauseToo)
{
    EXPECT_EQ(0, run([&] {
                  skua_timeout timeout = {};
                  skua_exception *error;

                  EXPECT_EQ(-EPIPE, skua_call(
                                        [](void *) {
                                            return skua_raise(-EPIPE, "before");
                                        },
                                        nullptr, nullptr));
                  EXPECT_EQ(0, skua_timeout_enter(&timeout, 0));
                  EXPECT_EQ(SKUA_ECANCELED, skua_yield());
                  EXPECT_EQ(-EIO, skua_timeout_exit(&timeout, -EIO));
                  error = skua_current_exception();
                  EXPECT_EQ(-EIO, skua_exception_status(error));
                  error = skua_exception_cause(error);
                  EXPECT_EQ(-ETIMEDOUT, skua_exception_status(error));
                  EXPECT_EQ(nullptr, skua_exception_cause(error));
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N091_TheFormerCauseFollows)
{
    EXPECT_EQ(0, run([&] {
                  skua_timeout timeout = {};
                  int status;
                  skua_exception *error;

                  EXPECT_EQ(0, skua_timeout_enter(&timeout, 0));
                  EXPECT_EQ(SKUA_ECANCELED, skua_yield());
                  (void)skua_raise(-EPIPE, "first");
                  status = skua_raise(-EIO, "second");
                  EXPECT_EQ(-EIO, skua_timeout_exit(&timeout, status));
                  error = skua_exception_cause(skua_current_exception());
                  EXPECT_EQ(-ETIMEDOUT, skua_exception_status(error));
                  EXPECT_STREQ("first", skua_exception_message(
                                            skua_exception_cause(error)));
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N091_WithoutExpiryTheErrorIsAsItWas)
{
    EXPECT_EQ(
        0, run([&] {
            skua_timeout timeout = {};

            EXPECT_EQ(0, skua_timeout_enter(&timeout, 3600 * SKUA_S));
            EXPECT_EQ(-EIO,
                      skua_timeout_exit(&timeout, skua_raise(-EIO, "plain")));
            EXPECT_EQ(nullptr, skua_exception_cause(skua_current_exception()));
            return 0;
        }));
}

/* --- 92: rescheduling --- */

TEST_P(ConformanceMany, N092_RescheduleOnlyWhileActive)
{
    EXPECT_EQ(
        0, run([&] {
            skua_timeout timeout = {};
            int status;

            EXPECT_EQ(SKUA_EINVALSTATE,
                      skua_timeout_reschedule(&timeout, SKUA_FOREVER));
            EXPECT_EQ(0, skua_timeout_enter(&timeout, 3600 * SKUA_S));
            EXPECT_EQ(SKUA_EINVALSTATE, skua_timeout_enter(&timeout, SKUA_S));
            EXPECT_EQ(0,
                      skua_timeout_reschedule(&timeout, skua_monotonic() - 1));
            status = skua_yield();
            EXPECT_EQ(SKUA_ECANCELED, status);
            EXPECT_EQ(SKUA_EINVALSTATE,
                      skua_timeout_reschedule(&timeout, SKUA_FOREVER));
            EXPECT_EQ(-ETIMEDOUT, skua_timeout_exit(&timeout, status));
            EXPECT_EQ(SKUA_EINVALSTATE,
                      skua_timeout_reschedule(&timeout, SKUA_FOREVER));
            EXPECT_EQ(-EINVAL, skua_timeout_exit(&timeout, 0));
            EXPECT_EQ(SKUA_EINVALSTATE, skua_timeout_enter(&timeout, SKUA_S));
            EXPECT_EQ(0, cancels());
            return skua_yield();
        }));
}

TEST_P(ConformanceMany, N092_RescheduleMovesTheDeadline)
{
    EXPECT_EQ(
        0, run([&] {
            skua_timeout timeout = {};
            const int64_t late_ns = skua_monotonic() + 3600 * SKUA_S;

            EXPECT_EQ(0, skua_timeout_enter(&timeout, 1 * SKUA_MS));
            EXPECT_EQ(0, skua_timeout_reschedule(&timeout, late_ns));
            EXPECT_EQ(late_ns, skua_timeout_when(&timeout));
            EXPECT_EQ(0, skua_sleep(2 * SKUA_MS));
            EXPECT_EQ(0, skua_timeout_reschedule(&timeout, SKUA_FOREVER));
            EXPECT_EQ(SKUA_FOREVER, skua_timeout_when(&timeout));
            EXPECT_EQ(0, skua_timeout_reschedule(&timeout,
                                                 skua_monotonic() + SKUA_MS));
            EXPECT_EQ(-ETIMEDOUT,
                      skua_timeout_exit(&timeout, skua_sleep(SKUA_FOREVER)));
            return skua_yield();
        }));
}

/* Before the next suspension a past deadline can still be moved. */
TEST_P(ConformanceMany, N092_APastDeadlineIsTakenBackBeforeItIsMet)
{
    EXPECT_EQ(0, run([&] {
                  skua_timeout timeout = {};

                  EXPECT_EQ(0, skua_timeout_enter(&timeout, 0));
                  EXPECT_EQ(0,
                            skua_timeout_reschedule(&timeout, INT64_MIN + 1));
                  EXPECT_EQ(1, cancels());
                  EXPECT_EQ(0, skua_timeout_reschedule(&timeout, SKUA_FOREVER));
                  EXPECT_EQ(0, cancels());
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(0, skua_timeout_reschedule(&timeout, 1));
                  EXPECT_EQ(0, skua_timeout_reschedule(
                                   &timeout, skua_monotonic() + 3600 * SKUA_S));
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(0, skua_timeout_exit(&timeout, 0));
                  EXPECT_FALSE(skua_timeout_expired(&timeout));
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N092_AnotherTaskMovesIt)
{
    EXPECT_EQ(0, run([&] {
                  for (const bool sooner : {true, false}) {
                      skua_timeout timeout = {};
                      int status;

                      EXPECT_EQ(0, skua_timeout_enter(&timeout, 3600 * SKUA_S));
                      Future mover = spawn_on(loops().back(), [&] {
                          return skua_timeout_reschedule(
                              &timeout, skua_monotonic() +
                                            (sooner ? -1 : 2) * 1 * SKUA_MS);
                      });

                      status = skua_sleep(SKUA_FOREVER);
                      EXPECT_EQ(-ETIMEDOUT,
                                skua_timeout_exit(&timeout, status));
                      EXPECT_EQ(0, skua_await(mover.get(), nullptr));
                  }
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N092_APlainThreadMovesIt)
{
    EXPECT_EQ(0, run([&] {
                  for (const bool sooner : {true, false}) {
                      skua_timeout timeout = {};
                      int status;

                      EXPECT_EQ(0, skua_timeout_enter(&timeout, 3600 * SKUA_S));
                      std::thread mover([&] {
                          EXPECT_EQ(0, skua_timeout_reschedule(
                                           &timeout, skua_monotonic() +
                                                         (sooner ? -1 : 2) * 1 *
                                                             SKUA_MS));
                      });

                      status = skua_sleep(SKUA_FOREVER);
                      mover.join();
                      EXPECT_EQ(-ETIMEDOUT,
                                skua_timeout_exit(&timeout, status));
                  }
                  return skua_yield();
              }));
}

TEST_P(ConformanceOne, N092_AnotherTaskTakesAPastDeadlineBack)
{
    EXPECT_EQ(0, run([&] {
                  skua_timeout timeout = {};

                  EXPECT_EQ(0, skua_timeout_enter(&timeout, SKUA_FOREVER));
                  Future mover = spawn([&] {
                      EXPECT_EQ(0, skua_timeout_reschedule(&timeout, 0));
                      EXPECT_EQ(
                          0, skua_timeout_reschedule(&timeout, SKUA_FOREVER));
                      return 0;
                  });

                  EXPECT_EQ(0, skua_await(mover.get(), nullptr));
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(0, skua_timeout_exit(&timeout, 0));
                  EXPECT_FALSE(skua_timeout_expired(&timeout));
                  return skua_yield();
              }));
}

TEST_P(ConformanceOne, N092_AScopeThatExpiresRefuses)
{
    EXPECT_EQ(0, run([&] {
                  skua_timeout timeout = {};
                  int seen = 0;

                  EXPECT_EQ(0, skua_timeout_enter(&timeout, SKUA_FOREVER));
                  Future mover = spawn([&] {
                      EXPECT_EQ(0, skua_timeout_reschedule(&timeout, 0));
                      EXPECT_EQ(0, skua_yield());
                      EXPECT_TRUE(skua_timeout_expired(&timeout));
                      seen = skua_timeout_reschedule(&timeout, SKUA_FOREVER);
                      return 0;
                  });

                  EXPECT_EQ(
                      -ETIMEDOUT,
                      skua_timeout_exit(&timeout, skua_sleep(SKUA_FOREVER)));
                  EXPECT_EQ(0, skua_await(mover.get(), nullptr));
                  EXPECT_EQ(SKUA_EINVALSTATE, seen);
                  return 0;
              }));
}

TEST_P(ConformanceMany, N092_OnlyTheTaskThatEnteredLeaves)
{
    EXPECT_EQ(0, run([&] {
                  skua_timeout timeout = {};

                  EXPECT_EQ(0, skua_timeout_enter(&timeout, 3600 * SKUA_S));
                  Future other =
                      spawn([&] { return skua_timeout_exit(&timeout, 0); });

                  EXPECT_EQ(-EINVAL, skua_await(other.get(), nullptr));
                  EXPECT_EQ(0, skua_timeout_exit(&timeout, 0));
                  return 0;
              }));
}

TEST_F(Conformance, N092_AScopeNeedsATask)
{
    skua_timeout timeout = {};

    EXPECT_EQ(SKUA_ENOLOOP, skua_timeout_enter(&timeout, 0));
    soon(loop_,
         [&] { EXPECT_EQ(SKUA_ENOLOOP, skua_timeout_enter_at(&timeout, 1)); });
    drain();
    EXPECT_EQ(SKUA_FOREVER, skua_timeout_when(&timeout));
    EXPECT_FALSE(skua_timeout_expired(&timeout));
}

/* The task leaves the loop where the timer is, and then the scope. */
TEST_P(ConformanceMany, N087_TheTimerIsLeftBehindOnAnotherLoop)
{
    EXPECT_EQ(0, run([&] {
                  std::vector<Future> tasks;

                  for (int i = 0; i < 32; i++) {
                      tasks.push_back(spawn([i] {
                          for (int k = 0; k < 50; k++) {
                              skua_timeout timeout = {};
                              const bool tight = (i + k) % 2 == 0;
                              int status = skua_timeout_enter(
                                  &timeout,
                                  tight ? 50 * SKUA_US : 3600 * SKUA_S);

                              EXPECT_EQ(0, status);
                              for (int n = 0; n < 3 && status == 0; n++) {
                                  status = skua_yield();
                              }
                              if (tight && status == 0) {
                                  status = skua_sleep(SKUA_FOREVER);
                              }
                              EXPECT_EQ(tight ? -ETIMEDOUT : 0,
                                        skua_timeout_exit(&timeout, status));
                              EXPECT_EQ(0, cancels());
                          }
                          return skua_yield();
                      }));
                  }
                  for (const Future &task : tasks) {
                      EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  }
                  return 0;
              }));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();
INSTANTIATE_TEST_SUITE_P(Loops, ConformanceSeveral, testing::Values(2, 4));

} // namespace
} // namespace conformance
