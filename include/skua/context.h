/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Context variables, Python's contextvars: values that follow a task, not a
 * thread.
 *
 * Each task and each callback runs in a context of its own: a copy of the one
 * that was current where it was created or registered, so what it sets stays
 * with it. A plain thread has one as well. A context that is given explicitly
 * is not copied: all that run in it see what one of them sets. Copying costs
 * one counted pointer, however many variables are set.
 *
 * A value is owned by the contexts that hold it. A variable with `destroy` has
 * that called, once for each value that was set, when no context and no token
 * holds it any more, in whatever thread lets go of it. It must not suspend.
 */
#ifndef SKUA_CONTEXT_H
#define SKUA_CONTEXT_H

#include <stdbool.h>

#include <skua/types.h>

SKUA_BEGIN_DECLS

/**
 * A variable: storage that lives as long as the process, known by its address.
 * All-zero is valid: no name, default NULL, values that are not owned. Its
 * fields are constant once it is used.
 */
typedef struct skua_context_var {
    const char *name;             /* borrowed; for who debugs */
    void *default_value;          /* where it is not set; never destroyed */
    void (*destroy)(void *value); /* NULL: values belong to the caller */
} skua_context_var;

/**
 * What takes a skua_context_var_set() back. All-zero: none. It owns the value
 * that was there before until it is used or dropped.
 */
typedef struct skua_context_token {
    SKUA_ALIGNED(8) unsigned char opaque[32];
} skua_context_token;

/**
 * The value of `var` in the current context.
 * @param out_value  the value, or the default; borrowed as long as this context
 *                   holds it: until the variable is set here again or the
 *                   task, callback or thread ends. Who shares a context must
 *                   not destroy in it what others may be using
 * @return 1 when it is set; 0 for the default; -EINVAL
 * Thread: any.  Suspends: never.  Python: ContextVar.get().
 */
SKUA_API int skua_context_var_get(const skua_context_var *var,
                                  void **out_value);

/**
 * Set `var` in the current context. The cost grows with how many are set there.
 * @param value  taken, if the variable has `destroy`; not on failure
 * @param out_token  NULL, or written: to be given to skua_context_var_reset()
 *                   or skua_context_token_drop()
 * @return 0; -EINVAL; -ENOMEM
 * Thread: any.  Suspends: never.  Python: ContextVar.set().
 */
SKUA_API int skua_context_var_set(const skua_context_var *var, void *value,
                                  skua_context_token *out_token);

/**
 * Give `var` the value back, or none, that it had before the set that made
 * `token`. The token is used up.
 * @return 0; -EINVAL for a token of another variable; SKUA_EINVALSTATE when it
 *         was used or dropped before; -EPERM in another context; -ENOMEM (the
 *         token stays)
 * Thread: any, in the context of the set.  Suspends: never.
 * Python: ContextVar.reset().
 */
SKUA_API int skua_context_var_reset(const skua_context_var *var,
                                    skua_context_token *token);

/**
 * Let go of a token that is not used; does nothing to a used or all-zero one.
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_context_token_drop(skua_context_token *token);

/**
 * An empty context.
 * @param out_context  a new reference
 * @return 0; -EINVAL; -ENOMEM
 * Thread: any.  Suspends: never.  Python: Context().
 */
SKUA_API int skua_context_new(skua_context **out_context);

/**
 * A copy of the current context.
 * @param out_context  a new reference
 * @return 0; -EINVAL; -ENOMEM
 * Thread: any.  Suspends: never.  Python: copy_context().
 */
SKUA_API int skua_copy_context(skua_context **out_context);

/**
 * A copy of `context`.
 * @param out_context  a new reference
 * @return 0; -EINVAL; -ENOMEM
 * Thread: any.  Suspends: never.  Python: Context.copy().
 */
SKUA_API int skua_context_copy(skua_context *context,
                               skua_context **out_context);

/**
 * Another reference; NULL is passed through.
 * Thread: any.  Suspends: never.
 */
SKUA_API skua_context *skua_context_ref(skua_context *context);

