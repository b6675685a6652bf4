// SPDX-License-Identifier: Apache-2.0
#include "sched/timers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <set>
#include <tuple>
#include <vector>

namespace
{

constexpr int64_t second_ns = 1000000000;

struct Wheel {
    explicit Wheel(int64_t now_ns = 0)
    {
        skui_timers_init(&timers, now_ns);
    }

    std::vector<skui_timer *> fire(int64_t now_ns)
    {
        std::vector<skui_timer *> fired;
        size_t count = skui_timers_fire_due(&timers, now_ns, append, &fired);

        EXPECT_EQ(count, fired.size());
        return fired;
    }

    static void append(skui_timer *timer, void *arg)
    {
        static_cast<std::vector<skui_timer *> *>(arg)->push_back(timer);
    }

    skui_timers timers;
};

using List = std::vector<skui_timer *>;

unsigned test_seed()
{
    const char *text = std::getenv("SKUA_TEST_SEED");
    unsigned seed = text != nullptr
                        ? static_cast<unsigned>(std::strtoul(text, nullptr, 0))
                        : std::random_device{}();

    std::cout << "SKUA_TEST_SEED=" << seed << '\n';
    return seed;
}

} // namespace

TEST(TimersNextDeadline, IsForeverWhenNonePends)
{
    Wheel wheel;

    EXPECT_EQ(skui_timers_next_deadline(&wheel.timers), INT64_MAX);
    EXPECT_FALSE(skui_timers_any(&wheel.timers));
    EXPECT_TRUE(wheel.fire(INT64_MAX).empty());
}

TEST(TimersNextDeadline, IsExactForOneFarTimer)
{
    Wheel wheel(12345);
    skui_timer timer{};
    int64_t at_ns = 12345 + 10 * second_ns;

    skui_timers_start(&wheel.timers, &timer, at_ns);
    EXPECT_EQ(skui_timers_next_deadline(&wheel.timers), at_ns);
    EXPECT_TRUE(wheel.fire(at_ns - 1).empty());
    EXPECT_EQ(skui_timers_next_deadline(&wheel.timers), at_ns);
    EXPECT_EQ(wheel.fire(at_ns), List{&timer});
}

TEST(TimersNextDeadline, FindsTheNextOneAfterACancel)
{
    Wheel wheel;
    std::vector<skui_timer> timers(3);

    skui_timers_start(&wheel.timers, &timers[0], 5 * second_ns);
    skui_timers_start(&wheel.timers, &timers[1], 5 * second_ns + 7);
    skui_timers_start(&wheel.timers, &timers[2], 5000 * second_ns);
    EXPECT_TRUE(skui_timers_cancel(&wheel.timers, &timers[0]));
    EXPECT_EQ(skui_timers_next_deadline(&wheel.timers), 5 * second_ns + 7);
    EXPECT_TRUE(skui_timers_cancel(&wheel.timers, &timers[1]));
    EXPECT_EQ(skui_timers_next_deadline(&wheel.timers), 5000 * second_ns);
    EXPECT_TRUE(skui_timers_cancel(&wheel.timers, &timers[2]));
    EXPECT_EQ(skui_timers_next_deadline(&wheel.timers), INT64_MAX);
}

/* With many candidates it may be early, but it must lead to the timer. */
TEST(TimersNextDeadline, IsNeverLateAndAlwaysLeadsOn)
{
    constexpr int64_t base_ns = 60 * second_ns;
    Wheel wheel;
    std::vector<skui_timer> timers(5000);
    int64_t now_ns = 0;
    int wakes = 0;

    for (size_t i = 0; i < timers.size(); i++) {
        skui_timers_start(&wheel.timers, &timers[i],
                          base_ns + static_cast<int64_t>(i) * 1000000);
    }
    for (size_t i = 0; i + 1 < timers.size(); i++) {
        ASSERT_TRUE(skui_timers_cancel(&wheel.timers, &timers[i]));
        ASSERT_LE(skui_timers_next_deadline(&wheel.timers),
                  timers[i + 1].deadline_ns);
    }
    while (skui_timers_any(&wheel.timers)) {
        int64_t next_ns = skui_timers_next_deadline(&wheel.timers);

        ASSERT_GE(next_ns, now_ns);
        now_ns = next_ns;
        (void)wheel.fire(now_ns);
        ASSERT_LT(++wakes, 20);
    }
    EXPECT_EQ(now_ns, timers.back().deadline_ns);
}

TEST(TimersFireDue, IsNeverEarly)
{
    Wheel wheel;
    skui_timer timer{};

    for (int64_t at_ns : {1L, 1023L, 1024L, 65536L, 65535L, 1L << 40}) {
        skui_timers_start(&wheel.timers, &timer, at_ns + 100);
        EXPECT_TRUE(wheel.fire(at_ns + 99).empty());
        EXPECT_EQ(wheel.fire(at_ns + 100), List{&timer});
    }
}

TEST(TimersFireDue, KeepsStartOrderForEqualDeadlines)
{
    Wheel wheel;
    std::vector<skui_timer> timers(100);
    List expected;

    for (auto &timer : timers) {
        skui_timers_start(&wheel.timers, &timer, 3 * second_ns);
        expected.push_back(&timer);
    }
    EXPECT_EQ(wheel.fire(3 * second_ns), expected);
}

