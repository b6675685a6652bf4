/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/executor/function.c: functions that have names. */
#include "executor/function.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

namespace
{

int first(const void *, size_t, skua_reply *)
{
    return 1;
}

int second(const void *, size_t, skua_reply *)
{
    return 2;
}

TEST(FunctionRegister, GivesANameForGood)
{
    EXPECT_FALSE(skua_function_is_registered("good.one"));
    EXPECT_EQ(0, skua_function_register("good.one", first));
    EXPECT_TRUE(skua_function_is_registered("good.one"));
    EXPECT_EQ(0, skua_function_register("good.one", first));
    EXPECT_EQ(-EEXIST, skua_function_register("good.one", second));
    ASSERT_NE(nullptr, skui_function_find("good.one"));
    EXPECT_EQ(first, skui_function_find("good.one")->fn);
    EXPECT_FALSE(skua_function_is_registered("good"));
    EXPECT_FALSE(skua_function_is_registered(nullptr));
}

TEST(FunctionRegister, CopiesTheName)
{
    std::string name = "copied";

    ASSERT_EQ(0, skua_function_register(name.c_str(), first));
    name[0] = 'x';
    EXPECT_TRUE(skua_function_is_registered("copied"));
}

TEST(FunctionRegister, RefusesNamesThatAreNone)
{
    const std::string longest(SKUA_FUNCTION_NAME_MAX, 'a');
    const std::string longer = longest + "a";

    for (const char *name : {"", ".", ".a", "a.", "a..b", "a b", "a/b", "a*",
                             "a>", "a$b", "\xc3", "skua.a", longer.c_str()}) {
        EXPECT_EQ(-EINVAL, skua_function_register(name, first)) << name;
        EXPECT_FALSE(skua_function_is_registered(name)) << name;
    }
    EXPECT_EQ(-EINVAL, skua_function_register(nullptr, first));
    EXPECT_EQ(-EINVAL, skua_function_register("a", nullptr));
    for (const char *name :
         {"a", "A-z_0.9", "skua", "skuas.a", "_", longest.c_str()}) {
        EXPECT_EQ(0, skua_function_register(name, first)) << name;
    }
}

TEST(FunctionRegister, NumbersThemInOrder)
{
    const uint32_t before = skui_function_count();

    ASSERT_EQ(0, skua_function_register("numbered.first", first));
    ASSERT_EQ(0, skua_function_register("numbered.second", second));
    EXPECT_EQ(before + 2, skui_function_count());
    ASSERT_NE(nullptr, skui_function_at(before + 1));
    EXPECT_STREQ("numbered.second", skui_function_at(before + 1)->name);
    EXPECT_EQ(before + 1, skui_function_at(before + 1)->index);
    EXPECT_EQ(nullptr, skui_function_at(before + 2));
    EXPECT_EQ(nullptr, skui_function_at(UINT32_MAX));
}

/* FN1. */
TEST(FunctionRegister, IsSeenWholeByOtherThreads)
{
    constexpr int kNames = 500;
    std::atomic<bool> over{false};
    std::vector<std::thread> threads;
    const auto name_of = [](int i) { return "seen." + std::to_string(i); };

    for (int t = 0; t < 2; t++) {
        threads.emplace_back([&] {
            while (!over) {
                const uint32_t count = skui_function_count();

                for (uint32_t i = 0; i < count; i++) {
                    const skui_function *function = skui_function_at(i);

                    ASSERT_NE(nullptr, function);
                    ASSERT_EQ(i, function->index);
                    ASSERT_EQ(function, skui_function_find(function->name));
                    ASSERT_NE(nullptr, function->fn);
                }
            }
        });
    }
    for (int i = 0; i < kNames; i++) {
        EXPECT_EQ(0, skua_function_register(name_of(i).c_str(), first));
    }
    over = true;
    for (std::thread &thread : threads) {
        thread.join();
    }
    for (int i = 0; i < kNames; i++) {
        EXPECT_TRUE(skua_function_is_registered(name_of(i).c_str()));
    }
}

/* The last test: it fills the registry. */
TEST(FunctionRegisterLimit, FailsWithoutHarm)
{
    int status = 0;
    int count = 0;

    for (; status == 0 && count < 10000; count++) {
        status = skua_function_register(
            ("limit." + std::to_string(count)).c_str(), first);
    }
    EXPECT_EQ(-ENOMEM, status);
    EXPECT_TRUE(skua_function_is_registered("limit.0"));
    EXPECT_FALSE(skua_function_is_registered(
        ("limit." + std::to_string(count - 1)).c_str()));
    EXPECT_EQ(0, skua_function_register("limit.0", first));
}

} // namespace
