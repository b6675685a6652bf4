/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/sync/queue_store.c. */
#include "sync/queue_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <vector>

namespace
{

void *item_of(intptr_t value)
{
    return reinterpret_cast<void *>(value);
}

intptr_t value_of(void *item)
{
    return reinterpret_cast<intptr_t>(item);
}

/** Smaller tens first; the units do not count. */
int compare_tens(const void *a, const void *b)
{
    const auto left = reinterpret_cast<intptr_t>(a) / 10;
    const auto right = reinterpret_cast<intptr_t>(b) / 10;

    return left < right ? -1 : left > right;
}

/** A store that grows as a queue lets it grow. */
class Store
{
  public:
    explicit Store(skui_queue_order order)
    {
        store_.order = order;
        store_.compare = order == SKUI_QUEUE_PRIORITY ? compare_tens : nullptr;
    }

    void push(intptr_t value)
    {
        if (store_.count == store_.capacity) {
            grow();
        }
        skui_queue_store_push(&store_, item_of(value));
    }

    intptr_t pop()
    {
        return value_of(skui_queue_store_pop(&store_));
    }

    std::vector<intptr_t> pop_all()
    {
        std::vector<intptr_t> values;

        while (store_.count > 0) {
            values.push_back(pop());
        }
        return values;
    }

    [[nodiscard]] size_t count() const
    {
        return store_.count;
    }

    [[nodiscard]] size_t capacity() const
    {
        return store_.capacity;
    }

  private:
    void grow()
    {
        const size_t capacity = skui_queue_store_next_capacity(&store_);
        auto slots = std::make_unique<skui_queue_slot[]>(capacity);

        EXPECT_EQ(slots_.get(),
                  skui_queue_store_move(&store_, slots.get(), capacity));
        slots_ = std::move(slots);
    }

    skui_queue_store store_ = {};
    std::unique_ptr<skui_queue_slot[]> slots_;
};

using Values = std::vector<intptr_t>;

TEST(QueueStoreFifo, GivesTheOldestFirst)
{
    Store store(SKUI_QUEUE_FIFO);

    for (intptr_t i = 0; i < 5; i++) {
        store.push(i);
    }
    EXPECT_EQ((Values{0, 1, 2, 3, 4}), store.pop_all());
}

TEST(QueueStoreFifo, KeepsTheOrderRoundTheRing)
{
    Store store(SKUI_QUEUE_FIFO);
    intptr_t pushed = 0;
    intptr_t popped = 0;

    for (int i = 0; i < 7; i++) {
        store.push(pushed++);
    }
    for (int i = 0; i < 100; i++) {
        store.push(pushed++);
        EXPECT_EQ(popped++, store.pop());
    }
    EXPECT_EQ(size_t{8}, store.capacity());
}

TEST(QueueStoreFifo, GrowsInTheMiddleOfTheRing)
{
    Store store(SKUI_QUEUE_FIFO);
    Values expected;

    for (intptr_t i = 0; i < 8; i++) {
        store.push(-1 - i);
    }
    for (int i = 0; i < 5; i++) {
        (void)store.pop();
    }
    expected = {-6, -7, -8};
    for (intptr_t i = 0; i < 20; i++) {
        store.push(i);
        expected.push_back(i);
    }
    EXPECT_EQ(size_t{32}, store.capacity());
    EXPECT_EQ(expected, store.pop_all());
}

TEST(QueueStoreLifo, GivesTheYoungestFirst)
{
    Store store(SKUI_QUEUE_LIFO);

    for (intptr_t i = 0; i < 20; i++) {
        store.push(i);
    }
    EXPECT_EQ(19, store.pop());
    store.push(30);
    EXPECT_EQ(30, store.pop());
    EXPECT_EQ(18, store.pop());
    EXPECT_EQ(size_t{18}, store.count());
}

TEST(QueueStorePriority, GivesTheFirstByComparison)
{
    Store store(SKUI_QUEUE_PRIORITY);

    for (const intptr_t value : {50, 20, 90, 10, 70, 30, 80, 60, 40}) {
        store.push(value);
    }
    EXPECT_EQ((Values{10, 20, 30, 40, 50, 60, 70, 80, 90}), store.pop_all());
}

TEST(QueueStorePriority, GivesEqualOnesInTheOrderOfTheirPuts)
{
    Store store(SKUI_QUEUE_PRIORITY);

    for (const intptr_t value : {15, 22, 14, 21, 19, 11, 29, 10}) {
        store.push(value);
    }
    EXPECT_EQ((Values{15, 14, 19, 11, 10, 22, 21, 29}), store.pop_all());
}

/* Against a plain list, with random pushes and pops. */
TEST(QueueStore, AgreesWithAPlainList)
{
    for (unsigned seed = 0; seed < 300; seed++) {
        std::mt19937 random(seed);
        const auto order = static_cast<skui_queue_order>(seed % 3);
        Store store(order);
        std::deque<intptr_t> list;

        for (int i = 0; i < 200; i++) {
            if (random() % 5 < 3 || list.empty()) {
                const auto value = static_cast<intptr_t>(random() % 100);
                auto at = list.end();

                if (order == SKUI_QUEUE_LIFO) {
                    at = list.begin();
                } else if (order == SKUI_QUEUE_PRIORITY) {
                    at = std::find_if(list.begin(), list.end(),
                                      [value](intptr_t other) {
                                          return value / 10 < other / 10;
                                      });
                }
                list.insert(at, value);
                store.push(value);
            } else {
                ASSERT_EQ(list.front(), store.pop()) << "seed " << seed;
                list.pop_front();
            }
            ASSERT_EQ(list.size(), store.count());
        }
        EXPECT_EQ((Values{list.begin(), list.end()}), store.pop_all());
    }
}

} // namespace
