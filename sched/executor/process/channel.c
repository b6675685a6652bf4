/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c - how a process and one of its worker processes talk: the parent's
 *             side. worker_end.c is the other one.
 * Threads     Any thread sends, one at a time; so it is with receiving, and
 *             with arming.
 * Invariants  What the worker may have written is not trusted: indices and
 *             lengths (ring.c), descriptors (payload.c). What the parent has
 *             said it keeps in its own memory as well. The memory is sealed
 *             against resizing.
 * Ordering    PC1, PC2 (ring.c), PC3 a worker that sleeps, PC4 a reply that
 *             wakes.
 * Progress    Nothing here waits. A worker that dies, in whatever step, leaves
 *             what it had published, and at most a descriptor in the socket.
 * Rejected    A futex in place of the eventfd: its wait cannot see the other
 *             side's end as well, and the parent's keeper waits for many. One
 *             word for both kinds of sleep, woken by either: a worker that
 *             waits for requests would be woken after each round of replies.
 *
 * Layout: a head (channel_memory.h), the ring of requests, that of replies.
 * A payload larger than `inline_bytes` goes as a memfd: sent first, then the
 * frame is published that says so; both keep their order, so the next frame
 * with HAS_FD and the next descriptor belong together, which the id confirms.
 *
 * No request waits for a worker that sleeps (PC3)
 *   parent   publish the request / look at `asleep` / if it is WANTS_REQUEST:
 *            make it AWAKE, write the event
 *   worker   asleep = WANTS_REQUEST / look at the ring / sleep
 * and so for a worker that waits for room in the ring of replies:
 *   parent   release replies / look at `asleep` / WANTS_ROOM: as above
 *   worker   asleep = WANTS_ROOM / look at `head` / sleep
 * No reply waits while the parent's side sleeps (PC4)
 *   worker   publish the reply / look at `armed` / if it is 1: make it 0, write
 *            the event
 *   parent   armed = 1 / look at the ring / sleep
 * The steps of each pair are seq_cst, so one sees the other. The compare-and-
 * swaps see to one write for each sleep that was announced.
 */
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../cores.h"
#include "channel_memory.h"
#include "payload.h"

_Static_assert(sizeof(struct skui_channel_memory) <= SKUI_CHANNEL_HEAD_BYTES,
               "the rings begin at a page");

/* --- for both sides --- */

void skui_channel_ring_bell(int event)
{
    uint64_t one = 1;
    ssize_t written;

    do {
        written = write(event, &one, sizeof(one)); /* full: it is readable */
    } while (written < 0 && errno == EINTR);
}

int skui_channel_take_fd(int socket, struct skui_message *message)
{
    if ((message->flags & SKUI_MESSAGE_HAS_FD) == 0) {
        return 1;
    }
    int status =
        skui_payload_receive(socket, message->id, message->bytes, &message->fd);

    return status < 0 ? status : 1;
}

/* --- opening --- */

static bool ring_bytes_are_valid(size_t bytes)
{
    return bytes >= SKUI_CHANNEL_RING_LEAST &&
           bytes <= SKUI_CHANNEL_RING_MOST && (bytes & (bytes - 1)) == 0;
}

static bool options_are_valid(const struct skui_channel_options *options)
{
    size_t least = options->request_bytes < options->reply_bytes
                       ? options->request_bytes
                       : options->reply_bytes;

    return ring_bytes_are_valid(options->request_bytes) &&
           ring_bytes_are_valid(options->reply_bytes) &&
           options->inline_bytes <= skui_ring_most(least) &&
           options->spin_ns >= 0;
}

static int channel_open_memory(struct skui_channel *channel)
{
    void *memory;
    int status = skui_payload_new(channel->memory_bytes, &channel->fds.memory);

    if (status < 0) {
        return status;
    }
    /* Now, so that short memory is a status. */
    if (fallocate(channel->fds.memory, 0, 0, (off_t)channel->memory_bytes) <
        0) {
        return errno == ENOSPC ? -ENOMEM : -errno;
    }
    status = skui_payload_seal(channel->fds.memory);
    if (status < 0) {
        return status;
    }
    memory = mmap(NULL, channel->memory_bytes, PROT_READ | PROT_WRITE,
                  MAP_SHARED, channel->fds.memory, 0);
    if (memory == MAP_FAILED) {
        return -errno;
    }
    channel->memory = memory;
    return 0;
}

