// SPDX-License-Identifier: Apache-2.0
/* The shared queues under real threads: each item exactly once. */
#include "sched/inbox.h"
#include "sched/inject.h"
#include "sched/ready.h"
#include "sched/timers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace
{

constexpr uint64_t any_ticket = UINT64_MAX;

struct Item {
    skui_runnable runnable{};
    int seen = 0; /* plain: the race detector checks the hand-over */
    unsigned producer = 0;
    unsigned number = 0;
};

Item *item_of(skui_runnable *runnable)
{
    return SKUI_CONTAINER_OF(runnable, Item, runnable);
}

unsigned test_seed()
{
    const char *text = std::getenv("SKUA_TEST_SEED");
    unsigned seed = text != nullptr
                        ? static_cast<unsigned>(std::strtoul(text, nullptr, 0))
                        : std::random_device{}();

    std::cout << "SKUA_TEST_SEED=" << seed << '\n';
    return seed;
}

void join_all(std::vector<std::thread> &threads)
{
    for (auto &thread : threads) {
        thread.join();
    }
}

size_t run_ready(skui_ready *queue, size_t most)
{
    size_t count = 0;

    while (count < most) {
        skui_runnable *runnable = skui_ready_pop(queue, any_ticket);

        if (runnable == nullptr) {
            break;
        }
        item_of(runnable)->seen++;
        count++;
    }
    return count;
}

/* Push all that the ring holds; the rest goes to `inject` like a loop's. */
void push_or_spill(skui_ready *queue, skui_inject *inject,
                   skui_runnable *runnable)
{
    while (!skui_ready_push_stealable(queue, runnable)) {
        skui_runnable *spilled[SKUI_READY_SPILL_CAPACITY];
        size_t count = skui_ready_spill(queue, spilled);

        if (count > 0) {
            skui_inject_push(inject, spilled, count);
        }
    }
}

/* All at once where there is room, as a loop does. */
size_t take_injected(skui_ready *queue, skui_inject *inject)
{
    skui_runnable *taken[SKUI_INJECT_BLOCK_CAPACITY];
    size_t count = skui_inject_pop(inject, taken);

    if (count > 0 && skui_ready_room(queue) >= count) {
        skui_ready_push_all(queue, taken, count);
        return count;
    }
    for (size_t i = 0; i < count; i++) {
        push_or_spill(queue, inject, taken[i]);
    }
    return count;
}

/* Two owners that steal from one another, beside two pure thieves. */
struct Storm {
    static constexpr size_t loops = 4;

    Storm()
    {
        for (auto &queue : queues) {
            skui_ready_init(&queue, SKUI_READY_EXPEDITED);
        }
    }

    void run_thief(size_t self, size_t total, std::mt19937 random)
    {
        while (done.load() < total) {
            size_t ran = run_ready(&queues[self], 3 + random() % 50);

            if (ran == 0 && take_injected(&queues[self], &inject) == 0) {
                size_t victim = random() % loops;

                if (victim != self && skui_ready_is_empty(&queues[self])) {
                    (void)skui_ready_steal(&queues[victim], &queues[self]);
                }
                std::this_thread::yield();
            }
            done += ran;
        }
    }

    void run_owner(size_t self, std::vector<Item> &items, size_t total,
                   std::mt19937 random)
    {
        for (size_t i = 0; i < items.size();) {
            size_t burst = std::min<size_t>(items.size() - i, random() % 400);

            for (; burst > 0; burst--, i++) {
                if (random() % 8 == 0) {
                    skui_ready_push_pinned(&queues[self], &items[i].runnable);
                } else {
                    push_or_spill(&queues[self], &inject, &items[i].runnable);
                }
            }
            done += run_ready(&queues[self], random() % 200);
        }
        run_thief(self, total, random);
    }

    skui_ready queues[loops];
    skui_inject inject{};
    std::atomic<size_t> done{0};
};

} // namespace

TEST(QueuesStress, StealStormRunsEachItemOnce)
{
    constexpr size_t each = 60000;
    auto storm = std::make_unique<Storm>();
    unsigned seed = test_seed();
    std::vector<std::vector<Item>> items(2);
    std::vector<std::thread> threads;

    for (auto &list : items) {
        list = std::vector<Item>(each);
    }
    for (unsigned i = 0; i < Storm::loops; i++) {
        threads.emplace_back([&, i] {
            std::mt19937 random(seed + i);

            if (i < items.size()) {
                storm->run_owner(i, items[i], 2 * each, random);
            } else {
                storm->run_thief(i, 2 * each, random);
            }
        });
    }
    join_all(threads);
    EXPECT_EQ(storm->done.load(), 2 * each);
    for (auto &list : items) {
        for (auto &item : list) {
            ASSERT_EQ(item.seen, 1);
        }
    }
}

