/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_end.c - what becomes of work when workers, or the pool, come to their
 * end.
 * Threads     The keeper buries workers; any thread shuts down or breaks.
 * Invariants  Each job of a worker that has died is completed, or in the list
 *             again. What it had answered before counts. A broken pool has no
 *             job left anywhere.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "process_pool.h"

#include "../../clock.h"
#include "../../log.h"

enum {
    FAILURES_MOST = 10,
    NEWS_BYTES = 512,
    LEFT_MOST = SKUI_PROCESS_SLOTS + 2, /* an answer each, READY, LEAVING */
};

/* --- taking jobs out --- */

static void after_fail(struct skui_process_after *after, struct skui_job *job)
{
    job->next = after->failed;
    after->failed = job;
}

static void after_fail_with(struct skui_process_after *after, const char *why)
{
    after->status = SKUA_EBROKENPOOL;
    (void)snprintf(after->message, sizeof(after->message), "%s", why);
}

/* All jobs that it still has; of these it starts no other. */
static void worker_fail_all(struct skui_process_worker *worker,
                            struct skui_process_after *after)
{
    int slot;

    skui_process_recall(worker);
    while ((slot = skui_process_youngest(worker, UINT64_MAX)) >= 0) {
        after_fail(after,
                   skui_process_take(worker, worker->slots[slot].id, after));
        skui_source_settle(&worker->pool->source, 1);
    }
}

/* Those that have started, after it died: they fail, or are tried again. */
static void worker_judge(struct skui_process_worker *worker,
                         struct skui_process_after *after)
{
    struct skui_process_pool *pool = worker->pool;
    int most = pool->options.given.max_attempts;
    int slot;

    while ((slot = skui_process_youngest(worker, UINT64_MAX)) >= 0) {
        struct skui_job *job =
            skui_process_take(worker, worker->slots[slot].id, after);

        if (++job->attempts >= (uint32_t)most ||
            skua_job_should_stop(&job->future)) {
            after_fail(after, job);
            skui_source_settle(&pool->source, 1);
            continue;
        }
        /* It waits again. */
        pool->waiting++;
        after->ended--;
        skui_process_enqueue_front(pool, job);
    }
}

void skui_process_break(struct skui_process_pool *pool, int signal,
                        struct skui_process_after *after, const char *why)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        pool->workers[i]->kill_signal = signal;
        skui_process_retire(pool->workers[i]);
    }
    after->wake = true;
    if (pool->broken) {
        return;
    }
    pool->broken = true;
    after->closes = SKUA_EBROKENPOOL;
    pool->ordering = 0;
    (void)snprintf(pool->why, sizeof(pool->why), "%s", why);
    after_fail_with(after, why);
    for (uint32_t i = 0; i < pool->count; i++) {
        worker_fail_all(pool->workers[i], after);
    }
    skui_process_drop_queue(pool, after);
}

/* --- deaths --- */

