/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait_memory_test.cc - gather, wait, as_completed and task groups when memory
 * is short: each allocation of a call fails in turn. A call that gives -ENOMEM
 * has started nothing and keeps nothing, and the loop goes on.
 */
#include "groups.h"
#include "failing_allocator.h"
#include "held_objects.h"

#include <cstring>

#include "sched/exception.h"
#include "sched/memory.h"
#include "sched/wait/task_group.h"

namespace conformance
{
namespace
{

/** The library's allocator here. */
class Allocator
{
  public:
    static inline bool always = false;     /* nothing is to be had */
    static inline bool slabs_fail = false; /* nor are new objects */
    static inline int left = 0;            /* the one that reaches 0 fails */

    static bool fails(size_t bytes)
    {
        return always || (slabs_fail && bytes >= kSlab) ||
               (left > 0 && --left == 0);
    }

  private:
    static constexpr size_t kSlab = 64 * size_t{1024};
};

const int installed = install_allocator(Allocator::fails);

constexpr skui_object_class kClasses[] = {SKUI_OBJECT_TASK, SKUI_OBJECT_FUTURE,
                                          SKUI_OBJECT_COMPOSITE,
                                          SKUI_OBJECT_WAITER};

using Held = HeldObjects<Allocator>;

std::vector<size_t> free_objects()
{
    return free_objects_of<Allocator>(kClasses);
}

/** Makes one call with little memory. */
class Shortage
{
  public:
    /** Only `spare` objects of a class. */
    Shortage(skui_object_class which, size_t spare)
        : which_(which), spare_(spare), of_objects_(true)
    {
    }

    /** The `nth` allocation that is no object fails. */
    explicit Shortage(int nth) : nth_(nth)
    {
    }

    int operator()(const Body &call)
    {
        if (of_objects_) {
            const Held held(which_, spare_);

            Allocator::slabs_fail = true;
            const int status = call();
            Allocator::slabs_fail = false;
            return status;
        }
        Allocator::left = nth_;
        const int status = call();
        fired_ = Allocator::left == 0;
        Allocator::left = 0;
        return status;
    }

    [[nodiscard]] bool fired() const
    {
        return fired_;
    }

  private:
    skui_object_class which_ = SKUI_OBJECT_TASK;
    size_t spare_ = 0;
    bool of_objects_ = false;
    int nth_ = 0;
    bool fired_ = false;
};

/** Gives what the call has given in the shortage. */
using Attempt = std::function<int(Shortage &)>;

class WaitMemory : public Conformance
{
  protected:
    static void SetUpTestSuite()
    {
        ASSERT_EQ(0, installed);
    }

    /** As the main task: let each allocation of the call fail in turn, until
     * it needs no more. `objects` and `others` say how often that was. */
    void fail_each(const Attempt &attempt, int *objects, int *others)
    {
        *objects = 0;
        *others = 0;
        EXPECT_EQ(0, run(loop_, [&] {
                      warm_up(attempt);
                      const std::vector<size_t> before = free_objects();

                      for (const skui_object_class which : kClasses) {
                          *objects += fail_objects(attempt, which);
                      }
                      for (;;) {
                          Shortage shortage(*others + 1);
                          const int status = attempt(shortage);

                          if (!shortage.fired() || *others > 1000) {
                              EXPECT_EQ(0, status);
                              break;
                          }
                          EXPECT_EQ(-ENOMEM, status);
                          ++*others;
                      }
                      settle();
                      EXPECT_EQ(before, free_objects()) << "of each class";
                      return 0;
                  }));
        EXPECT_EQ(0u, reports_.size());
    }

    /** Tasks that were started and let go end. */
    static void settle()
    {
        for (int i = 0; i < 8; i++) {
            EXPECT_EQ(0, skua_yield());
        }
    }

  private:
    /** So that later on there are objects and stacks enough. */
    static void warm_up(const Attempt &attempt)
    {
        for (int i = 0; i < 3; i++) {
            Shortage none(0);

            EXPECT_EQ(0, attempt(none));
            settle();
        }
    }

