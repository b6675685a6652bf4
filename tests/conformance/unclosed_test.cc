/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unclosed_test.cc - requirement D-04: in debug mode what goes away without
 * having been closed is logged, with where it was made.
 */
#include "lines.h"

#include <algorithm>
#include <fcntl.h>

namespace conformance
{
namespace
{

/** A listener of this loop. */
skua_socket *listen_here()
{
    skua_listen_options options = {};
    skua_socket *listener = nullptr;

    options.host = "127.0.0.1";
    EXPECT_EQ(0, skua_sock_listen(&options, &listener));
    return listener;
}

skua_executor *make_executor()
{
    skua_executor *executor = nullptr;

    EXPECT_EQ(0, skua_thread_pool_executor_new(nullptr, &executor));
    return executor;
}

/** What is logged about a descriptor, up to its backtrace. */
std::string unclosed(const std::string &kind, int fd)
{
    return "unclosed " + kind + " of descriptor " + std::to_string(fd) +
           ", made at\n  #0 0x";
}

class Unclosed : public testing::Test, public Lambdas
{
  protected:
    Unclosed()
    {
        skua_loop_options options = {};

        options.debug = true;
        EXPECT_EQ(0, skua_loop_new(&options, &loop_));
    }

    ~Unclosed() override
    {
        EXPECT_EQ(0, skua_loop_close(loop_));
        skua_loop_unref(loop_);
    }

