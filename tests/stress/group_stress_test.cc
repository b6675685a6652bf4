/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_stress_test.cc - groups of many cohorts, whose children end while
 * others are created; and groups that end in every way at once.
 */
#include "../conformance/support.h"
#include "seed.h"

namespace stress
{
namespace
{

using conformance::Body;
using conformance::Future;
using conformance::kRaceDetector;
using conformance::run_body;

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

/** A group that its children and others work on; it outlives them all. */
struct Clan {
    skua_task_group group = {};
    skua_task_group_policy policy = SKUA_TASK_GROUP_FAIL_FAST;
    std::mutex mutex;
    std::vector<Future> children;
    std::atomic<int> failed = 0;
    std::atomic<int> requests = 0; /* from outside, to the parent */
    std::atomic<bool> outsider_left = false;
};

class ClanStorm : public GroupStorm
{
  protected:
    int add(Clan &clan, uint64_t seed)
    {
        skua_task *task = nullptr;
        const int status = skua_task_group_create_task_with(
            &clan.group, nullptr, run_body,
            keeper_.body([this, &clan, seed] { return live(clan, seed); }),
            &task);

        if (status == 0) {
            const std::scoped_lock lock(clan.mutex);

            clan.children.emplace_back(task);
        } else {
            EXPECT_EQ(SKUA_EINVALSTATE, status);
        }
        return status;
    }

    static int fail(Clan &clan, int status)
    {
        clan.failed++;
        return status;
    }

    int nested(Clan &clan, Random &random)
    {
        Clan inner;
        int status = skua_task_group_enter(&inner.group, nullptr);

        EXPECT_EQ(0, status);
        for (int i = random.below(4); i > 0 && status == 0; i--) {
            status = add(inner, random.next() % 4);
        }
        status = skua_task_group_leave(&inner.group, status);
        EXPECT_EQ(inner.failed > 0, status == SKUA_EGROUP);
        return status == SKUA_EGROUP ? fail(clan, status) : status;
    }

    static int limited(Random &random)
    {
        skua_timeout timeout = {};
        int status = skua_timeout_enter(&timeout, random.below(60) * SKUA_US);

        EXPECT_EQ(0, status);
        status = skua_timeout_exit(&timeout, skua_sleep(SKUA_FOREVER));
        EXPECT_TRUE(status == -ETIMEDOUT || status == SKUA_ECANCELED);
        return status == -ETIMEDOUT ? 0 : status;
    }

    /** The life of one child; small seeds have short ones. */
    int live(Clan &clan, uint64_t seed)
    {
        Random random(seed);

        switch (seed % 12) {
        case 0:
            return 0;
        case 1:
            return skua_yield();
        case 2:
            return fail(clan, -EIO);
        case 3:
            return skua_sleep(random.below(100) * SKUA_US);
        case 4:
        case 5:
            (void)add(clan, random.next());
            return 0;
        case 6:
        case 7:
            return limited(random);
        case 8:
            return skua_sleep(random.below(200) * SKUA_US) < 0
                       ? fail(clan, -EPIPE)
                       : 0;
        case 9:
            return nested(clan, random);
        case 10:
            if (random.below(8) == 0) {
                EXPECT_EQ(0, skua_task_group_cancel(&clan.group));
            }
            return skua_yield();
        default:
            (void)skua_sleep(random.below(50) * SKUA_US);
            return skua_yield();
        }
    }

    /** Cancels the parent, or the group, from outside. */
    static int meddle(Clan &clan, skua_task *parent, uint64_t seed)
    {
        Random random(seed);

        for (int i = random.below(4); i > 0; i--) {
            EXPECT_EQ(0, skua_sleep(random.below(150) * SKUA_US));
            if (random.below(3) == 0) {
                EXPECT_EQ(0, skua_task_group_cancel(&clan.group));
            } else {
                clan.requests++;
                EXPECT_EQ(1, skua_task_cancel(parent));
            }
        }
        clan.outsider_left = true;
        return 0;
    }

    /** Every child has ended, and is counted once. */
    static void expect_all_ended(const Clan &clan)
    {
        int failed = 0;

        for (const Future &child : clan.children) {
            const int status = skua_future_result(child.get(), nullptr);

            EXPECT_NE(SKUA_EINVALSTATE, status);
            failed += status < 0 && status != SKUA_ECANCELED ? 1 : 0;
        }
        EXPECT_EQ(clan.failed, failed);
    }

    static void expect_outcome(const Clan &clan, int status)
    {
        const bool won =
            skua_task_group_winner(&clan.group, nullptr, nullptr) >= 0;

        if (clan.failed > 0 && !won) {
            EXPECT_EQ(SKUA_EGROUP, status);
            EXPECT_EQ(static_cast<size_t>(clan.failed),
                      skua_exception_count(skua_current_exception()));
        } else if (status != 0) {
            EXPECT_EQ(SKUA_ECANCELED, status);
            EXPECT_LT(0, clan.requests);
        }
    }

