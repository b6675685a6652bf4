/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exception_split_test.cc - finding in groups, taking them apart, and causes
 * that are added (inventory G-09).
 */
#include <gtest/gtest.h>

#include <cerrno>
#include <pthread.h>
#include <string>
#include <utility>
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

constexpr int kDeep = 100000;

/** `leaf` in kDeep groups, each with `before` in front and `after` behind it,
 * as far as they are not 0. */
skua_exception *nest(skua_exception *leaf, int before, int after)
{
    for (int i = 0; i < kDeep; i++) {
        std::vector<skua_exception *> children = {leaf};

        if (before != 0) {
            children.insert(children.begin(), skui_exception_bare(before));
        }
        if (after != 0) {
            children.push_back(skui_exception_bare(after));
        }
        leaf = group_of(children);
    }
    return leaf;
}

/** How many groups there are around a plain exception, which is the
 * `index`-th child of each, and that one's status. */
std::pair<int, int> depth_of(const skua_exception *exception, size_t index)
{
    int depth = 0;

    while (skua_exception_count(exception) > 0) {
        exception = skua_exception_child(exception, index);
        depth++;
    }
    return {depth, skua_exception_status(exception)};
}

/** Run `body` in a thread with a small stack. */
void on_small_stack(void (*body)())
{
    pthread_attr_t attributes;
    pthread_t thread;

    ASSERT_EQ(0, pthread_attr_init(&attributes));
    ASSERT_EQ(0, pthread_attr_setstacksize(&attributes, 256 * size_t{1024}));
    ASSERT_EQ(0, pthread_create(
                     &thread, &attributes,
                     [](void *arg) -> void * {
                         (*static_cast<void (**)()>(arg))();
                         return nullptr;
                     },
                     &body));
    ASSERT_EQ(0, pthread_join(thread, nullptr));
    ASSERT_EQ(0, pthread_attr_destroy(&attributes));
}

TEST(ExceptionDeep, FindGoesAnyNumberOfLevelsDown)
{
    on_small_stack([] {
        skua_exception *chain = nest(skui_exception_bare(-1), 0, 0);
        skua_exception *siblings = nest(skui_exception_bare(-1), -2, -3);

        EXPECT_EQ(-1, skua_exception_status(skua_exception_find(chain, -1)));
        EXPECT_EQ(nullptr, skua_exception_find(chain, -2));
        EXPECT_EQ(-1, skua_exception_status(skua_exception_find(siblings, -1)));
        EXPECT_EQ(skua_exception_child(siblings, 0),
                  skua_exception_find(siblings, -2));
        EXPECT_EQ(-3, skua_exception_status(skua_exception_find(siblings, -3)));
        EXPECT_NE(skua_exception_child(siblings, 2),
                  skua_exception_find(siblings, -3))
            << "the innermost comes first";
        EXPECT_EQ(nullptr, skua_exception_find(siblings, -4));
        skua_exception_unref(chain);
        skua_exception_unref(siblings);
    });
}

TEST(ExceptionDeep, SplitKeepsAnyNumberOfLevels)
{
    on_small_stack([] {
        skua_exception *nested = nest(skui_exception_bare(-1), -2, 0);
        skua_exception *matches = nullptr;
        skua_exception *rest = nullptr;

        EXPECT_EQ(0, skua_exception_split(nested, -1, &matches, &rest));
        EXPECT_EQ(std::make_pair(kDeep, -1), depth_of(matches, 0));
        EXPECT_EQ(1u, skua_exception_count(matches));
        EXPECT_EQ(2u, skua_exception_count(rest));
        EXPECT_EQ(std::make_pair(1, -2), depth_of(rest, 0));
        skua_exception_unref(matches);
        skua_exception_unref(rest);
        matches = nullptr;
        EXPECT_EQ(0, skua_exception_split(nested, -9, &matches, &rest));
        EXPECT_EQ(nullptr, matches);
        EXPECT_EQ(std::make_pair(kDeep, -1), depth_of(rest, 1));
        skua_exception_unref(nested);
        skua_exception_unref(rest);
    });
}

TEST(ExceptionDeep, ChainsOfCausesGoAsWell)
{
    on_small_stack([] {
        struct skui_frame *frame = skui_frame_current();

        for (int i = 0; i < kDeep; i++) {
            (void)skua_raise(-EIO, "again"); /* caused by the one before */
        }
        skua_exception *children[2] = {
            skua_exception_ref(skua_current_exception()),
            skui_exception_bare(-1)};
        skua_exception *group =
            skui_exception_group(SKUA_EGROUP, "a group", children, 2);

        skui_frame_set_exception(frame, nullptr);
        EXPECT_EQ(-1, skua_exception_status(skua_exception_find(group, -1)));
        skua_exception_unref(group);
    });
}

TEST(ExceptionDeep, WhatIsSharedStays)
{
    skua_exception *shared = skui_exception_bare(-7);
    skua_exception *inner =
        group_of({skua_exception_ref(shared), skua_exception_ref(shared)});
    skua_exception *outer = group_of({skua_exception_ref(inner), inner});

    EXPECT_EQ("[[-7 -7] [-7 -7]]", shape(outer));
    EXPECT_EQ(shared, skua_exception_find(outer, -7));
    skua_exception_unref(outer);
    EXPECT_EQ(-7, skua_exception_status(shared));
    skua_exception_unref(shared);
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
