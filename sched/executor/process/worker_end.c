/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_end.c - how a process and one of its worker processes talk: the
 *                worker's side. channel.c has the protocol.
 * Threads     One, the worker's; any asks whether its job should stop.
 * Invariants  A request stays in the ring until the worker is done with it. Of
 *             a reply in the making nothing is published; what it lies in is
 *             the worker's alone.
 * Ordering    PC1, PC2 (ring.c), PC3, PC4 (channel.c).
 * Progress    Waits for requests, and for room when the parent does not keep
 *             up. Both waits end when the parent is gone.
 * Rejected    A reply that is built elsewhere and copied: most fit where they
 *             were begun.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../clock.h"
#include "../../cores.h"
#include "channel_memory.h"
#include "payload.h"
#include "skua/types.h"

enum {
    SPIN_ROUNDS = 64,        /* between looks at the clock */
    OFFER_ROUNDS = 4,        /* of these between offers of the core to others */
    TAKEN_NS = 20000,        /* an offer that lasts so long was taken */
    GAP_LIMIT = 16,          /* a gap counts as at most this x spin */
    MOVE_APART_NS = 2000000, /* between moves to another core */
    SPINS_BEFORE_PAID = 4    /* what the first gaps are taken for */
};

/* --- opening --- */

static int end_map(struct skui_worker_end *end)
{
    struct stat info;
    void *memory;

    if (fstat(end->fds.memory, &info) < 0) {
        return -errno;
    }
    if (info.st_size < SKUI_CHANNEL_HEAD_BYTES) {
        return -EPROTO;
    }
    memory = mmap(NULL, (size_t)info.st_size, PROT_READ | PROT_WRITE,
                  MAP_SHARED, end->fds.memory, 0);
    if (memory == MAP_FAILED) {
        return -errno;
    }
    end->memory = memory;
    end->memory_bytes = (size_t)info.st_size;
    return 0;
}

static int end_adopt(struct skui_worker_end *end)
{
    const struct skui_channel_memory *memory = end->memory;
    unsigned char *data =
        (unsigned char *)end->memory + SKUI_CHANNEL_HEAD_BYTES;

    if (memory->magic != SKUI_CHANNEL_MAGIC ||
        memory->request_bytes + memory->reply_bytes !=
            end->memory_bytes - SKUI_CHANNEL_HEAD_BYTES) {
        return -EPROTO;
    }
    end->inline_bytes = memory->inline_bytes;
    skui_ring_end_init(&end->requests, data, memory->request_bytes);
    skui_ring_end_init(&end->replies, data + memory->request_bytes,
                       memory->reply_bytes);
    return 0;
}

int skui_worker_end_open(struct skui_worker_end *out_end,
                         const struct skui_channel_fds *fds)
{
    int status;

    memset(out_end, 0, sizeof(*out_end));
    out_end->fds = *fds;
    out_end->reply_fd = -1;
    status = end_map(out_end);
    if (status == 0) {
        status = end_adopt(out_end);
    }
    if (status < 0) {
        skui_worker_end_close(out_end);
        return status;
    }
    /* relaxed: a setting */
    out_end->gap_ns =
        SPINS_BEFORE_PAID * skui_load_relaxed(&out_end->memory->spin_ns);
    return 0;
}

void skui_worker_end_close(struct skui_worker_end *end)
{
    const int fds[] = {end->fds.memory, end->fds.request_event,
                       end->fds.reply_event, end->fds.socket};

    skui_worker_end_abandon(end);
    if (end->memory != NULL) {
        (void)munmap(end->memory, end->memory_bytes);
        end->memory = NULL;
    }
    for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    end->fds = (struct skui_channel_fds){-1, -1, -1, -1};
}

/* --- waiting --- */

static bool end_has_request(struct skui_worker_end *end)
{
    return skui_ring_has_more(&end->requests, &end->memory->requests);
}

/* Whether the parent has released what the last look did not see. */
static bool end_has_room(struct skui_worker_end *end)
{
    /* PC2 (seq_cst): after sleep was announced (PC3). */
    return skui_load_seq_cst(&end->memory->replies.head) != end->replies.peer;
}

static bool end_has(struct skui_worker_end *end, enum skui_channel_sleep what)
{
    return what == SKUI_CHANNEL_WANTS_REQUEST ? end_has_request(end)
                                              : end_has_room(end);
}

