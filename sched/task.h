/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.h - the life of a task.
 *
 * The wait word says what a task is doing and linearises cancel against wake:
 *
 *   RUNNING  it runs, is queued, has not started or is done: nobody may wake it
 *   ARMED    its wait is published, its context may not be saved yet: a waker
 *            makes it RUNNING and leaves it alone
 *   PARKED   its context is saved: exactly one waker makes it RUNNING and
 *            queues it
 *
 *   WATCHED  as PARKED, but the loop where it was parked has nothing else to do
 *            and watches the word: a waker makes it RUNNING and that loop goes
 *            on with it
 *
 * HELD     a canceller reads `awaiting`; a waker of a PARKED task sets DEFERRED
 *          and leaves the queueing to the holder
 * CANCEL   a cancel request waits for the next suspension or resumption
 * ENDED    its outcome is settled: a request comes too late
 *
 * The upper bits hold the number of the wait and the waker's reason.
 */
#ifndef SKUI_TASK_H
#define SKUI_TASK_H

#include "composite.h"
#include "coroutine.h"
#include "future.h"
#include "skua/task.h"
#include "timers.h"
#include "waitq.h"

SKUI_BEGIN_DECLS

enum {
    SKUI_WAIT_RUNNING = 0,
    SKUI_WAIT_ARMED = 1,
    SKUI_WAIT_PARKED = 2,
    SKUI_WAIT_WATCHED = 3,
    SKUI_WAIT_PHASE = 3,
    SKUI_WAIT_HELD = 4,
    SKUI_WAIT_CANCEL = 8,
    SKUI_WAIT_DEFERRED = 16,
    SKUI_WAIT_ENDED = 32,
    SKUI_WAIT_FLAGS = 63,
    SKUI_WAIT_SEQUENCE_SHIFT = 8,
    SKUI_WAIT_SEQUENCE_BITS = 22,
    SKUI_WAIT_REASON_SHIFT = 32,
};

#define SKUI_WAIT_SEQUENCE_MASK                                                \
    ((((uint64_t)1 << SKUI_WAIT_SEQUENCE_BITS) - 1) << SKUI_WAIT_SEQUENCE_SHIFT)

/* Why a task switched to its loop. */
enum skui_task_request {
    SKUI_REQUEST_YIELD, /* queue it again */
    SKUI_REQUEST_WAIT,  /* publish its wait and park it */
    SKUI_REQUEST_AWAIT, /* park it in the list of the future it awaits */
    SKUI_REQUEST_QUEUE, /* park it where `wait_node` is queued, and let go of
                           that list's lock */
    SKUI_REQUEST_DONE,  /* it has ended */
};

/* How skui_task_await() ended, beside 0 and SKUA_ECANCELED. */
enum {
    SKUI_REASON_DELIVERED = 1, /* status 0; the value is in `delivered` */
    SKUI_REASON_NOT_PARKED,    /* a request was pending before */
};

enum { SKUI_TASK_BUDGET = 128 }; /* ready operations in a row */

enum { SKUI_TIMER_OF_TASK, SKUI_TIMER_OF_HANDLE };

/*
 * Who is told that a task ends, in the thread that ends it. A task that fails
 * (not: is cancelled) is announced before its outcome can be read, so that who
 * awaits it resumes after what that brings about. `ended` comes when the
 * outcome can be read and before the runtime lets go of the task.
 */
struct skui_observer {
    void (*failing)(struct skui_observer *self, struct skui_task *task,
                    const struct skui_outcome *outcome); /* may be NULL */
    void (*ended)(struct skui_observer *self, struct skui_task *task,
                  const struct skui_outcome *outcome);
};

/*
 * The first cache line is what switching, waiting and waking touch; the first
 * two are all that creating one touches.
 */
struct skui_task {
    struct skui_runnable runnable;   /* in a queue or in a future's list; word:
                                        relaxed, cancel requests, a counter */
    _Atomic(uint64_t) wait_word;     /* WW1; kept across reuse of the memory */
    struct skui_coroutine coroutine; /* owned by whoever runs it; its context is
                                        NULL until it has started */
    void *delivered;           /* written by who completes what it awaits */
    skui_context_slot context; /* CX1 */
    uint8_t request;           /* enum skui_task_request */
    uint8_t budget;
    bool pinned;          /* constant */
    _Atomic(bool) named;  /* relaxed: else its name is Task-number */
    bool observed;        /* constant once shared: `observer` is set */
    bool mark;            /* the observer's */
    _Atomic(bool) blamed; /* relaxed: `blame` may hold something */
    bool announced;       /* constant once shared: hooks know it */

    struct skua_future future;

    struct skui_observer *observer;
    struct skui_task *sibling_next; /* the observer's */
    struct skui_task *sibling_prev; /* the observer's */
    struct skui_stack stack;        /* while its context is not NULL */
    struct skui_frame frame;        /* empty while it does not run */
    skua_future *awaiting; /* read by a canceller that HOLDs the wait word */

