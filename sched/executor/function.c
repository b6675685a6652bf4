/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function.c - the registry of functions that have names.
 * Threads     Any.
 * Invariants  A function is never changed nor taken out. Those of one index
 *             are the same in a child that was forked later.
 * Ordering    FN1: a function is whole for who finds it.
 * Progress    Finding one waits for nobody; registering takes a lock.
 * Rejected    A table that grows: readers would need to know which is in use,
 *             and programs register dozens of functions, not thousands.
 */
#include "function.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "../loop.h"
#include "../memory.h"

enum { BUCKETS = 256, INDEX_MAX = 4096 };

static pthread_mutex_t functions_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct skui_function *) functions_buckets[BUCKETS];    /* FN1 */
static _Atomic(struct skui_function *) functions_by_index[INDEX_MAX]; /* FN1 */
static _Atomic(uint32_t) functions_count; /* FN1; written under the lock */
static uint32_t functions_own;            /* of these; guarded by the lock */

static bool name_char_is_good(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static bool name_is_good(const char *name)
{
    bool dot_may_come = false;
    size_t length = 0;

    for (; name[length] != '\0'; length++) {
        if (length == SKUA_FUNCTION_NAME_MAX) {
            return false;
        }
        if (name[length] == '.' ? !dot_may_come
                                : !name_char_is_good(name[length])) {
            return false;
        }
        dot_may_come = name[length] != '.';
    }
    return length > 0 && dot_may_come;
}

/* Whether the name is one that only the library gives. */
static bool name_is_own(const char *name)
{
    return strncmp(name, "skua.", 5) == 0;
}

/* FNV-1a, down to a bucket. */
static unsigned name_bucket(const char *name)
{
    uint32_t hash = 2166136261U;

    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * 16777619U;
    }
    return (hash ^ hash >> 16) % BUCKETS;
}

const struct skui_function *skui_function_find(const char *name)
{
    struct skui_function *function;

    /* FN1 acquire: pairs with function_publish(). */
    function = skui_load_acquire(&functions_buckets[name_bucket(name)]);
    while (function != NULL && strcmp(function->name, name) != 0) {
        function = function->next;
    }
    return function;
}

const struct skui_function *skui_function_at(uint32_t index)
{
    /* FN1 acquire: pairs with function_publish(). */
    return index < INDEX_MAX ? skui_load_acquire(&functions_by_index[index])
                             : NULL;
}

uint32_t skui_function_count(void)
{
    /* FN1 acquire: pairs with function_publish(). */
    return skui_load_acquire(&functions_count);
}

/* Locked. */
static void function_publish(struct skui_function *function)
{
    unsigned bucket = name_bucket(function->name);

    /* relaxed: under the lock */
    function->index = skui_load_relaxed(&functions_count);
    /* relaxed: under the lock */
    function->next = skui_load_relaxed(&functions_buckets[bucket]);
    /* FN1 release, all: it is whole for who finds it. */
    skui_store_release(&functions_by_index[function->index], function);
    /* FN1 release: as above. */
    skui_store_release(&functions_buckets[bucket], function);
    /* FN1 release: as above. */
    skui_store_release(&functions_count, function->index + 1);
}

/* Locked. */
static int function_add(const char *name, skua_function_fn *fn)
{
    const struct skui_function *former = skui_function_find(name);
    struct skui_function *function;

    if (former != NULL) {
        return former->fn == fn ? 0 : -EEXIST;
    }
    if (skui_function_count() == INDEX_MAX) {
        return -ENOMEM;
    }
    function = skui_allocate_zeroed(sizeof(*function));
    if (function == NULL) {
        return -ENOMEM;
    }
    function->fn = fn;
    memcpy(function->name, name, strlen(name) + 1);
    function_publish(function);
    return 0;
}

void skui_function_add_own(struct skui_function *function)
{
    (void)pthread_mutex_lock(&functions_lock);
    function_publish(function);
    functions_own++;
    (void)pthread_mutex_unlock(&functions_lock);
}

bool skui_function_is_any(void)
{
    bool is_any;

    (void)pthread_mutex_lock(&functions_lock);
    is_any = skui_function_count() > functions_own;
    (void)pthread_mutex_unlock(&functions_lock);
    return is_any;
}

bool skui_function_is_own(const struct skui_function *function)
{
    return name_is_own(function->name);
}

int skua_function_register(const char *name, skua_function_fn *fn)
{
    int status;

    if (name == NULL || fn == NULL || !name_is_good(name) ||
        name_is_own(name)) {
        return -EINVAL;
    }
    skui_runtime_init(); /* the library's own come first */
    (void)pthread_mutex_lock(&functions_lock);
    status = function_add(name, fn);
    (void)pthread_mutex_unlock(&functions_lock);
    return status;
}

bool skua_function_is_registered(const char *name)
{
    return name != NULL && skui_function_find(name) != NULL;
}
