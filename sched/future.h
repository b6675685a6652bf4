/* SPDX-License-Identifier: Apache-2.0 */
/*
 * future.h - one outcome and those who wait for it.
 *
 * The state word holds a phase, flags, and while the future is not done the
 * list of its waiters, newest first: tasks, by their own runnable, which no
 * queue needs meanwhile, and for all else a struct skui_waiter:
 *
 *   PENDING  no outcome; anyone may claim it
 *   SETTING  one completer has claimed it and owns status, value, exception;
 *            passed over by an outcome that has none of them
 *   DONE     those are constant; the upper bits hold the kind of outcome
 *
 * RUNNING  an executor runs its work. SCRUB  one thread has taken the list out
 * to weed it and will bring the rest back. QUIET, SHIELDED  a wait for it was
 * given up: if it fails nobody is told, or the exception handler at once.
 *
 *                 complete  register  leave  scrub  read
 *   complete         -         -        -      -     -    (any thread)
 *   register         -         -        -      -     -
 *   leave            -         -        -      -     -
 *   scrub            -         -        -      x     -    (excluded by SCRUB)
 */
#ifndef SKUI_FUTURE_H
#define SKUI_FUTURE_H

#include "context.h"
#include "exception.h"
#include "runnable.h"
#include "skua/future.h"
#include "wait.h"

SKUI_BEGIN_DECLS

enum {
    SKUI_FUTURE_PENDING = 0,
    SKUI_FUTURE_SETTING = 1,
    SKUI_FUTURE_DONE = 3, /* with the bit of SETTING: see future_claim() */
    SKUI_FUTURE_PHASE = 3,
    SKUI_FUTURE_RUNNING = 4,
    SKUI_FUTURE_SCRUB = 8,
    SKUI_FUTURE_QUIET = 16,
    SKUI_FUTURE_SHIELDED = 32,
    SKUI_FUTURE_FLAGS = 63,
    /* With DONE: */
    SKUI_FUTURE_FAILED = 16,
    SKUI_FUTURE_CANCELLED = 32,
    SKUI_FUTURE_UNREAD = 64,
};

enum skui_future_kind {
    SKUI_FUTURE_PLAIN,     /* asyncio.Future */
    SKUI_FUTURE_TASK,      /* the future inside a struct skui_task */
    SKUI_FUTURE_EXECUTOR,  /* concurrent.futures.Future */
    SKUI_FUTURE_COMPOSITE, /* the future inside a struct skui_composite */
    SKUI_FUTURE_JOB,       /* the future inside a struct skui_job */
};

struct skui_task;
struct skui_completions;

/* One cache line: a completion in another core moves no more than that. */
struct skua_future {
    _Atomic(uintptr_t) state;
    _Atomic(struct skui_runnable *) handoff; /* FU4: see future.c, scrub */
    _Atomic(uint32_t) refs;                  /* RF1 */
    _Atomic(uint16_t) dead;     /* relaxed: nodes that left, about */
    _Atomic(uint16_t) scrub_at; /* relaxed: how many are worth a scrub */
    int status;               /* owned by the completer until DONE, as below */
    _Atomic(uint32_t) number; /* relaxed: of a task; 0 until its name is asked
                                 for */
    union {
        struct {
            void *value;
            skua_exception *exception;
        };
        struct { /* a task that has not started */
            skua_task_fn *fn;
            void *arg;
        } start;
    };
    skua_loop *loop;         /* home; constant; type-stable, see loop_id */
    uint32_t loop_id;        /* EXECUTOR: of which pool, or 0 */
    uint8_t kind;            /* constant */
    bool reports_unread;     /* constant once shared */
    bool traced;             /* constant once shared: see origin.h */
    _Atomic(uint8_t) linked; /* relaxed: read by who ends it (RF1) */
};

/* In which tables of awaited_by.c to look when it ends: `linked`. */
enum {
    SKUI_LINKED_AWAITED = 1, /* others have registered there */
    SKUI_LINKED_WAITER = 2,  /* it was registered elsewhere */
};

/* What a waiter does when the future is done: runnable.detail. */
enum skui_waiter_kind {
    SKUI_WAITER_CLAIM,    /* wake a task that may leave before */
    SKUI_WAITER_THREAD,   /* wake a thread that sleeps on `life` */
    SKUI_WAITER_HOOK,     /* call a hook; its owner may take it back */
    SKUI_WAITER_CALLBACK, /* queue fn(future, arg) on `loop` */
    SKUI_WAITER_INLINE,   /* call fn(future, arg) in the completing thread */
};

enum skui_waiter_life {
    SKUI_WAITER_LIVE,   /* in a list, or in the hands of a scrubber */
    SKUI_WAITER_LEFT,   /* given up: whoever finds it in a list frees it */
    SKUI_WAITER_TAKEN,  /* fired: see future.c for who frees which kind */
    SKUI_WAITER_FIRING, /* HOOK: it is being called */
};

struct skui_waiter;

