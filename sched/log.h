/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - the library's messages, on their way to the program's logger.
 */
#ifndef SKUI_LOG_H
#define SKUI_LOG_H

#include "atomic.h"
#include "skua/debug.h"

SKUI_BEGIN_DECLS

/* To the logger that is set, or the default one. */
void skui_log(skua_log_level level, const char *message);

/* In a forked child: the parent's threads may have held the lock. */
void skui_log_after_fork(void);

SKUI_END_DECLS

#endif
