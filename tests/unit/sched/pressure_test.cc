// SPDX-License-Identifier: Apache-2.0
// Whether others want this core.
#include "../../../sched/pressure.h"

#include <gtest/gtest.h>
#include <skua.h>

#include "../../../sched/clock.h"

namespace
{

class Pressure : public testing::Test
{
  protected:
    void SetUp() override
    {
        skui_clock_calibrate();
    }
    // As if the last look had been `ns` ago.
    void Age(int64_t ns)
    {
        pressure_.looked_at_ticks =
            skui_clock_ticks() - skui_clock_ticks_of(ns);
        pressure_.stolen_at_ticks = pressure_.looked_at_ticks;
    }

    skui_pressure pressure_ = {};
};

TEST_F(Pressure, IsNotKnownAtTheFirstLook)
{
    EXPECT_FALSE(skui_pressure_rises(&pressure_));
    EXPECT_NE(pressure_.looked_at_ticks, 0u);
    EXPECT_NE(pressure_.stolen_at_ticks, 0u);
    EXPECT_GT(pressure_.total, 0u);
}

TEST_F(Pressure, IsNotAskedForAgainAtOnce)
{
    (void)skui_pressure_rises(&pressure_);
    const skui_pressure before = pressure_;

    pressure_.switches -= 1000; /* would be many since then */
    Age(0);
    EXPECT_FALSE(skui_pressure_rises(&pressure_));
    EXPECT_EQ(pressure_.switches, before.switches - 1000);
}

TEST_F(Pressure, RisesWithInvoluntarySwitches)
{
    (void)skui_pressure_rises(&pressure_);
    pressure_.switches -= 1000;
    Age(5000000);
    EXPECT_TRUE(skui_pressure_rises(&pressure_));
}

TEST_F(Pressure, DoesNotRiseWithFewOverALongTime)
{
    (void)skui_pressure_rises(&pressure_);
    pressure_.switches -= 10;
    pressure_.total = 0; /* no share of all that is much */
    Age(int64_t{3600} * SKUA_S);
    EXPECT_FALSE(skui_pressure_rises(&pressure_));
}

TEST_F(Pressure, RisesWithTimeThatAHypervisorTakes)
{
    (void)skui_pressure_rises(&pressure_);
    pressure_.stolen -= 1000; /* of 2,000 since then */
    pressure_.total -= 2000;
    Age(2 * SKUA_S);
    EXPECT_TRUE(skui_pressure_rises(&pressure_));
}

} // namespace
