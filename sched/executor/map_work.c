/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_work.c - several calls of a registered function as one: the worker's
 * side of a map, in whatever process or machine.
 * Threads     The worker's.
 * Invariants  The message came from elsewhere: see map_pack.h. It names no
 *             function of the library's own, so that no message makes this one
 *             call itself, as deep as the message is long. There is always room
 *             for the head of the outcome to come, so that a piece whose answer
 *             is too large fails, and not those before it.
 */
#include "map_work.h"

#include <errno.h>
#include <string.h>

#include "../exception.h"
#include "function.h"
#include "map_pack.h"
#include "reply.h"

/* The rest of a reply, as if it were one. */
struct piece_reply {
    struct skua_reply head;
    struct skua_reply *whole; /* its bytes: where this one begins */
};

/* Let it begin where the whole ends. */
static void piece_reply_begin(struct piece_reply *self,
                              struct skua_reply *whole)
{
    self->head.bytes = 0;
    self->head.data = whole->data + whole->bytes;
    self->head.capacity = whole->capacity - whole->bytes;
    /* The head of one more outcome, and this one filled up. */
    self->head.limit = whole->limit - whole->bytes;
    self->head.limit -= self->head.limit < SKUI_PACK_OUTCOME_BYTES + 8
                            ? self->head.limit
                            : SKUI_PACK_OUTCOME_BYTES + 8;
    self->whole = whole;
}

static int piece_reply_grow(struct skua_reply *reply, size_t capacity)
{
    struct piece_reply *self =
        SKUI_CONTAINER_OF(reply, struct piece_reply, head);
    struct skua_reply *whole = self->whole;
    size_t begin = whole->bytes;
    size_t wanted = begin + capacity;
    int status;

    /* Each piece that grows it by what it needs would copy all before it. */
    if (whole->capacity <= whole->limit / 2 && wanted < whole->capacity * 2) {
        wanted = whole->capacity * 2;
    }
    whole->bytes += reply->bytes; /* they move, too */
    status = whole->grow(whole, wanted);
    whole->bytes = begin;
    if (status == 0) {
        reply->data = whole->data + begin;
        reply->capacity = whole->capacity - begin;
    }
    return status;
}

struct piece {
    skua_function_fn *fn;
    const void *data;
    size_t bytes;
    struct piece_reply reply;
};

static int piece_call(void *arg)
{
    struct piece *piece = arg;

    return piece->fn(piece->data, piece->bytes, &piece->reply.head);
}

/* Fill the piece's answer up, and have room for what follows it. */
static int piece_end(struct piece *piece, bool is_last)
{
    struct skua_reply *reply = &piece->reply.head;
    size_t more = skui_pack_padding(reply->bytes) +
                  (is_last ? 0 : SKUI_PACK_OUTCOME_BYTES);
    size_t bytes = reply->bytes;
    void *room;
    int status;

    reply->limit = piece->reply.whole->limit - piece->reply.whole->bytes;
    status = skua_reply_reserve(reply, more, &room);
    if (status == 0 && more > 0) {
        memset(room, 0, more);
    }
    reply->bytes = bytes;
    return status;
}

/* The piece has failed: its message, if there is room, is its answer. */
static void piece_end_failed(struct piece *piece,
                             const skua_exception *exception)
{
    struct skua_reply *reply = &piece->reply.head;
    const char *message =
        exception == NULL ? "" : skua_exception_message(exception);

    reply->bytes = 0;
    if (skua_reply_write(reply, message, strlen(message)) < 0 ||
        piece_end(piece, true) < 0) {
        reply->bytes = 0;
    }
}

/*
 * Run it: `place` is that of its outcome's head in the whole, which ends behind
 * that; afterwards behind the piece's answer, and the next head.
 */
static int piece_run(struct piece *piece, struct skua_reply *whole,
                     bool is_last)
{
    size_t place = whole->bytes - SKUI_PACK_OUTCOME_BYTES;
    struct skui_outcome outcome;

    piece_reply_begin(&piece->reply, whole);
    skui_outcome_capture(skui_frame_current(), piece_call, piece, &outcome);
    if (outcome.status >= 0) {
        int status = piece_end(piece, is_last);

        outcome.status = status < 0 ? status : outcome.status;
    }
    if (outcome.status < 0) {
        piece_end_failed(piece, outcome.exception);
    }
    skua_exception_unref(outcome.exception);
    skui_pack_outcome(whole->data + place, outcome.status,
                      piece->reply.head.bytes);
    whole->bytes +=
        piece->reply.head.bytes + skui_pack_padding(piece->reply.head.bytes);
    if (outcome.status >= 0 && !is_last) {
        whole->bytes += SKUI_PACK_OUTCOME_BYTES;
    }
    return outcome.status;
}

/* Run pieces until one fails or the job is to stop. */
static int map_run(skua_function_fn *fn, struct skui_unpack *unpack,
                   size_t count, skua_reply *reply)
{
    struct piece piece = {.fn = fn, .reply.head.grow = piece_reply_grow};
    void *head;
    int status = skua_reply_reserve(reply, SKUI_PACK_OUTCOME_BYTES, &head);

    for (size_t i = 0; status >= 0 && i < count; i++) {
        if (i > 0 && skua_work_should_stop()) {
            reply->bytes -= SKUI_PACK_OUTCOME_BYTES;
            return 0;
        }
        status = skui_unpack_piece(unpack, &piece.data, &piece.bytes);
        if (status == 0) {
            status = piece_run(&piece, reply, i + 1 == count);
            if (status < 0) {
                return 0; /* it stands in the answer */
            }
        }
    }
    return status < 0 ? status : 0;
}

static int map_function(const void *data, size_t bytes, skua_reply *reply)
{
    struct skui_unpack unpack = {data, bytes};
    const struct skui_function *function;
    char name[SKUA_FUNCTION_NAME_MAX + 1];
    size_t count;

    if (skui_unpack_head(&unpack, &count, name) < 0) {
        return skua_raise(-EBADMSG, "a job of a map that makes no sense");
    }
    function = skui_function_find(name);
    if (function == NULL || skui_function_is_own(function)) {
        return skua_raise(-ENOENT, "no function is registered as %s", name);
    }
    return map_run(function->fn, &unpack, count, reply);
}

static struct skui_function map_registered = {.fn = map_function,
                                              .name = SKUI_MAP_FUNCTION};

void skui_map_work_init(void)
{
    skui_function_add_own(&map_registered);
}
