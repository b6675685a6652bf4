/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin.h - debug mode: where objects were made.
 *
 * Origins lie in a table beside the objects, under their address, so that hot
 * objects hold no more than a flag, in bytes that were padding. Of what is to
 * be closed the table knows also whether it was.
 *
 *             note  forget  find  settle  for_each
 *   each        -     -      -      -        -    (any thread; of one object
 *                                                  note, forget and find
 *                                                  exclude each other by the
 *                                                  object's life)
 */
#ifndef SKUI_ORIGIN_H
#define SKUI_ORIGIN_H

#include "atomic.h"
#include "skua/debug.h"

SKUI_BEGIN_DECLS

enum skui_origin_kind {
    SKUI_ORIGIN_FUTURE,
    SKUI_ORIGIN_TASK,
    SKUI_ORIGIN_HANDLE,
    SKUI_ORIGIN_LOOP,
    SKUI_ORIGIN_EXECUTOR,
    SKUI_ORIGIN_SOCKET,
    SKUI_ORIGIN_WATCH,
};

struct skui_origin {
    enum skui_origin_kind kind;
    int fd; /* negative: it has none */
    size_t count;
    void *frames[SKUA_BACKTRACE_FRAMES];
};

/* Load what walks stacks, as the first walk would: before that happens on the
 * small stack of a task. */
void skui_origin_prepare(void);

/* Remember who calls; false when memory is short. `loop`: what is closed
 * before that is, or NULL. */
bool skui_origin_note(const void *object, enum skui_origin_kind kind,
                      const skua_loop *loop, int fd);
/* Its object ends. Does nothing for one that is not in the table. */
void skui_origin_forget(const void *object);
bool skui_origin_find(const void *object, struct skui_origin *out);

/* It is closed, or is told to be unclosed: true when it was neither before;
 * then `out`, unless NULL, gets its origin. */
bool skui_origin_settle(const void *object, struct skui_origin *out);
/* As above for one of the objects that were noted with `loop`; false when all
 * are settled. */
bool skui_origin_settle_one(const skua_loop *loop, struct skui_origin *out);

/* Call `fn` for a copy of each origin that is there, as they come. Returns how
 * many. */
size_t skui_origin_for_each(void (*fn)(const struct skui_origin *origin,
                                       void *arg),
                            void *arg);

/* In a forked child: nothing of the parent's is known any more. */
void skui_origins_after_fork(void);

SKUI_END_DECLS

#endif
