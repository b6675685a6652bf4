/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handle.c - callbacks queued on a loop, now or at a time.
 * Threads     The loop runs a handle; any thread cancels it.
 * Invariants  PENDING -> RUNNING -> RAN, or PENDING -> CANCELLED: once. A queue
 *             owns a reference. A timer wheel does not: while a timer waits
 *             there, its state and the end of its last reference are decided
 *             under the wheel's lock. So a timer that is started, cancelled
 *             and let go costs two locks and no further read-modify-write.
 * Ordering    HN1 state, RF1 references, SL1 the wheel's lock, and who waits
 *             for whom.
 * Progress    cancel waits for a callback that runs on another loop, unless
 *             that one waits, perhaps by way of more, for the caller's own.
 */
#include "handle.h"

#include <errno.h>

#include "debug.h"
#include "report.h"
#include "spinlock.h"
#include "task.h"

enum handle_state {
    HANDLE_PENDING,
    HANDLE_RUNNING,
    HANDLE_RAN,
    HANDLE_CANCELLED,
};

/* Guards skua_loop.cancelling of all loops: who is about to close a ring of
 * callbacks that wait for each other sees it. */
static struct skui_spinlock ring_lock;

struct timer_handle {
    struct skua_handle handle;
    int64_t when_ns; /* constant */
    struct skui_timer timer;
};

void skui_handle_classes_init(void)
{
    skui_object_class_init(SKUI_OBJECT_HANDLE, sizeof(struct skua_handle));
    skui_object_class_init(SKUI_OBJECT_TIMER_HANDLE,
                           sizeof(struct timer_handle));
}

static struct timer_handle *timer_handle_of(skua_handle *handle)
{
    return SKUI_CONTAINER_OF(handle, struct timer_handle, handle);
}

skua_handle *skui_handle_of_runnable(struct skui_runnable *runnable)
{
    return SKUI_CONTAINER_OF(runnable, struct skua_handle, runnable);
}

static bool handle_is_timer(const skua_handle *handle)
{
    return handle->runnable.detail != 0;
}

/* In no context yet. */
static void handle_init(skua_handle *handle, skua_loop *loop,
                        skua_callback_fn *fn, void *arg, uint32_t refs)
{
    handle->runnable.kind = SKUI_RUNNABLE_HANDLE;
    handle->fn = fn;
    handle->arg = arg;
    handle->loop = loop;
    handle->loop_id = skui_loop_id(loop);
    /* relaxed, all: not shared yet */
    skui_store_relaxed(&handle->runnable.word, (uint32_t)HANDLE_PENDING);
    skui_store_relaxed(&handle->context, (uintptr_t)0); /* relaxed: as above */
    skui_store_relaxed(&handle->refs, refs);            /* relaxed: as above */
    handle->traced = skui_debug_note(handle, loop, SKUI_ORIGIN_HANDLE);
}

int skui_handle_new(skua_loop *loop, skua_callback_fn *fn, void *arg,
                    skua_handle **out_handle)
{
    skua_handle *handle = skui_object_get(SKUI_OBJECT_HANDLE);

    if (handle == NULL) {
        return -ENOMEM;
    }
    handle_init(handle, loop, fn, arg, 1);
    handle->runnable.detail = 0;
    *out_handle = handle;
    return 0;
}

void skui_handle_join_context(skua_handle *handle, skua_handle *earlier,
                              uintptr_t context)
{
    /* CX1 acquire: it may have been made by another thread. */
    uintptr_t word =
        earlier != NULL ? skui_load_acquire(&earlier->context) : context;

    /* relaxed: not shared yet */
    skui_store_relaxed(&handle->context, skui_context_share_word(word));
}

skua_handle *skua_handle_ref(skua_handle *handle)
{
    if (handle != NULL) {
        /* relaxed: the caller has a reference already */
        (void)skui_fetch_add_relaxed(&handle->refs, 1u);
    }
    return handle;
}

static void handle_free(skua_handle *handle)
{
    if (SKUI_UNLIKELY(handle->traced)) {
        skui_origin_forget(handle);
    }
    skui_context_release(&handle->context);
    if (handle_is_timer(handle)) {
        skui_object_put(SKUI_OBJECT_TIMER_HANDLE, timer_handle_of(handle));
    } else {
        skui_object_put(SKUI_OBJECT_HANDLE, handle);
    }
}

