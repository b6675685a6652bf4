/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.c - create, run, wait, wake, finish.
 * Threads     A task is owned by the queue that holds it, by the loop that runs
 *             it, or while it waits by nobody: then its wait word is all.
 * Invariants  Exactly one waker wins each wait. A task is queued only after its
 *             context is saved. The wait number survives reuse of the memory.
 * Ordering    WW1 (wait word).
 * Progress    wake: lock-free. A task that resumes waits for a canceller
 *             that HOLDs its wait word, a few instructions.
 * Rejected    Arming before the switch: it takes one more compare-and-swap for
 *             each wait. So a wait of one source is published on the loop's
 *             stack, after the context is saved.
 */
#include "task.h"

#include <errno.h>
#include <string.h>

#include "loop.h"
#include "report.h"
#include "task_hooks.h"
#include "skua/time.h"

#if !defined(SKUI_ASAN) && !defined(SKUI_TSAN)
_Static_assert(offsetof(struct skui_task, future) == SKUI_CACHE_LINE,
               "switching, waiting and waking touch one cache line");
#endif

/* --- creating --- */

static void task_init(struct skui_task *task, const skua_task_options *options,
                      skua_loop *home, uint32_t refs)
{
    uint64_t word = skui_load_relaxed(&task->wait_word); /* relaxed: unshared */

    /* relaxed, all: the task is not shared yet; its number goes on */
    skui_store_relaxed(&task->wait_word, word & SKUI_WAIT_SEQUENCE_MASK);
    task->runnable.kind = SKUI_RUNNABLE_TASK;
    skui_store_relaxed(&task->runnable.word, 0u); /* relaxed: as above */
    skui_store_relaxed(&task->blamed, false);     /* relaxed: as above */
    skui_store_relaxed(
        &task->context, /* relaxed: as above */
        skui_context_choose(options != NULL ? options->context : NULL));
    task->coroutine.context = NULL;
    task->pinned =
        (options != NULL && options->pinned) || !skui_loop_has_siblings(home);
    skui_store_relaxed(&task->named, false); /* relaxed: as above */
    if (options != NULL && options->name != NULL) {
        skui_task_name(task, options->name);
    }
    task->observed = false;
    task->announced = false;
    skui_future_init(&task->future, SKUI_FUTURE_TASK, home, refs);
}

/* A task with `refs` references that no queue holds yet. */
static int task_make(const skua_task_options *options, skua_task_fn *fn,
                     void *arg, uint32_t refs, struct skui_task **out_task)
{
    skua_loop *home = options != NULL && options->loop != NULL
                          ? options->loop
                          : skui_loop_self();
    struct skui_task *task;
    int status;

    if (fn == NULL) {
        return -EINVAL;
    }
    if (home == NULL) {
        return SKUA_ENOLOOP;
    }
    status = skui_loop_check_open(home);
    if (status < 0) {
        return status;
    }
    task = skui_object_get(SKUI_OBJECT_TASK);
    if (task == NULL) {
        return -ENOMEM;
    }
    task_init(task, options, home, refs);
    task->future.start.fn = fn;
    task->future.start.arg = arg;
    *out_task = task;
    return 0;
}

/*
 * Let a new task that its creator's memory refers to run. `eager`: in here, if
 * positive; not if negative; 0: as its loop has it.
 */
static void task_launch(struct skui_task *task, int eager)
{
    skua_loop *home = task->future.loop;

    if (SKUI_UNLIKELY(skui_loop_hooks(home) != NULL)) {
        skui_hooks_spawn(skui_loop_hooks(home), task);
    }
    if (SKUI_UNLIKELY(eager > 0 || skui_loop_is_eager(home)) && eager >= 0 &&
        skui_loop_self() == home && skui_task_may_start_eagerly(home)) {
        skui_task_start_eagerly(home, task);
    } else {
        skui_task_queue(task);
    }
}

