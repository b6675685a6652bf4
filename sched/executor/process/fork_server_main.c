/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork_server_main.c - the fork server itself.
 * Threads     One, in a process of its own.
 * Invariants  Each worker is in the list of its link from the order until both
 *             notices of it were sent, or its link has ended and it was reaped.
 *             A link lives until its parent's end is closed and its list empty.
 * Progress    It never waits for who reads notices: what does not fit into a
 *             socket is sent when there is room.
 *
 * What it inherits. Nothing but standard input (which is empty), output and
 * error. Signals are as after an exec: those that were ignored still are,
 * handlers are gone, none is blocked. SIGINT is ignored besides, by server and
 * workers, since they belong to the process group of their parent: Ctrl-C is
 * for the program, which decides what becomes of its work. A group of their own
 * would not be stopped and continued with it, nor killed by Ctrl-\.
 *
 * The parent's end is seen by a pidfd, or else by the end of the socket, which
 * a forked child of the parent could keep open. Workers die with the server
 * (PR_SET_PDEATHSIG), so nothing is left even when it is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork_server.h"

enum { EVENTS = 32 };

struct server_worker {
    struct server_worker *next;
    uint32_t id;
    pid_t pid;       /* 0: it was not forked, or was reaped */
    int pidfd;       /* until STARTED was sent; -1: none */
    int32_t status;  /* of STARTED, then of ENDED */
    bool is_started; /* STARTED was sent */
    bool has_ended;
};

struct server_link {
    struct server_link *next;
    int socket; /* -1: the parent's end is closed */
    int epoll;  /* the server's */
    bool wants_room;
    struct server_worker *workers;
};

struct server {
    pid_t pid;
    pid_t parent;
    int control;
    int epoll;
    int signals;
    int parent_pidfd; /* -1: the kernel has none */
    struct server_link *links;
};

/* --- becoming the server --- */

/* Signals as after an exec. */
static void server_reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    struct sigaction former;
    sigset_t none;

    for (int number = 1; number < NSIG; number++) {
        if (sigaction(number, NULL, &former) == 0 &&
            former.sa_handler != SIG_IGN) {
            (void)sigaction(number, &action, NULL);
        }
    }
    (void)sigaction(SIGCHLD, &action, NULL); /* or children were not kept */
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static void server_empty_input(void)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (nothing >= 0) {
        (void)dup2(nothing, STDIN_FILENO);
        if (nothing != STDIN_FILENO) {
            (void)close(nothing);
        }
    }
}

