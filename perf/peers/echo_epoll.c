/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo_epoll.c - the floor under every echo server: raw epoll, no runtime.
 *
 * Level-triggered, one recv and one send per event, a listener and an epoll
 * set per thread, and hogs as threads of their own, as the kernel alone would
 * have it: echo_epoll THREADS [HOGS]. Prints `port N`, ends at the end of its
 * input. Short writes drop the connection; the client never causes one.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4() */
#endif
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness_hog.h"

enum { BUFFER_BYTES = 4096, EVENTS = 256, BACKLOG = 16384, THREADS_MAX = 64 };

static int watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int listen_on(int port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, BACKLOG) != 0) {
        perror("echo_epoll");
        exit(1);
    }
    return fd;
}

static void accept_one(int epoll, int listener)
{
    const int on = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (watch(epoll, fd) != 0) {
            (void)close(fd);
        }
    }
}

static void echo_one(int fd)
{
    char buffer[BUFFER_BYTES];
    ssize_t bytes = recv(fd, buffer, sizeof(buffer), 0);

    if (bytes <= 0 || send(fd, buffer, (size_t)bytes, MSG_NOSIGNAL) != bytes) {
        (void)close(fd);
    }
}

static void *serve(void *arg)
{
    int listener = *(int *)arg;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[EVENTS];

    if (epoll < 0 || watch(epoll, listener) != 0) {
        perror("echo_epoll");
        exit(1);
    }
    (void)watch(epoll, STDIN_FILENO);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;

            if (fd == STDIN_FILENO) {
                exit(0);
            } else if (fd == listener) {
                accept_one(epoll, fd);
            } else {
                echo_one(fd);
            }
        }
    }
    return NULL;
}

struct hogs {
    struct hog_plan plan;
    hog_counter *counter;
};

static void *hog(void *arg)
{
    struct hogs *hogs = arg;

    for (;;) {
        hog_slice(&hogs->plan, hogs->counter);
    }
    return NULL;
}

static void start_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, fn, arg) != 0) {
        exit(1);
    }
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1;
    int listeners[THREADS_MAX];
    struct sockaddr_in address = {0};
    socklen_t bytes = sizeof(address);
    static struct hogs hogs;

    if (threads < 1 || threads > THREADS_MAX ||
        (argc > 2 && hog_plan_read(argv[2], &hogs.plan, &hogs.counter) != 0)) {
        return 2;
    }
    for (int i = 0; i < threads; i++) {
        listeners[i] = listen_on(ntohs(address.sin_port));
        (void)getsockname(listeners[i], (struct sockaddr *)&address, &bytes);
    }
    printf("port %d\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    for (int i = 1; i < threads; i++) {
        start_thread(serve, &listeners[i]);
    }
    for (int i = 0; i < hogs.plan.count; i++) {
        start_thread(hog, &hogs);
    }
    (void)serve(&listeners[0]);
    return 0;
}
