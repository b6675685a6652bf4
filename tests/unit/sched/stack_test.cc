/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/stack.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace
{

class Pool
{
  public:
    explicit Pool(size_t stack_bytes = 0)
    {
        status = skui_stack_pool_init(&pool, stack_bytes);
    }
    ~Pool()
    {
        if (status == 0) {
            skui_stack_pool_fini(&pool);
        }
    }
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

    skui_stack get()
    {
        skui_stack stack{};

        EXPECT_EQ(skui_stack_pool_get(&pool, &stack), 0);
        return stack;
    }
    void put(const skui_stack &stack)
    {
        skui_stack_pool_put(&pool, &stack);
    }

    skui_stack_pool pool{};
    int status;
};

size_t bytes_of(const skui_stack &stack)
{
    return static_cast<size_t>(stack.top - stack.limit);
}

} // namespace

TEST(StackPoolInit, RefusesAbsurdSizes)
{
    skui_stack_pool pool{};

    EXPECT_EQ(skui_stack_pool_init(&pool, SIZE_MAX), -EINVAL);
    EXPECT_EQ(skui_stack_pool_init(&pool, SIZE_MAX / 2 + 1), -EINVAL);
    EXPECT_EQ(skui_stack_pool_init(&pool, size_t{1} << 40), -EINVAL);
}

TEST(StackPoolInit, RaisesTinySizesAndRoundsToPages)
{
    Pool tiny(1);
    Pool odd(20000);

    ASSERT_EQ(tiny.status, 0);
    ASSERT_EQ(odd.status, 0);
    skui_stack first = tiny.get();
    skui_stack second = odd.get();
    EXPECT_GE(bytes_of(first), size_t{SKUI_STACK_MINIMUM_BYTES} - 2048);
    EXPECT_GE(bytes_of(second), size_t{20000} - 2048);
    tiny.put(first);
    odd.put(second);
}

TEST(StackPoolGet, GivesWritableAlignedColouredStacks)
{
    Pool pool;
    std::set<uintptr_t> offsets;
    std::vector<skui_stack> stacks;

    for (int i = 0; i < 64; i++) {
        skui_stack stack = pool.get();

        EXPECT_EQ(reinterpret_cast<uintptr_t>(stack.top) % 16, 0u);
        std::memset(stack.limit, 0x5a, bytes_of(stack));
        offsets.insert(reinterpret_cast<uintptr_t>(stack.top) % 4096);
        stacks.push_back(stack);
    }
    EXPECT_GE(offsets.size(), 8u);
    for (const skui_stack &stack : stacks) {
        pool.put(stack);
    }
}

TEST(StackPoolGet, ReusesTheLastOneFirst)
{
    Pool pool;
    skui_stack first = pool.get();
    skui_stack second = pool.get();

    pool.put(first);
    pool.put(second);
    EXPECT_EQ(pool.get().limit, second.limit);
    EXPECT_EQ(pool.get().limit, first.limit);
    pool.put(first);
    pool.put(second);
}

TEST(StackPoolGet, NeverGivesOneTwice)
{
    Pool pool;
    std::vector<skui_stack> stacks;
    std::set<char *> limits;

    for (int i = 0; i < 10000; i++) {
        stacks.push_back(pool.get());
        limits.insert(stacks.back().limit);
    }
    EXPECT_EQ(limits.size(), stacks.size());
    for (const skui_stack &stack : stacks) {
        pool.put(stack);
    }
}

TEST(StackPoolPut, TakesStacksOfAnotherPool)
{
    Pool here;
    Pool there;
    std::vector<skui_stack> stacks;

    for (int i = 0; i < 1000; i++) {
        stacks.push_back(here.get());
    }
    std::thread other([&] {
        for (const skui_stack &stack : stacks) {
            there.put(stack);
        }
    });
    other.join();
    size_t mapped = skui_stack_pool_stats(&here.pool).mapped;
    for (skui_stack &stack : stacks) {
        stack = there.get();
    }
    EXPECT_EQ(skui_stack_pool_stats(&here.pool).mapped, mapped);
    for (const skui_stack &stack : stacks) {
        there.put(stack);
    }
}

TEST(StackPoolTrim, KeepsStacksUsableAndGivesMemoryBack)
{
    Pool pool(48 * 1024);
    std::vector<skui_stack> stacks;
    std::set<char *> written;
    size_t zeroed = 0;

    for (int i = 0; i < 1000; i++) {
        stacks.push_back(pool.get());
        stacks.back().top[-1] = 1;
        written.insert(stacks.back().limit);
    }
    for (const skui_stack &stack : stacks) {
        pool.put(stack);
    }
    for (int i = 0; i < 100; i++) {
        skui_stack_pool_trim(&pool.pool);
    }
    for (skui_stack &stack : stacks) {
        stack = pool.get();
        zeroed += written.count(stack.limit) == 1 && stack.top[-1] == 0;
        stack.top[-1] = 2;
    }
    EXPECT_GE(zeroed, 1000u - 2 * SKUI_STACK_CACHE_CAPACITY);
    for (const skui_stack &stack : stacks) {
        pool.put(stack);
    }
}

TEST(StackPoolStats, CountsNothingInUseAfterFini)
{
    skui_stack_pool pool{};
    skui_stack stack{};

    ASSERT_EQ(skui_stack_pool_init(&pool, 80 * 1024), 0);
    ASSERT_EQ(skui_stack_pool_get(&pool, &stack), 0);
    EXPECT_GE(skui_stack_pool_stats(&pool).in_use, 1u);
    skui_stack_pool_put(&pool, &stack);
    skui_stack_pool_fini(&pool);
    EXPECT_EQ(skui_stack_pool_stats(&pool).in_use, 0u);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void exhaust_address_space()
{
    rlimit limit = {size_t{256} << 20, size_t{256} << 20};
    skui_stack_pool pool{};
    skui_stack stack{};
    int status = skui_stack_pool_init(&pool, size_t{1} << 20);

    if (status != 0 || setrlimit(RLIMIT_AS, &limit) != 0) {
        _exit(2);
    }
    for (int i = 0; i < 1000 && status == 0; i++) {
        status = skui_stack_pool_get(&pool, &stack);
    }
    _exit(status == -ENOMEM ? 0 : 1);
}

TEST(StackPoolGetDeathTest, ReportsMemoryShortage)
{
    EXPECT_EXIT(exhaust_address_space(), testing::ExitedWithCode(0), "");
}
#endif

TEST(StackGuardDeathTest, AFullGuardLiesBelow)
{
    Pool pool;
    skui_stack stack = pool.get();

    EXPECT_DEATH(*static_cast<volatile char *>(stack.limit - 1) = 1, "");
    EXPECT_DEATH(
        *static_cast<volatile char *>(stack.limit - SKUI_STACK_GUARD_BYTES) = 1,
        "");
    pool.put(stack);
}