    struct skui_waitq_node *wait_node; /* while it waits in a queue, else NULL;
                                          also read by its timer */

    /* While it waits for a claim. */
    skui_publish_fn *publish;
    void *publish_arg;
    skua_loop *timer_loop;
    struct skui_timer timer; /* guarded by the lock of timer_loop's timers;
                                until it is started only its deadline counts */

    uint32_t index;                  /* the observer's */
    skua_context *entered;           /* by skua_context_run(); borrowed */
    _Atomic(skua_exception *) blame; /* CM1; owned: the message of the cancel
                                        request that is to be delivered */
    char name[SKUI_NAME_BYTES];      /* if named; SL1, see task_name.c */
};

static inline struct skui_task *skui_task_of(const skua_future *future)
{
    return SKUI_CONTAINER_OF((skua_future *)future, struct skui_task, future);
}

/* The claim of the wait that `word` numbers. */
static inline skui_claim skui_claim_make(const struct skui_task *task,
                                         uint64_t word)
{
    return ((uint64_t)(uintptr_t)task / SKUI_OBJECT_ALIGNMENT
            << SKUI_WAIT_SEQUENCE_BITS) |
           ((word & SKUI_WAIT_SEQUENCE_MASK) >> SKUI_WAIT_SEQUENCE_SHIFT);
}

/* The task that `claim` names, whose memory at least is one; the bits of its
 * wait's number in a wait word. */
static inline struct skui_task *skui_claim_task(skui_claim claim)
{
    return (struct skui_task *)(uintptr_t)((claim >> SKUI_WAIT_SEQUENCE_BITS) *
                                           SKUI_OBJECT_ALIGNMENT);
}

static inline uint64_t skui_claim_sequence(skui_claim claim)
{
    return claim << SKUI_WAIT_SEQUENCE_SHIFT & SKUI_WAIT_SEQUENCE_MASK;
}

/* `word` once its wait has ended: RUNNING, with the waker's reason. */
static inline uint64_t skui_word_with_reason(uint64_t word, int reason)
{
    return (word &
            (SKUI_WAIT_SEQUENCE_MASK | SKUI_WAIT_HELD | SKUI_WAIT_CANCEL)) |
           (uint64_t)(uint16_t)(int16_t)reason << SKUI_WAIT_REASON_SHIFT;
}

/* The reason in a word whose wait has ended. */
static inline int skui_word_reason(uint64_t word)
{
    return (int16_t)(uint16_t)(word >> SKUI_WAIT_REASON_SHIFT);
}
/* The memory of a task that nobody refers to. */
void skui_task_put(struct skui_task *task);

/* The task that runs in this thread, or NULL. */
SKUI_NOINLINE struct skui_task *skui_task_self(void);

/*
 * Create a task that starts with skui_task_start(), after its observer was set.
 * One of its `refs` is the runtime's: once it has started that is its
 * observer's until that was told. The task itself may change its observer.
 */
int skui_task_create_observed(const skua_task_options *options,
                              skua_task_fn *fn, void *arg, uint32_t refs,
                              struct skui_task **out_task);
/* Tell the observer that the task fails, if it does. */
void skui_task_announce(struct skui_task *task,
                        const struct skui_outcome *outcome);
/* The same without an observer; a second reference is the caller's. */
int skui_task_create_held(skua_task_fn *fn, void *arg,
                          struct skui_task **out_task);
void skui_task_start(struct skui_task *task);
/* Instead of starting it: end it as cancelled; nobody is told. */
void skui_task_drop_unstarted(struct skui_task *task);

/* task_name.c. Name it; any thread. */
void skui_task_name(struct skui_task *task, const char *name);
/* In a forked child. */
void skui_tasks_after_fork(void);
/* Copy its name, cut to `bytes`, terminated; returns the full length. */
int skui_task_copy_name(struct skui_task *task, char *buffer, size_t bytes);

/* Request cancellation, along what the task awaits: 1, or 0 when done. */
int skui_task_cancel(struct skui_task *task, struct skui_spread *spread);

/* How many requests are not taken back, less one that waits: for a scope that
 * the task enters. */
uint32_t skui_task_cancels_met(const struct skui_task *task);

/*
 * Take back one request of a scope; returns what is left. Down to `quiet`,
 * which were met before the scope, one that waits is the scope's: it is
 * withdrawn.
 */
int skui_task_uncancel(struct skui_task *task, uint32_t quiet);

/* Whether a request waits for the task's next suspension or resumption. */
static inline bool skui_task_cancel_waits(const struct skui_task *task)
{
    /* relaxed: who asks is the task itself, or wants a hint */
    return (skui_load_relaxed(&((struct skui_task *)task)->wait_word) &
            SKUI_WAIT_CANCEL) != 0;
}

