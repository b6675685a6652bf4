/* SPDX-License-Identifier: Apache-2.0 */
#include "beside.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "memory.h"

namespace
{

/** A table that gives its lists back. */
struct Table {
    ~Table()
    {
        for (skui_beside_shard &shard : beside.shards) {
            EXPECT_EQ(0u, shard.count);
            skui_release(shard.heads);
        }
    }

    void insert(skui_beside_entry *entry, const void *object)
    {
        ASSERT_TRUE(skui_beside_reserve(&beside, object));
        skui_beside_shard *shard = skui_beside_lock(&beside, object);

        entry->object = object;
        skui_beside_insert(shard, entry);
        skui_beside_unlock(shard);
    }

    /** Take one out; NULL when there is none. */
    skui_beside_entry *take(const void *object)
    {
        skui_beside_shard *shard = skui_beside_lock(&beside, object);
        skui_beside_entry **link = skui_beside_find(shard, object);
        skui_beside_entry *entry =
            link == nullptr ? nullptr : skui_beside_remove(shard, link);

        skui_beside_unlock(shard);
        return entry;
    }

    skui_beside beside = {};
};

TEST(BesideFind, FindsEachAfterTheListsWereSpread)
{
    constexpr size_t kCount = 50000; /* each shard doubles its lists, thrice */
    std::vector<skui_beside_entry> entries(kCount);
    std::vector<char> objects(kCount * 64);
    Table table;

    for (size_t i = 0; i < kCount; i++) {
        table.insert(&entries[i], &objects[i * 64]);
    }
    for (size_t i = 0; i < kCount; i++) {
        EXPECT_EQ(&entries[i], table.take(&objects[i * 64]));
        EXPECT_EQ(nullptr, table.take(&objects[i * 64]));
    }
}

TEST(BesideSeek, GoesOnToTheNextOfTheSameObject)
{
    skui_beside_entry entries[3];
    const char objects[2] = {};
    Table table;

    table.insert(&entries[0], &objects[0]);
    table.insert(&entries[1], &objects[1]);
    table.insert(&entries[2], &objects[0]);
    skui_beside_shard *shard = skui_beside_lock(&table.beside, &objects[0]);
    skui_beside_entry **link = skui_beside_find(shard, &objects[0]);

    ASSERT_NE(nullptr, link);
    EXPECT_EQ(&entries[2], skui_beside_remove(shard, link));
    link = skui_beside_seek(link, &objects[0]);
    ASSERT_NE(nullptr, link);
    EXPECT_EQ(&entries[0], *link);
    EXPECT_EQ(nullptr, skui_beside_seek(&(*link)->next, &objects[0]));
    skui_beside_unlock(shard);
    EXPECT_EQ(&entries[0], table.take(&objects[0]));
    EXPECT_EQ(&entries[1], table.take(&objects[1]));
    EXPECT_EQ(nullptr, table.take(&objects[1]));
}

TEST(BesideFind, FindsNothingInAnEmptyTable)
{
    const char object = 0;
    Table table;

    EXPECT_EQ(nullptr, table.take(&object));
}

} // namespace
