// SPDX-License-Identifier: Apache-2.0
// Sockets between tasks, with one loop and with several.
#include "task_support.h"

#include <cerrno>
#include <cstring>
#include <csignal>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skua/memory.h>

#include "../../../io/listen.h"

namespace
{

class Loops : public testing::TestWithParam<unsigned>
{
  protected:
    // Run the body and expect it to end well.
    void Run(Body body) { EXPECT_EQ(RunTask(GetParam(), std::move(body)), 0); }
};

class SocketEcho : public Loops
{
};
class SocketRecv : public Loops
{
};
class SocketSend : public Loops
{
};
class SocketAccept : public Loops
{
};
class SocketConnect : public Loops
{
};
class SocketClose : public Loops
{
};

int64_t Soon() { return skua_monotonic() + 5 * SKUA_MS; }

// Receive exactly `bytes`, or up to the end of the stream.
std::string RecvAll(skua_socket *socket, size_t bytes)
{
    std::string text(bytes, '\0');
    size_t done = 0;

    while (done < bytes) {
        ssize_t moved =
            skua_sock_recv_into(socket, text.data() + done, bytes - done);

        EXPECT_GE(moved, 0);
        if (moved <= 0) {
            break;
        }
        done += static_cast<size_t>(moved);
    }
    text.resize(done);
    return text;
}

int Echo(skua_socket *socket)
{
    char buffer[512];
    ssize_t bytes;

    while ((bytes = skua_sock_recv_into(socket, buffer, sizeof(buffer))) > 0) {
        int status =
            skua_sock_sendall(socket, buffer, static_cast<size_t>(bytes));

        if (status < 0) {
            return status;
        }
    }
    return static_cast<int>(bytes);
}

void ResetOnClose(skua_socket *socket)
{
    const struct linger value = {1, 0};

    EXPECT_EQ(setsockopt(skua_sock_fileno(socket), SOL_SOCKET, SO_LINGER,
                         &value, sizeof(value)),
              0);
}

// Send until the kernel takes no more.
size_t FillSendBuffer(skua_socket *socket)
{
    std::vector<char> block(64 * 1024, 'x');
    size_t total = 0;
    ssize_t moved;

    while ((moved = skua_sock_send_until(socket, block.data(), block.size(),
                                         Soon())) > 0) {
        total += static_cast<size_t>(moved);
    }
    EXPECT_EQ(moved, -ETIMEDOUT);
    return total;
}

} // namespace

INSTANTIATE_TEST_SUITE_P(Io, SocketEcho, testing::Values(1u, 2u));
INSTANTIATE_TEST_SUITE_P(Io, SocketRecv, testing::Values(1u, 2u));
INSTANTIATE_TEST_SUITE_P(Io, SocketSend, testing::Values(1u, 2u));
INSTANTIATE_TEST_SUITE_P(Io, SocketAccept, testing::Values(1u, 2u));
INSTANTIATE_TEST_SUITE_P(Io, SocketConnect, testing::Values(1u, 2u));
INSTANTIATE_TEST_SUITE_P(Io, SocketClose, testing::Values(1u, 2u));

TEST_P(SocketEcho, ReturnsEveryMessage)
{
    Run([] {
        Pair pair;
        Task server([&] { return Echo(pair.server); });

        for (int i = 0; i < 200; i++) {
            std::string text = "message " + std::to_string(i);

            EXPECT_EQ(skua_sock_sendall(pair.client, text.data(), text.size()),
                      0);
            EXPECT_EQ(RecvAll(pair.client, text.size()), text);
        }
        EXPECT_EQ(skua_sock_shutdown(pair.client, SHUT_WR), 0);
        EXPECT_EQ(server.Await(), 0);
        return 0;
    });
}

TEST_P(SocketEcho, ServesManyConnectionsAtOnce)
{
    Run([] {
        Listener listener;
        std::vector<Task> tasks;

        tasks.emplace_back([&] {
            std::vector<Task> connections;
            std::vector<Socket> sockets(50);

            for (Socket &socket : sockets) {
                EXPECT_EQ(skua_sock_accept(listener, socket.Out()), 0);
                connections.emplace_back([&] { return Echo(socket); });
            }
            return 0;
        });
        for (int i = 0; i < 50; i++) {
            tasks.emplace_back([&listener, i] {
                Socket socket;
                std::string text = "hello " + std::to_string(i);

                EXPECT_EQ(
                    skua_sock_connect(nullptr, listener.port(), socket.Out()),
                    0);
                EXPECT_EQ(skua_sock_sendall(socket, text.data(), text.size()),
                          0);
                EXPECT_EQ(RecvAll(socket, text.size()), text);
                return 0;
            });
        }
        return 0;
    });
}

