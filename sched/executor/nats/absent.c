/* SPDX-License-Identifier: Apache-2.0 */
/*
 * absent.c - what skua/nats.h offers where the library was built without NATS.
 * Threads     Any.
 * Invariants  There is no worker, so none is ever given.
 * Ordering    None.
 * Progress    All of it returns at once.
 * Rejected    Leaving the functions out: programs that ask at run time would
 *             not link.
 */
#include "skua/nats.h"

#include <errno.h>

int skua_nats_executor_new(skua_loop *loop,
                           const skua_nats_executor_options *options,
                           skua_executor **out_executor)
{
    (void)options;
    return loop == NULL || out_executor == NULL ? -EINVAL : -ENOTSUP;
}

int skua_nats_worker_new(skua_loop *loop,
                         const skua_nats_worker_options *options,
                         skua_nats_worker **out_worker)
{
    (void)options;
    return loop == NULL || out_worker == NULL ? -EINVAL : -ENOTSUP;
}

skua_nats_worker *skua_nats_worker_ref(skua_nats_worker *worker)
{
    return worker;
}

void skua_nats_worker_unref(skua_nats_worker *worker)
{
    (void)worker;
}

int skua_nats_worker_drain(skua_nats_worker *worker)
{
    return worker == NULL ? -EINVAL : -ENOTSUP;
}

int skua_nats_worker_wait(skua_nats_worker *worker)
{
    return worker == NULL ? -EINVAL : -ENOTSUP;
}

int skua_nats_worker_get_stats(skua_nats_worker *worker,
                               skua_nats_worker_stats *out_stats)
{
    return worker == NULL || out_stats == NULL ? -EINVAL : -ENOTSUP;
}

int skua_nats_worker_run(const skua_nats_worker_options *options)
{
    (void)options;
    return -ENOTSUP;
}