int skua_create_task_with(const skua_task_options *options, skua_task_fn *fn,
                          void *arg, skua_task **out_task)
{
    struct skui_task *task;
    /* The runtime's reference and the caller's. */
    int status = task_make(options, fn, arg, out_task != NULL ? 2 : 1, &task);

    if (status < 0) {
        return status;
    }
    if (out_task != NULL) {
        *out_task = &task->future;
    }
    task_launch(task, options != NULL ? options->eager_start : 0);
    return 0;
}

int skui_task_create_observed(const skua_task_options *options,
                              skua_task_fn *fn, void *arg, uint32_t refs,
                              struct skui_task **out_task)
{
    int status = task_make(options, fn, arg, refs, out_task);

    if (status == 0) {
        (*out_task)->observed = true;
    }
    return status;
}

int skui_task_create_held(skua_task_fn *fn, void *arg,
                          struct skui_task **out_task)
{
    return task_make(NULL, fn, arg, 2, out_task);
}

void skui_task_start(struct skui_task *task)
{
    task_launch(task, 0);
}

int skua_create_task(skua_task_fn *fn, void *arg, skua_task **out_task)
{
    return skua_create_task_with(NULL, fn, arg, out_task);
}

int skua_loop_create_task(skua_loop *loop, skua_task_fn *fn, void *arg,
                          skua_task **out_task)
{
    skua_task_options options = {0};

    if (loop == NULL) {
        return -EINVAL;
    }
    options.loop = loop;
    return skua_create_task_with(&options, fn, arg, out_task);
}

/* --- finishing --- */

/* From here on requests come too late; true when one was pending. */
static bool task_end(struct skui_task *task)
{
    uint64_t word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */

    /* WW1 acq_rel: what the canceller did is visible here. */
    while (
        !skui_cas_acq_rel(&task->wait_word, &word,
                          (word & SKUI_WAIT_SEQUENCE_MASK) | SKUI_WAIT_ENDED)) {
        skui_cpu_relax();
    }
    return (word & SKUI_WAIT_CANCEL) != 0;
}

/* A success that did not honour a pending request is none. */
static void outcome_honour(struct skui_task *task, struct skui_outcome *outcome,
                           bool cancel_pending)
{
    if (cancel_pending && outcome->status >= 0) {
        outcome->status = SKUA_ECANCELED;
        outcome->value = NULL;
        outcome->exception = skui_task_take_blame(task);
    }
}

void skui_task_announce(struct skui_task *task,
                        const struct skui_outcome *outcome)
{
    if (task->observed && outcome->status < 0 &&
        outcome->status != SKUA_ECANCELED && task->observer->failing != NULL) {
        task->observer->failing(task->observer, task, outcome);
    }
}

void skui_task_put(struct skui_task *task)
{
    skua_exception_unref(skui_task_take_blame(task));
    /* relaxed: nobody refers to it */
    if (SKUI_UNLIKELY(skui_load_relaxed(&task->context) != 0)) {
        task->entered = NULL;
        skui_context_release(&task->context);
    }
    skui_object_put(SKUI_OBJECT_TASK, task);
}

/*
 * End a task that only the runtime still refers to: then nobody else can reach
 * it any more, and no end needs to be agreed upon. False when somebody may.
 */
static bool task_finish_alone(struct skui_task *task,
                              struct skui_outcome *outcome)
{
    uint32_t last = 1;

    if (outcome->status < 0 && !task->observed) {
        return false; /* it may have to be reported */
    }
    /* RF1 acq_rel: what others did is visible; who walks all objects passes
     * this one by. */
    if (!skui_cas_acq_rel(&task->future.refs, &last, 0u)) {
        return false;
    }
    /* relaxed: nobody else writes it any more */
    if (skui_load_relaxed(&task->future.state) != SKUI_FUTURE_PENDING) {
        skui_store_release(&task->future.refs, 1u); /* RF1: it has waiters */
        return false;
    }
    /* relaxed: as above */
    outcome_honour(task, outcome,
                   (skui_load_relaxed(&task->wait_word) & SKUI_WAIT_CANCEL) !=
                       0);
    skui_task_announce(task, outcome);
    if (task->observed) {
        task->observer->ended(task->observer, task, outcome);
    }
    skua_exception_unref(outcome->exception);
    skui_future_forget(&task->future);
    skui_task_put(task);
    return true;
}

