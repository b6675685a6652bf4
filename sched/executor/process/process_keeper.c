/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_keeper.c - the one thread of a process pool.
 * Threads     Its own. It starts workers, sees them die, takes answers while no
 *             loop does, and ends the pool.
 * Progress    It sleeps without a limit while nothing is outstanding, and while
 *             work is under way that it is woken for. It looks up each
 *             millisecond while some workers have nothing to do and others more
 *             than one job: of a worker that has answered nothing since the
 *             last look, work is taken back, so none waits longer than two of
 *             these behind a job of unexpected length.
 *
 * How a death is seen. By the worker's pidfd; what it died of comes from the
 * fork server, which reaps it. If that takes longer than GRACE_NS the worker is
 * buried without.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "process_pool.h"

#include "../../clock.h"
#include "../work_self.h"

enum {
    EVENTS = 64,
    GRACE_NS = 50000000,
    LOOK_NS = 1000000,
};

/* --- what has happened --- */

static struct skui_process_worker *
keeper_find(const struct skui_process_pool *pool, uint32_t number)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        if (pool->workers[i]->number == number) {
            return pool->workers[i];
        }
    }
    return NULL;
}

static void keeper_note_death(struct skui_process_worker *worker)
{
    struct skui_process_pool *pool = worker->pool;

    if (worker->pidfd >= 0) {
        (void)epoll_ctl(pool->epoll, EPOLL_CTL_DEL, worker->pidfd, NULL);
    }
    (void)pthread_mutex_lock(&pool->lock);
    if (!worker->dead) {
        worker->dead = true;
        worker->dead_at_ns = skui_clock_now();
        skui_process_retire(worker);
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

/* One that dies unseen by pidfd: the server tells. */
static void keeper_kill_unwatched(const struct skui_process_worker *worker)
{
    if (worker->pidfd >= 0) {
        (void)syscall(SYS_pidfd_send_signal, worker->pidfd, SIGKILL, NULL, 0);
    } else {
        /* As long as the server has not reaped it the number is its. */
        (void)kill(worker->pid, SIGKILL);
    }
}

static void keeper_note_start(struct skui_process_worker *worker,
                              const struct skui_fork_notice *notice, int pidfd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = worker}};

    (void)pthread_mutex_lock(&worker->pool->lock);
    worker->pid = notice->pid;
    (void)pthread_mutex_unlock(&worker->pool->lock);
    worker->pidfd = pidfd;
    skui_channel_started(&worker->channel);
    if (notice->status < 0) {
        worker->start_error = notice->status;
        worker->has_status = true;
        keeper_note_death(worker);
    } else if (pidfd < 0 || epoll_ctl(worker->pool->epoll, EPOLL_CTL_ADD, pidfd,
                                      &event) < 0) {
        worker->start_error = pidfd < 0 ? -EMFILE : -ENOMEM;
        keeper_kill_unwatched(worker);
    }
}

static void keeper_read_link(struct skui_process_pool *pool)
{
    struct skui_fork_notice notice;
    int pidfd;
    int status;

    while ((status = skui_fork_server_notice(pool->link, &notice, &pidfd)) ==
           0) {
        struct skui_process_worker *worker = keeper_find(pool, notice.id);

        if (worker == NULL) {
            if (pidfd >= 0) {
                (void)close(pidfd);
            }
        } else if (notice.kind == SKUI_FORK_STARTED) {
            keeper_note_start(worker, &notice, pidfd);
        } else {
            worker->has_status = true;
            worker->wait_status = notice.status;
            keeper_note_death(worker);
        }
    }
    if (status == SKUA_EBROKENPOOL && !pool->link_ended) {
        pool->link_ended = true;
        (void)epoll_ctl(pool->epoll, EPOLL_CTL_DEL, pool->link, NULL);
    }
}

static void keeper_read_event(const struct skui_process_pool *pool)
{
    uint64_t count;

    (void)read(pool->event, &count, sizeof(count));
}

static int keeper_wait(const struct skui_process_pool *pool,
                       struct epoll_event *events, int64_t limit_ns)
{
    const struct timespec limit = {limit_ns / SKUA_S, limit_ns % SKUA_S};
    int64_t limit_ms = limit_ns / SKUA_MS + 1;
    int count = epoll_pwait2(pool->epoll, events, EVENTS,
                             limit_ns == SKUA_FOREVER ? NULL : &limit, NULL);

