/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.h - forked children that report by their exit status.
 */
#ifndef SKUA_TESTS_CONFORMANCE_CHILD_H
#define SKUA_TESTS_CONFORMANCE_CHILD_H

#include <csignal>
#include <cstdio>
#include <sys/wait.h>
#include <unistd.h>

/** In a child: give up with a line on standard error unless `condition`. */
#define CHILD_REQUIRE(condition)                                               \
    do {                                                                       \
        if (!(condition)) {                                                    \
            (void)dprintf(2, "%s:%d: child: not so: %s\n", __FILE__, __LINE__, \
                          #condition);                                         \
            return 1;                                                          \
        }                                                                      \
    } while (0)

namespace conformance
{

/** Fork; the child calls `function` and exits with what it returns. */
template <typename Function> pid_t start_child(Function function)
{
    const pid_t pid = fork();

    if (pid == 0) {
        _exit(function());
    }
    return pid;
}

/** Wait for it: the status of waitpid(2), or -1. */
inline int wait_for_child(pid_t pid)
{
    int status = -1;

    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

} // namespace conformance

#endif
