/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - framed messages in one direction, between two processes.
 *
 *               reserve, publish   peek, release
 *   reserve, publish    x                -           (the writer's)
 *   peek, release       -                x           (the reader's)
 */
#ifndef SKUI_RING_H
#define SKUI_RING_H

#include "channel.h"

SKUI_BEGIN_DECLS

enum {
    SKUI_FRAME_BYTES = 32, /* of a header; frames lie at multiples of it */
};

/* A header, in shared memory. */
struct skui_ring_frame {
    uint64_t id;
    uint64_t bytes; /* of the payload, wherever it is; of a WRAP 0 */
    int32_t status;
    uint32_t function;
    uint16_t kind; /* enum skui_message_kind */
    uint16_t flags;
    uint32_t unused;
};

/* What both sides of a ring share: each counts bytes, ever. */
struct skui_ring_words {
    SKUI_CACHE_ALIGNED _Atomic(uint64_t) tail; /* PC1; the writer's */
    _Atomic(int) core; /* relaxed: a hint, where the writer ran; in the line
                          that a reader looks at anyway */
    SKUI_CACHE_ALIGNED _Atomic(uint64_t) head; /* PC2; the reader's */
};

/* The largest payload that always finds room in an empty ring. */
static inline size_t skui_ring_most(size_t ring_bytes)
{
    return ring_bytes / 4 - SKUI_FRAME_BYTES;
}

void skui_ring_end_init(struct skui_ring_end *end, void *data, size_t bytes);

/*
 * Room for a payload of `bytes`, at most skui_ring_most(). What was reserved
 * before is given up, unless this fails.
 * @return 0; -EAGAIN: the ring is full; -EPROTO: `head` cannot be
 */
int skui_ring_reserve(struct skui_ring_end *end, struct skui_ring_words *words,
                      size_t bytes, void **out_data);
/* Publish what was reserved last, of which `frame` says how much is used. */
void skui_ring_publish(struct skui_ring_end *end, struct skui_ring_words *words,
                       const struct skui_ring_frame *frame);

/*
 * The next message, whose payload has at most `most` bytes in the ring.
 * @param out_used  what to release
 * @return 1; 0: none; -EPROTO: `tail` or the message cannot be
 */
int skui_ring_peek(struct skui_ring_end *end, struct skui_ring_words *words,
                   size_t most, struct skui_message *out_message,
                   size_t *out_used);
void skui_ring_release(struct skui_ring_end *end, struct skui_ring_words *words,
                       size_t used);
/* Whether something was published that was not released. */
bool skui_ring_has_more(const struct skui_ring_end *end,
                        struct skui_ring_words *words);

SKUI_END_DECLS

#endif
