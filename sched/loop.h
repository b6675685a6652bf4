/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - one event loop.
 *
 * Loops live in type-stable memory: a future or handle that outlives its loop
 * holds a pointer and the loop's id, which changes when the loop is closed.
 *
 *             run   post   close   read flags
 *   run        x     -      x        -      (one thread at a time)
 *   post       -     -      -        -      (any thread)
 */
#ifndef SKUI_LOOP_H
#define SKUI_LOOP_H

#include <pthread.h>

#include "clock.h"
#include "context.h"
#include "cores.h"
#include "coroutine.h"
#include "inbox.h"
#include "poller.h"
#include "pressure.h"
#include "ready.h"
#include "running_stack.h"
#include "skua/loop.h"
#include "skua/runner.h"
#include "skua/task.h"
#include "stuck.h"
#include "timers.h"

SKUI_BEGIN_DECLS

struct skui_task;
struct skui_executor_slot;

/* How many tasks may start eagerly within one another. */
#ifndef SKUI_EAGER_DEPTH
#define SKUI_EAGER_DEPTH 64u
#endif

/* What a waker must do to reach the loop (park.c). */
enum skui_park_state {
    SKUI_PARK_AWAKE,     /* nothing: the loop will look */
    SKUI_PARK_PARKED,    /* make it AWAKE and wake the poller */
    SKUI_PARK_OUTSIDE,   /* no thread runs it: wake its poller, who embeds it
                            watches that */
    SKUI_PARK_SEARCHING, /* woken to steal, counted as a searcher */
    SKUI_PARK_CLOSING,   /* nothing: the closer will look */
    SKUI_PARK_CLOSED,    /* nobody will look: take the inbox down */
};

/* Whether a waker keeps the loop's thread off its own core (park.c). */
enum skui_cores_state {
    SKUI_CORES_FREE,     /* a waker may make it HELD, and write the mask */
    SKUI_CORES_HELD,     /* by a waker; or no thread runs the loop */
    SKUI_CORES_KEPT_OFF, /* the thread puts the mask back: FREE again */
};

/* Counters: written by the loop's thread, read by any. */
struct skui_counters {
    _Atomic(uint64_t) iterations;
    _Atomic(uint64_t) tasks_run;
    _Atomic(uint64_t) callbacks_run;
    _Atomic(uint64_t) stolen;
    _Atomic(uint64_t) spilled;
    _Atomic(uint64_t) polls;
    _Atomic(uint64_t) parks;
    _Atomic(uint64_t) wakes_sent;
    _Atomic(uint64_t)
        wakes_saved; /* others slept, and work was not worth one */
    _Atomic(uint64_t) spins;
    _Atomic(uint64_t) spins_paid;
    _Atomic(uint64_t) stuck;         /* looks that found a loop stuck ... */
    _Atomic(uint64_t) revoked;       /* ... and what was done for it */
    _Atomic(uint64_t) timers_for;    /* as above */
    _Atomic(uint64_t) delivered_for; /* as above */
};

/* How a loop idles; the owner's. */
struct skui_idle {
    skua_spin_policy policy;
    int64_t spin_ns;
    int64_t gap_ns;       /* average of recent idle gaps */
    unsigned victim;      /* where to look next */
    uint32_t seen_head;   /* of a victim with a single task ... */
    unsigned seen_victim; /* ... that is left to its owner ... */
    int64_t seen_at_ns;   /* ... if it moves soon */
    bool searching;       /* counted in runner->searching */
    uint32_t looks;       /* counted as one that looks at sources: the fork
                             generation + 1; 0: not */
    bool sentinel_due;    /* the tick ended its sleep: no single is spared */
    bool ticked;          /* as above, until the next sleep */
    unsigned calm_looks;  /* of a spare loop, in a row */
    uint64_t slice_ticks; /* average of recent slices */
    _Atomic(uint64_t) woken_at_ticks; /* relaxed: by who woke it last */
    _Atomic(int) core;                /* relaxed: where it went to sleep */
    _Atomic(uint32_t) cores;          /* CP1: enum skui_cores_state */
    struct skui_cores_mask allowed;   /* where it may run when not KEPT_OFF */
    struct skui_pressure pressure;
    uint64_t taken_at_ticks; /* when others last took the core ... */
    unsigned taken;          /* ... and how often in a row */
    /* Relaxed, by any loop of the runner: while a core is wanted by others,
     * none spins until `spin_at`, for `give_way` at a time; 0: not lately. */
    _Atomic(uint64_t) spin_at_ticks;
    _Atomic(uint64_t) give_way_ticks;
    uint64_t watched;        /* claim of the WATCHED task, or 0; see task.h */
    struct skui_task *woken; /* it was woken while watched: it runs next */
};

