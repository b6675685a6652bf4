/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_shutdown_test.cc - conformance 129: shutting queues down; what becomes
 * of items that nobody gets.
 */
#include "queue_support.h"

namespace conformance
{
namespace
{

/* --- shutdown: 129 --- */

TEST_P(ConformanceMany, N129_ShutDownEmpty)
{
    Queue queue;
    Log log;
    const auto body = [&] {
        const Future a = start_parked(0, queue.getter(log));
        const Future b = start_parked(1, queue.getter(log));

        EXPECT_EQ(0, skua_queue_shutdown(queue, false));
        EXPECT_EQ(SKUA_ESHUTDOWN, await_status(a));
        EXPECT_EQ(SKUA_ESHUTDOWN, await_status(b));
        EXPECT_EQ(SKUA_ESHUTDOWN, queue.put(1));
        EXPECT_EQ(SKUA_ESHUTDOWN, queue.put_nowait(1));
        EXPECT_EQ(SKUA_ESHUTDOWN, queue.get());
        EXPECT_EQ(SKUA_ESHUTDOWN, queue.get_nowait());
        EXPECT_EQ(SKUA_ESHUTDOWN, queue.get_until(0));
        EXPECT_EQ(0, skua_queue_shutdown(queue, true));
        return skua_queue_join(queue);
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N129_ShutDownWithItemsIsDrainedFirst)
{
    Queue queue(2);
    const auto body = [&] {
        EXPECT_EQ(0, queue.put(1));
        EXPECT_EQ(0, queue.put(2));
        const Future putter = start_parked(1, queue.putter(3));
        const Future joiner =
            start_parked(0, [&] { return skua_queue_join(queue); });

        EXPECT_EQ(0, skua_queue_shutdown(queue, false));
        EXPECT_EQ(SKUA_ESHUTDOWN, await_status(putter));
        EXPECT_EQ(SKUA_ESHUTDOWN, queue.put_nowait(4));
        EXPECT_EQ(size_t{2}, queue.size());
        EXPECT_EQ(1, queue.get());
        EXPECT_EQ(2, queue.get_nowait());
        EXPECT_EQ(SKUA_ESHUTDOWN, queue.get());
        EXPECT_EQ(SKUA_ESHUTDOWN, queue.get_nowait());
        EXPECT_EQ(0, queue.done());
        EXPECT_FALSE(skua_future_done(joiner.get()));
        EXPECT_EQ(0, queue.done());
        return await_status(joiner);
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N129_ImmediateShutDownDropsWhatIsLeft)
{
    Queue queue;
    Log drops;
    const auto body = [&] {
        EXPECT_EQ(0, skua_queue_set_drop(queue, note_dropped));
        for (int i = 0; i < 5; i++) {
            EXPECT_EQ(0, queue.put(i));
        }
        EXPECT_EQ(0, queue.get());
        const Future joiner =
            start_parked(1, [&] { return skua_queue_join(queue); });

        EXPECT_EQ(0, skua_queue_shutdown(queue, true));
        EXPECT_EQ((Order{1, 2, 3, 4}), drops.get());
        EXPECT_EQ(size_t{0}, queue.size());
        EXPECT_EQ(SKUA_ESHUTDOWN, queue.get());
        settle();
        EXPECT_FALSE(skua_future_done(joiner.get())); /* one was got */
        EXPECT_EQ(0, queue.done());
        EXPECT_EQ(0, await_status(joiner));
        EXPECT_EQ(-EINVAL, queue.done());
        return 0;
    };

    dropped = &drops;
    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceMany, N129_ImmediateShutDownEndsJoinAndPutters)
{
    Queue queue(1);
    const auto body = [&] {
        EXPECT_EQ(0, queue.put(1));
        const Future putter = start_parked(0, queue.putter(2));
        const Future joiner =
            start_parked(1, [&] { return skua_queue_join(queue); });

        EXPECT_EQ(0, skua_queue_shutdown(queue, true));
        EXPECT_EQ(SKUA_ESHUTDOWN, await_status(putter));
        EXPECT_EQ(0, await_status(joiner));
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* The getter was promised an item that is dropped before it goes on. */
TEST_P(ConformanceOne, N129_ImmediateShutDownTakesPromisedItems)
{
    Queue queue;
    Log log;
    Log drops;
    const auto body = [&] {
        EXPECT_EQ(0, skua_queue_set_drop(queue, note_dropped));
        const Future getter = spawn(queue.getter(log));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(0, queue.put(5));
        EXPECT_EQ(0, skua_queue_shutdown(queue, true));
        EXPECT_EQ(SKUA_ESHUTDOWN, await_status(getter));
        EXPECT_EQ(Order{5}, drops.get());
        return 0;
    };

    dropped = &drops;
    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceOne, N129_ShutDownMeetsAReservedPlace)
{
    Queue queue(1);
    const auto body = [&] {
        EXPECT_EQ(0, queue.put(1));
        const Future putter = spawn(queue.putter(2));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(1, queue.get());
        EXPECT_EQ(0, skua_queue_shutdown(queue, false));
        EXPECT_EQ(SKUA_ESHUTDOWN, await_status(putter));
        EXPECT_EQ(SKUA_ESHUTDOWN, queue.get());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* The last item is promised; who waits behind that fails once it is got. */
TEST_P(ConformanceOne, N129_GettersBehindTheLastPromiseFail)
{
    Queue queue;
    Log log;
    const auto body = [&] {
        const Future a = spawn(queue.getter(log));
        const Future b = spawn(queue.getter(log));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(0, queue.put(5));
        EXPECT_EQ(0, skua_queue_shutdown(queue, false));
        EXPECT_EQ(0, await_status(a));
        EXPECT_EQ(SKUA_ESHUTDOWN, await_status(b));
        EXPECT_EQ((Order{5, SKUA_ESHUTDOWN}), log.get());
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

TEST_P(ConformanceOne, N129_ShutDownAndThenCancelledIsCancelled)
{
    Queue queue;
    Log log;
    const auto body = [&] {
        const Future getter = spawn(queue.getter(log));

        EXPECT_EQ(0, skua_yield());
        EXPECT_EQ(0, skua_queue_shutdown(queue, false));
        EXPECT_EQ(1, skua_task_cancel(getter.get()));
        EXPECT_EQ(SKUA_ECANCELED, await_status(getter));
        return 0;
    };

    EXPECT_EQ(0, run(body));
}

/* --- dropping and ending --- */

TEST(Queue, FiniDropsWhatIsLeftInOrder)
{
    skua_queue queue = {};
    Log drops;

    dropped = &drops;
    EXPECT_EQ(0, skua_priority_queue_init(&queue, 0, compare_tens));
    EXPECT_EQ(0, skua_queue_set_drop(&queue, note_dropped));
    for (const int item : {30, 10, 31, 20}) {
        EXPECT_EQ(0, skua_queue_put(&queue, as_pointer(item)));
    }
    EXPECT_EQ(0, skua_queue_fini(&queue));
    EXPECT_EQ((Order{10, 20, 30, 31}), drops.get());
    EXPECT_EQ(size_t{0}, skua_queue_qsize(&queue));
    EXPECT_EQ(0, skua_queue_put(&queue, nullptr)); /* as all-zero */
    EXPECT_EQ(0, skua_queue_fini(&queue));
    EXPECT_EQ(size_t{4}, drops.size());
}

TEST_P(ConformanceMany, QueueFiniIsRefusedWhileSomebodyWaits)
{
    skua_queue queue = {};
    const auto body = [&] {
        EXPECT_EQ(0, skua_queue_init(&queue, 1));
        void *item = nullptr;
        const Future getter =
            start_parked(0, [&] { return skua_queue_get(&queue, &item); });

        EXPECT_EQ(-EBUSY, skua_queue_fini(&queue));
        EXPECT_EQ(0, skua_queue_put(&queue, &item));
        EXPECT_EQ(0, await_status(getter));
        const Future joiner =
            start_parked(1, [&] { return skua_queue_join(&queue); });

        EXPECT_EQ(-EBUSY, skua_queue_fini(&queue));
        EXPECT_EQ(0, skua_queue_task_done(&queue));
        EXPECT_EQ(0, await_status(joiner));
        EXPECT_EQ(1, skua_queue_maxsize(&queue));
        return skua_queue_fini(&queue);
    };

    EXPECT_EQ(0, run(body));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
