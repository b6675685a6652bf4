/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membarrier.c - barriers in other threads, by membarrier(PRIVATE_EXPEDITED).
 * Threads     Set up by the first that uses the library; then any thread.
 * Invariants  `granted` changes in skui_membarrier_init() and in forked
 *             children only.
 *
 * The kernel interrupts each core that runs a thread of the process and returns
 * when all have passed a full barrier; a thread that does not run passes one
 * when it is switched in. A process registers first; a child is registered as
 * its parent was, but not by every kernel.
 *
 * Sandboxes may refuse the call. Those that are there at the start are found
 * out; one that the process puts itself into later makes skui_membarrier()
 * fail, and its caller must then do without.
 */
#include "membarrier.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool granted; /* constant while threads use the library */

static bool membarrier_call(int command)
{
    return syscall(__NR_membarrier, command, 0, 0) == 0;
}

void skui_membarrier_init(void)
{
    granted = membarrier_call(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
              membarrier_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

void skui_membarrier_after_fork(void)
{
    if (granted) {
        skui_membarrier_init();
    }
}

bool skui_membarrier_is_granted(void)
{
    return granted;
}

bool skui_membarrier(void)
{
    return membarrier_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}
