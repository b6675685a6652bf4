/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Seeing what goes on: the log, debug mode, stacks, what was left behind.
 *
 * Debug mode is a setting of each loop (skua_loop_set_debug()). While it is on,
 * tasks, futures and handles remember where they were made, and steps that keep
 * their loop for too long are reported (skua_loop_set_slow_callback_duration).
 * A socket, executor or loop made then whose last reference goes before it was
 * closed is logged as a warning, "unclosed socket ..., made at ...", and so is
 * what a loop or runner that closes leaves open: sockets made on its loops, and
 * descriptors that those watch.
 */
#ifndef SKUA_DEBUG_H
#define SKUA_DEBUG_H

#include <stdbool.h>

#include <skua/types.h>

SKUA_BEGIN_DECLS

enum {
    SKUA_BACKTRACE_FRAMES = 10, /* kept of where something was made */
};

/** How grave a line of the log is; as Python's logging. */
typedef enum skua_log_level {
    SKUA_LOG_DEBUG,
    SKUA_LOG_INFO,
    SKUA_LOG_WARNING,
    SKUA_LOG_ERROR,
    SKUA_LOG_CRITICAL,
} skua_log_level;

/**
 * Takes a message of one or more lines, borrowed, without a final newline. It
 * may be called in any thread, in several at once, and must not suspend.
 */
typedef void skua_log_fn(skua_log_level level, const char *message, void *arg);

/**
 * Who gets the library's messages; NULL: the default, which writes to standard
 * error. The former one may still be in use in other threads for a moment.
 * What a logger raises, or causes to be logged itself, goes to the default.
 * @return 0
 * Thread: any.  Suspends: never.  asyncio: the logger "asyncio".
 */
SKUA_API int skua_set_logger(skua_log_fn *fn, void *arg);

/**
 * Whether loops made from now on start in debug mode, and what is made without
 * a loop remembers where. Initially what the environment says: SKUA_DEBUG set
 * to anything but "" and "0" is on, and then what is left at exit is logged
 * (skua_dump_leaks()).
 * @return 0
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_set_debug(bool enabled);

/**
 * What skua_set_debug() or the environment has set.
 * Thread: any.  Suspends: never.
 */
SKUA_API bool skua_get_debug(void);

/**
 * Write one line for each frame, "  #0 0xADDRESS function+0xOFFSET (module)",
 * separated by newlines. Functions are named as far as the dynamic linker knows
 * them (link programs with -rdynamic); addr2line knows the rest.
 * @param buffer  gets at most `bytes`, terminated; NULL with 0 bytes
 * @return the length of the full text; -EINVAL
 * Thread: any.  Suspends: never.  Python: traceback.format_list().
 */
SKUA_API int skua_backtrace_format(void *const *frames, size_t count,
                                   char *buffer, size_t bytes);

/**
 * The return addresses on a task's stack, innermost first. Of the calling task
 * these are the callers of this call; of a suspended one they begin where it
 * suspended, and go on as far as its functions keep frame pointers.
 * @return how many, at most `capacity`; 0 when it is done; -EBUSY while it
 *         runs elsewhere or waits for its turn; -EINVAL; -ENOTSUP on a CPU
 *         without an own switch; SKUA_EFORKED
 * Thread: any.  Suspends: never.  asyncio: Task.get_stack().
 */
SKUA_API int skua_task_get_stack(skua_task *task, void **frames,
                                 size_t capacity);

/**
 * Log the stack of a task, 64 frames at most, where it was made (in debug
 * mode), and its name, at level INFO.
 * @param limit  of frames; 0: as many as there are
 * @return as skua_task_get_stack(), when negative: only the rest is logged
 * Thread: any.  Suspends: never.  asyncio: Task.print_stack().
 */
SKUA_API int skua_task_print_stack(skua_task *task, size_t limit);

/**
 * Log each object that was made in debug mode and still exists: what it is and
 * where it was made, at level WARNING.
 * @return how many there are
 * Thread: any.  Suspends: never.  Python: ResourceWarning.
 */
SKUA_API int64_t skua_dump_leaks(void);

SKUA_END_DECLS

#endif