/**
 * Drop a reference; NULL is allowed.
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_context_unref(skua_context *context);

/**
 * The value of `var` in `context`.
 * @param out_value  the value, or the default; borrowed as long as `context`
 *                   holds it
 * @return 1 when it is set; 0 for the default; -EINVAL
 * Thread: any.  Suspends: never.  Python: Context.get().
 */
SKUA_API int skua_context_get(skua_context *context,
                              const skua_context_var *var, void **out_value);

/**
 * How many variables are set in it; 0 for NULL.
 * Thread: any.  Suspends: never.  Python: len(context).
 */
SKUA_API size_t skua_context_count(skua_context *context);

/**
 * Call `fn(arg)` with `context` as the current one, as skua_call() does: what
 * it sets stays in `context`. A task may suspend in it. Unlike Python, several
 * may be in one context at a time, on several loops.
 * @param context  borrowed until `fn` returns
 * @param out_result  may be NULL; written on success
 * @return the function's status; -EINVAL; -ENOMEM (nothing was called)
 * Thread: any.  Suspends: as `fn` does.  Python: Context.run().
 */
SKUA_API int skua_context_run(skua_context *context, skua_task_fn *fn,
                              void *arg, void **out_result);

/**
 * The context that `task` runs in: not a copy.
 * @param out_context  a new reference
 * @return 0; -EINVAL when it is no task; -ENOMEM
 * Thread: any.  Suspends: never.  asyncio: Task.get_context().
 */
SKUA_API int skua_task_get_context(skua_task *task, skua_context **out_context);

/**
 * The context that a callback runs in: not a copy.
 * @param out_context  a new reference
 * @return 0; -EINVAL; -ENOMEM
 * Thread: any.  Suspends: never.  asyncio: Handle.get_context().
 */
SKUA_API int skua_handle_get_context(skua_handle *handle,
                                     skua_context **out_context);

/**
 * skua_loop_call_soon() in `context`, which is shared, not copied.
 * @param context  the handle takes its own reference; NULL: a copy of the
 *                 current one
 * @return as skua_loop_call_soon()
 * Thread: the loop's, or any while it does not run.  Suspends: never.
 * asyncio: call_soon(context=context).
 */
SKUA_API int skua_loop_call_soon_in(skua_loop *loop, skua_context *context,
                                    skua_callback_fn *fn, void *arg,
                                    skua_handle **out_handle);

/**
 * skua_loop_call_soon_threadsafe() in `context`, as skua_loop_call_soon_in().
 * @return as skua_loop_call_soon_threadsafe()
 * Thread: any.  Suspends: never.
 * asyncio: call_soon_threadsafe(context=context).
 */
SKUA_API int skua_loop_call_soon_threadsafe_in(skua_loop *loop,
                                               skua_context *context,
                                               skua_callback_fn *fn, void *arg,
                                               skua_handle **out_handle);

/**
 * skua_loop_call_later() in `context`, as skua_loop_call_soon_in().
 * @return as skua_loop_call_later()
 * Thread: the loop's, or any while it does not run.  Suspends: never.
 * asyncio: call_later(context=context).
 */
SKUA_API int skua_loop_call_later_in(skua_loop *loop, skua_context *context,
                                     int64_t delay_ns, skua_callback_fn *fn,
                                     void *arg, skua_handle **out_handle);

/**
 * skua_loop_call_at() in `context`, as skua_loop_call_soon_in().
 * @return as skua_loop_call_at()
 * Thread: the loop's, or any while it does not run.  Suspends: never.
 * asyncio: call_at(context=context).
 */
SKUA_API int skua_loop_call_at_in(skua_loop *loop, skua_context *context,
                                  int64_t when_ns, skua_callback_fn *fn,
                                  void *arg, skua_handle **out_handle);

/**
 * skua_future_add_done_callback() in `context`, as skua_loop_call_soon_in(). An
 * executor's own future calls back where it is completed, in no context.
 * @return as skua_future_add_done_callback()
 * Thread: any.  Suspends: never.
 * asyncio: Future.add_done_callback(context=context).
 */
SKUA_API int skua_future_add_done_callback_in(skua_future *future,
                                              skua_context *context,
                                              skua_done_callback_fn *fn,
                                              void *arg);

SKUA_END_DECLS

#endif
