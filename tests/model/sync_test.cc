// SPDX-License-Identifier: Apache-2.0
/*
 * sched/waitq.c and what is built on it, in all their ways, with plain threads:
 * SL1, WQ3, PM1, LK1, EV1.
 */
#include "skua/sync.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "explorer.h"
#include "surroundings.h"

namespace
{

struct World {
    skua_lock lock{};
    skua_event event{};
    skua_semaphore semaphore{};
    model::Shared<int> value;
    int held = 0;

    explicit World(skua_lock_policy policy = SKUA_LOCK_FAIR)
    {
        model::BeginWakes();
        (void)skua_lock_init(&lock, policy);
    }

    void Add()
    {
        value.Set(value.Get() + 1);
    }
};

void AddUnderLock(World *world)
{
    model::Require(skua_lock_acquire(&world->lock) == 0, "acquired");
    world->Add();
    model::Require(skua_lock_release(&world->lock) == 0, "released");
}

void AddIfInTime(World *world)
{
    const int status = skua_lock_acquire_until(&world->lock, 1);

    model::Require(status == 0 || status == -ETIMEDOUT, "an outcome");
    if (status == 0) {
        world->Add();
        (void)skua_lock_release(&world->lock);
    }
}

model::Options Bounded(int preemptions)
{
    model::Options options;

    options.preemptions = preemptions;
    return options;
}

class LockModel : public testing::TestWithParam<skua_lock_policy>
{
};

TEST_P(LockModel, ExcludesTwoThreads)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *world = run.New<World>(GetParam());

        run.Thread("one", [world] { AddUnderLock(world); });
        run.Thread("two", [world] { AddUnderLock(world); });
        run.Finally([world] {
            model::Require(world->value.Get() == 2, "both were there");
            model::Require(!skua_lock_locked(&world->lock), "it is free");
        });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

TEST_P(LockModel, ExcludesThreeThreads)
{
    const model::Report report = model::Explore(
        [](model::Run &run) {
            auto *world = run.New<World>(GetParam());

            for (const char *name : {"one", "two", "three"}) {
                run.Thread(name, [world] { AddUnderLock(world); });
            }
            run.Finally([world] {
                model::Require(world->value.Get() == 3, "all were there");
            });
        },
        Bounded(2));

    EXPECT_TRUE(report.holds()) << report.text();
}

/* Who gives up loses no grant: the other gets the lock. */
TEST_P(LockModel, AWaiterThatGivesUp)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *world = run.New<World>(GetParam());

        run.Thread("one", [world] { AddUnderLock(world); });
        run.Thread("two", [world] { AddIfInTime(world); });
        run.Finally([world] {
            model::Require(!skua_lock_locked(&world->lock), "it is free");
        });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

INSTANTIATE_TEST_SUITE_P(Policies, LockModel,
                         testing::Values(SKUA_LOCK_FAIR, SKUA_LOCK_BARGING));

TEST(EventModel, NobodyMissesIt)
{
    const model::Report report = model::Explore(
        [](model::Run &run) {
            auto *world = run.New<World>();

            run.Thread("setter", [world] {
                world->Add();
                (void)skua_event_set(&world->event);
            });
            for (const char *name : {"one", "two"}) {
                run.Thread(name, [world] {
                    model::Require(skua_event_wait(&world->event) == 0, "set");
                    model::Require(world->value.Get() == 1, "what came before");
                });
            }
        },
        Bounded(2));

    EXPECT_TRUE(report.holds()) << report.text();
}

TEST(EventModel, IsSetByOneOfTwo)
{
    const model::Report report = model::Explore(
        [](model::Run &run) {
            auto *world = run.New<World>();
            const auto set = [world] { (void)skua_event_set(&world->event); };

            run.Thread("one", set);
            run.Thread("two", set);
            run.Thread("waiter", [world] {
                const int status = skua_event_wait_until(&world->event, 1);

                model::Require(status == 0 || status == -ETIMEDOUT, "outcome");
            });
            run.Finally([world] {
                model::Require(skua_event_is_set(&world->event), "it is set");
            });
        },
        Bounded(2));

    EXPECT_TRUE(report.holds()) << report.text();
}

TEST(SemaphoreModel, PermitsAreNeitherLostNorDoubled)
{
    const model::Report report = model::Explore(
        [](model::Run &run) {
            auto *world = run.New<World>();

            (void)skua_semaphore_init(&world->semaphore, 0);
            run.Thread("releaser", [world] {
                world->Add();
                (void)skua_semaphore_release(&world->semaphore);
            });
            run.Thread("one", [world] {
                (void)skua_semaphore_acquire(&world->semaphore);
                model::Require(world->value.Get() == 1, "what came before");
                (void)skua_semaphore_release(&world->semaphore);
            });
            run.Thread("two", [world] {
                if (skua_semaphore_acquire_until(&world->semaphore, 1) == 0) {
                    model::Require(world->value.Get() == 1, "what came before");
                    (void)skua_semaphore_release(&world->semaphore);
                }
            });
            run.Finally([world] {
                model::Require(
                    skua_semaphore_acquire_nowait(&world->semaphore) == 0,
                    "one permit is left");
                model::Require(
                    skua_semaphore_acquire_nowait(&world->semaphore) == -EAGAIN,
                    "and no other");
            });
        },
        Bounded(1));

    EXPECT_TRUE(report.holds()) << report.text();
}

} // namespace