/* Complete it and let go of it. */
static void task_finish(struct skui_task *task, struct skui_outcome *outcome)
{
    skua_exception *handled = task->frame.exception;

    task->frame.exception = NULL;
    if (SKUI_UNLIKELY(task->announced) || !task_finish_alone(task, outcome)) {
        outcome_honour(task, outcome, task_end(task));
        skui_task_announce(task, outcome);
        skui_future_complete_sole(&task->future, outcome);
        if (SKUI_UNLIKELY(task->announced)) {
            skui_hooks_done(task); /* before who waits for a group goes on */
        }
        if (task->observed) {
            skui_future_forgive(&task->future);
            task->observer->ended(task->observer, task, outcome);
        }
        skua_future_unref(&task->future);
    }
    skua_exception_unref(handled);
}

void skui_task_drop_unstarted(struct skui_task *task)
{
    struct skui_outcome outcome = {SKUA_ECANCELED, NULL, NULL};

    task->observed = false;
    task_finish(task, &outcome);
}

/* Give stack and coroutine of an ended task back, on the loop's stack. */
static void task_release_stack(skua_loop *loop, struct skui_task *task)
{
    if (task->coroutine.context != NULL) {
        skui_coroutine_fini(&task->coroutine);
        skui_stack_pool_put(&loop->stack_pool, &task->stack);
    }
}

/* --- waking --- */

void skui_task_queue(struct skui_task *task)
{
    skui_loop_queue_task(task->future.loop, &task->runnable, task->pinned);
}

/* Make a waiting task RUNNING; true when this call won. */
static bool task_wake(struct skui_task *task, uint64_t sequence, int reason)
{
    uint64_t word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */
    uint64_t next;

    do {
        if ((word & SKUI_WAIT_PHASE) == SKUI_WAIT_RUNNING ||
            (word & SKUI_WAIT_SEQUENCE_MASK) != sequence) {
            return false;
        }
        next = skui_word_with_reason(word, reason);
        if ((word & SKUI_WAIT_HELD) != 0 &&
            (word & SKUI_WAIT_PHASE) == SKUI_WAIT_PARKED) {
            next |= SKUI_WAIT_DEFERRED;
        }
        /* WW1 acq_rel: what the waker did is visible to the task; the task's
         * fields are visible to the waker. */
    } while (!skui_cas_acq_rel(&task->wait_word, &word, next));
    if ((word & SKUI_WAIT_PHASE) == SKUI_WAIT_PARKED &&
        (word & SKUI_WAIT_HELD) == 0) {
        skui_task_queue(task);
    }
    return true;
}

/* --- running --- */

static void task_entry(void *arg)
{
    struct skui_task *task = arg;
    struct skui_outcome outcome;

    skui_coroutine_entered(&task->coroutine, NULL);
    skui_outcome_capture(&task->frame, task->future.start.fn,
                         task->future.start.arg, &outcome);
    task->future.status = outcome.status;
    task->future.value = outcome.value;
    task->future.exception = outcome.exception;
    task->request = SKUI_REQUEST_DONE;
    skui_coroutine_switch_last(&task->coroutine, &skui_loop_self()->scheduler);
}

/* Give a new task its stack; false when it ended instead. */
static bool task_start(skua_loop *loop, struct skui_task *task)
{
    struct skui_outcome outcome = {SKUA_ECANCELED, NULL, NULL};

    if (!skui_task_take_cancel(task)) {
        outcome.status = skui_stack_pool_get(&loop->stack_pool, &task->stack);
    } else {
        outcome.exception = skui_task_take_blame(task);
    }
    if (outcome.status < 0) {
        task_finish(task, &outcome);
        return false;
    }
    skui_coroutine_prepare(&task->coroutine, &task->stack, task_entry, task);
    return true;
}

/*
 * RUNNING -> `phase`, with the next number. False when a request was pending,
 * which is taken: the wait has ended with `refusal`.
 */
