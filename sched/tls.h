/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - who am I: the only thread-local state.
 *
 * A task's thread changes across suspensions and compilers reuse addresses of
 * thread-locals, so everything here is reached by out-of-line calls, anew
 * after each suspension.
 */
#ifndef SKUI_TLS_H
#define SKUI_TLS_H

#include "memory.h"
#include "skua/types.h"

SKUI_BEGIN_DECLS

/* What the code that runs here has returned and raised so far. */
struct skui_frame {
    void *value;
    skua_exception *exception; /* owned */
};

/* The loop that runs in this thread, or NULL. */
SKUI_NOINLINE skua_loop *skui_loop_self(void);
SKUI_NOINLINE void skui_loop_set_self(skua_loop *loop);

/* The frame of code outside tasks. */
SKUI_NOINLINE struct skui_frame *skui_thread_frame(void);

/* What skua_set_event_loop() has set here, which may be closed by now. */
SKUI_NOINLINE skua_loop *skui_event_loop(uint32_t *out_id);
SKUI_NOINLINE void skui_set_event_loop(skua_loop *loop, uint32_t id);

/* How deep this thread is in a report: see report.h. */
SKUI_NOINLINE unsigned skui_report_depth(void);
SKUI_NOINLINE void skui_report_set_depth(unsigned depth);

/* How often this process is a forked child: objects remember theirs. */
extern uint32_t skui_forks; /* written by the child's one thread only */
static inline uint32_t skui_fork_generation(void)
{
    return skui_forks;
}

/* In a forked child, before anything else. */
void skui_tls_after_fork(void);

SKUI_END_DECLS

#endif
