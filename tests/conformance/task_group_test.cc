/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_group_test.cc - conformance 95-98, 102, 103: task groups whose
 * children and bodies end by themselves; their states.
 */
#include "groups.h"

namespace conformance
{
namespace
{

/* --- 95: leaving waits for all --- */

TEST_P(ConformanceMany, N095_LeavingWaitsForAllChildren)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  std::atomic<int> ended = 0;

                  for (int i = 0; i < 100; i++) {
                      EXPECT_EQ(0, group.add([&, i] {
                          EXPECT_EQ(0, i % 2 == 0 ? skua_yield()
                                                  : skua_sleep(SKUA_MS));
                          ended++;
                          return 0;
                      }));
                  }
                  EXPECT_EQ(0, group.leave());
                  EXPECT_EQ(100, ended);
                  EXPECT_EQ(0, cancels());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N095_AlsoForThoseAddedWhileLeaving)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  std::atomic<int> ended = 0;
                  std::function<int(int)> generation = [&](int left) {
                      EXPECT_EQ(0, skua_sleep(100 * SKUA_US));
                      for (int i = 0; i < 2 && left > 0; i++) {
                          EXPECT_EQ(0, group.add([&, left] {
                              return generation(left - 1);
                          }));
                      }
                      ended++;
                      return 0;
                  };

                  EXPECT_EQ(0, group.add([&] { return generation(7); }));
                  EXPECT_EQ(0, group.leave());
                  EXPECT_EQ(255, ended);
                  return 0;
              }));
}

/* Each child adds the next one and ends: the group is never without one. */
TEST_P(ConformanceMany, N095_AChainOfChildrenWhileLeaving)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  std::atomic<int> ended = 0;
                  std::function<int()> next = [&] {
                      if (++ended < 300) {
                          EXPECT_EQ(0, group.add(next));
                      }
                      return 0;
                  };

                  EXPECT_EQ(0, group.add(next));
                  EXPECT_EQ(0, group.leave());
                  EXPECT_EQ(300, ended);
                  return 0;
              }));
}

TEST_P(ConformanceMany, N095_AnEmptyGroupDoesNotSuspend)
{
    EXPECT_EQ(0, run([&] {
                  Group empty(this);
                  Group entered(this);

                  EXPECT_EQ(1, skua_task_cancel(skua_current_task()));
                  EXPECT_EQ(0, empty.leave());
                  EXPECT_EQ(0, entered.enter());
                  EXPECT_EQ(4, entered.leave(4));
                  EXPECT_EQ(1, cancels());
                  EXPECT_EQ(SKUA_ECANCELED, skua_yield());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N095_ChildrenHaveHandlesNamesAndResults)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  skua_task_options options = {};
                  char name[32] = "";
                  void *value = nullptr;

                  options.name = "worker";
                  options.loop = loops().back();
                  options.pinned = true;
                  Future child = group.child(
                      [&] {
                          EXPECT_EQ(loops().back(), skua_get_running_loop());
                          EXPECT_EQ(0, skua_yield());
                          EXPECT_EQ(loops().back(), skua_get_running_loop());
                          return skua_return(as_pointer(5));
                      },
                      &options);
                  Future plain = group.child([] { return 3; });

                  EXPECT_EQ(
                      6, skua_task_get_name(child.get(), name, sizeof(name)));
                  EXPECT_STREQ("worker", name);
                  EXPECT_EQ(5, await_int(child.get()));
                  EXPECT_EQ(0, group.leave());
                  EXPECT_TRUE(skua_future_done(plain.get()));
                  EXPECT_EQ(3, skua_future_result(plain.get(), nullptr));
                  EXPECT_EQ(0, skua_future_result(child.get(), &value));
                  EXPECT_EQ(5, as_int(value));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N095_AFailureIsNotReportedAsUnread)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  Future child = group.child([] { return -EIO; });

                  EXPECT_EQ(SKUA_EGROUP, group.leave());
                  EXPECT_EQ(-EIO, skua_future_result(child.get(), nullptr));
                  return 0;
              }));
    EXPECT_EQ(0u, reports_.size());
}

