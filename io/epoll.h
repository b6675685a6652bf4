/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll.h - descriptors of the epoll reactor, beside its function table.
 */
#ifndef SKUI_EPOLL_H
#define SKUI_EPOLL_H

#include "descriptor.h"

SKUI_BEGIN_DECLS

/*
 * Register the record's descriptor with `poller`, once, for everything,
 * edge-triggered. 0 or epoll's errno. The poller's loop is not closed.
 */
int skui_poller_register(struct skui_poller *poller,
                         struct skui_descriptor *descriptor);

/*
 * Take the record's descriptor out, before it is closed, and retire it.
 * Any thread, also when the poller was closed. Not twice.
 */
void skui_poller_unregister(struct skui_descriptor *descriptor);

SKUI_END_DECLS

#endif
