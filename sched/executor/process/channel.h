/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.h - how a process and one of its worker processes talk.
 *
 * One region of shared memory holds two rings of framed messages: requests go
 * to the worker, replies come back. What is too large for the rings goes as a
 * memfd through a socket pair, which tells by its end as well that the other
 * side is gone. channel.c has the layout and the protocol.
 *
 * The parent trusts nothing that it reads: a frame that cannot be is -EPROTO,
 * and the channel is to be abandoned. The worker trusts its parent.
 *
 *                     request  receive  arm  stop  close     (the parent's)
 *   request              x        -      -     -     x
 *   receive, release     -        x      -     -     x
 *   arm, disarm          -        -      x     -     x
 *   stop, revoke,
 *   claimed              -        -      -     -     x
 *
 * All calls of the worker's side belong to one thread, skui_worker_end_stops()
 * and skui_worker_end_close() apart.
 */
#ifndef SKUI_CHANNEL_H
#define SKUI_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../atomic.h"

SKUI_BEGIN_DECLS

enum {
    SKUI_CHANNEL_STOPS = 256,       /* ids in flight differ modulo this */
    SKUI_CHANNEL_RING_LEAST = 4096, /* bytes */
    SKUI_CHANNEL_RING_MOST = 1 << 30,
};

/* What a message is; the channel only looks whether it is one of these. */
enum skui_message_kind {
    SKUI_MESSAGE_WRAP,    /* the channel's own */
    SKUI_MESSAGE_CALL,    /* to the worker: run a function */
    SKUI_MESSAGE_QUIT,    /* to the worker: end when this is reached */
    SKUI_MESSAGE_READY,   /* from the worker: initialised, status */
    SKUI_MESSAGE_REPLY,   /* from the worker: what a call has given */
    SKUI_MESSAGE_LEAVING, /* from the worker: it takes no more, and ends */
    SKUI_MESSAGE_KINDS,
};

/* Flags below this are the users'. */
#define SKUI_MESSAGE_HAS_FD 0x8000u /* the payload is in a memfd */

/* A message, in the memory of who reads or writes it. */
struct skui_message {
    uint64_t id;  /* of the job */
    size_t bytes; /* of the payload */
    int32_t status;
    uint32_t function; /* its index, or what the users agree on */
    uint16_t kind;     /* enum skui_message_kind */
    uint16_t flags;
    int64_t deadline_ns; /* of a CALL, when it is over; 0: never */
    /* Received: the payload, aligned to 8 bytes, in the ring until it is
     * released (the peer may still write there: copy before looking, where that
     * matters); NULL when it is in `fd`.
     * Sent: borrowed; copied, unless `fd` holds it. */
    const void *data;
    /* Received: a memfd of at least `bytes`, which nobody can resize, and which
     * the receiver owns; see skui_buffer_adopt(). -1: none.
     * Sent: borrowed; -1: none. */
    int fd;
};

struct skui_channel_options {
    size_t request_bytes; /* of the ring; a power of two */
    size_t reply_bytes;   /* as above */
    size_t inline_bytes;  /* a larger payload goes as a memfd; at most a quarter
                             of the smaller ring, less a header; 0: that */
    int64_t spin_ns; /* how long the worker spins for a request at most; 0: it
                        sleeps at once */
    int reply_event; /* an eventfd, borrowed, which the worker writes; -1: the
                        channel has its own */
};

/* The descriptors that a worker gets; see skui_worker_end_open(). */
struct skui_channel_fds {
    int memory;
    int request_event;
    int reply_event;
    int socket;
};

struct skui_channel_memory; /* shared; channel.c */

/* A ring's private side: what this process last knew. */
struct skui_ring_end {
    unsigned char *data;
    uint64_t mask;
    uint64_t own;  /* the writer's tail, the reader's head */
    uint64_t peer; /* the other one, when last read and found right */
    uint64_t skip; /* the writer's: what it leaves free before the reserved */
};

/* --- the parent's side --- */

struct skui_channel {
    struct skui_channel_memory *memory;
    size_t memory_bytes;
    size_t inline_bytes;
    struct skui_channel_fds fds; /* `socket` is the parent's end */
    int worker_socket;           /* until skui_channel_started() */
    bool owns_reply_event;
    SKUI_CACHE_ALIGNED struct skui_ring_end requests; /* of who sends */
    SKUI_CACHE_ALIGNED struct skui_ring_end replies;  /* of who receives */
    size_t received; /* bytes of the message that is not yet released */
    bool released;   /* since the last round ended */
};

/*
 * @param out_channel  caller's storage; pinned until closed
 * @return 0; -EINVAL; -ENOMEM; -EMFILE and what else the system says
 */
int skui_channel_open(struct skui_channel *out_channel,
                      const struct skui_channel_options *options);
/* An all-zero one, and a closed one, are left alone. */
void skui_channel_close(struct skui_channel *channel);

/* What to give to the worker (SCM_RIGHTS, or inherited); they stay with the
 * channel. All are close-on-exec. */
void skui_channel_worker_fds(const struct skui_channel *channel,
                             struct skui_channel_fds *out_fds);
/* The worker has its descriptors: the parent closes its copy of that end of the
 * socket, so that it sees its end. */
void skui_channel_started(struct skui_channel *channel);

/*
 * Send a request, and wake the worker if it sleeps.
 * @param message  borrowed. With `fd` at least 0 that is sent when the payload
 *                 is too large for the ring, else `data` is copied: into the
 *                 ring, or a new memfd. It gets sealed against resizing
 * @return 0; -EAGAIN: the ring or the socket is full; -EPIPE: the worker is
 *         gone; -EPROTO as below; -ENOMEM, -EMFILE and what else the system
 *         says of memfds
 */
int skui_channel_request(struct skui_channel *channel,
                         const struct skui_message *message);

/*
 * The next reply. It stays in the ring until skui_channel_release().
 * @return 1; 0: there is none; -EPROTO: the worker wrote what cannot be;
 *         -EMFILE: a message was received but not its descriptor: `out_message`
 *         is filled, and is to be released
 */
int skui_channel_receive(struct skui_channel *channel,
                         struct skui_message *out_message);
/* Done with the message that was received last. */
void skui_channel_release(struct skui_channel *channel);
/* Done for now: a worker that waits for room is woken. After the last release
 * of each round. */
void skui_channel_round_ends(struct skui_channel *channel);
/* Whether a reply waits, or may; costs one look. */
bool skui_channel_has_reply(struct skui_channel *channel);

/* PC4: the worker's next reply writes the event; once for each call. Look for
 * replies after this. For skui_source_ops.arm and disarm. */
void skui_channel_arm(struct skui_channel *channel);
void skui_channel_disarm(struct skui_channel *channel);

/*
 * PC5: take a call back that the worker has not claimed. True: it never will,
 * and the place of its id is free. Also after its death. One at a time, and
 * none beside a request of an id with the same place.
 */
bool skui_channel_revoke(struct skui_channel *channel, uint64_t id);
/* Whether the worker has begun with a call that was not answered, and when it
 * began with one last (skui_clock_ticks()): as it says. Any thread. */
bool skui_channel_is_claimed(const struct skui_channel *channel, uint64_t id);
uint64_t skui_channel_claimed_at(const struct skui_channel *channel);
/* Tell the job with this id, if it runs or will, to stop. Any thread. */
void skui_channel_stop(struct skui_channel *channel, uint64_t id);
/* How long the worker spins, from its next wait on. Any thread. */
void skui_channel_set_spin(struct skui_channel *channel, int64_t spin_ns);

/* --- the worker's side --- */

struct skui_worker_end {
    struct skui_channel_memory *memory;
    size_t memory_bytes;
    size_t inline_bytes;
    struct skui_channel_fds fds; /* owned */
    struct skui_ring_end requests;
    struct skui_ring_end replies;
    size_t received;     /* bytes of the request that is not yet released */
    int64_t gap_ns;      /* average time without a request */
    int64_t moved_at_ns; /* when it last left the parent's core */
    /* The reply in the making. */
    unsigned char *reply;
    size_t reply_bytes; /* room at `reply` */
    int reply_fd;       /* it lies in this; -1: in the ring */
};

/*
 * @param fds  taken, also when this fails
 * @return 0; -EPROTO: no such memory; -ENOMEM and what else the system says
 */
int skui_worker_end_open(struct skui_worker_end *out_end,
                         const struct skui_channel_fds *fds);
void skui_worker_end_close(struct skui_worker_end *end);

/*
 * Wait for the next request, and receive it. It stays in the ring, `data` with
 * it, until skui_worker_end_release().
 * @param deadline_ns  SKUA_FOREVER: no limit; 0: do not wait
 * @return 1; 0: the time is over; -EPIPE: the parent is gone; -EMFILE as
 *         skui_channel_receive(); -EPROTO
 */
int skui_worker_end_wait(struct skui_worker_end *end, int64_t deadline_ns,
                         struct skui_message *out_message);
void skui_worker_end_release(struct skui_worker_end *end);

/* PC5: begin with a call that was received. 1; 0: it was taken back, and is to
 * be passed over; -EPROTO: neither, somebody wrote over it. */
int skui_worker_end_claim(struct skui_worker_end *end, uint64_t id);
/* Whether the parent wants that job to stop; one load. */
bool skui_worker_end_stops(const struct skui_worker_end *end, uint64_t id);

/*
 * Room for a reply, in place: in the ring, or in a memfd when it is large.
 * Called again before it is committed, for more: what was written first, `used`
 * bytes, is there in the new place. Waits while the ring is full.
 * @return 0; -EPIPE: the parent is gone; -ENOMEM, -EMFILE and what else the
 *         system says: the earlier room is still good
 */
int skui_worker_end_reserve(struct skui_worker_end *end, size_t used,
                            size_t bytes, void **out_data);
/*
 * Publish the reply: message->bytes at most what was reserved; `data` and `fd`
 * are ignored. Without a reserve before, of 0 bytes.
 * @return 0; -EPIPE; what the system says, when a memfd cannot be sent: nothing
 *         was published, and the room is given up
 */
int skui_worker_end_commit(struct skui_worker_end *end,
                           const struct skui_message *message);
/* Give the room up. */
void skui_worker_end_abandon(struct skui_worker_end *end);

SKUI_END_DECLS

#endif
