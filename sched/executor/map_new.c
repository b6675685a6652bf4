/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_new.c - making a map, of a source or an array.
 * Threads     Any.
 * Invariants  Once a piece was submitted there is a map: who has lent what work
 *             uses can wait for its end.
 * Rejected    Returning from the call what a later piece fails with: its
 *             work would run, and the caller have nothing to wait with.
 */
#include "map.h"

#include <errno.h>
#include <string.h>

#include "skua/time.h"

#include "../memory.h"
#include "../tls.h"
#include "function.h"

static int map_copy_key(struct skua_map *map, const char *key)
{
    size_t bytes = strlen(key);

    map->key_buffer = skui_allocate(bytes + SKUI_MAP_KEY_BYTES);
    if (map->key_buffer == NULL) {
        return -ENOMEM;
    }
    memcpy(map->key_buffer, key, bytes);
    map->key = map->key_buffer;
    map->key_bytes = bytes;
    return 0;
}

/* What the jobs are submitted with. */
static int map_copy_submit(struct skua_map *map,
                           const skua_submit_options *submit)
{
    int status = 0;

    map->submits_plainly = submit == NULL;
    if (submit != NULL) {
        map->submit = *submit;
        (void)skua_cancel_token_ref(submit->token);
        if (submit->key != NULL) {
            status = map_copy_key(map, submit->key);
        }
    }
    if (status == 0 && map->chunksize > 1) {
        status = skua_cancel_token_new(map->submit.token, &map->stop);
        if (status == 0) {
            skua_cancel_token_unref(map->submit.token);
            map->submit.token = skua_cancel_token_ref(map->stop);
            map->submits_plainly = false;
        }
    }
    return status;
}

static int64_t map_deadline(int64_t timeout_ns)
{
    int64_t now_ns = skua_monotonic();

    if (timeout_ns == 0 || timeout_ns > SKUA_FOREVER - now_ns) {
        return SKUA_FOREVER;
    }
    return timeout_ns < 0 ? 0 : now_ns + timeout_ns;
}

/* Checks what can be; nothing is submitted yet. */
static int map_new(skua_executor *executor, const skua_map_options *options,
                   struct skua_map **out_map)
{
    static const skua_map_options defaults;
    struct skua_map *map;
    int status;

    options = options == NULL ? &defaults : options;
    if (executor == NULL || options->timeout_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    if (executor->fork_generation != skui_fork_generation()) {
        return SKUA_EFORKED;
    }
    map = skui_allocate_zeroed(sizeof(*map));
    if (map == NULL) {
        return -ENOMEM;
    }
    map->fork_generation = executor->fork_generation;
    map->executor = skua_executor_ref(executor);
    map->deadline_ns = map_deadline(options->timeout_ns);
    map->buffersize = options->buffersize;
    map->chunksize = options->chunksize;
    status = map_copy_submit(map, options->submit);
    if (status < 0) {
        skui_map_free(map);
        return status;
    }
    *out_map = map;
    return 0;
}

/* Submit what is to be submitted in the call; takes the map. */
static int map_start(struct skua_map *map, skua_map_source_fn *next, void *arg,
                     skua_map **out_map)
{
    int status;

    map->next = next;
    map->arg = arg;
    status =
        skui_map_fill(map, map->buffersize == 0 ? SIZE_MAX : map->buffersize);
    if (map->count == 0 && status == 0) {
        status = skui_map_give_failure(map); /* of the first piece */
    } else if (map->count > 0 && status < 0) {
        skui_map_end(map);
        skui_map_set_failure(map, status, NULL); /* cancelled: at once */
        status = 0;
    }
    if (status < 0) {
        skui_map_free(map);
        return status;
    }
    *out_map = map;
    return 0;
}

int skua_executor_map_source(skua_executor *executor, skua_map_source_fn *next,
                             void *arg, const skua_map_options *options,
                             skua_map **out_map)
{
    struct skua_map *map;
    int status = next == NULL || out_map == NULL
                     ? -EINVAL
                     : map_new(executor, options, &map);

    return status < 0 ? status : map_start(map, next, arg, out_map);
}

static int array_next(void *arg, skua_work *out_work)
{
    struct skui_map_array *array = arg;

    if (array->at == array->count) {
        return 0;
    }
    if (array->fn != NULL) {
        out_work->fn = array->fn;
        out_work->arg = ((void *const *)array->elements)[array->at];
    } else {
        const skua_bytes *bytes = (const skua_bytes *)array->elements;

        out_work->name = array->name;
        out_work->data = bytes[array->at].data;
        out_work->bytes = bytes[array->at].bytes;
    }
    array->at++;
    return 1;
}

/* Keep elements for calls to come, if there are any. */
static int array_copy(struct skua_map *map, const void *elements, size_t count,
                      size_t each_bytes)
{
    map->array.elements = elements;
    map->array.count = count;
    if (map->buffersize == 0 || count == 0) {
        return 0;
    }
    map->array.copy = count > SIZE_MAX / each_bytes
                          ? NULL
                          : skui_allocate(count * each_bytes);
    if (map->array.copy == NULL) {
        return -ENOMEM;
    }
    memcpy(map->array.copy, elements, count * each_bytes);
    map->array.elements = map->array.copy;
    return 0;
}

int skua_executor_map(skua_executor *executor, skua_task_fn *fn,
                      void *const *args, size_t count,
                      const skua_map_options *options, skua_map **out_map)
{
    struct skua_map *map = NULL;
    int status = fn == NULL || (args == NULL && count > 0) || out_map == NULL
                     ? -EINVAL
                     : map_new(executor, options, &map);

    if (status == 0) {
        map->array.fn = fn;
        status = array_copy(map, args, count, sizeof(*args));
        if (status < 0) {
            skui_map_free(map);
        }
    }
    return status < 0 ? status
                      : map_start(map, array_next, &map->array, out_map);
}

int skua_executor_map_named(skua_executor *executor, const char *name,
                            const skua_bytes *items, size_t count,
                            const skua_map_options *options, skua_map **out_map)
{
    const struct skui_function *function;
    struct skua_map *map = NULL;
    int status = name == NULL || (items == NULL && count > 0) || out_map == NULL
                     ? -EINVAL
                     : map_new(executor, options, &map);

    if (status == 0) {
        function = skui_function_find(name);
        map->array.name = function == NULL ? NULL : function->name;
        status = function == NULL
                     ? -ENOENT
                     : array_copy(map, items, count, sizeof(*items));
        if (status < 0) {
            skui_map_free(map);
        }
    }
    return status < 0 ? status
                      : map_start(map, array_next, &map->array, out_map);
}
