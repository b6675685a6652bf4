/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context.h - what code runs in, in one word of its task, handle or thread.
 *
 *   0          an empty context of its own
 *   a map      a copy of another context that nobody has changed yet
 *   a context  tagged with 1: its own once it has changed, or a given one
 *
 * The word goes this way once and then stays until its holder ends, so any
 * thread that has a reference to the holder may look. Its owner alone may
 * change what is in its own context, unless others were given that.
 */
#ifndef SKUI_CONTEXT_H
#define SKUI_CONTEXT_H

#include "atomic.h"
#include "skua/context.h"

SKUI_BEGIN_DECLS

typedef _Atomic(uintptr_t) skui_context_slot; /* CX1 */

/* Where one plain thread keeps its own; tls.c. */
struct skui_thread_context {
    skui_context_slot slot;
    skua_context *entered; /* by skua_context_run(); borrowed */
};

/* Whether any variable was ever set in this process: until then every context
 * is empty and costs nothing. Relaxed: who could see a value that was set has
 * seen this before. */
extern _Atomic(bool) skui_contexts_used;

/* The word of a copy of the current context. */
uintptr_t skui_context_capture_current(void);
static inline uintptr_t skui_context_capture(void)
{
    return SKUI_LIKELY(!skui_load_relaxed(&skui_contexts_used)) /* relaxed: as
                                                                   said */
               ? 0
               : skui_context_capture_current();
}

/* The word of `context`, shared. */
uintptr_t skui_context_share(skua_context *context);
/* The same; of a copy of the current one for NULL. */
static inline uintptr_t skui_context_choose(skua_context *context)
{
    return context != NULL ? skui_context_share(context)
                           : skui_context_capture();
}

/* The word of one more copy of what `word` names. */
uintptr_t skui_context_copy_word(uintptr_t word);

/* `word` once more: the same context, or one more copy. */
uintptr_t skui_context_share_word(uintptr_t word);

/* Let go of a word; may call users' `destroy`. */
void skui_context_release_word(uintptr_t word);
static inline void skui_context_release(skui_context_slot *slot)
{
    /* relaxed: its holder ends */
    uintptr_t word = skui_load_relaxed(slot);

    if (SKUI_UNLIKELY(word != 0)) {
        skui_store_relaxed(slot, (uintptr_t)0); /* relaxed: as above */
        skui_context_release_word(word);
    }
}

/* The context behind a slot, made if need be: a new reference, or NULL. */
skua_context *skui_context_of_slot(skui_context_slot *slot);

/*
 * Call fn(arg) in a thread of an executor, in what skui_context_capture() gave
 * where the work was submitted; takes the word. Nothing that `fn` sets is seen
 * anywhere else.
 */
int skui_context_run_captured(uintptr_t word, skua_task_fn *fn, void *arg);

/* The calling thread's own (tls.c), and the end of it. */
SKUI_NOINLINE struct skui_thread_context *skui_context_of_thread(void);
void skui_context_thread_ends(struct skui_thread_context *own);

/* In a forked child, while it still knows what ran: its one thread goes on in
 * a copy of that context. */
void skui_context_after_fork(void);

SKUI_END_DECLS

#endif
