/* SPDX-License-Identifier: Apache-2.0 */
/*
 * awaited_by.h - who awaits a future, as others have registered it.
 *
 *               add  discard  read  end
 *   each         -      -       -     -    (any thread; a future that ends is
 *                                           no other call's)
 */
#ifndef SKUI_AWAITED_BY_H
#define SKUI_AWAITED_BY_H

#include "future.h"

SKUI_BEGIN_DECLS

/* In a forked child: nothing of the parent's is known any more. */
void skui_awaited_by_after_fork(void);

SKUI_END_DECLS

#endif