    int lead(Clan &clan, uint64_t seed)
    {
        Random random(seed);
        skua_task *self = skua_current_task();
        skua_task_group_options options = {};
        int status;

        options.policy = clan.policy;
        status = skua_task_group_enter(&clan.group, &options);
        EXPECT_EQ(0, status);
        Future outsider =
            spawn([&clan, self, seed] { return meddle(clan, self, ~seed); });

        for (int i = random.below(90); i > 0 && status == 0; i--) {
            status = add(clan, random.next());
        }
        if (status == 0 && random.below(2) == 0) {
            status = skua_sleep(random.below(100) * SKUA_US);
        }
        status = skua_task_group_leave(&clan.group, status);
        expect_outcome(clan, status);
        expect_all_ended(clan);
        while (!clan.outsider_left) {
            (void)skua_yield();
        }
        EXPECT_EQ(clan.requests, skua_task_cancelling(self));
        while (skua_task_uncancel(self) > 0) {
        }
        return skua_yield();
    }
};

TEST_P(ClanStorm, EveryChildIsCountedOnceAndTheParentsRequestsBalance)
{
    const int rounds = kRaceDetector ? 30 : 250;
    constexpr int kParents = 6;
    const uint64_t seed = print_seed();

    EXPECT_EQ(0, run([&] {
                  Random random(seed);

                  for (int i = 0; i < rounds; i++) {
                      std::deque<Clan> clans;
                      std::vector<Future> parents;

                      for (int k = 0; k < kParents; k++) {
                          Clan &clan = clans.emplace_back();
                          const uint64_t lot = random.next();

                          clan.policy =
                              static_cast<skua_task_group_policy>(k % 3);
                          parents.push_back(spawn(
                              [&clan, lot, this] { return lead(clan, lot); }));
                      }
                      for (const Future &parent : parents) {
                          EXPECT_EQ(0, skua_await(parent.get(), nullptr));
                      }
                  }
                  return 0;
              }));
    EXPECT_EQ(0u, reports_.size());
}

/* --- children that are to be ready --- */

class StartStorm : public GroupStorm
{
};

/** What children and starters saw; each child is in one of the last three. */
struct Census {
    std::atomic<int> ready = 0;
    std::atomic<int> too_late = 0;
    std::atomic<int> failed = 0;
    std::atomic<int> silent = 0;
};

int be_born(Census &census, uint64_t seed)
{
    Random random(seed);
    int status = 0;

    if (random.below(2) == 0) {
        status = skua_sleep(random.below(80) * SKUA_US);
    }
    if (random.below(4) == 0) {
        census.failed++;
        return -EIO;
    }
    if (status < 0 && random.below(2) == 0) {
        census.silent++;
        return status;
    }
    status = skua_task_group_started(&census);
    (status == 0 ? census.ready : census.too_late)++;
    return status == 0 ? skua_sleep(random.below(80) * SKUA_US) : status;
}

TEST_P(StartStorm, EachChildIsReadyOrItsStarterKnows)
{
    const int rounds = kRaceDetector ? 30 : 300;
    constexpr int kStarters = 24;
    const uint64_t seed = print_seed();

    EXPECT_EQ(0, run([&] {
                  Random random(seed);

                  for (int i = 0; i < rounds; i++) {
                      skua_task_group group = {};
                      Census census;
                      std::atomic<int> told_ready = 0;
                      std::atomic<int> told_failed = 0;
                      std::vector<Future> starters;

                      EXPECT_EQ(0, skua_task_group_enter(&group, nullptr));
                      for (int k = 0; k < kStarters; k++) {
                          void *child = keeper_.body([&, lot = random.next()] {
                              return be_born(census, lot);
                          });

                          starters.push_back(spawn([&, child] {
                              void *value = nullptr;
                              const int status = skua_task_group_start(
                                  &group, run_body, child, &value);

                              told_ready += status == 0;
                              told_failed += status == -EIO;
                              EXPECT_EQ(status == 0 ? &census : nullptr, value);
                              EXPECT_TRUE(status == 0 || status == -EIO ||
                                          status == SKUA_ECANCELED);
                              return 0;
                          }));
                      }
                      for (const Future &starter : starters) {
                          if (random.below(3) == 0) {
                              (void)skua_task_cancel(starter.get());
                          } else if (random.below(4) == 0) {
                              EXPECT_EQ(0,
                                        skua_sleep(random.below(30) * SKUA_US));
                          }
                      }
                      for (const Future &starter : starters) {
                          (void)skua_await(starter.get(), nullptr);
                      }
                      EXPECT_EQ(0, skua_task_group_leave(&group, 0));
                      EXPECT_EQ(census.failed, told_failed);
                      EXPECT_LE(told_ready, census.ready);
                      EXPECT_GE(kStarters, census.ready + census.too_late +
                                               census.failed + census.silent);
                  }
                  return 0;
              }));
}

INSTANTIATE_TEST_SUITE_P(Loops, ClanStorm, testing::Values(1, 2, 4));
INSTANTIATE_TEST_SUITE_P(Loops, StartStorm, testing::Values(1, 2, 4));
INSTANTIATE_TEST_SUITE_P(Loops, GroupStorm, testing::Values(1, 2, 4));

} // namespace
} // namespace stress
