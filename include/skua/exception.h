/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Exceptions: a status with a message, an origin and a cause. A program is
 * correct without ever reading one; those nobody reads are reported.
 */
#ifndef SKUA_EXCEPTION_H
#define SKUA_EXCEPTION_H

#include <skua/types.h>

SKUA_BEGIN_DECLS

/**
 * Fail with a message: `return skua_raise(status, "format", ...);`. The
 * exception goes to who awaits the current task, direct call or executor job;
 * in a callback of a loop, to its exception handler. Raising while another
 * exception is being handled records that one as the cause.
 * @param status  negative; anything else becomes -EINVAL
 * @return `status`, also when memory is short (the message is lost then)
 * Thread: any.  Suspends: never.  Python: raise.
 */
SKUA_API int skua_raise(int status, const char *format, ...) SKUA_PRINTF(2, 3);

/**
 * The exception that the last failed wait or call of the current task, direct
 * call or job delivered here, or skua_raise() made, borrowed until the next
 * one; NULL when there was none, or a failure was a bare status.
 * Thread: any.  Suspends: never.  Python: sys.exception().
 */
SKUA_API skua_exception *skua_current_exception(void);

/**
 * A new exception.
 * @param out_exception  a new reference
 * @param status  negative; anything else becomes -EINVAL
 * @param format  printf's
 * @return 0; -EINVAL; -ENOMEM
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_exception_new(skua_exception **out_exception, int status,
                                const char *format, ...) SKUA_PRINTF(3, 4);

/**
 * Another reference to `exception` (NULL is passed through).
 * Thread: any.  Suspends: never.
 */
SKUA_API skua_exception *skua_exception_ref(skua_exception *exception);

/**
 * Drop a reference; NULL is allowed.
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_exception_unref(skua_exception *exception);

/**
 * Its status, negative; -EINVAL for NULL.
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_exception_status(const skua_exception *exception);

/**
 * Its message, never NULL; stays with the exception.
 * Thread: any.  Suspends: never.
 */
SKUA_API const char *skua_exception_message(const skua_exception *exception);

/**
 * The name of the task that raised it, or "" outside tasks; stays with it.
 * Thread: any.  Suspends: never.
 */
SKUA_API const char *skua_exception_task_name(const skua_exception *exception);

/**
 * Its cause, borrowed as long as `exception` lives; NULL when it has none.
 * Thread: any.  Suspends: never.  Python: __cause__.
 */
SKUA_API skua_exception *skua_exception_cause(const skua_exception *exception);

/**
 * How many children a group has; 0 for a plain exception.
 * Thread: any.  Suspends: never.  Python: len(ExceptionGroup.exceptions).
 */
SKUA_API size_t skua_exception_count(const skua_exception *exception);

/**
 * The `index`-th child in order of completion, borrowed as long as `exception`
 * lives; NULL beyond the end.
 * Thread: any.  Suspends: never.  Python: ExceptionGroup.exceptions.
 */
SKUA_API skua_exception *skua_exception_child(const skua_exception *exception,
                                              size_t index);

/**
 * What an exception handler is told. Unused fields are zero; all pointers are
 * borrowed. The library fills in `loop`, `task` and the backtraces itself.
 */
typedef struct skua_exception_context {
    const char *message;       /* what happened */
    int status;                /* negative; 0 for what is no error: slowness */
    skua_exception *exception; /* NULL for a bare status */
    skua_loop *loop;
    skua_future *future; /* the future concerned; a task as well */
    skua_handle *handle; /* the callback concerned */
    skua_task *task;     /* `future` when that is a task */
    int64_t duration_ns; /* of a callback or step that took too long */
    /* In debug mode: where the future or task was made, and where the handle
     * was, or that of the callback that runs; see skua_backtrace_format(). */
    void *const *source_traceback;
    size_t source_frames;
    void *const *handle_traceback;
    size_t handle_frames;
    /* Of a callback or step that goes on: what its thread was calling when it
     * was looked at, innermost first, as far as functions keep frame pointers.
     * None when the thread blocks signals, or all real-time signals are the
     * program's. A thread that waits in a system call, which the message names,
     * is not disturbed; its calls are looked for on its stack: who made that
     * one may be missing, or one before it that has returned be there. */
    void *const *frames;
    size_t frame_count;
} skua_exception_context;

/**
 * Called in the thread that reports, which for an object of another loop is not
 * that loop's: it may run in several threads at once. Like a callback it must
 * not suspend, and no task is current in it. It may take references. What it
 * raises, or reports in turn, goes to the default handler.
 */
typedef void skua_exception_handler_fn(skua_loop *loop,
                                       const skua_exception_context *context,
                                       void *arg);

/**
 * The first exception of that status: `exception` itself, or within a group
 * and the groups in it, in their order. Borrowed as long as `exception` lives;
 * NULL when there is none, or when memory is too short to look through groups
 * that are nested more than 16 deep.
 * Thread: any.  Suspends: never.  Python: ExceptionGroup.subgroup(), [0].
 */
SKUA_API skua_exception *skua_exception_find(const skua_exception *exception,
                                             int status);

/**
 * Take a group apart by status: into the exceptions that have it and the
 * others, each as a group like the one given, nested as there. What has the
 * status as a whole, or is no group, goes undivided to one side.
 * @param out_matches, out_rest  new references; NULL for a side without any
 * @return 0; -EINVAL; -ENOMEM
 * Thread: any.  Suspends: never.  Python: ExceptionGroup.split(), except*.
 */
SKUA_API int skua_exception_split(const skua_exception *exception, int status,
                                  skua_exception **out_matches,
                                  skua_exception **out_rest);

SKUA_END_DECLS

#endif