/*
 * Told that `future` is done, in whatever thread completes it, in the middle of
 * its completion: it takes no more than a spinlock, wakes tasks, and appends to
 * `due` what is complete by that. True: the owner keeps the waiter, and gives
 * it back by skui_future_revoke(). False: it is freed.
 */
typedef bool skui_hook_fn(struct skui_waiter *waiter, skua_future *future,
                          struct skui_completions *due);

struct skui_waiter {
    struct skui_runnable runnable; /* `next` links the list; CALLBACK: queued,
                                      HOOK: the owner's once it was called */
    union {
        skui_claim claim;
        skua_done_callback_fn *fn;
        skui_hook_fn *hook;
    } to;
    void *arg;
    union {
        skua_loop *loop;     /* CALLBACK, until it is fired */
        skua_future *future; /* CALLBACK, once it is: a reference; HOOK: the
                                owner's */
    };
    union {
        skui_context_slot context; /* CX1; CALLBACK */
        struct skui_waiter *link;  /* HOOK: the owner's */
    };
    union {
        uint32_t loop_id; /* CALLBACK */
        uint32_t index;   /* HOOK: the owner's */
    };
    _Atomic(uint32_t) life; /* FU3 */
};

static inline bool skui_future_is_done(const skua_future *future)
{
    /* FU1 acquire: the outcome is visible. */
    return (skui_load_acquire(&((skua_future *)future)->state) &
            SKUI_FUTURE_PHASE) == SKUI_FUTURE_DONE;
}

static inline bool skui_future_is_task(const skua_future *future)
{
    return future->kind == SKUI_FUTURE_TASK;
}

/* Whether it has the ways of concurrent.futures: with or without a job. */
static inline bool skui_future_is_of_executor(const skua_future *future)
{
    return future->kind == SKUI_FUTURE_EXECUTOR ||
           future->kind == SKUI_FUTURE_JOB;
}

/* Whether an executor runs its work, and it is not done. */
static inline bool skui_future_is_running(const skua_future *future)
{
    /* FU2 acquire: pairs with skui_future_set_running(). */
    uintptr_t state = skui_load_acquire(&((skua_future *)future)->state);

    return (state & (SKUI_FUTURE_PHASE | SKUI_FUTURE_RUNNING)) ==
           (SKUI_FUTURE_PENDING | SKUI_FUTURE_RUNNING);
}

/* Whether it is done and has failed; "cancelled" is no failure. */
static inline bool skui_future_has_failed(const skua_future *future)
{
    /* FU1 acquire: as skui_future_is_done(). */
    return (skui_load_acquire(&((skua_future *)future)->state) &
            (SKUI_FUTURE_PHASE | SKUI_FUTURE_FAILED)) ==
           (SKUI_FUTURE_DONE | SKUI_FUTURE_FAILED);
}

/* Set up a future in its memory; whoever lists tasks may see it from then. */
void skui_future_init(skua_future *future, enum skui_future_kind kind,
                      skua_loop *loop, uint32_t refs);
/* Release what the outcome holds, and what lies beside it. */
void skui_future_fini(skua_future *future);
/* awaited_by.c. Only the latter. */
void skui_future_forget_beside(const skua_future *future);
static inline void skui_future_forget(const skua_future *future)
{
    /* relaxed: nobody refers to it (RF1) */
    if (SKUI_UNLIKELY(future->traced ||
                      skui_load_relaxed(&((skua_future *)future)->linked) !=
                          0)) {
        skui_future_forget_beside(future);
    }
}

/* unread.c: the last reference to a failure that nobody has read is gone. True
 * when who was told of it took a new one. */
bool skui_future_report_last(skua_future *future);

/*
 * A reference unless the last one is gone, for who walks all objects: the
 * memory is type-stable.
 */
bool skui_future_try_ref(skua_future *future);

/* `loop` closes: report what failed there and nobody has read. */
void skui_future_report_unread(skua_loop *loop);

/* A new future of a kind; NULL when memory is short. */
skua_future *skui_future_make(enum skui_future_kind kind, skua_loop *loop);

/*
 * Complete; takes the outcome's exception in every case. False when somebody
 * else has claimed the future. A status of SKUA_ECANCELED cancels.
 */
bool skui_future_complete(skua_future *future, struct skui_outcome *outcome);

/* What DONE comes with for an outcome: FAILED and UNREAD, CANCELLED, or 0. */
uintptr_t skui_outcome_bits(const struct skui_outcome *outcome);

/*
 * As skui_future_complete(), within another completion: what is complete by
 * this one is appended to `due`. `bits`: as skui_outcome_bits(), unless
 * SKUA_ECANCELED is to be an error like others.
 */
bool skui_future_complete_within(skua_future *future,
                                 struct skui_outcome *outcome, uintptr_t bits,
                                 struct skui_completions *due);

/* As skui_future_complete(), by the executor that has set it RUNNING and has
 * taken the work back before it began: so it may be cancelled still. */
