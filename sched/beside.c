/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beside.c - what lies beside objects, under their address.
 * Threads     Any; each shard has a lock. Memory is taken and given back
 *             outside of it: the allocator may be the user's.
 * Progress    O(1) about: a shard doubles its lists when they get long.
 */
#include "beside.h"

#include <string.h>

#include "memory.h"

enum { FIRST_LISTS = 64 }; /* of a shard; a power of two, as it stays */

/* Addresses differ in bits 6 and up. */
static uint64_t address_hash(const void *object)
{
    return (uint64_t)(uintptr_t)object / 16 * UINT64_C(0x9E3779B97F4A7C15);
}

static struct skui_beside_shard *shard_of(struct skui_beside *table,
                                          const void *object)
{
    return &table->shards[address_hash(object) >> 58];
}

static struct skui_beside_entry **
shard_head(const struct skui_beside_shard *shard, const void *object)
{
    return &shard->heads[address_hash(object) >> 20 & (shard->lists - 1)];
}

static void shard_link(struct skui_beside_shard *shard,
                       struct skui_beside_entry *entry)
{
    struct skui_beside_entry **head = shard_head(shard, entry->object);

    entry->next = *head;
    *head = entry;
}

/* Take `heads` (zeroed, twice as many) into use; returns the former ones. */
static struct skui_beside_entry **shard_spread(struct skui_beside_shard *shard,
                                               struct skui_beside_entry **heads,
                                               size_t lists)
{
    struct skui_beside_entry **former = shard->heads;
    size_t former_lists = shard->lists;

    shard->heads = heads;
    shard->lists = lists;
    for (size_t i = 0; former != NULL && i < former_lists; i++) {
        while (former[i] != NULL) {
            struct skui_beside_entry *entry = former[i];

            former[i] = entry->next;
            shard_link(shard, entry);
        }
    }
    return former;
}

bool skui_beside_reserve(struct skui_beside *table, const void *object)
{
    struct skui_beside_shard *shard = shard_of(table, object);
    struct skui_beside_entry **heads;
    size_t lists;
    bool is_enough;
    bool fits;

    skui_spinlock_lock(&shard->lock);
    lists = shard->lists;
    is_enough = shard->heads != NULL && shard->count < 2 * lists;
    skui_spinlock_unlock(&shard->lock);
    if (is_enough) {
        return true;
    }
    lists = lists == 0 ? FIRST_LISTS : 2 * lists;
    heads = skui_allocate_zeroed(lists * sizeof(*heads));
    fits = heads != NULL || lists > FIRST_LISTS; /* long lists will do */
    if (heads != NULL) {
        skui_spinlock_lock(&shard->lock);
        if (lists > shard->lists) { /* else another thread was first */
            heads = shard_spread(shard, heads, lists);
        }
        skui_spinlock_unlock(&shard->lock);
        skui_release(heads);
    }
    return fits;
}

struct skui_beside_shard *skui_beside_lock(struct skui_beside *table,
                                           const void *object)
{
    struct skui_beside_shard *shard = shard_of(table, object);

    skui_spinlock_lock(&shard->lock);
    return shard;
}

struct skui_beside_entry **skui_beside_seek(struct skui_beside_entry **link,
                                            const void *object)
{
    while (*link != NULL && (*link)->object != object) {
        link = &(*link)->next;
    }
    return *link == NULL ? NULL : link;
}

struct skui_beside_entry **skui_beside_find(struct skui_beside_shard *shard,
                                            const void *object)
{
    return shard->heads == NULL
               ? NULL
               : skui_beside_seek(shard_head(shard, object), object);
}

void skui_beside_insert(struct skui_beside_shard *shard,
                        struct skui_beside_entry *entry)
{
    shard_link(shard, entry);
    shard->count++;
}

struct skui_beside_entry *skui_beside_remove(struct skui_beside_shard *shard,
                                             struct skui_beside_entry **link)
{
    struct skui_beside_entry *entry = *link;

    *link = entry->next;
    shard->count--;
    return entry;
}

void skui_beside_after_fork(struct skui_beside *table)
{
    memset(table, 0, sizeof(*table));
}
