/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h - a piece of work with all that can be said about it, and its future.
 *
 * Work of the simplest kind, a function and an argument for a thread pool,
 * needs no job: see skui_executor_submit().
 *
 * Who has a job: the submitter until the executor takes it; the executor, with
 * one reference, until one of skua_job_run(), _finish(), _fail() or _discard();
 * those who wait have references of their own. Started jobs are completed by
 * the executor only; others by it or by who cancels first.
 */
#ifndef SKUI_EXECUTOR_JOB_H
#define SKUI_EXECUTOR_JOB_H

#include "../cancel_token.h"
#include "../future.h"
#include "executor.h"
#include "function.h"
#include "skua/executor_type.h"

SKUI_BEGIN_DECLS

struct skui_job {
    struct skua_future future; /* of the kind SKUI_FUTURE_JOB */
    skua_work work;            /* constant, as all up to the node */
    skua_submit_options options;
    char *key;                            /* options.key */
    const struct skui_function *function; /* NULL: work.fn */
    skua_executor *executor;              /* lives until it gave the job away */
    struct skui_cancel_node node;         /* in options.token */
    skua_buffer *answer;   /* the completer's until DONE (FU1), then constant */
    size_t answer_bytes;   /* as above */
    bool started;          /* the executor's: it cannot be cancelled any more */
    struct skui_job *next; /* the executor's, to use as it likes */
    void *place;           /* as above */
    void *holder;          /* as above */
    uint32_t where;        /* as above */
    uint32_t attempts;     /* as above */
    /* The executor's, from before it starts the job; NULL: none. Somebody wants
     * to cancel it after that: true if it has only been set aside for a worker.
     * Then the executor leaves it alone, and its reference is the caller's. It
     * may come too late: when the executor is gone, too. */
    bool (*revoke)(struct skui_job *job);
};

static inline struct skui_job *skui_job_of(const skua_future *future)
{
    return SKUI_CONTAINER_OF((skua_future *)future, struct skui_job, future);
}

/* A job for `executor` with one reference, not yet told to its token. */
int skui_job_new(skua_executor *executor, const skua_work *work,
                 const skua_submit_options *options, struct skui_job **out_job);

/* Have its token cancel it, from now on or at once. */
void skui_job_attach(struct skui_job *job);
/* The executor gives it away: its token forgets it. */
void skui_job_detach(struct skui_job *job);

/* It was claimed by skui_future_set_running(): false when that was too late, by
 * which it has failed. skua_job_start() does both. */
bool skui_job_begin(struct skui_job *job);

/* Call the function of a started job in this thread. */
void skui_job_call(struct skui_job *job, struct skui_outcome *outcome,
                   skua_buffer **out_answer);

/* Complete a started job with an outcome and a buffer, both taken. */
void skui_job_complete(struct skui_job *job, struct skui_outcome *outcome,
                       skua_buffer *answer, size_t bytes);

/* The executor has taken back what never began: it ends as cancelled, and the
 * reference goes. */
void skui_job_cancel_taken(struct skui_job *job, skua_exception *message);

/*
 * future.c: cancel a started job, if its executor lets it go; with a message,
 * if not NULL.
 */
bool skui_job_cancel_started(struct skui_job *job, skua_exception *message);

/* future.c: the last reference is gone and the future is finished. */
void skui_job_free(struct skui_job *job);

SKUI_END_DECLS

#endif
