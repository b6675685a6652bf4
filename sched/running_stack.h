/* SPDX-License-Identifier: Apache-2.0 */
/*
 * running_stack.h - debug mode: where the thread of a loop is, seen by another.
 *
 *             prepare  open  close  ask
 *   each         -      -      -     x    (one loop is asked at a time, between
 *                                          its open and its close)
 */
#ifndef SKUI_RUNNING_STACK_H
#define SKUI_RUNNING_STACK_H

#include <sys/types.h>

#include "atomic.h"
#include "skua/types.h"

SKUI_BEGIN_DECLS

enum { SKUI_RUNNING_FRAMES = 64 };

/* Of a loop's thread; constant from open to close. */
struct skui_running_thread {
    pid_t id;
    int signal_number;    /* that it answers; 0: none is free */
    bool was_blocked;     /* that signal, before */
    uintptr_t stack_low;  /* of its own stack; 0: not known */
    uintptr_t stack_high; /* as above */
};

enum skui_running_state {
    SKUI_RUNNING_UNKNOWN, /* the kernel does not say */
    SKUI_RUNNING_RUNS,
    SKUI_RUNNING_WAITS, /* in the kernel */
};

struct skui_running_answer {
    enum skui_running_state state;
    long system_call; /* when it waits; negative: in none, as for memory */
    size_t count;     /* of frames; 0 when they could not be had */
    void *frames[SKUI_RUNNING_FRAMES];
};

/* Find a signal for it. The thread that turns debug mode on. */
void skui_running_prepare(void);

/* The loop's thread: it may be asked from now on, and not any more. */
void skui_running_open(struct skui_running_thread *thread);
void skui_running_close(const struct skui_running_thread *thread);

/*
 * What the loop's thread is doing while it is in the step of this number.
 * Waits for it, but not longer than a tenth of a second. A system call in
 * which it sleeps is not disturbed.
 */
void skui_running_ask(skua_loop *loop, uint32_t step,
                      struct skui_running_answer *out);

/* Short, of the calls in which threads are found asleep; else NULL. */
const char *skui_system_call_name(long number);

/* In a forked child: nobody asks. */
void skui_running_after_fork(void);

/* kernel_stack.c: as much of *out as the kernel says of a thread, and, when it
 * waits, the calls that can be found on its stack. */
void skui_running_look(pid_t thread_id, struct skui_running_answer *out);

SKUI_END_DECLS

#endif
