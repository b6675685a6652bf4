/* SPDX-License-Identifier: Apache-2.0 */
/*
 * semaphore.c - a semaphore is a number of permits, bounded or not.
 * Threads     Any.
 */
#include <errno.h>
#include <limits.h>

#include "../wait.h"
#include "permits.h"
#include "skua/sync.h"

struct semaphore {
    struct skui_permits permits;
    bool bounded; /* constant */
};

_Static_assert(sizeof(struct semaphore) <= sizeof(skua_semaphore),
               "the public storage fits");

static struct semaphore *semaphore_of(const skua_semaphore *semaphore)
{
    return (struct semaphore *)(void *)((skua_semaphore *)semaphore)->opaque;
}

static int semaphore_init(skua_semaphore *semaphore, int value, bool bounded)
{
    if (semaphore == NULL || value < 0) {
        return -EINVAL;
    }
    *semaphore_of(semaphore) = (struct semaphore){
        .permits = {.extra = value - 1},
        .bounded = bounded,
    };
    return 0;
}

int skua_semaphore_init(skua_semaphore *semaphore, int value)
{
    return semaphore_init(semaphore, value, false);
}

int skua_bounded_semaphore_init(skua_semaphore *semaphore, int value)
{
    return semaphore_init(semaphore, value, true);
}

int skua_semaphore_acquire(skua_semaphore *semaphore)
{
    return skua_semaphore_acquire_until(semaphore, SKUA_FOREVER);
}

int skua_semaphore_acquire_until(skua_semaphore *semaphore, int64_t deadline_ns)
{
    int status;

    if (semaphore == NULL || deadline_ns == SKUA_NOT_A_TIME) {
        return -EINVAL;
    }
    status = skui_task_spend_budget();
    if (status < 0 ||
        skui_permits_try_take(&semaphore_of(semaphore)->permits)) {
        return status;
    }
    return skui_permits_wait(&semaphore_of(semaphore)->permits, deadline_ns);
}

int skua_semaphore_acquire_nowait(skua_semaphore *semaphore)
{
    if (semaphore == NULL) {
        return -EINVAL;
    }
    return skui_permits_try_take(&semaphore_of(semaphore)->permits) ? 0
                                                                    : -EAGAIN;
}

int skua_semaphore_release(skua_semaphore *semaphore)
{
    struct semaphore *self;
    struct skui_permits_limit limit = {0, false};

    if (semaphore == NULL) {
        return -EINVAL;
    }
    self = semaphore_of(semaphore);
    /* With fewer taken there would be more than at the start, or INT_MAX. */
    limit.lowest = self->bounded ? 0 : self->permits.extra - (INT_MAX - 1);
    if (skui_permits_release(&self->permits, limit) < 0) {
        return self->bounded ? -EINVAL : -EOVERFLOW;
    }
    return 0;
}

bool skua_semaphore_locked(const skua_semaphore *semaphore)
{
    const struct skui_permits *permits;
    uint64_t word;

    if (semaphore == NULL) {
        return false;
    }
    permits = &semaphore_of(semaphore)->permits;
    word = skui_permits_load(permits);
    return word > SKUI_PERMITS_TAKEN || skui_permits_left(permits, word) <= 0;
}

int skua_semaphore_value(const skua_semaphore *semaphore)
{
    const struct skui_permits *permits;

    if (semaphore == NULL) {
        return 0;
    }
    permits = &semaphore_of(semaphore)->permits;
    return (int)skui_permits_left(permits, skui_permits_load(permits));
}
