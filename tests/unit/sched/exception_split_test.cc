/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exception_split_test.cc - finding in groups, taking them apart, and causes
 * that are added (inventory G-09).
 */
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "sched/exception.h"

namespace
{

/** A group of what is given, which it takes. */
skua_exception *group_of(std::vector<skua_exception *> children)
{
    return skui_exception_group(SKUA_EGROUP, "a group", children.data(),
                                children.size());
}

/** What an exception holds, in brackets where it is a group. */
std::string shape(const skua_exception *exception)
{
    std::string text;

    if (exception == nullptr) {
        return "none";
    }
    if (skua_exception_count(exception) == 0) {
        return std::to_string(skua_exception_status(exception));
    }
    for (size_t i = 0; i < skua_exception_count(exception); i++) {
        text += i > 0 ? ' ' : '[';
        text += shape(skua_exception_child(exception, i));
    }
    text += ']';
    return text;
}

class ExceptionSplit : public testing::Test
{
  protected:
    ExceptionSplit()
        : nested_(group_of({skui_exception_bare(-1), skui_exception_bare(-2),
                            group_of({skui_exception_bare(-2),
                                      group_of({skui_exception_bare(-3)})})}))
    {
    }

    ~ExceptionSplit() override
    {
        skua_exception_unref(nested_);
        skua_exception_unref(matches_);
        skua_exception_unref(rest_);
    }

    ExceptionSplit(const ExceptionSplit &) = delete;
    ExceptionSplit &operator=(const ExceptionSplit &) = delete;

    int split(const skua_exception *exception, int status)
    {
        skua_exception_unref(matches_);
        skua_exception_unref(rest_);
        matches_ = nullptr;
        rest_ = nullptr;
        return skua_exception_split(exception, status, &matches_, &rest_);
    }

    skua_exception *nested_;
    skua_exception *matches_ = nullptr;
    skua_exception *rest_ = nullptr;
};

TEST_F(ExceptionSplit, KeepsOrderAndNesting)
{
    EXPECT_EQ("[-1 -2 [-2 [-3]]]", shape(nested_));
    EXPECT_EQ(0, split(nested_, -2));
    EXPECT_EQ("[-2 [-2]]", shape(matches_));
    EXPECT_EQ("[-1 [[-3]]]", shape(rest_));
    EXPECT_STREQ("a group", skua_exception_message(matches_));
    EXPECT_EQ(SKUA_EGROUP, skua_exception_status(rest_));
    EXPECT_EQ(skua_exception_child(nested_, 0), skua_exception_child(rest_, 0));
}

TEST_F(ExceptionSplit, GivesNothingForAnEmptySide)
{
    EXPECT_EQ(0, split(nested_, -9));
    EXPECT_EQ(nullptr, matches_);
    EXPECT_EQ("[-1 -2 [-2 [-3]]]", shape(rest_));
    EXPECT_EQ(0, split(nested_, SKUA_EGROUP));
    EXPECT_EQ(nested_, matches_);
    EXPECT_EQ(nullptr, rest_);
}

TEST_F(ExceptionSplit, LeavesWhatIsNoGroupWhole)
{
    skua_exception *single = skua_exception_child(nested_, 0);

    EXPECT_EQ(0, split(single, -1));
    EXPECT_EQ(single, matches_);
    EXPECT_EQ(nullptr, rest_);
    EXPECT_EQ(0, split(single, -2));
    EXPECT_EQ(nullptr, matches_);
    EXPECT_EQ(single, rest_);
}

TEST_F(ExceptionSplit, KeepsTheCause)
{
    skui_frame_set_exception(skui_frame_current(), skua_exception_ref(nested_));
    skui_frame_add_cause(skui_frame_current(), SKUA_EGROUP, -ETIMEDOUT);
    EXPECT_EQ(0, split(skua_current_exception(), -1));
    EXPECT_EQ(-ETIMEDOUT,
              skua_exception_status(skua_exception_cause(matches_)));
    EXPECT_EQ(-ETIMEDOUT, skua_exception_status(skua_exception_cause(rest_)));
    skui_frame_set_exception(skui_frame_current(), nullptr);
}

TEST_F(ExceptionSplit, RefusesMisuse)
{
    EXPECT_EQ(-EINVAL, split(nullptr, -1));
    EXPECT_EQ(-EINVAL, split(nested_, 0));
    EXPECT_EQ(-EINVAL, skua_exception_split(nested_, -1, nullptr, &rest_));
    EXPECT_EQ(-EINVAL, skua_exception_split(nested_, -1, &matches_, nullptr));
}

TEST_F(ExceptionSplit, FindGivesTheFirstInOrder)
{
    EXPECT_EQ(nullptr, skua_exception_find(nullptr, -1));
    EXPECT_EQ(nullptr, skua_exception_find(nested_, -9));
    EXPECT_EQ(nested_, skua_exception_find(nested_, SKUA_EGROUP));
    EXPECT_EQ(skua_exception_child(nested_, 1),
              skua_exception_find(nested_, -2));
    EXPECT_EQ(-3, skua_exception_status(skua_exception_find(nested_, -3)));
}

TEST(ExceptionAddCause, LeavesTheFormerExceptionAsItWas)
{
    struct skui_frame *frame = skui_frame_current();
    skua_exception *former = skui_exception_bare(-EIO);

    skui_frame_set_exception(frame, skua_exception_ref(former));
    skui_frame_add_cause(frame, -EIO, -ETIMEDOUT);
    EXPECT_EQ(nullptr, skua_exception_cause(former));
    EXPECT_NE(former, skua_current_exception());
    EXPECT_STREQ(skua_exception_message(former),
                 skua_exception_message(skua_current_exception()));
    skua_exception_unref(former);
    skui_frame_set_exception(frame, nullptr);
}

TEST(ExceptionAddCause, MakesOneOfABareStatus)
{
    struct skui_frame *frame = skui_frame_current();

    skui_frame_add_cause(frame, -EINVAL, -ETIMEDOUT);
    EXPECT_EQ(-EINVAL, skua_exception_status(skua_current_exception()));
    EXPECT_EQ(-ETIMEDOUT, skua_exception_status(
                              skua_exception_cause(skua_current_exception())));
    skui_frame_set_exception(frame, nullptr);
}

} // namespace