TEST_P(ConformanceMany, N095_AnotherTaskOrThreadAddsChildren)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  std::atomic<int> ran = 0;

                  EXPECT_EQ(0, group.enter());
                  Future creator = spawn_on(loops().back(), [&] {
                      for (int i = 0; i < 100; i++) {
                          EXPECT_EQ(0, group.add([&] { return ran++, 0; }));
                      }
                      return 0;
                  });
                  std::thread thread([&, loop = loops().front()] {
                      skua_task_options options = {};

                      options.loop = loop;
                      for (int i = 0; i < 100; i++) {
                          Future child =
                              group.child([&] { return ran++, 0; }, &options);
                      }
                      EXPECT_EQ(SKUA_ENOLOOP, group.add([] { return 0; }));
                  });

                  thread.join();
                  EXPECT_EQ(0, skua_await(creator.get(), nullptr));
                  EXPECT_EQ(0, group.leave());
                  EXPECT_EQ(200, ran);
                  return 0;
              }));
}

/* --- 96: the first failing child --- */

TEST_P(ConformanceMany, N096_TheFirstFailureCancelsSiblingsAndTheBody)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  std::atomic<int> started = 0;
                  std::atomic<int> cancelled = 0;
                  int status;

                  for (int i = 0; i < 70; i++) {
                      EXPECT_EQ(0, group.add([&] {
                          started++;
                          const int ended = sleep_long();

                          cancelled += ended == SKUA_ECANCELED;
                          return ended;
                      }));
                  }
                  EXPECT_EQ(0, group.add([&] {
                      while (started < 70) { /* else some never ran */
                          EXPECT_EQ(0, skua_sleep(1 * SKUA_MS));
                      }
                      return skua_raise(-EIO, "child %d", 70);
                  }));
                  status = sleep_long();
                  EXPECT_EQ(SKUA_ECANCELED, status);
                  EXPECT_EQ(1, cancels());
                  EXPECT_EQ(SKUA_EGROUP, group.leave(status));
                  EXPECT_EQ(70, cancelled);
                  EXPECT_EQ((Order{-EIO}), group_errors());
                  EXPECT_STREQ("child 70",
                               skua_exception_message(skua_exception_child(
                                   skua_current_exception(), 0)));
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N096_WhileLeavingTheCountIsUntouched)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  skua_task *parent = skua_current_task();

                  EXPECT_EQ(0, group.add([] { return sleep_long(); }));
                  EXPECT_EQ(0, group.add([&] {
                      EXPECT_EQ(0, skua_sleep(1 * SKUA_MS));
                      EXPECT_EQ(0, skua_task_cancelling(parent));
                      return -EIO;
                  }));
                  EXPECT_EQ(SKUA_EGROUP, group.leave());
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

/* Errors while they unwind are added, in order of completion: each child waits
 * for the end of the one created before it. */
TEST_P(ConformanceMany, N096_AllErrorsInOrderOfCompletion)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  std::vector<Future> children;
                  std::atomic<int> ready = 0;

                  children.reserve(3);
                  for (int i = 1; i <= 3; i++) {
                      skua_task *before =
                          children.empty() ? nullptr : children.back().get();

                      children.push_back(group.child([&ready, before, i] {
                          ready++;
                          EXPECT_EQ(SKUA_ECANCELED, sleep_long());
                          if (before != nullptr) {
                              EXPECT_EQ(1 - i, skua_await(before, nullptr));
                          }
                          return -i;
                      }));
                  }
                  EXPECT_EQ(0, group.add([&] {
                      while (ready < 3) {
                          EXPECT_EQ(0, skua_yield());
                      }
                      return -EIO;
                  }));
                  EXPECT_EQ(SKUA_EGROUP, group.leave());
                  EXPECT_EQ((Order{-EIO, -1, -2, -3}), group_errors());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N096_AChildThatAddsWhileItIsCancelledIsRefused)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  std::atomic<bool> ready = false;

                  EXPECT_EQ(0, group.add([&] {
                      ready = true;
                      EXPECT_EQ(SKUA_ECANCELED, sleep_long());
                      EXPECT_EQ(SKUA_EINVALSTATE, group.add([] {
                          ADD_FAILURE() << "ran";
                          return 0;
                      }));
                      return SKUA_ECANCELED;
                  }));
                  EXPECT_EQ(0, group.add([&] {
                      while (!ready) {
                          EXPECT_EQ(0, skua_yield());
                      }
                      return -EIO;
                  }));
                  EXPECT_EQ(SKUA_EGROUP, group.leave());
                  return 0;
              }));
}