static bool server_watch(const struct server *server, int descriptor,
                         const void *what)
{
    struct epoll_event event = {.events = EPOLLIN,
                                .data = {.ptr = (void *)what}};

    return epoll_ctl(server->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

static bool server_init(struct server *server, int control, pid_t parent)
{
    sigset_t child;

    *server = (struct server){.pid = getpid(),
                              .parent = parent,
                              .control = control,
                              .parent_pidfd = -1};
    (void)prctl(PR_SET_NAME, "skua-forks");
    skui_fork_close_others(&control, 1);
    server_empty_input();
    server_reset_signals();
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    (void)pthread_sigmask(SIG_BLOCK, &child, NULL);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    server->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    server->parent_pidfd = (int)syscall(SYS_pidfd_open, parent, 0);
    return server->epoll >= 0 && server->signals >= 0 &&
           server_watch(server, control, &server->control) &&
           server_watch(server, server->signals, &server->signals) &&
           (server->parent_pidfd < 0 ||
            server_watch(server, server->parent_pidfd,
                         &server->parent_pidfd)) &&
           getppid() == parent;
}

/* --- notices --- */

static void link_close(struct server_link *link)
{
    if (link->socket >= 0) {
        /* A worker that was just forked may have a copy, which would keep it
         * among the events. */
        (void)epoll_ctl(link->epoll, EPOLL_CTL_DEL, link->socket, NULL);
        (void)close(link->socket);
        link->socket = -1;
    }
}

/* Send one; false: there is no room now. */
static bool link_send(struct server_link *link, struct server_worker *worker,
                      enum skui_fork_notice_kind kind)
{
    const struct skui_fork_notice notice = {kind, worker->id, worker->pid,
                                            worker->status};
    ssize_t sent =
        skui_fork_send(link->socket, &notice, sizeof(notice), &worker->pidfd,
                       worker->pidfd >= 0 ? 1 : 0, MSG_DONTWAIT);

    if (sent == -EAGAIN) {
        return false;
    }
    if (sent < 0) {
        link_close(link);
    }
    if (worker->pidfd >= 0) {
        (void)close(worker->pidfd);
        worker->pidfd = -1;
    }
    return true;
}

/* Send what is due of a worker; false: there is no room. */
static bool link_tell(struct server_link *link, struct server_worker *worker)
{
    if (link->socket >= 0 && !worker->is_started) {
        int32_t ended = worker->status;

        if (worker->pid > 0) {
            worker->status = 0;
        }
        if (!link_send(link, worker, SKUI_FORK_STARTED)) {
            worker->status = ended;
            return false;
        }
        worker->status = ended;
        worker->is_started = true;
    }
    return link->socket < 0 || !worker->has_ended || worker->pid == 0 ||
           link_send(link, worker, SKUI_FORK_ENDED);
}

static void link_want_room(struct server_link *link, bool wants)
{
    struct epoll_event event = {.events =
                                    EPOLLIN | (wants ? (uint32_t)EPOLLOUT : 0),
                                .data = {.ptr = link}};

    if (link->socket >= 0 && wants != link->wants_room) {
        link->wants_room = wants;
        (void)epoll_ctl(link->epoll, EPOLL_CTL_MOD, link->socket, &event);
    }
}

static void link_kill_workers(struct server_link *link)
{
    link_close(link);
    for (struct server_worker *worker = link->workers; worker != NULL;
         worker = worker->next) {
        if (!worker->has_ended) {
            (void)kill(worker->pid, SIGKILL);
        }
    }
}

/* Send all that is due, and forget who has ended. */
static void link_flush(struct server_link *link)
{
    struct server_worker **where = &link->workers;
    bool was_open = link->socket >= 0;
    bool has_room = true;

    while (*where != NULL) {
        struct server_worker *worker = *where;

        has_room = has_room && link_tell(link, worker);
        if (worker->has_ended && (has_room || link->socket < 0)) {
            *where = worker->next;
            if (worker->pidfd >= 0) {
                (void)close(worker->pidfd);
            }
            free(worker);
        } else {
            where = &worker->next;
        }
    }
    if (was_open && link->socket < 0) {
        link_kill_workers(link); /* nobody hears of them any more */
    }
    link_want_room(link, !has_room);
}

/* --- workers --- */

static void server_note_end(struct server *server, pid_t pid, int status)
{
    for (struct server_link *link = server->links; link != NULL;
         link = link->next) {
        for (struct server_worker *worker = link->workers; worker != NULL;
             worker = worker->next) {
            if (worker->pid == pid && !worker->has_ended) {
                worker->has_ended = true;
                worker->status = status;
                return;
            }
        }
    }
}

static void server_reap(struct server *server)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;

    while (read(server->signals, &info, sizeof(info)) > 0) {
    }
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        server_note_end(server, pid, status);
    }
    for (struct server_link *link = server->links; link != NULL;
         link = link->next) {
        link_flush(link);
    }
}

/* In the child. */
__attribute__((noreturn)) static void
server_become_worker(pid_t server, const struct skui_fork_order *order,
                     const int *descriptors, size_t count)
{
    sigset_t none;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != server) {
        _exit(0); /* it died before that was set */
    }
    skui_fork_close_others(descriptors, count);
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_NAME, "skua-worker");
    skui_worker_run(&order->worker, descriptors, count);
}

