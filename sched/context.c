/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context.c - context variables: bindings, maps of them, contexts.
 * Threads     Maps and bindings are immutable and counted. A context may be
 *             read and written by any thread that has a reference.
 * Invariants  A slot's word changes once, to a tagged context, and only its
 *             holder's end gives that up. The map that was in the word before
 *             stays until then: a thread that has read it may still look.
 * Ordering    CX1 slot, RF1 counts, SL1 a context's lock, which guards `map`.
 * Rejected    A tree of maps (HAMT): contexts hold few variables, for which a
 *             sorted array is smaller, quicker to search and one allocation.
 *             A context for each task: this way only who sets something
 *             allocates.
 */
#include "context.h"

#include <errno.h>
#include <string.h>

#include "exception.h"
#include "handle.h"
#include "loop.h"
#include "memory.h"
#include "spinlock.h"
#include "task.h"

enum { CONTEXT_TAG = 1 };

struct binding {
    _Atomic(uint32_t) refs; /* RF1 */
    const skua_context_var *var;
    void *value;
};

/* Sorted by the variables' addresses. */
struct context_map {
    _Atomic(uint32_t) refs; /* RF1 */
    uint32_t count;
    struct binding *bindings[];
};

struct skua_context {
    _Atomic(uint32_t) refs; /* RF1 */
    struct skui_spinlock lock;
    struct context_map *map;    /* guarded by lock; NULL: empty */
    struct context_map *origin; /* constant: what the slot held before */
};

struct token {
    skua_context *context; /* a reference; NULL: unused, used up or dropped */
    const skua_context_var *var;
    struct binding *before; /* a reference; NULL: it was not set */
};

_Static_assert(sizeof(struct token) <= sizeof(skua_context_token),
               "the public storage fits");

_Atomic(bool) skui_contexts_used; /* relaxed: see context.h */

/* --- bindings and maps --- */

static struct binding *binding_ref(struct binding *binding)
{
    /* relaxed: the caller has a reference already */
    (void)skui_fetch_add_relaxed(&binding->refs, 1u);
    return binding;
}

static void binding_unref(struct binding *binding)
{
    /* RF1 acq_rel: the last one sees what the others did. */
    if (binding == NULL || skui_fetch_sub_acq_rel(&binding->refs, 1u) != 1) {
        return;
    }
    if (binding->var->destroy != NULL) {
        binding->var->destroy(binding->value);
    }
    skui_release(binding);
}

static struct binding *binding_make(const skua_context_var *var, void *value)
{
    struct binding *binding = skui_allocate(sizeof(*binding));

    if (binding != NULL) {
        skui_store_relaxed(&binding->refs, 1u); /* relaxed: not shared yet */
        binding->var = var;
        binding->value = value;
    }
    return binding;
}

static struct context_map *map_ref(struct context_map *map)
{
    if (map != NULL) {
        /* relaxed: the caller has a reference already */
        (void)skui_fetch_add_relaxed(&map->refs, 1u);
    }
    return map;
}

static void map_unref(struct context_map *map)
{
    /* RF1 acq_rel: the last one sees what the others did. */
    if (map == NULL || skui_fetch_sub_acq_rel(&map->refs, 1u) != 1) {
        return;
    }
    for (uint32_t i = 0; i < map->count; i++) {
        binding_unref(map->bindings[i]);
    }
    skui_release(map);
}

