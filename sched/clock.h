/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - the one clock of all loops, and the cheap tick counter.
 */
#ifndef SKUI_CLOCK_H
#define SKUI_CLOCK_H

#include "atomic.h"

SKUI_BEGIN_DECLS

/* CLOCK_MONOTONIC in nanoseconds, or the virtual time of a test. */
int64_t skui_clock_now(void);

/* Tests: `now_ns` >= 0 replaces the clock, negative restores it. */
void skui_clock_set_virtual(int64_t now_ns);

/* now + delay without overflow; SKUA_FOREVER stays so. */
int64_t skui_clock_after(int64_t delay_ns);

/* The processor's tick counter, and how many ticks are about `ns`. */
static inline uint64_t skui_clock_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;

    __asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return (uint64_t)skua_monotonic();
#endif
}
uint64_t skui_clock_ticks_of(int64_t ns);
void skui_clock_calibrate(void);

SKUI_END_DECLS

#endif
