/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - a user's options, checked and copied; the client library's.
 */
#ifndef SKUI_NATS_OPTIONS_H
#define SKUI_NATS_OPTIONS_H

#include <nats/nats.h>

#include "../../atomic.h"
#include "skua/nats.h"

SKUI_BEGIN_DECLS

enum {
    SKUI_NATS_PREFIX_MAX = 64,
    SKUI_NATS_SUBJECT_MAX = 512, /* more than any subject here takes */
    SKUI_NATS_WHY_BYTES = 256,
};

/* The options with their defaults; strings are owned, but for constants. */
struct skui_nats_settings {
    skua_nats_options of;
    char stream[SKUI_NATS_PREFIX_MAX + 1]; /* the prefix as a stream's name */
};

/* -EINVAL, raised with what is wrong; -ENOMEM. */
int skui_nats_settings_init(struct skui_nats_settings *settings,
                            const skua_nats_options *options);
void skui_nats_settings_fini(struct skui_nats_settings *settings);

/* For the client library. The status is raised by the caller with `why`. */
int skui_nats_settings_apply(const struct skui_nats_settings *settings,
                             natsOptions **out_options, char *why,
                             size_t why_bytes);

/* What a status of the client library is here; 0 for NATS_OK. */
int skui_nats_status(natsStatus status);

/* The reason of the last failure in this thread. */
void skui_nats_why(natsStatus status, char *why, size_t why_bytes);

SKUI_END_DECLS

#endif
