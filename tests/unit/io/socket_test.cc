// SPDX-License-Identifier: Apache-2.0
// The socket object: closing, wrapping, misuse.
#include "task_support.h"

#include <thread>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

class SocketClose : public Loops
{
};

} // namespace

INSTANTIATE_TEST_SUITE_P(Io, SocketClose, testing::Values(1u, 2u));

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

TEST_P(SocketClose, FromAPlainThreadWakesTheReader)
{
    Run([] {
        Pair pair;
        char byte;
        Task reader([&] {
            return static_cast<int>(skua_sock_recv_into(pair.client, &byte, 1));
        });

        LetOthersRun();
        std::thread closer([&] {
            EXPECT_EQ(skua_sock_recv_into(pair.client, &byte, 1), SKUA_ENOLOOP);
            EXPECT_EQ(skua_sock_close(pair.client), 0);
        });
        EXPECT_EQ(reader.Await(), -EBADF);
        closer.join();
        return 0;
    });
}

TEST(SocketForked, ChildIsRefusedAndLeavesTheParentAlone)
{
    EXPECT_EQ(RunTask(1,
                      [] {
                          Pair pair;
                          char byte = 0;
                          int status = -1;
                          pid_t child = fork();

                          if (child == 0) {
                              bool refused =
                                  skua_sock_recv_into(pair.server, &byte, 1) ==
                                      SKUA_EFORKED &&
                                  skua_sock_shutdown(pair.server, SHUT_RDWR) ==
                                      SKUA_EFORKED;
                              bool closed = skua_sock_close(pair.server) == 0;
                              _exit(refused && closed ? 0 : 1);
                          }
                          EXPECT_EQ(waitpid(child, &status, 0), child);
                          EXPECT_EQ(status, 0);
                          Task reader([&] {
                              return static_cast<int>(
                                  skua_sock_recv_into(pair.server, &byte, 1));
                          });
                          LetOthersRun();
                          EXPECT_EQ(skua_sock_sendall(pair.client, "x", 1), 0);
                          EXPECT_EQ(reader.Await(), 1);
                          return 0;
                      }),
              0);
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

TEST(SocketMisuse, OfOpeningIsRefused)
{
    Body body = [] {
        Pair pair;
        Socket out;
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
        EXPECT_EQ(
            skua_sock_connect_until(nullptr, 1, SKUA_NOT_A_TIME, out.Out()),
            -EINVAL);
        EXPECT_EQ(skua_sock_accept(nullptr, out.Out()), -EINVAL);
        EXPECT_EQ(skua_sock_accept(pair.server, nullptr), -EINVAL);
        EXPECT_EQ(skua_sock_accept(pair.server, out.Out()), -EINVAL);
        return 0;
    };

    EXPECT_EQ(RunTask(1, body), 0);
}

TEST(SocketMisuse, OfMovingDataIsRefused)
{
    Body body = [] {
        Pair pair;
        char byte = 'x';
        void *data;
        size_t sent = 7;
        iovec null_buffer = {nullptr, 1};
        iovec huge[2] = {{&byte, SIZE_MAX / 2}, {&byte, SIZE_MAX / 2}};

        EXPECT_EQ(skua_sock_recv(nullptr, 1, &data), -EINVAL);
        EXPECT_EQ(skua_sock_recv(pair.server, 0, &data), -EINVAL);
        EXPECT_EQ(skua_sock_recv(pair.server, 1, nullptr), -EINVAL);
        EXPECT_EQ(skua_sock_recv_into(nullptr, &byte, 1), -EINVAL);
        EXPECT_EQ(skua_sock_recv_into(pair.server, nullptr, 1), -EINVAL);
        EXPECT_EQ(skua_sock_recv_into(pair.server, &byte, SIZE_MAX), -EINVAL);
        EXPECT_EQ(
            skua_sock_recv_into_until(pair.server, &byte, 1, SKUA_NOT_A_TIME),
            -EINVAL);
        EXPECT_EQ(skua_sock_send(nullptr, &byte, 1), -EINVAL);
        EXPECT_EQ(skua_sock_send(pair.client, nullptr, 1), -EINVAL);
        EXPECT_EQ(skua_sock_send(pair.client, &byte, SIZE_MAX), -EINVAL);
        EXPECT_EQ(skua_sock_send(pair.client, nullptr, 0), 0);
        EXPECT_EQ(skua_sock_sendall(pair.client, nullptr, 0), 0);
        EXPECT_EQ(skua_sock_sendall_until(pair.client, nullptr, 1, SKUA_FOREVER,
                                          &sent),
                  -EINVAL);
        EXPECT_EQ(sent, 0u);
        EXPECT_EQ(skua_sock_sendmsg(pair.client, nullptr, 1), -EINVAL);
        EXPECT_EQ(skua_sock_sendmsg(pair.client, &null_buffer, 1), -EINVAL);
        EXPECT_EQ(skua_sock_sendmsg_all(pair.client, huge, 2), -EINVAL);
        return 0;
    };

    EXPECT_EQ(RunTask(1, body), 0);
}

TEST(SocketMisuse, OfTheRestIsRefused)
{
    Body body = [] {
        Pair pair;

        EXPECT_EQ(skua_sock_shutdown(nullptr, SHUT_RD), -EINVAL);
        EXPECT_EQ(skua_sock_shutdown(pair.client, 17), -EINVAL);
        EXPECT_EQ(skua_sock_close(nullptr), -EINVAL);
        EXPECT_EQ(skua_sock_fileno(nullptr), -EINVAL);
        EXPECT_EQ(skua_sock_nodelay(nullptr, true), -EINVAL);
        EXPECT_EQ(skua_sock_getsockname(nullptr, nullptr, 0, nullptr), -EINVAL);
        EXPECT_EQ(skua_sock_getpeername(nullptr, nullptr, 0, nullptr), -EINVAL);
        EXPECT_EQ(skua_socket_ref(nullptr), nullptr);
        skua_socket_unref(nullptr);
        return 0;
    };

    EXPECT_EQ(RunTask(1, body), 0);
}

TEST(SocketMisuse, NeedsATask)
{
    Socket out;

    EXPECT_EQ(skua_sock_listen(nullptr, out.Out()), SKUA_ENOLOOP);
    EXPECT_EQ(skua_sock_connect(nullptr, 1, out.Out()), SKUA_ENOLOOP);
    EXPECT_EQ(skua_socket_new(0, out.Out()), SKUA_ENOLOOP);
}
