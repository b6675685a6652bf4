// SPDX-License-Identifier: Apache-2.0
// Sockets on several loops: connections opened and dropped in thousands, tasks
// that move while they wait, closing and reuse of descriptors under way.
#include "../unit/io/task_support.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace
{

#if defined(__SANITIZE_THREAD__)
constexpr int kSlowness = 5;
#elif defined(__SANITIZE_ADDRESS__)
constexpr int kSlowness = 2;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
constexpr int kSlowness = 5;
#else
constexpr int kSlowness = 1;
#endif
#else
constexpr int kSlowness = 1;
#endif

constexpr unsigned kLoops = 4;

// From SKUA_TEST_SEED or the system; printed, so that a run can be repeated.
unsigned Seed()
{
    static const unsigned seed = [] {
        const char *text = std::getenv("SKUA_TEST_SEED");
        unsigned value = text != nullptr
                             ? static_cast<unsigned>(std::atoi(text))
                             : std::random_device{}();

        std::printf("SKUA_TEST_SEED=%u\n", value);
        return value;
    }();
    return seed;
}

void RaiseDescriptorLimit()
{
    struct rlimit limit;

    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 20000 ? limit.rlim_max : 20000;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

void ResetOnClose(skua_socket *socket)
{
    const struct linger value = {1, 0};

    (void)setsockopt(skua_sock_fileno(socket), SOL_SOCKET, SO_LINGER, &value,
                     sizeof(value));
}

// Keep the core busy for a moment, so that others steal what waits here.
void Burn(unsigned rounds)
{
    volatile unsigned sink = 0;

    for (unsigned i = 0; i < rounds; i++) {
        sink = sink + i;
    }
}

// What a server does with one connection, which it owns.
int EchoAndDrop(void *arg)
{
    auto *connection = static_cast<skua_socket *>(arg);
    char buffer[64];
    ssize_t bytes;

    while ((bytes = skua_sock_recv_into(connection, buffer, sizeof(buffer))) >
           0) {
        if (skua_sock_sendall(connection, buffer, static_cast<size_t>(bytes)) <
            0) {
            break;
        }
    }
    skua_socket_unref(connection);
    return 0;
}

int AcceptForEver(skua_socket *listener)
{
    for (;;) {
        skua_socket *connection;
        int status = skua_sock_accept(listener, &connection);

        if (status < 0) {
            return status;
        }
        if (skua_create_task(EchoAndDrop, connection, nullptr) < 0) {
            skua_socket_unref(connection);
        }
    }
}

// One client: some say nothing, some are rude, most get their echo.
int Client(int port, unsigned number, std::atomic<int> &echoed)
{
    Socket socket;
    uint32_t answer = ~number;
    int status = skua_sock_connect(nullptr, port, socket.Out());

    if (status < 0) {
        return status;
    }
    ResetOnClose(socket);
    if (number % 4 == 0) {
        return 0;
    }
    status = skua_sock_sendall(socket, &number, sizeof(number));
    if (status < 0 || number % 4 == 1) {
        return status;
    }
    for (size_t done = 0; done < sizeof(answer);) {
        ssize_t bytes = skua_sock_recv_into(
            socket, reinterpret_cast<char *>(&answer) + done,
            sizeof(answer) - done);

        if (bytes <= 0) {
            return bytes == 0 ? SKUA_EOF : static_cast<int>(bytes);
        }
        done += static_cast<size_t>(bytes);
    }
    EXPECT_EQ(answer, number);
    echoed++;
    return 0;
}

} // namespace

TEST(SocketsStress, OpensAndDropsTenThousandConnections)
{
    constexpr int kWaves = 5;
    constexpr int kPerWave = 2000;
    std::atomic<int> echoed = 0;

    RaiseDescriptorLimit();
    EXPECT_EQ(RunTask(kLoops,
                      [&] {
                          Listener listener(4096);
                          Task acceptor(
                              [&] { return AcceptForEver(listener); });

                          for (int wave = 0; wave < kWaves; wave++) {
                              std::vector<Task> clients;

                              clients.reserve(kPerWave);
                              for (unsigned i = 0; i < kPerWave; i++) {
                                  clients.emplace_back([&, i] {
                                      return Client(listener.port(), i, echoed);
                                  });
                              }
                              for (Task &client : clients) {
                                  EXPECT_EQ(client.Await(), 0);
                              }
                          }
                          EXPECT_EQ(acceptor.Cancel(), SKUA_ECANCELED);
                          return 0;
                      }),
              0);
    EXPECT_EQ(echoed, kWaves * kPerWave / 2);
}

TEST(SocketsStress, TasksMoveWhileTheyUseSockets)
{
    constexpr int kPairs = 32;
    constexpr unsigned kRounds = 1000 / kSlowness;

    EXPECT_EQ(
        RunTask(
            kLoops,
            [] {
                std::vector<Pair> pairs(kPairs);
                std::vector<Task> tasks;
                unsigned seed = Seed();

                for (Pair &pair : pairs) {
                    unsigned mine = ++seed;

                    tasks.emplace_back([&pair, mine] {
                        std::minstd_rand random(mine);
                        for (uint32_t i = 0; i < kRounds; i++) {
                            uint32_t back = 0;

                            Burn(random() % 2000);
                            EXPECT_EQ(
                                skua_sock_sendall(pair.client, &i, sizeof(i)),
                                0);
                            EXPECT_EQ(skua_sock_recv_into(pair.client, &back,
                                                          sizeof(back)),
                                      static_cast<ssize_t>(sizeof(back)));
                            EXPECT_EQ(back, i);
                        }
                        EXPECT_EQ(skua_sock_shutdown(pair.client, SHUT_WR), 0);
                        return 0;
                    });
                    tasks.emplace_back([&pair, mine] {
                        std::minstd_rand random(mine);
                        char buffer[16];
                        ssize_t bytes;

                        while ((bytes = skua_sock_recv_into(
                                    pair.server, buffer, sizeof(buffer))) > 0) {
                            Burn(random() % 2000);
                            EXPECT_EQ(
                                skua_sock_sendall(pair.server, buffer,
                                                  static_cast<size_t>(bytes)),
                                0);
                        }
                        return static_cast<int>(bytes);
                    });
                }
                for (Task &task : tasks) {
                    EXPECT_EQ(task.Await(), 0);
                }
                return 0;
            }),
        0);
}

namespace
{

// Open a pair, say who one is, drop it in one of several ways while the other
// end waits; whatever a reader gets must come from its own writer.
int OpenTalkAndDrop(unsigned tag, unsigned how)
{
    int fds[2];
    Socket reader_end;
    Socket writer_end;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        return -errno;
    }
    EXPECT_EQ(skua_socket_new(fds[0], reader_end.Out()), 0);
    EXPECT_EQ(skua_socket_new(fds[1], writer_end.Out()), 0);
    Task reader([&] {
        unsigned got = 0;
        ssize_t bytes = skua_sock_recv_into(reader_end, &got, sizeof(got));

        if (bytes > 0) {
            EXPECT_EQ(bytes, static_cast<ssize_t>(sizeof(got)));
            EXPECT_EQ(got, tag);
        }
        return bytes < 0 ? static_cast<int>(bytes) : 0;
    });
    if (how % 2 == 0) {
        EXPECT_EQ(skua_sock_sendall(writer_end, &tag, sizeof(tag)), 0);
    }
    if (how % 3 == 0) {
        EXPECT_EQ(skua_yield(), 0);
    }
    if (how % 5 == 0) {
        int status = reader.Cancel();
        EXPECT_TRUE(status == 0 || status == SKUA_ECANCELED) << status;
    } else if (how % 5 < 3) {
        EXPECT_EQ(skua_sock_close(reader_end), 0);
        int status = reader.Await();
        EXPECT_TRUE(status == 0 || status == -EBADF) << status;
    } else {
        EXPECT_EQ(skua_sock_close(writer_end), 0);
        EXPECT_EQ(reader.Await(), 0);
    }
    return 0;
}

} // namespace

TEST(SocketsStress, IgnoresStaleEventsAfterCloseAndReuse)
{
    constexpr int kTasks = 32;
    constexpr unsigned kRounds = 1000 / kSlowness;

    EXPECT_EQ(RunTask(kLoops,
                      [] {
                          std::vector<Task> tasks;
                          unsigned seed = Seed();

                          for (unsigned i = 0; i < kTasks; i++) {
                              tasks.emplace_back([seed, i] {
                                  std::minstd_rand random(seed + i);

                                  for (unsigned k = 0; k < kRounds; k++) {
                                      EXPECT_EQ(
                                          OpenTalkAndDrop(
                                              i << 16 | (k + 1),
                                              static_cast<unsigned>(random())),
                                          0);
                                  }
                                  return 0;
                              });
                          }
                          return 0;
                      }),
              0);
}
