/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_executor.c - an executor of one's own, by the table of functions: one
 * thread, which always takes the work with the earliest deadline next.
 *
 * The library keeps futures, tokens and references. What is left to do: take
 * jobs, run each of them or let go of it, and say when the end has come.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <skua.h>

enum { JOBS_MAX = 64 };

/* Guarded by `lock`, but for what is constant. */
struct urgent {
    skua_executor *executor; /* constant; lives until it has ended */
    pthread_t thread;        /* constant */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    skua_job *jobs[JOBS_MAX]; /* a reference each */
    size_t count;
    bool closed;
    bool joined;
};

static int64_t deadline_of(const skua_job *job)
{
    int64_t deadline_ns = skua_job_options(job)->deadline_ns;

    return deadline_ns == 0 ? SKUA_FOREVER : deadline_ns;
}

/* Take out the most urgent job; locked. */
static skua_job *urgent_take(struct urgent *self)
{
    size_t best = 0;
    skua_job *job;

    for (size_t i = 1; i < self->count; i++) {
        if (deadline_of(self->jobs[i]) < deadline_of(self->jobs[best])) {
            best = i;
        }
    }
    job = self->jobs[best];
    self->jobs[best] = self->jobs[--self->count];
    return job;
}

static void *urgent_thread(void *arg)
{
    struct urgent *self = arg;

    pthread_mutex_lock(&self->lock);
    while (self->count > 0 || !self->closed) {
        if (self->count > 0) {
            skua_job *job = urgent_take(self);

            pthread_mutex_unlock(&self->lock);
            skua_job_run(job); /* skips what was cancelled or is too late */
            pthread_mutex_lock(&self->lock);
        } else {
            pthread_cond_wait(&self->changed, &self->lock);
        }
    }
    pthread_mutex_unlock(&self->lock);
    (void)skua_executor_ended(self->executor); /* the last touch */
    return NULL;
}

/* --- the table --- */

static int urgent_submit(void *arg, skua_job *job)
{
    struct urgent *self = arg;
    int status = 0;

    pthread_mutex_lock(&self->lock);
    if (self->closed) {
        status = SKUA_ECLOSED;
    } else if (self->count == JOBS_MAX) {
        status = -EAGAIN; /* a bound, and a policy */
    } else {
        self->jobs[self->count++] = job;
        pthread_cond_signal(&self->changed);
    }
    pthread_mutex_unlock(&self->lock);
    return status;
}

static void urgent_shutdown(void *arg, bool cancel_futures)
{
    struct urgent *self = arg;
    skua_job *cancelled[JOBS_MAX];
    size_t count = 0;

    pthread_mutex_lock(&self->lock);
    self->closed = true;
    while (cancel_futures && self->count > 0) {
        cancelled[count++] = self->jobs[--self->count];
    }
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->lock);
    while (count > 0) { /* their callbacks run here, so without the lock */
        (void)skua_future_cancel(cancelled[--count]);
        skua_job_discard(cancelled[count]);
    }
}

static void urgent_join(void *arg)
{
    struct urgent *self = arg;
    bool first;

    pthread_mutex_lock(&self->lock);
    first = !self->joined;
    self->joined = true;
    pthread_mutex_unlock(&self->lock);
    if (first) {
        pthread_join(self->thread, NULL);
    }
}

static void urgent_release(void *arg)
{
    struct urgent *self = arg;

    if (!self->joined) { /* nobody has waited; this may be its own thread */
        pthread_detach(self->thread);
    }
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static void urgent_get_stats(void *arg, skua_executor_stats *out_stats)
{
    struct urgent *self = arg;

    pthread_mutex_lock(&self->lock);
    out_stats->queued = (int64_t)self->count;
    pthread_mutex_unlock(&self->lock);
    out_stats->workers = 1;
    out_stats->max_workers = 1;
}

static const skua_executor_type urgent_type = {
    .name = "urgent",
    .submit = urgent_submit,
    .shutdown = urgent_shutdown,
    .release = urgent_release,
    .get_stats = urgent_get_stats,
    .join = urgent_join,
};

static int urgent_new(skua_executor **out_executor)
{
    struct urgent *self = calloc(1, sizeof(*self));
    int status;

    if (self == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    status = skua_executor_new(&urgent_type, self, &self->executor);
    if (status == 0) {
        *out_executor = self->executor;
        status = -pthread_create(&self->thread, NULL, urgent_thread, self);
        if (status == 0) {
            return 0;
        }
        self->joined = true; /* there is none; the rest is released */
        (void)skua_executor_shutdown(self->executor, false, false);
        (void)skua_executor_ended(self->executor);
        skua_executor_unref(*out_executor);
        return status;
    }
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->lock);
    free(self);
    return status;
}

/* --- using it --- */

/* Until it is told to stop. */
static int hold(void *arg)
{
    (void)arg;
    while (!skua_work_should_stop()) {
        (void)sched_yield();
    }
    return 0;
}

static char order[8];
static size_t order_length;

static int note(void *name)
{
    order[order_length++] = *(const char *)name; /* one thread: no lock */
    return 0;
}

static int submit(skua_executor *executor, skua_task_fn *fn, void *arg,
                  const skua_submit_options *options, skua_future **out_future)
{
    const skua_work work = {.fn = fn, .arg = arg};

    return skua_executor_submit_work(executor, &work, options, out_future);
}

static int submit_notes(skua_executor *executor, skua_future **futures)
{
    static char names[] = "later, soon and now";
    const int64_t day_ns = 86400 * SKUA_S;
    const skua_submit_options later = {.deadline_ns =
                                           skua_monotonic() + 2 * day_ns};
    const skua_submit_options soon = {.deadline_ns = skua_monotonic() + day_ns};
    const skua_submit_options now = {.deadline_ns =
                                         skua_monotonic() + day_ns / 2};
    int status = submit(executor, note, &names[0], &later, &futures[0]);

    if (status == 0) {
        status = submit(executor, note, &names[7], &soon, &futures[1]);
    }
    if (status == 0) {
        status = submit(executor, note, &names[16], &now, &futures[2]);
    }
    return status;
}

/* A task: all of it through futures, as with a thread pool. */
static int main_task(void *arg)
{
    skua_executor *executor = arg;
    skua_future *futures[4] = {NULL};
    skua_cancel_token *token;
    skua_submit_options held = {0};
    int status = skua_cancel_token_new(NULL, &token);

    if (status < 0) {
        return status;
    }
    /* The most urgent: while it runs, or has not begun, the others queue up. */
    held.token = token;
    held.deadline_ns = skua_monotonic() + 3600 * SKUA_S;
    status = submit(executor, hold, NULL, &held, &futures[3]);
    if (status == 0) {
        status = submit_notes(executor, futures);
    }
    (void)skua_cancel_token_cancel(token);
    for (int i = 0; i < 4; i++) {
        if (status == 0 || status == SKUA_ECANCELED) {
            status = futures[i] == NULL ? status : skua_await(futures[i], NULL);
        }
        skua_future_unref(futures[i]);
    }
    skua_cancel_token_unref(token);
    return status == SKUA_ECANCELED ? 0 : status; /* `hold` never began */
}

int main(void)
{
    skua_executor *executor;
    int status = urgent_new(&executor);

    if (status == 0) {
        status = skua_run(main_task, executor);
        (void)skua_executor_shutdown(executor, true, false);
        skua_executor_unref(executor);
    }
    printf("in the order of urgency: %s\n", order);
    return status < 0 || order_length != 3;
}
