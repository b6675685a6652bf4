/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/coroutine.h"

#include <execinfo.h>
#include <fenv.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "skua/errno.h"

namespace
{

/* Resume as a loop does, inlined where the CPU's switch offers that. */
bool as_loop;

/* A coroutine that runs `body(itself)` and goes back to whoever resumed it. */
class Coroutine
{
  public:
    using Body = std::function<void(Coroutine &)>;

    Coroutine(skui_stack_pool *from_pool, Body what)
        : pool(from_pool), body(std::move(what))
    {
        EXPECT_EQ(skui_stack_pool_get(pool, &stack), 0);
        skui_coroutine_prepare(&self, &stack, enter, this);
    }
    ~Coroutine()
    {
        skui_coroutine_fini(&self);
        skui_stack_pool_put(pool, &stack);
    }
    Coroutine(const Coroutine &) = delete;
    Coroutine &operator=(const Coroutine &) = delete;

    void resume(skui_coroutine *from)
    {
        resumer = from;
        if (as_loop) {
            skui_coroutine_resume(from, &self);
        } else {
            skui_coroutine_switch(from, &self);
        }
    }
    void suspend()
    {
        skui_coroutine_switch(&self, resumer);
    }

  private:
    static void enter(void *arg)
    {
        auto *coroutine = static_cast<Coroutine *>(arg);

        skui_coroutine_entered(&coroutine->self, coroutine->resumer);
        coroutine->body(*coroutine);
        skui_coroutine_switch_last(&coroutine->self, coroutine->resumer);
    }

    skui_stack_pool *pool;
    Body body;
    skui_stack stack{};
    skui_coroutine self{};
    skui_coroutine *resumer = nullptr;
};

class CoroutineSwitch : public testing::TestWithParam<bool>
{
  protected:
    void SetUp() override
    {
        as_loop = GetParam();
        ASSERT_EQ(skui_stack_pool_init(&pool, 0), 0);
        skui_coroutine_init_thread(&main);
    }
    void TearDown() override
    {
        skui_stack_pool_fini(&pool);
    }

    skui_stack_pool pool{};
    skui_coroutine main{};
};

} // namespace

TEST_P(CoroutineSwitch, GoesThereAndBack)
{
    std::vector<int> order;
    Coroutine coroutine(&pool, [&](Coroutine &self) {
        for (int i = 0; i < 3; i++) {
            order.push_back(i);
            self.suspend();
        }
    });

    for (int i = 0; i < 4; i++) {
        coroutine.resume(&main);
        order.push_back(100 + i);
    }
    EXPECT_EQ(order, (std::vector<int>{0, 100, 1, 101, 2, 102, 103}));
}