static bool task_begin_wait(struct skui_task *task, uint64_t phase, int refusal,
                            uint64_t *out_word)
{
    uint64_t word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */
    uint64_t next;

    do {
        if ((word & SKUI_WAIT_CANCEL) != 0) {
            next = skui_word_with_reason(word, refusal) &
                   ~(uint64_t)SKUI_WAIT_CANCEL;
        } else {
            next = (((word & SKUI_WAIT_SEQUENCE_MASK) +
                     ((uint64_t)1 << SKUI_WAIT_SEQUENCE_SHIFT)) &
                    SKUI_WAIT_SEQUENCE_MASK) |
                   phase;
        }
        /* WW1 acq_rel: the task is visible to its waker and canceller. */
    } while (!skui_cas_acq_rel(&task->wait_word, &word, next));
    *out_word = next;
    return (word & SKUI_WAIT_CANCEL) == 0;
}

static uint64_t task_parked_phase(skua_loop *loop)
{
    return skui_loop_may_watch(loop) ? SKUI_WAIT_WATCHED : SKUI_WAIT_PARKED;
}

/* WATCHED: it is `loop` that goes on with it, so it is still there. */
static void task_note_watched(skua_loop *loop, const struct skui_task *task,
                              uint64_t word)
{
    if ((word & SKUI_WAIT_PHASE) == SKUI_WAIT_WATCHED) {
        loop->idle.watched = skui_claim_make(task, word);
    }
}

/*
 * Park a task whose context is saved in the list of the future it awaits: that
 * alone can wake it, so it is PARKED before it is registered. False when it
 * must go on at once.
 */
static bool task_park_awaiting(skua_loop *loop, struct skui_task *task)
{
    skua_future *future = task->awaiting;
    uint64_t word;

    if (!task_begin_wait(task, task_parked_phase(loop), SKUI_REASON_NOT_PARKED,
                         &word)) {
        return false;
    }
    task_note_watched(loop, task, word);
    if (!skui_future_register_task(future, task)) {
        (void)task_wake(task, word & SKUI_WAIT_SEQUENCE_MASK, 0);
    }
    return true; /* it may run elsewhere by now */
}

/*
 * Publish the wait of a task whose context is saved. False when it must go on
 * at once.
 */
static bool task_park(skua_loop *loop, struct skui_task *task)
{
    uint64_t word;
    uint64_t phase;
    skui_claim claim;

    task->timer_loop = loop;
    if (!task_begin_wait(task, SKUI_WAIT_ARMED, SKUA_ECANCELED, &word)) {
        return false;
    }
    claim = skui_claim_make(task, word);
    if (task->timer.deadline_ns != SKUA_FOREVER) {
        skui_timers_start(&loop->timers, &task->timer, task->timer.deadline_ns);
    }
    if (task->publish != NULL) {
        task->publish(claim, task->publish_arg);
    }
    phase = task_parked_phase(loop);
    for (;;) {
        uint64_t parked = (word & ~(uint64_t)SKUI_WAIT_PHASE) | phase;

        if ((word & SKUI_WAIT_PHASE) != SKUI_WAIT_ARMED) {
            return false; /* woken before it was parked */
        }
        /* WW1 acq_rel: from here on the waker or the watching loop has it. */
        if (skui_cas_acq_rel(&task->wait_word, &word, parked)) {
            task_note_watched(loop, task, parked);
            return true;
        }
    }
}

/*
 * Park a task whose context is saved and whose node is linked; the lock of its
 * queue is still held, so nobody has taken the node yet. False when a request
 * was pending: it goes on at once.
 */
static bool task_park_queued(skua_loop *loop, struct skui_task *task)
{
    struct skui_waitq_node *node = task->wait_node;
    struct skui_spinlock *lock = node->lock;
    void (*parked)(void *arg) = node->parked;
    void *arg = node->parked_arg;
    uint64_t phase = node->roams && !task->pinned ? SKUI_WAIT_PARKED
                                                  : task_parked_phase(loop);
    uint64_t word;
    bool parks = task_begin_wait(task, phase, SKUA_ECANCELED, &word);

    if (parks) {
        task_note_watched(loop, task, word);
    } else {
        skui_waitq_unlink(node);
    }
    skui_spinlock_unlock(lock); /* it may run elsewhere from here on */
    if (parked != NULL) {
        parked(arg);
    }
    return parks;
}

