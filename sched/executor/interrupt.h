/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interrupt.h - system calls of one thread end with EINTR, again and again.
 *
 *              open  close  want  suspend  resume
 *   open         x     x      x      x        x     (the thread)
 *   close        x     x      x      x        x     (the thread)
 *   want         x     x      x      x        x     (any thread)
 *   suspend      x     x      x      x        x     (the thread)
 *   resume       x     x      x      x        x     (the thread)
 */
#ifndef SKUI_EXECUTOR_INTERRUPT_H
#define SKUI_EXECUTOR_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "../atomic.h"

SKUI_BEGIN_DECLS

/* Of what is to be interrupted, on the stack of its thread. */
struct skui_interrupt {
    timer_t timer;     /* sends the signal to the thread */
    int signal_number; /* constant */
    int64_t pause_ns;  /* until the next signal; the thread's, in its handler */
    bool wanted;       /* the callers exclude each other, as for the next */
    bool suspended;
};

/* See that there is a signal: 0, or -EBUSY when the program has taken all. */
int skui_interrupt_prepare(void);

/*
 * Interrupts may be wanted from now on, and take effect between
 * skui_interrupt_allow() and skui_interrupt_forbid(). -EBUSY; -EAGAIN and other
 * errnos of timers.
 */
int skui_interrupt_open(struct skui_interrupt *interrupt);
/* When it is forbidden and nobody may want it any more. */
void skui_interrupt_close(struct skui_interrupt *interrupt);

void skui_interrupt_allow(const struct skui_interrupt *interrupt);
/* From here on no call is interrupted. */
void skui_interrupt_forbid(const struct skui_interrupt *interrupt);

/* Interrupt the thread until it is closed. */
void skui_interrupt_want(struct skui_interrupt *interrupt);

/* Not for the time being, while it is forbidden. */
void skui_interrupt_suspend(struct skui_interrupt *interrupt);
void skui_interrupt_resume(struct skui_interrupt *interrupt);

/* In a forked child: nobody asks. */
void skui_interrupt_after_fork(void);

SKUI_END_DECLS

#endif
