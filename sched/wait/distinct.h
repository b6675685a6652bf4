/* SPDX-License-Identifier: Apache-2.0 */
/*
 * distinct.h - tell which of some pointers came before.
 *
 * A hash table of the addresses: on the stack for a few, else one allocation
 * for all of them.
 */
#ifndef SKUI_WAIT_DISTINCT_H
#define SKUI_WAIT_DISTINCT_H

#include "../atomic.h"

SKUI_BEGIN_DECLS

enum { SKUI_DISTINCT_SLOTS = 64 };

struct skui_distinct {
    const void **slots; /* a power of two, half of them empty at least */
    size_t mask;
    const void *local[SKUI_DISTINCT_SLOTS];
};

/* Room for `count` pointers. 0 or -ENOMEM. */
int skui_distinct_init(struct skui_distinct *distinct, size_t count);
void skui_distinct_fini(struct skui_distinct *distinct);

/* False when `pointer`, which is not NULL, was added before. */
bool skui_distinct_add(struct skui_distinct *distinct, const void *pointer);

SKUI_END_DECLS

#endif
