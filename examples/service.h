/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h - what the example servers have in common: options, listeners,
 * signals, and an orderly end. A server adds what a connection does.
 */
#ifndef EXAMPLES_SERVICE_H
#define EXAMPLES_SERVICE_H

#include <stdbool.h>

#include <skua.h>

enum { SERVICE_LOOPS_MAX = 256 };

struct service {
    const char *name;         /* of the program, for its messages */
    bool takes_host;          /* --host is an option; else 127.0.0.1 */
    skua_task_fn *connection; /* a task's; takes the skua_socket it is given */
    void (*listening)(const char *host, int port); /* prints where */
    int (*starting)(void); /* in the main task, first of all; or NULL. What it
                              has begun, `drain` ends */
    void (*ending)(void);  /* at a signal, while all still runs; or NULL */
    void (*drain)(void);   /* after that, and without new connections: wait for
                              what is under way; or NULL */
};

/**
 * Serve on all loops until SIGINT or SIGTERM, then close the runner.
 * Options: [--host H] [--port P] [--loops N]. Port 0 is any free port.
 * @return what main() returns: 0; 1 after a failure, which is printed;
 *         2 for wrong options
 */
int service_main(const struct service *service, int argc, char **argv);

/**
 * A descriptor that is readable once SIGINT or SIGTERM has come; they are
 * blocked from now on, in every thread to come as well. service_main() has its
 * own.
 */
int service_open_signals(void);

#endif
