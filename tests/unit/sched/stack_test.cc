/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/stack.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
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

TEST(StackPoolTrim, GivesNeighboursBackByOneCall)
{
    skui_stack_pool pool{};
    std::vector<skui_stack> stacks(64);

    ASSERT_EQ(skui_stack_pool_init(&pool, 144 * 1024), 0);
    for (skui_stack &stack : stacks) {
        ASSERT_EQ(skui_stack_pool_get(&pool, &stack), 0);
    }
    for (size_t i = 0; i < stacks.size(); i++) {
        skui_stack_pool_put(&pool, &stacks[i * 29 % stacks.size()]);
    }
    skui_stack_pool_fini(&pool);
    EXPECT_EQ(skui_stack_pool_trim(&pool), 1u);
    EXPECT_EQ(skui_stack_pool_trim(&pool), 0u) << "nothing is dirty any more";
}

TEST(StackPoolTrim, LeavesWhatIsInUse)
{
    skui_stack_pool pool{};
    std::vector<skui_stack> stacks(64);
    std::vector<skui_stack> kept;

    ASSERT_EQ(skui_stack_pool_init(&pool, 160 * 1024), 0);
    for (skui_stack &stack : stacks) {
        ASSERT_EQ(skui_stack_pool_get(&pool, &stack), 0);
        std::memset(stack.limit, 0x5a, bytes_of(stack));
    }
    for (size_t i = 0; i < stacks.size(); i++) {
        if (i % 3 == 0) {
            kept.push_back(stacks[i]);
        } else {
            skui_stack_pool_put(&pool, &stacks[i]);
        }
    }
    skui_stack_pool_fini(&pool);
    EXPECT_LE(skui_stack_pool_trim(&pool), kept.size() + 1);
    for (const skui_stack &stack : kept) {
        for (const char *byte = stack.limit; byte < stack.top; byte++) {
            ASSERT_EQ(*byte, 0x5a);
        }
        skui_stack_pool_put(&pool, &stack);
    }
    skui_stack_pool_fini(&pool);
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

/* Room for a few stacks, but not for a slab of 64. */
static void leave_room_for_ten()
{
    skui_stack_pool pool{};
    skui_stack stack{};
    size_t pages = 0;
    int count = 0;
    FILE *file = std::fopen("/proc/self/statm", "r");

    if (file == nullptr || std::fscanf(file, "%zu", &pages) != 1 ||
        skui_stack_pool_init(&pool, size_t{4} << 20) != 0) {
        _exit(2);
    }
    const size_t used = pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const rlimit limit = {used + (size_t{45} << 20), RLIM_INFINITY};

    if (setrlimit(RLIMIT_AS, &limit) != 0) {
        _exit(2);
    }
    while (skui_stack_pool_get(&pool, &stack) == 0) {
        stack.top[-1] = 1;
        count++;
    }
    _exit(count >= 8 && count <= 11 ? 0 : 1);
}

TEST(StackPoolGetDeathTest, MapsFewerWhereAWholeSlabDoesNotFit)
{
    EXPECT_EXIT(leave_room_for_ten(), testing::ExitedWithCode(0), "");
}
#endif

/** By each kind of guard; a stack size of its own for each. */
class StackGuardDeathTest : public testing::TestWithParam<skui_stack_guard>
{
  protected:
    StackGuardDeathTest()
    {
        skui_stack_set_guard(GetParam());
    }
    ~StackGuardDeathTest() override
    {
        skui_stack_set_guard(SKUI_STACK_GUARD_BEST);
    }

    static size_t fresh_bytes()
    {
        static size_t bytes = 256 * 1024;

        return bytes += 16 * 1024;
    }

    /* False where the kernel lacks this kind. */
    static bool expect_full_guard(skui_stack_pool *pool)
    {
        skui_stack stack{};

        if (skui_stack_pool_get(pool, &stack) != 0) {
            return false;
        }
        std::memset(stack.limit, 0x5a, bytes_of(stack));
        EXPECT_DEATH(*static_cast<volatile char *>(stack.limit - 1) = 1, "");
        EXPECT_DEATH(*static_cast<volatile char *>(stack.limit -
                                                   SKUI_STACK_GUARD_BYTES) = 1,
                     "");
        skui_stack_pool_put(pool, &stack);
        return true;
    }
};

TEST_P(StackGuardDeathTest, AFullGuardLiesBelow)
{
    Pool pool(fresh_bytes());

    if (!expect_full_guard(&pool.pool)) {
        EXPECT_EQ(GetParam(), SKUI_STACK_GUARD_ADVICE);
    }
}

TEST_P(StackGuardDeathTest, TheGuardOutlivesATrim)
{
    const size_t bytes = fresh_bytes();
    skui_stack_pool pool{};
    std::vector<skui_stack> stacks(64);

    ASSERT_EQ(skui_stack_pool_init(&pool, bytes), 0);
    for (skui_stack &stack : stacks) {
        if (skui_stack_pool_get(&pool, &stack) != 0) {
            ASSERT_EQ(GetParam(), SKUI_STACK_GUARD_ADVICE);
            return;
        }
    }
    for (const skui_stack &stack : stacks) {
        skui_stack_pool_put(&pool, &stack);
    }
    skui_stack_pool_fini(&pool);
    EXPECT_EQ(skui_stack_pool_trim(&pool), 1u);
    EXPECT_TRUE(expect_full_guard(&pool));
    skui_stack_pool_fini(&pool);
}

INSTANTIATE_TEST_SUITE_P(Guards, StackGuardDeathTest,
                         testing::Values(SKUI_STACK_GUARD_BEST,
                                         SKUI_STACK_GUARD_ADVICE,
                                         SKUI_STACK_GUARD_MPROTECT));
