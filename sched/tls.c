/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.c - thread-local state, and the errno that no compiler caches.
 * Threads     Each its own. The fork generation is written in a forked child
 *             while that has one thread.
 */
#include "tls.h"

#include <pthread.h>
#include <string.h>

#include <errno.h>

#include "context.h"
#include "executor/work_self.h"

static _Thread_local skua_loop *tls_loop;
static _Thread_local struct skui_frame tls_frame;
static _Thread_local struct skui_caches tls_caches;
static _Thread_local struct skui_thread_context tls_context;
static _Thread_local bool tls_registered;
static _Thread_local unsigned tls_report_depth;
static _Thread_local skua_loop *tls_event_loop;
static _Thread_local uint32_t tls_event_loop_id;
static _Thread_local const struct skui_work_self *tls_work_self;

/* As <skua/errno.h>, which redefines errno. */
SKUA_API int *skua_errno_location(void);

/* In functions whose result is another one in another thread: without it a
 * compiler that sees the whole program (LTO) finds that they give the same
 * address always, and asks once for both sides of a suspension. */
#define TLS_ASK_ANEW() __asm__ __volatile__("" ::: "memory")

uint32_t skui_forks;
static pthread_key_t caches_key;
static pthread_once_t caches_once = PTHREAD_ONCE_INIT;

skua_loop *skui_loop_self(void)
{
    TLS_ASK_ANEW();
    return tls_loop;
}

void skui_loop_set_self(skua_loop *loop)
{
    tls_loop = loop;
}

struct skui_frame *skui_thread_frame(void)
{
    TLS_ASK_ANEW();
    return &tls_frame;
}

skua_loop *skui_event_loop(uint32_t *out_id)
{
    TLS_ASK_ANEW();
    *out_id = tls_event_loop_id;
    return tls_event_loop;
}

void skui_set_event_loop(skua_loop *loop, uint32_t id)
{
    tls_event_loop = loop;
    tls_event_loop_id = id;
}

const struct skui_work_self *skui_work_self(void)
{
    TLS_ASK_ANEW();
    return tls_work_self;
}

const struct skui_work_self *
skui_work_set_self(const struct skui_work_self *self)
{
    const struct skui_work_self *before = tls_work_self;

    tls_work_self = self;
    return before;
}

unsigned skui_report_depth(void)
{
    TLS_ASK_ANEW();
    return tls_report_depth;
}

void skui_report_set_depth(unsigned depth)
{
    tls_report_depth = depth;
}

static void caches_thread_ends(void *caches)
{
    skui_context_thread_ends(&tls_context);
    skui_caches_drain(caches);
}

static void caches_make_key(void)
{
    (void)pthread_key_create(&caches_key, caches_thread_ends);
}

/* Have the caches drained when the thread ends. */
static SKUI_NOINLINE void caches_register(void)
{
    (void)pthread_once(&caches_once, caches_make_key);
    (void)pthread_setspecific(caches_key, &tls_caches);
    tls_registered = true;
}

SKUI_NOINLINE void *skui_object_get(enum skui_object_class which)
{
    if (SKUI_UNLIKELY(!tls_registered)) {
        caches_register();
    }
    return skui_object_get_from(&tls_caches, which);
}

SKUI_NOINLINE void skui_object_put(enum skui_object_class which, void *object)
{
    if (SKUI_UNLIKELY(!tls_registered)) {
        caches_register();
    }
    skui_object_put_to(&tls_caches, which, object);
}

SKUI_NOINLINE struct skui_thread_context *skui_context_of_thread(void)
{
    if (SKUI_UNLIKELY(!tls_registered)) {
        caches_register(); /* its end is told as well */
    }
    TLS_ASK_ANEW();
    return &tls_context;
}

void skui_tls_after_fork(void)
{
    skui_forks++;
    tls_loop = NULL;
    tls_event_loop = NULL;
    tls_work_self = NULL;
    memset(&tls_frame, 0, sizeof(tls_frame));
}

SKUI_NOINLINE int *skua_errno_location(void)
{
    TLS_ASK_ANEW();
    return &(errno);
}
