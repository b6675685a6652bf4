/* SPDX-License-Identifier: Apache-2.0 */
/*
 * staggered_race_test.cc - races of functions that start one after the other.
 */
#include "support.h"

namespace conformance
{
namespace
{

/** One race and what it gave. */
class Race
{
  public:
    void add(skua_awaitable awaitable)
    {
        functions_.push_back(awaitable);
    }

    int run(int64_t delay_ns)
    {
        void *value = as_pointer(-1);
        int status;

        statuses_.assign(functions_.size(), 1);
        status =
            skua_staggered_race(functions_.data(), functions_.size(), delay_ns,
                                &winner_, &value, statuses_.data());
        value_ = static_cast<int>(as_int(value));
        return status;
    }

    [[nodiscard]] size_t winner() const
    {
        return winner_;
    }

    [[nodiscard]] int value() const
    {
        return value_;
    }

    [[nodiscard]] const Order &statuses() const
    {
        return statuses_;
    }

  private:
    std::vector<skua_awaitable> functions_;
    Order statuses_;
    size_t winner_ = 99;
    int value_ = -1;
};

TEST_P(ConformanceMany, StaggeredTheFirstWinsAndTheRestNeverStart)
{
    EXPECT_EQ(0, run([&] {
                  Race race;

                  race.add(call([] { return skua_return(as_pointer(7)); }));
                  race.add(call([] {
                      ADD_FAILURE() << "started";
                      return 0;
                  }));
                  EXPECT_EQ(0, race.run(SKUA_FOREVER));
                  EXPECT_EQ(0U, race.winner());
                  EXPECT_EQ(7, race.value());
                  EXPECT_EQ((Order{0, SKUA_EINVALSTATE}), race.statuses());
                  return 0;
              }));
}

TEST_P(ConformanceMany, StaggeredTheNextStartsWhenTheLastFails)
{
    EXPECT_EQ(0, run([&] {
                  Log log;
                  Race race;

                  race.add(call([&] {
                      log.add(0);
                      EXPECT_EQ(0, skua_yield());
                      return -EIO;
                  }));
                  race.add(call([&] {
                      log.add(1);
                      return SKUA_ECANCELED;
                  }));
                  race.add(call([&] {
                      log.add(2);
                      return skua_return(as_pointer(3));
                  }));
                  EXPECT_EQ(0, race.run(SKUA_FOREVER));
                  EXPECT_EQ(2U, race.winner());
                  EXPECT_EQ(3, race.value());
                  EXPECT_EQ((Order{0, 1, 2}), log.get());
                  EXPECT_EQ((Order{-EIO, SKUA_ECANCELED, 0}), race.statuses());
                  return 0;
              }));
    EXPECT_EQ(0U, reports_.size());
}

TEST_P(ConformanceMany, StaggeredTheNextStartsAfterTheDelay)
{
    EXPECT_EQ(0, run([&] {
                  const int64_t start_ns = skua_monotonic();
                  std::atomic<int> ended = 0;
                  Race race;

                  for (int i = 0; i < 2; i++) {
                      race.add(call([&] {
                          const int status = skua_sleep(SKUA_FOREVER);

                          EXPECT_EQ(0, skua_yield());
                          ended++;
                          return status;
                      }));
                  }
                  race.add(call([] { return skua_return(as_pointer(1)); }));
                  EXPECT_EQ(0, race.run(SKUA_MS));
                  EXPECT_EQ(2U, race.winner());
                  EXPECT_EQ(2, ended);
                  EXPECT_LE(start_ns + 2 * SKUA_MS, skua_monotonic());
                  EXPECT_EQ((Order{SKUA_ECANCELED, SKUA_ECANCELED, 0}),
                            race.statuses());
                  return 0;
              }));
}

TEST_P(ConformanceMany, StaggeredOnlyTheLastOnesFailureStartsTheNext)
{
    constexpr int64_t kDelay = 20 * SKUA_MS;

    EXPECT_EQ(0, run([&] {
                  Future second_runs = make_future();
                  Future first_fails = make_future();
                  std::atomic<bool> third = false;
                  Race race;

                  race.add(call([&] {
                      EXPECT_EQ(0, skua_await(second_runs.get(), nullptr));
                      EXPECT_EQ(0, skua_future_set_result(first_fails.get(),
                                                          nullptr));
                      return -EIO;
                  }));
                  race.add(call([&] {
                      const int64_t start_ns = skua_monotonic();
                      bool started;

                      EXPECT_EQ(0, skua_future_set_result(second_runs.get(),
                                                          nullptr));
                      EXPECT_EQ(0, skua_await(first_fails.get(), nullptr));
                      for (int i = 0; i < 10; i++) {
                          EXPECT_EQ(0, skua_yield());
                      }
                      started = third;
                      /* By the delay it may. */
                      EXPECT_TRUE(!started ||
                                  skua_monotonic() >= start_ns + kDelay / 2);
                      return skua_return(as_pointer(2));
                  }));
                  race.add(call([&] {
                      third = true;
                      return skua_sleep(SKUA_FOREVER);
                  }));
                  EXPECT_EQ(0, race.run(kDelay));
                  EXPECT_EQ(1U, race.winner());
                  EXPECT_EQ(-EIO, race.statuses()[0]);
                  return 0;
              }));
}

TEST_P(ConformanceMany, StaggeredAllFailedIsAGroup)
{
    EXPECT_EQ(0, run([&] {
                  Race race;
                  skua_exception *group;

                  race.add(call([] { return skua_raise(-EIO, "one"); }));
                  race.add(call([] { return -EPIPE; }));
                  EXPECT_EQ(SKUA_EGROUP, race.run(SKUA_FOREVER));
                  EXPECT_EQ(99U, race.winner());
                  group = skua_current_exception();
                  EXPECT_EQ(2U, skua_exception_count(group));
                  EXPECT_STREQ("one", skua_exception_message(
                                          skua_exception_child(group, 0)));
                  EXPECT_EQ(-EPIPE, skua_exception_status(
                                        skua_exception_child(group, 1)));
                  return skua_return(nullptr);
              }));
    EXPECT_EQ(0U, reports_.size());
}

TEST_P(ConformanceMany, StaggeredACancelGoesToAllAndWaitsForThem)
{
    EXPECT_EQ(0, run([&] {
                  std::atomic<int> started = 0;
                  std::atomic<int> ended = 0;
                  Future racing = spawn([&] {
                      Race race;

                      for (int i = 0; i < 3; i++) {
                          race.add(call([&] {
                              int status;

                              started++;
                              status = skua_sleep(SKUA_FOREVER);
                              EXPECT_EQ(0, skua_yield());
                              ended++;
                              return status;
                          }));
                      }
                      EXPECT_EQ(SKUA_ECANCELED, race.run(0));
                      EXPECT_EQ(3, ended);
                      return SKUA_ECANCELED;
                  });

                  while (started < 3) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  EXPECT_EQ(1, skua_task_cancel(racing.get()));
                  EXPECT_EQ(SKUA_ECANCELED, skua_await(racing.get(), nullptr));
                  return 0;
              }));
}

TEST_P(ConformanceMany, StaggeredMalformedArguments)
{
    EXPECT_EQ(0, run([&] {
                  Future future = make_future();
                  const skua_awaitable done =
                      skua_awaitable_future(future.get());

                  EXPECT_EQ(-EINVAL, skua_staggered_race(&done, 1, 0, nullptr,
                                                         nullptr, nullptr));
                  EXPECT_EQ(-EINVAL, skua_staggered_race(nullptr, 0, 0, nullptr,
                                                         nullptr, nullptr));
                  return 0;
              }));
    EXPECT_EQ(SKUA_ENOLOOP, [&] {
        const skua_awaitable function = call([] { return 0; });

        return skua_staggered_race(&function, 1, 0, nullptr, nullptr, nullptr);
    }());
}

CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