bool skui_task_prepare(skua_loop *loop, struct skui_task *task)
{
    return task->coroutine.context != NULL || task_start(loop, task);
}

bool skui_task_after_step(skua_loop *loop, struct skui_task *task)
{
    struct skui_outcome outcome;

    switch ((enum skui_task_request)task->request) {
    case SKUI_REQUEST_YIELD:
        skui_loop_queue_here(loop, &task->runnable, task->pinned);
        return false;
    case SKUI_REQUEST_WAIT:
        return !task_park(loop, task);
    case SKUI_REQUEST_AWAIT:
        return !task_park_awaiting(loop, task);
    case SKUI_REQUEST_QUEUE:
        return !task_park_queued(loop, task);
    case SKUI_REQUEST_DONE:
        break;
    }
    outcome = (struct skui_outcome){task->future.status, task->future.value,
                                    task->future.exception};
    task_release_stack(loop, task);
    task_finish(task, &outcome);
    return false;
}

/* --- waiting --- */

/* Switch to the loop; returns the reason of the wake. */
static int task_switch_out(skua_loop *loop, struct skui_task *task,
                           enum skui_task_request request)
{
    unsigned spins = 0;
    uint64_t word;

    task->request = (uint8_t)request;
    skui_coroutine_switch(&task->coroutine, &loop->scheduler);
    /* WW1 acquire: a canceller that HELD it has let go of `awaiting`. */
    word = skui_load_acquire(&task->wait_word);
    while (SKUI_UNLIKELY((word & SKUI_WAIT_HELD) != 0)) {
        skui_spin_pause(&spins);
        word = skui_load_acquire(&task->wait_word); /* WW1 acquire */
    }
    return skui_word_reason(word);
}

int skui_task_suspend(struct skui_task *task, skui_publish_fn *publish,
                      void *arg, int64_t deadline_ns)
{
    int reason;

    task->publish = publish;
    task->publish_arg = arg;
    task->timer.deadline_ns = deadline_ns;
    reason = task_switch_out(skui_loop_self(), task, SKUI_REQUEST_WAIT);
    if (deadline_ns != SKUA_FOREVER && reason != -ETIMEDOUT) {
        (void)skui_timers_cancel(&task->timer_loop->timers, &task->timer);
    }
    return reason;
}

int skui_task_await(skua_loop *loop, struct skui_task *task,
                    skua_future *future)
{
    int reason;

    task->awaiting = future;
    reason = task_switch_out(loop, task, SKUI_REQUEST_AWAIT);
    task->awaiting = NULL;
    return reason;
}

int skui_task_wait_queued(struct skui_task *task, struct skui_waitq_node *node)
{
    if (task->wait_node != node) { /* else its timer may be reading it */
        task->wait_node = node;
    }
    return task_switch_out(skui_loop_self(), task, SKUI_REQUEST_QUEUE);
}

void skui_task_start_deadline(skua_loop *loop, struct skui_task *task,
                              struct skui_waitq_node *node, int64_t deadline_ns)
{
    task->wait_node = node;
    task->timer_loop = loop;
    skui_timers_start(&loop->timers, &task->timer, deadline_ns);
}

void skui_task_stop_deadline(struct skui_task *task)
{
    (void)skui_timers_cancel(&task->timer_loop->timers, &task->timer);
}

void skui_task_wake_owned(struct skui_task *task, int reason)
{
    /* relaxed: seen with the list that the task was taken from (FU2, SL1) */
    uint64_t word = skui_load_relaxed(&task->wait_word);

    (void)task_wake(task, word & SKUI_WAIT_SEQUENCE_MASK, reason);
}

void skui_task_fulfil(struct skui_task *task, int status, void *value)
{
    if (status == 0) {
        task->delivered = value;
    }
    skui_task_wake_owned(task, status == 0 ? SKUI_REASON_DELIVERED : 0);
}

