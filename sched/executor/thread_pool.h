/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_pool.h - the inside of a thread pool: thread_pool.c runs it,
 * thread_pool_idle.c lets its threads wait and wakes them,
 * thread_pool_threads.c lets them come and go, thread_pool_wait.c lets its work
 * wait for its work, thread_pool_end.c ends it, thread_pool_report.c says what
 * is left then.
 *
 *              submit  work  shutdown
 *   submit       -      -       -      (any thread)
 *   work         -      -       -      (its own threads)
 *   shutdown     -      -       -      (any thread)
 */
#ifndef SKUI_EXECUTOR_THREAD_POOL_H
#define SKUI_EXECUTOR_THREAD_POOL_H

#include <pthread.h>
#include <sys/types.h>

#include "executor.h"
#include "room.h"
#include "work_queue.h"
#include "work_self.h"

SKUI_BEGIN_DECLS

enum { SKUI_POOL_NAME_BYTES = 16 }; /* what the kernel keeps */

/* The fields of `state`. */
#define SKUI_IDLE_ONE UINT64_C(1)
#define SKUI_IDLE_OF(state) ((state)&0xffff)
#define SKUI_SLEEPING_ONE (UINT64_C(1) << 16)
#define SKUI_SLEEPING_OF(state) ((state) >> 16 & 0xffff)
#define SKUI_AWAKE_OF(state) (SKUI_IDLE_OF(state) - SKUI_SLEEPING_OF(state))
#define SKUI_STATE_WATCHED (UINT64_C(1) << 32)
#define SKUI_STATE_BROKEN (UINT64_C(1) << 33)
#define SKUI_ALIVE_ONE (UINT64_C(1) << 40)
#define SKUI_ALIVE_OF(state) ((int)((state) >> 40))

struct skui_job;

/* What a worker knows of itself; its own. */
struct skui_pool_hand {
    bool idle;           /* counted in `state` */
    int64_t spin_ns;     /* how long it spins before it sleeps */
    uint64_t seen;       /* how much was popped when it last watched */
    uint64_t at_ticks;   /* when it began what it does */
    uint64_t mean_ticks; /* what a job takes, lately */
    unsigned run;        /* jobs so far */
};

/* Work that runs in a thread, on its stack; work that waits for other work of
 * its pool may run that in the middle of itself. */
struct skui_pool_run {
    struct skui_pool_run *outer; /* NULL: none */
    const struct skui_work *work;
    uint64_t since_ticks;
};

/*
 * A thread, on cache lines of its own. It owns this once it was started, but
 * for the links; when it has left (skui_pool_leave(), skui_pool_retire()) who
 * joins the thread does.
 */
struct skui_pool_worker {
    struct skui_pool_worker *next;  /* guarded by the pool's lock */
    struct skui_pool_worker **link; /* as above */
    struct skui_thread_pool *pool;  /* constant */
    pthread_t thread;               /* constant once it was started */
    struct skui_pool_hand hand;
    struct skui_work_self self;
    struct skui_pool_run *run; /* the innermost; NULL: none */
    uintptr_t stack_low;       /* the end of its stack; 0: not known yet */
    /* relaxed, all: for who reports what runs; the innermost */
    _Atomic(uintptr_t) runs;         /* the function's address; 0: nothing */
    _Atomic(const char *) runs_name; /* by which it is registered, or NULL */
    _Atomic(uint64_t) runs_since;    /* ticks */
    _Atomic(pid_t) thread_id;
    _Atomic(unsigned) number; /* in its name */
    skua_future *awaits;      /* guarded by the pool's lock: own work, for
                                 which it waits without limit */
    char pad_after[SKUI_CACHE_LINE];
};

/* Lines: what is constant; what all read and few write; what rarely serves. */
struct skui_thread_pool {
    skua_executor *executor; /* constant, as all up to the queue; it lives as
                                long as the pool */
    int max_workers;
    char name_prefix[SKUI_POOL_NAME_BYTES];
    skua_task_fn *initializer;
    void *initializer_arg;
    uint64_t idle_ticks; /* how long a thread stays idle; 0: for ever */

    char pad_queue[SKUI_CACHE_LINE];
    struct skui_work_queue queue;
    _Atomic(uint64_t) state;       /* TP1 */
    _Atomic(uint32_t) rouse;       /* TP2 */
    _Atomic(uint64_t) pace_ticks;  /* relaxed: what a job takes, about */
    _Atomic(uint32_t) finishing;   /* relaxed: a hint, see thread_pool.c */
    _Atomic(uint64_t) queued_most; /* relaxed: a figure */
    char pad_after[SKUI_CACHE_LINE];

