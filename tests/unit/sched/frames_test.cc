/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames_test.cc - walks over made-up stacks.
 */
#include "frames.h"

#include <gtest/gtest.h>

namespace
{

class FramesWalk : public testing::Test
{
  protected:
    /** The record at word `index` of the stack. */
    [[nodiscard]] uintptr_t at(size_t index) const
    {
        return reinterpret_cast<uintptr_t>(&stack_[index]);
    }

    void put(size_t index, uintptr_t frame, uintptr_t address)
    {
        stack_[index] = frame;
        stack_[index + 1] = address;
    }

    std::vector<uintptr_t> walk(uintptr_t frame, size_t capacity = 16)
    {
        void *frames[16];
        const size_t count =
            skui_frames_walk({frame, 100}, {at(2), at(14)}, frames, capacity);
        std::vector<uintptr_t> found;

        for (size_t i = 0; i < count; i++) {
            found.push_back(reinterpret_cast<uintptr_t>(frames[i]));
        }
        return found;
    }

    using Addresses = std::vector<uintptr_t>;

    uintptr_t stack_[16] = {};
};

TEST_F(FramesWalk, FollowsTheChainToItsEnd)
{
    put(2, at(6), 101);
    put(6, at(12), 102);
    put(12, 0, 103);
    EXPECT_EQ((Addresses{100, 101, 102, 103}), walk(at(2)));
    EXPECT_EQ((Addresses{100, 101}), walk(at(2), 2));
    EXPECT_EQ(Addresses{}, walk(at(2), 0));
}

TEST_F(FramesWalk, EndsAtAnAddressOfZero)
{
    put(2, at(6), 0);
    put(6, at(12), 102);
    EXPECT_EQ(Addresses{100}, walk(at(2)));
}

TEST_F(FramesWalk, StaysInsideTheSpan)
{
    put(0, at(4), 101);
    put(13, at(4), 101);
    put(14, at(4), 101);
    EXPECT_EQ(Addresses{100}, walk(at(0)));
    EXPECT_EQ(Addresses{100}, walk(at(13))) << "half of it lies above";
    EXPECT_EQ(Addresses{100}, walk(at(14)));
    EXPECT_EQ(Addresses{100}, walk(UINTPTR_MAX - 7));
    EXPECT_EQ(Addresses{100}, walk(0));
}

TEST_F(FramesWalk, TakesNoFramePointerThatIsNotAligned)
{
    put(4, 0, 101);
    EXPECT_EQ(Addresses{100}, walk(at(4) + 1));
}

TEST_F(FramesWalk, NeverGoesDown)
{
    put(4, at(8), 101);
    put(8, at(4), 102);
    EXPECT_EQ((Addresses{100, 101, 102}), walk(at(4))) << "a ring";
    put(8, at(8), 102);
    EXPECT_EQ((Addresses{100, 101, 102}), walk(at(4)));
}

} // namespace
