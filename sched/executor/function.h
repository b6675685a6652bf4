/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function.h - the functions that have names.
 *
 *              add  find
 *   add         -    -    (any thread; one at a time, under a lock)
 *   find        -    -    (any thread)
 */
#ifndef SKUI_EXECUTOR_FUNCTION_H
#define SKUI_EXECUTOR_FUNCTION_H

#include "../atomic.h"
#include "skua/function.h"

SKUI_BEGIN_DECLS

/* Constant, but for `next`, and never freed. */
struct skui_function {
    struct skui_function *next; /* of its bucket; constant once published */
    skua_function_fn *fn;
    uint32_t index; /* how many were registered before */
    char name[SKUA_FUNCTION_NAME_MAX + 1];
};

/*
 * Add one of the library's own, once: with `fn`, and a name that begins with
 * "skua.". It is never freed.
 */
void skui_function_add_own(struct skui_function *function);
bool skui_function_is_own(const struct skui_function *function);
/* Whether the program has registered any. */
bool skui_function_is_any(void);

/* NULL when there is none of that name. */
const struct skui_function *skui_function_find(const char *name);

/* That of an index below skui_function_count(), else NULL. */
const struct skui_function *skui_function_at(uint32_t index);
uint32_t skui_function_count(void);

SKUI_END_DECLS

#endif
