/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll.c - the reactor of a loop: one epoll instance, one eventfd.
 *
 * Sockets are registered once, edge-triggered, for both directions; their
 * events only mark a type-stable record (descriptor.c), so any thread may
 * deliver them. Callbacks of add_reader and add_writer are level-triggered
 * (watch.c). The eventfd is edge-triggered as well: each write is an event of
 * its own, so nobody ever has to read it.
 *
 * What the kernel does: closing a descriptor that was duplicated leaves it in
 * the epoll instance, so sockets are removed before they are closed. One
 * millisecond is the best that epoll_wait's own timeout can do; epoll_pwait2
 * takes nanoseconds, late by the thread's timer slack, hence the prctl.
 *
 * Threads     open, close, callbacks: the loop's.  poll: the loop's, others
 *             with timeout 0.  wake, unregister: any.
 * Invariants  Each listed record holds a reference to the poller, so a socket
 *             outlives its loop safely; the epoll instance goes with the last.
 * Ordering    PL1 frees the poller after its last user, PL2 wakes.
 * Rejected    EPOLLONESHOT and timerfd: a system call each time. io_uring:
 *             1.6 % more echo, 29 % less at 16 KiB (state-of-the-art, D).
 */
#include "epoll.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "../sched/memory.h"
#include "../sched/spinlock.h"

#include "watch.h"

enum {
    EVENTS_PER_POLL = 128,
    CHARGES = 8,     /* held-up loops that one other looks after */
    ROUNDS_FOR = 64, /* of events that are delivered for another loop */
};

/* Keys of the eventfd, the tick and charges: no record and no descriptor has
 * them. */
#define KEY_WAKE UINT64_MAX
#define KEY_TICK (UINT64_MAX - 1)
#define KEY_CHARGE (UINT64_MAX - 2 - (CHARGES - 1)) /* of the first */

struct skui_poller {
    _Atomic(uint32_t) references; /* PL1; the loop's and each record's */
    _Atomic(bool) woken;          /* PL2 */
    int epoll_fd;
    int wake_fd;
    int tick_fd;    /* borrowed; valid if it is watched */
    bool ticked;    /* the loop's thread only */
    bool has_slack; /* of the loop's thread, as slack_thread */
    pthread_t slack_thread;
    struct skui_spinlock lock;
    struct skui_descriptor *descriptors;            /* guarded by lock */
    struct skui_watches watches;                    /* the loop's thread only */
    _Atomic(struct skui_poller *) charges[CHARGES]; /* CH1; NULL: none */
    _Atomic(uint32_t) charge_count;                 /* relaxed: a hint */
};

/* relaxed: a fact about the kernel, found out by whoever is first */
static _Atomic(bool) lacks_pwait2;

static void poller_unref(struct skui_poller *poller)
{
    /* PL1 acq_rel: all uses happen before the last one frees it. */
    if (skui_fetch_sub_acq_rel(&poller->references, 1u) == 1) {
        (void)close(poller->epoll_fd);
        skui_release(poller);
    }
}

static int epoll_open_descriptors(struct skui_poller *poller)
{
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u64 = KEY_WAKE}};
    int status;

    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll_fd < 0) {
        return -errno;
    }
    poller->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (poller->wake_fd < 0) {
        status = -errno;
        goto fail_epoll;
    }
    if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, poller->wake_fd, &event) <
        0) {
        status = -errno;
        goto fail_wake;
    }
    return 0;

fail_wake:
    (void)close(poller->wake_fd);
fail_epoll:
    (void)close(poller->epoll_fd);
    return status;
}

static int epoll_open(skua_loop *loop, struct skui_poller **out_poller)
{
    struct skui_poller *poller = skui_allocate_zeroed(sizeof(*poller));
    int status;

    skui_descriptor_class_init();
    if (poller == NULL) {
        return -ENOMEM;
    }
    skui_store_relaxed(&poller->references, 1u); /* relaxed: not shared yet */
    status = epoll_open_descriptors(poller);
    if (status < 0) {
        skui_release(poller);
        return status;
    }
    skui_watches_init(&poller->watches, loop, poller->epoll_fd);
    *out_poller = poller;
    return 0;
}

