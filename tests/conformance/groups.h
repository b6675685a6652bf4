/* SPDX-License-Identifier: Apache-2.0 */
/*
 * groups.h - what the tests of task groups share.
 */
#ifndef SKUA_TESTS_CONFORMANCE_GROUPS_H
#define SKUA_TESTS_CONFORMANCE_GROUPS_H

#include "support.h"

namespace conformance
{

inline int cancels()
{
    return skua_task_cancelling(skua_current_task());
}

/** Statuses of the current exception's children, in their order. */
inline Order group_errors()
{
    const skua_exception *error = skua_current_exception();
    Order statuses;

    EXPECT_EQ(SKUA_EGROUP, skua_exception_status(error));
    for (size_t i = 0; i < skua_exception_count(error); i++) {
        statuses.push_back(
            skua_exception_status(skua_exception_child(error, i)));
    }
    return statuses;
}

/** A group whose children are lambdas. */
class Group
{
  public:
    explicit Group(Lambdas *lambdas) : lambdas_(lambdas)
    {
    }

    int add(Body body)
    {
        return skua_task_group_create_task(
            &group_, run_body, lambdas_->keeper_.body(std::move(body)));
    }

    /** A child with a handle. */
    Future child(Body body, const skua_task_options *options = nullptr)
    {
        skua_task *task = nullptr;

        EXPECT_EQ(0, skua_task_group_create_task_with(
                         &group_, options, run_body,
                         lambdas_->keeper_.body(std::move(body)), &task));
        return Future(task);
    }

    int start(Body body, void **out_value = nullptr)
    {
        return skua_task_group_start(&group_, run_body,
                                     lambdas_->keeper_.body(std::move(body)),
                                     out_value);
    }

    int enter(skua_task_group_policy policy = SKUA_TASK_GROUP_FAIL_FAST)
    {
        skua_task_group_options options = {};

        options.policy = policy;
        return skua_task_group_enter(&group_, &options);
    }

    int leave(int status = 0)
    {
        return skua_task_group_leave(&group_, status);
    }

    int cancel()
    {
        return skua_task_group_cancel(&group_);
    }

    skua_task_group *get()
    {
        return &group_;
    }

  private:
    Lambdas *lambdas_;
    skua_task_group group_ = {};
};

/** A child that is refused. */
inline int never(void *)
{
    ADD_FAILURE() << "ran";
    return 0;
}

inline int sleep_long()
{
    return skua_sleep(SKUA_FOREVER);
}

} // namespace conformance

#endif
