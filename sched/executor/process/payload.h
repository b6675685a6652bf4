/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.h - payloads too large for a ring: memfds, through a socket.
 *
 * Thread: any; one sender and one receiver for each direction of a socket.
 */
#ifndef SKUI_PAYLOAD_H
#define SKUI_PAYLOAD_H

#include <stdint.h>
#include <sys/types.h>

#include "../../atomic.h"

SKUI_BEGIN_DECLS

/* A memfd of so many bytes, zeroed, which can be sealed. 0 or an errno. */
int skui_payload_new(size_t bytes, int *out_fd);
/* As above, with a copy of what `data` holds, sealed. */
int skui_payload_copy(const void *data, size_t bytes, int *out_fd);
/* From now on nobody resizes it. 0, or -EPERM and others: it is no such. */
int skui_payload_seal(int fd);

/*
 * Send a sealed memfd, which stays with the caller.
 * @return 0; -EAGAIN unless it `waits`; -EPIPE; what the system says
 */
int skui_payload_send(int socket, uint64_t id, uint64_t bytes, int fd,
                      bool waits);
/*
 * Receive what was sent with this id and size; never waits.
 * @return 0; -EMFILE: it is lost, this process has no descriptor free; -EPROTO:
 *         nothing, or something else was sent
 */
int skui_payload_receive(int socket, uint64_t id, uint64_t bytes, int *out_fd);

SKUI_END_DECLS

#endif
