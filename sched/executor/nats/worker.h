/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - the inside of a worker: worker.c is its life, worker_order.c has
 * calls run and answers them, worker_durable.c deals with streams,
 * worker_watch.c sends heartbeats and does what is asked.
 *
 *              done  stats  drain  the rest
 *   done         -     -      -       -     (a thread of the pool)
 *   stats        -     -      -       -     (any thread)
 *   drain        -     -      -       -     (any thread)
 *   the rest     -     -      -       x     (the loop's thread, or who closes
 *                                            the loop)
 */
#ifndef SKUI_NATS_WORKER_H
#define SKUI_NATS_WORKER_H

#include "link.h"
#include "wire.h"

SKUI_BEGIN_DECLS

/* Subscriptions. */
enum { SKUI_TAG_CALL = 1, SKUI_TAG_CTL, SKUI_TAG_STATS, SKUI_TAG_INBOX };

enum skui_order_state {
    SKUI_ORDER_RUNNING, /* the pool has it */
    SKUI_ORDER_LOOKING, /* durable: delivered again; is its answer stored? */
    SKUI_ORDER_BURYING, /* durable: delivered too often; goes to the dead */
    SKUI_ORDER_STORING, /* durable: its answer goes into the stream */
    SKUI_ORDER_KEPT,    /* answered; the answer is kept, in case it is lost */
};

struct skui_worker_peer;

/* A call that was taken. */
struct skui_order {
    struct skui_order *chain;     /* its bucket */
    struct skui_order *next;      /* of its peer's list; or of those kept */
    struct skui_order **link;     /* in its peer's list; NULL: in none */
    struct skui_order *next_done; /* guarded by the worker's lock */
    skua_nats_worker *worker;     /* an owner of it while the pool has this */
    uint64_t caller;
    uint64_t id;
    enum skui_order_state state;
    bool unsent;                   /* there was no connection */
    struct skui_worker_peer *peer; /* NULL: kept */
    skua_future *future;           /* a reference; of the pool */
    skua_cancel_token *token;      /* a reference */
    const char *function;          /* its name, for good */
    unsigned char *answer;         /* the whole message */
    size_t answer_bytes;
    int64_t done_ns;
    int64_t asked_ns;    /* durable: when last published or looked for */
    int64_t touched_ns;  /* durable: when the server was last told it goes on */
    unsigned char *call; /* durable: the whole message, until it runs */
    size_t call_bytes;
    char *ack;    /* durable: where to acknowledge it; NULL: not durable */
    char *result; /* durable: below the subject of results */
};

/* A caller that has calls here. */
struct skui_worker_peer {
    struct skui_worker_peer *next;
    struct skui_order *orders;
    uint64_t caller;
    int64_t beat_ns;
    int64_t due_ns; /* the next heartbeat */
    size_t inbox_bytes;
    char inbox[SKUI_WIRE_NAMES_MAX + 1];
};

/* Durable: what was asked of a function's consumer. */
struct skui_pull {
    const char *function;
    size_t left; /* calls that may still come for it */
    int64_t asked_ns;
};

enum skui_worker_phase {
    SKUI_WORKER_SERVING,
    SKUI_WORKER_LEAVING,   /* takes no more; some may be under way: MARK 1 */
    SKUI_WORKER_FINISHING, /* none is; some run */
    SKUI_WORKER_FLUSHING,  /* all is answered; the server shall have it: MARK 2
                            */
    SKUI_WORKER_CLOSED,
};

enum { SKUI_ORDER_BUCKETS = 8192, SKUI_KEPT_MAX = 65536 };

struct skua_nats_worker {
    struct skui_nats_settings settings; /* constant, as all up to the lock */
    struct skui_link *link;
    skua_executor *pool; /* a reference */
    size_t capacity;     /* calls that run or wait */
    int workers;
    size_t keep_bytes;
    int64_t keep_ns;
    size_t max_bytes; /* of one message */
    uint64_t id;
    char name[SKUI_WIRE_HEX];
    char inbox[SKUI_NATS_PREFIX_MAX + 1 + SKUI_WIRE_HEX];
    size_t inbox_bytes;
    skua_future *ended;

