/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_sync_stress_test.cc - queues between loops and threads, with cancels
 * and limits from everywhere.
 */
#include "storm.h"

#include <map>

namespace stress
{
namespace
{

using conformance::as_int;
using conformance::as_pointer;

/** An item says who put it, and which of its items it is. */
constexpr int kMostItems = 1 << 20;

class QueueStorm : public Storm
{
  protected:
    ~QueueStorm() override
    {
        EXPECT_EQ(0, skua_queue_fini(&queue_));
    }

    /** Bodies: put `items` numbered ones, each once, whatever happens. */
    Work producer(int items)
    {
        return [this, items](Random &random) {
            const int mine = producers_++;

            for (int i = 0; i < items;) {
                const int status = skua_queue_put_until(
                    &queue_, as_pointer(mine * kMostItems + i),
                    any_deadline(random));

                if (status == SKUA_ESHUTDOWN) {
                    return;
                }
                if (status == 0) {
                    put_++;
                    i++;
                } else {
                    expect_in_vain(status);
                }
            }
        };
    }

    /** Get until the queue is shut down; those of each producer in order. */
    Work consumer()
    {
        return [this](Random &random) {
            std::map<int, int> last;

            for (;;) {
                void *item = nullptr;
                const int status =
                    skua_queue_get_until(&queue_, &item, any_deadline(random));

                if (status == SKUA_ESHUTDOWN) {
                    return;
                }
                if (status < 0) {
                    expect_in_vain(status);
                    continue;
                }
                consume(static_cast<int>(as_int(item)), &last);
                pause(random);
            }
        };
    }

    void consume(int item, std::map<int, int> *last)
    {
        const int producer = item / kMostItems;
        const int number = item % kMostItems;
        const auto known = last->find(producer);

        if (in_order_ && known != last->end()) {
            EXPECT_LT(known->second, number);
        }
        (*last)[producer] = number;
        sum_ += item;
        got_++;
        EXPECT_EQ(0, skua_queue_task_done(&queue_));
    }

    /** A task that shuts the queue down once all is dealt with. */
    void shut_down_when_joined(int items)
    {
        start_tasks(1, [this, items](Random &) {
            while (put_ < items) {
                (void)skua_yield();
            }
            while (skua_queue_join(&queue_) == SKUA_ECANCELED) {
                /* again */
            }
            EXPECT_EQ(items, got_);
            EXPECT_EQ(0, skua_queue_shutdown(&queue_, false));
        });
    }

    /** The sum of all items of all producers. */
    static int64_t sum_of(int64_t producers, int64_t items)
    {
        return producers * items * (items - 1) / 2 +
               items * kMostItems * (producers * (producers - 1) / 2);
    }

