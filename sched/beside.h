/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beside.h - what lies beside objects, under their address.
 *
 * For what few objects have: the hot object holds no more than a flag. Entries
 * are the user's, who takes and gives back their memory outside of the locks.
 * An address may have several.
 *
 *             reserve  lock..unlock
 *   each         -          -         (any thread; sections of one shard
 *                                      exclude each other)
 */
#ifndef SKUI_BESIDE_H
#define SKUI_BESIDE_H

#include <stddef.h>

#include "spinlock.h"

SKUI_BEGIN_DECLS

enum { SKUI_BESIDE_SHARDS = 64 };

struct skui_beside_entry {
    struct skui_beside_entry *next; /* guarded by its shard's lock */
    const void *object;             /* constant once inserted */
};

/* Guarded by the lock, all of it. */
struct skui_beside_shard {
    struct skui_spinlock lock;
    size_t count;                     /* of entries */
    size_t lists;                     /* how many `heads` there are */
    struct skui_beside_entry **heads; /* NULL: none yet */
};

/* All-zero: empty. */
struct skui_beside {
    struct skui_beside_shard shards[SKUI_BESIDE_SHARDS];
};

/* Make room for one more of `object`: before an insertion, without its lock.
 * False when memory is short. */
bool skui_beside_reserve(struct skui_beside *table, const void *object);

/* The shard of `object`, locked. */
struct skui_beside_shard *skui_beside_lock(struct skui_beside *table,
                                           const void *object);
static inline void skui_beside_unlock(struct skui_beside_shard *shard)
{
    skui_spinlock_unlock(&shard->lock);
}

/* Under lock: the link that holds an entry of `object`, or NULL; the same from
 * `link` on. */
struct skui_beside_entry **skui_beside_find(struct skui_beside_shard *shard,
                                            const void *object);
struct skui_beside_entry **skui_beside_seek(struct skui_beside_entry **link,
                                            const void *object);
void skui_beside_insert(struct skui_beside_shard *shard,
                        struct skui_beside_entry *entry);
/* Take out what `link` holds; it holds the next one then. */
struct skui_beside_entry *skui_beside_remove(struct skui_beside_shard *shard,
                                             struct skui_beside_entry **link);

/* In a forked child: whoever held a lock is not there. Forget all. */
void skui_beside_after_fork(struct skui_beside *table);

SKUI_END_DECLS

#endif
