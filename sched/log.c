/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - the library's messages, on their way to the program's logger.
 * Threads     Any. The logger is called outside the lock, so in several threads
 *             at once.
 * Invariants  Only this file writes to standard error, but for the last words
 *             before the process dies (overflow.c).
 */
#include "log.h"

#include <stdio.h>

#include "report.h"
#include "spinlock.h"

static struct skui_spinlock logger_lock;
static skua_log_fn *logger_fn; /* guarded by logger_lock, as the next */
static void *logger_arg;

static void log_to_stderr(const char *message)
{
    (void)fprintf(stderr, "skua: %s\n", message);
}

int skua_set_logger(skua_log_fn *fn, void *arg)
{
    skui_spinlock_lock(&logger_lock);
    logger_fn = fn;
    logger_arg = arg;
    skui_spinlock_unlock(&logger_lock);
    return 0;
}

void skui_log(skua_log_level level, const char *message)
{
    struct skui_report_scope scope;
    skua_exception *raised;
    skua_log_fn *fn;
    void *arg;

    skui_spinlock_lock(&logger_lock);
    fn = logger_fn;
    arg = logger_arg;
    skui_spinlock_unlock(&logger_lock);
    if (fn == NULL || skui_report_depth() >= SKUI_REPORT_IN_LOGGER) {
        log_to_stderr(message);
        return;
    }
    skui_report_scope_enter(&scope, SKUI_REPORT_IN_LOGGER);
    fn(level, message, arg);
    raised = skui_report_scope_leave(&scope);
    if (raised != NULL) {
        log_to_stderr("exception in the logger");
        log_to_stderr(skua_exception_message(raised));
        log_to_stderr(message);
        skua_exception_unref(raised);
    }
}

void skui_log_after_fork(void)
{
    skui_spinlock_unlock(&logger_lock);
}
