/* SPDX-License-Identifier: Apache-2.0 */
/*
 * futex.h - a thread sleeps on a word, and is woken.
 *
 * The word's order is its owner's: these calls promise none.
 */
#ifndef SKUI_FUTEX_H
#define SKUI_FUTEX_H

#include "atomic.h"

SKUI_BEGIN_DECLS

/*
 * Sleep while *word is `expected`, at most until `deadline_ns`, which may be
 * SKUA_FOREVER. False when that is over. May return early: look again.
 */
bool skui_futex_wait(_Atomic(uint32_t) *word, uint32_t expected,
                     int64_t deadline_ns);

/* Wake up to `count` who sleep on it. The word may be gone: a wake too many is
 * harmless. */
void skui_futex_wake(_Atomic(uint32_t) *word, int count);

SKUI_END_DECLS

#endif