/* Take one record off the list; false when there is none. */
static bool poller_pop(struct skui_poller *poller,
                       struct skui_descriptor **out_descriptor,
                       uint32_t *out_generation)
{
    struct skui_descriptor *descriptor;

    skui_spinlock_lock(&poller->lock);
    descriptor = poller->descriptors;
    if (descriptor != NULL) {
        poller->descriptors = descriptor->next;
        if (descriptor->next != NULL) {
            descriptor->next->previous = NULL;
        }
        descriptor->listed = false;
        *out_generation = skui_descriptor_generation(descriptor);
    }
    skui_spinlock_unlock(&poller->lock);
    *out_descriptor = descriptor;
    return descriptor != NULL;
}

static void epoll_close(struct skui_poller *poller)
{
    struct skui_descriptor *descriptor;
    uint32_t generation;

    if (poller == NULL) {
        return;
    }
    skui_watches_fini(&poller->watches);
    while (poller_pop(poller, &descriptor, &generation)) {
        (void)skui_descriptor_deliver(descriptor, generation, SKUI_DETACHED);
    }
    (void)close(poller->wake_fd);
    poller_unref(poller);
}

int skui_poller_register(struct skui_poller *poller,
                         struct skui_descriptor *descriptor)
{
    struct epoll_event event = {
        EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        {.u64 = skui_descriptor_key(descriptor)},
    };

    if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, descriptor->fd, &event) <
        0) {
        return -errno;
    }
    descriptor->poller = poller;
    (void)skui_fetch_add_relaxed(&poller->references, 1u); /* relaxed: held */
    skui_spinlock_lock(&poller->lock);
    descriptor->previous = NULL;
    descriptor->next = poller->descriptors;
    if (descriptor->next != NULL) {
        descriptor->next->previous = descriptor;
    }
    poller->descriptors = descriptor;
    descriptor->listed = true;
    skui_spinlock_unlock(&poller->lock);
    return 0;
}

void skui_poller_unregister(struct skui_descriptor *descriptor)
{
    struct skui_poller *poller = descriptor->poller;

    skui_spinlock_lock(&poller->lock);
    if (descriptor->listed) {
        if (descriptor->previous != NULL) {
            descriptor->previous->next = descriptor->next;
        } else {
            poller->descriptors = descriptor->next;
        }
        if (descriptor->next != NULL) {
            descriptor->next->previous = descriptor->previous;
        }
        descriptor->listed = false;
    }
    skui_spinlock_unlock(&poller->lock);
    (void)epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, descriptor->fd, NULL);
    skui_descriptor_retire(descriptor);
    descriptor->poller = NULL;
    poller_unref(poller);
}

static unsigned event_flags(uint32_t events)
{
    unsigned flags = 0;

    if ((events & (EPOLLIN | EPOLLPRI)) != 0) {
        flags |= SKUI_READABLE;
    }
    if ((events & EPOLLOUT) != 0) {
        flags |= SKUI_WRITABLE;
    }
    if ((events & EPOLLRDHUP) != 0) {
        flags |= SKUI_READABLE | SKUI_READ_HUP;
    }
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
        flags |= SKUI_READABLE | SKUI_WRITABLE | SKUI_HUP;
    }
    return flags;
}

/* Whoever is first reads it: a periodic timer goes on only when it is read. */
static void poller_take_tick(struct skui_poller *poller)
{
    uint64_t ticks;

    while (read(poller->tick_fd, &ticks, sizeof(ticks)) < 0 && errno == EINTR) {
    }
}

