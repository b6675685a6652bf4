/* SPDX-License-Identifier: Apache-2.0 */
/*
 * futex.c - a thread sleeps on a word, and is woken.
 * Threads     Any.
 */
#include "futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "skua/status.h"

bool skui_futex_wait(_Atomic(uint32_t) *word, uint32_t expected,
                     int64_t deadline_ns)
{
    struct timespec left;
    const struct timespec *limit = NULL;

    if (deadline_ns != SKUA_FOREVER) {
        int64_t now_ns = skui_clock_now();

        if (deadline_ns <= now_ns) {
            return false; /* before the difference could overflow */
        }
        left.tv_sec = (deadline_ns - now_ns) / SKUA_S;
        left.tv_nsec = (deadline_ns - now_ns) % SKUA_S;
        limit = &left;
    }
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, limit, NULL,
                  0);
    return true;
}

void skui_futex_wake(_Atomic(uint32_t) *word, int count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}
