/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_test.cc - conformance 109: events.
 */
#include "support.h"

namespace conformance
{
namespace
{

/** Wait for the event and note `id`. */
Body wait_and_note(skua_event &event, Log &log, int id)
{
    return [&event, &log, id] {
        const int status = skua_event_wait(&event);

        if (status == 0) {
            log.add(id);
        }
        return status;
    };
}

int await_status(const Future &task)
{
    return skua_await(task.get(), nullptr);
}

TEST_P(ConformanceOne, N109_SetWakesAllInOrder)
{
    skua_event event = {};
    Log log;
    const auto body = [&] {
        const Future a = spawn(wait_and_note(event, log, 1));
        const Future b = spawn(wait_and_note(event, log, 2));
        const Future c = spawn(wait_and_note(event, log, 3));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(Order{}, log.get());
        EXPECT_FALSE(skua_event_is_set(&event));
        EXPECT_EQ(0, skua_event_set(&event));
        EXPECT_TRUE(skua_event_is_set(&event));
        EXPECT_EQ(Order{}, log.get());
        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ((Order{1, 2, 3}), log.get());
        EXPECT_TRUE(skua_event_is_set(&event));
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N109_SetWakesAllEvenIfClearedAtOnce)
{
    constexpr int kWaiters = 9;
    skua_event event = {};
    Log log;
    const auto body = [&] {
        std::vector<Future> tasks;

        for (int i = 0; i < kWaiters; i++) {
            tasks.push_back(start_parked(static_cast<size_t>(i),
                                         wait_and_note(event, log, i)));
        }
        EXPECT_EQ(0, skua_event_set(&event));
        EXPECT_EQ(0, skua_event_clear(&event));
        const Future late = start_parked(0, wait_and_note(event, log, 99));

        for (const Future &task : tasks) {
            EXPECT_EQ(0, await_status(task));
        }
        settle();
        EXPECT_EQ(size_t{kWaiters}, log.size());
        EXPECT_FALSE(skua_event_is_set(&event));
        EXPECT_FALSE(skua_future_done(late.get()));
        EXPECT_EQ(0, skua_event_set(&event));
        return await_status(late);
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N109_ASetEventMakesNobodyWait)
{
    skua_event event = {};
    const auto body = [&] {
        EXPECT_EQ(0, skua_event_set(&event));
        EXPECT_EQ(0, skua_event_set(&event));
        EXPECT_EQ(0, skua_event_wait(&event));
        EXPECT_EQ(0, skua_event_wait_until(&event, 0));
        EXPECT_EQ(0, skua_event_clear(&event));
        EXPECT_EQ(0, skua_event_clear(&event));
        EXPECT_FALSE(skua_event_is_set(&event));
        EXPECT_EQ(-ETIMEDOUT, skua_event_wait_until(&event, 0));
        EXPECT_EQ(-ETIMEDOUT, skua_event_wait_until(&event, INT64_MIN + 1));
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N109_ACancelledWaiterIsTakenOut)
{
    skua_event event = {};
    Log log;
    const auto body = [&] {
        const Future a = start_parked(0, wait_and_note(event, log, 1));
        const Future b = start_parked(1, wait_and_note(event, log, 2));
        const Future c = start_parked(2, wait_and_note(event, log, 3));

        EXPECT_EQ(1, skua_task_cancel(b.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(b));
        EXPECT_EQ(0, skua_event_set(&event));
        EXPECT_EQ(0, await_status(a));
        EXPECT_EQ(0, await_status(c));
        EXPECT_EQ(size_t{2}, log.size());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceOne, N109_WokenAndThenCancelledIsCancelled)
{
    skua_event event = {};
    Log log;
    const auto body = [&] {
        const Future task = spawn(wait_and_note(event, log, 1));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(0, skua_event_set(&event));
        EXPECT_EQ(1, skua_task_cancel(task.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(task));
        EXPECT_EQ(Order{}, log.get());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N109_WaitersMayTimeOut)
{
    skua_event event = {};
    Log log;
    const auto body = [&] {
        const int64_t deadline_ns = skua_monotonic() + SKUA_MS;
        const Future limited = start_parked(
            0, [&] { return skua_event_wait_until(&event, deadline_ns); });
        const Future patient = start_parked(1, wait_and_note(event, log, 2));

        EXPECT_EQ(-ETIMEDOUT, await_status(limited));
        EXPECT_LE(deadline_ns, skua_monotonic());
        EXPECT_EQ(0, skua_event_set(&event));
        return await_status(patient);
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ(Order{2}, log.get());
}

TEST_P(ConformanceMany, N109_WhatPrecedesTheSetIsVisible)
{
    const int rounds = kRaceDetector ? 50 : 400;
    const auto body = [&] {
        for (int round = 0; round < rounds; round++) {
            skua_event event = {};
            int value = 0; /* handed over by the event */
            const Future setter = spawn([&] {
                value = round;
                return skua_event_set(&event);
            });

            EXPECT_EQ(0, skua_event_wait(&event));
            EXPECT_EQ(round, value);
            EXPECT_EQ(0, await_status(setter));
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* The event is gone as soon as its waiter goes on. */
TEST_P(ConformanceMany, EventOnTheWaitersStack)
{
    const int rounds = kRaceDetector ? 100 : 1000;
    std::atomic<int> woken = 0;
    const auto body = [&] {
        std::vector<Future> setters;

        for (int round = 0; round < rounds; round++) {
            auto event = std::make_unique<skua_event>();
            skua_event *borrowed = event.get();

            *borrowed = {};
            setters.push_back(spawn_on(
                loops()[static_cast<size_t>(round) % loops().size()],
                [borrowed] { return skua_event_set(borrowed); },
                round % 2 == 0));
            if (round % 3 == 0) {
                EXPECT_EQ(0, skua_yield());
            }
            EXPECT_EQ(0, skua_event_wait(borrowed));
            event.reset();
            woken++;
        }
        for (const Future &setter : setters) {
            EXPECT_EQ(0, await_status(setter));
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ(rounds, woken);
}

/* --- threads --- */

TEST_P(ConformanceMany, EventWakesThreadsAndTasks)
{
    skua_event event = {};
    Log log;
    const auto body = [&] {
        Latch asked(2);
        std::vector<std::thread> threads;
        const Future task = start_parked(0, wait_and_note(event, log, 1));

        for (int i = 2; i < 4; i++) {
            threads.emplace_back([&, i] {
                asked.down();
                EXPECT_EQ(0, wait_and_note(event, log, i)());
            });
        }
        EXPECT_EQ(0, asked.wait());
        EXPECT_EQ(0, skua_event_set(&event));
        EXPECT_EQ(0, await_status(task));
        for (std::thread &thread : threads) {
            thread.join();
        }
        EXPECT_EQ(size_t{3}, log.size());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, EventSetByAThread)
{
    skua_event event = {};
    Log log;
    const auto body = [&] {
        const Future task = start_parked(1, wait_and_note(event, log, 1));
        std::thread thread([&] {
            EXPECT_EQ(0, skua_event_set(&event));
            EXPECT_EQ(0, skua_event_clear(&event));
        });

        EXPECT_EQ(0, await_status(task));
        thread.join();
        return 0;
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ(Order{1}, log.get());
}

TEST(Event, AThreadWaitsUntilItsLimit)
{
    skua_event event = {};
    const int64_t deadline_ns = skua_monotonic() + 2 * SKUA_MS;

    EXPECT_EQ(-ETIMEDOUT, skua_event_wait_until(&event, deadline_ns));
    EXPECT_LE(deadline_ns, skua_monotonic());
    EXPECT_EQ(0, skua_event_set(&event));
    EXPECT_EQ(0, skua_event_wait_until(&event, deadline_ns));
}

/* --- misuse --- */

TEST(Event, MisuseIsAStatus)
{
    skua_event event = {};

    EXPECT_EQ(-EINVAL, skua_event_set(nullptr));
    EXPECT_EQ(-EINVAL, skua_event_clear(nullptr));
    EXPECT_EQ(-EINVAL, skua_event_wait(nullptr));
    EXPECT_EQ(-EINVAL, skua_event_wait_until(nullptr, SKUA_FOREVER));
    EXPECT_FALSE(skua_event_is_set(nullptr));
    EXPECT_EQ(-EINVAL, skua_event_wait_until(&event, SKUA_NOT_A_TIME));
    EXPECT_EQ(0, skua_event_set(&event));
    EXPECT_EQ(-EINVAL, skua_event_wait_until(&event, SKUA_NOT_A_TIME));
}

TEST_F(Conformance, ACallbackSetsAnEventAndWaitsForNone)
{
    skua_event event = {};
    Log log;
    const Future task = spawn_on(loop_, wait_and_note(event, log, 7));

    drain();
    soon(loop_, [&] {
        log.add(skua_event_wait(&event));
        log.add(skua_event_wait_until(&event, SKUA_FOREVER));
        log.add(skua_event_set(&event));
        log.add(skua_event_wait(&event));
    });
    drain();
    EXPECT_EQ((Order{-EDEADLK, -EDEADLK, 0, 0, 7}), log.get());
}

TEST_F(Conformance, ClosingTheLoopTakesItsWaitersOutOfAnEvent)
{
    skua_event event = {};
    Log log;
    const Future task = spawn_on(loop_, wait_and_note(event, log, 1));

    drain();
    EXPECT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(SKUA_ECLOSED, skua_future_result(task.get(), nullptr));
    EXPECT_EQ(0, skua_event_set(&event));
    std::thread thread([&] { EXPECT_EQ(0, wait_and_note(event, log, 2)()); });

    thread.join();
    EXPECT_EQ(Order{2}, log.get());
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