bool skui_future_complete_started(skua_future *future,
                                  struct skui_outcome *outcome);

/* As skui_future_complete() by the only possible completer: a task itself. */
void skui_future_complete_sole(skua_future *future,
                               struct skui_outcome *outcome);

/* Executors: the work starts. False when it was cancelled, or has started
 * already: skip it. */
bool skui_future_set_running(skua_future *future);

/* As skui_future_complete(), by who ran its work: of the ways of
 * concurrent.futures, "cancelled" means that it never ran, so a status of
 * SKUA_ECANCELED is a failure like others. */
bool skui_future_complete_work(skua_future *future,
                               struct skui_outcome *outcome);

/* Whether it has the ways of concurrent.futures and nobody has started its
 * work, or cancelled it. A look. */
static inline bool skui_future_is_queued(const skua_future *future)
{
    /* FU1 acquire: as skui_future_is_done(). */
    return skui_future_is_of_executor(future) &&
           (skui_load_acquire(&((skua_future *)future)->state) &
            (SKUI_FUTURE_PHASE | SKUI_FUTURE_RUNNING)) == SKUI_FUTURE_PENDING;
}

/* Cancel a future that is neither task nor composite; with a message, if not
 * NULL. */
bool skui_future_cancel_plain(skua_future *future, skua_exception *message);

/* Who cancels a future that is done does not want to hear of its failure. */
void skui_future_forgive(skua_future *future);

/* Set QUIET or SHIELDED. False when it is done: it was not set. */
bool skui_future_mark(skua_future *future, uintptr_t flag);

/* A waiter; NULL when memory is short. */
/* waiter.c. A waiter; NULL when memory is short. */
struct skui_waiter *skui_waiter_make(enum skui_waiter_kind kind,
                                     skua_done_callback_fn *fn, void *arg);
struct skui_waiter *skui_waiter_make_hook(skui_hook_fn *hook, void *arg,
                                          skua_future *future);
void skui_waiter_free(struct skui_waiter *waiter);

/*
 * Add a LIVE waiter. False when the future is done: it was not added and still
 * belongs to the caller.
 */
bool skui_future_register(skua_future *future, struct skui_waiter *waiter);

/* Give up a waiter of kind CLAIM or THREAD, which is not used afterwards. */
void skui_future_leave(skua_future *future, struct skui_waiter *waiter);

/*
 * Take a HOOK back, once, unless the hook has returned false: afterwards it is
 * not being called, nor will it be, and the waiter is freed. True when it was
 * not called. Waits for a call under way; a call that is over needs no
 * reference to `future`.
 */
bool skui_future_revoke(skua_future *future, struct skui_waiter *waiter);

/*
 * Add a task that is parked and has no other waker. False when the future is
 * done: it was not added.
 */
bool skui_future_register_task(skua_future *future, struct skui_task *task);

/*
 * Take such a task out again: true when it is the caller's to wake, false when
 * it was not there, or whoever completes the future wakes it.
 */
bool skui_future_withdraw(skua_future *future, struct skui_task *task);

/*
 * Call fn(node, arg) for each waiter that has not left, while nobody can take
 * it out of the list: so it may not wait for others, nor end anything.
 */
void skui_future_visit(skua_future *future,
                       void (*fn)(struct skui_runnable *node, void *arg),
                       void *arg);

/* Call fn(future, arg) in whatever thread completes it, now if it is done. */
int skui_future_add_inline(skua_future *future, skua_done_callback_fn *fn,
                           void *arg);

/* `loop` took a CALLBACK waiter from its queue: run it and free it. */
/* Call its fn(future, arg). */
void skui_waiter_call(struct skui_waiter *waiter, skua_future *future);
/* Run a CALLBACK waiter that `loop` took from its queue; frees it. */
void skui_waiter_run(skua_loop *loop, struct skui_waiter *waiter);
/* Free a CALLBACK waiter that will not run. */
void skui_waiter_discard(struct skui_waiter *waiter);

/* The outcome of a future that is done, with an own reference; marks it read.
 */
void skui_future_read(skua_future *future, struct skui_outcome *out);

/* The home loop while that is open, else NULL. */
skua_loop *skui_future_home(const skua_future *future);

/* 0, or SKUA_EFORKED for a future of the parent process. */
int skui_future_check_process(const skua_future *future);
static inline int skui_future_check(const skua_future *future)
{
    return SKUI_LIKELY(skui_fork_generation() == 0)
               ? 0 /* no parent to have come from */
               : skui_future_check_process(future);
}

/* Await in a task or a thread; see skua_await_until(). On 0 *out is as
 * skui_future_read() gives it. */
int skui_future_wait(skua_future *future, int64_t deadline_ns,
                     struct skui_outcome *out);

/* Wait as skui_future_wait(), but leave outcome and future alone: a cancelled
 * wait does not cancel it. */
int skui_future_wait_done(skua_future *future, int64_t deadline_ns);

SKUI_END_DECLS

#endif
