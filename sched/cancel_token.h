/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cancel_token.h - a token, and those who are told when it is cancelled.
 *
 *              cancel  add  remove
 *   cancel        -     -     -     (any thread)
 *   add           -     -     x     (remove: of the same node)
 *   remove        -     x     x
 */
#ifndef SKUI_CANCEL_TOKEN_H
#define SKUI_CANCEL_TOKEN_H

#include "atomic.h"
#include "skua/cancel_token.h"

SKUI_BEGIN_DECLS

struct skui_cancel_node;
struct skui_cancel_list;

struct skui_cancel_node_ops {
    /* Under the token's lock, once the node is out of the list: get what `fire`
     * needs to be there. False: it is about to go by itself. */
    bool (*take)(struct skui_cancel_node *node);
    /* Tell it, in the thread that cancels, without a lock; the node may be gone
     * before but for what `take` got. `tokens`: see
     * skui_cancel_list_add(). */
    void (*fire)(struct skui_cancel_node *node,
                 struct skui_cancel_list *tokens);
};

/* In the memory of who is told. */
struct skui_cancel_node {
    const struct skui_cancel_node_ops *ops; /* constant */
    struct skui_cancel_node *next;          /* guarded by the token's lock */
    struct skui_cancel_node **link;         /* NULL: in no list; as above */
};

/*
 * Be told of a token's cancellation. False when it has come already: the node
 * was not added. The caller holds the token until it has removed the node.
 */
bool skui_cancel_token_add(skua_cancel_token *token,
                           struct skui_cancel_node *node);

/* Out of the list, if it is there. It may be fired still: see `take`. */
void skui_cancel_token_remove(skua_cancel_token *token,
                              struct skui_cancel_node *node);

SKUI_END_DECLS

#endif
