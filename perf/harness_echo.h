/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness_echo.h - Skua's echo server as the child of a measuring program:
 * that program runs itself with `--serve LOOPS HOGS`.
 */
#ifndef PERF_HARNESS_ECHO_H
#define PERF_HARNESS_ECHO_H

#include "harness_child.h"
#include "harness_hog.h"

/**
 * Serve and end the process when argv asks for it, else return.
 */
void echo_serve_if_asked(int argc, char **argv);

/**
 * Start this program as the server.
 * @param hogs   tasks beside it, each a chain in which a slice creates the task
 *               of the next one; NULL: none
 * @param trace  NULL, or the file for the count of its system calls (strace)
 * @return as child_start()
 */
int echo_start(struct child *child, int loops, const struct hog_plan *hogs,
               int core, const char *trace);

#endif