/* The child fails on another loop, and has many siblings to cancel before the
 * parent. */
void await_failing_child(Lambdas &lambdas, skua_loop *loop, int round)
{
    Group group(&lambdas);
    skua_task_options far = {};

    far.loop = loop;
    far.pinned = true;
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(0, group.add([] { return sleep_long(); }));
    }
    Future child = group.child(
        [round] { return round % 2 == 0 ? skua_yield() - EIO : -EIO; }, &far);
    const int status = skua_await(child.get(), nullptr);

    if (status != SKUA_ECANCELED) {
        /* It was done before, and gave what it had. */
        EXPECT_EQ(-EIO, status);
        EXPECT_EQ(1, cancels());
    }
    EXPECT_EQ(SKUA_EGROUP, group.leave(SKUA_ECANCELED));
    EXPECT_EQ((Order{-EIO}), group_errors());
    EXPECT_EQ(0, cancels());
}

/* The body awaits the child that fails: it is cancelled, on every loop, before
 * it can read that failure; so the error is there once. */
TEST_P(ConformanceMany, N096_ABodyThatAwaitsTheFailingChildIsCancelled)
{
    EXPECT_EQ(0, run([&] {
                  Future parent = spawn_on(
                      loops().front(),
                      [&] {
                          for (int round = 0; round < 100; round++) {
                              await_failing_child(*this, loops().back(), round);
                              EXPECT_EQ(0, skua_yield());
                          }
                          return 0;
                      },
                      true);

                  return skua_await(parent.get(), nullptr);
              }));
}

/* A child is refused to a body that was not told yet: that is no error. */
TEST_P(ConformanceMany, N096_ARefusedChildIsNoFailureOfTheBody)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  int status = group.add([] { return -EIO; });

                  EXPECT_EQ(0, status);
                  EXPECT_EQ(SKUA_ECANCELED, sleep_long());
                  status = group.add([] {
                      ADD_FAILURE() << "ran";
                      return 0;
                  });
                  EXPECT_EQ(SKUA_EINVALSTATE, status);
                  EXPECT_EQ(SKUA_EGROUP, group.leave(status));
                  EXPECT_EQ((Order{-EIO}), group_errors());
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

/* --- 97 --- */

TEST_P(ConformanceMany, N097_AChildThatIsCancelledAloneIsNoError)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  std::atomic<bool> finished = false;
                  Future victim = group.child([] { return sleep_long(); });

                  EXPECT_EQ(0, group.add([] { return SKUA_ECANCELED; }));
                  EXPECT_EQ(0, group.add([&] {
                      EXPECT_EQ(0, skua_sleep(2 * SKUA_MS));
                      finished = true;
                      return 0;
                  }));
                  EXPECT_EQ(1, skua_task_cancel(victim.get()));
                  EXPECT_EQ(0, group.leave());
                  EXPECT_TRUE(skua_future_cancelled(victim.get()));
                  EXPECT_TRUE(finished);
                  EXPECT_EQ(0, cancels());
                  return 0;
              }));
}

/* --- 98: the body fails --- */

TEST_P(ConformanceMany, N098_ABodyThatFailsCancelsAndIsPartOfTheError)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  std::atomic<bool> ready = false;
                  Future child = group.child([&] {
                      ready = true;
                      EXPECT_EQ(SKUA_ECANCELED, sleep_long());
                      return -EPIPE;
                  });
                  int status;

                  while (!ready) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  status = skua_raise(-EIO, "the body");
                  EXPECT_EQ(SKUA_EGROUP, group.leave(status));
                  EXPECT_EQ((Order{-EPIPE, -EIO}), group_errors());
                  EXPECT_STREQ("the body",
                               skua_exception_message(skua_exception_child(
                                   skua_current_exception(), 1)));
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

TEST_P(ConformanceMany, N098_ABareStatusOfTheBodyBecomesAnException)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);

                  EXPECT_EQ(0, group.enter());
                  EXPECT_EQ(-EPIPE, skua_call(
                                        [](void *) {
                                            return skua_raise(-EPIPE,
                                                              "of before");
                                        },
                                        nullptr, nullptr));
                  EXPECT_EQ(SKUA_EGROUP, group.leave(-EIO));
                  EXPECT_EQ((Order{-EIO}), group_errors());
                  return skua_yield();
              }));
}

/* --- 102, 103: states --- */

