/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address.h - numeric addresses, as text and for the kernel.
 */
#ifndef SKUI_ADDRESS_H
#define SKUI_ADDRESS_H

#include <sys/socket.h>

#include "../sched/atomic.h"

SKUI_BEGIN_DECLS

struct skui_address {
    struct sockaddr_storage storage;
    socklen_t bytes;
};

/* `host` is a number, an IPv6 one perhaps with %scope. 0 or -EINVAL. */
int skui_address_parse(const char *host, int port,
                       struct skui_address *out_address);

/* Every IPv6 address, or with `only_ipv4` every IPv4 one. */
void skui_address_any(bool only_ipv4, int port,
                      struct skui_address *out_address);

/*
 * As text; IPv4 inside IPv6 is shown as IPv4. `host` and `out_port` may be
 * NULL. 0, -ENOSPC, -EAFNOSUPPORT.
 */
int skui_address_format(const struct skui_address *address, char *host,
                        size_t host_bytes, int *out_port);

SKUI_END_DECLS

#endif
