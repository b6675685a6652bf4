/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_work.h - the registered function that runs several pieces of work.
 */
#ifndef SKUI_EXECUTOR_MAP_WORK_H
#define SKUI_EXECUTOR_MAP_WORK_H

#include "../atomic.h"

SKUI_BEGIN_DECLS

#define SKUI_MAP_FUNCTION "skua.map"

/* Register it; once. */
void skui_map_work_init(void);

SKUI_END_DECLS

#endif
