/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_memory.h - what a process and its worker share.
 */
#ifndef SKUI_CHANNEL_MEMORY_H
#define SKUI_CHANNEL_MEMORY_H

#include "channel.h"
#include "ring.h"

SKUI_BEGIN_DECLS

/* What the worker waits for while it sleeps. */
enum skui_channel_sleep {
    SKUI_CHANNEL_AWAKE,
    SKUI_CHANNEL_WANTS_REQUEST,
    SKUI_CHANNEL_WANTS_ROOM, /* for a reply */
};

enum {
    SKUI_CHANNEL_MAGIC = 0x736b7531, /* with the layout's version */
    SKUI_CHANNEL_HEAD_BYTES = 8192,  /* the rings lie behind it */
};

/* A call's place says which id it has, and whose it is (PC5). */
enum skui_channel_claim {
    SKUI_CHANNEL_NONE,
    SKUI_CHANNEL_SENT,    /* both may take it */
    SKUI_CHANNEL_CLAIMED, /* the worker has begun with it */
    SKUI_CHANNEL_REVOKED, /* the parent has taken it back */
    SKUI_CHANNEL_CLAIMS,
};

/* At the begin of the memory. One writer a line, so that each side keeps its
 * own lines while the other one only looks. */
struct skui_channel_memory {
    uint32_t magic; /* constant, as are the sizes; the parent's */
    uint64_t request_bytes;
    uint64_t reply_bytes;
    uint64_t inline_bytes;
    struct skui_ring_words requests;
    struct skui_ring_words replies;
    SKUI_CACHE_ALIGNED _Atomic(uint32_t) asleep; /* PC3: skui_channel_sleep */
    SKUI_CACHE_ALIGNED _Atomic(uint32_t) armed;  /* PC4 */
    SKUI_CACHE_ALIGNED _Atomic(int64_t) spin_ns; /* relaxed: a setting */
    /* Relaxed, the worker's: when it claimed a call last. */
    SKUI_CACHE_ALIGNED _Atomic(uint64_t) claimed_ticks;
    /* Relaxed, the parent's: at an id's place the id itself, once that job
     * should stop. */
    SKUI_CACHE_ALIGNED _Atomic(uint64_t) stops[SKUI_CHANNEL_STOPS];
    /* PC5: at an id's place, the id and an enum skui_channel_claim. */
    SKUI_CACHE_ALIGNED _Atomic(uint64_t) claims[SKUI_CHANNEL_STOPS];
    /* At an id's place; the parent's, published with the call (PC1). */
    SKUI_CACHE_ALIGNED _Atomic(int64_t) deadlines_ns[SKUI_CHANNEL_STOPS];
};

static inline _Atomic(uint64_t) *
skui_channel_stop_word(struct skui_channel_memory *memory, uint64_t id)
{
    return &memory->stops[id % SKUI_CHANNEL_STOPS];
}

static inline _Atomic(uint64_t) *
skui_channel_claim_word(struct skui_channel_memory *memory, uint64_t id)
{
    return &memory->claims[id % SKUI_CHANNEL_STOPS];
}

static inline uint64_t skui_channel_claim_of(uint64_t id,
                                             enum skui_channel_claim claim)
{
    return id * SKUI_CHANNEL_CLAIMS + claim;
}

static inline struct skui_ring_frame
skui_frame_of(const struct skui_message *message, bool has_fd)
{
    return (struct skui_ring_frame){
        .id = message->id,
        .bytes = message->bytes,
        .status = message->status,
        .function = message->function,
        .kind = message->kind,
        .flags = (uint16_t)((message->flags & ~SKUI_MESSAGE_HAS_FD) |
                            (has_fd ? SKUI_MESSAGE_HAS_FD : 0)),
        .unused = 0,
    };
}

/* Write an eventfd. */
void skui_channel_ring_bell(int event);
/* After a message was peeked: its memfd, if it has one. */
int skui_channel_take_fd(int socket, struct skui_message *message);

SKUI_END_DECLS

#endif