/* The step that runs, while the loop is timed. */
struct skui_step {
    int64_t began_ns;
    skua_future *future; /* one of these two, which outlive the step; else */
    skua_handle *handle; /* both are NULL: no step */
    bool is_callback;    /* it is a done callback of `future` */
    bool told;           /* that it goes on */
};

/*
 * Told when its loop closes: no thread runs that, and what was queued there has
 * gone. In the closer's thread; it may take itself out.
 */
struct skui_loop_closing {
    struct skui_loop_closing *next; /* guarded by the loop's lock */
    void (*fn)(struct skui_loop_closing *closing);
};

struct skua_loop {
    /* Any thread. */
    struct skui_inbox inbox;
    _Atomic(uint32_t) park_state; /* PK1; leaves CLOSED under lock */
    _Atomic(uint32_t) wakers;     /* PK6, PK7: who may use runner, poller */
    _Atomic(uint32_t) id;         /* LP1; 0: free or closed */
    _Atomic(bool) running;        /* LP2 */
    _Atomic(bool) stop_requested; /* relaxed: looked at each iteration */
    _Atomic(bool) debug;          /* relaxed: a setting */
    _Atomic(bool) blocked;        /* relaxed: its thread was given away */
    _Atomic(int) abort_status;    /* relaxed: ordered by stop_requested (AB1) */
    _Atomic(uint32_t) refs;       /* RF1 */
    struct skui_spinlock lock;    /* handler, inbox while CLOSED */
    skua_exception_handler_fn *handler; /* guarded by lock */
    void *handler_arg;                  /* guarded by lock */
    struct skui_loop_closing *closings; /* guarded by lock */
    _Atomic(int64_t) slow_ns;           /* relaxed: a setting */

    /* The thread that runs it. */
    SKUI_CACHE_ALIGNED struct skui_ready ready;
    struct skui_coroutine scheduler;
    struct skui_task *current;
    skua_handle *current_handle;
    skui_context_slot *callback_context; /* of the callback that runs */
    skua_context *entered;               /* by it; NULL between callbacks */
    unsigned eager_depth; /* of first steps inside others' (task_eager.c); the
                             limit where none may start */
    bool in_batch;        /* runs what was ready */
    bool timed;           /* in debug mode: for the batch that runs */
    uint8_t turn; /* polls since it took of a backlog in the inject queue */
    uint32_t runs_since_poll;
    uint64_t poll_due_ticks; /* siblings: when to poll at the latest */
    bool polled;             /* in this iteration */
    uint64_t now_ticks;      /* at the end of the last slice; with siblings */
    struct skui_idle idle;
    struct skui_timers timers; /* has its own lock */
    struct skui_stack_pool stack_pool;
    struct skui_counters counters;
    skua_handle *cancelling; /* it waits for this; guarded as handle.c says */
    skua_loop *next_free;    /* in the list of free loops */
    skua_future *run_future; /* what its run goes on for, or NULL */
    struct skui_spinlock step_lock;
    struct skui_step step;         /* guarded by step_lock */
    _Atomic(uint32_t) step_number; /* relaxed: one writer; of the step, and of
                                      each pause between two */
    struct skui_running_thread thread_seen; /* constant while it is timed */
    skua_loop *watched_next;                /* guarded by watchdog.c's mutex */
    struct skui_charge charge; /* guarded by the runner's keeping */