/* Where `var` is, or would be. */
static uint32_t map_place(const struct context_map *map,
                          const skua_context_var *var)
{
    uint32_t low = 0;
    uint32_t high = map == NULL ? 0 : map->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if ((uintptr_t)map->bindings[middle]->var < (uintptr_t)var) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct binding *map_find(const struct context_map *map,
                                const skua_context_var *var)
{
    uint32_t place = map_place(map, var);

    return map != NULL && place < map->count && map->bindings[place]->var == var
               ? map->bindings[place]
               : NULL;
}

/*
 * A map that differs from `map` in `var` alone: `binding` is there, or nothing
 * for NULL. Takes no reference of the caller's. False when memory is short.
 */
static bool map_with(const struct context_map *map, const skua_context_var *var,
                     struct binding *binding, struct context_map **out_map)
{
    uint32_t place = map_place(map, var);
    uint32_t before = map == NULL ? 0 : map->count;
    uint32_t skip = map_find(map, var) != NULL ? 1 : 0;
    uint32_t count = before - skip + (binding != NULL ? 1 : 0);
    struct context_map *made;
    uint32_t to = 0;

    if (count == 0) {
        *out_map = NULL;
        return true;
    }
    made = skui_allocate(sizeof(*made) + count * sizeof(struct binding *));
    if (made == NULL) {
        return false;
    }
    skui_store_relaxed(&made->refs, 1u); /* relaxed: not shared yet */
    made->count = count;
    for (uint32_t i = 0; i < place; i++) {
        made->bindings[to++] = binding_ref(map->bindings[i]);
    }
    if (binding != NULL) {
        made->bindings[to++] = binding_ref(binding);
    }
    for (uint32_t i = place + skip; i < before; i++) {
        made->bindings[to++] = binding_ref(map->bindings[i]);
    }
    *out_map = made;
    return true;
}

/* --- contexts --- */

/* Takes both references; NULL, with none taken, when memory is short. */
static skua_context *context_make(struct context_map *map,
                                  struct context_map *origin)
{
    skua_context *context = skui_allocate_zeroed(sizeof(*context));

    if (context != NULL) {
        skui_store_relaxed(&context->refs, 1u); /* relaxed: not shared yet */
        context->map = map;
        context->origin = origin;
    }
    return context;
}

skua_context *skua_context_ref(skua_context *context)
{
    if (context != NULL) {
        /* relaxed: the caller has a reference already */
        (void)skui_fetch_add_relaxed(&context->refs, 1u);
    }
    return context;
}

void skua_context_unref(skua_context *context)
{
    /* RF1 acq_rel: the last one sees what the others did. */
    if (context != NULL && skui_fetch_sub_acq_rel(&context->refs, 1u) == 1) {
        map_unref(context->map);
        map_unref(context->origin);
        skui_release(context);
    }
}

/* A reference to what is set there now. */
static struct context_map *context_map(skua_context *context)
{
    struct context_map *map;

    skui_spinlock_lock(&context->lock);
    map = map_ref(context->map);
    skui_spinlock_unlock(&context->lock);
    return map;
}

/* Whether it is set there; the value is the context's. */
static bool context_find(skua_context *context, const skua_context_var *var,
                         void **out_value)
{
    struct binding *binding;

    skui_spinlock_lock(&context->lock);
    binding = map_find(context->map, var);
    if (binding != NULL) {
        *out_value = binding->value;
    }
    skui_spinlock_unlock(&context->lock);
    return binding != NULL;
}

/* Bind `var` anew, or to nothing for NULL. 0, with what was there before (a
 * reference, or NULL), or -ENOMEM. */
static int context_bind(skua_context *context, const skua_context_var *var,
                        struct binding *binding, struct binding **out_before)
{
    struct context_map *old;
    struct context_map *made;
    bool swapped;

    do {
        old = context_map(context);
        if (!map_with(old, var, binding, &made)) {
            map_unref(old);
            return -ENOMEM;
        }
        skui_spinlock_lock(&context->lock);
        swapped = context->map == old;
        if (swapped) {
            context->map = made;
        }
        skui_spinlock_unlock(&context->lock);
        if (!swapped) {
            map_unref(made);
            map_unref(old);
        }
    } while (!swapped);
    *out_before = map_find(old, var);
    if (*out_before != NULL) {
        (void)binding_ref(*out_before);
    }
    map_unref(old); /* the context's */
    map_unref(old);
    return 0;
}

/* --- slots --- */

static skua_context *word_context(uintptr_t word)
{
    return (word & CONTEXT_TAG) != 0
               ? (skua_context *)(word & ~(uintptr_t)CONTEXT_TAG)
               : NULL;
}

uintptr_t skui_context_share(skua_context *context)
{
    return (uintptr_t)skua_context_ref(context) | CONTEXT_TAG;
}

uintptr_t skui_context_copy_word(uintptr_t word)
{
    skua_context *context = word_context(word);

    return (uintptr_t)(context != NULL ? context_map(context)
                                       : map_ref((struct context_map *)word));
}

uintptr_t skui_context_share_word(uintptr_t word)
{
    skua_context *context = word_context(word);

    if (context != NULL) {
        (void)skua_context_ref(context);
    } else {
        (void)map_ref((struct context_map *)word);
    }
    return word;
}

void skui_context_release_word(uintptr_t word)
{
    skua_context *context = word_context(word);

    if (context != NULL) {
        skua_context_unref(context);
    } else {
        map_unref((struct context_map *)word);
    }
}

/* The context in a slot, which keeps it, made if need be; NULL when memory is
 * short. */
static skua_context *slot_open(skui_context_slot *slot)
{
    /* CX1 acquire: another thread may have made it. */
    uintptr_t word = skui_load_acquire(slot);
    struct context_map *map = (struct context_map *)word;
    skua_context *context = word_context(word);

    if (context != NULL) {
        return context;
    }
    context = context_make(map_ref(map), map);
    if (context == NULL) {
        map_unref(map);
        return NULL;
    }
    /* CX1 acq_rel: who finds it sees it whole. */
    if (!skui_cas_acq_rel(slot, &word, (uintptr_t)context | CONTEXT_TAG)) {
        context->origin = NULL; /* still the slot's */
        skua_context_unref(context);
        context = word_context(word);
    }
    return context;
}

skua_context *skui_context_of_slot(skui_context_slot *slot)
{
    return skua_context_ref(slot_open(slot));
}

/* --- what is current --- */

struct place {
    skui_context_slot *slot;
    skua_context **entered; /* if the slot is not 0: goes before it, or NULL */
};

static struct place place_now(void)
{
    skua_loop *loop = skui_loop_self();
    struct skui_task *task = loop == NULL ? NULL : loop->current;
    struct skui_thread_context *own;

    if (task != NULL) {
        return (struct place){&task->context, &task->entered};
    }
    if (loop != NULL && loop->callback_context != NULL) {
        return (struct place){loop->callback_context, &loop->entered};
    }
    own = skui_context_of_thread();
    return (struct place){&own->slot, &own->entered};
}

/* The word of what is current, which keeps it. */
static uintptr_t place_word(const struct place *place)
{
    /* CX1 acquire: another thread may have made the context. */
    uintptr_t word = skui_load_acquire(place->slot);

    return word != 0 && *place->entered != NULL
               ? (uintptr_t)*place->entered | CONTEXT_TAG
               : word;
}

/* As place_word(), with a context to change; NULL when memory is short. */
static skua_context *place_open(const struct place *place)
{
    skua_context *context = word_context(place_word(place));

    return context != NULL ? context : slot_open(place->slot);
}

uintptr_t skui_context_capture_current(void)
{
    struct place place = place_now();
    uintptr_t word = place_word(&place);

    return word == 0 ? 0 : skui_context_copy_word(word);
}

/* --- variables --- */

int skua_context_var_get(const skua_context_var *var, void **out_value)
{
    struct place place;
    struct binding *binding;
    uintptr_t word;

    if (var == NULL || out_value == NULL) {
        return -EINVAL;
    }
    *out_value = var->default_value;
    if (!skui_load_relaxed(&skui_contexts_used)) { /* relaxed: context.h */
        return 0;
    }
    place = place_now();
    word = place_word(&place);
    if (word_context(word) != NULL) {
        return context_find(word_context(word), var, out_value);
    }
    binding = map_find((struct context_map *)word, var);
    if (binding != NULL) {
        *out_value = binding->value;
    }
    return binding != NULL;
}

int skua_context_var_set(const skua_context_var *var, void *value,
                         skua_context_token *out_token)
{
    struct token token = {NULL, var, NULL};
    struct place place = place_now();
    struct binding *binding;
    int status;

    if (var == NULL) {
        return -EINVAL;
    }
    token.context = place_open(&place);
    if (token.context == NULL) {
        return -ENOMEM;
    }
    binding = binding_make(var, value);
    if (binding == NULL) {
        return -ENOMEM;
    }
    skui_store_relaxed(&skui_contexts_used, true); /* relaxed: context.h */
    status = context_bind(token.context, var, binding, &token.before);
    if (status < 0) {
        skui_release(binding); /* the value stays with the caller */
        return status;
    }
    binding_unref(binding); /* the map has it */
    if (out_token != NULL) {
        memset(out_token, 0, sizeof(*out_token));
        (void)skua_context_ref(token.context);
        memcpy(out_token->opaque, &token, sizeof(token));
    } else {
        binding_unref(token.before);
    }
    return 0;
}

void skua_context_token_drop(skua_context_token *out_token)
{
    struct token token;

    if (out_token == NULL) {
        return;
    }
    memcpy(&token, out_token->opaque, sizeof(token));
    if (token.context != NULL) {
        struct token used = {NULL, token.var, NULL};

        memcpy(out_token->opaque, &used, sizeof(used));
        binding_unref(token.before);
        skua_context_unref(token.context);
    }
}

int skua_context_var_reset(const skua_context_var *var,
                           skua_context_token *used_token)
{
    struct place place = place_now();
    struct binding *replaced;
    struct token token;
    int status;

    if (var == NULL || used_token == NULL) {
        return -EINVAL;
    }
    memcpy(&token, used_token->opaque, sizeof(token));
    if (token.var != var) {
        return -EINVAL;
    }
    if (token.context == NULL) {
        return SKUA_EINVALSTATE;
    }
    if (token.context != word_context(place_word(&place))) {
        return -EPERM;
    }
    status = context_bind(token.context, var, token.before, &replaced);
    if (status == 0) {
        binding_unref(replaced);
        skua_context_token_drop(used_token);
    }
    return status;
}

/* --- contexts, in public --- */

static int context_give(struct context_map *map, skua_context **out_context)
{
    skua_context *context = context_make(map, NULL);

    if (context == NULL) {
        map_unref(map);
        return -ENOMEM;
    }
    *out_context = context;
    return 0;
}

int skua_context_new(skua_context **out_context)
{
    return out_context == NULL ? -EINVAL : context_give(NULL, out_context);
}

int skua_copy_context(skua_context **out_context)
{
    return out_context == NULL
               ? -EINVAL
               : context_give((struct context_map *)skui_context_capture(),
                              out_context);
}

int skua_context_copy(skua_context *context, skua_context **out_context)
{
    return context == NULL || out_context == NULL
               ? -EINVAL
               : context_give(context_map(context), out_context);
}

int skua_context_get(skua_context *context, const skua_context_var *var,
                     void **out_value)
{
    if (context == NULL || var == NULL || out_value == NULL) {
        return -EINVAL;
    }
    *out_value = var->default_value;
    return context_find(context, var, out_value);
}

size_t skua_context_count(skua_context *context)
{
    size_t count;

    if (context == NULL) {
        return 0;
    }
    skui_spinlock_lock(&context->lock);
    count = context->map == NULL ? 0 : context->map->count;
    skui_spinlock_unlock(&context->lock);
    return count;
}

int skua_context_run(skua_context *context, skua_task_fn *fn, void *arg,
                     void **out_result)
{
    struct place place = place_now();
    skua_context *before;
    int status;

    if (context == NULL || fn == NULL) {
        return -EINVAL;
    }
    /* So that the slot says that something is entered. */
    if (slot_open(place.slot) == NULL) {
        return -ENOMEM;
    }
    before = *place.entered;
    *place.entered = context;
    status = skua_call(fn, arg, out_result);
    *place.entered = before; /* a task keeps its place, wherever it goes on */
    return status;
}

int skua_task_get_context(skua_task *task, skua_context **out_context)
{
    skua_context *context;

    if (task == NULL || out_context == NULL || !skui_future_is_task(task)) {
        return -EINVAL;
    }
    context = skui_context_of_slot(&skui_task_of(task)->context);
    if (context == NULL) {
        return -ENOMEM;
    }
    *out_context = context;
    return 0;
}

int skua_handle_get_context(skua_handle *handle, skua_context **out_context)
{
    skua_context *context;

    if (handle == NULL || out_context == NULL) {
        return -EINVAL;
    }
    context = skui_context_of_slot(&handle->context);
    if (context == NULL) {
        return -ENOMEM;
    }
    *out_context = context;
    return 0;
}

/* --- threads --- */

int skui_context_run_captured(uintptr_t word, skua_task_fn *fn, void *arg)
{
    struct skui_thread_context *own = skui_context_of_thread();
    uintptr_t before = skui_load_relaxed(&own->slot); /* relaxed: own thread */
    skua_context *entered = own->entered;
    int status;

    skui_store_relaxed(&own->slot, word); /* relaxed: own thread */
    own->entered = NULL;
    status = fn(arg);
    skui_context_release(&own->slot);
    skui_store_relaxed(&own->slot, before); /* relaxed: own thread */
    own->entered = entered;
    return status;
}

void skui_context_thread_ends(struct skui_thread_context *own)
{
    own->entered = NULL;
    skui_context_release(&own->slot);
}

void skui_context_after_fork(void)
{
    struct place place = place_now();
    struct skui_thread_context *own = skui_context_of_thread();
    skua_context *context = word_context(place_word(&place));
    uintptr_t word;

    if (context != NULL) { /* a thread that is not here may have held it */
        skui_spinlock_unlock(&context->lock);
    }
    if (place.slot == &own->slot) {
        return;
    }
    word = skui_context_capture();
    skui_context_thread_ends(own);
    skui_store_relaxed(&own->slot, word); /* relaxed: the only thread */
}
