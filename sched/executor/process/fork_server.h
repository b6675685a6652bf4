/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork_server.h - the small process that forks workers, as its parent sees it,
 * and what both say to each other.
 *
 * One socket (SOCK_SEQPACKET) for the process: new links. One for each link, as
 * a pool has it: orders one way, notices the other. Who closes its link has all
 * workers of that link killed and reaped.
 */
#ifndef SKUI_EXECUTOR_PROCESS_FORK_SERVER_H
#define SKUI_EXECUTOR_PROCESS_FORK_SERVER_H

#include <sys/types.h>

#include "worker.h"

SKUI_BEGIN_DECLS

/* Parent to server, over a link: start a worker, with its descriptors. */
struct skui_fork_order {
    uint32_t id; /* chosen by the parent, for the notices */
    struct skui_worker_order worker;
};

enum skui_fork_notice_kind {
    SKUI_FORK_STARTED, /* `status` 0: with a pidfd; else a negative errno */
    SKUI_FORK_ENDED,   /* `status` as waitpid(2) gives it */
};

/* Server to parent, over a link. */
struct skui_fork_notice {
    uint32_t kind;
    uint32_t id;
    int32_t pid;
    int32_t status;
};

/*
 * A new link, whose descriptor does not block.
 * 0; -ENOTCONN: no server was started by this process; SKUA_EBROKENPOOL: it has
 * died; an errno.
 */
int skui_fork_server_link(int *out_link);

/* Close it; the server ends what it has started. */
void skui_fork_server_unlink(int link);

/* How many functions workers know: those with lower indexes. */
uint32_t skui_fork_server_functions(void);

/*
 * Have a worker started; it gets copies of the descriptors. 0; -EAGAIN: later;
 * SKUA_EBROKENPOOL: the server has died.
 */
int skui_fork_server_order(int link, const struct skui_fork_order *order,
                           const int *descriptors, size_t count);

/*
 * The next notice, with the pidfd that came with it, or -1. 0; -EAGAIN: none;
 * SKUA_EBROKENPOOL: the server has died, and so have or will all workers.
 */
int skui_fork_server_notice(int link, struct skui_fork_notice *out_notice,
                            int *out_pidfd);

/* If it has died, no zombie is left of it. */
void skui_fork_server_reap(void);

/* In a forked child: it has no server. */
void skui_fork_server_after_fork(void);

/* In the server: serve `control` until the parent ends. */
__attribute__((noreturn)) void skui_fork_server_run(int control, pid_t parent);

/* --- messages with descriptors, for both sides --- */

enum { SKUI_FORK_DESCRIPTORS = 8 };

/* The bytes sent, or a negative errno. */
ssize_t skui_fork_send(int socket, const void *data, size_t bytes,
                       const int *descriptors, size_t count, int flags);

/*
 * The bytes received, 0 at the end, or a negative errno. *inout_count: room for
 * descriptors, then how many came, which are the caller's.
 */
ssize_t skui_fork_receive(int socket, void *data, size_t bytes,
                          int *out_descriptors, size_t *inout_count, int flags);

/* Close all descriptors from 3 on, but for these. */
void skui_fork_close_others(const int *descriptors, size_t count);

SKUI_END_DECLS

#endif
