/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigint_test.cc - conformance 153: SIGINT, each in a process of its own.
 */
#include "child.h"
#include "support.h"

namespace conformance
{
namespace
{

class ConformanceSigint : public testing::TestWithParam<unsigned>,
                          public Lambdas
{
  protected:
    int run(Body body, bool no_sigint = false)
    {
        skua_runner_options options = {};

        options.loops = GetParam();
        options.no_sigint = no_sigint;
        return skua_run_with(&options, run_body, keeper_.body(std::move(body)),
                             nullptr);
    }
};

TEST_P(ConformanceSigint, N153_TheFirstCancelsMain)
{
    const int status = wait_for_child(start_child([&] {
        const int outcome = run([] {
            (void)kill(getpid(), SIGINT);
            return skua_sleep(SKUA_FOREVER);
        });
        struct sigaction after = {};

        CHILD_REQUIRE(outcome == -EINTR);
        CHILD_REQUIRE(sigaction(SIGINT, nullptr, &after) == 0);
        CHILD_REQUIRE(after.sa_handler == SIG_DFL);
        return 0;
    }));

    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST_P(ConformanceSigint, N153_ItWakesASleepingLoop)
{
    const Pipe pipe;
    const pid_t child = start_child([&] {
        CHILD_REQUIRE(run([&] {
                          pipe.put();
                          return skua_sleep(SKUA_FOREVER);
                      }) == -EINTR);
        return 0;
    });

    pipe.take();
    EXPECT_EQ(0, kill(child, SIGINT));
    EXPECT_EQ(0, wait_for_child(child));
}

TEST_P(ConformanceSigint, N153_TheSecondEndsTheProcess)
{
    const int status = wait_for_child(start_child([&] {
        (void)run([] {
            (void)kill(getpid(), SIGINT);
            while (skua_sleep(SKUA_S) == 0) {
            }
            (void)kill(getpid(), SIGINT);
            return skua_sleep(SKUA_FOREVER);
        });
        return 0;
    }));

    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(SIGINT, WTERMSIG(status));
}

TEST_P(ConformanceSigint, N153_ItInterruptsAStuckLoopTheSecondTime)
{
    if (kRaceDetector) {
        GTEST_SKIP() << "ThreadSanitizer defers signals to the next call";
    }
    const Pipe pipe;
    const pid_t child = start_child([&] {
        (void)run([&] {
            pipe.put();
            for (;;) {
                std::this_thread::yield();
            }
            return 0;
        });
        return 0;
    });

    pipe.take();
    EXPECT_EQ(0, kill(child, SIGINT));
    int status = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
        (void)kill(child, SIGINT);
        std::this_thread::yield();
    }
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(SIGINT, WTERMSIG(status));
}

TEST_P(ConformanceSigint, N153_ACaughtOneGivesTheResultOfMain)
{
    const int status = wait_for_child(start_child([&] {
        return run([] {
            (void)kill(getpid(), SIGINT);
            return skua_sleep(SKUA_FOREVER) == SKUA_ECANCELED ? 7 : 1;
        });
    }));

    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(7, WEXITSTATUS(status));
}

TEST_P(ConformanceSigint, N153_WithAnotherCancelTheResultIsCancelled)
{
    const int status = wait_for_child(start_child([&] {
        CHILD_REQUIRE(run([] {
                          skua_task *self = skua_current_task();

                          (void)kill(getpid(), SIGINT);
                          (void)skua_task_cancel(self);
                          while (skua_task_cancelling(self) < 2) {
                              (void)skua_yield();
                          }
                          return SKUA_ECANCELED;
                      }) == SKUA_ECANCELED);
        return 0;
    }));

    EXPECT_EQ(0, status);
}

volatile sig_atomic_t own_handler_calls;

void own_handler(int)
{
    own_handler_calls = own_handler_calls + 1;
}

TEST_P(ConformanceSigint, N153_AHandlerOfTheProgramIsNotReplaced)
{
    const int status = wait_for_child(start_child([&] {
        struct sigaction mine = {};
        struct sigaction after = {};

        mine.sa_handler = own_handler;
        CHILD_REQUIRE(sigaction(SIGINT, &mine, nullptr) == 0);
        CHILD_REQUIRE(run([] {
                          (void)kill(getpid(), SIGINT);
                          while (own_handler_calls == 0) {
                              (void)skua_yield();
                          }
                          return skua_yield();
                      }) == 0);
        CHILD_REQUIRE(sigaction(SIGINT, nullptr, &after) == 0);
        CHILD_REQUIRE(after.sa_handler == own_handler);
        return 0;
    }));

    EXPECT_EQ(0, status);
}

TEST_P(ConformanceSigint, N153_AnIgnoredSignalStaysIgnored)
{
    const int status = wait_for_child(start_child([&] {
        (void)signal(SIGINT, SIG_IGN);
        CHILD_REQUIRE(run([] {
                          (void)kill(getpid(), SIGINT);
                          return skua_sleep(SKUA_MS);
                      }) == 0);
        return 0;
    }));

    EXPECT_EQ(0, status);
}

TEST_P(ConformanceSigint, N153_ItCanBeLeftAlone)
{
    const int status = wait_for_child(start_child([&] {
        (void)run(
            [] {
                (void)kill(getpid(), SIGINT);
                return skua_sleep(SKUA_FOREVER);
            },
            true);
        return 0;
    }));

    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(SIGINT, WTERMSIG(status));
}

TEST_P(ConformanceSigint, N153_ARunAfterAnInterruptStartsAfresh)
{
    const int status = wait_for_child(start_child([&] {
        for (int i = 0; i < 3; i++) {
            CHILD_REQUIRE(run([] {
                              (void)kill(getpid(), SIGINT);
                              return skua_sleep(SKUA_FOREVER);
                          }) == -EINTR);
            CHILD_REQUIRE(run([] { return skua_yield(); }) == 0);
        }
        return 0;
    }));

    EXPECT_EQ(0, status);
}

TEST_P(ConformanceSigint, N153_OnlyTheMainThreadsRunnerListens)
{
    const int status = wait_for_child(start_child([&] {
        std::thread([&] {
            (void)run([] {
                (void)kill(getpid(), SIGINT);
                return skua_sleep(SKUA_FOREVER);
            });
        }).join();
        return 0;
    }));

    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(SIGINT, WTERMSIG(status));
}

INSTANTIATE_TEST_SUITE_P(Loops, ConformanceSigint, testing::Values(1, 2, 4));

} // namespace
} // namespace conformance
