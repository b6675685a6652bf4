/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchdog.c - debug mode: a thread that sees which steps do not end.
 * Threads     One for the process, from the first loop that runs in debug mode
 *             on. It sleeps while there is none.
 * Invariants  A loop is in the list while it is timed. Reports are made outside
 *             the mutex; who removes a loop waits for the report of that loop.
 * Progress    It looks as often as the shortest limit, so a step is reported
 *             before it has taken twice its limit, unless another loop's
 *             thread did not answer (running_stack.c): a tenth of a second.
 * Rejected    The sentinel's tick (sentinel.c): a loop of its own has none, and
 *             who is woken by it may be the loop that is stuck.
 */
#include "watchdog.h"

#include <time.h>

#include "thread.h"

enum { LOOK_MINIMUM_NS = 1000000, LOOK_MAXIMUM_NS = 1000000000 };

static pthread_mutex_t dog_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t dog_changed = PTHREAD_COND_INITIALIZER;
static skua_loop *dog_loops;     /* guarded by dog_mutex, as all here */
static skua_loop *dog_reporting; /* it is reported for, outside the mutex */
static bool dog_started;

/* How long to sleep: the shortest limit of all loops; under the mutex. */
static int64_t dog_interval(void)
{
    int64_t interval_ns = LOOK_MAXIMUM_NS;

    for (const skua_loop *loop = dog_loops; loop != NULL;
         loop = loop->watched_next) {
        int64_t limit_ns = skua_loop_get_slow_callback_duration(loop);

        interval_ns = limit_ns < interval_ns ? limit_ns : interval_ns;
    }
    return interval_ns < LOOK_MINIMUM_NS ? LOOK_MINIMUM_NS : interval_ns;
}

/* Until a loop was added or an interval is over; under the mutex. */
static void dog_sleep(void)
{
    struct timespec until;
    int64_t end_ns;

    if (dog_loops == NULL) {
        (void)pthread_cond_wait(&dog_changed, &dog_mutex);
        return;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    end_ns = until.tv_nsec + dog_interval();
    until.tv_sec += end_ns / SKUA_S;
    until.tv_nsec = end_ns % SKUA_S;
    (void)pthread_cond_clockwait(&dog_changed, &dog_mutex, CLOCK_MONOTONIC,
                                 &until);
}

static bool dog_has(const skua_loop *wanted)
{
    const skua_loop *loop = dog_loops;

    while (loop != NULL && loop != wanted) {
        loop = loop->watched_next;
    }
    return loop != NULL;
}

/* Look at each loop; under the mutex but while it reports. */
static void dog_look(void)
{
    skua_loop *loop = dog_loops;

    while (loop != NULL) {
        skua_loop *next;

        dog_reporting = loop;
        (void)pthread_mutex_unlock(&dog_mutex);
        skui_slow_look(loop);
        (void)pthread_mutex_lock(&dog_mutex);
        next = loop->watched_next; /* it cannot have been removed */
        dog_reporting = NULL;
        (void)pthread_cond_broadcast(&dog_changed);
        loop = dog_has(next) ? next : NULL;
    }
}

static void *dog_run(void *arg)
{
    (void)arg;
    (void)pthread_setname_np(pthread_self(), "skua-watchdog");
    (void)pthread_mutex_lock(&dog_mutex);
    for (;;) {
        dog_sleep();
        dog_look();
    }
    return NULL;
}

/* Without it only steps that end are reported. Under the mutex. */
static void dog_start(void)
{
    pthread_t thread;

    if (skui_thread_start(&thread, dog_run, NULL) == 0) {
        (void)pthread_detach(thread);
        dog_started = true;
    }
}

void skui_watchdog_add(skua_loop *loop)
{
    (void)pthread_mutex_lock(&dog_mutex);
    loop->watched_next = dog_loops;
    dog_loops = loop;
    if (!dog_started) {
        dog_start();
    }
    (void)pthread_cond_broadcast(&dog_changed);
    (void)pthread_mutex_unlock(&dog_mutex);
}

void skui_watchdog_remove(skua_loop *loop)
{
    skua_loop **link = &dog_loops;

    (void)pthread_mutex_lock(&dog_mutex);
    while (dog_reporting == loop) {
        (void)pthread_cond_wait(&dog_changed, &dog_mutex);
    }
    while (*link != NULL && *link != loop) {
        link = &(*link)->watched_next;
    }
    if (*link != NULL) {
        *link = loop->watched_next;
    }
    (void)pthread_mutex_unlock(&dog_mutex);
}

void skui_watchdog_after_fork(void)
{
    (void)pthread_mutex_init(&dog_mutex, NULL);
    (void)pthread_cond_init(&dog_changed, NULL);
    dog_loops = NULL;
    dog_reporting = NULL;
    dog_started = false;
}
