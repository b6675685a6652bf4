/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pressure.c - whether others want the core that this thread would spin on.
 * Threads     Each for itself.
 * Progress    A system call in LOOK_NS at most, a file of /proc in STEAL_NS.
 */
#include "pressure.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"

enum {
    LOOK_NS = 4000000,
    STEAL_NS = 1000000000,
    SWITCH_APART_NS = 5000000, /* more often than that is pressure ... */
    SWITCH_MINIMUM = 3,        /* ... from so many on */
    STEAL_PERCENT = 10,
};

static bool switches_rise(struct skui_pressure *pressure, uint64_t now)
{
    uint64_t elapsed = now - pressure->looked_at_ticks;
    bool first = pressure->looked_at_ticks == 0;
    struct rusage usage;
    int64_t switches;

    if (elapsed < skui_clock_ticks_of(LOOK_NS)) {
        return false;
    }
    pressure->looked_at_ticks = now;
    if (getrusage(RUSAGE_THREAD, &usage) != 0) {
        return false;
    }
    switches = usage.ru_nivcsw - pressure->switches;
    pressure->switches = usage.ru_nivcsw;
    return !first && switches >= SWITCH_MINIMUM &&
           (uint64_t)switches * skui_clock_ticks_of(SWITCH_APART_NS) > elapsed;
}

/* The first line of /proc/stat: all time, and what a hypervisor took of it. */
static bool read_stolen(uint64_t *out_stolen, uint64_t *out_total)
{
    char text[256];
    unsigned long long times[8];
    int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0) {
        (void)close(fd);
    }
    if (length <= 0) {
        return false;
    }
    text[length] = '\0';
    /* NOLINTNEXTLINE(cert-err34-c): the kernel writes these, in range */
    if (sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &times[0],
               &times[1], &times[2], &times[3], &times[4], &times[5], &times[6],
               &times[7]) != 8) {
        return false;
    }
    *out_stolen = times[7];
    *out_total = 0;
    for (int i = 0; i < 8; i++) {
        *out_total += times[i];
    }
    return true;
}

static bool steal_rises(struct skui_pressure *pressure, uint64_t now)
{
    bool first = pressure->stolen_at_ticks == 0;
    uint64_t stolen;
    uint64_t total;
    bool rises;

    if (now - pressure->stolen_at_ticks < skui_clock_ticks_of(STEAL_NS)) {
        return false;
    }
    pressure->stolen_at_ticks = now;
    if (!read_stolen(&stolen, &total)) {
        return false;
    }
    rises = !first && (stolen - pressure->stolen) * 100 >
                          (total - pressure->total) * STEAL_PERCENT;
    pressure->stolen = stolen;
    pressure->total = total;
    return rises;
}

bool skui_pressure_rises(struct skui_pressure *pressure)
{
    uint64_t now = skui_clock_ticks();
    bool switches = switches_rise(pressure, now);

    return steal_rises(pressure, now) || switches;
}
