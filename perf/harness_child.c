/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness_child.c - starts and ends the servers that perf/ measures.
 * Threads     The main thread, before it starts others.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pipe2() */
#endif
#include "harness_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

enum { PATH_BYTES = 4096, LIMIT_MS = 10000 };

static void run_child(const char *const *argv, int core, int input, int output)
{
    if (core >= 0) {
        harness_pin(core);
    }
    if (dup2(input, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0) {
        (void)execvp(argv[0], (char *const *)argv); /* it changes nothing */
    }
    perror(argv[0]);
    _exit(127);
}

static int read_port(int output)
{
    char line[64];
    FILE *file = fdopen(output, "r");
    int port = -ECHILD;

    if (file == NULL) {
        int error = errno;

        (void)close(output);
        return -error;
    }
    if (fgets(line, sizeof(line), file) == NULL ||
        sscanf(line, "port %d", &port) != 1) {
        port = -ECHILD;
    }
    (void)fclose(file);
    return port;
}

int child_start(struct child *child, const char *const *argv, int core)
{
    int input[2];
    int output[2];

    if (pipe2(input, O_CLOEXEC) != 0) {
        return -errno;
    }
    if (pipe2(output, O_CLOEXEC) != 0) {
        int error = errno;

        (void)close(input[0]);
        (void)close(input[1]);
        return -error;
    }
    (void)fflush(stdout);
    child->pid = fork();
    if (child->pid == 0) {
        run_child(argv, core, input[0], output[1]);
    }
    (void)close(input[0]);
    (void)close(output[1]);
    child->input = input[1];
    child->port = read_port(output[0]);
    if (child->port < 0) {
        int status = child->port;

        (void)child_stop(child);
        return status;
    }
    return 0;
}

/* Its status; -1 when it did not end in time, and was ended. */
static int wait_for_end(pid_t pid)
{
    const struct timespec pause = {.tv_nsec = SKUA_MS};
    int64_t until_ns = harness_now_ns() + LIMIT_MS * SKUA_MS;
    int status = -1;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (harness_now_ns() >= until_ns) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            return -1;
        }
        (void)nanosleep(&pause, NULL);
    }
    return status;
}

int child_stop(struct child *child)
{
    (void)close(child->input);
    return child->pid > 0 && wait_for_end(child->pid) == 0 ? 0 : -ECHILD;
}

int child_find(const char *name, char *path, size_t bytes)
{
    char own[PATH_BYTES];
    ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);
    char *slash;

    if (length < 0) {
        return -errno;
    }
    own[length] = '\0';
    slash = strrchr(own, '/');
    if (slash == NULL) {
        return -ENOENT;
    }
    slash[1] = '\0';
    if (snprintf(path, bytes, "%s%s", own, name) >= (int)bytes) {
        return -ENOENT;
    }
    return access(path, X_OK) == 0 ? 0 : -ENOENT;
}