TEST(TimersFireDue, SortsWithinATick)
{
    Wheel wheel;
    std::vector<skui_timer> timers(3);

    skui_timers_start(&wheel.timers, &timers[0], 1030);
    skui_timers_start(&wheel.timers, &timers[1], 1025);
    skui_timers_start(&wheel.timers, &timers[2], 1500);
    EXPECT_EQ(wheel.fire(1030), (List{&timers[1], &timers[0]}));
    EXPECT_EQ(skui_timers_next_deadline(&wheel.timers), 1500);
    EXPECT_EQ(wheel.fire(1500), List{&timers[2]});
}

TEST(TimersFireDue, OrdersPastDeadlinesToo)
{
    Wheel wheel(5 * second_ns);
    std::vector<skui_timer> timers(4);

    skui_timers_start(&wheel.timers, &timers[0], -1);
    skui_timers_start(&wheel.timers, &timers[1], -2);
    skui_timers_start(&wheel.timers, &timers[2], INT64_MIN);
    skui_timers_start(&wheel.timers, &timers[3], 4 * second_ns);
    EXPECT_EQ(skui_timers_next_deadline(&wheel.timers), INT64_MIN);
    EXPECT_EQ(wheel.fire(5 * second_ns),
              (List{&timers[2], &timers[1], &timers[0], &timers[3]}));
}

TEST(TimersFireDue, CatchesUpAfterHours)
{
    Wheel wheel;
    std::vector<skui_timer> timers(64);
    List expected;

    for (size_t i = 0; i < timers.size(); i++) {
        skui_timers_start(&wheel.timers, &timers[i],
                          int64_t{1} << std::min<size_t>(i, 62));
    }
    for (size_t i = 0; (int64_t{1} << i) <= 36000 * second_ns; i++) {
        expected.push_back(&timers[i]);
    }
    EXPECT_EQ(wheel.fire(36000 * second_ns), expected);
    EXPECT_EQ(wheel.fire(INT64_MAX).size(), timers.size() - expected.size());
}

TEST(TimersFireDue, ToleratesTimeGoingBack)
{
    Wheel wheel;
    skui_timer timer{};

    EXPECT_TRUE(wheel.fire(10 * second_ns).empty());
    skui_timers_start(&wheel.timers, &timer, 5 * second_ns);
    EXPECT_TRUE(wheel.fire(4 * second_ns).empty());
    EXPECT_EQ(wheel.fire(5 * second_ns), List{&timer});
}

TEST(TimersStart, TakesTheEndOfTime)
{
    Wheel wheel;
    skui_timer timer{};

    skui_timers_start(&wheel.timers, &timer, INT64_MAX);
    EXPECT_EQ(skui_timers_next_deadline(&wheel.timers), INT64_MAX);
    EXPECT_TRUE(skui_timers_any(&wheel.timers));
    EXPECT_TRUE(wheel.fire(INT64_MAX - 1).empty());
    EXPECT_TRUE(skui_timers_cancel(&wheel.timers, &timer));
}

TEST(TimersCancel, TellsWhetherItWasPending)
{
    Wheel wheel;
    skui_timer timer{};

    EXPECT_FALSE(skui_timers_cancel(&wheel.timers, &timer));
    skui_timers_start(&wheel.timers, &timer, 100);
    EXPECT_TRUE(skui_timers_cancel(&wheel.timers, &timer));
    EXPECT_FALSE(skui_timers_cancel(&wheel.timers, &timer));
    skui_timers_start(&wheel.timers, &timer, 100);
    EXPECT_EQ(wheel.fire(100).size(), 1u);
    EXPECT_FALSE(skui_timers_cancel(&wheel.timers, &timer));
    EXPECT_FALSE(skui_timers_any(&wheel.timers));
}

/* Random starts, cancels and steps of time against a sorted set. */
TEST(TimersModel, FollowsASortedReference)
{
    using Key = std::tuple<int64_t, uint64_t, skui_timer *>;
    std::mt19937_64 random(test_seed());
    int64_t now_ns = static_cast<int64_t>(random() % (1ull << 50));
    Wheel wheel(now_ns);
    std::vector<skui_timer> timers(500);
    std::vector<Key> keys(timers.size());
    std::set<Key> reference;
    uint64_t sequence = 0;

    for (int step = 0; step < 40000; step++) {
        size_t i = random() % timers.size();
        bool pending = reference.contains(keys[i]);

        if (random() % 8 == 0) {
            now_ns += static_cast<int64_t>(random() % (1ull << random() % 45));
            List expected;
            while (!reference.empty() &&
                   std::get<0>(*reference.begin()) <= now_ns) {
                expected.push_back(std::get<2>(*reference.begin()));
                reference.erase(reference.begin());
            }
            ASSERT_EQ(wheel.fire(now_ns), expected);
        } else if (pending) {
            ASSERT_TRUE(skui_timers_cancel(&wheel.timers, &timers[i]));
            reference.erase(keys[i]);
        } else {
            int64_t delay_ns =
                static_cast<int64_t>(random() % (1ull << random() % 48)) - 2000;
            ASSERT_FALSE(skui_timers_cancel(&wheel.timers, &timers[i]));
            keys[i] = {now_ns + delay_ns, sequence++, &timers[i]};
            skui_timers_start(&wheel.timers, &timers[i], now_ns + delay_ns);
            reference.insert(keys[i]);
        }
        int64_t earliest_ns =
            reference.empty() ? INT64_MAX : std::get<0>(*reference.begin());
        int64_t next_ns = skui_timers_next_deadline(&wheel.timers);

        ASSERT_LE(next_ns, earliest_ns);
        if (reference.size() <= 200) {
            ASSERT_EQ(next_ns, earliest_ns);
        }
    }
}
