// SPDX-License-Identifier: Apache-2.0
// Receiving and sending.
#include "task_support.h"

#include <cstring>
#include <string_view>

#include <sys/socket.h>
#include <unistd.h>

namespace
{

class SocketEcho : public Loops
{
};
class SocketRecv : public Loops
{
};
class SocketSend : public Loops
{
};

void Send(skua_socket *socket, std::string_view text)
{
    EXPECT_EQ(skua_sock_sendall(socket, text.data(), text.size()), 0);
}

int RecvByte(skua_socket *socket, char *out_byte)
{
    return static_cast<int>(skua_sock_recv_into(socket, out_byte, 1));
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

} // namespace

INSTANTIATE_TEST_SUITE_P(Io, SocketEcho, testing::Values(1u, 2u));
INSTANTIATE_TEST_SUITE_P(Io, SocketRecv, testing::Values(1u, 2u));
INSTANTIATE_TEST_SUITE_P(Io, SocketSend, testing::Values(1u, 2u));

TEST_P(SocketEcho, ReturnsEveryMessage)
{
    Run([] {
        Pair pair;
        Task server([&] { return Echo(pair.server); });

        for (int i = 0; i < 200; i++) {
            std::string text = "message " + std::to_string(i);

            Send(pair.client, text);
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
            std::vector<Socket> sockets(50);
            std::vector<Task> connections;

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
                Send(socket, text);
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

        Send(pair.client, "hello");
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

        Send(pair.client, "ab");
        EXPECT_EQ(skua_sock_shutdown(pair.client, SHUT_WR), 0);
        EXPECT_EQ(RecvAll(pair.server, 10), "ab");
        for (int i = 0; i < 3; i++) {
            EXPECT_EQ(skua_sock_recv_into(pair.server, &byte, 1), 0);
            EXPECT_EQ(skua_sock_recv(pair.server, 100, &data), 0);
            EXPECT_EQ(data, nullptr);
        }
        Send(pair.server, "still");
        EXPECT_EQ(RecvAll(pair.client, 5), "still");
        return 0;
    });
}

TEST_P(SocketRecv, ReportsAReset)
{
    Run([] {
        Pair pair;
        char byte;
        Task reader([&] { return RecvByte(pair.server, &byte); });

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
        Send(pair.client, "x");
        EXPECT_EQ(RecvByte(pair.server, &byte), 1);
        return 0;
    });
}

// Conformance 66.
TEST_P(SocketRecv, N066_CancelledWaitEndsAndTheNextOneWorks)
{
    Run([] {
        Pair pair;
        char byte = 0;
        Body recv_one = [&] { return RecvByte(pair.server, &byte); };

        for (int i = 0; i < 20; i++) {
            Task cancelled(recv_one);

            LetOthersRun();
            EXPECT_EQ(cancelled.Cancel(), SKUA_ECANCELED);
            Task reader(recv_one);
            Send(pair.client, "x");
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
        Body recv_one = [&] { return RecvByte(pair.server, &byte); };
        Task first(recv_one);

        LetOthersRun();
        int status = static_cast<int>(
            skua_sock_recv_into_until(pair.server, &byte, 1, Soon()));
        Send(pair.client, "x");
        if (status != -ETIMEDOUT) { // else this one was the first
            EXPECT_EQ(status, -EBUSY);
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
        Send(pair.client, "end");
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
        Send(pair.client, "z");
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

class SocketKind : public Loops
{
};
INSTANTIATE_TEST_SUITE_P(Io, SocketKind, testing::Values(1u, 2u));

TEST_P(SocketKind, AListenerNeitherReceivesNorSends)
{
    Run([] {
        Listener listener;
        char byte = 0;
        void *data = nullptr;
        struct iovec buffer = {&byte, 1};
        size_t sent = 7;

        EXPECT_EQ(skua_sock_recv_into(listener, &byte, 1), -ENOTCONN);
        EXPECT_EQ(skua_sock_recv(listener, 1, &data), -ENOTCONN);
        EXPECT_EQ(skua_sock_send(listener, &byte, 1), -ENOTCONN);
        EXPECT_EQ(skua_sock_sendmsg(listener, &buffer, 1), -ENOTCONN);
        EXPECT_EQ(skua_sock_sendall(listener, &byte, 1), -ENOTCONN);
        EXPECT_EQ(
            skua_sock_sendall_until(listener, &byte, 1, SKUA_FOREVER, &sent),
            -ENOTCONN);
        EXPECT_EQ(sent, 0u);
        EXPECT_EQ(skua_sock_close(listener), 0);
        EXPECT_EQ(skua_sock_recv_into(listener, &byte, 1), -EBADF);
        EXPECT_EQ(skua_sock_send(listener, &byte, 1), -EBADF);
        return 0;
    });
}

TEST_P(SocketKind, AConnectionDoesNotAccept)
{
    Run([] {
        Pair pair;
        Socket accepted;
        char byte = 0;

        EXPECT_EQ(skua_sock_accept(pair.client, accepted.Out()), -EINVAL);
        EXPECT_EQ(skua_sock_accept(pair.server, accepted.Out()), -EINVAL);
        /* Drained: the readable flag is gone, and accept would wait. */
        EXPECT_EQ(skua_sock_recv_into_until(pair.server, &byte, 1, Soon()),
                  -ETIMEDOUT);
        EXPECT_EQ(skua_sock_accept(pair.server, accepted.Out()), -EINVAL);
        EXPECT_EQ(skua_sock_close(pair.server), 0);
        EXPECT_EQ(skua_sock_accept(pair.server, accepted.Out()), -EBADF);
        return 0;
    });
}

TEST_P(SocketKind, AnAdoptedDescriptorKeepsItsKind)
{
    Run([] {
        Listener listener;
        Socket adopted;
        Socket client;
        Socket server;
        char byte = 0;

        EXPECT_EQ(
            skua_socket_new(dup(skua_sock_fileno(listener)), adopted.Out()), 0);
        EXPECT_EQ(skua_sock_recv_into(adopted, &byte, 1), -ENOTCONN);
        EXPECT_EQ(skua_sock_connect("127.0.0.1", listener.port(), client.Out()),
                  0);
        EXPECT_EQ(skua_sock_accept(adopted, server.Out()), 0);
        Send(client, "x");
        EXPECT_EQ(RecvByte(server, &byte), 1);
        return 0;
    });
}

TEST_P(SocketKind, ASocketThatWasNeverConnectedFailsAtOnce)
{
    Run([] {
        Socket lone;
        Socket other;
        char byte = 0;

        EXPECT_EQ(skua_socket_new(socket(AF_INET, SOCK_STREAM, 0), lone.Out()),
                  0);
        EXPECT_EQ(skua_sock_recv_into(lone, &byte, 1), -ENOTCONN);
        EXPECT_EQ(skua_sock_recv_into(lone, &byte, 1), -ENOTCONN);
        EXPECT_EQ(skua_sock_send(lone, &byte, 1), -EPIPE);
        EXPECT_EQ(skua_sock_accept(lone, other.Out()), -EINVAL);
        return 0;
    });
}
