// SPDX-License-Identifier: Apache-2.0
// Listeners and accepting.
#include "task_support.h"

#include <sys/resource.h>
#include <unistd.h>

#include "../../../io/listen.h"

namespace
{

class SocketAccept : public Loops
{
};

} // namespace

INSTANTIATE_TEST_SUITE_P(Io, SocketAccept, testing::Values(1u, 2u));

TEST_P(SocketAccept, N066_CancelledWaitEndsAndTheNextOneWorks)
{
    Run([] {
        Listener listener;
        Socket client;
        Socket server;
        Task cancelled(
            [&] { return skua_sock_accept(listener, server.Out()); });

        LetOthersRun();
        EXPECT_EQ(cancelled.Cancel(), SKUA_ECANCELED);
        EXPECT_EQ(skua_sock_accept_until(listener, Soon(), server.Out()),
                  -ETIMEDOUT);
        EXPECT_EQ(skua_sock_connect("127.0.0.1", listener.port(), client.Out()),
                  0);
        EXPECT_EQ(skua_sock_accept(listener, server.Out()), 0);
        return 0;
    });
}

TEST_P(SocketAccept, NamesBothEnds)
{
    Run([] {
        Pair pair;
        char host[SKUA_HOST_BYTES];
        int port = 0;
        int other = 0;

        EXPECT_EQ(skua_sock_getsockname(pair.client, host, sizeof(host), &port),
                  0);
        EXPECT_STREQ(host, "127.0.0.1");
        EXPECT_EQ(
            skua_sock_getpeername(pair.server, host, sizeof(host), &other), 0);
        EXPECT_STREQ(host, "127.0.0.1");
        EXPECT_EQ(port, other);
        EXPECT_EQ(skua_sock_getsockname(pair.client, host, 3, nullptr),
                  -ENOSPC);
        return 0;
    });
}

TEST_P(SocketAccept, SharesAPortAndListensEverywhere)
{
    Run([] {
        skua_listen_options options = {};
        Socket first;
        Socket second;
        Socket client;
        Socket server;

        options.reuse_port = true;
        EXPECT_EQ(skua_sock_listen(&options, first.Out()), 0);
        EXPECT_EQ(skua_sock_getsockname(first, nullptr, 0, &options.port), 0);
        EXPECT_EQ(skua_sock_listen(&options, second.Out()), 0);
        options.reuse_port = false;
        Socket third;
        EXPECT_EQ(skua_sock_listen(&options, third.Out()), -EADDRINUSE);
        EXPECT_EQ(skua_sock_close(second), 0);
        EXPECT_EQ(skua_sock_connect(nullptr, options.port, client.Out()), 0);
        EXPECT_EQ(skua_sock_accept(first, server.Out()), 0);
        char host[SKUA_HOST_BYTES] = "";
        EXPECT_EQ(skua_sock_getpeername(server, host, sizeof(host), nullptr),
                  0);
        EXPECT_STREQ(host, "127.0.0.1");
        return 0;
    });
}

namespace
{

void CountReports(skua_loop *, const skua_exception_context *context, void *arg)
{
    EXPECT_STREQ(context->message, "socket.accept() out of system resource");
    EXPECT_EQ(context->status, -EMFILE);
    ++*static_cast<int *>(arg);
}

// No descriptor can be opened while one lives.
class NoMoreDescriptors
{
  public:
    NoMoreDescriptors()
    {
        EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
        int next = dup(0);
        EXPECT_GE(next, 0);
        close(next);
        const struct rlimit limit = {static_cast<rlim_t>(next),
                                     before_.rlim_max};
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
    ~NoMoreDescriptors()
    {
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0);
    }
    NoMoreDescriptors(const NoMoreDescriptors &) = delete;
    NoMoreDescriptors &operator=(const NoMoreDescriptors &) = delete;

  private:
    struct rlimit before_ = {};
};

} // namespace

// Conformance 143. One loop: the exception handler belongs to one.
TEST(SocketAcceptShortage, N143_ReportsPausesAndGoesOn)
{
    constexpr int64_t kPauseNs = 20 * SKUA_MS;
    int reports = 0;
    Body body = [&] {
        Listener listener;
        std::vector<Socket> clients(8);
        Socket server;

        skua_loop_set_exception_handler(skua_get_running_loop(), CountReports,
                                        &reports);
        for (Socket &client : clients) {
            EXPECT_EQ(skua_sock_connect(nullptr, listener.port(), client.Out()),
                      0);
        }
        {
            NoMoreDescriptors limit;
            int64_t start_ns = skua_monotonic();

            EXPECT_EQ(skua_sock_accept_until(listener, Soon(), server.Out()),
                      -ETIMEDOUT);
            EXPECT_EQ(reports, 1);
            Task acceptor(
                [&] { return skua_sock_accept(listener, server.Out()); });
            while (reports < 4) {
                EXPECT_EQ(skua_sleep(SKUA_MS), 0);
            }
            EXPECT_GE(skua_monotonic() - start_ns, 2 * kPauseNs);
            EXPECT_EQ(acceptor.Cancel(), SKUA_ECANCELED);
        }
        // valgrind drops what it refuses to accept, hence another one.
        EXPECT_EQ(skua_sock_connect(nullptr, listener.port(), clients[0].Out()),
                  0);
        EXPECT_EQ(skua_sock_accept(listener, server.Out()), 0);
        return 0;
    };

    skui_accept_set_pause(kPauseNs);
    EXPECT_EQ(RunTask(1, body), 0);
    skui_accept_set_pause(1 * SKUA_S);
}

TEST(SocketAcceptShortage, ClosingTheListenerEndsThePause)
{
    int reports = 0;

    EXPECT_EQ(RunTask(1,
                      [&] {
                          Listener listener;
                          Socket client;
                          Socket server;

                          skua_loop_set_exception_handler(
                              skua_get_running_loop(), CountReports, &reports);
                          EXPECT_EQ(skua_sock_connect(nullptr, listener.port(),
                                                      client.Out()),
                                    0);
                          NoMoreDescriptors limit;
                          Task acceptor([&] {
                              return skua_sock_accept(listener, server.Out());
                          });
                          LetOthersRun();
                          EXPECT_EQ(reports, 1);
                          EXPECT_EQ(skua_sock_close(listener), 0);
                          EXPECT_EQ(acceptor.Await(), -EBADF);
                          return 0;
                      }),
              0);
}