/* Drop a reference of what is in no wheel. */
static void handle_drop(skua_handle *handle)
{
    /* RF1 acq_rel: the last one sees what the others did. The test spares the
     * last owner a read-modify-write. */
    if (skui_load_acquire(&handle->refs) == 1 ||
        skui_fetch_sub_acq_rel(&handle->refs, 1u) == 1) {
        handle_free(handle);
    }
}

/* Drop a reference of what waits in a wheel; false when it does not. */
static bool timer_drop_waiting(skua_handle *handle)
{
    struct skui_timers *timers = &handle->loop->timers;
    bool waits;

    /* HN1 acquire: who sees that the wheel is left sees the queue's reference
     * as well. */
    if (skui_load_acquire(&handle->runnable.word) != HANDLE_PENDING) {
        return false;
    }
    if (skui_loop_fork_generation(handle->loop) != skui_fork_generation()) {
        return true; /* the lock may be held by a thread that is not here */
    }
    skui_spinlock_lock(&timers->lock);
    waits = timer_handle_of(handle)->timer.pending;
    if (waits) {
        /* relaxed: under lock, where the wheel looks as well */
        (void)skui_fetch_sub_relaxed(&handle->refs, 1u);
    }
    skui_spinlock_unlock(&timers->lock);
    return waits;
}

void skua_handle_unref(skua_handle *handle)
{
    if (handle != NULL &&
        !(handle_is_timer(handle) && timer_drop_waiting(handle))) {
        handle_drop(handle);
    }
}

void skui_handle_discard(skua_handle *handle)
{
    skua_handle_unref(handle);
}

static bool handle_claim(skua_handle *handle, enum handle_state to)
{
    uint32_t pending = HANDLE_PENDING;

    /* HN1 acq_rel: one of run and cancel wins, and sees what came before. */
    return skui_cas_acq_rel(&handle->runnable.word, &pending, (uint32_t)to);
}

void skui_handle_run(skua_loop *loop, skua_handle *handle)
{
    struct skui_frame saved;

    if (handle_claim(handle, HANDLE_RUNNING)) {
        skui_count(&loop->counters.callbacks_run, 1);
        if (SKUI_UNLIKELY(loop->timed)) {
            skui_slow_begin(loop, &(struct skui_step){.handle = handle});
        }
        loop->current_handle = handle;
        loop->callback_context = &handle->context;
        saved = skui_frame_enter();
        handle->fn(handle->arg);
        skui_report_raised(&saved, "exception in callback", NULL, handle);
        loop->callback_context = NULL;
        loop->current_handle = NULL;
        if (SKUI_UNLIKELY(loop->timed)) {
            skui_slow_end(loop);
        }
        /* HN1 release: who waits in cancel sees what the callback did. */
        skui_store_release(&handle->runnable.word, (uint32_t)HANDLE_RAN);
    }
    skua_handle_unref(handle);
}

/* Take it out of its wheel; false when it is not there. */
static bool timer_cancel_waiting(skua_handle *handle)
{
    struct skui_timers *timers = &handle->loop->timers;
    struct skui_timer *timer = &timer_handle_of(handle)->timer;
    bool waits;

    skui_spinlock_lock(&timers->lock);
    waits = timer->pending;
    if (waits) {
        skui_timers_remove(timers, timer);
        /* HN1 release: set before anybody can claim it. */
        skui_store_release(&handle->runnable.word, (uint32_t)HANDLE_CANCELLED);
    }
    skui_spinlock_unlock(&timers->lock);
    return waits;
}

static bool handle_is_running(skua_handle *handle)
{
    /* HN1 acquire: pairs with the end of skui_handle_run(). */
    return skui_load_acquire(&handle->runnable.word) == HANDLE_RUNNING;
}

/* Whether the callback of `handle` waits for that of `mine`, perhaps by way of
 * others; under ring_lock. */
static bool ring_leads_to(skua_handle *handle, const skua_handle *mine)
{
    while (handle != NULL && handle != mine && handle_is_running(handle)) {
        handle = handle->loop->cancelling;
    }
    return handle == mine;
}

/* In a callback: note that it waits for `handle`; false if that would close a
 * ring. */
static bool ring_enter(skua_loop *self, skua_handle *handle)
{
    bool closes;

    skui_spinlock_lock(&ring_lock);
    closes = ring_leads_to(handle, self->current_handle);
    if (!closes) {
        self->cancelling = handle;
    }
    skui_spinlock_unlock(&ring_lock);
    return !closes;
}

