/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backtrace.c - return addresses as text.
 * Threads     Any. Nothing is allocated.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "atomic.h"
#include "skua/debug.h"

enum { LINE_BYTES = 256 };

static const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* One line, cut to LINE_BYTES. The offset in the module is what addr2line
 * takes. */
static void frame_format(char *line, size_t index, void *frame)
{
    uintptr_t address = (uintptr_t)frame;
    Dl_info info;
    int used =
        snprintf(line, LINE_BYTES, "  #%zu 0x%zx", index, (size_t)address);

    if (dladdr(frame, &info) == 0 || info.dli_fname == NULL) {
        return;
    }
    if (info.dli_sname != NULL) {
        used += snprintf(line + used, LINE_BYTES - (size_t)used, " %.96s+0x%zx",
                         info.dli_sname,
                         (size_t)(address - (uintptr_t)info.dli_saddr));
    }
    (void)snprintf(line + used, LINE_BYTES - (size_t)used, " (%.64s+0x%zx)",
                   path_base(info.dli_fname),
                   (size_t)(address - (uintptr_t)info.dli_fbase));
}

int skua_backtrace_format(void *const *frames, size_t count, char *buffer,
                          size_t bytes)
{
    char line[LINE_BYTES];
    size_t length = 0;

    if ((frames == NULL && count > 0) || (buffer == NULL && bytes > 0)) {
        return -EINVAL;
    }
    if (bytes > 0) {
        buffer[0] = '\0';
    }
    for (size_t i = 0; i < count; i++) {
        size_t room = length < bytes ? bytes - length : 0;

        frame_format(line, i, frames[i]);
        length += (size_t)snprintf(room > 0 ? buffer + length : NULL, room,
                                   "%s%s", i > 0 ? "\n" : "", line);
    }
    return length > INT32_MAX ? INT32_MAX : (int)length;
}
