/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errors.h - the exceptions of several children, kept until somebody asks.
 */
#ifndef SKUI_WAIT_ERRORS_H
#define SKUI_WAIT_ERRORS_H

#include "../exception.h"

SKUI_BEGIN_DECLS

/* One exception: allocated for it, so that who links it needs no memory. */
struct skui_error {
    struct skui_error *next;
    skua_exception *exception; /* a reference */
};

/* In order of completion; all-zero: none. Guarded by the owner's lock. */
struct skui_errors {
    struct skui_error *first;
    struct skui_error *last;
    size_t count;
};

/* An element for `exception` (not taken); NULL when there is none or memory is
 * short. */
struct skui_error *skui_error_make(skua_exception *exception);

/* Free one that was not added; NULL is nothing. */
void skui_error_free(struct skui_error *error);

/* Append; NULL is nothing. */
void skui_errors_add(struct skui_errors *errors, struct skui_error *error);

/* Free the elements and drop their references. */
void skui_errors_clear(struct skui_errors *errors);

/* A group of them, which clears them; NULL when there are none or memory is
 * short. */
skua_exception *skui_errors_group(struct skui_errors *errors,
                                  const char *message);

SKUI_END_DECLS

#endif