/* Let others have the core; whether they wanted it. */
static bool spin_offer_core(void)
{
    uint64_t start = skui_clock_ticks();

    (void)sched_yield();
    return skui_clock_ticks() - start > skui_clock_ticks_of(TAKEN_NS);
}

/* True when there is something; else, in `out_taken`, whether others want the
 * core. */
static bool end_spin(struct skui_worker_end *end, enum skui_channel_sleep what,
                     int64_t end_ns, bool *out_taken)
{
    unsigned rounds = 0;

    do {
        for (int i = 0; i < SPIN_ROUNDS; i++) {
            if (end_has(end, what)) {
                return true;
            }
            skui_cpu_relax();
        }
        if (++rounds % OFFER_ROUNDS == 0 && spin_offer_core()) {
            *out_taken = true;
            return false;
        }
    } while (skui_clock_now() < end_ns);
    return false;
}

static void end_note_gap(struct skui_worker_end *end, int64_t gap_ns,
                         int64_t spin_ns)
{
    if (gap_ns > GAP_LIMIT * spin_ns) {
        gap_ns = GAP_LIMIT * spin_ns;
    }
    end->gap_ns += ((gap_ns < 0 ? 0 : gap_ns) - end->gap_ns) / 4;
}

/* How long poll() is to wait, in ms, rounded up. */
static int poll_timeout(int64_t deadline_ns)
{
    int64_t left_ns;

    if (deadline_ns == SKUA_FOREVER) {
        return -1;
    }
    left_ns = deadline_ns - skui_clock_now();
    if (left_ns <= 0) {
        return 0;
    }
    return left_ns / SKUA_MS >= INT32_MAX ? INT32_MAX
                                          : (int)(left_ns / SKUA_MS) + 1;
}

/* 1: woken, maybe early; 0: the time is over; or -EPIPE. */
static int end_sleep(struct skui_worker_end *end, int64_t deadline_ns)
{
    struct pollfd watched[] = {
        {.fd = end->fds.request_event, .events = POLLIN},
        {.fd = end->fds.socket}, /* its end is always told */
    };
    uint64_t count;
    int ready = poll(watched, 2, poll_timeout(deadline_ns));

    if (ready < 0) {
        return errno == EINTR ? 1 : -errno;
    }
    if ((watched[0].revents & POLLIN) != 0) {
        (void)!read(end->fds.request_event, &count, sizeof(count));
        return 1; /* what came before the end is still taken */
    }
    return ready == 0 ? 0 : -EPIPE;
}

/* Announce sleep, look once more, sleep; as end_sleep(). */
static int end_park(struct skui_worker_end *end, enum skui_channel_sleep what,
                    int64_t deadline_ns)
{
    int status = 1;

    /* PC3 (seq_cst): announced before the look. */
    skui_store_seq_cst(&end->memory->asleep, (uint32_t)what);
    if (!end_has(end, what)) {
        status = end_sleep(end, deadline_ns);
    }
    /* relaxed: PC3; who finds it set writes once too often */
    skui_store_relaxed(&end->memory->asleep, (uint32_t)SKUI_CHANNEL_AWAKE);
    return status == -EPIPE && end_has(end, what) ? 1 : status;
}

/*
 * On the core of who sends requests a spinner keeps from running what it waits
 * for. Systems, virtual ones above all, let two such threads share a core for
 * many milliseconds while another one is free. So leave it, and let the system
 * decide again from there on.
 */
static void end_move_apart(struct skui_worker_end *end, int64_t now_ns)
{
    struct skui_cores_mask allowed;
    int here = skui_cores_here();

    /* relaxed: a hint */
    if (here == skui_load_relaxed(&end->memory->requests.core) &&
        now_ns - end->moved_at_ns > MOVE_APART_NS) {
        end->moved_at_ns = now_ns;
        if (skui_cores_keep_off(0, here, &allowed)) {
            skui_cores_restore(&allowed);
        }
    }
}

