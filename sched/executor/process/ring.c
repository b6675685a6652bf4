/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.c - framed messages in one direction, between two processes.
 * Threads     One writer, one reader.
 * Invariants  head <= tail <= head + size, in bytes that never wrap. Frames lie
 *             whole at multiples of a header: at the end of the ring there is
 *             room for a header at least, which says WRAP when the next frame
 *             begins at offset 0. Each side keeps its own index to itself and
 *             only tells the other one: what the peer writes there is not read.
 * Ordering    PC1 publish, PC2 release.
 * Progress    Wait-free. Who dies in any step leaves what it has published;
 *             what it was about to write lies beyond `tail`.
 * Rejected    Lengths that wrap round the end: payloads would have to be copied
 *             together. Cells of one size: most messages are small, some are
 *             not.
 *
 * The peer may write anything at any time. A header is copied out before it is
 * looked at; its lengths are compared with what was published and with the end
 * of the ring; an index of the peer is taken when it is possible.
 */
#include "ring.h"

#include <errno.h>
#include <string.h>

_Static_assert(sizeof(struct skui_ring_frame) == SKUI_FRAME_BYTES,
               "a header is what frames are multiples of");

static uint64_t ring_size(const struct skui_ring_end *end)
{
    return end->mask + 1;
}

/* What a payload takes, its header included. */
static uint64_t frame_size(uint64_t payload_bytes)
{
    return SKUI_FRAME_BYTES + ((payload_bytes + SKUI_FRAME_BYTES - 1) &
                               ~(uint64_t)(SKUI_FRAME_BYTES - 1));
}

static uint64_t frame_payload(const struct skui_ring_frame *frame)
{
    return (frame->flags & SKUI_MESSAGE_HAS_FD) != 0 ? 0 : frame->bytes;
}

void skui_ring_end_init(struct skui_ring_end *end, void *data, size_t bytes)
{
    *end = (struct skui_ring_end){.data = data, .mask = bytes - 1};
}

/* --- the writer's --- */

static bool ring_has_room(const struct skui_ring_end *end, uint64_t bytes)
{
    return ring_size(end) - (end->own - end->peer) >= bytes;
}

/* 0, or -EPROTO. */
static int ring_see_head(struct skui_ring_end *end,
                         struct skui_ring_words *words)
{
    /* PC2 acquire: the reader is through with what it has released. seq_cst:
     * who waits for room has said so before (PC3). */
    uint64_t head = skui_load_seq_cst(&words->head);

    if (head - end->peer > end->own - end->peer ||
        head % SKUI_FRAME_BYTES != 0) {
        return -EPROTO;
    }
    end->peer = head;
    return 0;
}

int skui_ring_reserve(struct skui_ring_end *end, struct skui_ring_words *words,
                      size_t bytes, void **out_data)
{
    uint64_t need = frame_size(bytes);
    uint64_t offset = end->own & end->mask;
    uint64_t rest = ring_size(end) - offset;
    uint64_t skip = rest < need ? rest : 0;

    if (!ring_has_room(end, skip + need)) {
        int status = ring_see_head(end, words);

        if (status < 0) {
            return status;
        }
        if (!ring_has_room(end, skip + need)) {
            return -EAGAIN;
        }
    }
    end->skip = skip;
    *out_data = end->data + (skip > 0 ? 0 : offset) + SKUI_FRAME_BYTES;
    return 0;
}

void skui_ring_publish(struct skui_ring_end *end, struct skui_ring_words *words,
                       const struct skui_ring_frame *frame)
{
    if (end->skip > 0) {
        struct skui_ring_frame wrap = {.kind = SKUI_MESSAGE_WRAP};

        memcpy(end->data + (end->own & end->mask), &wrap, sizeof(wrap));
        end->own += end->skip;
        end->skip = 0;
    }
    memcpy(end->data + (end->own & end->mask), frame, sizeof(*frame));
    end->own += frame_size(frame_payload(frame));
    /* PC1 release: who sees the tail sees the frames. seq_cst: before the look
     * whether the reader sleeps (PC3), or is to be woken (PC4). */
    skui_store_seq_cst(&words->tail, end->own);
}

/* --- the reader's --- */

/* 0, or -EPROTO. */
static int ring_see_tail(struct skui_ring_end *end,
                         struct skui_ring_words *words)
{
    /* PC1 acquire: pairs with skui_ring_publish(). seq_cst: after the reader
     * has said that it sleeps (PC3), or is to be woken (PC4). */
    uint64_t tail = skui_load_seq_cst(&words->tail);

    if (tail - end->own > ring_size(end) ||
        tail - end->own < end->peer - end->own ||
        tail % SKUI_FRAME_BYTES != 0) {
        return -EPROTO;
    }
    end->peer = tail;
    return 0;
}

bool skui_ring_has_more(const struct skui_ring_end *end,
                        struct skui_ring_words *words)
{
    /* PC1 (seq_cst): as above. */
    return end->own != skui_load_seq_cst(&words->tail);
}

/* Step over the rest of the ring; 0, or -EPROTO. */
static int ring_wrap(struct skui_ring_end *end)
{
    uint64_t offset = end->own & end->mask;
    uint64_t rest = ring_size(end) - offset;

    if (offset == 0 || rest >= end->peer - end->own) {
        return -EPROTO; /* a frame follows in what was published */
    }
    end->own += rest;
    return 0;
}

static bool frame_is_possible(const struct skui_ring_end *end,
                              const struct skui_ring_frame *frame, size_t most)
{
    uint64_t payload = frame_payload(frame);
    uint64_t rest = ring_size(end) - (end->own & end->mask);

    return frame->kind > SKUI_MESSAGE_WRAP &&
           frame->kind < SKUI_MESSAGE_KINDS && payload <= most &&
           frame_size(payload) <= rest &&
           frame_size(payload) <= end->peer - end->own &&
           frame->bytes <= SIZE_MAX / 2;
}

int skui_ring_peek(struct skui_ring_end *end, struct skui_ring_words *words,
                   size_t most, struct skui_message *out_message,
                   size_t *out_used)
{
    struct skui_ring_frame frame;
    unsigned char *at;
    int status = 0;

    if (end->own == end->peer) {
        status = ring_see_tail(end, words);
        if (status < 0 || end->own == end->peer) {
            return status;
        }
    }
    memcpy(&frame, end->data + (end->own & end->mask), sizeof(frame));
    if (frame.kind == SKUI_MESSAGE_WRAP) {
        status = ring_wrap(end);
        if (status < 0) {
            return status;
        }
        memcpy(&frame, end->data, sizeof(frame));
    }
    if (!frame_is_possible(end, &frame, most)) {
        return -EPROTO;
    }
    at = end->data + (end->own & end->mask);
    *out_message = (struct skui_message){
        .id = frame.id,
        .bytes = frame.bytes,
        .status = frame.status,
        .function = frame.function,
        .kind = frame.kind,
        .flags = frame.flags,
        .fd = -1,
    };
    if ((frame.flags & SKUI_MESSAGE_HAS_FD) == 0) {
        out_message->data = at + SKUI_FRAME_BYTES;
    }
    *out_used = frame_size(frame_payload(&frame));
    return 1;
}

void skui_ring_release(struct skui_ring_end *end, struct skui_ring_words *words,
                       size_t used)
{
    end->own += used;
    /* PC2 release: the writer may use it again. */
    skui_store_release(&words->head, end->own);
}