    if (count >= 0 || errno != ENOSYS) {
        return count;
    }
    if (limit_ns == SKUA_FOREVER) {
        limit_ms = -1;
    } else if (limit_ms > INT_MAX) {
        limit_ms = INT_MAX;
    }
    return epoll_wait(pool->epoll, events, EVENTS, (int)limit_ms);
}

/* Sleep until something happens, for `limit_ns` at most. */
static void keeper_sleep(struct skui_process_pool *pool, int64_t limit_ns)
{
    struct epoll_event events[EVENTS];
    int count = keeper_wait(pool, events, limit_ns);

    for (int i = 0; i < count; i++) {
        void *what = events[i].data.ptr;

        if (what == &pool->event) {
            keeper_read_event(pool);
        } else if (what == &pool->link) {
            keeper_read_link(pool);
        } else {
            keeper_note_death(what);
        }
    }
}

/* --- what is to be done --- */

/* Send the signals that are due. */
static void keeper_kill(struct skui_process_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < pool->count; i++) {
        struct skui_process_worker *worker = pool->workers[i];

        if (worker->kill_signal != 0 && worker->pidfd >= 0) {
            (void)syscall(SYS_pidfd_send_signal, worker->pidfd,
                          worker->kill_signal, NULL, 0);
            worker->kill_signal = 0;
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

/* Whether all is known of its death that will be. */
static bool keeper_may_bury(struct skui_process_worker *worker, int64_t now)
{
    return worker->dead &&
           (worker->has_status || worker->pool->link_ended ||
            now >= worker->dead_at_ns + GRACE_NS) &&
           skui_process_begin_receiving(worker);
}

/* One that has died; NULL: none, or nothing to be done about it yet. */
static struct skui_process_worker *
keeper_find_dead(struct skui_process_pool *pool, int64_t now, int64_t *limit_ns)
{
    struct skui_process_worker *found = NULL;

    (void)pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < pool->count && found == NULL; i++) {
        struct skui_process_worker *worker = pool->workers[i];

        if (keeper_may_bury(worker, now)) {
            found = worker;
        } else if (worker->dead && GRACE_NS < *limit_ns) {
            *limit_ns = GRACE_NS;
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return found;
}

/* The server is gone: nothing is heard any more of those that it was to start,
 * and the others die with it. */
static void keeper_note_link_end(struct skui_process_pool *pool)
{
    struct skui_process_after after = {0};

    for (uint32_t i = 0; i < pool->count; i++) {
        if (pool->workers[i]->pidfd < 0) {
            keeper_note_death(pool->workers[i]);
        }
    }
    (void)pthread_mutex_lock(&pool->lock);
    if (!pool->broken) {
        skui_process_break(pool, SIGKILL, &after, "the fork server has died");
    }
    (void)pthread_mutex_unlock(&pool->lock);
    skui_process_do_after(pool, &after);
}

static bool keeper_wants_worker(struct skui_process_pool *pool)
{
    bool wants;

    (void)pthread_mutex_lock(&pool->lock);
    wants = pool->ordering > 0;
    (void)pthread_mutex_unlock(&pool->lock);
    return wants;
}

/* Make the workers that are wanted, and order them. */
static void keeper_start_workers(struct skui_process_pool *pool,
                                 int64_t *limit_ns)
{
    int status = 0;

    while (status == 0 && keeper_wants_worker(pool)) {
        status = skui_process_add_worker(pool);
        if (status < 0) {
            skui_process_start_failed(pool, status);
        }
    }
    /* Only this thread changes the array. */
    for (uint32_t i = 0; i < pool->count && !pool->link_ended; i++) {
        if (pool->workers[i]->ordered) {
            continue;
        }
        status = skui_process_order(pool->workers[i]);
        if (status == -EAGAIN || status == -ETOOMANYREFS) {
            *limit_ns = LOOK_NS < *limit_ns ? LOOK_NS : *limit_ns;
            return;
        }
        if (status < 0) {
            pool->workers[i]->ordered = true;
            pool->workers[i]->start_error = status;
            pool->workers[i]->has_status = true;
            keeper_note_death(pool->workers[i]);
        }
    }
}

/* --- timers --- */

/* Take work back from who has answered nothing since the last look. */
static void keeper_even_out(struct skui_process_pool *pool,
                            struct skui_process_after *after)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        struct skui_process_worker *worker = pool->workers[i];

        if (worker->load > 1 && worker->replies == worker->replies_seen) {
            skui_process_recall(worker);
            worker->full = worker->load > 0; /* until that is answered */
        }
        worker->replies_seen = worker->replies;
    }
    skui_process_pump(pool, after);
}

/* Look who is stuck, while that matters; locked. */
static void keeper_look(struct skui_process_pool *pool, int64_t now,
                        struct skui_process_after *after)
{
    pool->uneven = skui_process_is_uneven(pool);
    if (!pool->uneven) {
        pool->look_at_ns = 0;
        return;
    }
    if (pool->look_at_ns == 0) {
        for (uint32_t i = 0; i < pool->count; i++) {
            pool->workers[i]->replies_seen = pool->workers[i]->replies;
        }
    } else if (now < pool->look_at_ns) {
        return;
    } else {
        keeper_even_out(pool, after);
    }
    pool->look_at_ns = now + LOOK_NS;
}

/* What is due by the clock. */
static void keeper_timers(struct skui_process_pool *pool, int64_t now)
{
    struct skui_process_after after = {0};

    (void)pthread_mutex_lock(&pool->lock);
    if (pool->start_at_ns != 0 && now >= pool->start_at_ns) {
        pool->start_at_ns = 0;
        skui_process_pump(pool, &after);
    }
    if (pool->stalled) {
        skui_process_try_again(pool, &after);
    }
    keeper_look(pool, now, &after);
    (void)pthread_mutex_unlock(&pool->lock);
    after.wake = false; /* it is awake */
    skui_process_do_after(pool, &after);
}

/* How long it may sleep because of these; above 0. */
static int64_t keeper_limit(struct skui_process_pool *pool, int64_t now)
{
    int64_t at_ns = SKUA_FOREVER;

    (void)pthread_mutex_lock(&pool->lock);
    if (pool->start_at_ns != 0) {
        at_ns = pool->start_at_ns;
    }
    if (pool->look_at_ns != 0 && pool->look_at_ns < at_ns) {
        at_ns = pool->look_at_ns;
    }
    if (pool->stalled && now + LOOK_NS < at_ns) {
        at_ns = now + LOOK_NS;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    if (at_ns == SKUA_FOREVER) {
        return at_ns;
    }
    return at_ns > now ? at_ns - now : 1;
}

/* --- the end --- */

static bool keeper_ends(struct skui_process_pool *pool)
{
    struct skui_process_after after = {0};
    bool ends;

    (void)pthread_mutex_lock(&pool->lock);
    skui_process_quit_idle(pool, &after);
    ends = pool->closed && pool->count == 0 && pool->ordering == 0 &&
           pool->queued == 0;
    (void)pthread_mutex_unlock(&pool->lock);
    if (!ends) {
        skui_process_do_after(pool, &after);
    }
    return ends;
}

/* All but sleeping; how long to sleep, or 0 at the end of the pool. */
static int64_t keeper_turn(struct skui_process_pool *pool)
{
    int64_t limit_ns = skui_source_keep(&pool->source);
    struct skui_process_worker *dead;
    int64_t timers_ns;
    int64_t now = skui_clock_now();

    if (pool->link_ended) {
        keeper_note_link_end(pool);
    }
    while ((dead = keeper_find_dead(pool, now, &limit_ns)) != NULL) {
        skui_process_bury(dead);
    }
    keeper_timers(pool, now);
    keeper_start_workers(pool, &limit_ns);
    keeper_kill(pool);
    if (keeper_ends(pool)) {
        return 0;
    }
    timers_ns = keeper_limit(pool, now);
    return timers_ns < limit_ns ? timers_ns : limit_ns;
}

static skua_executor *keeper_executor(struct skui_process_pool *pool)
{
    skua_executor *executor;

    (void)pthread_mutex_lock(&pool->lock);
    executor = pool->executor;
    (void)pthread_mutex_unlock(&pool->lock);
    return executor;
}

void *skui_process_keep(void *arg)
{
    struct skui_process_pool *pool = arg;
    struct skui_work_self self = {0};
    int64_t limit_ns;

    (void)prctl(PR_SET_NAME, "skua-processes");
    while ((limit_ns = keeper_turn(pool)) != 0) {
        keeper_sleep(pool, limit_ns);
        self.executor = keeper_executor(pool);
        /* A callback that waits for the pool is refused. */
        (void)skui_work_set_self(&self);
    }
    skui_source_unregister(&pool->source);
    skui_fork_server_reap();
    (void)skui_work_set_self(NULL);
    self.executor = keeper_executor(pool);
    if (self.executor != NULL) {
        (void)skua_executor_ended(self.executor);
    }
    return NULL;
}
