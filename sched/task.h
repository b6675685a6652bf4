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
 *   WATCHED  as PARKED, but the loop where it was parked idles and watches the
 *            word: a waker makes it RUNNING and that loop goes on with it
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

#include "coroutine.h"
#include "future.h"
#include "skua/task.h"
#include "timers.h"

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
    SKUI_REQUEST_DONE,  /* it has ended */
};

enum { SKUI_TIMER_OF_TASK, SKUI_TIMER_OF_HANDLE };

struct skui_task {
    /* What a switch touches: one cache line. */
    _Atomic(uint64_t) wait_word; /* WW1; kept across reuse of the memory */
    struct skui_runnable runnable;
    struct skui_coroutine coroutine; /* owned by whoever runs it, as below */
    uint8_t request;                 /* enum skui_task_request */
    bool pinned;                     /* constant */
    bool named;                      /* else its name is Task-number */
    uint16_t budget;

    struct skua_future future;
    struct skui_stack stack; /* limit NULL: it never started */
    struct skui_frame frame;
    skua_task_fn *fn;
    void *arg;
    _Atomic(uint64_t) number;     /* relaxed: 0 until its name is asked for */
    _Atomic(uint32_t) cancelling; /* relaxed: a counter */

    /* While it waits. */
    skua_future *awaiting; /* read by a canceller that HOLDs the wait word */
    skui_publish_fn *publish;
    void *publish_arg;
    int64_t deadline_ns;
    skua_loop *timer_loop;
    struct skui_timer timer; /* guarded by the lock of timer_loop's timers */

    char name[SKUI_NAME_BYTES]; /* if named */
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

/* `word` once its wait has ended: RUNNING, with the waker's reason. */
static inline uint64_t skui_word_with_reason(uint64_t word, int reason)
{
    return (word &
            (SKUI_WAIT_SEQUENCE_MASK | SKUI_WAIT_HELD | SKUI_WAIT_CANCEL)) |
           (uint64_t)(uint16_t)(int16_t)reason << SKUI_WAIT_REASON_SHIFT;
}

/* The task that runs in this thread, or NULL. */
SKUI_NOINLINE struct skui_task *skui_task_self(void);

/*
 * Create a task that starts with skui_task_start(); `done` is called in the
 * thread that completes it. One reference is the caller's.
 */
int skui_task_create_observed(skua_task_fn *fn, void *arg,
                              skua_done_callback_fn *done, void *done_arg,
                              skua_task **out_task);
void skui_task_start(skua_task *task);
/* Instead of starting it: complete it as cancelled; the caller keeps its
 * reference. */
void skui_task_drop_unstarted(skua_task *task);

/* Copy its name, cut to `bytes`, terminated; returns the full length. */
int skui_task_copy_name(struct skui_task *task, char *buffer, size_t bytes);

/* Request cancellation, along what the task awaits: 1, or 0 when done. */
int skui_task_cancel(struct skui_task *task);

/* The task itself: take a request that waits. */
bool skui_task_take_cancel(struct skui_task *task);

/*
 * The task itself: suspend as skui_task_wait(), but give the raw reason:
 * 0 or what the waker said, -ETIMEDOUT, SKUA_ECANCELED. `publish` was not
 * called when a request was pending.
 */
int skui_task_suspend(struct skui_task *task, skui_publish_fn *publish,
                      void *arg, int64_t deadline_ns);

/* The loop: run a step of `task`, which it took from a queue. */
void skui_task_step(skua_loop *loop, struct skui_task *task);

/*
 * The loop, idle: watch the task that it parked last, if that still waits.
 * False when there is none to watch.
 */
bool skui_task_watch(skui_claim claim);
/* Whether a watched task was woken. */
bool skui_task_watched_is_awake(skui_claim claim);
/* Stop watching; true when it was woken: it is the caller's to run. */
bool skui_task_unwatch(skui_claim claim, struct skui_task **out_task);

/* The loop: a timer of a task is due (under the timers' lock). */
void skui_task_timer_due(struct skui_timer *timer);

/* Queue a RUNNING task that nobody runs. */
void skui_task_queue(struct skui_task *task);

/* The runner or loop is closing: end a task that nobody runs, unfinished. */
void skui_task_abandon(struct skui_task *task);

/* A reference to every task of `loop` that is not done, up to capacity. */
int64_t skui_task_list(skua_loop *loop, skua_task **tasks, size_t capacity);

SKUI_END_DECLS

#endif
