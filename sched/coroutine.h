/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroutine.h - a stack with an entry that can be switched to and from.
 *
 * No scheduling. The one switch function tells the sanitizers and valgrind
 * about stacks, and keeps the errno of each side.
 */
#ifndef SKUI_COROUTINE_H
#define SKUI_COROUTINE_H

#include "skua/status.h"

#include "arch/switch.h"
#include "stack.h"

#if defined(__SANITIZE_ADDRESS__)
#define SKUI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SKUI_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define SKUI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SKUI_TSAN 1
#endif
#endif

#if defined(SKUI_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(SKUI_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

SKUI_BEGIN_DECLS

/* errno of the thread: tls.c, as <skua/errno.h> declares it to users. */
SKUA_API int *skua_errno_location(void);

struct skui_coroutine {
    void *context; /* where to continue; meaningless while it runs */
#if defined(SKUI_ASAN)
    void *fake_stack;
    const void *asan_bottom;
    size_t asan_bytes;
#endif
#if defined(SKUI_TSAN)
    void *fiber;
#endif
};

/* Describe the calling thread's own stack. */
void skui_coroutine_init_thread(struct skui_coroutine *coroutine);

/* entry(arg) on `stack`; entry ends by skui_coroutine_switch_last(). */
void skui_coroutine_prepare(struct skui_coroutine *coroutine,
                            const struct skui_stack *stack,
                            skui_arch_entry_fn *entry, void *arg);

/* Let `place`, to which others switch back, describe the stack of `self`, which
 * runs: who leaves by `place` has it saved there. */
void skui_coroutine_stand_in(struct skui_coroutine *place,
                             const struct skui_coroutine *self);

/* The first call of every entry. */
void skui_coroutine_entered(struct skui_coroutine *self,
                            struct skui_coroutine *from);

/* Forget a coroutine that will not be continued; from another stack. */
void skui_coroutine_fini(struct skui_coroutine *coroutine);

/*
 * Leave `from`, which runs, for `to`. Returns when somebody switches back,
 * maybe in another thread. Inline, since a `ret` after the switch would miss
 * the return predictor: 12 ns out of line against 4.5.
 */
static inline void skui_coroutine_switch(struct skui_coroutine *from,
                                         struct skui_coroutine *to)
{
    int saved_errno = *skua_errno_location();

#if defined(SKUI_ASAN)
    __sanitizer_start_switch_fiber(&from->fake_stack, to->asan_bottom,
                                   to->asan_bytes);
#endif
#if defined(SKUI_TSAN)
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    skui_arch_switch(&from->context, to->context);
#if defined(SKUI_ASAN)
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
    *skua_errno_location() = saved_errno;
}

/*
 * As skui_coroutine_switch(), for a loop that resumes one coroutine after the
 * other (skui_arch_resume()). errno of the loop's own code is not kept.
 */
static inline __attribute__((always_inline)) void
skui_coroutine_resume(struct skui_coroutine *loop, struct skui_coroutine *to)
{
#if defined(SKUI_ARCH_RESUMES_INLINE) && !defined(SKUI_ASAN) &&                \
    !defined(SKUI_TSAN)
    skui_arch_resume(&loop->context, to->context);
#else
    skui_coroutine_switch(loop, to);
#endif
}

/* Leave for good. */
static inline void skui_coroutine_switch_last(struct skui_coroutine *from,
                                              struct skui_coroutine *to)
{
#if defined(SKUI_ASAN)
    __sanitizer_start_switch_fiber(NULL, to->asan_bottom, to->asan_bytes);
#endif
#if defined(SKUI_TSAN)
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    skui_arch_switch(&from->context, to->context);
}

SKUI_END_DECLS

#endif
