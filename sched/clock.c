/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.c - time.
 * Threads     Any.
 * Invariants  Deadlines are computed from this clock only, so they can cross
 *             loops.
 *
 * The tick counter (9 ns a read against 23) bounds how long polls are put off;
 * it is no clock for deadlines. Its rate is measured once at start.
 */
#include "clock.h"

#include <math.h>
#include <time.h>

#include "skua/time.h"

enum { CALIBRATION_NS = 200000 };

static _Atomic(int64_t) virtual_ns = -1; /* relaxed: tests set it at rest */
static _Atomic(uint64_t) ticks_per_ms;   /* relaxed: any measurement will do */

static int64_t clock_read(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SKUA_S + now.tv_nsec;
}

int64_t skui_clock_now(void)
{
    int64_t fixed = skui_load_relaxed(&virtual_ns); /* relaxed: tests */

    return SKUI_LIKELY(fixed < 0) ? clock_read() : fixed;
}

void skui_clock_set_virtual(int64_t now_ns)
{
    skui_store_relaxed(&virtual_ns, now_ns); /* relaxed: tests */
}

int64_t skui_clock_after(int64_t delay_ns)
{
    int64_t deadline;

    if (delay_ns == SKUA_FOREVER ||
        __builtin_add_overflow(skui_clock_now(), delay_ns, &deadline)) {
        return delay_ns < 0 ? INT64_MIN + 1 : SKUA_FOREVER;
    }
    return deadline;
}

void skui_clock_calibrate(void)
{
    int64_t start_ns = clock_read();
    uint64_t start = skui_clock_ticks();
    int64_t elapsed_ns;

    do {
        skui_cpu_relax();
        elapsed_ns = clock_read() - start_ns;
    } while (elapsed_ns < CALIBRATION_NS);
    /* relaxed: any measurement will do */
    skui_store_relaxed(&ticks_per_ms, (skui_clock_ticks() - start) *
                                          UINT64_C(1000000) /
                                          (uint64_t)elapsed_ns);
}

uint64_t skui_clock_ticks_of(int64_t ns)
{
    /* relaxed: any measurement will do */
    return (uint64_t)ns * skui_load_relaxed(&ticks_per_ms) / 1000000u;
}

int64_t skua_monotonic(void)
{
    return skui_clock_now();
}

int64_t skua_seconds(double seconds)
{
    double ns = seconds * 1e9;

    if (isnan(seconds)) {
        return SKUA_NOT_A_TIME;
    }
    if (ns >= 9.2e18) {
        return SKUA_FOREVER;
    }
    if (ns <= -9.2e18) {
        return INT64_MIN + 1;
    }
    return (int64_t)ns;
}