    /* Constant while the loop lives: one line, which all may keep. */
    SKUI_CACHE_ALIGNED const struct skui_poller_ops *poller_ops;
    struct skui_poller *poller;
    skua_runner *runner; /* NULL: a loop of its own; for who runs it */
    _Atomic(skua_runner *) inject_runner; /* PK6; NULL: none, or closed */
    _Atomic(bool) siblings;               /* relaxed: constant while open */
    _Atomic(bool) eager;                  /* relaxed: a setting */
    unsigned index;
    bool spare; /* it relieves others; see relief.h */
    _Atomic(const skua_task_hooks *) hooks; /* TH1; borrowed; NULL: none */
    uint64_t poll_interval_ticks;
    uint64_t long_ticks; /* a step that others must not wait for */
    _Atomic(uint32_t) fork_generation; /* relaxed: stale futures compare it */
    struct skui_executor_slot *executor_slot; /* the runner's or its own */
    pthread_t thread;                         /* valid while running */
    pid_t thread_id;                          /* as above */
};

/* The counters' owner only. Relaxed: one writer. */
#define skui_count(counter, n)                                                 \
    skui_store_relaxed((counter), skui_load_relaxed(counter) + (n))

/* Once per process, before anything else; cheap when done. */
void skui_runtime_init(void);
/* In a forked child. */
void skui_loops_after_fork(void);

/* A loop with one reference; poller_ops NULL: epoll. */
int skui_loop_open(const struct skui_poller_ops *poller_ops, size_t stack_bytes,
                   skua_runner *runner, unsigned index, skua_loop **out_loop);

static inline uint32_t skui_loop_id(const skua_loop *loop)
{
    /* relaxed: compared only; LP1 orders what matters */
    return skui_load_relaxed(&((skua_loop *)loop)->id);
}

static inline bool skui_loop_is_alive(const skua_loop *loop, uint32_t id)
{
    return id != 0 && skui_loop_id(loop) == id;
}

/* The process it belongs to; see skui_fork_generation(). */
static inline uint32_t skui_loop_fork_generation(const skua_loop *loop)
{
    /* relaxed: compared only */
    return skui_load_relaxed(&((skua_loop *)loop)->fork_generation);
}

/* Whether stealable tasks of its runner can run elsewhere. */
static inline bool skui_loop_has_siblings(const skua_loop *loop)
{
    /* relaxed: constant while the loop is open */
    return skui_load_relaxed(&((skua_loop *)loop)->siblings);
}

/* `set(loop, value)`, and the same for who takes the settings of `loop`: behind
 * the first loop of a runner its spare ones. */
typedef void skui_loop_setter_fn(skua_loop *loop, const void *value);
void skui_loop_set(skua_loop *loop, skui_loop_setter_fn *set,
                   const void *value);

/* 0, SKUA_ECLOSED or SKUA_EFORKED. */
int skui_loop_check_open(const skua_loop *loop);
/* As above, and -EPERM when another thread runs it. */
int skui_loop_check_own(const skua_loop *loop);

/* The handler, if one is set. */
bool skui_loop_handler(skua_loop *loop, skua_exception_handler_fn **out_fn,
                       void **out_arg);

/*
 * Queue pinned work from any thread, for the loop that had this id. False when
 * that is closed: the runnable still belongs to the caller.
 */
bool skui_loop_queue(skua_loop *loop, uint32_t id,
                     struct skui_runnable *runnable);

/* As skua_loop_call_at(), from any thread, on a loop that stays open. */
int skui_loop_call_at(skua_loop *loop, int64_t when_ns, skua_callback_fn *fn,
                      void *arg, skua_handle **out_handle);

/* As skui_loop_queue() in a signal handler, for an open loop. */
void skui_loop_post_from_signal(skua_loop *loop,
                                struct skui_runnable *runnable);

/* Queue a task: pinned to `home`, or where it best goes. */
void skui_loop_queue_task(skua_loop *home, struct skui_runnable *runnable,
                          bool pinned);

/* The loop itself: queue a task that just ran here. */
void skui_loop_queue_here(skua_loop *loop, struct skui_runnable *runnable,
                          bool pinned);

