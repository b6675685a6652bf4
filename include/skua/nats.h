/* SPDX-License-Identifier: Apache-2.0 */
/**
 * An executor whose workers are on other machines, reached through NATS, and
 * those workers. Registered functions (function.h) run there, found by name;
 * workers must have registered them, callers too.
 *
 * Two flavours. By default a piece of work is a request to a queue group: it is
 * run at most once, a worker that dies fails it (SKUA_EBROKENPOOL), and the
 * answer survives that the server is restarted or another one takes over, since
 * workers keep their answers for a while. With `durable` it lies in a stream of
 * JetStream until a worker has run it and its answer is stored: it is run at
 * least once, perhaps twice, whatever dies. Either way a future gets one
 * answer.
 *
 * Where the library was built without NATS (CMake option SKUA_NATS), all of it
 * gives -ENOTSUP.
 *
 * The client library works on the given loop: it reads and writes there and has
 * no threads but, for the whole process, one for its timers, one that reports
 * lost connections and one that tidies up; and one while it connects anew or
 * closes. With TLS the loop waits while a server takes what is written.
 *
 * Every call that gives a status gives -EINVAL for NULL, beside what is listed.
 */
#ifndef SKUA_NATS_H
#define SKUA_NATS_H

#include <stdbool.h>

#include <skua/executor.h>

SKUA_BEGIN_DECLS

/** A worker: it serves the functions that are registered in its process. */
typedef struct skua_nats_worker skua_nats_worker;

/**
 * What callers and workers must agree on, and how to reach the servers.
 * All-zero is the default. Strings are copied.
 */
typedef struct skua_nats_options {
    const char *urls;   /* of servers, with commas; NULL:
                           "nats://127.0.0.1:4222"; tls:// asks for TLS */
    const char *name;   /* shown by the servers; NULL: "skua" */
    const char *prefix; /* of all subjects, and of streams' names: words of
                           A-Z a-z 0-9 _ - with dots; NULL: "skua" */
    const char *inbox;  /* prefix of the subjects for answers; NULL: "_INBOX" */

    /* Who one is: at most one of these. */
    const char *user; /* with `password` */
    const char *password;
    const char *token;
    const char *credentials_file; /* a JWT and the seed of its key */
    const char *nkey;             /* public, with `nkey_seed_file` */
    const char *nkey_seed_file;

    /* TLS. Servers are always verified. */
    bool tls;              /* demand it; also when any of these is set */
    const char *ca_file;   /* NULL: the system's authorities */
    const char *cert_file; /* of this client, with `key_file` */
    const char *key_file;
    const char *server_name; /* what the certificate must say; NULL: the host
                                of the URL */

    int64_t connect_timeout_ns; /* for each server; 0: 2 s */
    int64_t reconnect_wait_ns;  /* between two rounds of all servers; 0: 250 ms
                                   and up to 100 ms more */
    int max_reconnect;          /* tries for each server before the connection
                                   is given up; 0: no limit; -1: none */
    int64_t ping_ns; /* a server that leaves two of these unanswered is lost;
                        0: 10 s */

    size_t max_message_bytes; /* of one call or answer; 0: what the server takes
                                 (1 MiB, usually) */

    /* The durable flavour. Who comes first makes the streams. */
    bool durable;
    int replicas;           /* of the streams; 0: 1 */
    int max_deliver;        /* workers that may die of a piece of work before it
                               goes to <prefix>.dead.<function> and its future
                               fails with SKUA_EBROKENPOOL; 0: 5 */
    int64_t ack_wait_ns;    /* a worker that is silent for so long is dead;
                               0: 5 s; 100 ms at least */
    int64_t dedup_ns;       /* for how long work of the same key is the same; 0:
                               2 minutes */
    int64_t result_keep_ns; /* for how long answers are kept; not less than
                               `dedup_ns`; 0: 10 minutes */
    bool in_memory;         /* the servers keep the streams in memory */
} skua_nats_options;

/** An executor on NATS. All-zero is the default. */
typedef struct skua_nats_executor_options {
    skua_nats_options nats;
    size_t max_in_flight; /* sent and not answered; 0: 1024. When workers answer
                             that they are busy, fewer are sent for a while */
    size_t max_queued;    /* that wait here to be sent; 0: see the policy */
    skua_queue_policy policy; /* when as many wait; GROW needs max_queued 0, the
                                 others need one */
    int64_t heartbeat_ns;     /* how often workers say what they have; 0: 1 s;
                                 10 ms at least */
    int missed_beats;         /* silent for so many: the work is lost; 0: 3 */
    int64_t patience_ns; /* for how long to look for a worker when there is none
                            that serves the function; 0: not at all */
} skua_nats_executor_options;

/** A worker. All-zero is the default. */
typedef struct skua_nats_worker_options {
    skua_nats_options nats;
    int workers;       /* threads; 0: as many as usable cores */
    size_t max_queued; /* calls that wait for one; 0: 256. With more it
                          answers "busy", and callers try again */
    size_t keep_bytes; /* answers kept in case one is lost; 0: 16 MiB */
    int64_t keep_ns;   /* and for how long; 0: 30 s */
} skua_nats_worker_options;

