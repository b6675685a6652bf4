/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/memory.c: the allocation adapter and the object caches. */
#include "memory.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "skua/memory.h"

namespace
{

std::atomic<bool> looks_at_depot = false;

/* An allocator that looks at the depot whenever it is called. */
void *probing_allocate(void *, std::size_t bytes)
{
    if (looks_at_depot) {
        (void)skui_object_outside_depot(SKUI_OBJECT_WORK);
    }
    return std::malloc(bytes);
}

void *plain_resize(void *, void *pointer, std::size_t bytes)
{
    return std::realloc(pointer, bytes);
}

void plain_release(void *, void *pointer)
{
    std::free(pointer);
}

/* Before anything is allocated. */
const skua_allocator probing_allocator = {probing_allocate, plain_resize,
                                          plain_release, nullptr};
const int probing_status = skua_set_allocator(&probing_allocator);

constexpr auto kClass = SKUI_OBJECT_WORK;
constexpr std::size_t kBytes = 200;

class MemoryObjects : public testing::Test
{
  protected:
    void SetUp() override
    {
        skui_object_class_init(kClass, kBytes);
    }

    void TearDown() override
    {
        skui_caches_drain(&caches_);
    }

    void *Get()
    {
        return skui_object_get_from(&caches_, kClass);
    }

    void Put(void *object)
    {
        skui_object_put_to(&caches_, kClass, object);
    }

    struct skui_caches caches_ = {};
};

void collect(void *object, void *arg)
{
    static_cast<std::set<void *> *>(arg)->insert(object);
}

std::set<void *> all_objects()
{
    std::set<void *> objects;

    skui_object_for_each(kClass, collect, &objects);
    return objects;
}

TEST_F(MemoryObjects, AreDistinctAlignedAndZeroedAtFirst)
{
    std::set<void *> seen;
    const std::set<void *> before = all_objects();

    for (int i = 0; i < 2000; i++) {
        auto *object = static_cast<unsigned char *>(Get());

        ASSERT_NE(object, nullptr);
        ASSERT_EQ(reinterpret_cast<std::uintptr_t>(object) % 64, 0u);
        ASSERT_TRUE(seen.insert(object).second);
        if (before.count(object) == 0) {
            ASSERT_EQ(object[0], 0);
            ASSERT_EQ(object[kBytes - 1], 0);
        }
        std::memset(object, 0xa5, kBytes);
    }
    for (void *object : seen) {
        Put(object);
    }
}

TEST_F(MemoryObjects, ComeBackHotAndUnchanged)
{
    auto *object = static_cast<unsigned char *>(Get());

    object[0] = 7;
    Put(object);
    EXPECT_EQ(Get(), object);
    EXPECT_EQ(object[0], 7);
    Put(object);
}

TEST_F(MemoryObjects, WalkFindsEveryObjectInUse)
{
    std::vector<void *> mine;
    std::set<void *> all;

    for (int i = 0; i < 700; i++) {
        mine.push_back(Get());
    }
    all = all_objects();
    for (void *object : mine) {
        EXPECT_EQ(all.count(object), 1u);
        Put(object);
    }
}

TEST_F(MemoryObjects, StayTypeStableAcrossThreads)
{
    std::vector<void *> mine;
    const std::size_t outside = skui_object_outside_depot(kClass);
    std::size_t made;

    for (int i = 0; i < 1000; i++) {
        mine.push_back(Get());
    }
    made = all_objects().size();
    std::thread other([&] {
        struct skui_caches caches = {};

        for (void *object : mine) {
            skui_object_put_to(&caches, kClass, object);
        }
        skui_caches_drain(&caches);
    });
    other.join();
    mine.clear();
    for (int i = 0; i < 1000; i++) {
        mine.push_back(Get());
    }
    EXPECT_EQ(all_objects().size(), made) << "what came back was not reused";
    for (void *object : mine) {
        Put(object);
    }
    skui_caches_drain(&caches_);
    EXPECT_EQ(skui_object_outside_depot(kClass), outside);
}

TEST_F(MemoryObjects, AreExclusiveToOneHolder)
{
    constexpr int kThreads = 4;
    std::vector<std::thread> threads;

    for (int t = 0; t < kThreads; t++) {
        threads.emplace_back([t] {
            struct skui_caches caches = {};
            std::vector<int *> held;

            for (int round = 0; round < 200; round++) {
                for (int i = 0; i < 150; i++) {
                    auto *object = static_cast<int *>(
                        skui_object_get_from(&caches, kClass));
                    *object = t;
                    held.push_back(object);
                }
                for (int *object : held) {
                    ASSERT_EQ(*object, t);
                    skui_object_put_to(&caches, kClass, object);
                }
                held.clear();
            }
            skui_caches_drain(&caches);
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
}

/* It would stand still if a depot allocated under its lock. */
TEST_F(MemoryObjects, GrowWithoutTheDepotsLock)
{
    std::vector<void *> mine;

    ASSERT_EQ(probing_status, 0);
    looks_at_depot = true;
    for (int i = 0; i < 2000; i++) {
        mine.push_back(Get());
    }
    for (void *object : mine) {
        Put(object);
    }
    looks_at_depot = false;
}

TEST_F(MemoryObjects, AreCountedWhileTheyGrow)
{
    const std::size_t outside = skui_object_outside_depot(kClass);
    std::vector<void *> mine;

    for (int i = 0; i < 2000; i++) {
        mine.push_back(Get());
    }
    EXPECT_GE(skui_object_outside_depot(kClass), outside + 2000);
    for (void *object : mine) {
        Put(object);
    }
    skui_caches_drain(&caches_);
    EXPECT_EQ(skui_object_outside_depot(kClass), outside);
}

TEST(MemoryAllocate, ZeroedResizeAndRelease)
{
    auto *bytes = static_cast<unsigned char *>(skui_allocate_zeroed(100));

    ASSERT_NE(bytes, nullptr);
    EXPECT_EQ(bytes[99], 0);
    bytes[99] = 3;
    bytes = static_cast<unsigned char *>(skui_resize(bytes, 5000));
    ASSERT_NE(bytes, nullptr);
    EXPECT_EQ(bytes[99], 3);
    skui_release(bytes);
    skui_release(nullptr);
}

TEST(MemoryAllocator, IsRefusedWhenMalformedOrLate)
{
    skua_allocator allocator = {};
    void *memory = skua_allocate(1);

    skua_release(memory);
    skua_release(nullptr);
    EXPECT_EQ(skua_set_allocator(nullptr), -EINVAL);
    EXPECT_EQ(skua_set_allocator(&allocator), -EINVAL);
    allocator.allocate = [](void *, std::size_t) -> void * { return nullptr; };
    allocator.resize = [](void *, void *, std::size_t) -> void * {
        return nullptr;
    };
    allocator.release = [](void *, void *) {};
    EXPECT_EQ(skua_set_allocator(&allocator), -EBUSY);
}

} // namespace
