/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errors.c - the exceptions of several children, kept until somebody asks.
 * Threads     Their owner's lock guards the list.
 */
#include "errors.h"

struct skui_error *skui_error_make(skua_exception *exception)
{
    struct skui_error *error = NULL;

    if (exception != NULL) {
        error = skui_allocate(sizeof(*error));
    }
    if (error != NULL) {
        error->next = NULL;
        error->exception = skua_exception_ref(exception);
    }
    return error;
}

void skui_error_free(struct skui_error *error)
{
    if (error != NULL) {
        skua_exception_unref(error->exception);
        skui_release(error);
    }
}

void skui_errors_add(struct skui_errors *errors, struct skui_error *error)
{
    if (error == NULL) {
        return;
    }
    if (errors->first == NULL) {
        errors->first = error;
    } else {
        errors->last->next = error;
    }
    errors->last = error;
    errors->count++;
}

void skui_errors_clear(struct skui_errors *errors)
{
    while (errors->first != NULL) {
        struct skui_error *error = errors->first;

        errors->first = error->next;
        skui_error_free(error);
    }
    errors->count = 0;
}

skua_exception *skui_errors_group(struct skui_errors *errors,
                                  const char *message)
{
    skua_exception **children = NULL;
    skua_exception *group = NULL;
    size_t count = 0;

    if (errors->count > 0) {
        children = skui_allocate(errors->count * sizeof(skua_exception *));
    }
    if (children != NULL) {
        struct skui_error *error;

        for (error = errors->first; error != NULL; error = error->next) {
            children[count++] = skua_exception_ref(error->exception);
        }
        group = skui_exception_group(SKUA_EGROUP, message, children, count);
    }
    if (group == NULL) {
        while (count > 0) {
            skua_exception_unref(children[--count]);
        }
    }
    skui_release(children);
    skui_errors_clear(errors);
    return group;
}
