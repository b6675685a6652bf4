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

/* All timers of a slot with many are cancelled: nothing is opened there. */
TEST(TimersNextDeadline, GoesOnWhenABoundHasPassed)
{
    Wheel wheel;
    std::vector<skui_timer> timers(1000);
    skui_timer last{};

    skui_timers_start(&wheel.timers, &last, 50 * second_ns);
    for (auto &timer : timers) {
        skui_timers_start(&wheel.timers, &timer, 20 * second_ns);
    }
    ASSERT_TRUE(skui_timers_cancel(&wheel.timers, &timers[0]));
    const int64_t bound_ns = skui_timers_next_deadline(&wheel.timers);

    EXPECT_LT(bound_ns, 20 * second_ns);
    for (size_t i = 1; i < timers.size(); i++) {
        ASSERT_TRUE(skui_timers_cancel(&wheel.timers, &timers[i]));
    }
    EXPECT_TRUE(wheel.fire(bound_ns).empty());
    EXPECT_EQ(skui_timers_next_deadline(&wheel.timers), 50 * second_ns);
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

/* Each moves down through other levels, at another time. */
TEST(TimersFireDue, KeepsStartOrderHoweverLongAgoTheyWereStarted)
{
    for (int bits = 0; bits < 62; bits++) {
        const int64_t at_ns = (int64_t{1} << bits) + second_ns;
        Wheel wheel;
        std::vector<skui_timer> timers(64);
        List expected;

        for (size_t i = 0; i < timers.size(); i++) {
            const int64_t left_ns = at_ns >> i;

            ASSERT_TRUE(wheel.fire(at_ns - left_ns - 1).empty());
            (void)skui_timers_next_deadline(&wheel.timers);
            skui_timers_start(&wheel.timers, &timers[i], at_ns);
            expected.push_back(&timers[i]);
        }
        ASSERT_EQ(wheel.fire(at_ns), expected) << bits;
    }
}

/* Around the ends of each level's reach, from times on and off its slots. */
TEST(TimersFireDue, IsExactAtTheEndsOfEachLevel)
{
    for (int bits = 10; bits < 62; bits++) {
        for (const int64_t from_ns :
             {int64_t{0}, int64_t{1} << bits, (int64_t{1} << bits) - 1,
              int64_t{0x123456789abcde}}) {
            for (int64_t off_ns = -1025; off_ns <= 1025; off_ns += 41) {
                Wheel wheel(from_ns);
                skui_timer timer{};
                const int64_t at_ns = from_ns + (int64_t{1} << bits) + off_ns;

                skui_timers_start(&wheel.timers, &timer, at_ns);
                ASSERT_EQ(skui_timers_next_deadline(&wheel.timers), at_ns);
                ASSERT_TRUE(wheel.fire(at_ns - 1).empty());
                ASSERT_EQ(skui_timers_next_deadline(&wheel.timers), at_ns);
                ASSERT_EQ(wheel.fire(at_ns), List{&timer});
            }
        }
    }
}

namespace
{

/* A sorted set beside the wheel. */
class Model
{
  public:
    explicit Model(unsigned seed)
        : random_(seed), now_ns_(static_cast<int64_t>(random_() >> 14)),
          wheel_(now_ns_), timers_(500), keys_(timers_.size())
    {
    }

    void start_or_cancel()
    {
        const size_t i = random_() % timers_.size();

        if (reference_.contains(keys_[i])) {
            ASSERT_TRUE(skui_timers_cancel(&wheel_.timers, &timers_[i]));
            reference_.erase(keys_[i]);
            return;
        }
        const int64_t at_ns = any_deadline();

        ASSERT_FALSE(skui_timers_cancel(&wheel_.timers, &timers_[i]));
        keys_[i] = {at_ns, sequence_++, &timers_[i]};
        skui_timers_start(&wheel_.timers, &timers_[i], at_ns);
        reference_.insert(keys_[i]);
    }

    void advance(int bits)
    {
        const int64_t step_ns = up_to(bits);

        switch (random_() % 4) {
        case 0: /* to a timer, or just before it */
            if (!reference_.empty()) {
                now_ns_ = std::max(now_ns_, earliest() - up_to(1));
            }
            break;
        case 1: /* to the end of a slot of some level */
            now_ns_ |= (int64_t{1} << random_() % bits) - 1;
            break;
        default:
            now_ns_ += std::min(step_ns, INT64_MAX - now_ns_);
        }
        List expected;
        while (!reference_.empty() && earliest() <= now_ns_) {
            expected.push_back(std::get<2>(*reference_.begin()));
            reference_.erase(reference_.begin());
        }
        ASSERT_EQ(wheel_.fire(now_ns_), expected);
    }

    void check_next_deadline()
    {
        const int64_t next_ns = skui_timers_next_deadline(&wheel_.timers);

        ASSERT_LE(next_ns, earliest());
        if (reference_.size() <= 200) {
            ASSERT_EQ(next_ns, earliest());
        }
    }

    bool one_in(unsigned n)
    {
        return random_() % n == 0;
    }

  private:
    using Key = std::tuple<int64_t, uint64_t, skui_timer *>;

    /* 0 to 2^b - 1, with b from 0 to `bits`. */
    int64_t up_to(int bits)
    {
        return static_cast<int64_t>(random_() %
                                    (1ull << random_() % (bits + 1)));
    }

    /* From the past to years ahead; often one that another timer has. */
    int64_t any_deadline()
    {
        if (!reference_.empty() && one_in(4)) {
            return std::get<0>(keys_[random_() % keys_.size()]);
        }
        return now_ns_ + std::min(up_to(60), INT64_MAX - now_ns_) -
               (one_in(8) ? up_to(60) : up_to(11));
    }

    int64_t earliest() const
    {
        return reference_.empty() ? INT64_MAX
                                  : std::get<0>(*reference_.begin());
    }

    std::mt19937_64 random_;
    int64_t now_ns_;
    Wheel wheel_;
    std::vector<skui_timer> timers_;
    std::vector<Key> keys_;
    std::set<Key> reference_;
    uint64_t sequence_ = 0;
};

} // namespace

/* Random starts, cancels and steps of time against a sorted set. */
TEST(TimersModel, FollowsASortedReference)
{
    const unsigned seed = test_seed();

    for (const int step_bits : {12, 24, 36, 48, 54}) {
        Model model(seed + static_cast<unsigned>(step_bits));

        for (int step = 0; step < 20000; step++) {
            if (model.one_in(8)) {
                ASSERT_NO_FATAL_FAILURE(model.advance(step_bits));
            } else {
                ASSERT_NO_FATAL_FAILURE(model.start_or_cancel());
            }
            if (!model.one_in(4)) {
                ASSERT_NO_FATAL_FAILURE(model.check_next_deadline());
            }
        }
    }
}
