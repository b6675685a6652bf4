/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address.c - numeric addresses, as text and for the kernel.
 * Threads     Any; no state.
 * Rejected    getaddrinfo, even with AI_NUMERICHOST: it takes whatever the
 *             resolver's libraries do on first use.
 */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_MAX = 65535, SCOPE_BYTES = IF_NAMESIZE + 1 };

static struct sockaddr_in *address_v4(struct skui_address *address, int port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&address->storage;

    memset(address, 0, sizeof(*address));
    address->bytes = sizeof(*v4);
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    return v4;
}

static struct sockaddr_in6 *address_v6(struct skui_address *address, int port)
{
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&address->storage;

    memset(address, 0, sizeof(*address));
    address->bytes = sizeof(*v6);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    return v6;
}

/* The number of the interface that `scope` names. 0: there is none. */
static uint32_t scope_number(const char *scope)
{
    char *end;
    unsigned long number;
    unsigned named = if_nametoindex(scope);

    if (named != 0) {
        return named;
    }
    number = strtoul(scope, &end, 10);
    return *scope != '\0' && *end == '\0' && number <= UINT32_MAX
               ? (uint32_t)number
               : 0;
}

static int address_parse_v6(const char *host, int port,
                            struct skui_address *out_address)
{
    char text[INET6_ADDRSTRLEN];
    const char *scope = strchr(host, '%');
    size_t bytes = scope != NULL ? (size_t)(scope - host) : strlen(host);
    struct sockaddr_in6 *v6 = address_v6(out_address, port);

    if (bytes >= sizeof(text)) {
        return -EINVAL;
    }
    memcpy(text, host, bytes);
    text[bytes] = '\0';
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) {
        return -EINVAL;
    }
    if (scope != NULL) {
        v6->sin6_scope_id = scope_number(scope + 1);
        return v6->sin6_scope_id != 0 ? 0 : -EINVAL;
    }
    return 0;
}

int skui_address_parse(const char *host, int port,
                       struct skui_address *out_address)
{
    struct sockaddr_in *v4;

    if (port < 0 || port > PORT_MAX) {
        return -EINVAL;
    }
    v4 = address_v4(out_address, port);
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        return 0;
    }
    return address_parse_v6(host, port, out_address);
}

void skui_address_any(bool only_ipv4, int port,
                      struct skui_address *out_address)
{
    if (only_ipv4) {
        address_v4(out_address, port)->sin_addr.s_addr = htonl(INADDR_ANY);
    } else {
        address_v6(out_address, port)->sin6_addr = in6addr_any;
    }
}

static int format_v6(const struct sockaddr_in6 *v6, char *text, size_t bytes)
{
    const uint8_t *octets = v6->sin6_addr.s6_addr;
    size_t length;

    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        return inet_ntop(AF_INET, octets + 12, text, (socklen_t)bytes) != NULL
                   ? 0
                   : -ENOSPC;
    }
    if (inet_ntop(AF_INET6, octets, text, (socklen_t)bytes) == NULL) {
        return -ENOSPC;
    }
    length = strlen(text);
    if (v6->sin6_scope_id != 0) {
        (void)snprintf(text + length, bytes - length, "%%%u",
                       (unsigned)v6->sin6_scope_id);
    }
    return 0;
}

int skui_address_format(const struct skui_address *address, char *host,
                        size_t host_bytes, int *out_port)
{
    const void *storage = &address->storage;
    const struct sockaddr_in *v4 = storage;
    const struct sockaddr_in6 *v6 = storage;
    char text[INET6_ADDRSTRLEN + SCOPE_BYTES];
    int status = 0;
    int port;

    if (address->storage.ss_family == AF_INET) {
        port = ntohs(v4->sin_port);
        (void)inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    } else if (address->storage.ss_family == AF_INET6) {
        port = ntohs(v6->sin6_port);
        status = format_v6(v6, text, sizeof(text));
    } else {
        return -EAFNOSUPPORT;
    }
    if (status == 0 && host != NULL) {
        size_t bytes = strlen(text) + 1;

        if (bytes > host_bytes) {
            return -ENOSPC;
        }
        memcpy(host, text, bytes);
    }
    if (status == 0 && out_port != NULL) {
        *out_port = port;
    }
    return status;
}