/* What has become of it, for people. */
static void worker_describe(const struct skui_process_worker *worker, char *out,
                            size_t bytes)
{
    int status = worker->wait_status;

    if (worker->start_error < 0) {
        (void)snprintf(out, bytes, "a worker could not be started: %s",
                       skua_strerror(worker->start_error));
    } else if (worker->pool->link_ended) {
        (void)snprintf(out, bytes, "the fork server has died");
    } else if (!worker->has_status) {
        (void)snprintf(out, bytes, "worker %d has died", (int)worker->pid);
    } else if (worker->convicted) {
        (void)snprintf(out, bytes,
                       "worker %d wrote what cannot be in its shared memory, "
                       "and was killed",
                       (int)worker->pid);
    } else if (WIFSIGNALED(status)) {
        (void)snprintf(out, bytes, "worker %d was killed by signal %d (%s)",
                       (int)worker->pid, WTERMSIG(status),
                       sigdescr_np(WTERMSIG(status)) == NULL
                           ? "unknown"
                           : sigdescr_np(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) == SKUI_WORKER_CANNOT) {
        (void)snprintf(out, bytes, "worker %d could not begin",
                       (int)worker->pid);
    } else {
        (void)snprintf(out, bytes, "worker %d exited with status %d",
                       (int)worker->pid, WEXITSTATUS(status));
    }
}

/* A death which does not break the pool is told to nobody else. Locked; "" when
 * there is nothing to tell. */
static void worker_describe_death(const struct skui_process_worker *worker,
                                  const char *why, char *out, size_t bytes)
{
    const struct skui_process_pool *pool = worker->pool;
    const char *name = skui_process_running(worker);

    out[0] = '\0';
    if (!pool->broken && pool->options.given.restart == SKUA_RESTART_ALWAYS) {
        (void)snprintf(out, bytes, "process pool: %s%s%.128s%s", why,
                       name == NULL ? "" : " while it ran \"",
                       name == NULL ? "" : name, name == NULL ? "" : "\"");
    }
}

static bool worker_left_well(const struct skui_process_worker *worker)
{
    return worker->said_leaving && !worker->convicted && worker->load == 0 &&
           worker->start_error == 0 &&
           (!worker->has_status || worker->wait_status == 0);
}

/* The next one comes later; locked. */
static void pool_back_off(struct skui_process_pool *pool)
{
    int64_t most = pool->options.given.restart_delay_max_ns;

    pool->start_at_ns = skui_clock_after(pool->delay_ns);
    pool->delay_ns = pool->delay_ns < most / 2 ? pool->delay_ns * 2 : most;
    pool->unreplaced++;
    pool->ordering = 0;
}

/* Locked. */
static void pool_note_death(struct skui_process_worker *worker,
                            struct skui_process_after *after, const char *why)
{
    struct skui_process_pool *pool = worker->pool;

    pool->failures += worker->ready ? 0 : 1;
    if (pool->broken) {
        return;
    }
    if (pool->options.given.restart == SKUA_RESTART_NEVER || pool->link_ended ||
        pool->failures >= FAILURES_MOST) {
        skui_process_break(pool, SIGKILL, after, why);
        return;
    }
    after_fail_with(after, why);
    skui_process_recall(worker);
    worker_judge(worker, after);
    pool_back_off(pool);
}

/* Locked. */
static void pool_remove(struct skui_process_worker *worker)
{
    struct skui_process_pool *pool = worker->pool;
    struct skui_process_worker *last = pool->workers[--pool->count];

    last->index = worker->index;
    pool->workers[last->index] = last;
}

void skui_process_bury(struct skui_process_worker *worker)
{
    struct skui_process_pool *pool = worker->pool;
    struct skui_process_after after = {0};
    char why[SKUI_PROCESS_MESSAGE];
    char news[NEWS_BYTES] = "";

    /* No more than it can have left: another process may have its memory. */
    (void)skui_process_receive(worker, LEFT_MOST);
    if (pool->link_ended && worker->pidfd >= 0) {
        /* If this process is who inherits it (PR_SET_CHILD_SUBREAPER). */
        (void)waitid(P_PIDFD, (id_t)worker->pidfd, &(siginfo_t){0},
                     WEXITED | WNOHANG);
    }
    worker_describe(worker, why, sizeof(why));
    (void)pthread_mutex_lock(&pool->lock);
    skui_process_retire(worker);
    skui_process_recall(worker);
    if (!worker_left_well(worker)) {
        worker_describe_death(worker, why, news, sizeof(news));
        pool_note_death(worker, &after, why);
    }
    pool_remove(worker);
    skui_process_pump(pool, &after);
    (void)pthread_mutex_unlock(&pool->lock);
    if (news[0] != '\0') {
        skui_log(SKUA_LOG_WARNING, news);
    }
    skui_process_free_worker(worker);
    skui_process_do_after(pool, &after);
}

void skui_process_start_failed(struct skui_process_pool *pool, int error)
{
    struct skui_process_after after = {0};
    char why[SKUI_PROCESS_MESSAGE];

    (void)snprintf(why, sizeof(why), "a worker could not be started: %s",
                   error == SKUA_EBROKENPOOL ? "the fork server has died"
                                             : skua_strerror(error));
    (void)pthread_mutex_lock(&pool->lock);
    pool->failures++;
    if (pool->options.given.restart == SKUA_RESTART_NEVER ||
        error == SKUA_EBROKENPOOL || pool->failures >= FAILURES_MOST) {
        skui_process_break(pool, SIGKILL, &after, why);
    } else {
        pool_back_off(pool);
        pool->unreplaced--;
        skui_process_pump(pool, &after);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    skui_process_do_after(pool, &after);
}

/* --- shutting down --- */

void skui_process_shutdown(void *self, bool cancel_futures)
{
    struct skui_process_pool *pool = self;
    struct skui_process_after after = {.wake = true};
    struct skui_process_after cancelled = {.closes = SKUA_ECLOSED};

    (void)pthread_mutex_lock(&pool->lock);
    pool->closed = true;
    if (cancel_futures) {
        for (uint32_t i = 0; i < pool->count; i++) {
            skui_process_recall(pool->workers[i]);
        }
        skui_process_drop_queue(pool, &cancelled);
    }
    skui_process_pump(pool, &after);
    skui_process_quit_idle(pool, &after);
    (void)pthread_mutex_unlock(&pool->lock);
    cancelled.status = SKUA_ECANCELED;
    skui_process_do_after(pool, &cancelled);
    skui_process_do_after(pool, &after);
}

static int pool_end_workers(skua_executor *executor, int signal,
                            const char *why)
{
    struct skui_process_pool *pool;
    struct skui_process_after after = {0};
    int status;

    if (executor == NULL || executor->type != &skui_process_pool_type) {
        return -EINVAL;
    }
    if (executor->fork_generation != skui_fork_generation()) {
        return SKUA_EFORKED;
    }
    pool = executor->self;
    skui_executor_hold(executor); /* it may end meanwhile */
    (void)pthread_mutex_lock(&pool->lock);
    skui_process_break(pool, signal, &after, why);
    (void)pthread_mutex_unlock(&pool->lock);
    skui_process_do_after(pool, &after);
    status = skua_executor_shutdown(executor, false, true);
    skui_executor_drop(executor);
    return status;
}

int skua_process_pool_terminate_workers(skua_executor *executor)
{
    return pool_end_workers(executor, SIGTERM, "the workers were terminated");
}

int skua_process_pool_kill_workers(skua_executor *executor)
{
    return pool_end_workers(executor, SIGKILL, "the workers were killed");
}
