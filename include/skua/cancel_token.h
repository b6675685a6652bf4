/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Cancellation that reaches work wherever it is: queued, running in a thread,
 * in a worker process or on another machine. A token is cancelled once and for
 * all; who was given it asks or waits.
 *
 * Every call that gives a status gives -EINVAL for NULL and SKUA_EFORKED in a
 * forked child for a token of its parent, beside what is listed.
 */
#ifndef SKUA_CANCEL_TOKEN_H
#define SKUA_CANCEL_TOKEN_H

#include <stdbool.h>

#include <skua/types.h>

SKUA_BEGIN_DECLS

/**
 * A token that is not cancelled.
 * @param parent  NULL, or a token whose cancellation cancels this one too, at
 *                once when it has come already; it may be dropped before
 * @param out_token  a new reference
 * @return 0; -ENOMEM
 * Thread: any.  Suspends: never.
 */
SKUA_API int skua_cancel_token_new(skua_cancel_token *parent,
                                   skua_cancel_token **out_token);

/**
 * Another reference; NULL is passed through.
 * Thread: any.  Suspends: never.
 */
SKUA_API skua_cancel_token *skua_cancel_token_ref(skua_cancel_token *token);

/**
 * Drop a reference; NULL is allowed. The last one does not cancel.
 * Thread: any.  Suspends: never.
 */
SKUA_API void skua_cancel_token_unref(skua_cancel_token *token);

/**
 * Cancel it and those made with it as parent: work that is queued is cancelled,
 * work that runs is told (skua_work_should_stop()).
 * @return 1; 0 when it was cancelled before
 * Thread: any, also a signal-waiting one; not a signal handler.
 * Suspends: never.
 */
SKUA_API int skua_cancel_token_cancel(skua_cancel_token *token);

/**
 * Whether it was cancelled. False for NULL.
 * Thread: any.  Suspends: never.
 */
SKUA_API bool skua_cancel_token_is_cancelled(const skua_cancel_token *token);

/**
 * A future that has the result NULL once the token is cancelled: to await it,
 * to wait for it beside others, to be called. It cannot be cancelled itself;
 * its done callbacks run in the thread that cancels the token.
 * @return borrowed from the token; NULL for NULL
 * Thread: any.  Suspends: never.
 */
SKUA_API skua_future *skua_cancel_token_future(skua_cancel_token *token);

SKUA_END_DECLS

#endif