    static int fail_objects(const Attempt &attempt, skui_object_class which)
    {
        for (int spare = 0;; spare++) {
            Shortage shortage(which, static_cast<size_t>(spare));
            const int status = attempt(shortage);

            settle();
            if (status == 0 || spare > 1000) {
                EXPECT_EQ(0, status);
                return spare;
            }
            EXPECT_EQ(-ENOMEM, status);
        }
    }
};

/** Futures that are not done. */
std::vector<Future> make_futures(size_t count)
{
    std::vector<Future> futures;

    for (size_t i = 0; i < count; i++) {
        futures.push_back(make_future());
    }
    return futures;
}

void complete(const std::vector<Future> &futures)
{
    for (const Future &future : futures) {
        EXPECT_EQ(0, skua_future_set_result(future.get(), as_pointer(5)));
    }
}

/* --- gather --- */

TEST_F(WaitMemory, N067_GatherStartsAllOrNone)
{
    int ran = 0;
    Body child = [&] {
        ran++;
        return 3;
    };
    int objects = 0;
    int others = 0;

    fail_each(
        [&](Shortage &shortage) {
            const std::vector<Future> futures = make_futures(2);
            const skua_awaitable call = skua_awaitable_call(run_body, &child);
            const skua_awaitable awaitables[] = {
                call, skua_awaitable_future(futures[0].get()), call,
                skua_awaitable_future(futures[1].get()), call};
            skua_gather_result results[5] = {};
            skua_future *gather = nullptr;

            ran = 0;
            const int status = shortage([&] {
                return skua_gather(awaitables, 5, nullptr, results, &gather);
            });

            EXPECT_EQ(status == 0, gather != nullptr);
            settle();
            EXPECT_EQ(status == 0 ? 3 : 0, ran);
            complete(futures);
            if (gather != nullptr) {
                EXPECT_EQ(0, skua_await(gather, nullptr));
                EXPECT_EQ(3, results[4].status);
                EXPECT_EQ(5, as_int(results[3].value));
            }
            skua_future_unref(gather);
            return status;
        },
        &objects, &others);
    EXPECT_EQ(1 + 3 + 2, objects) << "itself, tasks and hooks";
    EXPECT_EQ(0, others);
}

/* The statuses are there all the same; an exception may be lost. */
TEST_F(WaitMemory, N068_ErrorsOfAGatherKeepTheirStatuses)
{
    Body child = [] { return skua_raise(-EIO, "boom"); };
    int whole = 0;
    int rounds = 0;

    EXPECT_EQ(0, run(loop_, [&] {
                  bool fired = true;

                  while (fired && rounds < 100) {
                      const skua_awaitable call =
                          skua_awaitable_call(run_body, &child);
                      const skua_awaitable awaitables[] = {call, call, call};
                      const skua_gather_options options = {true, false};
                      skua_gather_result results[3] = {};
                      skua_future *gather = nullptr;
                      Shortage shortage(++rounds);

                      EXPECT_EQ(0, skua_gather(awaitables, 3, &options, results,
                                               &gather));
                      EXPECT_EQ(0, shortage([&] {
                                    return skua_await(gather, nullptr);
                                }));
                      fired = shortage.fired();
                      whole = 0;
                      for (const skua_gather_result &result : results) {
                          EXPECT_EQ(-EIO, result.status);
                          whole += result.exception != nullptr ? 1 : 0;
                      }
                      EXPECT_LE(fired ? 2 : 3, whole);
                      skua_future_unref(gather);
                  }
                  return 0;
              }));
    EXPECT_EQ(3, whole);
    EXPECT_LE(4, rounds);
    EXPECT_EQ(0u, reports_.size());
}

TEST_F(WaitMemory, N070_CancellingAGatherNeedsNone)
{
    int cancelled = 0;
    Body child = [&] {
        const int status = skua_sleep(SKUA_FOREVER);

        cancelled += status == SKUA_ECANCELED ? 1 : 0;
        return status;
    };

    EXPECT_EQ(
        0, run(loop_, [&] {
            const skua_awaitable call = skua_awaitable_call(run_body, &child);
            const skua_awaitable awaitables[] = {call, call, call};
            skua_gather_result results[3] = {};
            skua_future *gather = nullptr;

            EXPECT_EQ(0, skua_gather(awaitables, 3, nullptr, results, &gather));
            settle();
            Allocator::always = true;
            EXPECT_EQ(1, skua_future_cancel(gather));
            EXPECT_EQ(SKUA_ECANCELED, skua_await(gather, nullptr));
            Allocator::always = false;
            EXPECT_EQ(3, cancelled);
            skua_future_unref(gather);
            return 0;
        }));
}

/* --- wait --- */

/** Wait for many futures; one is done in the next iteration. */
void fail_wait(skua_return_when when, Lambdas &lambdas, skua_loop *loop,
               const std::function<void(const Attempt &)> &fail_each)
{
    constexpr size_t kFutures = 100; /* more than lie on the stack */

    fail_each([&](Shortage &shortage) {
        const std::vector<Future> futures = make_futures(kFutures);
        std::vector<skua_future *> set;
        bool done[kFutures] = {};

        for (const Future &future : futures) {
            set.push_back(future.get());
        }
        const Handle handle = lambdas.soon(loop, [&] {
            if (when == SKUA_FIRST_COMPLETED) {
                EXPECT_EQ(0, skua_future_set_result(set[7], as_pointer(5)));
            } else {
                complete(futures);
            }
        });
        const int status = shortage([&] {
            const int count =
                skua_wait(set.data(), kFutures, SKUA_FOREVER, when, done);

            return count > 0 ? 0 : count;
        });

        EXPECT_EQ(status == 0, done[7]) << "written on success";
        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(0, skua_yield());
        for (const Future &future : futures) {
            EXPECT_FALSE(skua_future_cancelled(future.get()));
            if (!skua_future_done(future.get())) {
                EXPECT_EQ(0, skua_future_set_result(future.get(), nullptr));
            }
        }
        EXPECT_EQ(static_cast<int>(kFutures),
                  skua_wait(set.data(), kFutures, SKUA_FOREVER, when, done));
        return status;
    });
}

TEST_F(WaitMemory, N080_WaitForTheFirstLeavesTheFuturesAlone)
{
    int objects = 0;
    int others = 0;

    fail_wait(SKUA_FIRST_COMPLETED, *this, loop_, [&](const Attempt &attempt) {
        fail_each(attempt, &objects, &others);
    });
    EXPECT_EQ(100, objects) << "a hook for each";
    EXPECT_EQ(1, others);
}

TEST_F(WaitMemory, N080_WaitForAllToo)
{
    int objects = 0;
    int others = 0;

    fail_wait(SKUA_ALL_COMPLETED, *this, loop_, [&](const Attempt &attempt) {
        fail_each(attempt, &objects, &others);
    });
    EXPECT_EQ(1, others);
}

/* --- as_completed --- */

TEST_F(WaitMemory, N086_AsCompletedStartsAllOrNone)
{
    constexpr size_t kFutures = 40; /* more than lie on the stack */
    int ran = 0;
    Body child = [&] { return ++ran; };
    int objects = 0;
    int others = 0;

    fail_each(
        [&](Shortage &shortage) {
            const std::vector<Future> futures = make_futures(kFutures);
            std::vector<skua_awaitable> awaitables;
            skua_as_completed iterator = {};
            const skua_as_completed nothing = {};

            awaitables.push_back(skua_awaitable_call(run_body, &child));
            for (const Future &future : futures) {
                awaitables.push_back(skua_awaitable_future(future.get()));
            }
            awaitables.push_back(skua_awaitable_call(run_body, &child));
            ran = 0;
            const int status = shortage([&] {
                const int count =
                    skua_as_completed_init(&iterator, awaitables.data(),
                                           awaitables.size(), SKUA_FOREVER);

                return count > 0 ? 0 : count;
            });

            settle();
            EXPECT_EQ(status == 0 ? 2 : 0, ran);
            complete(futures);
            if (status == 0) {
                for (size_t i = 0; i < awaitables.size(); i++) {
                    EXPECT_LT(-1, skua_as_completed_await(&iterator, nullptr));
                }
            } else {
                EXPECT_EQ(0, memcmp(&iterator, &nothing, sizeof(nothing)));
            }
            skua_as_completed_fini(&iterator);
            return status;
        },
        &objects, &others);
    EXPECT_EQ(2 + 42, objects) << "tasks and hooks";
    EXPECT_EQ(1, others);
}

/* --- task groups --- */

/** So many that the next one needs a cohort of its own. */
constexpr int kChildren = 2 * SKUI_COHORT_CAPACITY;

TEST_F(WaitMemory, N095_AGroupGoesOnWithoutTheChildThatFoundNone)
{
    int objects = 0;
    int others = 0;

    fail_each(
        [&](Shortage &shortage) {
            Group group(this);
            int ran = 0;
            int refused = 0;
            int status = 0;

            for (int i = 0; i < kChildren && status == 0; i++) {
                Body &child = *static_cast<Body *>(keeper_.body([&] {
                    ran++;
                    return skua_yield();
                }));

                EXPECT_EQ(0, skua_task_group_create_task(group.get(), run_body,
                                                         &child));
            }
            Body last = [&] {
                refused++;
                return 0;
            };
            Future handle;
            const int before = ran;

            status = shortage([&] {
                skua_task *task = nullptr;
                const int created = skua_task_group_create_task_with(
                    group.get(), nullptr, run_body, &last, &task);

                EXPECT_EQ(created == 0, task != nullptr);
                handle.reset(task);
                return created;
            });
            EXPECT_EQ(before, ran);
            EXPECT_EQ(0, group.add([] { return 0; })) << "it takes others";
            EXPECT_EQ(0, group.leave());
            EXPECT_EQ(kChildren, ran) << "none was cancelled";
            EXPECT_EQ(status == 0 ? 1 : 0, refused);
            return status;
        },
        &objects, &others);
    EXPECT_EQ(1, objects) << "the task";
    EXPECT_EQ(1, others) << "the cohort";
}

/* Each child in turn is the one for which there is no cohort. */
TEST_F(WaitMemory, N095_WithoutACohortTheChildIsRefused)
{
    EXPECT_EQ(0, run(loop_, [&] {
                  Group group(this);
                  int ran = 0;
                  int accepted = 0;
                  int refused = 0;

                  for (int i = 0; i < kChildren; i++) {
                      const Body body = [&] {
                          ran++;
                          return 0;
                      };

                      Allocator::always = true;
                      const int status = group.add(body);
                      Allocator::always = false;

                      EXPECT_TRUE(status == 0 || status == -ENOMEM);
                      (status == 0 ? accepted : refused)++;
                  }
                  EXPECT_LE(1, accepted);
                  EXPECT_LE(1, refused);
                  EXPECT_EQ(0, group.add([] { return 0; }));
                  EXPECT_EQ(0, group.leave());
                  EXPECT_EQ(accepted, ran);
                  return 0;
              }));
}

TEST_F(WaitMemory, N096_StartGivesTheShortageToTheStarter)
{
    int objects = 0;
    int others = 0;

    fail_each(
        [&](Shortage &shortage) {
            Group group(this);
            int ended = 0;

            EXPECT_EQ(0, group.add([&] {
                ended++;
                return skua_yield();
            }));
            settle();
            const int status = shortage([&] {
                return group.start([] { return skua_task_group_started(0); });
            });

            EXPECT_EQ(0, group.leave());
            EXPECT_EQ(1, ended);
            return status;
        },
        &objects, &others);
    EXPECT_EQ(1, objects) << "the task";
    EXPECT_EQ(0, others);
}

/* The group ends as it would, with what exceptions there was memory for. */
TEST_F(WaitMemory, N097_ErrorsOfAGroupComeOutAllTheSame)
{
    int rounds = 0;
    size_t told = 0;

    EXPECT_EQ(0, run(loop_, [&] {
                  bool fired = true;

                  while (fired && rounds < 100) {
                      Group group(this);
                      Shortage shortage(++rounds);
                      int cancelled = 0;

                      EXPECT_EQ(0, group.add([&] {
                          const int status = skua_sleep(SKUA_FOREVER);

                          cancelled += status == SKUA_ECANCELED ? 1 : 0;
                          return skua_raise(-EPROTO, "boom");
                      }));
                      EXPECT_EQ(0, group.add([] { return -EIO; }));
                      EXPECT_EQ(SKUA_EGROUP,
                                shortage([&] { return group.leave(); }));
                      fired = shortage.fired();
                      told = skua_exception_count(skua_current_exception());
                      EXPECT_EQ(1, cancelled);
                      EXPECT_GE(2u, told);
                      EXPECT_EQ(0, cancels());
                  }
                  return 0;
              }));
    EXPECT_EQ(2u, told);
    EXPECT_EQ(5 + 1, rounds) << "two exceptions, their array, and a group";
    EXPECT_EQ(0u, reports_.size());
}

/* --- exceptions --- */

TEST_F(WaitMemory, G09_ASplitGivesEitherBothSidesOrNothing)
{
    constexpr int kLevels = 40;
    int rounds = 0;

    EXPECT_EQ(0, run(loop_, [&] {
                  int status = 0;
                  bool fired = true;

                  for (int i = 0; i < kLevels; i++) {
                      Group group(this);

                      EXPECT_EQ(0, group.enter(SKUA_TASK_GROUP_COLLECT));
                      EXPECT_EQ(0, group.add([] { return -EIO; }));
                      EXPECT_EQ(0, skua_yield());
                      status = group.leave(status);
                      EXPECT_EQ(SKUA_EGROUP, status);
                  }
                  while (fired && rounds < 1000) {
                      Shortage shortage(++rounds);
                      skua_exception *matches = nullptr;
                      skua_exception *rest = nullptr;

                      status = shortage([&] {
                          return skua_exception_split(skua_current_exception(),
                                                      -EIO, &matches, &rest);
                      });
                      fired = shortage.fired();
                      EXPECT_EQ(fired ? -ENOMEM : 0, status);
                      EXPECT_EQ(fired, matches == nullptr);
                      EXPECT_EQ(nullptr, rest);
                      skua_exception_unref(matches);
                  }
                  return 0;
              }));
    EXPECT_EQ(3 * kLevels + 1, rounds) << "a frame and a group for each";
}

/** -EPERM within `levels` groups that have -EIO behind it. */
Exception nest(int levels)
{
    skua_exception *inner = make_exception(-EPERM, "inside").release();

    for (int i = 0; i < levels; i++) {
        skua_exception *children[2] = {
            inner, make_exception(-EIO, "behind").release()};

        inner = skui_exception_group(SKUA_EGROUP, "a group", children, 2);
    }
    return Exception(inner);
}

TEST_F(WaitMemory, G09_FindGivesNullWhenItCannotLookEverywhere)
{
    const Exception flat = nest(16);
    const Exception deep = nest(17);

    for (const bool always : {true, false}) {
        Allocator::always = always;
        const skua_exception *in_flat = skua_exception_find(flat.get(), -EPERM);
        const skua_exception *in_deep = skua_exception_find(deep.get(), -EPERM);
        Allocator::always = false;

        EXPECT_EQ(-EPERM, skua_exception_status(in_flat));
        EXPECT_EQ(always ? -EINVAL : -EPERM, skua_exception_status(in_deep));
    }
}

} // namespace
} // namespace conformance
