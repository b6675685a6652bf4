/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.h - what a registered function writes its answer to.
 */
#ifndef SKUI_EXECUTOR_REPLY_H
#define SKUI_EXECUTOR_REPLY_H

#include "../atomic.h"
#include "function.h"

SKUI_BEGIN_DECLS

/* The head of each kind of reply; its thread's own. */
struct skua_reply {
    unsigned char *data; /* aligned to 8 bytes; NULL: none yet */
    size_t bytes;        /* written */
    size_t capacity;     /* of `data` */
    size_t limit;        /* more is -EMSGSIZE */
    /* Make room for `capacity` bytes and move what is written there: 0 or
     * -ENOMEM and other errnos, which leave it as it was. */
    int (*grow)(struct skua_reply *reply, size_t capacity);
};

SKUI_END_DECLS

#endif
