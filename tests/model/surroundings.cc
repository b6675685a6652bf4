// SPDX-License-Identifier: Apache-2.0
#include "surroundings.h"

#include <array>
#include <cstdlib>
#include <deque>
#include <map>

#include "clock.h"
#include "composite.h"
#include "cores.h"
#include "debug.h"
#include "explorer.h"
#include "futex.h"
#include "future.h"
#include "loop.h"
#include "membarrier.h"
#include "memory.h"
#include "report.h"
#include "task.h"

namespace
{

constexpr size_t kClaims = 8;

struct Claims {
    std::array<bool, kClaims> woken;
    std::array<int, kClaims> wakes;
};

Claims the_claims;

struct Sleeper {
    const volatile void *word;
    bool woken;
};

std::deque<Sleeper *> the_sleepers;

} // namespace

namespace model
{

void BeginWakes()
{
    the_claims = {};
    the_sleepers.clear();
}

skui_claim MakeClaim(int number)
{
    return static_cast<skui_claim>(number) + 1;
}

void WaitForWake(int number)
{
    const auto index = static_cast<size_t>(number);

    (void)WaitUntil([index] { return the_claims.woken[index]; }, false);
    Receive(&the_claims.woken[index]);
}

int WakesOf(int number)
{
    return the_claims.wakes[static_cast<size_t>(number)];
}

} // namespace model

/* --- memory --- */

void *skui_allocate(size_t bytes)
{
    return model::Allocate(bytes);
}

void *skui_allocate_zeroed(size_t bytes)
{
    return model::Allocate(bytes);
}

void skui_release(void *memory)
{
    model::Free(memory);
}

/* Not reused within a run: whoever touches what was put is found out. */
void *skui_object_get(skui_object_class which)
{
    switch (which) {
    case SKUI_OBJECT_FUTURE:
        return model::Allocate(sizeof(skua_future));
    case SKUI_OBJECT_WAITER:
        return model::Allocate(sizeof(skui_waiter));
    default:
        std::abort();
    }
}

void skui_object_put(skui_object_class, void *object)
{
    model::Free(object);
}

/* --- sleeping and waking --- */

bool skui_futex_wait(_Atomic(uint32_t) *word, uint32_t expected,
                     int64_t deadline_ns)
{
    Sleeper self{word, false};

    /* The kernel looks at what is newest, and this thread has then seen it. */
    if (*reinterpret_cast<const volatile uint32_t *>(word) != expected) {
        model::CatchUp();
        return true;
    }
    the_sleepers.push_back(&self);
    if (model::WaitUntil([&self] { return self.woken; },
                         deadline_ns != SKUA_FOREVER)) {
        model::CatchUp();
        return true;
    }
    std::erase(the_sleepers, &self);
    return false;
}

void skui_futex_wake(_Atomic(uint32_t) *word, int count)
{
    for (auto i = the_sleepers.begin(); i != the_sleepers.end() && count > 0;) {
        if ((*i)->word == word) {
            (*i)->woken = true;
            i = the_sleepers.erase(i);
            count--;
        } else {
            ++i;
        }
    }
}

bool skui_wake(skui_claim claim, int)
{
    const size_t index = claim - 1;

    if (the_claims.woken[index]) {
        return false;
    }
    model::Hand(&the_claims.woken[index]);
    the_claims.woken[index] = true;
    the_claims.wakes[index]++;
    return true;
}

bool skui_membarrier(void)
{
    model::Membarrier();
    return true;
}

int sched_yield(void)
{
    model::GiveWay();
    return 0;
}

/* --- what the scenarios have none of --- */

_Atomic(bool) skui_contexts_used;
_Atomic(bool) skui_debug_default;
uint32_t skui_forks;

/* No thread is an executor's. (Its header is for C.) */
extern "C" int skui_work_wait_begin(skua_future *future, int64_t deadline_ns);
extern "C" void skui_work_wait_end(void);

int skui_work_wait_begin(skua_future *, int64_t)
{
    return 0;
}

void skui_work_wait_end(void)
{
}

skua_exception *skua_exception_ref(skua_exception *exception)
{
    return exception;
}

void skua_exception_unref(skua_exception *)
{
}

void skui_completions_drain(skui_completions *)
{
}

skua_loop *skui_loop_self(void)
{
    return nullptr;
}

int skui_task_spend_budget(void)
{
    return 0;
}

/* Nobody spins before it waits. */
unsigned skui_cores_if_known(void)
{
    return 1;
}

void skui_runtime_init(void)
{
}

/* Limits pass when the explorer says so. */
int64_t skui_clock_now(void)
{
    return 0;
}

skui_frame skui_frame_enter(void)
{
    return {};
}

void skui_report_raised(skui_frame *, const char *, skua_future *,
                        skua_handle *)
{
}

int skui_future_check_process(const skua_future *)
{
    return 0;
}

bool skui_future_report_last(skua_future *)
{
    return false;
}

void skui_report(const skua_exception_context *)
{
}