/* 1: there may be something; 0: the time is over; or an errno. */
static int end_wait(struct skui_worker_end *end, enum skui_channel_sleep what,
                    int64_t deadline_ns)
{
    /* relaxed: a setting */
    int64_t spin_ns = skui_load_relaxed(&end->memory->spin_ns);
    int64_t start_ns = skui_clock_now();
    bool spins = end->gap_ns < spin_ns + spin_ns / 2;
    bool taken = false;
    int status = 1;

    if (spins) {
        end_move_apart(end, start_ns);
    }
    if (!spins || !end_spin(end, what, start_ns + spin_ns, &taken)) {
        status = end_park(end, what, deadline_ns);
        start_ns += spin_ns; /* a sleeper's gap holds its own wake */
    }
    if (taken) {
        end->gap_ns = GAP_LIMIT * spin_ns; /* no spinning for a while */
    } else {
        end_note_gap(end, skui_clock_now() - start_ns, spin_ns);
    }
    return status;
}

int skui_worker_end_wait(struct skui_worker_end *end, int64_t deadline_ns,
                         struct skui_message *out_message)
{
    int status;

    for (;;) {
        status = skui_ring_peek(&end->requests, &end->memory->requests,
                                end->inline_bytes, out_message, &end->received);
        if (status != 0) {
            break;
        }
        if (deadline_ns != SKUA_FOREVER && deadline_ns <= skui_clock_now()) {
            return 0;
        }
        status = end_wait(end, SKUI_CHANNEL_WANTS_REQUEST, deadline_ns);
        if (status < 0) {
            return status;
        }
    }
    if (status < 0) {
        return status;
    }
    /* relaxed: published with the call (PC1) */
    out_message->deadline_ns = skui_load_relaxed(
        &end->memory->deadlines_ns[out_message->id % SKUI_CHANNEL_STOPS]);
    return skui_channel_take_fd(end->fds.socket, out_message);
}

void skui_worker_end_release(struct skui_worker_end *end)
{
    skui_ring_release(&end->requests, &end->memory->requests, end->received);
    end->received = 0;
}

/* --- the job that runs --- */

int skui_worker_end_claim(struct skui_worker_end *end, uint64_t id)
{
    uint64_t word = skui_channel_claim_of(id, SKUI_CHANNEL_SENT);
    uint64_t found;

    /* PC5 acq_rel: pairs with skui_channel_revoke(). */
    if (skui_cas_acq_rel(skui_channel_claim_word(end->memory, id), &word,
                         skui_channel_claim_of(id, SKUI_CHANNEL_CLAIMED))) {
        /* relaxed: for people */
        skui_store_relaxed(&end->memory->claimed_ticks, skui_clock_ticks());
        return 1;
    }
    /* It was taken back, and maybe its place was used again since. */
    found = word / SKUI_CHANNEL_CLAIMS;
    if (word == skui_channel_claim_of(id, SKUI_CHANNEL_REVOKED) ||
        (found > id && (found - id) % SKUI_CHANNEL_STOPS == 0 &&
         found - id < SKUI_CHANNEL_RING_MOST)) {
        return 0;
    }
    return -EPROTO;
}

bool skui_worker_end_stops(const struct skui_worker_end *end, uint64_t id)
{
    /* relaxed: a request, of which nothing else depends */
    return id != 0 &&
           skui_load_relaxed(skui_channel_stop_word(end->memory, id)) == id;
}

/* --- replies --- */

/* Room in the ring, waiting for it if need be. */
static int reply_reserve_ring(struct skui_worker_end *end, size_t bytes,
                              void **out_data)
{
    int status;

    while ((status = skui_ring_reserve(&end->replies, &end->memory->replies,
                                       bytes, out_data)) == -EAGAIN) {
        status = end_wait(end, SKUI_CHANNEL_WANTS_ROOM, SKUA_FOREVER);
        if (status < 0) {
            return status;
        }
    }
    return status;
}

/* Room in a memfd of its own. */
static int reply_reserve_new(struct skui_worker_end *end, size_t used,
                             size_t bytes)
{
    void *data;
    int fd = -1;
    int status = skui_payload_new(bytes, &fd);

    if (status < 0) {
        return status;
    }
    data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) {
        status = -errno;
        (void)close(fd);
        return status;
    }
    if (used > 0 && end->reply != NULL) {
        memcpy(data, end->reply, used);
    }
    end->reply = data;
    end->reply_bytes = bytes;
    end->reply_fd = fd;
    return 0;
}

