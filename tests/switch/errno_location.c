/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errno_location.c - a switch whose code .ci/check-switch looks at, built with
 * the whole program in the compiler's sight.
 */
#include "sched/coroutine.h"

static struct skui_coroutine here;
static struct skui_coroutine there;

SKUI_NOINLINE void leave(void);

SKUI_NOINLINE void leave(void)
{
    skui_coroutine_switch(&here, &there);
}

int main(int count, char **arguments)
{
    (void)arguments;
    if (count > 1) {
        leave();
    }
    return *skua_errno_location();
}
