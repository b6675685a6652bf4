/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread.c - starting the library's own threads.
 * Threads     Any.
 */
#include "thread.h"

#include <signal.h>

int skui_thread_start(pthread_t *out_thread, void *(*fn)(void *arg), void *arg)
{
    sigset_t all;
    sigset_t before;
    int error;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(out_thread, NULL, fn, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}