/* One that nobody could watch. */
static void server_kill(pid_t pid)
{
    if (pid > 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
}

static void server_start(struct server *server, struct server_link *link,
                         const struct skui_fork_order *order,
                         const int *descriptors, size_t count)
{
    struct server_worker *worker = malloc(sizeof(*worker));
    pid_t pid;

    if (worker == NULL) {
        link_close(link); /* it cannot be told otherwise */
        return;
    }
    *worker = (struct server_worker){.id = order->id, .pidfd = -1};
    worker->next = link->workers;
    link->workers = worker;
    pid = fork();
    if (pid == 0) {
        server_become_worker(server->pid, order, descriptors, count);
    }
    if (pid > 0) {
        worker->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    }
    if (worker->pidfd < 0) {
        worker->status = -errno;
        worker->has_ended = true;
        server_kill(pid);
    } else {
        worker->pid = pid;
    }
    link_flush(link);
}

/* --- what comes in --- */

static void server_read_link(struct server *server, struct server_link *link)
{
    struct skui_fork_order order;
    int descriptors[SKUI_FORK_DESCRIPTORS];
    size_t count = SKUI_FORK_DESCRIPTORS;
    ssize_t received = skui_fork_receive(link->socket, &order, sizeof(order),
                                         descriptors, &count, MSG_DONTWAIT);

    if (received == sizeof(order)) {
        server_start(server, link, &order, descriptors, count);
    } else if (received != -EAGAIN) {
        link_close(link);
    }
    for (size_t i = 0; i < count; i++) {
        (void)close(descriptors[i]);
    }
}

static void server_add_link(struct server *server, int socket)
{
    struct server_link *link = calloc(1, sizeof(*link));

    if (link == NULL || !server_watch(server, socket, link)) {
        free(link);
        (void)close(socket);
        return;
    }
    link->socket = socket;
    link->epoll = server->epoll;
    link->next = server->links;
    server->links = link;
}

/* False at the end of the parent. */
static bool server_read_control(struct server *server)
{
    char byte;
    int socket;
    size_t count = 1;
    ssize_t received = skui_fork_receive(server->control, &byte, sizeof(byte),
                                         &socket, &count, MSG_DONTWAIT);

    if (count == 1) {
        server_add_link(server, socket);
    }
    return received > 0 || received == -EAGAIN;
}

static void server_drop_links(struct server *server)
{
    struct server_link **where = &server->links;

    while (*where != NULL) {
        struct server_link *link = *where;

        if (link->socket < 0 && link->workers == NULL) {
            *where = link->next;
            free(link);
        } else {
            where = &link->next;
        }
    }
}

static void server_serve_link(struct server *server, struct server_link *link,
                              uint32_t events)
{
    if (link->socket < 0) {
        return; /* closed by an event of the same batch */
    }
    if ((events & EPOLLOUT) != 0) {
        link_flush(link);
    }
    if (link->socket >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        server_read_link(server, link);
    }
    if (link->socket < 0) {
        link_kill_workers(link);
        link_flush(link);
    }
}

/* False at the end of the parent. */
static bool server_serve(struct server *server, const struct epoll_event *event)
{
    if (event->data.ptr == &server->parent_pidfd) {
        return false;
    }
    if (event->data.ptr == &server->control) {
        return server_read_control(server);
    }
    if (event->data.ptr == &server->signals) {
        server_reap(server);
    } else {
        server_serve_link(server, event->data.ptr, event->events);
    }
    return true;
}

static void link_reap_workers(const struct server_link *link)
{
    for (const struct server_worker *worker = link->workers; worker != NULL;
         worker = worker->next) {
        while (!worker->has_ended && waitpid(worker->pid, NULL, 0) < 0 &&
               errno == EINTR) {
        }
    }
}

__attribute__((noreturn)) static void server_end(struct server *server)
{
    for (struct server_link *link = server->links; link != NULL;
         link = link->next) {
        link_kill_workers(link);
    }
    for (struct server_link *link = server->links; link != NULL;
         link = link->next) {
        link_reap_workers(link);
    }
    _exit(0);
}

void skui_fork_server_run(int control, pid_t parent)
{
    struct epoll_event events[EVENTS];
    struct server server;
    bool goes_on = server_init(&server, control, parent);

    while (goes_on) {
        int count = epoll_wait(server.epoll, events, EVENTS, -1);

        for (int i = 0; i < count && goes_on; i++) {
            goes_on = server_serve(&server, &events[i]);
        }
        server_drop_links(&server);
    }
    server_end(&server);
}
