/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_pool_report.c - what still runs in a pool that should have ended.
 * Threads     Who waited for the end. The workers go on meanwhile.
 * Invariants  A worker is looked at while the pool's lock keeps it from
 * leaving. Nothing is logged under that: the logger may do what it likes.
 * Progress    A few system calls for each stuck thread (kernel_stack.c).
 * Rejected    Asking threads that compute by a signal, as the watchdog does
 *             with loops: work may mind the signal, and its name is known.
 */
#include <dlfcn.h>
#include <stdio.h>

#include "../clock.h"
#include "../log.h"
#include "../running_stack.h"
#include "thread_pool.h"

enum { STUCK_MAX = 16, WHAT_BYTES = 192, TEXT_BYTES = 8192 };

/* A worker that has work, as it was. */
struct stuck {
    uintptr_t runs;
    const char *name;
    uint64_t since_ticks;
    pid_t thread_id;
    unsigned number;
};

/* True when it has some; locked. */
static bool stuck_read(struct skui_pool_worker *worker, struct stuck *out)
{
    /* relaxed, all: a report may mix what was and what is */
    out->runs = skui_load_relaxed(&worker->runs);
    out->name = skui_load_relaxed(&worker->runs_name);
    out->since_ticks = skui_load_relaxed(&worker->runs_since);
    out->thread_id = skui_load_relaxed(&worker->thread_id);
    out->number = skui_load_relaxed(&worker->number);
    return out->runs != 0;
}

/* How many have work; as many as fit are written. */
static size_t pool_find_stuck(struct skui_thread_pool *pool,
                              struct stuck *stuck)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&pool->lock);
    for (struct skui_pool_worker *worker = pool->workers; worker != NULL;
         worker = worker->next) {
        struct stuck found;

        if (stuck_read(worker, &found)) {
            if (count < STUCK_MAX) {
                stuck[count] = found;
            }
            count++;
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return count;
}

/* "NAME" when it is registered, FUNCTION when the linker knows it, else where
 * it lies, for addr2line. */
static void stuck_name(const struct stuck *stuck, char *what)
{
    void *address = (void *)stuck->runs;
    Dl_info info = {0};

    if (stuck->name != NULL) {
        (void)snprintf(what, WHAT_BYTES, "\"%s\"", stuck->name);
    } else if (dladdr(address, &info) != 0 && info.dli_sname != NULL &&
               info.dli_saddr == address) {
        (void)snprintf(what, WHAT_BYTES, "%.128s", info.dli_sname);
    } else if (info.dli_fname != NULL) {
        (void)snprintf(what, WHAT_BYTES, "%p (%.96s+0x%zx)", address,
                       info.dli_fname,
                       (size_t)(stuck->runs - (uintptr_t)info.dli_fbase));
    } else {
        (void)snprintf(what, WHAT_BYTES, "%p", address);
    }
}

static double stuck_seconds(const struct stuck *stuck)
{
    uint64_t now = skui_clock_ticks();

    return now > stuck->since_ticks ? (double)(now - stuck->since_ticks) /
                                          (double)skui_clock_ticks_of(SKUA_S)
                                    : 0.0;
}

static void stuck_log(struct skui_thread_pool *pool, const struct stuck *stuck)
{
    struct skui_running_answer answer = {.state = SKUI_RUNNING_UNKNOWN};
    char text[TEXT_BYTES];
    char what[WHAT_BYTES];
    const char *call = NULL;
    int used;

    stuck_name(stuck, what);
    skui_running_look(stuck->thread_id, &answer);
    if (answer.state == SKUI_RUNNING_WAITS && answer.system_call >= 0) {
        call = skui_system_call_name(answer.system_call);
    }
    used = snprintf(text, sizeof(text),
                    "thread pool: %.10s-%u (thread %d) has run %s for %.3f "
                    "seconds and goes on%s%s",
                    pool->name_prefix, stuck->number % 10000,
                    (int)stuck->thread_id, what, stuck_seconds(stuck),
                    call == NULL ? "" : ", in system call ",
                    call == NULL ? "" : call);
    if (answer.count > 0) {
        text[used++] = '\n';
        (void)skua_backtrace_format(answer.frames, answer.count, text + used,
                                    sizeof(text) - (size_t)used);
    }
    skui_log(SKUA_LOG_WARNING, text);
}

void skui_pool_report(void *self)
{
    struct skui_thread_pool *pool = self;
    struct stuck stuck[STUCK_MAX];
    size_t count = pool_find_stuck(pool, stuck);
    char text[WHAT_BYTES];

    for (size_t i = 0; i < count && i < STUCK_MAX; i++) {
        stuck_log(pool, &stuck[i]);
    }
    (void)snprintf(text, sizeof(text),
                   "thread pool \"%.10s\": shut down, but not at its end in "
                   "time: %zu threads have work, %zu pieces are queued",
                   pool->name_prefix, count,
                   skui_work_queue_count(&pool->queue));
    skui_log(SKUA_LOG_WARNING, text);
}