    struct skui_room room;
    _Atomic(uint32_t) owners;         /* TP3: public side and each thread */
    _Atomic(unsigned) named;          /* relaxed: threads so far */
    pthread_mutex_t lock;             /* guards what follows */
    struct skui_pool_worker *workers; /* that have not left */
    struct skui_pool_worker *left;    /* to be joined */
    int waiting;                      /* workers that wait for own work */
    bool shut;                        /* shutdown was called */
    bool ended;                       /* and all threads have left */
};

/* A place is given back by who takes work out of the queue: when it is over, or
 * at once if it does not run that. Out of the pool's lock. */
static inline void skui_pool_make_room(struct skui_thread_pool *pool)
{
    skui_room_leave(&pool->room);
}

/* Look how much is queued: a figure. */
void skui_pool_note_queued(struct skui_thread_pool *pool);

/* Give up an ownership; the last one frees the pool. */
void skui_pool_disown(struct skui_thread_pool *pool);

/* Let go of work that was taken out of the queue and is not to run. */
void skui_pool_skip(struct skui_thread_pool *pool,
                    const struct skui_work *work);

/* --- thread_pool_idle.c --- */

/* Have every worker look at the queue again. */
void skui_pool_wake_all(struct skui_thread_pool *pool);

/* After a push: see that somebody takes what is queued. */
void skui_pool_rouse(struct skui_thread_pool *pool);

void skui_pool_become_idle(struct skui_thread_pool *pool,
                           struct skui_pool_hand *hand);
/* An idle worker took work; what it leaves in the queue is seen to. */
void skui_pool_become_busy(struct skui_thread_pool *pool,
                           struct skui_pool_hand *hand);
/* The worker has run a job: how long do they take? */
void skui_pool_note_pace(struct skui_thread_pool *pool,
                         struct skui_pool_hand *hand);
/* Idle: wait for work as cheaply as lately paid. False: there will be none, or
 * the worker has waited long enough, see `idle_ticks`. */
bool skui_pool_wait(struct skui_thread_pool *pool, struct skui_pool_hand *hand);
/* Whether an idle worker has waited long enough. */
bool skui_pool_is_idle_long(const struct skui_thread_pool *pool,
                            const struct skui_pool_hand *hand);

/* --- thread_pool_threads.c --- */

/* One more worker unless there are enough. An error when there is none. */
int skui_pool_grow(struct skui_thread_pool *pool);
/* Start one, which counts as idle; locked. */
int skui_pool_start_worker(struct skui_thread_pool *pool);

/* A thread, which is idle, leaves unless there is work; true: it has left. */
bool skui_pool_retire(struct skui_pool_worker *worker);
/* Join a thread that has left; NULL is allowed. */
void skui_pool_join_left(struct skui_pool_worker *worker);
/* It leaves a closed queue; the last one may end the executor. */
void skui_pool_leave(struct skui_pool_worker *worker);

/* --- thread_pool_interrupt.c --- */

/* As in struct skua_executor_type. */
void skui_pool_stop(void *self, skua_job *job);
/* Around the call of a job that may be interrupted; 0, or why it may not. */
int skui_pool_interrupt_begin(struct skui_pool_worker *worker,
                              struct skui_job *job,
                              struct skui_interrupt *interrupt);
void skui_pool_interrupt_end(struct skui_pool_worker *worker,
                             struct skui_job *job,
                             struct skui_interrupt *interrupt);
/* Around other work that runs in the middle of it; NULL: it has none. */
struct skui_interrupt *
skui_pool_interrupt_suspend(struct skui_pool_worker *worker);
void skui_pool_interrupt_resume(struct skui_pool_worker *worker,
                                struct skui_interrupt *interrupt);

/* --- thread_pool.c --- */

/* Run work that was claimed, in the middle of other work. */
void skui_pool_run_within(struct skui_pool_worker *worker,
                          const struct skui_work *work);
/* What a thread does; `worker` is not used any more when it returns. */
void skui_pool_work(struct skui_pool_worker *worker);

/* --- thread_pool_end.c --- */

/* Whether the end has come just now; locked. */
bool skui_pool_ends(struct skui_thread_pool *pool);

/* --- thread_pool_report.c --- */

/* The worker runs work from now on, or nothing; see `runs`. */
static inline void skui_pool_note_run(struct skui_pool_worker *worker,
                                      uintptr_t fn, const char *name,
                                      uint64_t since_ticks)
{
    /* relaxed, all: a report may mix what was and what is */
    skui_store_relaxed(&worker->runs_since, since_ticks);
    skui_store_relaxed(&worker->runs_name, name);
    skui_store_relaxed(&worker->runs, fn);
}

/* Log what still runs. */
void skui_pool_report(void *self);

/* As in struct skua_executor_type. */
void skui_pool_shutdown(void *self, bool cancel_futures);
void skui_pool_join(void *self);
void skui_pool_abandon(void *self);

SKUI_END_DECLS

#endif
