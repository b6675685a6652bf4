/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_group_test.cc - conformance 95-103: task groups; their policies, early
 * ends and ready children.
 */
#include "support.h"

namespace conformance
{
namespace
{

int cancels()
{
    return skua_task_cancelling(skua_current_task());
}

/** Statuses of the current exception's children, in their order. */
Order group_errors()
{
    const skua_exception *error = skua_current_exception();
    Order statuses;

    EXPECT_EQ(SKUA_EGROUP, skua_exception_status(error));
    for (size_t i = 0; i < skua_exception_count(error); i++) {
        statuses.push_back(
            skua_exception_status(skua_exception_child(error, i)));
    }
    return statuses;
}

/** A group whose children are lambdas. */
class Group
{
  public:
    explicit Group(Lambdas *lambdas) : lambdas_(lambdas)
    {
    }

    int add(Body body)
    {
        return skua_task_group_create_task(
            &group_, run_body, lambdas_->keeper_.body(std::move(body)));
    }

    /** A child with a handle. */
    Future child(Body body, const skua_task_options *options = nullptr)
    {
        skua_task *task = nullptr;

        EXPECT_EQ(0, skua_task_group_create_task_with(
                         &group_, options, run_body,
                         lambdas_->keeper_.body(std::move(body)), &task));
        return Future(task);
    }

    int start(Body body, void **out_value = nullptr)
    {
        return skua_task_group_start(&group_, run_body,
                                     lambdas_->keeper_.body(std::move(body)),
                                     out_value);
    }

    int enter(skua_task_group_policy policy = SKUA_TASK_GROUP_FAIL_FAST)
    {
        skua_task_group_options options = {};

        options.policy = policy;
        return skua_task_group_enter(&group_, &options);
    }

    int leave(int status = 0)
    {
        return skua_task_group_leave(&group_, status);
    }

    int cancel()
    {
        return skua_task_group_cancel(&group_);
    }

    skua_task_group *get()
    {
        return &group_;
    }

  private:
    Lambdas *lambdas_;
    skua_task_group group_ = {};
};

Executor one_worker()
{
    skua_thread_pool_options options = {};
    skua_executor *executor = nullptr;

    options.max_workers = 1;
    EXPECT_EQ(0, skua_thread_pool_executor_new(&options, &executor));
    return Executor(executor);
}

int sleep_long()
{
    return skua_sleep(SKUA_FOREVER);
}

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
                  std::atomic<int> cancelled = 0;
                  int status;

                  for (int i = 0; i < 70; i++) {
                      EXPECT_EQ(0, group.add([&] {
                          const int ended = sleep_long();

                          cancelled += ended == SKUA_ECANCELED;
                          return ended;
                      }));
                  }
                  EXPECT_EQ(0, group.add([] {
                      EXPECT_EQ(0, skua_sleep(1 * SKUA_MS));
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

/* --- 102, 103: states --- */

int never(void *)
{
    ADD_FAILURE() << "ran";
    return 0;
}

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
                  int status;

                  EXPECT_EQ(0, group.start([] {
                      EXPECT_EQ(0, skua_task_group_started(nullptr));
                      EXPECT_EQ(0, skua_yield());
                      return -EIO;
                  }));
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

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
