/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.c - tasks on all cores and a plain thread share data: a lock around a
 * counter, a semaphore that lets two in, a barrier between two phases, a
 * condition that says when there is enough, and an event to start with.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#include <skua.h>

enum { WORKERS = 4, VISITS = 1000, SEATS = 2 };

struct shared {
    skua_event start;
    skua_lock lock;
    skua_condition changed; /* with `lock` */
    skua_semaphore seats;
    skua_barrier between;
    int visits; /* guarded by `lock`, as all below */
    int seated;
    int most_seated;
    int last; /* how many were the last one at the barrier */
};

static int visit(struct shared *shared)
{
    int status = skua_lock_acquire(&shared->lock);

    if (status == 0) {
        shared->visits++;
        if (shared->visits % VISITS == 0) {
            (void)skua_condition_notify_all(&shared->changed);
        }
        (void)skua_lock_release(&shared->lock);
    }
    return status;
}

static void change_seated(struct shared *shared, int change)
{
    if (skua_lock_acquire(&shared->lock) == 0) {
        shared->seated += change;
        if (shared->seated > shared->most_seated) {
            shared->most_seated = shared->seated;
        }
        (void)skua_lock_release(&shared->lock);
    }
}

static int sit(struct shared *shared)
{
    int status = skua_semaphore_acquire(&shared->seats);

    if (status == 0) {
        change_seated(shared, 1);
        status = skua_yield();
        change_seated(shared, -1);
        (void)skua_semaphore_release(&shared->seats);
    }
    return status;
}

static int work(void *arg)
{
    struct shared *shared = arg;
    int status = skua_event_wait(&shared->start);

    for (int i = 0; i < VISITS && status == 0; i++) {
        status = visit(shared);
    }
    if (status == 0) {
        status = skua_barrier_wait(&shared->between); /* an index, or why not */
    }
    if (status == WORKERS - 1 && skua_lock_acquire(&shared->lock) == 0) {
        shared->last++;
        (void)skua_lock_release(&shared->lock);
    }
    return status < 0 ? status : sit(shared);
}

static bool is_enough(void *arg)
{
    const struct shared *shared = arg;

    return shared->visits == (WORKERS + 1) * VISITS;
}

/* A plain thread does with the same calls what a task does; it blocks. */
static void *visit_from_outside(void *arg)
{
    struct shared *shared = arg;

    if (skua_event_wait(&shared->start) == 0) {
        for (int i = 0; i < VISITS; i++) {
            (void)visit(shared);
        }
    }
    return NULL;
}

static int wait_for_all(struct shared *shared)
{
    int status = skua_condition_acquire(&shared->changed);

    if (status == 0) {
        status = skua_condition_wait_for(&shared->changed, is_enough, shared);
        (void)skua_condition_release(&shared->changed);
    }
    return status;
}

static int main_task(void *arg)
{
    struct shared *shared = arg;
    skua_task_group group = {0};
    int status = 0;
    int joined;

    for (int i = 0; i < WORKERS && status == 0; i++) {
        status = skua_task_group_create_task(&group, work, shared);
    }
    (void)skua_event_set(&shared->start);
    if (status == 0) {
        status = wait_for_all(shared);
    }
    joined = skua_task_group_join(&group);
    return status < 0 ? status : joined;
}

int main(void)
{
    struct shared shared = {.visits = 0};
    pthread_t thread;
    int status;

    (void)skua_condition_init(&shared.changed, &shared.lock);
    (void)skua_semaphore_init(&shared.seats, SEATS);
    (void)skua_barrier_init(&shared.between, WORKERS);
    if (pthread_create(&thread, NULL, visit_from_outside, &shared) != 0) {
        return 1;
    }
    status = skua_run(main_task, &shared);
    (void)skua_event_set(&shared.start); /* the main task may have failed */
    (void)pthread_join(thread, NULL);
    if (status < 0) {
        fprintf(stderr, "%s\n", skua_strerror(status));
        return 1;
    }
    printf("%d visits, at most %d seated, %d was last\n", shared.visits,
           shared.most_seated, shared.last);
    return shared.visits != (WORKERS + 1) * VISITS ||
           shared.most_seated > SEATS || shared.most_seated < 1 ||
           shared.last != 1;
}