static int channel_open_fds(struct skui_channel *channel,
                            const struct skui_channel_options *options)
{
    int pair[2];

    channel->fds.request_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (channel->fds.request_event < 0) {
        return -errno;
    }
    channel->owns_reply_event = options->reply_event < 0;
    channel->fds.reply_event = options->reply_event >= 0
                                   ? options->reply_event
                                   : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (channel->fds.reply_event < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return -errno;
    }
    channel->fds.socket = pair[0];
    channel->worker_socket = pair[1];
    return 0;
}

/* Its words, before anybody else sees them. */
static void channel_fill(struct skui_channel *channel,
                         const struct skui_channel_options *options)
{
    struct skui_channel_memory *memory = channel->memory;
    unsigned char *data = (unsigned char *)memory + SKUI_CHANNEL_HEAD_BYTES;

    memory->magic = SKUI_CHANNEL_MAGIC;
    memory->request_bytes = options->request_bytes;
    memory->reply_bytes = options->reply_bytes;
    memory->inline_bytes = channel->inline_bytes;
    /* relaxed, all: not shared yet; new memory is zero */
    skui_store_relaxed(&memory->armed, 1u);
    skui_channel_set_spin(channel, options->spin_ns);
    skui_ring_end_init(&channel->requests, data, options->request_bytes);
    skui_ring_end_init(&channel->replies, data + options->request_bytes,
                       options->reply_bytes);
}

int skui_channel_open(struct skui_channel *out_channel,
                      const struct skui_channel_options *options)
{
    size_t least;
    int status;

    if (!options_are_valid(options)) {
        return -EINVAL;
    }
    memset(out_channel, 0, sizeof(*out_channel));
    out_channel->fds = (struct skui_channel_fds){-1, -1, -1, -1};
    out_channel->worker_socket = -1;
    least = options->request_bytes < options->reply_bytes
                ? options->request_bytes
                : options->reply_bytes;
    out_channel->inline_bytes = options->inline_bytes != 0
                                    ? options->inline_bytes
                                    : skui_ring_most(least);
    out_channel->memory_bytes =
        SKUI_CHANNEL_HEAD_BYTES + options->request_bytes + options->reply_bytes;
    status = channel_open_memory(out_channel);
    if (status == 0) {
        status = channel_open_fds(out_channel, options);
    }
    if (status < 0) {
        skui_channel_close(out_channel);
        return status;
    }
    channel_fill(out_channel, options);
    return 0;
}