static void epoll_wake(struct skui_poller *poller)
{
    const uint64_t one = 1;
    int saved = errno; /* may be called by a signal handler */

    while (write(poller->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
    /* PL2 release: after the write, so that who clears it sees that. */
    skui_store_release(&poller->woken, true);
    errno = saved;
}

/* What is delivered the same way whoever polls; -1: a matter of the loop. */
static int poller_dispatch_shared(struct skui_poller *poller,
                                  const struct epoll_event *event)
{
    if (event->data.u64 == KEY_TICK) {
        poller_take_tick(poller);
        return 0;
    }
    if (event->data.u64 == KEY_WAKE || skui_watch_is_key(event->data.u64)) {
        return -1;
    }
    return skui_descriptor_deliver_key(event->data.u64,
                                       event_flags(event->events));
}

/* What another thread than the loop's found in its epoll instance. */
struct taken {
    int delivered; /* or a negative errno */
    bool wake;     /* ends no sleep: the caller must wake the loop once more */
    bool tick;
};

/*
 * In another thread than the loop's. Callbacks are level-triggered and stay, at
 * the end of the kernel's list: it has come round when the first of them comes
 * again. If that is gone by then, the number of rounds is the limit.
 */
static struct taken poller_deliver_for(struct skui_poller *poller)
{
    struct epoll_event events[EVENTS_PER_POLL];
    struct taken taken = {0};
    uint64_t first_callback = 0;
    unsigned rounds = 0;
    bool around = false;
    int count;

    do {
        count = epoll_wait(poller->epoll_fd, events, EVENTS_PER_POLL, 0);
        for (int i = 0; i < count; i++) {
            uint64_t key = events[i].data.u64;
            int result = poller_dispatch_shared(poller, &events[i]);

            taken.delivered += result > 0 ? result : 0;
            taken.wake |= key == KEY_WAKE;
            taken.tick |= key == KEY_TICK;
            if (key < KEY_CHARGE && skui_watch_is_key(key)) {
                around |= key == first_callback;
                first_callback = first_callback == 0 ? key : first_callback;
            }
        }
    } while (count == EVENTS_PER_POLL && !around && ++rounds < ROUNDS_FOR);
    if (count < 0 && errno != EINTR) {
        taken.delivered = -errno;
    }
    return taken;
}

static int epoll_poll_for(struct skui_poller *poller)
{
    struct taken taken = poller_deliver_for(poller);

    if (taken.wake) {
        epoll_wake(poller);
    }
    return taken.delivered;
}

/* --- charges --- */

static int epoll_adopt(struct skui_poller *poller, struct skui_poller *charge)
{
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u64 = KEY_CHARGE}};

    for (unsigned i = 0; i < CHARGES; i++) {
        /* relaxed: this thread adopts, and it has seen who disowned */
        if (skui_load_relaxed(&poller->charges[i]) == charge) {
            return 0;
        }
    }
    for (unsigned i = 0; i < CHARGES; i++) {
        struct skui_poller *none = NULL;

        /* CH1 release: who polls sees a whole poller. */
        if (skui_cas_release(&poller->charges[i], &none, charge)) {
            event.data.u64 += i;
            if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, charge->epoll_fd,
                          &event) == 0) {
                /* relaxed: a hint, of who asks next */
                (void)skui_fetch_add_relaxed(&poller->charge_count, 1u);
                return 0;
            }
            skui_store_relaxed(&poller->charges[i], NULL); /* relaxed: none */
            return -errno;
        }
    }
    return -EBUSY;
}

static void epoll_disown(struct skui_poller *poller, struct skui_poller *charge)
{
    for (unsigned i = 0; i < CHARGES; i++) {
        struct skui_poller *mine = charge;

        /* relaxed: who takes it out of its place removes it */
        if (skui_cas_relaxed(&poller->charges[i], &mine, NULL)) {
            (void)epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, charge->epoll_fd,
                            NULL);
            /* relaxed: as in epoll_adopt() */
            (void)skui_fetch_sub_relaxed(&poller->charge_count, 1u);
        }
    }
}

static int poller_dispatch_charge(struct skui_poller *poller, uint64_t key)
{
    /* CH1 acquire: pairs with epoll_adopt(). */
    struct skui_poller *charge =
        skui_load_acquire(&poller->charges[key - KEY_CHARGE]);
    struct taken taken;

    if (charge == NULL) {
        return 0;
    }
    taken = poller_deliver_for(charge);
    poller->ticked = poller->ticked || taken.tick;
    if (taken.wake) {
        /* It slept, so it is not held up; and this must not take the next wake
         * as well. */
        epoll_disown(poller, charge);
        epoll_wake(charge);
    }
    return taken.delivered < 0 ? 0 : taken.delivered;
}

static int poller_dispatch(struct skui_poller *poller,
                           const struct epoll_event *event)
{
    uint64_t key = event->data.u64;
    int delivered = poller_dispatch_shared(poller, event);

    poller->ticked = poller->ticked || key == KEY_TICK;
    if (delivered >= 0 || key == KEY_WAKE) {
        return delivered < 0 ? 0 : delivered;
    }
    return key >= KEY_CHARGE
               ? poller_dispatch_charge(poller, key)
               : skui_watches_deliver(&poller->watches, key, event->events);
}