static void ring_leave(skua_loop *self)
{
    skui_spinlock_lock(&ring_lock);
    self->cancelling = NULL;
    skui_spinlock_unlock(&ring_lock);
}

static void handle_await_end(skua_handle *handle)
{
    skua_loop *self = skui_loop_self();
    bool in_callback = self != NULL && self->current_handle != NULL;

    if (!handle_is_running(handle) ||
        (in_callback && !ring_enter(self, handle))) {
        return;
    }
    while (handle_is_running(handle)) {
        (void)sched_yield();
    }
    if (in_callback) {
        ring_leave(self);
    }
}

void skui_handles_after_fork(void)
{
    skui_spinlock_unlock(&ring_lock);
}

int skua_handle_cancel(skua_handle *handle)
{
    if (handle == NULL) {
        return -EINVAL;
    }
    if ((handle_is_timer(handle) &&
         /* relaxed: once left, PENDING does not come back */
         skui_load_relaxed(&handle->runnable.word) == HANDLE_PENDING &&
         timer_cancel_waiting(handle)) ||
        handle_claim(handle, HANDLE_CANCELLED)) {
        return 1;
    }
    handle_await_end(handle);
    return 0;
}

bool skua_handle_cancelled(const skua_handle *handle)
{
    /* HN1 acquire: pairs with skua_handle_cancel(). */
    return handle != NULL &&
           skui_load_acquire(&((skua_handle *)handle)->runnable.word) ==
               HANDLE_CANCELLED;
}

int64_t skua_handle_when(const skua_handle *handle)
{
    return handle == NULL || !handle_is_timer(handle)
               ? SKUA_NOT_A_TIME
               : timer_handle_of((skua_handle *)handle)->when_ns;
}

void skui_loop_queue_handle(skua_loop *loop, skua_handle *handle)
{
    if (!skui_loop_queue(loop, handle->loop_id, &handle->runnable)) {
        skua_handle_unref(handle);
    }
}

static int loop_call(skua_loop *loop, skua_context *context,
                     skua_callback_fn *fn, void *arg, skua_handle **out_handle)
{
    skua_handle *handle;
    int status = skui_handle_new(loop, fn, arg, &handle);

    if (status < 0) {
        return status;
    }
    /* relaxed: not shared yet */
    skui_store_relaxed(&handle->context, skui_context_choose(context));
    if (out_handle != NULL) {
        *out_handle = skua_handle_ref(handle);
    }
    if (!skui_loop_queue(loop, handle->loop_id, &handle->runnable)) {
        if (out_handle != NULL) {
            skua_handle_unref(handle);
            *out_handle = NULL;
        }
        skua_handle_unref(handle);
        return SKUA_ECLOSED;
    }
    return 0;
}

int skua_loop_call_soon_in(skua_loop *loop, skua_context *context,
                           skua_callback_fn *fn, void *arg,
                           skua_handle **out_handle)
{
    int status =
        loop == NULL || fn == NULL ? -EINVAL : skui_loop_check_own(loop);

    return status < 0 ? status : loop_call(loop, context, fn, arg, out_handle);
}

int skua_loop_call_soon(skua_loop *loop, skua_callback_fn *fn, void *arg,
                        skua_handle **out_handle)
{
    return skua_loop_call_soon_in(loop, NULL, fn, arg, out_handle);
}

int skua_loop_call_soon_threadsafe_in(skua_loop *loop, skua_context *context,
                                      skua_callback_fn *fn, void *arg,
                                      skua_handle **out_handle)
{
    int status =
        loop == NULL || fn == NULL ? -EINVAL : skui_loop_check_open(loop);

    return status < 0 ? status : loop_call(loop, context, fn, arg, out_handle);
}

int skua_loop_call_soon_threadsafe(skua_loop *loop, skua_callback_fn *fn,
                                   void *arg, skua_handle **out_handle)
{
    return skua_loop_call_soon_threadsafe_in(loop, NULL, fn, arg, out_handle);
}

/* A timer that is not started; it sees no context. NULL: no memory. */
static struct timer_handle *timer_make(skua_loop *loop, int64_t when_ns,
                                       skua_callback_fn *fn, void *arg,
                                       uint32_t refs)
{
    struct timer_handle *timer = skui_object_get(SKUI_OBJECT_TIMER_HANDLE);

    if (timer != NULL) {
        handle_init(&timer->handle, loop, fn, arg, refs);
        timer->handle.runnable.detail = 1;
        timer->when_ns = when_ns;
        timer->timer.kind = SKUI_TIMER_OF_HANDLE;
    }
    return timer;
}

