/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cancel_token.c - tokens: a flag, a future, and a list of who is told.
 * Threads     Any.
 * Invariants  A node is in the list of a token that is not cancelled, or in the
 *             hands of the one thread that cancels it, or nowhere. A child has
 *             a reference to its parent while it is in its list.
 * Ordering    CT1: who sees the flag sees what led to it. RF1 (future.c): the
 *             last reference. SL1: the lock.
 * Progress    Asking is one load. Whole trees are cancelled by a work list, not
 *             by recursion.
 * Rejected    Hooks of the token's future: they run in the middle of its
 *             completion, and the callbacks of a cancelled job could not call
 *             back. Taking a node out of a future's list is not O(1) either.
 */
#include "cancel_token.h"

#include <errno.h>

#include "future.h"
#include "loop.h"
#include "memory.h"
#include "spinlock.h"
#include "tls.h"

struct skua_cancel_token {
    _Atomic(uint32_t) refs;      /* CT1 */
    _Atomic(uint32_t) cancelled; /* CT1 */
    struct skui_spinlock lock;
    struct skui_cancel_node *first;    /* guarded by lock */
    skua_future *future;               /* a reference */
    skua_cancel_token *parent;         /* a reference, or NULL; constant */
    skua_cancel_token *next_cancelled; /* owned by who cancels it */
    struct skui_cancel_node in_parent;
    uint32_t fork_generation; /* constant */
};

/* Cancelled, and their nodes to be told: a reference each. */
struct skui_cancel_list {
    skua_cancel_token *first;
    skua_cancel_token **last;
};

static int token_check(const skua_cancel_token *token)
{
    if (token == NULL) {
        return -EINVAL;
    }
    return token->fork_generation == skui_fork_generation() ? 0 : SKUA_EFORKED;
}

/* --- the list of who is told --- */

bool skui_cancel_token_add(skua_cancel_token *token,
                           struct skui_cancel_node *node)
{
    bool added;

    skui_spinlock_lock(&token->lock);
    /* relaxed: under the lock */
    added = skui_load_relaxed(&token->cancelled) == 0;
    if (added) {
        node->next = token->first;
        node->link = &token->first;
        if (node->next != NULL) {
            node->next->link = &node->next;
        }
        token->first = node;
    }
    skui_spinlock_unlock(&token->lock);
    return added;
}

/* Locked. */
static void node_unlink(struct skui_cancel_node *node)
{
    *node->link = node->next;
    if (node->next != NULL) {
        node->next->link = node->link;
    }
    node->link = NULL;
}

void skui_cancel_token_remove(skua_cancel_token *token,
                              struct skui_cancel_node *node)
{
    skui_spinlock_lock(&token->lock);
    if (node->link != NULL) {
        node_unlink(node);
    }
    skui_spinlock_unlock(&token->lock);
}

/* The next one to be told, out of the list; NULL: none is left. */
static struct skui_cancel_node *token_pop(skua_cancel_token *token)
{
    struct skui_cancel_node *node;

    skui_spinlock_lock(&token->lock);
    while ((node = token->first) != NULL) {
        node_unlink(node);
        if (node->ops->take(node)) {
            break;
        }
    }
    skui_spinlock_unlock(&token->lock);
    return node;
}

/* --- cancelling --- */

/* Set the flag and append; false when it was set. */
static bool token_begin(skua_cancel_token *token, struct skui_cancel_list *list)
{
    bool first;

    skui_spinlock_lock(&token->lock);
    /* CT1 release: who sees it sees what led to it. */
    first = skui_exchange_acq_rel(&token->cancelled, 1u) == 0;
    skui_spinlock_unlock(&token->lock);
    if (first) {
        token->next_cancelled = NULL;
        *list->last = skua_cancel_token_ref(token);
        list->last = &token->next_cancelled;
    }
    return first;
}