/** What a worker has done, each right at some moment of the call. */
typedef struct skua_nats_worker_stats {
    int64_t taken;       /* calls that were run or wait for it */
    int64_t answered;    /* of which gave a result */
    int64_t failed;      /* of which gave an error */
    int64_t busy;        /* calls sent away: full */
    int64_t refused;     /* calls of what is not registered, or too large */
    int64_t malformed;   /* messages that made no sense */
    int64_t duplicates;  /* calls that came again, and were not run again */
    int64_t redelivered; /* durable: taken over from a worker that died */
    int64_t dead;        /* durable: given up after max_deliver */
    int64_t resent;      /* answers that were sent again */
    int64_t reconnects;
    int64_t running; /* now */
    int64_t queued;  /* now */
} skua_nats_worker_stats;

/**
 * An executor whose work goes out over NATS. The connection is made, and with
 * `durable` the streams, before this returns. Work is cancelled there by its
 * token (skua_work_should_stop()), its deadline travels as the time that is
 * left, and `key`, of 100 bytes at most, serves the durable flavour only. Work
 * of one function is sent in the order submitted.
 *
 * Futures fail with, beside what the function gives: -EHOSTUNREACH when no
 * worker serves it; SKUA_EBROKENPOOL when the worker died, or the connection
 * was given up; SKUA_ECLOSED when the loop was closed; -EMSGSIZE for an answer
 * that is too large; -EACCES when the server does not allow it; -ENOENT,
 * -EPROTO for a worker that does not agree.
 *
 * To end it, its loop must run or be closed; see skua_executor_shutdown().
 * @param loop  where it works; a reference is kept. It is served by its own
 *              thread only: do not block that for longer than a heartbeat.
 *              Closing it breaks the executor
 * @param options  borrowed; NULL: the default
 * @param out_executor  a new reference
 * @return 0; -EINVAL; -ENOMEM; -ENOTSUP; SKUA_ECLOSED; -EDEADLK in a callback;
 *         SKUA_ECANCELED; -ECONNREFUSED when no server can be reached;
 *         -ETIMEDOUT; -EACCES when none lets one in; -EPROTO for TLS that is
 *         missing or fails; -ENOENT, -EIO for a file of credentials or TLS.
 *         skua_current_exception() says more
 * Thread: any.  Suspends: may; a plain thread blocks.
 */
SKUA_API int skua_nats_executor_new(skua_loop *loop,
                                    const skua_nats_executor_options *options,
                                    skua_executor **out_executor);

/**
 * Serve the functions that are registered by now, in threads of a pool, until
 * it is drained.
 * @param loop  where it works; a reference is kept
 * @param options  borrowed; NULL: the default
 * @param out_worker  a new reference
 * @return as skua_nats_executor_new(); -ENOENT also when no function is
 *         registered
 * Thread: any.  Suspends: may; a plain thread blocks.
 */
SKUA_API int skua_nats_worker_new(skua_loop *loop,
                                  const skua_nats_worker_options *options,
                                  skua_nats_worker **out_worker);

/**
 * Another reference; NULL is passed through.
 * Thread: any.  Suspends: never.
 */
SKUA_API skua_nats_worker *skua_nats_worker_ref(skua_nats_worker *worker);

/**
 * Drop a reference; NULL is allowed. The last one drains the worker.
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_nats_worker_unref(skua_nats_worker *worker);

/**
 * Take no more work, finish and answer what there is, and end. May be repeated.
 * @return 0
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_nats_worker_drain(skua_nats_worker *worker);

/**
 * Wait until the worker has ended: it was drained, its connection was given up,
 * or its loop was closed.
 * @return 0; SKUA_EBROKENPOOL: the connection was given up; SKUA_ECLOSED: the
 *         loop was closed; SKUA_ECANCELED; -EDEADLK in a callback
 * Thread: any.  Suspends: may; a plain thread blocks.
 */
SKUA_API int skua_nats_worker_wait(skua_nats_worker *worker);

/**
 * What it has done so far; also answered, as one line of JSON, to requests on
 * <prefix>.stats.
 * @return 0
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_nats_worker_get_stats(skua_nats_worker *worker,
                                        skua_nats_worker_stats *out_stats);

/**
 * Make a worker and wait until it has ended, in a task or, with a loop of its
 * own, in a plain thread; see `skua-worker` for a program that does.
 * @param options  borrowed; NULL: the default
 * @return as skua_nats_worker_new() and skua_nats_worker_wait(); cancelled, it
 *         drains first
 * Thread: any.  Suspends: always; a plain thread blocks.
 */
SKUA_API int skua_nats_worker_run(const skua_nats_worker_options *options);

/**
 * What a shared object defines for `skua-worker`: it registers its functions.
 * @return 0, or a negative status: the program ends with it
 */
typedef int skua_worker_register_fn(void);

SKUA_END_DECLS

#endif