int skui_task_wait(skui_publish_fn *publish, void *arg, int64_t deadline_ns)
{
    struct skui_task *task = skui_task_self();
    int reason;

    if (task == NULL) {
        return SKUA_ENOLOOP;
    }
    reason = skui_task_suspend(task, publish, arg, deadline_ns);
    return skui_task_take_cancel(task) || reason == SKUA_ECANCELED
               ? skui_task_deliver_cancel(task)
               : reason;
}

bool skui_task_watched_is_awake(skui_claim claim)
{
    /* relaxed: a hint; skui_task_unwatch() decides */
    uint64_t word = skui_load_relaxed(&skui_claim_task(claim)->wait_word);

    return (word & SKUI_WAIT_PHASE) != SKUI_WAIT_WATCHED;
}

bool skui_task_unwatch(skui_claim claim, struct skui_task **out_task)
{
    struct skui_task *task = skui_claim_task(claim);
    uint64_t word = skui_load_relaxed(&task->wait_word); /* relaxed: CAS */

    while ((word & SKUI_WAIT_PHASE) == SKUI_WAIT_WATCHED) {
        /* WW1 acq_rel: from here on the waker queues it. */
        if (skui_cas_acq_rel(&task->wait_word, &word,
                             (word & ~(uint64_t)SKUI_WAIT_PHASE) |
                                 SKUI_WAIT_PARKED)) {
            return false;
        }
    }
    /* WW1 acquire: what the waker did is visible. */
    (void)skui_load_acquire(&task->wait_word);
    *out_task = task;
    return true;
}

bool skui_wake(skui_claim claim, int reason)
{
    return task_wake(skui_claim_task(claim), skui_claim_sequence(claim),
                     reason);
}

void skui_task_timer_due(struct skui_timer *timer)
{
    struct skui_task *task = SKUI_CONTAINER_OF(timer, struct skui_task, timer);

    if (task->wait_node != NULL) {
        skui_waitq_expire(task->wait_node);
        return;
    }
    /* relaxed: the wait cannot end before its timer has fired or is out */
    (void)task_wake(
        task, skui_load_relaxed(&task->wait_word) & SKUI_WAIT_SEQUENCE_MASK,
        -ETIMEDOUT);
}

int skui_task_spend_budget(void)
{
    const skua_loop *loop = skui_loop_self();
    struct skui_task *task = loop == NULL ? NULL : loop->current;

    if (task == NULL || --task->budget > 0) {
        return 0;
    }
    return skua_yield();
}

int skua_yield(void)
{
    skua_loop *loop = skui_loop_self();
    struct skui_task *task = loop == NULL ? NULL : loop->current;

    if (task == NULL) {
        return SKUA_ENOLOOP;
    }
    if (skui_task_take_cancel(task)) {
        return skui_task_deliver_cancel(task);
    }
    task->request = SKUI_REQUEST_YIELD;
    skui_coroutine_switch(&task->coroutine, &loop->scheduler);
    return skui_task_take_cancel(task) ? skui_task_deliver_cancel(task) : 0;
}

int skua_checkpoint(void)
{
    struct skui_task *task = skui_task_self();

    if (task == NULL) {
        return SKUA_ENOLOOP;
    }
    return skui_task_take_cancel(task) ? skui_task_deliver_cancel(task) : 0;
}

int skua_sleep_until(int64_t deadline_ns)
{
    int status;

    if (deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    status = skui_task_wait(NULL, NULL, deadline_ns);
    return status == -ETIMEDOUT ? 0 : status;
}

int skua_sleep(int64_t delay_ns)
{
    if (delay_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    return delay_ns <= 0 ? skua_yield()
                         : skua_sleep_until(skui_clock_after(delay_ns));
}

int skua_sleep_result(int64_t delay_ns, void *result)
{
    int status = skua_sleep(delay_ns);

    return status < 0 ? status : skua_return(result);
}

/* --- looking --- */

struct skui_task *skui_task_self(void)
{
    const skua_loop *loop = skui_loop_self();

    return loop == NULL ? NULL : loop->current;
}

skua_task *skua_current_task(void)
{
    struct skui_task *task = skui_task_self();

    return task == NULL ? NULL : &task->future;
}

void skua_task_detach(skua_task *task)
{
    skua_future_unref(task);
}
