/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroutine.c - the one place that switches stacks.
 * Threads     A coroutine is owned by the thread that runs it or, suspended,
 *             by whoever will continue it; handing over is the caller's.
 * Invariants  After a switch the thread may be another one: nothing of the
 *             thread is kept across it but errno, which is carried by value.
 */
#include "coroutine.h"

#include <pthread.h>

#if defined(SKUI_ASAN)
#include <sanitizer/asan_interface.h>
#endif

void skui_coroutine_init_thread(struct skui_coroutine *coroutine)
{
    coroutine->context = NULL;
#if defined(SKUI_ASAN)
    {
        pthread_attr_t attributes;
        void *bottom = NULL;
        size_t bytes = 0;

        if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
            (void)pthread_attr_getstack(&attributes, &bottom, &bytes);
            (void)pthread_attr_destroy(&attributes);
        }
        coroutine->fake_stack = NULL;
        coroutine->asan_bottom = bottom;
        coroutine->asan_bytes = bytes;
    }
#endif
#if defined(SKUI_TSAN)
    coroutine->fiber = __tsan_get_current_fiber();
#endif
}

void skui_coroutine_prepare(struct skui_coroutine *coroutine,
                            const struct skui_stack *stack,
                            skui_arch_entry_fn *entry, void *arg)
{
#if defined(SKUI_ASAN)
    /* Its last user left in the middle of a call: redzones remain. */
    __asan_unpoison_memory_region(stack->limit,
                                  (size_t)(stack->top - stack->limit));
    coroutine->fake_stack = NULL;
    coroutine->asan_bottom = stack->limit;
    coroutine->asan_bytes = (size_t)(stack->top - stack->limit);
#endif
    coroutine->context =
        skui_arch_prepare(stack->limit, stack->top, entry, arg);
#if defined(SKUI_TSAN)
    coroutine->fiber = __tsan_create_fiber(0);
#endif
}

void skui_coroutine_stand_in(struct skui_coroutine *place,
                             const struct skui_coroutine *self)
{
    *place = *self;
#if defined(SKUI_ASAN)
    place->fake_stack = NULL; /* saved there by the switch */
#endif
}

void skui_coroutine_entered(struct skui_coroutine *self,
                            struct skui_coroutine *from)
{
#if defined(SKUI_ASAN)
    __sanitizer_finish_switch_fiber(self->fake_stack, NULL, NULL);
#endif
    (void)self;
    (void)from;
}

void skui_coroutine_fini(struct skui_coroutine *coroutine)
{
#if defined(SKUI_TSAN)
    __tsan_destroy_fiber(coroutine->fiber);
#endif
    coroutine->context = NULL;
}