static void timer_start(struct timer_handle *timer, skua_handle **out_handle)
{
    skua_loop *loop = timer->handle.loop;

    if (out_handle != NULL) {
        *out_handle = &timer->handle;
    }
    skui_timers_start(&loop->timers, &timer->timer, timer->when_ns);
    if (skui_loop_self() != loop) {
        skui_loop_wake(loop);
    }
}

int skua_loop_call_at_in(skua_loop *loop, skua_context *context,
                         int64_t when_ns, skua_callback_fn *fn, void *arg,
                         skua_handle **out_handle)
{
    struct timer_handle *timer;
    int status;

    if (loop == NULL || fn == NULL || when_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    /* What runs here is open, and of this process. */
    status = skui_loop_self() == loop ? 0 : skui_loop_check_own(loop);
    if (status < 0) {
        return status;
    }
    timer = timer_make(loop, when_ns, fn, arg, out_handle != NULL ? 1 : 0);
    if (timer == NULL) {
        return -ENOMEM;
    }
    /* relaxed: not shared yet */
    skui_store_relaxed(&timer->handle.context, skui_context_choose(context));
    timer_start(timer, out_handle);
    return 0;
}

int skui_loop_call_at(skua_loop *loop, int64_t when_ns, skua_callback_fn *fn,
                      void *arg, skua_handle **out_handle)
{
    struct timer_handle *timer =
        timer_make(loop, when_ns, fn, arg, out_handle != NULL ? 1 : 0);

    if (timer == NULL) {
        return -ENOMEM;
    }
    timer_start(timer, out_handle);
    return 0;
}

int skua_loop_call_at(skua_loop *loop, int64_t when_ns, skua_callback_fn *fn,
                      void *arg, skua_handle **out_handle)
{
    return skua_loop_call_at_in(loop, NULL, when_ns, fn, arg, out_handle);
}

int skua_loop_call_later_in(skua_loop *loop, skua_context *context,
                            int64_t delay_ns, skua_callback_fn *fn, void *arg,
                            skua_handle **out_handle)
{
    if (delay_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    return skua_loop_call_at_in(loop, context, skui_clock_after(delay_ns), fn,
                                arg, out_handle);
}

int skua_loop_call_later(skua_loop *loop, int64_t delay_ns,
                         skua_callback_fn *fn, void *arg,
                         skua_handle **out_handle)
{
    return skua_loop_call_later_in(loop, NULL, delay_ns, fn, arg, out_handle);
}

static struct timer_handle *timer_handle_of_timer(struct skui_timer *timer)
{
    return SKUI_CONTAINER_OF(timer, struct timer_handle, timer);
}

/* Both under the wheel's lock, when the timer is no longer pending. */

void skui_handle_timer_due(struct skui_timer *timer)
{
    skua_handle *handle = &timer_handle_of_timer(timer)->handle;

    /* The queue's reference. relaxed, all: who else has one has its own, and
     * when nobody has, nobody else knows the handle. */
    if (skui_load_relaxed(&handle->refs) == 0) {
        skui_store_relaxed(&handle->refs, 1u); /* relaxed: as above */
    } else {
        (void)skui_fetch_add_relaxed(&handle->refs, 1u); /* relaxed: as above */
    }
    if (!skui_loop_queue(handle->loop, handle->loop_id, &handle->runnable)) {
        handle_drop(handle);
    }
}

void skui_handle_timer_discard(struct skui_timer *timer,
                               struct skui_runnable **gone)
{
    skua_handle *handle = &timer_handle_of_timer(timer)->handle;

    /* relaxed: dropped to 0 under this lock only, as long as it waited */
    if (skui_load_relaxed(&handle->refs) == 0) {
        /* relaxed: nobody else knows it */
        skui_store_relaxed(&handle->runnable.next, *gone);
        *gone = &handle->runnable;
    }
}

void skui_handles_free(struct skui_runnable *gone)
{
    while (gone != NULL) {
        skua_handle *handle = skui_handle_of_runnable(gone);

        gone = skui_load_relaxed(&gone->next); /* relaxed: as above */
        handle_free(handle);
    }
}
