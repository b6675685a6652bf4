/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness_echo.h - Skua's echo server as the child of a measuring program:
 * that program runs itself with `--serve LOOPS HOGS`.
 */
#ifndef PERF_HARNESS_ECHO_H
#define PERF_HARNESS_ECHO_H

#include "harness_child.h"

/**
 * Serve and end the process when argv asks for it, else return.
 */
void echo_serve_if_asked(int argc, char **argv);

/**
 * Start this program as the server, with `hogs` tasks beside it that use the
 * CPU for 20 ms each, one after the other.
 * @param trace  NULL, or the file for the count of its system calls (strace)
 * @return as child_start()
 */
int echo_start(struct child *child, int loops, int hogs, int core,
               const char *trace);

#endif