TEST_P(SocketRecv, GivesWhatIsThereInItsOwnMemory)
{
    Run([] {
        Pair pair;
        void *data = nullptr;

        EXPECT_EQ(skua_sock_sendall(pair.client, "hello", 5), 0);
        EXPECT_EQ(skua_sock_recv(pair.server, SIZE_MAX, &data), 5);
        EXPECT_EQ(std::memcmp(data, "hello", 5), 0);
        skua_release(data);
        return 0;
    });
}

TEST_P(SocketRecv, EndsWithZeroAgainAndAgainAfterHalfClose)
{
    Run([] {
        Pair pair;
        char byte;
        void *data = &byte;

        EXPECT_EQ(skua_sock_sendall(pair.client, "ab", 2), 0);
        EXPECT_EQ(skua_sock_shutdown(pair.client, SHUT_WR), 0);
        EXPECT_EQ(RecvAll(pair.server, 10), "ab");
        for (int i = 0; i < 3; i++) {
            EXPECT_EQ(skua_sock_recv_into(pair.server, &byte, 1), 0);
            EXPECT_EQ(skua_sock_recv(pair.server, 100, &data), 0);
            EXPECT_EQ(data, nullptr);
        }
        EXPECT_EQ(skua_sock_sendall(pair.server, "still", 5), 0);
        EXPECT_EQ(RecvAll(pair.client, 5), "still");
        return 0;
    });
}

TEST_P(SocketRecv, ReportsAReset)
{
    Run([] {
        Pair pair;
        char byte;
        Task reader([&] {
            return static_cast<int>(skua_sock_recv_into(pair.server, &byte, 1));
        });

        LetOthersRun();
        ResetOnClose(pair.client);
        EXPECT_EQ(skua_sock_close(pair.client), 0);
        EXPECT_EQ(reader.Await(), -ECONNRESET);
        return 0;
    });
}

TEST_P(SocketRecv, TimesOutAndWorksAfterwards)
{
    Run([] {
        Pair pair;
        char byte;
        void *data;

        EXPECT_EQ(skua_sock_recv_into_until(pair.server, &byte, 1, Soon()),
                  -ETIMEDOUT);
        EXPECT_EQ(skua_sock_recv_until(pair.server, 1, Soon(), &data),
                  -ETIMEDOUT);
        EXPECT_EQ(skua_sock_recv_into_until(pair.server, &byte, 1, 0),
                  -ETIMEDOUT);
        EXPECT_EQ(skua_sock_sendall(pair.client, "x", 1), 0);
        EXPECT_EQ(skua_sock_recv_into(pair.server, &byte, 1), 1);
        return 0;
    });
}

// Conformance 66.
TEST_P(SocketRecv, N066_CancelledWaitEndsAndTheNextOneWorks)
{
    Run([] {
        Pair pair;
        char byte = 0;
        Body recv_one = [&] {
            return static_cast<int>(skua_sock_recv_into(pair.server, &byte, 1));
        };

        for (int i = 0; i < 20; i++) {
            Task cancelled(recv_one);

            LetOthersRun();
            EXPECT_EQ(cancelled.Cancel(), SKUA_ECANCELED);
            Task reader(recv_one);
            EXPECT_EQ(skua_sock_sendall(pair.client, "x", 1), 0);
            EXPECT_EQ(reader.Await(), 1);
            EXPECT_EQ(byte, 'x');
        }
        return 0;
    });
}