#if defined(__x86_64__) && !defined(SKUA_GENERIC_SWITCH)
/* Sets every callee-saved register, switches, and counts what changed. */
static int registers_lost(Coroutine &coroutine, uint64_t seed)
{
    register uint64_t b __asm__("rbx") = seed + 1;
    register uint64_t c __asm__("r12") = seed + 2;
    register uint64_t d __asm__("r13") = seed + 3;
    register uint64_t e __asm__("r14") = seed + 4;
    register uint64_t f __asm__("r15") = seed + 5;

    __asm__ __volatile__("" : "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
    coroutine.suspend();
    __asm__ __volatile__("" : "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
    return (b != seed + 1) + (c != seed + 2) + (d != seed + 3) +
           (e != seed + 4) + (f != seed + 5);
}

TEST_P(CoroutineSwitch, KeepsCalleeSavedRegistersOfEach)
{
    int lost = 0;
    Coroutine one(&pool,
                  [&](Coroutine &self) { lost += registers_lost(self, 1000); });
    Coroutine two(&pool,
                  [&](Coroutine &self) { lost += registers_lost(self, 2000); });

    one.resume(&main);
    two.resume(&main);
    one.resume(&main);
    two.resume(&main);
    EXPECT_EQ(lost, 0);
}
#endif

TEST_P(CoroutineSwitch, KeepsTheRoundingModeOfEach)
{
    int seen = -1;
    volatile double one = 1.0;
    volatile double three = 3.0;
    double down = 0;
    Coroutine coroutine(&pool, [&](Coroutine &self) {
        fesetround(FE_UPWARD);
        self.suspend();
        seen = fegetround();
        down = one / three;
    });

    ASSERT_EQ(fegetround(), FE_TONEAREST);
    coroutine.resume(&main);
    EXPECT_EQ(fegetround(), FE_TONEAREST);
    coroutine.resume(&main);
    EXPECT_EQ(seen, FE_UPWARD);
    EXPECT_GT(down, one / three);
    EXPECT_EQ(fegetround(), FE_TONEAREST);
}

#if defined(__x86_64__)
TEST_P(CoroutineSwitch, UnmaskingTrapsMeetsNoStaleFlags)
{
    volatile long double zero = 0;
    volatile long double sink = 0;
    Coroutine coroutine(&pool, [&](Coroutine &self) {
        feclearexcept(FE_ALL_EXCEPT);
        feenableexcept(FE_DIVBYZERO);
        self.suspend();
        sink = sink + 1;
        fedisableexcept(FE_DIVBYZERO);
    });

    coroutine.resume(&main);
    sink = 1 / zero; /* sticky flag of the main context, masked there */
    sink = 0;
    coroutine.resume(&main);
    EXPECT_EQ(sink, 1);
    feclearexcept(FE_ALL_EXCEPT);
}
#endif

TEST_P(CoroutineSwitch, KeepsErrnoOfEach)
{
    int seen = 0;
    Coroutine coroutine(&pool, [&](Coroutine &self) {
        errno = EDOM;
        self.suspend();
        seen = errno;
    });

    errno = ERANGE;
    coroutine.resume(&main);
    EXPECT_TRUE(as_loop || errno == ERANGE);
    errno = EBADF;
    coroutine.resume(&main);
    EXPECT_EQ(seen, EDOM);
    EXPECT_TRUE(as_loop || errno == EBADF);
}

TEST_P(CoroutineSwitch, CarriesErrnoToAnotherThread)
{
    int seen = 0;
    Coroutine coroutine(&pool, [&](Coroutine &self) {
        errno = EDOM;
        self.suspend();
        seen = errno;
    });

    coroutine.resume(&main);
    std::thread other([&] {
        skui_coroutine thread{};

        skui_coroutine_init_thread(&thread);
        errno = EBADF;
        coroutine.resume(&thread);
        EXPECT_TRUE(as_loop || errno == EBADF);
    });
    other.join();
    EXPECT_EQ(seen, EDOM);
}

TEST_P(CoroutineSwitch, HoldsManyAtOnce)
{
#if defined(__SANITIZE_THREAD__)
    constexpr size_t many = 1000; /* the detector limits its fibers */
#else
    constexpr size_t many = 10000;
#endif
    std::vector<std::unique_ptr<Coroutine>> all;
    size_t sum = 0;

    for (size_t i = 0; i < many; i++) {
        all.push_back(
            std::make_unique<Coroutine>(&pool, [&sum, i](Coroutine &self) {
                size_t mine = i;

                self.suspend();
                sum += mine;
            }));
    }
    for (int round = 0; round < 2; round++) {
        for (auto &coroutine : all) {
            coroutine->resume(&main);
        }
    }
    EXPECT_EQ(sum, many * (many - 1) / 2);
}

static __attribute__((noinline)) void dirty_frames(int depth)
{
    volatile char block[200];

    std::memset(const_cast<char *>(block), depth, sizeof(block));
    if (depth > 0) {
        dirty_frames(depth - 1);
    }
    block[0] = block[199];
}

/* The last switch leaves frames behind; the next user must not meet them. */
TEST_P(CoroutineSwitch, ReusesAStackLeftInTheMiddleOfACall)
{
    for (int round = 0; round < 20; round++) {
        skui_stack stack{};
        skui_coroutine self{};
        struct Both {
            skui_coroutine *self;
            skui_coroutine *main;
        } both = {&self, &main};

        ASSERT_EQ(skui_stack_pool_get(&pool, &stack), 0);
        skui_coroutine_prepare(
            &self, &stack,
            [](void *arg) {
                auto *to = static_cast<Both *>(arg);
                volatile char deep[3000];

                skui_coroutine_entered(to->self, to->main);
                deep[0] = 1;
                deep[2999] = deep[0];
                skui_coroutine_switch_last(to->self, to->main);
            },
            &both);
        skui_coroutine_switch(&main, &self);
        skui_coroutine_fini(&self);
        skui_stack_pool_put(&pool, &stack);

        Coroutine next(&pool,
                       [round](Coroutine &) { dirty_frames(5 + round % 7); });
        next.resume(&main);
    }
}

TEST_P(CoroutineSwitch, BacktraceEndsInTheFirstFrame)
{
    void *frames[64];
    int count = 0;
    Coroutine coroutine(&pool,
                        [&](Coroutine &) { count = backtrace(frames, 64); });

    (void)backtrace(frames, 64); /* loads the unwinder on the big stack */
    coroutine.resume(&main);
    EXPECT_GE(count, 3);
    EXPECT_LT(count, 32);
}

TEST_P(CoroutineSwitch, ExceptionsStayInside)
{
    bool caught = false;
    Coroutine coroutine(&pool, [&](Coroutine &) {
        try {
            throw 7;
        } catch (int) {
            caught = true;
        }
    });

    coroutine.resume(&main);
    EXPECT_TRUE(caught);
}

INSTANTIATE_TEST_SUITE_P(Ways, CoroutineSwitch, testing::Bool());