    pthread_mutex_t lock; /* guards what follows */
    unsigned owners;      /* public side, link, orders in the pool */
    unsigned refs;        /* of the public side */
    struct skui_order *done;
    bool drain;
    int end_status;
    skua_nats_worker_stats stats;

    struct skui_order *buckets[SKUI_ORDER_BUCKETS]; /* the loop's, as what
                                                       follows */
    struct skui_worker_peer *peers;
    size_t held;             /* orders that are not kept */
    struct skui_order *kept; /* oldest first */
    struct skui_order **last_kept;
    size_t kept_bytes;
    size_t kept_count;
    enum skui_worker_phase phase;
    int64_t phase_ns; /* when it began */
    bool connected_before;
    bool closing; /* its link */
    skua_handle *tick;
    struct skui_pull *pulls;
    size_t pull_count;
    struct skui_wire_buffer out;
};

/* Count in the stats. */
#define skui_worker_count(worker, field, n)                                    \
    do {                                                                       \
        (void)pthread_mutex_lock(&(worker)->lock);                             \
        (worker)->stats.field += (n);                                          \
        (void)pthread_mutex_unlock(&(worker)->lock);                           \
    } while (0)

/* --- worker.c --- */

void skui_worker_disown(skua_nats_worker *worker);

/* --- worker_order.c --- */

struct skui_order *skui_worker_find(const skua_nats_worker *worker,
                                    uint64_t caller, uint64_t id);
/* A call came to `function`; `ack`: durable. */
void skui_worker_take(skua_nats_worker *worker, natsMsg *message);
/* An order for it, in the table and its peer's list; NULL: no memory. */
struct skui_order *skui_order_new(skua_nats_worker *worker,
                                  const struct skui_wire_call *call,
                                  const char *function);
/* Give it to the pool. */
void skui_order_run(struct skui_order *order,
                    const struct skui_wire_call *call);
/* It fails without running. */
void skui_order_refuse(struct skui_order *order, int status,
                       const char *message);
/* Those that the pool is through with: answer them. */
void skui_worker_answer_done(skua_nats_worker *worker);
/* Send its answer (again). */
void skui_order_send(struct skui_order *order);
/* It is answered, and kept for a while. */
void skui_order_keep(struct skui_order *order);
/* Forget what was kept for long enough. */
void skui_worker_forget(skua_nats_worker *worker, int64_t now_ns);
/* Out of everything. */
void skui_order_free(struct skui_order *order);
/* All that is left, when nobody uses it. */
void skui_worker_free_orders(skua_nats_worker *worker);

/* --- worker_durable.c --- */

void skui_worker_pull(skua_nats_worker *worker);
/* The server says that nobody answered: the tick asks again. */
void skui_worker_pull_nobody(skua_nats_worker *worker);
/* What came to the worker's inbox. */
void skui_worker_inbox(skua_nats_worker *worker, natsMsg *message);
/* Its answer is there: store it, then send and acknowledge it. */
void skui_order_store(struct skui_order *order);
/* The tick: go on with what waits for the server. */
void skui_order_continue(struct skui_order *order, int64_t now_ns);

/* --- worker_watch.c --- */

void skui_worker_control(skua_nats_worker *worker, natsMsg *message);
void skui_worker_report(skua_nats_worker *worker, natsMsg *message);
/* Connected anew. */
void skui_worker_up(skua_nats_worker *worker);
/* Have the tick come while there is something to look after. */
void skui_worker_watch(skua_nats_worker *worker);
/* One line of JSON. */
size_t skui_worker_stats_line(skua_nats_worker *worker, char *text,
                              size_t bytes);
/* In phases LEAVING and FLUSHING: ask the server to send it back. */
void skui_worker_mark(skua_nats_worker *worker);
/* On to the next phase, if it is time. */
void skui_worker_advance(skua_nats_worker *worker);

SKUI_END_DECLS

#endif