TEST(QueuesStress, InboxKeepsEachProducersOrder)
{
    constexpr unsigned producers = 4;
    constexpr unsigned each = 50000;
    skui_inbox inbox;
    std::vector<std::vector<Item>> items(producers);
    std::vector<unsigned> expected(producers);
    std::vector<std::thread> threads;
    size_t popped = 0;

    skui_inbox_init(&inbox);
    for (unsigned p = 0; p < producers; p++) {
        items[p] = std::vector<Item>(each);
        threads.emplace_back([&, p] {
            for (unsigned i = 0; i < each; i++) {
                items[p][i].producer = p;
                items[p][i].number = i;
                skui_inbox_push(&inbox, &items[p][i].runnable);
            }
        });
    }
    while (popped < size_t{producers} * each) {
        skui_runnable *runnable = skui_inbox_pop(&inbox);

        if (runnable == nullptr) {
            std::this_thread::yield();
            continue;
        }
        Item *item = item_of(runnable);
        EXPECT_EQ(item->number, expected[item->producer]);
        expected[item->producer] = item->number + 1;
        popped++;
    }
    join_all(threads);
    EXPECT_TRUE(skui_inbox_is_empty(&inbox));
    EXPECT_EQ(skui_inbox_pop(&inbox), nullptr);
}

/* The park protocol in small: whoever announces sleep misses no push. */
TEST(QueuesStress, InboxLosesNoWakeup)
{
    constexpr unsigned rounds = 20000;
    skui_inbox inbox;
    _Atomic(uint32_t) asleep = 0;
    std::vector<Item> items(rounds);

    skui_inbox_init(&inbox);
    std::thread producer([&] {
        for (auto &item : items) {
            skui_inbox_push(&inbox, &item.runnable);
            /* PK1 (seq_cst): the producer's look. */
            if (skui_load_seq_cst(&asleep) != 0) {
                /* PK1 (seq_cst): the wake. */
                skui_store_seq_cst(&asleep, 0u);
            }
        }
    });
    for (unsigned popped = 0; popped < rounds;) {
        skui_runnable *runnable = skui_inbox_pop(&inbox);

        if (runnable != nullptr) {
            item_of(runnable)->seen++;
            popped++;
            continue;
        }
        /* PK1 (seq_cst): announce, then look again. */
        skui_store_seq_cst(&asleep, 1u);
        if (!skui_inbox_is_empty(&inbox)) {
            skui_store_relaxed(&asleep, 0u); /* relaxed: own mark */
            continue;
        }
        while (skui_load_relaxed(&asleep) != 0) { /* relaxed: only a flag */
            std::this_thread::yield();
        }
    }
    producer.join();
    for (auto &item : items) {
        ASSERT_EQ(item.seen, 1);
    }
}

TEST(QueuesStress, InjectGivesEachItemOnce)
{
    constexpr size_t each = 30000;
    skui_inject inject{};
    std::vector<Item> items(2 * each);
    std::atomic<size_t> done{0};
    std::vector<std::thread> threads;

    for (size_t p = 0; p < 2; p++) {
        threads.emplace_back([&, p] {
            for (size_t i = p * each; i < (p + 1) * each; i += 3) {
                skui_runnable *three[] = {&items[i].runnable,
                                          &items[i + 1].runnable,
                                          &items[i + 2].runnable};

                skui_inject_push(&inject, three, i % 2 == 0 ? 3 : 2);
                if (i % 2 != 0) {
                    skui_inject_push(&inject, &three[2], 1);
                }
            }
        });
        threads.emplace_back([&] {
            while (done.load() < items.size()) {
                skui_runnable *taken[SKUI_INJECT_BLOCK_CAPACITY];
                size_t count = skui_inject_pop(&inject, taken);

                for (size_t i = 0; i < count; i++) {
                    item_of(taken[i])->seen++;
                }
                done += count;
                if (count == 0) {
                    std::this_thread::yield();
                }
            }
        });
    }
    join_all(threads);
    for (auto &item : items) {
        ASSERT_EQ(item.seen, 1);
    }
}

namespace
{

struct Alarm {
    skui_timer timer{};
    int fired = 0;     /* plain: guarded by the wheel's lock */
    int cancelled = 0; /* plain: only who cancelled with success writes it */
};

void count_fired(skui_timer *timer, void *)
{
    SKUI_CONTAINER_OF(timer, Alarm, timer)->fired++;
}

} // namespace

TEST(QueuesStress, TimersEndOnceByFiringOrCancel)
{
    constexpr size_t count = 20000;
    constexpr int cancellers = 3;
    auto wheel = std::make_unique<skui_timers>();
    std::vector<Alarm> alarms(count);
    std::vector<std::thread> threads;
    std::barrier start(cancellers + 1);
    unsigned seed = test_seed();
    std::mt19937 random(seed);

    skui_timers_init(wheel.get(), 0);
    for (auto &alarm : alarms) {
        skui_timers_start(wheel.get(), &alarm.timer, random() % 10000000);
    }
    for (unsigned c = 0; c < cancellers; c++) {
        threads.emplace_back([&, c] {
            std::mt19937 own(seed + 1 + c);

            start.arrive_and_wait();
            for (size_t i = 0; i < count; i++) {
                Alarm &alarm = alarms[own() % count];

                if (skui_timers_cancel(wheel.get(), &alarm.timer)) {
                    alarm.cancelled++;
                }
            }
        });
    }
    start.arrive_and_wait();
    for (int64_t now_ns = 0; skui_timers_any(wheel.get()); now_ns += 2000) {
        (void)skui_timers_fire_due(wheel.get(), now_ns, count_fired, nullptr);
        (void)skui_timers_next_deadline(wheel.get());
    }
    join_all(threads);
    for (auto &alarm : alarms) {
        ASSERT_EQ(alarm.fired + alarm.cancelled, 1);
    }
}
