/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context_support.h - variables and what the tests of contexts do with them.
 */
#ifndef SKUA_TESTS_CONFORMANCE_CONTEXT_SUPPORT_H
#define SKUA_TESTS_CONFORMANCE_CONTEXT_SUPPORT_H

#include "support.h"

namespace conformance
{

inline skua_context_var number = {"number", as_pointer(-1), nullptr};
inline skua_context_var other = {};

inline std::atomic<int> counted_made;
inline std::atomic<int> counted_destroyed;

inline void counted_destroy(void *value)
{
    counted_destroyed++;
    delete static_cast<int *>(value);
}

inline skua_context_var counted = {"counted", nullptr, counted_destroy};

inline intptr_t get(const skua_context_var &var)
{
    void *value = nullptr;

    EXPECT_LE(0, skua_context_var_get(&var, &value));
    return as_int(value);
}

inline bool is_set(const skua_context_var &var)
{
    void *value = nullptr;

    return skua_context_var_get(&var, &value) == 1;
}

inline void set(const skua_context_var &var, intptr_t value)
{
    EXPECT_EQ(0, skua_context_var_set(&var, as_pointer(value), nullptr));
}

inline void set_counted(int value)
{
    counted_made++;
    EXPECT_EQ(0, skua_context_var_set(&counted, new int(value), nullptr));
}

inline int get_counted()
{
    void *value = nullptr;

    return skua_context_var_get(&counted, &value) == 1
               ? *static_cast<int *>(value)
               : -1;
}

struct UnrefContext {
    void operator()(skua_context *context) const
    {
        skua_context_unref(context);
    }
};
using Context = std::unique_ptr<skua_context, UnrefContext>;

inline Context copy_context()
{
    skua_context *context = nullptr;

    EXPECT_EQ(0, skua_copy_context(&context));
    return Context(context);
}

inline intptr_t get_in(const Context &context, const skua_context_var &var)
{
    void *value = nullptr;

    EXPECT_LE(0, skua_context_get(context.get(), &var, &value));
    return as_int(value);
}

inline Future spawn_in(Lambdas &lambdas, const Context &context, Body body)
{
    skua_task_options options = {};
    skua_task *task = nullptr;

    options.context = context.get();
    EXPECT_EQ(0, skua_create_task_with(&options, run_body,
                                       lambdas.keeper_.body(std::move(body)),
                                       &task));
    return Future(task);
}

} // namespace conformance

#endif
