/* SPDX-License-Identifier: Apache-2.0 */
/**
 * An executor of worker processes. They run functions that were registered by
 * name (function.h) before the fork server was started, with bytes in and bytes
 * out; large ones are handed over in shared memory, without a copy.
 *
 *     int main(void)
 *     {
 *         skua_function_register("resize", resize);
 *         skua_fork_server_start();
 *         return skua_run(main_task, NULL) < 0;
 *     }
 *
 * Workers are forked by that server: a small process, made before the program
 * has threads and a large heap. They inherit standard output and error of the
 * program, an empty standard input, its process group, which signals are
 * ignored, and otherwise what the program was when it started the server. They
 * ignore SIGINT besides: Ctrl-C is for the program, which decides what becomes
 * of its work. Server and workers end with the program, also when that is
 * killed. Exit handlers of the program do not run in a worker, unless a
 * function there calls exit().
 */
#ifndef SKUA_PROCESS_POOL_H
#define SKUA_PROCESS_POOL_H

#include <skua/executor.h>

SKUA_BEGIN_DECLS

/**
 * Start the fork server. main() calls this once its functions are registered
 * and before it starts threads. Streams are flushed. It is a child of the
 * program, which wait(2) for any child finds like others.
 * @return 0, also when it runs already; -EBUSY when there are several threads:
 *         what locks guard would be lost in a fork; -EAGAIN, -ENOMEM and other
 *         errnos of fork(2), socketpair(2) and of reading /proc/self/task
 * Thread: main's.  Suspends: never.  multiprocessing: the "forkserver" method.
 */
SKUA_API int skua_fork_server_start(void);

/** What the death of a worker does. */
typedef enum skua_restart_policy {
    SKUA_RESTART_NEVER,  /* it breaks the pool: all its work fails, and whatever
                            is submitted later: as concurrent.futures */
    SKUA_RESTART_ALWAYS, /* what it was running fails, or is run again; the rest
                            goes to other workers, and another one is started in
                            its place when there is work for it. The pool breaks
                            after ten workers in a row that were never ready */
} skua_restart_policy;

/** A process pool. All-zero is the default. */
typedef struct skua_process_pool_options {
    int max_workers; /* 0: usable cores; 1024 at most */
    /* A registered function, run by each worker first, with its data; both are
     * copied; NULL: none. A negative status breaks the pool. */
    const char *initializer;
    const void *initializer_data; /* NULL with 0 bytes */
    size_t initializer_bytes;
    size_t max_queued;           /* work that waits at once, beside as much as
                                    max_workers run; 0: see the policy */
    skua_queue_policy policy;    /* when as much waits; GROW needs max_queued 0,
                                    the others need one */
    skua_restart_policy restart; /* when a worker dies */
    int max_attempts;            /* ALWAYS: work fails when as many workers have
                                    died of it; 0: 1, it is not run again */
    /* From a death until the next start; doubled with each, until a worker has
     * answered; and what that grows to. 0: 10 ms, 5 s. */
    int64_t restart_delay_ns;
    int64_t restart_delay_max_ns;
    uint64_t max_tasks_per_child; /* a worker ends after as many; 0: never */
    uint64_t address_space_bytes; /* RLIMIT_AS of a worker; 0: the program's */
    /* RLIMIT_CPU of a worker, which is killed after as much (SIGXCPU); 0: the
     * program's. */
    uint64_t cpu_seconds;
    int nice; /* added to the program's; negative ones need a privilege */
    /* Of memory for calls to a worker, and as much for its answers, rounded up
     * to a power of two; 0: 256 KiB; 1 GiB at most. */
    size_t ring_bytes;
    size_t max_message_bytes; /* of a call or an answer; 0: 1 GiB */
    int prefetch; /* work that lies with one worker at once, with what it runs;
                     0: 64; 255 at most */
} skua_process_pool_options;

/**
 * A pool of worker processes, which are started one by one when there is work
 * and none is idle. Work goes to the worker that has least, and starts there in
 * the order submitted; what lies with one worker can still be cancelled, and
 * goes to another that becomes idle meanwhile. When a worker dies, the future's
 * exception says of what.
 * @param options  borrowed; NULL: the default
 * @param out_executor  a new reference. Submitting to it gives -ENOTSUP for a
 *                      function that has no name, -ENOENT for one that the
 *                      workers do not know, -EMSGSIZE for too many bytes
 * @return 0; -EINVAL; -ENOENT for an initializer that workers do not know;
 *         -ENOTCONN when no fork server was started in this process;
 *         SKUA_EBROKENPOOL when it has died; -ENOMEM; -EMFILE and other errnos
 *         of sockets and threads
 * Thread: any.  Suspends: never.  concurrent.futures: ProcessPoolExecutor().
 */
SKUA_API int
skua_process_pool_executor_new(const skua_process_pool_options *options,
                               skua_executor **out_executor);

/**
 * Send SIGTERM to all workers and shut the pool down: what is queued or running
 * fails with SKUA_EBROKENPOOL, without waiting for them. A function that
 * ignores the signal keeps its worker, and who waits for the end.
 * @return 0; -EINVAL for another kind of executor; SKUA_EFORKED
 * Thread: any.  Suspends: never.
 * concurrent.futures: ProcessPoolExecutor.terminate_workers().
 */
SKUA_API int skua_process_pool_terminate_workers(skua_executor *executor);

/**
 * The same with SIGKILL, which nothing withstands.
 * @return as skua_process_pool_terminate_workers()
 * Thread: any.  Suspends: never.
 * concurrent.futures: ProcessPoolExecutor.kill_workers().
 */
SKUA_API int skua_process_pool_kill_workers(skua_executor *executor);

SKUA_END_DECLS

#endif