    skua_loop *loop_ = nullptr;
    Lines lines_;
};

TEST_F(Unclosed, D04_ASocketWhoseLastReferenceGoes)
{
    EXPECT_EQ(0, run(loop_, [&] {
                  skua_socket *listener = listen_here();
                  const int fd = skua_sock_fileno(listener);

                  skua_socket_unref(skua_socket_ref(listener));
                  EXPECT_EQ(0u, lines_.size()) << "not the last one";
                  skua_socket_unref(listener);
                  EXPECT_EQ(1u, lines_.count(unclosed("socket", fd)));
                  EXPECT_EQ(SKUA_LOG_WARNING, lines_.level());
                  EXPECT_EQ(-1, fcntl(fd, F_GETFD)) << "it was closed";
                  return 0;
              }));
    EXPECT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(1u, lines_.size()) << "only once";
}

TEST_F(Unclosed, D04_BothEndsOfAConnection)
{
    EXPECT_EQ(0, run(loop_, [&] {
                  skua_socket *listener = listen_here();
                  skua_socket *client = nullptr;
                  skua_socket *server = nullptr;
                  char host[64];
                  int port = 0;

                  EXPECT_EQ(0, skua_sock_getsockname(listener, host,
                                                     sizeof(host), &port));
                  EXPECT_EQ(0, skua_sock_connect(host, port, &client));
                  EXPECT_EQ(0, skua_sock_accept(listener, &server));
                  EXPECT_EQ(0, skua_sock_close(listener));
                  skua_socket_unref(listener);
                  EXPECT_EQ(0u, lines_.size());
                  skua_socket_unref(client);
                  EXPECT_EQ(1u, lines_.count("unclosed socket of descriptor "));
                  skua_socket_unref(server);
                  EXPECT_EQ(2u, lines_.count("unclosed socket of descriptor "));
                  return 0;
              }));
}

TEST_F(Unclosed, D04_AnExecutorThatWasNotShutDown)
{
    EXPECT_EQ(0, run(loop_, [&] {
                  skua_executor *executor = make_executor();
                  const Future work = submit(executor, [] { return 7; });

                  EXPECT_EQ(7, skua_await(work.get(), nullptr));
                  EXPECT_EQ(0u, lines_.size());
                  skua_executor_unref(executor);
                  return 0;
              }));
    EXPECT_EQ(1u, lines_.size());
    EXPECT_EQ(1u, lines_.count("unclosed executor, made at\n  #0 0x"));
    EXPECT_EQ(SKUA_LOG_WARNING, lines_.level());
}

TEST_F(Unclosed, D04_ALoop)
{
    skua_loop *loop = nullptr;
    skua_loop_options options = {};

    options.debug = true;
    ASSERT_EQ(0, skua_loop_new(&options, &loop));
    EXPECT_EQ(0, run(loop, [] { return 0; }));
    EXPECT_EQ(0u, lines_.size());
    skua_loop_unref(loop);
    EXPECT_EQ(1u, lines_.size());
    EXPECT_EQ(1u, lines_.count("unclosed loop, made at\n  #0 0x"));
    EXPECT_EQ(SKUA_LOG_WARNING, lines_.level());
    EXPECT_TRUE(skua_loop_is_closed(loop)) << "its memory stays a loop's";
}

TEST_F(Unclosed, D04_WhatALoopLeavesOpen)
{
    const Pipe pipe;
    skua_socket *listener = nullptr;
    skua_socket *other = nullptr;

    EXPECT_EQ(0, run(loop_, [&] {
                  listener = listen_here();
                  other = listen_here();
                  return 0;
              }));
    reader(loop_, pipe.reader(), [] {});
    reader(loop_, pipe.reader(), [] {});
    const int fd = skua_sock_fileno(listener);
    const int other_fd = skua_sock_fileno(other);

    EXPECT_EQ(0u, lines_.size());
    EXPECT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(3u, lines_.size());
    EXPECT_EQ(1u, lines_.count(unclosed("socket", fd)));
    EXPECT_EQ(1u, lines_.count(unclosed("socket", other_fd)));
    EXPECT_EQ(1u, lines_.count(unclosed("watch", pipe.reader())));
    EXPECT_EQ(SKUA_LOG_WARNING, lines_.level());
    EXPECT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(0, skua_sock_close(other));
    skua_socket_unref(other);
    skua_socket_unref(listener);
    EXPECT_EQ(3u, lines_.size()) << "each once";
    EXPECT_EQ(-1, fcntl(fd, F_GETFD)) << "it was closed";
}

TEST_F(Unclosed, D04_OtherLoopsAreLeftAlone)
{
    skua_loop *loop = nullptr;
    skua_loop_options options = {};
    skua_socket *here = nullptr;
    skua_socket *there = nullptr;

    options.debug = true;
    ASSERT_EQ(0, skua_loop_new(&options, &loop));
    EXPECT_EQ(0, run(loop, [&] {
                  there = listen_here();
                  return 0;
              }));
    EXPECT_EQ(0, run(loop_, [&] {
                  here = listen_here();
                  return 0;
              }));
    const int fd = skua_sock_fileno(there);

    EXPECT_EQ(0, skua_loop_close(loop));
    EXPECT_EQ(1u, lines_.size());
    EXPECT_EQ(1u, lines_.count(unclosed("socket", fd)));
    skua_socket_unref(there);
    EXPECT_EQ(0, skua_sock_close(here));
    skua_socket_unref(here);
    skua_loop_unref(loop);
    EXPECT_EQ(1u, lines_.size());
}

TEST_F(Unclosed, D04_WhatARunnerLeavesOpen)
{
    skua_runner_options options = {};
    skua_runner *runner = nullptr;
    std::atomic<skua_socket *> left[2] = {};

    options.loops = 2;
    options.no_sigint = true;
    options.debug = true;
    ASSERT_EQ(0, skua_runner_new(&options, &runner));
    Body body = [&] {
        for (unsigned i = 0; i < 2; i++) {
            Future task = spawn_on(
                skua_runner_get_loop(runner, i),
                [&left, i] {
                    left[i] = listen_here();
                    return 0;
                },
                true);

            EXPECT_EQ(0, skua_await(task.get(), nullptr));
        }
        /* It ends when it is cancelled, and closes what it has. */
        spawn([] {
            skua_socket *own = listen_here();
            const int status = skua_sleep(3600 * SKUA_S);

            EXPECT_EQ(SKUA_ECANCELED, status);
            EXPECT_EQ(0, skua_sock_close(own));
            skua_socket_unref(own);
            return status;
        });
        return skua_yield();
    };

    EXPECT_EQ(0, skua_runner_run(runner, run_body, &body, nullptr));
    EXPECT_EQ(0u, lines_.size());
    const int fds[2] = {skua_sock_fileno(left[0]), skua_sock_fileno(left[1])};

    EXPECT_EQ(0, skua_runner_close(runner));
    EXPECT_EQ(2u, lines_.size());
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(1u, lines_.count(unclosed("socket", fds[i])));
        skua_socket_unref(left[i]);
    }
    EXPECT_EQ(2u, lines_.size()) << "each once";
}

TEST_F(Unclosed, D04_WhatWasClosedIsSilent)
{
    const Pipe pipe;
    const int64_t before = skua_dump_leaks();
    const size_t lines_before = lines_.size();

    reader(loop_, pipe.reader(), [] {});
    EXPECT_EQ(1, skua_loop_remove_reader(loop_, pipe.reader()));
    EXPECT_EQ(0, run(loop_, [&] {
                  skua_socket *listener = listen_here();
                  skua_executor *executor = make_executor();
                  skua_socket *refused = nullptr;
                  char host[64];
                  int port = 0;

                  EXPECT_EQ(0, skua_sock_getsockname(listener, host,
                                                     sizeof(host), &port));
                  EXPECT_EQ(0, skua_sock_close(listener));
                  skua_socket_unref(listener);
                  EXPECT_EQ(-ECONNREFUSED,
                            skua_sock_connect(host, port, &refused));
                  EXPECT_EQ(0, skua_executor_shutdown(executor, true, false));
                  skua_executor_unref(executor);
                  executor = make_executor();
                  EXPECT_EQ(0, skua_executor_shutdown(executor, false, true));
                  skua_executor_unref(executor);
                  return 0;
              }));
    EXPECT_EQ(before, skua_dump_leaks());
    const size_t after = lines_.size();

    EXPECT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(after, lines_.size());
    EXPECT_EQ(0u, lines_.count("unclosed "));
    EXPECT_EQ(static_cast<size_t>(before), lines_before);
}

TEST_F(Unclosed, D04_TheDefaultExecutorIsTheLoops)
{
    EXPECT_EQ(0, run(loop_, [&] {
                  Future work = in_executor(skua_get_running_loop(), nullptr,
                                            [] { return 3; });
                  skua_executor *own = make_executor();

                  EXPECT_EQ(3, skua_await(work.get(), nullptr));
                  EXPECT_EQ(0, skua_loop_set_default_executor(
                                   skua_get_running_loop(), own));
                  skua_executor_unref(own); /* the loop has one */
                  return 0;
              }));
    EXPECT_EQ(0, skua_loop_close(loop_));
    EXPECT_EQ(0u, lines_.size());
}

TEST_F(Unclosed, D04_WithoutDebugModeNothingIsLogged)
{
    const Pipe pipe;
    const bool before = skua_get_debug();
    skua_socket *left = nullptr;
    skua_loop *loop = nullptr;

    ASSERT_EQ(0, skua_set_debug(false));
    ASSERT_EQ(0, skua_loop_new(nullptr, &loop));
    reader(loop, pipe.reader(), [] {});
    EXPECT_EQ(0, run(loop, [&] {
                  left = listen_here();
                  skua_socket_unref(listen_here());
                  skua_executor_unref(make_executor());
                  return 0;
              }));
    skua_loop_unref(loop);
    skua_socket_unref(left);
    skua_executor_unref(make_executor());
    ASSERT_EQ(0, skua_set_debug(before));
    EXPECT_EQ(0u, lines_.size());
}

TEST_F(Unclosed, D04_TheModeWhenItWasMadeCounts)
{
    EXPECT_EQ(0, run(loop_, [&] {
                  skua_socket *traced = listen_here();
                  const int fd = skua_sock_fileno(traced);
                  skua_socket *untraced = nullptr;

                  EXPECT_EQ(0, skua_loop_set_debug(loop_, false));
                  untraced = listen_here();
                  skua_socket_unref(traced);
                  EXPECT_EQ(1u, lines_.count(unclosed("socket", fd)));
                  EXPECT_EQ(0, skua_loop_set_debug(loop_, true));
                  skua_socket_unref(untraced);
                  return 0;
              }));
    EXPECT_EQ(1u, lines_.size());
}

/* A logger may use the library, and what it leaves open is logged in turn, by
 * the default logger. */
TEST_F(Unclosed, D04_ALoggerMayMakeAndDropObjectsItself)
{
    static std::atomic<int> calls;

    calls = 0;
    ASSERT_EQ(0, skua_set_logger(
                     [](skua_log_level, const char *, void *) {
                         calls++;
                         make_future().reset();
                         skua_socket *own = listen_here();

                         EXPECT_EQ(0, skua_sock_close(own));
                         skua_socket_unref(own);
                     },
                     nullptr));
    EXPECT_EQ(0, run(loop_, [] {
                  skua_socket_unref(listen_here());
                  return 0;
              }));
    EXPECT_EQ(1, calls);
}

/* Sockets of a loop that closes are given up by other threads just then: each
 * is told at most once, and the one that nobody gives up is told. */
TEST_F(Unclosed, D04_OthersMayCloseMeanwhile)
{
    constexpr size_t kSockets = 60;
    std::vector<skua_socket *> sockets;
    std::atomic<bool> begin = false;

    EXPECT_EQ(0, run(loop_, [&] {
                  for (size_t i = 0; i < kSockets; i++) {
                      sockets.push_back(listen_here());
                  }
                  return 0;
              }));
    const int fd = skua_sock_fileno(sockets[0]);
    std::thread closer([&] {
        while (!begin) {
            std::this_thread::yield();
        }
        for (size_t i = 1; i < kSockets; i++) {
            EXPECT_EQ(0, skua_sock_close(sockets[i]));
            skua_socket_unref(sockets[i]);
        }
    });

    begin = true;
    EXPECT_EQ(0, skua_loop_close(loop_));
    closer.join();
    EXPECT_EQ(1u, lines_.count(unclosed("socket", fd)));
    EXPECT_GE(kSockets, lines_.size());
    skua_socket_unref(sockets[0]);
    std::vector<std::string> lines = lines_.get();

    std::sort(lines.begin(), lines.end());
    EXPECT_EQ(lines.end(), std::adjacent_find(lines.begin(), lines.end()));
}

} // namespace
} // namespace conformance