/* `timeout_ns` in milliseconds, rounded up: never early. -1: no limit. */
static int timeout_ms(int64_t timeout_ns)
{
    int64_t ms;

    if (timeout_ns == SKUA_FOREVER) {
        return -1;
    }
    ms = timeout_ns / SKUA_MS + (timeout_ns % SKUA_MS != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* Timers of this thread fire when they are due, not up to 50 us later. */
static void poller_set_slack(struct skui_poller *poller)
{
    pthread_t self = pthread_self();

    if (!poller->has_slack || !pthread_equal(poller->slack_thread, self)) {
        (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
        poller->slack_thread = self;
        poller->has_slack = true;
    }
}

static int poller_wait(struct skui_poller *poller, struct epoll_event *events,
                       int64_t timeout_ns)
{
    struct timespec limit = {(time_t)(timeout_ns / SKUA_S),
                             (long)(timeout_ns % SKUA_S)};
    bool limited = timeout_ns != SKUA_FOREVER;
    int count;

    if (timeout_ns <= 0) {
        return epoll_wait(poller->epoll_fd, events, EVENTS_PER_POLL, 0);
    }
    poller_set_slack(poller);
    if (!skui_load_relaxed(&lacks_pwait2)) { /* relaxed: see there */
        count = epoll_pwait2(poller->epoll_fd, events, EVENTS_PER_POLL,
                             limited ? &limit : NULL, NULL);
        if (count >= 0 || errno != ENOSYS) {
            return count;
        }
        skui_store_relaxed(&lacks_pwait2, true); /* relaxed: see there */
    }
    return epoll_pwait(poller->epoll_fd, events, EVENTS_PER_POLL,
                       timeout_ms(timeout_ns), NULL);
}

/*
 * Nothing is registered, and no wake waits to be taken out of the epoll
 * instance: the descriptor of an embedded loop would stay readable.
 */
static bool poller_is_bare(struct skui_poller *poller)
{
    /* relaxed: what is missed now is seen by the next look at the latest */
    return skui_load_relaxed(&poller->references) == 1 &&
           !skui_load_relaxed(&poller->woken) &&
           /* relaxed: as above */
           skui_load_relaxed(&poller->charge_count) == 0 &&
           poller->watches.capacity == 0;
}

/* Out of line: a look at a bare poller, between any two tasks, needs no frame.
 */
static SKUI_NOINLINE int poller_deliver(struct skui_poller *poller,
                                        int64_t timeout_ns)
{
    struct epoll_event events[EVENTS_PER_POLL];
    int delivered = 0;
    int count;

    /* relaxed: a hint; only a wake that was noted needs the exchange */
    if (skui_load_relaxed(&poller->woken)) {
        /* PL2 acquire: the wakes noted so far are seen by the wait below. */
        (void)skui_exchange_acq_rel(&poller->woken, false);
    }
    count = poller_wait(poller, events, timeout_ns);
    if (count < 0) {
        return errno == EINTR ? 0 : -errno;
    }
    for (int i = 0; i < count; i++) {
        delivered += poller_dispatch(poller, &events[i]);
    }
    return delivered;
}

static int epoll_poll(struct skui_poller *poller, int64_t timeout_ns)
{
    return timeout_ns == 0 && poller_is_bare(poller)
               ? 0
               : poller_deliver(poller, timeout_ns);
}

/* Exclusive: of all that watch it, one that sleeps is woken. */
static int epoll_watch_tick(struct skui_poller *poller, int fd)
{
    struct epoll_event event = {EPOLLIN | EPOLLET | EPOLLEXCLUSIVE,
                                {.u64 = KEY_TICK}};

    poller->tick_fd = fd;
    return epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno
                                                                      : 0;
}

static bool epoll_take_tick(struct skui_poller *poller)
{
    bool ticked = poller->ticked;

    poller->ticked = false;
    return ticked;
}

static int epoll_get_fd(struct skui_poller *poller)
{
    return poller->epoll_fd;
}

static int epoll_add_callback(struct skui_poller *poller, int fd,
                              enum skui_direction direction,
                              skua_callback_fn *fn, void *arg)
{
    return skui_watches_add(&poller->watches, fd, direction, fn, arg);
}

static int epoll_remove_callback(struct skui_poller *poller, int fd,
                                 enum skui_direction direction)
{
    return skui_watches_remove(&poller->watches, fd, direction);
}

const struct skui_poller_ops skui_epoll_poller = {
    .open = epoll_open,
    .close = epoll_close,
    .poll = epoll_poll,
    .poll_for = epoll_poll_for,
    .adopt = epoll_adopt,
    .disown = epoll_disown,
    .wake = epoll_wake,
    .watch_tick = epoll_watch_tick,
    .take_tick = epoll_take_tick,
    .get_fd = epoll_get_fd,
    .add_callback = epoll_add_callback,
    .remove_callback = epoll_remove_callback,
};
