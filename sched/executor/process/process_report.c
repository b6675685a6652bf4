/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_report.c - what runs in worker processes, for people.
 * Threads     Any; workers go on meanwhile.
 * Invariants  A worker is looked at under the pool's lock, which keeps it and
 *             its jobs there. Nothing is logged under that: the logger may do
 *             what it likes. What the worker wrote into shared memory decides
 *             what is said of it, nothing else.
 */
#include <stdio.h>

#include "process_pool.h"

#include "../../clock.h"
#include "../../log.h"

enum { STUCK_MAX = 16, TEXT_BYTES = 384 };

/* A worker that has work, as it was. */
struct stuck {
    const char *name; /* of a registered function, so it stays; NULL: it has
                         begun nothing */
    pid_t pid;        /* 0: it has not started */
    uint32_t load;
    uint64_t since_ticks;
};

/* The oldest that it has begun; NULL: none. */
static const struct skui_job *
worker_running(const struct skui_process_worker *worker)
{
    int found = -1;

    for (int i = 0; i < SKUI_PROCESS_SLOTS; i++) {
        if (worker->slots[i].job != NULL &&
            (found < 0 || worker->slots[i].id < worker->slots[found].id) &&
            skui_channel_is_claimed(&worker->channel, worker->slots[i].id)) {
            found = i;
        }
    }
    return found < 0 ? NULL : worker->slots[found].job;
}

const char *skui_process_running(const struct skui_process_worker *worker)
{
    const struct skui_job *job = worker_running(worker);

    return job == NULL ? NULL : job->function->name;
}

/* How many have work; as many as fit are written. */
static size_t pool_find_stuck(struct skui_process_pool *pool,
                              struct stuck *stuck, size_t *out_queued)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < pool->count; i++) {
        const struct skui_process_worker *worker = pool->workers[i];

        if (worker->load > 0 && count < STUCK_MAX) {
            stuck[count] = (struct stuck){
                .name = skui_process_running(worker),
                .pid = worker->pid,
                .load = worker->load,
                .since_ticks = skui_channel_claimed_at(&worker->channel),
            };
        }
        count += worker->load > 0 ? 1 : 0;
    }
    *out_queued = pool->queued;
    (void)pthread_mutex_unlock(&pool->lock);
    return count;
}

static double stuck_seconds(const struct stuck *stuck)
{
    uint64_t now = skui_clock_ticks();

    return now > stuck->since_ticks ? (double)(now - stuck->since_ticks) /
                                          (double)skui_clock_ticks_of(SKUA_S)
                                    : 0.0;
}

static void stuck_log(const struct stuck *stuck)
{
    char text[TEXT_BYTES];

    if (stuck->name == NULL) {
        (void)snprintf(text, sizeof(text),
                       "process pool: worker %d has begun nothing of %u pieces "
                       "of work",
                       (int)stuck->pid, (unsigned)stuck->load);
    } else {
        (void)snprintf(text, sizeof(text),
                       "process pool: worker %d has run \"%.128s\" for %.3f "
                       "seconds and goes on, %u pieces of work wait behind it",
                       (int)stuck->pid, stuck->name, stuck_seconds(stuck),
                       (unsigned)stuck->load - 1);
    }
    skui_log(SKUA_LOG_WARNING, text);
}

void skui_process_report(void *self)
{
    struct skui_process_pool *pool = self;
    struct stuck stuck[STUCK_MAX];
    char text[TEXT_BYTES];
    size_t queued;
    size_t count = pool_find_stuck(pool, stuck, &queued);

    for (size_t i = 0; i < count && i < STUCK_MAX; i++) {
        stuck_log(&stuck[i]);
    }
    (void)snprintf(text, sizeof(text),
                   "process pool: shut down, but not at its end in time: %zu "
                   "workers have work, %zu pieces are queued",
                   count, queued);
    skui_log(SKUA_LOG_WARNING, text);
}
