/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime.c - what is set up once per process, and after fork().
 * Threads     The first caller sets up; others wait for it.
 */
#include <pthread.h>

#include "awaited_by.h"
#include "clock.h"
#include "composite.h"
#include "cores.h"
#include "debug.h"
#include "executor/interrupt.h"
#include "executor/job.h"
#include "executor/map_work.h"
#include "executor/process/process_pool.h"
#include "future.h"
#include "log.h"
#include "loop.h"
#include "membarrier.h"
#include "overflow.h"
#include "source.h"
#include "stack.h"
#include "task.h"
#include "watchdog.h"

static pthread_once_t runtime_once = PTHREAD_ONCE_INIT;

/* The task whose stack the calling thread runs on; a signal handler asks. */
static bool runtime_describe(uintptr_t fault_address,
                             struct skui_overflow_site *out)
{
    struct skui_task *task = skui_task_self();

    (void)fault_address;
    if (task == NULL) {
        return false;
    }
    /* Formatting a number is no work for a signal handler. */
    /* relaxed: its own name; who changes it now is not waited for */
    out->name = skui_load_relaxed(&task->named) ? task->name : "(unnamed)";
    out->low = (uintptr_t)task->stack.limit;
    out->high = (uintptr_t)task->stack.top;
    out->guard_bytes = SKUI_STACK_GUARD_BYTES;
    return true;
}

static void runtime_after_fork(void)
{
    skui_context_after_fork(); /* asks what ran */
    skui_tls_after_fork();
    skui_tasks_after_fork();
    skui_memory_after_fork();
    skui_membarrier_after_fork();
    skui_stack_after_fork();
    skui_overflow_after_fork();
    skui_loops_after_fork();
    skui_sources_after_fork();
    skui_fork_server_after_fork();
    skui_process_pools_after_fork();
    skui_handles_after_fork();
    skui_log_after_fork();
    skui_origins_after_fork();
    skui_awaited_by_after_fork();
    skui_watchdog_after_fork();
    skui_running_after_fork();
    skui_interrupt_after_fork();
}

static void runtime_set_up(void)
{
    skui_object_class_init(SKUI_OBJECT_TASK, sizeof(struct skui_task));
    skui_object_class_init(SKUI_OBJECT_FUTURE, sizeof(struct skua_future));
    skui_object_class_init(SKUI_OBJECT_COMPOSITE, SKUI_COMPOSITE_BYTES);
    skui_object_class_init(SKUI_OBJECT_WAITER, sizeof(struct skui_waiter));
    skui_object_class_init(SKUI_OBJECT_JOB, sizeof(struct skui_job));
    skui_handle_classes_init();
    skui_map_work_init();
    skui_debug_init();
    skui_membarrier_init();
    skui_clock_calibrate();
    (void)skui_known_cores(); /* for who may not read files */
    skui_overflow_set_describer(runtime_describe);
    (void)pthread_atfork(NULL, NULL, runtime_after_fork);
}

void skui_runtime_init(void)
{
    (void)pthread_once(&runtime_once, runtime_set_up);
}
