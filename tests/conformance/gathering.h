/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gathering.h - what the tests of gather share.
 */
#ifndef SKUA_TESTS_CONFORMANCE_GATHERING_H
#define SKUA_TESTS_CONFORMANCE_GATHERING_H

#include "support.h"

namespace conformance
{

/** Awaitables, their results, and the future of all of them. */
class Gathering
{
  public:
    void add(skua_awaitable awaitable)
    {
        awaitables_.push_back(awaitable);
    }

    void add(skua_future *future)
    {
        add(skua_awaitable_future(future));
    }

    /** A future that the gathering owns. */
    void add(Future future)
    {
        add(future.get());
        owned_.push_back(std::move(future));
    }

    void start(const skua_gather_options *options = nullptr)
    {
        skua_future *gather = nullptr;

        results_.resize(awaitables_.size());
        EXPECT_EQ(0, skua_gather(awaitables_.data(), awaitables_.size(),
                                 options, results_.data(), &gather));
        gather_.reset(gather);
    }

    void start_returning_exceptions()
    {
        const skua_gather_options options = {true, false};

        start(&options);
    }

    [[nodiscard]] skua_future *get() const
    {
        return gather_.get();
    }

    [[nodiscard]] int wait() const
    {
        return skua_await(gather_.get(), nullptr);
    }

    [[nodiscard]] const skua_gather_result &operator[](size_t index) const
    {
        return results_[index];
    }

    /** The values, or negative statuses, as numbers. */
    [[nodiscard]] Order values() const
    {
        Order values;

        for (const skua_gather_result &result : results_) {
            values.push_back(result.status < 0
                                 ? result.status
                                 : static_cast<int>(as_int(result.value)));
        }
        return values;
    }

  private:
    std::vector<skua_awaitable> awaitables_;
    std::vector<skua_gather_result> results_;
    std::vector<Future> owned_;
    Future gather_;
};

/** A child that takes a while to unwind. */
inline Body slow_to_unwind(std::atomic<int> &started, std::atomic<int> &ended,
                           int status)
{
    return [&, status] {
        started++;
        EXPECT_EQ(SKUA_ECANCELED, skua_sleep(SKUA_FOREVER));
        for (int i = 0; i < 5; i++) {
            EXPECT_EQ(0, skua_yield());
        }
        ended++;
        return status;
    };
}

} // namespace conformance

#endif
