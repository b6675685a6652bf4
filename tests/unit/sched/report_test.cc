/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace
{

skua_exception *make(int status, const std::string &message)
{
    skua_exception *exception = nullptr;

    EXPECT_EQ(0, skua_exception_new(&exception, status, "%s", message.c_str()));
    return exception;
}

std::string format(const skua_exception_context &context, size_t bytes)
{
    std::string text(bytes, '#');

    skui_report_format(&context, text.data(), bytes);
    return text.c_str();
}

TEST(ReportFormat, TellsTheChildrenOfAGroup)
{
    constexpr int kChildren = 20;
    skua_exception *children[kChildren];
    skua_exception_context context = {};

    for (int i = 0; i < kChildren; i++) {
        children[i] = make(-EPIPE, "child " + std::to_string(i));
    }
    context.message = "a group";
    context.status = SKUA_EGROUP;
    context.exception =
        skui_exception_group(SKUA_EGROUP, "in all", children, kChildren);
    ASSERT_NE(nullptr, context.exception);
    const std::string text = format(context, 8192);
    skua_exception_unref(context.exception);
    EXPECT_EQ(0u, text.find("a group: several children failed (-4104): in all"
                            "\n  child 0: Broken pipe (-32): child 0"
                            "\n  child 1: Broken pipe (-32): child 1\n"));
    EXPECT_NE(std::string::npos, text.find("child 15"));
    EXPECT_EQ(std::string::npos, text.find("child 16"));
    EXPECT_NE(std::string::npos, text.find("\n  and 4 more"));
}

TEST(ReportFormat, TellsCausesOneBelowTheOther)
{
    skua_exception_context context = {};

    (void)skua_raise(-EIO, "first");
    (void)skua_raise(-EPIPE, "then");
    (void)skua_raise(-ENOENT, "last");
    context.message = "x";
    context.exception = skua_current_exception();
    context.status = skua_exception_status(context.exception);
    EXPECT_EQ("x: No such file or directory (-2): last"
              "\n  caused by: Broken pipe (-32): then"
              "\n    caused by: Input/output error (-5): first",
              format(context, 4096));
    while (skua_current_exception() != nullptr) {
        skui_frame_set_exception(skui_frame_current(), nullptr);
    }
}

TEST(ReportFormat, CutsWhatDoesNotFit)
{
    void *const frames[2] = {nullptr, nullptr};
    skua_exception_context context = {};

    context.message = "0123456789";
    context.source_traceback = frames;
    context.source_frames = 2;
    for (size_t bytes = 1; bytes < 80; bytes++) {
        const std::string whole = format(context, 4096);

        EXPECT_EQ(whole.substr(0, bytes - 1), format(context, bytes));
    }
}

TEST(ReportFormat, LimitsTheDepthOfCauses)
{
    skua_exception_context context = {};

    for (int i = 0; i < 100; i++) {
        (void)skua_raise(-EIO, "cause %d", i);
    }
    context.status = -EIO;
    context.exception = skua_current_exception();
    const std::string text = format(context, 65536);
    EXPECT_NE(std::string::npos, text.find("cause 99"));
    EXPECT_EQ(std::string::npos, text.find("cause 50"));
    skui_frame_set_exception(skui_frame_current(), nullptr);
}

} // namespace