TEST_P(SocketRecv, RefusesASecondReader)
{
    Run([] {
        Pair pair;
        char byte;
        Body recv_one = [&] {
            return static_cast<int>(skua_sock_recv_into(pair.server, &byte, 1));
        };
        Task first(recv_one);

        LetOthersRun();
        int status = static_cast<int>(
            skua_sock_recv_into_until(pair.server, &byte, 1, Soon()));
        if (status == -ETIMEDOUT) { // this one was the first
            EXPECT_EQ(skua_sock_sendall(pair.client, "x", 1), 0);
        } else {
            EXPECT_EQ(status, -EBUSY);
            EXPECT_EQ(skua_sock_sendall(pair.client, "x", 1), 0);
            EXPECT_EQ(first.Await(), 1);
        }
        return 0;
    });
}

TEST_P(SocketSend, MovesMoreThanTheKernelHolds)
{
    Run([] {
        Pair pair;
        std::string text(8 * 1024 * 1024, 'a');

        for (size_t i = 0; i < text.size(); i++) {
            text[i] = static_cast<char>('a' + i % 23);
        }
        Task writer([&] {
            return skua_sock_sendall(pair.client, text.data(), text.size());
        });
        EXPECT_TRUE(RecvAll(pair.server, text.size()) == text);
        EXPECT_EQ(writer.Await(), 0);
        return 0;
    });
}

TEST_P(SocketSend, SendsBuffersInOrder)
{
    Run([] {
        Pair pair;
        std::string expected;
        std::vector<std::string> parts;
        std::vector<iovec> buffers;
        size_t sent = 0;

        for (int i = 0; i < 3000; i++) {
            parts.emplace_back(static_cast<size_t>(i % 1500),
                               static_cast<char>('a' + i % 26));
            expected += parts.back();
        }
        buffers.reserve(parts.size());
        for (std::string &part : parts) {
            buffers.push_back({part.data(), part.size()});
        }
        Task writer([&] {
            return skua_sock_sendmsg_all_until(pair.client, buffers.data(),
                                               buffers.size(), SKUA_FOREVER,
                                               &sent);
        });
        EXPECT_TRUE(RecvAll(pair.server, expected.size()) == expected);
        EXPECT_EQ(writer.Await(), 0);
        EXPECT_EQ(sent, expected.size());
        EXPECT_EQ(skua_sock_sendmsg(pair.client, buffers.data() + 1, 3), 6);
        EXPECT_EQ(RecvAll(pair.server, 6).size(), 6u);
        return 0;
    });
}

TEST_P(SocketSend, TellsHowMuchWasSentBeforeTheDeadline)
{
    Run([] {
        Pair pair;
        std::vector<char> block(16 * 1024 * 1024, 'x');
        size_t sent = SIZE_MAX;

        EXPECT_EQ(skua_sock_sendall_until(pair.client, block.data(),
                                          block.size(), Soon(), &sent),
                  -ETIMEDOUT);
        EXPECT_GT(sent, 0u);
        EXPECT_LT(sent, block.size());
        EXPECT_EQ(RecvAll(pair.server, sent).size(), sent);
        EXPECT_EQ(skua_sock_sendall(pair.client, "end", 3), 0);
        EXPECT_EQ(RecvAll(pair.server, 3), "end");
        return 0;
    });
}

TEST_P(SocketSend, CancelledWhileFullAndWorksAfterwards)
{
    Run([] {
        Pair pair;
        size_t total = FillSendBuffer(pair.client);
        Task writer([&] { return skua_sock_sendall(pair.client, "y", 1); });

        LetOthersRun();
        EXPECT_EQ(writer.Cancel(), SKUA_ECANCELED);
        EXPECT_EQ(RecvAll(pair.server, total).size(), total);
        EXPECT_EQ(skua_sock_sendall(pair.client, "z", 1), 0);
        EXPECT_EQ(RecvAll(pair.server, 1), "z");
        return 0;
    });
}

TEST_P(SocketSend, FailsWithoutASignalWhenThePeerIsGone)
{
    Run([] {
        Pair pair;
        std::string text(1000, 'x');
        int status = 0;

        EXPECT_EQ(skua_sock_close(pair.server), 0);
        for (int i = 0; i < 100000 && status == 0; i++) {
            status = skua_sock_sendall(pair.client, text.data(), text.size());
        }
        EXPECT_TRUE(status == -EPIPE || status == -ECONNRESET) << status;
        EXPECT_EQ(skua_sock_sendall(pair.client, "x", 1), -EPIPE);
        return 0;
    });
}

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
    ~NoMoreDescriptors() { EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0); }
    NoMoreDescriptors(const NoMoreDescriptors &) = delete;
    NoMoreDescriptors &operator=(const NoMoreDescriptors &) = delete;

  private:
    struct rlimit before_ = {};
};

} // namespace

