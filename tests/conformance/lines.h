/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines.h - loggers that remember, and exception handlers that are lambdas.
 */
#ifndef SKUA_TESTS_CONFORMANCE_LINES_H
#define SKUA_TESTS_CONFORMANCE_LINES_H

#include "support.h"

namespace conformance
{

/** What the logger was given; installed while it lives. */
class Lines
{
  public:
    Lines()
    {
        EXPECT_EQ(0, skua_set_logger(record, this));
    }

    ~Lines()
    {
        EXPECT_EQ(0, skua_set_logger(nullptr, nullptr));
    }

    Lines(const Lines &) = delete;
    Lines &operator=(const Lines &) = delete;

    [[nodiscard]] std::vector<std::string> get() const
    {
        const std::scoped_lock lock(mutex_);
        return lines_;
    }

    [[nodiscard]] size_t size() const
    {
        return get().size();
    }

    /** How many messages contain `part`. */
    [[nodiscard]] size_t count(const std::string &part) const
    {
        size_t found = 0;

        for (const std::string &line : get()) {
            found += line.find(part) != std::string::npos ? 1 : 0;
        }
        return found;
    }

    [[nodiscard]] skua_log_level level() const
    {
        const std::scoped_lock lock(mutex_);
        return level_;
    }

  private:
    static void record(skua_log_level level, const char *message, void *arg)
    {
        auto *self = static_cast<Lines *>(arg);
        const std::scoped_lock lock(self->mutex_);

        self->level_ = level;
        self->lines_.emplace_back(message);
    }

    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
    skua_log_level level_ = SKUA_LOG_DEBUG;
};

using Handler =
    std::function<void(skua_loop *, const skua_exception_context *)>;

inline void call_handler(skua_loop *loop, const skua_exception_context *context,
                         void *arg)
{
    (*static_cast<Handler *>(arg))(loop, context);
}

inline void set_handler(skua_loop *loop, Handler &handler)
{
    ASSERT_EQ(0, skua_loop_set_exception_handler(loop, call_handler, &handler));
}

} // namespace conformance

#endif