/* The loop itself: queue a block of the runner's inject queue here. */
bool skui_loop_take_injected(skua_loop *loop);

/* Make the loop look at its queues, whatever it does. Any thread. */
void skui_loop_wake(skua_loop *loop);

/* Enter and leave running; see skua_loop_run_forever() for the statuses. */
int skui_loop_enter(skua_loop *loop);
void skui_loop_leave(skua_loop *loop);
/* One iteration; waits at most until `deadline_ns`. */
void skui_loop_iterate(skua_loop *loop, int64_t deadline_ns);
/* Poll the reactor now; how many events it delivered. */
int skui_loop_poll(skua_loop *loop, int64_t timeout_ns);
/* Run until `future` is done or the loop is stopped; leaves a reference. */
int skui_loop_run_until(skua_loop *loop, skua_future *future);
/* Iterate until stopped. */
void skui_loop_run(skua_loop *loop);

/* Stop after the current batch. Any thread. */
void skui_loop_request_stop(skua_loop *loop);
/* As above, and let the run of the loop, or of its runner, give `status`. */
void skui_loop_request_abort(skua_loop *loop, int status);
/* A run ends: what it gives, `status` unless it was aborted. */
int skui_loop_take_abort(skua_loop *loop, int status);
/* Reuse the memory of a closed loop. */
void skui_loop_recycle(skua_loop *loop);

/*
 * loop_close.c: close a loop of its own, or all loops of a runner; none runs.
 * Tasks that are left are reported and ended.
 */
void skui_loops_shut(skua_loop **loops, unsigned count);
/* Call it once when the loop closes. SKUA_ECLOSED: it is closed or closing. */
int skui_loop_add_closing(skua_loop *loop, struct skui_loop_closing *closing);
/* Take it back. False: it was called, is called, or will be. */
bool skui_loop_remove_closing(skua_loop *loop,
                              struct skui_loop_closing *closing);
/* Any thread, which has posted to a closed loop: drop what was posted. */
void skui_loop_drain_closed(skua_loop *loop);

/* handle.c */
void skui_handle_run(skua_loop *loop, skua_handle *handle);
void skui_handle_discard(skua_handle *handle);
skua_handle *skui_handle_of_runnable(struct skui_runnable *runnable);
void skui_handle_timer_due(struct skui_timer *timer);
/* What nobody refers to goes into the list `gone`: it is freed once the lock
 * is released, since contexts may call users' code. */
void skui_handle_timer_discard(struct skui_timer *timer,
                               struct skui_runnable **gone);
void skui_handles_free(struct skui_runnable *gone);
void skui_handle_classes_init(void);
void skui_handles_after_fork(void);

/* Free a runnable that will never run. */
void skui_runnable_discard(struct skui_runnable *runnable);

/* park.c: nothing is ready: find work, spin, or sleep until `deadline_ns`. */
void skui_loop_idle(skua_loop *loop, int64_t deadline_ns);
/* park.c: stealable work was queued: wake a sibling if that is worth it. */
void skui_runner_notify(skua_runner *runner, skua_loop *self, size_t queued);
/* park.c: whether a task parked now is the one thing the loop waits for. */
bool skui_loop_may_watch(skua_loop *loop);
/* park.c: stop watching; true when that task was woken: it is idle.woken. */
bool skui_loop_unwatch(skua_loop *loop);
/* park.c: wake it if it sleeps; any thread that keeps its runner. */
bool skui_park_try_wake(skua_loop *loop);
/* Fire what is due for a loop whose thread is held up; returns how many. */
size_t skui_loop_fire_timers_for(skua_loop *loop);
/* park.c: wake another loop, to learn what that takes. */
void skui_park_calibrate(skua_runner *runner);
/* park.c: its thread enters or leaves: it may be kept off cores, or is not, and
 * will not be. */
void skui_park_open_cores(skua_loop *loop);
void skui_park_close_cores(skua_loop *loop);
/* park.c: let go of the searcher's role. */
void skui_idle_found(skua_loop *loop);

SKUI_END_DECLS

#endif
