/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness_child.h - a server in a process of its own, so that its CPU can be
 * told from the client's. It prints `port N` and ends at the end of its input.
 */
#ifndef PERF_HARNESS_CHILD_H
#define PERF_HARNESS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
    pid_t pid;
    int input; /* closing it ends the child */
    int port;
};

/**
 * Start argv[0] and wait for its port.
 * @param core  where to run; below 0: anywhere
 * @return 0; a negative errno
 */
int child_start(struct child *child, const char *const *argv, int core);

/** End it and wait, 10 s at most. @return 0; -ECHILD when it failed */
int child_stop(struct child *child);

/** The path of the program `name` beside this one. @return 0; -ENOENT */
int child_find(const char *name, char *path, size_t bytes);

#endif
