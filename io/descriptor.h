/* SPDX-License-Identifier: Apache-2.0 */
/*
 * descriptor.h - what is known of one descriptor's readiness, and who waits.
 *
 *               wait  deliver  clear  retire        (x: the caller excludes)
 *      wait      x(1)    -       -      -            (1) two waiters in one
 *      deliver           -       -      -                direction: -EBUSY
 *      clear                     -      -
 *      retire                           x
 */
#ifndef SKUI_DESCRIPTOR_H
#define SKUI_DESCRIPTOR_H

#include "../sched/atomic.h"
#include "../sched/poller.h"

SKUI_BEGIN_DECLS

enum {
    SKUI_READABLE = 1,
    SKUI_WRITABLE = 2,
    SKUI_READ_HUP = 4,  /* the peer sends no more: reading never blocks */
    SKUI_HUP = 8,       /* error or both ends shut: nothing blocks */
    SKUI_DETACHED = 16, /* its reactor is closed: nobody delivers any more */
    SKUI_READ_MASK = SKUI_READABLE | SKUI_READ_HUP | SKUI_HUP | SKUI_DETACHED,
    SKUI_WRITE_MASK = SKUI_WRITABLE | SKUI_HUP | SKUI_DETACHED,
};

struct skui_descriptor {
    /* Type-stable: anyone may read and CAS these, however late. RD1. */
    _Atomic(uint64_t) readiness;  /* generation:32 tick:24 flags:8 */
    _Atomic(uint64_t) waiters[2]; /* claims by direction; 0: nobody */
    /* The owner's, who opened it and will free it. */
    struct skui_poller *poller;
    struct skui_descriptor *next; /* guarded by poller's lock, as below */
    struct skui_descriptor *previous;
    int fd;
    bool listed;
};

/* Make the class known to the allocator; may be repeated. */
void skui_descriptor_class_init(void);

/* A record; NULL when memory is short. */
struct skui_descriptor *skui_descriptor_new(void);

/* Before it is registered: which descriptor, and what to assume of it. */
void skui_descriptor_prepare(struct skui_descriptor *descriptor, int fd,
                             unsigned flags);

/* Give a record back. It was retired, and nobody waits. NULL is allowed. */
void skui_descriptor_free(struct skui_descriptor *descriptor);

/* The generation that is current; changes when the record is retired. */
uint32_t skui_descriptor_generation(const struct skui_descriptor *descriptor);

/* What to store in an epoll_event: record and generation. */
uint64_t skui_descriptor_key(const struct skui_descriptor *descriptor);

/*
 * Something happened: `flags` hold now. Any thread, however late: another
 * generation is ignored. Returns how many tasks it woke.
 */
int skui_descriptor_deliver(struct skui_descriptor *descriptor,
                            uint32_t generation, unsigned flags);
int skui_descriptor_deliver_key(uint64_t key, unsigned flags);

/* The whole word: flags in its low bits. Any thread. */
uint64_t skui_descriptor_readiness(const struct skui_descriptor *descriptor);
uint32_t skui_readiness_generation(uint64_t word);

/*
 * A system call found that `flags` do not hold. `seen` is the word from before
 * that call: if anything was delivered since then, nothing is cleared.
 */
void skui_descriptor_clear(struct skui_descriptor *descriptor, unsigned flags,
                           uint64_t seen);

/* End the generation: later events are stale, waiters wake and look. */
void skui_descriptor_retire(struct skui_descriptor *descriptor);

/*
 * Suspend the current task until `descriptor` may be ready, another generation
 * or detached: a hint, the caller looks again. Returns 0, -EBUSY or what
 * skui_task_wait() says.
 */
int skui_descriptor_wait(struct skui_descriptor *descriptor,
                         uint32_t generation, enum skui_direction direction,
                         int64_t deadline_ns);

SKUI_END_DECLS

#endif
