/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork_server.c - the fork server, as its parent sees it.
 * Threads     It is started while there is one thread; any thread makes links.
 * Invariants  The state belongs to the process that started the server: a
 *             forked child has none, and may start its own.
 * Ordering    A lock guards the state.
 * Progress    A link costs two system calls, an order and a notice one each.
 * Rejected    One socket for all pools: each pool's thread would have to sort
 *             out the others' notices, and a pool that ends could not simply
 *             close what it has. A second fork, so that the server is no child
 *             of the program: wait(2) for any child would not find it, but it
 *             would hang in the process tree of init, and its zombie with it.
 */
#include "fork_server.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "skua/process_pool.h"

#include "../function.h"

#if defined(__SANITIZE_THREAD__)
#define FORK_OWN_THREADS 1 /* the race detector's */
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FORK_OWN_THREADS 1
#endif
#endif
#ifndef FORK_OWN_THREADS
#define FORK_OWN_THREADS 0
#endif

static pthread_mutex_t fork_lock = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by fork_lock. */
static struct {
    pid_t owner;  /* who started it; 0: nobody */
    pid_t server; /* 0: it has died, and was reaped */
    int control;  /* -1: closed */
    uint32_t functions;
} fork_state = {.control = -1};

/* How many threads there are, or a negative errno. */
static int fork_count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    int count = 0;

    if (tasks == NULL) {
        return -errno;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a listing of its own */
    while ((entry = readdir(tasks)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(tasks);
    return count;
}

/* Locked. */
static void fork_close_control(void)
{
    if (fork_state.control >= 0) {
        (void)close(fork_state.control);
        fork_state.control = -1;
    }
}

/* Whether the server lives; reaps it if not. Locked. */
static bool fork_is_alive(void)
{
    pid_t ended;

    if (fork_state.owner != getpid() || fork_state.server == 0) {
        return false;
    }
    ended = waitpid(fork_state.server, NULL, WNOHANG);
    if (ended == 0 || (ended < 0 && errno == EINTR)) {
        return true;
    }
    /* ECHILD: the program waits for all children, or ignores SIGCHLD. */
    fork_state.server = 0;
    fork_close_control();
    return false;
}

/* Fork it. Locked, by the only thread. */
static int fork_launch(void)
{
    pid_t parent = getpid();
    int ends[2];
    pid_t child;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        return -errno;
    }
    (void)fflush(NULL); /* or workers would write it once more */
    child = fork();
    if (child == 0) {
        skui_fork_server_run(ends[1], parent);
    }
    if (child < 0) {
        int error = errno;

        (void)close(ends[0]);
        (void)close(ends[1]);
        return -error;
    }
    (void)close(ends[1]);
    fork_close_control(); /* of the process that forked */
    fork_state.owner = parent;
    fork_state.server = child;
    fork_state.control = ends[0];
    return 0;
}

int skua_fork_server_start(void)
{
    int threads = fork_count_threads();
    int status = 0;

    (void)pthread_mutex_lock(&fork_lock);
    if (!fork_is_alive()) {
        if (threads < 0 || threads > 1 + FORK_OWN_THREADS) {
            status = threads < 0 ? threads : -EBUSY;
        } else {
            fork_state.functions = skui_function_count();
            status = fork_launch();
        }
    }
    (void)pthread_mutex_unlock(&fork_lock);
    return status;
}

void skui_fork_server_after_fork(void)
{
    /* One of the parent's threads may have held it. */
    fork_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

void skui_fork_server_reap(void)
{
    (void)pthread_mutex_lock(&fork_lock);
    (void)fork_is_alive();
    (void)pthread_mutex_unlock(&fork_lock);
}

uint32_t skui_fork_server_functions(void)
{
    uint32_t functions;

    (void)pthread_mutex_lock(&fork_lock);
    functions = fork_state.functions;
    (void)pthread_mutex_unlock(&fork_lock);
    return functions;
}

/* What a sendmsg() to the server gives. */
static int fork_status(ssize_t sent)
{
    if (sent == -EPIPE || sent == -ECONNRESET) {
        return SKUA_EBROKENPOOL;
    }
    return sent < 0 ? (int)sent : 0;
}

static int fork_send_link(int end)
{
    char byte = 0;
    int status = SKUA_EBROKENPOOL;

    (void)pthread_mutex_lock(&fork_lock);
    if (fork_state.owner != getpid()) {
        status = -ENOTCONN;
    } else if (fork_is_alive()) {
        ssize_t sent = skui_fork_send(fork_state.control, &byte, sizeof(byte),
                                      &end, 1, MSG_DONTWAIT);

        status = fork_status(sent);
    }
    (void)pthread_mutex_unlock(&fork_lock);
    return status;
}

int skui_fork_server_link(int *out_link)
{
    int ends[2];
    int status;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   ends) < 0) {
        return -errno;
    }
    status = fork_send_link(ends[1]);
    (void)close(ends[1]);
    if (status < 0) {
        (void)close(ends[0]);
        return status;
    }
    *out_link = ends[0];
    return 0;
}

void skui_fork_server_unlink(int link)
{
    /* A forked child may have a copy, which must not keep it open. */
    (void)shutdown(link, SHUT_RDWR);
    (void)close(link);
}

int skui_fork_server_order(int link, const struct skui_fork_order *order,
                           const int *descriptors, size_t count)
{
    return fork_status(
        skui_fork_send(link, order, sizeof(*order), descriptors, count, 0));
}

int skui_fork_server_notice(int link, struct skui_fork_notice *out_notice,
                            int *out_pidfd)
{
    size_t count = 1;
    ssize_t received = skui_fork_receive(link, out_notice, sizeof(*out_notice),
                                         out_pidfd, &count, 0);

    if (count == 0) {
        *out_pidfd = -1;
    }
    if (received == sizeof(*out_notice)) {
        return 0;
    }
    if (received == -EAGAIN) {
        return -EAGAIN;
    }
    if (*out_pidfd >= 0) {
        (void)close(*out_pidfd);
    }
    return SKUA_EBROKENPOOL;
}
