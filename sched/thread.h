/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread.h - starting the library's own threads.
 */
#ifndef SKUI_THREAD_H
#define SKUI_THREAD_H

#include <pthread.h>

#include "atomic.h"

SKUI_BEGIN_DECLS

/* pthread_create() with all signals blocked: those are for the program's
 * threads. 0 or a negative errno. */
int skui_thread_start(pthread_t *out_thread, void *(*fn)(void *arg), void *arg);

SKUI_END_DECLS

#endif
