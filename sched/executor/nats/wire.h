/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - what callers and workers say to one another.
 *
 * Subjects, below the prefix P and the caller's inbox I:
 *   P.call.NAME    a call of a function, to one of the group that serves it
 *   P.job.NAME     the same, into the stream P_JOBS (durable)
 *   P.result.X     its answer, into the stream P_RESULTS; X names the call
 *   P.dead.NAME    calls that killed their workers, into the stream P_DEAD
 *   P.ctl          to all workers; P.ctl.WORKER: to one
 *   P.stats        asks all workers what they have done
 *   I.ID           answers to the call of that id (hexadecimal); what servers
 *                  say of it comes there, too
 *   I.b            which calls a worker has: its heartbeats
 *
 * A message is a head of 32 bytes, little-endian, and what follows it:
 *
 *   0  'S' 'K'   2  version   3  kind   4  u32 number   8  u64 caller
 *   16 u64 id    24 i64 value
 *
 *   kind     number           value              then
 *   CALL     heartbeat in ms  ns left, or max    see below
 *   RESULT   -                its status, >= 0   the answer
 *   FAILED   -                its status, < 0    a message
 *   BUSY     -                -                  -            try again
 *   BEAT     how many         -                  ids, u64 each
 *   ASK      how many         -                  ids: who has them?
 *   CANCEL   how many         -                  ids: stop them
 *   MARK     -                -                  -            worker to itself
 *
 * `id` of BEAT is the worker's. A CALL goes on with u16 bytes of I, u16 bytes
 * of X (0: not durable), u16 deliveries at most, u16 0, then I, X, and what the
 * function gets.
 */
#ifndef SKUI_NATS_WIRE_H
#define SKUI_NATS_WIRE_H

#include "../../atomic.h"

SKUI_BEGIN_DECLS

enum skui_wire_kind {
    SKUI_WIRE_CALL = 1,
    SKUI_WIRE_RESULT,
    SKUI_WIRE_FAILED,
    SKUI_WIRE_BUSY,
    SKUI_WIRE_BEAT,
    SKUI_WIRE_ASK,
    SKUI_WIRE_CANCEL,
    SKUI_WIRE_MARK,
    SKUI_WIRE_KINDS,
};

enum {
    SKUI_WIRE_HEAD = 32,
    SKUI_WIRE_CALL_HEAD = 40,
    SKUI_WIRE_NAMES_MAX = 300, /* I and X, each */
    SKUI_WIRE_IDS_MAX = 4096,  /* in one message */
};

struct skui_wire_head {
    enum skui_wire_kind kind;
    uint32_t number;
    uint64_t caller;
    uint64_t id;
    int64_t value;
};

struct skui_wire_call {
    struct skui_wire_head head;
    const char *inbox; /* not terminated */
    size_t inbox_bytes;
    const char *result; /* as above */
    size_t result_bytes;
    unsigned max_deliver;
    const void *data;
    size_t bytes;
};

/* A growing place for one message. */
struct skui_wire_buffer {
    unsigned char *data;
    size_t bytes;
    size_t capacity;
};

void skui_wire_buffer_fini(struct skui_wire_buffer *buffer);

/* Begin it with a head and make room for `more` bytes; 0 or -ENOMEM. */
int skui_wire_begin(struct skui_wire_buffer *buffer,
                    const struct skui_wire_head *head, size_t more);
/* There is room. */
void skui_wire_put(struct skui_wire_buffer *buffer, const void *data,
                   size_t bytes);
void skui_wire_put_id(struct skui_wire_buffer *buffer, uint64_t id);
/* Set how many ids were put. */
void skui_wire_set_number(struct skui_wire_buffer *buffer, uint32_t number);

/* A whole call; 0 or -ENOMEM. */
int skui_wire_put_call(struct skui_wire_buffer *buffer,
                       const struct skui_wire_call *call);

/* False for what is no message of ours; what follows the head is checked for
 * kinds with ids. */
bool skui_wire_get_head(const void *data, size_t bytes,
                        struct skui_wire_head *out_head);
bool skui_wire_get_call(const void *data, size_t bytes,
                        struct skui_wire_call *out_call);
/* The `index`-th id. */
uint64_t skui_wire_get_id(const void *data, size_t index);

/* Ids in subjects. */
enum { SKUI_WIRE_HEX = 17 };
void skui_wire_hex(uint64_t value, char *text);
bool skui_wire_unhex(const char *text, uint64_t *out_value);

SKUI_END_DECLS

#endif
