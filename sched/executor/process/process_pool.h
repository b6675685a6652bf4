/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_pool.h - a pool of worker processes, for its own files.
 *
 * Where a job is, and who may take it from there. All but the last under the
 * pool's lock:
 *
 *   queue    in the pool's list, oldest first. Before it was sent for the first
 *            time who cancels it completes it, and whoever comes to it in the
 *            list drops it.
 *   sent     in a slot of one worker, and RUNNING for its future. The word of
 *            its id in the channel says whether the worker has claimed it.
 *            Until then it can be taken back (skui_channel_revoke()), to be
 *            cancelled, or to go to another worker, also after the death of
 *            this one.
 *   revoked  cancelled while it was queued for the second time: who cancels
 *            completes it. It stays in the list, with a reference of its own,
 *            until somebody comes to it.
 *   gone     taken out of its slot by whoever completes it, without the lock.
 *
 * A worker is in `workers` from before its order is sent until its end is known
 * and what it left behind was taken out. It takes work all the time in between,
 * unless it is full, leaves, or is to quit. One thread at a time takes its
 * answers, and completes them in their order: who has `receiving`, which is
 * given and taken under the lock. Meanwhile it is not buried.
 *
 *              submit  reply  keeper  cancel  shutdown
 *   submit       -       -      -       -        -    (any thread)
 *   reply        -       x      x       -        -    (`receiving`, by worker)
 *   keeper       -       x      x       -        -    (the pool's own thread)
 *   cancel       -       -      -       -        -    (any thread)
 *   shutdown     -       -      -       -        -    (any thread)
 */
#ifndef SKUI_EXECUTOR_PROCESS_PROCESS_POOL_H
#define SKUI_EXECUTOR_PROCESS_PROCESS_POOL_H

#include <pthread.h>

#include "skua/process_pool.h"

#include "../../source.h"
#include "../job.h"
#include "../room.h"
#include "channel.h"
#include "fork_server.h"

SKUI_BEGIN_DECLS

enum {
    SKUI_PROCESS_SLOTS = SKUI_CHANNEL_STOPS, /* the last one: initialisers */
    SKUI_PROCESS_SLOT_BITS = 8,
    SKUI_PROCESS_MESSAGE = 256, /* bytes of a message of ours */
};

struct skui_process_pool;

/* Guarded by the pool's lock, but for what is constant. */
struct skui_process_worker {
    struct skui_channel channel;    /* see channel.h */
    struct skui_process_pool *pool; /* constant, as the next */
    uint32_t number; /* in the fork server's notices, and its orders */
    uint32_t index;  /* in pool->workers */
    struct skui_process_worker *idle_next;  /* in pool->idle */
    struct skui_process_worker **idle_link; /* NULL: not there */
    uint32_t load;                          /* slots in use */
    uint32_t free_count;
    uint8_t free_slots[SKUI_PROCESS_SLOTS];
    struct {
        uint64_t id;          /* of what was sent last in it */
        struct skui_job *job; /* NULL: free */
    } slots[SKUI_PROCESS_SLOTS];
    uint64_t sent;     /* ever; makes ids differ */
    uint64_t assigned; /* of its max_tasks */
    uint64_t replies;  /* ever */
    bool ready;        /* it has said so */
    bool full;         /* its ring was, at the last try */
    bool leaving;   /* it takes no more: it said so, was told so, or is dead */
    bool receiving; /* somebody takes its replies, or what it left */
    bool convicted; /* written by who has `receiving`: it broke the rules */
    bool said_leaving;
    bool told_to_quit;
    /* The keeper's alone: */
    bool ordered;
    bool has_status; /* `wait_status` is known */
    int wait_status;
    pid_t pid;             /* 0: not known yet; written under the lock */
    int pidfd;             /* -1: none */
    int start_error;       /* it could not be forked: 0 or a negative errno */
    uint64_t replies_seen; /* at the last tick */
    bool dead;             /* guarded by the lock, as the next */
    int64_t dead_at_ns;
    int kill_signal; /* to be sent once it has started; 0: none */
};

/* What is left to do without the lock. All-zero: nothing. */
struct skui_process_after {
    struct skui_job *dropped; /* done, or late: linked by `next` */
    struct skui_job *revoked; /* whoever revoked them completes them */
    struct skui_job *failed;
    int status;              /* of `failed` */
    struct skui_job *unsent; /* could not be sent to anybody ... */
    int unsent_status;       /* ... because of this */
    char message[SKUI_PROCESS_MESSAGE];
    uint32_t ended; /* jobs, whose places are given back */
    int closes;     /* the room is closed, because of this */
    bool wake;      /* the keeper */
};

struct skui_process_options {
    skua_process_pool_options given; /* nothing in it is 0 that has a default */
    uint32_t initializer;            /* its index */
    uint32_t functions;              /* how many the workers know */
};

struct skui_process_pool {
    pthread_mutex_t lock;     /* valid for ever, like all of this memory */
    uint32_t fork_generation; /* constant, also from one pool to the next */
    struct skui_process_pool *next_free; /* guarded by the list's lock */
    skua_executor *executor; /* constant, as all up to `source`; it lives as
                                long as the pool */
    struct skui_process_options options;
    void *initializer_data;
    int link;  /* to the fork server */
    int epoll; /* the keeper's */
    int event; /* wakes the keeper; workers write it, too */
    struct skui_source source;
    struct skui_room room; /* a place for each job until it has ended */
    /* Guarded by the lock: */
    struct skui_job *first;
    struct skui_job **last;
    size_t queued;  /* in the list */
    size_t waiting; /* accepted, and neither done nor first of a worker */
    size_t waiting_most;
    struct skui_process_worker **workers; /* max_workers of them */
    uint32_t count;                       /* of these */
    uint32_t ordering;                    /* wanted, and not there yet */
    uint32_t unreplaced;                  /* died, and had no successor yet */
    struct skui_process_worker *idle;     /* last used first */
    uint32_t cursor;
    bool armed;
    bool closed;
    bool broken;
    bool ended;
    bool joined;      /* somebody joins the keeper, or has */
    uint32_t crowded; /* workers with more than one job */
    bool uneven;      /* the keeper was told that work lies badly */
    bool stalled;     /* a ring was full: the keeper tries again */
    char why[SKUI_PROCESS_MESSAGE]; /* it is broken */
    int64_t start_at_ns;            /* none is started before; 0: no limit */
    int64_t delay_ns;               /* the next one after a death */
    uint32_t failures;              /* deaths in a row without anybody ready */
    int64_t submitted;
    int64_t restarted;
    pthread_t keeper; /* constant */
    /* The keeper's: */
    uint32_t numbers;
    bool link_ended;
    int64_t look_at_ns; /* when to look who is stuck; 0: not */
};

/* --- process_dispatch.c; locked --- */

/* Append, or put in front of all others. */
void skui_process_enqueue(struct skui_process_pool *pool, struct skui_job *job);
void skui_process_enqueue_front(struct skui_process_pool *pool,
                                struct skui_job *job);
/* Send what is queued, as far as there is room, and have workers started. */
void skui_process_pump(struct skui_process_pool *pool,
                       struct skui_process_after *after);
/* Whether some have nothing, and others more than one job. */
bool skui_process_is_uneven(const struct skui_process_pool *pool);
/* Out of its slot; NULL when there is no job of that id. */
struct skui_job *skui_process_take(struct skui_process_worker *worker,
                                   uint64_t id,
                                   struct skui_process_after *after);
/* Take back what the worker has not claimed, and queue it in front of all
 * others. */
void skui_process_recall(struct skui_process_worker *worker);
/* The slot with its youngest job whose id is below `limit`; -1: none. */
int skui_process_youngest(const struct skui_process_worker *worker,
                          uint64_t limit);
/* Rings that were full may have room. */
void skui_process_try_again(struct skui_process_pool *pool,
                            struct skui_process_after *after);
/* Tell workers without work to quit, when there will be none; all of them when
 * the pool is broken. */
void skui_process_quit_idle(struct skui_process_pool *pool,
                            struct skui_process_after *after);
/* All of the list to after->failed, but for what is done already. */
void skui_process_drop_queue(struct skui_process_pool *pool,
                             struct skui_process_after *after);
/* To be given work from now on. */
void skui_process_welcome(struct skui_process_worker *worker);
/* Not to be given work any more. */
void skui_process_retire(struct skui_process_worker *worker);

/* --- process_dispatch.c --- */

/* What was put off while locked. */
void skui_process_do_after(struct skui_process_pool *pool,
                           struct skui_process_after *after);
/* As in struct skui_job. */
bool skui_process_revoke(struct skui_job *job);
/* As in skua_executor_type. */
void skui_process_stop(void *self, skua_job *job);

/* --- process_reply.c --- */

extern const struct skui_source_ops skui_process_source_ops;
/* Take replies of a worker, at most `most`; the caller has `receiving`. */
size_t skui_process_receive(struct skui_process_worker *worker, size_t most);
/* True: the caller has `receiving` now; locked. */
bool skui_process_begin_receiving(struct skui_process_worker *worker);
void skui_process_wake(struct skui_process_pool *pool);

/* --- process_end.c --- */

/* Nothing works any more: all work fails, workers are sent `signal`. Locked. */
void skui_process_break(struct skui_process_pool *pool, int signal,
                        struct skui_process_after *after, const char *why);
/* The keeper, which has `receiving`: a worker has ended. It is freed. */
void skui_process_bury(struct skui_process_worker *worker);
/* The keeper: one that is wanted could not be made. */
void skui_process_start_failed(struct skui_process_pool *pool, int error);
/* As in skua_executor_type. */
void skui_process_shutdown(void *self, bool cancel_futures);

/* --- process_report.c --- */

/* The name of the function that it runs, as it says; NULL: none. Locked. */
const char *skui_process_running(const struct skui_process_worker *worker);
/* As in struct skua_executor: the pool has not ended in time. */
void skui_process_report(void *self);

/* --- process_pool.c --- */

extern const skua_executor_type skui_process_pool_type;

void skui_process_pools_after_fork(void);

/* --- process_keeper.c --- */

void *skui_process_keep(void *arg);

/* --- process_worker.c; the keeper's --- */

/* Make one in place of one that is wanted, to be ordered; 0 or an errno. */
int skui_process_add_worker(struct skui_process_pool *pool);
/* Order it from the fork server: as skui_fork_server_order(). */
int skui_process_order(struct skui_process_worker *worker);
void skui_process_free_worker(struct skui_process_worker *worker);

SKUI_END_DECLS

#endif
