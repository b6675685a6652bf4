/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_test.cc - conformance 123-128: queues.
 */
#include "queue_support.h"

namespace conformance
{
namespace
{

/* --- order and size: 123 --- */

TEST(Queue, N123_FirstInFirstOut)
{
    Queue queue;
    Order expected;

    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(0, queue.put_nowait(i));
        expected.push_back(i);
    }
    EXPECT_EQ(size_t{100}, queue.size());
    EXPECT_EQ(expected, queue.drain());
    EXPECT_EQ(-EAGAIN, queue.get_nowait());
    EXPECT_TRUE(skua_queue_empty(queue));
}

TEST(Queue, N123_LastInFirstOut)
{
    skua_queue queue = {};

    EXPECT_EQ(0, skua_lifo_queue_init(&queue, 0));
    for (int i = 0; i < 20; i++) {
        EXPECT_EQ(0, skua_queue_put(&queue, as_pointer(i)));
    }
    for (int i = 19; i >= 0; i--) {
        void *item = nullptr;

        EXPECT_EQ(0, skua_queue_get(&queue, &item));
        EXPECT_EQ(i, as_int(item));
    }
    EXPECT_EQ(0, skua_queue_fini(&queue));
}

TEST(Queue, N123_LowestFirstAndEqualOnesInTheOrderOfTheirPuts)
{
    skua_queue queue = {};
    Order got;

    EXPECT_EQ(0, skua_priority_queue_init(&queue, 0, compare_tens));
    for (const int item : {31, 12, 33, 11, 25, 13, 21, 30, 10, 20}) {
        EXPECT_EQ(0, skua_queue_put(&queue, as_pointer(item)));
    }
    for (int i = 0; i < 10; i++) {
        void *item = nullptr;

        EXPECT_EQ(0, skua_queue_get_nowait(&queue, &item));
        got.push_back(static_cast<int>(as_int(item)));
    }
    EXPECT_EQ((Order{12, 11, 13, 10, 25, 21, 20, 31, 33, 30}), got);
    EXPECT_EQ(0, skua_queue_fini(&queue));
}

TEST(Queue, N123_FullAndEmpty)
{
    Queue queue(2);

    EXPECT_EQ(2, skua_queue_maxsize(queue));
    EXPECT_TRUE(skua_queue_empty(queue));
    EXPECT_FALSE(skua_queue_full(queue));
    EXPECT_EQ(0, queue.put_nowait(1));
    EXPECT_FALSE(skua_queue_empty(queue));
    EXPECT_FALSE(skua_queue_full(queue));
    EXPECT_EQ(0, queue.put_nowait(2));
    EXPECT_TRUE(skua_queue_full(queue));
    EXPECT_EQ(-EAGAIN, queue.put_nowait(3));
    EXPECT_EQ(size_t{2}, queue.size());
    EXPECT_EQ(1, queue.get_nowait());
    EXPECT_FALSE(skua_queue_full(queue));
    EXPECT_EQ(2, queue.get_nowait());
    EXPECT_EQ(-EAGAIN, queue.get_nowait());
}

TEST(Queue, N123_NoLimitIsNeverFull)
{
    for (const int64_t maxsize : {INT64_C(0), INT64_C(-1), INT64_MIN}) {
        Queue queue(maxsize);

        EXPECT_EQ(0, skua_queue_maxsize(queue));
        for (int i = 0; i < 1000; i++) {
            ASSERT_EQ(0, queue.put_nowait(i));
            ASSERT_FALSE(skua_queue_full(queue));
        }
        EXPECT_EQ(size_t{1000}, queue.size());
    }
}

TEST(Queue, N123_AllZeroIsUnbounded)
{
    skua_queue queue = {};
    void *item = &queue;

    EXPECT_EQ(0, skua_queue_put(&queue, nullptr));
    EXPECT_EQ(0, skua_queue_maxsize(&queue));
    EXPECT_EQ(0, skua_queue_get(&queue, &item));
    EXPECT_EQ(nullptr, item);
    EXPECT_EQ(0, skua_queue_fini(&queue));
    EXPECT_EQ(0, skua_queue_fini(&queue));
    EXPECT_EQ(0, skua_queue_fini(nullptr));
}

/* --- waiting: 124 --- */

TEST_P(ConformanceOne, N124_GetWaitsForAPut)
{
    Queue queue;
    Log log;
    const auto body = [&] {
        const Future a = spawn(queue.getter(log));
        const Future b = spawn(queue.getter(log));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(0, queue.put(7));
        EXPECT_EQ(0, queue.put_nowait(8));
        EXPECT_EQ(Order{}, log.get());
        EXPECT_EQ(size_t{2}, queue.size()); /* promised, not gone */
        EXPECT_EQ(-EAGAIN, queue.get_nowait());
        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ((Order{7, 8}), log.get());
        EXPECT_EQ(size_t{0}, queue.size());
        return await_status(b);
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceOne, N124_PutWaitsForAGet)
{
    Queue queue(1);
    const auto body = [&] {
        const Future a = spawn(queue.putter(1));
        const Future b = spawn(queue.putter(2));
        const Future c = spawn(queue.putter(3));

        EXPECT_EQ(0, skua_yield());
        EXPECT_TRUE(skua_future_done(a.get()));
        EXPECT_FALSE(skua_future_done(b.get()));
        EXPECT_EQ(1, queue.get_nowait());
        EXPECT_EQ(-EAGAIN, queue.put_nowait(9)); /* the place is `b`'s */
        EXPECT_EQ(0, skua_yield());
        EXPECT_TRUE(skua_future_done(b.get()));
        EXPECT_EQ(2, queue.get());
        EXPECT_EQ(3, queue.get());
        EXPECT_EQ(0, await_status(c));
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N124_GettersOfAllLoopsAreServedInOrder)
{
    constexpr int kGetters = 9;
    Queue queue;
    const auto body = [&] {
        std::vector<Future> tasks;
        std::vector<Log> logs(kGetters);

        for (size_t i = 0; i < kGetters; i++) {
            tasks.push_back(start_parked(i, queue.getter(logs[i])));
        }
        for (int i = 0; i < kGetters; i++) {
            EXPECT_EQ(0, queue.put(i));
        }
        for (size_t i = 0; i < kGetters; i++) {
            EXPECT_EQ(0, await_status(tasks[i]));
            EXPECT_EQ(size_t{1}, logs[i].size());
        }
        /* One at a time each gets its own. */
        for (size_t i = 0; i < kGetters; i++) {
            tasks[i] = start_parked(i, queue.getter(logs[i]));
        }
        for (size_t i = 0; i < kGetters; i++) {
            EXPECT_EQ(0, queue.put(static_cast<int>(100 + i)));
            EXPECT_EQ(0, await_status(tasks[i]));
            EXPECT_EQ(static_cast<int>(100 + i), logs[i].get().back());
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N124_PuttersOfAllLoopsAreServedInOrder)
{
    constexpr int kPutters = 9;
    Queue queue(1);
    const auto body = [&] {
        std::vector<Future> tasks;

        EXPECT_EQ(0, queue.put(99));
        for (int i = 0; i < kPutters; i++) {
            tasks.push_back(
                start_parked(static_cast<size_t>(i), queue.putter(i)));
        }
        EXPECT_EQ(99, queue.get());
        for (int i = 0; i < kPutters; i++) {
            EXPECT_EQ(i, queue.get());
        }
        for (const Future &task : tasks) {
            EXPECT_EQ(0, await_status(task));
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N124_EachItemGoesToOneInOrder)
{
    constexpr int kItems = 400;
    Queue queue(3);
    const auto body = [&] {
        const Future producer = spawn([&] {
            for (int i = 0; i < kItems; i++) {
                EXPECT_EQ(0, queue.put(i));
            }
            return 0;
        });

        for (int i = 0; i < kItems; i++) {
            EXPECT_EQ(i, queue.get());
        }
        return await_status(producer);
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N124_LimitsTakeWhatIsThere)
{
    Queue queue(1);
    const auto body = [&] {
        const auto soon = [] { return skua_monotonic() + SKUA_MS; };

        EXPECT_EQ(-ETIMEDOUT, queue.get_until(0));
        EXPECT_EQ(-ETIMEDOUT, queue.get_until(INT64_MIN + 1));
        EXPECT_EQ(-ETIMEDOUT, queue.get_until(soon()));
        EXPECT_EQ(0, skua_queue_put_until(queue, as_pointer(1), 0));
        EXPECT_EQ(-ETIMEDOUT, skua_queue_put_until(queue, as_pointer(2), 0));
        EXPECT_EQ(-ETIMEDOUT,
                  skua_queue_put_until(queue, as_pointer(2), soon()));
        EXPECT_EQ(-ETIMEDOUT, skua_queue_join_until(queue, 0));
        EXPECT_EQ(-ETIMEDOUT, skua_queue_join_until(queue, soon()));
        EXPECT_EQ(1, queue.get_until(0));
        EXPECT_EQ(0, queue.done());
        EXPECT_EQ(0, skua_queue_join_until(queue, 0));
        EXPECT_EQ(size_t{0}, queue.size());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N124_LimitAndPutMeetAndNoItemIsLost)
{
    const int rounds = kRaceDetector ? 60 : 300;
    Queue queue;
    const auto body = [&] {
        for (int round = 0; round < rounds; round++) {
            const int64_t deadline_ns = skua_monotonic() + 50 * SKUA_US;
            const Future getter =
                spawn([&] { return queue.get_until(deadline_ns); });

            while (skua_monotonic() < deadline_ns - SKUA_US) {
                EXPECT_EQ(0, skua_yield());
            }
            EXPECT_EQ(0, queue.put(0));
            const int status = await_status(getter);

            EXPECT_TRUE(status == 0 || status == -ETIMEDOUT);
            EXPECT_EQ(size_t{status == 0 ? 0u : 1u}, queue.size());
            if (status != 0) {
                EXPECT_EQ(0, queue.get());
            }
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* --- cancelled getters: 125 --- */

TEST_P(ConformanceOne, N125_APromisedItemGoesToTheNextGetter)
{
    Queue queue;
    Log log;
    const auto body = [&] {
        const Future a = spawn(queue.getter(log));
        const Future b = spawn(queue.getter(log));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(0, queue.put_nowait(1));
        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        EXPECT_EQ(0, await_status(b));
        EXPECT_EQ((Order{SKUA_ECANCELED, 1}), log.get());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceOne, N125_APromisedItemStaysWithoutAGetter)
{
    Queue queue;
    Log log;
    const auto body = [&] {
        const Future a = spawn(queue.getter(log));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(0, queue.put_nowait(1));
        EXPECT_EQ(0, queue.put_nowait(2));
        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        EXPECT_EQ((Order{1, 2}), queue.drain());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceOne, N125_ItemsKeepTheirOrderWhenAGetterIsCancelled)
{
    Queue queue;
    Log log;
    const auto body = [&] {
        const Future a = spawn(queue.getter(log));
        const Future b = spawn([&] {
            (void)queue.getter(log)();
            return queue.getter(log)();
        });

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(0, queue.put_nowait(1));
        EXPECT_EQ(0, queue.put_nowait(2));
        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_EQ(0, await_status(b));
        EXPECT_EQ((Order{SKUA_ECANCELED, 1, 2}), log.get());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N125_ACancelledGetterTakesNone)
{
    Queue queue;
    Log log;
    const auto body = [&] {
        const Future a = start_parked(0, queue.getter(log));
        const Future b = start_parked(1, queue.getter(log));

        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        EXPECT_EQ(0, queue.put(5));
        EXPECT_EQ(0, await_status(b));
        EXPECT_EQ((Order{SKUA_ECANCELED, 5}), log.get());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N125_PutAndCancelMeetAndNoItemIsLost)
{
    const int rounds = kRaceDetector ? 60 : 300;
    Queue queue;
    const auto body = [&] {
        for (int round = 0; round < rounds; round++) {
            int got = -1;
            const Future getter = start_parked(0, [&] {
                got = queue.get();
                return 0;
            });
            const Future canceller = spawn_on(
                loops().back(),
                [&] {
                    (void)skua_task_cancel(getter.get());
                    return 0;
                },
                true);

            EXPECT_EQ(0, queue.put(round));
            (void)await_status(getter); /* may be cancelled after that */
            EXPECT_EQ(0, await_status(canceller));
            EXPECT_TRUE(got == round || got == SKUA_ECANCELED);
            EXPECT_EQ(got == round ? Order{} : Order{round}, queue.drain());
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* --- cancelled putters: 126 --- */

TEST_P(ConformanceOne, N126_AReservedPlaceGoesToTheNextPutter)
{
    Queue queue(1);
    const auto body = [&] {
        EXPECT_EQ(0, queue.put(1));
        const Future a = spawn(queue.putter(2));
        const Future b = spawn(queue.putter(3));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(1, queue.get_nowait());
        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        EXPECT_EQ(0, await_status(b));
        EXPECT_EQ(Order{3}, queue.drain());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N126_ACancelledPutterPutsNothing)
{
    Queue queue(1);
    const auto body = [&] {
        EXPECT_EQ(0, queue.put(1));
        const Future a = start_parked(0, queue.putter(2));
        const Future b = start_parked(1, queue.putter(3));

        EXPECT_EQ(1, skua_task_cancel(a.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(a));
        EXPECT_EQ(1, queue.get());
        EXPECT_EQ(0, await_status(b));
        EXPECT_EQ(Order{3}, queue.drain());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N126_GetAndCancelMeetAndNoPlaceIsLost)
{
    const int rounds = kRaceDetector ? 60 : 300;
    Queue queue(1);
    const auto body = [&] {
        for (int round = 0; round < rounds; round++) {
            EXPECT_EQ(0, queue.put(1));
            int status = -1;
            const Future putter = start_parked(0, [&] {
                status = queue.put(2);
                return 0;
            });
            const Future canceller = spawn_on(
                loops().back(),
                [&] {
                    (void)skua_task_cancel(putter.get());
                    return 0;
                },
                true);

            EXPECT_EQ(1, queue.get());
            (void)await_status(putter); /* may be cancelled after that */
            EXPECT_EQ(0, await_status(canceller));
            EXPECT_TRUE(status == 0 || status == SKUA_ECANCELED);
            EXPECT_EQ(status == 0 ? Order{2} : Order{}, queue.drain());
            EXPECT_EQ(0, queue.put_nowait(3));
            EXPECT_EQ(3, queue.get_nowait());
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* --- joining: 128 --- */

TEST_P(ConformanceMany, N128_JoinOfAnEmptyQueueDoesNotWait)
{
    Queue queue;
    const auto body = [&] {
        EXPECT_EQ(0, skua_queue_join(queue));
        EXPECT_EQ(0, skua_queue_join_until(queue, 0));
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N128_JoinEndsWithTheLastTaskDone)
{
    constexpr int kItems = 40;
    Queue queue;
    std::atomic<int> handled = 0;
    const auto body = [&] {
        std::vector<Future> workers;

        for (int i = 0; i < kItems; i++) {
            EXPECT_EQ(0, queue.put_nowait(i));
        }
        for (size_t i = 0; i < 3; i++) {
            workers.push_back(spawn([&] {
                while (queue.get() >= 0) {
                    EXPECT_EQ(0, skua_yield());
                    handled++;
                    EXPECT_EQ(0, queue.done());
                }
                return 0;
            }));
        }
        EXPECT_EQ(0, skua_queue_join(queue));
        EXPECT_EQ(kItems, handled);
        EXPECT_EQ(-EINVAL, queue.done());
        EXPECT_EQ(0, skua_queue_join(queue));
        EXPECT_EQ(0, skua_queue_shutdown(queue, false));
        for (const Future &worker : workers) {
            EXPECT_EQ(0, await_status(worker));
        }
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N128_JoinCountsPutsAndNotGets)
{
    Queue queue;
    const auto body = [&] {
        EXPECT_EQ(0, queue.put(1));
        EXPECT_EQ(1, queue.get());
        const Future joiner =
            start_parked(1, [&] { return skua_queue_join(queue); });
        const Future cancelled =
            start_parked(0, [&] { return skua_queue_join(queue); });

        EXPECT_EQ(0, queue.put(2));
        EXPECT_EQ(0, queue.done());
        settle();
        EXPECT_FALSE(skua_future_done(joiner.get()));
        EXPECT_EQ(1, skua_task_cancel(cancelled.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(cancelled));
        EXPECT_EQ(0, queue.done()); /* before it is got, as asyncio */
        EXPECT_EQ(0, await_status(joiner));
        EXPECT_EQ(2, queue.get());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST(Queue, N128_OneTaskDoneTooMany)
{
    Queue queue;

    EXPECT_EQ(-EINVAL, queue.done());
    EXPECT_EQ(0, queue.put(1));
    EXPECT_EQ(0, queue.done());
    EXPECT_EQ(-EINVAL, queue.done());
    EXPECT_EQ(1, queue.get());
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