static void list_run(struct skui_cancel_list *list)
{
    skua_cancel_token *token;

    while ((token = list->first) != NULL) {
        struct skui_outcome outcome = {0, NULL, NULL};
        struct skui_cancel_node *node;

        (void)skui_future_complete(token->future, &outcome);
        while ((node = token_pop(token)) != NULL) {
            node->ops->fire(node, list);
        }
        list->first = token->next_cancelled;
        if (list->first == NULL) {
            list->last = &list->first;
        }
        skua_cancel_token_unref(token);
    }
}

int skua_cancel_token_cancel(skua_cancel_token *token)
{
    struct skui_cancel_list list = {NULL, &list.first};
    int status = token_check(token);

    if (status < 0) {
        return status;
    }
    status = token_begin(token, &list);
    list_run(&list);
    return status;
}

static skua_cancel_token *child_of(struct skui_cancel_node *node)
{
    return SKUI_CONTAINER_OF(node, skua_cancel_token, in_parent);
}

/* The last reference removes the node, so it may be gone already. */
static bool child_take(struct skui_cancel_node *node)
{
    skua_cancel_token *child = child_of(node);
    uint32_t refs = skui_load_relaxed(&child->refs); /* relaxed: CAS */

    while (refs != 0) {
        /* CT1 acq_rel: as skua_cancel_token_unref(). */
        if (skui_cas_acq_rel(&child->refs, &refs, refs + 1)) {
            return true;
        }
    }
    return false;
}

static void child_fire(struct skui_cancel_node *node,
                       struct skui_cancel_list *tokens)
{
    skua_cancel_token *child = child_of(node);

    (void)token_begin(child, tokens);
    skua_cancel_token_unref(child);
}

static const struct skui_cancel_node_ops child_ops = {child_take, child_fire};

/* --- life --- */

static int token_init(skua_cancel_token *token)
{
    token->future = skui_future_make(SKUI_FUTURE_EXECUTOR, NULL);
    if (token->future == NULL) {
        return -ENOMEM;
    }
    (void)skui_future_set_running(token->future); /* nobody cancels it */
    token->fork_generation = skui_fork_generation();
    token->in_parent.ops = &child_ops;
    skui_store_relaxed(&token->refs, 1u); /* relaxed: not shared yet */
    return 0;
}

int skua_cancel_token_new(skua_cancel_token *parent,
                          skua_cancel_token **out_token)
{
    int status = out_token == NULL ? -EINVAL : 0;
    skua_cancel_token *token;

    if (status == 0 && parent != NULL) {
        status = token_check(parent);
    }
    if (status < 0) {
        return status;
    }
    skui_runtime_init();
    token = skui_allocate_zeroed(sizeof(*token));
    if (token == NULL) {
        return -ENOMEM;
    }
    status = token_init(token);
    if (status < 0) {
        skui_release(token);
        return status;
    }
    token->parent = skua_cancel_token_ref(parent);
    if (parent != NULL && !skui_cancel_token_add(parent, &token->in_parent)) {
        (void)skua_cancel_token_cancel(token);
    }
    *out_token = token;
    return 0;
}

skua_cancel_token *skua_cancel_token_ref(skua_cancel_token *token)
{
    if (token != NULL) {
        /* relaxed: the caller has a reference already */
        (void)skui_fetch_add_relaxed(&token->refs, 1u);
    }
    return token;
}

void skua_cancel_token_unref(skua_cancel_token *token)
{
    /* CT1 acq_rel: the last one sees what the others did. The parents go one by
     * one, so a chain of any length may. */
    while (token != NULL && skui_fetch_sub_acq_rel(&token->refs, 1u) == 1) {
        skua_cancel_token *parent = token->parent;

        if (parent != NULL) {
            skui_cancel_token_remove(parent, &token->in_parent);
        }
        skua_future_unref(token->future);
        skui_release(token);
        token = parent;
    }
}

bool skua_cancel_token_is_cancelled(const skua_cancel_token *token)
{
    /* CT1 acquire: pairs with token_begin(). */
    return token != NULL &&
           skui_load_acquire(&((skua_cancel_token *)token)->cancelled) != 0;
}

skua_future *skua_cancel_token_future(skua_cancel_token *token)
{
    return token == NULL ? NULL : token->future;
}
