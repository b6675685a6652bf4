/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_misuse_test.cc - queues: misuse, callbacks, threads, closed loops, and
 * memory that is short.
 */
#include <cstddef>

#include "support.h"

namespace conformance
{
namespace
{

/* --- memory: an allocator that fails, or does something in between --- */

/** Called instead of the allocation that it stands before; false: it fails. */
struct Shortage {
    std::atomic<bool> armed{false};
    std::function<bool()> instead;
} shortage;

void *allocate(void *, size_t bytes)
{
    if (shortage.armed.exchange(false) && !shortage.instead()) {
        return nullptr;
    }
    return std::malloc(bytes);
}

void *resize(void *, void *pointer, size_t bytes)
{
    return std::realloc(pointer, bytes);
}

void release(void *, void *pointer)
{
    std::free(pointer);
}

/** The next allocation does that. */
void arm(std::function<bool()> instead)
{
    shortage.instead = std::move(instead);
    shortage.armed = true;
}

bool fail()
{
    return false;
}

/** Before the library allocates anything. */
const int allocator_set = [] {
    static const skua_allocator allocator = {allocate, resize, release,
                                             nullptr};

    return skua_set_allocator(&allocator);
}();

int put(skua_queue &queue, int item)
{
    return skua_queue_put_nowait(&queue, as_pointer(item));
}

int get(skua_queue &queue)
{
    void *item = nullptr;
    const int status = skua_queue_get_nowait(&queue, &item);

    return status < 0 ? status : static_cast<int>(as_int(item));
}

TEST(QueueMemory, APutThatFindsNoneIsNoPut)
{
    skua_queue queue = {};
    int items = 0;

    ASSERT_EQ(0, allocator_set);
    arm(fail);
    EXPECT_EQ(-ENOMEM, put(queue, 0));
    EXPECT_EQ(size_t{0}, skua_queue_qsize(&queue));
    EXPECT_EQ(0, skua_queue_join(&queue));
    for (arm(fail); shortage.armed; items++) {
        ASSERT_GT(100, items);
        if (put(queue, items) != 0) {
            items--; /* refused: put it again */
        }
    }
    EXPECT_EQ(static_cast<size_t>(items), skua_queue_qsize(&queue));
    for (int i = 0; i < items; i++) {
        EXPECT_EQ(i, get(queue));
        EXPECT_EQ(0, skua_queue_task_done(&queue));
    }
    EXPECT_EQ(-EINVAL, skua_queue_task_done(&queue));
    EXPECT_EQ(0, skua_queue_fini(&queue));
}

TEST(QueueMemory, AGetterStaysWhenAPutFails)
{
    skua_queue queue = {};
    Loop loop;
    Lambdas lambdas;
    void *item = nullptr;
    const Future getter =
        lambdas.spawn_on(loop, [&] { return skua_queue_get(&queue, &item); });

    EXPECT_EQ(0, skua_loop_run_once(loop, 0));
    arm(fail);
    EXPECT_EQ(-ENOMEM, put(queue, 1));
    EXPECT_EQ(0, skua_loop_run_once(loop, 0));
    EXPECT_FALSE(skua_future_done(getter.get()));
    EXPECT_EQ(0, put(queue, 2));
    EXPECT_EQ(0, skua_loop_run_until_complete(
                     loop, skua_awaitable_future(getter.get()), nullptr));
    EXPECT_EQ(2, as_int(item));
    EXPECT_EQ(0, skua_queue_fini(&queue));
}

/* The queue is unbounded and memory is there, so no put may fail. */
TEST(QueueMemory, OthersFillTheRoomMeanwhile)
{
    skua_queue queue = {};
    int items = 0;
    const auto put_many = [&] {
        for (int i = 0; i < 16; i++) {
            EXPECT_EQ(0, put(queue, 100));
        }
        return true;
    };

    for (arm(put_many); shortage.armed; items++) {
        ASSERT_GT(100, items);
        EXPECT_EQ(0, put(queue, items));
    }
    EXPECT_EQ(static_cast<size_t>(items) + 16, skua_queue_qsize(&queue));
    EXPECT_EQ(0, skua_queue_fini(&queue));
}

TEST(QueueMemory, ShutDownWhileAPutLooksForRoom)
{
    skua_queue queue = {};

    arm([&] { return skua_queue_shutdown(&queue, true) == 0; });
    EXPECT_EQ(SKUA_ESHUTDOWN, put(queue, 1));
    EXPECT_EQ(size_t{0}, skua_queue_qsize(&queue));
    EXPECT_EQ(0, skua_queue_join(&queue));
    EXPECT_EQ(0, skua_queue_fini(&queue));
}

/* Nobody needs memory to go on with a place that was reserved for another. */
TEST(QueueMemory, AReservedPlaceGoesFromACancelledPutterToTheNext)
{
    skua_queue queue = {};
    Loop loop;
    Lambdas lambdas;
    std::vector<Future> putters;
    Log statuses;

    ASSERT_EQ(0, skua_queue_init(&queue, 8));
    for (int i = 0; i < 8; i++) {
        ASSERT_EQ(0, put(queue, i));
    }
    for (int i = 0; i < 3; i++) {
        putters.push_back(lambdas.spawn_on(loop, [&, i] {
            statuses.add(skua_queue_put(&queue, as_pointer(50 + i)));
            return 0;
        }));
    }
    EXPECT_EQ(0, skua_loop_run_once(loop, 0));
    EXPECT_EQ(0, get(queue));
    EXPECT_EQ(1, skua_task_cancel(putters[0].get()));
    EXPECT_EQ(0, skua_loop_run_until_complete(
                     loop, skua_awaitable_future(putters[1].get()), nullptr));
    EXPECT_EQ((Order{SKUA_ECANCELED, 0}), statuses.get());
    EXPECT_EQ(1, get(queue));
    EXPECT_EQ(0, skua_loop_run_until_complete(
                     loop, skua_awaitable_future(putters[2].get()), nullptr));
    EXPECT_EQ(size_t{8}, skua_queue_qsize(&queue));
    EXPECT_EQ(0, skua_queue_fini(&queue));
}

/* --- misuse --- */

int compare_nothing(const void *, const void *)
{
    return 0;
}

TEST(QueueMisuse, IsAStatus)
{
    skua_queue queue = {};
    void *item = nullptr;

    EXPECT_EQ(-EINVAL, skua_queue_init(nullptr, 0));
    EXPECT_EQ(-EINVAL, skua_lifo_queue_init(nullptr, 0));
    EXPECT_EQ(-EINVAL, skua_priority_queue_init(nullptr, 0, compare_nothing));
    EXPECT_EQ(-EINVAL, skua_priority_queue_init(&queue, 0, nullptr));
    EXPECT_EQ(-EINVAL, skua_queue_set_drop(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_queue_put(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_queue_put_until(nullptr, nullptr, 0));
    EXPECT_EQ(-EINVAL, skua_queue_put_nowait(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_queue_get(nullptr, &item));
    EXPECT_EQ(-EINVAL, skua_queue_get_until(nullptr, &item, 0));
    EXPECT_EQ(-EINVAL, skua_queue_get_nowait(nullptr, &item));
    EXPECT_EQ(-EINVAL, skua_queue_get(&queue, nullptr));
    EXPECT_EQ(-EINVAL, skua_queue_get_until(&queue, nullptr, 0));
    EXPECT_EQ(-EINVAL, skua_queue_get_nowait(&queue, nullptr));
    EXPECT_EQ(-EINVAL, skua_queue_task_done(nullptr));
    EXPECT_EQ(-EINVAL, skua_queue_join(nullptr));
    EXPECT_EQ(-EINVAL, skua_queue_join_until(nullptr, 0));
    EXPECT_EQ(-EINVAL, skua_queue_shutdown(nullptr, false));
    EXPECT_EQ(size_t{0}, skua_queue_qsize(nullptr));
    EXPECT_TRUE(skua_queue_empty(nullptr));
    EXPECT_FALSE(skua_queue_full(nullptr));
    EXPECT_EQ(0, skua_queue_maxsize(nullptr));
}

TEST(QueueMisuse, NotATimeIsRefused)
{
    skua_queue queue = {};
    void *item = nullptr;

    EXPECT_EQ(-EINVAL, skua_queue_put_until(&queue, nullptr, SKUA_NOT_A_TIME));
    EXPECT_EQ(size_t{0}, skua_queue_qsize(&queue));
    EXPECT_EQ(0, put(queue, 1));
    EXPECT_EQ(-EINVAL, skua_queue_get_until(&queue, &item, SKUA_NOT_A_TIME));
    EXPECT_EQ(size_t{1}, skua_queue_qsize(&queue));
    EXPECT_EQ(-EINVAL, skua_queue_join_until(&queue, SKUA_NOT_A_TIME));
    EXPECT_EQ(1, get(queue));
    EXPECT_EQ(0, skua_queue_task_done(&queue));
    EXPECT_EQ(-EINVAL, skua_queue_join_until(&queue, SKUA_NOT_A_TIME));
    EXPECT_EQ(0, skua_queue_fini(&queue));
}

TEST_F(Conformance, ACallbackTakesWhatIsThereAndWaitsForNothing)
{
    skua_queue queue = {};
    void *item = nullptr;
    Log log;

    ASSERT_EQ(0, skua_queue_init(&queue, 1));
    soon(loop_, [&] {
        log.add(skua_queue_get(&queue, &item));
        log.add(skua_queue_put(&queue, as_pointer(4)));
        log.add(skua_queue_put(&queue, as_pointer(5)));
        log.add(skua_queue_join(&queue));
        log.add(skua_queue_get(&queue, &item));
        log.add(skua_queue_task_done(&queue));
    });
    drain();
    EXPECT_EQ((Order{-EDEADLK, 0, -EDEADLK, -EDEADLK, 0, 0}), log.get());
    EXPECT_EQ(4, as_int(item));
    EXPECT_EQ(0, skua_queue_fini(&queue));
}

/* --- threads --- */

TEST_P(ConformanceMany, QueueBetweenThreadsAndTasks)
{
    constexpr int kItems = 300;
    skua_queue there = {};
    skua_queue back = {};
    const auto echo = [&] {
        for (int i = 0; i < kItems; i++) {
            void *item = nullptr;

            EXPECT_EQ(0, skua_queue_get(&there, &item));
            EXPECT_EQ(i, as_int(item));
            EXPECT_EQ(0, skua_queue_put(&back, item));
            EXPECT_EQ(0, skua_queue_task_done(&there));
        }
    };
    const auto body = [&] {
        std::thread thread(echo);
        const Future producer = spawn([&] {
            for (int i = 0; i < kItems; i++) {
                EXPECT_EQ(0, skua_queue_put(&there, as_pointer(i)));
            }
            return 0;
        });

        for (int i = 0; i < kItems; i++) {
            void *item = nullptr;

            EXPECT_EQ(0, skua_queue_get(&back, &item));
            EXPECT_EQ(i, as_int(item));
        }
        EXPECT_EQ(0, skua_queue_join(&there));
        EXPECT_EQ(0, skua_await(producer.get(), nullptr));
        thread.join();
        return 0;
    };

    EXPECT_EQ(0, skua_queue_init(&there, 2));
    EXPECT_EQ(0, skua_queue_init(&back, 1));
    EXPECT_EQ(0, run(body));
    EXPECT_EQ(0, skua_queue_fini(&there));
    EXPECT_EQ(0, skua_queue_fini(&back));
}

TEST_P(ConformanceMany, QueueShutDownReachesThreads)
{
    skua_queue queue = {};
    const auto body = [&] {
        Latch asked(1);
        std::thread getter([&] {
            void *item = nullptr;

            asked.down();
            EXPECT_EQ(SKUA_ESHUTDOWN, skua_queue_get(&queue, &item));
        });

        EXPECT_EQ(0, asked.wait());
        EXPECT_EQ(0, skua_queue_shutdown(&queue, false));
        getter.join();
        return 0;
    };

    EXPECT_EQ(0, run(body));
    EXPECT_EQ(0, skua_queue_fini(&queue));
}

TEST(QueueThread, WaitsUntilItsLimit)
{
    skua_queue queue = {};
    void *item = nullptr;
    const int64_t deadline_ns = skua_monotonic() + 2 * SKUA_MS;

    EXPECT_EQ(-ETIMEDOUT, skua_queue_get_until(&queue, &item, deadline_ns));
    EXPECT_LE(deadline_ns, skua_monotonic());
    EXPECT_EQ(0, skua_queue_fini(&queue));
}

/* --- closing --- */

class ClosedLoop : public Conformance
{
  protected:
    /** Somebody waits for each thing there is to wait for. */
    void start(skua_queue &queue)
    {
        tasks_.push_back(spawn_on(loop_, [&queue] {
            void *item = nullptr;

            return skua_queue_get(&queue, &item);
        }));
        drain();
    }

    void close()
    {
        EXPECT_EQ(0, skua_loop_close(loop_));
        for (const Future &task : tasks_) {
            EXPECT_EQ(SKUA_ECLOSED, skua_future_result(task.get(), nullptr));
        }
    }

    std::vector<Future> tasks_;
};

TEST_F(ClosedLoop, TakesItsGettersOutOfTheQueue)
{
    skua_queue queue = {};

    start(queue);
    start(queue);
    EXPECT_EQ(-EBUSY, skua_queue_fini(&queue));
    close();
    EXPECT_EQ(0, put(queue, 1));
    EXPECT_EQ(1, get(queue));
    EXPECT_EQ(0, skua_queue_fini(&queue));
}

/* It was promised an item and will never go on. */
TEST_F(ClosedLoop, LeavesAPromisedItemToOthers)
{
    skua_queue queue = {};

    start(queue);
    EXPECT_EQ(0, put(queue, 1));
    close();
    EXPECT_EQ(1, get(queue));
    EXPECT_EQ(0, skua_queue_fini(&queue));
}

CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