static int reply_grow(struct skui_worker_end *end, size_t bytes)
{
    void *data;

    if (bytes > INT64_MAX || ftruncate(end->reply_fd, (off_t)bytes) < 0) {
        return bytes > INT64_MAX ? -ENOMEM : -errno;
    }
    data = mremap(end->reply, end->reply_bytes, bytes, MREMAP_MAYMOVE);
    if (data == MAP_FAILED) {
        return -errno;
    }
    end->reply = data;
    end->reply_bytes = bytes;
    return 0;
}

/* In the ring, where what was written before is moved to if that changes: it
 * lies beyond the tail still. */
static int reply_reserve_inline(struct skui_worker_end *end, size_t used,
                                size_t bytes)
{
    void *data;
    int status = reply_reserve_ring(end, bytes, &data);

    if (status < 0) {
        return status;
    }
    if (used > 0 && end->reply != NULL && data != end->reply) {
        memmove(data, end->reply, used);
    }
    end->reply = data;
    end->reply_bytes = bytes;
    return 0;
}

int skui_worker_end_reserve(struct skui_worker_end *end, size_t used,
                            size_t bytes, void **out_data)
{
    int status = 0;

    if (used > end->reply_bytes || used > bytes) {
        return -EINVAL;
    }
    if (end->reply == NULL || bytes > end->reply_bytes) {
        if (end->reply_fd >= 0) {
            status = reply_grow(end, bytes);
        } else if (bytes > end->inline_bytes) {
            status = reply_reserve_new(end, used, bytes);
        } else {
            status = reply_reserve_inline(end, used, bytes);
        }
    }
    if (status == 0) {
        *out_data = end->reply;
    }
    return status;
}

/* A memfd that holds no more than fits into the ring goes there after all. */
static int reply_move_inline(struct skui_worker_end *end, size_t bytes)
{
    void *data;
    int status = reply_reserve_ring(end, bytes, &data);

    if (status == 0 && bytes > 0 && end->reply != NULL) {
        memcpy(data, end->reply, bytes);
    }
    return status;
}

/* Send the memfd, cut to what it holds. */
static int reply_send(struct skui_worker_end *end,
                      const struct skui_message *message)
{
    void *data;
    int status = reply_reserve_ring(end, 0, &data);

    if (status == 0 && ftruncate(end->reply_fd, (off_t)message->bytes) < 0) {
        status = -errno;
    }
    if (status == 0) {
        status = skui_payload_seal(end->reply_fd);
    }
    if (status == 0) {
        status = skui_payload_send(end->fds.socket, message->id, message->bytes,
                                   end->reply_fd, true);
    }
    return status;
}

static void reply_publish(struct skui_worker_end *end,
                          const struct skui_message *message, bool has_fd)
{
    struct skui_ring_frame frame = skui_frame_of(message, has_fd);

    skui_ring_publish(&end->replies, &end->memory->replies, &frame);
    /* PC4 (seq_cst): looked at after the reply was published; one write for
     * each time that it was armed. */
    if (skui_load_seq_cst(&end->memory->armed) != 0 &&
        skui_exchange_seq_cst(&end->memory->armed, 0u) != 0) {
        skui_channel_ring_bell(end->fds.reply_event);
    }
}

int skui_worker_end_commit(struct skui_worker_end *end,
                           const struct skui_message *message)
{
    bool has_fd = end->reply_fd >= 0 && message->bytes > end->inline_bytes;
    void *data;
    int status = 0;

    if (message->bytes > end->reply_bytes) {
        return -EINVAL;
    }
    if (has_fd) {
        status = reply_send(end, message);
    } else if (end->reply_fd >= 0) {
        status = reply_move_inline(end, message->bytes);
    } else if (end->reply == NULL) {
        status = reply_reserve_ring(end, 0, &data);
    }
    if (status == 0) {
        reply_publish(end, message, has_fd);
    }
    skui_worker_end_abandon(end);
    return status;
}

void skui_worker_end_abandon(struct skui_worker_end *end)
{
    if (end->reply_fd >= 0) {
        (void)munmap(end->reply, end->reply_bytes);
        (void)close(end->reply_fd);
    }
    end->reply = NULL;
    end->reply_bytes = 0;
    end->reply_fd = -1;
}
