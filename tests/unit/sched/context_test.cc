/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context_test.cc - contexts as the library itself passes them on.
 */
#include "sched/context.h"

#include "conformance/context_support.h"

namespace conformance
{
namespace
{

TEST(ContextCapture, IsNothingWhereNothingIsSet)
{
    std::thread([] { EXPECT_EQ(0u, skui_context_capture()); }).join();
}

/** What the work reads is 6 and 5; what it sets stays with it. */
int read_and_set(void *)
{
    EXPECT_EQ(5, get_counted());
    EXPECT_EQ(6, get(number));
    set(number, 9);
    EXPECT_EQ(9, get(number));
    set_counted(10);
    return 3;
}

TEST(ContextRunCaptured, LetsAThreadReadACopyAndKeepsWhatItSets)
{
    counted_made = 0;
    counted_destroyed = 0;
    std::thread([] {
        set_counted(5);
        set(number, 6);
        const uintptr_t word = skui_context_capture();

        EXPECT_NE(0u, word);
        set(number, 7);
        std::thread([word] {
            set(number, 8);
            EXPECT_EQ(3,
                      skui_context_run_captured(word, read_and_set, nullptr));
            EXPECT_EQ(8, get(number));
            EXPECT_EQ(-1, get_counted());
            EXPECT_EQ(1, counted_destroyed);
        }).join();
        EXPECT_EQ(7, get(number));
        EXPECT_EQ(5, get_counted());
    }).join();
    EXPECT_EQ(2, counted_made);
    EXPECT_EQ(2, counted_destroyed);
}

int find_nothing(void *)
{
    EXPECT_FALSE(is_set(number));
    set(number, 2);
    return 0;
}

TEST(ContextRunCaptured, OfNothingStartsEmpty)
{
    std::thread([] {
        set(number, 1);
        EXPECT_EQ(0, skui_context_run_captured(0, find_nothing, nullptr));
        EXPECT_EQ(1, get(number));
    }).join();
}

TEST(ContextWords, AreCountedByWhoHoldsThem)
{
    counted_made = 0;
    counted_destroyed = 0;
    std::thread([] {
        skui_context_slot slot;

        set_counted(1);
        skui_store_relaxed(&slot, skui_context_capture());
        const uintptr_t copy = skui_context_copy_word(skui_load_relaxed(&slot));
        EXPECT_EQ(copy, skui_context_share_word(copy));
        Context made(skui_context_of_slot(&slot));
        Context same(skui_context_of_slot(&slot));
        EXPECT_EQ(made.get(), same.get());
        EXPECT_EQ(1u, skua_context_count(made.get()));
        const uintptr_t shared =
            skui_context_share_word(skui_load_relaxed(&slot));
        EXPECT_EQ(shared, skui_load_relaxed(&slot));
        skui_context_release_word(shared);
        skui_context_release_word(copy);
        skui_context_release_word(copy); /* as often as it was shared */
        skui_context_release(&slot);
        EXPECT_EQ(0u, skui_load_relaxed(&slot));
    }).join();
    EXPECT_EQ(1, counted_made);
    EXPECT_EQ(1, counted_destroyed);
}

} // namespace
} // namespace conformance
