/* SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <cerrno>
#include <vector>

#include "wait/distinct.h"

namespace
{

TEST(DistinctAdd, KnowsWhatCameBefore)
{
    for (const size_t count :
         {size_t{1}, size_t{32}, size_t{33}, size_t{5000}}) {
        std::vector<char> objects(count * 64);
        skui_distinct distinct;

        ASSERT_EQ(0, skui_distinct_init(&distinct, count));
        for (int round = 0; round < 2; round++) {
            for (size_t i = 0; i < count; i++) {
                EXPECT_EQ(round == 0,
                          skui_distinct_add(&distinct, &objects[i * 64]));
            }
        }
        skui_distinct_fini(&distinct);
    }
}

TEST(DistinctInit, RefusesWhatFitsNoMemory)
{
    skui_distinct distinct;

    EXPECT_EQ(-ENOMEM, skui_distinct_init(&distinct, SIZE_MAX));
}

} // namespace
