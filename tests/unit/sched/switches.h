// SPDX-License-Identifier: Apache-2.0
// Skip a test of a mechanism that the environment's SKUA_WITHOUT turns off.
#ifndef SKUI_TESTS_SWITCHES_H
#define SKUI_TESTS_SWITCHES_H

#include "../../../sched/runner.h"

#include <gtest/gtest.h>
#include <skua.h>

// Whether a new runner has all of `mechanisms`.
inline bool RunnersHave(unsigned mechanisms)
{
    skua_runner_options options = {};
    skua_runner *runner = nullptr;
    unsigned without;

    options.loops = 2;
    EXPECT_EQ(skua_runner_new(&options, &runner), 0);
    without = runner->without;
    EXPECT_EQ(skua_runner_close(runner), 0);
    return (without & mechanisms) == 0;
}

#define SKIP_WITHOUT(mechanisms)                                               \
    do {                                                                       \
        if (!RunnersHave(mechanisms)) {                                        \
            GTEST_SKIP() << "turned off by SKUA_WITHOUT";                      \
        }                                                                      \
    } while (false)

#endif