TEST_P(ConformanceMany, N102_AFinishedGroupTakesNoChild)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  skua_task *task = nullptr;

                  EXPECT_EQ(0, group.add([] { return 0; }));
                  EXPECT_EQ(0, group.leave());
                  EXPECT_EQ(SKUA_EINVALSTATE, skua_task_group_create_task(
                                                  group.get(), never, nullptr));
                  EXPECT_EQ(SKUA_EINVALSTATE,
                            skua_task_group_create_task_with(
                                group.get(), nullptr, never, nullptr, &task));
                  EXPECT_EQ(SKUA_EINVALSTATE,
                            skua_task_group_start(group.get(), never, nullptr,
                                                  nullptr));
                  EXPECT_EQ(nullptr, task);
                  EXPECT_EQ(0, group.cancel());
                  EXPECT_EQ(0, cancels());
                  return skua_yield();
              }));
}

/* The last child is gone while the parent has not resumed yet: too late. */
TEST_P(ConformanceOne, N102_AGroupWithoutChildrenThatIsBeingLeftIsFinished)
{
    EXPECT_EQ(0, run([&] {
                  int seen = 0;
                  Group group(this);
                  Future child = group.child([] { return 0; });

                  when_done(child.get(), [&](skua_future *) {
                      seen = skua_task_group_create_task(group.get(), never,
                                                         nullptr);
                  });
                  EXPECT_EQ(0, group.leave());
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(SKUA_EINVALSTATE, seen);
                  return 0;
              }));
}

TEST_P(ConformanceMany, N103_AGroupIsEnteredOnce)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);
                  Group implicit(this);

                  EXPECT_EQ(0, group.enter());
                  EXPECT_EQ(SKUA_EINVALSTATE, group.enter());
                  EXPECT_EQ(0, group.leave());
                  EXPECT_EQ(SKUA_EINVALSTATE, group.enter());
                  EXPECT_EQ(SKUA_EINVALSTATE, group.leave());
                  EXPECT_EQ(0, implicit.add([] { return 0; }));
                  EXPECT_EQ(SKUA_EINVALSTATE, implicit.enter());
                  EXPECT_EQ(0, implicit.leave());
                  return 0;
              }));
}

TEST_P(ConformanceMany, N103_OnlyTheParentLeaves)
{
    EXPECT_EQ(0, run([&] {
                  Group group(this);

                  EXPECT_EQ(0, group.enter());
                  Future other = spawn([&] { return group.leave(); });

                  EXPECT_EQ(-EPERM, skua_await(other.get(), nullptr));
                  EXPECT_EQ(0, group.leave());
                  return 0;
              }));
}

TEST_F(Conformance, N103_AGroupNeedsATask)
{
    skua_task_group group = {};
    skua_task_group_options unknown = {};

    unknown.policy = static_cast<skua_task_group_policy>(3);
    EXPECT_EQ(-EINVAL, skua_task_group_enter(&group, &unknown));
    EXPECT_EQ(SKUA_ENOLOOP, skua_task_group_enter(&group, nullptr));
    EXPECT_EQ(SKUA_ENOLOOP,
              skua_task_group_create_task(&group, never, nullptr));
    soon(loop_, [&] {
        EXPECT_EQ(SKUA_ENOLOOP, skua_task_group_enter(&group, nullptr));
        EXPECT_EQ(SKUA_ENOLOOP,
                  skua_task_group_create_task(&group, never, nullptr));
        EXPECT_EQ(SKUA_ENOLOOP,
                  skua_task_group_start(&group, never, nullptr, nullptr));
        EXPECT_EQ(SKUA_ENOLOOP, skua_task_group_leave(&group, 0));
        EXPECT_EQ(SKUA_ENOLOOP, skua_task_group_started(nullptr));
    });
    drain();
    EXPECT_EQ(-EINVAL, skua_task_group_enter(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_task_group_cancel(nullptr));
    EXPECT_EQ(-EINVAL, skua_task_group_leave(nullptr, 0));
    EXPECT_EQ(-EINVAL, skua_task_group_winner(nullptr, nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_task_group_start(nullptr, never, nullptr, nullptr));
    EXPECT_EQ(-EINVAL,
              skua_task_group_start(&group, nullptr, nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_task_group_create_task_with(nullptr, nullptr, never,
                                                        nullptr, nullptr));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