/* What to do with a HELD wait word. */
enum skui_unhold {
    SKUI_UNHOLD_ONLY,    /* let go of it */
    SKUI_UNHOLD_CANCEL,  /* and end a wait that still goes on, else as below */
    SKUI_UNHOLD_PENDING, /* and leave a request for who resumes */
};
void skui_task_unhold(struct skui_task *task, enum skui_unhold how);

/* The task itself: take a request that waits. */
bool skui_task_take_pending_cancel(struct skui_task *task);
static inline bool skui_task_take_cancel(struct skui_task *task)
{
    /* relaxed: a hint; the compare-and-swap decides */
    return SKUI_UNLIKELY(
               (skui_load_relaxed(&task->wait_word) & SKUI_WAIT_CANCEL) != 0) &&
           skui_task_take_pending_cancel(task);
}

/* Keep the message of the latest request (taken, NULL: none) for the task; take
 * it: the caller's then, NULL when there is none. */
void skui_task_set_blame(struct skui_task *task, skua_exception *message);
skua_exception *skui_task_take_blame(struct skui_task *task);

/* The task itself: the request that it took, or that ended its wait, becomes
 * what it handles. SKUA_ECANCELED. */
int skui_task_deliver_cancel(struct skui_task *task);

/*
 * The task itself: suspend as skui_task_wait(), but give the raw reason:
 * 0 or what the waker said, -ETIMEDOUT, SKUA_ECANCELED. `publish` was not
 * called when a request was pending.
 */
int skui_task_suspend(struct skui_task *task, skui_publish_fn *publish,
                      void *arg, int64_t deadline_ns);

/*
 * The task itself, on the loop that runs it: suspend until `future` is done,
 * which alone wakes it. 0, a SKUI_REASON_..., or SKUA_ECANCELED when
 * a canceller woke it.
 */
int skui_task_await(skua_loop *loop, struct skui_task *task,
                    skua_future *future);
/* The completer: what `task` awaits is done; it was taken from the list. */
void skui_task_fulfil(struct skui_task *task, int status, void *value);
/*
 * Wake a task that only the caller can wake: skui_future_withdraw() gave it, or
 * its node was taken out of a queue. `reason` as for skui_wake().
 */
void skui_task_wake_owned(struct skui_task *task, int reason);

/*
 * The task itself: suspend until it is woken by who takes `node` out of its
 * queue. The caller holds the queue's lock, which is free once it is parked.
 * The waker's reason, or SKUA_ECANCELED when a request was pending: then it
 * has been taken out.
 */
int skui_task_wait_queued(struct skui_task *task, struct skui_waitq_node *node);
/* Around that: have `node` expire at a time; stop that again. */
void skui_task_start_deadline(skua_loop *loop, struct skui_task *task,
                              struct skui_waitq_node *node,
                              int64_t deadline_ns);
void skui_task_stop_deadline(struct skui_task *task);

/* The loop, before a step of a task that it took from a queue: false when that
 * has ended instead. */
bool skui_task_prepare(skua_loop *loop, struct skui_task *task);
/* After the step: do what the task asked for. True: it must go on at once. */
bool skui_task_after_step(skua_loop *loop, struct skui_task *task);

/* task_eager.c. Run the first step of a new task inside the code that runs on
 * `loop`, the calling thread's. */
void skui_task_start_eagerly(skua_loop *loop, struct skui_task *task);
/* Whether it may: while the loop runs what was ready, not too deep, nor in a
 * hook or a report. */
bool skui_task_may_start_eagerly(const skua_loop *loop);

/* Whether a watched task was woken. */
bool skui_task_watched_is_awake(skui_claim claim);
/* Stop watching; true when it was woken: it is the caller's to run. */
bool skui_task_unwatch(skui_claim claim, struct skui_task **out_task);

/* The loop: a timer of a task is due (under the timers' lock). */
void skui_task_timer_due(struct skui_timer *timer);

/* Queue a RUNNING task that nobody runs. */
void skui_task_queue(struct skui_task *task);

/* task_abandon.c. Its loop closes: take a parked task out of its wait; false
 * when it is not parked, or HELD: it has an owner. */
bool skui_task_seize(struct skui_task *task);
/* Report to `loop` (NULL: to who reports here) and end a task that the caller
 * owns, unfinished. Stack and the runtime's reference stay. */
void skui_task_abandon(struct skui_task *task, skua_loop *loop);
/* Give back stack and reference of an abandoned task. */
void skui_task_bury(struct skui_task *task);

/* A reference to every task of `loop` that is not done, up to capacity. */
int64_t skui_task_list(skua_loop *loop, skua_task **tasks, size_t capacity);

SKUI_END_DECLS

#endif