static void fd_close(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

void skui_channel_close(struct skui_channel *channel)
{
    if (channel->memory_bytes == 0) {
        return; /* never opened, or closed */
    }
    if (channel->memory != NULL) {
        (void)munmap(channel->memory, channel->memory_bytes);
        channel->memory = NULL;
    }
    fd_close(&channel->fds.memory);
    fd_close(&channel->fds.request_event);
    if (channel->owns_reply_event) {
        fd_close(&channel->fds.reply_event);
    }
    fd_close(&channel->fds.socket);
    fd_close(&channel->worker_socket);
    channel->memory_bytes = 0;
}

void skui_channel_worker_fds(const struct skui_channel *channel,
                             struct skui_channel_fds *out_fds)
{
    *out_fds = channel->fds;
    out_fds->socket = channel->worker_socket;
}

void skui_channel_started(struct skui_channel *channel)
{
    fd_close(&channel->worker_socket);
    fd_close(&channel->fds.memory); /* it is mapped */
}

/* --- requests --- */

/* If the worker sleeps and waits for this, wake it. */
static void channel_wake(struct skui_channel *channel,
                         enum skui_channel_sleep what)
{
    uint32_t state = (uint32_t)what;

    /* PC3 (seq_cst): looked at after what it waits for was done; one write for
     * each sleep that was announced. */
    if (skui_load_seq_cst(&channel->memory->asleep) == (uint32_t)what &&
        skui_cas_seq_cst(&channel->memory->asleep, &state,
                         (uint32_t)SKUI_CHANNEL_AWAKE)) {
        skui_channel_ring_bell(channel->fds.request_event);
    }
}

/* Send the payload by itself: in the caller's memfd, or in a copy. */
static int channel_send_payload(struct skui_channel *channel,
                                const struct skui_message *message)
{
    int copy = -1;
    int fd = message->fd;
    int status;

    if (fd < 0 || skui_payload_seal(fd) < 0) {
        status = skui_payload_copy(message->data, message->bytes, &copy);
        if (status < 0) {
            return status;
        }
        fd = copy;
    }
    status = skui_payload_send(channel->fds.socket, message->id, message->bytes,
                               fd, false);
    fd_close(&copy);
    return status;
}

/* What lies beside a call that is about to be published. */
static void channel_note_call(struct skui_channel *channel,
                              const struct skui_message *message)
{
    struct skui_channel_memory *memory = channel->memory;
    unsigned place = (unsigned)(message->id % SKUI_CHANNEL_STOPS);

    /* relaxed, both: published with the call (PC1) */
    skui_store_relaxed(&memory->deadlines_ns[place], message->deadline_ns);
    /* relaxed: as above; nobody has this id yet (PC5) */
    skui_store_relaxed(&memory->claims[place],
                       skui_channel_claim_of(message->id, SKUI_CHANNEL_SENT));
}

int skui_channel_request(struct skui_channel *channel,
                         const struct skui_message *message)
{
    struct skui_ring_words *words = &channel->memory->requests;
    bool has_fd = message->bytes > channel->inline_bytes;
    struct skui_ring_frame frame = skui_frame_of(message, has_fd);
    void *data;
    int status = skui_ring_reserve(&channel->requests, words,
                                   has_fd ? 0 : message->bytes, &data);

    if (status == 0 && has_fd) {
        status = channel_send_payload(channel, message);
    } else if (status == 0 && message->bytes > 0) {
        memcpy(data, message->data, message->bytes);
    }
    if (status < 0) {
        return status;
    }
    if (message->kind == SKUI_MESSAGE_CALL) {
        channel_note_call(channel, message);
    }
    skui_store_relaxed(&words->core, skui_cores_here()); /* relaxed: a hint */
    skui_ring_publish(&channel->requests, words, &frame);
    channel_wake(channel, SKUI_CHANNEL_WANTS_REQUEST);
    return 0;
}

/* --- replies --- */

int skui_channel_receive(struct skui_channel *channel,
                         struct skui_message *out_message)
{
    int status =
        skui_ring_peek(&channel->replies, &channel->memory->replies,
                       channel->inline_bytes, out_message, &channel->received);

    return status <= 0 ? status
                       : skui_channel_take_fd(channel->fds.socket, out_message);
}

void skui_channel_release(struct skui_channel *channel)
{
    skui_ring_release(&channel->replies, &channel->memory->replies,
                      channel->received);
    channel->received = 0;
    channel->released = true;
}

void skui_channel_round_ends(struct skui_channel *channel)
{
    if (channel->released) {
        channel->released = false;
        /* PC2 release: once more, seq_cst: before the look whether the worker
         * waits for it (PC3). */
        skui_store_seq_cst(&channel->memory->replies.head,
                           channel->replies.own);
        channel_wake(channel, SKUI_CHANNEL_WANTS_ROOM);
    }
}

bool skui_channel_has_reply(struct skui_channel *channel)
{
    return skui_ring_has_more(&channel->replies, &channel->memory->replies);
}

void skui_channel_arm(struct skui_channel *channel)
{
    /* PC4 (seq_cst): said before the look at the ring. */
    skui_store_seq_cst(&channel->memory->armed, 1u);
}

void skui_channel_disarm(struct skui_channel *channel)
{
    /* relaxed: PC4; a write too many is harmless */
    skui_store_relaxed(&channel->memory->armed, 0u);
}

/* --- words --- */

void skui_channel_stop(struct skui_channel *channel, uint64_t id)
{
    /* relaxed: a request, of which nothing else depends */
    skui_store_relaxed(skui_channel_stop_word(channel->memory, id), id);
}

bool skui_channel_revoke(struct skui_channel *channel, uint64_t id)
{
    uint64_t sent = skui_channel_claim_of(id, SKUI_CHANNEL_SENT);

    /* PC5 acq_rel: pairs with skui_worker_end_claim(). */
    return skui_cas_acq_rel(skui_channel_claim_word(channel->memory, id), &sent,
                            skui_channel_claim_of(id, SKUI_CHANNEL_REVOKED));
}

bool skui_channel_is_claimed(const struct skui_channel *channel, uint64_t id)
{
    /* relaxed: for people */
    return skui_load_relaxed(skui_channel_claim_word(channel->memory, id)) ==
           skui_channel_claim_of(id, SKUI_CHANNEL_CLAIMED);
}

uint64_t skui_channel_claimed_at(const struct skui_channel *channel)
{
    /* relaxed: as above */
    return skui_load_relaxed(&channel->memory->claimed_ticks);
}

void skui_channel_set_spin(struct skui_channel *channel, int64_t spin_ns)
{
    bool alone = skui_known_cores() < 2 || skui_cores_are_rationed();

    /* relaxed: a setting */
    skui_store_relaxed(&channel->memory->spin_ns, alone ? 0 : spin_ns);
}