// Conformance 143. One loop: the exception handler belongs to one.
TEST(SocketAcceptShortage, N143_ReportsPausesAndGoesOn)
{
    int reports = 0;

    skui_accept_set_pause(20 * SKUA_MS);
    EXPECT_EQ(
        RunTask(1,
                [&] {
                    Listener listener;
                    Socket client;
                    Socket server;

                    skua_loop_set_exception_handler(skua_get_running_loop(),
                                                    CountReports, &reports);
                    EXPECT_EQ(skua_sock_connect(nullptr, listener.port(),
                                                client.Out()),
                              0);
                    {
                        NoMoreDescriptors limit;
                        EXPECT_EQ(skua_sock_accept_until(listener, Soon(),
                                                         server.Out()),
                                  -ETIMEDOUT);
                        EXPECT_EQ(reports, 1);
                        Task acceptor([&] {
                            return skua_sock_accept(listener, server.Out());
                        });
                        skua_sleep(50 * SKUA_MS);
                        EXPECT_GE(reports, 2);
                        EXPECT_LE(reports, 5);
                        EXPECT_EQ(acceptor.Cancel(), SKUA_ECANCELED);
                    }
                    EXPECT_EQ(skua_sock_accept(listener, server.Out()), 0);
                    return 0;
                }),
        0);
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

TEST_P(SocketConnect, ReportsRefusal)
{
    Run([] {
        Socket client;
        int port;

        {
            Listener listener;
            port = listener.port();
        }
        EXPECT_EQ(skua_sock_connect("127.0.0.1", port, client.Out()),
                  -ECONNREFUSED);
        return 0;
    });
}

TEST_P(SocketConnect, TimesOutAndIsCancelled)
{
    Run([] {
        Listener listener(1);
        std::vector<Socket> clients(8);
        Socket late;
        int status = 0;

        // A full backlog drops what comes after it without an answer.
        for (Socket &client : clients) {
            status = skua_sock_connect_until(nullptr, listener.port(), Soon(),
                                             client.Out());
            if (status < 0) {
                break;
            }
        }
        EXPECT_EQ(status, -ETIMEDOUT);
        Task cancelled([&] {
            return skua_sock_connect(nullptr, listener.port(), late.Out());
        });
        LetOthersRun();
        EXPECT_EQ(cancelled.Cancel(), SKUA_ECANCELED);
        return 0;
    });
}

TEST_P(SocketClose, WakesReaderWriterAndAcceptor)
{
    Run([] {
        Pair pair;
        Listener listener;
        Socket server;
        char byte;

        FillSendBuffer(pair.client);
        Task reader([&] {
            return static_cast<int>(skua_sock_recv_into(pair.client, &byte, 1));
        });
        Task writer([&] { return skua_sock_sendall(pair.client, "x", 1); });
        Task acceptor([&] { return skua_sock_accept(listener, server.Out()); });

        LetOthersRun();
        EXPECT_EQ(skua_sock_close(pair.client), 0);
        EXPECT_EQ(skua_sock_close(pair.client), 0);
        EXPECT_EQ(skua_sock_close(listener), 0);
        EXPECT_EQ(reader.Await(), -EBADF);
        EXPECT_EQ(writer.Await(), -EBADF);
        EXPECT_EQ(acceptor.Await(), -EBADF);
        EXPECT_EQ(skua_sock_recv_into(pair.client, &byte, 1), -EBADF);
        EXPECT_EQ(skua_sock_sendall(pair.client, "x", 1), -EBADF);
        EXPECT_EQ(skua_sock_accept(listener, server.Out()), -EBADF);
        EXPECT_EQ(skua_sock_fileno(pair.client), -EBADF);
        EXPECT_EQ(skua_sock_shutdown(pair.client, SHUT_RD), -EBADF);
        EXPECT_EQ(skua_sock_nodelay(pair.client, true), -EBADF);
        return 0;
    });
}

TEST_P(SocketClose, LeavesTheNextUserOfTheNumberAlone)
{
    Run([] {
        for (int i = 0; i < 200; i++) {
            Pair old;
            EXPECT_EQ(skua_sock_sendall(old.client, "stale", 5), 0);
            EXPECT_EQ(skua_sock_close(old.server), 0);
            Pair next; // takes over numbers and records
            char byte;
            EXPECT_EQ(skua_sock_recv_into_until(next.server, &byte, 1, 0),
                      -ETIMEDOUT);
            EXPECT_EQ(skua_sock_sendall(next.client, "n", 1), 0);
            EXPECT_EQ(skua_sock_recv_into(next.server, &byte, 1), 1);
            EXPECT_EQ(byte, 'n');
        }
        return 0;
    });
}

TEST(SocketLoopClosed, LeavesOnlyClosing)
{
    skua_loop *loop = nullptr;
    Socket listener;
    Socket server;
    int fd = -1;
    Body make = [&] {
        Listener made;
        listener = std::move(made.socket());
        fd = skua_sock_fileno(listener);
        return 0;
    };

    ASSERT_EQ(skua_loop_new(nullptr, &loop), 0);
    EXPECT_EQ(skua_loop_run_until_complete(
                  loop, skua_awaitable_call(CallBody, &make), nullptr),
              0);
    EXPECT_EQ(skua_loop_close(loop), 0);
    skua_loop_unref(loop);
    EXPECT_EQ(RunTask(1,
                      [&] {
                          EXPECT_EQ(skua_sock_accept(listener, server.Out()),
                                    SKUA_ECLOSED);
                          return 0;
                      }),
              0);
    EXPECT_EQ(skua_sock_close(listener), 0);
    EXPECT_EQ(fcntl(fd, F_GETFD), -1);
}

TEST(SocketNew, WrapsAUsersDescriptor)
{
    EXPECT_EQ(
        RunTask(1,
                [] {
                    int fds[2];
                    Socket first;
                    Socket second;

                    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
                    EXPECT_EQ(skua_socket_new(fds[0], first.Out()), 0);
                    EXPECT_EQ(skua_socket_new(fds[1], second.Out()), 0);
                    EXPECT_EQ(skua_sock_sendall(first, "hello", 5), 0);
                    EXPECT_EQ(RecvAll(second, 5), "hello");
                    EXPECT_EQ(skua_sock_nodelay(first, true), -EOPNOTSUPP);
                    EXPECT_EQ(skua_sock_getsockname(first, nullptr, 0, nullptr),
                              -EAFNOSUPPORT);
                    EXPECT_EQ(skua_socket_new(fds[0], second.Out()), -EEXIST);
                    EXPECT_EQ(skua_socket_new(-1, second.Out()), -EBADF);
                    EXPECT_EQ(pipe(fds), 0);
                    EXPECT_EQ(skua_socket_new(fds[0], second.Out()), -ENOTSOCK);
                    close(fds[0]);
                    close(fds[1]);
                    return 0;
                }),
        0);
}

TEST(SocketNew, WaitsWithoutSpinningOnAnUnconnectedSocket)
{
    EXPECT_EQ(RunTask(1,
                      [] {
                          int fd = socket(AF_INET, SOCK_DGRAM, 0);
                          Socket socket;
                          char byte;

                          EXPECT_EQ(skua_socket_new(fd, socket.Out()), 0);
                          EXPECT_EQ(skua_sock_recv_into_until(socket, &byte, 1,
                                                              Soon()),
                                    -ETIMEDOUT);
                          return 0;
                      }),
              0);
}

TEST(SocketMisuse, IsRefusedInATask)
{
    EXPECT_EQ(
        RunTask(
            1,
            [] {
                Pair pair;
                Socket out;
                char byte = 'x';
                void *data;
                size_t sent = 7;
                iovec null_buffer = {nullptr, 1};
                iovec huge[2] = {{&byte, SIZE_MAX / 2}, {&byte, SIZE_MAX / 2}};
                skua_listen_options options = {};

                EXPECT_EQ(skua_sock_listen(nullptr, nullptr), -EINVAL);
                options.port = 65536;
                EXPECT_EQ(skua_sock_listen(&options, out.Out()), -EINVAL);
                options.port = 0;
                options.backlog = -1;
                EXPECT_EQ(skua_sock_listen(&options, out.Out()), -EINVAL);
                options.backlog = 0;
                options.host = "no.number";
                EXPECT_EQ(skua_sock_listen(&options, out.Out()), -EINVAL);
                EXPECT_EQ(skua_sock_connect("x", 1, out.Out()), -EINVAL);
                EXPECT_EQ(skua_sock_connect(nullptr, 0, out.Out()), -EINVAL);
                EXPECT_EQ(skua_sock_connect(nullptr, -1, out.Out()), -EINVAL);
                EXPECT_EQ(skua_sock_connect(nullptr, 1, nullptr), -EINVAL);
                EXPECT_EQ(skua_sock_connect_until(nullptr, 1, SKUA_NOT_A_TIME,
                                                  out.Out()),
                          -EINVAL);
                EXPECT_EQ(skua_sock_accept(nullptr, out.Out()), -EINVAL);
                EXPECT_EQ(skua_sock_accept(pair.server, nullptr), -EINVAL);
                EXPECT_EQ(skua_sock_accept(pair.server, out.Out()), -EINVAL);
                EXPECT_EQ(skua_sock_recv(nullptr, 1, &data), -EINVAL);
                EXPECT_EQ(skua_sock_recv(pair.server, 0, &data), -EINVAL);
                EXPECT_EQ(skua_sock_recv(pair.server, 1, nullptr), -EINVAL);
                EXPECT_EQ(skua_sock_recv_into(nullptr, &byte, 1), -EINVAL);
                EXPECT_EQ(skua_sock_recv_into(pair.server, nullptr, 1),
                          -EINVAL);
                EXPECT_EQ(skua_sock_recv_into(pair.server, &byte, SIZE_MAX),
                          -EINVAL);
                EXPECT_EQ(skua_sock_recv_into_until(pair.server, &byte, 1,
                                                    SKUA_NOT_A_TIME),
                          -EINVAL);
                EXPECT_EQ(skua_sock_send(nullptr, &byte, 1), -EINVAL);
                EXPECT_EQ(skua_sock_send(pair.client, nullptr, 1), -EINVAL);
                EXPECT_EQ(skua_sock_send(pair.client, &byte, SIZE_MAX),
                          -EINVAL);
                EXPECT_EQ(skua_sock_send(pair.client, nullptr, 0), 0);
                EXPECT_EQ(skua_sock_sendall(pair.client, nullptr, 0), 0);
                EXPECT_EQ(skua_sock_sendall_until(pair.client, nullptr, 1,
                                                  SKUA_FOREVER, &sent),
                          -EINVAL);
                EXPECT_EQ(sent, 0u);
                EXPECT_EQ(skua_sock_sendmsg(pair.client, nullptr, 1), -EINVAL);
                EXPECT_EQ(skua_sock_sendmsg(pair.client, &null_buffer, 1),
                          -EINVAL);
                EXPECT_EQ(skua_sock_sendmsg_all(pair.client, huge, 2), -EINVAL);
                EXPECT_EQ(skua_sock_shutdown(nullptr, SHUT_RD), -EINVAL);
                EXPECT_EQ(skua_sock_shutdown(pair.client, 17), -EINVAL);
                EXPECT_EQ(skua_sock_close(nullptr), -EINVAL);
                EXPECT_EQ(skua_sock_fileno(nullptr), -EINVAL);
                EXPECT_EQ(skua_sock_nodelay(nullptr, true), -EINVAL);
                EXPECT_EQ(skua_sock_getsockname(nullptr, nullptr, 0, nullptr),
                          -EINVAL);
                EXPECT_EQ(skua_sock_getpeername(nullptr, nullptr, 0, nullptr),
                          -EINVAL);
                EXPECT_EQ(skua_socket_ref(nullptr), nullptr);
                skua_socket_unref(nullptr);
                return 0;
            }),
        0);
}

TEST(SocketMisuse, NeedsATask)
{
    Socket out;

    EXPECT_EQ(skua_sock_listen(nullptr, out.Out()), SKUA_ENOLOOP);
    EXPECT_EQ(skua_sock_connect(nullptr, 1, out.Out()), SKUA_ENOLOOP);
    EXPECT_EQ(skua_socket_new(0, out.Out()), SKUA_ENOLOOP);
}