    skua_queue queue_ = {};
    bool in_order_ = true;
    std::atomic<int> producers_ = 0;
    std::atomic<int> put_ = 0;
    std::atomic<int> got_ = 0;
    std::atomic<int64_t> sum_ = 0;
};

TEST_P(QueueStorm, EachItemComesOnceAndInOrder)
{
    constexpr int kProducers = 5;
    constexpr int kConsumers = 5;
    const int items = kRaceDetector ? 150 : 1500;

    for (const int64_t maxsize : {1, 4, 0}) {
        EXPECT_EQ(0, skua_queue_init(&queue_, maxsize));
        producers_ = 0;
        put_ = 0;
        got_ = 0;
        sum_ = 0;
        EXPECT_EQ(0, run([&] {
                      start_tasks(kProducers - 1, producer(items));
                      start_threads(1, producer(items));
                      start_tasks(kConsumers - 1, consumer());
                      start_threads(1, consumer());
                      shut_down_when_joined(kProducers * items);
                      wait_for_all(true);
                      return 0;
                  }));
        EXPECT_EQ(kProducers * items, got_);
        EXPECT_EQ(sum_of(kProducers, items), sum_);
        EXPECT_EQ(0, skua_queue_fini(&queue_));
    }
}

int compare_items(const void *a, const void *b)
{
    const auto left = reinterpret_cast<intptr_t>(a) % kMostItems;
    const auto right = reinterpret_cast<intptr_t>(b) % kMostItems;

    return left < right ? -1 : left > right;
}

TEST_P(QueueStorm, EachItemComesOnceByPriority)
{
    constexpr int kProducers = 4;
    const int items = kRaceDetector ? 150 : 1500;

    EXPECT_EQ(0, skua_priority_queue_init(&queue_, 8, compare_items));
    EXPECT_EQ(0, run([&] {
                  start_tasks(kProducers, producer(items));
                  start_tasks(3, consumer());
                  shut_down_when_joined(kProducers * items);
                  wait_for_all(true);
                  return 0;
              }));
    EXPECT_EQ(kProducers * items, got_);
    EXPECT_EQ(sum_of(kProducers, items), sum_);
}

TEST_P(QueueStorm, EachItemComesOnceLastInFirstOut)
{
    constexpr int kProducers = 4;
    const int items = kRaceDetector ? 150 : 1500;

    in_order_ = false;
    EXPECT_EQ(0, skua_lifo_queue_init(&queue_, 0));
    EXPECT_EQ(0, run([&] {
                  start_tasks(kProducers, producer(items));
                  start_tasks(3, consumer());
                  shut_down_when_joined(kProducers * items);
                  wait_for_all(true);
                  return 0;
              }));
    EXPECT_EQ(kProducers * items, got_);
    EXPECT_EQ(sum_of(kProducers, items), sum_);
}

std::atomic<int> dropped;

void count_dropped(void *)
{
    dropped++;
}

/* In full swing: what was put was got, or dropped. */
TEST_P(QueueStorm, ImmediateShutDownLosesNothing)
{
    const int rounds = kRaceDetector ? 10 : 60;

    for (int round = 0; round < rounds; round++) {
        EXPECT_EQ(0, skua_queue_init(&queue_, round % 4));
        EXPECT_EQ(0, skua_queue_set_drop(&queue_, count_dropped));
        producers_ = 0;
        put_ = 0;
        got_ = 0;
        dropped = 0;
        EXPECT_EQ(0, run([&] {
                      start_tasks(4, producer(kMostItems));
                      start_threads(1, producer(kMostItems));
                      start_tasks(3, consumer());
                      start_threads(1, consumer());
                      while (put_ < 50 + 10 * round) {
                          EXPECT_EQ(0, skua_yield());
                      }
                      EXPECT_EQ(0, skua_queue_shutdown(&queue_, true));
                      wait_for_all(true);
                      return 0;
                  }));
        EXPECT_EQ(put_, got_ + dropped);
        EXPECT_EQ(size_t{0}, skua_queue_qsize(&queue_));
        EXPECT_EQ(0, skua_queue_fini(&queue_));
    }
}

/* Joiners of all kinds go on when the last is done, not before. */
TEST_P(QueueStorm, JoinEndsExactly)
{
    constexpr int kItems = 24;
    const int rounds = kRaceDetector ? 20 : 150;

    EXPECT_EQ(
        0, run([&] {
            for (int round = 0; round < rounds; round++) {
                std::atomic<int> handled = 0;
                const auto join = [&](Random &random) {
                    int status = -ETIMEDOUT;

                    while (status < 0) {
                        status = skua_queue_join_until(&queue_,
                                                       any_deadline(random));
                    }
                    EXPECT_EQ(kItems, handled);
                };

                for (int i = 0; i < kItems; i++) {
                    EXPECT_EQ(0, skua_queue_put_nowait(&queue_, as_pointer(i)));
                }
                start_tasks(4, join);
                start_threads(1, join);
                start_tasks(4, [&](Random &random) {
                    void *item = nullptr;

                    while (skua_queue_get_nowait(&queue_, &item) == 0) {
                        pause(random);
                        handled++;
                        EXPECT_EQ(0, skua_queue_task_done(&queue_));
                    }
                });
                wait_for_all(true);
                EXPECT_EQ(-EINVAL, skua_queue_task_done(&queue_));
            }
            return 0;
        }));
}

INSTANTIATE_TEST_SUITE_P(Loops, QueueStorm, testing::Values(1, 2, 4));

} // namespace
} // namespace stress
