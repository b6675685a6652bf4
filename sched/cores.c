/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cores.c - how many cores this process may use.
 * Threads     Any.
 *
 * The affinity mask says where threads may run, the cgroup's quota how much
 * they may run; the host's core count says neither.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "cores.h"

static unsigned cores_by_affinity(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return 1;
    }
    return CPU_COUNT(&set) > 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* "max 100000" or "250000 100000"; 0: no limit or not to be read. */
static unsigned quota_read(const char *path)
{
    FILE *file = fopen(path, "re");
    long long quota = 0;
    long long period = 0;
    int found;

    if (file == NULL) {
        return 0;
    }
    /* NOLINTNEXTLINE(cert-err34-c): the kernel writes these, in range */
    found = fscanf(file, "%lld %lld", &quota, &period);
    (void)fclose(file);
    if (found != 2 || quota <= 0 || period <= 0) {
        return 0;
    }
    return (unsigned)((quota + period - 1) / period);
}

/* The lowest quota of the process's cgroup (version 2) and those above it. */
static unsigned cores_by_quota(void)
{
    char group[512] = "";
    char path[600];
    unsigned lowest = 0;
    FILE *file = fopen("/proc/self/cgroup", "re");
    char *slash;

    if (file == NULL) {
        return 0;
    }
    while (fgets(group, sizeof(group), file) != NULL &&
           strncmp(group, "0::", 3) != 0) {
        group[0] = '\0';
    }
    (void)fclose(file);
    if (group[0] == '\0') {
        return 0;
    }
    group[strcspn(group, "\n")] = '\0';
    for (;;) {
        unsigned quota;

        (void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max",
                       group + 3);
        quota = quota_read(path);
        if (quota > 0 && (lowest == 0 || quota < lowest)) {
            lowest = quota;
        }
        slash = strrchr(group + 3, '/');
        if (slash == NULL) {
            return lowest;
        }
        *slash = '\0';
    }
}

bool skui_cores_are_rationed(void)
{
    unsigned quota = cores_by_quota();

    return quota > 0 && quota <= cores_by_affinity();
}

unsigned skui_usable_cores(void)
{
    unsigned cores = cores_by_affinity();
    unsigned quota = cores_by_quota();

    return quota > 0 && quota < cores ? quota : cores;
}

int skui_cores_here(void)
{
    return sched_getcpu();
}

_Static_assert(sizeof(struct skui_cores_mask) == sizeof(cpu_set_t),
               "a mask is one of the system's");

bool skui_cores_keep_off(pid_t thread, int core, struct skui_cores_mask *former)
{
    cpu_set_t others;

    if (core < 0 || core >= CPU_SETSIZE ||
        sched_getaffinity(thread, sizeof(others), &others) != 0) {
        return false;
    }
    memcpy(former, &others, sizeof(others));
    CPU_CLR(core, &others);
    return CPU_COUNT(&others) > 0 &&
           sched_setaffinity(thread, sizeof(others), &others) == 0;
}

void skui_cores_restore(const struct skui_cores_mask *former)
{
    cpu_set_t mask;

    memcpy(&mask, former, sizeof(mask));
    (void)sched_setaffinity(0, sizeof(mask), &mask);
}

static _Atomic(unsigned) known_cores; /* relaxed: the same by whoever reads */

unsigned skui_cores_if_known(void)
{
    return skui_load_relaxed(&known_cores); /* relaxed: as above */
}

unsigned skui_known_cores(void)
{
    unsigned cores = skui_cores_if_known();

    if (cores == 0) {
        cores = skui_usable_cores();
        skui_store_relaxed(&known_cores, cores); /* relaxed: as above */
    }
    return cores;
}
